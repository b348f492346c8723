//! Slots of a diary.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identifier::{ServiceId, SlotId};

/// Time that can be booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The diary's id.
    pub id: SlotId,
    /// The diary (`Schedule.id`) that it is in.
    pub schedule: String,
    /// The services whose diary that is.
    pub services: Vec<ServiceId>,
    /// First instant.
    pub start: Timestamp,
    /// Last instant, exclusive.
    pub end: Timestamp,
    /// Can it be booked?
    pub status: SlotStatus,
}

/// FHIR SlotStatus, as far as a diary uses it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotStatus {
    /// On offer.
    Free,
    /// Sold.
    Busy,
    /// Never on offer.
    BusyUnavailable,
}

impl SlotStatus {
    /// The FHIR code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Busy => "busy",
            Self::BusyUnavailable => "busy-unavailable",
        }
    }
}
