//! Times of HL7 (TS, DTM) and of those who write something like them. A time that does not exist, or that is there
//! twice, is told apart from one that is; nothing is moved by a zone that is a date only.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The date; of a month its first day, of a year its first.
    pub date: Date,
    /// How many of year, month and day were written: 1 to 3.
    pub parts: u8,
    /// The time of day, where there is one.
    pub time: Option<Time>,
    /// The offset from UTC, where there is one.
    pub offset: Option<Offset>,
}

/// Which instant a written time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// This one.
    Known(Timestamp),
    /// None: the clocks went forward over it; as much later it would be this one.
    Gap(Timestamp),
    /// One of these two.
    Twice(Timestamp, Timestamp),
}

impl Written {
    /// Reads `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`, the same with the separators of ISO 8601, and what senders make of
    /// it. `None`: it is no time. Eight zeros stand for none at all.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (text, offset) = split_offset(text)?;
        let digits: String = match text.as_bytes().get(4) {
            Some(b'-') => text.chars().filter(|c| !matches!(c, '-' | ':' | ' ' | 'T')).collect(),
            _ => text.to_owned(),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
        let plain =
            whole.bytes().all(|byte| byte.is_ascii_digit()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || !matches!(whole.len(), 4 | 6 | 8 | 10 | 12 | 14) || (!fraction.is_empty() && whole.len() != 14) {
            return None;
        }
        let part = |at: usize, length: usize| whole.get(at..at + length).and_then(|it| it.parse::<i16>().ok());
        let small = |at: usize| part(at, 2).and_then(|it| i8::try_from(it).ok());
        let date = Date::new(part(0, 4)?, small(4).unwrap_or(1), small(6).unwrap_or(1)).ok()?;
        let nanos = format!("{fraction:0<9}").get(..9)?.parse::<i32>().ok()?;
        let time = match small(8) {
            // Leap seconds are written by nobody who means one.
            Some(hour) => Some(Time::new(hour, small(10).unwrap_or(0), small(12).unwrap_or(0), nanos).ok()?),
            None => None,
        };
        let parts = u8::try_from(whole.len().min(8) / 2 - 1).unwrap_or(3);
        Some(Self { date, parts, time, offset })
    }

    /// As FHIR writes a date of this precision.
    pub fn fhir_date(&self) -> String {
        match self.parts {
            1 => format!("{:04}", self.date.year()),
            2 => format!("{:04}-{:02}", self.date.year(), self.date.month()),
            _ => self.date.to_string(),
        }
    }

    /// The instant, on the sender's clock where no offset is written.
    pub fn instant(&self, zone: &TimeZone) -> Option<Instant> {
        let local = DateTime::from_parts(self.date, self.time.unwrap_or(Time::midnight()));
        if let Some(offset) = self.offset {
            return offset.to_timestamp(local).ok().map(Instant::Known);
        }
        let at = |offset: Offset| offset.to_timestamp(local).ok();
        match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => at(offset).map(Instant::Known),
            AmbiguousOffset::Gap { before, .. } => at(before).map(Instant::Gap),
            AmbiguousOffset::Fold { before, after } => Some(Instant::Twice(at(before)?, at(after)?)),
        }
    }

    /// The instant for putting events in order, where nothing hangs on an hour that is there twice.
    pub fn roughly(&self, zone: &TimeZone) -> Option<Timestamp> {
        match self.instant(zone)? {
            Instant::Known(at) | Instant::Gap(at) | Instant::Twice(at, _) => Some(at),
        }
    }
}

/// Takes the offset off: `+0100`, `+01:00`, `Z`, or the lone `+` that some write.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(text) = text.strip_suffix('Z') {
        return Some((text, Some(Offset::UTC)));
    }
    let from = if text.as_bytes().get(4) == Some(&b'-') { 10 } else { 0 };
    let Some(at) = text.get(from..)?.find(['+', '-']).map(|at| at + from) else { return Some((text, None)) };
    let (before, offset) = text.split_at(at);
    let digits: String = offset.get(1..)?.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() {
        return Some((before, None));
    }
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits.get(..2)?.parse::<i32>().ok()?, digits.get(2..)?.parse::<i32>().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    let signed = if offset.starts_with('-') { -seconds } else { seconds };
    Some((before, Some(Offset::from_seconds(signed).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pas::channel::Zone;

    fn instant(text: &str) -> Option<Instant> {
        Written::read(text)?.instant(Zone::default().get())
    }

    fn known(text: &str) -> Option<String> {
        match instant(text)? {
            Instant::Known(at) => Some(at.to_string()),
            _ => None,
        }
    }

    #[test]
    fn reads_what_senders_write() {
        for (text, expected) in [
            ("202603100900", "2026-03-10T09:00:00Z"),
            ("20260710090000", "2026-07-10T08:00:00Z"),
            ("20260710090000.1234+0530", "2026-07-10T03:30:00.1234Z"),
            ("2025-05-05 23:23:32", "2025-05-05T22:23:32Z"),
            ("2025-01-05T23:23:32+01:00", "2025-01-05T22:23:32Z"),
            ("20250105232332Z", "2025-01-05T23:23:32Z"),
            ("20260301", "2026-03-01T00:00:00Z"),
            ("2026030109", "2026-03-01T09:00:00Z"),
        ] {
            assert_eq!(known(text).as_deref(), Some(expected), "{text}");
        }
        let date = |text: &str| Written::read(text).map(|it| it.fhir_date());
        assert_eq!(date("1926-08-11").as_deref(), Some("1926-08-11"));
        assert_eq!(date("20000101+").as_deref(), Some("2000-01-01"));
        assert_eq!((date("1980").as_deref(), date("198002").as_deref()), (Some("1980"), Some("1980-02")));
        assert_eq!(date("199909090300").as_deref(), Some("1999-09-09"));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in
            ["", "x", "20261332", "20260230", "2026030125", "202603010", "20261332996199", "00000000", "2026+1", "é"]
        {
            assert_eq!(Written::read(text), None, "{text}");
        }
    }

    #[test]
    fn tells_what_does_not_exist_and_what_is_there_twice() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(instant("202603290130"), Some(Instant::Gap(at("2026-03-29T01:30:00Z"))));
        assert_eq!(instant("202603290200"), Some(Instant::Known(at("2026-03-29T01:00:00Z"))));
        let twice = Instant::Twice(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(instant("202610250130"), Some(twice));
        assert_eq!(instant("202610250130+0000"), Some(Instant::Known(at("2026-10-25T01:30:00Z"))));
        assert_eq!(instant("202610250200"), Some(Instant::Known(at("2026-10-25T02:00:00Z"))));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Written::read(&text).map(|it| it.instant(Zone::default().get()));
        }
    }
}
