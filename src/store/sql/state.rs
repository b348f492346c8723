//! Reading what a command touches, in the transaction that will make its decision durable.

use super::column::model;
use super::fault::Fault;
use super::session::{Session, text, values};
use super::submission::Desk;
use super::{diary, feed, index, journal, twins};
use crate::booking::appointment::Appointment;
use crate::booking::command::Needs;
use crate::booking::decision::State;
use crate::booking::identifier::{AppointmentId, PatientId, ReferralId, ServiceId};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::Patient;
use crate::booking::referral::Referral;
use crate::store::Message;

/// Everything that the command needs and that is there.
pub(in crate::store) fn load(
    conn: &dyn Session,
    desk: &Desk,
    needs: &Needs<'_>,
    message: &Message,
) -> Result<State, Fault> {
    let mut state = State { rules: desk.rules, ..State::default() };
    load_named(conn, needs, &mut state)?;
    if let Some(referral) = referral_id(conn, needs)? {
        state.referral = referral_find(conn, referral)?;
        state.referral_appointment = appointment_of(conn, referral)?;
    }
    if let Some(wanted) = &needs.feed {
        state.feed = feed::load(conn, wanted, state.patient.as_ref())?;
    }
    index::load(conn, &needs.index, message, &desk.weights, &mut state)?;
    twins::load(conn, &needs.twins, &mut state)?;
    if let Some(service) = needs.service {
        for patient in state.people() {
            state.referrals.extend(referrals_live(conn, patient, service)?);
            state.appointments.extend(appointments_current(conn, patient, service)?);
        }
    }
    Ok(state)
}

fn load_named(conn: &dyn Session, needs: &Needs<'_>, state: &mut State) -> Result<(), Fault> {
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

fn referral_id(conn: &dyn Session, needs: &Needs<'_>) -> Result<Option<ReferralId>, Fault> {
    match (needs.referral, needs.answered) {
        (None, Some(bundle)) => Ok(journal::referral_of(conn, bundle)?.map(ReferralId)),
        (named, _) => Ok(named),
    }
}

fn patient_find(conn: &dyn Session, number: NhsNumber) -> Result<Option<Patient>, Fault> {
    let found = conn.one("SELECT model FROM patient WHERE nhs_number = ?1", values![number.as_str()], text)?;
    found.map(|patient| model(&patient)).transpose()
}

/// A patient by its id.
pub(in crate::store) fn patient_by_id(conn: &dyn Session, id: PatientId) -> Result<Option<Patient>, Fault> {
    let found = conn.one("SELECT model FROM patient WHERE id = ?1", values![&id.0], text)?;
    found.map(|patient| model(&patient)).transpose()
}

/// A referral and the record that it came with.
pub(in crate::store) fn referral_find(
    conn: &dyn Session,
    id: ReferralId,
) -> Result<Option<(Referral, Patient)>, Fault> {
    const SQL: &str = "SELECT referral.model, patient.model FROM referral
        JOIN patient ON patient.id = coalesce(referral.record_id, referral.patient_id) WHERE referral.id = ?1";
    let found = conn.one(SQL, values![&id.0], |row| Ok((text(row)?, row.get::<String>(1)?)))?;
    found.map(|(referral, patient)| Ok((model(&referral)?, model(&patient)?))).transpose()
}

/// The current appointment of a referral.
pub(in crate::store) fn appointment_of(conn: &dyn Session, id: ReferralId) -> Result<Option<Appointment>, Fault> {
    const SQL: &str = "SELECT model FROM appointment WHERE referral_id = ?1 AND status IN ('booked', 'arrived')";
    conn.one(SQL, values![&id.0], text)?.map(|appointment| model(&appointment)).transpose()
}

/// An appointment, its referral and the record that this came with.
pub(in crate::store) fn appointment_find(
    conn: &dyn Session,
    id: AppointmentId,
) -> Result<Option<(Appointment, Referral, Patient)>, Fault> {
    const SQL: &str = "SELECT model, referral_id FROM appointment WHERE id = ?1";
    let found = conn.one(SQL, values![&id.0], |row| Ok((text(row)?, row.get(1)?)))?;
    let Some((appointment, referral)) = found else { return Ok(None) };
    let held = referral_find(conn, ReferralId(referral))?;
    let (referral, patient) = held.ok_or(Fault::Broken("an appointment's referral is missing"))?;
    Ok(Some((model(&appointment)?, referral, patient)))
}

fn referrals_live(conn: &dyn Session, patient: PatientId, service: &ServiceId) -> Result<Vec<Referral>, Fault> {
    const SQL: &str = "SELECT model FROM referral WHERE patient_id = ?1 AND service_id = ?2
        AND status IN ('awaited', 'active', 'on-hold') ORDER BY seq";
    conn.all(SQL, values![&patient.0, &service.0], |row| model(&text(row)?))
}

fn appointments_current(
    conn: &dyn Session,
    patient: PatientId,
    service: &ServiceId,
) -> Result<Vec<Appointment>, Fault> {
    const SQL: &str = "SELECT model FROM appointment WHERE patient_id = ?1 AND service_id = ?2
        AND status IN ('booked', 'arrived') ORDER BY seq";
    conn.all(SQL, values![&patient.0, &service.0], |row| model(&text(row)?))
}
