//! BaRS Appointment and the booking model's appointment, both ways.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::patient::{add_identifiers, identifier, put};
use super::request::{held, held_id, put_moment, put_reference};
use super::systems;
use crate::booking::appointment::Appointment;
use crate::booking::identifier::{Identifier, ReferralId, SlotId};
use crate::fhir::bundle::{Bundle, Entry};
use crate::fhir::view::{code_of, instant_at, items, reference_at, str_at};

/// What the model holds of an Appointment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booking {
    /// `status`, as its FHIR code.
    pub status: String,
    /// `start`.
    pub start: Option<Timestamp>,
    /// `end`.
    pub end: Option<Timestamp>,
    /// `description`.
    pub description: Option<String>,
    /// `cancelationReason.text`, or else the display of its coding.
    pub cancel_reason: Option<String>,
    /// `identifier`.
    pub identifiers: Vec<Identifier>,
    /// `basedOn`, of a referral that this gateway holds.
    pub based_on: Option<ReferralId>,
}

impl Booking {
    /// Reads it.
    pub fn read(resource: &Value) -> Self {
        let reason =
            str_at(resource, "cancelationReason.text").or(str_at(resource, "cancelationReason.coding.display"));
        Self {
            status: str_at(resource, "status").unwrap_or_default().to_owned(),
            start: instant_at(resource, "start"),
            end: instant_at(resource, "end"),
            description: str_at(resource, "description").map(str::to_owned),
            cancel_reason: reason.map(str::to_owned),
            identifiers: items(resource, "identifier").iter().filter_map(identifier).collect(),
            based_on: held(resource, "basedOn", "ServiceRequest").map(ReferralId).next(),
        }
    }

    /// Writes it into an Appointment; everything else there stays.
    pub fn write(&self, resource: &mut Map<String, Value>) {
        put(resource, "status", Some(self.status.as_str()).filter(|status| !status.is_empty()));
        put(resource, "description", self.description.as_deref());
        put_moment(resource, "start", self.start);
        put_moment(resource, "end", self.end);
        add_identifiers(resource, &self.identifiers);
        let known = Self::read(&Value::Object(resource.clone())).cancel_reason;
        if self.cancel_reason.is_some() && known != self.cancel_reason {
            let concept = resource.entry("cancelationReason").or_insert_with(|| json!({}));
            if let Some(concept) = concept.as_object_mut() {
                put(concept, "text", self.cancel_reason.as_deref());
            }
        }
        put_reference(resource, "basedOn", "ServiceRequest", self.based_on.map(|id| id.0));
    }
}

/// The Appointment of which nothing is known but what the model holds.
pub fn plain(appointment: &Appointment) -> Value {
    let mut resource = Map::new();
    resource.insert("resourceType".to_owned(), "Appointment".into());
    resource.insert("id".to_owned(), json!(appointment.id.to_string()));
    let booking = Booking {
        status: appointment.status.as_str().to_owned(),
        start: Some(appointment.start),
        end: Some(appointment.end),
        description: appointment.description.clone(),
        cancel_reason: appointment.cancel_reason.clone().filter(|_| appointment.status.has_reason()),
        identifiers: appointment.identifiers.clone(),
        based_on: None,
    };
    booking.write(&mut resource);
    resource.insert("created".to_owned(), json!(appointment.created.to_string()));
    let patient = json!({ "reference": format!("Patient/{}", appointment.patient) });
    resource.insert("participant".to_owned(), json!([{ "actor": patient, "status": "accepted" }]));
    Value::Object(resource)
}

/// The slot that an Appointment names: a Slot of the Bundle by its own id, or `Slot/<id>`.
pub fn slot_id(bundle: &Bundle<'_>, appointment: &Value) -> Option<SlotId> {
    let reference = reference_at(appointment, "slot")?;
    let named = bundle.resolve(reference).and_then(Entry::id);
    named.or(reference.strip_prefix("Slot/")).map(|id| SlotId(id.to_owned()))
}

/// The use case of a booking, in `serviceCategory`.
pub fn use_case(appointment: &Value) -> Option<&str> {
    items(appointment, "serviceCategory").iter().find_map(|concept| code_of(concept, systems::USE_CASES))
}

/// The referral of an Appointment, where it names one.
pub fn based_on(appointment: &Value) -> Option<&str> {
    items(appointment, "basedOn").iter().find_map(|it| it.get("reference")?.as_str())
}

/// Does `basedOn` name a referral in a form that cannot be one of ours?
pub fn based_on_unreadable(bundle: &Bundle<'_>, appointment: &Value) -> bool {
    based_on(appointment)
        .is_some_and(|text| held_id(text, "ServiceRequest").is_none() && bundle.resolve(text).is_none())
}
