//! How far the standard's own example messages meet what its payload tables say. What they break cannot be an error.

use std::collections::BTreeMap;
use std::path::Path;

use onward::bars::necessity::{Level, Rule, rules};
use onward::bars::use_cases;
use serde_json::Value;

/// Rules of the level MUST: start of the example's name, how many apply, how many are not met because the element is
/// missing, how many because it has another value.
const EXAMPLES: &[(&str, usize, usize, usize)] = &[
    ("BOOKREQ01---Booking-Request-New-Full", 102, 11, 1),
    ("BOOKREQ02---Booking-Request-Cancelled", 70, 6, 2),
    ("REFREQ01---Referral-Service-Request-New-Full---111-to-ED", 247, 20, 1),
    ("REFREQ03---Referral-Service-Request-New-Full---Primary-Care-to-Com", 227, 10, 1),
    ("REFREQ04---Referral-Service-Request---CAD-Out-of-Area", 315, 17, 2),
    ("REFREQ05---Referral-Service-Request---CAD-Mutal-Aid-Request", 315, 14, 2),
    ("REFREQ06---Referral-Service-Request-New-Full---GP-to-BP---ABPM", 227, 11, 1),
    ("REFREQ8A---Referral-Service-Request---CAD-Out-of-Area-C1-1-of-4---", 315, 22, 2),
    ("REFREQ8B---Referral-Service-Request---CAD-Out-of-Area-C1-2-of-4---", 315, 8, 2),
    ("REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-1-of-3---", 315, 17, 2),
    ("REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-2-of-3---", 315, 4, 2),
    ("REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-3-of-3---", 315, 4, 2),
    ("REFRESP01---Referral-Service-Request-Response-New-Full---ED-to-111", 0, 0, 0),
    ("REFRESP02--Referral-Service-Request-Reponse-Short---CAD-Mutual-Aid", 0, 0, 0),
    ("SERVREQ01---Service-Request-Update---Revoked", 82, 8, 1),
    ("VALREQ01---Validation-Service-Request-New-Full---999-to-CAS", 231, 15, 2),
    ("VALREQ02---Validation-Service-Request-Update-Full---999-to-CAS-Low", 231, 16, 2),
    ("VALRESP01---Validation-Response-HTTP-Response-Acknowledgment---CAS", 231, 17, 2),
    ("VALRESP01A---Validation-Response-New-Interim---CAS-to-999-In-progr", 129, 5, 1),
    ("VALRESP01B---Validation-Response-Update-Full---CAS-to-999-Finished", 238, 6, 2),
    ("VALRESP02---Validation-Response-New-Full---CAS-to-999-Finished", 238, 4, 2),
];

/// The rules that are broken by some example, and by how many.
const BROKEN: &[(usize, &str)] = &[
    (1, "AllergyIntolerance.id"),
    (2, "Appointment.id"),
    (1, "Appointment.slot"),
    (3, "CarePlan.activity"),
    (10, "CarePlan.id"),
    (3, "CarePlan.period"),
    (6, "Communication.encounter"),
    (2, "Communication.id"),
    (2, "Condition.id"),
    (9, "Consent.id"),
    (10, "Encounter.id"),
    (3, "Encounter.location"),
    (3, "Encounter.statusHistory"),
    (1, "Flag.code.coding"),
    (1, "Flag.code.coding.system = https://fhir.nhs.uk/CodeSystem/reasonable-adjustment-codes-bars"),
    (7, "Flag.id"),
    (1, "HealthcareService.active"),
    (3, "HealthcareService.id"),
    (14, "HealthcareService.identifier.system = https://fhir.nhs.uk/Id/dos-service-id"),
    (1, "HealthcareService.providedBy"),
    (7, "Location.id"),
    (1, "MedicationStatement.id"),
    (1, "MessageHeader.extension"),
    (10, "Observation.code.text"),
    (9, "Observation.encounter"),
    (8, "Observation.id"),
    (1, "Observation.subject"),
    (13, "Organization.id"),
    (17, "Organization.identifier"),
    (5, "Patient.contact.extension"),
    (
        15,
        "Patient.contact.extension.url = https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-ContactPreference",
    ),
    (5, "Patient.contact.relationship"),
    (2, "Patient.contact.relationship.coding.display"),
    (2, "Patient.contact.relationship.coding.system = http://terminology.hl7.org/CodeSystem/v2-0131"),
    (13, "Patient.id"),
    (10, "Practitioner.id"),
    (1, "Practitioner.identifier"),
    (10, "PractitionerRole.id"),
    (1, "PractitionerRole.organization"),
    (1, "PractitionerRole.practitioner"),
    (3, "Procedure.encounter"),
    (1, "Procedure.id"),
    (2, "Questionnaire.id"),
    (5, "QuestionnaireResponse.id"),
    (1, "QuestionnaireResponse.item.item.item.answer.valueString"),
    (1, "QuestionnaireResponse.subject"),
    (6, "ServiceRequest.authoredOn"),
    (1, "ServiceRequest.basedOn"),
    (1, "ServiceRequest.encounter"),
    (10, "ServiceRequest.id"),
    (1, "ServiceRequest.requester"),
];

#[test]
fn examples_break_only_the_rules_that_they_are_known_to_break() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bars/examples/ig-1.12.0/bundles");
    if !folder.is_dir() {
        return eprintln!("SKIPPED: the folder with the standard's examples is not here");
    }
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    let mut by_rule: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files {
        let bundle: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let name: String =
            path.file_name().unwrap().to_string_lossy().chars().take_while(|c| *c != '.').take(66).collect();
        let Some(of) = rules_for(&bundle) else { continue };
        let unmet = of.iter().filter_map(|rule| Some((rule, breach(rule, &bundle)?)));
        let (mut missing, mut other) = (0, 0);
        for (rule, breach) in unmet {
            *(if breach == Breach::Missing { &mut missing } else { &mut other }) += 1;
            let wrong = rule.value.filter(|_| breach == Breach::OtherValue).map(|value| format!(" = {value}"));
            let text = format!("{}.{}{}", rule.resource, rule.path, wrong.unwrap_or_default());
            by_rule.entry(text).or_default().push(name.clone());
        }
        found.push((name, of.len(), missing, other));
    }
    let broken: Vec<_> = by_rule.iter().map(|(rule, names)| (names.len(), rule.as_str())).collect();
    assert_eq!(broken, BROKEN);
    let expected: Vec<_> =
        EXAMPLES.iter().map(|(name, of, missing, other)| ((*name).to_owned(), *of, *missing, *other)).collect();
    assert_eq!(found, expected);
}

/// The rules of the level MUST for a message, by its definition and its use case.
fn rules_for(bundle: &Value) -> Option<Vec<Rule>> {
    let definition = bundle["entry"][0]["resource"]["definition"].as_str()?.rsplit('/').next()?;
    let mut codes = Vec::new();
    all_codes(bundle, &mut codes);
    let application = codes.iter().find_map(|code| use_cases::find(code))?.application;
    let of = rules(application).iter().filter(|it| it.level == Level::Must && it.definition == definition);
    Some(of.copied().collect())
}

/// The codes of all codings that say a use case.
fn all_codes(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let system = object.get("system").and_then(Value::as_str).unwrap_or_default();
            if system.ends_with("/usecases-categories-bars") {
                found.extend(object.get("code").and_then(Value::as_str).map(str::to_owned));
            }
            object.values().for_each(|value| all_codes(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all_codes(value, found)),
        _ => {}
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Breach {
    Missing,
    OtherValue,
}

/// The worst that a message does to a rule.
fn breach(rule: &Rule, bundle: &Value) -> Option<Breach> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice).iter().map(|entry| &entry["resource"]);
    let own = std::iter::once(bundle).filter(|_| rule.resource == "Bundle");
    let of = entries.filter(|resource| resource["resourceType"] == rule.resource).chain(own);
    of.filter_map(|resource| breach_in(rule, resource)).min()
}

fn breach_in(rule: &Rule, resource: &Value) -> Option<Breach> {
    let (above, name) = rule.path.rsplit_once('.').unwrap_or(("", rule.path));
    let mut places = vec![resource];
    for part in above.split('.').filter(|part| !part.is_empty()) {
        places = places.into_iter().flat_map(|place| children(place, part)).collect();
    }
    if places.iter().any(|place| children(place, name).is_empty()) {
        return Some(Breach::Missing);
    }
    let values: Vec<_> = places.iter().flat_map(|place| children(place, name)).collect();
    let wrong = rule.value.is_some_and(|value| !values.is_empty() && !values.iter().any(|it| *it == value));
    wrong.then_some(Breach::OtherValue)
}

fn children<'a>(of: &'a Value, name: &str) -> Vec<&'a Value> {
    match of.get(name) {
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    }
}
