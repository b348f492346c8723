//! What is wrong with loaded packages beyond their files.

use std::collections::BTreeSet;

use super::catalogue::Entry;
use super::issue::{LoadFault, LoadIssue};
use super::{Package, Packages};
use crate::issue::Severity;
use crate::profile::definition::{Definition, Derivation, Element, Strength};

pub(super) fn check(packages: &Packages) -> Vec<LoadIssue> {
    let mut found = BTreeSet::new();
    for entry in packages.definitions.entries.iter().filter(|entry| !entry.ships) {
        let mut checked = Checked { packages, entry, found: &mut found };
        checked.snapshot();
        for element in &entry.item.snapshot {
            checked.profiles(element);
            checked.binding(element);
        }
    }
    found.into_iter().collect()
}

struct Checked<'c> {
    packages: &'c Packages,
    entry: &'c Entry<Definition>,
    found: &'c mut BTreeSet<LoadIssue>,
}

impl Checked<'_> {
    fn say(&mut self, severity: Severity, element: &str, fault: LoadFault, text: String) {
        self.found.insert(LoadIssue {
            severity,
            package: self.packages.packages.get(self.entry.package).map(Package::label).unwrap_or_default(),
            file: self.entry.file.to_string(),
            element: Some(element.to_owned()),
            fault,
            text,
        });
    }

    /// A snapshot that is brought is proven too: what cannot be made from the differential is not trusted blindly.
    fn snapshot(&mut self) {
        let definition: &Definition = &self.entry.item;
        if definition.differential.is_empty() || definition.derivation != Derivation::Constraint {
            return;
        }
        if let Err(error) = self.packages.snapshot(definition) {
            let severity = if definition.snapshot.is_empty() { Severity::Error } else { Severity::Warning };
            self.say(severity, &error.element, LoadFault::Snapshot, error.fault.to_string());
        }
    }

    fn profiles(&mut self, element: &Element) {
        for kind in &element.types {
            for canonical in kind.profiles.iter().chain(&kind.target_profiles) {
                let url = canonical.split('#').next().unwrap_or(canonical);
                if self.packages.definition_for(url, &self.entry.item).is_none() {
                    let text = format!("{canonical} is in no loaded package");
                    self.say(Severity::Warning, &element.id, LoadFault::ProfileMissing, text);
                }
            }
        }
    }

    /// Example and preferred bindings bind nobody.
    fn binding(&mut self, element: &Element) {
        let Some(binding) = &element.binding else { return };
        let bound = binding.value_set.iter().filter(|_| binding.strength <= Strength::Extensible);
        for canonical in bound.chain(&binding.max_value_set) {
            let severity =
                if binding.strength == Strength::Required { Severity::Warning } else { Severity::Information };
            match self.packages.codes_for(canonical, &self.entry.item) {
                Err(reason) => self.say(severity, &element.id, LoadFault::NotChecked, reason.to_string()),
                Ok(codes) => {
                    for reason in codes.unchecked() {
                        let text = format!("{canonical}: {reason}");
                        self.say(severity, &element.id, LoadFault::NotChecked, text);
                    }
                }
            }
        }
    }
}
