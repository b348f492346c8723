//! What goes wrong with machines and connections, and how often in which world.

use super::chance::Chance;
use super::gateway::Gateway;
use super::wire::Load;
use super::world::{SECOND, World};

/// What differs from world to world.
pub(super) struct Mood {
    /// Steps between two faults, about.
    pub(super) fault_in: u64,
    /// Faults that do not happen, as bits.
    pub(super) without: u64,
    /// A sender is silent so long between two requests, at most.
    pub(super) idle: u64,
}

impl Mood {
    pub(super) fn of(chance: &mut Chance) -> Self {
        let fault_in = [32, 64, 256, 1024][chance.place(4)];
        let without = if chance.one_in(2) { chance.next() } else { 0 };
        let idle = [SECOND / 2, 4 * SECOND, 60 * SECOND][chance.place(3)];
        Self { fault_in, without, idle }
    }
}

impl World {
    pub(super) fn fault(&mut self) {
        let gateway = self.chance.place(self.gateways.len());
        let fault = self.chance.below(12);
        // Which faults there are differs from world to world: one kind by itself goes deeper than all at once.
        if self.mood.without & (1 << fault) != 0 {
            return;
        }
        match fault {
            0 | 1 => self.kill(gateway),
            2..=6 => {
                self.report.stopped += 1;
                self.stop(gateway);
            }
            7 => {
                self.report.clocks_set += 1;
                let wrong = self.chance.below(1_200 * SECOND) as i64 - 600 * SECOND as i64;
                self.gateways[gateway].skew = if self.chance.one_in(3) { 0 } else { wrong };
            }
            8 => {
                self.hospital.is_down = true;
                self.hospital_back_at = self.now + self.chance.below(120 * SECOND);
                (0..self.gateways.len()).for_each(|gateway| self.cut(gateway));
            }
            _ => self.cut(gateway),
        }
    }

    /// SIGSTOP: for a moment, for minutes, or until what it has taken may just have gone to the other gateway.
    pub(super) fn stop(&mut self, gateway: usize) {
        let lease = self.gateways[gateway].destination.lease().as_micros() as u64;
        let pause = match self.chance.below(3) {
            0 => self.chance.below(2 * SECOND),
            1 => lease - SECOND + self.chance.below(20 * SECOND),
            _ => self.chance.below(150 * SECOND),
        };
        self.gateways[gateway].asleep_until = self.now + pause;
    }

    /// Its connections break. Where a letter was under way nobody knows whether it arrived.
    fn cut(&mut self, gateway: usize) {
        self.report.connections_cut += 1;
        for line in 0..self.gateways[gateway].lines.len() {
            let number = self.gateways[gateway].lines[line].number;
            if number != 0 {
                let due = self.now + self.chance.below(SECOND);
                self.wire.send(due, Load::Frame { gateway, line: number, frame: None });
            }
        }
    }

    /// kill -9: what is in memory is gone.
    pub(super) fn kill(&mut self, gateway: usize) {
        if !self.gateways[gateway].is_up {
            return;
        }
        self.report.killed += 1;
        let back_at = self.now + self.chance.below(5 * SECOND);
        let (id, skew) = (self.gateways[gateway].id, self.gateways[gateway].skew);
        self.gateways[gateway] = Gateway::start(id, self.now, skew);
        self.gateways[gateway].is_up = false;
        self.gateways[gateway].asleep_until = back_at;
    }
}
