//! Whether a referrer is to be told of what a hospital said, and what.
//!
//! A referrer hears of its own bookings whenever their time or status changes; of its referrals what becomes of them,
//! and of the bookings that the hospital makes for them. Of a booking without a referral the standard has no message
//! that says whether it was attended: that is read with `GET /Appointment/{id}`, and the journal says so.
//!
//! A booking that turns out to be another patient's is withdrawn for the one whose it was. Of the other patient the
//! referrer hears nothing, neither then nor later: it never spoke of that patient.

use jiff::Timestamp;

use crate::booking::appointment::{Appointment, AppointmentStatus, MadeFor};
use crate::booking::decision::{Change, State};
use crate::booking::feed::{HeldBooking, News, Telling};
use crate::booking::identifier::{PatientId, ReferralId, ServiceId};
use crate::booking::patient::Patient;
use crate::booking::referral::{Category, Origin, Referral, ReferralStatus};
use crate::issue::{FEED_UNTOLD, Issue};

/// A letter to write, or news that cannot be told.
pub(super) type Told = Result<Change, Issue>;

/// What is so now, and when it came to be so.
pub(super) struct Now<'a> {
    pub(super) patient: &'a Patient,
    pub(super) referral: &'a Referral,
    pub(super) appointment: Option<&'a Appointment>,
    pub(super) at: Timestamp,
}

/// News of a booking. `held`: as it was; not given: the hospital has just made it. A referrer hears of the booking only
/// while it is the one's for whom it was made.
pub(super) fn of_booking(held: Option<&HeldBooking>, now: &Now<'_>, state: &State) -> Vec<Told> {
    let Some(appointment) = now.appointment else { return Vec::new() };
    if let Some(held) = held.filter(|held| held.patient.id != now.patient.id) {
        return left(held, appointment, now, state).into_iter().chain(came(appointment, now, state)).collect();
    }
    let said = |it: &Appointment| (it.status, it.start, it.end);
    if held.is_some_and(|held| said(&held.appointment) == said(appointment)) {
        return Vec::new();
    }
    told(booker(appointment, now.patient.id, state), now, state).into_iter().collect()
}

/// Who made it, for this patient, under whatever record.
fn booker<'o>(appointment: &'o Appointment, patient: PatientId, state: &State) -> Option<&'o Origin> {
    let person = |id| state.index.record(id).map_or(id, |known| state.index.person_of(known).id);
    let theirs = |made: MadeFor| made.patient == patient || person(made.patient) == patient;
    Some(&appointment.origin).filter(|it| !it.reply_to.is_empty() && appointment.made_for.is_none_or(theirs))
}

/// It is somebody else's from now on: for the one whose it was it should never have been.
fn left(held: &HeldBooking, appointment: &Appointment, now: &Now<'_>, state: &State) -> Option<Told> {
    let status = AppointmentStatus::EnteredInError;
    let made_for = appointment.made_for;
    let gone = Appointment { status, cancel_reason: None, made_for, ..held.appointment.clone() };
    let before = Now { patient: &held.patient, referral: &held.referral, appointment: Some(&gone), at: now.at };
    let stood = stands(held.appointment.status);
    stood.then(|| told(booker(&gone, held.patient.id, state), &before, state)).flatten()
}

/// It is again the one's for whom it was made.
fn came(appointment: &Appointment, now: &Now<'_>, state: &State) -> Option<Told> {
    let booker = booker(appointment, now.patient.id, state).filter(|_| stands(appointment.status))?;
    told(Some(booker), now, state)
}

/// Is or was there an appointment?
fn stands(status: AppointmentStatus) -> bool {
    !matches!(status, AppointmentStatus::Cancelled | AppointmentStatus::EnteredInError)
}

fn told(booker: Option<&Origin>, now: &Now<'_>, state: &State) -> Option<Told> {
    let (appointment, referrer) = (now.appointment?, referrer(now.referral));
    booker.or(referrer)?;
    let Some((news, origin)) = news(appointment.status, booker, referrer) else { return Some(Err(untold())) };
    let made = appointment.made_for.filter(|_| booker.is_some());
    let order = made.map_or(now.referral.id, |made| made.referral);
    Some(now.tell(news, origin, &appointment.service, order, state))
}

/// Who made the referral; nobody did where it only stands for a booking, and a validation has no bookings.
fn referrer(referral: &Referral) -> Option<&Origin> {
    let asked = referral.status != ReferralStatus::Awaited && referral.category == Category::Referral;
    Some(&referral.origin).filter(|origin| asked && !origin.reply_to.is_empty())
}

fn news<'o>(
    status: AppointmentStatus,
    booker: Option<&'o Origin>,
    referrer: Option<&'o Origin>,
) -> Option<(News, &'o Origin)> {
    match (status, booker) {
        (AppointmentStatus::Booked, Some(booker)) => Some((News::BookingChanged, booker)),
        (AppointmentStatus::Cancelled | AppointmentStatus::EnteredInError, Some(booker)) => {
            Some((News::BookingWithdrawn, booker))
        }
        (AppointmentStatus::NoShow, _) => referrer.map(|referrer| (News::DidNotAttend, referrer)),
        _ => referrer.map(|referrer| (News::Progress, referrer)),
    }
}

/// News of a referral.
pub(super) fn of_referral(held: Option<&Referral>, now: &Now<'_>, state: &State) -> Option<Told> {
    let held = held?;
    let said = |it: &Referral| (it.status, it.response, it.priority);
    if said(held) == said(now.referral) || held.origin.reply_to.is_empty() {
        return None;
    }
    Some(now.tell(News::Progress, &held.origin, &held.service, held.id, state))
}

impl Now<'_> {
    fn tell(&self, news: News, origin: &Origin, service: &ServiceId, order: ReferralId, state: &State) -> Told {
        let service = state.feed.services.iter().find(|it| it.id == *service).ok_or_else(untold)?;
        Ok(Change::Tell(Box::new(Telling {
            news,
            service: service.clone(),
            patient: self.patient.clone(),
            referral: self.referral.clone(),
            order,
            appointment: self.appointment.cloned(),
            origin: origin.clone(),
            original: state.feed.original(origin).map(<[u8]>::to_vec),
            at: self.at,
        })))
    }
}

fn untold() -> Issue {
    Issue::new(&FEED_UNTOLD, "")
}

/// Writes the letters, or says that there are none.
pub(super) fn note(told: Vec<Told>, changes: &mut Vec<Change>, warnings: &mut Vec<Issue>) {
    for told in told {
        match told {
            Ok(letter) => changes.push(letter),
            Err(issue) => warnings.push(issue),
        }
    }
}
