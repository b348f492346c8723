//! What senders want, and the messages and commands that it becomes.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::{
    Book, CancelBooking, CancelReferral, Carried, Command, PlaceReferral, PublishSlots, Reschedule, Subject,
};
use crate::booking::decision::{Decision, NoticeKind, Refusal};
use crate::booking::identifier::{AppointmentId, OdsCode, PatientId, ReferralId, ServiceId, SlotId};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::pathway::Pathway;
use crate::booking::patient::{Demographics, HumanName};
use crate::booking::referral::{Category, Origin, Party, Referral, ReferralStatus};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};
use crate::store::simulated::DESTINATION;
use crate::store::{Answer, Letter, Message, Work};

/// How many people there are; few, so that they get into each other's way.
pub(super) const PEOPLE: u64 = 4;
/// How many slots there are.
pub(super) const SLOTS: u64 = 5;

/// A wish of a sender.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Place,
    Book { slot: u64, referral: Uuid },
    Move { slot: u64, appointment: Uuid },
    CancelBooking { appointment: Uuid },
    CancelReferral { referral: Uuid },
}

/// One request, however often it is sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The ledger's key, and the name of its bundle.
    pub(super) key: String,
    pub(super) sender: usize,
    pub(super) person: u64,
    pub(super) wish: Wish,
}

/// Ids as a gateway makes them.
pub(super) type Fresh<'f> = &'f mut dyn FnMut() -> Uuid;

impl Request {
    /// The message as a gateway files it.
    pub(super) fn message(&self, id: Uuid, at: Timestamp) -> Message {
        Message {
            id,
            received_at: at,
            channel: "https",
            caller: format!("sender-{}", self.sender),
            organisation: "A81001".to_owned(),
            kind: "simulated".to_owned(),
            key: Some(self.key.clone()),
            correlation: self.key.clone(),
            bundle: self.key.clone(),
            body: self.key.clone().into_bytes(),
            issues: Vec::new(),
            feed: None,
        }
    }

    /// What is to be done with it. Each notice becomes a letter, as it does for a hospital.
    pub(super) fn work(&self, message: Uuid, at: Timestamp, fresh: Fresh<'_>) -> Work {
        let answer = move |decided: &Result<Decision, Refusal>| match decided {
            Ok(decision) => Answer { status: 200, body: None, letters: letters(message, decision) },
            Err(_) => Answer { status: 422, body: Some(b"no".to_vec()), letters: Vec::new() },
        };
        Work::Decide { command: Box::new(self.command(at, fresh)), answer: Box::new(answer) }
    }

    fn command(&self, at: Timestamp, fresh: Fresh<'_>) -> Command {
        let subject = self.subject(fresh());
        match self.wish {
            Wish::Place => {
                let referral = self.referral(&subject, fresh(), ReferralStatus::Active, at);
                let carried = carried("ServiceRequest", referral.id.0, subject.candidate);
                Command::PlaceReferral(PlaceReferral { subject, referral, carried })
            }
            Wish::Book { slot, referral } => {
                let awaited = self.referral(&subject, fresh(), ReferralStatus::Awaited, at);
                let appointment = self.appointment(fresh(), slot, &subject, awaited.id, at);
                let carried = carried("Appointment", appointment.id.0, subject.candidate);
                let based_on = Some(ReferralId(referral));
                Command::Book(Book { subject, appointment, slot: slot_id(slot), based_on, awaited, carried })
            }
            Wish::Move { slot, appointment } => {
                let target = AppointmentId(appointment);
                let appointment = self.appointment(appointment, slot, &subject, ReferralId(fresh()), at);
                let carried = carried("Appointment", target.0, subject.candidate);
                Command::Reschedule(Reschedule { target, subject, appointment, slot: slot_id(slot), carried })
            }
            Wish::CancelBooking { appointment } => Command::CancelBooking(CancelBooking {
                target: AppointmentId(appointment),
                subject,
                service: service_id(),
                status: AppointmentStatus::Cancelled,
                start: None,
                reason: None,
                origin: self.origin(),
            }),
            Wish::CancelReferral { referral } => Command::CancelReferral(CancelReferral {
                target: ReferralId(referral),
                subject,
                service: service_id(),
                category: Category::Referral,
                status: ReferralStatus::Revoked,
                reason: None,
                origin: self.origin(),
            }),
        }
    }

    fn origin(&self) -> Origin {
        Origin { correlation: self.key.clone(), bundle: self.key.clone(), ..Origin::default() }
    }

    fn subject(&self, candidate: Uuid) -> Subject {
        let family = ["Ash", "Birch", "Cedar", "Damson"][(self.person % PEOPLE) as usize];
        let name = HumanName { family: Some(family.to_owned()), ..HumanName::default() };
        Subject {
            candidate: PatientId(candidate),
            nhs_number: (999_000_000 + 100 * self.person as u32..).find_map(NhsNumber::from_prefix),
            demographics: Demographics {
                names: vec![name],
                birth_date: Some(format!("19{}0-01-02", 5 + self.person % PEOPLE)),
                ..Demographics::default()
            },
        }
    }

    fn referral(&self, subject: &Subject, id: Uuid, status: ReferralStatus, at: Timestamp) -> Referral {
        Referral {
            id: ReferralId(id),
            patient: subject.candidate,
            service: service_id(),
            category: Category::Referral,
            use_case: "a1t1".to_owned(),
            status,
            priority: None,
            authored_on: None,
            received_at: at,
            occurrence: (None, None),
            reasons: Vec::new(),
            reason_text: None,
            patient_instruction: None,
            requester: Party::default(),
            ubrn: None,
            identifiers: Vec::new(),
            case_reference: self.key.clone(),
            based_on: Vec::new(),
            replaces: Vec::new(),
            linked_appointment: None,
            pathway: Pathway::default(),
            response: None,
            origin: self.origin(),
        }
    }

    fn appointment(&self, id: Uuid, slot: u64, subject: &Subject, referral: ReferralId, at: Timestamp) -> Appointment {
        Appointment {
            id: AppointmentId(id),
            referral,
            patient: subject.candidate,
            service: service_id(),
            slot: Some(slot_id(slot)),
            status: AppointmentStatus::Booked,
            start: slot_start(slot),
            end: slot_start(slot) + SLOT_LEN,
            created: at,
            use_case: "a1t1".to_owned(),
            description: None,
            cancel_reason: None,
            identifiers: Vec::new(),
            passed: None,
            origin: self.origin(),
        }
    }
}

fn letters(message: Uuid, decision: &Decision) -> Vec<Letter> {
    let letter = |(number, notice): (usize, &crate::booking::decision::Notice)| {
        let control_id = format!("{}{number}", message.simple());
        let event = match notice.kind {
            NoticeKind::ReferralPlaced => "REF^I12",
            NoticeKind::ReferralCancelled => "REF^I14",
            NoticeKind::Booked => "SIU^S12",
            NoticeKind::Rescheduled => "SIU^S13",
            NoticeKind::BookingCancelled => "SIU^S15",
            _ => "SIU^S14",
        };
        let body = format!("MSH|^~\\&|ONWARD|X26|PAS|RZ9|20261102||{event}|{control_id}|T|2.4\r").into_bytes();
        Letter {
            destination: DESTINATION.to_owned(),
            key: notice.patient.id.0,
            event: event.to_owned(),
            control_id,
            body,
        }
    };
    decision.notices.iter().enumerate().map(letter).collect()
}

fn carried(kind: &str, id: Uuid, patient: PatientId) -> Carried {
    Carried(format!(
        r#"{{"resourceType":"{kind}","id":"{id}","status":"sent","subject":{{"reference":"Patient/{patient}"}}}}"#
    ))
}

const SLOT_LEN: SignedDuration = SignedDuration::from_mins(15);

fn slot_id(slot: u64) -> SlotId {
    SlotId(format!("slot-{slot}"))
}

fn slot_start(slot: u64) -> Timestamp {
    let first = Timestamp::from_second(super::EPOCH_S + 30 * 86_400).unwrap_or_default();
    first + SignedDuration::from_mins(15 * slot as i64)
}

fn service_id() -> ServiceId {
    ServiceId("physiotherapy".to_owned())
}

/// One service and its slots.
pub(super) fn diary() -> Option<Command> {
    let service = Service {
        id: service_id(),
        name: "Physiotherapy".to_owned(),
        organisation: OdsCode::parse("RH8").ok()?,
        use_cases: vec!["a1t1".to_owned()],
        treatment_function: None,
        destination: Some(DESTINATION.to_owned()),
        closed: false,
    };
    let slot = |number| Slot {
        id: slot_id(number),
        schedule: "schedule".to_owned(),
        services: vec![service_id()],
        start: slot_start(number),
        end: slot_start(number) + SLOT_LEN,
        status: SlotStatus::Free,
    };
    let slots = (0..SLOTS).map(|number| (slot(number), Carried("{}".to_owned()))).collect();
    Some(Command::PublishSlots(PublishSlots { services: vec![(service, None)], directory: Vec::new(), slots }))
}
