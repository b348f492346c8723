//! Loading: files become items, dependencies are looked for, snapshots are made where there are none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;

use super::catalogue::{Canonical, Catalogue, Entry, Item};
use super::issue::{LoadFault, LoadIssue};
use super::source::{Source, SourceFault};
use super::{Base, Limits, MessageDefinition, Package, Packages, Vocabulary, version};
use crate::issue::Severity;
use crate::profile::definition::{Definition, resource_type};

/// The package that is built in.
pub(super) const CORE: &str = "hl7.fhir.r4.core";
const CORE_VERSION: &str = "4.0.1";
/// Folders of a package that hold no definitions of its own.
const ASIDE: &[&str] = &["example", "examples", "openapi", "other", "tests", "xml"];

pub(super) fn load(base: Base, paths: &[PathBuf], limits: &Limits) -> (Packages, Vec<LoadIssue>) {
    let (packages, vocabulary) = (Packages::default(), Vocabulary::default());
    let mut loader = Loader { packages, vocabulary, ships: true, issues: Vec::new(), limits };
    let shipped = base.packages;
    loader.built_in(base);
    shipped.iter().for_each(|package| loader.package(&Source::Shipped(package)));
    loader.ships = false;
    for path in paths {
        let mut faults = Vec::new();
        let sources = Source::find(path, limits, &mut faults);
        faults.into_iter().for_each(|fault| loader.source_fault(&path.display().to_string(), fault));
        sources.iter().for_each(|source| loader.package(source));
    }
    loader.finish()
}

/// `package.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    #[serde(default, alias = "fhir-version-list")]
    fhir_versions: Vec<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
}

struct Loader<'l> {
    packages: Packages,
    vocabulary: Vocabulary,
    /// Is what is being loaded part of this program?
    ships: bool,
    issues: Vec<LoadIssue>,
    limits: &'l Limits,
}

impl Loader<'_> {
    fn built_in(&mut self, base: Base) {
        let counts = [
            ("CodeSystem", base.code_systems.len()),
            ("StructureDefinition", base.definitions.len()),
            ("ValueSet", base.value_sets.len()),
        ];
        self.packages.packages.push(Package {
            name: Some(CORE.into()),
            version: Some(CORE_VERSION.into()),
            path: PathBuf::new(),
            dependencies: BTreeMap::new(),
            counts: counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        });
        for at in 0..base.definitions.len() {
            self.packages.definitions.add(built_in(Item::Listed(Arc::clone(&base.definitions), at)));
        }
        for value_set in base.value_sets {
            self.vocabulary.value_sets.add(built_in(Item::BuiltIn(value_set)));
        }
        for code_system in base.code_systems {
            self.vocabulary.code_systems.add(built_in(Item::BuiltIn(code_system)));
        }
    }

    fn package(&mut self, source: &Source) {
        let path = source.path().to_owned();
        self.packages.packages.push(Package {
            name: None,
            version: None,
            path,
            dependencies: BTreeMap::new(),
            counts: BTreeMap::new(),
        });
        let limits = self.limits;
        let first = self.issues.len();
        let faults = source.read(limits, &mut |name, bytes| self.file(name, bytes));
        let label = self.own().label();
        faults.into_iter().for_each(|fault| self.source_fault(&label, fault));
        // The manifest may have been read after what had problems.
        self.issues.iter_mut().skip(first).for_each(|issue| issue.package.clone_from(&label));
    }

    /// The package that is being loaded.
    fn own(&mut self) -> &mut Package {
        let last = self.packages.packages.len() - 1;
        &mut self.packages.packages[last]
    }

    fn say(&mut self, severity: Severity, file: &str, element: Option<String>, fault: LoadFault, text: String) {
        if self.issues.len() < self.limits.issues_max {
            let file = file.to_owned();
            self.issues.push(LoadIssue { severity, package: String::new(), file, element, fault, text });
        }
    }

    fn source_fault(&mut self, package: &str, fault: SourceFault) {
        let severity = if fault.fault == LoadFault::UnsafePath { Severity::Warning } else { Severity::Error };
        self.say(severity, &fault.file, None, fault.fault, fault.text);
        if let Some(last) = self.issues.last_mut() {
            package.clone_into(&mut last.package);
        }
    }

    fn file(&mut self, name: &str, bytes: &[u8]) {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if name == "package.json" {
            return self.manifest(name, bytes);
        }
        if Path::new(name).components().any(|part| part.as_os_str().to_string_lossy().starts_with('.')) {
            return;
        }
        let Some(kind) = resource_type(bytes) else {
            if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
                self.say(Severity::Error, name, None, LoadFault::Malformed, error.to_string());
            }
            return;
        };
        let aside = name.split('/').rev().skip(1).any(|folder| ASIDE.contains(&folder));
        let counted = if aside { "example" } else { kind.as_str() };
        *self.own().counts.entry(counted.to_owned()).or_default() += 1;
        if !aside {
            self.resource(&kind, name, bytes);
        }
    }

    fn resource(&mut self, kind: &str, name: &str, bytes: &[u8]) {
        match kind {
            "StructureDefinition" => self.item::<Definition>(name, bytes, |loader| &mut loader.packages.definitions),
            "ValueSet" => self.item(name, bytes, |loader| &mut loader.vocabulary.value_sets),
            "CodeSystem" => self.item(name, bytes, |loader| &mut loader.vocabulary.code_systems),
            "Questionnaire" => self.item(name, bytes, |loader| &mut loader.vocabulary.questionnaires),
            "MessageDefinition" => self.item::<MessageDefinition>(name, bytes, |loader| &mut loader.packages.messages),
            _ => {}
        }
    }

    fn item<T>(&mut self, name: &str, bytes: &[u8], catalogue: fn(&mut Self) -> &mut Catalogue<T>)
    where
        T: Canonical + for<'de> Deserialize<'de>,
    {
        let item: T = match read(bytes) {
            Ok(item) => item,
            Err((element, text)) => return self.say(Severity::Error, name, element, LoadFault::Malformed, text),
        };
        let package = self.packages.packages.len() - 1;
        let entry = Entry { package, ships: self.ships, file: name.into(), made: false, item: Item::Loaded(item) };
        let catalogue = catalogue(self);
        let twin = catalogue.add(entry);
        let twin = twin.and_then(|twin| catalogue.entries.get(twin)).zip(catalogue.entries.last());
        let differs = twin.filter(|(twin, own)| !twin.item.says_as(&own.item)).map(|(twin, own)| {
            let canonical = format!("{}|{}", own.item.url(), own.item.version().unwrap_or_default());
            (twin.package, twin.file.to_string(), canonical)
        });
        if let Some((other, file, canonical)) = differs {
            let other = self.packages.packages.get(other).map(Package::label).unwrap_or_default();
            let text = format!("{canonical} says something else in {other} {file}, which goes first");
            self.say(Severity::Warning, name, None, LoadFault::Twice, text);
        }
    }

    fn manifest(&mut self, name: &str, bytes: &[u8]) {
        let manifest: Manifest = match read(bytes) {
            Ok(manifest) => manifest,
            Err((element, text)) => return self.say(Severity::Error, name, element, LoadFault::Malformed, text),
        };
        if !manifest.fhir_versions.is_empty() && !manifest.fhir_versions.iter().any(|it| it.starts_with("4.0")) {
            let text = "the package is not made for FHIR 4.0".to_owned();
            self.say(Severity::Warning, name, Some("fhirVersions".into()), LoadFault::FhirVersion, text);
        }
        let own = self.own();
        own.name = manifest.name;
        own.version = manifest.version;
        own.dependencies = manifest.dependencies;
    }

    fn finish(mut self) -> (Packages, Vec<LoadIssue>) {
        self.dependencies();
        let mut vocabulary = std::mem::take(&mut self.vocabulary);
        vocabulary.codes = vocabulary.value_sets.entries.iter().map(|_| OnceLock::new()).collect();
        vocabulary.tables = vocabulary.code_systems.entries.iter().map(|_| OnceLock::new()).collect();
        self.packages.vocabulary = Arc::new(vocabulary);
        self.snapshots();
        (self.packages, self.issues)
    }

    /// Finds what packages build on. The core is always there.
    fn dependencies(&mut self) {
        let packages = &self.packages.packages;
        let fits = |name: &str, asked: &str, other: &Package| {
            other.name.as_deref() == Some(name) && version::fits(asked, other.version.as_deref())
        };
        let mut direct: Vec<Vec<usize>> = Vec::new();
        let mut missing = Vec::new();
        for package in packages {
            let mut own = vec![0];
            for (name, asked) in &package.dependencies {
                let found: Vec<usize> = (0..packages.len()).filter(|at| fits(name, asked, &packages[*at])).collect();
                if found.is_empty() && name != CORE {
                    missing.push((package.label(), format!("{name}#{asked}")));
                }
                own.extend(found);
            }
            direct.push(own);
        }
        self.packages.reach = (0..packages.len()).map(|at| reach(at, &direct)).collect();
        for (package, dependency) in missing {
            let text = format!("{dependency} is not loaded");
            let element = Some("dependencies".to_owned());
            self.say(Severity::Warning, "package.json", element, LoadFault::DependencyMissing, text);
            if let Some(last) = self.issues.last_mut() {
                last.package = package;
            }
        }
    }

    /// Makes the snapshots that are missing.
    fn snapshots(&mut self) {
        for (at, error) in self.packages.complete() {
            let Some(entry) = self.packages.definitions.entries.get(at) else { continue };
            let (package, file) = (entry.package, entry.file.to_string());
            let label = self.packages.packages.get(package).map(Package::label).unwrap_or_default();
            self.say(Severity::Error, &file, Some(error.element), LoadFault::Snapshot, error.fault.to_string());
            if let Some(last) = self.issues.last_mut() {
                last.package = label;
            }
        }
    }
}

fn built_in<T>(item: Item<T>) -> Entry<T> {
    Entry { package: 0, ships: true, file: "".into(), made: false, item }
}

/// All packages that one builds on, itself included.
fn reach(from: usize, direct: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; direct.len()];
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            waiting.extend(&direct[at]);
        }
    }
    reached
}

/// Reads; where that fails, reads again to say at which element.
fn read<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, (Option<String>, String)> {
    serde_json::from_slice(bytes).map_err(|error| {
        let again = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes));
        match again {
            Err(again) if again.path().iter().next().is_some() => {
                (Some(again.path().to_string()), again.into_inner().to_string())
            }
            _ => (None, error.to_string()),
        }
    })
}

impl<'de> Deserialize<'de> for MessageDefinition {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let content = Value::deserialize(deserializer)?;
        let text = |name: &str| content[name].as_str().map(ToOwned::to_owned);
        let url = text("url").ok_or_else(|| serde::de::Error::missing_field("url"))?;
        Ok(Self { url, version: text("version"), content })
    }
}
