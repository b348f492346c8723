//! What may be there already: referrals and appointments of the same people, and referrals of the same numbers.

use rusqlite::Connection;

use super::column::{id, model};
use super::fault::Fault;
use super::state::{all, one, referral_find};
use crate::booking::appointment::Appointment;
use crate::booking::decision::State;
use crate::booking::duplicate::{TWINS_MAX, TwinNeeds};
use crate::booking::identifier::{PatientId, ReferralId};
use crate::booking::referral::Referral;

/// Everything that the command needs and that is there; who it may be about is known before.
pub(super) fn load(conn: &Connection, needs: &TwinNeeds, state: &mut State) -> Result<(), Fault> {
    for number in &needs.numbers {
        const SQL: &str = "SELECT referral_id FROM referral_number WHERE system = ?1 AND value = ?2";
        let found = one(conn, SQL, &[&number.system, &number.value], |row| id(row, 0))?;
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

fn referrals_of(conn: &Connection, person: PatientId) -> Result<Vec<Referral>, Fault> {
    const SQL: &str = "SELECT model FROM referral WHERE patient_id = ?1 ORDER BY seq DESC LIMIT ?2";
    all(conn, SQL, &[person.0.as_bytes(), &TWINS_MAX])?.iter().map(|found| model(found)).collect()
}

fn appointments_of(conn: &Connection, person: PatientId) -> Result<Vec<Appointment>, Fault> {
    const SQL: &str = "SELECT model FROM appointment WHERE patient_id = ?1 AND status IN ('booked', 'arrived')
        ORDER BY seq DESC LIMIT ?2";
    all(conn, SQL, &[person.0.as_bytes(), &TWINS_MAX])?.iter().map(|found| model(found)).collect()
}

/// What was asked about them before.
fn load_tasks(conn: &Connection, state: &mut State) -> Result<(), Fault> {
    let twins = &state.twins;
    let referrals = twins.referrals.iter().chain(twins.numbered.iter().map(|(_, referral)| referral));
    let ids: Vec<_> = referrals.map(|it| it.id.0).chain(twins.appointments.iter().map(|it| it.id.0)).collect();
    for id in ids {
        for found in all(conn, "SELECT model FROM task WHERE a = ?1 OR b = ?1", &[id.as_bytes()])? {
            state.twins.tasks.push(model(&found)?);
        }
    }
    Ok(())
}
