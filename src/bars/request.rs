//! BaRS ServiceRequest and the booking model's referral, both ways.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::patient::{add_identifiers, identifier, ods_code, put, said};
use super::systems;
use crate::booking::identifier::{AppointmentId, Coding, Identifier, ReferralId, Ubrn};
use crate::booking::referral::{Party, Priority};
use crate::fhir::bundle::Bundle;
use crate::fhir::instant::FhirDateTime;
use crate::fhir::view::{self, codings, instant_at, items, reference_at, str_at};

/// What the model holds of a ServiceRequest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `status`, as its FHIR code.
    pub status: String,
    /// `priority`.
    pub priority: Option<Priority>,
    /// `authoredOn`, where it has a time.
    pub authored_on: Option<Timestamp>,
    /// `occurrencePeriod`.
    pub occurrence: (Option<Timestamp>, Option<Timestamp>),
    /// `reasonCode.coding`.
    pub reasons: Vec<Coding>,
    /// `reasonCode.text`, the first.
    pub reason_text: Option<String>,
    /// `patientInstruction`.
    pub patient_instruction: Option<String>,
    /// `identifier`.
    pub identifiers: Vec<Identifier>,
    /// `basedOn` of a referral that this gateway holds.
    pub based_on: Vec<ReferralId>,
    /// `replaces` of referrals that this gateway holds.
    pub replaces: Vec<ReferralId>,
    /// `supportingInfo` of an appointment that this gateway is said to hold.
    pub linked_appointment: Option<AppointmentId>,
}

impl Request {
    /// Reads it.
    pub fn read(resource: &Value) -> Self {
        Self {
            status: str_at(resource, "status").unwrap_or_default().to_owned(),
            priority: str_at(resource, "priority").and_then(priority),
            authored_on: instant_at(resource, "authoredOn"),
            occurrence: (instant_at(resource, "occurrencePeriod.start"), instant_at(resource, "occurrencePeriod.end")),
            reasons: items(resource, "reasonCode").iter().flat_map(codings).map(coding).collect(),
            reason_text: str_at(resource, "reasonCode.text").map(str::to_owned),
            patient_instruction: str_at(resource, "patientInstruction").map(str::to_owned),
            identifiers: items(resource, "identifier").iter().filter_map(identifier).collect(),
            based_on: held(resource, "basedOn", "ServiceRequest").map(ReferralId).collect(),
            replaces: held(resource, "replaces", "ServiceRequest").map(ReferralId).collect(),
            linked_appointment: held(resource, "supportingInfo", "Appointment").map(AppointmentId).next(),
        }
    }

    /// Writes it into a ServiceRequest. Everything else there stays; a time keeps the words that it was
    /// written in while it is the same moment.
    pub fn write(&self, resource: &mut Map<String, Value>) {
        put(resource, "status", Some(self.status.as_str()).filter(|status| !status.is_empty()));
        put(resource, "priority", self.priority.map(priority_code));
        put(resource, "patientInstruction", self.patient_instruction.as_deref());
        put_moment(resource, "authoredOn", self.authored_on);
        self.write_occurrence(resource);
        self.write_reasons(resource);
        add_identifiers(resource, &self.identifiers);
        add_references(resource, "basedOn", "ServiceRequest", self.based_on.iter().map(|id| id.0));
        add_references(resource, "replaces", "ServiceRequest", self.replaces.iter().map(|id| id.0));
        lead_with(resource, "supportingInfo", "Appointment", self.linked_appointment.map(|id| id.0));
    }

    fn write_occurrence(&self, resource: &mut Map<String, Value>) {
        if self.occurrence == (None, None) {
            return;
        }
        let period = resource.entry("occurrencePeriod").or_insert_with(|| json!({}));
        if let Some(period) = period.as_object_mut() {
            put_moment(period, "start", self.occurrence.0);
            put_moment(period, "end", self.occurrence.1);
        }
    }

    fn write_reasons(&self, resource: &mut Map<String, Value>) {
        let known = Self::read(&Value::Object(resource.clone()));
        if !self.reasons.is_empty() && known.reasons != self.reasons {
            write_codings(resource, &self.reasons);
        }
        if self.reason_text.is_none() || known.reason_text == self.reason_text {
            return;
        }
        let reasons = resource.entry("reasonCode").or_insert_with(|| json!([{}]));
        if let Some(first) = reasons.get_mut(0).and_then(Value::as_object_mut) {
            put(first, "text", self.reason_text.as_deref());
        }
    }

    /// The UBRN among its identifiers.
    pub fn ubrn(&self) -> Option<Ubrn> {
        let named = self.identifiers.iter().find(|it| systems::same(&it.system, systems::UBRN))?;
        Ubrn::parse(&named.value)
    }
}

fn coding(coding: crate::fhir::view::Coding<'_>) -> Coding {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Coding { system: text(coding.system), code: text(coding.code), display: text(coding.display) }
}

/// All codes go into the first concept; what is said beside them stays where it is.
fn write_codings(resource: &mut Map<String, Value>, wanted: &[Coding]) {
    let slot = resource.entry("reasonCode").or_insert_with(|| json!([{}]));
    let Some(concepts) = slot.as_array_mut() else { return };
    if !concepts.first().is_some_and(Value::is_object) {
        concepts.insert(0, json!({}));
    }
    let taken = concepts.iter_mut().filter_map(|concept| concept.as_object_mut()?.remove("coding"));
    let mut held: Vec<Value> = taken.flat_map(listed).collect();
    let mut codings: Vec<Value> = wanted.iter().map(|wanted| take_coding(&mut held, wanted)).collect();
    // Without a code it is not read, and so not the model's to remove.
    codings.extend(held.into_iter().filter(|value| view::codings(value).next().is_none()));
    if let Some(first) = concepts.first_mut().and_then(Value::as_object_mut) {
        first.insert("coding".to_owned(), Value::Array(codings));
    }
    concepts.retain(|concept| concept.as_object().is_none_or(|members| !members.is_empty()));
}

fn listed(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        single => vec![single],
    }
}

/// The Coding that says this already, with all that it says, or a new one.
fn take_coding(held: &mut Vec<Value>, wanted: &Coding) -> Value {
    let says = |value: &Value| view::codings(value).map(coding).next().as_ref() == Some(wanted);
    match held.iter().position(says) {
        Some(index) => held.remove(index),
        None => coding_value(wanted),
    }
}

fn coding_value(coding: &Coding) -> Value {
    let parts = [("system", &coding.system), ("code", &coding.code), ("display", &coding.display)];
    let present = parts.into_iter().filter(|(_, text)| !text.is_empty());
    Value::Object(present.map(|(name, text)| (name.to_owned(), json!(text))).collect())
}

/// Ids in references to things that this gateway holds: `ServiceRequest/<uuid>`.
pub(super) fn held<'a>(resource: &'a Value, element: &str, kind: &'a str) -> impl Iterator<Item = Uuid> + use<'a> {
    items(resource, element).iter().filter_map(move |it| meant(it, kind))
}

/// What a Reference to something that this gateway holds means.
fn meant(reference: &Value, kind: &str) -> Option<Uuid> {
    held_id(reference.get("reference")?.as_str()?, kind)
}

/// The id in `Kind/<uuid>`.
pub fn held_id(reference: &str, kind: &str) -> Option<Uuid> {
    let rest = reference.strip_prefix(kind)?.strip_prefix('/')?;
    super::headers::hyphenated(rest.split('/').next()?)
}

fn add_references(resource: &mut Map<String, Value>, element: &str, kind: &str, ids: impl Iterator<Item = Uuid>) {
    for id in ids {
        let slot = resource.entry(element).or_insert_with(|| json!([]));
        let reference = format!("{kind}/{id}");
        let Some(values) = slot.as_array_mut() else { return };
        if !values.iter().any(|it| meant(it, kind) == Some(id)) {
            values.push(json!({ "reference": reference }));
        }
    }
}

/// Puts the reference to `id` before any other of its kind, since the first is the one that is read.
fn lead_with(resource: &mut Map<String, Value>, element: &str, kind: &str, id: Option<Uuid>) {
    let Some(id) = id else { return };
    add_references(resource, element, kind, std::iter::once(id));
    let Some(values) = resource.get_mut(element).and_then(Value::as_array_mut) else { return };
    let first = values.iter().position(|it| meant(it, kind).is_some());
    let own = values.iter().position(|it| meant(it, kind) == Some(id));
    if let (Some(first), Some(own)) = (first, own) {
        values[first..=own].rotate_right(1);
    }
}

/// Makes the first reference to something held one to `id`: it is the only one that counts.
pub(super) fn put_reference(resource: &mut Map<String, Value>, element: &str, kind: &str, id: Option<Uuid>) {
    let Some(id) = id else { return };
    let slot = resource.entry(element).or_insert_with(|| json!([]));
    let Some(values) = slot.as_array_mut() else { return };
    let Some(first) = values.iter_mut().find(|it| meant(it, kind).is_some()) else {
        return values.push(json!({ "reference": format!("{kind}/{id}") }));
    };
    if meant(first, kind) == Some(id) {
        return;
    }
    if let Some(reference) = first.as_object_mut() {
        reference.insert("reference".to_owned(), json!(format!("{kind}/{id}")));
        // They name the other one.
        reference.remove("display");
        reference.remove("identifier");
    }
}

/// Sets a moment, unless the element says the same moment already in words of its own.
pub(super) fn put_moment(object: &mut Map<String, Value>, name: &str, moment: Option<Timestamp>) {
    let Some(moment) = moment else { return };
    let known = said(object, name).and_then(|text| FhirDateTime::parse(text).ok());
    if known.and_then(|known| known.timestamp()) != Some(moment) {
        object.insert(name.to_owned(), json!(moment.to_string()));
    }
}

fn priority(code: &str) -> Option<Priority> {
    [Priority::Routine, Priority::Urgent, Priority::Asap, Priority::Stat]
        .into_iter()
        .find(|it| priority_code(*it) == code)
}

fn priority_code(priority: Priority) -> &'static str {
    match priority {
        Priority::Routine => "routine",
        Priority::Urgent => "urgent",
        Priority::Asap => "asap",
        Priority::Stat => "stat",
    }
}

/// Who asks: the requester's organisation and person, or else the message's sender.
pub fn requester(bundle: &Bundle<'_>, request: Option<&Value>, header: &Value) -> Party {
    let named = request.and_then(|request| reference_at(request, "requester")).and_then(|it| bundle.resolve(it));
    let named = named.and_then(|entry| entry.resource());
    let role = named.filter(|it| str_at(it, "resourceType") == Some("PractitionerRole"));
    let resolve = |from: Option<&Value>, path: &str| bundle.resolve(reference_at(from?, path)?)?.resource();
    let practitioner = match role {
        Some(role) => resolve(Some(role), "practitioner"),
        None => named.filter(|it| str_at(it, "resourceType") == Some("Practitioner")),
    };
    let direct = named.filter(|it| str_at(it, "resourceType") == Some("Organization"));
    let organisation = direct.or(resolve(role, "organization")).or(resolve(Some(header), "sender"));
    party(organisation, practitioner)
}

fn party(organisation: Option<&Value>, practitioner: Option<&Value>) -> Party {
    let name = |it: &Value| {
        let given = str_at(it, "name.given").unwrap_or_default().to_owned();
        Some((str_at(it, "name.family")?.to_owned(), given))
    };
    Party {
        organisation: organisation.and_then(ods_code),
        organisation_name: organisation.and_then(|it| str_at(it, "name")).map(str::to_owned),
        practitioner: practitioner.and_then(|it| items(it, "identifier").iter().find_map(identifier)),
        practitioner_name: practitioner.and_then(name),
    }
}
