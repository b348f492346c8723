//! HL7 v2 messages of many systems, where the facts folder stands beside the project: what is read is written again
//! byte for byte, every message ends in one counted state, and those with an expected outcome have that one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as File, PathBuf};

use bytes::BytesMut;
use onward::booking::appointment::AppointmentStatus;
use onward::booking::decide::decide;
use onward::booking::decision::{Decision, Rules};
use onward::hl7v2::ack::Received;
use onward::hl7v2::charset::{Fallback, decode};
use onward::hl7v2::frame::{self, Mllp};
use onward::hl7v2::header::Header;
use onward::hl7v2::message::{Limits, Message};
use onward::hl7v2::{batch, write::Writer};
use onward::intake::hl7::{Feed, prepare};
use onward::pas::inbound::convert::to_fhir;
use onward::pas::inbound::dialect::Dialect;
use onward::store::sqlite::{Options, SqliteStore};
use onward::store::{Page, Store, Verdict};
use serde_json::Value;
use tokio_util::codec::Decoder;

/// The folder of facts.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("../shared/hl7v2");
    folder.is_dir().then_some(folder)
}

pub(crate) fn skipped() {
    eprintln!("SKIPPED: the folder with HL7 v2 messages is not here");
}

/// The files of the index that may be passed on, in its order.
pub(crate) fn files(folder: &File) -> Vec<(String, Vec<u8>)> {
    let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
    let rows = index.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>());
    let files = rows.filter(|row| row[8] == "yes").map(|row| row[0].to_owned());
    files.map(|file| (file.clone(), fs::read(folder.join(&file)).unwrap())).collect()
}

/// A file as the frames that would come over a connection.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    if !bytes.contains(&0x0B) || !bytes.windows(2).any(|pair| pair == b"\x1c\r") {
        return vec![bytes.to_vec()];
    }
    let (mut codec, mut buffer) = (Mllp::new(frame::Limits::default()), BytesMut::from(bytes));
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = codec.decode(&mut buffer) {
        frames.push(frame.to_vec());
    }
    frames
}

/// The messages of a file, as the gateway would come by them; blank ones are none.
pub(crate) fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let frames = frames(bytes).into_iter().filter(|frame| !frame.iter().all(u8::is_ascii_whitespace));
    frames
        .flat_map(|frame| match batch::read(&frame).filter(|batch| !batch.messages.is_empty()) {
            Some(batch) => batch.messages.iter().map(|message| message.to_vec()).collect(),
            None => vec![frame],
        })
        .collect()
}

#[test]
fn what_is_read_is_written_again_byte_for_byte() {
    let Some(folder) = shared() else { return skipped() };
    let limits = Limits { repetitions_max: usize::MAX, ..Limits::default() };
    let (mut parsed, mut refused) = (0, Vec::new());
    for (file, bytes) in files(&folder) {
        for frame in frames(&bytes) {
            match Message::parse_within(&frame, &limits) {
                Ok(message) => {
                    let written = message.write();
                    let trimmed = frame.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&frame).trim_ascii_start();
                    assert!(trimmed.starts_with(&written), "{file}");
                    let rest = &trimmed[written.len()..];
                    assert!(rest.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0x1A)), "{file}");
                    parsed += 1;
                }
                Err(error) => refused.push(format!("{file}: {error}")),
            }
        }
    }
    println!("{parsed} messages written again, {} not read", refused.len());
    assert!(500 < parsed && refused.len() < 80, "{parsed}, {refused:#?}");
}

/// A store of its own, and a channel that takes every type.
pub(crate) struct Bench {
    _dir: tempfile::TempDir,
    pub(crate) file: PathBuf,
    pub(crate) store: std::sync::Arc<SqliteStore>,
    feed: Feed,
}

impl Bench {
    pub(crate) fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { rules: Rules { sandbox: true, ..Rules::default() }, ..Options::default() };
        let file = dir.path().join("onward.db");
        let store = SqliteStore::open(&file, options, decide).unwrap();
        let dialect = Dialect::read(&settings.parse().unwrap()).unwrap();
        Self {
            _dir: dir,
            file,
            store,
            feed: Feed { channel: "pas".into(), organisation: "RAJ".into(), dialect, tell: crate::referrers::nobody() },
        }
    }

    /// What its sender is answered.
    pub(crate) async fn answer(&self, message: &[u8]) -> Vec<u8> {
        let prepared = prepare(&self.feed, message.to_vec(), true, None);
        let accepted = prepared.accepted().to_vec();
        match self.store.submit(prepared.message, prepared.work).await.unwrap() {
            Verdict::Accepted { .. } => accepted,
            Verdict::Refused { answer, .. } | Verdict::Duplicate { answer, .. } | Verdict::Repeated { answer } => {
                answer.body.unwrap_or_default()
            }
        }
    }

    pub(crate) async fn take(&self, message: &[u8]) -> (Vec<String>, String, Option<Decision>) {
        let prepared = prepare(&self.feed, message.to_vec(), true, None);
        let id = prepared.message.id;
        let accepted = prepared.accepted().to_vec();
        let verdict = self.store.submit(prepared.message, prepared.work).await.unwrap();
        let (answers, decision) = match verdict {
            Verdict::Accepted { decision, .. } => (accepted, Some(*decision)),
            Verdict::Refused { answer, .. } | Verdict::Duplicate { answer, .. } | Verdict::Repeated { answer } => {
                (answer.body.unwrap_or_default(), None)
            }
        };
        let codes = answers.split(|byte| *byte == 0x1C).filter(|answer| !answer.is_empty());
        let codes = codes.map(|answer| Received::read(answer).unwrap().code.unwrap().as_str().to_owned()).collect();
        let found = self.store.message_show(id).unwrap().unwrap().0.issues;
        let found: Vec<_> = found.iter().filter(|it| it.severity != "information").map(|it| it.code.clone()).collect();
        (codes, found.join(","), decision)
    }
}

#[tokio::test]
async fn every_message_ends_in_one_counted_state() {
    let Some(folder) = shared() else { return skipped() };
    let bench = Bench::new("types = [\"ADT\", \"SIU\", \"REF\", \"RRI\", \"MFN\"]");
    let mut sent = 0;
    for (file, bytes) in files(&folder) {
        for message in messages(&bytes) {
            let (codes, found, _) = bench.take(&message).await;
            let own = Header::read(&message);
            assert!(codes.len() < 3, "{file}");
            assert!(!found.contains("ONW-9"), "{file}: {found}");
            if own.event().starts_with("ACK") {
                assert!(codes.is_empty(), "{file}: an acknowledgement was acknowledged");
            }
            sent += 1;
        }
    }
    let counts: BTreeMap<String, u64> = bench.store.feed_counts().unwrap().into_iter().collect();
    println!("{sent} messages: {counts:?}");
    let reasons = bench.store.feed_list("quarantined", usize::MAX).unwrap().into_iter().fold(
        BTreeMap::<String, usize>::new(),
        |mut reasons, row| {
            *reasons.entry(row.code.unwrap()).or_default() += 1;
            reasons
        },
    );
    println!("quarantined: {reasons:?}");
    assert_eq!(counts.values().sum::<u64>(), sent);
    assert_eq!(bench.store.message_list(&Page { limit: usize::MAX, ..Page::default() }).unwrap().len() as u64, sent);
    assert!(200 < counts["applied"], "{counts:?}");
}

/// Where this gateway does something else than the table says, and why.
const DISAGREEMENTS: &[(&str, &str)] = &[
    (
        "big-3000-segments",
        "an ORU, which no channel takes unless it is configured: AR 200, as the table's own note has it",
    ),
    (
        "uk-bst-overlap-ambiguous-local-time",
        "held for a person, and acknowledged: never guessed unless overlap = \"first\"",
    ),
    ("batch-bts-count-mismatch", "the batch's one message is applied; the answer is a batch that says what is wrong"),
];

#[tokio::test]
async fn expected_outcomes_are_the_outcomes() {
    let Some(folder) = shared() else { return skipped() };
    let bench = Bench::new("dialect = \"itk\"\nnhs_number = [\"PID-2\"]\nnhs_status = [\"PID-32\", \"PID-2.2\"]");
    let table = fs::read_to_string(folder.join("expected/constructed.tsv")).unwrap();
    let (mut agreed, mut wrong) = (0, Vec::new());
    for line in table.lines().skip(1) {
        let row: Vec<&str> = line.split('\t').collect();
        let bytes = fs::read(folder.join(row[0])).unwrap();
        let Some(message) = messages(&bytes).into_iter().next() else {
            assert_eq!(row[1], "no-message", "{}", row[0]);
            agreed += 1;
            continue;
        };
        let (codes, found, decision) = bench.take(&message).await;
        let excused = DISAGREEMENTS.iter().any(|(name, _)| row[0].contains(name));
        let expected = expected_codes(&row, &message);
        let done = action_done(row[4], &message, decision.as_ref());
        match codes == expected && done {
            true => agreed += 1,
            false if excused => {}
            false => wrong.push(format!(
                "{}: expected {expected:?} and {}, got {codes:?}, {found}, {:?}",
                row[0],
                row[4],
                decision.as_ref().map(|it| (it.effect, it.appointment.as_ref().map(|it| it.status)))
            )),
        }
    }
    println!("{agreed} agree, {} disagree with a reason", DISAGREEMENTS.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn expected_codes(row: &[&str], message: &[u8]) -> Vec<String> {
    let header = Header::read(message);
    let asked = header.raw(15) == b"AL";
    match if asked { row[1] } else { row[2] } {
        "(is an ack)" | "none" | "no-message" => Vec::new(),
        "CA then AA" => vec!["CA".to_owned(), "AA".to_owned()],
        code => vec![code.to_owned()],
    }
}

/// Is what was done what the table says, as far as its first word goes?
fn action_done(action: &str, message: &[u8], decision: Option<&Decision>) -> bool {
    let verb = action.split([' ', ';', ',']).next().unwrap_or_default();
    let status = decision.and_then(|decision| decision.appointment.as_ref()).map(|it| it.status);
    let is_ack = Header::read(message).event().starts_with("ACK");
    match verb {
        "none" | "quarantine" => decision.is_none(),
        _ if is_ack => decision.is_some(),
        "booking.create" | "booking.update" | "booking.reinstate" => status == Some(AppointmentStatus::Booked),
        "booking.cancel" => status == Some(AppointmentStatus::Cancelled),
        "booking.noshow" => status == Some(AppointmentStatus::NoShow),
        "referral.create" | "referral.update" | "referral.revoke" | "response" => {
            decision.is_some_and(|decision| decision.referral.is_some())
        }
        "directory.upsert" => decision.is_some_and(|decision| !decision.changes.is_empty()),
        _ => decision.is_some(),
    }
}

#[test]
fn an_escaped_field_is_the_same_however_it_is_written() {
    let text = "MSH|^~\\&|A|B|||2026||ADT^A28|1|P|2.4|||||GBR|8859/1\rPID|1||1||Zo\\XEB\\ \\T\\ Co\r";
    let decoded = decode(text.as_bytes(), &Fallback::default()).unwrap();
    let message = Message::parse(decoded.text.as_bytes()).unwrap().with_encoding(decoded.encoding);
    let name = message.get("PID-5".parse().unwrap());
    assert_eq!(name.text().unwrap(), "Zoë & Co");
    let mut writer = Writer::new(*message.delimiters());
    writer.segment("PID").text(5, &name.text().unwrap());
    assert_eq!(writer.finish(), "PID|||||Zoë \\T\\ Co\r".as_bytes());
}

/// How an element of ours compares with the other converter's: the texts in it, without references and ids.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "reference" | "id" | "url" | "system" | "display" | "fullUrl"))
            .for_each(|(_, value)| texts(value, into)),
        Value::Array(list) => list.iter().for_each(|value| texts(value, into)),
        Value::String(text) => into.push(text.trim().to_owned()),
        Value::Null => {}
        other => into.push(other.to_string()),
    }
}

fn instants(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map_or_else(|_| text.to_owned(), |at| at.to_string())
}

fn element(resource: &Value, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    texts(&resource[name], &mut found);
    let mut found: Vec<String> = found.iter().map(|text| instants(text)).collect();
    found.sort();
    found
}

/// Elements that the mapping tables define, and the share of messages in which ours holds all that the other
/// converter's does. A difference has its reason beside it.
const ELEMENTS: &[(&str, &str, &str)] = &[
    ("Patient", "birthDate", ""),
    ("Patient", "gender", ""),
    ("Patient", "name", "it takes names of other segments (MRG-7) too"),
    (
        "Patient",
        "identifier",
        "it takes driving licences (PID-20) and insurance numbers (PID-18) too, and names kinds for fields",
    ),
    (
        "Patient",
        "address",
        "it divides the street (XAD-1), and takes the addressee (XAD-19) and a county without a code",
    ),
    ("Patient", "telecom", "it carries ranks and periods, and calls what has no number by its kind"),
    ("Patient", "multipleBirthInteger", ""),
    ("Patient", "deceasedDateTime", "an offset that the message does not have is the hospital's clock's here"),
    ("Patient", "maritalStatus", "it has other words for the codes"),
    ("Appointment", "status", "the event says cancelled or missed here, SCH-25 there"),
    ("Appointment", "start", "an offset that the message does not have is the hospital's clock's here"),
    ("Appointment", "end", "an offset that the message does not have is the hospital's clock's here"),
    ("Appointment", "minutesDuration", "its unit is not looked at there"),
    ("Appointment", "appointmentType", "it takes SCH-7; the mapping tables have SCH-8"),
    ("Appointment", "identifier", ""),
    ("Appointment", "comment", ""),
    ("ServiceRequest", "status", "pending is on hold there, and what is withdrawn should never have been"),
    ("ServiceRequest", "category", "it takes RF1-3, which is the specialty, and a code of its own"),
    ("ServiceRequest", "occurrencePeriod", "its start is RF1-7, which is authoredOn here"),
    ("ServiceRequest", "note", "it takes a field that version 2.4 does not have, and one of the notes"),
    ("ServiceRequest", "priority", ""),
    ("ServiceRequest", "authoredOn", ""),
    ("ServiceRequest", "identifier", "it names the kind as well"),
    ("ServiceRequest", "reasonCode", "it takes the words for the code"),
];

#[test]
fn conversion_agrees_with_another_converter_element_by_element() {
    let Some(folder) = shared() else { return skipped() };
    let dialect = Dialect::shipped("itk").unwrap();
    let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
    let mut tally: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    let mut bundles = 0;
    for row in index.lines().skip(1).map(|line| line.split('\t').collect::<Vec<_>>()) {
        if !row[16].ends_with(".json") {
            continue;
        }
        let message = fs::read(folder.join(row[0])).unwrap();
        let theirs: Value = serde_json::from_slice(&fs::read(folder.join(row[16])).unwrap()).unwrap();
        let ours = to_fhir(&message, &dialect, true).unwrap_or_else(|found| panic!("{}: {found:?}", row[0]));
        bundles += 1;
        for (kind, name, _) in ELEMENTS {
            let of = |bundle: &Value| -> Option<Value> {
                let entries = bundle["entry"].as_array()?.iter().map(|entry| &entry["resource"]);
                let mut entries = entries;
                entries.find(|it| it["resourceType"] == *kind).cloned()
            };
            let (Some(theirs), ours) = (of(&theirs), of(&ours)) else { continue };
            let wanted = element(&theirs, name);
            // Its ServiceRequests of admissions are orders, which are not referrals.
            if wanted.is_empty() || (*kind == "ServiceRequest" && !row[0].contains("REF")) {
                continue;
            }
            let held = ours.map(|ours| element(&ours, name)).unwrap_or_default();
            let count = tally.entry(((*kind).to_owned(), (*name).to_owned())).or_default();
            count.1 += 1;
            count.0 += usize::from(wanted.iter().all(|text| held.contains(text)));
        }
    }
    println!("{bundles} bundles");
    for ((kind, name), (agree, of)) in &tally {
        let (_, _, why) = ELEMENTS.iter().find(|(a, b, _)| a == kind && b == name).unwrap();
        println!("{kind}.{name}: {agree} of {of}{}", if agree < of { format!(" ({why})") } else { String::new() });
        assert!(agree == of || !why.is_empty(), "{kind}.{name}: {agree} of {of}, for no reason that is known");
    }
    assert!(40 <= bundles);
}
