//! What came of a load: how many, how fast, and what went wrong.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A new referral.
    Referral,
    /// A new booking.
    Booking,
    /// A referral read by its id.
    Read,
    /// A search for free slots, when none are left to book.
    Search,
    /// A person who is asked for (`Patient/$match`).
    Match,
    /// A patient's details from a hospital, over MLLP.
    Admission,
}

impl Kind {
    pub(super) const ALL: [Kind; 6] =
        [Kind::Referral, Kind::Booking, Kind::Read, Kind::Search, Kind::Match, Kind::Admission];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Referral => "referral",
            Self::Booking => "booking",
            Self::Read => "read",
            Self::Search => "search",
            Self::Match => "match",
            Self::Admission => "admission",
        }
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    /// Somebody else was quicker: an answer of the service's everyday, not an error.
    Conflict,
    /// Status and code, such as `422 REC_UNPROCESSABLE_ENTITY`.
    Error(String),
}

/// The counts while requests run.
pub(super) struct Tally {
    kinds: [Count; Kind::ALL.len()],
}

struct Count {
    latency_us: Histogram<u64>,
    conflicts: u64,
    errors: BTreeMap<String, u64>,
}

impl Count {
    fn new() -> Self {
        // One minute at three digits; longer ones count as one minute. These bounds are ones that the library takes.
        let latency_us = Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds in range");
        Self { latency_us, conflicts: 0, errors: BTreeMap::new() }
    }

    fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.latency_us.add(&other.latency_us);
        self.conflicts += other.conflicts;
        other.errors.iter().for_each(|(code, count)| *self.errors.entry(code.clone()).or_default() += count);
    }

    fn line(&self, kind: &'static str, duration: Duration) -> Line {
        let ms = |us: u64| us as f64 / 1000.0;
        let quantile = |quantile| ms(self.latency_us.value_at_quantile(quantile));
        let count = self.latency_us.len();
        Line {
            kind,
            count,
            per_second: count as f64 / duration.as_secs_f64().max(0.001),
            p50_ms: quantile(0.5),
            p90_ms: quantile(0.9),
            p99_ms: quantile(0.99),
            max_ms: if count == 0 { 0.0 } else { ms(self.latency_us.max()) },
            conflicts: self.conflicts,
            errors: self.errors.clone(),
        }
    }
}

impl Tally {
    pub(super) fn new() -> Self {
        Self { kinds: std::array::from_fn(|_| Count::new()) }
    }

    pub(super) fn record(&mut self, kind: Kind, latency: Duration, outcome: Outcome) {
        let count = &mut self.kinds[kind as usize];
        count.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        match outcome {
            Outcome::Good => {}
            Outcome::Conflict => count.conflicts += 1,
            Outcome::Error(code) => *count.errors.entry(code).or_default() += 1,
        }
    }

    /// Requests and errors so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        let errors = self.kinds.iter().flat_map(|count| count.errors.values()).sum();
        (self.kinds.iter().map(|count| count.latency_us.len()).sum(), errors)
    }

    pub(super) fn report(&self, target: &str, duration: Duration, unsent: u64) -> Report {
        let mut total = Count::new();
        self.kinds.iter().for_each(|count| total.add(count));
        let lines = Kind::ALL.iter().map(|kind| self.kinds[*kind as usize].line(kind.as_str(), duration));
        Report {
            target: target.to_owned(),
            duration_s: duration.as_secs_f64(),
            unsent,
            kinds: lines.filter(|line| 0 < line.count).collect(),
            total: total.line("total", duration),
        }
    }
}

/// The numbers of one kind.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What the requests were for.
    pub kind: &'static str,
    /// How many were answered or failed.
    pub count: u64,
    /// How many in a second.
    pub per_second: f64,
    /// Half were no slower.
    pub p50_ms: f64,
    /// Nine of ten were no slower.
    pub p90_ms: f64,
    /// 99 of 100 were no slower.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Bookings that came too late for their slot.
    pub conflicts: u64,
    /// Errors by status and code.
    pub errors: BTreeMap<String, u64>,
}

/// What came of a load.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it went.
    pub target: String,
    /// How long it took.
    pub duration_s: f64,
    /// Requests whose time came, but for which no connection was free before the end: the rate was not reached.
    pub unsent: u64,
    /// One for each kind that was sent.
    pub kinds: Vec<Line>,
    /// All together.
    pub total: Line,
}

impl Report {
    /// Nothing went wrong?
    pub fn is_good(&self) -> bool {
        self.total.errors.is_empty() && self.unsent == 0 && 0 < self.total.count
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}",
            "", "count", "per s", "p50 ms", "p90 ms", "p99 ms", "max ms", "conflict", "error"
        )?;
        self.kinds.iter().chain([&self.total]).try_for_each(|line| line.fmt_row(f))?;
        for (code, count) in &self.total.errors {
            writeln!(f, "{count:>10} x {code}")?;
        }
        match self.unsent {
            0 => Ok(()),
            unsent => writeln!(f, "{unsent} requests were due, but not sent before the end: the rate was not reached"),
        }
    }
}

impl Line {
    fn fmt_row(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = format!("{:<10}{:>10}{:>10.0}", self.kind, self.count, self.per_second);
        for ms in [self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms] {
            write!(row, "{ms:>10.2}")?;
        }
        writeln!(f, "{row}{:>10}{:>8}", self.conflicts, self.errors.values().sum::<u64>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up() {
        let mut tally = Tally::new();
        for ms in 1..=100 {
            tally.record(Kind::Read, Duration::from_millis(ms), Outcome::Good);
        }
        tally.record(Kind::Booking, Duration::from_millis(1), Outcome::Conflict);
        let report = tally.report("here", Duration::from_secs(10), 0);
        assert!(report.is_good());
        assert_eq!((report.total.count, report.total.conflicts), (101, 1));
        assert!((report.kinds[1].p90_ms - 90.0).abs() < 0.2, "{report}");
        tally.record(Kind::Referral, Duration::from_secs(600), Outcome::Error("500 REC_SERVER_ERROR".to_owned()));
        let report = tally.report("here", Duration::from_secs(10), 0);
        assert!(!report.is_good());
        assert!(report.to_string().contains("1 x 500 REC_SERVER_ERROR"));
        assert!(report.total.max_ms < 60_100.0);
    }

    #[test]
    fn a_rate_that_was_not_reached_is_not_good() {
        let mut tally = Tally::new();
        tally.record(Kind::Read, Duration::from_millis(1), Outcome::Good);
        assert!(!tally.report("here", Duration::from_secs(1), 1).is_good());
        assert!(!Tally::new().report("here", Duration::from_secs(1), 0).is_good());
    }
}
