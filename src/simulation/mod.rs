//! The whole pipeline in a world where everything goes wrong that can, and where all luck follows from a seed.
//!
//! Senders repeat what was not answered; two gateways work on one database; a hospital answers late, twice, wrongly or
//! not at all. At any step a gateway may be killed (also in the middle of a commit, which is then durable or not),
//! stopped for minutes, or its clock set; the disk may be full; connections break; packets are lost, doubled, late and
//! overtake each other. One thread, no clock and no sleep: a step is one thing that happens, and takes microseconds.
//!
//! Under test are the real parts: [`decide`](crate::booking::decide::decide), the batches, statements and schema of the
//! store with its ledger of first answers, leases and fences (`store::simulated`), the machine that delivers, the meaning
//! of each outcome and the matching of answers ([`crate::outbox`]). After each step everything is checked that the step
//! can have broken, and now and then everything; at the end of each episode all faults end, and all that was accepted
//! must arrive.
//!
//! An episode that fails is found again by its seed: `ONWARD_SEED=… onward soak --simulate`.

mod bug;
mod chance;
mod check;
mod delivery;
mod fault;
mod gateway;
mod hospital;
mod sender;
#[cfg(test)]
mod tests;
mod wire;
mod wish;
mod world;
mod writer;

use jiff::Timestamp;
use serde::Serialize;

use self::bug::Bug;
use self::world::World;

/// 2026-11-02T08:00:00Z, when every world begins.
const EPOCH_S: i64 = 1_793_606_400;
/// Steps of an episode with faults in it; then it comes to rest.
const EPISODE: u64 = 3_000;
/// An episode that does not come to rest within so many steps never will.
const REST_MAX: u64 = 60_000;

/// What happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Report {
    pub steps: u64,
    pub episodes: u64,
    pub requests: u64,
    pub sent_again: u64,
    pub accepted: u64,
    pub refused: u64,
    pub commits: u64,
    pub disk_failures: u64,
    pub killed: u64,
    pub killed_in_a_commit: u64,
    pub stopped: u64,
    pub clocks_set: u64,
    pub connections_cut: u64,
    pub timeouts: u64,
    pub taken_over: u64,
    pub letters: u64,
    pub letters_again: u64,
    pub parked: u64,
    /// Follows from everything that happened, so that two runs can be compared.
    pub digest: u64,
}

/// A rule was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("ONWARD_SEED={seed} step {step}: {what}")]
pub struct Violation {
    /// Of the episode.
    pub seed: u64,
    /// In it.
    pub step: u64,
    /// Which rule, and what about.
    pub what: String,
}

/// So many steps at least, in episodes of which each has a seed of its own, the first one this. `progress` is told after
/// each, and says whether to go on.
pub fn run(seed: u64, steps: u64, progress: &mut dyn FnMut(&Report) -> bool) -> Result<Report, Violation> {
    run_with(seed, steps, Bug::None, progress)
}

fn run_with(seed: u64, steps: u64, bug: Bug, progress: &mut dyn FnMut(&Report) -> bool) -> Result<Report, Violation> {
    let mut report = Report::default();
    let mut own = seed;
    while report.steps < steps {
        episode(own, bug, &mut report)?;
        if !progress(&report) {
            break;
        }
        own = own.wrapping_add(1);
    }
    Ok(report)
}

fn episode(seed: u64, bug: Bug, report: &mut Report) -> Result<(), Violation> {
    let began = report.steps;
    let mut world = World::new(seed, bug, std::mem::take(report));
    let outcome = world.live(EPISODE).and_then(|()| world.rest(REST_MAX)).and_then(|()| world.check_at_rest());
    *report = world.into_report();
    report.episodes += 1;
    outcome.map_err(|what| Violation { seed, step: report.steps - began, what })
}

/// An instant of a world, as a clock shows it that is wrong by `skew` microseconds.
fn instant(now: u64, skew: i64) -> Timestamp {
    let micros = EPOCH_S * 1_000_000 + i64::try_from(now).unwrap_or(i64::MAX / 4) + skew;
    Timestamp::from_microsecond(micros).unwrap_or_default()
}
