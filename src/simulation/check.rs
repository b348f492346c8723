//! What must hold: after each step what the step can have broken, now and then everything.

use uuid::Uuid;

use super::gateway::Before;
use super::wire::Said;
use super::wish::{Request, Wish};
use super::world::{Step, World, failed};
use crate::store::ledger::{Ledger, Standing};
use crate::store::simulated::HeldLetter;
use crate::store::{OutboxRow, OutboxState};

fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Step {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl World {
    /// The rules of the database, and of each letter that was settled.
    pub(super) fn check_commit(&self, gateway: Uuid, settled: &[Before]) -> Step {
        if let Some(rule) = self.db.broken_rules().map_err(failed)?.first() {
            return Err((*rule).to_owned());
        }
        for Before { letter: before, lease } in settled {
            let Some(after) = self.db.letter_of(before.id).map_err(failed)? else {
                return Err(format!("letter {} is gone", before.id));
            };
            let is_changed = (after.state, after.attempts) != (before.state, before.attempts);
            let is_own = before.leased_to == Some(gateway) && before.lease == *lease;
            must(!is_changed || is_own, || format!("letter {} was settled by a gateway that had lost it", after.id))?;
            self.check_delivered(&after)?;
        }
        Ok(())
    }

    fn check_delivered(&self, letter: &HeldLetter) -> Step {
        let is_there = letter.state != OutboxState::Delivered || self.hospital.has(&letter.control_id);
        must(is_there, || format!("letter {} counts as delivered, and the hospital has not taken it", letter.id))
    }

    /// Nobody takes what another gateway is sending.
    pub(super) fn check_taken(
        &self,
        gateway: Uuid,
        server_at: i64,
        held: &[HeldLetter],
        taken: &[(OutboxRow, Vec<u8>)],
    ) -> Step {
        for (letter, _) in taken {
            let Some(before) = held.iter().find(|it| it.id == letter.id) else {
                return Err(format!("letter {} came from nowhere", letter.id));
            };
            let is_free = before.leased_to.is_none_or(|own| own == gateway) || before.leased_until <= server_at;
            must(is_free, || format!("letter {} was taken from a gateway that was sending it", letter.id))?;
        }
        Ok(())
    }

    /// The hospital hears only what is durable, as it was written, and of each person in order.
    pub(super) fn check_told(&self, control_id: &str, body: &[u8]) -> Step {
        let Some(letter) = self.db.letter(control_id).map_err(failed)? else {
            return Err(format!("the hospital was told {control_id}, which nobody wrote"));
        };
        must(letter.body == body, || format!("letter {} was sent with other bytes", letter.id))?;
        let before = self.db.line_before(&letter).map_err(failed)?;
        let is_over = |it: &HeldLetter| matches!(it.state, OutboxState::Delivered | OutboxState::Superseded);
        must(before.iter().all(is_over), || format!("letter {} went before an earlier one of its line", letter.id))
    }

    /// What a sender hears is durable, and the same each time.
    pub(super) fn check_answer(&mut self, request: &Request, said: Said) -> Step {
        let is_accepted = said == Said::Accepted;
        let held = self.db.first_answer(&request.key).map_err(failed)?;
        let Some((message, held)) = held else {
            return Err(format!("{} was answered, and nothing of it is there", request.key));
        };
        must(held == is_accepted, || format!("{} was answered otherwise than it is held", request.key))?;
        let before = self.answered.insert(request.key.clone(), is_accepted);
        if is_accepted && before.is_none() {
            self.learn(request, message)?;
        }
        must(before.is_none_or(|it| it == is_accepted), || format!("{} got two answers", request.key))
    }

    /// What the answer says of ids.
    fn learn(&mut self, request: &Request, message: Uuid) -> Step {
        let (referral, appointment) = self.db.subject_of(message).map_err(failed)?;
        let Some(referral) = referral else { return Ok(()) };
        self.known.retain(|(_, known, _)| *known != referral);
        match request.wish {
            Wish::CancelReferral { .. } => {}
            Wish::Place | Wish::CancelBooking { .. } => self.known.push((request.person, referral, None)),
            Wish::Book { .. } | Wish::Move { .. } => self.known.push((request.person, referral, appointment)),
        }
        Ok(())
    }

    /// All of it: after a gateway died in a commit.
    pub(super) fn check_everything(&self) -> Step {
        if let Some(rule) = self.db.broken_rules().map_err(failed)?.first() {
            return Err((*rule).to_owned());
        }
        let ledger = self.ledger()?;
        must(ledger.flawed == 0, || format!("the ledger does not balance: {ledger} {:?}", ledger.flaws))?;
        for (key, accepted) in &self.answered {
            let held = self.db.first_answer(key).map_err(failed)?;
            must(held.is_some_and(|(_, held)| held == *accepted), || format!("{key} was answered, and is lost"))?;
        }
        self.db.outbox().map_err(failed)?.iter().try_for_each(|letter| self.check_delivered(letter))
    }

    fn ledger(&self) -> Result<Ledger, String> {
        let mut ledger = Ledger::default();
        self.db.ledger_page(None, usize::MAX).map_err(failed)?.iter().for_each(|held| ledger.add(held));
        Ok(ledger)
    }

    /// When all faults have ended everything that was accepted has arrived, but for what a person must look at.
    pub(super) fn check_at_rest(&self) -> Step {
        self.check_everything()?;
        let ledger = self.ledger()?;
        let outbox = self.db.outbox().map_err(failed)?;
        let is_stuck = |letter: &HeldLetter| {
            outbox.iter().any(|it| it.key == letter.key && it.state == OutboxState::Parked && it.id < letter.id)
        };
        let late = outbox.iter().find(|it| it.state == OutboxState::Queued && !is_stuck(it));
        must(late.is_none(), || format!("a letter was not delivered: {late:?}"))?;
        let queued = outbox.iter().any(|it| it.state == OutboxState::Queued);
        must(queued || ledger.count(Standing::Waiting) == 0, || format!("the ledger counts wrong: {ledger}"))?;
        for control_id in self.hospital.all() {
            let known = outbox.iter().any(|it| it.control_id == control_id && it.state != OutboxState::Superseded);
            must(known, || format!("the hospital has {control_id}, which is not in the outbox"))?;
        }
        Ok(())
    }
}
