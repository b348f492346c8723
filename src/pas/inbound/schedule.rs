//! SIU: what happens to a booking, in the hospital's own scheduling.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::reading::{Reading, simple};
use crate::booking::appointment::AppointmentStatus;
use crate::booking::feed::{SaidBooking, Standing, Wish};
use crate::booking::identifier::{AppointmentId, Identifier, ReferralId, ServiceId, Ubrn};
use crate::hl7v2::path::Path;
use crate::issue::{HL7_GROUPS, HL7_SEGMENT_MISSING, HL7_VALUE};

/// System of unique booking reference numbers.
pub(super) const UBRN: &str = Ubrn::SYSTEM;

/// S12, S13, S14, S18 to S22, S27: made, moved, changed. The event says what; SCH-25 says it more exactly.
pub(super) fn booked(reading: &mut Reading<'_>) -> Option<Wish> {
    // Some have a code of their own with the name of the table's beside it.
    let said = ["SCH-25.1", "SCH-25.2"].map(|path| reading.text(Path::of(path)).unwrap_or_default());
    let known = said.iter().find_map(|code| reading.dialect.schedule_status.get(&code.to_ascii_uppercase()).copied());
    let place = Path::of("SCH-25");
    let status = match known {
        Some(status) => status.appointment(),
        None => {
            if reading.text(simple(place)).is_some() {
                // The event says that it stands; that the code says otherwise only the hospital knows.
                reading.tolerate(&HL7_VALUE, place);
            }
            Some(AppointmentStatus::Booked)
        }
    };
    wish(reading, status, true)
}

/// S15, S16.
pub(super) fn cancelled(reading: &mut Reading<'_>) -> Option<Wish> {
    wish(reading, Some(AppointmentStatus::Cancelled), false)
}

/// S17.
pub(super) fn deleted(reading: &mut Reading<'_>) -> Option<Wish> {
    wish(reading, Some(AppointmentStatus::EnteredInError), false)
}

/// S26: whatever SCH-25 says.
pub(super) fn missed(reading: &mut Reading<'_>) -> Option<Wish> {
    wish(reading, Some(AppointmentStatus::NoShow), false)
}

/// Z02 of some senders: the patient was seen and has left.
pub(super) fn left(reading: &mut Reading<'_>) -> Option<Wish> {
    wish(reading, Some(AppointmentStatus::Fulfilled), false)
}

fn wish(reading: &mut Reading<'_>, status: Option<AppointmentStatus>, timed: bool) -> Option<Wish> {
    if !reading.needs(b"SCH", &HL7_SEGMENT_MISSING) {
        return None;
    }
    let Some((key, others, own)) = numbers(reading) else {
        reading.missing(Path::of("SCH-1"));
        return None;
    };
    let time = if timed { time(reading) } else { reading.without_a_time(time) };
    if timed && time.is_none() && !reading.has_errors() {
        reading.missing(Path::of("SCH-11.4"));
    }
    let reason = status.filter(|status| !status.is_current()).and_then(|_| reason(reading));
    let referral = referral_numbers(reading);
    Some(Wish::Booking(SaidBooking {
        key,
        others,
        own,
        status: status.map(|status| Standing { status, reason }),
        time,
        service: service(reading),
        own_referral: own_referral(reading),
        referral,
        description: description(reading),
        carried: None,
        known_only: false,
    }))
}

/// SCH-1 and SCH-2. Hospitals put their own number into the first, the second or both; what is a UUID is this
/// gateway's.
fn numbers(reading: &mut Reading<'_>) -> Option<(Identifier, Vec<Identifier>, Option<AppointmentId>)> {
    let mut found: Vec<Identifier> = Vec::new();
    let mut own = None;
    for path in [Path::of("SCH-1"), Path::of("SCH-2")] {
        let Some(number) = reading.number(path) else { continue };
        if let Ok(id) = Uuid::parse_str(&number.value) {
            own = Some(AppointmentId(id));
        }
        if !found.contains(&number) {
            found.push(number);
        }
    }
    // The hospital's own number is the key.
    found.sort_by_key(|number| Uuid::parse_str(&number.value).is_ok());
    let mut found = found.into_iter();
    Some((found.next()?, found.collect(), own))
}

/// Start and end: TQ1, then SCH-11, then AIS, then PV2.
fn time(reading: &mut Reading<'_>) -> Option<(Timestamp, Timestamp)> {
    let mut places = [
        (Path::of("TQ1-7.1"), Some(Path::of("TQ1-8.1"))),
        (Path::of("SCH-11.4"), Some(Path::of("SCH-11.5"))),
        (Path::of("AIS-4.1"), None),
        (Path::of("AIG-8.1"), None),
        (Path::of("PV2-8.1"), None),
    ];
    // A day alone gives way to a place that says the hour.
    places.sort_by_key(|(path, _)| reading.is_day(*path));
    for (start_at, end_at) in places {
        let Some(start) = reading.text(start_at) else { continue };
        let mut start = reading.hour(start_at, &start)?;
        if start_at.segment == *b"AIS" {
            let offset = reading.text(Path::of("AIS-5.1")).and_then(|it| it.parse::<f64>().ok());
            let unit = reading.text(Path::of("AIS-6.1")).unwrap_or_default();
            start += offset.and_then(|amount| duration(amount, &unit)).unwrap_or_default();
        }
        let explicit = end_at.and_then(|path| Some((path, reading.text(path)?)));
        let end = match explicit {
            Some((path, _)) if reading.is_day(path) => {
                reading.tolerate(&HL7_VALUE, path);
                start + length(reading).unwrap_or_default()
            }
            Some((path, text)) => {
                let end = reading.instant(path, &text)?;
                if end < start {
                    reading.tolerate(&HL7_VALUE, path);
                }
                end
            }
            None => start + length(reading).unwrap_or_default(),
        };
        one_time(reading, start_at);
        one_day(reading, start_at, start);
        return Some((start, end.max(start)));
    }
    None
}

/// A series of times in one message is several bookings, of which only one number is said.
fn one_time(reading: &mut Reading<'_>, at: Path) {
    let Some(segment) = reading.message.named(at.segment).next() else { return };
    let start = |repetition| reading.repeated(&segment, at.field, repetition, at.component);
    let first = start(1);
    let other = (2..=segment.field(at.field).repetitions()).find(|it| start(*it).is_some_and(|it| Some(it) != first));
    let further = at.segment == *b"TQ1" && {
        let starts = reading.named(b"TQ1").into_iter().filter_map(|it| reading.part(&it, at.field, at.component));
        starts.into_iter().any(|start| Some(start) != first)
    };
    if other.is_some() || further {
        reading.note(&HL7_GROUPS, Path { repetition: other.unwrap_or(1), ..at });
    }
}

/// What is taken up may begin a little before or after the appointment, but on another day it is another appointment.
fn one_day(reading: &mut Reading<'_>, at: Path, start: Timestamp) {
    let zone = reading.dialect.time_zone.clone();
    let day = |instant: Timestamp| instant.to_zoned(zone.get().clone()).date();
    for place in [Path::of("TQ1-7.1"), Path::of("SCH-11.4"), Path::of("AIS-4.1"), Path::of("AIG-8.1")] {
        let other = reading.said_time(place).filter(|(_, written)| written.parts == 3);
        if place.segment != at.segment && other.is_some_and(|(other, _)| day(other) != day(start)) {
            return reading.note(&HL7_GROUPS, place);
        }
    }
}

/// SCH-9 with its unit, or SCH-11.3 (`M30`, or minutes), or AIS-7.
fn length(reading: &Reading<'_>) -> Option<SignedDuration> {
    let amount = |value: Path, unit: Path| {
        let amount = reading.text(value)?.parse::<f64>().ok()?;
        duration(amount, &reading.text(unit).unwrap_or_else(|| "min".to_owned()))
    };
    let said = amount(Path::of("SCH-9.1"), Path::of("SCH-10.1"));
    let within = || {
        let text = reading.text(Path::of("SCH-11.3"))?;
        let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(..text.len() - digits.len())?;
        duration(digits.parse::<f64>().ok()?, if unit.is_empty() { "min" } else { unit })
    };
    said.or_else(within).or_else(|| amount(Path::of("AIS-7.1"), Path::of("AIS-8.1")))
}

/// SCH-9 in minutes, where it says so.
pub(super) fn minutes(reading: &Reading<'_>) -> Option<i64> {
    let amount = reading.text(Path::of("SCH-9.1"))?.parse::<f64>().ok()?;
    let unit = reading.text(Path::of("SCH-10.1")).unwrap_or_else(|| "min".to_owned());
    Some(duration(amount, &unit)?.as_secs() / 60)
}

/// A length of time in the units that senders use; `None`: none of them, or no length of an appointment.
fn duration(amount: f64, unit: &str) -> Option<SignedDuration> {
    let seconds = match unit.trim().to_ascii_uppercase().as_str() {
        "MIN" | "MINS" | "MINUTE" | "MINUTES" | "M" | "" => amount * 60.0,
        "S" | "SEC" | "SECS" | "SECONDS" => amount,
        "H" | "HR" | "HRS" | "HOUR" | "HOURS" => amount * 3600.0,
        _ => return None,
    };
    (0.0..=86_400.0 * 31.0).contains(&seconds).then(|| SignedDuration::from_secs(seconds as i64))
}

/// SCH-6: in words where there are any.
fn reason(reading: &Reading<'_>) -> Option<String> {
    reading.text(Path::of("SCH-6.2")).or_else(|| reading.text(Path::of("SCH-6.1")))
}

fn description(reading: &Reading<'_>) -> Option<String> {
    let note = reading.text(Path::of("NTE-3"));
    note.or_else(|| reading.text(Path::of("SCH-7.2"))).or_else(|| reading.text(Path::of("SCH-7.1")))
}

/// The referral's numbers: every place that may hold one, and what is twelve digits there.
pub(super) fn referral_numbers(reading: &mut Reading<'_>) -> Vec<Identifier> {
    let mut found = Vec::new();
    for place in reading.dialect.ubrn.clone() {
        let text = reading.text(simple(place.0));
        if let Some(ubrn) = text.and_then(|text| Ubrn::parse(&text)) {
            found.push(Identifier { system: UBRN.to_owned(), value: ubrn.as_str().to_owned() });
        }
    }
    for path in [Path::of("SCH-26"), Path::of("SCH-27")] {
        if let Some(number) = reading.number(path).filter(|number| Ubrn::parse(&number.value).is_none()) {
            found.push(number);
        }
    }
    found.dedup();
    found
}

/// SCH-26 repeats with every id of the referral; this gateway's is a UUID.
fn own_referral(reading: &Reading<'_>) -> Option<ReferralId> {
    let sch = reading.named(b"SCH").into_iter().next()?;
    let ids = (1..=sch.field(26).repetitions()).filter_map(|at| reading.repeated(&sch, 26, at, 1));
    ids.into_iter().find_map(|id| Uuid::parse_str(&id).ok()).map(ReferralId)
}

/// The service of the clinic, as configured; a clinic that is not stands for itself.
pub(super) fn service(reading: &Reading<'_>) -> ServiceId {
    let dialect = reading.dialect;
    let clinic = reading.first(&dialect.clinic);
    let known = clinic.as_ref().and_then(|clinic| dialect.services.get(clinic)).or(dialect.service.as_ref());
    if let Some(known) = known {
        return ServiceId(known.clone());
    }
    let site = reading.first(&dialect.site).unwrap_or_else(|| reading.facility());
    let place = clinic.or_else(|| reading.first(&dialect.treatment_function)).unwrap_or_default();
    ServiceId(format!("{site}:{place}"))
}
