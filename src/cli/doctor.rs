//! `onward doctor`: everything that a gateway needs, looked at before or beside it. Nothing is changed.

use std::path::Path;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::place::Place;
use super::{print, print_json, say, table};
use crate::app::opening::{Missing, open_store, postgres_options};
use crate::config::{ClientAuth, Config};
use crate::store::symptom::{Grade, Kind, Move, Symptom};
use crate::store::{ledger, postgres, sqlite};
use crate::tls::check::{check_client, check_server, check_trust};
use crate::tls::finding::{Finding as TlsFinding, Level};

/// What `onward doctor` takes.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub place: Place,
    /// Read the database file whole, however large it is
    #[arg(long)]
    pub deep: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    grade: Grade,
    code: &'static str,
    /// Which setting, file or database.
    subject: String,
    text: String,
    meaning: &'static str,
    whose_move: Move,
}

impl DoctorArgs {
    /// Runs it; answers the exit code: 1 where the configuration, a certificate or the ledger is wrong, 2 where the
    /// database or the machine is.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let config = self.place.load()?;
        let findings = examine(&config, self.deep, Timestamp::now());
        let count = |grade| findings.iter().filter(|it| it.grade == grade).count();
        if json {
            print_json(&findings)?;
        } else {
            let rows: Vec<_> = findings.iter().map(row).collect();
            print(&table::render(&["", "CODE", "ABOUT", "WHAT", "MEANING", "WHOSE MOVE"], &rows))?;
            say(&format!("{} errors, {} warnings", count(Grade::Error), count(Grade::Warning)));
        }
        Ok(findings.iter().filter(|it| it.grade == Grade::Error).map(exit_code).max().unwrap_or(0))
    }
}

fn exit_code(finding: &Finding) -> i32 {
    if finding.whose_move == Move::Configuration || finding.code == LEDGER_FLAWED { 1 } else { 2 }
}

fn row(it: &Finding) -> Vec<String> {
    let name = |value: serde_json::Result<serde_json::Value>| {
        value.ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    };
    vec![
        name(serde_json::to_value(it.grade)),
        it.code.to_owned(),
        it.subject.clone(),
        it.text.clone(),
        it.meaning.to_owned(),
        name(serde_json::to_value(it.whose_move)),
    ]
}

fn examine(config: &Config, deep: bool, now: Timestamp) -> Vec<Finding> {
    let mut findings = settings(config);
    findings.extend(certificates(config, now));
    let store = store(config, deep, now);
    let is_open = store.iter().all(|it| !keeps_shut(it));
    findings.extend(store.into_iter().map(|symptom| of_symptom(&config.store.place(), symptom)));
    if config.store.url.is_none() {
        findings.push(of_symptom(&config.store.place(), disk(&config.store.path)));
    }
    if is_open {
        findings.push(balance(config));
    }
    findings
}

fn settings(config: &Config) -> Vec<Finding> {
    let of = |it: crate::config::Finding| Finding {
        grade: if it.is_error() { Grade::Error } else { Grade::Warning },
        code: "configuration",
        subject: it.setting,
        text: it.text,
        meaning: "With an error in its configuration the gateway does not start.",
        whose_move: Move::Configuration,
    };
    let found: Vec<_> = config.check().into_iter().map(of).collect();
    if !found.is_empty() {
        return found;
    }
    vec![Finding {
        grade: Grade::Fine,
        code: "configuration-fine",
        subject: "configuration".to_owned(),
        text: String::new(),
        meaning: "Every setting is of its kind, and none contradicts another.",
        whose_move: Move::Nobody,
    }]
}

fn certificates(config: &Config, now: Timestamp) -> Vec<Finding> {
    let https = &config.https;
    let mut found = of_tls("https", check_server(&https.cert, &https.key, None, Some(&https.host), now));
    if let Some(ca) = https.client_ca.as_deref().filter(|_| https.client_auth != ClientAuth::Off) {
        found.extend(of_tls("https client_ca", check_trust(ca, https.crl.as_deref(), now)));
    }
    for channel in &config.mllp {
        let Some(files) = &channel.tls else { continue };
        let about = format!("mllp {}", channel.name);
        found.extend(of_tls(&about, check_server(&files.cert, &files.key, None, None, now)));
        found.extend(files.client_ca.iter().flat_map(|ca| of_tls(&about, check_trust(ca, None, now))));
    }
    for destination in &config.destination {
        let Some(files) = &destination.tls else { continue };
        let about = format!("destination {}", destination.name);
        found.extend(of_tls(&about, check_trust(&files.ca, None, now)));
        if let (Some(cert), Some(key)) = (&files.cert, &files.key) {
            found.extend(of_tls(&about, check_client(cert, key, None, now)));
        }
    }
    found
}

fn of_tls(about: &str, findings: Vec<TlsFinding>) -> Vec<Finding> {
    let of = |it: TlsFinding| Finding {
        grade: if it.level == Level::Error { Grade::Error } else { Grade::Warning },
        code: it.kind.as_str(),
        subject: about.to_owned(),
        text: format!("{}: {}", it.file.display(), it.text),
        meaning: it.kind.meaning(),
        whose_move: Move::Configuration,
    };
    findings.into_iter().map(of).collect()
}

fn of_symptom(about: &str, it: Symptom) -> Finding {
    Finding {
        grade: it.grade,
        code: it.kind.as_str(),
        subject: about.to_owned(),
        text: it.text,
        meaning: it.kind.meaning(),
        whose_move: it.kind.whose(),
    }
}

fn store(config: &Config, deep: bool, now: Timestamp) -> Vec<Symptom> {
    if config.store.url.is_none() {
        return sqlite::examine(&config.store.path, deep, now);
    }
    match postgres_options(config, Missing::Refuse) {
        Ok(options) => postgres::examine(&options),
        Err(error) => vec![Symptom::new(Kind::Unreachable, error.to_string())],
    }
}

/// Less than this is hardly anything: the log alone may grow to a quarter of it.
const FULL_BYTES: u64 = 1 << 30;
/// With less than this somebody should look …
const SHORT_BYTES: u64 = 10 << 30;
/// … and with less than one part in so many.
const SHORT_PART: u64 = 20;

fn disk(database: &Path) -> Symptom {
    let folder = database.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match rustix::fs::statvfs(folder) {
        Err(error) => Symptom::new(Kind::DiskUnknown, error.to_string()),
        Ok(found) => {
            disk_of(found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize))
        }
    }
}

fn disk_of(free: u64, all: u64) -> Symptom {
    let kind = match free {
        ..FULL_BYTES => Kind::DiskFull,
        _ if free < SHORT_BYTES || free < all / SHORT_PART => Kind::DiskShort,
        _ => Kind::DiskFine,
    };
    Symptom::new(kind, format!("{} of {} GB free", free >> 30, all >> 30))
}

const LEDGER_FLAWED: &str = "ledger-does-not-balance";

/// With this the database cannot be opened, or would be changed by it.
fn keeps_shut(it: &Symptom) -> bool {
    use Kind::{CommitOff, FsyncOff, Integrity, Missing, Older, PagesOff, ServerOld, TooNew, Unreachable};
    match it.kind {
        Missing | Older | TooNew | Unreachable | Integrity | ServerOld => true,
        CommitOff | FsyncOff | PagesOff => it.grade == Grade::Error,
        _ => false,
    }
}

/// Opening a database of this version changes nothing in it.
fn balance(config: &Config) -> Finding {
    let ledger = open_store(config, Missing::Refuse).and_then(|store| {
        let ledger = ledger::audit(&*store, |_| {});
        store.close();
        ledger
    });
    let (grade, code, text, meaning, whose_move) = match ledger {
        Ok(ledger) if ledger.is_balanced() => {
            let meaning = "Every message that came in is in exactly one state.";
            (Grade::Fine, "ledger-fine", ledger.to_string(), meaning, Move::Nobody)
        }
        Ok(ledger) => {
            let meaning = "A message is gone, in no state or in more than one. onward ledger names it.";
            (Grade::Error, LEDGER_FLAWED, ledger.to_string(), meaning, Move::Maker)
        }
        Err(error) => {
            let meaning = "Nobody can say whether every message is in a state.";
            (Grade::Error, "ledger-unreadable", error.to_string(), meaning, Move::Operator)
        }
    };
    Finding { grade, code, subject: "ledger".to_owned(), text, meaning, whose_move }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_judged_by_what_is_left() {
        const GB: u64 = 1 << 30;
        for (free, all, kind) in [
            (GB / 2, 100 * GB, Kind::DiskFull),
            (5 * GB, 20 * GB, Kind::DiskShort),
            (20 * GB, 1_000 * GB, Kind::DiskShort),
            (60 * GB, 1_000 * GB, Kind::DiskFine),
        ] {
            assert_eq!(disk_of(free, all).kind, kind, "{free} of {all}");
        }
    }
}
