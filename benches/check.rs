//! Reading and checking one message of about 25 kB: `cargo bench --bench check`.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use onward::bars::necessity;
use onward::fhir::json::{Limits, parse};
use onward::load::synthetic::{Bundles, FreeSlot, People};
use onward::profile::facts::r4;
use onward::profile::library::shipped;
use onward::profile::validate::Request;
use onward::profile::xml;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A message Bundle as published messages are: some twenty resources, indented, some narrative.
fn message() -> String {
    let entry = |index: usize| {
        let full_url = format!("urn:uuid:00000000-0000-4000-8000-{index:012}");
        json!({"fullUrl": full_url, "resource": {
            "resourceType": "Observation",
            "id": format!("00000000-0000-4000-8000-{index:012}"),
            "meta": {
                "lastUpdated": "2023-06-01T12:00:00.1234567+00:00",
                "profile": ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation"],
            },
            "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Some words</div>"},
            "status": "final",
            "category": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs",
            }]}],
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "27113001", "display": "Body weight"}]},
            "subject": {"reference": full_url, "identifier": {"system": "urn:x", "value": "1"}},
            "effectivePeriod": {"start": "2023-06-01T12:00:00+01:00", "end": "2023-06-01"},
            "valueQuantity": {"value": 70.50, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        }})
    };
    let entries: Vec<Value> = (0..15).map(entry).collect();
    let bundle = json!({"resourceType": "Bundle", "id": "b", "type": "collection", "entry": entries});
    // Indented by four, so that white space weighs as much as in published messages.
    serde_json::to_string_pretty(&bundle).expect("a Value is JSON").replace("  ", "    ")
}

fn read(c: &mut Criterion) {
    let text = message();
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let limits = Limits::default();
    group.bench_function("ours", |b| b.iter(|| parse(black_box(text.as_bytes()), &limits)));
    group.bench_function("serde_json", |b| b.iter(|| serde_json::from_slice::<Value>(black_box(text.as_bytes()))));
    let compact = serde_json::from_str::<Value>(&text).expect("it is JSON").to_string();
    group.throughput(Throughput::Bytes(compact.len() as u64));
    group.bench_function("ours, compact", |b| b.iter(|| parse(black_box(compact.as_bytes()), &limits)));
    group.bench_function("serde_json, compact", |b| {
        b.iter(|| serde_json::from_slice::<Value>(black_box(compact.as_bytes())));
    });
    group.finish();
}

fn check(c: &mut Criterion) {
    let start = Instant::now();
    let types = r4().types().len();
    println!("compiling the facts of {types} types took {:?}", start.elapsed());
    let start = Instant::now();
    let validator = shipped();
    println!("compiling what ships took {:?}", start.elapsed());
    let text = message();
    let compact = serde_json::from_str::<Value>(&text).expect("it is JSON").to_string();
    let limits = Limits::default();
    let mut group = c.benchmark_group("check");
    for (name, text) in [("indented", &text), ("compact", &compact)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("read as spans, {name}"), |b| {
            b.iter(|| validator.read(black_box(text.as_bytes()), &limits).expect("it is JSON").len());
        });
        group.bench_function(format!("read and check, {name}"), |b| {
            b.iter(|| {
                let tape = validator.read(black_box(text.as_bytes()), &limits).expect("it is JSON");
                let report = validator.check(&tape, &Request::default());
                assert!(!report.issues.has_errors(), "{:?}", report.issues);
            });
        });
    }
    group.finish();
}

/// A booking as the load tool sends it, without white space.
fn booking() -> Vec<u8> {
    let text = |text: &str| text.to_owned();
    let (start, end) = (text("2026-01-05T09:00:00+00:00"), text("2026-01-05T09:10:00+00:00"));
    let slot = FreeSlot { id: text("slot-1"), schedule: text("schedule-1"), start, end };
    Bundles::new("111111111").booking(&People::new(1).next(), &slot, None, Timestamp::UNIX_EPOCH).body
}

fn xml_read(c: &mut Criterion) {
    let limits = Limits::default();
    let (text, _) = xml::write(&parse(&booking(), &limits).expect("it is JSON"));
    let mut group = c.benchmark_group("xml");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("read a booking into JSON", |b| {
        b.iter(|| xml::read(black_box(&text), &limits).expect("it is XML").json.len());
    });
    group.finish();
}

fn xml_write(c: &mut Criterion) {
    let limits = Limits::default();
    let bytes = booking();
    let resource = parse(&bytes, &limits).expect("it is JSON");
    let mut group = c.benchmark_group("xml");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("write a booking", |b| b.iter(|| xml::write(black_box(&resource)).0.len()));
    group.bench_function("write a booking from the bytes of its JSON", |b| {
        b.iter(|| xml::write(&parse(black_box(&bytes), &limits).expect("it is JSON")).0.len());
    });
    group.finish();
}

/// From bytes to issues with everything on: profiles, extensions, slices, bindings, the Bundle's own rules, the payload
/// tables. Published messages where the folder with them stands beside the project, else those of the load tool.
fn whole(c: &mut Criterion) {
    let published = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/bars/examples/ig-1.12.0/bundles");
        let mut files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let file = files.find(|path| path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name)))?;
        let value: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        Some(value.to_string().into_bytes())
    };
    let referral = || Bundles::new("111111111").referral(&People::new(1).next(), Timestamp::UNIX_EPOCH).body;
    let mut wrong: Value = serde_json::from_slice(&booking()).expect("it is JSON");
    wrong["entry"][1]["resource"]["nickname"] = json!("a");
    let mut documents = vec![
        ("the load tool's booking", booking()),
        ("the same with a wrong property", wrong.to_string().into_bytes()),
        ("the load tool's referral", referral()),
        ("10,000 entries", entries(10_000)),
    ];
    documents.extend(published("BOOKREQ01").map(|bytes| ("BOOKREQ01, compact", bytes)));
    documents.extend(published("REFREQ01").map(|bytes| ("REFREQ01, compact", bytes)));
    let limits = Limits { bytes_max: 64 << 20, values_max: 4 << 20, ..Limits::default() };
    let validator = shipped();
    let mut group = c.benchmark_group("whole");
    for (name, bytes) in &documents {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        for (kind, brief) in [("all", false), ("brief", true)] {
            let request = Request { now: Some(Timestamp::UNIX_EPOCH), brief, ..Request::default() };
            group.bench_function(format!("{name}, {kind}"), |b| {
                b.iter(|| {
                    let tape = validator.read(black_box(bytes), &limits).expect("it is JSON");
                    let found = validator.check(&tape, &request).issues.len();
                    if brief { found } else { found + necessity::unmet(&tape).len() }
                });
            });
        }
    }
    group.finish();
}

/// A Bundle of so many small resources.
fn entries(count: usize) -> Vec<u8> {
    let entry = |index: usize| {
        let full_url = format!("urn:uuid:00000000-0000-4000-8000-{index:012}");
        json!({"fullUrl": full_url, "resource": {
            "resourceType": "Observation", "status": "final", "code": {"text": "a"}, "subject": {"reference": full_url},
            "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Some words</div>"},
        }})
    };
    let entries: Vec<Value> = (0..count).map(entry).collect();
    json!({"resourceType": "Bundle", "type": "collection", "entry": entries}).to_string().into_bytes()
}

criterion_group!(benches, read, check, whole, xml_read, xml_write);
criterion_main!(benches);
