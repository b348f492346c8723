//! The definitions that are in force: what ships with Onward, and what an operator adds.

use std::sync::LazyLock;

use super::base;
use super::definition::{Definition, Derivation};
use super::facts::r4;
use super::program::compile;
use super::snapshot::{Generator, Resolver};
use super::validate::Validator;

struct Base;

impl Resolver for Base {
    fn definition(&self, canonical: &str, _: &Definition) -> Option<&Definition> {
        let plain = canonical.split('|').next().unwrap_or(canonical);
        base::definitions().iter().find(|it| it.url == plain)
    }
}

static SHIPPED: LazyLock<Validator> = LazyLock::new(|| {
    let generator = Generator::new(&Base);
    let mut derived = Vec::new();
    for definition in base::definitions().iter().filter(|it| it.derivation == Derivation::Constraint) {
        match generator.snapshot(definition) {
            Ok(snapshot) => derived.push(Definition { snapshot, ..definition.clone() }),
            Err(error) => eprintln!("{error}"),
        }
    }
    let types = base::definitions().iter().filter(|it| it.derivation == Derivation::Specialization);
    let all: Vec<&Definition> = types.chain(&derived).collect();
    let (program, faults) = compile(&all, r4());
    for fault in faults {
        eprintln!("{fault:?}");
    }
    Validator::new(program, Vec::new())
});

/// What ships with Onward.
pub fn shipped() -> &'static Validator {
    &SHIPPED
}
