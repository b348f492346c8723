//! What an event says about a referral.

use jiff::Timestamp;

use super::person::Person;
use super::telling::{self, Now};
use super::{Taken, held_or_new, hold};
use crate::booking::appointment::Appointment;
use crate::booking::decide::duplicate;
use crate::booking::decide::referral::{orphaned, write_referral};
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::feed::{Event, Group, Kind, Record, SaidReferral, Who, derived_id};
use crate::booking::identifier::{PatientId, ReferralId};
use crate::booking::referral::{Referral, ReferralStatus};
use crate::issue::{FEED_REFERRAL_OTHER, FEED_WAITING, Issue, PATIENT_MISMATCH, REFERRAL_EXISTS};

const PLACE: &str = "RF1-6";

/// Said about a referral: the newest word on its content and its state counts, whenever it comes.
pub(super) fn record(
    it: &Event,
    who: &Who,
    said: &SaidReferral,
    state: &State,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let mut person = Person::resolve(it, who, state)?;
    let mut record = the_record(said, state);
    let held = the_held(&record, state)?;
    if held.is_some_and(|(_, patient, _)| patient.id != person.patient.id) {
        return Err(hold(&PATIENT_MISMATCH, PLACE));
    }
    let mut taken = Taken::default();
    if let Some(status) = said.status
        && taken.note(record.take(&it.source, Group::Status, it.version))
    {
        record.state = Some(status.as_str().to_owned());
    }
    let status = record.state.as_deref().and_then(status_of);
    let content = said.content.as_ref().filter(|_| taken.note(record.take(&it.source, Group::Content, it.version)));
    let respond = said.response.filter(|_| taken.note(record.take(&it.source, Group::Response, it.version)));
    record.response = respond.or(record.response);
    let referral = match (held, &said.content) {
        (Some((held, ..)), _) => Some(amended(held, content, status, respond)),
        (None, Some(content)) => Some(placed(&record, content, status, person.patient.id, now)),
        (None, None) => None,
    };
    person.taken.any |= taken.any;
    person.taken.same_time |= taken.same_time;
    let Some(referral) = referral else {
        person.warnings.push(Issue::new(&FEED_WAITING, PLACE));
        person.changes.push(Change::Record(record));
        return Ok(person.decision());
    };
    alone(&referral, state, person.patient.id)?;
    record.entity = Some(referral.id.0);
    let booked = held.and_then(|(_, _, booked)| booked.as_ref());
    let carried = said.carried.clone().filter(|_| is_ours(held, content.is_some()));
    let carried = carried.map(|carried| (carried, who.subject.candidate));
    let mut changes = vec![write_referral(&referral, booked.filter(|_| referral.status.is_live()), carried)];
    changes.extend(person.home(referral.id).filter(|_| held.is_none()));
    if held.is_none() {
        let (questions, asked) = duplicate::told(duplicate::of_referral(&referral, state), PLACE);
        changes.extend(questions);
        person.warnings.extend(asked);
    }
    if let (false, Some((before, ..)), Some(booked)) = (referral.status.is_live(), held, booked) {
        changes.extend(orphaned(before, booked, state));
    }
    let so = Now { patient: &person.patient, referral: &referral, appointment: None, at: now };
    let told = telling::of_referral(held.map(|(held, ..)| held), &so, state);
    telling::note(told, &mut changes, &mut person.warnings);
    for number in &said.keys {
        changes.push(Change::ReferralNumber { number: number.clone(), referral: referral.id });
    }
    changes.push(Change::Record(record));
    let decision = person.decision();
    Ok(Decision {
        referral: Some(referral),
        changes: decision.changes.into_iter().chain(changes).collect(),
        ..decision
    })
}

fn the_record(said: &SaidReferral, state: &State) -> Record {
    let known = said.keys.iter().find_map(|key| state.feed.record(Kind::Referral, key));
    known.cloned().or_else(|| Some(held_or_new(state, Kind::Referral, said.keys.first()?))).unwrap_or_else(|| {
        let id = said.own.map(|id| id.to_string()).unwrap_or_default();
        let key = crate::booking::identifier::Identifier { system: "referral".to_owned(), value: id };
        held_or_new(state, Kind::Referral, &key)
    })
}

type Held<'s> = &'s (Referral, crate::booking::patient::Patient, Option<Appointment>);

/// The one that all its numbers mean; held where they are two referrals'.
fn the_held<'s>(record: &Record, state: &'s State) -> Result<Option<Held<'s>>, Refusal> {
    let mut found: Option<Held<'_>> = None;
    for held in &state.feed.referrals {
        match found {
            Some((other, ..)) if other.id != held.0.id => return Err(hold(&FEED_REFERRAL_OTHER, PLACE)),
            _ => found = Some(held),
        }
    }
    debug_assert!(record.kind == Kind::Referral);
    Ok(found)
}

/// One live referral of a kind for each patient and service: a second one is for a person to look at. With another
/// booking reference it is taken, and asked about.
fn alone(referral: &Referral, state: &State, patient: PatientId) -> Result<(), Refusal> {
    let live = |it: &Referral| matches!(it.status, ReferralStatus::Active | ReferralStatus::OnHold);
    let other = |it: &Referral| {
        let same = it.service == referral.service && it.category == referral.category;
        it.id != referral.id && live(it) && same && !it.is_told_apart_from(referral)
    };
    if live(referral) && state.referrals_of(patient).any(other) {
        return Err(hold(&REFERRAL_EXISTS, PLACE));
    }
    Ok(())
}

fn placed(
    record: &Record,
    content: &Referral,
    status: Option<ReferralStatus>,
    patient: PatientId,
    now: Timestamp,
) -> Referral {
    Referral {
        id: ReferralId(record.entity.unwrap_or_else(|| derived_id(Kind::Referral, &record.key))),
        patient,
        received_at: now,
        status: status.unwrap_or(content.status),
        response: record.response,
        ..content.clone()
    }
}

/// What ties it to its patient, service and sender stays; so does what the event does not say.
fn amended(
    held: &Referral,
    content: Option<&Referral>,
    status: Option<ReferralStatus>,
    response: Option<crate::booking::referral::ResponseKind>,
) -> Referral {
    let mut referral = held.clone();
    if let Some(new) = content {
        referral.priority = new.priority.or(held.priority);
        referral.authored_on = new.authored_on.or(held.authored_on);
        referral.occurrence = (new.occurrence.0.or(held.occurrence.0), new.occurrence.1.or(held.occurrence.1));
        referral.ubrn = held.ubrn.clone().or(new.ubrn.clone());
        if !new.reasons.is_empty() {
            referral.reasons.clone_from(&new.reasons);
        }
        if new.reason_text.is_some() {
            referral.reason_text.clone_from(&new.reason_text);
        }
        let unknown = new.identifiers.iter().filter(|it| !held.identifiers.contains(it));
        referral.identifiers.extend(unknown.cloned());
    }
    if let Some(status) = status
        && held.status != ReferralStatus::Awaited
    {
        referral.status = status;
    }
    referral.response = response.or(held.response);
    referral
}

/// What a referrer sent stays the referrer's.
fn is_ours(held: Option<Held<'_>>, content: bool) -> bool {
    content && held.is_none_or(|(held, ..)| held.origin.reply_to.is_empty())
}

fn status_of(name: &str) -> Option<ReferralStatus> {
    ReferralStatus::ALL.into_iter().find(|status| status.as_str() == name)
}
