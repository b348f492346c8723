//! The rules of the field: what follows from a command, given what is held.
//!
//! `decide` is a pure function: it returns what changes, what others are to be told and what to warn of,
//! and does none of it. So the rules can be tested by the million without a database, and replayed.

mod booking;
mod diary;
mod duplicate;
mod feed;
#[cfg(test)]
mod grid;
mod index;
mod person;
#[cfg(test)]
mod properties;
mod referral;
mod response;
mod table;
#[cfg(test)]
pub(crate) mod walk;
#[cfg(test)]
pub(crate) mod world;

pub use table::{AppointmentAction, ReferralAction, appointment_permits, referral_permits};

use jiff::Timestamp;

use super::command::Command;
use super::decision::{Decision, Refusal, State};
use super::feed::Effect;
use super::referral::Origin;
use super::service::Service;
use crate::issue::{Code, Issue, SERVICE_CLOSED, SERVICE_UNKNOWN, STALE};

/// What follows from a command.
pub fn decide(command: &Command, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    match command {
        Command::PlaceReferral(it) => referral::place(it, state, now),
        Command::AmendReferral(it) => referral::amend(it, state, now),
        Command::CancelReferral(it) => referral::cancel(it, state, now),
        Command::RecordResponse(it) => response::record(it, state, now),
        Command::Book(it) => booking::book(it, state, now),
        Command::AmendBooking(it) => booking::amend(it, state, now),
        Command::Reschedule(it) => booking::reschedule(it, state, now),
        Command::CancelBooking(it) => booking::cancel(it, state, now),
        Command::PublishSlots(it) => Ok(diary::publish(it)),
        Command::Skip => Ok(feed::unchanged(Effect::Ignored)),
        Command::Feed(it) => feed::follow(it, state, now),
        Command::Index(it) => index::follow(it, state),
    }
}

/// A refusal with its code's own words.
fn refuse(code: &'static Code, at: &str) -> Refusal {
    Refusal { issue: Box::new(Issue::new(code, at)), alarm: false }
}

/// A refusal that somebody on this side must look at.
fn alarm(code: &'static Code, at: &str) -> Refusal {
    Refusal { alarm: true, ..refuse(code, at) }
}

/// The service, if it takes anything.
fn open_service(state: &State) -> Result<&Service, Refusal> {
    match &state.service {
        None => Err(refuse(&SERVICE_UNKNOWN, "Bundle.entry[0].resource.destination[0].endpoint")),
        Some(service) if service.closed => {
            Err(refuse(&SERVICE_CLOSED, "Bundle.entry[0].resource.destination[0].endpoint"))
        }
        Some(service) => Ok(service),
    }
}

/// A message must not take the request or booking back to an older version. Other entries that are older than
/// what is held are no reason to refuse: published updates repeat them with whatever time they had.
fn not_stale(new: &Origin, held: &Origin) -> Result<(), Refusal> {
    match (new.last_updated, held.last_updated) {
        (Some(new), Some(held)) if new < held => Err(refuse(&STALE, "Bundle.entry.resource.meta.lastUpdated")),
        _ => Ok(()),
    }
}

/// The origin of what is held after a newer message about it.
fn newer_origin(held: &Origin, new: &Origin) -> Origin {
    Origin { last_updated: new.last_updated.max(held.last_updated), ..new.clone() }
}
