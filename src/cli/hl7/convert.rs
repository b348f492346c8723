//! HL7 v2 to FHIR R4 and back, with a report of what was translated and what stays in the original only.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{DialectArgs, FilesArgs, lines, messages, print_list};
use crate::bars::headers::Headers;
use crate::bars::{check, translate};
use crate::booking::command::Command;
use crate::booking::decision::{Notice, NoticeKind};
use crate::booking::identifier::OdsCode;
use crate::booking::patient::Patient;
use crate::booking::service::Service;
use crate::cli::{CallerFault, print, print_bytes, say};
use crate::issue::Issues;
use crate::pas;
use crate::pas::channel::Channel;
use crate::pas::inbound::convert::{Converted, to_fhir};

/// What `onward hl7 convert` takes.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// What to make
    #[arg(long, value_enum)]
    pub to: Form,
    /// Say what was translated and what was not, on standard error
    #[arg(long)]
    pub report: bool,
    /// How the sender differs.
    #[command(flatten)]
    pub dialect: DialectArgs,
    /// Files with messages: HL7 v2 to make FHIR of, BaRS message Bundles to make HL7 v2 of.
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
    let dialect = args.dialect.read()?;
    let (mut bundles, mut failed) = (Vec::new(), 0);
    for bytes in messages(&args.files)? {
        match to_fhir(&bytes, &dialect, !args.dialect.production) {
            Ok(Converted { bundle, mapped, carried }) => {
                if args.report {
                    let list = |places: &[String]| places.join(" ");
                    say(&format!("translated: {}\ncarried in the message only: {}", list(&mapped), list(&carried)));
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

/// A BaRS message Bundle as the letters that its service's hospital would get.
fn hl7v2(args: &ConvertArgs) -> anyhow::Result<i32> {
    for file in &args.files.files {
        let bytes = super::input(file)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| CallerFault(error.to_string()))?;
        let message = letter(&value).map_err(CallerFault)?;
        if args.report {
            let report = crate::bars::report::report(&value);
            say(&json!({ "translated": report.mapped, "carried in the original only": report.carried }).to_string());
        }
        match args.files.files.len() {
            1 => print_bytes(&message)?,
            _ => print(&lines(&String::from_utf8_lossy(&message)))?,
        }
    }
    Ok(0)
}

/// The letter that a BaRS message would cause, to a hospital with the usual settings.
fn letter(bundle: &Value) -> Result<Vec<u8>, String> {
    let (checked, found) = check::check(bundle, &Headers::default());
    let first = |issues: &Issues| issues.errors().next().map(ToString::to_string).unwrap_or_default();
    let checked = checked.ok_or_else(|| first(&found))?;
    let context = translate::Context { correlation: String::new(), now: Timestamp::now(), sandbox: true };
    let (translated, found) = translate::translate(&checked, &context);
    let (command, _) = translated.ok_or_else(|| first(&found))?;
    let notice =
        notice(command, context.now).ok_or("only new and changed referrals and bookings say enough by themselves")?;
    let rendered = pas::render(&notice, &Channel::default(), Uuid::nil()).map_err(|error| error.to_string())?;
    Ok(rendered.body)
}

/// What a hospital is told of it, as if it were the first word about it.
fn notice(command: Command, at: Timestamp) -> Option<Notice> {
    let (kind, subject, referral, appointment) = match command {
        Command::PlaceReferral(it) => (NoticeKind::ReferralPlaced, it.subject, it.referral, None),
        Command::AmendReferral(it) => (NoticeKind::ReferralAmended, it.subject, it.referral, None),
        Command::Book(it) => (NoticeKind::Booked, it.subject, it.awaited, Some(it.appointment)),
        _ => return None,
    };
    let patient = Patient {
        id: subject.candidate,
        nhs_number: subject.nhs_number,
        demographics: subject.demographics,
        replaced_by: None,
    };
    let service = Service {
        id: referral.service.clone(),
        name: String::new(),
        organisation: OdsCode::parse("X26").ok()?,
        use_cases: Vec::new(),
        treatment_function: None,
        destination: None,
        closed: false,
    };
    Some(Notice { kind, service, patient, referral, appointment, at })
}
