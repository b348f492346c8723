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
    /// That a hospital said it was another patient's; not set: nobody ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Passed>,
}

/// An appointment never goes from one patient to another: whoever knows its id would read somebody else's by it. Where a
/// hospital says that it is another patient's, it ends as one that should never have been, and another one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passed {
    /// Of the first one: all that stood for it since, and which stands for it now.
    #[allow(missing_docs)]
    To { others: Vec<AppointmentId>, now: AppointmentId },
    /// Of each of these: the first one.
    From(AppointmentId),
}

impl Appointment {
    /// The appointments of other patients that it is known with.
    pub fn relatives(&self) -> &[AppointmentId] {
        match &self.passed {
            None => &[],
            Some(Passed::To { others, .. }) => others,
            Some(Passed::From(first)) => std::slice::from_ref(first),
        }
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
