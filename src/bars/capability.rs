//! What this gateway offers, made from the tables that it runs by.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::definitions::{self, Definition};
use super::use_cases::{self, UseCase};
use super::workflow;
use super::{negotiate, search, systems};
use crate::booking::service::Service;
use crate::fhir::form::Form;

/// An interaction that is offered. The HTTP routes are matched from this table.
#[derive(Debug)]
pub struct Interaction {
    /// HTTP method.
    pub method: &'static str,
    /// Path below the base; `{id}` or `{type}` stands for one part.
    pub path: &'static str,
    /// What it does.
    pub kind: Kind,
    /// In words, for documentation.
    pub summary: &'static str,
}

/// What an interaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Metadata,
    MessageDefinitionSearch,
    ProcessMessage,
    SlotSearch,
    AppointmentSearch,
    AppointmentRead,
    ServiceRequestSearch,
    ServiceRequestRead,
    Validate,
    Schema,
    PatientSearch,
    PatientRead,
    PatientMatch,
    PatientLinks,
    PatientMerge,
    PatientUnmerge,
    TaskSearch,
    TaskRead,
}

/// The path that answers with something else than a FHIR resource.
pub const SCHEMA: &str = "/StructureDefinition/{id}/$schema";

/// All of them. Paths are case-sensitive.
pub static INTERACTIONS: &[Interaction] = &[
    Interaction { method: "GET", path: "/metadata", kind: Kind::Metadata, summary: "what is offered here" },
    Interaction {
        method: "GET",
        path: "/MessageDefinition",
        kind: Kind::MessageDefinitionSearch,
        summary: "what a service's messages must hold",
    },
    Interaction {
        method: "POST",
        path: "/$process-message",
        kind: Kind::ProcessMessage,
        summary: "a referral, a booking, a validation request, an update, a cancellation or a response",
    },
    Interaction { method: "GET", path: "/Slot", kind: Kind::SlotSearch, summary: "free time of a service" },
    Interaction {
        method: "GET",
        path: "/Appointment",
        kind: Kind::AppointmentSearch,
        summary: "a patient's appointments",
    },
    Interaction { method: "GET", path: "/Appointment/{id}", kind: Kind::AppointmentRead, summary: "one appointment" },
    Interaction {
        method: "GET",
        path: "/ServiceRequest",
        kind: Kind::ServiceRequestSearch,
        summary: "a patient's referrals",
    },
    Interaction {
        method: "GET",
        path: "/ServiceRequest/{id}",
        kind: Kind::ServiceRequestRead,
        summary: "one referral",
    },
    Interaction {
        method: "POST",
        path: "/$validate",
        kind: Kind::Validate,
        summary: "everything that is wrong with a resource; nothing is done with it",
    },
    Interaction {
        method: "POST",
        path: "/{type}/$validate",
        kind: Kind::Validate,
        summary: "the same of a resource of this type",
    },
    Interaction { method: "GET", path: SCHEMA, kind: Kind::Schema, summary: "a profile as a JSON Schema 2020-12" },
    Interaction {
        method: "GET",
        path: "/Patient",
        kind: Kind::PatientSearch,
        summary: "the person with an identifier (role `index`, as all that follow)",
    },
    Interaction { method: "GET", path: "/Patient/{id}", kind: Kind::PatientRead, summary: "one person" },
    Interaction {
        method: "POST",
        path: "/Patient/$match",
        kind: Kind::PatientMatch,
        summary: "who it may be: certain, probable or possible",
    },
    Interaction {
        method: "GET",
        path: "/Patient/{id}/$links",
        kind: Kind::PatientLinks,
        summary: "what links a person's records, and who said so",
    },
    Interaction {
        method: "POST",
        path: "/Patient/$merge",
        kind: Kind::PatientMerge,
        summary: "two records are one person's",
    },
    Interaction {
        method: "POST",
        path: "/Patient/{id}/$unmerge",
        kind: Kind::PatientUnmerge,
        summary: "a record is its own again, with all that came with it",
    },
    Interaction { method: "GET", path: "/Task", kind: Kind::TaskSearch, summary: "what a person has to decide" },
    Interaction { method: "GET", path: "/Task/{id}", kind: Kind::TaskRead, summary: "one entry of the worklist" },
];

/// Paths that the standard has and that are not offered.
pub static NOT_OFFERED: &[&str] = &["/DocumentReference", "/HealthcareService", "/Endpoint", "/Organization"];

/// `GET /metadata`.
pub fn capability_statement(base: &str, started: Timestamp) -> Value {
    let mut names: Vec<&str> = workflow::ROWS.iter().flat_map(|row| row.definitions).copied().collect();
    names.sort_unstable();
    names.dedup();
    let supported: Vec<Value> = definitions::ALL
        .iter()
        .filter(|it| names.contains(&it.name))
        .map(|it| json!({ "mode": "receiver", "definition": it.url() }))
        .collect();
    json!({
        "resourceType": "CapabilityStatement",
        "id": Uuid::new_v5(&Uuid::NAMESPACE_URL, base.as_bytes()).to_string(),
        "url": format!("{base}/metadata"),
        "version": negotiate::CORE_VERSION,
        "name": "Onward",
        "title": "Onward referral gateway",
        "status": "active",
        "experimental": false,
        "date": started.to_string(),
        "kind": "instance",
        "software": { "name": "Onward", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "BaRS receiver", "url": base },
        "fhirVersion": "4.0.1",
        "format": [Form::Json.media_type(), Form::Xml.media_type()],
        "rest": [{
            "mode": "server",
            "security": { "service": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                "code": "Certificates",
            }] }] },
            "resource": resources(),
            "operation": [{
                "name": "process-message",
                "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
            }, {
                "name": "validate",
                "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
            }],
        }],
        "messaging": [{
            "endpoint": [{
                "protocol": { "system": "http://terminology.hl7.org/CodeSystem/message-transport", "code": "http" },
                "address": format!("{base}/$process-message"),
            }],
            "supportedMessage": supported,
        }],
    })
}

fn resources() -> Vec<Value> {
    let kinds = ["MessageDefinition", "Slot", "Appointment", "ServiceRequest", "Patient", "Task"];
    kinds
        .iter()
        .map(|kind| {
            let offered = |path: String| INTERACTIONS.iter().any(|it| it.path == path);
            let mut interactions = Vec::new();
            if offered(format!("/{kind}/{{id}}")) {
                interactions.push(json!({ "code": "read" }));
            }
            if offered(format!("/{kind}")) {
                interactions.push(json!({ "code": "search-type" }));
            }
            let mut resource = json!({
                "type": kind,
                "interaction": interactions,
                "versioning": "no-version",
                "searchParam": search_params(kind),
            });
            if *kind == "Slot" {
                resource["searchInclude"] = json!(search::INCLUDES);
            }
            if *kind == "Patient" {
                resource["operation"] = json!([{
                    "name": "match",
                    "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match",
                }]);
            }
            resource
        })
        .collect()
}

fn search_params(kind: &str) -> Value {
    let params: &[(&str, &str)] = match kind {
        "MessageDefinition" => &[("context", "token")],
        "Slot" => &[("Schedule.actor:HealthcareService", "token"), ("start", "date"), ("status", "token")],
        "Appointment" => &[
            ("patient:identifier", "token"),
            ("patient:name", "string"),
            ("patient:birthdate", "date"),
            ("patient:address-postalcode", "string"),
        ],
        "Patient" => &[("identifier", "token")],
        "Task" => &[("status", "token")],
        _ => &[("patient:identifier", "token"), ("ServiceRequest.identifier", "token")],
    };
    params.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect()
}

/// `GET /MessageDefinition`: the definitions that a service takes, for one use case or for all of its own.
pub fn message_definitions(service: &Service, use_case: Option<&'static UseCase>) -> Vec<Value> {
    let offered: Vec<&UseCase> = use_cases::ALL.iter().filter(|it| !it.withdrawn && takes(service, it)).collect();
    let wanted: Vec<&UseCase> = offered.into_iter().filter(|it| use_case.is_none_or(|one| one == *it)).collect();
    definitions::ALL
        .iter()
        .filter_map(|definition| {
            let fitting: Vec<&UseCase> = wanted.iter().copied().filter(|it| applies(definition, it)).collect();
            (!fitting.is_empty()).then(|| resource(definition, service, &fitting))
        })
        .collect()
}

/// Does the service offer the use case?
pub fn takes(service: &Service, use_case: &UseCase) -> bool {
    service.use_cases.is_empty() || service.use_cases.iter().any(|it| it.eq_ignore_ascii_case(use_case.code))
}

/// Application 4 validates, 1, 2 and 7 book, all but 4 and 7 refer; cancellations serve all.
fn applies(definition: &Definition, use_case: &UseCase) -> bool {
    let validates = use_case.application == 4;
    match definition.name {
        name if name.contains("validation") => validates,
        name if name.contains("booking") => matches!(use_case.application, 1 | 2 | 7),
        name if name.ends_with("-cancelled") => use_case.application != 7,
        _ => !validates && use_case.application != 7,
    }
}

fn resource(definition: &Definition, service: &Service, use_cases: &[&UseCase]) -> Value {
    let context = |coding: Value| {
        json!({
            "code": { "system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "workflow" },
            "valueCodeableConcept": { "coding": [coding] },
        })
    };
    let mut contexts = vec![context(json!({ "system": systems::DOS_SERVICE, "code": service.id.0 }))];
    contexts.extend(
        use_cases
            .iter()
            .map(|it| context(json!({ "system": systems::USE_CASES, "code": it.code, "display": it.display }))),
    );
    let url = definition.url();
    let focus = [("Bundle", 1, 1), ("MessageHeader", 1, 1)].into_iter().chain(definition.resources.iter().copied());
    json!({
        "resourceType": "MessageDefinition",
        "id": Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{url}|{}", service.id).as_bytes()).to_string(),
        "url": url,
        "version": definition.version,
        "name": definition.title,
        "title": definition.title,
        "status": "active",
        "date": "2026-07-16",
        "useContext": contexts,
        "eventCoding": { "system": systems::EVENTS, "code": definition.event },
        "focus": focus.map(|(kind, min, max)| focus_item(kind, min, max)).collect::<Vec<_>>(),
    })
}

fn focus_item(kind: &str, min: usize, max: usize) -> Value {
    let max = if max == definitions::MANY { "*".to_owned() } else { max.to_string() };
    json!({ "code": kind, "min": min, "max": max })
}
