//! FHIR packages: definitions, value sets and code systems, several versions side by side, all of it offline.
//!
//! A package is a `.tgz` or a folder with a `package.json`; a folder of JSON files is taken for one without a name.
//! What is loaded never changes: a changed set is loaded anew. An unversioned canonical means the newest version;
//! within a package it means its own, else what it depends on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::base;
use super::definition::{Definition, Element};
use super::questionnaire::Form;
use super::shipped;
use super::snapshot::{Generator, Resolver, SnapshotError};
use super::terminology::{CodeSystem, Codes, Known, Membership, Reason, Table, ValueSet};

mod catalogue;
mod check;
mod issue;
mod lean;
mod load;
mod source;
mod terms;
mod version;

use self::catalogue::{Canonical, Catalogue, PackageIndex};
pub use self::issue::{LoadFault, LoadIssue};

/// What a package may weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most JSON files of one package.
    pub files_max: usize,
    /// Largest file.
    pub file_bytes_max: u64,
    /// All files of one package, inflated.
    pub bytes_max: u64,
    /// How deep folders may lie in each other.
    pub folders_deep_max: usize,
    /// Most problems that are listed.
    pub issues_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            files_max: 20_000,
            file_bytes_max: 16 << 20,
            bytes_max: 512 << 20,
            folders_deep_max: 8,
            issues_max: 10_000,
        }
    }
}

/// What is built in, and so is below all packages.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// R4's own types, with their snapshots.
    pub definitions: Arc<[Definition]>,
    /// R4's value sets.
    pub value_sets: &'static [ValueSet],
    /// R4's code systems.
    pub code_systems: &'static [CodeSystem],
    /// Packages that are part of this program.
    pub packages: &'static [shipped::Package],
}

impl Base {
    /// What this program brings.
    pub fn built_in() -> Self {
        Self { packages: shipped::PACKAGES, ..Self::r4() }
    }

    /// R4 and nothing else.
    pub fn r4() -> Self {
        Self {
            definitions: base::definitions(),
            value_sets: base::value_sets(),
            code_systems: base::code_systems(),
            packages: &[],
        }
    }
}

/// A package that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// `package.json`'s name; none for a folder without one.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Where it was found; empty for what is part of this program.
    pub path: PathBuf,
    /// Names and versions of what it builds on.
    pub dependencies: BTreeMap<String, String>,
    /// How many resources it has, by type; examples are counted apart, as `example`.
    pub counts: BTreeMap<String, usize>,
}

impl Package {
    /// `name#version`, or the path.
    pub fn label(&self) -> String {
        match (&self.name, &self.version) {
            (Some(name), Some(version)) => format!("{name}#{version}"),
            (Some(name), None) => name.clone(),
            (None, _) => self.path.display().to_string(),
        }
    }
}

/// All that is loaded. Immutable, to be shared.
#[derive(Debug, Default)]
pub struct Packages {
    packages: Vec<Package>,
    /// For each package, those that it builds on, directly or not.
    reach: Vec<Vec<bool>>,
    definitions: Catalogue<Definition>,
    messages: Catalogue<MessageDefinition>,
    vocabulary: Arc<Vocabulary>,
}

/// Value sets and code systems, what was compiled of them, and questionnaires.
#[derive(Debug, Default)]
struct Vocabulary {
    value_sets: Catalogue<ValueSet>,
    code_systems: Catalogue<CodeSystem>,
    questionnaires: Catalogue<Form>,
    codes: Vec<OnceLock<Arc<Codes>>>,
    tables: Vec<OnceLock<Arc<Table>>>,
}

/// A MessageDefinition as it is written.
#[derive(Clone, Debug)]
struct MessageDefinition {
    url: String,
    version: Option<String>,
    content: Value,
}

macro_rules! canonical {
    ($($name:ident ($($part:ident)*))*) => {
        $(impl Canonical for $name {
            fn url(&self) -> &str {
                &self.url
            }
            fn version(&self) -> Option<&str> {
                self.version.as_deref()
            }
            fn says_as(&self, other: &Self) -> bool {
                true $(&& self.$part == other.$part)*
            }
        })*
    };
}
canonical! {
    Definition (type_name kind base differential)
    ValueSet (include exclude)
    CodeSystem (content case_sensitive concepts)
    MessageDefinition (content)
    Form (questions)
}

impl Packages {
    /// Loads packages over what is built in. What has errors is left out, everything else is there.
    pub fn load(paths: &[PathBuf], limits: &Limits) -> (Self, Vec<LoadIssue>) {
        Self::load_over(Base::built_in(), paths, limits)
    }

    /// Loads packages over another base.
    pub fn load_over(base: Base, paths: &[PathBuf], limits: &Limits) -> (Self, Vec<LoadIssue>) {
        load::load(base, paths, limits)
    }

    /// The packages, in the order of loading; what is built in is the first.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The definition of a canonical: `url|version`, or the newest of a `url`.
    pub fn definition(&self, canonical: &str) -> Option<&Definition> {
        self.definitions.get(self.definitions.resolve(canonical, &[])?)
    }

    /// The same, as another definition means it: of its own package, else of what that builds on, else the newest.
    pub fn definition_for(&self, canonical: &str, user: &Definition) -> Option<&Definition> {
        let at = self.in_scope(&self.definitions, canonical, self.definitions.package_of(user))?;
        self.definitions.get(at)
    }

    /// All definitions.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter()
    }

    /// All definitions; of several of one URL, the one that is meant by it first.
    pub fn ranked(&self) -> Vec<&Definition> {
        let mut order: Vec<usize> = (0..self.definitions.entries.len()).collect();
        order.sort_by_key(|at| self.definitions.rank(*at));
        order.into_iter().filter_map(|at| self.definitions.get(at)).collect()
    }

    /// The definitions of a package.
    pub fn definitions_of(&self, package: &Package) -> impl Iterator<Item = &Definition> {
        let index = self.packages.iter().position(|own| std::ptr::eq(own, package));
        let entries = self.definitions.entries.iter();
        entries.filter(move |entry| Some(entry.package) == index).map(|entry| &*entry.item)
    }

    /// The package that a definition of this set is from.
    pub fn package_of(&self, definition: &Definition) -> Option<&Package> {
        self.packages.get(self.definitions.package_of(definition)?)
    }

    /// The value set of a canonical.
    pub fn value_set(&self, canonical: &str) -> Option<&ValueSet> {
        self.vocabulary.value_sets.get(self.vocabulary.value_sets.resolve(canonical, &[])?)
    }

    /// All value sets.
    pub fn value_sets(&self) -> impl Iterator<Item = &ValueSet> {
        self.vocabulary.value_sets.iter()
    }

    /// The code system of a canonical.
    pub fn code_system(&self, canonical: &str) -> Option<&CodeSystem> {
        self.vocabulary.code_systems.get(self.vocabulary.code_systems.resolve(canonical, &[])?)
    }

    /// All code systems.
    pub fn code_systems(&self) -> impl Iterator<Item = &CodeSystem> {
        self.vocabulary.code_systems.iter()
    }

    /// The MessageDefinition of a canonical.
    pub fn message_definition(&self, canonical: &str) -> Option<&Value> {
        Some(&self.messages.get(self.messages.resolve(canonical, &[])?)?.content)
    }

    /// All MessageDefinitions.
    pub fn message_definitions(&self) -> impl Iterator<Item = &Value> {
        self.messages.iter().map(|message| &message.content)
    }

    /// The Questionnaire of a canonical.
    pub fn questionnaire(&self, canonical: &str) -> Option<&Form> {
        self.vocabulary.questionnaires.get(self.vocabulary.questionnaires.resolve(canonical, &[])?)
    }

    /// Makes a definition's snapshot from its differential, whether it brings one or not.
    pub fn snapshot(&self, definition: &Definition) -> Result<Vec<Element>, SnapshotError> {
        Generator::new(self).snapshot(definition)
    }

    /// The compiled value set of a canonical, as a definition means it; compiled at the first call.
    pub fn codes_for(&self, canonical: &str, user: &Definition) -> Result<Arc<Codes>, Reason> {
        terms::Terms::new(self, self.definitions.package_of(user)).codes(canonical, &[])
    }

    /// The canonical of a value set as a definition means it, with its version; as it is where none is loaded.
    pub fn exactly(&self, canonical: &str, user: &Definition) -> String {
        let at = self.in_scope(&self.vocabulary.value_sets, canonical, self.definitions.package_of(user));
        let found = at.and_then(|at| self.vocabulary.value_sets.get(at));
        match found.and_then(|set| Some((&set.url, set.version.as_ref()?))) {
            Some((url, version)) => format!("{url}|{version}"),
            None => canonical.to_owned(),
        }
    }

    /// The compiled value set of a canonical.
    pub fn codes(&self, canonical: &str) -> Result<Arc<Codes>, Reason> {
        terms::Terms::new(self, None).codes(canonical, &[])
    }

    /// Is it for certain no code of the code system?
    pub fn lacks_code(&self, system: &str, version: Option<&str>, code: &str) -> bool {
        terms::Terms::new(self, None).lacks(system, version, code)
    }

    /// Is it a code of the code system at all?
    pub fn is_code(&self, system: &str, version: Option<&str>, code: &str) -> Membership {
        terms::Terms::new(self, None).is_code(system, version, code)
    }

    /// Problems beyond those of loading: snapshots that cannot be made, profiles and codes that are not there. Looks
    /// at the definitions of every package that is not built in.
    pub fn check(&self) -> Vec<LoadIssue> {
        check::check(self)
    }

    /// The index of a canonical as a package means it.
    fn in_scope<T: Canonical>(
        &self,
        catalogue: &Catalogue<T>,
        canonical: &str,
        package: Option<PackageIndex>,
    ) -> Option<usize> {
        let Some(own) = package else { return catalogue.resolve(canonical, &[]) };
        let reached = |other| self.reach.get(own).and_then(|reach| reach.get(other)).copied().unwrap_or_default();
        catalogue.resolve(canonical, &[&|other| other == own, &reached])
    }
}

impl Resolver for Packages {
    fn definition(&self, canonical: &str, user: &Definition) -> Option<&Definition> {
        self.definition_for(canonical, user)
    }
}
