//! How a destination is doing, for the status page.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use metrics::gauge;
use serde::Serialize;
use tracing::{info, warn};

use super::outcome::Outcome;
use crate::telemetry::metric;

/// How a destination is doing.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// Its name.
    pub destination: String,
    /// What the last attempt showed.
    pub state: State,
    /// Since when that is so.
    pub since: Timestamp,
    /// When it last answered.
    pub last_response: Option<Timestamp>,
    /// What that answer said: `AA`, `AE 101` …
    pub last_answer: Option<String>,
    /// Why the last failed attempt failed; no patient data.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// Since when a person has paused it.
    pub paused: Option<Timestamp>,
}

/// What the last attempt showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing was sent since the start.
    Unknown,
    /// It answers.
    Up,
    /// It cannot be reached, or does not answer.
    Down,
}

/// The health that a dispatcher writes and others read.
pub(super) struct Pulse(Mutex<Health>);

impl Pulse {
    pub(super) fn new(destination: &str) -> Self {
        Self(Mutex::new(Health {
            destination: destination.to_owned(),
            state: State::Unknown,
            since: Timestamp::now(),
            last_response: None,
            last_answer: None,
            last_error: None,
            last_error_at: None,
            paused: None,
        }))
    }

    pub(super) fn read(&self) -> Health {
        self.lock().clone()
    }

    /// Takes note of an attempt. A change of state is logged once, not every attempt.
    pub(super) fn note(&self, outcome: &Outcome, now: Timestamp) {
        let mut health = self.lock();
        if let Some(answer) = outcome.answer() {
            health.last_response = Some(now);
            health.last_answer = Some(answer.to_owned());
        }
        if let Some(failure) = outcome.failure() {
            health.last_error = Some(failure.to_owned());
            health.last_error_at = Some(now);
        }
        match outcome {
            Outcome::Unsendable { .. } => {}
            _ if outcome.is_answered() => health.turn(State::Up, now),
            _ => health.turn(State::Down, now),
        }
    }

    /// Takes note of whether a person has paused it.
    pub(super) fn pause(&self, since: Option<Timestamp>) {
        let mut health = self.lock();
        if health.paused.is_some() != since.is_some() {
            let (destination, paused) = (health.destination.as_str(), since.is_some());
            info!(destination, outcome = if paused { "paused" } else { "resumed" }, "A person has decided");
        }
        health.paused = since;
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Health {
    fn turn(&mut self, state: State, now: Timestamp) {
        if self.state == state {
            return;
        }
        (self.state, self.since) = (state, now);
        gauge!(metric::DESTINATION_UP, "destination" => self.destination.clone()).set(f64::from(state == State::Up));
        let destination = self.destination.as_str();
        match state {
            State::Down => warn!(destination, error = self.last_error, "The destination is down"),
            _ => info!(destination, "The destination is up"),
        }
    }
}
