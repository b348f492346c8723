//! The small world of the demo: organisations, services, systems and a diary. All of it is invented.

use std::net::SocketAddr;
use std::path::Path;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::booking::identifier::{OdsCode, ServiceId};
use crate::config::{
    Config, Destination, Environment, Https, Mllp, OrganisationEntry, Organisations, ServiceEntry, Store, System,
};
use crate::tls::authority::Pki;

/// The destination that everything is delivered to.
pub(super) const PAS: &str = "pas";
/// The service that the walk-through refers to.
pub(super) const SERVICE: &str = "111111111";
/// Names of the client certificates that are made.
pub(super) const CLIENTS: &[&str] = &["gp", "nhs111", "pas"];

/// Directory of Services id, name, organisation, slots a day, days, clinicians.
const SERVICES: &[(&str, &str, &str, i64, i64, usize)] = &[
    ("111111111", "Emergency Department - Adult", "RZ9", 48, 28, 4),
    ("2222222222", "Integrated Urgent Care 111", "NZ1", 0, 0, 0),
    ("2000011147", "Urgent Treatment Centre", "RZ9", 16, 14, 1),
    ("2000011148", "Clinical Assessment Service", "NZ1", 0, 0, 0),
    ("2000072489", "Same Day Emergency Care", "RZ9", 16, 14, 1),
    ("2000088301", "Ambulance Control Room", "RZ8", 0, 0, 0),
    ("2000088302", "High Street Pharmacy", "FZ901", 16, 14, 1),
];

const ORGANISATIONS: &[(&str, &str)] = &[
    ("RZ9", "Anytown Hospitals NHS Trust"),
    ("RZ8", "Anyshire Ambulance Service"),
    ("NZ1", "Anyshire Urgent Care"),
    ("FZ901", "High Street Pharmacy"),
    ("Z99001", "Market Square Surgery"),
];

/// Where everything listens, and where the PAS is.
pub(super) struct Addresses {
    pub(super) https: SocketAddr,
    pub(super) status: SocketAddr,
    pub(super) mllp: SocketAddr,
    pub(super) pas: (String, u16),
}

/// The configuration of the demo, as it could stand in a file.
pub(super) fn config(dir: &Path, pki: &Pki, at: &Addresses) -> Config {
    Config {
        environment: Environment::Sandbox,
        store: Store { path: dir.join("onward.db"), ..Store::default() },
        https: Https {
            listen: at.https,
            host: at.https.ip().to_string(),
            cert: pki.server.cert.clone(),
            key: pki.server.key.clone(),
            client_ca: Some(pki.ca.cert.clone()),
            ..Https::default()
        },
        status: crate::config::Status { listen: at.status, ..Default::default() },
        mllp: vec![Mllp { name: "pas-feed".into(), listen: at.mllp, organisation: "RZ9".into(), ..Mllp::default() }],
        system: CLIENTS.iter().map(|name| system(name)).collect(),
        organisation: ORGANISATIONS.iter().filter_map(|(ods, name)| organisation(ods, name)).collect(),
        service: SERVICES.iter().filter_map(|(id, name, ods, ..)| service(id, name, ods)).collect(),
        destination: vec![destination(at)],
        ..Config::default()
    }
}

fn system(name: &str) -> System {
    System {
        id: name.into(),
        common_name: Some(name.into()),
        organisations: Organisations::Any,
        // One of the clients may ask who is who, so that both can be tried.
        roles: CLIENTS.first().filter(|first| **first == name).map(|_| "index".into()).into_iter().collect(),
        ..System::default()
    }
}

fn organisation(ods: &str, name: &str) -> Option<OrganisationEntry> {
    Some(OrganisationEntry { ods: OdsCode::parse(ods).ok()?, name: name.into(), closed_on: None })
}

fn service(id: &str, name: &str, ods: &str) -> Option<ServiceEntry> {
    Some(ServiceEntry {
        id: ServiceId(id.into()),
        name: name.into(),
        organisation: OdsCode::parse(ods).ok()?,
        destination: Some(PAS.into()),
        use_cases: Vec::new(),
        treatment_function: None,
        closed: false,
    })
}

fn destination(at: &Addresses) -> Destination {
    let channel = toml::toml! {
        sending_facility = "NZ1"
        receiving_application = "PAS"
        receiving_facility = "RZ9"
    };
    Destination {
        name: PAS.into(),
        host: at.pas.0.clone(),
        port: at.pas.1,
        connections: 4,
        channel,
        ..Destination::default()
    }
}

/// A diary of free slots from tomorrow on, as its owner would publish it: a FHIR Bundle.
pub(super) fn diary(now: Timestamp) -> Value {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut resources = Vec::new();
    for (id, name, _, per_day, days, clinicians) in SERVICES.iter().filter(|it| 0 < it.3) {
        resources.push(json!({
            "resourceType": "HealthcareService",
            "id": id,
            "identifier": [{ "system": "https://fhir.nhs.uk/Id/dos-service-id", "value": id }],
            "active": true,
            "name": name,
        }));
        for clinician in 0..*clinicians {
            schedule(id, clinician, today, *per_day, *days, &mut resources);
        }
    }
    let entries: Vec<Value> = resources.into_iter().map(|resource| json!({ "resource": resource })).collect();
    json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
}

fn schedule(service: &str, clinician: usize, today: Date, per_day: i64, days: i64, out: &mut Vec<Value>) {
    let name = format!("{service}/{clinician}");
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    out.push(json!({
        "resourceType": "Schedule",
        "id": id.to_string(),
        "active": true,
        "actor": [{ "reference": format!("HealthcareService/{service}") }],
    }));
    let minutes = 8 * 60 / per_day;
    for day in 1..=days {
        let Ok(date) = today.checked_add(day.days()) else { continue };
        for number in 0..per_day {
            let first = 9 * 60 + number * minutes;
            out.push(slot(&format!("{name}/{date}/{number}"), id, date, first, minutes));
        }
    }
}

fn slot(name: &str, schedule: Uuid, date: Date, first: i64, minutes: i64) -> Value {
    let moment = |minute: i64| {
        let time = Time::constant(i8::try_from(minute / 60).unwrap_or(0), i8::try_from(minute % 60).unwrap_or(0), 0, 0);
        format!("{date}T{time}+00:00")
    };
    json!({
        "resourceType": "Slot",
        "id": Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string(),
        "schedule": { "reference": format!("Schedule/{schedule}") },
        "status": "free",
        "start": moment(first),
        "end": moment(first + minutes),
    })
}
