//! Writing what was decided. An upsert replaces the model and never erases the resource.

use jiff::Timestamp;
use uuid::Uuid;

use super::column::{json, model};
use super::fault::Fault;
use super::search::folded;
use super::session::{Row, Session, Value, values};
use super::{diary, feed, index, number};
use crate::bars;
use crate::booking::appointment::{Appointment, AppointmentStatus, Passed};
use crate::booking::command::Carried;
use crate::booking::decision::{Change, Decision};
use crate::booking::identifier::{Identifier, PatientId, SlotId};
use crate::booking::patient::{Demographics, Patient};
use crate::booking::referral::{Origin, Referral, ReferralStatus, Worklist};
use crate::booking::slot::SlotStatus;
use crate::store::Message;

/// All of a decision's changes, in their order.
pub(in crate::store) fn changes(conn: &dyn Session, message: &Message, decision: &Decision) -> Result<(), Fault> {
    // A booking goes to another patient together with its referral.
    let moves = |change: &Change| match change {
        Change::Record(record) => record.moved_to.is_some(),
        Change::Link(_) => true,
        _ => false,
    };
    if decision.changes.iter().any(moves) {
        conn.defer_keys()?;
    }
    decision.changes.iter().try_for_each(|change| match change {
        Change::Patient(patient) => patient_write(conn, patient),
        Change::Referral { referral, worklist, carried } => referral_write(conn, referral, *worklist, carried.as_ref()),
        Change::Appointment { appointment, carried } => appointment_write(conn, appointment, carried.as_ref()),
        Change::Slot { id, status } => slot_mark(conn, id, *status),
        Change::Diary(diary) => diary::publish(conn, diary),
        Change::Record(record) => feed::record_write(conn, record),
        Change::Number { number, patient, merged } => feed::number_write(conn, number, *patient, *merged),
        Change::Link(link) => index::link_write(conn, message, link),
        Change::Home { referral, record } => index::home_write(conn, *referral, *record),
        Change::Task(task) => index::task_write(conn, message, task),
        Change::Created => index::created_write(conn, message),
        Change::Retired { number, newer } => number::retired_write(conn, message, *number, *newer),
        Change::ReferralNumber { number, referral } => feed::referral_number_write(conn, number, *referral),
        // The answer writes it, as a letter.
        Change::Tell(_) => Ok(()),
    })
}

fn patient_write(conn: &dyn Session, patient: &Patient) -> Result<(), Fault> {
    let who = &patient.demographics;
    let family = who.name().and_then(|name| name.family.as_deref()).map(folded::family);
    let written = conn.one(
        "INSERT INTO patient (id, nhs_number, family, birth_date, postal_code, model) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET nhs_number = excluded.nhs_number, family = excluded.family,
             birth_date = excluded.birth_date, postal_code = excluded.postal_code, model = excluded.model
         RETURNING seq, keys",
        values![
            &patient.id.0,
            patient.nhs_number.as_ref().map(|number| number.as_str()),
            family.as_deref(),
            who.birth_date.as_deref(),
            home_postal_code(who).as_deref(),
            &json(patient)?,
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let (seq, keys) = written.ok_or(Fault::Broken("a patient was not written"))?;
    index::keys_write(conn, seq, keys, patient)
}

fn home_postal_code(who: &Demographics) -> Option<String> {
    let home = who.addresses.iter().find(|address| address.usage.as_deref() == Some("home"));
    home.or(who.addresses.first())?.postal_code.as_deref().map(folded::postal_code)
}

fn referral_write(
    conn: &dyn Session,
    referral: &Referral,
    worklist: Option<Worklist>,
    carried: Option<&(Carried, PatientId)>,
) -> Result<(), Fault> {
    const RESOURCE: &str = "SELECT resource, patient_id FROM referral WHERE id = ?1";
    let resource = match carried {
        Some(carried) => Some(named(addressed(carried, referral.patient), referral.id.0, &referral.origin)?),
        None => restated(conn, RESOURCE, referral.id.0, &Restated::of_referral(referral))?,
    };
    write(
        conn,
        "INSERT INTO referral (id, patient_id, service_id, category, status, worklist, model, resource)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        "UPDATE referral SET patient_id = ?2, service_id = ?3, category = ?4, status = ?5, worklist = ?6, model = ?7,
             resource = coalesce(?8, resource) WHERE id = ?1",
        values![
            &referral.id.0,
            &referral.patient.0,
            &referral.service.0,
            referral.category.as_str(),
            status_column(referral.status),
            worklist.map(Worklist::as_str),
            &json(referral)?,
            resource.as_deref(),
        ],
    )?;
    let ubrn = referral.ubrn.as_ref().map(Identifier::from);
    ubrn.map_or(Ok(()), |ubrn| feed::referral_number_write(conn, &ubrn, referral.id))
}

/// Inserts the row, or replaces it. (In one statement, with its foreign keys, SQLite would copy every page first.)
fn write(conn: &dyn Session, insert: &str, update: &str, params: &[Value<'_>]) -> Result<(), Fault> {
    if conn.execute(insert, params)? == 0 { conn.write(update, params) } else { Ok(()) }
}

/// FHIR has no word of its own for a referral that is still to come; the table does.
fn status_column(status: ReferralStatus) -> &'static str {
    match status {
        ReferralStatus::Awaited => "awaited",
        other => other.as_str(),
    }
}

fn appointment_write(
    conn: &dyn Session,
    appointment: &Appointment,
    carried: Option<&(Carried, PatientId)>,
) -> Result<(), Fault> {
    const RESOURCE: &str = "SELECT resource, patient_id FROM appointment WHERE id = ?1";
    let resource = match carried {
        Some(carried) => Some(named(addressed(carried, appointment.patient), appointment.id.0, &appointment.origin)?),
        None => {
            let held = restated(conn, RESOURCE, appointment.id.0, &Restated::of_appointment(appointment))?;
            held.map_or_else(|| begun(conn, appointment), |held| Ok(Some(held)))?
        }
    };
    write(
        conn,
        "INSERT INTO appointment (id, referral_id, patient_id, service_id, slot_id, status, start, model, resource)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
        "UPDATE appointment SET referral_id = ?2, patient_id = ?3, service_id = ?4, slot_id = ?5, status = ?6,
             start = ?7, model = ?8, resource = coalesce(?9, resource) WHERE id = ?1",
        values![
            &appointment.id.0,
            &appointment.referral.0,
            &appointment.patient.0,
            &appointment.service.0,
            appointment.slot.as_ref().map(|slot| &slot.0),
            appointment.status.as_str(),
            appointment.start,
            &json(appointment)?,
            resource.as_deref(),
        ],
    )
}

/// What readers see of an appointment that took another patient's place, until somebody says more of it.
fn begun(conn: &dyn Session, appointment: &Appointment) -> Result<Option<String>, Fault> {
    const KNOWN: &str = "SELECT 1 FROM appointment WHERE id = ?1 AND resource IS NOT NULL";
    let begins =
        matches!(appointment.passed, Some(Passed::From(_))) && !conn.exists(KNOWN, values![&appointment.id.0])?;
    Ok(begins.then(|| bars::appointment::plain(appointment).to_string()))
}

/// The sender's resource, naming the patient record that it turned out to be about.
fn addressed((carried, placeholder): &(Carried, PatientId), patient: PatientId) -> String {
    if *placeholder == patient {
        return carried.0.clone();
    }
    carried.0.replace(&placeholder.to_string(), &patient.to_string())
}

/// With its id. What a referrer sent has it already; what is made of a hospital's message is made before its id is known.
fn named(resource: String, id: Uuid, origin: &Origin) -> Result<String, Fault> {
    if !origin.reply_to.is_empty() {
        return Ok(resource);
    }
    let mut resource: serde_json::Map<String, serde_json::Value> = model(&resource)?;
    resource.insert("id".to_owned(), id.to_string().into());
    json(&resource)
}

/// What a resource that is held must say now, whoever sent it.
struct Restated<'a> {
    status: &'static str,
    /// Why an appointment is cancelled, where it is and somebody said why.
    reason: Option<&'a str>,
    /// First and last instant of an appointment.
    time: Option<(Timestamp, Timestamp)>,
    patient: Uuid,
}

impl<'a> Restated<'a> {
    fn of_referral(referral: &Referral) -> Self {
        Self { status: referral.status.as_str(), reason: None, time: None, patient: referral.patient.0 }
    }

    fn of_appointment(appointment: &'a Appointment) -> Self {
        let time = Some((appointment.start, appointment.end));
        let reason = appointment.cancel_reason.as_deref().filter(|_| appointment.status.has_reason());
        Self { status: appointment.status.as_str(), reason, time, patient: appointment.patient.0 }
    }
}

/// The resource as it is held, with the status, reason, time and patient that it has now, so that readers see them.
/// `None`: none is held, or it says so already.
fn restated(conn: &dyn Session, sql: &str, id: Uuid, now: &Restated<'_>) -> Result<Option<String>, Fault> {
    let read = |row: &dyn Row| Ok((row.get::<Option<String>>(0)?, row.get::<Uuid>(1)?));
    let held = conn.one(sql, values![&id], read)?;
    let Some((Some(held), owner)) = held else { return Ok(None) };
    let moved = owner != now.patient;
    let held = if moved { held.replace(&owner.to_string(), &now.patient.to_string()) } else { held };
    let mut resource: serde_json::Map<String, serde_json::Value> = model(&held)?;
    let before = resource.insert("status".to_owned(), now.status.into());
    let mut changed = before.as_ref().and_then(serde_json::Value::as_str) != Some(now.status);
    for (name, instant) in now.time.iter().flat_map(|(start, end)| [("start", start), ("end", end)]) {
        changed |= restate_instant(&mut resource, name, *instant);
    }
    changed |= restate_reason(&mut resource, now);
    // Where only the patient is another one, every other byte stays.
    if changed { json(&resource).map(Some) } else { Ok(moved.then_some(held)) }
}

/// A reason goes with the cancellation that it is for; what the sender said of it besides words stays with it.
fn restate_reason(resource: &mut serde_json::Map<String, serde_json::Value>, now: &Restated<'_>) -> bool {
    const REASON: &str = "cancelationReason";
    let Some(reason) = now.reason else {
        return now.status != AppointmentStatus::Cancelled.as_str() && resource.remove(REASON).is_some();
    };
    let concept = resource.entry(REASON).or_insert_with(|| serde_json::json!({}));
    let Some(concept) = concept.as_object_mut() else { return false };
    let said = concept.get("text").and_then(serde_json::Value::as_str) == Some(reason);
    let coded = concept.get("coding").is_some_and(|codings| {
        codings.as_array().into_iter().flatten().any(|coding| coding["display"].as_str() == Some(reason))
    });
    if said || coded {
        return false;
    }
    concept.insert("text".to_owned(), reason.into());
    true
}

/// The instant in the sender's own form where it is the same one; nothing where the resource does not say it.
fn restate_instant(resource: &mut serde_json::Map<String, serde_json::Value>, name: &str, instant: Timestamp) -> bool {
    let Some(said) = resource.get(name).and_then(serde_json::Value::as_str) else { return false };
    if said.parse::<Timestamp>().ok() == Some(instant) {
        return false;
    }
    resource.insert(name.to_owned(), instant.to_string().into());
    true
}

fn slot_mark(conn: &dyn Session, id: &SlotId, status: SlotStatus) -> Result<(), Fault> {
    conn.write("UPDATE slot SET status = ?2 WHERE id = ?1", values!(&id.0, status.as_str()))
}
