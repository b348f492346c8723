//! The synchronous reply: the sender's Bundle with the receiver's ids, and for a new request the
//! receiver's own planned Encounter (BaRS Core, "Synchronous response").

use serde_json::{Value, json};
use uuid::Uuid;

use super::check::Message;
use super::systems;
use super::workflow::Wish;
use crate::booking::decision::Decision;
use crate::booking::identifier::PatientId;
use crate::fhir::splice::Places;

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
    /// The receiver's own planned Encounter, without what only the decision knows.
    planned: Option<Value>,
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
                let kept = entry.id().filter(|_| {
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
            planned: (message.row.wish == Wish::Place).then(|| planned_encounter(message)),
            patient_index: message.patient.index,
            subject_index: message.subject.index,
            places: message.row.wish == Wish::Place,
            entries,
        }
    }

    /// The resource that the message is about, as it will be read back: with its id, and references
    /// that mean something outside of the Bundle. It names the candidate as its patient.
    pub fn resource(&self, message: &Message<'_>) -> String {
        let renamed = |url: &str| {
            let entry = message.bundle.by_full_url(url)?;
            let kind = entry.resource_type()?;
            Some(match entry.index == message.patient.index {
                true => format!("{kind}/{}", self.patient),
                false => format!("{kind}/{}", self.entries[entry.index]),
            })
        };
        message.document.copied(message.subject.index, &self.focus.to_string(), &renamed).unwrap_or_default()
    }

    /// The whole reply: the bytes of the request with these ids at their `places`. `decision` may have found the patient
    /// to be known, or the referral awaited.
    pub fn reply(&self, request: &[u8], places: &Places, decision: &Decision, case_system: &str) -> Vec<u8> {
        let ids: Vec<String> = (0..self.entries.len()).map(|index| self.id_of(index, decision)).collect();
        let planned = self.planned.as_ref().map(|encounter| planned_entry(encounter, decision, case_system));
        places.write(request, &ids, planned.as_deref())
    }

    fn id_of(&self, index: usize, decision: &Decision) -> String {
        let patient = decision.patient.as_ref().filter(|_| index == self.patient_index).map(|it| it.id.to_string());
        let referral = decision.referral.as_ref().filter(|_| self.places && index == self.subject_index);
        patient.or(referral.map(|it| it.id.to_string())).unwrap_or_else(|| self.entries[index].clone())
    }
}

/// The receiver's Encounter, of the same kind, patient and journey as the sender's.
fn planned_encounter(message: &Message<'_>) -> Value {
    let theirs = message.bundle.entries_of("Encounter").next();
    let mut encounter =
        json!({ "resourceType": "Encounter", "id": Uuid::now_v7().to_string(), "meta": {}, "status": "planned" });
    for element in ["class", "subject", "episodeOfCare"] {
        if let Some(same) = theirs.and_then(|theirs| theirs.element(element)) {
            encounter[element] = same.into_owned();
        }
    }
    encounter
}

fn planned_entry(encounter: &Value, decision: &Decision, case_system: &str) -> String {
    let mut encounter = encounter.clone();
    if let Some(referral) = &decision.referral {
        encounter["meta"]["lastUpdated"] = json!(referral.received_at.to_string());
        encounter["identifier"] = json!([{ "system": case_system, "value": referral.case_reference }]);
    }
    json!({ "fullUrl": format!("urn:uuid:{}", Uuid::now_v7()), "resource": encounter }).to_string()
}

/// Eight letters and digits that people can read to each other (Crockford's base 32), from the id.
fn case_reference(id: Uuid) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = u128::from_be_bytes(*id.as_bytes());
    let letter = |place: u32| char::from(LETTERS[(bits >> (5 * place)) as usize & 31]);
    let text: String = (0..8).rev().map(letter).collect();
    format!("{}-{}", &text[..4], &text[4..])
}

/// The system of case references of a gateway with this public name.
pub fn case_system(host: &str) -> String {
    systems::CASE_REFERENCE.replace("onward.invalid", host)
}
