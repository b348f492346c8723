//! Definitions, compiled: what a profile asks beyond R4's own shape, as a tree of small rules.
//!
//! The shape of R4 itself (which elements there are, of which types, how often) is in [`facts`](super::facts). A
//! profile is compiled into [`Rule`]s for the elements where it says more. The walk carries, with every value, the
//! few rules that apply to it: those of its base type, of the profiles that were asked for or declared, of the
//! slice that it falls into. So base and profiles are checked in one walk, and what a profile leaves alone costs
//! nothing.

use foldhash::HashMap;

use super::definition::{Controls, SlicingRules, Strength};
use super::facts::TypeId;
use super::fhirpath::Expression;
use crate::fhir::names::NameId;
use crate::fhir::tape::{Kind as Json, NodeId, Tape};

mod compile;
mod discriminator;
mod elements;
mod exact;
mod guard;

pub use self::compile::{Fault, compile};
pub use self::exact::Exact;
use self::guard::Guard;

/// Which rule, within a [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(pub(super) u32);

/// Which invariant, within a [`Program`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvariantId(pub(super) u32);

/// Which value set, in the order in which [`compile`] met them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SetId(pub(super) u32);

/// Everything that is checked, compiled once and shared.
#[derive(Debug, Default)]
pub struct Program {
    pub(super) rules: Vec<Rule>,
    pub(super) invariants: Vec<Invariant>,
    pub(super) profiles: Vec<Profile>,
    /// Profiles by `url` and by `url|version`.
    pub(super) by_url: HashMap<String, u32>,
    /// Canonicals of all value sets that are bound to.
    pub(super) value_sets: Vec<String>,
    /// What R4 itself says of its types beyond their shape, by [`TypeId`].
    pub(super) base: Vec<Option<RuleId>>,
}

/// A compiled profile or extension.
#[derive(Debug)]
pub struct Profile {
    /// Canonical URL.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// The type that it constrains.
    pub type_id: TypeId,
    /// Its root.
    pub rule: RuleId,
    /// Where an extension may be used.
    pub contexts: Vec<ExtensionContext>,
    /// FHIRPath that must hold where an extension is used.
    pub context_invariants: Vec<InvariantId>,
    /// Is it a modifier extension?
    pub is_modifier: bool,
}

/// Where an extension may be used.
#[derive(Debug)]
pub enum ExtensionContext {
    /// On this type, or this element: `Patient`, `Patient.name`, `HumanName.family`.
    Element(String),
    /// On the extension of this URL.
    Extension(String),
    /// On what this expression finds, from the resource.
    Path(Expression),
}

/// What is asked of one element.
#[derive(Debug, Default)]
pub struct Rule {
    /// The profile that asks, as an index; base types have none.
    pub(super) profile: Option<u32>,
    /// The element's id in it.
    pub(super) id: Box<str>,
    /// Fewest occurrences.
    pub(super) min: u32,
    /// Most occurrences.
    pub(super) max: u32,
    /// Allowed types, where fewer or more closely said than by R4.
    pub(super) types: Option<Box<[Alternative]>>,
    /// `fixed[x]`
    pub(super) fixed: Option<Box<Exact>>,
    /// `pattern[x]`
    pub(super) pattern: Option<Box<Exact>>,
    /// `minValue[x]` and `maxValue[x]`
    pub(super) range: Option<Box<(Option<Exact>, Option<Exact>)>>,
    /// `maxLength`
    pub(super) max_length: Option<u32>,
    /// Value set and strength.
    pub(super) binding: Option<Box<Binding>>,
    /// What extensions of the element ask of the content.
    pub(super) controls: Option<Box<Controls>>,
    /// Invariants that R4's own types do not have already.
    pub(super) invariants: Box<[InvariantId]>,
    /// Rules for the elements below.
    pub(super) children: Vec<(NameId, RuleId)>,
    /// One bit for each of their names, which some may share: most elements have no rule, and are passed by.
    mask: u64,
    /// Those of them that say something of an element that is not there.
    pub(super) needed: Box<[(NameId, RuleId)]>,
    /// The rule whose children are this one's too (`contentReference`).
    pub(super) like: Option<RuleId>,
    /// How occurrences are told apart.
    pub(super) slicing: Option<Box<Slicing>>,
}

impl Rule {
    /// Takes in the rule of an element below.
    fn put(&mut self, name: NameId, child: RuleId) {
        self.mask |= bit(name);
        self.children.push((name, child));
    }
}

/// `max` of what may repeat without limit.
pub(super) const MANY: u32 = u32::MAX;

/// An allowed type.
#[derive(Debug)]
pub(super) struct Alternative {
    pub(super) type_id: TypeId,
    /// Profiles, one of which must hold; empty for any.
    pub(super) profiles: Box<[Target]>,
    /// What a reference may point to; empty for anything.
    pub(super) targets: Box<[Target]>,
    /// `contained`, `referenced`, `bundled`; empty for any.
    pub(super) aggregation: Box<[Aggregation]>,
}

/// `ElementDefinition.type.aggregation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    Contained,
    Referenced,
    Bundled,
}

impl Aggregation {
    fn of(code: &str) -> Option<Self> {
        match code {
            "contained" => Some(Self::Contained),
            "referenced" => Some(Self::Referenced),
            "bundled" => Some(Self::Bundled),
            _ => None,
        }
    }
}

/// A profile that something must conform to.
#[derive(Debug)]
pub(super) enum Target {
    /// Anything of this base type.
    Type(TypeId),
    /// This profile, of this type.
    Profile(TypeId, RuleId),
    /// What a profile says of one of its elements.
    Element(RuleId),
    /// A profile that is not loaded: nothing can be said.
    Unknown(Box<str>),
}

impl Target {
    /// The URL of a profile that is not loaded.
    pub(super) fn missing(&self) -> Option<&str> {
        match self {
            Self::Unknown(url) => Some(url),
            _ => None,
        }
    }

    /// The rule of a profile that is loaded.
    pub(super) fn rule(&self) -> Option<RuleId> {
        match self {
            Self::Profile(_, rule) | Self::Element(rule) => Some(*rule),
            _ => None,
        }
    }
}

/// Value set and strength.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) strength: Strength,
    pub(super) url: Box<str>,
    pub(super) set: SetId,
    pub(super) max_set: Option<SetId>,
}

/// How occurrences of an element are told apart.
#[derive(Debug)]
pub(super) struct Slicing {
    pub(super) rules: SlicingRules,
    pub(super) ordered: bool,
    pub(super) slices: Vec<Slice>,
    /// May an occurrence fit more than one of them? Else the first that fits is the only one.
    pub(super) may_overlap: bool,
}

/// One kind of occurrence.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) rule: RuleId,
    /// All must hold.
    pub(super) tests: Box<[Test]>,
}

/// One discriminator, for one slice.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) steps: Box<[Step]>,
    pub(super) what: What,
}

/// One step of a discriminator's path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Child(NameId),
    Extension(Box<str>),
    OfType(TypeId),
    Resolve,
}

/// What must be found at the end of a discriminator's path.
#[derive(Debug)]
pub(super) enum What {
    Fixed(Exact),
    Pattern(Exact),
    OneOf(SetId),
    Exists(bool),
    Types(Box<[TypeId]>),
    Profiles(Box<[Target]>),
    /// Nothing tells this slice from others: it is never matched, and the load said so.
    Never,
}

/// A FHIRPath rule.
#[derive(Debug)]
pub struct Invariant {
    /// Its key, such as `dom-3`.
    pub key: Box<str>,
    /// Error, or warning?
    pub is_error: bool,
    /// Is it only good practice (R4's `elementdefinition-bestpractice`)?
    pub is_practice: bool,
    /// Is it broken too where it yields nothing, because it guards itself against all that may be absent?
    pub is_decisive: bool,
    /// What is looked at before anything is evaluated.
    guard: Option<Guard>,
    /// What is evaluated.
    pub expression: Expression,
    /// The definition that it comes from.
    pub source: Box<str>,
}

impl Invariant {
    /// Does it hold without being evaluated? `there`: the bits of the value's members.
    #[inline]
    pub(super) fn is_spared(&self, tape: &Tape<'_>, node: NodeId, there: u64) -> bool {
        self.guard.is_some_and(|guard| !guard.is_met(tape, node, there))
    }
}

impl Program {
    #[inline]
    pub(super) fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    pub(super) fn invariant(&self, id: InvariantId) -> &Invariant {
        &self.invariants[id.0 as usize]
    }

    #[inline]
    pub(super) fn base(&self, id: TypeId) -> Option<RuleId> {
        self.base.get(id.index()).copied().flatten()
    }

    /// The profile of a canonical URL, with or without a version.
    pub fn profile(&self, canonical: &str) -> Option<&Profile> {
        let exact = self.by_url.get(canonical).map(|index| &self.profiles[*index as usize]);
        exact.or_else(|| {
            // `url|0.2` means the newest 0.2.x.
            let (url, version) = canonical.split_once('|')?;
            let is_of = |own: &str| own.strip_prefix(version).is_some_and(|rest| rest.starts_with('.'));
            let found = self.profiles.iter().filter(|it| it.url == url && it.version.as_deref().is_some_and(is_of));
            found.max_by(|one, other| one.version.cmp(&other.version))
        })
    }

    /// The definition of an extension, by its place in [`Self::profiles`].
    pub(super) fn extension(&self, url: &str) -> Option<usize> {
        self.by_url.get(url).map(|index| *index as usize)
    }

    /// Does a rule's element of this name have a slice that is told by this text?
    pub(super) fn has_slice_of(&self, rule: RuleId, name: NameId, text: &str) -> bool {
        let slicing = self.child(rule, name).and_then(|child| self.rule(child).slicing.as_ref());
        let is_told = |test: &Test| matches!(&test.what, What::Fixed(exact) if exact.text() == Some(text));
        slicing.is_some_and(|slicing| slicing.slices.iter().any(|slice| slice.tests.iter().any(is_told)))
    }

    /// Canonicals of the value sets that are bound to, in the order in which a validator is given them.
    pub fn value_sets(&self) -> &[String] {
        &self.value_sets
    }

    /// All profiles and extensions.
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The rule of the element `name` below this one.
    #[inline]
    pub(super) fn child(&self, id: RuleId, name: NameId) -> Option<RuleId> {
        let rule = self.rule(id);
        if rule.mask & bit(name) == 0 {
            return None;
        }
        rule.children.iter().find(|(own, _)| *own == name).map(|(_, child)| *child)
    }

    /// The rules of the element `name` below this one, or below what it is like.
    #[inline]
    pub(super) fn children(&self, id: RuleId, name: NameId) -> impl Iterator<Item = RuleId> {
        let like = self.rule(id).like.and_then(|like| self.child(like, name));
        self.child(id, name).into_iter().chain(like)
    }

    /// Bits of the names that these rules have something below for.
    #[inline]
    pub(super) fn mask(&self, rules: &[RuleId]) -> u64 {
        rules.iter().fold(0, |mask, rule| {
            let rule = self.rule(*rule);
            mask | rule.mask | rule.like.map_or(0, |like| self.rule(like).mask)
        })
    }

    /// The rules for elements below this one, or below what it is like, that must be there or have slices that must.
    pub(super) fn needed(&self, id: RuleId) -> impl Iterator<Item = (NameId, RuleId)> {
        let rule = self.rule(id);
        let like = rule.like.map(|like| &*self.rule(like).needed).unwrap_or_default();
        rule.needed.iter().chain(like).copied()
    }

    /// When all rules are there.
    fn finish(&mut self) {
        for at in 0..self.rules.len() {
            let children = &self.rules[at].children;
            let is_needed = |(_, child): &&(NameId, RuleId)| {
                let child = self.rule(*child);
                0 < child.min || child.slicing.is_some()
            };
            self.rules[at].needed = children.iter().filter(is_needed).copied().collect();
        }
    }

    /// The canonical URL of the definition that a rule is from.
    pub(super) fn source(&self, id: RuleId) -> &str {
        let profile = self.rule(id).profile;
        profile.map_or("http://hl7.org/fhir/StructureDefinition", |index| &self.profiles[index as usize].url)
    }
}

/// The bit of a name in a [`Program::mask`].
#[inline]
pub(super) fn bit(name: NameId) -> u64 {
    1 << (name.index() % 64)
}

/// The bits of all members of a value; of what is no object nothing is known.
pub(super) fn members(tape: &Tape<'_>, node: NodeId) -> u64 {
    match tape.kind(node) {
        Json::Object => tape.children(node).fold(0, |mask, child| mask | bit(tape.name(child).plain())),
        _ => u64::MAX,
    }
}
