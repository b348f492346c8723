//! The base R4 check against resources of our own, single faults made from them, and published messages.
//!
//! `fixtures/structure/*.json` are sound resources: adding a file adds a test and all mutants that can be made of it.
//! Published messages and the reference validator's verdicts are beside the checkout where they are at hand.

pub(crate) mod mutants;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use onward::fhir::json::{Limits, parse};
use onward::issue::{Issue, Issues, Severity};
use onward::profile::library::shipped;
use onward::profile::validate::Request;
use proptest::prelude::*;
use serde_json::Value;

use self::mutants::Mutant;

pub(crate) const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/structure");
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared");

/// A folder beside the checkout; says so where it is not there.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(SHARED).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("\n*** SKIPPED: {folder} is not beside this checkout, so nothing was checked against it ***\n");
    None
}

pub(crate) fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(json_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn read(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap();
    parse(&bytes, &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is wrong with the shape: invariants, extensions and profiles have tests of their own.
fn issues_of(resource: &Value) -> Issues {
    let text = resource.to_string();
    let tape = shipped().read(text.as_bytes(), &Limits::default()).unwrap();
    let mut kept = Issues::default();
    for found in shipped().check(&tape, &Request::default()).issues.iter() {
        if found.severity != Severity::Information && found.rule.is_empty() && found.code.id <= "ONW-2014" {
            kept.push(found.clone());
        }
    }
    kept
}

fn errors_of(resource: &Value) -> Vec<Issue> {
    issues_of(resource).errors().cloned().collect()
}

#[test]
fn sound_resources_have_no_issue() {
    for path in json_files(Path::new(FIXTURES)) {
        let issues = issues_of(&read(&path));
        assert!(issues.is_empty(), "{}: {issues:#?}", path.display());
    }
}

#[test]
fn every_mutant_is_found_at_its_place() {
    let mut made = 0;
    let mut rules = BTreeSet::new();
    for path in json_files(Path::new(FIXTURES)) {
        let resource = read(&path);
        mutants::of(&resource, &mut |mutant, mutated| {
            made += 1;
            rules.insert(mutant.rule);
            assert_located(&mutant, mutated, &path);
        });
    }
    println!("{made} mutants by {} rules", rules.len());
    assert!(2_000 < made && rules.len() == 12, "{made} mutants by {rules:?}");
}

/// The fault itself is named exactly, and nothing is named that is not at the fault or below it.
fn assert_located(mutant: &Mutant, mutated: &Value, path: &Path) {
    let issues = issues_of(mutated);
    // What is missing is told of what should have it; a reference of what holds it.
    let holder = mutant.at.rsplit_once('.').map_or("", |(holder, _)| holder);
    let is_at = |issue: &Issue| issue.at == mutant.at || issue.at == holder;
    let named = issues.iter().any(|issue| issue.code == mutant.code && is_at(issue));
    let elsewhere = issues.iter().find(|issue| !issue.at.starts_with(&mutant.at) && !is_at(issue));
    assert!(named && elsewhere.is_none(), "{} {mutant:?}: {issues:#?}", path.display());
}

proptest! {
    /// Whatever bytes a message is changed to, it is refused or checked, and all that is said about it is short.
    #[test]
    fn no_damage_makes_the_check_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&b"{}[]\",:_01aenull"[..])), 1..4),
    ) {
        let mut bytes = fs::read(Path::new(FIXTURES).join("bundle.json")).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        match parse(&bytes, &Limits::default()) {
            Ok(value) => prop_assert!(issues_of(&value).len() < 100),
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }
}

#[test]
fn published_messages_have_no_error() {
    let Some(examples) = shared("bars/examples") else { return };
    let mut failed = Vec::new();
    for folder in ["ig-1.12.0", "tkw/requests", "tkw/responses"] {
        let files = json_files(&examples.join(folder));
        println!("{folder}: {} files", files.len());
        failed.extend(files.iter().filter_map(|path| told(path, &errors_of(&read(path)))));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn told(path: &Path, errors: &[Issue]) -> Option<String> {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    (!lines.is_empty()).then(|| format!("{}:\n  {}", path.display(), lines.join("\n  ")))
}

/// The interface's own examples of 1.4.0: 23 fail base R4, each for the reasons of `structure/published.tsv` (file, code,
/// place), and one is not JSON. The bodies of PATCH are parts of resources, so they are not counted.
#[test]
fn published_faults_are_refused() {
    let Some(examples) = shared("bars/examples/oas-1.4.0") else { return };
    let (mut not_json, mut failed, mut reasons) = (0, 0, String::new());
    for path in json_files(&examples).into_iter().filter(|path| !path.ends_with("PATCH-body.json")) {
        match parse(&fs::read(&path).unwrap(), &Limits::default()) {
            Err(error) => {
                println!("{}: {}", path.display(), error.issue());
                not_json += 1;
            }
            Ok(value) if value.get("resourceType").is_some() => {
                let name = path.strip_prefix(&examples).unwrap().display();
                let errors = errors_of(&value);
                failed += usize::from(!errors.is_empty());
                reasons.extend(errors.iter().map(|error| format!("{name}\t{}\t{}\n", error.code.id, error.at)));
            }
            Ok(_) => println!("{}: no resource", path.display()),
        }
    }
    assert_eq!((not_json, failed), (1, 23), "{reasons}");
    assert_eq!(reasons, include_str!("structure/published.tsv"));
}

/// Examples of the specification, and single faults in them with the places where they may be named.
#[test]
fn the_specification_s_examples_are_judged_as_expected() {
    let Some(oracle) = shared("oracle/spec-examples") else { return };
    let list = read(&oracle.join("mutants.json"));
    for example in list["examples"].as_array().unwrap() {
        let path = oracle.join("resources").join(example["file"].as_str().unwrap());
        let Some(told) = path.is_file().then(|| told(&path, &errors_of(&read(&path)))) else { continue };
        assert_eq!(told, None);
    }
    let (mut located, mut all) = (0, 0);
    for mutant in list["mutants"].as_array().unwrap() {
        if mutant["kind"].as_str().unwrap().starts_with("inv-") {
            continue;
        }
        let path = oracle.join("resources").join(mutant["file"].as_str().unwrap());
        if !path.is_file() {
            continue;
        }
        all += 1;
        let mutated = mutants::patched(&read(&path), mutant["patch"].as_array().unwrap());
        let accepted: Vec<_> = mutant["accept"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let issues = issues_of(&mutated);
        if issues.iter().any(|issue| accepted.contains(&issue.at.as_str())) {
            located += 1;
        } else {
            println!("{}: {issues:?}", mutant["id"]);
        }
    }
    println!("{located} of {all} single faults located");
    assert_eq!(located, all);
}

/// How many of the reference validator's verdicts the base check alone agrees with: a figure to watch, not a gate,
/// because most of those cases are about profiles and invariants.
#[test]
fn agreement_with_the_reference_validator_is_told() {
    let Some(oracle) = shared("oracle") else { return };
    let index = read(&oracle.join("index.json"));
    let (mut agreed, mut all, mut too_strict) = (0, 0, Vec::new());
    for case in index["cases"].as_array().unwrap() {
        let file = oracle.join(case["file"].as_str().unwrap());
        let tier = case["tier"].as_str().unwrap();
        if case["kind"] != "base" || !matches!(tier, "A" | "B") || !file.is_file() {
            continue;
        }
        let expected = case["expected_errors"].as_u64().unwrap() != 0;
        let issues = match parse(&fs::read(&file).unwrap(), &Limits::default()) {
            Ok(resource) => issues_of(&resource),
            Err(error) => Issues::from(error.issue()),
        };
        all += 1;
        agreed += usize::from(issues.has_errors() == expected);
        if issues.has_errors() && !expected {
            too_strict.push(format!("{}: {:?}", case["id"], first_error(&issues)));
        }
    }
    println!("{agreed} of {all} verdicts agree; too strict in {}:\n{}", too_strict.len(), too_strict.join("\n"));
    assert!(all == 0 || all * 3 / 5 < agreed);
}

fn first_error(issues: &Issues) -> Option<String> {
    issues.iter().find(|issue| issue.severity == Severity::Error).map(ToString::to_string)
}
