use serde_json::{Value, json};

use super::*;
use crate::issue;
use crate::profile::library::shipped;

/// All that is found, but for rules that ask for good practice only.
fn issues_of(resource: &Value) -> Issues {
    let text = resource.to_string();
    let validator = shipped();
    let limits = Limits { depth_max: 512, ..Limits::default() };
    let tape = validator.read(text.as_bytes(), &limits).unwrap();
    let mut kept = Issues::default();
    for found in validator.check(&tape, &Request::default()).issues.iter() {
        if found.severity != Severity::Information && !found.rule.ends_with("#dom-6") {
            kept.push(found.clone());
        }
    }
    kept
}

fn found(resource: &Value) -> Vec<(&'static str, String)> {
    issues_of(resource).iter().map(|issue| (issue.code.id, issue.at.clone())).collect()
}

fn one(resource: Value, code: &Code, at: &str) {
    assert_eq!(found(&resource), [(code.id, at.to_owned())], "{resource}");
}

#[test]
fn a_sound_resource_has_no_issue() {
    let patient = json!({
        "resourceType": "Patient", "id": "1", "active": true,
        "name": [{"given": ["A", null], "_given": [null, {"extension": [{"url": "urn:x", "valueCode": "y"}]}]}],
        "birthDate": "1970-01", "_birthDate": {"id": "b"}, "deceasedBoolean": false,
        "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
        "managingOrganization": {"reference": "#o"},
    });
    assert_eq!(found(&patient), []);
}

#[test]
fn resource_types_are_checked() {
    one(json!({"resourceType": "Patiant"}), &issue::RESOURCE_TYPE, "resourceType");
    one(json!({"resourceType": "DomainResource"}), &issue::RESOURCE_TYPE, "resourceType");
    one(json!({"id": "1"}), &issue::ELEMENT_MISSING, "");
    one(json!({"resourceType": 1}), &issue::ELEMENT_TYPE, "resourceType");
    one(json!([]), &issue::ELEMENT_TYPE, "");
}

#[test]
fn arrays_stand_where_elements_repeat() {
    let patient = |name: &str, value: Value| json!({"resourceType": "Patient", name: value});
    one(patient("name", json!({"family": "A"})), &issue::ELEMENT_TYPE, "Patient.name");
    one(patient("name", json!([])), &issue::ELEMENT_TYPE, "Patient.name");
    one(patient("name", json!([null])), &issue::ELEMENT_TYPE, "Patient.name[0]");
    one(patient("name", json!([{}])), &issue::ELEMENT_TYPE, "Patient.name[0]");
    one(patient("gender", json!(["male"])), &issue::ELEMENT_TYPE, "Patient.gender");
    one(patient("gender", json!(["male", "male"])), &issue::ELEMENT_REPEATS, "Patient.gender");
    one(patient("gender", json!(null)), &issue::ELEMENT_TYPE, "Patient.gender");
}

#[test]
fn halves_of_a_primitive_keep_in_step() {
    let name = |name: Value| json!({"resourceType": "Patient", "name": [name]});
    one(name(json!({"given": ["A", null]})), &issue::ELEMENT_TYPE, "Patient.name[0].given[1]");
    one(name(json!({"given": ["A"], "_given": [null, null]})), &issue::ELEMENT_TYPE, "Patient.name[0].given[1]");
    one(name(json!({"given": ["A"], "_given": {"id": "b"}})), &issue::ELEMENT_TYPE, "Patient.name[0].given");
    one(name(json!({"_family": [{"id": "b"}]})), &issue::ELEMENT_TYPE, "Patient.name[0].family");
    one(name(json!({"_period": {"id": "b"}})), &issue::ELEMENT_UNKNOWN, "Patient.name[0]._period");
    one(name(json!({"_family": {"id": "b"}})), &issue::ELEMENT_TYPE, "Patient.name[0].family");
    let extension = json!({"_family": {"extension": [{"valueCode": "a"}]}});
    one(name(extension), &issue::ELEMENT_MISSING, "Patient.name[0].family.extension[0]");
}

#[test]
fn a_choice_has_one_of_its_types() {
    let observation = |more: Value| {
        let mut all = json!({"resourceType": "Observation", "status": "final", "code": {"text": "a"}});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let both = json!({"valueString": "a", "valueInteger": 1});
    one(observation(both), &issue::ELEMENT_REPEATS, "Observation.value");
    assert_eq!(found(&observation(json!({"valueString": "a", "_valueString": {"id": "b"}}))), []);
    one(observation(json!({"valueUri": "a"})), &issue::ELEMENT_UNKNOWN, "Observation.valueUri");
    one(observation(json!({"valueQuantity": {"value": "1"}})), &issue::ELEMENT_TYPE, "Observation.value.value");
}

#[test]
fn extensions_and_references_have_content() {
    let patient = |extension: Value| json!({"resourceType": "Patient", "extension": [extension]});
    let both = json!({"url": "urn:x", "valueCode": "y", "extension": [{"url": "z", "valueCode": "y"}]});
    one(patient(both), &issue::ELEMENT_REPEATS, "Patient.extension[0]");
    one(patient(json!({"url": "urn:x"})), &issue::ELEMENT_MISSING, "Patient.extension[0]");
    one(patient(json!({"valueCode": "x"})), &issue::ELEMENT_MISSING, "Patient.extension[0]");
    let reference = |reference: Value| json!({"resourceType": "Patient", "managingOrganization": reference});
    let place = "Patient.managingOrganization";
    one(reference(json!({"type": "Organization"})), &issue::ELEMENT_MISSING, place);
    one(reference(json!({"reference": "https://x/Patient/1/_history/2"})), &issue::RESOURCE_TYPE, place);
    assert_eq!(found(&reference(json!({"reference": "urn:uuid:1"}))), []);
}

#[test]
fn required_codes_are_checked() {
    one(json!({"resourceType": "Patient", "gender": "m"}), &issue::CODE_UNKNOWN, "Patient.gender");
    let condition =
        |status: Value| json!({"resourceType": "Condition", "subject": {"display": "a"}, "clinicalStatus": status});
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    let coding = |code: &str| json!({"coding": [{"system": "urn:x", "code": "y"}, {"system": system, "code": code}]});
    assert_eq!(found(&condition(coding("active"))), []);
    one(condition(coding("x")), &issue::CODE_UNKNOWN, "Condition.clinicalStatus");
    one(condition(json!({"coding": [{"code": "active"}]})), &issue::CODE_UNKNOWN, "Condition.clinicalStatus");
    one(condition(json!({"text": "active"})), &issue::CODE_UNKNOWN, "Condition.clinicalStatus");
}

#[test]
fn a_listed_code_without_its_system_is_tolerated() {
    let status = json!({"coding": [{"code": "active"}]});
    let issues =
        issues_of(&json!({"resourceType": "Condition", "subject": {"display": "a"}, "clinicalStatus": status}));
    assert!(issues.len() == 1 && !issues.has_errors());
}

#[test]
fn contained_resources_contain_none() {
    let inner =
        json!({"resourceType": "Organization", "id": "o", "name": "O", "contained": [{"resourceType": "Location"}]});
    let patient = json!({
        "resourceType": "Patient", "contained": [inner], "managingOrganization": {"reference": "#o"},
    });
    one(patient, &issue::ELEMENT_UNKNOWN, "Patient.contained[0].contained");
}

#[test]
fn resources_in_a_bundle_are_placed() {
    let bundle = json!({"resourceType": "Bundle", "type": "message", "entry": [
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": {"resourceType": "Appointment", "status": "booked", "participant": [{}]}},
        {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002", "resource": {"resourceType": "Slot", "resourceType2": 1}},
    ]});
    let issues = issues_of(&bundle);
    let places: Vec<_> = issues.iter().map(|issue| issue.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "Bundle.entry[0].resource.participant[0]",
            "Bundle.entry[0].resource.participant[0]",
            "Bundle.entry[1].resource.resourceType2",
            "Bundle.entry[1].resource",
            "Bundle.entry[1].resource",
            "Bundle.entry[1].resource",
            "Bundle.entry[1].resource",
        ]
    );
}

#[test]
fn no_issue_holds_a_value_of_the_message() {
    let secret = "Seekrit";
    let patient = json!({
        "resourceType": "Patient", "gender": secret, "birthDate": secret, "active": secret, secret.to_owned() + " x": 1,
        "name": secret, "photo": [secret], "managingOrganization": {"reference": format!("Patient/{secret}")},
    });
    let issues = issues_of(&patient);
    assert_eq!(issues.len(), 7);
    assert!(issues.iter().all(|issue| !issue.to_string().contains(secret)));
}

#[test]
fn a_message_of_nothing_but_problems_is_not_listed_to_the_end() {
    let patient = json!({"resourceType": "Patient", "name": vec![json!(1); 10_000]});
    assert_eq!(found(&patient).len(), findings::FINDINGS_MAX + 1);
}

#[test]
fn what_can_be_read_can_be_walked() {
    let mut extension = json!({"url": "urn:x", "valueCode": "y"});
    for _ in 0..253 {
        extension = json!({"url": "urn:x", "extension": [extension]});
    }
    assert_eq!(found(&json!({"resourceType": "Patient", "extension": [extension]})), []);
}
