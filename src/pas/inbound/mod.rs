//! What a hospital's system sends: one line for each event in [`EVENTS`], one file for each family of messages.
//!
//! A message is read into an [`Event`](crate::booking::feed::Event) of the booking model, with everything that was found
//! on the way and where. Nothing here decides; nothing is guessed. Field numbers are those of HL7 v2.4.

pub mod convert;
pub mod dialect;
pub mod fhir;
pub mod reading;
pub mod time;

mod admission;
mod master;
mod person;
mod referral;
mod schedule;

use jiff::{SignedDuration, Timestamp};

use crate::booking::feed::{Event, Version, Who, Wish};
use crate::booking::referral::Origin;
use crate::hl7v2::ack::Verdict;
use crate::hl7v2::charset::{CharsetError, decode};
use crate::hl7v2::header::Header;
use crate::hl7v2::message::{Message, ParseError};
use crate::hl7v2::path::Path;
use crate::issue::{
    Code, HL7_CHARSET, HL7_CHARSET_NOTE, HL7_CONTROL, HL7_EVENT_UNSUPPORTED, HL7_EVN_DIFFERS, HL7_FENCE,
    HL7_FIELD_MISSING, HL7_GROUPS, HL7_LIMIT, HL7_MIDNIGHT, HL7_NO_HEADER, HL7_SEGMENT_MISSING, HL7_SENDER,
    HL7_SEVERAL, HL7_STRAY_LINE, HL7_TIME_TWICE, HL7_TYPE_UNSUPPORTED, HL7_VALUE, Issue, Severity,
};
use dialect::Dialect;
use reading::{Found, Reading, simple};
use time::Written;

/// An event that is taken.
#[derive(Debug)]
pub struct Taken {
    /// MSH-9.1 and MSH-9.2: `ADT^A05`.
    pub event: &'static str,
    /// What it means here, in few words.
    pub summary: &'static str,
    /// Is it about a patient, whom PID names?
    about_a_patient: bool,
    /// Reads everything beside the patient; `None`: something is wrong that was noted.
    read: fn(&mut Reading<'_>) -> Option<Wish>,
}

const fn of(event: &'static str, summary: &'static str, read: fn(&mut Reading<'_>) -> Option<Wish>) -> Taken {
    Taken { event, summary, about_a_patient: true, read }
}

const fn of_nobody(event: &'static str, summary: &'static str, read: fn(&mut Reading<'_>) -> Option<Wish>) -> Taken {
    Taken { event, summary, about_a_patient: false, read }
}

/// Every event that is taken.
pub const EVENTS: &[Taken] = &[
    of("ADT^A01", "admitted: a booking with this visit number is arrived", admission::arrived),
    of("ADT^A02", "moved to another ward: the patient's details", admission::person),
    of("ADT^A03", "discharged: a booking with this visit number is fulfilled", admission::ended),
    of("ADT^A04", "registered: a booking with this visit number is arrived", admission::arrived),
    of("ADT^A05", "booked or planned; ZU3-3 says what became of it", admission::planned),
    of("ADT^A06", "outpatient becomes inpatient: the patient's details", admission::person),
    of("ADT^A07", "inpatient becomes outpatient: the patient's details", admission::person),
    of("ADT^A08", "changed: the patient's details; attended or not where ZU3-3 says so", admission::changed),
    of("ADT^A09", "leaves: the patient's details", admission::person),
    of("ADT^A10", "arrives: a booking with this visit number is arrived", admission::arrived),
    of("ADT^A11", "arrival undone: the booking is booked again", admission::arrival_undone),
    of("ADT^A12", "move undone: the patient's details", admission::person),
    of("ADT^A13", "discharge undone: the booking is arrived again", admission::end_undone),
    of("ADT^A14", "admission planned: a booking", admission::planned),
    of("ADT^A15", "move planned: the patient's details", admission::person),
    of("ADT^A16", "discharge planned: the patient's details", admission::person),
    of_nobody("ADT^A17", "two patients swap beds: kept", admission::nothing),
    of("ADT^A18", "two records become one", admission::merged),
    of_nobody("ADT^A20", "a bed's state: kept", admission::nothing),
    of("ADT^A21", "on leave: the patient's details", admission::person),
    of("ADT^A22", "back from leave: the patient's details", admission::person),
    of("ADT^A23", "a visit should never have been: nor its booking", admission::visit_deleted),
    of("ADT^A24", "two records are said to be one person's: remembered", admission::linked),
    of("ADT^A25", "planned discharge undone: the patient's details", admission::person),
    of("ADT^A26", "planned move undone: the patient's details", admission::person),
    of("ADT^A27", "planned admission cancelled: the booking is cancelled", admission::cancelled),
    of("ADT^A28", "a person is new: the patient's details", admission::person),
    of("ADT^A29", "a person's record is withdrawn", admission::withdrawn),
    of("ADT^A30", "two records become one", admission::merged),
    of("ADT^A31", "a person changed: the patient's details", admission::person),
    of("ADT^A32", "arrival undone while tracking: the patient's details", admission::person),
    of("ADT^A33", "departure undone while tracking: the patient's details", admission::person),
    of("ADT^A34", "two records become one", admission::merged),
    of("ADT^A35", "two visits become one, and so do their bookings", admission::visit_merged),
    of("ADT^A36", "two records and their visits become one", admission::merged),
    of("ADT^A37", "two records are no longer said to be one person's", admission::unlinked),
    of("ADT^A38", "a booking or planned admission is cancelled", admission::cancelled),
    of("ADT^A39", "two records become one", admission::merged),
    of("ADT^A40", "two records become one", admission::merged),
    of("ADT^A41", "two accounts become one: the patient's details", admission::person),
    of("ADT^A42", "two visits become one, and so do their bookings", admission::visit_merged),
    of("ADT^A43", "a record's number moves: the patient's details", admission::person),
    of("ADT^A44", "a visit and its booking are another patient's", admission::visit_moved),
    of("ADT^A45", "a visit and its booking are another patient's", admission::visit_moved),
    of("ADT^A46", "a person's number changed", admission::renumbered),
    of("ADT^A47", "a person's numbers changed", admission::renumbered),
    of("ADT^A48", "another number changed: the patient's details", admission::person),
    of("ADT^A49", "an account's number changed: the patient's details", admission::person),
    of("ADT^A50", "a visit's number changed: the patient's details", admission::person),
    of("ADT^A51", "a visit's other number changed: the patient's details", admission::person),
    of("ADT^A52", "leave undone: the patient's details", admission::person),
    of("ADT^A53", "return undone: the patient's details", admission::person),
    of("ADT^A54", "another doctor: the patient's details", admission::person),
    of("ADT^A55", "doctor's change undone: the patient's details", admission::person),
    of("ADT^A60", "allergies: the patient's details", admission::person),
    of("ADT^A61", "another consultant: the patient's details", admission::person),
    of("ADT^A62", "consultant's change undone: the patient's details", admission::person),
    of("SIU^S12", "booked", schedule::booked),
    of("SIU^S13", "moved to another time", schedule::booked),
    of("SIU^S14", "changed", schedule::booked),
    of("SIU^S15", "cancelled", schedule::cancelled),
    of("SIU^S16", "discontinued: cancelled", schedule::cancelled),
    of("SIU^S17", "should never have been", schedule::deleted),
    of("SIU^S18", "a resource is added: changed", schedule::booked),
    of("SIU^S19", "a resource is changed: changed", schedule::booked),
    of("SIU^S20", "a resource is cancelled: changed", schedule::booked),
    of("SIU^S21", "a resource is discontinued: changed", schedule::booked),
    of("SIU^S22", "a resource is deleted: changed", schedule::booked),
    of_nobody("SIU^S23", "slots are blocked: kept", admission::nothing),
    of_nobody("SIU^S24", "slots are on offer again: kept", admission::nothing),
    of("SIU^S26", "the patient did not come", schedule::missed),
    of("SIU^S27", "told to everybody: changed", schedule::booked),
    of("SIU^Z02", "the patient was seen", schedule::left),
    of("REF^I12", "a referral", referral::placed),
    of("REF^I13", "a referral changed", referral::amended),
    of("REF^I14", "a referral is withdrawn", referral::withdrawn),
    of_nobody("REF^I15", "asks where a referral stands: kept", referral::asked),
    of("RRI^I12", "the answer to a referral", referral::answered),
    of("RRI^I13", "the answer to a change", referral::answered),
    of("RRI^I14", "the answer to a withdrawal", referral::answered),
    of("RRI^I15", "where a referral stands", referral::answered),
    of_nobody("MFN^M05", "clinics: Locations of the directory", master::clinics),
    of_nobody("ACK", "an acknowledgement that nobody waits for: kept, and never acknowledged", admission::nothing),
];

/// What a message turned out to say.
#[derive(Debug)]
pub struct Outcome {
    /// `ADT^A05`; empty where it cannot be read.
    pub kind: String,
    /// What is to be decided; `None`: it cannot be applied.
    pub event: Option<Event>,
    /// What was found.
    pub found: Vec<Found>,
    /// What its sender is to be told, should nothing later be in the way.
    pub verdict: Verdict,
    /// Is there to be no answer at all? Acknowledgements are not acknowledged.
    pub silent: bool,
}

impl Outcome {
    fn refused(header: &Header<'_>, code: &'static Code, path: Option<Path>) -> Self {
        let at = path.map(|path| path.to_string()).unwrap_or_default();
        let found = vec![Found { issue: Issue::new(code, at), path }];
        Self { kind: header.event(), event: None, verdict: verdict(&found), found, silent: false }
    }
}

/// Who sends, and in what environment.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// A sandbox holds test data only; production none.
    pub sandbox: bool,
    /// Taken where the message has no time of its own.
    pub now: Timestamp,
}

/// Reads a message: what it says, or why it cannot be applied.
pub fn read(bytes: &[u8], dialect: &Dialect, around: Surroundings) -> Outcome {
    let header = Header::read(bytes);
    let refused = |code, path| Outcome::refused(&header, code, path);
    let decoded = match decode(bytes, &dialect.fallback()) {
        Ok(decoded) => decoded,
        Err(CharsetError::Undecodable | CharsetError::Unframeable) => {
            return refused(&HL7_CHARSET, Some(Path::of("MSH-18")));
        }
    };
    let message = match Message::parse(decoded.text.as_bytes()) {
        Ok(message) => message.with_encoding(decoded.encoding),
        Err(ParseError::Empty | ParseError::NoHeader) => return refused(&HL7_NO_HEADER, None),
        Err(ParseError::Delimiters) => return refused(&HL7_NO_HEADER, Some(Path::of("MSH-2"))),
        Err(error) => return refused(&HL7_LIMIT, error.place(decoded.text.as_bytes())),
    };
    let mut reading = Reading::new(&message, dialect, around.sandbox);
    if decoded.note.is_some() {
        reading.note(&HL7_CHARSET_NOTE, Path::of("MSH-18"));
    }
    let event = understood(&mut reading, around.now);
    let verdict = verdict(&reading.found);
    let kind = header.event();
    let silent = kind == "ACK" || kind.starts_with("ACK^");
    Outcome { kind, event, found: reading.found, verdict, silent }
}

/// What the sender of a message in which this was found is to be told. A time that is there twice, or that may be none, is
/// for a person here to ask about: the message is safely kept.
fn verdict(found: &[Found]) -> Verdict {
    let mut verdict = Verdict::Accepted;
    for found in found.iter().filter(|found| found.issue.severity == Severity::Error) {
        match *found.issue.code {
            ref code if [&HL7_TIME_TWICE, &HL7_MIDNIGHT].contains(&code) => {}
            _ if (200..=203).contains(&table_0357(found)) || is_header(found) => return Verdict::Rejected,
            _ => verdict = Verdict::Error,
        }
    }
    verdict
}

fn is_header(found: &Found) -> bool {
    let header = found.path.is_some_and(|path| matches!((&path.segment, path.field), (b"MSH", 9 | 10)));
    let missing = *found.issue.code == HL7_FIELD_MISSING && header;
    missing || [&HL7_NO_HEADER, &HL7_SEVERAL, &HL7_SENDER].contains(&found.issue.code)
}

/// The error code (table 0357) of what was found.
pub fn table_0357(found: &Found) -> u16 {
    let codes: [(&Code, u16); 8] = [
        (&HL7_NO_HEADER, 100),
        (&HL7_SEVERAL, 100),
        (&HL7_SEGMENT_MISSING, 100),
        (&HL7_FIELD_MISSING, 101),
        (&HL7_TYPE_UNSUPPORTED, 200),
        (&HL7_EVENT_UNSUPPORTED, 201),
        (&HL7_FENCE, 202),
        (&HL7_SENDER, 207),
    ];
    codes.iter().find(|(code, _)| *code == found.issue.code).map_or(102, |(_, number)| *number)
}

/// Envelope first, then the event, then the patient.
fn understood(reading: &mut Reading<'_>, now: Timestamp) -> Option<Event> {
    let taken = envelope(reading)?;
    control_characters(reading);
    stray_lines(reading);
    if reading.has_errors() {
        return None;
    }
    let kind = reading.text(Path::of("MSH-9.1"))?;
    let name = taken.event;
    if kind == "ADT" {
        compare_evn(reading, name);
    }
    let wish = if reading.dialect.ignored.iter().any(|ignored| ignored == name) {
        Some(Wish::Nothing)
    } else {
        (taken.read)(reading)
    };
    wish.iter().for_each(|wish| one_group(reading, wish));
    let nobody = !taken.about_a_patient || matches!(wish, Some(Wish::Nothing));
    let mut who = if nobody { None } else { person::who(reading) };
    if let (Some(who), Some(Wish::Merge(retired))) = (&mut who, &wish) {
        person::without(who, retired);
    }
    let mut wish = wish.filter(|_| !reading.has_errors() && (nobody || who.is_some()))?;
    carry(reading, &mut wish, who.as_ref());
    let version = version(reading, now);
    Some(Event { source: source(reading), version, origin: origin(reading), who, wish })
}

/// Some structures repeat the patient with what is said of each. What is said of a second one would be lost without
/// anybody knowing, unless it is the same one's again.
fn one_group(reading: &mut Reading<'_>, wish: &Wish) {
    let patients = reading.named(b"PID").len();
    let moves = reading.named(b"MRG").len();
    let is_fine = match wish {
        Wish::Nothing | Wish::Directory(_) => true,
        Wish::Link { .. } => patients <= 2,
        Wish::Merge(_) => patients <= 1 || admission::is_one_patient(reading),
        _ => patients <= 1 && moves <= 1,
    };
    if !is_fine {
        let first = if patients > 1 { Path::of("PID-1") } else { Path::of("MRG-1") };
        reading.note(&HL7_GROUPS, Path { occurrence: 2, ..first });
    }
}

/// The resource that readers of FHIR are given.
fn carry(reading: &mut Reading<'_>, wish: &mut Wish, who: Option<&Who>) {
    let Some(candidate) = who.map(|who| who.subject.candidate) else { return };
    match wish {
        Wish::Booking(said) if said.time.is_some() => said.carried = fhir::appointment_of(reading, said, candidate),
        Wish::Referral(said) if said.content.is_some() => {
            said.carried = Some(fhir::service_request_of(reading, said, candidate));
        }
        _ => {}
    }
}

/// Is it a message that this channel takes at all? Everything that is wrong is noted, the first thing first.
fn envelope(reading: &mut Reading<'_>) -> Option<&'static Taken> {
    if reading.named(b"MSH").len() > 1 {
        let path = Path { occurrence: 2, ..Path::of("MSH-1") };
        reading.note(&HL7_SEVERAL, path);
        return None;
    }
    let kind = reading.text(Path::of("MSH-9.1"));
    let Some(kind) = kind else {
        reading.missing(Path::of("MSH-9"));
        return None;
    };
    if reading.message.get(Path::of("MSH-10")).is_absent() {
        reading.missing(Path::of("MSH-10"));
        return None;
    }
    if kind != "ACK" && !reading.dialect.types.contains(&kind) {
        reading.note(&HL7_TYPE_UNSUPPORTED, Path::of("MSH-9.1"));
        return None;
    }
    let sender = [Path::of("MSH-3.1"), Path::of("MSH-4.1")].map(|path| reading.text(path).unwrap_or_default());
    if !reading.dialect.knows_sender(&sender[0], &sender[1]) {
        reading.note(&HL7_SENDER, Path::of("MSH-3"));
        return None;
    }
    if !may_be_processed(reading) {
        reading.note(&HL7_FENCE, Path::of("MSH-11"));
        return None;
    }
    let found = event_name(reading, &kind).and_then(|name| EVENTS.iter().find(|it| it.event == name));
    if found.is_none() {
        reading.note(&HL7_EVENT_UNSUPPORTED, Path::of("MSH-9.2"));
    }
    found
}

/// MSH-9.2, or where it is missing EVN-1, or else the structure (MSH-9.3) where it can mean one event only.
fn event_name(reading: &Reading<'_>, kind: &str) -> Option<String> {
    if kind == "ACK" {
        return Some(kind.to_owned());
    }
    let event = reading.text(Path::of("MSH-9.2"));
    let event = event.or_else(|| reading.text(Path::of("EVN-1")).filter(|_| kind == "ADT"))?;
    Some(format!("{kind}^{event}"))
}

fn may_be_processed(reading: &Reading<'_>) -> bool {
    let said = reading.text(Path::of("MSH-11.1")).unwrap_or_default();
    match reading.dialect.processing_ids.as_slice() {
        [] => reading.sandbox || said == "P",
        taken => taken.contains(&said),
    }
}

fn compare_evn(reading: &mut Reading<'_>, name: &str) {
    let said = reading.text(Path::of("EVN-1"));
    if said.is_some_and(|said| name.strip_prefix("ADT^") != Some(said.as_str())) {
        reading.note(&HL7_EVN_DIFFERS, Path::of("EVN-1"));
    }
}

/// NUL is never text. Other control characters are left out where text is read.
fn control_characters(reading: &mut Reading<'_>) {
    for segment in reading.message.segments() {
        let Some(at) = memchr::memchr(0, segment.raw()) else { continue };
        let separator = reading.message.delimiters().field;
        let field = memchr::memchr_iter(separator, &segment.raw()[..at]).count();
        let name: [u8; 3] = segment.name().try_into().unwrap_or(*b"MSH");
        let field = u16::try_from(field.max(1)).unwrap_or(u16::MAX);
        return reading.note(&HL7_CONTROL, Path { segment: name, field, ..Path::of("MSH-1") });
    }
}

/// A line break that somebody forgot to escape leaves a line that is no segment.
fn stray_lines(reading: &mut Reading<'_>) {
    let is_name = |name: &[u8]| {
        name.len() == 3
            && name[0].is_ascii_uppercase()
            && name[1..].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if reading.message.segments().any(|segment| !is_name(segment.name())) {
        reading.note(&HL7_STRAY_LINE, Path::of("MSH-1"));
    }
}

/// A clock that is further ahead than this is wrong: what it dates would go before all that comes until then.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The time of the event, by the first field that says one; MSH-13 tells events of one second apart. A field that says
/// something else is told of: order hangs on it.
fn version(reading: &mut Reading<'_>, now: Timestamp) -> Version {
    let mut at: Option<(Timestamp, Written)> = None;
    for place in &reading.dialect.event_time {
        let said = reading.said_time(place.0).filter(|(at, _)| *at <= now + AHEAD_MAX);
        // A day tells nothing of the order within it: a later place that tells the hour of that day is more exact.
        match (&at, said) {
            (Some((_, day)), Some((exact, hour))) if hour.date == day.date => at = Some((exact, hour)),
            (None, said) => at = said,
            _ => {}
        }
        if at.is_some_and(|(_, said)| said.time.is_some()) {
            break;
        }
        if at.is_none() && reading.text(simple(place.0)).is_some() {
            reading.tolerate(&HL7_VALUE, place.0);
        }
    }
    let sequence = reading.text(Path::of("MSH-13")).and_then(|text| text.parse().ok());
    Version { at: at.map_or(now, |(at, _)| at), sequence: sequence.unwrap_or(0) }
}

/// Versions are compared within one facility.
fn source(reading: &Reading<'_>) -> String {
    reading.facility()
}

/// The conversation is the sender: a control id is unique within it.
fn origin(reading: &Reading<'_>) -> Origin {
    let application = reading.text(Path::of("MSH-3.1")).unwrap_or_default();
    Origin {
        correlation: format!("{application}|{}", reading.facility()),
        bundle: reading.text(Path::of("MSH-10")).unwrap_or_default(),
        reply_to: String::new(),
        last_updated: None,
    }
}

/// The table of [`EVENTS`] as Markdown, for the documentation and the command line.
pub fn support_table() -> String {
    let rows = EVENTS.iter().map(|taken| format!("| `{}` | {} |\n", taken.event, taken.summary));
    format!("| Message | What it does |\n|---|---|\n{}", rows.collect::<String>())
}
