//! When everything that is in use will be over.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::finding::Level;
use super::inspect::{Facts, Source, days_between};

/// The end of one thing's time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// What it is, such as `server certificate CN=gateway`.
    pub name: String,
    /// The file that it was read from.
    pub file: PathBuf,
    /// The end of its time.
    pub not_after: Timestamp,
}

impl Expiry {
    /// Whole days until then; negative once it is over.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        days_between(now, self.not_after)
    }

    /// How loudly to say it; none: it has 30 days or more.
    pub fn level(&self, now: Timestamp) -> Option<Level> {
        match self.days_left(now) {
            ..0 => Some(Level::Error),
            0..7 => Some(Level::Alarm),
            7..30 => Some(Level::Warning),
            _ => None,
        }
    }
}

/// One for each certificate of a file.
pub(super) fn of_certificates(what: &str, source: &Source) -> Vec<Expiry> {
    let certificates = source.certificates().unwrap_or_default();
    let facts = certificates.iter().filter_map(|der| Facts::of(&source.file, der, Timestamp::UNIX_EPOCH).ok());
    let expiries = facts.map(|facts| Expiry {
        name: format!("{what} {}", facts.subject),
        file: facts.file,
        not_after: facts.not_after,
    });
    expiries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_louder() {
        let expiry =
            Expiry { name: String::new(), file: PathBuf::new(), not_after: "2026-02-01T00:00:00Z".parse().unwrap() };
        let level = |now: &str| expiry.level(now.parse().unwrap());
        assert_eq!(level("2026-01-02T00:00:00Z"), None);
        assert_eq!(level("2026-01-02T00:00:01Z"), Some(Level::Warning));
        assert_eq!(level("2026-01-26T00:00:00Z"), Some(Level::Alarm));
        assert_eq!(level("2026-02-01T00:00:01Z"), Some(Level::Error));
    }
}
