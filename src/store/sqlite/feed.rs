//! What hospitals' own systems say: what was said before, whose numbers are whose, and what became of each message.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::column::{id, id_maybe, instant, json, model};
use super::fault::Fault;
use super::state::{appointment_find, appointment_of, one, patient_by_id, referral_find, text};
use super::{diary, journal};
use crate::booking::appointment::Appointment;
use crate::booking::feed::{FeedNeeds, FeedState, HeldBooking, Kind, Record, person_key};
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId};
use crate::booking::patient::Patient;
use crate::booking::service::Service;
use crate::issue::{Issue, Severity};
use crate::store::{FeedRow, Message, Settles};

/// Everything that the event needs and that is there. `known`: the patient with its NHS number.
pub(super) fn load(conn: &Connection, needs: &FeedNeeds<'_>, known: Option<&Patient>) -> Result<FeedState, Fault> {
    let mut state = FeedState::default();
    for number in &needs.numbers {
        if let Some((patient, merged)) = number_find(conn, number)? {
            state.numbers.push(((*number).clone(), patient, merged));
        }
    }
    let people: Vec<PatientId> = people(&state, known);
    for person in &people {
        state.records.extend(record_find(conn, Kind::Person, &person_key(*person))?);
    }
    for (kind, key) in &needs.records {
        state.records.extend(record_find(conn, *kind, key)?);
    }
    load_bookings(conn, needs, &mut state)?;
    load_referrals(conn, needs, &mut state)?;
    load_originals(conn, &mut state)?;
    Ok(state)
}

/// What a message to whoever made a booking or a referral is made of.
fn load_originals(conn: &Connection, state: &mut FeedState) -> Result<(), Fault> {
    let (mut services, mut originals) = (Vec::<Service>::new(), Vec::<(String, Vec<u8>)>::new());
    for (origin, service) in state.of_referrers() {
        if services.iter().all(|it| it.id != *service) {
            services.extend(diary::service_find(conn, service)?);
        }
        if originals.iter().all(|(bundle, _)| *bundle != origin.bundle) {
            let body = journal::body_of(conn, &origin.bundle, &origin.correlation)?;
            originals.extend(body.map(|body| (origin.bundle.clone(), body)));
        }
    }
    (state.services, state.originals) = (services, originals);
    Ok(())
}

/// The records that the event may be about, each once.
fn people(state: &FeedState, known: Option<&Patient>) -> Vec<PatientId> {
    let mut people: Vec<PatientId> = known.map(|patient| patient.id).into_iter().collect();
    for (_, patient, _) in &state.numbers {
        if !people.contains(&patient.id) {
            people.push(patient.id);
        }
    }
    people
}

fn load_bookings(conn: &Connection, needs: &FeedNeeds<'_>, state: &mut FeedState) -> Result<(), Fault> {
    let bookings = state.records.iter().filter(|record| record.kind == Kind::Booking);
    let mut wanted: Vec<AppointmentId> = bookings.clone().filter_map(|it| it.entity.map(AppointmentId)).collect();
    wanted.extend(needs.appointment);
    wanted.sort();
    wanted.dedup();
    let moved: Vec<PatientId> = bookings.filter_map(|record| record.moved_to).collect();
    for patient in moved {
        state.moved_to.extend(patient_by_id(conn, patient)?);
    }
    for wanted in wanted {
        let Some((appointment, referral, _)) = appointment_find(conn, wanted)? else { continue };
        let Some(patient) = patient_by_id(conn, appointment.patient)? else { continue };
        let current = appointment_of(conn, referral.id)?.map(|appointment| appointment.id);
        state.bookings.push(HeldBooking { appointment, referral, patient, current });
    }
    Ok(())
}

fn load_referrals(conn: &Connection, needs: &FeedNeeds<'_>, state: &mut FeedState) -> Result<(), Fault> {
    let mut wanted: Vec<ReferralId> = needs.referral.into_iter().collect();
    for number in &needs.referrals {
        const SQL: &str = "SELECT referral_id FROM referral_number WHERE system = ?1 AND value = ?2";
        wanted.extend(one(conn, SQL, &[&number.system, &number.value], |row| id(row, 0))?.map(ReferralId));
    }
    let records = state.records.iter().filter(|record| record.kind == Kind::Referral);
    wanted.extend(records.filter_map(|record| record.entity.map(ReferralId)));
    let mut seen = Vec::new();
    for wanted in wanted {
        if seen.contains(&wanted) {
            continue;
        }
        seen.push(wanted);
        if let Some((referral, _)) = referral_find(conn, wanted)? {
            let Some(patient) = patient_by_id(conn, referral.patient)? else { continue };
            let booked: Option<Appointment> = appointment_of(conn, wanted)?;
            state.referrals.push((referral, patient, booked));
        }
    }
    Ok(())
}

fn number_find(conn: &Connection, number: &Identifier) -> Result<Option<(Patient, bool)>, Fault> {
    const SQL: &str = "SELECT patient.model, merged FROM patient_number
        JOIN patient ON patient.id = patient_number.patient_id WHERE system = ?1 AND value = ?2";
    let read = |row: &Row<'_>| Ok((text(row)?, row.get::<_, bool>(1)?));
    let found = one(conn, SQL, &[&number.system, &number.value], read)?;
    found.map(|(patient, merged)| Ok((model(&patient)?, merged))).transpose()
}

fn record_find(conn: &Connection, kind: Kind, key: &Identifier) -> Result<Option<Record>, Fault> {
    const SQL: &str = "SELECT model FROM feed_record WHERE kind = ?1 AND system = ?2 AND value = ?3";
    let found = one(conn, SQL, &[&kind.as_str(), &key.system, &key.value], text)?;
    found.map(|record| model(&record)).transpose()
}

/// Remembers what a source said.
pub(super) fn record_write(conn: &Connection, record: &Record) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO feed_record (kind, system, value, model) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET model = excluded.model",
    )?
    .execute((record.kind.as_str(), &record.key.system, &record.key.value, json(record)?))?;
    Ok(())
}

/// The number is this patient's. What a merge says about it is not taken back.
pub(super) fn number_write(
    conn: &Connection,
    number: &Identifier,
    patient: PatientId,
    merged: bool,
) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO patient_number (system, value, patient_id, merged) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET patient_id = excluded.patient_id, merged = max(merged, excluded.merged)",
    )?
    .execute((&number.system, &number.value, patient.0.as_bytes(), merged))?;
    Ok(())
}

/// Until the end of the transaction.
pub(super) fn defer_keys(conn: &Connection) -> Result<(), Fault> {
    Ok(conn.pragma_update(None, "defer_foreign_keys", true)?)
}

/// A number that was given to two referrals is of the first.
pub(super) fn referral_number_write(conn: &Connection, number: &Identifier, referral: ReferralId) -> Result<(), Fault> {
    conn.prepare_cached("INSERT OR IGNORE INTO referral_number (system, value, referral_id) VALUES (?1, ?2, ?3)")?
        .execute((&number.system, &number.value, referral.0.as_bytes()))?;
    Ok(())
}

/// What became of a message of a feed.
pub(super) fn note(conn: &Connection, message: &Message, state: &'static str, issues: &[&Issue]) -> Result<(), Fault> {
    let error = message.issues.iter().chain(issues.iter().copied()).find(|issue| issue.severity == Severity::Error);
    conn.prepare_cached(
        "INSERT INTO feed_message (message_id, channel, kind, state, code, place, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        message.id.as_bytes(),
        &message.caller,
        &message.kind,
        state,
        error.map(|issue| issue.code.id),
        error.map(|issue| issue.at.as_str()),
        message.received_at.as_microsecond(),
    ))?;
    Ok(())
}

/// A person settled a quarantined message by this one.
pub(super) fn settle(conn: &Connection, by: Uuid, settles: &Settles) -> Result<(), Fault> {
    let mut settle = conn.prepare_cached(
        "UPDATE feed_message SET state = ?2, settled_by = ?3 WHERE message_id = ?1 AND state = 'quarantined'",
    )?;
    if settle.execute((settles.message.as_bytes(), settles.as_what.as_str(), by.as_bytes()))? == 0 {
        return Err(Fault::Refused("the message is not in quarantine"));
    }
    conn.prepare_cached("INSERT INTO feed_decision (message_id, who, why) VALUES (?1, ?2, ?3)")?.execute((
        settles.message.as_bytes(),
        &settles.who,
        &settles.why,
    ))?;
    Ok(())
}

/// Is it in quarantine? Asked before anything is written.
pub(super) fn in_quarantine(conn: &Connection, message: Uuid) -> Result<bool, Fault> {
    let mut find = conn.prepare_cached("SELECT 1 FROM feed_message WHERE message_id = ?1 AND state = 'quarantined'")?;
    Ok(find.exists([message.as_bytes()])?)
}

/// Messages of feeds by state, oldest first.
pub(super) fn list(conn: &Connection, state: &str, limit: usize) -> Result<Vec<FeedRow>, Fault> {
    // So that the index of those in quarantine is of use.
    let filter = if state == "quarantined" { "state = 'quarantined' AND ?1 = state" } else { "state = ?1" };
    let mut list = conn.prepare_cached(&format!("{FEED_ROW} WHERE {filter} ORDER BY seq LIMIT ?2"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(list.query_map((state, limit), feed_row)?.collect::<Result<_, _>>()?)
}

/// One message of a feed.
pub(super) fn find(conn: &Connection, message: Uuid) -> Result<Option<FeedRow>, Fault> {
    let mut find = conn.prepare_cached(&format!("{FEED_ROW} WHERE message_id = ?1"))?;
    Ok(find.query_row([message.as_bytes()], feed_row).optional()?)
}

const FEED_ROW: &str = "SELECT message_id, channel, kind, state, code, place, received_at, settled_by, who, why
    FROM feed_message LEFT JOIN feed_decision USING (message_id)";

fn feed_row(row: &Row<'_>) -> rusqlite::Result<FeedRow> {
    Ok(FeedRow {
        message: id(row, 0)?,
        channel: row.get(1)?,
        kind: row.get(2)?,
        state: row.get(3)?,
        code: row.get(4)?,
        place: row.get(5)?,
        received_at: instant(row, 6)?,
        settled_by: id_maybe(row, 7)?,
        who: row.get(8)?,
        why: row.get(9)?,
    })
}

/// How many messages of feeds are in each state.
pub(super) fn counts(conn: &Connection) -> Result<Vec<(String, u64)>, Fault> {
    let mut list = conn.prepare_cached("SELECT state, count(*) FROM feed_message GROUP BY state ORDER BY state")?;
    let rows = list.query_map((), |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
