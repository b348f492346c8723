//! Referrals and validation requests: BaRS `ServiceRequest`, HL7 v2 `REF`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::identifier::{AppointmentId, Coding, Identifier, OdsCode, PatientId, ReferralId, ServiceId, Ubrn};
use super::pathway::Pathway;

/// A request that a service take on a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// This gateway's id, given back to the sender as `ServiceRequest.id`.
    pub id: ReferralId,
    /// Whose it is.
    pub patient: PatientId,
    /// To whom.
    pub service: ServiceId,
    /// A transfer of care, or a request to validate a triage outcome.
    pub category: Category,
    /// BaRS use case, lower case (`a1t1`).
    pub use_case: String,
    /// Where it stands.
    pub status: ReferralStatus,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// When the referrer wrote it.
    pub authored_on: Option<Timestamp>,
    /// When this gateway received it.
    pub received_at: Timestamp,
    /// The time within which it should happen (`occurrencePeriod`): start and end.
    pub occurrence: (Option<Timestamp>, Option<Timestamp>),
    /// Why, in codes.
    pub reasons: Vec<Coding>,
    /// Why, in words.
    pub reason_text: Option<String>,
    /// What the patient was told.
    pub patient_instruction: Option<String>,
    /// Who asks.
    pub requester: Party,
    /// Unique booking reference number, where there is one.
    pub ubrn: Option<Ubrn>,
    /// Business identifiers that others gave it.
    pub identifiers: Vec<Identifier>,
    /// The receiver's own human-readable case reference.
    pub case_reference: String,
    /// Referrals that this one follows from.
    pub based_on: Vec<ReferralId>,
    /// Referrals that this one takes the place of.
    pub replaces: Vec<ReferralId>,
    /// The booking that the sender says belongs to it, verified or not.
    pub linked_appointment: Option<AppointmentId>,
    /// The pathway and its clock.
    pub pathway: Pathway,
    /// What the service answered last (validation outcome, rejection, did not attend).
    pub response: Option<ResponseKind>,
    /// Where it came from and how to answer.
    pub origin: Origin,
}

/// BaRS `message-category-servicerequest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Transfer of care.
    Referral,
    /// Second opinion on a triage outcome.
    Validation,
}

impl Category {
    /// The BaRS code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Referral => "referral",
            Self::Validation => "validation",
        }
    }
}

/// Where a referral stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferralStatus {
    /// A booking came first; its referral is still to come. So no appointment is ever without one.
    Awaited,
    /// Live.
    Active,
    /// Live, but nothing is to be done now.
    OnHold,
    /// Withdrawn: it was right and is no longer wanted.
    Revoked,
    /// Withdrawn: it should never have been.
    EnteredInError,
    /// Done.
    Completed,
}

impl ReferralStatus {
    /// All of them, for tests of whole tables.
    pub const ALL: [Self; 6] =
        [Self::Awaited, Self::Active, Self::OnHold, Self::Revoked, Self::EnteredInError, Self::Completed];

    /// Can still be acted on, and so must be on a worklist.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Awaited | Self::Active | Self::OnHold)
    }

    /// The FHIR RequestStatus; an awaited referral is a draft.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awaited => "draft",
            Self::Active => "active",
            Self::OnHold => "on-hold",
            Self::Revoked => "revoked",
            Self::EnteredInError => "entered-in-error",
            Self::Completed => "completed",
        }
    }
}

/// FHIR RequestPriority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Priority {
    Routine,
    Urgent,
    Asap,
    Stat,
}

/// An organisation and perhaps a person.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Organisation.
    pub organisation: Option<OdsCode>,
    /// Its name.
    pub organisation_name: Option<String>,
    /// The practitioner's identifier (SDS, GMC …).
    pub practitioner: Option<Identifier>,
    /// The practitioner's family and given name.
    pub practitioner_name: Option<(String, String)>,
}

impl std::fmt::Debug for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Party({:?})", self.organisation)
    }
}

/// The message that made it what it is, so that answers find their way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// `X-Correlation-Id`: the conversation.
    pub correlation: String,
    /// `Bundle.id` of the last message about it from the sender.
    pub bundle: String,
    /// `MessageHeader.source.endpoint`: where responses are to go.
    pub reply_to: String,
    /// `meta.lastUpdated` of the request or booking itself, for "is this older than what we hold?".
    #[serde(default)]
    pub last_updated: Option<Timestamp>,
}

/// What the service said about a referral or validation request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResponseKind {
    /// Work has started.
    Started,
    /// It will not be taken on.
    Rejected,
    /// Taken on; planned.
    Planned,
    /// Finished: nothing more to do.
    FinishedNoAction,
    /// Finished: the requester is to act.
    FinishedAct,
    /// The patient did not attend.
    DidNotAttend,
}

/// The list on which staff find it. Every live referral is on one: this function is total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worklist {
    /// Referral received, nothing booked.
    ToBook,
    /// Booked; the referral itself has not come.
    AwaitingReferral,
    /// Referral and booking are both here.
    Booked,
    /// Validation to be done.
    ToValidate,
    /// Validation being done.
    Validating,
    /// On hold.
    OnHold,
    /// The sender links it to a booking that is not held here: somebody must look.
    LinkToCheck,
    /// Answered; the sender's side has to close it.
    Answered,
}

impl Worklist {
    /// The name in tables and on pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToBook => "to-book",
            Self::AwaitingReferral => "awaiting-referral",
            Self::Booked => "booked",
            Self::ToValidate => "to-validate",
            Self::Validating => "validating",
            Self::OnHold => "on-hold",
            Self::LinkToCheck => "link-to-check",
            Self::Answered => "answered",
        }
    }
}

impl Referral {
    /// All numbers that it goes by outside of here.
    pub fn numbers(&self) -> impl Iterator<Item = Identifier> {
        self.ubrn.iter().map(Identifier::from).chain(self.identifiers.iter().cloned())
    }

    /// Do booking references tell these two apart? Each is given out for one referral, by somebody who looked.
    pub fn is_told_apart_from(&self, other: &Self) -> bool {
        self.ubrn.as_ref().zip(other.ubrn.as_ref()).is_some_and(|(own, other)| own != other)
    }

    /// The worklist that it is on; `None` only when it is no longer live.
    /// `appointment` is its current appointment, if it has one.
    pub fn worklist(&self, appointment: Option<AppointmentId>) -> Option<Worklist> {
        let list = match (self.status, self.category) {
            (ReferralStatus::Revoked | ReferralStatus::EnteredInError | ReferralStatus::Completed, _) => return None,
            (ReferralStatus::Awaited, _) => Worklist::AwaitingReferral,
            (ReferralStatus::OnHold, _) => Worklist::OnHold,
            (ReferralStatus::Active, Category::Validation) => match self.response {
                None | Some(ResponseKind::Planned) => Worklist::ToValidate,
                Some(ResponseKind::Started) => Worklist::Validating,
                Some(_) => Worklist::Answered,
            },
            (ReferralStatus::Active, Category::Referral) => match (self.linked_appointment, appointment) {
                (Some(said), held) if held != Some(said) => Worklist::LinkToCheck,
                (_, Some(_)) => Worklist::Booked,
                (_, None) if self.response.is_some() => Worklist::Answered,
                (_, None) => Worklist::ToBook,
            },
        };
        Some(list)
    }
}
