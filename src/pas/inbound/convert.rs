//! A message as FHIR R4, for integrators: Patient, Appointment and ServiceRequest in a Bundle, and a report of which
//! fields were translated and which are only in the message.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::dialect::{Dialect, Null};
use super::fhir::{concept, identifier_typed, put_text};
use super::person::{address_use, name_use, street, telecom};
use super::reading::{Found, Reading};
use super::time::{Instant, Written};
use super::{fhir, referral, schedule};
use crate::booking::feed::Wish;
use crate::booking::identifier::PatientId;
use crate::hl7v2::charset::decode;
use crate::hl7v2::message::{self, Field, Message, Segment};
use crate::hl7v2::path::Path;
use crate::issue::{HL7_CHARSET, HL7_LIMIT, HL7_NO_HEADER, Issue};

/// What became of the fields of a message, each as `PID-5`.
#[derive(Debug, Default)]
pub struct Account {
    /// What is made depends on them.
    pub mapped: Vec<String>,
    /// They say something and were not translated: they are in the message, which is kept as it came.
    pub carried: Vec<String>,
    /// They say nothing, by the dialect's own settings: placeholders, and `""` where it means nothing.
    pub dropped: Vec<String>,
}

/// Makes a FHIR Bundle of type `collection` of a message; or says why it cannot be read.
pub fn to_fhir(bytes: &[u8], dialect: &Dialect, sandbox: bool) -> Result<Value, Vec<Found>> {
    let fault = |code, path| vec![Found { issue: Issue::new(code, ""), path }];
    let decoded = decode(bytes, &dialect.fallback()).map_err(|_| fault(&HL7_CHARSET, None))?;
    let message = Message::parse(decoded.text.as_bytes()).map_err(|error| {
        let place = error.place(decoded.text.as_bytes());
        fault(if place.is_some() { &HL7_LIMIT } else { &HL7_NO_HEADER }, place)
    })?;
    Ok(bundle_of(&message.with_encoding(decoded.encoding), dialect, sandbox))
}

fn bundle_of(message: &Message<'_>, dialect: &Dialect, sandbox: bool) -> Value {
    let mut reading = Reading::new(message, dialect, sandbox);
    let patient = PatientId(patient_id(&mut reading));
    let mut resources = Vec::new();
    resources.extend(patient_of(&mut reading, patient));
    resources.extend(about(&mut reading, patient));
    let entries: Vec<Value> = resources
        .into_iter()
        .map(|mut resource| {
            declare(&mut resource);
            let url = format!("urn:uuid:{}", resource["id"].as_str().unwrap_or_default());
            json!({ "fullUrl": url, "resource": resource })
        })
        .collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "collection" });
    if !entries.is_empty() {
        bundle["entry"] = entries.into();
    }
    if let Some(sent) = reading.roughly(Path::of("MSH-7")) {
        bundle["timestamp"] = sent.to_string().into();
    }
    bundle
}

/// The resource says which profile of UK Core it conforms to.
fn declare(resource: &mut Value) {
    let Some(members) = resource.as_object_mut() else { return };
    let kind = members.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let profile = format!("https://fhir.hl7.org.uk/StructureDefinition/UKCore-{kind}");
    members.shift_insert(1, "meta".to_owned(), json!({ "profile": [profile] }));
}

/// What became of each field of a message that can be read. A field is translated if something else would be made
/// without it: that is tried out, so that this account claims nothing that is not so. The price is a conversion for each
/// kind of field, however often its segment repeats.
pub fn account(bytes: &[u8], dialect: &Dialect, sandbox: bool) -> Account {
    let mut account = Account::default();
    let Ok(decoded) = decode(bytes, &dialect.fallback()) else { return account };
    let Ok(message) = Message::parse(decoded.text.as_bytes()) else { return account };
    let message = message.with_encoding(decoded.encoding);
    let whole = bundle_of(&message, dialect, sandbox);
    for (name, field) in valued(&message) {
        let without = without(&message, name, field);
        let changes = Message::parse(&without)
            .is_ok_and(|other| bundle_of(&other.with_encoding(decoded.encoding), dialect, sandbox) != whole);
        let mut all = message.segments().filter(|segment| segment.name() == name);
        let list = match changes {
            true => &mut account.mapped,
            false if all.all(|segment| says_nothing(&segment.field(field), dialect)) => &mut account.dropped,
            false => &mut account.carried,
        };
        list.push(format!("{}-{field}", String::from_utf8_lossy(name)));
    }
    account
}

/// Fields that say something, each once, in the order in which they first stand. Delimiters and the character set are
/// how a message is written, and not what it says.
fn valued<'a>(message: &Message<'a>) -> Vec<(&'a [u8], u16)> {
    let (mut places, mut seen) = (Vec::new(), HashSet::new());
    for segment in message.segments() {
        for field in (1..=segment.fields()).filter(|field| !segment.field(*field).raw().is_empty()) {
            let written = segment.is_named(*b"MSH") && matches!(field, 1 | 2 | 18);
            if !written && seen.insert((segment.name(), field)) {
                places.push((segment.name(), field));
            }
        }
    }
    places
}

/// The message with a field left empty wherever it stands.
fn without(message: &Message<'_>, name: &[u8], field: u16) -> Vec<u8> {
    let delimiter = message.delimiters().field;
    let mut written = Vec::new();
    for segment in message.segments() {
        // A header's first field is the delimiter itself.
        let place = usize::from(field) - usize::from(segment.is_named(*b"MSH"));
        for (at, part) in segment.raw().split(|byte| *byte == delimiter).enumerate() {
            if 0 < at {
                written.push(delimiter);
            }
            if segment.name() != name || at != place {
                written.extend_from_slice(part);
            }
        }
        written.push(b'\r');
    }
    written
}

/// Nothing but what the dialect has no meaning for. Delimiters alone are no value that could be dropped.
fn says_nothing(field: &Field<'_>, dialect: &Dialect) -> bool {
    let components = (1..=field.repetitions()).flat_map(|at| (1..=field.components(at)).map(move |it| (at, it)));
    let values = components.map(|(at, component)| field.get(at, component, 0)).filter(|value| !value.is_absent());
    let mut values = values.peekable();
    let means_nothing = |value: message::Value<'_>| match value.is_null() {
        true => dialect.null == Null::Absent,
        false => value.text().is_some_and(|text| dialect.is_placeholder(&text)),
    };
    values.peek().is_some() && values.all(means_nothing)
}

/// The same numbers make the same id, so that a message that is converted twice is the same Bundle.
fn patient_id(reading: &mut Reading<'_>) -> uuid::Uuid {
    let number = reading.number(Path::of("PID-3"));
    let number = number.or_else(|| reading.number(Path::of("PID-2"))).or_else(|| reading.number(Path::of("MSH-10")));
    number.map_or(uuid::Uuid::nil(), |number| {
        crate::booking::feed::derived_id(crate::booking::feed::Kind::Person, &number)
    })
}

/// The booking or referral of a message that is about one.
fn about(reading: &mut Reading<'_>, patient: PatientId) -> Option<Value> {
    let kind = reading.text(Path::of("MSH-9.1"))?;
    let event = reading.text(Path::of("MSH-9.2")).unwrap_or_default();
    let taken = super::EVENTS.iter().find(|taken| taken.event == format!("{kind}^{event}"));
    let wish = match (kind.as_str(), taken) {
        ("SIU", _) | ("ADT", Some(_)) if kind == "SIU" || matches!(event.as_str(), "A05" | "A14" | "A27" | "A38") => {
            taken.and_then(|taken| (taken.read)(reading)).or_else(|| schedule::booked(reading))?
        }
        ("REF" | "RRI", _) => match event.as_str() {
            "I14" => referral::withdrawn(reading).or_else(|| referral::placed(reading))?,
            _ => referral::placed(reading)?,
        },
        _ => return None,
    };
    let (kind, carried) = match &wish {
        Wish::Booking(said) => (said.key.clone(), fhir::appointment_of(reading, said, patient)?),
        Wish::Referral(said) => (said.keys.first()?.clone(), fhir::service_request_of(reading, said, patient)),
        _ => return None,
    };
    let mut resource: Value = serde_json::from_str(&carried.0).ok()?;
    let what = if matches!(wish, Wish::Booking(_)) {
        crate::booking::feed::Kind::Booking
    } else {
        crate::booking::feed::Kind::Referral
    };
    resource["id"] = crate::booking::feed::derived_id(what, &kind).to_string().into();
    Some(resource)
}

/// PID, PD1 and NK1 as a Patient.
fn patient_of(reading: &mut Reading<'_>, id: PatientId) -> Option<Value> {
    let pid = reading.named(b"PID").into_iter().next()?;
    let mut patient = Map::new();
    patient.insert("resourceType".to_owned(), "Patient".into());
    patient.insert("id".to_owned(), id.to_string().into());
    put_list(&mut patient, "identifier", identifiers(reading, &pid));
    let aliases = names(reading, &pid, 9);
    put_list(&mut patient, "name", names(reading, &pid, 5).into_iter().chain(aliases).collect());
    let birth = reading.part(&pid, 7, 1).and_then(|text| Written::read(&text));
    put_text(&mut patient, "birthDate", birth.map(|written| written.fhir_date()));
    put_text(&mut patient, "gender", reading.part(&pid, 8, 1).and_then(|code| gender(&code)));
    put_list(&mut patient, "address", addresses(reading, &pid, 11));
    put_list(&mut patient, "telecom", telecoms(reading, &pid, &[(13, "home"), (14, "work"), (40, "home")]));
    if let Some(marital) = concept(reading, Path::of("PID-16")) {
        patient.insert("maritalStatus".to_owned(), marital);
    }
    if let Some(language) = language(reading) {
        patient.insert("communication".to_owned(), json!([{ "language": language, "preferred": true }]));
    }
    births(reading, &pid, &mut patient);
    death(reading, &pid, &mut patient);
    put_list(&mut patient, "contact", contacts(reading));
    practice(reading, &mut patient);
    Some(Value::Object(patient))
}

/// PID-15: codes of ISO 639 are languages of FHIR (BCP 47), which takes no others.
fn language(reading: &Reading<'_>) -> Option<Value> {
    let part = |component| reading.text(Path { component, ..Path::of("PID-15") });
    let is_iso = |code: &String| matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    let code = part(1).filter(is_iso)?.to_ascii_lowercase();
    let mut concept = json!({ "coding": [{ "system": "urn:ietf:bcp:47", "code": code }] });
    if let Some(name) = part(2) {
        concept["text"] = name.into();
    }
    Some(concept)
}

fn put_list(resource: &mut Map<String, Value>, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        resource.insert(name.to_owned(), list.into());
    }
}

/// PID-2, 3, 4, 18, 19: each with what kind of number it is.
fn identifiers(reading: &mut Reading<'_>, pid: &Segment<'_, '_>) -> Vec<Value> {
    let mut found = Vec::new();
    for field in [2, 3, 4, 19] {
        for repetition in 1..=pid.field(field).repetitions() {
            let part = |component| text(reading, pid, field, repetition, component);
            let authority = reading.authority(pid, field, repetition);
            let (Some(value), kind) = (part(1), part(5)) else { continue };
            let period = [("start", part(7)), ("end", part(8))];
            let nhs = super::person::is_nhs(
                reading,
                authority.as_deref().unwrap_or_default(),
                kind.as_deref().unwrap_or_default(),
            );
            let path = Path { field, repetition, ..Path::of("PID-3") };
            let system = match nhs {
                true => super::person::NHS.to_owned(),
                false => reading.system(authority.as_deref().unwrap_or_default(), path),
            };
            let value = if nhs { value.replace([' ', '-'], "") } else { value };
            let usage = (field == 4).then_some("temp").or((kind.as_deref() == Some("NHOLD")).then_some("old"));
            // It stands in several fields with many senders; a patient has one.
            if !nhs || found.iter().all(|known: &Value| known["system"] != system || known["value"] != value) {
                found.push(identifier_typed(&system, &value, kind.as_deref(), usage, &period));
            }
        }
    }
    found
}

fn text(reading: &Reading<'_>, segment: &Segment<'_, '_>, field: u16, at: u16, component: u16) -> Option<String> {
    reading.repeated(segment, field, at, component).filter(|value| !reading.is_placeholder(value))
}

fn names(reading: &Reading<'_>, segment: &Segment<'_, '_>, field: u16) -> Vec<Value> {
    let name = |at: u16| {
        let part = |component| text(reading, segment, field, at, component);
        let range = |part| reading.clean(segment.field(field).get(at, 10, part)).text();
        let mut name = Map::new();
        put_text(&mut name, "use", part(7).and_then(|kind| name_use(&kind)).map(str::to_owned));
        put_text(&mut name, "family", part(1));
        let further = part(3).unwrap_or_default();
        let given = part(2).into_iter().chain(further.split(' ').filter(|it| !it.is_empty()).map(str::to_owned));
        put_list(&mut name, "given", given.map(Value::from).collect());
        put_list(&mut name, "prefix", part(5).into_iter().map(Value::from).collect());
        put_list(&mut name, "suffix", [4, 6, 14].into_iter().filter_map(part).map(Value::from).collect());
        match (part(12), part(13)) {
            (None, None) => within(&mut name, range(1), range(2)),
            (start, end) => within(&mut name, start, end),
        }
        (name.contains_key("family") || name.contains_key("given")).then_some(Value::Object(name))
    };
    let called = |at: u16| Some(json!({ "use": "nickname", "given": [text(reading, segment, field, at, 15)?] }));
    (1..=segment.field(field).repetitions()).flat_map(|at| [name(at), called(at)]).flatten().collect()
}

/// From when until when it is so.
fn within(resource: &mut Map<String, Value>, start: Option<String>, end: Option<String>) {
    let mut period = Map::new();
    for (name, text) in [("start", start), ("end", end)] {
        let written = text.and_then(|text| Written::read(&text));
        put_text(&mut period, name, written.map(|written| written.fhir_date()));
    }
    if !period.is_empty() {
        resource.insert("period".to_owned(), period.into());
    }
}

fn addresses(reading: &Reading<'_>, segment: &Segment<'_, '_>, field: u16) -> Vec<Value> {
    let address = |at: u16| {
        let part = |component| text(reading, segment, field, at, component);
        let mut address = Map::new();
        let kind = part(7).unwrap_or_default();
        put_text(&mut address, "use", address_use(&kind).map(str::to_owned));
        let postal = matches!(kind.as_str(), "M" | "PST" | "SH");
        put_text(&mut address, "type", postal.then(|| "postal".to_owned()));
        let lines = street(reading, segment, field, at).into_iter().chain([2, 8].into_iter().filter_map(part));
        put_list(&mut address, "line", lines.map(Value::from).collect());
        put_text(&mut address, "city", part(3));
        // In the UK the fourth part is the county; FHIR's state is for countries that have them.
        put_text(&mut address, "district", part(9).or_else(|| part(4)));
        put_text(&mut address, "state", part(4).filter(|_| part(9).is_some()));
        put_text(&mut address, "postalCode", part(5));
        put_text(&mut address, "country", part(6));
        let says = address.keys().any(|key| key != "use" && key != "type");
        let until = || reading.clean(segment.field(field).get(at, 12, 2)).text();
        within(&mut address, part(12).or_else(|| part(13)), part(14).or_else(until));
        says.then_some(Value::Object(address))
    };
    (1..=segment.field(field).repetitions()).filter_map(address).collect()
}

fn telecoms(reading: &Reading<'_>, segment: &Segment<'_, '_>, fields: &[(u16, &str)]) -> Vec<Value> {
    let mut found = Vec::new();
    for (field, place) in fields {
        for at in 1..=segment.field(*field).repetitions() {
            let part = |component| text(reading, segment, *field, at, component);
            if let Some(it) = telecom(part, place) {
                found.push(json!({ "system": it.system, "value": it.value, "use": it.usage }));
            }
        }
    }
    found
}

fn gender(code: &str) -> Option<String> {
    super::person::gender(code).and_then(|gender| serde_json::to_value(gender).ok()?.as_str().map(str::to_owned))
}

/// PID-24 and 25: which of several births, or whether there were several.
fn births(reading: &Reading<'_>, pid: &Segment<'_, '_>, patient: &mut Map<String, Value>) {
    let order = reading.part(pid, 25, 1).and_then(|text| text.parse::<u32>().ok());
    match (order, reading.part(pid, 24, 1).as_deref()) {
        (Some(order), _) => drop(patient.insert("multipleBirthInteger".to_owned(), order.into())),
        (None, Some("Y")) => drop(patient.insert("multipleBirthBoolean".to_owned(), true.into())),
        (None, Some("N")) => drop(patient.insert("multipleBirthBoolean".to_owned(), false.into())),
        _ => {}
    }
}

/// The time of death goes before the flag.
fn death(reading: &Reading<'_>, pid: &Segment<'_, '_>, patient: &mut Map<String, Value>) {
    let written = reading.part(pid, 29, 1).and_then(|text| Written::read(&text));
    let zone = reading.dialect.time_zone.get();
    if let Some(written) = written {
        let at = written.time.and_then(|_| written.instant(zone));
        let text = match at {
            Some(Instant::Known(at)) => at.to_string(),
            _ => written.fhir_date(),
        };
        patient.insert("deceasedDateTime".to_owned(), text.into());
    } else if let Some(flag) = reading.part(pid, 30, 1) {
        let flag = match flag.as_str() {
            "Y" => true,
            "N" => false,
            _ => return,
        };
        patient.insert("deceasedBoolean".to_owned(), flag.into());
    }
}

/// NK1: whom to tell.
fn contacts(reading: &Reading<'_>) -> Vec<Value> {
    let contact = |nk1: Segment<'_, '_>| {
        let mut contact = Map::new();
        let name = names(reading, &nk1, 2).into_iter().next();
        let code = reading.part(&nk1, 3, 1);
        if let Some(name) = name {
            contact.insert("name".to_owned(), name);
        }
        if let Some(code) = code {
            let mut coding = Map::from_iter([("code".to_owned(), code.into())]);
            put_text(&mut coding, "display", reading.part(&nk1, 3, 2));
            contact.insert("relationship".to_owned(), json!([{ "coding": [coding] }]));
        }
        if let Some(address) = addresses(reading, &nk1, 4).into_iter().next() {
            contact.insert("address".to_owned(), address);
        }
        put_list(&mut contact, "telecom", telecoms(reading, &nk1, &[(5, "home"), (6, "work")]));
        (!contact.is_empty()).then_some(Value::Object(contact))
    };
    reading.named(b"NK1").into_iter().filter_map(contact).collect()
}

fn practice(reading: &Reading<'_>, patient: &mut Map<String, Value>) {
    let Some(pd1) = reading.named(b"PD1").into_iter().next() else { return };
    let mut found = Vec::new();
    let number = |system: &str, value: String| json!({ "identifier": { "system": system, "value": value } });
    if let Some(code) = reading.part(&pd1, 3, 3) {
        let mut practice = number("https://fhir.nhs.uk/Id/ods-organization-code", code);
        if let Some(name) = reading.part(&pd1, 3, 1) {
            practice["display"] = name.into();
        }
        found.push(practice);
    }
    if let Some(code) = reading.part(&pd1, 4, 1) {
        let mut doctor = number("https://fhir.hl7.org.uk/Id/gmp-number", code);
        if let Some(name) = reading.part(&pd1, 4, 2) {
            doctor["display"] = name.into();
        }
        found.push(doctor);
    }
    put_list(patient, "generalPractitioner", found);
}
