//! Referrals and validation requests: placed, amended, withdrawn.

use jiff::Timestamp;
use uuid::Uuid;

use super::duplicate;
use super::person::{self, Person};
use super::{ReferralAction, newer_origin, not_stale, open_service, referral_permits, refuse};
use crate::booking::appointment::Appointment;
use crate::booking::command::{AmendReferral, CancelReferral, Carried, PlaceReferral};
use crate::booking::decision::{Change, Decision, Notice, NoticeKind, Refusal, State};
use crate::booking::identifier::{PatientId, ReferralId};
use crate::booking::patient::Patient;
use crate::booking::referral::{Category, Referral, ReferralStatus};
use crate::booking::service::Service;
use crate::issue::{
    BOOKING_MISSING, BOOKING_NOT_LINKED, BUNDLE_ID_REUSED, Code, Issue, LINK_UNVERIFIED, PATIENT_MISMATCH,
    REFERRAL_EXISTS, REFERRAL_MISSING, REFERRAL_NOT_FOUND, SERVICE_DIFFERS, WORKFLOW,
};

const REQUEST: &str = "Bundle.entry.resource.ofType(ServiceRequest)";
const TARGET: &str = "Bundle.entry.resource.ofType(ServiceRequest).id";
const LINK: &str = "Bundle.entry.resource.ofType(ServiceRequest).supportingInfo";

/// A new referral, or the one that a booking has been waiting for.
pub(super) fn place(it: &PlaceReferral, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let service = open_service(state)?;
    // What it is about itself is in nobody's way: else the same message once more would look for somebody else.
    let free = |person| others(person, &it.referral, state).all(|held| held.id == it.referral.id);
    let mut person = Person::resolve(&it.subject, &free, state)?;
    no_other(&person, &it.referral, state)?;
    let link = find_link(it, state)?;
    if state.bundle_used {
        return Err(refuse(&BUNDLE_ID_REUSED, "Bundle.id"));
    }
    if let Link::Held(_, _, patient) = &link {
        person = Person::linked(patient, &it.subject, state)?;
        // The booking may be on another record than the one that the number finds, or none does.
        no_other(&person, &it.referral, state)?;
    }
    duplicate::numbers_are_theirs(&it.referral, person.patient.id, state)?;
    let mut referral = Referral { patient: person.patient.id, received_at: now, ..it.referral.clone() };
    let mut carried = it.carried.clone();
    let booked = match &link {
        Link::Held(awaited, appointment, _) => {
            adopt(&mut referral, &mut carried, awaited);
            Some(*appointment)
        }
        Link::None | Link::Unverified => None,
    };
    let (questions, asked) = duplicate::told(duplicate::of_referral(&referral, state), REQUEST);
    person.changes.extend(questions);
    let warnings = std::mem::take(&mut person.warnings).into_iter().chain(link.warning()).chain(asked).collect();
    let appointment = booked.cloned();
    Ok(placed(
        person,
        service,
        Placed { referral, carried, placeholder: it.subject.candidate, appointment, warnings, now },
    ))
}

/// One live referral of a kind for each patient and service. One that is still awaited is not in the way, nor is one
/// with another booking reference: about the two a person is asked.
fn no_other(person: &Person, new: &Referral, state: &State) -> Result<(), Refusal> {
    if others(person.patient.id, new, state).next().is_some() {
        return Err(refuse(&REFERRAL_EXISTS, REQUEST));
    }
    Ok(())
}

fn others<'s>(person: PatientId, new: &Referral, state: &'s State) -> impl Iterator<Item = &'s Referral> {
    let same = |held: &&Referral| held.category == new.category && !held.is_told_apart_from(new);
    state.referrals_of(person).filter(|held| held.status != ReferralStatus::Awaited).filter(same)
}

struct Placed {
    referral: Referral,
    carried: Carried,
    placeholder: PatientId,
    appointment: Option<Appointment>,
    warnings: Vec<Issue>,
    now: Timestamp,
}

fn placed(person: Person, service: &Service, it: Placed) -> Decision {
    let home = person.home(it.referral.id);
    let change = write_referral(&it.referral, it.appointment.as_ref(), Some((it.carried, it.placeholder)));
    let notice = notice(NoticeKind::ReferralPlaced, service, &person.patient, &it.referral, it.now);
    Decision {
        patient: Some(person.patient),
        referral: Some(it.referral),
        appointment: it.appointment,
        changes: person.changes.into_iter().chain([change]).chain(home).collect(),
        notices: vec![notice],
        warnings: it.warnings,
        effect: Default::default(),
    }
}

/// The booking that a new referral belongs to.
enum Link<'a> {
    /// None is named and none waits.
    None,
    /// One is named that is not held here, by a patient whose identity is not proven.
    Unverified,
    /// It is held, with the referral that it waits for, and its patient.
    Held(&'a Referral, &'a Appointment, &'a Patient),
}

impl Link<'_> {
    fn warning(&self) -> Option<Issue> {
        matches!(self, Self::Unverified).then(|| Issue::new(&LINK_UNVERIFIED, LINK))
    }
}

/// Named by the sender: it must be the patient's own, current, at this service, and wait for a request of this
/// kind. Not named: one that waits in the same conversation. BaRS section 5.8.
fn find_link<'a>(it: &PlaceReferral, state: &'a State) -> Result<Link<'a>, Refusal> {
    let Some(named) = it.referral.linked_appointment else { return Ok(waiting(it, state)) };
    let person = state.patient.as_ref().map(|patient| state.index.person_of(patient).id);
    let unbooked = person.is_none_or(|person| state.appointments_of(person).next().is_none());
    let unlinked = || match (it.subject.nhs_number, unbooked) {
        (None, _) => Ok(Link::Unverified),
        (Some(_), true) => Err(refuse(&BOOKING_MISSING, LINK)),
        (Some(_), false) => Err(refuse(&BOOKING_NOT_LINKED, LINK)),
    };
    match &state.appointment {
        Some((appointment, awaited, patient)) if appointment.id == named && appointment.status.is_current() => {
            if person::differs(patient, &it.subject, state) {
                return unlinked().map_err(|refusal| Refusal { alarm: true, ..refusal });
            }
            if appointment.service != it.referral.service || awaited.category != it.referral.category {
                return Err(refuse(&BOOKING_NOT_LINKED, LINK));
            }
            if awaited.status != ReferralStatus::Awaited {
                return Err(refuse(&REFERRAL_EXISTS, LINK));
            }
            Ok(Link::Held(awaited, appointment, patient))
        }
        Some(_) => Err(refuse(if unbooked { &BOOKING_MISSING } else { &BOOKING_NOT_LINKED }, LINK)),
        None => unlinked(),
    }
}

fn waiting<'a>(it: &PlaceReferral, state: &'a State) -> Link<'a> {
    let Some(patient) = &state.patient else { return Link::None };
    let ours = |held: &&Referral| {
        held.status == ReferralStatus::Awaited
            && held.category == it.referral.category
            && held.origin.correlation == it.referral.origin.correlation
    };
    let person = state.index.person_of(patient).id;
    let found = state.referrals_of(person).filter(ours).find_map(|awaited| {
        let appointment = state.appointments_of(person).find(|appointment| appointment.referral == awaited.id)?;
        Some(Link::Held(awaited, appointment, patient))
    });
    found.unwrap_or(Link::None)
}

/// The awaited referral becomes this one: it keeps its id, on which the appointment hangs, its pathway with the
/// clock, and what it knows of the versions of what was sent.
fn adopt(referral: &mut Referral, carried: &mut Carried, awaited: &Referral) {
    carried.0 = carried.0.replace(&referral.id.to_string(), &awaited.id.to_string());
    referral.id = awaited.id;
    referral.pathway.id = referral.pathway.id.take().or(awaited.pathway.id.clone());
    referral.pathway.clock_start = awaited.pathway.clock_start.or(referral.pathway.clock_start);
    referral.origin = newer_origin(&awaited.origin, &referral.origin);
    referral.case_reference = awaited.case_reference.clone();
}

/// The same referral with other content. Its id, its clock and what the service answered stay.
pub(super) fn amend(it: &AmendReferral, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let service = open_service(state)?;
    let (held, patient) = named(state, it.referral.category)?;
    let person = Person::named(patient, &it.subject, state, &PATIENT_MISMATCH)?;
    same_request(held, &it.referral.service.0, it.referral.category)?;
    permit(held, ReferralAction::Amend, it.referral.category)?;
    not_stale(&it.referral.origin, &held.origin)?;
    let referral = Referral {
        id: held.id,
        patient: held.patient,
        received_at: held.received_at,
        case_reference: held.case_reference.clone(),
        based_on: joined(&held.based_on, &it.referral.based_on),
        replaces: joined(&held.replaces, &it.referral.replaces),
        linked_appointment: it.referral.linked_appointment.or(held.linked_appointment),
        pathway: held.pathway.clone(),
        response: held.response,
        ubrn: it.referral.ubrn.clone().or(held.ubrn.clone()),
        origin: newer_origin(&held.origin, &it.referral.origin),
        ..it.referral.clone()
    };
    let carried = Some((it.carried.clone(), it.subject.candidate));
    let change = write_referral(&referral, state.referral_appointment.as_ref(), carried);
    let notice = notice(NoticeKind::ReferralAmended, service, &person.patient, &referral, now);
    Ok(decision(person, referral, vec![change], vec![notice]))
}

/// Withdrawn. A booking on it stays until it is cancelled itself: it then awaits a referral again.
/// A withdrawal is not asked how old its copy is: what is held is withdrawn, whatever it says by now.
pub(super) fn cancel(it: &CancelReferral, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let (held, patient) = named(state, it.category)?;
    let person = Person::named(patient, &it.subject, state, &PATIENT_MISMATCH)?;
    same_request(held, &it.service.0, it.category)?;
    permit(held, ReferralAction::Cancel, it.category)?;
    let mut referral = held.clone();
    referral.status = it.status;
    referral.reason_text = it.reason.clone().or(referral.reason_text);
    referral.origin = newer_origin(&held.origin, &it.origin);
    let mut changes = vec![write_referral(&referral, None, None)];
    if let Some(appointment) = &state.referral_appointment {
        changes.extend(orphaned(held, appointment, state));
    }
    let service = state.service.as_ref();
    let notices =
        service.map(|service| notice(NoticeKind::ReferralCancelled, service, &person.patient, &referral, now));
    Ok(decision(person, referral, changes, notices.into_iter().collect()))
}

/// The appointment of a withdrawn referral, moved to one that is awaited; its id follows from the old one's.
pub(super) fn orphaned(held: &Referral, appointment: &Appointment, state: &State) -> Vec<Change> {
    let awaited = Referral {
        id: ReferralId(Uuid::new_v5(&held.id.0, b"awaited")),
        status: ReferralStatus::Awaited,
        linked_appointment: None,
        response: None,
        ..held.clone()
    };
    let moved = Appointment { referral: awaited.id, ..appointment.clone() };
    let home = Change::Home { referral: awaited.id, record: state.index.home_of(held) };
    vec![write_referral(&awaited, Some(&moved), None), home, Change::Appointment { appointment: moved, carried: None }]
}

/// The referral that the command names. Unknown referrals answer 400 as the conformance toolkit's stateful tests
/// have it, unknown validation requests 404 as the standard's error table has it.
fn named(state: &State, category: Category) -> Result<(&Referral, &Patient), Refusal> {
    state.referral.as_ref().map(|(held, patient)| (held, patient)).ok_or_else(|| refuse(missing(category), TARGET))
}

fn missing(category: Category) -> &'static Code {
    match category {
        Category::Referral => &REFERRAL_MISSING,
        Category::Validation => &REFERRAL_NOT_FOUND,
    }
}

fn permit(held: &Referral, action: ReferralAction, category: Category) -> Result<(), Refusal> {
    referral_permits(held.status, action)
        .map_err(|code| refuse(if *code == REFERRAL_MISSING { missing(category) } else { code }, TARGET))
}

fn same_request(held: &Referral, service: &str, category: Category) -> Result<(), Refusal> {
    if held.service.0 != service {
        return Err(refuse(&SERVICE_DIFFERS, "Bundle.entry[0].resource.destination[0].endpoint"));
    }
    if held.category != category {
        return Err(refuse(&WORKFLOW, "Bundle.entry.resource.ofType(ServiceRequest).category"));
    }
    Ok(())
}

fn joined(held: &[ReferralId], new: &[ReferralId]) -> Vec<ReferralId> {
    held.iter().chain(new.iter().filter(|id| !held.contains(id))).copied().collect()
}

/// The row of a referral, on the worklist that follows from it.
pub(super) fn write_referral(
    referral: &Referral,
    appointment: Option<&Appointment>,
    carried: Option<(Carried, PatientId)>,
) -> Change {
    let worklist = referral.worklist(appointment.map(|appointment| appointment.id));
    Change::Referral { referral: referral.clone(), worklist, carried }
}

fn notice(kind: NoticeKind, service: &Service, patient: &Patient, referral: &Referral, at: Timestamp) -> Notice {
    Notice {
        kind,
        service: service.clone(),
        patient: patient.clone(),
        referral: referral.clone(),
        appointment: None,
        at,
    }
}

fn decision(person: Person, referral: Referral, changes: Vec<Change>, notices: Vec<Notice>) -> Decision {
    Decision {
        patient: Some(person.patient),
        referral: Some(referral),
        appointment: None,
        changes: person.changes.into_iter().chain(changes).collect(),
        notices,
        warnings: person.warnings,
        effect: Default::default(),
    }
}
