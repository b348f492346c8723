//! Dates, times of day and both together, as exact as they were written. Comparing two that differ in what they
//! leave open may have no answer.

use std::cmp::Ordering;
use std::fmt;

/// The last part that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `2024`
    Year,
    /// `2024-05`
    Month,
    /// `2024-05-17`
    Day,
    /// `T10`
    Hour,
    /// `T10:30`
    Minute,
    /// `T10:30:00`, with or without a fraction: they are one part.
    Second,
}

/// Which of FHIRPath's three types it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// A date.
    Date,
    /// A date that may have a time of day.
    DateTime,
    /// A time of day.
    Time,
}

/// A date, a dateTime or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Which of the three.
    pub kind: MomentKind,
    /// How exact it is.
    pub last: Part,
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    /// Digits of the fraction.
    fraction: u8,
    nanos: u32,
    /// Minutes east of UTC.
    offset: Option<i16>,
}

/// Beyond this difference no two offsets can make two times equal.
const OFFSETS_SECONDS: i64 = 14 * 3600 + 12 * 3600;

fn two(text: &[u8], at: usize, max: u8) -> Option<u8> {
    let digit = |at: usize| text.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0');
    Some(digit(at)? * 10 + digit(at + 1)?).filter(|number| *number <= max)
}

fn month_days(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u8::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, in the calendar that is used today (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days(year: u16, month: u8, day: u8) -> i64 {
    let shifted = i64::from(year) - i64::from(month <= 2);
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a count of days; the other way round.
fn civil(days: i64) -> Option<(u16, u8, u8)> {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let year = u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
    Some((year, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
}

impl Moment {
    const EMPTY: Self = Self {
        kind: MomentKind::Date,
        last: Part::Year,
        year: 1,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
        fraction: 0,
        nanos: 0,
        offset: None,
    };

    /// `2024`, `2024-05` or `2024-05-17`.
    pub fn date(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let year = u16::from(two(bytes, 0, 99)?) * 100 + u16::from(two(bytes, 2, 99)?);
        let mut found = Self { year, ..Self::EMPTY };
        if year == 0 {
            return None;
        }
        if bytes.len() == 4 {
            return Some(found);
        }
        found.last = Part::Month;
        found.month = two(bytes, 5, 12).filter(|month| bytes[4] == b'-' && *month != 0)?;
        if bytes.len() == 7 {
            return Some(found);
        }
        found.last = Part::Day;
        found.day = two(bytes, 8, month_days(year, found.month)).filter(|day| bytes[7] == b'-' && *day != 0)?;
        (bytes.len() == 10).then_some(found)
    }

    /// A date, or a date, `T`, a time of day (of which hours are enough) and perhaps an offset.
    pub fn date_time(text: &str) -> Option<Self> {
        let Some((date, time)) = text.split_once('T') else {
            return Some(Self { kind: MomentKind::DateTime, ..Self::date(text)? });
        };
        let date = Self { kind: MomentKind::DateTime, ..Self::date(date)? };
        if time.is_empty() {
            return Some(date);
        }
        let at = time.find(['Z', '+', '-']).unwrap_or(time.len());
        let mut found = date.with_time(&time[..at]).filter(|_| date.last == Part::Day)?;
        found.offset = match &time.as_bytes()[at..] {
            b"" => None,
            b"Z" => Some(0),
            sign @ [b'+' | b'-', _, _, b':', _, _] => {
                let minutes = i16::from(two(sign, 1, 14)?) * 60 + i16::from(two(sign, 4, 59)?);
                Some(if sign[0] == b'-' { -minutes } else { minutes }).filter(|offset| offset.abs() <= 14 * 60)
            }
            _ => return None,
        };
        Some(found)
    }

    /// A time of day, of which hours are enough.
    pub fn time(text: &str) -> Option<Self> {
        Self { kind: MomentKind::Time, ..Self::EMPTY }.with_time(text)
    }

    fn with_time(mut self, text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        self.last = Part::Hour;
        self.hour = two(bytes, 0, 23)?;
        if bytes.len() == 2 {
            return Some(self);
        }
        self.last = Part::Minute;
        self.minute = two(bytes, 3, 59).filter(|_| bytes[2] == b':')?;
        if bytes.len() == 5 {
            return Some(self);
        }
        self.last = Part::Second;
        self.second = two(bytes, 6, 60).filter(|_| bytes[5] == b':')?;
        let Some(fraction) = bytes[8..].strip_prefix(b".") else { return (bytes.len() == 8).then_some(self) };
        if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.fraction = fraction.len().min(9) as u8;
        let digit = |at: usize| u32::from(fraction.get(at).map_or(0, |byte| byte - b'0'));
        self.nanos = (0..9).fold(0, |nanos, at| nanos * 10 + digit(at));
        Some(self)
    }

    /// A moment in UTC, to the millisecond.
    pub fn of_unix_millis(millis: i64) -> Option<Self> {
        let (seconds, millis) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        let nanos = u32::try_from(millis).ok()? * 1_000_000;
        Self { kind: MomentKind::DateTime, last: Part::Second, fraction: 3, offset: Some(0), nanos, ..Self::EMPTY }
            .with_seconds(seconds)
    }

    /// Its date.
    pub fn to_date(self) -> Self {
        Self {
            kind: MomentKind::Date,
            last: self.last.min(Part::Day),
            year: self.year,
            month: self.month,
            day: self.day,
            ..Self::EMPTY
        }
    }

    /// Its time of day.
    pub fn to_time(self) -> Self {
        Self { kind: MomentKind::Time, offset: None, year: 1, month: 1, day: 1, ..self }
    }

    /// A date as a dateTime; anything else as it is.
    pub fn to_date_time(self) -> Self {
        Self { kind: if self.kind == MomentKind::Date { MomentKind::DateTime } else { self.kind }, ..self }
    }

    /// Seconds of the clock on the wall.
    fn wall_seconds(self) -> i64 {
        let of_day = (i64::from(self.hour) * 60 + i64::from(self.minute)) * 60 + i64::from(self.second);
        days(self.year, self.month, self.day) * 86_400 + of_day
    }

    /// Seconds since 1970 in UTC, or on the wall where there is no offset; and the fraction.
    pub fn instant(self) -> (i64, u32) {
        (self.wall_seconds() - i64::from(self.offset.unwrap_or(0)) * 60, self.nanos)
    }

    /// Has it an offset from UTC?
    pub fn has_offset(self) -> bool {
        self.offset.is_some()
    }

    /// The same with the parts that a count of wall seconds says.
    fn with_seconds(self, seconds: i64) -> Option<Self> {
        let (year, month, day) = civil(seconds.div_euclid(86_400))?;
        let of_day = seconds.rem_euclid(86_400);
        let part = |number: i64| u8::try_from(number).ok();
        let (hour, minute, second) = (part(of_day / 3600)?, part(of_day / 60 % 60)?, part(of_day % 60)?);
        Some(Self { year, month, day, hour, minute, second, ..self })
    }

    /// Which is later; `None` where what one of them leaves open would decide, or where they are of different types.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        if (self.kind == MomentKind::Time) != (other.kind == MomentKind::Time) {
            return None;
        }
        let timed = Part::Hour <= self.last && Part::Hour <= other.last;
        let (left, right) = match (self.offset, other.offset) {
            (Some(_), Some(_)) if timed => (self.in_utc()?, other.in_utc()?),
            (None, None) => (self, other),
            _ if timed => {
                let (left, right) = (self.instant(), other.instant());
                return ((left.0 - right.0).abs() > OFFSETS_SECONDS).then(|| left.cmp(&right));
            }
            _ => (self, other),
        };
        let parts = |moment: Self| {
            let Self { year, month, day, hour, minute, second, nanos, .. } = moment;
            [u32::from(year), month.into(), day.into(), hour.into(), minute.into(), second.into(), nanos]
        };
        let common = self.last.min(other.last);
        let counted = if common == Part::Second { 7 } else { common as usize + 1 };
        match parts(left)[..counted].cmp(&parts(right)[..counted]) {
            Ordering::Equal if self.last != other.last => None,
            order => Some(order),
        }
    }

    fn in_utc(self) -> Option<Self> {
        let offset = i64::from(self.offset.unwrap_or(0)) * 60;
        let shifted = Self { offset: Some(0), ..self };
        if offset == 0 { Some(shifted) } else { shifted.with_seconds(self.wall_seconds() - offset) }
    }

    /// So many months later, on the month's last day where it is shorter.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let total = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let total = total.checked_add(months)?;
        let year = u16::try_from(total.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
        let month = u8::try_from(total.rem_euclid(12) + 1).ok()?;
        Some(Self { year, month, day: self.day.min(month_days(year, month)), ..self })
    }

    /// So many milliseconds later by the clock on the wall; a time of day goes round.
    pub fn plus_millis(self, millis: i64) -> Option<Self> {
        let fine = i64::from(self.nanos) + millis.rem_euclid(1000).checked_mul(1_000_000)?;
        let carried = millis.div_euclid(1000).checked_add(fine.div_euclid(1_000_000_000))?;
        let nanos = u32::try_from(fine.rem_euclid(1_000_000_000)).ok()?;
        let seconds = self.wall_seconds().checked_add(carried)?;
        let seconds = if self.kind == MomentKind::Time {
            let midnight = days(1, 1, 1) * 86_400;
            midnight + (seconds - midnight).rem_euclid(86_400)
        } else {
            seconds
        };
        let fraction = if nanos == 0 { self.fraction } else { self.fraction.max(3) };
        Self { nanos, fraction, ..self }.with_seconds(seconds)
    }

    /// How many digits it is written with: `2024-05` has 6.
    pub fn precision(self) -> i64 {
        let of_date = match self.last {
            Part::Year => 4,
            Part::Month => 6,
            Part::Day => 8,
            Part::Hour => 10,
            Part::Minute => 12,
            Part::Second => 14 + i64::from(self.fraction),
        };
        if self.kind == MomentKind::Time { of_date - 8 } else { of_date }
    }

    /// The earliest (or latest) moment that this may stand for, with so many digits.
    pub fn boundary(self, digits: i64, latest: bool) -> Option<Self> {
        let digits = if self.kind == MomentKind::Time { digits + 8 } else { digits };
        let last = match digits {
            4 => Part::Year,
            6 => Part::Month,
            8 => Part::Day,
            10 => Part::Hour,
            12 => Part::Minute,
            14 | 17 => Part::Second,
            _ => return None,
        };
        if self.kind == MomentKind::Date && Part::Day < last {
            return None;
        }
        let mut bound = self;
        if latest {
            bound.month = if self.last < Part::Month { 12 } else { bound.month };
            bound.day = if self.last < Part::Day { month_days(bound.year, bound.month) } else { bound.day };
            bound.hour = if self.last < Part::Hour { 23 } else { bound.hour };
            // FHIRPath's own example leaves the minute of an hour at its first.
            bound.minute = if self.last < Part::Hour { 59 } else { bound.minute };
            bound.second = if self.last < Part::Second { 59 } else { bound.second };
            bound.nanos = if self.fraction == 0 { 999_000_000 } else { bound.nanos };
        }
        bound.fraction = if digits == 17 { 3 } else { 0 };
        bound.last = last;
        if self.kind == MomentKind::DateTime && Part::Hour <= last && bound.offset.is_none() {
            // The zone that is first to reach a time, or last.
            bound.offset = Some(if latest { -12 * 60 } else { 14 * 60 });
        }
        Some(bound)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != MomentKind::Time {
            write!(f, "{:04}", self.year)?;
            if Part::Month <= self.last {
                write!(f, "-{:02}", self.month)?;
            }
            if Part::Day <= self.last {
                write!(f, "-{:02}", self.day)?;
            }
            if Part::Hour <= self.last {
                f.write_str("T")?;
            }
        }
        if Part::Hour <= self.last {
            write!(f, "{:02}", self.hour)?;
        }
        if Part::Minute <= self.last {
            write!(f, ":{:02}", self.minute)?;
        }
        if Part::Second <= self.last {
            write!(f, ":{:02}", self.second)?;
            if 0 < self.fraction {
                let digits = format!("{:09}", self.nanos);
                write!(f, ".{}", &digits[..usize::from(self.fraction)])?;
            }
        }
        match self.offset {
            Some(0) if Part::Hour <= self.last => f.write_str("Z"),
            Some(offset) if Part::Hour <= self.last => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::date_time(text).unwrap()
    }

    #[test]
    fn what_was_read_is_what_is_shown() {
        for text in
            ["2024", "2024-05", "2024-02-29", "2024-05-17T10", "2024-05-17T10:30:00.120+01:00", "2024-05-17T10:30Z"]
        {
            assert_eq!(at(text).to_string(), text);
        }
        for text in
            ["", "0000", "2023-02-29", "2024-13", "2024-05-17T25", "2024-05T10", "2024-05-17T10:30+15:00", "20é4"]
        {
            assert!(Moment::date_time(text).is_none(), "{text}");
        }
        assert_eq!(Moment::time("10:30:00.5").unwrap().to_string(), "10:30:00.5");
        assert!(Moment::time("10:30Z").is_none() && Moment::time("1").is_none());
    }

    #[test]
    fn what_is_left_open_decides_nothing() {
        assert_eq!(at("2024-05").compare(at("2024-05-17")), None);
        assert_eq!(at("2024-05").compare(at("2024-06-17")), Some(Ordering::Less));
        assert_eq!(at("2024-05-17T10:30:00").compare(at("2024-05-17T10:30:00.0")), Some(Ordering::Equal));
        assert_eq!(at("2024-05-17T15:00:00+02:00").compare(at("2024-05-17T16:00:00+03:00")), Some(Ordering::Equal));
        assert_eq!(at("2024-05-17T15:00:00Z").compare(at("2024-05-17T10:00:00")), None);
        assert_eq!(at("2024-05-17T15:00:00Z").compare(at("2024-05-19T10:00:00")), Some(Ordering::Less));
        assert_eq!(at("2024-05-17").compare(Moment::time("10:00").unwrap()), None);
    }

    #[test]
    fn months_end_where_they_end() {
        assert_eq!(at("2024-01-31").plus_months(1).unwrap().to_string(), "2024-02-29");
        assert_eq!(at("2024-01-31").plus_months(-2).unwrap().to_string(), "2023-11-30");
        assert_eq!(at("9999-12").plus_months(1), None);
        let late = at("2024-02-28T23:59:59.999Z").plus_millis(1).unwrap();
        assert_eq!(late.to_string(), "2024-02-29T00:00:00.000Z");
        assert_eq!(Moment::time("23:30:00").unwrap().plus_millis(3_600_000).unwrap().to_string(), "00:30:00");
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for day in (-719_162..2_932_896).step_by(97) {
            let (year, month, date) = civil(day).unwrap();
            assert_eq!(days(year, month, date), day);
        }
        assert_eq!(Moment::of_unix_millis(951_782_400_123).unwrap().to_string(), "2000-02-29T00:00:00.123Z");
    }
}
