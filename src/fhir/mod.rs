//! FHIR R4 as it travels: JSON read strictly, XML at the edge, and thin borrowed views over JSON.
//!
//! There are no typed models on purpose: what the gateway does not understand, it carries untouched, in its
//! order and with its digits (R4 2.1.0.2 "Exchanging Resources", 2.6 "JSON Representation").
//!
//! * [`json`] reads bytes and says exactly where they are not JSON; [`tape`] is what was read, as spans of the bytes,
//!   with [`names`] as numbers.
//! * [`xml`] turns the other form into JSON and back; [`form`] tells the two apart.
//! * [`path`] names places as FHIRPath, at no cost until a place has to be told.
//! * [`view`] picks elements out of a resource; [`bundle`] finds resources in a Bundle; [`document`] makes a tree of
//!   those that are looked at.
//! * [`instant`] is dates and times that keep the precision they were written with.

pub mod bundle;
pub mod document;
pub mod form;
pub mod instant;
pub mod json;
pub mod names;
pub mod path;
pub mod splice;
pub mod tape;
pub mod view;
pub mod xml;
