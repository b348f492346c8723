//! The definitions that are in force: what R4 and Onward bring, and the packages that an operator adds.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, OnceLock};

use super::facts::r4;
use super::package::{Limits, LoadIssue, Packages};
use super::program::{Fault, compile};
use super::validate::Validator;

/// A set of packages, compiled. Immutable, to be shared; a changed set is compiled aside and takes its place.
#[derive(Debug)]
pub struct Library {
    /// What was loaded; without the snapshots that were compiled.
    pub packages: Arc<Packages>,
    whole: OnceLock<Packages>,
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
        let (program, faults) = compile(&packages, r4());
        let packages = Arc::new(packages.lean());
        let validator = Validator::new(program, Arc::clone(&packages));
        Self { packages, whole: OnceLock::new(), validator, issues, faults }
    }

    /// What could not be compiled of the packages that were added: what ships was looked at when it was made.
    pub fn faults_of_added(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| {
            let definition = self.packages.definition(&fault.url);
            let package = definition.and_then(|definition| self.packages.package_of(definition));
            package.is_none_or(|package| !package.path.as_os_str().is_empty())
        })
    }

    /// What was loaded, with all snapshots; made at the first call, and then kept.
    pub fn whole(&self) -> &Packages {
        self.whole.get_or_init(|| self.packages.whole())
    }
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
