//! A checked message to a command. Nothing after this knows FHIR.

use jiff::Timestamp;
use uuid::Uuid;

use super::appointment::{self, Booking};
use super::check::Message;
use super::patient;
use super::reply::Ids;
use super::request::{self, Request};
use super::workflow::Wish;
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::command::{
    AmendBooking, AmendReferral, Book, CancelBooking, CancelReferral, Carried, Command, PlaceReferral, RecordResponse,
    Reschedule, Subject,
};
use crate::booking::identifier::{AppointmentId, ReferralId};
use crate::booking::pathway::Pathway;
use crate::booking::referral::{Category, Origin, Referral, ReferralStatus, ResponseKind};
use crate::fhir::view::{id, instant_at, str_at};
use crate::issue::{Issue, Issues, RULE_MISSING, WORKFLOW};

/// What comes with a message from outside of it.
#[derive(Clone, Debug)]
pub struct Context {
    /// `X-Correlation-Id`.
    pub correlation: String,
    /// When it arrived.
    pub now: Timestamp,
    /// The environment tolerates what the standard's examples do.
    pub sandbox: bool,
}

/// The command, and the ids that the reply will carry if it is accepted.
pub fn translate(message: &Message<'_>, context: &Context) -> (Option<(Command, Ids)>, Issues) {
    let mut issues = Issues::default();
    let ids = Ids::assign(message);
    let subject = patient::subject(&message.bundle, &message.patient, ids.patient, context.sandbox, &mut issues);
    let parts = Parts { message, context, ids: &ids, subject };
    let command = parts.command(&mut issues);
    (command.filter(|_| !issues.has_errors()).map(|command| (command, ids)), issues)
}

struct Parts<'m, 'a> {
    message: &'m Message<'a>,
    context: &'m Context,
    ids: &'m Ids,
    subject: Subject,
}

impl Parts<'_, '_> {
    fn command(self, issues: &mut Issues) -> Option<Command> {
        match self.message.row.wish {
            Wish::Place => Some(self.place()),
            Wish::Amend => self.amend(),
            Wish::Cancel => self.cancel(),
            Wish::Respond => self.respond(issues),
            Wish::Book => self.book(issues),
            Wish::AmendBooking => self.amend_booking(issues),
            Wish::CancelBooking => self.cancel_booking(),
        }
    }

    fn place(self) -> Command {
        let referral = self.referral(ReferralId(self.ids.focus), ReferralStatus::Active);
        Command::PlaceReferral(PlaceReferral { referral, carried: self.carried(), subject: self.subject })
    }

    fn amend(self) -> Option<Command> {
        let target = ReferralId(self.target()?);
        let held = str_at(self.message.subject.resource()?, "status") == Some("on-hold");
        let status = if held { ReferralStatus::OnHold } else { ReferralStatus::Active };
        let referral = self.referral(target, status);
        Some(Command::AmendReferral(AmendReferral { target, referral, carried: self.carried(), subject: self.subject }))
    }

    fn cancel(self) -> Option<Command> {
        let resource = self.message.subject.resource()?;
        let mistaken = str_at(resource, "status") == Some("entered-in-error");
        Some(Command::CancelReferral(CancelReferral {
            target: ReferralId(self.target()?),
            service: self.message.service.clone(),
            category: self.message.row.category?,
            status: if mistaken { ReferralStatus::EnteredInError } else { ReferralStatus::Revoked },
            reason: str_at(resource, "reasonCode.text").map(str::to_owned),
            origin: self.origin(),
            subject: self.subject,
        }))
    }

    fn respond(self, issues: &mut Issues) -> Option<Command> {
        let missed = self.message.bundle.entries_of("Appointment").next().and_then(|it| id(it.resource()?));
        Some(Command::RecordResponse(RecordResponse {
            answers: str_at(self.message.header, "response.identifier")?.to_owned(),
            service: self.message.service.clone(),
            kind: self.response_kind().map_err(|issue| issues.push(*issue)).ok()?,
            reason: str_at(self.message.focus.resource()?, "reasonCode.text").map(str::to_owned),
            appointment: missed.and_then(super::headers::hyphenated).map(AppointmentId),
            origin: self.origin(),
            subject: self.subject,
        }))
    }

    /// What the responder's Encounter, or the missed Appointment, says.
    fn response_kind(&self) -> Result<ResponseKind, Box<Issue>> {
        let message = self.message;
        let status_of = |kind: &str| message.bundle.resources(kind).next().and_then(|it| str_at(it, "status"));
        let focus = message.focus.resource().and_then(|it| str_at(it, "status")).unwrap_or_default();
        let revoked = message.subject.resource().and_then(|it| str_at(it, "status")) == Some("revoked");
        if message.focus.resource_type() == Some("ServiceRequest") {
            return match (revoked, status_of("Appointment")) {
                (true, Some("noshow")) => Ok(ResponseKind::DidNotAttend),
                (true, _) => Err(Box::new(Issue::new(&WORKFLOW, "Bundle.entry.resource().ofType(Appointment).status"))),
                (false, _) => Ok(ResponseKind::Planned),
            };
        }
        match (focus, status_of("CarePlan")) {
            ("cancelled", _) => Ok(ResponseKind::Rejected),
            ("triaged", _) if revoked => Ok(ResponseKind::Rejected),
            ("planned", _) => Ok(ResponseKind::Planned),
            ("in-progress", _) => Ok(ResponseKind::Started),
            ("finished", Some("active")) => Ok(ResponseKind::FinishedAct),
            ("finished", _) => Ok(ResponseKind::FinishedNoAction),
            _ => Err(Box::new(Issue::new(&WORKFLOW, message.focus.place_of("status")))),
        }
    }

    fn book(self, issues: &mut Issues) -> Option<Command> {
        let resource = self.message.subject.resource()?;
        let appointment = self.appointment(AppointmentId(self.ids.focus), issues)?;
        Some(Command::Book(Book {
            slot: appointment::slot_id(&self.message.bundle, resource)?,
            based_on: Booking::read(resource).based_on,
            awaited: self.awaited(appointment.referral),
            carried: self.carried(),
            appointment,
            subject: self.subject,
        }))
    }

    fn amend_booking(self, issues: &mut Issues) -> Option<Command> {
        let resource = self.message.subject.resource()?;
        let target = AppointmentId(self.target()?);
        let appointment = self.appointment(target, issues)?;
        let carried = self.carried();
        let slot = appointment::slot_id(&self.message.bundle, resource);
        let subject = self.subject;
        Some(match slot {
            Some(slot) => Command::Reschedule(Reschedule { target, subject, appointment, slot, carried }),
            None => Command::AmendBooking(AmendBooking { target, subject, appointment, carried }),
        })
    }

    fn cancel_booking(self) -> Option<Command> {
        let booking = Booking::read(self.message.subject.resource()?);
        let mistaken = booking.status == "entered-in-error";
        Some(Command::CancelBooking(CancelBooking {
            target: AppointmentId(self.target()?),
            service: self.message.service.clone(),
            status: if mistaken { AppointmentStatus::EnteredInError } else { AppointmentStatus::Cancelled },
            start: booking.start,
            reason: booking.cancel_reason,
            origin: self.origin(),
            subject: self.subject,
        }))
    }

    fn target(&self) -> Option<Uuid> {
        super::headers::hyphenated(id(self.message.subject.resource()?)?)
    }

    fn carried(&self) -> Carried {
        Carried(self.ids.resource(self.message))
    }

    fn origin(&self) -> Origin {
        let bundle = self.message.bundle.root();
        Origin {
            correlation: self.context.correlation.clone(),
            bundle: str_at(bundle, "id").unwrap_or_default().to_owned(),
            reply_to: str_at(self.message.header, "source.endpoint").unwrap_or_default().to_owned(),
            last_updated: self.message.subject.resource().and_then(|it| instant_at(it, "meta.lastUpdated")),
        }
    }

    fn referral(&self, id: ReferralId, status: ReferralStatus) -> Referral {
        let request = self.message.subject.resource();
        let read = request.map(Request::read).unwrap_or_default();
        Referral {
            id,
            patient: self.ids.patient,
            service: self.message.service.clone(),
            category: self.message.row.category.unwrap_or(Category::Referral),
            use_case: self.message.use_case.code.to_owned(),
            status,
            priority: read.priority,
            authored_on: read.authored_on,
            received_at: self.context.now,
            occurrence: read.occurrence,
            ubrn: read.ubrn(),
            requester: request::requester(&self.message.bundle, request, self.message.header),
            case_reference: self.ids.case_reference.clone(),
            pathway: Pathway::default(),
            reasons: read.reasons,
            reason_text: read.reason_text,
            patient_instruction: read.patient_instruction,
            identifiers: read.identifiers,
            based_on: read.based_on,
            replaces: read.replaces,
            linked_appointment: read.linked_appointment,
            response: None,
            origin: self.origin(),
        }
    }

    /// The referral to await when a booking comes first: what the booking says of it, and no more.
    fn awaited(&self, id: ReferralId) -> Referral {
        let booking = self.message.subject.resource().map(Booking::read).unwrap_or_default();
        Referral {
            requester: request::requester(&self.message.bundle, None, self.message.header),
            reason_text: booking.description,
            priority: None,
            authored_on: None,
            occurrence: (None, None),
            ubrn: None,
            reasons: Vec::new(),
            patient_instruction: None,
            identifiers: Vec::new(),
            based_on: Vec::new(),
            replaces: Vec::new(),
            linked_appointment: None,
            category: Category::Referral,
            ..self.referral(id, ReferralStatus::Awaited)
        }
    }

    fn appointment(&self, id: AppointmentId, issues: &mut Issues) -> Option<Appointment> {
        let booking = Booking::read(self.message.subject.resource()?);
        let (Some(start), Some(end)) = (booking.start, booking.end) else {
            issues.add(&RULE_MISSING, self.message.subject.place_of("start"));
            return None;
        };
        Some(Appointment {
            id,
            referral: ReferralId(self.ids.awaited),
            patient: self.ids.patient,
            service: self.message.service.clone(),
            slot: None,
            status: AppointmentStatus::Booked,
            start,
            end,
            created: self.context.now,
            use_case: self.message.use_case.code.to_owned(),
            description: booking.description,
            cancel_reason: None,
            identifiers: booking.identifiers,
            origin: self.origin(),
            passed: None,
        })
    }
}
