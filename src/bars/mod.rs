//! The BaRS dialect (NHS Booking and Referral Standard, Core 1.5.0): messages and headers to commands
//! and replies. What the standard decides stands in three tables: [`workflow`], [`definitions`] and
//! [`use_cases`]; everything else follows from them.

pub mod systems;
pub mod use_cases;
pub mod definitions;
pub mod workflow;

pub mod outcome;
pub mod headers;
pub mod negotiate;
pub mod check;
pub mod translate;
pub mod patient;
pub mod request;
pub mod appointment;
pub mod diary;

pub mod reply;
pub mod search;
pub mod capability;
pub mod report;
