//! The internal booking model and the rules of the field.
//!
//! Pure: no clock, no randomness, no environment, no input or output. Ids and the time come in with
//! the command. Nothing here knows FHIR, HL7 or HTTP. `serde` is here only so that the store can keep
//! a record whole.

pub mod appointment;
pub mod identifier;
pub mod nhs_number;
pub mod pathway;
pub mod patient;
pub mod referral;
pub mod service;
pub mod slot;

pub mod command;
pub mod decide;
pub mod decision;
pub mod duplicate;
pub mod feed;
pub mod index;
pub mod person;
