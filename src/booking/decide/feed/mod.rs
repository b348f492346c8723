//! What follows from an event of a hospital's own system.
//!
//! Nothing is decided by the order of arrival: each group of fields has the value that was true last, by the time
//! that its source gives ([`Record::take`](crate::booking::feed::Record::take)). Whoever is meant is known by exact
//! identifiers or not at all: where they disagree the event is held for a person, and nothing is guessed.

mod booking;
mod merge;
mod passing;
mod person;
mod referral;
mod telling;

use jiff::Timestamp;

use super::alarm;
use crate::booking::command::PublishSlots;
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::feed::{Effect, Event, Order, Record, Who, Wish};
use crate::issue::{CONTROL_ID_REUSED, Code, EVENT_ORDER, FEED_IDENTITY_MISSING, Issue};

/// What follows from an event.
pub(super) fn follow(it: &Event, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let mut decision = match (&it.wish, &it.who) {
        (Wish::Nothing, _) => unchanged(Effect::Ignored),
        (Wish::Directory(diary), _) => directory(diary),
        (_, None) => return Err(hold(&FEED_IDENTITY_MISSING, "PID-3")),
        (wish, Some(who)) => about_a_person(it, wish, who, state, now)?,
    };
    if state.bundle_used {
        decision.warnings.push(Issue::new(&CONTROL_ID_REUSED, "MSH-10"));
    }
    Ok(decision)
}

fn about_a_person(it: &Event, wish: &Wish, who: &Who, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    match wish {
        Wish::Person => person::update(it, who, state),
        Wish::Withdraw => person::withdraw(it, who, state),
        Wish::Booking(said) => booking::record(it, who, said, state, now),
        Wish::Referral(said) => referral::record(it, who, said, state, now),
        Wish::Merge(numbers) => merge::people(it, who, numbers, state),
        Wish::Renumber(numbers) => person::renumber(it, who, numbers, state),
        Wish::Link { pair, other, linked } => merge::link(it, who, pair, other, *linked, state),
        Wish::Move { from, booking } => merge::shift(it, who, from, booking, state, now),
        Wish::MergeBookings { loser, survivor } => merge::bookings(it, who, loser, survivor, state, now),
        Wish::Directory(_) | Wish::Nothing => Ok(unchanged(Effect::Ignored)),
    }
}

fn directory(diary: &PublishSlots) -> Decision {
    Decision { changes: vec![Change::Diary(Box::new(diary.clone()))], ..unchanged(Effect::Applied) }
}

pub(super) fn unchanged(effect: Effect) -> Decision {
    Decision {
        patient: None,
        referral: None,
        appointment: None,
        changes: Vec::new(),
        notices: Vec::new(),
        warnings: Vec::new(),
        effect,
    }
}

/// Somebody here must look: it is kept, and nothing is done.
fn hold(code: &'static Code, at: &str) -> Refusal {
    alarm(code, at)
}

/// What was taken of an event so far.
#[derive(Default)]
struct Taken {
    any: bool,
    same_time: bool,
}

impl Taken {
    /// Is it to be taken?
    fn note(&mut self, order: Order) -> bool {
        self.same_time |= order == Order::Same;
        self.any |= order != Order::Earlier;
        order != Order::Earlier
    }

    fn effect(&self) -> Effect {
        if self.any { Effect::Applied } else { Effect::Stale }
    }

    /// Two events of one time: the later to arrive has the word, and a person may wonder.
    fn warning(&self) -> Option<Issue> {
        self.same_time.then(|| Issue::new(&EVENT_ORDER, "MSH-7"))
    }
}

/// A record as it is held, or a new one.
fn held_or_new(
    state: &State,
    kind: crate::booking::feed::Kind,
    key: &crate::booking::identifier::Identifier,
) -> Record {
    state.feed.record(kind, key).cloned().unwrap_or_else(|| Record::new(kind, key.clone()))
}
