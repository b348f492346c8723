//! Records that turn out to be one, and bookings that turn out to be another's.

use jiff::Timestamp;

use super::booking::{applied, rewritten};
use super::person::Person;
use super::{held_or_new, hold};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::feed::{Effect, Event, Group, Kind, Order, Standing, Who};
use crate::booking::identifier::{AppointmentId, Identifier};
use crate::booking::patient::Patient;
use crate::booking::referral::{Referral, ReferralStatus};
use crate::issue::{FEED_IDENTITY_CONFLICT, FEED_MERGE_CYCLE, FEED_MERGE_LIVE, PATIENT_MISMATCH};

const PLACE: &str = "MRG-1";

/// The records of these numbers end in the person's. Numbers that nobody has yet lead there when they come.
pub(super) fn people(it: &Event, who: &Who, numbers: &[Identifier], state: &State) -> Result<Decision, Refusal> {
    let lookup = |number: &Identifier| state.feed.numbers.iter().find(|(held, ..)| held == number);
    let merged_away = |number: &Identifier| lookup(number).is_some_and(|(_, _, merged)| *merged);
    if who.numbers.iter().any(merged_away) {
        return Err(hold(&FEED_MERGE_CYCLE, "PID-3"));
    }
    let person = Person::resolve(it, who, state)?;
    let survivor = person.patient.clone();
    let mut decision = person.decision();
    for number in numbers {
        let loser = lookup(number).map(|(_, patient, _)| patient).filter(|patient| patient.id != survivor.id);
        if let Some(loser) = loser {
            decision.changes = absorbed(&survivor, loser, state, std::mem::take(&mut decision.changes))?;
        }
        decision.changes.push(Change::Number { number: number.clone(), patient: survivor.id, merged: true });
    }
    let written = decision.changes.iter().rev().find_map(|change| match change {
        Change::Patient(patient) if patient.id == survivor.id => Some(patient.clone()),
        _ => None,
    });
    decision.patient = Some(written.unwrap_or(survivor));
    Ok(Decision { effect: Effect::Applied, ..decision })
}

/// All that the loser had is the survivor's.
fn absorbed(
    survivor: &Patient,
    loser: &Patient,
    state: &State,
    mut changes: Vec<Change>,
) -> Result<Vec<Change>, Refusal> {
    if survivor.nhs_number.zip(loser.nhs_number).is_some_and(|(a, b)| a != b) {
        return Err(hold(&FEED_IDENTITY_CONFLICT, PLACE));
    }
    let (referrals, appointments) = &state.feed.belongings;
    let live = |referral: &&Referral| matches!(referral.status, ReferralStatus::Active | ReferralStatus::OnHold);
    let theirs = || referrals.iter().filter(|referral| referral.patient == loser.id);
    let clashes = theirs().filter(live).any(|referral| {
        let same = |other: &Referral| (&other.service, other.category) == (&referral.service, referral.category);
        referrals.iter().filter(live).any(|other| other.patient == survivor.id && same(other))
    });
    if clashes {
        return Err(hold(&FEED_MERGE_LIVE, PLACE));
    }
    let gone = Patient { nhs_number: None, replaced_by: Some(survivor.id), ..loser.clone() };
    changes.push(Change::Patient(gone));
    if loser.nhs_number.is_some() {
        let known = changes.iter().rev().find_map(|change| match change {
            Change::Patient(patient) if patient.id == survivor.id => Some(patient.clone()),
            _ => None,
        });
        changes.retain(|change| !matches!(change, Change::Patient(patient) if patient.id == survivor.id));
        let survivor = known.unwrap_or_else(|| survivor.clone());
        changes.push(Change::Patient(Patient { nhs_number: loser.nhs_number, ..survivor }));
    }
    changes.push(Change::Absorb { loser: loser.id, survivor: survivor.id });
    for referral in theirs() {
        let booked = |it: &&Appointment| it.referral == referral.id && it.status.is_current();
        let booked = appointments.iter().find(booked).map(|appointment| appointment.id);
        let referral = Referral { patient: survivor.id, ..referral.clone() };
        changes.push(Change::Referral { worklist: referral.worklist(booked), referral, carried: None });
    }
    for appointment in appointments.iter().filter(|appointment| appointment.patient == loser.id) {
        let appointment = Appointment { patient: survivor.id, ..appointment.clone() };
        changes.push(Change::Appointment { appointment, carried: None });
    }
    Ok(changes)
}

/// Remembered, for whoever keeps the index of patients; nothing moves.
pub(super) fn link(it: &Event, who: &Who, pair: &Identifier, linked: bool, state: &State) -> Result<Decision, Refusal> {
    let mut person = Person::resolve(it, who, state)?;
    let mut record = held_or_new(state, Kind::Link, pair);
    if person.taken.note(record.take(&it.source, Group::Status, it.version)) {
        record.state = Some(if linked { "linked" } else { "unlinked" }.to_owned());
    }
    person.changes.push(Change::Record(record));
    Ok(person.decision())
}

/// A booking was written under the wrong person.
pub(super) fn shift(
    it: &Event,
    who: &Who,
    from: &[Identifier],
    booking: &Identifier,
    state: &State,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let person = Person::resolve(it, who, state)?;
    let target = person.patient.clone();
    let mut record = held_or_new(state, Kind::Booking, booking);
    if record.take(&it.source, Group::Person, it.version) == Order::Earlier {
        return Ok(person.decision());
    }
    record.moved_to = Some(target.id);
    let held = record.entity.map(AppointmentId).and_then(|id| state.feed.booking(id));
    let mut changes = Vec::new();
    if let Some(held) = held.filter(|held| held.patient.id != target.id) {
        let owner = |number: &Identifier| {
            state.feed.numbers.iter().any(|(known, patient, _)| known == number && patient.id == held.patient.id)
        };
        if !from.iter().any(owner) {
            return Err(hold(&PATIENT_MISMATCH, PLACE));
        }
        let appointment = Appointment { patient: target.id, ..held.appointment.clone() };
        changes.extend(rewritten(held, appointment, now));
    }
    changes.push(Change::Record(record));
    Ok(applied(person.decision(), changes))
}

/// One booking that was written down twice.
pub(super) fn bookings(
    it: &Event,
    who: &Who,
    loser: &Identifier,
    survivor: &Identifier,
    state: &State,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let person = Person::resolve(it, who, state)?;
    if state.feed.record(Kind::Booking, survivor).is_some_and(|record| record.merged_into.is_some()) {
        return Err(hold(&FEED_MERGE_CYCLE, "PV1-19"));
    }
    let mut record = held_or_new(state, Kind::Booking, loser);
    record.merged_into = Some(survivor.clone());
    let reason = Some("merged into another booking".to_owned());
    record.standing = Some(Standing { status: AppointmentStatus::EnteredInError, reason });
    let held = record.entity.map(AppointmentId).and_then(|id| state.feed.booking(id));
    let mut changes = Vec::new();
    if let Some(held) = held {
        if held.patient.id != person.patient.id {
            return Err(hold(&PATIENT_MISMATCH, PLACE));
        }
        let status = AppointmentStatus::EnteredInError;
        let appointment = Appointment { status, cancel_reason: None, ..held.appointment.clone() };
        changes.extend(rewritten(held, appointment, now));
    }
    changes.push(Change::Record(record));
    Ok(applied(person.decision(), changes))
}
