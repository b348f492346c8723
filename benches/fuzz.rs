//! Mutated documents by the million: no panic, no time beyond measure, and nothing that a JSON Schema refuses is accepted.
//!
//! `cargo bench --bench fuzz -- 10000000`. The seeds are `fixtures/structure/` and messages of the load tool; the order
//! is the same in every run. A failure says which input it was, and its file is left behind.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use onward::bars::necessity;
use onward::fhir::json::Limits;
use onward::load::synthetic::{Bundles, FreeSlot, People};
use onward::profile::library::{Library, built_in};
use onward::profile::schema;
use onward::profile::validate::Request;
use onward::profile::xml;
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Where none is told.
const RUNS: u64 = 100_000;
/// For a document of 1 MB.
const LARGE_TIME_MAX: Duration = Duration::from_millis(50);
/// One in so many inputs is held against the JSON Schema of its type, which takes far longer than the check.
const SCHEMA_EVERY: u64 = 50;

/// xorshift64*: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn seeds() -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/structure");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut seeds: Vec<Value> = files.iter().map(read).collect();
    let text = |text: &str| text.to_owned();
    let (start, end) = (text("2026-01-05T09:00:00+00:00"), text("2026-01-05T09:10:00+00:00"));
    let slot = FreeSlot { id: text("slot-1"), schedule: text("schedule-1"), start, end };
    let (bundles, person) = (Bundles::new("111111111"), People::new(1).next());
    seeds.push(serde_json::from_slice(&bundles.booking(&person, &slot, None, Timestamp::UNIX_EPOCH).body).unwrap());
    seeds
}

/// One change to the tree: a member renamed, taken out, doubled, emptied, of another kind, or from elsewhere.
fn change(value: &mut Value, numbers: &mut Numbers, other: &Value) {
    let inner = match value {
        Value::Object(members) if !members.is_empty() => {
            let at = numbers.below(members.len());
            members.values_mut().nth(at)
        }
        Value::Array(items) if !items.is_empty() => {
            let at = numbers.below(items.len());
            items.get_mut(at)
        }
        _ => None,
    };
    match inner {
        Some(inner) if numbers.below(4) != 0 => change(inner, numbers, other),
        _ => replace(value, numbers, other),
    }
}

fn replace(value: &mut Value, numbers: &mut Numbers, other: &Value) {
    match (numbers.below(9), &mut *value) {
        (0, Value::Object(members)) => drop(taken(members, numbers)),
        (1, Value::Object(members)) => {
            if let Some((key, inner)) = taken(members, numbers) {
                members.insert(format!("_{key}"), inner);
            }
        }
        (2, Value::Array(items)) => items.extend(items.clone()),
        (3, _) => *value = Value::Null,
        (4, _) => *value = json!({}),
        (5, _) => *value = json!([value.clone()]),
        (6, Value::String(text)) => text.push_str("\u{0}<b> \u{7f}é"),
        (7, _) => *value = json!(-1.50),
        _ => *value = part(other, numbers).clone(),
    }
}

fn taken(members: &mut Map<String, Value>, numbers: &mut Numbers) -> Option<(String, Value)> {
    let key = members.keys().nth(numbers.below(members.len()))?.clone();
    members.shift_remove_entry(&key)
}

fn part<'v>(value: &'v Value, numbers: &mut Numbers) -> &'v Value {
    let inner = match value {
        Value::Object(members) => members.values().nth(numbers.below(members.len())),
        Value::Array(items) => items.get(numbers.below(items.len())),
        _ => None,
    };
    inner.filter(|_| numbers.below(5) != 0).map_or(value, |inner| part(inner, numbers))
}

/// One change to the bytes.
fn damage(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    if bytes.is_empty() {
        return;
    }
    let at = numbers.below(bytes.len());
    match numbers.below(5) {
        0 => bytes[at] = numbers.next() as u8,
        1 => bytes.insert(at, b"\"{}[],:\\0 e-\xff"[numbers.below(13)]),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        _ => {
            let end = (at + numbers.below(60)).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
    }
}

/// Everything that is done with a body that comes in; true where nothing is wrong with it.
fn examined(library: &Library, bytes: &[u8]) -> Option<bool> {
    let tape = library.validator.read(bytes, &Limits::default()).ok()?;
    let report = library.validator.check(&tape, &Request::default());
    necessity::unmet(&tape);
    for issue in report.issues.iter() {
        // That there is more than is listed has no place.
        assert!(issue.position.is_some() || issue.code == &onward::issue::TOO_MANY_ISSUES);
    }
    Some(!report.issues.has_errors())
}

/// The schema of each resource type, made at its first use.
#[derive(Default)]
struct Schemas(HashMap<String, jsonschema::Validator>);

impl Schemas {
    fn refuses(&mut self, library: &Library, resource: &Value) -> bool {
        let Some(kind) = resource["resourceType"].as_str() else { return false };
        if !self.0.contains_key(kind) {
            let found =
                schema::by_id(library.whole(), kind).filter(|it| it.type_name == kind && it.differential.is_empty());
            let Some(schema) = found.and_then(|it| schema::of(library.whole(), it)) else { return false };
            self.0.insert(kind.to_owned(), jsonschema::draft202012::new(&schema).unwrap());
        }
        !self.0[kind].is_valid(resource)
    }
}

fn main() {
    let runs = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(RUNS);
    let library = built_in();
    large(&library);
    let (seeds, mut numbers) = (seeds(), Numbers(0x9E37_79B9_7F4A_7C15));
    let mut schemas = Schemas::default();
    let (start, mut slowest, mut sound, mut unreadable, mut compared, mut refused) =
        (Instant::now(), Duration::ZERO, 0u64, 0u64, 0u64, 0u64);
    for run in 0..runs {
        let mut resource = seeds[numbers.below(seeds.len())].clone();
        for _ in 0..=numbers.below(3) {
            let other = numbers.below(seeds.len());
            change(&mut resource, &mut numbers, &seeds[other]);
        }
        let mut bytes = resource.to_string().into_bytes();
        let whole = numbers.below(3) != 0;
        if !whole {
            (0..=numbers.below(3)).for_each(|_| damage(&mut bytes, &mut numbers));
        }
        let began = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| examined(&library, &bytes)));
        let found = found.unwrap_or_else(|_| failed(run, &bytes, "a panic"));
        let mut took = began.elapsed();
        if LARGE_TIME_MAX < took {
            // What the machine did meanwhile is no fault of the input's.
            took = took.min((0..3).map(|_| time_of(&library, &bytes)).min().unwrap_or(took));
        }
        slowest = slowest.max(took);
        match found {
            None => unreadable += 1,
            Some(true) => sound += 1,
            Some(false) => {}
        }
        if whole && run % SCHEMA_EVERY == 0 {
            compared += 1;
            let refuses = schemas.refuses(&library, &resource);
            refused += u64::from(refuses);
            if refuses && found == Some(true) {
                failed(run, &bytes, "the schema refuses what the validator accepts");
            }
            if let Some(text) = found.map(|_| xml::write(&resource).0) {
                let _ = xml::read(&text, &Limits::default());
            }
        }
        if run % 1_000_000 == 999_999 {
            eprintln!("{} in {:?}", run + 1, start.elapsed());
        }
    }
    println!(
        "{runs} inputs in {:?}: {sound} sound, {unreadable} no JSON; slowest {slowest:?}; {compared} held against schemas, {refused} of them refused",
        start.elapsed()
    );
}

fn failed(run: u64, bytes: &[u8], what: &str) -> ! {
    let file = std::env::temp_dir().join(format!("onward-fuzz-{run}.json"));
    std::fs::write(&file, bytes).unwrap();
    panic!("{what}: input {run}, {}", file.display());
}

/// Documents of 1 MB that would take long if anything were quadratic.
fn large(library: &Library) {
    let repeated = |one: &str, before: &str, after: &str| {
        let times = (1 << 20) / (one.len() + 1);
        format!("{before}{}{after}", vec![one; times].join(","))
    };
    let numbered = |each: &dyn Fn(usize) -> String, before: &str, after: &str| {
        let (mut text, mut at) = (before.to_owned(), 0);
        while text.len() < 1 << 20 {
            text.push_str(if at == 0 { "" } else { "," });
            text.push_str(&each(at));
            at += 1;
        }
        text + after
    };
    let entry = |at: usize| {
        format!(
            r##"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{at:012}","resource":{{"resourceType":"Observation","status":"final","code":{{"text":"a"}},"subject":{{"reference":"urn:uuid:00000000-0000-4000-8000-{at:012}"}}}}}}"##
        )
    };
    let documents = [
        ("names", repeated(r#"{"given":["A"],"family":"B"}"#, r#"{"resourceType":"Patient","name":["#, "]}")),
        ("given", repeated(r#""A""#, r#"{"resourceType":"Patient","name":[{"given":["#, "]}]}")),
        ("unknown members", numbered(&|at| format!(r#""x{at}":1"#), r#"{"resourceType":"Patient","#, "}")),
        ("the same member", repeated(r#""active":true"#, r#"{"resourceType":"Patient","#, "}")),
        (
            "siblings",
            repeated(r#"{"id":"a"}"#, r#"{"resourceType":"Patient","name":[{"given":["A"],"_given":["#, "]}]}"),
        ),
        (
            "extensions",
            repeated(r#"{"url":"urn:x:y","valueString":"a"}"#, r#"{"resourceType":"Patient","extension":["#, "]}"),
        ),
        (
            "identifiers",
            numbered(
                &|at| format!(r#"{{"system":"urn:x:y","value":"{at}"}}"#),
                r#"{"resourceType":"Patient","identifier":["#,
                "]}",
            ),
        ),
        ("entries", numbered(&entry, r#"{"resourceType":"Bundle","type":"collection","entry":["#, "]}")),
        ("a document's entries", numbered(&entry, r#"{"resourceType":"Bundle","type":"document","entry":["#, "]}")),
        (
            "contained",
            numbered(
                &|at| format!(r#"{{"resourceType":"Basic","id":"c{at}","code":{{"text":"a"}}}}"#),
                r#"{"resourceType":"Patient","contained":["#,
                "]}",
            ),
        ),
        (
            "codings",
            repeated(
                r#"{"system":"urn:x:y","code":"a"}"#,
                r#"{"resourceType":"Observation","status":"final","code":{"coding":["#,
                "]}}",
            ),
        ),
        ("wrong values", repeated("1", r#"{"resourceType":"Patient","name":[{"given":["#, "]}]}")),
        ("a long text", format!(r#"{{"resourceType":"Patient","name":[{{"text":"{}"}}]}}"#, "<a ".repeat(1 << 18))),
        (
            "a narrative",
            format!(
                r##"{{"resourceType":"Patient","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>"}}}}"##,
                "<a href=\\\"#b\\\">c</a>".repeat(1 << 15)
            ),
        ),
        (
            "questions",
            numbered(
                &|at| format!(r#"{{"linkId":"{at}","type":"string","text":"a"}}"#),
                r#"{"resourceType":"Questionnaire","status":"draft","item":["#,
                "]}",
            ),
        ),
    ];
    for (name, text) in &documents {
        let mut times: Vec<Duration> = (0..3).map(|_| time_of(library, text.as_bytes())).collect();
        times.sort();
        let verdict = if LARGE_TIME_MAX < times[0] { "TOO SLOW" } else { "" };
        println!("1 MB of {name}: {:?} {verdict}", times[0]);
    }
}

fn time_of(library: &Library, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    examined(library, bytes);
    start.elapsed()
}
