//! The patient pathway that a referral belongs to, and its waiting-time clock.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::identifier::OdsCode;

/// A PATIENT PATHWAY IDENTIFIER: twenty characters and who issued them. Both are kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PathwayId {
    /// Issuing organisation; `X09` for pathways named after a UBRN.
    pub issuer: OdsCode,
    /// The identifier.
    pub value: String,
}

/// A pathway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pathway {
    /// Its identifier, where somebody issued one.
    pub id: Option<PathwayId>,
    /// The day on which the waiting-time clock started. Nothing but a rule of the waiting-time
    /// standard changes it once it is set.
    pub clock_start: Option<Date>,
}
