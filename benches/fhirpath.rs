//! What an invariant costs: `cargo bench --bench fhirpath`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use onward::fhir::json::{Limits, read};
use onward::fhir::tape::{Kind as Json, NodeId, Tape};
use onward::profile::facts::{Kind, TypeId, r4};
use onward::profile::fhirpath::{Compiler, Document, Expression, Scope, Verdict, annotate};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A message as bookings are: twelve entries, two of them with periods and telecoms.
fn message() -> String {
    let id = |index: usize| format!("00000000-0000-4000-8000-{index:012}");
    let reference = |index: usize| json!({"reference": format!("urn:uuid:{}", id(index))});
    let mut resources = vec![
        json!({"resourceType": "MessageHeader", "eventCoding": {"system": "urn:x", "code": "booking-request"},
            "destination": [{"endpoint": "urn:y", "receiver": reference(3)}], "source": {"endpoint": "urn:z"},
            "reason": {"coding": [{"system": "urn:r", "code": "new"}]}, "focus": [reference(1)]}),
        json!({"resourceType": "Appointment", "status": "booked", "start": "2026-11-22T10:00:00+00:00",
            "end": "2026-11-22T10:15:00+00:00", "slot": [reference(4)], "created": "2026-11-20T10:00:00Z",
            "participant": [{"actor": reference(2), "status": "accepted"}]}),
        json!({"resourceType": "Patient", "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number",
            "value": "9000000009", "period": {"start": "2020-01-01", "end": "2030-01-01"}}],
            "name": [{"use": "official", "family": "A", "given": ["B"]}], "birthDate": "1970-01-01",
            "telecom": [{"system": "phone", "value": "1", "rank": 1}, {"system": "email", "value": "a@b"}],
            "contact": [{"name": {"text": "C"}, "telecom": [{"system": "phone", "value": "2"}]}]}),
    ];
    for index in 3..12 {
        resources.push(
            json!({"resourceType": "Organization", "identifier": [{"system": "urn:o", "value": index.to_string()}],
            "name": "An organisation", "telecom": [{"system": "phone", "value": "3", "use": "work"}],
            "address": [{"use": "work", "line": ["1 Street"], "postalCode": "AB1 2CD"}], "partOf": reference(3)}),
        );
    }
    let entries: Vec<_> = resources
        .into_iter()
        .enumerate()
        .map(|(index, resource)| json!({"fullUrl": format!("urn:uuid:{}", id(index)), "resource": resource}))
        .collect();
    json!({"resourceType": "Bundle", "type": "message", "timestamp": "2026-11-22T09:00:00Z", "entry": entries})
        .to_string()
}

/// Every invariant of R4 that a validator has to ask of a message, with the element that it is asked of. What a
/// validator does without FHIRPath is left out: ele-1, ext-1 and those of every resource.
fn asked<'e>(
    tape: &Tape<'_>,
    types: &[TypeId],
    all: &'e [(&str, &str, Expression)],
) -> Vec<(&'e Expression, NodeId, NodeId)> {
    let mut found = Vec::new();
    let mut resource = vec![(NodeId::ROOT, NodeId::ROOT)];
    for (index, kind) in types.iter().enumerate() {
        let node = NodeId(u32::try_from(index).expect("a message is small"));
        while resource.last().is_some_and(|(inner, _)| !tape.holds(*inner, node)) {
            resource.pop();
        }
        if *kind == TypeId::NONE || tape.kind(node) != Json::Object {
            continue;
        }
        let kind = r4().of(*kind);
        if matches!(kind.kind, Kind::Resource { .. }) {
            resource.push((node, node));
        }
        let owner = resource.last().map_or(NodeId::ROOT, |(owner, _)| *owner);
        let own = all.iter().filter(|(path, ..)| *path == kind.name);
        found.extend(own.map(|(_, _, expression)| (expression, node, owner)));
    }
    found
}

fn invariants(c: &mut Criterion) {
    let compiler = Compiler::new(r4());
    let rows: Vec<Vec<&str>> = include_str!("../profiles/r4/invariants.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    c.bench_function("compile all invariants of R4", |b| {
        b.iter(|| rows.iter().filter(|row| compiler.compile(black_box(row[3])).is_ok()).count());
    });
    let compiled = |row: &Vec<&'static str>| (row[0], row[1], compiler.compile(row[3]).expect("it compiles"));
    let all: Vec<(&str, &str, Expression)> = rows.iter().map(compiled).collect();

    let text = message();
    let tape = read(text.as_bytes(), &Limits::default(), r4().names(), Vec::new()).expect("it is JSON");
    let types = annotate(&tape, r4());
    let document = Document { tape: &tape, types: &types, facts: r4() };
    let asked = asked(&tape, &types, &all);
    let scope = |context: NodeId, resource: NodeId| Scope { context, ..Scope::of(document, resource) };
    println!("{} evaluations in {} bytes", asked.len(), text.len());
    c.bench_function("all evaluations of a booking", |b| {
        b.iter(|| {
            let held = |(expression, node, owner): &&(&Expression, NodeId, NodeId)| {
                expression.holds(black_box(&scope(*node, *owner))) == Verdict::True
            };
            asked.iter().filter(held).count()
        });
    });
    for key in ["app-3", "app-4", "bdl-3", "bdl-7", "per-1", "org-1", "cpt-2", "pat-1", "ref-1", "dom-3", "dom-6"] {
        let Some((path, _, expression)) = all.iter().find(|row| row.1 == key) else { continue };
        let wanted = |index: &usize| types[*index] != TypeId::NONE && r4().of(types[*index]).name == *path;
        let is_general = *path == "DomainResource";
        let index = (0..tape.len())
            .find(|index| if is_general { r4().id("Patient") == Some(types[*index]) } else { wanted(index) });
        let Some(node) = index.and_then(|index| u32::try_from(index).ok()).map(NodeId) else { continue };
        c.bench_function(key, |b| b.iter(|| expression.holds(black_box(&scope(node, node)))));
    }
}

fn large(c: &mut Criterion) {
    let entry = |index: usize| json!({"fullUrl": format!("urn:uuid:{index}"), "resource": {"resourceType": "Basic"}});
    let entries: Vec<_> = (0..10_000).map(entry).collect();
    let text = json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string();
    let tape = read(text.as_bytes(), &Limits::default(), r4().names(), Vec::new()).expect("it is JSON");
    let types = annotate(&tape, r4());
    let document = Document { tape: &tape, types: &types, facts: r4() };
    let text =
        "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()";
    let expression = Expression::compile(text, r4()).expect("it compiles");
    let scope = Scope::of(document, NodeId::ROOT);
    c.bench_function("bdl-7 of 10,000 entries", |b| {
        b.iter(|| assert_eq!(expression.holds(black_box(&scope)), Verdict::True));
    });
}

criterion_group!(benches, invariants, large);
criterion_main!(benches);
