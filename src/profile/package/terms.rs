//! Value sets of loaded packages, compiled at first need and then kept.

use std::borrow::Cow;
use std::sync::Arc;

use super::Packages;
use super::catalogue::PackageIndex;
use crate::profile::terminology::{CodeSystem, Codes, Content, Known, Membership, Reason, Table, grammar::Grammar};

/// The terminology as a package means it.
pub(super) struct Terms<'p> {
    packages: &'p Packages,
    package: Option<PackageIndex>,
}

impl<'p> Terms<'p> {
    pub(super) fn new(packages: &'p Packages, package: Option<PackageIndex>) -> Self {
        Self { packages, package }
    }

    /// Asked of every coding, so without the reasons that [`Self::is_code`] gives.
    pub(super) fn lacks(&self, system: &str, version: Option<&str>, code: &str) -> bool {
        let canonical = version.map_or(Cow::Borrowed(system), |version| Cow::Owned(format!("{system}|{version}")));
        let systems = &self.packages.vocabulary.code_systems;
        let at = self.packages.in_scope(systems, &canonical, self.package);
        let is_complete = |at: &usize| systems.get(*at).is_some_and(|found| found.content == Content::Complete);
        match at.filter(is_complete) {
            Some(at) => self.table_at(at).is_some_and(|table| !table.has(code)),
            None => Grammar::of(system).is_some_and(|grammar| grammar.has(code) == Membership::NotMember),
        }
    }

    pub(super) fn is_code(&self, system: &str, version: Option<&str>, code: &str) -> Membership {
        let canonical = version.map_or_else(|| system.to_owned(), |version| format!("{system}|{version}"));
        match self.code_system(&canonical) {
            Some(found) if found.content == Content::Complete => match self.table(&canonical) {
                Some(table) if table.has(code) => Membership::Member,
                Some(_) => Membership::NotMember,
                None => Membership::NotChecked(Reason::SystemUnknown(system.into())),
            },
            found => match Grammar::of(system) {
                Some(grammar) => grammar.has(code),
                None if found.is_some() => Membership::NotChecked(Reason::SystemIncomplete(system.into())),
                None if self.code_system(system).is_some() => {
                    Membership::NotChecked(Reason::SystemVersion(system.into()))
                }
                None => Membership::NotChecked(Reason::SystemUnknown(system.into())),
            },
        }
    }

    fn table_at(&self, at: usize) -> Option<&'p Arc<Table>> {
        let vocabulary = &self.packages.vocabulary;
        let (system, cell) = (vocabulary.code_systems.get(at)?, vocabulary.tables.get(at)?);
        let codes = || system.concepts.iter().map(|concept| concept.code.as_str());
        Some(cell.get_or_init(|| Arc::new(Table::new(codes(), system.case_sensitive))))
    }
}

impl Known for Terms<'_> {
    fn codes(&self, canonical: &str, path: &[&str]) -> Result<Arc<Codes>, Reason> {
        let sets = &self.packages.vocabulary.value_sets;
        let at = self.packages.in_scope(sets, canonical, self.package);
        let found = at.and_then(|at| Some((sets.entries.get(at)?, self.packages.vocabulary.codes.get(at)?)));
        let (entry, cell) = found.ok_or_else(|| Reason::ValueSetUnknown(canonical.into()))?;
        if let Some(codes) = cell.get() {
            return Ok(Arc::clone(codes));
        }
        // Not within the cell's own initialisation: a value set that includes itself would wait for itself.
        let path: Vec<&str> = path.iter().copied().chain([canonical]).collect();
        let own = Terms::new(self.packages, Some(entry.package));
        let codes = Arc::new(Codes::compile(&entry.item, &own, &path));
        Ok(Arc::clone(cell.get_or_init(|| codes)))
    }

    fn code_system(&self, canonical: &str) -> Option<&CodeSystem> {
        let systems = &self.packages.vocabulary.code_systems;
        systems.get(self.packages.in_scope(systems, canonical, self.package)?)
    }

    fn table(&self, canonical: &str) -> Option<Arc<Table>> {
        let systems = &self.packages.vocabulary.code_systems;
        self.table_at(self.packages.in_scope(systems, canonical, self.package)?).map(Arc::clone)
    }
}
