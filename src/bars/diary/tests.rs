use serde_json::json;

use super::*;

fn entry(url: &str, resource: Value) -> Value {
    json!({"fullUrl": url, "resource": resource})
}

fn slot(id: &str, status: &str) -> Value {
    json!({
        "resourceType": "Slot", "id": id, "schedule": {"reference": "urn:uuid:2"}, "status": status,
        "start": "2026-12-01T10:00:00.000+00:00", "end": "2026-12-01T11:15:00+01:00",
    })
}

fn service() -> Value {
    let identifier = json!([{"system": "http://fhir.nhs.uk/id/dos-service-id", "value": "2000099999"}]);
    json!({
        "resourceType": "HealthcareService", "id": "s1", "identifier": identifier, "name": "Fracture clinic",
        "providedBy": {"reference": "urn:uuid:4"}, "location": [{"reference": "urn:uuid:5"}],
    })
}

fn bundle(slots: &[Value]) -> Value {
    let ods = json!([{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "RH8"}]);
    let actors = json!([{"reference": "urn:uuid:5"}, {"reference": "urn:uuid:3"}]);
    let mut entries = vec![
        entry("urn:uuid:2", json!({"resourceType": "Schedule", "id": "d1", "actor": actors})),
        entry("urn:uuid:3", service()),
        entry("urn:uuid:4", json!({"resourceType": "Organization", "id": "o1", "identifier": ods})),
        entry("urn:uuid:5", json!({"resourceType": "Location", "id": "l1"})),
    ];
    entries.extend(slots.iter().enumerate().map(|(index, slot)| entry(&format!("urn:uuid:9{index}"), slot.clone())));
    json!({"resourceType": "Bundle", "type": "searchset", "entry": entries})
}

fn complaints(issues: &Issues) -> Vec<String> {
    issues.iter().map(|issue| format!("{} {}", issue.code.id, issue.at)).collect()
}

#[test]
fn a_searchset_becomes_a_diary() {
    let (found, issues) =
        read(&bundle(&[slot("a", "free"), slot("b", "busy-tentative"), slot("c", "entered-in-error")]), None);
    assert_eq!(complaints(&issues), [""; 0]);
    let (service, _) = &found.services[0];
    assert_eq!((service.id.0.as_str(), service.organisation.as_str()), ("2000099999", "RH8"));
    assert_eq!(service.name, "Fracture clinic");
    let statuses: Vec<_> = found.slots.iter().map(|(slot, _)| slot.status.as_str()).collect();
    assert_eq!(statuses, ["free", "busy", "busy-unavailable"]);
    let first = &found.slots[0].0;
    assert_eq!(first.schedule, "d1");
    assert_eq!(first.services, [ServiceId("2000099999".into())]);
    assert_eq!(first.end.to_string(), "2026-12-01T10:15:00Z");
}

#[test]
fn references_can_be_followed_when_resources_are_served_alone() {
    let (found, _) = read(&bundle(&[slot("a", "free")]), None);
    let stored = |kind: &str| &found.directory.iter().find(|it| it.0 == kind).unwrap().2.0;
    assert!(found.slots[0].1.0.contains(r#""reference":"Schedule/d1""#));
    assert!(stored("Schedule").contains(r#""reference":"HealthcareService/s1""#));
    assert!(stored("HealthcareService").contains(r#""reference":"Location/l1""#));
    assert!(found.directory.iter().all(|it| !it.2.0.contains("urn:uuid")));
}

#[test]
fn every_mistake_of_a_slot_is_told_and_the_slot_is_left_out() {
    let broken = json!({
        "resourceType": "Slot", "status": "maybe", "start": "2026-12-01T10:00:00", "schedule": {"reference": "urn:uuid:7"},
    });
    let (found, issues) = read(&bundle(&[broken, slot("a", "free"), slot("a", "busy")]), None);
    assert_eq!(
        complaints(&issues),
        [
            "ONW-2007 Bundle.entry[4].resource.id",
            "ONW-2010 Bundle.entry[4].resource.start",
            "ONW-2007 Bundle.entry[4].resource.end",
            "ONW-2011 Bundle.entry[4].resource.status",
            "ONW-2013 Bundle.entry[4].resource.schedule.reference",
            "ONW-3015 Bundle.entry[6].resource.id",
        ]
    );
    assert_eq!(found.slots.len(), 1);
}

#[test]
fn slots_alone_need_to_be_told_their_service() {
    let mut alone = slot("a", "free");
    alone["schedule"] = json!({"reference": "Schedule/d9"});
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": alone}]});
    let (_, issues) = read(&bundle, None);
    assert_eq!(complaints(&issues), ["ONW-3014 Bundle.entry[0].resource.schedule"]);
    let (id, code) = (ServiceId("77".into()), OdsCode::parse("RH8").unwrap());
    let context = Context { service: Some(&id), organisation: Some(&code), destination: None, known: &|_| None };
    let (found, issues) = read_with(&bundle, &context);
    assert_eq!(complaints(&issues), [""; 0]);
    assert_eq!(found.slots[0].0.services, [id]);
    assert_eq!(found.services[0].0.organisation, code);
}

#[test]
fn a_known_service_stays_as_it_is() {
    let known = |id: &ServiceId| {
        Some(Service {
            id: id.clone(),
            name: "Known".into(),
            organisation: OdsCode::parse("RA4").unwrap(),
            use_cases: Vec::new(),
            treatment_function: None,
            destination: Some("pas".into()),
            closed: false,
        })
    };
    let context = Context { service: None, organisation: None, destination: None, known: &known };
    let (found, issues) = read_with(&bundle(&[slot("a", "free")]), &context);
    assert!(issues.is_empty());
    let (service, carried) = &found.services[0];
    assert_eq!((service.name.as_str(), service.destination.as_deref()), ("Known", Some("pas")));
    assert!(carried.is_some());
}

#[test]
fn a_new_service_of_nobody_is_refused() {
    let mut bundle = bundle(&[]);
    bundle["entry"][1]["resource"].as_object_mut().unwrap().remove("providedBy");
    let (found, issues) = read(&bundle, None);
    assert_eq!(complaints(&issues), ["ONW-3014 Bundle.entry[1].resource.providedBy"]);
    assert!(found.services.is_empty());
}
