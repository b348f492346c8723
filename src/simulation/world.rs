//! The world: what can happen next, and one step of it.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::bug::{Bug, careless};
use super::chance::Chance;
use super::fault::Mood;
use super::gateway::Gateway;
use super::hospital::Hospital;
use super::sender::Sender;
use super::wire::{Load, Wire};
use super::wish::{self, Request, Wish};
use super::{Report, instant};
use crate::booking::decide::decide;
use crate::booking::decision::Rules;
use crate::store::simulated::{Database, Fate};
use crate::store::{Answer, Message, StoreError, Work};

pub(super) const SECOND: u64 = 1_000_000;
/// Senders, each with one request at a time.
const SENDERS: usize = 4;

/// One thing that can happen now.
#[derive(Clone, Copy, Debug)]
enum Event {
    Packet,
    Write(usize),
    Pump(usize),
    Timeout(usize, usize),
    SettleAgain(usize, usize),
    Restart(usize),
    Speak(usize),
}

/// See the module.
pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) now: u64,
    pub(super) db: Database,
    pub(super) gateways: Vec<Gateway>,
    pub(super) hospital: Hospital,
    pub(super) senders: Vec<Sender>,
    pub(super) wire: Wire,
    /// No more faults, and no more wishes.
    pub(super) is_calm: bool,
    /// What was answered, by key: accepted or not.
    pub(super) answered: BTreeMap<String, bool>,
    /// Referrals that somebody knows of: whose, and the appointment on it.
    pub(super) known: Vec<(u64, Uuid, Option<Uuid>)>,
    pub(super) report: Report,
    pub(super) bug: Bug,
    /// Ids, connections with settlements, and requests, as they are counted.
    ids: u64,
    pub(super) numbers: u64,
    pub(super) requests: u64,
    pub(super) hospital_back_at: u64,
    pub(super) mood: Mood,
}

pub(super) type Step = Result<(), String>;

pub(super) fn failed(error: StoreError) -> String {
    format!("the database failed: {error}")
}

impl World {
    pub(super) fn new(seed: u64, bug: Bug, report: Report) -> Self {
        let rules = if matches!(bug, Bug::CarelessRules | Bug::MissingConstraint) { careless } else { decide };
        let db = Database::new(Rules::default(), rules).unwrap_or_else(|error| unreachable!("{error}"));
        let mut chance = Chance::new(seed);
        let mut world = Self {
            mood: Mood::of(&mut chance),
            chance,
            now: SECOND,
            db,
            gateways: Vec::new(),
            hospital: Hospital::default(),
            senders: (0..SENDERS as u64).map(|n| Sender::Idle { until: n * SECOND }).collect(),
            wire: Wire::default(),
            is_calm: false,
            answered: BTreeMap::new(),
            known: Vec::new(),
            report,
            bug,
            ids: 0,
            numbers: 0,
            requests: 0,
            hospital_back_at: 0,
        };
        for _ in 0..2 {
            let id = world.fresh_id(0);
            world.gateways.push(Gateway::start(id, world.now, 0));
        }
        world.publish();
        world.plant();
        world
    }

    pub(super) fn into_report(mut self) -> Report {
        self.report.letters_again += self.hospital.repeats;
        self.report
    }

    /// An id that sorts by the time of whoever makes it.
    pub(super) fn fresh_id(&mut self, skew: i64) -> Uuid {
        self.ids += 1;
        let millis = u64::try_from(instant(self.now, skew).as_millisecond()).unwrap_or(0);
        let mut random = [0; 10];
        random[..2].copy_from_slice(&self.chance.next().to_be_bytes()[..2]);
        random[2..].copy_from_slice(&self.ids.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// Slots to book.
    fn publish(&mut self) {
        let id = self.fresh_id(0);
        let Some(diary) = wish::diary() else { return };
        let request = Request { key: "diary".to_owned(), sender: 0, person: 0, wish: Wish::Place };
        let message = Message { key: None, bundle: String::new(), ..request.message(id, instant(self.now, 0)) };
        let work = Work::Decide {
            command: Box::new(diary),
            answer: Box::new(|_| Answer { status: 200, ..Answer::default() }),
        };
        let (queued, _) = Database::submission(message, work);
        let _ = self.db.work(vec![queued], Fate::Durable);
    }

    /// Bugs of the database.
    #[cfg(test)]
    fn plant(&self) {
        match self.bug {
            Bug::MissingConstraint => {
                self.db.harm("DROP INDEX appointment_slot_once; DROP INDEX appointment_referral_once");
            }
            Bug::OrderIgnored => self.db.harm(
                "DROP INDEX outbox_first; CREATE TRIGGER hasty AFTER INSERT ON outbox WHEN new.waiting = 1
                 BEGIN UPDATE outbox SET waiting = 0 WHERE id = new.id; END",
            ),
            Bug::LetterLost => self.db.harm(
                "CREATE TRIGGER forgetful AFTER INSERT ON outbox WHEN new.id % 7 = 3
                 BEGIN DELETE FROM outbox WHERE id = new.id; END",
            ),
            _ => {}
        }
    }

    #[cfg(not(test))]
    fn plant(&self) {}

    /// So many steps in which anything may happen.
    pub(super) fn live(&mut self, steps: u64) -> Step {
        (0..steps).try_for_each(|_| self.step())
    }

    /// No more faults, until nothing is left to do.
    pub(super) fn rest(&mut self, most: u64) -> Step {
        self.is_calm = true;
        self.hospital.is_down = false;
        for gateway in &mut self.gateways {
            gateway.asleep_until = gateway.asleep_until.min(self.now);
            gateway.skew = 0;
        }
        for _ in 0..most {
            if self.is_at_rest()? {
                return Ok(());
            }
            self.step()?;
        }
        Err("it does not come to rest".to_owned())
    }

    fn is_at_rest(&self) -> Result<bool, String> {
        let idle = self.wire.next().is_none()
            && self.senders.iter().all(|it| matches!(it, Sender::Idle { .. }))
            && self.gateways.iter().all(|it| it.is_up && it.is_idle());
        Ok(idle && self.db.is_drained().map_err(failed)?)
    }

    fn step(&mut self) -> Step {
        self.report.steps += 1;
        if !self.is_calm && self.chance.one_in(self.mood.fault_in) {
            self.fault();
        }
        let events = self.events();
        if events.is_empty() || self.chance.one_in(12) {
            self.pass_time(events.is_empty());
            return Ok(());
        }
        let event = events[self.chance.place(events.len())];
        self.note(match event {
            Event::Packet => 1,
            Event::Write(gateway) => 10 + gateway as u64,
            Event::Pump(gateway) => 20 + gateway as u64,
            Event::Timeout(gateway, line) => 30 + 10 * gateway as u64 + line as u64,
            Event::SettleAgain(gateway, _) => 60 + gateway as u64,
            Event::Restart(gateway) => 70 + gateway as u64,
            Event::Speak(sender) => 80 + sender as u64,
        });
        match event {
            Event::Packet => self.arrive(),
            Event::Write(gateway) => self.write(gateway),
            Event::Pump(gateway) => self.pump(gateway),
            Event::Timeout(gateway, line) => {
                self.report.timeouts += 1;
                self.lose(gateway, line, "timeout");
                Ok(())
            }
            Event::SettleAgain(gateway, which) => {
                self.settle_again(gateway, which);
                Ok(())
            }
            Event::Restart(gateway) => {
                let skew = self.gateways[gateway].skew;
                let id = self.fresh_id(skew);
                self.gateways[gateway] = Gateway::start(id, self.now, skew);
                Ok(())
            }
            Event::Speak(sender) => {
                self.speak(sender);
                Ok(())
            }
        }
    }

    /// Mixes it into the digest.
    fn note(&mut self, what: u64) {
        let digest = &mut self.report.digest;
        *digest = (digest.rotate_left(5) ^ what ^ self.now).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn events(&self) -> Vec<Event> {
        let now = self.now;
        let mut events = Vec::with_capacity(16);
        if self.wire.has_come(now) {
            events.push(Event::Packet);
        }
        for (number, gateway) in self.gateways.iter().enumerate() {
            if !gateway.is_awake(now) {
                if !gateway.is_up && gateway.asleep_until <= now {
                    events.push(Event::Restart(number));
                }
                continue;
            }
            if !gateway.queue.is_empty() {
                events.push(Event::Write(number));
            }
            if gateway.is_dirty || gateway.fetched.is_some() || gateway.next_event(now) <= now {
                events.push(Event::Pump(number));
            }
            for (line, it) in gateway.lines.iter().enumerate() {
                if it.flight.as_ref().is_some_and(|flight| flight.deadline <= now) {
                    events.push(Event::Timeout(number, line));
                }
            }
            for (which, it) in gateway.settling.iter().enumerate() {
                if it.reply.is_none() && it.again_at <= now {
                    events.push(Event::SettleAgain(number, which));
                }
            }
        }
        for (number, sender) in self.senders.iter().enumerate() {
            match sender {
                Sender::Idle { until } if *until <= now && !self.is_calm => events.push(Event::Speak(number)),
                Sender::Waits { until, .. } if *until <= now => events.push(Event::Speak(number)),
                _ => {}
            }
        }
        events
    }

    /// A little, or until something is to be done.
    fn pass_time(&mut self, is_idle: bool) {
        if self.hospital.is_down && self.hospital_back_at <= self.now {
            self.hospital.is_down = false;
        }
        let little = self.now + 1 + self.chance.below(20_000);
        if !is_idle {
            self.now = little;
            return;
        }
        let now = self.now;
        let mut next = self.wire.next();
        let mut sooner = |at: u64| next = Some(next.map_or(at, |next: u64| next.min(at)));
        for gateway in &self.gateways {
            if !gateway.is_awake(now) {
                sooner(gateway.asleep_until);
                continue;
            }
            sooner(gateway.next_event(now));
            gateway.lines.iter().filter_map(|it| it.flight.as_ref()).for_each(|flight| sooner(flight.deadline));
            gateway.settling.iter().filter(|it| it.reply.is_none()).for_each(|it| sooner(it.again_at));
        }
        for sender in &self.senders {
            match sender {
                Sender::Idle { until } if !self.is_calm => sooner(*until),
                Sender::Waits { until, .. } => sooner(*until),
                Sender::Idle { .. } => {}
            }
        }
        self.now = next.unwrap_or(little).max(now + 1);
    }

    fn arrive(&mut self) -> Step {
        let Some(load) = self.wire.receive(self.now, &mut self.chance) else { return Ok(()) };
        match load {
            Load::Request { gateway, request } => {
                self.requested(gateway, request);
                Ok(())
            }
            Load::Answer { request, said } => self.answered(&request, said),
            Load::Letter { gateway, line, body } => self.told(gateway, line, &body),
            Load::Frame { gateway, line, frame } => {
                self.framed(gateway, line, frame);
                Ok(())
            }
        }
    }
}
