//! What somebody wants done. Every dialect is translated into this one vocabulary; nothing after it
//! knows FHIR, HL7 or HTTP.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::appointment::{Appointment, AppointmentStatus};
use super::duplicate::TwinNeeds;
use super::feed::{Event, FeedNeeds};
use super::identifier::{AppointmentId, PatientId, ReferralId, ServiceId, SlotId};
use super::index::{IndexNeeds, Wish};
use super::nhs_number::NhsNumber;
use super::patient::Demographics;
use super::referral::{Category, Origin, Referral, ReferralStatus, ResponseKind};
use super::service::Service;
use super::slot::Slot;

/// A wish.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one per message, and it travels in a box")]
pub enum Command {
    /// Take on a patient, or validate a triage outcome.
    PlaceReferral(PlaceReferral),
    /// The same referral, with other content.
    AmendReferral(AmendReferral),
    /// No longer wanted, or never right.
    CancelReferral(CancelReferral),
    /// What the service says about a referral.
    RecordResponse(RecordResponse),
    /// Take a slot for a patient.
    Book(Book),
    /// The same booking, with other content but the same time.
    AmendBooking(AmendBooking),
    /// The same booking in another slot.
    Reschedule(Reschedule),
    /// No longer wanted, or never right.
    CancelBooking(CancelBooking),
    /// A diary: services, schedules and slots.
    PublishSlots(PublishSlots),
    /// A person decided that a message will not be applied: nothing follows from it.
    Skip,
    /// What a hospital's own system says.
    Feed(Box<Event>),
    /// Records are linked or parted, or an entry of the worklist is decided.
    Index(Box<super::index::Command>),
}

/// Who a command is about, as its sender sees it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The id of the record to make, should none be found: a fresh one.
    pub candidate: PatientId,
    /// Only where the sender says that it is verified and it passes every check of the environment.
    pub nhs_number: Option<NhsNumber>,
    /// What is said about the person.
    pub demographics: Demographics,
}

/// The sender's own resource, kept so that what the model does not hold is carried untouched.
/// Where it names the patient it names [`Subject::candidate`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carried(pub String);

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Carried({} bytes)", self.0.len())
    }
}

/// See [`Command::PlaceReferral`].
#[derive(Clone, Debug)]
pub struct PlaceReferral {
    /// Who it is about.
    pub subject: Subject,
    /// The referral, with a fresh id and the candidate as its patient.
    pub referral: Referral,
    /// The resource as sent.
    pub carried: Carried,
}

/// See [`Command::AmendReferral`].
#[derive(Clone, Debug)]
pub struct AmendReferral {
    /// Which one.
    pub target: ReferralId,
    /// Who the sender says it is about.
    pub subject: Subject,
    /// The new content.
    pub referral: Referral,
    /// The resource as sent.
    pub carried: Carried,
}

/// See [`Command::CancelReferral`].
#[derive(Clone, Debug)]
pub struct CancelReferral {
    /// Which one.
    pub target: ReferralId,
    /// Who the sender says it is about.
    pub subject: Subject,
    /// At which service.
    pub service: ServiceId,
    /// Of which kind.
    pub category: Category,
    /// [`ReferralStatus::Revoked`] or [`ReferralStatus::EnteredInError`].
    pub status: ReferralStatus,
    /// Why, in words.
    pub reason: Option<String>,
    /// The message.
    pub origin: Origin,
}

/// See [`Command::RecordResponse`].
#[derive(Clone, Debug)]
pub struct RecordResponse {
    /// `Bundle.id` of the message that this answers.
    pub answers: String,
    /// Who the sender says it is about.
    pub subject: Subject,
    /// The service that the response was sent to.
    pub service: ServiceId,
    /// What it says.
    pub kind: ResponseKind,
    /// Why, in words.
    pub reason: Option<String>,
    /// The appointment that was not attended.
    pub appointment: Option<AppointmentId>,
    /// The message.
    pub origin: Origin,
}

/// See [`Command::Book`].
#[derive(Clone, Debug)]
pub struct Book {
    /// Who it is for.
    pub subject: Subject,
    /// The appointment, with a fresh id, the candidate as its patient and [`Book::awaited`] as its referral.
    pub appointment: Appointment,
    /// The slot to take.
    pub slot: SlotId,
    /// The referral that the sender names; none: the booking comes first.
    pub based_on: Option<ReferralId>,
    /// The referral to await when the booking comes first, with a fresh id.
    pub awaited: Referral,
    /// The resource as sent.
    pub carried: Carried,
}

/// See [`Command::AmendBooking`].
#[derive(Clone, Debug)]
pub struct AmendBooking {
    /// Which one.
    pub target: AppointmentId,
    /// Who the sender says it is for.
    pub subject: Subject,
    /// The new content.
    pub appointment: Appointment,
    /// The resource as sent.
    pub carried: Carried,
}

/// See [`Command::Reschedule`].
#[derive(Clone, Debug)]
pub struct Reschedule {
    /// Which one.
    pub target: AppointmentId,
    /// Who the sender says it is for.
    pub subject: Subject,
    /// The new content and time.
    pub appointment: Appointment,
    /// The slot to take instead.
    pub slot: SlotId,
    /// The resource as sent.
    pub carried: Carried,
}

/// See [`Command::CancelBooking`].
#[derive(Clone, Debug)]
pub struct CancelBooking {
    /// Which one.
    pub target: AppointmentId,
    /// Who the sender says it is for.
    pub subject: Subject,
    /// At which service.
    pub service: ServiceId,
    /// [`AppointmentStatus::Cancelled`] or [`AppointmentStatus::EnteredInError`].
    pub status: AppointmentStatus,
    /// The time that the sender believes it to be at.
    pub start: Option<Timestamp>,
    /// Why, in words.
    pub reason: Option<String>,
    /// The message.
    pub origin: Origin,
}

/// See [`Command::PublishSlots`].
#[derive(Clone, Debug, Default)]
pub struct PublishSlots {
    /// Services, with the resource that describes each.
    pub services: Vec<(Service, Option<Carried>)>,
    /// Schedules and whatever they refer to: resource type, id, resource.
    pub directory: Vec<(String, String, Carried)>,
    /// Slots, with the resource that describes each.
    pub slots: Vec<(Slot, Carried)>,
}

/// What must be looked up before a command can be decided.
#[derive(Clone, Debug, Default)]
pub struct Needs<'a> {
    /// The service that it is for.
    pub service: Option<&'a ServiceId>,
    /// The patient with this number.
    pub nhs_number: Option<NhsNumber>,
    /// The referral that it names.
    pub referral: Option<ReferralId>,
    /// The referral that the message with this `Bundle.id` was about.
    pub answered: Option<&'a str>,
    /// The appointment that it names.
    pub appointment: Option<AppointmentId>,
    /// The slot that it names.
    pub slot: Option<&'a SlotId>,
    /// A new message: was this `Bundle.id` used before in this conversation? (bundle, correlation)
    pub fresh_bundle: Option<(&'a str, &'a str)>,
    /// What an event of a hospital's system needs.
    pub feed: Option<FeedNeeds<'a>>,
    /// Who may be who.
    pub index: IndexNeeds<'a>,
    /// What may be there already.
    pub twins: TwinNeeds,
}

impl Command {
    /// Who it is about, where it says so.
    pub fn subject(&self) -> Option<&Subject> {
        Some(match self {
            Self::PlaceReferral(it) => &it.subject,
            Self::AmendReferral(it) => &it.subject,
            Self::CancelReferral(it) => &it.subject,
            Self::RecordResponse(it) => &it.subject,
            Self::Book(it) => &it.subject,
            Self::AmendBooking(it) => &it.subject,
            Self::Reschedule(it) => &it.subject,
            Self::CancelBooking(it) => &it.subject,
            Self::Feed(it) => return it.who.as_ref().map(|who| &who.subject),
            Self::PublishSlots(_) | Self::Skip | Self::Index(_) => return None,
        })
    }

    /// The same, to be put right.
    pub fn subject_mut(&mut self) -> Option<&mut Subject> {
        Some(match self {
            Self::PlaceReferral(it) => &mut it.subject,
            Self::AmendReferral(it) => &mut it.subject,
            Self::CancelReferral(it) => &mut it.subject,
            Self::RecordResponse(it) => &mut it.subject,
            Self::Book(it) => &mut it.subject,
            Self::AmendBooking(it) => &mut it.subject,
            Self::Reschedule(it) => &mut it.subject,
            Self::CancelBooking(it) => &mut it.subject,
            Self::Feed(it) => return it.who.as_mut().map(|who| &mut who.subject),
            Self::PublishSlots(_) | Self::Skip | Self::Index(_) => return None,
        })
    }

    /// What must be looked up to decide it.
    pub fn needs(&self) -> Needs<'_> {
        fn fresh(origin: &Origin) -> Option<(&str, &str)> {
            Some((&origin.bundle, &origin.correlation))
        }
        fn said(subject: &Subject) -> IndexNeeds<'_> {
            IndexNeeds { said: Some(subject), ..IndexNeeds::default() }
        }
        match self {
            Self::PlaceReferral(it) => Needs {
                service: Some(&it.referral.service),
                nhs_number: it.subject.nhs_number,
                appointment: it.referral.linked_appointment,
                fresh_bundle: fresh(&it.referral.origin),
                index: said(&it.subject),
                twins: TwinNeeds { numbers: it.referral.numbers().collect(), referrals: true, ..TwinNeeds::default() },
                ..Needs::default()
            },
            Self::AmendReferral(it) => Needs {
                service: Some(&it.referral.service),
                nhs_number: it.subject.nhs_number,
                referral: Some(it.target),
                ..Needs::default()
            },
            Self::CancelReferral(it) => Needs {
                service: Some(&it.service),
                nhs_number: it.subject.nhs_number,
                referral: Some(it.target),
                ..Needs::default()
            },
            Self::RecordResponse(it) => Needs {
                service: Some(&it.service),
                nhs_number: it.subject.nhs_number,
                answered: Some(&it.answers),
                appointment: it.appointment,
                ..Needs::default()
            },
            Self::Book(it) => Needs {
                service: Some(&it.appointment.service),
                nhs_number: it.subject.nhs_number,
                referral: it.based_on,
                slot: Some(&it.slot),
                fresh_bundle: fresh(&it.appointment.origin),
                index: said(&it.subject),
                twins: TwinNeeds { appointments: true, ..TwinNeeds::default() },
                ..Needs::default()
            },
            Self::AmendBooking(it) => Needs {
                service: Some(&it.appointment.service),
                nhs_number: it.subject.nhs_number,
                appointment: Some(it.target),
                ..Needs::default()
            },
            Self::Reschedule(it) => Needs {
                service: Some(&it.appointment.service),
                nhs_number: it.subject.nhs_number,
                appointment: Some(it.target),
                slot: Some(&it.slot),
                twins: TwinNeeds { appointments: true, ..TwinNeeds::default() },
                ..Needs::default()
            },
            Self::CancelBooking(it) => Needs {
                service: Some(&it.service),
                nhs_number: it.subject.nhs_number,
                appointment: Some(it.target),
                ..Needs::default()
            },
            Self::PublishSlots(_) | Self::Skip => Needs::default(),
            Self::Feed(it) => Needs {
                service: it.service(),
                nhs_number: it.who.as_ref().and_then(|who| who.subject.nhs_number),
                fresh_bundle: fresh(&it.origin),
                feed: Some(it.needs()),
                twins: it.twins(),
                index: IndexNeeds {
                    belongings: it.joins_or_parts(),
                    ..it.who.as_ref().map(|who| said(&who.subject)).unwrap_or_default()
                },
                ..Needs::default()
            },
            Self::Index(it) => Needs { index: it.needs(), ..Needs::default() },
        }
    }

    /// The command's name, for the journal.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PlaceReferral(_) => "PlaceReferral",
            Self::AmendReferral(_) => "AmendReferral",
            Self::CancelReferral(_) => "CancelReferral",
            Self::RecordResponse(_) => "RecordResponse",
            Self::Book(_) => "Book",
            Self::AmendBooking(_) => "AmendBooking",
            Self::Reschedule(_) => "Reschedule",
            Self::CancelBooking(_) => "CancelBooking",
            Self::PublishSlots(_) => "PublishSlots",
            Self::Skip => "Skip",
            Self::Feed(it) => it.name(),
            Self::Index(it) => match it.wish {
                Wish::Link { .. } => "Link",
                Wish::Part { .. } => "Part",
                Wish::Relink { .. } => "Relink",
                Wish::Renumber { .. } => "Renumber",
                Wish::Settle { .. } => "Settle",
            },
        }
    }
}
