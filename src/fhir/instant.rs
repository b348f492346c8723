//! Dates and times that keep the precision they were written with (R4 2.24.0.1).
//!
//! A FHIR date may be a year, a year and month, or a day; a dateTime adds a time of day with seconds and,
//! always, an offset; an instant has all of it. What was read is what is printed: `2024-05` never becomes the first of
//! May, and an offset of `+01:00` never becomes `Z`. Comparing is on the moments that the text covers.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::scan::{Shape, date_time_shape, is_time};

mod scan;

/// How exact a date or time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2024`
    Year,
    /// `2024-05`
    Month,
    /// `2024-05-17`
    Day,
    /// `2024-05-17T10:00:00+01:00`
    Second,
    /// The same with a fraction of a second.
    Fraction,
}

/// Why a text is neither a date nor a dateTime nor an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIR date or dateTime (a time of day needs seconds and an offset)")]
pub struct DateTimeError;

/// A FHIR `date`, `dateTime` or `instant`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FhirDateTime {
    text: Box<str>,
    shape: Shape,
    moment: Moment,
}

/// What the text means: a first day, or a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Moment {
    From(Date),
    At(Timestamp),
}

impl FhirDateTime {
    /// Reads a `date`, `dateTime` or `instant`.
    pub fn parse(text: &str) -> Result<Self, DateTimeError> {
        let shape = date_time_shape(text.as_bytes()).ok_or(DateTimeError)?;
        let moment = moment(text, shape).ok_or(DateTimeError)?;
        Ok(Self { text: text.into(), shape, moment })
    }

    /// What was read, to the letter.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How exact it is.
    pub fn precision(&self) -> Precision {
        match self.shape {
            Shape::Year => Precision::Year,
            Shape::Month => Precision::Month,
            Shape::Day => Precision::Day,
            Shape::Time { fraction: 0, .. } => Precision::Second,
            Shape::Time { .. } => Precision::Fraction,
        }
    }

    /// The moment, if it has a time of day. Digits beyond the ninth of a fraction do not count.
    pub fn timestamp(&self) -> Option<Timestamp> {
        match self.moment {
            Moment::At(timestamp) => Some(timestamp),
            Moment::From(_) => None,
        }
    }

    /// The date as it is written, if there is a day: that of the sender's own offset.
    pub fn date(&self) -> Option<Date> {
        match self.shape {
            Shape::Year | Shape::Month => None,
            Shape::Day | Shape::Time { .. } => civil(&self.text[..10], Shape::Day),
        }
    }

    /// The first moment that it covers and the first that it no longer covers; dates are those of `zone`.
    pub fn range(&self, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        match self.moment {
            Moment::At(start) => Some((start, start.checked_add(self.length()).unwrap_or(Timestamp::MAX))),
            Moment::From(day) => {
                let start_of = |day: Date| day.to_zoned(zone.clone()).map(|zoned| zoned.timestamp()).ok();
                let after = day.checked_add(self.length()).ok().and_then(start_of);
                Some((start_of(day)?, after.unwrap_or(Timestamp::MAX)))
            }
        }
    }

    fn length(&self) -> Span {
        match self.shape {
            Shape::Year => Span::new().years(1),
            Shape::Month => Span::new().months(1),
            Shape::Day => Span::new().days(1),
            Shape::Time { fraction, .. } => Span::new().nanoseconds(10_i64.pow(9 - u32::from(fraction.min(9)))),
        }
    }
}

fn moment(text: &str, shape: Shape) -> Option<Moment> {
    match shape {
        Shape::Time { fraction, .. } => timestamp(text, fraction).map(Moment::At),
        _ => civil(text, shape).map(Moment::From),
    }
}

/// jiff reads nine digits of a fraction; further ones are left out. Its last moment is in the night before the last of
/// the year 9999, which systems send for "no end": that counts as the last moment.
fn timestamp(text: &str, fraction: u8) -> Option<Timestamp> {
    const NINTH_DIGIT_END: usize = "2024-05-17T10:00:00.123456789".len();
    let read = if fraction <= 9 {
        text.parse()
    } else {
        let offset = text.rfind(['Z', '+', '-'])?;
        format!("{}{}", &text[..NINTH_DIGIT_END], &text[offset..]).parse()
    };
    read.ok().or_else(|| text.starts_with("9999-12-3").then_some(Timestamp::MAX))
}

fn civil(text: &str, shape: Shape) -> Option<Date> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let year = number(0, 4)?;
    let month = if shape == Shape::Year { 1 } else { number(5, 7)? };
    let day = if shape == Shape::Day { number(8, 10)? } else { 1 };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Reads an `instant`: a whole date, a time with seconds, and an offset.
pub fn instant(text: &str) -> Option<Timestamp> {
    FhirDateTime::parse(text).ok()?.timestamp()
}

impl fmt::Display for FhirDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for FhirDateTime {
    type Err = DateTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for FhirDateTime {
    type Error = DateTimeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<FhirDateTime> for String {
    fn from(value: FhirDateTime) -> Self {
        value.text.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> FhirDateTime {
        FhirDateTime::parse(text).unwrap()
    }

    #[test]
    fn what_was_read_is_printed() {
        let precisions = [
            ("2024", Precision::Year),
            ("2024-02", Precision::Month),
            ("2024-02-29", Precision::Day),
            ("2021-10-06T10:00:00+01:00", Precision::Second),
            ("2023-06-01T12:00:00.1234567+00:00", Precision::Fraction),
            ("2023-06-01T12:00:00.12345678901-14:00", Precision::Fraction),
            ("2016-12-31T23:59:60Z", Precision::Second),
        ];
        for (text, precision) in precisions {
            assert_eq!((read(text).to_string().as_str(), read(text).precision()), (text, precision));
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let wrong = [
            "",
            "24",
            "0000",
            "2024-13",
            "2024-00",
            "2023-02-29",
            "2024-2-1",
            "2024-02-30",
            "20240229",
            "2024-02-29T",
            "2024-02-29T10:00Z",
            "2024-02-29T10:00:00",
            "2024-02-29T24:00:00Z",
            "2024-02-29T10:60:00Z",
            "2024-02-29T10:00:61Z",
            "2024-02-29T10:00:00.Z",
            "2024-02-29T10:00:00z",
            "2024-02-29 10:00:00Z",
            "2024-02-29T10:00:00+1:00",
            "2024-02-29T10:00:00+14:01",
            "2024-02-29T10:00:00+0100",
            " 2024",
            "2024é",
        ];
        for text in wrong {
            assert_eq!(FhirDateTime::parse(text), Err(DateTimeError), "{text:?}");
        }
    }

    #[test]
    fn a_date_covers_its_days() {
        let london = TimeZone::get("Europe/London").unwrap();
        let range = |text: &str| {
            let (from, to) = read(text).range(&london).unwrap();
            format!("{from} {to}")
        };
        assert_eq!(range("2024-03-31"), "2024-03-31T00:00:00Z 2024-03-31T23:00:00Z");
        assert_eq!(range("2024-05"), "2024-04-30T23:00:00Z 2024-05-31T23:00:00Z");
        assert_eq!(range("2024"), "2024-01-01T00:00:00Z 2025-01-01T00:00:00Z");
        assert_eq!(range("2024-05-17T10:00:00+01:00"), "2024-05-17T09:00:00Z 2024-05-17T09:00:01Z");
        assert_eq!(range("2024-05-17T10:00:00.5Z"), "2024-05-17T10:00:00.5Z 2024-05-17T10:00:00.6Z");
    }

    #[test]
    fn the_date_is_that_of_the_sender() {
        assert_eq!(read("2024-05-17T00:30:00+01:00").date().unwrap().to_string(), "2024-05-17");
        assert_eq!(read("2024-05").date(), None);
    }

    #[test]
    fn equal_moments_may_be_written_differently() {
        let (summer, zulu) = (read("2024-05-17T10:00:00+01:00"), read("2024-05-17T09:00:00Z"));
        assert_eq!(summer.timestamp(), zulu.timestamp());
        assert_ne!(summer, zulu);
    }

    #[test]
    fn the_end_of_time_is_read() {
        let end = read("9999-12-31T23:59:59Z");
        assert_eq!(end.range(&TimeZone::UTC), Some((Timestamp::MAX, Timestamp::MAX)));
        assert_eq!(end.date().unwrap().to_string(), "9999-12-31");
        assert!(read("9999-12-31").range(&TimeZone::UTC).is_none_or(|(_, end)| end == Timestamp::MAX));
        assert!(read("0001-01-01T00:00:00+14:00").timestamp().is_some());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:.+\\-é ]{0,36}") {
            let _ = FhirDateTime::parse(&text).map(|read| (read.date(), read.range(&TimeZone::UTC)));
        }

        #[test]
        fn every_timestamp_is_read_back(seconds in -62_135_596_800_i64..253_370_764_800, nanos in 0..1_000_000_000_i32) {
            let timestamp = Timestamp::new(seconds, nanos).unwrap();
            prop_assert_eq!(instant(&timestamp.to_string()), Some(timestamp));
        }
    }
}
