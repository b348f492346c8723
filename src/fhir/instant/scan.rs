//! The grammar of date, dateTime, instant and time, byte by byte (the regular expressions of R4 2.24.0.1).
//!
//! The calendar is checked too: `2023-02-29` matches R4's expression for `date` but is no date.

/// Which parts a date or time has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `YYYY`
    Year,
    /// `YYYY-MM`
    Month,
    /// `YYYY-MM-DD`
    Day,
    /// `YYYY-MM-DDThh:mm:ss[.f…](Z|±hh:mm)`
    Time {
        /// How many digits of a fraction of a second.
        fraction: u8,
    },
}

/// The shape of a `date`, `dateTime` or `instant`; `None` where it is none of them.
pub fn date_time_shape(text: &[u8]) -> Option<Shape> {
    let year = number(text, 0, 4).filter(|year| *year != 0)?;
    if text.len() == 4 {
        return Some(Shape::Year);
    }
    let month = part(text, 4, b'-').filter(|month| (1..=12).contains(month))?;
    if text.len() == 7 {
        return Some(Shape::Month);
    }
    part(text, 7, b'-').filter(|day| (1..=month_days(year, month)).contains(day))?;
    match text.get(10) {
        None => Some(Shape::Day),
        Some(b'T') => timed(&text[11..]),
        Some(_) => None,
    }
}

/// Is it a `time`: `hh:mm:ss`, perhaps with a fraction, without an offset?
pub fn is_time(text: &[u8]) -> bool {
    time_of_day(text).is_some_and(|(_, rest)| rest.is_empty())
}

fn timed(text: &[u8]) -> Option<Shape> {
    let (fraction, rest) = time_of_day(text)?;
    is_offset(rest).then_some(Shape::Time { fraction })
}

/// The digits of the fraction and what follows.
fn time_of_day(text: &[u8]) -> Option<(u8, &[u8])> {
    number(text, 0, 2).filter(|hour| *hour < 24)?;
    part(text, 2, b':').filter(|minute| *minute < 60)?;
    part(text, 5, b':').filter(|second| *second <= 60)?;
    let rest = &text[8..];
    let Some(fraction) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let count = u8::try_from(digits).ok().filter(|count| 0 < *count)?;
    Some((count, &fraction[digits..]))
}

fn is_offset(text: &[u8]) -> bool {
    match text {
        b"Z" => true,
        [b'+' | b'-', _, _, b':', _, _] => match (number(text, 1, 2), number(text, 4, 2)) {
            (Some(hours), Some(minutes)) => (hours < 14 && minutes < 60) || (hours == 14 && minutes == 0),
            _ => false,
        },
        _ => false,
    }
}

/// Two digits after a mark at `at`.
fn part(text: &[u8], at: usize, mark: u8) -> Option<u32> {
    if *text.get(at)? == mark { number(text, at + 1, 2) } else { None }
}

fn number(text: &[u8], at: usize, digits: usize) -> Option<u32> {
    text.get(at..at + digits)?
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

fn month_days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
