//! What became of each element of a message: held by the model, or carried in the original only.
//! Nothing is lost either way; this says what the other side of the gateway can know.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fhir::view::{items, resource_type};

/// Elements that the model holds, by resource type. An element means everything below it.
static HELD: &[(&str, &[&str])] = &[
    ("MessageHeader", &["eventCoding", "reason", "destination", "source.endpoint", "sender", "focus", "definition", "response.identifier"]),
    ("ServiceRequest", &[
        "id", "meta.lastUpdated", "status", "intent", "category", "priority", "subject", "authoredOn", "occurrencePeriod",
        "requester", "reasonCode", "patientInstruction", "identifier", "basedOn", "replaces", "supportingInfo",
    ]),
    ("Appointment", &[
        "id", "meta.lastUpdated", "status", "serviceCategory", "description", "start", "end", "slot", "created",
        "participant", "basedOn", "identifier", "cancelationReason",
    ]),
    ("Patient", &[
        "id", "meta.lastUpdated", "identifier", "name", "gender", "birthDate", "address", "telecom",
        "contact.telecom", "generalPractitioner",
    ]),
    ("Organization", &["identifier", "name"]),
    ("Practitioner", &["identifier", "name"]),
    ("PractitionerRole", &["practitioner", "organization"]),
    ("Slot", &["id"]),
    ("Encounter", &["status"]),
    ("CarePlan", &["status"]),
    ("Consent", &["scope", "category", "policyRule"]),
];

/// Elements of one resource type, each with how often it occurs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Held by the model: `Patient.name.family`.
    pub mapped: BTreeMap<String, usize>,
    /// In the original only.
    pub carried: BTreeMap<String, usize>,
}

/// Reports on every element with a value in every resource of a Bundle.
pub fn report(bundle: &Value) -> Report {
    let mut report = Report::default();
    for resource in items(bundle, "entry").iter().filter_map(|entry| entry.get("resource")) {
        let Some(kind) = resource_type(resource) else { continue };
        let held = HELD.iter().find(|(held, _)| *held == kind).map_or(&[] as &[&str], |(_, elements)| elements);
        walk(resource, kind, "", held, &mut report);
    }
    report
}

fn walk(value: &Value, kind: &str, path: &str, held: &[&str], report: &mut Report) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter().filter(|(name, _)| *name != "resourceType") {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(member, kind, &path, held, report);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, kind, path, held, report)),
        _ => {
            let under = |element: &&&str| path.strip_prefix(**element).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            let list = if held.iter().any(|element| under(&element)) { &mut report.mapped } else { &mut report.carried };
            *list.entry(format!("{kind}.{path}")).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let bundle = json!({ "entry": [{ "resource": {
            "resourceType": "Patient", "birthDate": "1974-12-25", "name": [{ "family": "A", "given": ["B", "C"] }],
            "communication": [{ "preferred": true }],
        }}]});
        let report = report(&bundle);
        assert_eq!(report.mapped.iter().map(|(path, count)| format!("{path} {count}")).collect::<Vec<_>>(), [
            "Patient.birthDate 1", "Patient.name.family 1", "Patient.name.given 2",
        ]);
        assert_eq!(report.carried.keys().collect::<Vec<_>>(), ["Patient.communication.preferred"]);
    }
}
