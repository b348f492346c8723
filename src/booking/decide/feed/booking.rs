//! What an event says about a booking.

use jiff::Timestamp;
use uuid::Uuid;

use super::passing::pass;
use super::person::Person;
use super::telling::{self, Now};
use super::{Taken, held_or_new, hold};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::Carried;
use crate::booking::decide::duplicate;
use crate::booking::decision::{Change, Decision, Refusal, State};
use crate::booking::feed::{
    Effect, Event, Group, HeldBooking, Kind, Order, Record, SaidBooking, Standing, Who, derived_id,
};
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId};
use crate::booking::patient::Patient;
use crate::booking::referral::{Category, Origin, Party, Referral, ReferralStatus};
use crate::booking::slot::SlotStatus;
use crate::issue::{
    FEED_BOOKING_OTHER, FEED_MERGED_BOOKING, FEED_REFERRAL_BOOKED, FEED_WAITING, Issue, PATIENT_MISMATCH,
};

const PLACE: &str = "SCH-1";

/// Said about a booking: the newest word on each of its groups counts, whenever it comes.
pub(super) fn record(
    it: &Event,
    who: &Who,
    said: &SaidBooking,
    state: &State,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let mut person = Person::resolve(it, who, state)?;
    let mut record = the_record(said, state)?;
    let held = record.entity.map(AppointmentId).or(said.own).and_then(|id| state.feed.booking(id));
    if record.merged_into.is_some() {
        person.warnings.push(Issue::new(&FEED_MERGED_BOOKING, PLACE));
        return Ok(person.decision());
    }
    let owner = owner(it, &person.patient, &mut record, held, state)?;
    let passing =
        held.filter(|held| held.patient.id != owner.id).map(|held| pass(it, held, &record.key, &owner, state, now));
    let before = passing.as_ref().map_or(held, |passing| passing.before.as_ref());
    let held = passing.as_ref().map(|passing| &passing.held).or(held);
    let mut taken = Taken::default();
    take(it, said, &mut record, &mut taken);
    let content = held.is_none() || taken.note(record.take(&it.source, Group::Content, it.version));
    let Some(draft) = drafted(it, said, &record, held, owner.id, content, now) else {
        return Ok(waiting(person, record, &taken));
    };
    record.entity = Some(draft.id.0);
    let (referral, mut changes) = hung(&draft, said, held, state, owner.id, &mut person.warnings)?;
    let appointment = Appointment { referral: referral.id, ..draft };
    let known = before.is_some_and(|held| held.referral.id == referral.id);
    changes.extend(person.home(referral.id).filter(|_| is_awaited(&referral, appointment.id) && !known));
    changes.extend(freed(held, &appointment));
    let (questions, asked) = duplicate::told(duplicate::of_appointment(&appointment, state), PLACE);
    changes.extend(questions);
    person.warnings.extend(asked);
    let carried = said.carried.clone().filter(|_| content);
    changes.push(written(&appointment, carried, held, who.subject.candidate));
    let so = Now { patient: &owner, referral: &referral, appointment: Some(&appointment), at: now };
    telling::note(telling::of_booking(before, &so, state), &mut changes, &mut person.warnings);
    changes.push(Change::Record(record));
    changes.extend(renamed(said, &appointment, state));
    person.taken.any |= taken.any || before.is_none();
    person.taken.same_time |= taken.same_time;
    let ended = passing.map(|passing| (passing.changes, passing.warnings));
    let (ended, untold) = ended.unwrap_or_default();
    person.warnings.extend(untold);
    let decision = person.decision();
    Ok(Decision {
        patient: Some(owner),
        referral: Some(referral),
        appointment: Some(appointment),
        changes: decision.changes.into_iter().chain(ended).chain(changes).collect(),
        ..decision
    })
}

/// What was said before about this booking, by any of its numbers; held where they are two bookings'.
fn the_record(said: &SaidBooking, state: &State) -> Result<Record, Refusal> {
    let mut found: Option<&Record> = None;
    for key in std::iter::once(&said.key).chain(&said.others) {
        let Some(record) = state.feed.record(Kind::Booking, key) else { continue };
        match found {
            Some(other) if !is_same(other, record, state) => return Err(hold(&FEED_BOOKING_OTHER, PLACE)),
            _ => found = found.or(Some(record)),
        }
    }
    Ok(found.cloned().unwrap_or_else(|| held_or_new(state, Kind::Booking, &said.key)))
}

fn is_same(one: &Record, other: &Record, state: &State) -> bool {
    let now = |record: &Record| Some(state.feed.booking(AppointmentId(record.entity?))?.appointment.id);
    one.entity == other.entity || now(one).is_some_and(|id| Some(id) == now(other))
}

/// Whose it is. A booking does not go from one person to another by the way.
fn owner(
    it: &Event,
    person: &Patient,
    record: &mut Record,
    held: Option<&HeldBooking>,
    state: &State,
) -> Result<Patient, Refusal> {
    let moved = record.moved_to.and_then(|id| state.feed.moved_to.iter().find(|patient| patient.id == id));
    let moved = moved.map(|patient| state.index.person_of(patient));
    let before = moved.or(held.map(|held| &held.patient));
    match before {
        Some(before) if before.id != person.id => {
            // Said before the booking was moved: it was right then.
            match moved.map(|_| record.take(&it.source, Group::Person, it.version)) {
                Some(Order::Earlier) => Ok(before.clone()),
                _ => Err(hold(&PATIENT_MISMATCH, "PID-3")),
            }
        }
        _ => Ok(person.clone()),
    }
}

/// Takes what is newer than what was said before.
fn take(it: &Event, said: &SaidBooking, record: &mut Record, taken: &mut Taken) {
    if let Some(status) = &said.status {
        let undoes = undoes_an_arrival(said, status);
        let group = if undoes { Group::NotArrived } else { Group::Status };
        let newest = taken.note(record.take(&it.source, group, it.version));
        if newest && undoes {
            record.not_arrived = record.not_arrived.max(Some(it.version));
        } else if newest {
            record.standing = Some(status.clone());
            record.since = Some(it.version);
        }
    }
    taken.same_time |= record.since.is_some() && record.since == record.not_arrived;
    if let Some(time) = said.time
        && taken.note(record.take(&it.source, Group::Time, it.version))
    {
        record.time = Some(time);
    }
}

/// Nobody books again what must be known already: it is booked again because nobody came.
fn undoes_an_arrival(said: &SaidBooking, status: &Standing) -> bool {
    said.known_only && status.status == AppointmentStatus::Booked
}

/// The appointment as it follows from all that was said; `None`: not enough was said yet.
fn drafted(
    it: &Event,
    said: &SaidBooking,
    record: &Record,
    held: Option<&HeldBooking>,
    patient: PatientId,
    content: bool,
    now: Timestamp,
) -> Option<Appointment> {
    let standing = record.stands();
    let Some(held) = held else {
        let (start, end) = record.time?;
        let standing = standing.filter(|_| !said.known_only)?;
        return Some(new_appointment(it, said, &standing, (start, end), patient, now));
    };
    let (start, end) = record.time.unwrap_or((held.appointment.start, held.appointment.end));
    let mut appointment = Appointment { start, end, ..held.appointment.clone() };
    if let Some(Standing { status, reason }) = standing {
        appointment.status = status;
        appointment.cancel_reason = reason.filter(|_| status.has_reason());
    }
    if content && said.description.is_some() {
        appointment.description.clone_from(&said.description);
    }
    for number in std::iter::once(&said.key).chain(&said.others) {
        if !appointment.identifiers.contains(number) {
            appointment.identifiers.push(number.clone());
        }
    }
    appointment.identifiers.sort_by(|a, b| (&a.system, &a.value).cmp(&(&b.system, &b.value)));
    Some(appointment)
}

fn new_appointment(
    it: &Event,
    said: &SaidBooking,
    standing: &Standing,
    (start, end): (Timestamp, Timestamp),
    patient: PatientId,
    now: Timestamp,
) -> Appointment {
    let mut identifiers: Vec<Identifier> = std::iter::once(&said.key).chain(&said.others).cloned().collect();
    identifiers.sort_by(|a, b| (&a.system, &a.value).cmp(&(&b.system, &b.value)));
    identifiers.dedup();
    Appointment {
        id: AppointmentId(derived_id(Kind::Booking, &said.key)),
        referral: ReferralId(Uuid::nil()),
        patient,
        service: said.service.clone(),
        slot: None,
        status: standing.status,
        start,
        end,
        created: now,
        use_case: String::new(),
        description: said.description.clone(),
        cancel_reason: standing.reason.clone().filter(|_| standing.status.has_reason()),
        identifiers,
        origin: Origin { reply_to: String::new(), last_updated: None, ..it.origin.clone() },
        passed: None,
    }
}

/// What was said waits for the rest.
fn waiting(mut person: Person, record: Record, taken: &Taken) -> Decision {
    person.taken.any |= taken.any;
    person.taken.same_time |= taken.same_time;
    person.changes.push(Change::Record(record));
    person.warnings.push(Issue::new(&FEED_WAITING, PLACE));
    person.decision()
}

/// The referral that it hangs on, and what becomes of the one that it hung on before.
fn hung(
    draft: &Appointment,
    said: &SaidBooking,
    held: Option<&HeldBooking>,
    state: &State,
    patient: PatientId,
    warnings: &mut Vec<Issue>,
) -> Result<(Referral, Vec<Change>), Refusal> {
    let current = draft.status.is_current();
    let free = |booked: Option<AppointmentId>| booked.is_none_or(|booked| booked == draft.id);
    let named = named(said, state, patient)?;
    let mut referral = held.map(|held| held.referral.clone()).filter(|referral| referral.patient == patient);
    if let Some((named, booked)) = named {
        if named.status.is_live() && free(booked) {
            referral = Some(named.clone());
        } else if referral.as_ref().is_none_or(|held| held.id != named.id) {
            warnings.push(Issue::new(&FEED_REFERRAL_BOOKED, "SCH-26"));
        }
    }
    let fits = |referral: &Referral| {
        let booked = held.filter(|held| held.referral.id == referral.id).and_then(|held| held.current);
        !current || is_awaited(referral, draft.id) || (referral.status.is_live() && free(booked))
    };
    let mut referral = referral.filter(fits).unwrap_or_else(|| awaited(draft, patient));
    if is_awaited(&referral, draft.id) {
        settle_awaited(&mut referral, draft.status);
    }
    let mut changes = Vec::new();
    if let Some(before) = held.map(|held| &held.referral).filter(|before| before.id != referral.id) {
        let mut before = before.clone();
        if is_awaited(&before, draft.id) {
            before.status = ReferralStatus::Revoked;
        }
        let other = held.and_then(|held| held.current).filter(|booked| *booked != draft.id);
        changes.push(worklisted(&before, other));
    }
    changes.insert(0, worklisted(&referral, current.then_some(draft.id)));
    Ok((referral, changes))
}

/// The referral that the event names, if it is held and this person's.
fn named<'s>(
    said: &SaidBooking,
    state: &'s State,
    patient: PatientId,
) -> Result<Option<(&'s Referral, Option<AppointmentId>)>, Refusal> {
    if said.referral.is_empty() && said.own_referral.is_none() {
        return Ok(None);
    }
    let Some((referral, owner, booked)) = state.feed.referrals.first() else { return Ok(None) };
    if owner.id != patient {
        return Err(hold(&PATIENT_MISMATCH, "SCH-26"));
    }
    Ok(Some((referral, booked.as_ref().map(|booked| booked.id))))
}

fn worklisted(referral: &Referral, appointment: Option<AppointmentId>) -> Change {
    Change::Referral { referral: referral.clone(), worklist: referral.worklist(appointment), carried: None }
}

/// One that stands only for this booking, until the real one comes.
fn is_awaited(referral: &Referral, appointment: AppointmentId) -> bool {
    referral.status == ReferralStatus::Awaited || referral.id == awaited_id(appointment)
}

fn awaited_id(appointment: AppointmentId) -> ReferralId {
    ReferralId(Uuid::new_v5(&appointment.0, b"awaited"))
}

/// It stands and falls with its booking. Nobody asked for one that is over, so nobody is told of it.
fn settle_awaited(referral: &mut Referral, booking: AppointmentStatus) {
    referral.status = awaited_status(booking);
    if referral.status != ReferralStatus::Awaited {
        referral.origin.reply_to.clear();
    }
}

fn awaited_status(status: AppointmentStatus) -> ReferralStatus {
    match status {
        AppointmentStatus::Booked | AppointmentStatus::Arrived => ReferralStatus::Awaited,
        AppointmentStatus::Fulfilled | AppointmentStatus::NoShow => ReferralStatus::Completed,
        AppointmentStatus::Cancelled => ReferralStatus::Revoked,
        AppointmentStatus::EnteredInError => ReferralStatus::EnteredInError,
    }
}

pub(super) fn awaited(draft: &Appointment, patient: PatientId) -> Referral {
    Referral {
        id: awaited_id(draft.id),
        patient,
        service: draft.service.clone(),
        category: Category::Referral,
        use_case: draft.use_case.clone(),
        status: awaited_status(draft.status),
        priority: None,
        authored_on: None,
        received_at: draft.created,
        occurrence: (None, None),
        reasons: Vec::new(),
        reason_text: None,
        patient_instruction: None,
        requester: Party::default(),
        ubrn: None,
        identifiers: Vec::new(),
        case_reference: String::new(),
        based_on: Vec::new(),
        replaces: Vec::new(),
        linked_appointment: None,
        pathway: Default::default(),
        response: None,
        origin: Origin::default(),
    }
}

/// The slot is on offer again where the booking no longer takes it up.
fn freed(held: Option<&HeldBooking>, appointment: &Appointment) -> Option<Change> {
    let held = &held?.appointment;
    let moved = (held.start, held.end) != (appointment.start, appointment.end);
    let free = held.status.is_current() && (moved || !appointment.status.is_current());
    held.slot.clone().filter(|_| free).map(|id| Change::Slot { id, status: SlotStatus::Free })
}

/// A booking that the hospital moved or gave up no longer takes up a slot of the diary.
fn written(
    appointment: &Appointment,
    carried: Option<Carried>,
    held: Option<&HeldBooking>,
    candidate: PatientId,
) -> Change {
    let mut appointment = appointment.clone();
    let before = held.map(|held| &held.appointment);
    let moved = before.is_some_and(|held| (held.start, held.end) != (appointment.start, appointment.end));
    if moved || !appointment.status.is_current() || before.is_some_and(|held| !held.status.is_current()) {
        appointment.slot = None;
    }
    // What a referrer sent stays the referrer's; what the hospital changed is written into it.
    let carried = carried.filter(|_| before.is_none_or(|held| held.origin.reply_to.is_empty()));
    Change::Appointment { appointment, carried: carried.map(|carried| (carried, candidate)) }
}

/// The booking's other numbers lead to it.
fn renamed(said: &SaidBooking, appointment: &Appointment, state: &State) -> Vec<Change> {
    let unknown = said.others.iter().filter(|other| **other != said.key);
    unknown
        .filter(|other| state.feed.record(Kind::Booking, other).is_none_or(|record| record.entity.is_none()))
        .map(|other| {
            let mut record = held_or_new(state, Kind::Booking, other);
            record.entity = Some(appointment.id.0);
            Change::Record(record)
        })
        .collect()
}

/// A booking that stands otherwise from now on than anybody said of it by itself. `before`: what others knew of it.
pub(super) fn rewritten(
    held: &HeldBooking,
    appointment: Appointment,
    patient: &Patient,
    before: Option<&HeldBooking>,
    state: &State,
    now: Timestamp,
) -> (Vec<Change>, Vec<Issue>) {
    let current = appointment.status.is_current();
    let other = held.current.filter(|booked| *booked != appointment.id);
    let fits =
        !current || is_awaited(&held.referral, appointment.id) || held.referral.status.is_live() && other.is_none();
    let mut referral = if fits { held.referral.clone() } else { awaited(&appointment, appointment.patient) };
    if is_awaited(&referral, appointment.id) {
        settle_awaited(&mut referral, appointment.status);
    }
    let booked = current.then_some(appointment.id).or(other.filter(|_| fits));
    let mut changes = vec![worklisted(&referral, booked)];
    let appointment = Appointment { referral: referral.id, ..appointment };
    changes.extend(freed(Some(held), &appointment));
    let so = Now { patient, referral: &referral, appointment: Some(&appointment), at: now };
    let mut warnings = Vec::new();
    telling::note(telling::of_booking(before, &so, state), &mut changes, &mut warnings);
    changes.push(written(&appointment, None, Some(held), appointment.patient));
    (changes, warnings)
}

/// Applied whether or not anything newer is known: it says what two things are to each other.
pub(super) fn applied(mut decision: Decision, changes: Vec<Change>) -> Decision {
    decision.changes.extend(changes);
    Decision { effect: Effect::Applied, ..decision }
}
