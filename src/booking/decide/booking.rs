//! Bookings: made, amended, moved, withdrawn.

use jiff::Timestamp;

use super::duplicate;
use super::person::{self, Person};
use super::referral::write_referral;
use super::{
    AppointmentAction, ReferralAction, appointment_permits, newer_origin, not_stale, open_service, referral_permits,
    refuse,
};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::{AmendBooking, Book, CancelBooking, Reschedule, Subject};
use crate::booking::decision::{Change, Decision, Notice, NoticeKind, Refusal, State};
use crate::booking::identifier::{ServiceId, SlotId};
use crate::booking::patient::Patient;
use crate::booking::referral::{Category, Referral, ReferralStatus};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::issue::{
    BOOKING_EXISTS, BOOKING_MISSING, BUNDLE_ID_REUSED, CANCEL_DIFFERS, Code, Issue, PATIENT_MISMATCH, REFERRAL_BOOKED,
    REFERRAL_MISSING, SERVICE_DIFFERS, SLOT_SERVICE_DIFFERS, SLOT_TAKEN, SLOT_UNKNOWN, TIME_DIFFERS,
};

const APPOINTMENT: &str = "Bundle.entry.resource.ofType(Appointment)";
const TARGET: &str = "Bundle.entry.resource.ofType(Appointment).id";
const SLOT: &str = "Bundle.entry.resource.ofType(Appointment).slot";
const BASED_ON: &str = "Bundle.entry.resource.ofType(Appointment).basedOn";
const START: &str = "Bundle.entry.resource.ofType(Appointment).start";
const END: &str = "Bundle.entry.resource.ofType(Appointment).end";

/// A slot is sold to a patient, on a live referral of that same patient.
pub(super) fn book(it: &Book, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let service = open_service(state)?;
    let (person, referral) = referral_to_book(it, state)?;
    let warnings = check_slot(state, &it.appointment)?;
    if state.appointments_of(person.patient.id).next().is_some() {
        return Err(refuse(&BOOKING_EXISTS, APPOINTMENT));
    }
    if state.bundle_used {
        return Err(refuse(&BUNDLE_ID_REUSED, "Bundle.id"));
    }
    let awaited = referral.id == it.awaited.id;
    let referral = Referral { patient: person.patient.id, ..referral };
    let home = person.home(referral.id).filter(|_| awaited);
    let appointment = Appointment {
        referral: referral.id,
        patient: person.patient.id,
        slot: Some(it.slot.clone()),
        created: now,
        ..it.appointment.clone()
    };
    let changes = vec![
        write_referral(&referral, Some(&appointment), None),
        Change::Slot { id: it.slot.clone(), status: SlotStatus::Busy },
        Change::Appointment {
            appointment: appointment.clone(),
            carried: Some((it.carried.clone(), it.subject.candidate)),
        },
    ];
    let (questions, asked) = duplicate::told(duplicate::of_appointment(&appointment, state), APPOINTMENT);
    let changes = changes.into_iter().chain(home).chain(questions).collect();
    let warnings = warnings.into_iter().chain(asked).collect();
    Ok(decided(NoticeKind::Booked, Outcome { person, service, referral, appointment, changes, warnings, now }))
}

/// The referral to book on: the one that is named, or one of the same conversation, or one to await.
fn referral_to_book(it: &Book, state: &State) -> Result<(Person, Referral), Refusal> {
    if it.based_on.is_some() {
        return named_referral(it, state);
    }
    let free = |person| state.appointments_of(person).all(|held| held.id == it.appointment.id);
    let person = Person::resolve(&it.subject, &free, state)?;
    let same_case = |held: &&Referral| {
        referral_permits(held.status, ReferralAction::Book).is_ok()
            && held.category == Category::Referral
            && held.origin.correlation == it.appointment.origin.correlation
    };
    let referral = state.referrals_of(person.patient.id).find(same_case).unwrap_or(&it.awaited).clone();
    Ok((person, referral))
}

/// Nobody's appointment hangs on somebody else's referral.
fn named_referral(it: &Book, state: &State) -> Result<(Person, Referral), Refusal> {
    let (held, patient) = state.referral.as_ref().ok_or_else(|| refuse(&REFERRAL_MISSING, BASED_ON))?;
    let person = Person::linked(patient, &it.subject, state)?;
    referral_permits(held.status, ReferralAction::Book).map_err(|code| refuse(code, BASED_ON))?;
    if held.service != it.appointment.service {
        return Err(refuse(&SERVICE_DIFFERS, BASED_ON));
    }
    if state.referral_appointment.is_some() {
        return Err(refuse(&REFERRAL_BOOKED, BASED_ON));
    }
    Ok((person, held.clone()))
}

/// The slot is there, free, at this service and at the time that the sender believes.
fn check_slot(state: &State, appointment: &Appointment) -> Result<Vec<Issue>, Refusal> {
    let slot = state.slot.as_ref().ok_or_else(|| refuse(&SLOT_UNKNOWN, SLOT))?;
    if slot.status != SlotStatus::Free {
        return Err(refuse(&SLOT_TAKEN, SLOT));
    }
    let mut warnings = Vec::new();
    for (code, at) in slot_mismatches(slot, appointment) {
        if !state.rules.sandbox {
            return Err(refuse(code, at));
        }
        warnings.push(Issue::new(code, at).tolerated());
    }
    Ok(warnings)
}

fn slot_mismatches(slot: &Slot, appointment: &Appointment) -> Vec<(&'static Code, &'static str)> {
    let mut found: Vec<(&'static Code, &'static str)> = Vec::new();
    if !slot.services.contains(&appointment.service) {
        found.push((&SLOT_SERVICE_DIFFERS, SLOT));
    }
    if slot.start != appointment.start {
        found.push((&TIME_DIFFERS, START));
    }
    // Longer than its slot, it would run into the next patient's.
    if slot.end != appointment.end {
        found.push((&TIME_DIFFERS, END));
    }
    found
}

/// The same booking with other words; its time and slot are not changed so.
pub(super) fn amend(it: &AmendBooking, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let service = open_service(state)?;
    let (held, referral, person) = named(state, &it.subject, &it.appointment.service, &PATIENT_MISMATCH)?;
    permit(held, AppointmentAction::Amend)?;
    not_stale(&it.appointment.origin, &held.origin)?;
    if it.appointment.start != held.start {
        return Err(refuse(&TIME_DIFFERS, START));
    }
    if it.appointment.end != held.end {
        return Err(refuse(&TIME_DIFFERS, END));
    }
    let appointment = kept(held, &it.appointment);
    let carried = Some((it.carried.clone(), it.subject.candidate));
    let changes = vec![Change::Appointment { appointment: appointment.clone(), carried }];
    let outcome =
        Outcome { person, service, referral: referral.clone(), appointment, changes, warnings: Vec::new(), now };
    Ok(decided(NoticeKind::BookingAmended, outcome))
}

/// The same booking in another slot: the new one is taken and the old one freed at once.
pub(super) fn reschedule(it: &Reschedule, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let service = open_service(state)?;
    let (held, referral, person) = named(state, &it.subject, &it.appointment.service, &PATIENT_MISMATCH)?;
    if held.slot.as_ref() == Some(&it.slot) && held.start == it.appointment.start {
        let Reschedule { target, subject, appointment, carried, .. } = it.clone();
        return amend(&AmendBooking { target, subject, appointment, carried }, state, now);
    }
    permit(held, AppointmentAction::Reschedule)?;
    not_stale(&it.appointment.origin, &held.origin)?;
    let warnings = check_slot(state, &it.appointment)?;
    let mut appointment = kept(held, &it.appointment);
    appointment.slot = Some(it.slot.clone());
    let carried = Some((it.carried.clone(), it.subject.candidate));
    let mut changes = freed(held.slot.as_ref());
    changes.push(Change::Slot { id: it.slot.clone(), status: SlotStatus::Busy });
    changes.push(Change::Appointment { appointment: appointment.clone(), carried });
    let (questions, asked) = duplicate::told(duplicate::of_appointment(&appointment, state), APPOINTMENT);
    changes.extend(questions);
    let warnings = warnings.into_iter().chain(asked).collect();
    let outcome = Outcome { person, service, referral: referral.clone(), appointment, changes, warnings, now };
    Ok(decided(NoticeKind::Rescheduled, outcome))
}

/// Withdrawn: its slot is on offer again, and a referral that only it waited for is withdrawn with it.
pub(super) fn cancel(it: &CancelBooking, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let (held, referral, person) = named(state, &it.subject, &it.service, &CANCEL_DIFFERS)?;
    permit(held, AppointmentAction::Cancel)?;
    if it.start.is_some_and(|start| start != held.start) {
        return Err(refuse(&CANCEL_DIFFERS, START));
    }
    let mut appointment = held.clone();
    appointment.status = it.status;
    appointment.cancel_reason = it.reason.clone();
    appointment.origin = newer_origin(&held.origin, &it.origin);
    let mut referral = referral.clone();
    if referral.status == ReferralStatus::Awaited {
        referral.status = ReferralStatus::Revoked;
    }
    let mut changes = freed(held.slot.as_ref());
    changes.push(Change::Appointment { appointment: appointment.clone(), carried: None });
    changes.push(write_referral(&referral, None, None));
    let Some(service) = state.service.as_ref() else { return Err(refuse(&BOOKING_MISSING, TARGET)) };
    let outcome = Outcome { person, service, referral, appointment, changes, warnings: Vec::new(), now };
    let mistaken = it.status == AppointmentStatus::EnteredInError;
    Ok(decided(if mistaken { NoticeKind::BookingDeleted } else { NoticeKind::BookingCancelled }, outcome))
}

/// The appointment that a message names, of the person and at the service that it says.
fn named<'a>(
    state: &'a State,
    subject: &Subject,
    service: &ServiceId,
    mismatch: &'static Code,
) -> Result<(&'a Appointment, &'a Referral, Person), Refusal> {
    let (held, referral, patient) = state.appointment.as_ref().ok_or_else(|| refuse(&BOOKING_MISSING, TARGET))?;
    if person::differs(patient, subject, state) {
        return Err(super::alarm(mismatch, "Bundle.entry.resource.ofType(Patient)"));
    }
    if held.service != *service {
        return Err(refuse(&SERVICE_DIFFERS, "Bundle.entry[0].resource.destination[0].endpoint"));
    }
    Ok((held, referral, known(patient, subject, state)?))
}

fn known(patient: &Patient, subject: &Subject, state: &State) -> Result<Person, Refusal> {
    Person::named(patient, subject, state, &PATIENT_MISMATCH)
}

fn permit(held: &Appointment, action: AppointmentAction) -> Result<(), Refusal> {
    appointment_permits(held.status, action).map_err(|code| refuse(code, TARGET))
}

/// New content for a held appointment: what ties it to its referral, patient and slot stays.
fn kept(held: &Appointment, new: &Appointment) -> Appointment {
    Appointment {
        id: held.id,
        referral: held.referral,
        patient: held.patient,
        slot: held.slot.clone(),
        created: held.created,
        status: held.status,
        origin: newer_origin(&held.origin, &new.origin),
        passed: held.passed.clone(),
        ..new.clone()
    }
}

fn freed(slot: Option<&SlotId>) -> Vec<Change> {
    slot.map(|id| Change::Slot { id: id.clone(), status: SlotStatus::Free }).into_iter().collect()
}

struct Outcome<'a> {
    person: Person,
    service: &'a Service,
    referral: Referral,
    appointment: Appointment,
    changes: Vec<Change>,
    warnings: Vec<Issue>,
    now: Timestamp,
}

fn decided(kind: NoticeKind, it: Outcome<'_>) -> Decision {
    let notice = Notice {
        kind,
        service: it.service.clone(),
        patient: it.person.patient.clone(),
        referral: it.referral.clone(),
        appointment: Some(it.appointment.clone()),
        at: it.now,
    };
    Decision {
        patient: Some(it.person.patient),
        referral: Some(it.referral),
        appointment: Some(it.appointment),
        changes: it.person.changes.into_iter().chain(it.changes).collect(),
        notices: vec![notice],
        warnings: it.person.warnings.into_iter().chain(it.warnings).collect(),
        effect: Default::default(),
    }
}
