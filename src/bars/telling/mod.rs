//! What a hospital said, as the message of the standard that tells whoever made the booking or referral.
//!
//! A receiver that has something to say later becomes a sender: it posts to the address that came in
//! `MessageHeader.source.endpoint` (BaRS Core, "Asynchronous responses"). Which message it is follows from the workflow
//! table, because a message that fits no row of it is refused by every receiver. So `booking-response` is never sent:
//! it is defined, but every receiver must refuse it.
//!
//! | News | Message |
//! |---|---|
//! | a booking is at another time, or stands again | `booking-request` `update`, the booking's own definition |
//! | a booking is cancelled, or should never have been | `booking-request` `update`, definition `-cancelled` |
//! | the patient did not come | `servicerequest-response` `new`, the request `revoked`, the appointment `noshow` |
//! | anything else about a referral | `servicerequest-response` `new`; where it stands is in the responder's Encounter |
//!
//! In a response the ServiceRequest says what was asked (`active`), and the second Encounter what has become of it:
//! only whoever made a request ends it. Did-not-attend feedback is the standard's one exception. A validation gets
//! interim responses only: its outcome is a plan of care, which no hospital's message holds.

mod entries;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use self::entries::{Entries, Parts};
use super::definitions::{self, Definition};
use super::{negotiate, systems, use_cases};
use crate::booking::appointment::AppointmentStatus;
use crate::booking::feed::{News, Telling};
use crate::booking::referral::{Category, ReferralStatus, ResponseKind};
use crate::fhir::view::str_at;

/// A message as it will be sent, at every attempt the same.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// What it is: `booking-request update`.
    pub event: String,
    /// `X-Request-Id`.
    pub request: Uuid,
    /// The headers of the request, an empty line, and its body.
    pub body: Vec<u8>,
}

/// What a message of the workflow table is made of.
struct Plan {
    event: &'static str,
    reason: &'static str,
    definition: &'static Definition,
    focus: &'static str,
    /// The status of the ServiceRequest, where there is one.
    request: &'static str,
    /// The status of the responder's Encounter, where there is one.
    encounter: Option<&'static str>,
}

/// Renders a message. `original`: the message that is answered, as JSON. `cause`: the message by which it came about,
/// from which the ids follow. `None`: the table of definitions does not have what it must.
pub fn render(telling: &Telling, original: Option<&Value>, cause: Uuid, case_system: &str) -> Option<Rendered> {
    let plan = plan(telling)?;
    let about = telling.appointment.as_ref().map_or(telling.referral.id.0, |appointment| appointment.id.0);
    let id = |of: &str| Uuid::new_v5(&cause, format!("{of}|{about}|{}", plan.event).as_bytes());
    let parts = Parts { telling, original, plan: &plan, id: &id, case_system };
    let entries = Entries::collect(&parts);
    let at = telling.at.to_string();
    let version = original.and_then(|original| str_at(original, "meta.versionId")).unwrap_or(plan.definition.version);
    let header = header(&parts, &entries);
    let bundle = json!({
        "resourceType": "Bundle",
        "id": id("bundle").to_string(),
        "meta": { "versionId": version, "lastUpdated": at, "profile": [MESSAGE_PROFILE] },
        "type": "message",
        "timestamp": at,
        "entry": entries.with_header(header),
    });
    let request = id("request");
    let mut body = head(telling, &plan, request).into_bytes();
    body.extend_from_slice(bundle.to_string().as_bytes());
    Some(Rendered { event: format!("{} {}", plan.event, plan.reason), request, body })
}

const MESSAGE_PROFILE: &str = "https://fhir.nhs.uk/StructureDefinition/BARSBundleMessage";
const HEADER_PROFILES: &str = "https://fhir.nhs.uk/StructureDefinition/BARSMessageHeader-";

fn plan(telling: &Telling) -> Option<Plan> {
    const BOOKING: (&str, &str, &str) = ("booking-request", "update", "Appointment");
    const RESPONSE: (&str, &str, &str) = ("servicerequest-response", "new", "ServiceRequest");
    let of = |(event, reason, focus), name: &str, request, encounter| {
        let definition = definitions::ALL.iter().find(|it| it.name == name)?;
        Some(Plan { event, reason, definition, focus, request, encounter })
    };
    let stands = Some(stands(telling));
    match (telling.news, telling.referral.category, &telling.appointment) {
        (News::BookingChanged, ..) => of(BOOKING, "bars-message-booking-request", "active", None),
        (News::BookingWithdrawn, ..) => of(BOOKING, "bars-message-booking-request-cancelled", "active", None),
        (News::DidNotAttend, ..) => {
            of(RESPONSE, "bars-message-servicerequest-response-referral", "revoked", Some("cancelled"))
        }
        (News::Progress, Category::Validation, _) => {
            let response = ("servicerequest-response", "new", "Encounter");
            of(response, "bars-message-servicerequest-response-validation-interim", "active", stands)
        }
        (News::Progress, Category::Referral, Some(_)) => {
            of(RESPONSE, "bars-message-servicerequest-response-referral", "active", stands)
        }
        (News::Progress, Category::Referral, None) => {
            let response = ("servicerequest-response", "new", "Encounter");
            of(response, "bars-message-servicerequest-response-referral-short", "active", stands)
        }
    }
}

/// What has become of a referral, as the status of the responder's Encounter.
fn stands(telling: &Telling) -> &'static str {
    let referral = &telling.referral;
    match (referral.status, referral.response, telling.appointment.as_ref().map(|it| it.status)) {
        (ReferralStatus::Revoked | ReferralStatus::EnteredInError, ..) => "cancelled",
        (ReferralStatus::Completed, ..) => "finished",
        (_, _, Some(AppointmentStatus::Arrived)) => "arrived",
        (_, _, Some(AppointmentStatus::Fulfilled)) => "finished",
        (_, Some(ResponseKind::Rejected), None) => "cancelled",
        (_, Some(ResponseKind::FinishedNoAction | ResponseKind::FinishedAct), None) => "finished",
        (_, Some(ResponseKind::Started), None) => "in-progress",
        _ => "planned",
    }
}

fn header(parts: &Parts<'_>, entries: &Entries) -> Value {
    let Parts { telling, plan, .. } = parts;
    let code = |system: &str, code: &str| json!({ "system": system, "code": code });
    let reference = |url: &str| json!({ "reference": url });
    let mut header = json!({
        "resourceType": "MessageHeader",
        "id": (parts.id)("header").to_string(),
        "meta": { "lastUpdated": telling.at.to_string(), "profile": [format!("{HEADER_PROFILES}{}", plan.event)] },
        "eventCoding": code(systems::EVENTS, plan.event),
        "destination": [{ "endpoint": telling.origin.reply_to, "receiver": reference(&entries.referrer) }],
        "sender": reference(&entries.provider),
        "source": {
            "name": provider_name(telling),
            "software": "Onward",
            "version": env!("CARGO_PKG_VERSION"),
            "endpoint": format!("{}|{}", systems::DOS_SERVICE, telling.service.id.0),
        },
        "reason": { "coding": [code(systems::REASONS, plan.reason)] },
    });
    if plan.event == "servicerequest-response" {
        header["response"] = json!({ "identifier": telling.origin.bundle, "code": "ok" });
    }
    header["focus"] = json!([reference(&entries.focus)]);
    header["definition"] = json!(plan.definition.url());
    header
}

/// What the telling service is called; an empty text is no text of FHIR.
fn provider_name(telling: &Telling) -> &str {
    match telling.service.name.as_str() {
        "" => telling.service.organisation.as_str(),
        name => name,
    }
}

/// The request's headers (BaRS Core, "HTTP headers"), each on a line, and an empty line.
fn head(telling: &Telling, plan: &Plan, request: Uuid) -> String {
    let coded = |value: &Value| STANDARD.encode(value.to_string());
    let (system, value) = telling.origin.reply_to.split_once('|').unwrap_or(("", &telling.origin.reply_to));
    let organisation = json!({
        "resourceType": "Organization",
        "identifier": [{ "system": systems::ODS_ORGANISATION, "value": telling.service.organisation.as_str() }],
        "name": provider_name(telling),
    });
    let software = json!({
        "resourceType": "Device",
        "deviceName": [{ "name": "Onward", "type": "manufacturer-name" }],
        "version": [{ "value": env!("CARGO_PKG_VERSION") }],
    });
    let headers = [
        ("X-Request-Id", request.to_string()),
        ("X-Correlation-Id", telling.origin.correlation.clone()),
        ("NHSD-Target-Identifier", coded(&json!({ "system": system, "value": value }))),
        ("NHSD-End-User-Organisation", coded(&organisation)),
        ("NHSD-Requesting-Software", coded(&software)),
        ("use-context", use_context(telling, plan)),
        ("Accept", format!("application/fhir+json; version={}", negotiate::CORE_VERSION)),
        ("Content-Type", "application/fhir+json".to_owned()),
    ];
    let line = |(name, value): (&str, String)| format!("{name}: {}\r\n", one_line(&value));
    headers.into_iter().map(line).collect::<String>() + "\r\n"
}

/// A header is one line of visible ASCII; what others gave may be anything.
fn one_line(value: &str) -> String {
    value.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect()
}

/// Use case, category or status, event and reason.
fn use_context(telling: &Telling, plan: &Plan) -> String {
    let status = telling.appointment.as_ref().filter(|_| plan.focus == "Appointment").map(|it| it.status.as_str());
    let what = status.unwrap_or(telling.referral.category.as_str());
    format!("{}|{what}|{}|{}", use_case(telling), plan.event, plan.reason)
}

/// The use case of the booking, or else of the referral; a hospital's own booking has none.
fn use_case(telling: &Telling) -> &str {
    let booking = telling.appointment.as_ref().map(|appointment| appointment.use_case.as_str());
    booking.filter(|code| use_cases::find(code).is_some()).unwrap_or(&telling.referral.use_case)
}
