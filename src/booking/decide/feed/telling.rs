//! Whether a referrer is to be told of what a hospital said, and what.
//!
//! A referrer hears of its own bookings whenever their time or status changes; of its referrals what becomes of them,
//! and of the bookings that the hospital makes for them. Of a booking without a referral the standard has no message
//! that says whether it was attended: that is read with `GET /Appointment/{id}`, and the journal says so.
//!
//! A booking that turns out to be another patient's ends for the one whose it was, and what begins for the other patient
//! is nobody's but the hospital's ([`super::passing`]). So of the other patient the referrer hears nothing, neither then
//! nor later: it never spoke of that patient.

use jiff::Timestamp;

use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::decision::{Change, State};
use crate::booking::feed::{HeldBooking, News, Telling};
use crate::booking::identifier::{ReferralId, ServiceId};
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

/// News of a booking. `held`: as it was; not given: the hospital has just made it.
pub(super) fn of_booking(held: Option<&HeldBooking>, now: &Now<'_>, state: &State) -> Option<Told> {
    let appointment = now.appointment?;
    let said = |it: &Appointment| (it.status, it.start, it.end);
    if held.is_some_and(|held| said(&held.appointment) == said(appointment)) {
        return None;
    }
    let booker = Some(&appointment.origin).filter(|origin| !origin.reply_to.is_empty());
    // What comes back is told after that it went.
    let again = held.filter(|held| held.appointment.status == AppointmentStatus::EnteredInError);
    told(booker, again.map_or(now.referral.id, |held| held.referral.id), now, state)
}

fn told(booker: Option<&Origin>, order: ReferralId, now: &Now<'_>, state: &State) -> Option<Told> {
    let (appointment, referrer) = (now.appointment?, referrer(now.referral));
    booker.or(referrer)?;
    let Some((news, origin)) = news(appointment.status, booker, referrer) else { return Some(Err(untold())) };
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

/// Writes the letter, or says that there is none.
pub(super) fn note(told: Option<Told>, changes: &mut Vec<Change>, warnings: &mut Vec<Issue>) {
    match told {
        Some(Ok(letter)) => changes.push(letter),
        Some(Err(issue)) => warnings.push(issue),
        None => {}
    }
}
