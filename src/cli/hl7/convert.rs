//! HL7 v2 to FHIR R4 and back, with a report of what was translated and what stays in the original only.

use clap::{Args, ValueEnum};
use serde_json::Value;
use uuid::Uuid;

use super::notice::{self, Hints};
use super::{DialectArgs, FilesArgs, lines, messages, print_list};
use crate::bars::report::{Report, report};
use crate::booking::decision::NoticeKind;
use crate::booking::identifier::OdsCode;
use crate::cli::{CallerFault, print, print_bytes, say};
use crate::pas;
use crate::pas::channel::Channel;
use crate::pas::inbound::convert::{Account, account, to_fhir};

/// What `onward hl7 convert` takes.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// What to make
    #[arg(long, value_enum)]
    pub to: Form,
    /// Say what was translated and what was not, on standard error
    #[arg(long)]
    pub report: bool,
    /// What happened, as `SIU^S13`, where the resources alone do not say it
    #[arg(long, value_name = "EVENT")]
    pub event: Option<String>,
    /// ODS code of who provides the service, where the resources do not say it
    #[arg(long, value_name = "CODE")]
    pub organisation: Option<String>,
    /// How the sender differs.
    #[command(flatten)]
    pub dialect: DialectArgs,
    /// Files with messages: HL7 v2 to make FHIR of; BaRS messages, other Bundles or single resources to make HL7 v2 of.
    #[command(flatten)]
    pub files: FilesArgs,
}

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A FHIR R4 Bundle for each message.
    Fhir,
    /// HL7 v2 as a hospital is sent it.
    Hl7v2,
}

pub(super) fn run(args: &ConvertArgs) -> anyhow::Result<i32> {
    match args.to {
        Form::Fhir => fhir(args),
        Form::Hl7v2 => hl7v2(args),
    }
}

fn fhir(args: &ConvertArgs) -> anyhow::Result<i32> {
    let (dialect, sandbox) = (args.dialect.read()?, !args.dialect.production);
    let (mut bundles, mut failed) = (Vec::new(), 0);
    for bytes in messages(&args.files)? {
        match to_fhir(&bytes, &dialect, sandbox) {
            Ok(bundle) => {
                if args.report {
                    let Account { mapped, carried, dropped } = account(&bytes, &dialect, sandbox);
                    say_report(&mapped, &carried, &dropped);
                }
                bundles.push(bundle);
            }
            Err(found) => {
                found.iter().for_each(|found| say(&found.issue.to_string()));
                failed += 1;
            }
        }
    }
    match bundles.as_slice() {
        [single] => print(&format!("{}\n", serde_json::to_string_pretty(single)?))?,
        several => print_list(several)?,
    }
    Ok(i32::from(failed > 0))
}

/// FHIR resources as the message that a hospital would get of them.
fn hl7v2(args: &ConvertArgs) -> anyhow::Result<i32> {
    let fault = |error: String| CallerFault(error);
    let kind = args.event.as_deref().map(event).transpose().map_err(fault)?;
    let organisation = args.organisation.as_deref().map(OdsCode::parse).transpose();
    let hints = Hints { kind, organisation: organisation.map_err(|error| CallerFault(error.to_string()))? };
    for file in &args.files.files {
        let bytes = super::input(file)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| CallerFault(error.to_string()))?;
        let notice = notice::read(&value, &hints).map_err(fault)?;
        let message = pas::render(&notice, &Channel::default(), Uuid::nil())?.body;
        if args.report {
            let Report { mapped, carried } = report(&value);
            say_report(&mapped.into_keys().collect::<Vec<_>>(), &carried.into_keys().collect::<Vec<_>>(), &[]);
        }
        match args.files.files.len() {
            1 => print_bytes(&message)?,
            _ => print(&lines(&String::from_utf8_lossy(&message)))?,
        }
    }
    Ok(0)
}

/// `S13` or `SIU^S13`.
fn event(name: &str) -> Result<NoticeKind, String> {
    let known = |kind: &&pas::Kind| kind.event == name || kind.event.split('^').nth(1) == Some(name);
    let all = || pas::ALL.iter().map(|kind| kind.event).collect::<Vec<_>>().join(", ");
    pas::ALL.iter().find(known).map(|kind| kind.notice).ok_or_else(|| format!("--event is one of {}", all()))
}

/// What became of each field or element. Nothing is dropped but what the settings say means nothing.
fn say_report(mapped: &[String], carried: &[String], dropped: &[String]) {
    let list = |places: &[String]| if places.is_empty() { "nothing".to_owned() } else { places.join(" ") };
    say(&format!(
        "translated: {}\ncarried in the message only: {}\ndropped: {}",
        list(mapped),
        list(carried),
        list(dropped)
    ));
}
