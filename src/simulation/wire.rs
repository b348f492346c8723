//! What is on its way: requests and answers overtake each other, come twice or never; on a connection to the hospital
//! nothing overtakes.

use super::chance::Chance;
use super::wish::Request;

/// What a sender hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Accepted,
    Refused,
    /// Nothing was done: send it again.
    Later,
}

/// What is carried.
#[derive(Clone, Debug)]
pub(super) enum Load {
    Request {
        gateway: usize,
        request: Request,
    },
    Answer {
        request: Request,
        said: Said,
    },
    /// To the hospital, on a gateway's connection of this number.
    Letter {
        gateway: usize,
        line: u64,
        body: Vec<u8>,
    },
    /// From the hospital. `None`: it cuts the connection.
    Frame {
        gateway: usize,
        line: u64,
        frame: Option<Vec<u8>>,
    },
}

struct Packet {
    due: u64,
    load: Load,
}

/// See the module.
#[derive(Default)]
pub(super) struct Wire(Vec<Packet>);

/// On the same connection, and in the same direction.
fn lane(load: &Load) -> Option<(u64, bool)> {
    match load {
        Load::Letter { line, .. } => Some((*line, true)),
        Load::Frame { line, .. } => Some((*line, false)),
        Load::Request { .. } | Load::Answer { .. } => None,
    }
}

impl Wire {
    /// Sends it; it comes at this time, or after what is on the same connection.
    pub(super) fn send(&mut self, due: u64, load: Load) {
        let before = self.0.iter().filter(|it| lane(&load).is_some() && lane(&it.load) == lane(&load));
        let due = before.map(|it| it.due + 1).fold(due, u64::max);
        self.0.push(Packet { due, load });
    }

    /// Has anything arrived?
    pub(super) fn has_come(&self, now: u64) -> bool {
        self.0.iter().any(|it| it.due <= now)
    }

    /// One of those that have arrived; of a connection the first.
    pub(super) fn receive(&mut self, now: u64, chance: &mut Chance) -> Option<Load> {
        let come: Vec<usize> = (0..self.0.len()).filter(|at| self.0[*at].due <= now).collect();
        let chosen = *come.get(chance.place(come.len()))?;
        let of = lane(&self.0[chosen].load);
        let first = match of {
            None => chosen,
            Some(_) => come.into_iter().filter(|at| lane(&self.0[*at].load) == of).min_by_key(|at| self.0[*at].due)?,
        };
        Some(self.0.remove(first).load)
    }

    /// When the next one arrives.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.iter().map(|it| it.due).min()
    }
}
