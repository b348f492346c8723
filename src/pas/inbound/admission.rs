//! ADT: people, and the bookings of hospitals that speak of them in admissions (A05, A38).

use jiff::Timestamp;
use uuid::Uuid;

use super::person::other_numbers;
use super::reading::{Reading, simple};
use super::schedule::{referral_numbers, service};
use crate::booking::appointment::AppointmentStatus;
use crate::booking::feed::{SaidBooking, Standing, Wish};
use crate::booking::identifier::{AppointmentId, Identifier};
use crate::hl7v2::path::Path;
use crate::issue::{HL7_FIELD_MISSING, HL7_MERGE_SELF, HL7_SEGMENT_MISSING};

/// Something is said about the person and nothing else.
pub(super) fn person(_: &mut Reading<'_>) -> Option<Wish> {
    Some(Wish::Person)
}

/// Nothing that matters here.
pub(super) fn nothing(_: &mut Reading<'_>) -> Option<Wish> {
    Some(Wish::Nothing)
}

/// A29.
pub(super) fn withdrawn(_: &mut Reading<'_>) -> Option<Wish> {
    Some(Wish::Withdraw)
}

/// A05, A14: booked, planned; ZU3-3 says what became of it.
pub(super) fn planned(reading: &mut Reading<'_>) -> Option<Wish> {
    if number(reading).is_none() {
        let timed = reading.first(&reading.dialect.appointment_time).is_some();
        return unnumbered(reading, timed);
    }
    let status = attended(reading).unwrap_or(AppointmentStatus::Booked);
    let time = if status.is_current() { time(reading) } else { reading.without_a_time(time) };
    if time.is_none() && status.is_current() && !reading.has_errors() {
        let path = reading.dialect.appointment_time.first().map_or(Path::of("PV2-8"), |place| place.0);
        reading.missing(path);
    }
    booking(reading, Some(status), time, false)
}

/// A38, A27: cancelled.
pub(super) fn cancelled(reading: &mut Reading<'_>) -> Option<Wish> {
    if number(reading).is_none() {
        reading.missing(Path::of("PV1-19"));
        return None;
    }
    let time = reading.without_a_time(time);
    booking(reading, Some(AppointmentStatus::Cancelled), time, false)
}

/// A01, A04, A10: the patient is here.
pub(super) fn arrived(reading: &mut Reading<'_>) -> Option<Wish> {
    let status = attended(reading).filter(|status| *status != AppointmentStatus::Booked);
    about_a_visit(reading, Some(status.unwrap_or(AppointmentStatus::Arrived)))
}

/// A03: the visit is over.
pub(super) fn ended(reading: &mut Reading<'_>) -> Option<Wish> {
    let status = attended(reading).filter(|status| !status.is_current());
    about_a_visit(reading, Some(status.unwrap_or(AppointmentStatus::Fulfilled)))
}

/// A08: attended or not, where it says so.
pub(super) fn changed(reading: &mut Reading<'_>) -> Option<Wish> {
    let status = attended(reading);
    about_a_visit(reading, status)
}

/// A11: not here after all.
pub(super) fn arrival_undone(reading: &mut Reading<'_>) -> Option<Wish> {
    about_a_visit(reading, Some(AppointmentStatus::Booked))
}

/// A13: not over after all.
pub(super) fn end_undone(reading: &mut Reading<'_>) -> Option<Wish> {
    about_a_visit(reading, Some(AppointmentStatus::Arrived))
}

/// A23: the visit should never have been.
pub(super) fn visit_deleted(reading: &mut Reading<'_>) -> Option<Wish> {
    about_a_visit(reading, Some(AppointmentStatus::EnteredInError))
}

/// About a visit that may be a booking; where it says nothing of one it is about the person only.
fn about_a_visit(reading: &mut Reading<'_>, status: Option<AppointmentStatus>) -> Option<Wish> {
    if status.is_none() {
        return person(reading);
    }
    if number(reading).is_none() {
        let said = attended(reading).is_some();
        return unnumbered(reading, said);
    }
    booking(reading, status, None, true)
}

/// No number says which booking is meant. It is about the person only, unless it does say something of a booking: that
/// must not be lost without anybody knowing.
fn unnumbered(reading: &mut Reading<'_>, of_a_booking: bool) -> Option<Wish> {
    if !of_a_booking {
        return person(reading);
    }
    let place = reading.dialect.booking.first().map_or(Path::of("PV1-19"), |place| place.0);
    reading.missing(place);
    None
}

fn booking(
    reading: &mut Reading<'_>,
    status: Option<AppointmentStatus>,
    time: Option<(Timestamp, Timestamp)>,
    known_only: bool,
) -> Option<Wish> {
    let key = number(reading)?;
    let reason = status.filter(|status| !status.is_current()).and_then(|_| reason(reading));
    let own = Uuid::parse_str(&key.value).ok().map(AppointmentId);
    Some(Wish::Booking(SaidBooking {
        key,
        others: Vec::new(),
        own,
        status: status.map(|status| Standing { status, reason }),
        time,
        service: service(reading),
        referral: referral_numbers(reading),
        own_referral: None,
        description: reading.text(Path::of("PV2-3.2")).or_else(|| reading.text(Path::of("PV2-12"))),
        carried: None,
        known_only,
    }))
}

/// The booking's number, wherever the dialect has it.
fn number(reading: &mut Reading<'_>) -> Option<Identifier> {
    reading.dialect.booking.clone().into_iter().find_map(|place| reading.number(place.0))
}

/// The time of the booking, by the first place that says one; a day alone gives way to a place that says the hour. ADT
/// does not say how long it takes.
fn time(reading: &mut Reading<'_>) -> Option<(Timestamp, Timestamp)> {
    let mut places: Vec<Path> = reading.dialect.appointment_time.iter().map(|place| simple(place.0)).collect();
    places.sort_by_key(|path| reading.is_day(*path));
    let (path, text) = places.into_iter().find_map(|path| Some((path, reading.text(path)?)))?;
    let start = reading.hour(path, &text)?;
    Some((start, start))
}

fn attended(reading: &Reading<'_>) -> Option<AppointmentStatus> {
    let code = reading.first(&reading.dialect.attended)?;
    reading.dialect.attendance.get(&code)?.appointment()
}

/// In words, or by whom: 2 and 4 of the NHS Data Dictionary say that much.
fn reason(reading: &Reading<'_>) -> Option<String> {
    let by = || {
        let code = reading.first(&reading.dialect.attended)?;
        match code.as_str() {
            "2" => Some("cancelled by the patient".to_owned()),
            "4" => Some("cancelled by the provider".to_owned()),
            _ => None,
        }
    };
    reading.first(&reading.dialect.cancelled_by).or_else(by)
}

/// A40, A34: what is said of the second record's numbers is the first one's.
pub(super) fn merged(reading: &mut Reading<'_>) -> Option<Wish> {
    let numbers = merged_numbers(reading)?;
    Some(Wish::Merge(numbers))
}

/// A47: new numbers for old ones.
pub(super) fn renumbered(reading: &mut Reading<'_>) -> Option<Wish> {
    let old = old_numbers(reading)?;
    Some(Wish::Renumber(old))
}

fn merged_numbers(reading: &mut Reading<'_>) -> Option<Vec<Identifier>> {
    let mut old = old_numbers(reading)?;
    for (occurrence, mrg) in (1..).zip(reading.named(b"MRG")).skip(1) {
        old.extend(other_numbers(reading, &mrg, Path { occurrence, ..Path::of("MRG-1") }));
    }
    let own = pid_numbers(reading, 1);
    let retired = own.iter().filter(|number| old.contains(number)).count();
    if 0 < retired && retired == own.len() {
        reading.note(&HL7_MERGE_SELF, Path::of("MRG-1"));
        return None;
    }
    Some(old)
}

fn old_numbers(reading: &mut Reading<'_>) -> Option<Vec<Identifier>> {
    if !reading.needs(b"MRG", &HL7_SEGMENT_MISSING) {
        return None;
    }
    let mrg = reading.named(b"MRG").into_iter().next()?;
    let old = other_numbers(reading, &mrg, Path::of("MRG-1"));
    if old.is_empty() {
        reading.note(&HL7_FIELD_MISSING, Path::of("MRG-1"));
        return None;
    }
    Some(old)
}

fn pid_numbers(reading: &mut Reading<'_>, occurrence: u16) -> Vec<Identifier> {
    let pid = reading.named(b"PID").into_iter().nth(usize::from(occurrence) - 1);
    let path = Path { occurrence, ..Path::of("PID-3") };
    pid.map(|pid| other_numbers(reading, &pid, path)).unwrap_or_default()
}

/// Is each PID the first one's again?
pub(super) fn is_one_patient(reading: &mut Reading<'_>) -> bool {
    let first = pid_numbers(reading, 1);
    let count = u16::try_from(reading.named(b"PID").len()).unwrap_or(u16::MAX);
    (2..=count).all(|occurrence| pid_numbers(reading, occurrence) == first)
}

/// A24.
pub(super) fn linked(reading: &mut Reading<'_>) -> Option<Wish> {
    link(reading, true)
}

/// A37.
pub(super) fn unlinked(reading: &mut Reading<'_>) -> Option<Wish> {
    link(reading, false)
}

fn link(reading: &mut Reading<'_>, linked: bool) -> Option<Wish> {
    let mut ends = Vec::new();
    let mut other = None;
    for occurrence in [1, 2] {
        let Some(first) = pid_numbers(reading, occurrence).into_iter().next() else {
            reading.missing(Path { occurrence, ..Path::of("PID-3") });
            return None;
        };
        ends.push(format!("{}|{}", first.system, first.value));
        other = Some(first);
    }
    if ends[0] == ends[1] {
        reading.note(&HL7_MERGE_SELF, Path { occurrence: 2, ..Path::of("PID-3") });
        return None;
    }
    ends.sort();
    Some(Wish::Link { pair: Identifier { system: "link".to_owned(), value: ends.join("~") }, other: other?, linked })
}

/// A35, A42, A45 with one visit on each side: two bookings are one. A43, A44: a booking is another person's.
pub(super) fn visit_merged(reading: &mut Reading<'_>) -> Option<Wish> {
    old_numbers(reading)?;
    if reading.text(Path::of("MRG-5.1")).is_none() && reading.text(Path::of("MRG-3.1")).is_some() {
        // Accounts become one, and no visits.
        return person(reading);
    }
    let loser = visit(reading, Path::of("MRG-5"))?;
    let survivor = number(reading);
    let Some(survivor) = survivor else {
        reading.missing(Path::of("PV1-19"));
        return None;
    };
    if survivor == loser {
        reading.note(&HL7_MERGE_SELF, Path::of("MRG-5"));
        return None;
    }
    Some(Wish::MergeBookings { loser, survivor })
}

/// A44, A45: the visit goes to the patient that PID names.
pub(super) fn visit_moved(reading: &mut Reading<'_>) -> Option<Wish> {
    let from = old_numbers(reading)?;
    let to = pid_numbers(reading, 1);
    let is_of_both = |number: &Identifier| to.contains(number) != from.contains(number);
    if from.iter().any(|number| to.contains(number)) && from.iter().chain(&to).any(is_of_both) {
        // A number that is the one's and the other's would make two patients one.
        reading.note(&HL7_MERGE_SELF, Path::of("MRG-1"));
        return None;
    }
    let booking = visit(reading, Path::of("MRG-5"))?;
    Some(Wish::Move { from, booking })
}

fn visit(reading: &mut Reading<'_>, path: Path) -> Option<Identifier> {
    let found = reading.number(path);
    if found.is_none() {
        reading.missing(path);
    }
    found
}
