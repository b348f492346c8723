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

/// People and their records as a hospital might have them: families, twins, moves, slips, missing and mixed-up numbers.
pub(crate) fn population(seed: u64, people: usize) -> Vec<(usize, [String; 6])> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut draw = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let given = ["Anna", "Bela", "Carlo", "Dora", "Emil", "Frida", "Gus", "Hanna", "Ines", "Jona"];
    let family = ["Abel", "Brandt", "Cross", "Dahl", "Ekman", "Fuchs"];
    let mut records = Vec::new();
    for person in 0..people {
        // Three live in one home and have one surname; every sixth is the twin of the one before.
        let home = person / 3;
        let born = if person % 6 == 1 { person - 1 } else { person };
        let number = onward::booking::nhs_number::NhsNumber::from_prefix(900_000_000 + 7 * person as u32);
        let number = number.map(|it| it.as_str().to_owned()).unwrap_or_default();
        let birth = format!("{}-{:02}-{:02}", 1950 + born % 50, 1 + born % 12, 2 + born * 7 % 27);
        for copy in 0..1 + draw(3) {
            let number = if draw(4) == 0 { String::new() } else { number.clone() };
            let birth = if copy > 0 && draw(9) == 0 { birth.replace("-0", "-1") } else { birth.clone() };
            let street = if copy > 0 && draw(6) == 0 { home + 1000 } else { home };
            records.push((
                person,
                [
                    given[person % given.len()].to_owned(),
                    family[home % family.len()].to_owned(),
                    birth,
                    number,
                    format!("{street} Long Road"),
                    format!("AB{} {}CD", 1 + street % 90, street / 90 % 10),
                ],
            ));
        }
    }
    records
}

/// For each record, in the order given, the place of the first record of its person.
fn persons(records: &[&(usize, [String; 6])]) -> Vec<usize> {
    let mut normaliser = Normaliser::default();
    let mut packed = Vec::new();
    for (_, [given, family, birth, number, address, postcode]) in records {
        let written = Written {
            given_names: given,
            family_name: family,
            birth_date: birth,
            nhs_number: number,
            nhs_number_status: "01",
            address,
            postcode,
            ..Written::default()
        };
        packed.push(normaliser.record(&written).0);
    }
    let weights = Weights::default();
    let task = Task { weights: &weights, year: YEAR, second_file: None, all: false };
    let outcome = batch::run(&mut packed, &mut normaliser.lexicon, &task, &|_, _| {});
    let first = |person: &u32| outcome.persons.iter().position(|it| it == person).unwrap();
    outcome.persons.iter().map(first).collect()
}

#[test]
fn nobody_is_joined_to_somebody_else_and_most_are_found() {
    for seed in 0..5 {
        let all = population(seed, 600);
        let records: Vec<_> = all.iter().collect();
        let found = persons(&records);
        let (mut joined, mut possible) = (0, 0);
        for (at, first) in found.iter().enumerate() {
            assert_eq!(records[at].0, records[*first].0, "{:?} {:?}", records[at].1, records[*first].1);
            joined += usize::from(at != *first);
            possible += usize::from(records.iter().position(|it| it.0 == records[at].0) != Some(at));
        }
        assert!(possible * 75 < joined * 100, "{joined} of {possible}");
    }
}

#[test]
fn the_order_of_a_file_changes_nobody() {
    for seed in 0..5 {
        let all = population(seed, 300);
        let there: Vec<_> = all.iter().collect();
        let back: Vec<_> = all.iter().rev().collect();
        let (first, second) = (persons(&there), persons(&back));
        let last = all.len() - 1;
        for x in 0..all.len() {
            for y in x + 1..all.len().min(x + 40) {
                let same = first[x] == first[y];
                assert_eq!(same, second[last - x] == second[last - y], "{:?} {:?}", all[x].1, all[y].1);
            }
        }
    }
}

#[test]
fn a_repeated_file_has_no_more_persons() {
    let all = population(9, 300);
    let once: Vec<_> = all.iter().collect();
    let twice: Vec<_> = all.iter().chain(&all).collect();
    let count = |found: &[usize]| found.iter().enumerate().filter(|(at, first)| at == *first).count();
    let known = |records: &[&(usize, [String; 6])]| records.iter().filter(|it| it.1[3].is_empty()).count();
    // Who has no number and moved may stand alone twice; everybody else is there already.
    assert!(count(&persons(&twice)) <= count(&persons(&once)) + known(&once) / 10);
}
