//! The records of a file, one after the other, as what is to be done with each.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::PathBuf;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::super::matching::columns::{Columns, FIELDS, Places};
use super::{CallerFault, PatientsArgs, fault};
use crate::bars::person;
use crate::booking::command::{Command, Subject};
use crate::booking::decision::{Decision, Refusal};
use crate::booking::feed::{Event, Version, Who, Wish};
use crate::booking::identifier::{Identifier, OdsCode, PatientId};
use crate::booking::nhs_number::{NhsNumber, Range};
use crate::booking::patient::{Address, Demographics, Gender, HumanName, Telecom};
use crate::config::Config;
use crate::fhir::json::{Limits, parse};
use crate::hl7v2::batch;
use crate::intake::hl7::{self, Feed};
use crate::issue::Issues;
use crate::store::{Answer, Message, Work};

const NHS: &str = NhsNumber::SYSTEM;
/// Largest HL7 v2 file: it is read whole.
const HL7_BYTES_MAX: u64 = 1 << 30;
/// Longest line of NDJSON and of CSV.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A record: where it stands, and what is to be done; or why it cannot be read.
pub(super) type Item = Result<(String, Message, Work), String>;

/// See the module.
pub(super) struct Records {
    form: Form,
    path: PathBuf,
    source: String,
    system: String,
    sandbox: bool,
    line: usize,
}

enum Form {
    Csv(Box<csv::Reader<BufReader<File>>>, Box<Places>),
    Ndjson(Lines<BufReader<File>>),
    Hl7(Box<Feed>, std::vec::IntoIter<Vec<u8>>),
}

impl Records {
    /// Opens the file; what is in it is told by its end.
    pub(super) fn open(args: &PatientsArgs, config: &Config) -> anyhow::Result<Self> {
        let path = args.file.clone();
        let file = File::open(&path).map_err(|error| fault(&path, error))?;
        let form = match path.extension().and_then(|it| it.to_str()).unwrap_or_default() {
            "csv" => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(BufReader::new(file));
                let heading = reader.headers().map_err(|error| fault(&path, error))?.clone();
                let places = Columns::new(None, &args.map)?.places(&heading, &path)?;
                Form::Csv(Box::new(reader), Box::new(places))
            }
            "ndjson" | "jsonl" => Form::Ndjson(BufReader::new(file).lines()),
            "hl7" | "txt" => Form::Hl7(Box::new(feed(args, config)?), messages(file)?.into_iter()),
            _ => return Err(fault(&path, "the name must end in .csv, .ndjson or .hl7").into()),
        };
        let source = args.source.clone();
        let system = args.system.clone().unwrap_or_else(|| format!("urn:x-sender:{source}:{source}"));
        Ok(Self { form, path, source, system, sandbox: config.environment.is_sandbox(), line: 0 })
    }

    fn place(&self, line: u64) -> String {
        format!("{}: line {line}", self.path.display())
    }

    /// What a row or a resource says, as an event of its source.
    fn event(&self, place: String, subject: Subject, mut numbers: Vec<Identifier>, body: Vec<u8>) -> Item {
        if numbers.is_empty() && subject.nhs_number.is_none() {
            return Err(format!("{place}: neither a local number nor a verified NHS number"));
        }
        numbers.dedup();
        let now = Timestamp::now();
        let hash = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let message = Message {
            id: Uuid::now_v7(),
            received_at: now,
            channel: "cli",
            caller: self.source.clone(),
            organisation: self.source.clone(),
            kind: "import patient".to_owned(),
            key: Some(format!("import:{}:{hash}", self.source)),
            correlation: String::new(),
            bundle: String::new(),
            body,
            issues: Vec::new(),
            feed: None,
        };
        let event = Event {
            source: self.source.clone(),
            version: Version { at: now, sequence: 0 },
            origin: Default::default(),
            who: Some(Who { subject, numbers, cleared: Vec::new() }),
            wish: Wish::Person,
        };
        let answer = Box::new(|_: &Result<Decision, Refusal>| Answer { status: 200, ..Answer::default() });
        Ok((place, message, Work::Decide { command: Box::new(Command::Feed(Box::new(event))), answer }))
    }

    fn row(&self, line: u64, row: &csv::StringRecord, places: &Places) -> Item {
        let value = |name: &str| -> String {
            let field = FIELDS.iter().position(|(field, _)| *field == name).unwrap_or_default();
            let parts = places[field].iter().filter_map(|at| row.get(*at)).map(str::trim);
            parts.filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let said = |name: &str| Some(value(name)).filter(|it| !it.is_empty());
        // A number that was replaced is its owner's no more, whatever the file says beside it.
        let newer = NhsNumber::parse(&value("nhs_superseded_by")).ok();
        let number = newer.or_else(|| NhsNumber::parse(&value("nhs_number")).ok());
        let status = said("nhs_number_status").map(|it| format!("{it:0>2}"));
        let proven = number.filter(|it| status.as_deref() == Some("01") && self.fits(*it));
        let source = said("source").unwrap_or_else(|| self.source.clone());
        let system =
            if source == self.source { self.system.clone() } else { format!("urn:x-sender:{source}:{source}") };
        let local = said("local_id").or_else(|| said("id")).map(|value| Identifier { system, value });
        let nhs = said("nhs_number").map(|value| Identifier { system: NHS.to_owned(), value });
        let demographics =
            Demographics { identifiers: local.iter().cloned().chain(nhs).collect(), ..demographics(&said, status) };
        let subject = Subject { candidate: PatientId(Uuid::now_v7()), nhs_number: proven, demographics };
        let body = row.iter().collect::<Vec<_>>().join("\u{1f}").into_bytes();
        self.event(self.place(line), subject, local.into_iter().collect(), body)
    }

    /// Numbers of patients stay out of tests, and numbers for tests out of the real thing.
    fn fits(&self, number: NhsNumber) -> bool {
        matches!((number.range(), self.sandbox), (Range::Live, false) | (Range::Test, true))
    }

    fn resource(&self, line: u64, text: &str) -> Item {
        let place = self.place(line);
        let limits = Limits { bytes_max: LINE_BYTES_MAX, ..Limits::default() };
        let value = parse(text.as_bytes(), &limits).map_err(|_| format!("{place}: not JSON"))?;
        let mut issues = Issues::default();
        let asked = person::question(&value, self.sandbox, &mut issues);
        let Some(asked) = asked.filter(|_| !issues.has_errors()) else {
            let why = issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Err(format!("{place}: {why}"));
        };
        let subject = Subject { candidate: PatientId(Uuid::now_v7()), ..asked.subject };
        let numbers = subject.demographics.identifiers.iter().filter(|it| !it.system.starts_with(NHS)).cloned();
        let numbers = numbers.collect();
        self.event(place, subject, numbers, text.as_bytes().to_vec())
    }
}

/// A date of death that is none but a flag says that the person died.
fn demographics(said: &impl Fn(&str) -> Option<String>, status: Option<String>) -> Demographics {
    let name = |usage: &str, family: Option<String>, given: Vec<String>| HumanName {
        usage: Some(usage.to_owned()),
        family,
        given,
        ..HumanName::default()
    };
    let given = [said("given_names"), said("middle_names")].into_iter().flatten();
    let given: Vec<String> = given.flat_map(|it| it.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let official = name("official", said("family_name"), given);
    let former = said("former_family_name").map(|family| name("old", Some(family), Vec::new()));
    let named = official.family.is_some() || !official.given.is_empty();
    let address = Address {
        usage: Some("home".to_owned()),
        lines: said("address").into_iter().collect(),
        city: said("town"),
        postal_code: said("postcode"),
        ..Address::default()
    };
    let lives = !address.lines.is_empty() || address.city.is_some() || address.postal_code.is_some();
    let telecom = |system: &str, value: String| Telecom {
        system: Some(system.to_owned()),
        value: Some(value),
        usage: Some("home".to_owned()),
    };
    let phone = said("phone").map(|it| telecom("phone", it));
    let flags = said("flags").unwrap_or_default();
    Demographics {
        identifiers: Vec::new(),
        nhs_number_status: status,
        names: Some(official).filter(|_| named).into_iter().chain(former).collect(),
        birth_date: said("birth_date"),
        gender: said("gender").and_then(|code| gender(&code)),
        addresses: Some(address).filter(|_| lives).into_iter().collect(),
        telecoms: phone.into_iter().chain(said("email").map(|it| telecom("email", it))).collect(),
        practice: said("gp_practice").and_then(|code| OdsCode::parse(&code).ok()),
        deceased: said("death_date"),
        restricted: flags.contains("restricted"),
        unidentified: flags.contains("pseudo") || flags.contains("flagged"),
    }
}

fn gender(code: &str) -> Option<Gender> {
    Some(match code.to_ascii_lowercase().as_str() {
        "1" | "m" | "male" => Gender::Male,
        "2" | "f" | "female" => Gender::Female,
        "9" | "o" | "other" => Gender::Other,
        "0" | "u" | "unknown" => Gender::Unknown,
        _ => return None,
    })
}

fn feed(args: &PatientsArgs, config: &Config) -> anyhow::Result<Feed> {
    let name = args.channel.as_deref().ok_or_else(|| CallerFault("HL7 v2 is read as a channel's: --channel".into()))?;
    let channel = config.mllp.iter().find(|channel| channel.name == name);
    let channel = channel.ok_or_else(|| CallerFault(format!("there is no channel {name:?} in the configuration")))?;
    Ok(crate::app::feed(channel, config)?)
}

fn messages(file: File) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(HL7_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if HL7_BYTES_MAX < bytes.len() as u64 {
        let text = format!("a batch of HL7 v2 has at most {} MiB: cut it into several", HL7_BYTES_MAX >> 20);
        return Err(CallerFault(text).into());
    }
    let found = batch::read(&bytes).map(|batch| batch.messages.iter().map(|it| it.to_vec()).collect());
    Ok(found.unwrap_or_else(|| vec![bytes]))
}

impl Iterator for Records {
    type Item = anyhow::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.form {
            Form::Csv(reader, places) => {
                let places = places.clone();
                let mut row = csv::StringRecord::new();
                match reader.read_record(&mut row) {
                    Ok(false) => None,
                    Ok(true) => {
                        let line = row.position().map_or(0, csv::Position::line);
                        Some(Ok(self.row(line, &row, &places)))
                    }
                    Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                        let line = error.position().map_or(0, csv::Position::line);
                        Some(Ok(Err(format!("{}: not UTF-8", self.place(line)))))
                    }
                    Err(error) => Some(Err(fault(&self.path, error).into())),
                }
            }
            Form::Ndjson(lines) => loop {
                self.line += 1;
                match lines.next()? {
                    Ok(text) if text.trim().is_empty() => {}
                    Ok(text) => return Some(Ok(self.resource(self.line as u64, &text))),
                    Err(error) => return Some(Err(fault(&self.path, error).into())),
                }
            },
            Form::Hl7(feed, messages) => {
                self.line += 1;
                let prepared = hl7::prepare(feed, messages.next()?, self.sandbox, None);
                Some(Ok(Ok((
                    format!("{}: message {}", self.path.display(), self.line),
                    prepared.message,
                    prepared.work,
                ))))
            }
        }
    }
}
