//! UK Core Patient and the booking model's patient, both ways.

use serde_json::{Map, Value, json};

use super::systems;
use crate::booking::command::Subject;
use crate::booking::identifier::{Identifier, OdsCode, PatientId};
use crate::booking::nhs_number::{NhsNumber, Range};
use crate::booking::patient::{Address, Demographics, Gender, HumanName, Telecom};
use crate::fhir::bundle::{Bundle, Entry};
use crate::fhir::view::{extension, items, str_at};
use crate::issue::{Issue, Issues, NHS_NUMBER_FENCE, NHS_NUMBER_INVALID};

/// Who a message is about. `sandbox`: the environment tolerates numbers that fail their check (most of
/// the standard's own examples do), but never uses them for identity.
pub fn subject(
    bundle: &Bundle<'_>,
    entry: &Entry<'_>,
    candidate: PatientId,
    sandbox: bool,
    issues: &mut Issues,
) -> Subject {
    let empty = Value::Null;
    let resource = entry.resource().unwrap_or(&empty);
    let numbers: Vec<_> =
        items(resource, "identifier").iter().enumerate().filter(|(_, it)| is_nhs_number(it)).collect();
    let nhs_number = match numbers.as_slice() {
        [(index, identifier)] => {
            trusted(identifier, &entry.place_of(&format!("identifier[{index}].value")), sandbox, issues)
        }
        _ => None,
    };
    Subject { candidate, nhs_number, demographics: demographics(bundle, resource) }
}

fn is_nhs_number(identifier: &Value) -> bool {
    str_at(identifier, "system").is_some_and(|system| systems::same(system, systems::NHS_NUMBER))
}

/// A number that proves who somebody is: well-formed, of this environment's range, and said to be verified.
fn trusted(identifier: &Value, at: &str, sandbox: bool, issues: &mut Issues) -> Option<NhsNumber> {
    let Ok(number) = NhsNumber::parse(str_at(identifier, "value").unwrap_or_default()) else {
        let issue = Issue::new(&NHS_NUMBER_INVALID, at);
        issues.push(if sandbox { issue.tolerated() } else { issue });
        return None;
    };
    match (number.range(), sandbox) {
        (Range::Live, true) | (Range::Test, false) => {
            issues.add(&NHS_NUMBER_FENCE, at);
            None
        }
        (Range::NotIssued, false) => {
            issues.add(&NHS_NUMBER_INVALID, at);
            None
        }
        _ => (verification(identifier) == Some("01")).then_some(number),
    }
}

/// NHS number status (NHS Data Dictionary) for the UK Core code.
fn verification(identifier: &Value) -> Option<&'static str> {
    let concept = extension(identifier, systems::VERIFICATION)?.get("valueCodeableConcept")?;
    STATUS.iter().find(|(code, _)| str_at(concept, "coding.code") == Some(code)).map(|(_, number)| *number)
}

/// UK Core NHSNumberVerificationStatus and NHS Data Dictionary NHS NUMBER STATUS INDICATOR CODE.
static STATUS: &[(&str, &str)] = &[
    ("number-present-and-verified", "01"),
    ("number-present-but-not-traced", "02"),
    ("trace-required", "03"),
    ("trace-attempted-no-match-or-multiple-match", "04"),
    ("trace-needs-to-be-resolved", "05"),
    ("trace-in-progress", "06"),
    ("number-not-present-and-trace-not-required", "07"),
    ("trace-postponed", "08"),
];

/// Reads what the model holds of a Patient.
pub fn demographics(bundle: &Bundle<'_>, patient: &Value) -> Demographics {
    let status = items(patient, "identifier").iter().filter(|it| is_nhs_number(it)).find_map(verification);
    Demographics {
        identifiers: items(patient, "identifier").iter().filter_map(identifier).collect(),
        nhs_number_status: status.map(str::to_owned),
        names: items(patient, "name").iter().map(human_name).collect(),
        birth_date: text(patient, "birthDate"),
        gender: str_at(patient, "gender").and_then(gender),
        addresses: items(patient, "address").iter().map(address).collect(),
        telecoms: telecoms(patient),
        practice: practice(bundle, patient),
        deceased: None,
        restricted: false,
        unidentified: false,
    }
}

/// BaRS puts the patient's own numbers into the contact that is the patient (`ONESELF`), not into `telecom`.
fn telecoms(patient: &Value) -> Vec<Telecom> {
    let contact = items(patient, "contact").iter().find(|contact| is_oneself(contact));
    let own = contact.map_or(&[] as &[Value], |contact| items(contact, "telecom"));
    items(patient, "telecom").iter().chain(own).map(telecom).collect()
}

fn is_oneself(contact: &Value) -> bool {
    items(contact, "relationship").iter().any(|it| str_at(it, "coding.code") == Some("ONESELF"))
}

fn practice(bundle: &Bundle<'_>, patient: &Value) -> Option<OdsCode> {
    let organisation = bundle.resolve(str_at(patient, "generalPractitioner.reference")?)?.resource()?;
    ods_code(organisation)
}

/// The ODS code of an Organization, in any of the spellings of its system.
pub fn ods_code(organisation: &Value) -> Option<OdsCode> {
    let ods = |it: &&Value| str_at(it, "system").is_some_and(|system| systems::same(system, systems::ODS_ORGANISATION));
    let found = items(organisation, "identifier").iter().find(ods)?;
    OdsCode::parse(str_at(found, "value")?).ok()
}

/// An Identifier that has both system and value.
pub fn identifier(value: &Value) -> Option<Identifier> {
    Some(Identifier { system: text(value, "system")?, value: text(value, "value")? })
}

fn text(value: &Value, path: &str) -> Option<String> {
    str_at(value, path).map(str::to_owned)
}

fn texts(value: &Value, path: &str) -> Vec<String> {
    items(value, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn human_name(name: &Value) -> HumanName {
    HumanName {
        usage: text(name, "use"),
        family: text(name, "family"),
        given: texts(name, "given"),
        prefix: texts(name, "prefix"),
        suffix: texts(name, "suffix"),
        text: text(name, "text"),
    }
}

fn address(address: &Value) -> Address {
    Address {
        usage: text(address, "use"),
        lines: texts(address, "line"),
        city: text(address, "city"),
        district: text(address, "district"),
        postal_code: text(address, "postalCode"),
        country: text(address, "country"),
        text: text(address, "text"),
    }
}

fn telecom(telecom: &Value) -> Telecom {
    Telecom { system: text(telecom, "system"), value: text(telecom, "value"), usage: text(telecom, "use") }
}

fn gender(code: &str) -> Option<Gender> {
    [Gender::Male, Gender::Female, Gender::Other, Gender::Unknown]
        .into_iter()
        .find(|gender| gender_code(*gender) == code)
}

fn gender_code(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "male",
        Gender::Female => "female",
        Gender::Other => "other",
        Gender::Unknown => "unknown",
    }
}

/// Writes what the model holds into a Patient; everything else in it stays as it is. What the model does
/// not have is left alone: an absent value never erases a present one. What other resources say (the practice)
/// or what only a tracing service may say (the NHS number's status) is not written.
pub fn write(demographics: &Demographics, patient: &mut Map<String, Value>) {
    write_list(patient, "name", &demographics.names, write_name);
    write_list(patient, "address", &demographics.addresses, write_address);
    put(patient, "birthDate", demographics.birth_date.as_deref());
    put(patient, "gender", demographics.gender.map(gender_code));
    add_identifiers(patient, &demographics.identifiers);
    add_telecoms(patient, &demographics.telecoms);
}

/// Adds the identifiers that are not there yet; those without system or value are not the model's.
pub(super) fn add_identifiers(resource: &mut Map<String, Value>, identifiers: &[Identifier]) {
    if identifiers.is_empty() {
        return;
    }
    let slot = resource.entry("identifier").or_insert_with(|| json!([]));
    let Some(values) = slot.as_array_mut() else { return };
    for wanted in identifiers {
        if !values.iter().filter_map(identifier).any(|known| known == *wanted) {
            values.push(json!({ "system": wanted.system, "value": wanted.value }));
        }
    }
}

/// Adds the numbers and addresses that are not there yet, where BaRS has the patient's own.
fn add_telecoms(patient: &mut Map<String, Value>, wanted: &[Telecom]) {
    let known = telecoms(&Value::Object(patient.clone()));
    let missing = wanted.iter().filter(|it| !known.contains(it)).map(telecom_value);
    let missing: Vec<Value> = missing.collect();
    if missing.is_empty() {
        return;
    }
    let contacts = patient.get_mut("contact").and_then(Value::as_array_mut).into_iter().flatten();
    let own = contacts.filter(|contact| is_oneself(contact)).find_map(Value::as_object_mut);
    let slot = match own {
        Some(contact) => contact.entry("telecom").or_insert_with(|| json!([])),
        None => patient.entry("telecom").or_insert_with(|| json!([])),
    };
    if let Some(values) = slot.as_array_mut() {
        values.extend(missing);
    }
}

fn telecom_value(telecom: &Telecom) -> Value {
    let mut value = Map::new();
    put(&mut value, "system", telecom.system.as_deref());
    put(&mut value, "value", telecom.value.as_deref());
    put(&mut value, "use", telecom.usage.as_deref());
    Value::Object(value)
}

fn write_name(name: &HumanName, value: &mut Map<String, Value>) {
    put(value, "use", name.usage.as_deref());
    put(value, "text", name.text.as_deref());
    put(value, "family", name.family.as_deref());
    put_list(value, "given", &name.given);
    put_list(value, "prefix", &name.prefix);
    put_list(value, "suffix", &name.suffix);
}

fn write_address(address: &Address, value: &mut Map<String, Value>) {
    put(value, "use", address.usage.as_deref());
    put(value, "text", address.text.as_deref());
    put_list(value, "line", &address.lines);
    put(value, "city", address.city.as_deref());
    put(value, "district", address.district.as_deref());
    put(value, "postalCode", address.postal_code.as_deref());
    put(value, "country", address.country.as_deref());
}

/// The values of an element: those of an array, a single one as one.
fn values<'a>(object: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    match object.get(name) {
        Some(Value::Array(items)) => items,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

/// The text that is read from an element.
pub(super) fn said<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    values(object, name).first()?.as_str()
}

/// Sets a text where there is one and it is not what is read already.
pub(super) fn put(object: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if text.is_some() && said(object, name) != text {
        object.insert(name.to_owned(), json!(text));
    }
}

/// As [`put`]. A list with gaps, which extensions fill, is read without them and stays.
fn put_list(object: &mut Map<String, Value>, name: &str, texts: &[String]) {
    let known = values(object, name).iter().filter_map(Value::as_str);
    if !texts.is_empty() && !known.eq(texts) {
        object.insert(name.to_owned(), json!(texts));
    }
}

/// Writes each item into the item at the same place.
fn write_list<T>(
    object: &mut Map<String, Value>,
    name: &str,
    models: &[T],
    write: impl Fn(&T, &mut Map<String, Value>),
) {
    if models.is_empty() {
        return;
    }
    let slot = object.entry(name).or_insert_with(|| json!([]));
    let Some(values) = slot.as_array_mut() else { return };
    values.resize_with(models.len().max(values.len()), || json!({}));
    for (value, model) in values.iter_mut().zip(models) {
        if let Some(value) = value.as_object_mut() {
            write(model, value);
        }
    }
}
