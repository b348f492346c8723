//! What a service says about a referral that was sent to it.

use jiff::Timestamp;

use super::person::Person;
use super::referral::write_referral;
use super::{AppointmentAction, ReferralAction, appointment_permits, referral_permits, refuse};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::RecordResponse;
use crate::booking::decision::{Change, Decision, Notice, NoticeKind, Refusal, State};
use crate::booking::referral::{Referral, ResponseKind};
use crate::issue::{PATIENT_MISMATCH, RESPONSE_UNKNOWN};

const PLACE: &str = "Bundle.entry[0].resource.response.identifier";

/// Recorded on the referral, whatever became of it meanwhile; the requester's side is told. The versions of the
/// requester's own resources stay as the requester last sent them, so that it can go on updating.
pub(super) fn record(it: &RecordResponse, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let (held, patient) = state.referral.as_ref().ok_or_else(|| refuse(&RESPONSE_UNKNOWN, PLACE))?;
    let person = Person::named(patient, &it.subject, state, &PATIENT_MISMATCH)?;
    referral_permits(held.status, ReferralAction::Respond).map_err(|code| refuse(code, PLACE))?;
    let mut referral = held.clone();
    referral.response = Some(it.kind);
    let missed = missed_appointment(it, state, held);
    let current = missed.as_ref().or(state.referral_appointment.as_ref()).filter(|held| held.status.is_current());
    let mut changes = vec![write_referral(&referral, current, None)];
    changes.extend(missed.clone().map(|appointment| Change::Appointment { appointment, carried: None }));
    let notice = |kind, appointment: Option<&Appointment>| {
        state.service.as_ref().map(|service| Notice {
            kind,
            service: service.clone(),
            patient: person.patient.clone(),
            referral: referral.clone(),
            appointment: appointment.cloned(),
            at: now,
        })
    };
    let not_attended = missed.as_ref().and_then(|missed| notice(NoticeKind::NotAttended, Some(missed)));
    let notices = notice(NoticeKind::ReferralAmended, None).into_iter().chain(not_attended).collect();
    Ok(Decision {
        patient: Some(person.patient),
        referral: Some(referral),
        appointment: None,
        changes: person.changes.into_iter().chain(changes).collect(),
        notices,
        warnings: Vec::new(),
        effect: Default::default(),
    })
}

/// The referral's own appointment, if that is the one that was not attended.
fn missed_appointment(it: &RecordResponse, state: &State, held: &Referral) -> Option<Appointment> {
    let (appointment, referral, _) = state.appointment.as_ref()?;
    let missed = it.kind == ResponseKind::DidNotAttend
        && referral.id == held.id
        && appointment_permits(appointment.status, AppointmentAction::NoShow).is_ok();
    missed.then(|| Appointment { status: AppointmentStatus::NoShow, ..appointment.clone() })
}
