//! The check of a document: R4's shape, profiles, bindings, slices, references, extensions, invariants.
//!
//! One walk along the document, R4's facts and the rules of all profiles that apply. Nothing is allocated for what is
//! right. Invariants and references need the types of what may stand further down, so they are judged after the walk.
//! No finding holds a value from the document, because that may be a patient's data.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::facts::{Facts, TypeId, r4};
use super::package::Packages;
use super::program::{InvariantId, Profile, Program, RuleId};
use super::terminology::Codes;
use crate::fhir::json::{self, JsonError, Limits};
use crate::fhir::names::NameId;
use crate::fhir::tape::{NodeId, Tape};
use crate::issue::{Code, Issue, Issues, Severity};

mod binding;
mod bundle;
mod content;
mod controls;
mod extension;
mod findings;
mod invariants;
mod item;
mod limits;
mod place;
mod questionnaire;
mod reference;
mod rules;
mod slices;
mod walk;

use self::findings::Finding;
pub use self::findings::Report;

/// Everything that is checked, ready to be shared by all who check.
#[derive(Debug)]
pub struct Validator {
    facts: &'static Facts,
    program: Program,
    /// The value sets that the program binds to; none where it is not loaded.
    sets: Vec<Option<Arc<Codes>>>,
    /// For value sets that only invariants name.
    packages: Arc<Packages>,
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// Profiles that the resource must conform to, beside those that it declares.
    pub profiles: &'r [&'r Profile],
    /// What `now()` is in invariants; the start of time where not given.
    pub now: Option<Timestamp>,
    /// Leave out what is only good practice, not known here, or only worth knowing.
    pub brief: bool,
}

impl Validator {
    /// Of a program, with the value sets of these packages.
    pub fn new(program: Program, packages: Arc<Packages>) -> Self {
        let sets = program.value_sets().iter().map(|canonical| packages.codes(canonical).ok()).collect();
        Self { facts: r4(), program, sets, packages }
    }

    /// The compiled profiles.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Reads a document for [`Self::check`].
    pub fn read<'a>(&self, bytes: &'a [u8], limits: &Limits) -> Result<Tape<'a>, JsonError> {
        json::read(bytes, limits, self.facts.names(), Vec::new())
    }

    /// Checks a document: a resource, or a Bundle with all resources in it.
    pub fn check(&self, tape: &Tape<'_>, request: &Request<'_>) -> Report {
        let mut walk = walk::Walk::new(self, tape, request);
        let asked: Vec<RuleId> = request.profiles.iter().map(|profile| profile.rule).collect();
        walk.whole(&asked);
        walk.report()
    }
}

/// The numbers of the names that the check itself asks for.
#[derive(Clone, Copy, Debug)]
struct Known {
    coding: NameId,
    code: NameId,
    comparator: NameId,
    contained: NameId,
    data: NameId,
    display: NameId,
    div: NameId,
    entry: NameId,
    extension: NameId,
    full_url: NameId,
    id: NameId,
    identifier: NameId,
    kind: NameId,
    link: NameId,
    meta: NameId,
    modifier_extension: NameId,
    profile: NameId,
    reference: NameId,
    relation: NameId,
    resource: NameId,
    size: NameId,
    system: NameId,
    url: NameId,
    value: NameId,
    version: NameId,
}

static KNOWN: std::sync::LazyLock<Known> = std::sync::LazyLock::new(|| {
    let names = r4().names();
    Known {
        coding: names.find("coding"),
        code: names.find("code"),
        comparator: names.find("comparator"),
        contained: names.find("contained"),
        data: names.find("data"),
        display: names.find("display"),
        div: names.find("div"),
        entry: names.find("entry"),
        extension: names.find("extension"),
        full_url: names.find("fullUrl"),
        id: names.find("id"),
        identifier: names.find("identifier"),
        kind: names.find("type"),
        link: names.find("link"),
        meta: names.find("meta"),
        modifier_extension: names.find("modifierExtension"),
        profile: names.find("profile"),
        reference: names.find("reference"),
        relation: names.find("relation"),
        resource: names.find("resource"),
        size: names.find("size"),
        system: names.find("system"),
        url: names.find("url"),
        value: names.find("value"),
        version: names.find("version"),
    }
});

impl Validator {
    #[inline]
    fn names(&self) -> &'static Known {
        &KNOWN
    }

    fn codes(&self, canonical: &str) -> Option<Arc<Codes>> {
        self.packages.codes(canonical).ok()
    }

    fn set(&self, id: super::program::SetId) -> Option<&Codes> {
        self.sets.get(id.0 as usize)?.as_deref()
    }
}

#[cfg(test)]
mod tests;
