//! FHIR R4 resources made of a message: Patient, Appointment, ServiceRequest.
//!
//! Codes that both sides know are translated; everything else keeps the code that the hospital uses, with the table
//! that it is from. What FHIR has no element for stays in the message, which is kept as it came.

use serde_json::{Map, Value, json};

use super::reading::{Reading, escaped, sender_urn, simple};
use super::schedule;
use crate::booking::appointment::AppointmentStatus;
use crate::booking::command::Carried;
use crate::booking::feed::{SaidBooking, SaidReferral};
use crate::booking::identifier::{Identifier, PatientId};
use crate::booking::referral::{Priority, ReferralStatus};
use crate::hl7v2::message::Segment;
use crate::hl7v2::path::Path;

/// The Appointment of a booking whose time is known.
pub(super) fn appointment_of(reading: &mut Reading<'_>, said: &SaidBooking, patient: PatientId) -> Option<Carried> {
    let (start, end) = said.time?;
    let mut resource = Map::new();
    resource.insert("resourceType".to_owned(), "Appointment".into());
    let numbers: Vec<&Identifier> = std::iter::once(&said.key).chain(&said.others).collect();
    resource.insert("identifier".to_owned(), numbered(reading, &numbers));
    let status = said.status.as_ref().map_or("pending", |standing| standing.status.as_str());
    resource.insert("status".to_owned(), status.into());
    let reasoned = said.status.as_ref().filter(|standing| standing.status.has_reason());
    if let Some(reason) = reasoned.and_then(|standing| standing.reason.as_ref()) {
        resource.insert("cancelationReason".to_owned(), json!({ "text": reason }));
    }
    if let Some(function) = reading.first(&reading.dialect.treatment_function) {
        let coding = json!({ "system": TREATMENT_FUNCTION, "code": function });
        resource.insert("serviceType".to_owned(), json!([{ "coding": [coding] }]));
    }
    put_text(&mut resource, "description", said.description.clone());
    resource.insert("start".to_owned(), start.to_string().into());
    resource.insert("end".to_owned(), end.to_string().into());
    let said_minutes = schedule::minutes(reading);
    let minutes = said_minutes.unwrap_or((end.as_second() - start.as_second()) / 60);
    if minutes > 0 {
        resource.insert("minutesDuration".to_owned(), minutes.into());
    }
    if let Some(kind) = concept(reading, Path::of("SCH-8")) {
        resource.insert("appointmentType".to_owned(), kind);
    }
    if let Some(reason) = concept(reading, Path::of("SCH-7")) {
        resource.insert("reasonCode".to_owned(), json!([reason]));
    }
    put_text(&mut resource, "comment", notes(reading).first().and_then(|it| Some(it["text"].as_str()?.to_owned())));
    if let Some(referral) = said.referral.first() {
        resource.insert("basedOn".to_owned(), json!([{ "identifier": identifier(referral) }]));
    }
    let accepted = if status == AppointmentStatus::Cancelled.as_str() { "declined" } else { "accepted" };
    let mut participants = vec![json!({ "actor": { "reference": format!("Patient/{patient}") }, "status": accepted })];
    if let Some(clinic) = reading.first(&reading.dialect.clinic) {
        let name = reading.first(&reading.dialect.clinic_name).unwrap_or_else(|| clinic.clone());
        let site = reading.first(&reading.dialect.site).unwrap_or_else(|| reading.facility());
        let number = json!({ "system": sender_urn(&site, "clinic"), "value": clinic });
        participants.push(
            json!({ "actor": { "identifier": number, "display": name, "type": "Location" }, "status": "accepted" }),
        );
    }
    participants.extend(people_and_things(reading));
    resource.insert("participant".to_owned(), participants.into());
    Some(Carried(Value::Object(resource).to_string()))
}

/// SCH-1 is the placer's number, SCH-2 the filler's; one that stands in both is only a number.
fn numbered(reading: &Reading<'_>, numbers: &[&Identifier]) -> Value {
    let of = |path| reading.text(path);
    let (placer, filler) = (of(Path::of("SCH-1.1")), of(Path::of("SCH-2.1")));
    let kind =
        |number: &Identifier| match (Some(&number.value) == placer.as_ref(), Some(&number.value) == filler.as_ref()) {
            (true, false) => Some("PLAC"),
            (false, true) => Some("FILL"),
            _ => None,
        };
    let period = [("start", None), ("end", None)];
    numbers.iter().map(|it| identifier_typed(&it.system, &it.value, kind(it), None, &period)).collect()
}

/// AIP and AIG: who and what else is needed.
fn people_and_things(reading: &Reading<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    for (name, of) in [(b"AIP", "Practitioner"), (b"AIG", "Device")] {
        for segment in reading.named(name) {
            let part = |component| reading.part(&segment, 3, component);
            let called = if of == "Practitioner" { [part(2), part(3)] } else { [part(2), None] };
            let display = called.into_iter().flatten().collect::<Vec<_>>().join(", ");
            let mut actor = Map::new();
            actor.insert("type".to_owned(), of.into());
            if let Some(number) = part(1) {
                let system = sender_urn(&reading.facility(), &of.to_ascii_lowercase());
                actor.insert("identifier".to_owned(), json!({ "system": system, "value": number }));
            }
            put_text(&mut actor, "display", Some(display).filter(|it| !it.is_empty()));
            if actor.len() > 1 {
                found.push(json!({ "actor": actor, "status": "accepted" }));
            }
        }
    }
    found
}

/// An identifier with its kind (table 0203), use and period.
pub(super) fn identifier_typed(
    system: &str,
    value: &str,
    kind: Option<&str>,
    usage: Option<&str>,
    period: &[(&str, Option<String>); 2],
) -> Value {
    let mut identifier = Map::new();
    put_text(&mut identifier, "use", usage.map(str::to_owned));
    if let Some(kind) = kind {
        let coding = json!({ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": kind });
        identifier.insert("type".to_owned(), json!({ "coding": [coding] }));
    }
    identifier.insert("system".to_owned(), system.into());
    identifier.insert("value".to_owned(), value.into());
    let mut within = Map::new();
    for (name, text) in period {
        let date = text.as_ref().and_then(|text| super::time::Written::read(text)).map(|it| it.fhir_date());
        put_text(&mut within, name, date);
    }
    if !within.is_empty() {
        identifier.insert("period".to_owned(), within.into());
    }
    Value::Object(identifier)
}

/// Treatment function codes.
const TREATMENT_FUNCTION: &str = "https://fhir.nhs.uk/CodeSystem/UKCore-TreatmentFunctionCode";

/// The ServiceRequest of a referral.
pub(super) fn service_request_of(reading: &mut Reading<'_>, said: &SaidReferral, patient: PatientId) -> Carried {
    let mut resource = Map::new();
    resource.insert("resourceType".to_owned(), "ServiceRequest".into());
    resource.insert("identifier".to_owned(), said.keys.iter().map(identifier).collect());
    let status = said.status.unwrap_or(ReferralStatus::Active);
    resource.insert("status".to_owned(), status.as_str().into());
    resource.insert("intent".to_owned(), "order".into());
    resource.insert(
        "category".to_owned(),
        json!([{ "coding": [{
        "system": "http://snomed.info/sct", "code": "3457005", "display": "Patient referral",
    }] }]),
    );
    let content = said.content.as_ref();
    if let Some(priority) = content.and_then(|it| it.priority) {
        resource.insert("priority".to_owned(), priority_code(priority).into());
    }
    if let Some(authored) = content.and_then(|it| it.authored_on) {
        resource.insert("authoredOn".to_owned(), authored_on(reading, authored).into());
    }
    if let Some(until) = reading.text(Path::of("RF1-8.1")).and_then(|text| super::time::Written::read(&text)) {
        resource.insert("occurrencePeriod".to_owned(), json!({ "end": until.fhir_date() }));
    }
    resource.insert("subject".to_owned(), json!({ "reference": format!("Patient/{patient}") }));
    if let Some(code) = concept(reading, Path::of("RF1-3")) {
        resource.insert("performerType".to_owned(), code);
    }
    if let Some(reason) = concept(reading, Path::of("RF1-10")) {
        resource.insert("reasonCode".to_owned(), json!([reason]));
    }
    let notes = notes(reading);
    if !notes.is_empty() {
        resource.insert("note".to_owned(), notes.into());
    }
    Carried(Value::Object(resource).to_string())
}

/// A day stays a day.
fn authored_on(reading: &Reading<'_>, at: jiff::Timestamp) -> String {
    let text = reading.text(Path::of("RF1-7.1")).or_else(|| reading.text(Path::of("RF1-9.1")));
    let day = text.and_then(|text| super::time::Written::read(&text)).filter(|written| written.time.is_none());
    day.map_or_else(|| at.to_string(), |written| written.fhir_date())
}

fn priority_code(priority: Priority) -> &'static str {
    match priority {
        Priority::Routine => "routine",
        Priority::Urgent => "urgent",
        Priority::Asap => "asap",
        Priority::Stat => "stat",
    }
}

fn identifier(number: &Identifier) -> Value {
    json!({ "system": number.system, "value": number.value })
}

pub(super) fn put_text(resource: &mut Map<String, Value>, name: &str, text: Option<String>) {
    if let Some(text) = text {
        resource.insert(name.to_owned(), text.into());
    }
}

fn notes(reading: &Reading<'_>) -> Vec<Value> {
    let text = |segment: &Segment<'_, '_>| reading.part(segment, 3, 1);
    reading.named(b"NTE").iter().filter_map(text).map(|text| json!({ "text": text })).collect()
}

/// A coded value (CE, CWE) with the name of its table as its system.
pub(super) fn concept(reading: &Reading<'_>, path: Path) -> Option<Value> {
    let part = |component| reading.text(Path { component, subcomponent: 1, ..simple(path) });
    let (code, display, system) = (part(1), part(2), part(3));
    if code.is_none() && display.is_none() {
        return None;
    }
    let mut coding = Map::new();
    put_text(&mut coding, "system", system.map(|name| code_system(&name)));
    put_text(&mut coding, "code", code);
    put_text(&mut coding, "display", display);
    Some(json!({ "coding": [coding] }))
}

/// The URI of a code system by its name in table 0396.
fn code_system(name: &str) -> String {
    match name.to_ascii_uppercase().as_str() {
        "SCT" | "SNM" | "SNOMED-CT" => "http://snomed.info/sct".to_owned(),
        "LN" => "http://loinc.org".to_owned(),
        "I10" | "ICD10" => "http://hl7.org/fhir/sid/icd-10".to_owned(),
        "TFC" => TREATMENT_FUNCTION.to_owned(),
        hl7 if hl7.starts_with("HL7") && hl7.len() == 7 => {
            format!("http://terminology.hl7.org/CodeSystem/v2-{}", &hl7[3..])
        }
        _ => format!("urn:x-code-system:{}", escaped(name)),
    }
}
