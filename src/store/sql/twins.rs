//! What may be there already: referrals and appointments of the same people, and referrals of the same numbers.

use super::column::model;
use super::fault::Fault;
use super::index::tasks_among;
use super::session::{Session, text, values};
use super::state::referral_find;
use crate::booking::appointment::Appointment;
use crate::booking::decision::State;
use crate::booking::duplicate::{TWINS_MAX, TwinNeeds};
use crate::booking::identifier::{PatientId, ReferralId};
use crate::booking::referral::Referral;

/// Everything that the command needs and that is there; who it may be about is known before.
pub(in crate::store) fn load(conn: &dyn Session, needs: &TwinNeeds, state: &mut State) -> Result<(), Fault> {
    for number in &needs.numbers {
        const SQL: &str = "SELECT referral_id FROM referral_number WHERE system = ?1 AND value = ?2";
        let found = conn.one(SQL, values![&number.system, &number.value], |row| row.get(0))?;
        let held = found.map(|id| referral_find(conn, ReferralId(id))).transpose()?.flatten();
        state.twins.numbered.extend(held.map(|(referral, _)| (number.clone(), referral)));
    }
    if needs.referrals || needs.appointments {
        for person in state.kin() {
            if needs.referrals {
                state.twins.referrals.extend(referrals_of(conn, person)?);
            }
            if needs.appointments {
                state.twins.appointments.extend(appointments_of(conn, person)?);
            }
        }
    }
    load_tasks(conn, state)
}

fn referrals_of(conn: &dyn Session, person: PatientId) -> Result<Vec<Referral>, Fault> {
    const SQL: &str = "SELECT model FROM referral WHERE patient_id = ?1 ORDER BY seq DESC LIMIT ?2";
    conn.all(SQL, values![&person.0, TWINS_MAX], |row| model(&text(row)?))
}

fn appointments_of(conn: &dyn Session, person: PatientId) -> Result<Vec<Appointment>, Fault> {
    const SQL: &str = "SELECT model FROM appointment WHERE patient_id = ?1 AND status IN ('booked', 'arrived')
        ORDER BY seq DESC LIMIT ?2";
    conn.all(SQL, values![&person.0, TWINS_MAX], |row| model(&text(row)?))
}

/// What was asked about two of them before, or about one of them and what the command is about.
fn load_tasks(conn: &dyn Session, state: &mut State) -> Result<(), Fault> {
    let twins = &state.twins;
    let numbered = twins.numbered.iter().map(|(_, referral)| referral);
    let named = state.referral.iter().map(|(referral, _)| referral);
    let fed = state.feed.referrals.iter().map(|(referral, ..)| referral);
    let booked = state.feed.bookings.iter().map(|held| &held.referral);
    let belonging = &state.index.belongings;
    let referrals = twins.referrals.iter().chain(numbered).chain(named).chain(fed).chain(booked).chain(&belonging.0);
    let named = state.appointment.iter().map(|(appointment, ..)| appointment);
    let fed = state.feed.bookings.iter().map(|held| &held.appointment);
    let appointments = twins.appointments.iter().chain(named).chain(fed).chain(&belonging.1);
    let ids = referrals.map(|it| it.id.0).chain(appointments.map(|it| it.id.0)).collect();
    state.twins.tasks.extend(tasks_among(conn, &ids)?);
    Ok(())
}
