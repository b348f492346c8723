//! The synchronous reply: the sender's Bundle with the receiver's ids, and for a new request the
//! receiver's own planned Encounter (BaRS Core, "Synchronous response").

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::check::Message;
use super::systems;
use super::workflow::Wish;
use crate::booking::decision::Decision;
use crate::booking::identifier::PatientId;
use crate::fhir::view::{id, resource_type, str_at};

/// Resources of a booking that the sender got from this receiver's slot search, and so sends back with
/// this receiver's ids.
const OURS_IN_A_BOOKING: &[&str] =
    &["Slot", "Schedule", "HealthcareService", "Location", "Practitioner", "PractitionerRole"];

/// The ids that a message's resources have from now on.
#[derive(Clone, Debug)]
pub struct Ids {
    /// Per entry.
    entries: Vec<String>,
    /// Of the ServiceRequest or Appointment that the message is about.
    pub focus: Uuid,
    /// Of a new patient record, should one be needed.
    pub patient: PatientId,
    /// Of a referral to await, should one be needed.
    pub awaited: Uuid,
    /// What people call the case.
    pub case_reference: String,
    /// The receiver's own planned Encounter: id and fullUrl.
    planned: Option<(Uuid, Uuid)>,
    /// Where the Patient is, and where the resource in question.
    patient_index: usize,
    subject_index: usize,
    /// The id of the resource in question may turn out to be that of an awaited referral.
    places: bool,
}

impl Ids {
    /// Gives a new message fresh ids throughout; a later one keeps those that it brings.
    pub fn assign(message: &Message<'_>) -> Self {
        let new = matches!(message.row.wish, Wish::Place | Wish::Book);
        let booking = message.row.wish == Wish::Book;
        let entries: Vec<String> = message
            .bundle
            .entries()
            .iter()
            .map(|entry| {
                let kept = entry.resource.and_then(id).filter(|_| {
                    !new || booking && entry.resource_type().is_some_and(|kind| OURS_IN_A_BOOKING.contains(&kind))
                });
                kept.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
            })
            .collect();
        let focus = Uuid::parse_str(&entries[message.subject.index]).unwrap_or_else(|_| Uuid::now_v7());
        let patient = if new { Uuid::parse_str(&entries[message.patient.index]).ok() } else { None };
        Self {
            focus,
            patient: PatientId(patient.unwrap_or_else(Uuid::now_v7)),
            awaited: Uuid::now_v7(),
            case_reference: case_reference(focus),
            planned: (message.row.wish == Wish::Place).then(|| (Uuid::now_v7(), Uuid::now_v7())),
            patient_index: message.patient.index,
            subject_index: message.subject.index,
            places: message.row.wish == Wish::Place,
            entries,
        }
    }

    /// The resource that the message is about, as it will be read back: with its id, and references
    /// that mean something outside of the Bundle. It names the candidate as its patient.
    pub fn resource(&self, message: &Message<'_>) -> String {
        let Some(resource) = message.subject.resource else { return String::new() };
        let mut resource = resource.clone();
        if let Some(members) = resource.as_object_mut() {
            put_id(members, self.focus.to_string());
        }
        let urls: HashMap<&str, String> = message
            .bundle
            .entries()
            .iter()
            .filter_map(|entry| {
                let id = if entry.index == message.patient.index {
                    &self.patient.to_string()
                } else {
                    &self.entries[entry.index]
                };
                Some((entry.full_url?, format!("{}/{id}", entry.resource_type()?)))
            })
            .collect();
        rewrite(&mut resource, &urls);
        resource.to_string()
    }

    /// The whole reply, made of the request itself. `decision` may have found the patient to be known, or the
    /// referral awaited.
    pub fn reply(&self, mut request: Value, decision: &Decision, case_system: &str) -> Vec<u8> {
        if let Some(entries) = request.get_mut("entry").and_then(Value::as_array_mut) {
            let planned = self.planned.map(|ids| planned_encounter(entries, ids, decision, case_system));
            for (index, entry) in entries.iter_mut().enumerate() {
                if let Some(resource) = entry.get_mut("resource").and_then(Value::as_object_mut) {
                    put_id(resource, self.id_of(index, decision));
                }
            }
            entries.extend(planned);
        }
        let mut bytes = Vec::with_capacity(32 << 10);
        // Writing JSON that was read into memory cannot fail.
        let _ = serde_json::to_writer(&mut bytes, &request);
        bytes
    }

    fn id_of(&self, index: usize, decision: &Decision) -> String {
        let patient = decision.patient.as_ref().filter(|_| index == self.patient_index).map(|it| it.id.to_string());
        let referral = decision.referral.as_ref().filter(|_| self.places && index == self.subject_index);
        patient.or(referral.map(|it| it.id.to_string())).unwrap_or_else(|| self.entries[index].clone())
    }
}

fn planned_encounter(entries: &[Value], (id, url): (Uuid, Uuid), decision: &Decision, case_system: &str) -> Value {
    let resources = entries.iter().filter_map(|entry| entry.get("resource"));
    let theirs = resources.into_iter().find(|it| resource_type(it) == Some("Encounter"));
    let referral = decision.referral.as_ref();
    let mut encounter = json!({
        "resourceType": "Encounter",
        "id": id.to_string(),
        "meta": { "lastUpdated": referral.map(|it| it.received_at.to_string()) },
        "identifier": [{ "system": case_system, "value": referral.map(|it| it.case_reference.as_str()) }],
        "status": "planned",
    });
    for element in ["class", "subject", "episodeOfCare"] {
        if let Some(same) = theirs.and_then(|theirs| theirs.get(element)) {
            encounter[element] = same.clone();
        }
    }
    json!({ "fullUrl": format!("urn:uuid:{url}"), "resource": encounter })
}

/// The id, in its usual place after the type.
fn put_id(resource: &mut Map<String, Value>, id: String) {
    match resource.get_mut("id") {
        Some(held) => *held = Value::String(id),
        None => drop(resource.shift_insert(1.min(resource.len()), "id".into(), Value::String(id))),
    }
}

/// References by fullUrl become references by type and id.
fn rewrite(value: &mut Value, urls: &HashMap<&str, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "reference" => {
                        if let Some(known) = urls.get(text.as_str()) {
                            *text = known.clone();
                        }
                    }
                    _ => rewrite(member, urls),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, urls)),
        _ => {}
    }
}

/// Eight letters and digits that people can read to each other (Crockford's base 32), from the id.
fn case_reference(id: Uuid) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = u128::from_be_bytes(*id.as_bytes());
    let letter = |place: u32| char::from(LETTERS[(bits >> (5 * place)) as usize & 31]);
    let text: String = (0..8).rev().map(letter).collect();
    format!("{}-{}", &text[..4], &text[4..])
}

/// The Bundle's own id.
pub fn bundle_id(value: &Value) -> &str {
    str_at(value, "id").unwrap_or_default()
}

/// The system of case references of a gateway with this public name.
pub fn case_system(host: &str) -> String {
    systems::CASE_REFERENCE.replace("onward.invalid", host)
}
