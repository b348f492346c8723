//! Every element and constraint of the BaRS profiles, violated one at a time: the violation is found, at its place, and
//! nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use onward::fhir::json::Limits;
use onward::issue::Severity;
use onward::profile::definition::Definition;
use onward::profile::library::{Library, built_in};
use onward::profile::policy::Policy;
use onward::profile::validate::Request;
use serde_json::Value;

use self::instance::Builder;
use self::violation::{Violation, violations};

mod instance;
mod violation;

const PACKAGE: &str = "health.onward.bars";

/// Elements that no valid instance has, with the reason.
const IMPOSSIBLE: &[(&str, &str)] = &[
    ("Bundle.total", "bdl-1: only in searches and histories"),
    ("Bundle.entry.search", "bdl-2: only in searches"),
    ("Bundle.entry.request", "bdl-3: only in batches, transactions and histories"),
    ("MessageHeader.source.extension:myExtension", "its definition allows it on MessageHeader only"),
    ("Bundle.entry.response", "bdl-4: only in answers to batches, transactions and histories"),
];

/// Where the errors are, by the strict policy, with their codes.
fn errors(library: &Library, definition: &Definition, resource: &Value) -> BTreeMap<String, BTreeSet<&'static str>> {
    let text = resource.to_string();
    let validator = &library.validator;
    let tape = validator.read(text.as_bytes(), &Limits::default()).unwrap();
    // An extension is judged by its own definition, wherever it is.
    let profile = validator.program().profile(&definition.url).filter(|_| definition.type_name != "Extension");
    let profiles: Vec<_> = profile.into_iter().collect();
    let request = Request { profiles: &profiles, ..Request::default() };
    let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for issue in Policy::strict().apply(validator.check(&tape, &request).issues).iter() {
        if issue.severity == Severity::Error {
            found.entry(issue.at.clone()).or_default().insert(issue.code.id);
        }
    }
    found
}

#[derive(Default)]
struct Score {
    tried: usize,
    by_kind: BTreeMap<&'static str, usize>,
    missed: Vec<String>,
}

impl Score {
    fn judge(&mut self, library: &Library, definition: &Definition, id: &str, violation: &Violation) {
        let found = errors(library, definition, &violation.resource);
        self.tried += 1;
        *self.by_kind.entry(violation.kind).or_default() += 1;
        let right = found.len() == 1 && found.contains_key(&violation.at);
        if !right {
            let name = definition.url.rsplit('/').next().unwrap();
            self.missed.push(format!("{name} {id} {}: expected {}, found {found:?}", violation.kind, violation.at));
        }
    }
}

#[test]
fn every_violation_of_the_bars_profiles_is_found_at_its_place_and_nothing_else_is() {
    let library = built_in();
    let packages = library.whole();
    let package = packages.packages().iter().find(|it| it.name.as_deref() == Some(PACKAGE)).unwrap();
    let mut score = Score::default();
    let mut unsound = Vec::new();
    let definitions: Vec<&Definition> = packages.definitions_of(package).collect();
    assert_eq!(definitions.len(), 10);
    for definition in definitions {
        let builder = Builder::new(packages, definition);
        for id in builder.ids().into_iter().filter(|id| !IMPOSSIBLE.iter().any(|(start, _)| is_within(id, start))) {
            let Some(instance) = builder.instance(&id) else {
                unsound.push(format!("{} {id}: cannot be made", definition.url));
                continue;
            };
            let found = errors(&library, definition, &instance.resource);
            if !found.is_empty() {
                unsound.push(format!("{} {id}: {found:?}", definition.url));
                continue;
            }
            for violation in violations(&builder, &instance, &id) {
                score.judge(&library, definition, &id, &violation);
            }
        }
    }
    println!("{} violations {:?}: {} missed", score.tried, score.by_kind, score.missed.len());
    assert!(unsound.is_empty(), "not sound before any violation:\n{}", unsound.join("\n"));
    assert!(2_000 < score.tried, "{}", score.tried);
    println!("{}", score.missed.join("\n"));
    assert!(score.missed.len() * 100 <= score.tried, "less than 99 % are found at their place and alone");
}

fn is_within(id: &str, start: &str) -> bool {
    id.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
