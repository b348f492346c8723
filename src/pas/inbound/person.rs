//! PID, PD1, MRG and ZU8: who it is about, and what is said about them.

use uuid::Uuid;

use super::reading::{Reading, Said, simple};
use crate::booking::command::Subject;
use crate::booking::feed::{Group, Who};
use crate::booking::identifier::{Identifier, OdsCode, PatientId};
use crate::booking::nhs_number::{NhsNumber, Range};
use crate::booking::patient::{Address, Demographics, Gender, HumanName, Telecom};
use crate::hl7v2::message::Segment;
use crate::hl7v2::path::Path;
use crate::issue::{
    HL7_FIELD_MISSING, HL7_NUMBERS_CONFLICT, HL7_PLACEHOLDER, HL7_SEGMENT_MISSING, NHS_NUMBER_FENCE, NHS_NUMBER_INVALID,
};

/// System of NHS numbers.
pub(super) const NHS: &str = NhsNumber::SYSTEM;
/// CX-5 of numbers that are not the patient's at a hospital.
const NOT_LOCAL: &[&str] = &["AN", "VN", "SS", "DL", "PPN", "XX", "SB", "MC", "MA", "NHOLD", "BC", "CC", "ACSN"];

/// The numbers of a PID or MRG field.
#[derive(Default)]
struct Numbers {
    nhs: Vec<(NhsNumber, Path)>,
    local: Vec<Identifier>,
    all: Vec<Identifier>,
}

/// The patient of a message. `None`: something is wrong that was noted.
pub(super) fn who(reading: &mut Reading<'_>) -> Option<Who> {
    who_in(reading, 1)
}

/// The patient of one of several PID segments.
pub(super) fn who_in(reading: &mut Reading<'_>, occurrence: u16) -> Option<Who> {
    let pid = reading.named(b"PID").into_iter().nth(usize::from(occurrence) - 1);
    let Some(pid) = pid else {
        reading.note(&HL7_SEGMENT_MISSING, Path { occurrence, ..Path::of("PID-1") });
        return None;
    };
    let at = |field: u16| Path { occurrence, field, ..Path::of("PID-1") };
    let mut numbers = Numbers::default();
    collect(reading, &pid, at(3), &mut numbers);
    for place in reading.dialect.nhs_number.clone().iter().filter(|_| occurrence == 1) {
        elsewhere(reading, place.0, &mut numbers);
    }
    if numbers.all.is_empty() {
        reading.note(&HL7_FIELD_MISSING, at(3));
        return None;
    }
    let status = if occurrence == 1 { number_status(reading) } else { None };
    let nhs_number = proven(reading, &numbers, status.as_deref());
    let mut cleared = Vec::new();
    let demographics = demographics(reading, &pid, &at, numbers.all, status, &mut cleared);
    let subject = Subject { candidate: PatientId(Uuid::now_v7()), nhs_number, demographics };
    Some(Who { subject, numbers: numbers.local, cleared })
}

/// Many senders repeat the numbers that a merge retires among the survivor's. They say which record ends, so they must not
/// say also which one is left.
pub(super) fn without(who: &mut Who, retired: &[Identifier]) {
    who.numbers.retain(|number| !retired.contains(number));
    who.subject.demographics.identifiers.retain(|number| !retired.contains(number));
}

/// The local numbers of a field that names another record: MRG-1.
pub(super) fn other_numbers(reading: &mut Reading<'_>, segment: &Segment<'_, '_>, path: Path) -> Vec<Identifier> {
    let mut found = Vec::new();
    let count = segment.field(path.field).repetitions();
    for repetition in 1..=count {
        let text = |component| reading_text(reading, segment, path.field, repetition, component);
        let Some(value) = text(1) else { continue };
        let authority = reading.authority(segment, path.field, repetition).unwrap_or_default();
        let kind = text(5).unwrap_or_default();
        if is_nhs(reading, &authority, &kind) || NOT_LOCAL.contains(&kind.as_str()) {
            continue;
        }
        let system = reading.system(&authority, Path { repetition, ..path });
        found.push(Identifier { system, value });
    }
    found
}

fn reading_text(
    reading: &Reading<'_>,
    segment: &Segment<'_, '_>,
    field: u16,
    repetition: u16,
    component: u16,
) -> Option<String> {
    reading.repeated(segment, field, repetition, component).filter(|text| !reading.is_placeholder(text))
}

pub(super) fn is_nhs(reading: &Reading<'_>, authority: &str, kind: &str) -> bool {
    const OID: &str = "2.16.840.1.113883.2.1.4.1";
    if kind == "NHOLD" {
        return false;
    }
    authority == "NHS" || authority == OID || reading.dialect.nhs_types.iter().any(|it| it == kind)
}

fn collect(reading: &mut Reading<'_>, pid: &Segment<'_, '_>, path: Path, numbers: &mut Numbers) {
    for repetition in 1..=pid.field(path.field).repetitions() {
        let text = |component| reading_text(reading, pid, path.field, repetition, component);
        let Some(value) = text(1) else { continue };
        let authority = reading.authority(pid, path.field, repetition).unwrap_or_default();
        let kind = text(5).unwrap_or_default();
        let at = Path { repetition, component: 1, ..path };
        if is_nhs(reading, &authority, &kind) {
            add_nhs(reading, &value, at, numbers);
        } else if kind == "NHOLD" {
            numbers.all.push(Identifier { system: format!("{NHS}#old"), value });
        } else {
            let system = reading.system(&authority, Path { repetition, ..path });
            let number = Identifier { system, value };
            if !NOT_LOCAL.contains(&kind.as_str()) {
                numbers.local.push(number.clone());
            }
            numbers.all.push(number);
        }
    }
    numbers.local.dedup();
}

/// A number of another field is the NHS number there, whatever it says beside it.
fn elsewhere(reading: &mut Reading<'_>, place: Path, numbers: &mut Numbers) {
    if let Some(value) = reading.text(simple(place)) {
        add_nhs(reading, &value, simple(place), numbers);
    }
}

fn add_nhs(reading: &mut Reading<'_>, value: &str, at: Path, numbers: &mut Numbers) {
    match NhsNumber::parse(value) {
        Ok(number) => {
            if numbers.nhs.iter().all(|(known, _)| *known != number) {
                numbers.all.push(Identifier { system: NHS.to_owned(), value: number.as_str().to_owned() });
            }
            numbers.nhs.push((number, at));
        }
        Err(_) => {
            numbers.all.push(Identifier { system: NHS.to_owned(), value: value.to_owned() });
            reading.tolerate(&NHS_NUMBER_INVALID, at);
        }
    }
}

/// NHS NUMBER STATUS INDICATOR CODE: `NSTS01` or `01`, in whichever repetition it stands. Beside a number in PID-3 it is
/// that number's: beside another one than the NHS number it is a check digit.
fn number_status(reading: &Reading<'_>) -> Option<String> {
    for place in &reading.dialect.nhs_status {
        let Some(segment) = reading.message.named(place.0.segment).next() else { continue };
        for repetition in 1..=segment.field(place.0.field).repetitions() {
            let path = Path { repetition, ..simple(place.0) };
            if place.0.segment == *b"PID" && place.0.field == 3 {
                let kind = reading.repeated(&segment, 3, repetition, 5).unwrap_or_default();
                let authority = reading.authority(&segment, 3, repetition).unwrap_or_default();
                if !is_nhs(reading, &authority, &kind) {
                    continue;
                }
            }
            let code = reading.text(path).unwrap_or_default();
            let code = code.strip_prefix("NSTS").unwrap_or(&code);
            if code.len() == 2 && code.starts_with('0') && code.ends_with(|c: char| ('1'..='8').contains(&c)) {
                return Some(code.to_owned());
            }
        }
    }
    None
}

/// The number that proves who it is: verified, the only one, and of this environment's range.
fn proven(reading: &mut Reading<'_>, numbers: &Numbers, status: Option<&str>) -> Option<NhsNumber> {
    let (first, at) = *numbers.nhs.first()?;
    if let Some((_, other)) = numbers.nhs.iter().find(|(number, _)| *number != first) {
        reading.note(&HL7_NUMBERS_CONFLICT, *other);
        return None;
    }
    match (first.range(), reading.sandbox) {
        (Range::Live, true) | (Range::Test, false) => {
            reading.tolerate(&NHS_NUMBER_FENCE, at);
            None
        }
        (Range::NotIssued, false) => {
            reading.tolerate(&NHS_NUMBER_INVALID, at);
            None
        }
        _ => (status == Some("01")).then_some(first),
    }
}

fn demographics(
    reading: &mut Reading<'_>,
    pid: &Segment<'_, '_>,
    at: &impl Fn(u16) -> Path,
    identifiers: Vec<Identifier>,
    nhs_number_status: Option<String>,
    cleared: &mut Vec<Group>,
) -> Demographics {
    let deletes = [(5, Group::Names), (7, Group::BirthDate), (8, Group::Gender), (11, Group::Addresses)];
    for (field, group) in deletes.into_iter().chain([(13, Group::Telecoms), (29, Group::Death)]) {
        if reading.said(at(field)) == Said::Delete {
            cleared.push(group);
        }
    }
    Demographics {
        identifiers,
        nhs_number_status,
        names: names(reading, pid),
        birth_date: birth_date(reading, at(7)),
        gender: reading.part(pid, 8, 1).and_then(|code| gender(&code)),
        addresses: addresses(reading, pid),
        telecoms: telecoms(reading, pid),
        practice: practice(reading),
        deceased: deceased(reading, pid, at(29)),
        restricted: restricted(reading),
        unidentified: reading.part(pid, 31, 1).as_deref() == Some("Y"),
    }
}

/// A date that stands for "not known" is none.
fn birth_date(reading: &mut Reading<'_>, path: Path) -> Option<String> {
    let date = reading.date(path)?;
    let segment = reading.named(b"PID").into_iter().next()?;
    let codes = 1..=segment.field(32).repetitions();
    let unknown = codes.into_iter().any(|at| reading.repeated(&segment, 32, at, 1).as_deref() == Some("UD"));
    if unknown && matches!(date.as_str(), "1900-01-01" | "1800-01-01") {
        reading.note(&HL7_PLACEHOLDER, path);
        return None;
    }
    Some(date)
}

/// PERSON GENDER CODE of the NHS Data Dictionary, or the letters of HL7.
pub(super) fn gender(code: &str) -> Option<Gender> {
    match code {
        "1" | "M" | "m" => Some(Gender::Male),
        "2" | "F" | "f" => Some(Gender::Female),
        "9" | "O" | "A" => Some(Gender::Other),
        "0" | "U" | "N" | "X" => Some(Gender::Unknown),
        _ => None,
    }
}

/// PID-5 (XPN, table 0200).
fn names(reading: &Reading<'_>, pid: &Segment<'_, '_>) -> Vec<HumanName> {
    let read = |repetition| {
        let part = |component| reading_text(reading, pid, 5, repetition, component);
        let further = part(3).unwrap_or_default();
        let given = part(2).into_iter().chain(further.split(' ').map(str::to_owned));
        let name = HumanName {
            usage: part(7).and_then(|kind| name_use(&kind)).map(str::to_owned),
            family: part(1),
            given: given.filter(|it| !it.is_empty() && it != "\"\"").collect(),
            prefix: part(5).into_iter().filter(|it| it != "\"\"").collect(),
            suffix: part(4).into_iter().filter(|it| it != "\"\"").collect(),
            text: None,
        };
        (name.family.is_some() || !name.given.is_empty()).then_some(name)
    };
    (1..=pid.field(5).repetitions()).filter_map(read).collect()
}

pub(super) fn name_use(kind: &str) -> Option<&'static str> {
    Some(match kind.to_ascii_uppercase().as_str() {
        "L" | "C" | "CURRENT" => "official",
        "D" => "usual",
        "PREFERRED" | "N" => "nickname",
        "PREVIOUS-MAIDEN" | "M" => "maiden",
        "PREVIOUS-BIRTH" | "PREVIOUS-BACHELOR" | "PREVIOUS" | "B" | "U" | "BAD" => "old",
        "T" | "TN" => "temp",
        "S" => "anonymous",
        _ => return None,
    })
}

/// PID-11 (XAD, table 0190).
fn addresses(reading: &Reading<'_>, pid: &Segment<'_, '_>) -> Vec<Address> {
    let read = |repetition| {
        let part = |component| reading_text(reading, pid, 11, repetition, component).filter(|it| it != "\"\"");
        let address = Address {
            usage: part(7).and_then(|kind| address_use(&kind)).map(str::to_owned),
            lines: street(reading, pid, 11, repetition)
                .into_iter()
                .chain([2, 8].into_iter().filter_map(part))
                .collect(),
            city: part(3),
            district: part(4),
            postal_code: part(5),
            country: part(6),
            text: None,
        };
        (address != Address { usage: address.usage.clone(), ..Address::default() }).then_some(address)
    };
    (1..=pid.field(11).repetitions()).filter_map(read).collect()
}

/// XAD-1: a line, or a number, a street and a house (SAD).
pub(super) fn street(reading: &Reading<'_>, segment: &Segment<'_, '_>, field: u16, repetition: u16) -> Option<String> {
    let parts = (1..=3).filter_map(|part| reading.clean(segment.field(field).get(repetition, 1, part)).text());
    let street = parts.collect::<Vec<_>>().join(" ");
    Some(street).filter(|street| !street.is_empty() && !reading.is_placeholder(street))
}

pub(super) fn address_use(kind: &str) -> Option<&'static str> {
    Some(match kind.to_ascii_uppercase().as_str() {
        "H" | "HOME" | "P" => "home",
        "TMP" | "C" => "temp",
        "B" | "O" => "work",
        "BA" => "old",
        "BI" => "billing",
        _ => return None,
    })
}

/// PID-13, 14 and 40 (XTN, table 0201, and what senders write instead).
fn telecoms(reading: &Reading<'_>, pid: &Segment<'_, '_>) -> Vec<Telecom> {
    let mut found = Vec::new();
    for (field, place) in [(13, "home"), (14, "work"), (40, "home")] {
        for repetition in 1..=pid.field(field).repetitions() {
            let part = |component| reading_text(reading, pid, field, repetition, component).filter(|it| it != "\"\"");
            if let Some(telecom) = telecom(part, place) {
                found.push(telecom);
            }
        }
    }
    found
}

pub(super) fn telecom(part: impl Fn(u16) -> Option<String>, place: &str) -> Option<Telecom> {
    let upper = |component| part(component).unwrap_or_default().to_ascii_uppercase();
    let (usage, equipment, fourth) = (upper(2), upper(3), upper(4));
    let joined: String = [5, 6, 7].into_iter().filter_map(&part).collect();
    let number = part(1).or_else(|| part(12)).or_else(|| Some(joined).filter(|it| !it.is_empty()));
    let mail = part(4).filter(|it| it.contains('@')).or_else(|| number.clone().filter(|it| it.contains('@')));
    if let Some(mail) = mail {
        return Some(entry("email", mail, place));
    }
    let value = number?;
    let mobile = equipment == "CP" || matches!(usage.as_str(), "PRS" | "MC" | "MOBILE") || fourth == "MOBILE";
    let system = match (equipment.as_str(), usage.as_str()) {
        ("FX", _) => "fax",
        ("BP", _) | (_, "BPN") => "pager",
        _ => "phone",
    };
    let usage = match usage.as_str() {
        _ if mobile => "mobile",
        "WPN" | "WP" | "BUSINESS" => "work",
        "VHN" => "temp",
        "PRN" | "H" | "HP" | "HOME" | "ORN" => "home",
        _ => place,
    };
    Some(entry(system, value, usage))
}

fn entry(system: &str, value: String, usage: &str) -> Telecom {
    Telecom { system: Some(system.to_owned()), value: Some(value), usage: Some(usage.to_owned()) }
}

/// PD1-3: the practice's ODS code stands behind its name, or before it where a sender swaps them.
fn practice(reading: &Reading<'_>) -> Option<OdsCode> {
    let pd1 = reading.named(b"PD1").into_iter().next()?;
    let codes = [3, 1, 10].into_iter().filter_map(|component| reading.part(&pd1, 3, component));
    let code =
        |text: String| OdsCode::parse(&text).ok().filter(|code| code.as_str().bytes().any(|b| b.is_ascii_digit()));
    codes.into_iter().find_map(code).filter(|code| !matches!(code.as_str(), "V81997" | "V81998" | "V81999"))
}

/// PID-29 goes before PID-30, which some senders leave at "no".
fn deceased(reading: &mut Reading<'_>, pid: &Segment<'_, '_>, path: Path) -> Option<String> {
    let date = reading.date(path);
    let known = reading.part(pid, 30, 1).is_some_and(|flag| matches!(flag.as_str(), "Y" | "y" | "true"));
    date.or_else(|| known.then(|| "true".to_owned()))
}

/// ZU8-4: 1 hides, 2 hides where the record is flagged as sensitive.
fn restricted(reading: &Reading<'_>) -> bool {
    let flagged = || matches!(reading.text(Path::of("PV1-16.1")).as_deref(), Some("S" | "Y"));
    match reading.first(&reading.dialect.restricted).as_deref() {
        Some("1") => true,
        Some("2") => flagged(),
        _ => false,
    }
}
