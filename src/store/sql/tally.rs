//! Counts of messages and letters, so that nobody has to count a million rows to show a number.
//! Collected during a batch, written once before its commit.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::session::{Dialect, Session, values};
use crate::store::OutboxState;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Count {
    Message(&'static str),
    Letter(String, OutboxState),
}

/// What a batch adds and takes away.
#[derive(Default)]
pub(in crate::store) struct Tally(Vec<(Count, i64)>);

impl Tally {
    /// One more message of this outcome.
    pub(in crate::store) fn message(&mut self, outcome: &'static str) {
        self.0.push((Count::Message(outcome), 1));
    }

    /// One more letter in this state.
    pub(in crate::store) fn letter(&mut self, destination: &str, state: OutboxState) {
        self.0.push((Count::Letter(destination.to_owned(), state), 1));
    }

    /// A letter went from one state to another.
    pub(in crate::store) fn letter_moved(&mut self, destination: &str, from: OutboxState, to: OutboxState) {
        self.0.push((Count::Letter(destination.to_owned(), from), -1));
        self.letter(destination, to);
    }

    /// A letter goes to another destination.
    pub(in crate::store) fn letter_redirected(&mut self, from: &str, to: &str, state: OutboxState) {
        self.0.push((Count::Letter(from.to_owned(), state), -1));
        self.letter(to, state);
    }

    /// How far it is, for [`Tally::back_to`].
    pub(in crate::store) fn mark(&self) -> usize {
        self.0.len()
    }

    /// Forgets what was counted since.
    pub(in crate::store) fn back_to(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Writes it down, in one order for everybody.
    pub(in crate::store) fn write(self, conn: &dyn Session) -> Result<(), Fault> {
        let mut sums: BTreeMap<Count, i64> = BTreeMap::new();
        for (count, n) in self.0 {
            *sums.entry(count).or_default() += n;
        }
        sums.into_iter().filter(|(_, n)| *n != 0).try_for_each(|(count, n)| add(conn, &count, n))
    }
}

/// Where many write at once each has a lane of its own, so that nobody waits for another's transaction to count.
fn add(conn: &dyn Session, count: &Count, n: i64) -> Result<(), Fault> {
    match (count, conn.dialect()) {
        (Count::Message(outcome), Dialect::Sqlite) => conn.write(
            "INSERT INTO message_tally (outcome, n) VALUES (?1, ?2)
             ON CONFLICT (outcome) DO UPDATE SET n = message_tally.n + excluded.n",
            values![*outcome, n],
        ),
        (Count::Message(outcome), Dialect::Postgres { lane }) => conn.write(
            "INSERT INTO message_tally (outcome, lane, n) VALUES (?1, ?2, ?3)
             ON CONFLICT (outcome, lane) DO UPDATE SET n = message_tally.n + excluded.n",
            values![*outcome, lane, n],
        ),
        (Count::Letter(destination, state), Dialect::Sqlite) => conn.write(
            "INSERT INTO outbox_tally (destination, state, n) VALUES (?1, ?2, ?3)
             ON CONFLICT (destination, state) DO UPDATE SET n = outbox_tally.n + excluded.n",
            values![destination, state.as_str(), n],
        ),
        (Count::Letter(destination, state), Dialect::Postgres { lane }) => conn.write(
            "INSERT INTO outbox_tally (destination, state, lane, n) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (destination, state, lane) DO UPDATE SET n = outbox_tally.n + excluded.n",
            values![destination, state.as_str(), lane, n],
        ),
    }
}
