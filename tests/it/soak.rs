//! `onward soak --simulate` as a program.

use serde_json::Value;

use crate::gateway::onward;

fn soak(seed: u64) -> Value {
    let seed = seed.to_string();
    let args = ["--json", "soak", "--simulate", "--steps", "6000", "--threads", "2", "--seed", &seed];
    let output = onward(&[]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_same_seed_soaks_the_same_world() {
    let (one, same, other) = (soak(40), soak(40), soak(41));
    assert_eq!(one["worlds"], same["worlds"]);
    assert_ne!(one["worlds"], other["worlds"]);
    let steps: u64 = one["worlds"].as_array().unwrap().iter().map(|it| it["report"]["steps"].as_u64().unwrap()).sum();
    assert!(steps >= 6_000, "{one:#}");
}
