//! Onward: a referral gateway.

pub mod issue;

pub mod booking;
pub mod fhir;
pub mod hl7v2;
pub mod profile;

pub mod bars;
pub mod pas;

pub mod config;
pub mod telemetry;
pub mod tls;
pub mod store;

pub mod outbox;

pub mod intake;
pub mod http;
pub mod mllp;
pub mod status;

pub mod load;

pub mod app;
pub mod cli;
