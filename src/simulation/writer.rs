//! The writer of a gateway: one transaction, what becomes of it, and who is told.

use uuid::Uuid;

use super::bug::Bug;
use super::gateway::{Before, Job};
use super::wire::{Load, Said};
use super::world::{Step, World, failed};
use crate::outbox::machine::Settled;
use crate::store::Verdict;
use crate::store::simulated::{Database, Fate, Reply};

impl World {
    /// One transaction of a gateway's writer.
    pub(super) fn write(&mut self, number: usize) -> Step {
        let len = (1 + self.chance.place(4)).min(self.gateways[number].queue.len());
        let jobs: Vec<Job> = self.gateways[number].queue.drain(..len).collect();
        let before = self.before(number, &jobs)?;
        let fate = self.fate();
        self.db.work(jobs.into_iter().map(|job| job.queued).collect(), fate).map_err(failed)?;
        self.report.commits += 1;
        if matches!(fate, Fate::Durable | Fate::DiesAfter) {
            self.check_commit(self.gateways[number].id, &before)?;
        }
        match fate {
            Fate::Durable => {}
            Fate::Refused => self.report.disk_failures += 1,
            Fate::DiesBefore | Fate::DiesAfter => self.report.killed_in_a_commit += 1,
            #[cfg(test)]
            Fate::ToldAndLost => {}
        }
        if matches!(fate, Fate::DiesBefore | Fate::DiesAfter) {
            self.kill(number);
            return self.check_everything();
        }
        self.tell(number);
        #[cfg(test)]
        if fate == Fate::ToldAndLost {
            self.kill(number);
        }
        Ok(())
    }

    fn fate(&mut self) -> Fate {
        match self.chance.below(48) {
            _ if self.is_calm => Fate::Durable,
            0 | 1 => Fate::Refused,
            2 => Fate::DiesAfter,
            #[cfg(test)]
            3 if self.bug == Bug::AckBeforeCommit => Fate::ToldAndLost,
            3 => Fate::DiesBefore,
            _ => Fate::Durable,
        }
    }

    fn before(&self, number: usize, jobs: &[Job]) -> Result<Vec<Before>, String> {
        let settling = &self.gateways[number].settling;
        let settled = jobs.iter().filter_map(|job| settling.iter().find(|it| Some(it.number) == job.settlement));
        let mut before = Vec::new();
        for it in settled {
            let letter = self.db.letter_of(it.letter.id).map_err(failed)?;
            before.extend(letter.map(|letter| Before { letter, lease: it.letter.lease }));
        }
        Ok(before)
    }

    /// Those who wait hear what was said to them.
    fn tell(&mut self, number: usize) {
        let mut callers = std::mem::take(&mut self.gateways[number].callers);
        let mut waiting = Vec::with_capacity(callers.len());
        for (request, mut reply) in callers.drain(..) {
            let said = match reply.poll() {
                None => {
                    waiting.push((request, reply));
                    continue;
                }
                Some(Ok(Verdict::Accepted { .. } | Verdict::Duplicate { .. })) => Said::Accepted,
                Some(Ok(Verdict::Refused { .. } | Verdict::Repeated { .. })) => Said::Refused,
                Some(Err(_)) => Said::Later,
            };
            self.carry(Load::Answer { request, said });
        }
        let now = self.now;
        let forgets = self.bug == Bug::SettlementForgotten;
        let gateway = &mut self.gateways[number];
        gateway.callers = waiting;
        let machine = &mut gateway.machine;
        gateway.settling.retain_mut(|it| {
            let Some(said) = it.reply.as_mut().and_then(Reply::poll) else { return true };
            match Settled::of(&said) {
                Settled::Over => machine.settled(Some(it.letter.key)),
                Settled::Never => machine.settled(None),
                Settled::AgainIn(_) if forgets => machine.settled(None),
                Settled::AgainIn(pause) => {
                    it.reply = None;
                    it.again_at = now + pause.as_micros() as u64;
                    return true;
                }
            }
            false
        });
        machine.wake();
        gateway.is_dirty = true;
    }

    pub(super) fn settle_again(&mut self, number: usize, which: usize) {
        let own = self.fence(number);
        let gateway = &mut self.gateways[number];
        let it = &mut gateway.settling[which];
        let (queued, reply) = Database::settlement(&it.letter, it.settlement.clone(), own);
        it.reply = Some(reply);
        gateway.queue.push(Job { queued, settlement: Some(it.number) });
    }

    /// As whose a letter is settled.
    pub(super) fn fence(&self, number: usize) -> Option<Uuid> {
        (self.bug != Bug::LostFence).then_some(self.gateways[number].id)
    }
}
