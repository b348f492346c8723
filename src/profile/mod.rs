//! Is a resource what FHIR R4 says it is?
//!
//! * [`base`] is what R4 itself defines, as definitions; [`definition`] is what a StructureDefinition says.
//! * [`library`] compiles a set of definitions; [`current`] holds the one in force and replaces it.
//! * [`facts`] is R4's own definitions as a table: elements, cardinalities, types, code lists.
//! * [`package`] loads definitions, value sets and code systems, with all versions side by side.
//! * [`primitive`] knows the formats of R4's primitive types.
//! * [`fhirpath`] asks invariants; [`xhtml`] checks narratives.
//! * [`questionnaire`] is what a Questionnaire asks.
//! * [`schema`] writes a profile as a JSON Schema.
//! * [`shipped`] is the packages that are part of this program.
//! * [`snapshot`] makes what a definition says of every element, from what it changes.
//! * [`terminology`] says whether a code is a member of a value set.
//! * [`xml`] lends the facts to the reader and the writer of XML.
//!
//! Stored profiles, slicing, invariants and terminology build on the same facts.

pub mod base;
pub mod definition;
pub mod facts;
pub mod fhirpath;
pub mod package;
pub mod primitive;
pub mod program;
pub mod questionnaire;
pub mod schema;
pub mod shipped;
pub mod snapshot;
pub mod terminology;
pub mod validate;
pub mod xhtml;
pub mod xml;

pub mod current;
pub mod library;
pub mod policy;
