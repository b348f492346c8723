//! Walks for tests: steps in small numbers, so that they can be drawn and shrunk, that become commands only in the
//! world that they come to. So most of them name something that is there.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::world::World;
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::{
    AmendBooking, AmendReferral, Book, CancelBooking, CancelReferral, Carried, Command, PlaceReferral, PublishSlots,
    RecordResponse, Reschedule, Subject,
};
use crate::booking::identifier::{AppointmentId, Identifier, OdsCode, PatientId, ReferralId, ServiceId, SlotId, Ubrn};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::pathway::{Pathway, PathwayId};
use crate::booking::patient::{Address, Demographics, HumanName, Patient, Telecom};
use crate::booking::referral::{Category, Origin, Party, Referral, ReferralStatus, ResponseKind};
use crate::booking::service::Service;
use crate::booking::slot::{Slot, SlotStatus};

/// What is done at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Place,
    AmendReferral,
    CancelReferral,
    Respond,
    Book,
    AmendBooking,
    Reschedule,
    CancelBooking,
    Publish,
}

/// One step. A number that picks something counts back from the newest; one beyond the oldest picks nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// One of the cast, or [`CAST`]: whoever the target's record says.
    pub(crate) who: u8,
    pub(crate) target: u8,
    /// A booking that a referral names, or a referral that a booking names.
    pub(crate) link: Option<u8>,
    pub(crate) slot: u8,
    pub(crate) service: u8,
    pub(crate) conversation: u8,
    /// The `Bundle.id` of an earlier message.
    pub(crate) reused: Option<u8>,
    /// Whether its entries say when they were last updated, and whether that is long ago.
    pub(crate) stale: Option<bool>,
    /// Chooses among the ways to do the same.
    pub(crate) twist: u8,
}

/// The first of the cast places a referral at the open service: for steps that are written by hand.
pub(crate) const STEP: Step = Step {
    action: Action::Place,
    who: 0,
    target: 0,
    link: None,
    slot: 1,
    service: 15,
    conversation: 0,
    reused: None,
    stale: None,
    twist: 1,
};

/// Walks of so many steps.
pub(crate) fn walks(steps: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), steps)
}

fn step() -> impl Strategy<Value = Step> {
    use Action::*;
    let action = prop_oneof![
        6 => Just(Place),
        3 => Just(AmendReferral),
        2 => Just(CancelReferral),
        3 => Just(Respond),
        6 => Just(Book),
        2 => Just(AmendBooking),
        3 => Just(Reschedule),
        3 => Just(CancelBooking),
        1 => Just(Publish),
    ];
    let who = prop_oneof![2 => 0..2_u8, 3 => 0..CAST, 5 => Just(CAST)];
    let names = (who, 0..6_u8, proptest::option::weighted(0.4, 0..5_u8), 0..=SLOTS);
    let rest = (0..16_u8, 0..3_u8, proptest::option::weighted(0.08, 0..6_u8), proptest::option::of(any::<bool>()));
    (action, names, rest, 0..24_u8).prop_map(|(action, names, rest, twist)| {
        let (who, target, link, slot) = names;
        let (service, conversation, reused, stale) = rest;
        Step { action, who, target, link, slot, service, conversation, reused, stale, twist }
    })
}

const SLOTS: u8 = 9;

fn start() -> Timestamp {
    "2026-11-02T09:00:00Z".parse().unwrap()
}

/// When the step of this number is taken.
pub(crate) fn instant(number: usize) -> Timestamp {
    start() + SignedDuration::from_secs(number as i64)
}

/// Before the first step: three services, of which one is closed, and their slots.
pub(crate) fn diary() -> PublishSlots {
    let services = [("open", false), ("other", false), ("closed", true)];
    PublishSlots {
        services: services.map(|(id, closed)| (service(id, closed), None)).into(),
        directory: Vec::new(),
        slots: (0..SLOTS).map(|index| (slot(index, SlotStatus::Free), Carried("{}".to_owned()))).collect(),
    }
}

fn service(id: &str, closed: bool) -> Service {
    Service {
        id: ServiceId(id.to_owned()),
        name: id.to_owned(),
        organisation: OdsCode::parse("RH8").unwrap(),
        use_cases: vec!["a1t1".to_owned()],
        treatment_function: Some("110".to_owned()),
        destination: Some("pas".to_owned()),
        closed,
    }
}

/// Two of three slots are those of the open service; one is shared.
fn slot(index: u8, status: SlotStatus) -> Slot {
    let services: &[&str] = match index % 6 {
        0 => &["open", "other"],
        2 => &["other"],
        _ => &["open"],
    };
    let start = start() + SignedDuration::from_mins(15 * i64::from(index));
    Slot {
        id: slot_id(index),
        schedule: "schedule".to_owned(),
        services: services.iter().map(|id| ServiceId((*id).to_owned())).collect(),
        start,
        end: start + SignedDuration::from_mins(15),
        status,
    }
}

fn slot_id(index: u8) -> SlotId {
    SlotId(format!("slot-{index}"))
}

/// How many people there are.
pub(crate) const CAST: u8 = 12;

/// The people: with a number and without, namesakes, one with another's number, some of whom little is said.
fn cast(who: u8) -> (Option<NhsNumber>, Demographics) {
    let number = |prefix| (prefix..).find_map(NhsNumber::from_prefix);
    match who {
        0 => (number(999_000_001), person("Smith", "Ann", "1970-01-02")),
        1 => (None, person("Smith", "Ann", "1970-01-02")),
        2 => (number(999_000_002), person("Smith", "Bob", "1990-03-04")),
        3 => (number(999_000_001), person("Okoro", "Zed", "1955-05-06")),
        4 => (None, person("Jones", "Cat", "1961-07-08")),
        5 => (number(999_000_003), person("Jones", "Cat", "1961-07-08")),
        6 => (number(999_000_001), Demographics::default()),
        7 => (None, Demographics::default()),
        8 => (number(999_000_003), told("Catherine Jones")),
        11 => (number(999_000_003), unofficial(person("Jones", "", "1961-07-08"))),
        9 => (number(999_000_004), Demographics { names: Vec::new(), ..person("", "", "1961-07-08") }),
        _ => (number(999_000_001), moved(person("Smith", "", "1970-01-02"))),
    }
}

fn person(family: &str, given: &str, birth_date: &str) -> Demographics {
    let text = |text: &str| Some(text.to_owned());
    let name = HumanName {
        usage: text("official"),
        family: text(family),
        given: vec![given.to_owned()].into_iter().filter(|given| !given.is_empty()).collect(),
        ..HumanName::default()
    };
    Demographics {
        identifiers: vec![Identifier { system: "urn:hospital".to_owned(), value: given.to_owned() }],
        nhs_number_status: text("01"),
        names: vec![name],
        birth_date: text(birth_date),
        gender: Some(crate::booking::patient::Gender::Female),
        addresses: vec![Address { usage: text("home"), postal_code: text("LS1 4AP"), ..Address::default() }],
        telecoms: vec![Telecom { system: text("phone"), value: text("0113 496 0000"), usage: text("home") }],
        practice: OdsCode::parse("A81001").ok(),
        deceased: None,
        restricted: false,
        unidentified: false,
    }
}

/// A name of no stated use.
fn unofficial(mut who: Demographics) -> Demographics {
    who.names.iter_mut().for_each(|name| name.usage = None);
    who
}

/// Somebody of whom the sender knows the name as one text.
fn told(name: &str) -> Demographics {
    let name = HumanName { text: Some(name.to_owned()), ..HumanName::default() };
    Demographics { names: vec![name], ..Demographics::default() }
}

/// Said by a sender who knows another identifier, address and number of the same person.
fn moved(who: Demographics) -> Demographics {
    let text = |text: &str| Some(text.to_owned());
    Demographics {
        identifiers: vec![Identifier { system: "urn:practice".to_owned(), value: "7".to_owned() }],
        addresses: vec![Address { usage: text("temp"), city: text("Leeds"), ..Address::default() }],
        telecoms: vec![Telecom { system: text("phone"), value: text("07700 900000"), usage: text("mobile") }],
        practice: None,
        ..who
    }
}

/// A step at its place in a walk, in the world as it is then.
pub(crate) struct Scene<'w> {
    pub(crate) world: &'w World,
    pub(crate) step: Step,
    pub(crate) number: usize,
}

impl Scene<'_> {
    /// The step as a command.
    pub(crate) fn command(&self) -> Command {
        match self.step.action {
            Action::Place => self.place(),
            Action::AmendReferral => self.amend_referral(),
            Action::CancelReferral => self.cancel_referral(),
            Action::Respond => self.respond(),
            Action::Book => self.book(),
            Action::AmendBooking => self.amend_booking(),
            Action::Reschedule => self.reschedule(),
            Action::CancelBooking => self.cancel_booking(),
            Action::Publish => Command::PublishSlots(self.publish()),
        }
    }

    fn place(&self) -> Command {
        let named = self.step.link.map(|pick| pick_of(&self.appointment_ids(), pick, self.unknown()));
        let linked = named.map(AppointmentId);
        let held = linked.and_then(|id| self.world.appointment(id));
        let subject = self.subject(held.map(|it| it.patient));
        let category = if self.step.twist.is_multiple_of(5) { Category::Validation } else { Category::Referral };
        let mut referral = self.referral(&subject, self.service(held.map(|it| &it.service)), category);
        referral.linked_appointment = linked;
        let carried = carried("ServiceRequest", referral.id.0, subject.candidate);
        Command::PlaceReferral(PlaceReferral { subject, referral, carried })
    }

    fn amend_referral(&self) -> Command {
        let (target, held) = self.target_referral();
        let subject = self.subject(held.map(|it| it.patient));
        let category = self.category(held);
        let mut referral = self.referral(&subject, self.service(held.map(|it| &it.service)), category);
        referral.id = target;
        referral.linked_appointment =
            self.step.link.map(|pick| AppointmentId(pick_of(&self.appointment_ids(), pick, self.unknown())));
        if self.step.twist.is_multiple_of(3) {
            referral.status = ReferralStatus::OnHold;
        }
        let carried = carried("ServiceRequest", target.0, subject.candidate);
        Command::AmendReferral(AmendReferral { target, subject, referral, carried })
    }

    fn cancel_referral(&self) -> Command {
        let (target, held) = self.target_referral();
        let mistaken = self.step.twist.is_multiple_of(2);
        Command::CancelReferral(CancelReferral {
            target,
            subject: self.subject(held.map(|it| it.patient)),
            service: self.service(held.map(|it| &it.service)),
            category: self.category(held),
            status: if mistaken { ReferralStatus::EnteredInError } else { ReferralStatus::Revoked },
            reason: mistaken.then(|| "mistaken".to_owned()),
            origin: self.origin(),
        })
    }

    fn respond(&self) -> Command {
        use ResponseKind::*;
        let bundles: Vec<&str> = self.world.journal.iter().map(|it| it.bundle.as_str()).collect();
        let answers = pick_of(&bundles, self.step.target, "unheard of").to_owned();
        let answered = self.world.journal.iter().rev().find(|it| it.bundle == answers).and_then(|it| it.referral);
        let held = answered.and_then(|id| self.world.referral(id));
        let own = held.and_then(|it| self.world.appointment_of(it.id)).map(|it| it.id.0);
        let named = self.step.link.map(|pick| pick_of(&self.appointment_ids(), pick, self.unknown()));
        let kinds = [Started, Rejected, Planned, FinishedNoAction, FinishedAct, DidNotAttend, DidNotAttend];
        Command::RecordResponse(RecordResponse {
            answers,
            subject: self.subject(held.map(|it| it.patient)),
            service: self.service(held.map(|it| &it.service)),
            kind: kinds[usize::from(self.step.twist) % kinds.len()],
            reason: None,
            appointment: named.or(own).map(AppointmentId),
            origin: self.origin(),
        })
    }

    fn book(&self) -> Command {
        let named = self.step.link.map(|pick| pick_of(&self.referral_ids(), pick, self.unknown()));
        let based_on = named.map(ReferralId);
        let held = based_on.and_then(|id| self.world.referral(id));
        let subject = self.subject(held.map(|it| it.patient));
        let service = self.service(held.map(|it| &it.service));
        let awaited = Referral {
            id: ReferralId(self.fresh(2)),
            status: ReferralStatus::Awaited,
            pathway: Pathway::default(),
            ubrn: None,
            ..self.referral(&subject, service.clone(), Category::Referral)
        };
        let appointment = self.appointment(AppointmentId(self.fresh(3)), awaited.id, &subject, service);
        let carried = carried("Appointment", appointment.id.0, subject.candidate);
        let slot = slot_id(self.step.slot);
        Command::Book(Book { subject, appointment, slot, based_on, awaited, carried })
    }

    fn amend_booking(&self) -> Command {
        let (target, held) = self.target_appointment();
        let subject = self.subject(held.map(|it| it.patient));
        let appointment = self.amended(target, held, &subject);
        let carried = carried("Appointment", target.0, subject.candidate);
        Command::AmendBooking(AmendBooking { target, subject, appointment, carried })
    }

    fn reschedule(&self) -> Command {
        let (target, held) = self.target_appointment();
        let subject = self.subject(held.map(|it| it.patient));
        let service = self.service(held.map(|it| &it.service));
        let mut appointment = self.appointment(target, ReferralId(self.fresh(2)), &subject, service);
        let mut slot = slot_id(self.step.slot);
        // Sent again with other words: the time and the slot that it has.
        if self.step.twist.is_multiple_of(5) {
            appointment = self.amended(target, held, &subject);
            slot = held.and_then(|it| it.slot.clone()).unwrap_or(slot);
        }
        let carried = carried("Appointment", target.0, subject.candidate);
        Command::Reschedule(Reschedule { target, subject, appointment, slot, carried })
    }

    fn cancel_booking(&self) -> Command {
        let (target, held) = self.target_appointment();
        let mistaken = self.step.twist.is_multiple_of(2);
        let start = held.map(|it| it.start).filter(|_| self.step.twist.is_multiple_of(3));
        Command::CancelBooking(CancelBooking {
            target,
            subject: self.subject(held.map(|it| it.patient)),
            service: self.service(held.map(|it| &it.service)),
            status: if mistaken { AppointmentStatus::EnteredInError } else { AppointmentStatus::Cancelled },
            start: if self.step.twist == 0 { Some(instant(0)) } else { start },
            reason: mistaken.then(|| "mistaken".to_owned()),
            origin: self.origin(),
        })
    }

    /// A part of the diary comes again, some of it no longer on offer.
    fn publish(&self) -> PublishSlots {
        let closed = self.step.twist.is_multiple_of(8);
        let index = self.step.slot % SLOTS;
        let status = if self.step.twist.is_multiple_of(7) { SlotStatus::BusyUnavailable } else { SlotStatus::Free };
        PublishSlots {
            services: vec![(service("other", closed), None)],
            directory: Vec::new(),
            slots: (0..=index).map(|index| (slot(index, status), Carried("{}".to_owned()))).collect(),
        }
    }

    fn target_referral(&self) -> (ReferralId, Option<&Referral>) {
        let id = ReferralId(pick_of(&self.referral_ids(), self.step.target, self.unknown()));
        (id, self.world.referral(id))
    }

    fn target_appointment(&self) -> (AppointmentId, Option<&Appointment>) {
        let id = AppointmentId(pick_of(&self.appointment_ids(), self.step.target, self.unknown()));
        (id, self.world.appointment(id))
    }

    fn referral_ids(&self) -> Vec<Uuid> {
        self.world.referrals.iter().map(|row| row.model.id.0).collect()
    }

    fn appointment_ids(&self) -> Vec<Uuid> {
        self.world.appointments.iter().map(|row| row.model.id.0).collect()
    }

    fn subject(&self, target: Option<PatientId>) -> Subject {
        let own = target.filter(|_| CAST <= self.step.who).and_then(|id| self.world.patient(id));
        let (nhs_number, demographics) = match own {
            Some(Patient { nhs_number, demographics, .. }) => (*nhs_number, demographics.clone()),
            None => cast(self.step.who % CAST),
        };
        Subject { candidate: PatientId(self.fresh(0)), nhs_number, demographics }
    }

    fn service(&self, held: Option<&ServiceId>) -> ServiceId {
        let id = match (self.step.service, held) {
            (0, _) => "closed",
            (1, _) => "unknown",
            (2, _) => "other",
            (_, Some(held)) => return held.clone(),
            (3 | 4, None) => "other",
            (_, None) => "open",
        };
        ServiceId(id.to_owned())
    }

    fn category(&self, held: Option<&Referral>) -> Category {
        match (held.map(|it| it.category), self.step.twist) {
            (Some(Category::Referral), 23) => Category::Validation,
            (Some(category), _) => category,
            (None, twist) if twist.is_multiple_of(2) => Category::Validation,
            (None, _) => Category::Referral,
        }
    }

    fn origin(&self) -> Origin {
        let bundles: Vec<&str> = self.world.journal.iter().map(|it| it.bundle.as_str()).collect();
        let fresh = format!("bundle-{}", self.number);
        let bundle = self.step.reused.map_or(fresh.as_str(), |pick| pick_of(&bundles, pick, &fresh)).to_owned();
        let said = self.step.stale.map(|stale| instant(if stale { 0 } else { self.number }));
        Origin {
            correlation: format!("conversation-{}", self.step.conversation),
            bundle,
            reply_to: "https://practice.invalid".to_owned(),
            last_updated: said,
        }
    }

    fn referral(&self, subject: &Subject, service: ServiceId, category: Category) -> Referral {
        Referral {
            id: ReferralId(self.fresh(1)),
            patient: subject.candidate,
            service,
            category,
            use_case: "a1t1".to_owned(),
            status: ReferralStatus::Active,
            priority: None,
            authored_on: Some(instant(self.number)),
            received_at: instant(self.number),
            occurrence: (None, None),
            reasons: Vec::new(),
            reason_text: Some(format!("reason {}", self.number)),
            patient_instruction: None,
            requester: Party::default(),
            ubrn: Ubrn::parse(&format!("{:012}", self.number)).filter(|_| self.step.twist.is_multiple_of(4)),
            identifiers: Vec::new(),
            case_reference: format!("case {}", self.number),
            based_on: Vec::new(),
            replaces: Vec::new(),
            linked_appointment: None,
            pathway: self.pathway(),
            response: None,
            origin: self.origin(),
        }
    }

    fn pathway(&self) -> Pathway {
        if self.step.twist.is_multiple_of(2) {
            return Pathway::default();
        }
        let issuer = OdsCode::parse("X09").unwrap();
        Pathway {
            id: Some(PathwayId { issuer, value: format!("{:020}", self.number) }),
            clock_start: jiff::civil::Date::new(2026, 1, 1 + (self.number % 28) as i8).ok(),
        }
    }

    fn appointment(
        &self,
        id: AppointmentId,
        referral: ReferralId,
        subject: &Subject,
        service: ServiceId,
    ) -> Appointment {
        let slot = slot(self.step.slot, SlotStatus::Free);
        let late = SignedDuration::from_mins(if self.step.twist == 23 { 5 } else { 0 });
        Appointment {
            id,
            referral,
            patient: subject.candidate,
            service,
            slot: None,
            status: AppointmentStatus::Booked,
            start: slot.start + late,
            end: slot.end + late + SignedDuration::from_mins(if self.step.twist == 22 { 5 } else { 0 }),
            created: instant(self.number),
            use_case: "a1t1".to_owned(),
            description: Some(format!("words {}", self.number)),
            cancel_reason: None,
            identifiers: Vec::new(),
            origin: self.origin(),
            passed: None,
        }
    }

    /// Other words for the same time, or, at a few steps, for another.
    fn amended(&self, id: AppointmentId, held: Option<&Appointment>, subject: &Subject) -> Appointment {
        let service = self.service(held.map(|it| &it.service));
        let mut new = self.appointment(id, ReferralId(self.fresh(2)), subject, service);
        if let Some(held) = held.filter(|_| self.step.twist != 22) {
            (new.start, new.end) = (held.start, held.end);
        }
        if self.step.twist == 21 {
            new.end += SignedDuration::from_mins(30);
        }
        new
    }

    fn fresh(&self, part: u128) -> Uuid {
        Uuid::from_u128(((self.number as u128 + 1) << 8) | part)
    }

    fn unknown(&self) -> Uuid {
        self.fresh(255)
    }
}

/// Counting back from the last.
fn pick_of<T: Copy>(all: &[T], pick: u8, unknown: T) -> T {
    all.len().checked_sub(1 + usize::from(pick)).map_or(unknown, |index| all[index])
}

fn carried(kind: &str, id: Uuid, patient: PatientId) -> Carried {
    Carried(format!(
        r#"{{"resourceType":"{kind}","id":"{id}","status":"sent","x":1.50,"subject":{{"reference":"Patient/{patient}"}}}}"#
    ))
}
