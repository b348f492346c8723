//! The BaRS dialect (NHS Booking and Referral Standard, Core 1.5.0): messages and headers to commands
//! and replies. What the standard decides stands in three tables: [`workflow`], [`definitions`] and
//! [`use_cases`]; everything else follows from them.

pub mod definitions;
pub mod necessity;
pub mod systems;
pub mod use_cases;
pub mod workflow;

pub mod appointment;
pub mod check;
pub mod diary;
pub mod headers;
#[cfg(test)]
mod identity;
pub mod negotiate;
pub mod outcome;
pub mod patient;
pub mod person;
pub mod request;
pub mod translate;

pub mod capability;
pub mod reply;
pub mod report;
pub mod search;
pub mod telling;
