//! What a hospital would be told of FHIR resources: a BaRS message, any other Bundle, or a single resource.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::bars::appointment::Booking;
use crate::bars::check::{self, Message};
use crate::bars::headers::Headers;
use crate::bars::request::{self, Request};
use crate::bars::workflow::Wish;
use crate::bars::{appointment, patient, systems};
use crate::booking::appointment::{Appointment, AppointmentStatus};
use crate::booking::decision::{Notice, NoticeKind};
use crate::booking::identifier::{AppointmentId, OdsCode, PatientId, ReferralId, ServiceId};
use crate::booking::pathway::Pathway;
use crate::booking::patient::{Demographics, Patient};
use crate::booking::referral::{Category, Origin, Referral, ReferralStatus};
use crate::booking::service::Service;
use crate::fhir::bundle::Bundle;
use crate::fhir::document::Document;
use crate::fhir::json::{self, Limits};
use crate::fhir::view::{code_of, id, identifier, items, resource_type, str_at};
use crate::issue::Issues;
use crate::profile::facts::r4;

/// What the caller says besides the resources.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// What happened, where the resources alone do not say it.
    pub kind: Option<NoticeKind>,
    /// Who provides the service, where they do not say it.
    pub organisation: Option<OdsCode>,
}

/// The notice; or why there is none.
pub fn read(value: &Value, hints: &Hints) -> Result<Notice, String> {
    let alone;
    let value = match resource_type(value) {
        Some("Bundle") => value,
        Some(_) => {
            alone =
                serde_json::json!({ "resourceType": "Bundle", "type": "collection", "entry": [{ "resource": value }] });
            &alone
        }
        None => return Err("this is no FHIR resource".to_owned()),
    };
    let bundle = Bundle::of(value).ok_or("this is no Bundle")?;
    let said = match bundle.kind() {
        Some("message") => Some(of_message(value)?),
        _ => None,
    };
    let parts = Parts { bundle: &bundle, hints, now: Timestamp::now() };
    parts.notice(hints.kind.or(said))
}

/// What a message of the standard is to a hospital.
fn of_message(value: &Value) -> Result<NoticeKind, String> {
    let text = value.to_string();
    let limits = Limits { bytes_max: text.len(), ..Limits::default() };
    let tape = json::read(text.as_bytes(), &limits, r4().names(), Vec::new()).map_err(|error| error.to_string())?;
    let document = Document::of(&tape, r4().names());
    let (checked, found) = check::check(&document, &Headers::default());
    let first = |issues: &Issues| issues.errors().next().map(ToString::to_string).unwrap_or_default();
    checked.map(|message| of_row(&message)).ok_or_else(|| first(&found))
}

/// What a message of the workflow table is to a hospital.
fn of_row(message: &Message<'_>) -> NoticeKind {
    let subject = message.subject.resource();
    let status = subject.and_then(|it| str_at(it, "status")).unwrap_or_default();
    let missed = message.bundle.resources("Appointment").any(|it| str_at(it, "status") == Some("noshow"));
    match message.row.wish {
        Wish::Place => NoticeKind::ReferralPlaced,
        Wish::Amend => NoticeKind::ReferralAmended,
        Wish::Cancel => NoticeKind::ReferralCancelled,
        Wish::Respond if missed => NoticeKind::NotAttended,
        Wish::Respond => NoticeKind::ReferralAmended,
        Wish::Book => NoticeKind::Booked,
        Wish::AmendBooking => match subject.and_then(|it| appointment::slot_id(&message.bundle, it)) {
            Some(_) => NoticeKind::Rescheduled,
            None => NoticeKind::BookingAmended,
        },
        Wish::CancelBooking if status == "entered-in-error" => NoticeKind::BookingDeleted,
        Wish::CancelBooking => NoticeKind::BookingCancelled,
    }
}

struct Parts<'a> {
    bundle: &'a Bundle<'a>,
    hints: &'a Hints,
    now: Timestamp,
}

impl Parts<'_> {
    fn notice(&self, said: Option<NoticeKind>) -> Result<Notice, String> {
        let patient = self.patient();
        let request = self.bundle.resources("ServiceRequest").next();
        let appointment = self.bundle.resources("Appointment").next();
        if request.is_none() && appointment.is_none() {
            return Err("neither a ServiceRequest nor an Appointment is there".to_owned());
        }
        let appointment = appointment.map(|it| self.appointment(it, patient.id)).transpose()?;
        let referral = self.referral(request, appointment.as_ref(), patient.id)?;
        let kind = said.unwrap_or_else(|| match &appointment {
            Some(appointment) => of_booking(appointment.status),
            None => of_referral(referral.status),
        });
        let about_a_booking =
            !matches!(kind, NoticeKind::ReferralPlaced | NoticeKind::ReferralAmended | NoticeKind::ReferralCancelled);
        if about_a_booking && appointment.is_none() {
            return Err("an event of a booking needs an Appointment".to_owned());
        }
        let service = self.service(&referral.service)?;
        let appointment = appointment.filter(|_| about_a_booking);
        Ok(Notice { kind, service, patient, referral, appointment, at: self.now })
    }

    fn patient(&self) -> Patient {
        let Some(entry) = self.bundle.entries_of("Patient").next() else {
            let id = PatientId(own_id(&Value::Null));
            return Patient { id, nhs_number: None, demographics: Demographics::default(), replaced_by: None };
        };
        let id = PatientId(entry.resource().map_or_else(|| own_id(&Value::Null), own_id));
        let subject = patient::subject(self.bundle, entry, id, true, &mut Issues::default());
        Patient { id, nhs_number: subject.nhs_number, demographics: subject.demographics, replaced_by: None }
    }

    fn appointment(&self, resource: &Value, patient: PatientId) -> Result<Appointment, String> {
        let booking = Booking::read(resource);
        let status = AppointmentStatus::ALL.into_iter().find(|it| it.as_str() == booking.status);
        let status = match (status, booking.status.as_str()) {
            (Some(status), _) => status,
            (None, "checked-in") => AppointmentStatus::Arrived,
            _ => return Err("an Appointment of this status is not a booking yet".to_owned()),
        };
        let (Some(start), Some(end)) = (booking.start, booking.end) else {
            return Err("the Appointment does not say from when until when it is".to_owned());
        };
        Ok(Appointment {
            id: AppointmentId(own_id(resource)),
            referral: booking.based_on.unwrap_or(ReferralId(Uuid::nil())),
            patient,
            service: self.service_id(),
            slot: appointment::slot_id(self.bundle, resource).filter(|_| status.is_current()),
            status,
            start,
            end,
            created: self.now,
            use_case: appointment::use_case(resource).unwrap_or_default().to_owned(),
            description: booking.description,
            cancel_reason: booking.cancel_reason.filter(|_| status.has_reason()),
            identifiers: booking.identifiers,
            origin: Origin::default(),
            passed: None,
        })
    }

    /// Of a booking alone: the one that it is for, by its id.
    fn referral(
        &self,
        resource: Option<&Value>,
        appointment: Option<&Appointment>,
        patient: PatientId,
    ) -> Result<Referral, String> {
        let said = resource.map(Request::read).unwrap_or_default();
        let status = match resource {
            None => ReferralStatus::Awaited,
            Some(_) => ReferralStatus::ALL
                .into_iter()
                .find(|it| it.as_str() == said.status)
                .ok_or("a ServiceRequest of this status is no referral")?,
        };
        let own = resource.map(own_id).or(appointment.map(|it| it.referral.0)).filter(|id| !id.is_nil());
        let header = self.bundle.message_header().and_then(|entry| entry.resource()).unwrap_or(&Value::Null);
        let category = resource.map_or(&[] as &[Value], |it| items(it, "category"));
        let validates = category.iter().any(|it| code_of(it, systems::CATEGORY) == Some(Category::Validation.as_str()));
        Ok(Referral {
            id: ReferralId(own.unwrap_or_else(|| Uuid::new_v5(&patient.0, b"awaited"))),
            patient,
            service: self.service_id(),
            category: if validates { Category::Validation } else { Category::Referral },
            use_case: String::new(),
            status,
            priority: said.priority,
            authored_on: said.authored_on,
            received_at: self.now,
            occurrence: said.occurrence,
            ubrn: said.ubrn(),
            reasons: said.reasons,
            reason_text: said.reason_text,
            patient_instruction: said.patient_instruction,
            requester: request::requester(self.bundle, resource, header),
            identifiers: said.identifiers,
            case_reference: String::new(),
            based_on: said.based_on,
            replaces: said.replaces,
            linked_appointment: said.linked_appointment,
            pathway: Pathway::default(),
            response: None,
            origin: Origin::default(),
        })
    }

    /// The service of the message's destination, or of the HealthcareService; else nothing is known of it.
    fn service_id(&self) -> ServiceId {
        let header = self.bundle.message_header().and_then(|entry| entry.resource());
        let destination = header.and_then(|it| str_at(it, "destination.endpoint")).and_then(systems::dos_service);
        let held = || self.bundle.resources("HealthcareService").find_map(|it| identifier(it, systems::DOS_SERVICE));
        ServiceId(destination.or_else(held).unwrap_or_default().to_owned())
    }

    fn service(&self, service: &ServiceId) -> Result<Service, String> {
        let held = self.bundle.resources("HealthcareService").next();
        let provider = |from: Option<&Value>, path: &str| {
            patient::ods_code(self.bundle.resolve(str_at(from?, path)?)?.resource()?)
        };
        let header = self.bundle.message_header().and_then(|entry| entry.resource());
        let organisation = provider(held, "providedBy.reference")
            .or_else(|| provider(header, "destination.receiver.reference"))
            .or_else(|| self.hints.organisation.clone())
            .ok_or("who provides the service is not said: give --organisation")?;
        Ok(Service {
            id: service.clone(),
            name: held.and_then(|it| str_at(it, "name")).unwrap_or_default().to_owned(),
            organisation,
            use_cases: Vec::new(),
            treatment_function: None,
            destination: None,
            closed: false,
        })
    }
}

fn of_booking(status: AppointmentStatus) -> NoticeKind {
    match status {
        AppointmentStatus::Booked => NoticeKind::Booked,
        AppointmentStatus::Arrived | AppointmentStatus::Fulfilled => NoticeKind::BookingAmended,
        AppointmentStatus::Cancelled => NoticeKind::BookingCancelled,
        AppointmentStatus::EnteredInError => NoticeKind::BookingDeleted,
        AppointmentStatus::NoShow => NoticeKind::NotAttended,
    }
}

fn of_referral(status: ReferralStatus) -> NoticeKind {
    match status {
        ReferralStatus::Awaited | ReferralStatus::Active => NoticeKind::ReferralPlaced,
        ReferralStatus::OnHold | ReferralStatus::Completed => NoticeKind::ReferralAmended,
        ReferralStatus::Revoked | ReferralStatus::EnteredInError => NoticeKind::ReferralCancelled,
    }
}

/// The resource's own id, or the one that follows from its first number.
fn own_id(resource: &Value) -> Uuid {
    let own = id(resource).and_then(|id| Uuid::parse_str(id).ok());
    own.unwrap_or_else(|| {
        let number = items(resource, "identifier").first().map(Value::to_string).unwrap_or_default();
        let name =
            format!("{}|{}|{number}", resource_type(resource).unwrap_or_default(), id(resource).unwrap_or_default());
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
    })
}
