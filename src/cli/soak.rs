//! `onward soak`: long tests that an installation can run for itself.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{print, print_json, say};
use crate::simulation::{self, Report, Violation};

/// What `onward soak` takes.
#[derive(Debug, Args)]
pub struct SoakArgs {
    /// Run the pipeline in a simulated world: crashes, full disks, stopped processes, broken networks, wrong clocks
    #[arg(long, required = true)]
    pub simulate: bool,
    /// How many things are to happen
    #[arg(long, default_value_t = 10_000_000)]
    pub steps: u64,
    /// The first episode's seed [default: another one each time]
    #[arg(long, env = "ONWARD_SEED")]
    pub seed: Option<u64>,
    /// Worlds side by side [default: one for each processor]
    #[arg(long)]
    pub threads: Option<usize>,
}

/// So far apart that the seeds of two worlds never meet.
const APART: u64 = 1 << 40;

impl SoakArgs {
    /// Runs it; answers the exit code: 2 where a rule was broken, which is a fault of this program.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let seed = self.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().1 % APART);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or_else(cores).max(1) as u64;
        say(&format!("ONWARD_SEED={seed}, {threads} worlds"));
        let begun = Instant::now();
        let Some(found) = self.simulate(seed, threads) else {
            say("a world ended in a panic: that is a fault of this program");
            return Ok(2);
        };
        let elapsed_s = begun.elapsed().as_secs();
        if json {
            let worlds: Vec<_> = found
                .iter()
                .map(|it| match it {
                    Ok(report) => json!({ "report": report }),
                    Err(violation) => json!({ "violation": violation }),
                })
                .collect();
            print_json(&json!({ "seed": seed, "elapsed_s": elapsed_s, "worlds": worlds }))?;
        } else {
            for it in &found {
                match it {
                    Ok(report) => print(&format!("{report:#?}\n"))?,
                    Err(violation) => print(&format!("{violation}\n"))?,
                }
            }
            say(&format!("{elapsed_s} s"));
        }
        Ok(if found.iter().all(Result::is_ok) { 0 } else { 2 })
    }

    /// What came of each world; `None`: one of them ended in a panic.
    fn simulate(&self, seed: u64, threads: u64) -> Option<Vec<Result<Report, Violation>>> {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(self.steps) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} steps, {eta}") {
            bar.set_style(style);
        }
        let (done, failed) = (AtomicU64::new(0), AtomicBool::new(false));
        let world = |number: u64| {
            let mut before = 0;
            let mut progress = |report: &Report| {
                let all = done.fetch_add(report.steps - before, Ordering::Relaxed) + report.steps - before;
                before = report.steps;
                bar.set_position(all);
                !failed.load(Ordering::Relaxed)
            };
            let steps = self.steps.div_ceil(threads);
            let found = simulation::run(seed.wrapping_add(number.wrapping_mul(APART)), steps, &mut progress);
            failed.fetch_or(found.is_err(), Ordering::Relaxed);
            found
        };
        let found = std::thread::scope(|scope| {
            let worlds: Vec<_> = (0..threads)
                .map(|number| {
                    scope.spawn({
                        let world = &world;
                        move || world(number)
                    })
                })
                .collect();
            // All are waited for before any is asked what came of it.
            let ended: Vec<_> = worlds.into_iter().map(|it| it.join().ok()).collect();
            ended.into_iter().collect()
        });
        bar.finish_and_clear();
        found
    }
}
