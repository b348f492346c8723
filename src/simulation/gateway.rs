//! A gateway in the simulated world: a queue before the writer, callers who wait, and a machine that delivers. What it
//! decides is decided by the real parts; here is only what would be threads and sockets.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::wish::Request;
use crate::outbox::destination::{Destination, Peer};
use crate::outbox::machine::{Machine, Moment};
use crate::store::simulated::{DESTINATION, HeldLetter, Queued, Reply};
use crate::store::{OutboxRow, Settlement, Verdict};

/// Connections to the hospital.
const CONNECTIONS: usize = 2;
/// Seldom, so that little of a world is looking.
const LOOK: Duration = Duration::from_secs(5);

/// Work in the queue. `letter`: the number of the settlement that it is.
pub(super) struct Job {
    pub(super) queued: Queued,
    pub(super) settlement: Option<u64>,
}

/// The end of an attempt, until it is durable.
pub(super) struct Settling {
    pub(super) number: u64,
    pub(super) letter: OutboxRow,
    pub(super) settlement: Settlement,
    /// `None`: it must wait before it is tried again.
    pub(super) reply: Option<Reply<()>>,
    pub(super) again_at: u64,
}

/// What the writer knew of a letter before it settled it.
pub(super) struct Before {
    pub(super) letter: HeldLetter,
    /// Under which number it is settled.
    pub(super) lease: i64,
}

/// A letter under way.
pub(super) struct Flight {
    pub(super) letter: OutboxRow,
    pub(super) deadline: u64,
}

/// A connection to the hospital.
#[derive(Default)]
pub(super) struct Line {
    /// Every connection has another number; 0: none is open.
    pub(super) number: u64,
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) flight: Option<Flight>,
}

/// Letters that the store has given out and that this gateway has not seen yet.
pub(super) struct Fetched {
    pub(super) limit: usize,
    pub(super) asked_at: Timestamp,
    pub(super) letters: Vec<(OutboxRow, Vec<u8>)>,
    pub(super) due_at: Option<Timestamp>,
}

/// See the module.
pub(super) struct Gateway {
    /// Another one after each start.
    pub(super) id: Uuid,
    pub(super) is_up: bool,
    /// Stopped until then, or down until then.
    pub(super) asleep_until: u64,
    /// How wrong its clock is, in microseconds.
    pub(super) skew: i64,
    pub(super) began: u64,
    pub(super) destination: Arc<Destination>,
    pub(super) machine: Machine,
    pub(super) queue: Vec<Job>,
    pub(super) callers: Vec<(Request, Reply<Verdict>)>,
    pub(super) settling: Vec<Settling>,
    pub(super) lines: Vec<Line>,
    pub(super) fetched: Option<Fetched>,
    /// Something happened since it last looked what to do.
    pub(super) is_dirty: bool,
}

impl Gateway {
    pub(super) fn start(id: Uuid, now: u64, skew: i64) -> Self {
        let peer = Peer::new("hospital", 1);
        let destination = Arc::new(Destination {
            connections: CONNECTIONS,
            look_interval: LOOK,
            ..Destination::mllp(DESTINATION, peer)
        });
        Self {
            id,
            is_up: true,
            asleep_until: 0,
            skew,
            began: now,
            machine: Machine::new(destination.clone()),
            destination,
            queue: Vec::new(),
            callers: Vec::new(),
            settling: Vec::new(),
            lines: (0..CONNECTIONS).map(|_| Line::default()).collect(),
            fetched: None,
            is_dirty: true,
        }
    }

    /// Does it run at this time?
    pub(super) fn is_awake(&self, now: u64) -> bool {
        self.is_up && self.asleep_until <= now
    }

    /// Since it was started: never jumps.
    pub(super) fn moment(&self, now: u64) -> Moment {
        Duration::from_micros(now.saturating_sub(self.began))
    }

    /// What its clock on the wall says.
    pub(super) fn wall(&self, now: u64) -> Timestamp {
        super::instant(now, self.skew)
    }

    /// When its machine wants to do something.
    pub(super) fn next_event(&self, now: u64) -> u64 {
        let at = self.machine.next_event(self.moment(now));
        self.began.saturating_add(u64::try_from(at.as_micros()).unwrap_or(u64::MAX / 2))
    }

    /// Is nothing under way?
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.callers.is_empty()
            && self.settling.is_empty()
            && self.fetched.is_none()
            && self.lines.iter().all(|line| line.flight.is_none())
    }
}
