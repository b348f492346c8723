//! Senders: each has one request at a time, and repeats it until it is answered.

use super::bug::Bug;
use super::gateway::Job;
use super::wire::{Load, Said};
use super::wish::{PEOPLE, Request, SLOTS, Wish};
use super::world::{SECOND, Step, World};
use crate::store::simulated::Database;

/// A sender waits so long for an answer.
const PATIENCE: u64 = 10 * SECOND;
/// Work that may wait in a gateway.
const QUEUE_MAX: usize = 6;

/// What a sender does.
pub(super) enum Sender {
    Idle { until: u64 },
    Waits { request: Request, until: u64 },
}

impl World {
    /// A sender begins something, or repeats what was not answered.
    pub(super) fn speak(&mut self, sender: usize) {
        let request = match &self.senders[sender] {
            Sender::Waits { request, .. } => {
                self.report.sent_again += 1;
                request.clone()
            }
            Sender::Idle { .. } => self.wish(sender),
        };
        self.senders[sender] = Sender::Waits { request: request.clone(), until: self.now + PATIENCE };
        let gateway = self.chance.place(self.gateways.len());
        for _ in 0..1 + u64::from(!self.is_calm && self.chance.one_in(12)) {
            self.carry(Load::Request { gateway, request: request.clone() });
        }
    }

    /// Mostly about something that is there.
    fn wish(&mut self, sender: usize) -> Request {
        self.requests += 1;
        self.report.requests += 1;
        let known = self.known.get(self.chance.place(self.known.len())).copied();
        let (slot, kind) = (self.chance.below(SLOTS), self.chance.below(8));
        let (person, wish) = match (kind, known) {
            (2..=4, Some((person, referral, None))) => (person, Wish::Book { slot, referral }),
            (5, Some((person, referral, None))) => (person, Wish::CancelReferral { referral }),
            (2 | 3, Some((person, _, Some(appointment)))) => (person, Wish::Move { slot, appointment }),
            (4..=6, Some((person, _, Some(appointment)))) => (person, Wish::CancelBooking { appointment }),
            _ => (self.chance.below(PEOPLE), Wish::Place),
        };
        Request { key: format!("request-{}", self.requests), sender, person, wish }
    }

    /// Puts it on a wire that loses, delays and overtakes.
    pub(super) fn carry(&mut self, load: Load) {
        if !self.is_calm && self.chance.one_in(24) {
            return;
        }
        let long = if !self.is_calm && self.chance.one_in(16) { 20 * SECOND } else { SECOND / 10 };
        let due = self.now + self.chance.below(long);
        self.wire.send(due, load);
    }

    /// A sender hears what became of its request; it may be one that it has heard of before.
    pub(super) fn answered(&mut self, request: &Request, said: Said) -> Step {
        let is_current =
            matches!(&self.senders[request.sender], Sender::Waits { request: own, .. } if own.key == request.key);
        if said == Said::Later {
            let until = self.now + SECOND / 5 + self.chance.below(SECOND);
            // What the constraints refuse is refused for ever: at last its sender gives up.
            let gives_up = self.is_calm && self.bug == Bug::CarelessRules;
            match is_current {
                true if gives_up => self.senders[request.sender] = Sender::Idle { until },
                true => self.senders[request.sender] = Sender::Waits { request: request.clone(), until },
                false => {}
            }
            return Ok(());
        }
        self.check_answer(request, said)?;
        if is_current {
            self.report.accepted += u64::from(said == Said::Accepted);
            self.report.refused += u64::from(said == Said::Refused);
            let until = self.now + self.chance.below(self.mood.idle);
            self.senders[request.sender] = Sender::Idle { until };
        }
        Ok(())
    }

    /// A gateway takes a request, or says that it has all the work that it can take.
    pub(super) fn requested(&mut self, number: usize, request: Request) {
        let gateway = &self.gateways[number];
        if !gateway.is_up {
            return;
        }
        // One that is stopped finds it when it wakes up.
        if self.now < gateway.asleep_until {
            let due = gateway.asleep_until;
            return self.wire.send(due, Load::Request { gateway: number, request });
        }
        if gateway.queue.len() >= QUEUE_MAX {
            return self.carry(Load::Answer { request, said: Said::Later });
        }
        let (skew, at) = (gateway.skew, gateway.wall(self.now));
        let id = self.fresh_id(skew);
        let mut fresh = || self.fresh_id(skew);
        let work = request.work(id, at, &mut fresh);
        let mut message = request.message(id, at);
        if self.bug == Bug::KeyForgotten {
            message.key = None;
        }
        let (queued, reply) = Database::submission(message, work);
        let gateway = &mut self.gateways[number];
        gateway.queue.push(Job { queued, settlement: None });
        gateway.callers.push((request, reply));
    }
}
