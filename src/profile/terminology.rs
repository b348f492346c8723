//! Value sets and code systems: is a code a member? (R4 4.7 "Using Codes", 4.8 CodeSystem, 4.9 ValueSet.)
//!
//! An answer is never better than what is known: a code system that is not here, or of which only a part is here,
//! makes the answer [`Membership::NotChecked`] with the reason, never a member. Some code systems are grammars
//! ([`grammar`]); those need no list.

use std::sync::Arc;

mod compile;
mod filter;
pub mod grammar;
mod read;
pub mod ucum;

pub use self::compile::{Codes, Known, Table};

/// Is a code a member of a value set, or of a code system?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Yes.
    Member,
    /// No.
    NotMember,
    /// Nobody can tell here, and why.
    NotChecked(Reason),
}

/// Why a membership cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The code system is not in any loaded package.
    SystemUnknown(Arc<str>),
    /// Only a part of the code system, or none of it, is in the package (`fragment`, `example`, `not-present`).
    SystemIncomplete(Arc<str>),
    /// The version of the code system that is asked for is not loaded.
    SystemVersion(Arc<str>),
    /// The value set is not in any loaded package.
    ValueSetUnknown(Arc<str>),
    /// The value set includes itself.
    ValueSetCycle(Arc<str>),
    /// The value set nests others too deeply, or too many.
    ValueSetTooLarge(Arc<str>),
    /// The value set's filter cannot be decided from what the code system says.
    Filter(Arc<str>),
    /// The grammar of the code system is known only in part, and the code is outside of that.
    Grammar(Arc<str>),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SystemUnknown(url) => write!(f, "the code system {url} is in no loaded package"),
            Self::SystemIncomplete(url) => write!(f, "the code system {url} is loaded only in part"),
            Self::SystemVersion(url) => write!(f, "that version of the code system {url} is not loaded"),
            Self::ValueSetUnknown(url) => write!(f, "the value set {url} is in no loaded package"),
            Self::ValueSetCycle(url) => write!(f, "the value set {url} includes itself"),
            Self::ValueSetTooLarge(url) => write!(f, "the value set {url} nests others too deeply, or too many"),
            Self::Filter(what) => write!(f, "the filter {what} cannot be decided"),
            Self::Grammar(url) => write!(f, "the grammar of {url} is known only in part"),
        }
    }
}

/// A ValueSet, as far as its members are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueSet {
    /// Canonical URL, without a version.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// What is in it.
    pub include: Vec<ConceptSet>,
    /// What is not in it, though included.
    pub exclude: Vec<ConceptSet>,
}

/// `ValueSet.compose.include` or `exclude`: concepts of the system that fulfil all that is said, and are in all of
/// the value sets. An expansion without a compose is read as an include for each of its systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConceptSet {
    /// The code system.
    pub system: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// These codes; all where neither codes nor filters are given.
    pub concepts: Vec<String>,
    /// What concepts fulfil, all together.
    pub filters: Vec<Filter>,
    /// Canonicals of value sets, all of which hold the concepts.
    pub value_sets: Vec<String>,
}

/// `ValueSet.compose.include.filter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `concept`, or a property of the code system.
    pub property: String,
    /// `is-a`, `descendent-of`, `=`, `in`, `regex` and so on.
    pub op: String,
    /// A code, or what the operation takes.
    pub value: String,
}

/// A CodeSystem, as far as its codes are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeSystem {
    /// Canonical URL, without a version: what `Coding.system` says.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// How much of it is here.
    pub content: Content,
    /// Do codes differ that differ only in case? Unless it says no, they do.
    pub case_sensitive: bool,
    /// Its concepts, parents before their children.
    pub concepts: Vec<Concept>,
}

/// `CodeSystem.content`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "R4 documents them; the names are theirs")]
pub enum Content {
    NotPresent,
    Example,
    Fragment,
    #[default]
    Complete,
    Supplement,
}

/// `CodeSystem.concept`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concept {
    /// Its code.
    pub code: String,
    /// Indexes of the concepts that it is below of.
    pub parents: Vec<u32>,
    /// Properties and their values as text; `parent` and `child` are in [`Concept::parents`] instead.
    pub properties: Vec<(String, String)>,
}
