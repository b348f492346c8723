//! Delivery windows: the hours at which a destination is sent to.

use std::fmt;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// The hours at which a destination is sent to, by the clocks of the United Kingdom; none: always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows(Vec<Window>);

/// `mon-fri 07:00-19:00`: until before the second time; on the next day, should that not be the later one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    days: [bool; 7],
    from: Time,
    until: Time,
}

/// A window that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowError;

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be days and hours such as \"mon-fri 07:00-19:00\" or \"sat 22:00-06:00\"")
    }
}

impl Windows {
    /// Reads what the configuration says; the first that cannot be read, by its place.
    pub fn read(texts: &[String]) -> Result<Self, (usize, WindowError)> {
        let window = |(at, text): (usize, &String)| Window::read(text).ok_or((at, WindowError));
        texts.iter().enumerate().map(window).collect::<Result<_, _>>().map(Self)
    }

    /// May something be sent now?
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.contains(now))
    }

    /// For how long something could have been sent between these two, in seconds, to the minute. Of a longer time only
    /// the last three days are counted.
    pub fn open_seconds(&self, since: Timestamp, now: Timestamp) -> i64 {
        const LONGEST_MINUTES: i64 = 3 * 24 * 60;
        let whole = now.duration_since(since).as_secs().max(0);
        if self.0.is_empty() {
            return whole;
        }
        let minutes = (whole / 60).min(LONGEST_MINUTES);
        let open = |minute: &i64| self.is_open(now - SignedDuration::from_mins(*minute));
        60 * (1..=minutes).filter(open).count() as i64
    }
}

impl Window {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (days, hours) = text.split_once(' ')?;
        let (from, until) = hours.trim().split_once('-')?;
        let (from, until) = (time(from)?, time(until)?);
        let until_midnight = hours.trim().ends_with("24:00");
        (from != until || until_midnight).then_some(Self { days: named(days)?, from, until })
    }

    fn contains(&self, now: Timestamp) -> bool {
        let local = now.to_zoned(TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));
        let (time, today) = (local.time(), usize::from(local.weekday().to_monday_zero_offset().unsigned_abs()));
        let yesterday = (today + 6) % 7;
        let overnight = self.until <= self.from;
        let begun_today = self.days[today] && self.from <= time && (overnight || time < self.until);
        begun_today || overnight && self.days[yesterday] && time < self.until
    }
}

/// `mon`, `mon-fri`, `fri-mon`, and several of these with commas between.
fn named(text: &str) -> Option<[bool; 7]> {
    let number = |name: &str| DAYS.iter().position(|(known, _)| *known == name);
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        (0..=(last + 7 - first) % 7).for_each(|day| days[(first + day) % 7] = true);
    }
    Some(days)
}

/// `07:00`; `24:00` is the end of the day.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    let whole = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i8>().ok()).flatten();
    match (whole(hour)?, whole(minute)?) {
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(texts: &[&str]) -> Windows {
        Windows::read(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_first_minute_to_before_its_last() {
        let day = windows(&["mon-fri 07:00-19:00", "sat 08:00-24:00"]);
        // A Monday in March; London is at UTC.
        for (now, open) in [
            ("2026-03-02T06:59:59Z", false),
            ("2026-03-02T07:00:00Z", true),
            ("2026-03-02T18:59:59Z", true),
            ("2026-03-02T19:00:00Z", false),
            ("2026-03-07T23:59:59Z", true),
            ("2026-03-08T00:00:00Z", false),
            // In summer by the clock on the wall.
            ("2026-06-01T06:00:00Z", true),
            ("2026-06-01T18:00:00Z", false),
        ] {
            assert_eq!(day.is_open(at(now)), open, "{now}");
        }
        assert!(Windows::default().is_open(at("2026-03-08T03:00:00Z")));
        let whole = windows(&["tue 00:00-24:00"]);
        let open = |now: &str| whole.is_open(at(now));
        assert!(open("2026-03-03T00:00:00Z") && open("2026-03-03T23:59:59Z"));
        assert!(!open("2026-03-02T23:59:59Z") && !open("2026-03-04T00:00:00Z"));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = windows(&["fri,sun-mon 22:00-06:00"]);
        // 6 March 2026 is a Friday.
        for (now, open) in [
            ("2026-03-06T05:00:00Z", false),
            ("2026-03-06T22:00:00Z", true),
            ("2026-03-07T05:59:00Z", true),
            ("2026-03-07T22:00:00Z", false),
            ("2026-03-08T22:00:00Z", true),
            ("2026-03-10T05:00:00Z", true),
            ("2026-03-10T22:00:00Z", false),
        ] {
            assert_eq!(night.is_open(at(now)), open, "{now}");
        }
    }

    #[test]
    fn time_outside_of_windows_is_not_counted() {
        let day = windows(&["mon-fri 07:00-19:00"]);
        let counted = |since: &str, now: &str| day.open_seconds(at(since), at(now));
        assert_eq!(counted("2026-03-02T18:30:00Z", "2026-03-03T07:15:00Z"), 45 * 60);
        assert_eq!(counted("2026-03-06T20:00:00Z", "2026-03-08T20:00:00Z"), 0, "a weekend");
        assert_eq!(counted("2026-03-02T09:00:00Z", "2026-03-02T08:00:00Z"), 0, "a clock that was set back");
        assert_eq!(Windows::default().open_seconds(at("2026-03-02T09:00:00Z"), at("2026-03-02T09:00:07Z")), 7);
    }

    #[test]
    fn nonsense_is_no_window() {
        for text in [
            "",
            "always",
            "mon",
            "mon 7:00-19:00",
            "mon 07:00",
            "mon 25:00-26:00",
            "mon 07:00-07:00",
            "moon 07:00-08:00",
            "mon- 07:00-08:00",
            "mon 07:60-08:00",
            "mon 07:00-19:00 x",
            "mon 24:01-08:00",
            "mon +7:00-08:00",
        ] {
            assert_eq!(Windows::read(&["sat 01:00-02:00".into(), text.into()]), Err((1, WindowError)), "{text}");
        }
    }
}
