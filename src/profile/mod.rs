//! Is a resource what FHIR R4 says it is?
//!
//! * [`definition`] is what a StructureDefinition says.
//! * [`facts`] is R4's own definitions as a table: elements, cardinalities, types, code lists.
//! * [`primitive`] knows the formats of R4's primitive types.
//! * [`structure`] walks a resource along the facts and finds all that is wrong with its shape.
//! * [`xml`] lends the facts to the reader and the writer of XML.
//!
//! Stored profiles, slicing, invariants and terminology build on the same facts.

pub mod definition;
pub mod facts;
pub mod primitive;
pub mod structure;
pub mod xml;
