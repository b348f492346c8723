//! What the status endpoint is told: kept in memory, so that it can be told when the disk is gone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::store::Health;
use crate::telemetry::metric;

/// The writer's last experiences.
pub(in crate::store) struct Pulse(Mutex<Health>);

impl Pulse {
    /// Well, as far as is known.
    pub(in crate::store) fn new(database: &'static str) -> Self {
        Self(Mutex::new(Health { database, since: Timestamp::now(), last_commit: None, failure: None }))
    }

    /// A commit is durable.
    pub(in crate::store) fn committed(&self) {
        let now = Timestamp::now();
        self.change(|health| {
            if health.failure.take().is_some() {
                tracing::info!("the store is well again");
                health.since = now;
            }
            health.last_commit = Some(now);
        });
    }

    /// So many pieces of work became durable together, in this time.
    pub(in crate::store) fn served(&self, pieces: usize, took: Duration) {
        metrics::histogram!(metric::COMMIT_SECONDS).record(took.as_secs_f64());
        metrics::histogram!(metric::COMMIT_MESSAGES).record(pieces as f64);
    }

    /// The store could not do its work. Each reason is logged once, not at every trial.
    pub(in crate::store) fn failed(&self, why: String) {
        metrics::counter!(metric::STORE_FAILURES).increment(1);
        self.change(|health| {
            if health.failure.as_ref() != Some(&why) {
                tracing::error!(failure = %why, "the store failed");
            }
            if health.failure.is_none() {
                health.since = Timestamp::now();
            }
            health.failure = Some(why);
        });
    }

    /// Did the last attempt fail?
    pub(in crate::store) fn is_ill(&self) -> bool {
        self.health().failure.is_some()
    }

    /// How it is.
    pub(in crate::store) fn health(&self) -> Health {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, with: impl FnOnce(&mut Health)) {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
