//! Who is who: scenarios, one line each, through the same steps as a whole file.

use std::path::{Path, PathBuf};

use onward::reconcile::Grade;
use onward::reconcile::batch::{self, Task};
use onward::reconcile::normal::{Normaliser, Written};
use onward::reconcile::weight::Weights;
use serde_json::Value;

const YEAR: u32 = 2026;

/// A record as scenarios write it.
fn written(record: &Value) -> Written<'_> {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let nhs = text("nhs");
    // Numbers are verified where a scenario says nothing else.
    let status = if nhs.is_empty() || record["nhsStatus"].is_string() { text("nhsStatus") } else { "01" };
    let (source, local_id) = text("mrn").split_once('|').unwrap_or_default();
    Written {
        nhs_number: nhs,
        nhs_number_status: status,
        nhs_superseded_by: text("nhsSupersededBy"),
        family_name: text("family"),
        former_family_name: text("previousFamily"),
        given_names: text("given"),
        birth_date: text("birthDate"),
        death_date: text("deceased"),
        gender: text("gender"),
        postcode: text("postcode"),
        address: text("line"),
        phone: text("phone"),
        email: text("email"),
        gp_practice: text("practice"),
        source,
        local_id,
        other_id: text("passport"),
        flags: if record["restricted"].as_bool() == Some(true) { "restricted" } else { text("flags") },
        ..Written::default()
    }
}

/// The grade of the first two records, with the others beside them.
fn grade(records: &[&Value]) -> Grade {
    let mut normaliser = Normaliser::default();
    let mut packed: Vec<_> = records.iter().map(|record| normaliser.record(&written(record)).0).collect();
    let weights = Weights::default();
    let task = Task { weights: &weights, year: YEAR, second_file: None, all: false };
    let outcome = batch::run(&mut packed, &mut normaliser.lexicon, &task, &|_, _| {});
    let pair = outcome.pairs.iter().find(|pair| (pair.left, pair.right) == (0, 1));
    pair.map_or(Grade::None, |pair| pair.grade)
}

fn expected(text: &str) -> Grade {
    match text {
        "MATCH" | "certain" => Grade::Certain,
        "POSSIBLE" | "probable" => Grade::Probable,
        "possible" => Grade::Possible,
        "NO_MATCH" | "none" => Grade::None,
        other => panic!("{other} is no grade"),
    }
}

/// Runs all scenarios of a file, each both ways round; answers how many there are.
fn check(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    let scenarios: Vec<Value> =
        text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect();
    let people = scenarios.iter().filter(|scenario| scenario["a"].is_object());
    for scenario in people.clone() {
        let context = scenario["context"].as_array().map(Vec::as_slice).unwrap_or_default();
        let records =
            |first, second| [&scenario[first], &scenario[second]].into_iter().chain(context).collect::<Vec<_>>();
        let expected = expected(scenario["expect"].as_str().unwrap());
        for found in [grade(&records("a", "b")), grade(&records("b", "a"))] {
            if found != expected {
                wrong.push(format!("{} {}: {found:?}, not {expected:?}", scenario["id"], scenario["title"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    people.count()
}

fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/matching/scenarios.jsonl");
    path.is_file().then_some(path)
}

#[test]
fn every_published_scenario_gets_its_grade() {
    let Some(path) = shared() else {
        return eprintln!("SKIPPED: the folder with the scenarios of matching is not here");
    };
    assert!(30 < check(&path));
}

#[test]
fn every_scenario_of_our_own_gets_its_grade() {
    assert!(20 < check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/matching/scenarios.jsonl")));
}
