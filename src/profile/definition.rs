//! What a StructureDefinition says, as far as a validator needs it (R4 5.3 StructureDefinition, 2.27 ElementDefinition).
//!
//! The base types of R4, the elements of a differential and those of a snapshot are all this one vocabulary:
//! packages are read into it, snapshots are made in it, and programs are compiled from it. Prose, mappings and
//! display text are not held.

use serde::Deserialize;
use serde_json::Value;

mod read;

pub use self::read::resource_type;

/// A structure: a base type, a profile of one, an extension.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Canonical URL, without a version.
    pub url: String,
    /// Business version.
    pub version: Option<String>,
    /// The name for machines.
    pub name: String,
    /// The type that is described: `Patient`, `HumanName`, `Extension`.
    pub type_name: String,
    /// What it is.
    pub kind: Kind,
    /// Abstract types have no instances of their own.
    pub is_abstract: bool,
    /// A new type, or constraints on another.
    pub derivation: Derivation,
    /// `baseDefinition`, perhaps with a version; none for Element and Resource.
    pub base: Option<String>,
    /// Where an extension may be used.
    pub contexts: Vec<Context>,
    /// FHIRPath that must hold where an extension is used.
    pub context_invariants: Vec<String>,
    /// The elements; the root is the first. Empty where the definition has no such list.
    pub snapshot: Vec<Element>,
    /// What differs from the base.
    pub differential: Vec<Element>,
}

/// `StructureDefinition.kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "R4 documents them; the names are theirs")]
pub enum Kind {
    PrimitiveType,
    ComplexType,
    Resource,
    Logical,
}

/// `StructureDefinition.derivation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "R4 documents them; the names are theirs")]
pub enum Derivation {
    Specialization,
    Constraint,
}

/// `StructureDefinition.context`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Context {
    /// `fhirpath`, `element` or `extension`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The path, element or URL.
    pub expression: String,
}

/// What an element whose name ends in its type holds: the type's suffix (`CodeableConcept`) and the value. Few elements
/// have one, so it is kept apart.
pub type Prescribed = Box<(String, Value)>;

/// One ElementDefinition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// Unique within the definition: `Patient.identifier:nhsNumber.system`.
    pub id: String,
    /// Path without slice names: `Patient.identifier.system`.
    pub path: String,
    /// The slice that this element is.
    pub slice_name: Option<String>,
    /// How the element is cut into slices.
    pub slicing: Option<Slicing>,
    /// Fewest occurrences.
    pub min: Option<u32>,
    /// Most occurrences.
    pub max: Option<Max>,
    /// `base.max` of a snapshot: more than one means an array in JSON, whatever a profile narrows it to.
    pub base_max: Option<Max>,
    /// `base.path` of a snapshot: where the element was first defined.
    pub base_path: Option<String>,
    /// `#` and the id of the element whose content is this one's too.
    pub content_reference: Option<String>,
    /// Allowed types.
    pub types: Vec<TypeRef>,
    /// `fixed[x]`: the exact value.
    pub fixed: Option<Prescribed>,
    /// `pattern[x]`: the least that must be there.
    pub pattern: Option<Prescribed>,
    /// `minValue[x]`.
    pub min_value: Option<Prescribed>,
    /// `maxValue[x]`.
    pub max_value: Option<Prescribed>,
    /// Longest string, in characters.
    pub max_length: Option<u32>,
    /// Invariants.
    pub constraints: Vec<Constraint>,
    /// Must be supported by implementations; nothing is validated by it.
    pub must_support: Option<bool>,
    /// May change the meaning of what holds it.
    pub is_modifier: Option<bool>,
    /// Value set and strength.
    pub binding: Option<Binding>,
    /// What extensions ask of the content.
    pub controls: Option<Box<Controls>>,
}

/// What extensions of an ElementDefinition ask of the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    /// `narrative-source-control`: how bad it is if a text of the narrative does not say where it is from.
    pub sources: Option<String>,
    /// `narrative-language-control`: `_no` sections by language, `_yes`, one of the `_resource`'s language, or of these.
    pub languages: Vec<String>,
    /// `valueAlternatives`: extensions of which one must be there where the value is not.
    pub alternatives: Vec<String>,
}

/// `ElementDefinition.max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Max {
    /// That many.
    Count(u32),
    /// `*`.
    Many,
}

/// `ElementDefinition.slicing`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slicing {
    /// What tells slices apart, all together.
    pub discriminators: Vec<Discriminator>,
    /// In the order of their definition?
    pub ordered: bool,
    /// May there be others?
    pub rules: SlicingRules,
}

/// `ElementDefinition.slicing.discriminator`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Discriminator {
    /// `value`, `exists`, `pattern`, `type`, `profile`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A FHIRPath subset: `$this`, `url`, `code.coding.system`, `resolve()`, `extension('…').value`, `ofType(…)`.
    pub path: String,
}

/// `ElementDefinition.slicing.rules`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SlicingRules {
    /// Only the slices.
    Closed,
    /// Others may stand anywhere.
    #[default]
    Open,
    /// Others may stand after the slices.
    OpenAtEnd,
}

/// `ElementDefinition.type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeRef {
    /// A type name; FHIRPath's System types (in `id` and `value` of primitives) as the FHIR type that the
    /// `structuredefinition-fhir-type` extension gives, or `System.String` and so on where it gives none.
    pub code: String,
    /// Profiles of that type, one of which must hold; `url#id` is the element of this id in a profile.
    pub profiles: Vec<String>,
    /// Profiles of what a reference or canonical points to, one of which must hold.
    pub target_profiles: Vec<String>,
    /// `contained`, `referenced`, `bundled`.
    pub aggregation: Vec<String>,
    /// `either`, `independent`, `specific`.
    pub versioning: Option<String>,
}

/// `ElementDefinition.constraint`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraint {
    /// Its key, such as `dom-3`.
    pub key: String,
    /// Error, or warning?
    pub is_error: bool,
    /// FHIRPath; without one nothing can be checked.
    pub expression: Option<String>,
    /// Where it was first defined.
    pub source: Option<String>,
}

/// `ElementDefinition.binding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// How binding it is.
    pub strength: Strength,
    /// The value set's canonical, perhaps with a version.
    pub value_set: Option<String>,
    /// The value set of the `elementdefinition-maxValueSet` extension.
    pub max_value_set: Option<String>,
}

/// `ElementDefinition.binding.strength`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "R4 documents them; the names are theirs")]
pub enum Strength {
    Required,
    Extensible,
    Preferred,
    Example,
}
