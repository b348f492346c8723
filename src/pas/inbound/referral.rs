//! REF and RRI: referrals that the hospital tells of, and what it answers.

use uuid::Uuid;

use super::reading::{Reading, simple};
use super::schedule::{UBRN, referral_numbers, service};
use super::time::Written;
use crate::booking::feed::{SaidReferral, Wish};
use crate::booking::identifier::{Coding, Identifier, OdsCode, PatientId, ReferralId, ServiceId, Ubrn};
use crate::booking::pathway::Pathway;
use crate::booking::referral::{Category, Origin, Party, Priority, Referral, ReferralStatus, ResponseKind};
use crate::hl7v2::path::Path;
use crate::issue::HL7_SEGMENT_MISSING;

/// The numbers of a referral, and this gateway's own id of it.
type Numbers = (Vec<Identifier>, Option<ReferralId>);

/// I12: RF1-1 says where it stands.
pub(super) fn placed(reading: &mut Reading<'_>) -> Option<Wish> {
    let status = status(reading).unwrap_or(ReferralStatus::Active);
    let mut numbers = keys(reading)?;
    if numbers.0.is_empty() {
        // A new one may have no number of its own.
        let system = format!("{}#message", reading.system("", Path::of("MSH-10")));
        numbers.0.push(Identifier { system, value: reading.text(Path::of("MSH-10")).unwrap_or_default() });
    }
    Some(content(reading, Some(status), numbers))
}

/// I13.
pub(super) fn amended(reading: &mut Reading<'_>) -> Option<Wish> {
    let status = status(reading);
    let numbers = known(reading)?;
    Some(content(reading, status, numbers))
}

/// I14.
pub(super) fn withdrawn(reading: &mut Reading<'_>) -> Option<Wish> {
    let numbers = known(reading)?;
    Some(content(reading, Some(ReferralStatus::Revoked), numbers))
}

/// I15 asks only.
pub(super) fn asked(_: &mut Reading<'_>) -> Option<Wish> {
    Some(Wish::Nothing)
}

/// RRI: accepted, refused, or not yet. To a withdrawal there is no such answer: what is accepted is that there is no
/// referral any more.
pub(super) fn answered(reading: &mut Reading<'_>) -> Option<Wish> {
    let (keys, own) = known(reading)?;
    let withdrawn = reading.text(Path::of("MSH-9.2")).as_deref() == Some("I14");
    let response = match reading.text(Path::of("RF1-1.1")).as_deref() {
        Some("A") if !withdrawn => Some(ResponseKind::Planned),
        Some("R") if !withdrawn => Some(ResponseKind::Rejected),
        _ => None,
    };
    Some(Wish::Referral(SaidReferral { keys, own, status: None, response, content: None, carried: None }))
}

/// Table 0283.
fn status(reading: &Reading<'_>) -> Option<ReferralStatus> {
    match reading.text(Path::of("RF1-1.1"))?.as_str() {
        "A" | "P" => Some(ReferralStatus::Active),
        "R" | "E" => Some(ReferralStatus::Revoked),
        _ => None,
    }
}

/// RF1-6, RF1-11, the unique booking reference number wherever the dialect has it, and OBR-2, where this gateway puts
/// its own id.
fn keys(reading: &mut Reading<'_>) -> Option<Numbers> {
    if !reading.has(b"RF1") && !reading.needs(b"OBR", &HL7_SEGMENT_MISSING) {
        return None;
    }
    let mut keys = referral_numbers(reading);
    for path in [Path::of("RF1-6"), Path::of("RF1-11"), Path::of("OBR-2")] {
        let Some(number) = reading.number(path) else { continue };
        if Ubrn::parse(&number.value).is_none() && !keys.contains(&number) {
            keys.push(number);
        }
    }
    let own = keys.iter().find_map(|key| Uuid::parse_str(&key.value).ok()).map(ReferralId);
    Some((keys, own))
}

/// The same of one that must be known: without a number nobody can tell which one is meant.
fn known(reading: &mut Reading<'_>) -> Option<Numbers> {
    let numbers = keys(reading)?;
    if numbers.0.is_empty() {
        reading.missing(Path::of("RF1-6"));
        return None;
    }
    Some(numbers)
}

fn content(reading: &mut Reading<'_>, status: Option<ReferralStatus>, (keys, own): Numbers) -> Wish {
    let ubrn = keys.iter().find(|key| key.system == UBRN).and_then(|key| Ubrn::parse(&key.value));
    let instant = |reading: &Reading<'_>, path: Path| reading.roughly(path);
    let referral = Referral {
        id: ReferralId(Uuid::nil()),
        patient: PatientId(Uuid::nil()),
        service: to_service(reading),
        category: Category::Referral,
        use_case: String::new(),
        status: status.unwrap_or(ReferralStatus::Active),
        priority: reading.text(Path::of("RF1-2.1")).and_then(|code| priority(&code)),
        authored_on: instant(reading, Path::of("RF1-7")).or_else(|| instant(reading, Path::of("RF1-9"))),
        received_at: jiff::Timestamp::UNIX_EPOCH,
        occurrence: (None, instant(reading, Path::of("RF1-8"))),
        reasons: reasons(reading),
        reason_text: reading.text(Path::of("RF1-10.2")).or_else(|| reading.text(Path::of("NTE-3"))),
        patient_instruction: None,
        requester: requester(reading),
        ubrn,
        identifiers: keys.iter().filter(|key| key.system != UBRN).cloned().collect(),
        case_reference: String::new(),
        based_on: Vec::new(),
        replaces: Vec::new(),
        linked_appointment: None,
        pathway: pathway(reading),
        response: None,
        origin: Origin::default(),
    };
    Wish::Referral(SaidReferral { keys, own, status, response: None, content: Some(referral), carried: None })
}

/// A clinic, or else the specialty that it is for.
fn to_service(reading: &Reading<'_>) -> ServiceId {
    let function = reading.text(Path::of("RF1-3.1"));
    let known = function.as_ref().and_then(|code| reading.dialect.services.get(code));
    match (known, function) {
        (Some(known), _) => ServiceId(known.clone()),
        (None, Some(function)) if reading.dialect.service.is_none() => {
            ServiceId(format!("{}:{function}", reading.facility()))
        }
        _ => service(reading),
    }
}

/// Table 0280, and PRIORITY TYPE of the NHS Data Dictionary.
fn priority(code: &str) -> Option<Priority> {
    match code {
        "S" => Some(Priority::Stat),
        "A" => Some(Priority::Asap),
        "R" | "1" => Some(Priority::Routine),
        "2" | "3" => Some(Priority::Urgent),
        _ => None,
    }
}

/// DG1-3, in the order in which they stand.
fn reasons(reading: &Reading<'_>) -> Vec<Coding> {
    let coding = |segment| {
        let part = |component| reading.part(&segment, 3, component).unwrap_or_default();
        let system = match part(3).to_ascii_uppercase().as_str() {
            "ICD10" | "I10" | "ICD-10" => "http://hl7.org/fhir/sid/icd-10-uk".to_owned(),
            "SCT" | "SNM" => "http://snomed.info/sct".to_owned(),
            _ => String::new(),
        };
        let coding = Coding { system, code: part(1), display: part(2) };
        (!coding.code.is_empty()).then_some(coding)
    };
    reading.named(b"DG1").into_iter().filter_map(coding).collect()
}

/// PRD with the role RP.
fn requester(reading: &Reading<'_>) -> Party {
    let prd = reading.named(b"PRD").into_iter().find(|prd| reading.part(prd, 1, 1).as_deref() == Some("RP"));
    let Some(prd) = prd else { return Party::default() };
    let part = |field, component| reading.part(&prd, field, component);
    let number = part(7, 1).map(|value| {
        let register = match part(7, 3).or_else(|| part(7, 2)).unwrap_or_default().to_ascii_uppercase().as_str() {
            "GMC" => "https://fhir.hl7.org.uk/Id/gmc-number",
            "GMP" | "GP" => "https://fhir.hl7.org.uk/Id/gmp-number",
            "NMC" => "https://fhir.hl7.org.uk/Id/nmc-number",
            "SDS" => "https://fhir.nhs.uk/Id/sds-user-id",
            _ => "",
        };
        Identifier { system: register.to_owned(), value }
    });
    let organisation = part(10, 1).or_else(|| part(10, 3)).or_else(|| part(4, 4));
    Party {
        organisation: organisation.and_then(|code| OdsCode::parse(&code).ok()),
        organisation_name: part(4, 9),
        practitioner: number.filter(|number| !number.system.is_empty()),
        practitioner_name: part(2, 1).map(|family| (family, part(2, 2).unwrap_or_default())),
    }
}

/// The clock's start is the date on which the referral was received; only a rule moves it later.
fn pathway(reading: &Reading<'_>) -> Pathway {
    let received = reading.text(simple(Path::of("RF1-9"))).and_then(|text| Written::read(&text));
    Pathway { id: None, clock_start: received.filter(|written| written.parts == 3).map(|written| written.date) }
}
