//! Records that turn out to be one, and bookings that turn out to be another's.

use jiff::Timestamp;

use super::booking::{applied, rewritten};
use super::passing::pass;
use super::person::{Person, blank};
use super::{held_or_new, hold};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::decide::index::{join, part};
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::feed::{
    Effect, Event, Group, HeldBooking, Kind, Order, Record, Standing, Who, derived_id, own_id, person_key,
};
use crate::booking::identifier::{AppointmentId, Identifier, PatientId};
use crate::booking::index::{Decider, Link};
use crate::booking::patient::Patient;
use crate::issue::{FEED_IDENTITY_CONFLICT, FEED_MERGE_CYCLE, NUMBERS_DIFFER, PATIENT_MISMATCH};

const PLACE: &str = "MRG-1";

/// The records of these numbers are the person's from now on. A number that nobody has yet gets a record for what will
/// be said about it.
pub(super) fn people(it: &Event, who: &Who, numbers: &[Identifier], state: &State) -> Result<Decision, Refusal> {
    let person = Person::resolve(it, who, state)?;
    let (record, survivor) = (person.record, person.patient.clone());
    if numbers.iter().filter_map(|number| owner(number, state)).any(|loser| leads(loser.id, record, state)) {
        return Err(hold(&FEED_MERGE_CYCLE, "PID-3"));
    }
    let mut decision = person.decision();
    let mut joined = Vec::new();
    for number in numbers {
        let changes = followed(it, number, record, &survivor, &mut joined, state)?;
        decision.changes.extend(changes);
        decision.changes.extend(ended(it, number, record, state));
    }
    Ok(Decision { effect: Effect::Applied, ..decision })
}

/// The record of the number ended with this event, for good: what was said of a link before does not part it any more.
fn ended(it: &Event, number: &Identifier, left: PatientId, state: &State) -> Option<Change> {
    let id = owner(number, state).map_or(PatientId(derived_id(Kind::Person, number)), |loser| loser.id);
    let mut record = held_or_new(state, Kind::Person, &person_key(id));
    record.take(&it.source, Group::Person, it.version);
    record.merged_into = Some(person_key(left));
    (id != left).then_some(Change::Record(record))
}

/// Whose a number is.
fn owner<'s>(number: &Identifier, state: &'s State) -> Option<&'s Patient> {
    state.feed.numbers.iter().find(|(held, ..)| held == number).map(|(_, patient, _)| patient)
}

/// Does the record follow this leader, by however many steps?
fn leads(leader: PatientId, record: PatientId, state: &State) -> bool {
    leader != record && state.index.followers_of(leader).contains(&record)
}

/// What makes the record of a number follow another one. `joined`: people who follow it by this event already.
fn followed(
    it: &Event,
    number: &Identifier,
    leader: PatientId,
    survivor: &Patient,
    joined: &mut Vec<PatientId>,
    state: &State,
) -> Result<Vec<Change>, Refusal> {
    let link = |record| Link {
        record,
        to: leader,
        linked: true,
        by: Decider::Source(it.source.clone()),
        reason: String::new(),
        evidence: None,
    };
    let Some(loser) = owner(number, state) else {
        let id = PatientId(derived_id(Kind::Person, number));
        if id == leader {
            // It is the number by which the person's own record is being made.
            return Ok(Vec::new());
        }
        let empty = Patient { replaced_by: Some(leader), ..blank(id) };
        let number = Change::Number { number: number.clone(), patient: id, merged: false };
        return Ok(vec![Change::Patient(empty), number, Change::Link(link(id))]);
    };
    let own = state.index.person_of(loser);
    if own.id == survivor.id || joined.contains(&own.id) {
        return Ok(Vec::new());
    }
    joined.push(own.id);
    join(own, leader, survivor, link(own.id), state).map_err(|refusal| match refusal.issue.code {
        code if *code == NUMBERS_DIFFER => hold(&FEED_IDENTITY_CONFLICT, PLACE),
        code => hold(code, PLACE),
    })
}

/// Both are one person's, or no longer, by the newest word of the source. Records that were merged stay so: what was said
/// before is over, and what is said later a person must look at.
pub(super) fn link(
    it: &Event,
    who: &Who,
    pair: &Identifier,
    other: &Identifier,
    linked: bool,
    state: &State,
) -> Result<Decision, Refusal> {
    let mut person = Person::resolve(it, who, state)?;
    let mut record = held_or_new(state, Kind::Link, pair);
    let newest = person.taken.note(record.take(&it.source, Group::Status, it.version));
    if newest {
        record.state = Some(if linked { "linked" } else { "unlinked" }.to_owned());
    }
    person.changes.push(Change::Record(record));
    if newest && linked {
        let (leader, survivor) = (person.record, person.patient.clone());
        person.changes.extend(followed(it, other, leader, &survivor, &mut Vec::new(), state)?);
    } else if newest {
        let leaving = owner(other, state).into_iter().chain(state.index.record(person.record));
        let follows = |it: &&Patient| it.replaced_by.is_some_and(|leader| leader != it.id);
        let both = owner(other, state).is_some_and(|other| state.index.person_of(other).id == person.patient.id);
        if let Some(leaving) = leaving.filter(|_| both).find(follows) {
            if let Some(merged) = state.feed.record(Kind::Person, &person_key(leaving.id)).filter(is_merged) {
                let is_late = merged.clone().take(&it.source, Group::Person, it.version) == Order::Earlier;
                return if is_late { Ok(person.decision()) } else { Err(hold(&FEED_IDENTITY_CONFLICT, "PID-3")) };
            }
            let by = Decider::Source(it.source.clone());
            person.changes.extend(part(leaving, by, String::new(), state)?);
        }
    }
    Ok(person.decision())
}

fn is_merged(record: &&Record) -> bool {
    record.merged_into.is_some()
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
    let mut person = Person::resolve(it, who, state)?;
    let target = person.patient.clone();
    let mut record = held_or_new(state, Kind::Booking, booking);
    if record.take(&it.source, Group::Person, it.version) == Order::Earlier {
        return Ok(person.decision());
    }
    record.moved_to = Some(target.id);
    let held = record.entity.map(AppointmentId).or(own_id(booking)).and_then(|id| state.feed.booking(id));
    let mut changes = Vec::new();
    if let Some(held) = held.filter(|held| held.patient.id != target.id) {
        let own = state.index.person_of(&held.patient).id;
        // The record of the number may follow the one that the booking hangs on.
        let is_own = |patient: &Patient| patient.id == held.patient.id || state.index.person_of(patient).id == own;
        if !from.iter().filter_map(|number| owner(number, state)).any(is_own) {
            return Err(hold(&PATIENT_MISMATCH, PLACE));
        }
        let passing = pass(it, held, booking, &target, state, now);
        let appointment = passing.held.appointment.clone();
        record.entity = Some(appointment.id.0);
        let before = passing.before.as_ref();
        let (begun, untold) = rewritten(&passing.held, appointment, &target, before, state, now);
        person.warnings.extend(passing.warnings.into_iter().chain(untold));
        let hangs_on = begun.iter().find_map(|change| match change {
            Change::Referral { referral, .. } => Some(referral.id),
            _ => None,
        });
        changes.extend(passing.changes.into_iter().chain(begun));
        changes.extend(hangs_on.map(|referral| Change::Home { referral, record: person.record }));
    }
    changes.push(Change::Record(record));
    Ok(applied(person.decision(), changes))
}

/// One booking that was written down twice. Where a referrer made the one that is given up, and the other is the
/// hospital's own, that appointment stands for both: its referrer would hear otherwise that there is none.
pub(super) fn bookings(
    it: &Event,
    who: &Who,
    loser: &Identifier,
    survivor: &Identifier,
    state: &State,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let mut person = Person::resolve(it, who, state)?;
    let mut left = held_or_new(state, Kind::Booking, survivor);
    if left.merged_into.is_some() {
        return Err(hold(&FEED_MERGE_CYCLE, "PV1-19"));
    }
    let mut record = held_or_new(state, Kind::Booking, loser);
    let booking = |record: &Record, number| {
        record.entity.map(AppointmentId).or(own_id(number)).and_then(|id| state.feed.booking(id))
    };
    let (held, other) = (booking(&record, loser), booking(&left, survivor));
    if held.into_iter().chain(other).any(|held| held.patient.id != person.patient.id) {
        return Err(hold(&PATIENT_MISMATCH, PLACE));
    }
    let goes_on = held.filter(|held| of_referrer(held) && other.is_none_or(|other| !of_referrer(other)));
    let mut rewrite = |held: &HeldBooking, appointment| {
        let (changes, untold) = rewritten(held, appointment, &person.patient, Some(held), state, now);
        person.warnings.extend(untold);
        changes
    };
    let mut changes = Vec::new();
    if let Some(held) = goes_on {
        left.entity = Some(held.appointment.id.0);
        left.standing = left.standing.take().or(record.standing.take());
        left.time = left.time.or(record.time);
        // It makes room first: a referral has one current appointment.
        changes.extend(other.map(|other| rewrite(other, never(&other.appointment))).unwrap_or_default());
        changes.extend(rewrite(held, standing_for_both(&held.appointment, survivor, &left)));
        changes.push(Change::Record(left));
    } else if let Some(held) = held {
        changes.extend(rewrite(held, never(&held.appointment)));
    }
    record.merged_into = Some(survivor.clone());
    let reason = Some("merged into another booking".to_owned());
    record.standing = Some(Standing { status: AppointmentStatus::EnteredInError, reason });
    changes.push(Change::Record(record));
    Ok(applied(person.decision(), changes))
}

/// Did a referrer make it, and does it stand?
fn of_referrer(held: &HeldBooking) -> bool {
    let over = matches!(held.appointment.status, AppointmentStatus::Cancelled | AppointmentStatus::EnteredInError);
    !over && !held.appointment.origin.reply_to.is_empty()
}

fn never(held: &Appointment) -> Appointment {
    Appointment { status: AppointmentStatus::EnteredInError, cancel_reason: None, ..held.clone() }
}

/// With the number that is left, and as was said of that.
fn standing_for_both(held: &Appointment, survivor: &Identifier, left: &Record) -> Appointment {
    let mut both = held.clone();
    (both.start, both.end) = left.time.unwrap_or((held.start, held.end));
    if let Some(Standing { status, reason }) = left.stands() {
        both.status = status;
        both.cancel_reason = reason.filter(|_| status.has_reason());
    }
    if !both.identifiers.contains(survivor) {
        both.identifiers.push(survivor.clone());
    }
    both
}
