//! The services that this gateway acts for.

use serde::{Deserialize, Serialize};

use super::identifier::{OdsCode, ServiceId};

/// A service that referrals and bookings are sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Directory of Services id.
    pub id: ServiceId,
    /// What it is called.
    pub name: String,
    /// The organisation that provides it.
    pub organisation: OdsCode,
    /// Use cases that it takes (`usecases-categories-bars`, lower case); empty: all.
    pub use_cases: Vec<String>,
    /// Treatment function code, three digits, where it has one.
    pub treatment_function: Option<String>,
    /// The destination that its messages are delivered to; none: kept here only.
    pub destination: Option<String>,
    /// No longer takes anything.
    pub closed: bool,
}
