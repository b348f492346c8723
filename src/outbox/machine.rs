//! What is to be done next for one destination: which letters to look for, which to send, what to make of an attempt,
//! how long to wait. It does nothing itself and knows no clock: whoever drives it says what happened and when. The
//! dispatcher drives it with connections and a store, the simulation with the worst that can happen.
//!
//! Order: the store gives out only the first open letter of each key, and a key is `busy` from then until the
//! settlement of that letter is durable, so two letters of one key are never under way together. Settling does not
//! hold up a connection: the next letter of another key goes out while the disk still works.
//!
//! Failure: when the destination does not answer, it is paused as a whole and then tried with one letter at a time.
//! Letters that were never sent keep their count of attempts, and a hundred thousand of them cost one connection
//! attempt per pause.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::destination::Destination;
use super::outcome::Outcome;
use crate::store::{OutboxRow, Settlement, StoreError};

/// Letters that one look at the store brings.
const LOOK_LEN: usize = 64;
/// Settlements that may be on their way to the disk.
const SETTLING_MAX: usize = 256;
/// Between two looks: what comes in meanwhile is served by the second, so that a busy gateway does not look once for
/// every letter.
const LOOK_PAUSE: Duration = Duration::from_millis(5);
/// A letter that was looked up longer ago than this is looked up again: a person may have decided otherwise.
const FRESH: Duration = Duration::from_secs(1);
/// Before a settlement is tried again that the store could not take.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// Time since the machine began. It never jumps, whatever the clock on the wall does.
pub(crate) type Moment = Duration;

/// See the module.
pub(crate) struct Machine {
    destination: Arc<Destination>,
    /// Letters under way, one to a connection.
    flights: usize,
    /// Settlements on their way to the disk.
    settling: usize,
    /// Letters that may go.
    ready: VecDeque<(OutboxRow, Vec<u8>)>,
    ready_since: Moment,
    /// Keys of letters that are ready, under way or being settled.
    busy: HashSet<Uuid>,
    /// There may be more in the store than is known here.
    stale: bool,
    /// When to look at the store at the latest …
    look_at: Moment,
    /// … and at the earliest.
    look_from: Moment,
    /// Attempts without an answer, in a row.
    failures: u32,
    paused_until: Option<Moment>,
    /// The next letter goes out at this moment at the earliest.
    gap_until: Moment,
}

/// What follows from what the store said of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is over: the key's next letter may go.
    Over,
    /// The store is closed: after a restart the letter is sent again.
    Never,
    /// What was delivered must not be sent again because the disk was full for a moment.
    AgainIn(Duration),
}

impl Settled {
    /// Refused: a person superseded it while it was under way, or another gateway took it over.
    pub(crate) fn of(said: &Result<(), StoreError>) -> Self {
        match said {
            Ok(()) | Err(StoreError::Refused(_)) => Self::Over,
            Err(StoreError::Closed) => Self::Never,
            Err(_) => Self::AgainIn(SETTLE_PAUSE),
        }
    }
}

impl Machine {
    pub(crate) fn new(destination: Arc<Destination>) -> Self {
        Self {
            destination,
            flights: 0,
            settling: 0,
            ready: VecDeque::new(),
            ready_since: Moment::ZERO,
            busy: HashSet::new(),
            stale: true,
            look_at: Moment::ZERO,
            look_from: Moment::ZERO,
            failures: 0,
            paused_until: None,
            gap_until: Moment::ZERO,
        }
    }

    /// There may be new letters, or time has passed.
    pub(crate) fn wake(&mut self) {
        self.stale = true;
    }

    /// When something is to be done though nothing happens. Where there is no room, something will.
    pub(crate) fn next_event(&self, now: Moment) -> Moment {
        match self.paused_until {
            Some(until) if until > now => until,
            _ if self.gap_until > now => self.gap_until,
            _ if self.room(now) == 0 => now + self.destination.look_interval,
            _ if self.stale && self.ready.is_empty() => self.look_from,
            _ => self.look_at,
        }
    }

    /// How many more letters may go out now. After a failure it is one at a time until there is an answer.
    fn room(&self, now: Moment) -> usize {
        let paused = self.paused_until.is_some_and(|until| now < until);
        if paused || now < self.gap_until || self.settling >= SETTLING_MAX {
            return 0;
        }
        let idle = self.destination.connections.max(1).saturating_sub(self.flights);
        match self.failures {
            0 => idle,
            _ => usize::from(self.flights == 0).min(idle),
        }
    }

    /// Is the store to be looked at? Where there are no letters at hand, there may be some, and they could go out: for
    /// so many.
    pub(crate) fn look(&mut self, now: Moment) -> Option<usize> {
        if now.saturating_sub(self.ready_since) > FRESH {
            self.put_back();
        }
        if !self.stale || !self.ready.is_empty() || self.room(now) == 0 || now < self.look_from {
            return None;
        }
        self.paused_until = None;
        self.stale = false;
        self.look_from = now + LOOK_PAUSE;
        Some(self.busy.len() + if self.failures == 0 { LOOK_LEN } else { 1 })
    }

    /// What a look for `limit` letters at `asked_at` brought, and when the next one is due.
    pub(crate) fn looked(
        &mut self,
        now: Moment,
        asked_at: Timestamp,
        limit: usize,
        letters: Vec<(OutboxRow, Vec<u8>)>,
        due_at: Option<Timestamp>,
    ) {
        self.stale = letters.len() == limit;
        self.look_at = now + self.next_look(asked_at, due_at);
        self.ready_since = now;
        for (letter, body) in letters {
            if self.busy.insert(letter.key) {
                self.ready.push_back((letter, body));
            }
        }
    }

    /// The store could not be looked at.
    pub(crate) fn look_failed(&mut self, now: Moment) {
        self.look_at = now + self.destination.look_interval;
    }

    /// When the next letter is due, but soon enough to see what a person decided.
    fn next_look(&self, now: Timestamp, due_at: Option<Timestamp>) -> Duration {
        let longest = self.destination.look_interval;
        let wait = due_at.filter(|due_at| *due_at > now).and_then(|due_at| due_at.duration_since(now).try_into().ok());
        wait.map_or(longest, |wait: Duration| wait.min(longest))
    }

    /// Forgets letters that were not sent.
    fn put_back(&mut self) {
        for (letter, _) in self.ready.drain(..) {
            self.busy.remove(&letter.key);
            self.stale = true;
        }
    }

    /// A letter that is to be sent now; to be asked until there is none.
    pub(crate) fn launch(&mut self, now: Moment) -> Option<(OutboxRow, Vec<u8>)> {
        // This process was stopped since the look: others may have sent them.
        if now.saturating_sub(self.ready_since) > FRESH {
            self.put_back();
        }
        if self.room(now) == 0 {
            return None;
        }
        let next = self.ready.pop_front()?;
        self.flights += 1;
        self.gap_until = now + self.destination.gap;
        Some(next)
    }

    /// An attempt is over; what is to be settled. The key stays busy until that is durable. `chance` is from 0 to 1.
    pub(crate) fn landed(
        &mut self,
        letter: &OutboxRow,
        outcome: &Outcome,
        now: Moment,
        at: Timestamp,
        chance: f64,
    ) -> Option<Settlement> {
        self.flights = self.flights.saturating_sub(1);
        if let Some(pause) = outcome.pause() {
            self.fail(now, chance);
            self.paused_until = self.paused_until.max(Some(now + pause));
        } else if outcome.is_answered() {
            self.failures = 0;
            self.paused_until = None;
        } else if !matches!(outcome, Outcome::Unsendable { .. }) {
            self.fail(now, chance);
        }
        let settlement = outcome.settlement(letter, &self.destination, at, chance);
        match settlement {
            Some(_) => self.settling += 1,
            None => self.release(letter.key),
        }
        settlement
    }

    /// An attempt ended in a panic.
    pub(crate) fn crashed(&mut self, key: Option<Uuid>, now: Moment, chance: f64) {
        self.flights = self.flights.saturating_sub(1);
        self.fail(now, chance);
        key.into_iter().for_each(|key| self.release(key));
    }

    /// A settlement is over. `None`: the store is closed, and the letter of that key is not sent again by this one.
    pub(crate) fn settled(&mut self, key: Option<Uuid>) {
        self.settling = self.settling.saturating_sub(1);
        key.into_iter().for_each(|key| self.release(key));
    }

    /// The key's next letter may go.
    fn release(&mut self, key: Uuid) {
        self.busy.remove(&key);
        self.stale = true;
    }

    /// Those that fail together count as one.
    fn fail(&mut self, now: Moment, chance: f64) {
        self.put_back();
        if self.paused_until.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
            self.paused_until = Some(now + self.destination.backoff.pause(self.failures, chance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::destination::Peer;
    use crate::outbox::outcome::tests::letter;

    fn machine() -> Machine {
        Machine::new(Arc::new(Destination::mllp("pas", Peer::new("localhost", 1))))
    }

    fn letters(count: u128) -> Vec<(OutboxRow, Vec<u8>)> {
        (0..count).map(|n| (OutboxRow { key: Uuid::from_u128(n), ..letter(0, None) }, Vec::new())).collect()
    }

    fn launched(machine: &mut Machine, now: Moment) -> usize {
        std::iter::from_fn(|| machine.launch(now)).count()
    }

    #[test]
    fn after_a_failure_one_letter_goes_at_a_time() {
        let (mut machine, now, at) = (machine(), Moment::from_secs(9), Timestamp::UNIX_EPOCH);
        let limit = machine.look(now).unwrap();
        machine.looked(now, at, limit, letters(9), None);
        assert_eq!(launched(&mut machine, now), 4, "as many as there are connections");
        let lost = Outcome::Unreachable { failure: "refused".into() };
        assert!(machine.landed(&letters(1)[0].0, &lost, now, at, 0.0).is_none());
        assert_eq!(machine.look(now), None, "it is paused");
        assert_eq!(machine.next_event(now), now + Duration::from_secs(1));
        (0..3).for_each(|n| drop(machine.landed(&letters(4)[n + 1].0, &lost, now, at, 0.0)));
        let later = now + Duration::from_secs(1);
        assert_eq!(machine.look(later), Some(1), "those that failed together count as one");
        machine.looked(later, at, 1, letters(9), None);
        assert_eq!(launched(&mut machine, later), 1);
    }

    #[test]
    fn between_two_letters_is_the_gap_that_the_destination_wants() {
        let gap = Duration::from_millis(500);
        let destination = Destination { gap, ..Destination::mllp("pas", Peer::new("localhost", 1)) };
        let (mut machine, now) = (Machine::new(Arc::new(destination)), Moment::from_secs(9));
        let limit = machine.look(now).unwrap();
        machine.looked(now, Timestamp::UNIX_EPOCH, limit, letters(9), None);
        assert_eq!(launched(&mut machine, now), 1, "though there are four connections");
        assert_eq!(machine.next_event(now), now + gap);
        assert_eq!(launched(&mut machine, now + gap - Duration::from_millis(1)), 0);
        assert_eq!(launched(&mut machine, now + gap), 1);
    }

    #[test]
    fn what_was_looked_up_long_ago_is_not_sent() {
        let (mut machine, now, at) = (machine(), Moment::from_secs(9), Timestamp::UNIX_EPOCH);
        let limit = machine.look(now).unwrap();
        machine.looked(now, at, limit, letters(2), None);
        let woken = now + Duration::from_secs(60);
        assert_eq!(launched(&mut machine, woken), 0);
        assert!(machine.look(woken).is_some(), "it is looked up again");
    }

    #[test]
    fn a_key_is_busy_until_its_settlement_is_durable() {
        let (mut machine, now, at) = (machine(), Moment::from_secs(9), Timestamp::UNIX_EPOCH);
        let limit = machine.look(now).unwrap();
        machine.looked(now, at, limit, letters(1), None);
        let (letter, _) = machine.launch(now).unwrap();
        let delivered = Outcome::Delivered { code: "AA" };
        assert!(matches!(machine.landed(&letter, &delivered, now, at, 0.0), Some(Settlement::Delivered)));
        let again = |machine: &mut Machine, now: Moment| {
            machine.wake();
            let limit = machine.look(now).unwrap();
            machine.looked(now, at, limit, letters(1), None);
            launched(machine, now)
        };
        assert_eq!(again(&mut machine, now + Duration::from_millis(10)), 0);
        machine.settled(Some(letter.key));
        assert_eq!(again(&mut machine, now + Duration::from_millis(20)), 1);
    }

    #[test]
    fn a_settlement_is_tried_until_the_store_takes_it() {
        assert_eq!(Settled::of(&Ok(())), Settled::Over);
        assert_eq!(Settled::of(&Err(StoreError::Refused("another gateway"))), Settled::Over);
        assert_eq!(Settled::of(&Err(StoreError::Closed)), Settled::Never);
        assert_eq!(Settled::of(&Err(StoreError::Full)), Settled::AgainIn(Duration::from_millis(200)));
    }
}
