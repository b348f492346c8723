//! What R4 itself defines: base types, extensions, profiles, value sets and code systems.
//!
//! All of it is read from the tables under `profiles/r4/`, which `scripts/r4_facts.py` makes from the official
//! package hl7.fhir.r4.core 4.0.1; no package has to be at hand. The tables are part of this program, so a fault in
//! one is a fault of the build: it ends the program at once, and the tests read every line.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::definition::Definition;
use super::snapshot;
use super::terminology::{CodeSystem, ValueSet};

mod derived;
mod structures;
mod terms;

/// The version of FHIR, and of each definition here.
const VERSION: &str = "4.0.1";
/// Where canonical URLs of R4's structures begin.
const STRUCTURE: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Where canonical URLs of R4's own value sets begin.
const VALUE_SET: &str = "http://hl7.org/fhir/ValueSet/";

/// What was made, as long as somebody has it.
static DEFINITIONS: Mutex<Weak<[Definition]>> = Mutex::new(Weak::<[Definition; 0]>::new());

static TERMS: LazyLock<(Vec<CodeSystem>, Vec<ValueSet>)> =
    LazyLock::new(|| terms::read(include_str!("../../profiles/r4/terminology.txt")));

/// R4's structures: the 209 base types with their snapshots, the 441 extensions and profiles of them that R4 publishes
/// with their differentials, and snapshots made from these. They weigh some 30 MB and are read anew, within a tenth of a
/// second, where nobody has them.
///
/// In snapshots the types of ids and of the values of primitives are those that the official ones state
/// (`string` for `Patient.id`), not what the text of R4 says (`id`).
pub fn definitions() -> Arc<[Definition]> {
    let mut known = DEFINITIONS.lock().unwrap_or_else(PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let made: Arc<[Definition]> = read().into();
        *known = Arc::downgrade(&made);
        made
    })
}

fn read() -> Vec<Definition> {
    let mut found = structures::read(
        include_str!("../../profiles/r4/structure.txt"),
        include_str!("../../profiles/r4/invariants.txt"),
    );
    let derived = derived::read(include_str!("../../profiles/r4/derived.txt"), &found);
    found.extend(derived);
    let missing = snapshot::complete(&mut found);
    assert!(missing.is_empty(), "{missing:?}");
    found
}

/// The code systems that R4 publishes, HL7 v2 tables and v3 included. Of properties only the hierarchy and
/// `notSelectable` are held.
pub fn code_systems() -> &'static [CodeSystem] {
    &TERMS.0
}

/// The value sets that R4 publishes.
pub fn value_sets() -> &'static [ValueSet] {
    &TERMS.1
}

/// The rows of a table.
fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

/// A canonical URL that stands in a table by its last part alone.
fn canonical(prefix: &str, name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { [prefix, name].concat() }
}

#[cfg(test)]
mod tests;
