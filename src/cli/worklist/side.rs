//! What an entry of the worklist is about, in words.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::booking::appointment::Appointment;
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId};
use crate::booking::index::{Task, TaskKind};
use crate::booking::patient::{Demographics, Patient};
use crate::booking::referral::Referral;
use crate::store::Store;

/// What one side says about something, under the name that the evidence has for it.
pub(super) type Fact = (&'static str, String);

/// One of the two.
pub(super) struct Side {
    /// What is shown.
    pub(super) facts: Vec<Fact>,
    /// All of it.
    pub(super) whole: Value,
}

/// The two that it is about, as they are held now; none where it is about a source.
pub(super) fn both(store: &dyn Store, task: &Task) -> anyhow::Result<Vec<Side>> {
    let found = [task.pair.0, task.pair.1].map(|id| one(store, task.kind, id));
    found.into_iter().filter_map(Result::transpose).collect()
}

fn one(store: &dyn Store, kind: TaskKind, id: Uuid) -> anyhow::Result<Option<Side>> {
    match kind {
        TaskKind::SamePerson => {
            let records = store.patient_records(PatientId(id))?;
            records.iter().find(|it| it.id.0 == id).map(|it| side(of_record(it), it)).transpose()
        }
        TaskKind::SameReferral => {
            store.referral_find(ReferralId(id))?.map(|it| side(of_referral(&it), &it)).transpose()
        }
        TaskKind::SameAppointment => {
            store.appointment_find(AppointmentId(id))?.map(|it| side(of_appointment(&it), &it)).transpose()
        }
        TaskKind::CreateRate => Ok(None),
    }
}

fn side(facts: Vec<Fact>, whole: &impl Serialize) -> anyhow::Result<Side> {
    Ok(Side { facts, whole: serde_json::to_value(whole)? })
}

/// What a record says, under the names of the matcher's fields.
fn of_record(record: &Patient) -> Vec<Fact> {
    let who: &Demographics = &record.demographics;
    let name = who.name().cloned().unwrap_or_default();
    let (given, middle) = name.given.split_first().map(|(a, b)| (a.clone(), b.join(" "))).unwrap_or_default();
    let home = who.addresses.first().cloned().unwrap_or_default();
    let reached = |system: &str| {
        let of = who.telecoms.iter().filter(|it| it.system.as_deref() == Some(system));
        of.filter_map(|it| it.value.clone()).collect::<Vec<_>>().join(", ")
    };
    let numbers = who.identifiers.iter().map(|it| format!("{}|{}", it.system, it.value)).collect::<Vec<_>>();
    let place = home.lines.iter().chain(&home.city).chain(&home.postal_code).cloned().collect::<Vec<_>>();
    vec![
        ("record", record.id.to_string()),
        ("nhs_number", record.nhs_number.map(|number| number.as_str().to_owned()).unwrap_or_default()),
        ("given_name", given),
        ("middle_name", middle),
        ("family_name", name.family.unwrap_or_default()),
        ("birth_date", who.birth_date.clone().unwrap_or_default()),
        ("gender", who.gender.map(|it| format!("{it:?}").to_lowercase()).unwrap_or_default()),
        ("home", if who.restricted { "restricted".to_owned() } else { place.join(", ") }),
        ("phone", if who.restricted { "restricted".to_owned() } else { reached("phone") }),
        ("email", if who.restricted { "restricted".to_owned() } else { reached("email") }),
        ("gp_practice", who.practice.as_ref().map(|it| it.as_str().to_owned()).unwrap_or_default()),
        ("numbers", numbers.join(", ")),
    ]
}

fn of_referral(referral: &Referral) -> Vec<Fact> {
    let reasons = referral.reasons.iter().map(|it| format!("{} {}", it.code, it.display).trim().to_owned());
    let referrer = [
        referral.requester.organisation.as_ref().map(|it| it.as_str()),
        referral.requester.organisation_name.as_deref(),
    ];
    let written = referral.authored_on.unwrap_or(referral.received_at);
    vec![
        ("referral", referral.id.to_string()),
        ("record", referral.patient.to_string()),
        ("status", referral.status.as_str().to_owned()),
        ("number", all(&referral.numbers().collect::<Vec<_>>())),
        ("service", referral.service.0.clone()),
        ("category", referral.category.as_str().to_owned()),
        ("priority", referral.priority.map(|it| format!("{it:?}").to_lowercase()).unwrap_or_default()),
        ("reason", reasons.chain(referral.reason_text.clone()).collect::<Vec<_>>().join(", ")),
        ("referrer", referrer.into_iter().flatten().collect::<Vec<_>>().join(" ")),
        ("time", format!("{written:.0}")),
    ]
}

fn of_appointment(appointment: &Appointment) -> Vec<Fact> {
    vec![
        ("appointment", appointment.id.to_string()),
        ("record", appointment.patient.to_string()),
        ("status", appointment.status.as_str().to_owned()),
        ("number", all(&appointment.identifiers)),
        ("service", appointment.service.0.clone()),
        ("time", format!("{:.0} to {:.0}", appointment.start, appointment.end)),
        ("description", appointment.description.clone().unwrap_or_default()),
    ]
}

fn all(numbers: &[Identifier]) -> String {
    numbers.iter().map(|it| format!("{}|{}", it.system, it.value)).collect::<Vec<_>>().join(", ")
}
