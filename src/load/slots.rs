//! The free slots that are left to book, found a day at a time.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::synthetic::FreeSlot;

/// How many days ahead are searched.
const DAYS: i64 = 120;

/// A pool that is filled from one day after the other.
#[derive(Debug)]
pub(super) struct Pool {
    first: Date,
    searched: i64,
    free: Vec<FreeSlot>,
}

impl Pool {
    /// Starts tomorrow: of today, a part is already over.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { first: now.to_zoned(TimeZone::UTC).date().saturating_add(1.day()), searched: 0, free: Vec::new() }
    }

    pub(super) fn take(&mut self) -> Option<FreeSlot> {
        self.free.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    /// What to ask for next; none: all days have been searched.
    pub(super) fn next_search(&mut self, service: &str) -> Option<String> {
        if DAYS <= self.searched {
            return None;
        }
        let day = self.first.saturating_add(self.searched.days());
        self.searched += 1;
        Some(format!(
            "/Slot?Schedule.actor:HealthcareService={service}&start=ge{day}T00:00:00%2B00:00&start=le{day}T23:59:59%2B00:00\
             &status=free&_include=Slot:schedule&_include=Schedule:actor:HealthcareService"
        ))
    }

    /// The earliest is taken first.
    pub(super) fn fill(&mut self, mut slots: Vec<FreeSlot>) {
        slots.sort_by(|a, b| b.start.cmp(&a.start));
        self.free = slots;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_a_day_at_a_time_and_comes_to_an_end() {
        let mut pool = Pool::new("2026-12-31T23:00:00Z".parse().unwrap());
        let search = pool.next_search("7").unwrap();
        assert!(search.contains("HealthcareService=7&start=ge2027-01-01T00:00:00%2B00:00&start=le2027-01-01T23:59:59"));
        assert!(pool.next_search("7").unwrap().contains("2027-01-02"));
        assert_eq!(std::iter::from_fn(|| pool.next_search("7")).count(), 118);
    }
}
