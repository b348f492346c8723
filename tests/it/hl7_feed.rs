//! One message of every event that a hospital may send: what is made of it is what `fixtures/feed/outcomes.txt` says,
//! and as FHIR it is valid. `UPDATE=1` writes the outcomes anew; a new file is a new test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use onward::booking::feed::{Event, Wish};
use onward::fhir::json::Limits;
use onward::hl7v2::ack::Verdict;
use onward::hl7v2::message::Message;
use onward::issue::Severity;
use onward::pas::inbound::convert::to_fhir;
use onward::pas::inbound::dialect::Dialect;
use onward::pas::inbound::{EVENTS, Outcome, Surroundings, read};
use onward::profile::library::{Library, built_in};
use onward::profile::validate::Request;
use onward::store::Store;
use serde_json::Value;

use crate::hl7_corpus;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/feed")
}

/// The messages, by the names of their files.
fn messages() -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "hl7"));
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap().replace('\n', "\r");
            (path.file_stem().unwrap().to_string_lossy().into_owned(), text.into_bytes())
        })
        .collect()
}

fn outcome(message: &[u8]) -> Outcome {
    read(
        message,
        &Dialect::shipped("itk").unwrap(),
        Surroundings { sandbox: true, now: Timestamp::constant(1_780_000_000, 0) },
    )
}

/// One line: what follows, what is answered, what was found.
fn line(name: &str, outcome: &Outcome) -> String {
    let answer = match outcome.verdict {
        _ if outcome.silent => "none",
        Verdict::Accepted => "AA",
        Verdict::Error => "AE",
        Verdict::Rejected => "AR",
    };
    let found = outcome.found.iter().map(|it| format!("{}@{}", it.issue.code.id, it.issue.at));
    let found: Vec<String> = found.collect();
    let done = outcome.event.as_ref().map_or_else(|| "quarantined".to_owned(), said);
    format!("{name:<28} {answer:<5} {done}; {}\n", found.join(" "))
}

fn said(event: &Event) -> String {
    let detail = match &event.wish {
        Wish::Booking(said) => {
            let status = said.status.as_ref().map_or("as it was", |standing| standing.status.as_str());
            let known = if said.known_only { " if it is known" } else { "" };
            format!("{} is {status}{known}", said.key.value)
        }
        Wish::Referral(said) => {
            format!("{} is {:?}, answered {:?}", said.keys[0].value, said.status, said.response)
        }
        Wish::Merge(numbers) | Wish::Renumber(numbers) => {
            numbers.iter().map(|number| number.value.as_str()).collect::<Vec<_>>().join(" ")
        }
        Wish::Move { from, booking } => format!("{} from {}", booking.value, from[0].value),
        Wish::MergeBookings { loser, survivor } => format!("{} ends in {}", loser.value, survivor.value),
        Wish::Link { pair, linked, .. } => format!("{} {linked}", pair.value),
        Wish::Directory(diary) => format!("{} clinics", diary.directory.len()),
        Wish::Person | Wish::Withdraw | Wish::Nothing => String::new(),
    };
    format!("{} {detail}", event.name()).trim_end().to_owned()
}

#[test]
fn every_event_is_read_as_expected() {
    let messages = messages();
    let lines: String = messages.iter().map(|(name, message)| line(name, &outcome(message))).collect();
    let file = folder().join("outcomes.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &lines).unwrap();
    }
    assert_eq!(lines, fs::read_to_string(&file).unwrap_or_default(), "UPDATE=1 accepts it");
    for (name, message) in &messages {
        let written = Message::parse(message).unwrap().write();
        assert!(written == message.trim_ascii_end(), "{name}");
    }
}

#[test]
fn every_event_has_a_message() {
    let messages = messages();
    for taken in EVENTS {
        let name = taken.event.to_lowercase().replace('^', "_");
        let message = messages.get(&name).unwrap_or_else(|| panic!("fixtures/feed has no {name}.hl7"));
        assert_eq!(outcome(message).kind, taken.event);
    }
}

/// Errors in what a message is converted to, as code and place; `None`: it cannot be converted.
fn wrong(library: &Library, message: &[u8], dialect: &Dialect) -> Option<Vec<String>> {
    let bundle = to_fhir(message, dialect, true).ok()?;
    let text = bundle.to_string().into_bytes();
    let tape = library.validator.read(&text, &Limits::default()).unwrap();
    let issues = library.validator.check(&tape, &Request::default()).issues;
    let errors = issues.iter().filter(|it| it.severity == Severity::Error);
    Some(errors.map(|it| format!("{} {}: {}", it.code.id, it.at, it.text)).collect())
}

#[test]
fn what_is_converted_is_valid() {
    let library = built_in();
    let (mut converted, mut found) = (0, Vec::new());
    let mut check = |name: &str, message: &[u8], dialect: &Dialect| {
        if let Some(errors) = wrong(&library, message, dialect) {
            converted += 1;
            found.extend(errors.into_iter().map(|error| format!("{name}: {error}")));
        }
    };
    let itk = Dialect::shipped("itk").unwrap();
    messages().iter().for_each(|(name, message)| check(name, message, &itk));
    match hl7_corpus::shared() {
        None => hl7_corpus::skipped(),
        Some(folder) => {
            for (file, bytes) in hl7_corpus::files(&folder) {
                hl7_corpus::messages(&bytes).iter().for_each(|message| check(&file, message, &itk));
            }
        }
    }
    println!("{converted} messages converted");
    assert!(found.is_empty(), "{} errors:\n{}", found.len(), found.join("\n"));
    let resources = |message: &[u8]| -> Vec<Value> {
        let bundle = to_fhir(message, &itk, true).unwrap();
        bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["resourceType"].clone()).collect()
    };
    let messages = messages();
    assert_eq!(resources(&messages["siu_s12"]), ["Patient", "Appointment"]);
    assert_eq!(resources(&messages["ref_i12"]), ["Patient", "ServiceRequest"]);
}

/// One after the other, as they would come from a hospital that has all of these systems.
#[tokio::test]
async fn every_message_of_these_ends_in_one_counted_state() {
    let bench = hl7_corpus::Bench::new("dialect = \"itk\"");
    let messages = messages();
    for (name, message) in &messages {
        let (codes, found, decision) = bench.take(message).await;
        let outcome = outcome(message);
        assert!(!found.contains("ONW-9"), "{name}: {found}");
        if !outcome.silent {
            let right = match outcome.verdict {
                Verdict::Accepted => "A",
                Verdict::Error => "E",
                Verdict::Rejected => "R",
            };
            assert!(codes.len() == 1 && codes[0].ends_with(right), "{name}: {codes:?}");
        }
        assert!(decision.is_none() || outcome.event.is_some(), "{name}: what cannot be read was applied");
    }
    let counted: u64 = bench.store.feed_counts().unwrap().into_iter().map(|(_, count)| count).sum();
    assert_eq!(counted, messages.len() as u64);
}
