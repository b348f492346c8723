//! Letters on their way to the hospital, and its answers on theirs.

use super::bug::Bug;
use super::gateway::{Fetched, Flight, Job, Settling};
use super::hospital::{Came, Reaction};
use super::instant;
use super::wire::Load;
use super::world::{SECOND, Step, World, failed};
use crate::hl7v2::ack::Received;
use crate::outbox::outcome::Outcome;
use crate::store::simulated::Database;
use crate::store::{OutboxRow, Settlement};

/// The hospital may take so long to acknowledge.
const ACK_MAX: u64 = 30 * SECOND;

impl World {
    /// A round of a gateway's machine: it looks for letters, and sends what may go.
    pub(super) fn pump(&mut self, number: usize) -> Step {
        let now = self.now;
        let gateway = &mut self.gateways[number];
        gateway.is_dirty = false;
        let moment = gateway.moment(now);
        if let Some(it) = gateway.fetched.take() {
            gateway.machine.looked(moment, it.asked_at, it.limit, it.letters, it.due_at);
        } else {
            if gateway.next_event(now) <= now {
                gateway.machine.wake();
            }
            if let Some(limit) = gateway.machine.look(moment) {
                return self.fetch(number, limit);
            }
        }
        while let Some((letter, body)) = self.gateways[number].machine.launch(moment) {
            self.launch(number, letter, body);
        }
        Ok(())
    }

    /// It may be stopped before it sees what it has taken.
    fn fetch(&mut self, number: usize, limit: usize) -> Step {
        let gateway = &self.gateways[number];
        let (id, asked_at, lease) = (gateway.id, gateway.wall(self.now), gateway.destination.lease());
        let server_at = instant(self.now, 0).as_microsecond();
        let held = self.db.outbox().map_err(failed)?;
        #[cfg(test)]
        if self.bug == Bug::LeaseIgnored {
            self.db.harm("UPDATE outbox SET leased_until = 0");
        }
        let (letters, due_at) = self.db.take(&id, server_at, asked_at, limit, lease).map_err(failed)?;
        self.check_taken(id, server_at, &held, &letters)?;
        self.report.taken_over += letters.iter().filter(|(letter, _)| letter.lease > 1).count() as u64;
        self.gateways[number].fetched = Some(Fetched { limit, asked_at, letters, due_at });
        if !self.is_calm && self.chance.one_in(64) {
            self.report.stopped += 1;
            self.stop(number);
        }
        Ok(())
    }

    fn launch(&mut self, number: usize, mut letter: OutboxRow, mut body: Vec<u8>) {
        let Some(line) = self.gateways[number].lines.iter().position(|it| it.flight.is_none()) else { return };
        if self.bug == Bug::FreshControlId && letter.attempts > 0 {
            let fresh = format!("{}X{}", letter.control_id, letter.attempts);
            body = String::from_utf8_lossy(&body).replace(&letter.control_id, &fresh).into_bytes();
            letter.control_id = fresh;
        }
        // What came too late is not for the next letter.
        self.gateways[number].lines[line].inbox.clear();
        if self.gateways[number].lines[line].number == 0 {
            if self.hospital.is_down || (!self.is_calm && self.chance.one_in(24)) {
                let unreachable = Outcome::Unreachable { failure: "connection refused".to_owned() };
                return self.landed(number, letter, &unreachable);
            }
            self.numbers += 1;
            self.gateways[number].lines[line].number = self.numbers;
        }
        let (open, deadline) = (self.gateways[number].lines[line].number, self.now + ACK_MAX);
        self.gateways[number].lines[line].flight = Some(Flight { letter: letter.clone(), deadline });
        self.carry(Load::Letter { gateway: number, line: open, body });
        if self.bug == Bug::SentIsDelivered {
            self.gateways[number].lines[line].flight = None;
            self.landed(number, letter, &Outcome::Delivered { code: "AA" });
        }
    }

    /// The hospital hears a letter.
    pub(super) fn told(&mut self, gateway: usize, line: u64, body: &[u8]) -> Step {
        if self.hospital.is_down {
            return Ok(());
        }
        match self.hospital.take(body, &mut self.chance, self.is_calm)? {
            Came::Again => {}
            Came::New(control_id) => {
                self.report.letters += 1;
                self.check_told(&control_id, body)?;
            }
        }
        match self.hospital.react(body, &mut self.chance, self.is_calm) {
            Reaction::HangsUp => self.wire.send(self.now + 1, Load::Frame { gateway, line, frame: None }),
            Reaction::Answers { frames, delay } => {
                for frame in frames {
                    self.wire.send(self.now + delay, Load::Frame { gateway, line, frame: Some(frame) });
                }
            }
        }
        Ok(())
    }

    /// A gateway hears the hospital, on a connection that may be no more.
    pub(super) fn framed(&mut self, number: usize, line: u64, frame: Option<Vec<u8>>) {
        let gateway = &mut self.gateways[number];
        let Some(at) = gateway.lines.iter().position(|it| it.number == line && gateway.is_up) else { return };
        // One that is stopped finds it when it wakes up.
        if self.now < gateway.asleep_until {
            let due = gateway.asleep_until;
            return self.wire.send(due, Load::Frame { gateway: number, line, frame });
        }
        let Some(frame) = frame else { return self.lose(number, at, "the connection was closed before an answer") };
        gateway.lines[at].inbox.push_back(frame);
        while let Some(frame) = self.gateways[number].lines[at].inbox.pop_front() {
            let Some(flight) = &self.gateways[number].lines[at].flight else {
                self.gateways[number].lines[at].inbox.push_front(frame);
                return;
            };
            let mut awaited = flight.letter.control_id.clone();
            if self.bug == Bug::LateAck {
                awaited = Received::read(&frame).map_or(awaited, |it| String::from_utf8_lossy(&it.answers).into());
            }
            if let Some(outcome) = Outcome::of_answer(&frame, &awaited)
                && let Some(flight) = self.gateways[number].lines[at].flight.take()
            {
                self.landed(number, flight.letter, &outcome);
            }
        }
    }

    /// A connection is given up, and with it the letter on it.
    pub(super) fn lose(&mut self, number: usize, line: usize, why: &str) {
        let it = &mut self.gateways[number].lines[line];
        it.number = 0;
        it.inbox.clear();
        if let Some(flight) = it.flight.take() {
            self.landed(number, flight.letter, &Outcome::Lost { failure: why.to_owned() });
        }
    }

    /// An attempt is over.
    fn landed(&mut self, number: usize, letter: OutboxRow, outcome: &Outcome) {
        let (chance, own) = (self.chance.fraction(), self.fence(number));
        self.numbers += 1;
        let (now, settlement_number) = (self.now, self.numbers);
        let gateway = &mut self.gateways[number];
        gateway.is_dirty = true;
        let (moment, at) = (gateway.moment(now), gateway.wall(now));
        let Some(settlement) = gateway.machine.landed(&letter, outcome, moment, at, chance) else { return };
        self.report.parked += u64::from(matches!(settlement, Settlement::Parked { .. }));
        let (queued, reply) = Database::settlement(&letter, settlement.clone(), own);
        gateway.queue.push(Job { queued, settlement: Some(settlement_number) });
        let reply = Some(reply);
        gateway.settling.push(Settling { number: settlement_number, letter, settlement, reply, again_at: 0 });
    }
}
