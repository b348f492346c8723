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
    let resource = entry.resource.unwrap_or(&empty);
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
    }
}

/// BaRS puts the patient's own numbers into the contact that is the patient (`ONESELF`), not into `telecom`.
fn telecoms(patient: &Value) -> Vec<Telecom> {
    let oneself =
        |contact: &&Value| items(contact, "relationship").iter().any(|it| str_at(it, "coding.code") == Some("ONESELF"));
    let contact = items(patient, "contact").iter().find(oneself);
    let own = contact.map_or(&[] as &[Value], |contact| items(contact, "telecom"));
    items(patient, "telecom").iter().chain(own).map(telecom).collect()
}

fn practice(bundle: &Bundle<'_>, patient: &Value) -> Option<OdsCode> {
    let organisation = bundle.resolve(str_at(patient, "generalPractitioner.reference")?)?.resource?;
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
/// not have is left alone: an absent value never erases a present one.
pub fn write(demographics: &Demographics, patient: &mut Map<String, Value>) {
    write_list(patient, "name", &demographics.names, name_parts);
    write_list(patient, "address", &demographics.addresses, address_parts);
    put(patient, "birthDate", demographics.birth_date.as_deref());
    put(patient, "gender", demographics.gender.map(gender_code));
    add_identifiers(patient, &demographics.identifiers);
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

fn name_parts(name: &HumanName) -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("use", opt(&name.usage)),
        ("text", opt(&name.text)),
        ("family", opt(&name.family)),
        ("given", list(&name.given)),
        ("prefix", list(&name.prefix)),
        ("suffix", list(&name.suffix)),
    ]
}

fn address_parts(address: &Address) -> Vec<(&'static str, Option<Value>)> {
    vec![
        ("use", opt(&address.usage)),
        ("text", opt(&address.text)),
        ("line", list(&address.lines)),
        ("city", opt(&address.city)),
        ("district", opt(&address.district)),
        ("postalCode", opt(&address.postal_code)),
        ("country", opt(&address.country)),
    ]
}

fn opt(text: &Option<String>) -> Option<Value> {
    text.as_ref().map(|text| json!(text))
}

fn list(texts: &[String]) -> Option<Value> {
    (!texts.is_empty()).then(|| json!(texts))
}

/// Sets a text where there is one.
pub(super) fn put(object: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.insert(name.to_owned(), json!(text));
    }
}

/// Writes the parts of each item into the item at the same place.
fn write_list<T>(
    object: &mut Map<String, Value>,
    name: &str,
    models: &[T],
    parts: impl Fn(&T) -> Vec<(&'static str, Option<Value>)>,
) {
    if models.is_empty() {
        return;
    }
    let slot = object.entry(name).or_insert_with(|| json!([]));
    let Some(values) = slot.as_array_mut() else { return };
    values.resize_with(models.len().max(values.len()), || json!({}));
    for (value, model) in values.iter_mut().zip(models) {
        let Some(value) = value.as_object_mut() else { continue };
        for (key, part) in parts(model).into_iter().filter_map(|(key, part)| Some((key, part?))) {
            value.insert(key.to_owned(), part);
        }
    }
}
