//! A value set as it is asked: sorted tables, shared where a whole code system is included.

use std::borrow::Cow;
use std::sync::Arc;

use super::grammar::Grammar;
use super::{CodeSystem, ConceptSet, Content, Membership, Reason, ValueSet, filter};

/// A value set of more clauses, nested ones counted as often as they are reached, is not nested into another.
const WEIGHT_MAX: usize = 10_000;
/// Deepest nesting of value sets.
const DEPTH_MAX: usize = 32;

/// What there is to compile from.
pub trait Known {
    /// The value set of a canonical, compiled; `path` are the canonicals that led there.
    fn codes(&self, canonical: &str, path: &[&str]) -> Result<Arc<Codes>, Reason>;
    /// The code system of a canonical.
    fn code_system(&self, canonical: &str) -> Option<&CodeSystem>;
    /// All codes of the code system of a canonical.
    fn table(&self, canonical: &str) -> Option<Arc<Table>>;
}

/// A compiled value set.
#[derive(Debug)]
pub struct Codes {
    include: Box<[Clause]>,
    exclude: Box<[Clause]>,
    /// Why some questions will not be answered, here or in nested sets.
    unchecked: Box<[Reason]>,
    /// How many clauses a question may have to look at.
    weight: usize,
}

/// One include or exclude: the part of the system, and all of the value sets.
#[derive(Debug)]
struct Clause {
    part: Option<SystemPart>,
    value_sets: Box<[Result<Arc<Codes>, Reason>]>,
}

#[derive(Debug)]
struct SystemPart {
    system: Box<str>,
    version: Option<Box<str>>,
    codes: Part,
}

/// Which codes of a system.
#[derive(Debug)]
enum Part {
    Listed(Arc<Table>),
    Grammar(Grammar),
    NotChecked(Reason),
}

/// Sorted codes of one code system.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    codes: Box<[Box<str>]>,
    case_sensitive: bool,
}

impl Table {
    /// Sorts codes; those of a system that does not mind case are held in lower case.
    pub fn new<'c>(codes: impl Iterator<Item = &'c str>, case_sensitive: bool) -> Self {
        let mut codes: Vec<Box<str>> = codes.map(|code| folded(code, case_sensitive).into()).collect();
        codes.sort_unstable();
        codes.dedup();
        Self { codes: codes.into_boxed_slice(), case_sensitive }
    }

    /// Is it one of them?
    pub fn has(&self, code: &str) -> bool {
        let code = folded(code, self.case_sensitive);
        self.codes.binary_search_by(|own| own.as_ref().cmp(&code)).is_ok()
    }

    /// All of them, sorted.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.codes.iter().map(AsRef::as_ref)
    }
}

fn folded(code: &str, case_sensitive: bool) -> Cow<'_, str> {
    if case_sensitive { Cow::Borrowed(code) } else { Cow::Owned(code.to_lowercase()) }
}

impl Codes {
    /// Compiles a value set; `path` are the canonicals that led there, its own last.
    pub fn compile(set: &ValueSet, known: &dyn Known, path: &[&str]) -> Self {
        let clauses = |sets: &[ConceptSet]| -> Box<[Clause]> {
            sets.iter().map(|set| Clause::compile(set, known, path)).collect()
        };
        let (include, exclude) = (clauses(&set.include), clauses(&set.exclude));
        let all = || include.iter().chain(&exclude);
        let mut unchecked: Vec<Reason> = all().flat_map(Clause::unchecked).cloned().collect();
        unchecked.sort();
        unchecked.dedup();
        let weight = all().map(Clause::weight).fold(0, usize::saturating_add);
        Self { unchecked: unchecked.into(), weight, include, exclude }
    }

    /// Is this code of this system a member?
    pub fn has(&self, system: &str, version: Option<&str>, code: &str) -> Membership {
        self.ask(&|clause| clause.has(system, version, code))
    }

    /// Is this code of any of its systems a member? For elements of type `code`, `uri` or `string`.
    pub fn has_code(&self, code: &str) -> Membership {
        self.ask(&|clause| clause.has_code(code))
    }

    fn ask(&self, question: &dyn Fn(&Clause) -> Membership) -> Membership {
        let included = any(self.include.iter().map(question));
        if included == Membership::NotMember || self.exclude.is_empty() {
            return included;
        }
        match any(self.exclude.iter().map(question)) {
            Membership::Member => Membership::NotMember,
            Membership::NotMember => included,
            open => open,
        }
    }

    /// Why some questions will not be answered.
    pub fn unchecked(&self) -> &[Reason] {
        &self.unchecked
    }

    /// Its members as (system, code), where they can all be listed and nothing is excluded.
    pub fn members(&self) -> Option<Vec<(&str, &str)>> {
        if !self.exclude.is_empty() {
            return None;
        }
        let lists = self.include.iter().map(Clause::members).collect::<Option<Vec<_>>>()?;
        let mut members: Vec<_> = lists.into_iter().flatten().collect();
        members.sort_unstable();
        members.dedup();
        Some(members)
    }
}

/// Member where one says so; else open where one is.
fn any(answers: impl Iterator<Item = Membership>) -> Membership {
    let mut found = Membership::NotMember;
    for answer in answers {
        match answer {
            Membership::Member => return Membership::Member,
            Membership::NotMember => {}
            open if found == Membership::NotMember => found = open,
            Membership::NotChecked(_) => {}
        }
    }
    found
}

/// Not a member where one says so; else open where one is.
fn all(answers: impl Iterator<Item = Membership>) -> Membership {
    let mut found = Membership::Member;
    for answer in answers {
        match answer {
            Membership::NotMember => return Membership::NotMember,
            Membership::Member => {}
            open => found = open,
        }
    }
    found
}

impl Clause {
    fn compile(set: &ConceptSet, known: &dyn Known, path: &[&str]) -> Self {
        let nested = |canonical: &String| match path.contains(&canonical.as_str()) {
            true => Err(Reason::ValueSetCycle(canonical.as_str().into())),
            false if DEPTH_MAX < path.len() => Err(Reason::ValueSetTooLarge(canonical.as_str().into())),
            false => match known.codes(canonical, path)? {
                codes if WEIGHT_MAX < codes.weight => Err(Reason::ValueSetTooLarge(canonical.as_str().into())),
                codes => Ok(codes),
            },
        };
        Self {
            part: set.system.as_deref().map(|system| SystemPart::compile(system, set, known)),
            value_sets: set.value_sets.iter().map(nested).collect(),
        }
    }

    fn has(&self, system: &str, version: Option<&str>, code: &str) -> Membership {
        let part = self.part.iter().map(|part| part.has(system, version, code));
        all(part.chain(self.value_sets.iter().map(|set| nested(set, |codes| codes.has(system, version, code)))))
    }

    fn has_code(&self, code: &str) -> Membership {
        let part = self.part.iter().map(|part| part.codes.has(code));
        all(part.chain(self.value_sets.iter().map(|set| nested(set, |codes| codes.has_code(code)))))
    }

    fn unchecked(&self) -> Vec<&Reason> {
        let own = self.part.iter().filter_map(|part| match &part.codes {
            Part::NotChecked(reason) => Some(reason),
            _ => None,
        });
        let nested = self.value_sets.iter().flat_map(|set| match set {
            Ok(codes) => codes.unchecked.iter().collect(),
            Err(reason) => vec![reason],
        });
        own.chain(nested).collect()
    }

    fn weight(&self) -> usize {
        let nested = self.value_sets.iter().filter_map(|set| set.as_ref().ok());
        nested.map(|codes| codes.weight).fold(1, usize::saturating_add)
    }

    fn members(&self) -> Option<Vec<(&str, &str)>> {
        match (&self.part, self.value_sets.as_ref()) {
            (Some(part), []) => part.members(),
            (None, [Ok(only)]) => only.members(),
            _ => None,
        }
    }
}

fn nested(set: &Result<Arc<Codes>, Reason>, ask: impl Fn(&Codes) -> Membership) -> Membership {
    match set {
        Ok(codes) => ask(codes),
        Err(reason) => Membership::NotChecked(reason.clone()),
    }
}

impl SystemPart {
    fn compile(system: &str, set: &ConceptSet, known: &dyn Known) -> Self {
        let canonical = match &set.version {
            Some(version) => format!("{system}|{version}"),
            None => system.to_owned(),
        };
        let loaded = known.code_system(&canonical);
        let codes = Part::compile(system, &canonical, set, loaded, known);
        let version = set.version.as_deref().or_else(|| loaded?.version.as_deref());
        Self { system: system.into(), version: version.map(Into::into), codes }
    }

    fn has(&self, system: &str, version: Option<&str>, code: &str) -> Membership {
        if system != &*self.system {
            return Membership::NotMember;
        }
        match (version, self.version.as_deref()) {
            (Some(asked), Some(own)) if asked != own => {
                Membership::NotChecked(Reason::SystemVersion(self.system.as_ref().into()))
            }
            _ => self.codes.has(code),
        }
    }

    fn members(&self) -> Option<Vec<(&str, &str)>> {
        match &self.codes {
            Part::Listed(table) if table.case_sensitive => {
                Some(table.codes().map(|code| (self.system.as_ref(), code)).collect())
            }
            _ => None,
        }
    }
}

impl Part {
    fn compile(
        system: &str,
        canonical: &str,
        set: &ConceptSet,
        loaded: Option<&CodeSystem>,
        known: &dyn Known,
    ) -> Self {
        if !set.concepts.is_empty() {
            let case_sensitive = loaded.is_none_or(|loaded| loaded.case_sensitive);
            return Self::Listed(Arc::new(Table::new(set.concepts.iter().map(String::as_str), case_sensitive)));
        }
        match (loaded, Grammar::of(system)) {
            (Some(loaded), _) if loaded.content == Content::Complete => Self::of_system(canonical, set, loaded, known),
            (_, Some(grammar)) if set.filters.is_empty() => Self::Grammar(grammar),
            (_, Some(_)) => Self::NotChecked(Reason::Filter(format!("of the grammar {system}").into())),
            (Some(_), _) => Self::NotChecked(Reason::SystemIncomplete(system.into())),
            (None, _) if set.version.is_some() && known.code_system(system).is_some() => {
                Self::NotChecked(Reason::SystemVersion(system.into()))
            }
            (None, _) => Self::NotChecked(Reason::SystemUnknown(system.into())),
        }
    }

    /// Of a code system that is here with all of its codes.
    fn of_system(canonical: &str, set: &ConceptSet, loaded: &CodeSystem, known: &dyn Known) -> Self {
        if set.filters.is_empty()
            && let Some(table) = known.table(canonical)
        {
            return Self::Listed(table);
        }
        match filter::select(loaded, &set.filters) {
            Ok(codes) => Self::Listed(Arc::new(Table::new(codes.into_iter(), loaded.case_sensitive))),
            Err(reason) => Self::NotChecked(reason),
        }
    }

    fn has(&self, code: &str) -> Membership {
        match self {
            Self::Listed(table) if table.has(code) => Membership::Member,
            Self::Listed(_) => Membership::NotMember,
            Self::Grammar(grammar) => grammar.has(code),
            Self::NotChecked(reason) => Membership::NotChecked(reason.clone()),
        }
    }
}
