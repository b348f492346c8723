//! The definitions that are in force: what R4 and Onward bring, and the packages that an operator adds.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use super::definition::Definition;
use super::facts::r4;
use super::package::{Limits, LoadIssue, Packages};
use super::program::{Fault, Program, compile};
use super::validate::Validator;

/// A set of packages, compiled. Immutable, to be shared; a changed set is compiled aside and takes its place.
#[derive(Debug)]
pub struct Library {
    /// What was loaded.
    pub packages: Arc<Packages>,
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
        let (packages, issues) = Packages::load(paths, limits);
        let (program, faults) = program(&packages);
        let packages = Arc::new(packages);
        let validator = Validator::new(program, Arc::clone(&packages));
        Self { packages, validator, issues, faults }
    }
}

/// Compiles all definitions of a set. One that has no snapshot was told when it was loaded.
fn program(packages: &Packages) -> (Program, Vec<Fault>) {
    let ready: Vec<&Definition> = packages.definitions().filter(|it| !it.snapshot.is_empty()).collect();
    compile(&ready, r4())
}

static SHIPPED: LazyLock<Arc<Library>> = LazyLock::new(|| Arc::new(Library::load(&[], &Limits::default())));

/// What ships with Onward, compiled at the first call.
pub fn shipped() -> &'static Validator {
    &SHIPPED.validator
}

/// The same as a whole.
pub fn built_in() -> Arc<Library> {
    Arc::clone(&SHIPPED)
}
