//! What a check costs here and elsewhere: one booking and one referral, on one core, all of them in turn.
//!
//! No two of these do the same work. Onward's validator does everything from the bytes on: reading, structure, profiles,
//! slices, bindings, references, invariants, the Bundle's rules. The JSON Schema is Onward's own, so it says what a
//! schema can say of the structure and nothing else; it is given parsed JSON. The evaluators of FHIRPath are given the
//! same invariants of R4, compiled, on the same elements.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use onward::fhir::json::{Limits, read};
use onward::fhir::tape::{Kind as Json, NodeId, Tape};
use onward::load::synthetic::{Bundles, FreeSlot, People};
use onward::profile::facts::{Kind, TypeId, r4};
use onward::profile::fhirpath::{Compiler, Document, Expression, Scope, Verdict, annotate};
use onward::profile::library::{built_in, shipped};
use onward::profile::schema;
use onward::profile::validate::Request;
use rh_fhirpath::{EvaluationContext, FhirPathEvaluator, FhirPathExpression, FhirPathParser};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Each subject is measured so often, in turn with the others; the median counts.
const ROUNDS: usize = 21;

/// A round goes on for so long, at least.
const ROUND: Duration = Duration::from_millis(40);

fn main() {
    let slot = FreeSlot {
        id: "slot-1".to_owned(),
        schedule: "schedule-1".to_owned(),
        start: "2026-01-05T09:00:00+00:00".to_owned(),
        end: "2026-01-05T09:10:00+00:00".to_owned(),
    };
    let (bundles, person) = (Bundles::new("111111111"), People::new(1).next());
    let now = jiff::Timestamp::UNIX_EPOCH;
    compare("a booking", &bundles.booking(&person, &slot, None, now).body);
    compare("a referral", &bundles.referral(&person, now).body);
    for file in std::env::args().skip(1) {
        let text = std::fs::read(&file).expect("a file that can be read");
        let value: Value = serde_json::from_slice(&text).expect("a file of JSON");
        let name = file.rsplit('/').next().unwrap_or_default().to_owned();
        compare(&name, value.to_string().as_bytes());
    }
}

/// Something that is measured.
struct Subject<'s> {
    name: &'static str,
    run: Box<dyn Fn() -> usize + 's>,
}

fn compare(name: &str, bytes: &[u8]) {
    let limits = Limits::default();
    let validator = shipped();
    let value: Value = serde_json::from_slice(bytes).expect("a message is JSON");
    let library = built_in();
    let bundle = library.whole().definition("http://hl7.org/fhir/StructureDefinition/Bundle").expect("R4 has Bundles");
    let written = schema::of(library.whole(), bundle).expect("a Bundle has a schema");
    let by_schema = jsonschema::validator_for(&written).expect("a schema that compiles");
    let tape = read(bytes, &limits, r4().names(), Vec::new()).expect("a message is JSON");
    let types = annotate(&tape, r4());
    let all = expressions();
    let asked = asked(&tape, &types, &all);
    let document = Document { tape: &tape, types: &types, facts: r4() };
    let evaluator = FhirPathEvaluator::new();
    let ours = |it: &Asked<'_>| {
        let scope = Scope { context: it.node, ..Scope::of(document, it.resource) };
        it.rule.ours.holds(black_box(&scope)) == Verdict::True
    };
    let theirs = |it: &Asked<'_>| match &it.rule.theirs {
        Some(expression) => evaluator.evaluate(expression, black_box(&it.context)).is_ok_and(|it| is_true(&it.to_json())),
        None => false,
    };
    let subjects = [
        Subject {
            name: "Onward, everything, from bytes",
            run: Box::new(|| {
                let tape = validator.read(black_box(bytes), &limits).expect("a message is JSON");
                validator.check(&tape, &Request::default()).issues.len()
            }),
        },
        Subject {
            name: "serde_json, parsing alone",
            run: Box::new(|| serde_json::from_slice::<Value>(black_box(bytes)).map_or(0, |it| usize::from(it.is_object()))),
        },
        Subject {
            name: "jsonschema, structure, from parsed JSON",
            run: Box::new(|| usize::from(by_schema.is_valid(black_box(&value)))),
        },
        Subject {
            name: "Onward's FHIRPath, invariants alone",
            run: Box::new(|| asked.iter().filter(|it| ours(it)).count()),
        },
        Subject { name: "rh-fhirpath, the same", run: Box::new(|| asked.iter().filter(|it| theirs(it)).count()) },
    ];
    let both = asked.iter().filter(|it| ours(it) && theirs(it)).count();
    println!("{name}: {} bytes, {} evaluations of invariants, {both} hold for both", bytes.len(), asked.len());
    let medians = measured(&subjects);
    for (subject, median) in subjects.iter().zip(&medians) {
        let ratio = median.as_secs_f64() / medians[0].as_secs_f64();
        println!("  {:42} {:9.1} µs  x {ratio:.2}", subject.name, median.as_secs_f64() * 1e6);
    }
}

/// Medians of all, measured in turn so that what disturbs one disturbs all.
fn measured(subjects: &[Subject<'_>]) -> Vec<Duration> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); subjects.len()];
    for _ in 0..ROUNDS {
        for (subject, times) in subjects.iter().zip(&mut times) {
            let (start, mut runs) = (Instant::now(), 0);
            while start.elapsed() < ROUND {
                black_box((subject.run)());
                runs += 1;
            }
            times.push(start.elapsed() / runs);
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

/// An invariant, compiled by each.
struct Rule {
    path: &'static str,
    ours: Expression,
    theirs: Option<FhirPathExpression>,
}

/// An invariant and what it is asked of, prepared for each.
struct Asked<'r> {
    rule: &'r Rule,
    node: NodeId,
    resource: NodeId,
    context: EvaluationContext,
}

fn expressions() -> Vec<Rule> {
    let (compiler, parser) = (Compiler::new(r4()), FhirPathParser::new());
    let rows = include_str!("../../../profiles/r4/invariants.txt").lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let columns: Vec<&'static str> = row.split('\t').collect();
        let ours = compiler.compile(columns[3]).expect("an invariant of R4 compiles");
        Rule { path: columns[0], ours, theirs: parser.parse(columns[3]).ok() }
    })
    .collect()
}

/// The invariants of R4's own types that a message has to be asked about.
fn asked<'r>(tape: &Tape<'_>, types: &[TypeId], rules: &'r [Rule]) -> Vec<Asked<'r>> {
    let mut by_path: HashMap<&str, Vec<&Rule>> = HashMap::new();
    rules.iter().for_each(|rule| by_path.entry(rule.path).or_default().push(rule));
    let mut open = vec![NodeId::ROOT];
    let mut found = Vec::new();
    for (index, kind) in types.iter().enumerate() {
        let node = NodeId(u32::try_from(index).expect("a message is small"));
        while open.last().is_some_and(|inner| !tape.holds(*inner, node)) {
            open.pop();
        }
        if *kind == TypeId::NONE || tape.kind(node) != Json::Object {
            continue;
        }
        let kind = r4().of(*kind);
        if matches!(kind.kind, Kind::Resource { .. }) {
            open.push(node);
        }
        let resource = *open.last().unwrap_or(&NodeId::ROOT);
        for rule in by_path.get(kind.name).into_iter().flatten() {
            let context = EvaluationContext::new(tape.value(resource)).with_current(tape.value(node));
            found.push(Asked { rule, node, resource, context });
        }
    }
    found
}

/// A collection of one is its item.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.len() == 1 && items[0] == Value::Bool(true),
        other => *other == Value::Bool(true),
    }
}
