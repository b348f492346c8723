//! Counts of messages and letters, so that nobody has to count a million rows to show a number.
//! Collected during a batch, written once before its commit.

use std::collections::HashMap;

use rusqlite::Connection;

use super::fault::Fault;
use crate::store::OutboxState;

#[derive(PartialEq, Eq, Hash)]
enum Count {
    Message(&'static str),
    Letter(String, OutboxState),
}

/// What a batch adds and takes away.
#[derive(Default)]
pub(super) struct Tally(Vec<(Count, i64)>);

impl Tally {
    /// One more message of this outcome.
    pub(super) fn message(&mut self, outcome: &'static str) {
        self.0.push((Count::Message(outcome), 1));
    }

    /// One more letter in this state.
    pub(super) fn letter(&mut self, destination: &str, state: OutboxState) {
        self.0.push((Count::Letter(destination.to_owned(), state), 1));
    }

    /// A letter went from one state to another.
    pub(super) fn letter_moved(&mut self, destination: &str, from: OutboxState, to: OutboxState) {
        self.0.push((Count::Letter(destination.to_owned(), from), -1));
        self.letter(destination, to);
    }

    /// A letter goes to another destination.
    pub(super) fn letter_redirected(&mut self, from: &str, to: &str, state: OutboxState) {
        self.0.push((Count::Letter(from.to_owned(), state), -1));
        self.letter(to, state);
    }

    /// How far it is, for [`Tally::back_to`].
    pub(super) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets what was counted since.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Writes it down.
    pub(super) fn write(self, conn: &Connection) -> Result<(), Fault> {
        let mut sums: HashMap<Count, i64> = HashMap::new();
        for (count, n) in self.0 {
            *sums.entry(count).or_default() += n;
        }
        for (count, n) in sums.into_iter().filter(|(_, n)| *n != 0) {
            add(conn, &count, n)?;
        }
        Ok(())
    }
}

fn add(conn: &Connection, count: &Count, n: i64) -> Result<usize, rusqlite::Error> {
    match count {
        Count::Message(outcome) => conn
            .prepare_cached(
                "INSERT INTO message_tally (outcome, n) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET n = n + excluded.n",
            )?
            .execute((outcome, n)),
        Count::Letter(destination, state) => conn
            .prepare_cached(
                "INSERT INTO outbox_tally (destination, state, n) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET n = n + excluded.n",
            )?
            .execute((destination, state.as_str(), n)),
    }
}
