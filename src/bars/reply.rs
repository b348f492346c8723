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
use crate::fhir::view::{id, str_at};

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
            entries,
        }
    }

    /// The resource that the message is about, as it will be read back: with its id, and references
    /// that mean something outside of the Bundle. It names the candidate as its patient.
    pub fn resource(&self, message: &Message<'_>) -> String {
        let Some(resource) = message.subject.resource else { return String::new() };
        let mut resource = with_id(resource, &self.focus.to_string());
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

    /// The whole reply. `decision` may have found the patient to be known, or the referral awaited.
    pub fn reply(&self, value: &Value, message: &Message<'_>, decision: &Decision, case_system: &str) -> Vec<u8> {
        let mut entries: Vec<Value> = message.bundle.entries().iter().map(|entry| self.entry(entry)).collect();
        if let Some(planned) = self.planned {
            entries.push(self.planned_encounter(message, planned, decision, case_system));
        }
        if let Some(patient) = &decision.patient {
            set_id(&mut entries, message.patient.index, &patient.id.to_string());
        }
        if let (Wish::Place, Some(referral)) = (message.row.wish, &decision.referral) {
            set_id(&mut entries, message.subject.index, &referral.id.to_string());
        }
        let members = value.as_object().map(|members| members.iter()).into_iter().flatten();
        let mut reply: Map<String, Value> =
            members.filter(|(name, _)| *name != "entry").map(|(name, member)| (name.clone(), member.clone())).collect();
        reply.insert("entry".into(), Value::Array(entries));
        Value::Object(reply).to_string().into_bytes()
    }

    fn entry(&self, entry: &crate::fhir::bundle::Entry<'_>) -> Value {
        let mut value = entry.value.clone();
        if let Some(resource) = entry.resource {
            value["resource"] = with_id(resource, &self.entries[entry.index]);
        }
        value
    }

    fn planned_encounter(
        &self,
        message: &Message<'_>,
        (id, url): (Uuid, Uuid),
        decision: &Decision,
        case_system: &str,
    ) -> Value {
        let theirs = message.bundle.resources("Encounter").next();
        let case = decision.referral.as_ref().map_or(self.case_reference.as_str(), |it| it.case_reference.as_str());
        let mut encounter = json!({
            "resourceType": "Encounter",
            "id": id.to_string(),
            "meta": { "lastUpdated": decision.referral.as_ref().map(|it| it.received_at.to_string()) },
            "identifier": [{ "system": case_system, "value": case }],
            "status": "planned",
        });
        for element in ["class", "subject", "episodeOfCare"] {
            if let Some(same) = theirs.and_then(|theirs| theirs.get(element)) {
                encounter[element] = same.clone();
            }
        }
        json!({ "fullUrl": format!("urn:uuid:{url}"), "resource": encounter })
    }
}

fn set_id(entries: &mut [Value], index: usize, id: &str) {
    if let Some(resource) = entries.get_mut(index).and_then(|entry| entry.get_mut("resource")) {
        resource["id"] = json!(id);
    }
}

/// The resource with this id, in its usual place after the type.
fn with_id(resource: &Value, id: &str) -> Value {
    let Some(members) = resource.as_object() else { return resource.clone() };
    let mut out = Map::with_capacity(members.len() + 1);
    if let Some(kind) = members.get("resourceType") {
        out.insert("resourceType".into(), kind.clone());
    }
    out.insert("id".into(), json!(id));
    let rest = members.iter().filter(|(name, _)| *name != "resourceType" && *name != "id");
    out.extend(rest.map(|(name, member)| (name.clone(), member.clone())));
    Value::Object(out)
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
