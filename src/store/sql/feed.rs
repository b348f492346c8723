//! What hospitals' own systems say: what was said before, whose numbers are whose, and what became of each message.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::column::{json, model};
use super::fault::Fault;
use super::session::{Row, Session, text, values};
use super::state::{appointment_find, appointment_of, patient_by_id, referral_find};
use super::{diary, journal};
use crate::booking::appointment::Appointment;
use crate::booking::feed::{FeedNeeds, FeedState, HeldBooking, Kind, Record, person_key};
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId};
use crate::booking::patient::Patient;
use crate::booking::service::Service;
use crate::issue::{Issue, Severity};
use crate::store::{FeedRow, Message, Settles};

/// Everything that the event needs and that is there. `known`: the patient with its NHS number.
pub(in crate::store) fn load(
    conn: &dyn Session,
    needs: &FeedNeeds<'_>,
    known: Option<&Patient>,
) -> Result<FeedState, Fault> {
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
fn load_originals(conn: &dyn Session, state: &mut FeedState) -> Result<(), Fault> {
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

fn load_bookings(conn: &dyn Session, needs: &FeedNeeds<'_>, state: &mut FeedState) -> Result<(), Fault> {
    let bookings = state.records.iter().filter(|record| record.kind == Kind::Booking);
    let mut wanted: Vec<AppointmentId> = bookings.clone().filter_map(|it| it.entity.map(AppointmentId)).collect();
    wanted.extend(needs.appointment);
    let moved: Vec<PatientId> = bookings.filter_map(|record| record.moved_to).collect();
    for patient in moved {
        state.moved_to.extend(patient_by_id(conn, patient)?);
    }
    let mut seen = BTreeSet::new();
    while let Some(id) = wanted.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some((appointment, referral, _)) = appointment_find(conn, id)? else { continue };
        let Some(patient) = patient_by_id(conn, appointment.patient)? else { continue };
        wanted.extend(appointment.relatives());
        let current = appointment_of(conn, referral.id)?.map(|appointment| appointment.id);
        state.bookings.push(HeldBooking { appointment, referral, patient, current });
    }
    Ok(())
}

fn load_referrals(conn: &dyn Session, needs: &FeedNeeds<'_>, state: &mut FeedState) -> Result<(), Fault> {
    let mut wanted: Vec<ReferralId> = needs.referral.into_iter().collect();
    for number in &needs.referrals {
        const SQL: &str = "SELECT referral_id FROM referral_number WHERE system = ?1 AND value = ?2";
        wanted.extend(conn.one(SQL, values![&number.system, &number.value], |row| row.get(0))?.map(ReferralId));
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

fn number_find(conn: &dyn Session, number: &Identifier) -> Result<Option<(Patient, bool)>, Fault> {
    const SQL: &str = "SELECT patient.model, merged FROM patient_number
        JOIN patient ON patient.id = patient_number.patient_id WHERE system = ?1 AND value = ?2";
    let read = |row: &dyn Row| Ok((text(row)?, row.get::<bool>(1)?));
    let found = conn.one(SQL, values![&number.system, &number.value], read)?;
    found.map(|(patient, merged)| Ok((model(&patient)?, merged))).transpose()
}

fn record_find(conn: &dyn Session, kind: Kind, key: &Identifier) -> Result<Option<Record>, Fault> {
    const SQL: &str = "SELECT model FROM feed_record WHERE kind = ?1 AND system = ?2 AND value = ?3";
    let found = conn.one(SQL, values![kind.as_str(), &key.system, &key.value], text)?;
    found.map(|record| model(&record)).transpose()
}

/// Remembers what a source said.
pub(in crate::store) fn record_write(conn: &dyn Session, record: &Record) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO feed_record (kind, system, value, model) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, system, value) DO UPDATE SET model = excluded.model",
        values!(record.kind.as_str(), &record.key.system, &record.key.value, &json(record)?),
    )
}

/// The number is this patient's. What a merge says about it is not taken back.
pub(in crate::store) fn number_write(
    conn: &dyn Session,
    number: &Identifier,
    patient: PatientId,
    merged: bool,
) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO patient_number (system, value, patient_id, merged) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (system, value) DO UPDATE SET patient_id = excluded.patient_id,
             merged = patient_number.merged | excluded.merged",
        values!(&number.system, &number.value, &patient.0, merged),
    )
}

/// A number that was given to two referrals is of the first.
pub(in crate::store) fn referral_number_write(
    conn: &dyn Session,
    number: &Identifier,
    referral: ReferralId,
) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO referral_number (system, value, referral_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        values!(&number.system, &number.value, &referral.0),
    )
}

/// What became of a message of a feed.
pub(in crate::store) fn note(
    conn: &dyn Session,
    message: &Message,
    state: &'static str,
    issues: &[&Issue],
) -> Result<(), Fault> {
    let error = message.issues.iter().chain(issues.iter().copied()).find(|issue| issue.severity == Severity::Error);
    conn.write(
        "INSERT INTO feed_message (message_id, channel, kind, state, code, place, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values!(
            &message.id,
            &message.caller,
            &message.kind,
            state,
            error.map(|issue| issue.code.id),
            error.map(|issue| issue.at.as_str()),
            message.received_at,
        ),
    )
}

/// A person settled a quarantined message by this one.
pub(in crate::store) fn settle(conn: &dyn Session, by: Uuid, settles: &Settles) -> Result<(), Fault> {
    let settled = conn.execute(
        "UPDATE feed_message SET state = ?2, settled_by = ?3 WHERE message_id = ?1 AND state = 'quarantined'",
        values![&settles.message, settles.as_what.as_str(), &by],
    )?;
    if settled == 0 {
        return Err(Fault::Refused("the message is not in quarantine"));
    }
    conn.write(
        "INSERT INTO feed_decision (message_id, who, why) VALUES (?1, ?2, ?3)",
        values!(&settles.message, &settles.who, &settles.why,),
    )
}

/// Is it in quarantine? Asked before anything is written.
pub(in crate::store) fn in_quarantine(conn: &dyn Session, message: Uuid) -> Result<bool, Fault> {
    conn.exists("SELECT 1 FROM feed_message WHERE message_id = ?1 AND state = 'quarantined'", values![&message])
}

/// Messages of feeds by state, oldest first.
pub(in crate::store) fn list(conn: &dyn Session, state: &str, limit: usize) -> Result<Vec<FeedRow>, Fault> {
    // So that the index of those in quarantine is of use.
    let filter = if state == "quarantined" { "state = 'quarantined' AND ?1 = state" } else { "state = ?1" };
    conn.all(&format!("{FEED_ROW} WHERE {filter} ORDER BY seq LIMIT ?2"), values![state, limit], feed_row)
}

/// One message of a feed.
pub(in crate::store) fn find(conn: &dyn Session, message: Uuid) -> Result<Option<FeedRow>, Fault> {
    conn.one(&format!("{FEED_ROW} WHERE message_id = ?1"), values![&message], feed_row)
}

const FEED_ROW: &str = "SELECT message_id, channel, kind, state, code, place, received_at, settled_by, who, why
    FROM feed_message LEFT JOIN feed_decision USING (message_id)";

fn feed_row(row: &dyn Row) -> Result<FeedRow, Fault> {
    Ok(FeedRow {
        message: row.get(0)?,
        channel: row.get(1)?,
        kind: row.get(2)?,
        state: row.get(3)?,
        code: row.get(4)?,
        place: row.get(5)?,
        received_at: row.get(6)?,
        settled_by: row.get(7)?,
        who: row.get(8)?,
        why: row.get(9)?,
    })
}

/// How many messages of feeds are in each state.
pub(in crate::store) fn counts(conn: &dyn Session) -> Result<Vec<(String, u64)>, Fault> {
    const SQL: &str = "SELECT state, count(*) FROM feed_message GROUP BY state ORDER BY state";
    conn.all(SQL, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}
