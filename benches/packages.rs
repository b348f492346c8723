//! Loading packages: `cargo bench --bench packages`. Needs the folder with published definitions beside the project.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use onward::profile::package::{Limits, Packages};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PUBLISHED: &[&str] =
    &["fhir/ukcore/stu1-0.5.1", "fhir/nhsdigital/uk.nhsdigital.r4-2.5.0", "bars/profiles/package-1.34.0-snapshots"];
/// Only differentials: every snapshot has to be made.
const CURRENT: &[&str] = &["fhir/ukcore/current-2025-06-20"];

fn shared(parts: &[&str]) -> Option<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found: Vec<PathBuf> = parts.iter().map(|part| root.join(part)).collect();
    found.iter().all(|path| path.exists()).then_some(found)
}

/// Peak memory, where the system tells it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")).collect::<Vec<_>>().join(" ")
}

fn load(paths: &[PathBuf]) -> Packages {
    Packages::load(black_box(paths), &Limits::default()).0
}

/// Compiles every value set that an element is bound to.
fn bind(packages: &Packages) -> usize {
    let elements = packages.definitions().flat_map(|it| it.snapshot.iter().map(move |element| (it, element)));
    let bound = elements.filter_map(|(it, element)| Some((it, element.binding.as_ref()?.value_set.as_ref()?)));
    bound.filter(|(it, set)| packages.codes_for(set, it).is_ok()).count()
}

fn first(name: &str, work: impl FnOnce() -> usize) {
    let start = Instant::now();
    let count = work();
    println!("{name}: {count}, first time {:?}; {}", start.elapsed(), peak());
}

fn packages(c: &mut Criterion) {
    first("R4 alone, definitions", || load(&[]).definitions().count());
    let (Some(published), Some(current)) = (shared(PUBLISHED), shared(CURRENT)) else {
        return println!("SKIPPED: the folder with published definitions is not here");
    };
    let mut loaded = Packages::default();
    first("UK Core STU1, NHS Digital, BaRS, definitions", || {
        loaded = load(&published);
        loaded.definitions().count()
    });
    first("bindings compiled", || bind(&loaded));
    c.bench_function("load UK Core STU1, NHS Digital, BaRS", |b| b.iter(|| load(&published)));
    c.bench_function("load current UK Core, making all snapshots", |b| b.iter(|| load(&current)));
}

criterion_group!(benches, packages);
criterion_main!(benches);
