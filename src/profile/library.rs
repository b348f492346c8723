//! The definitions that are in force: what R4 and Onward bring, and the packages that an operator adds.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use super::base;
use super::definition::Definition;
use super::facts::r4;
use super::package::{Base, Limits, LoadIssue, Packages};
use super::program::{Fault, Program, compile};
use super::terminology::{CodeSystem, Concept, ConceptSet, Content, Filter, ValueSet};
use super::validate::Validator;

/// A set of packages, compiled. Immutable, to be shared; a changed set is compiled aside and takes its place.
#[derive(Debug)]
pub struct Library {
    /// What was loaded.
    pub packages: Packages,
    /// What checks.
    pub validator: Validator,
    /// What could not be loaded.
    pub issues: Vec<LoadIssue>,
    /// What could not be compiled.
    pub faults: Vec<Fault>,
}

impl Library {
    /// What ships, and these packages over it.
    pub fn load(paths: &[PathBuf], limits: &Limits) -> Self {
        let (packages, issues) = Packages::load_over(built_in(), paths, limits);
        let (program, faults) = program(&packages);
        let sets = program.value_sets().iter().map(|canonical| packages.codes(canonical).ok()).collect();
        let validator = Validator::new(program, sets);
        Self { packages, validator, issues, faults }
    }
}

/// Compiles all definitions of a set.
fn program(packages: &Packages) -> (Program, Vec<Fault>) {
    let mut made: Vec<Definition> = Vec::new();
    let mut ready: Vec<&Definition> = Vec::new();
    for definition in packages.definitions() {
        if !definition.snapshot.is_empty() {
            ready.push(definition);
        } else if let Ok(snapshot) = packages.snapshot(definition) {
            made.push(Definition { snapshot, ..definition.clone() });
        }
    }
    ready.extend(&made);
    compile(&ready, r4())
}

static VALUE_SETS: LazyLock<Vec<ValueSet>> = LazyLock::new(|| base::value_sets().iter().map(value_set).collect());
static CODE_SYSTEMS: LazyLock<Vec<CodeSystem>> =
    LazyLock::new(|| base::code_systems().iter().map(code_system).collect());

fn built_in() -> Base {
    Base { definitions: base::definitions(), value_sets: &VALUE_SETS, code_systems: &CODE_SYSTEMS }
}

fn value_set(from: &base::ValueSet) -> ValueSet {
    ValueSet {
        url: from.url.to_owned(),
        version: from.version.map(str::to_owned),
        include: from.include.iter().map(concept_set).collect(),
        exclude: from.exclude.iter().map(concept_set).collect(),
    }
}

fn concept_set(from: &base::Part) -> ConceptSet {
    let texts = |texts: &[&'static str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let filter = |filter: &base::Filter| Filter {
        property: filter.property.to_owned(),
        op: filter.op.to_owned(),
        value: filter.value.to_owned(),
    };
    ConceptSet {
        system: from.system.map(str::to_owned),
        version: from.version.map(str::to_owned),
        concepts: texts(&from.codes),
        filters: from.filters.iter().map(filter).collect(),
        value_sets: texts(&from.value_sets),
    }
}

fn code_system(from: &base::CodeSystem) -> CodeSystem {
    let concept = |concept: &base::Concept| Concept {
        code: concept.code.to_owned(),
        parents: concept.parents.clone(),
        properties: Vec::new(),
    };
    CodeSystem {
        url: from.url.to_owned(),
        version: from.version.map(str::to_owned),
        content: match from.content {
            base::Content::Complete => Content::Complete,
            base::Content::Example => Content::Example,
            base::Content::Fragment => Content::Fragment,
            base::Content::NotPresent => Content::NotPresent,
            base::Content::Supplement => Content::Supplement,
        },
        case_sensitive: from.case_sensitive,
        concepts: from.concepts.iter().map(concept).collect(),
    }
}

static SHIPPED: LazyLock<Arc<Library>> = LazyLock::new(|| Arc::new(Library::load(&[], &Limits::default())));

/// What ships with Onward, compiled at the first call.
pub fn shipped() -> &'static Validator {
    &SHIPPED.validator
}
