//! A booking that turns out to be another patient's.
//!
//! An appointment never goes from one patient to another: it ends for the one as one that should never have been, and
//! another one, with an id of its own, begins for the other. So whoever knows an id, because a referrer was given it or
//! because it was found under the patient's number, reads nobody else's appointment by it. Should the hospital take it
//! back, the first one stands again. The hospital's own numbers, and the id that it was told, lead to the one that
//! stands now ([`FeedState::booking`](crate::booking::feed::FeedState::booking)).

use jiff::Timestamp;
use uuid::Uuid;

use super::booking::{awaited, rewritten};
use crate::booking::appointment::{Appointment, AppointmentStatus, Passed};
use crate::booking::decision::{Change, State};
use crate::booking::feed::{Event, HeldBooking, own_id};
use crate::booking::identifier::{AppointmentId, Identifier, ReferralId};
use crate::booking::patient::Patient;
use crate::issue::Issue;

/// A booking that is another patient's from now on.
pub(super) struct Passing {
    /// The appointment that stands for it, with the time and standing of the one that ended.
    pub(super) held: HeldBooking,
    /// As that one was before; `None`: it is new.
    pub(super) before: Option<HeldBooking>,
    /// What ends the other one.
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<Issue>,
}

/// The booking, which the hospital knows by `key`, is this patient's.
pub(super) fn pass(
    it: &Event,
    held: &HeldBooking,
    key: &Identifier,
    to: &Patient,
    state: &State,
    now: Timestamp,
) -> Passing {
    let first = state.feed.first(held.appointment.id).unwrap_or(held);
    let mut others = match &first.appointment.passed {
        Some(Passed::To { others, .. }) => others.clone(),
        _ => Vec::new(),
    };
    let family = std::iter::once(first).chain(others.iter().filter_map(|id| state.feed.held(*id)));
    let before = family.into_iter().find(|it| it.patient.id == to.id).cloned();
    let id = before.as_ref().map_or_else(|| following(first.appointment.id, others.len()), |it| it.appointment.id);
    if before.is_none() {
        others.push(id);
    }
    let tie = |of: AppointmentId| {
        let is_first = of == first.appointment.id;
        Some(if is_first { Passed::To { others: others.clone(), now: id } } else { Passed::From(first.appointment.id) })
    };
    let ended = Appointment { passed: tie(held.appointment.id), ..ended(&held.appointment) };
    let (mut changes, warnings) = rewritten(held, ended, &held.patient, Some(held), state, now);
    // The one that begins takes up the slot.
    changes.retain(|change| !matches!(change, Change::Slot { .. }));
    if ![held.appointment.id, id].contains(&first.appointment.id) {
        let appointment = Appointment { passed: tie(first.appointment.id), ..first.appointment.clone() };
        changes.push(Change::Appointment { appointment, carried: None });
    }
    let base = match &before {
        Some(before) => before.appointment.clone(),
        None => begun(it, &held.appointment, id, key, to, now),
    };
    let appointment = Appointment { passed: tie(id), ..standing_of(&held.appointment, base) };
    let (referral, current) = match &before {
        Some(before) => (before.referral.clone(), before.current),
        None => (awaited(&appointment, to.id), None),
    };
    Passing { held: HeldBooking { appointment, referral, patient: to.clone(), current }, before, changes, warnings }
}

/// The id of the next appointment that stands for a booking.
fn following(first: AppointmentId, number: usize) -> AppointmentId {
    AppointmentId(Uuid::new_v5(&first.0, format!("passed {number}").as_bytes()))
}

/// As it is left behind: cancelled is what it was, all else should never have been.
fn ended(held: &Appointment) -> Appointment {
    match held.status {
        AppointmentStatus::Cancelled => held.clone(),
        _ => Appointment { status: AppointmentStatus::EnteredInError, cancel_reason: None, ..held.clone() },
    }
}

/// The other patient's. Of what a referrer wrote nothing goes along: it is about the one for whom it was made.
fn begun(
    it: &Event,
    held: &Appointment,
    id: AppointmentId,
    key: &Identifier,
    to: &Patient,
    now: Timestamp,
) -> Appointment {
    let of_hospital = held.origin.reply_to.is_empty();
    let mut begun = Appointment { id, patient: to.id, referral: ReferralId(Uuid::nil()), created: now, ..held.clone() };
    if !of_hospital {
        begun.use_case.clear();
        begun.description = None;
        begun.identifiers = Some(key).filter(|key| own_id(key).is_none()).into_iter().cloned().collect();
        begun.origin = it.origin.clone();
        begun.origin.reply_to.clear();
        begun.origin.last_updated = None;
    }
    begun
}

/// When and how the one stands, in the other.
fn standing_of(held: &Appointment, other: Appointment) -> Appointment {
    Appointment {
        status: held.status,
        cancel_reason: held.cancel_reason.clone(),
        start: held.start,
        end: held.end,
        slot: held.slot.clone(),
        ..other
    }
}
