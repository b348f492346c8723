//! Appointments: BaRS `Appointment`, HL7 v2 `SIU`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId, SlotId};
use super::referral::Origin;

/// A time at which a patient is expected. It always hangs on a referral of the same patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appointment {
    /// This gateway's id, given back to the sender as `Appointment.id`.
    pub id: AppointmentId,
    /// The referral that it is for.
    pub referral: ReferralId,
    /// Who is expected.
    pub patient: PatientId,
    /// Where.
    pub service: ServiceId,
    /// The slot that it takes up, while it is current.
    pub slot: Option<SlotId>,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// First instant.
    pub start: Timestamp,
    /// Last instant, exclusive.
    pub end: Timestamp,
    /// When it was booked.
    pub created: Timestamp,
    /// BaRS use case, lower case.
    pub use_case: String,
    /// Why, in words.
    pub description: Option<String>,
    /// Why it was cancelled, in words.
    pub cancel_reason: Option<String>,
    /// Business identifiers that others gave it.
    pub identifiers: Vec<Identifier>,
    /// Where it came from and how to answer.
    pub origin: Origin,
    /// Whom a referrer made it for, should it have turned out to be somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<MadeFor>,
}

/// For whom a referrer made a booking: the referrer hears of it while it is theirs, and never of anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFor {
    /// Whose it was.
    pub patient: PatientId,
    /// The referral that it hung on: what the referrer is told of the booking goes in the order of that one's letters.
    pub referral: ReferralId,
}

impl Appointment {
    /// The same as somebody's whose it turned out to be.
    pub fn passed_to(self, patient: PatientId) -> Self {
        let leaves = self.patient != patient && !self.origin.reply_to.is_empty();
        let made = leaves.then_some(MadeFor { patient: self.patient, referral: self.referral });
        Self { patient, made_for: self.made_for.or(made), ..self }
    }
}

/// Where an appointment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppointmentStatus {
    /// The patient is expected.
    Booked,
    /// The patient is here.
    Arrived,
    /// Seen.
    Fulfilled,
    /// Cancelled: it was right and is no longer wanted.
    Cancelled,
    /// The patient did not come.
    NoShow,
    /// Cancelled: it should never have been.
    EnteredInError,
}

impl AppointmentStatus {
    /// All of them, for tests of whole tables.
    pub const ALL: [Self; 6] =
        [Self::Booked, Self::Arrived, Self::Fulfilled, Self::Cancelled, Self::NoShow, Self::EnteredInError];

    /// Takes up its slot, and its referral's one place for an appointment.
    pub fn is_current(self) -> bool {
        matches!(self, Self::Booked | Self::Arrived)
    }

    /// May it say why? (FHIR R4, app-4.)
    pub fn has_reason(self) -> bool {
        self == Self::Cancelled
    }

    /// The FHIR AppointmentStatus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Arrived => "arrived",
            Self::Fulfilled => "fulfilled",
            Self::Cancelled => "cancelled",
            Self::NoShow => "noshow",
            Self::EnteredInError => "entered-in-error",
        }
    }
}
