//! Senders that count their messages (MSH-13) show by a leap in the count that some never came.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Senders whose count is remembered. There are a few of them; names that somebody makes up are not to fill memory.
const SENDERS_MAX: usize = 1_000;
/// Longest name of a sender, its two parts together (HD has 227 characters at most).
const NAME_BYTES_MAX: usize = 512;

/// The last number of each sender, since the start of this process. Messages that are quarantined count, too: they came.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<String, u64>>);

impl Counts {
    /// Notes a number; answers whether others are missing before it. One that comes late is no leap, and 1 begins anew.
    pub(super) fn leaps(&self, channel: &str, sender: &str, number: u64) -> bool {
        if NAME_BYTES_MAX < sender.len() {
            return false;
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{channel}|{sender}");
        let known = last.get(&key).copied();
        if known.is_none() && SENDERS_MAX <= last.len() {
            return false;
        }
        if number <= 1 || known.is_none_or(|known| known < number) {
            last.insert(key, number);
        }
        1 < number && known.is_some_and(|known| known < number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_told_once_and_nothing_else_is_one() {
        let counts = Counts::default();
        let leaps = |number| counts.leaps("pas", "PAS|RXX", number);
        // The first number may be any; a repeat, a late one and a new beginning are no leaps.
        let said = [
            (7, false),
            (8, false),
            (8, false),
            (11, true),
            (12, false),
            (9, false),
            (13, false),
            (1, false),
            (2, false),
        ];
        for (number, expected) in said {
            assert_eq!(leaps(number), expected, "{number}");
        }
        assert!(!counts.leaps("other", "PAS|RXX", 40) && !counts.leaps("pas", "LAB|RXX", 40), "each counts for itself");
    }

    #[test]
    fn invented_names_do_not_fill_memory() {
        let counts = Counts::default();
        (0..2 * SENDERS_MAX).for_each(|n| assert!(!counts.leaps("pas", &n.to_string(), 5)));
        assert!([5, 9].iter().all(|number| !counts.leaps("pas", &"A".repeat(1 << 20), *number)));
        assert_eq!(counts.0.lock().unwrap().len(), SENDERS_MAX);
        assert!(counts.leaps("pas", "0", 9));
    }
}
