//! Reading what a command touches, in the transaction that will make its decision durable.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use super::column::model;
use super::fault::Fault;
use super::{diary, feed, index, journal, twins};
use crate::booking::appointment::Appointment;
use crate::booking::command::Needs;
use crate::booking::decision::{Rules, State};
use crate::booking::identifier::{AppointmentId, PatientId, ReferralId, ServiceId};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::Patient;
use crate::booking::referral::Referral;
use crate::store::Message;

/// Everything that the command needs and that is there.
pub(super) fn load(conn: &Connection, rules: Rules, needs: &Needs<'_>, message: &Message) -> Result<State, Fault> {
    let mut state = State { rules, ..State::default() };
    load_named(conn, needs, &mut state)?;
    if let Some(referral) = referral_id(conn, needs)? {
        state.referral = referral_find(conn, referral)?;
        state.referral_appointment = appointment_of(conn, referral)?;
    }
    if let Some(wanted) = &needs.feed {
        state.feed = feed::load(conn, wanted, state.patient.as_ref())?;
    }
    index::load(conn, &needs.index, message, &mut state)?;
    twins::load(conn, &needs.twins, &mut state)?;
    if let Some(service) = needs.service {
        for patient in state.people() {
            state.referrals.extend(referrals_live(conn, patient, service)?);
            state.appointments.extend(appointments_current(conn, patient, service)?);
        }
    }
    Ok(state)
}

fn load_named(conn: &Connection, needs: &Needs<'_>, state: &mut State) -> Result<(), Fault> {
    if let Some(service) = needs.service {
        state.service = diary::service_find(conn, service)?;
    }
    if let Some(number) = needs.nhs_number {
        state.patient = patient_find(conn, number)?;
    }
    if let Some(appointment) = needs.appointment {
        state.appointment = appointment_find(conn, appointment)?;
    }
    if let Some(slot) = needs.slot {
        state.slot = diary::slot_find(conn, slot)?;
    }
    if let Some((bundle, correlation)) = needs.fresh_bundle {
        state.bundle_used = journal::bundle_is_used(conn, bundle, correlation)?;
    }
    Ok(())
}

fn referral_id(conn: &Connection, needs: &Needs<'_>) -> Result<Option<ReferralId>, Fault> {
    match (needs.referral, needs.answered) {
        (None, Some(bundle)) => Ok(journal::referral_of(conn, bundle)?.map(ReferralId)),
        (named, _) => Ok(named),
    }
}

fn patient_find(conn: &Connection, number: NhsNumber) -> Result<Option<Patient>, Fault> {
    let found = one(conn, "SELECT model FROM patient WHERE nhs_number = ?1", &[&number.as_str()], text)?;
    found.map(|patient| model(&patient)).transpose()
}

/// A patient by its id.
pub(super) fn patient_by_id(conn: &Connection, id: PatientId) -> Result<Option<Patient>, Fault> {
    let found = one(conn, "SELECT model FROM patient WHERE id = ?1", &[id.0.as_bytes()], text)?;
    found.map(|patient| model(&patient)).transpose()
}

/// A referral and the record that it came with.
pub(super) fn referral_find(conn: &Connection, id: ReferralId) -> Result<Option<(Referral, Patient)>, Fault> {
    const SQL: &str = "SELECT referral.model, patient.model FROM referral
        JOIN patient ON patient.id = coalesce(referral.record_id, referral.patient_id) WHERE referral.id = ?1";
    let found = one(conn, SQL, &[id.0.as_bytes()], |row| Ok((text(row)?, row.get::<_, String>(1)?)))?;
    found.map(|(referral, patient)| Ok((model(&referral)?, model(&patient)?))).transpose()
}

/// The current appointment of a referral.
pub(super) fn appointment_of(conn: &Connection, id: ReferralId) -> Result<Option<Appointment>, Fault> {
    const SQL: &str = "SELECT model FROM appointment WHERE referral_id = ?1 AND status IN ('booked', 'arrived')";
    one(conn, SQL, &[id.0.as_bytes()], text)?.map(|appointment| model(&appointment)).transpose()
}

/// An appointment, its referral and the record that this came with.
pub(super) fn appointment_find(
    conn: &Connection,
    id: AppointmentId,
) -> Result<Option<(Appointment, Referral, Patient)>, Fault> {
    const SQL: &str = "SELECT model, referral_id FROM appointment WHERE id = ?1";
    let found = one(conn, SQL, &[id.0.as_bytes()], |row| Ok((text(row)?, super::column::id(row, 1)?)))?;
    let Some((appointment, referral)) = found else { return Ok(None) };
    let held = referral_find(conn, ReferralId(referral))?;
    let (referral, patient) = held.ok_or(Fault::Broken("an appointment's referral is missing"))?;
    Ok(Some((model(&appointment)?, referral, patient)))
}

fn referrals_live(conn: &Connection, patient: PatientId, service: &ServiceId) -> Result<Vec<Referral>, Fault> {
    const SQL: &str = "SELECT model FROM referral WHERE patient_id = ?1 AND service_id = ?2
        AND status IN ('awaited', 'active', 'on-hold') ORDER BY seq";
    let found = all(conn, SQL, &[patient.0.as_bytes(), &service.0])?;
    found.iter().map(|referral| model(referral)).collect()
}

fn appointments_current(conn: &Connection, patient: PatientId, service: &ServiceId) -> Result<Vec<Appointment>, Fault> {
    const SQL: &str = "SELECT model FROM appointment WHERE patient_id = ?1 AND service_id = ?2
        AND status IN ('booked', 'arrived') ORDER BY seq";
    let found = all(conn, SQL, &[patient.0.as_bytes(), &service.0])?;
    found.iter().map(|appointment| model(appointment)).collect()
}

/// The text in the first column.
pub(super) fn text(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

/// A row, if there is one.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, Fault> {
    Ok(conn.prepare_cached(sql)?.query_row(params, read).optional()?)
}

/// The first column of all rows.
pub(super) fn all(conn: &Connection, sql: &str, params: &[&dyn ToSql]) -> Result<Vec<String>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params, text)?;
    Ok(rows.collect::<Result<_, _>>()?)
}
