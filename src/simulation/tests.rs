//! The world without bugs is clean over a million steps, and every bug that is planted is found.

use super::bug::Bug;
use super::*;

/// Set to an episode's seed to see it again.
fn seed() -> u64 {
    std::env::var("ONWARD_SEED").ok().map_or(1, |text| text.parse().expect("ONWARD_SEED is a number"))
}

fn steps(otherwise: u64) -> u64 {
    std::env::var("ONWARD_STEPS").ok().map_or(otherwise, |text| text.parse().expect("ONWARD_STEPS is a number"))
}

#[test]
fn no_fault_in_a_million_steps_breaks_a_rule() {
    let (seed, steps) = (seed(), steps(1_000_000));
    // Two worlds side by side: a machine has more than one core.
    let run = |first: u64| std::thread::spawn(move || super::run(first, steps / 2, &mut |_| true));
    let runs = [run(seed), run(seed.wrapping_add(1 << 32))].map(|it| it.join().unwrap());
    for outcome in runs {
        let report = outcome.unwrap_or_else(|violation| panic!("{violation}"));
        println!("{report:?}");
        for (what, count) in [
            ("accepted", report.accepted),
            ("refused", report.refused),
            ("sent again", report.sent_again),
            ("disk failures", report.disk_failures),
            ("killed in a commit", report.killed_in_a_commit),
            ("stopped", report.stopped),
            ("clocks set", report.clocks_set),
            ("timeouts", report.timeouts),
            ("taken over", report.taken_over),
            ("letters again", report.letters_again),
            ("parked", report.parked),
        ] {
            assert!(report.episodes < 20 || count > report.episodes / 4, "hardly any {what}: {report:?}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    let run = |seed| super::run(seed, 9_000, &mut |_| true).unwrap();
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).digest, run(8).digest);
}

/// Steps within which each is found.
const FOUND_WITHIN: u64 = 60_000;

fn found(bug: Bug) -> String {
    let outcome = run_with(seed(), FOUND_WITHIN, bug, &mut |_| true);
    let violation = outcome.expect_err(&format!("{bug:?} was not found"));
    println!("{bug:?}: {violation}");
    violation.what
}

#[test]
fn every_planted_bug_is_found() {
    for (bug, what) in [
        (Bug::AckBeforeCommit, "nothing of it is there"),
        (Bug::LostFence, "by a gateway that had lost it"),
        (Bug::MissingConstraint, "twice"),
        (Bug::LateAck, "counts as delivered"),
        (Bug::KeyForgotten, "nothing of it is there"),
        (Bug::FreshControlId, "which nobody wrote"),
        (Bug::OrderIgnored, "of one line"),
        (Bug::LeaseIgnored, "taken from a gateway"),
        (Bug::SentIsDelivered, "counts as delivered"),
        (Bug::SettlementForgotten, "come to rest"),
        (Bug::LetterLost, "the ledger does not balance"),
    ] {
        let found = found(bug);
        assert!(found.contains(what), "{bug:?}: {found}");
    }
}

#[test]
fn what_careless_rules_would_sell_twice_the_constraints_refuse() {
    run_with(seed(), FOUND_WITHIN, Bug::CarelessRules, &mut |_| true).unwrap_or_else(|violation| panic!("{violation}"));
}
