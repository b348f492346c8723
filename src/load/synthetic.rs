//! Messages about people who do not exist, of the size and shape of real ones.
//!
//! `referral.json` and `booking.json` beside this file are the messages as one reads them; here they are made compact,
//! cut up once and filled for each request.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::template::Template;

pub use super::people::{People, Person};

/// The service that the messages say they come from.
pub const SENDER: &str = "2222222222";

/// A slot to book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeSlot {
    /// Its id in the diary.
    pub id: String,
    /// The diary's id.
    pub schedule: String,
    /// Its start, as the diary writes it.
    pub start: String,
    /// Its end, as the diary writes it.
    pub end: String,
}

/// A message, ready to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its `Bundle.id`.
    pub id: Uuid,
    /// The JSON.
    pub body: Vec<u8>,
}

const NAMES: &[&str] = &[
    "id",
    "tail",
    "now",
    "until",
    "journey",
    "service",
    "sender",
    "nhs_number",
    "family",
    "given",
    "prefix",
    "gender",
    "birth_date",
    "line",
    "city",
    "postcode",
    "phone",
    "slot",
    "schedule",
    "slot_start",
    "slot_end",
    "referral",
];

/// The messages to one service.
#[derive(Clone, Debug)]
pub struct Bundles {
    service: String,
    referral: Template,
    booking: Template,
    booking_on_referral: Template,
}

impl Bundles {
    /// Prepares the messages to a service.
    pub fn new(service: &str) -> Self {
        let booking = parsed(include_str!("booking.json"));
        let mut unlinked = booking.clone();
        without_referral(&mut unlinked);
        Self {
            service: service.to_owned(),
            referral: template(&parsed(include_str!("referral.json"))),
            booking: template(&unlinked),
            booking_on_referral: template(&booking),
        }
    }

    /// A new referral.
    pub fn referral(&self, person: &Person, now: Timestamp) -> Message {
        self.fill(&self.referral, person, None, None, now)
    }

    /// A new booking of a slot, on a referral (the receiver's `ServiceRequest.id`) or before there is one.
    pub fn booking(&self, person: &Person, slot: &FreeSlot, referral: Option<&str>, now: Timestamp) -> Message {
        let template = if referral.is_some() { &self.booking_on_referral } else { &self.booking };
        self.fill(template, person, Some(slot), referral, now)
    }

    fn fill(
        &self,
        template: &Template,
        person: &Person,
        slot: Option<&FreeSlot>,
        referral: Option<&str>,
        now: Timestamp,
    ) -> Message {
        let id = Uuid::new_v4();
        let (id_text, journey) = (id.to_string(), Uuid::new_v4().to_string());
        let now_text = format!("{now:.3}").replace('Z', "+00:00");
        let until = now.saturating_add(SignedDuration::from_hours(4)).unwrap_or(now);
        let until = format!("{until:.3}").replace('Z', "+00:00");
        let birth_date = person.birth_date.to_string();
        let slot = slot.map_or(["", "", "", ""], |slot| [&slot.id, &slot.schedule, &slot.start, &slot.end]);
        let body = template.fill(&[
            &id_text,
            // Every entry of one message has its own first eight digits and this end.
            &id_text[8..],
            &now_text,
            &until,
            &journey,
            &self.service,
            SENDER,
            person.nhs_number.as_str(),
            person.family,
            person.given,
            person.title,
            person.gender,
            &birth_date,
            &person.line,
            person.town,
            &person.postcode,
            &person.phone,
            slot[0],
            slot[1],
            slot[2],
            slot[3],
            referral.unwrap_or_default(),
        ]);
        Message { id, body }
    }
}

/// One referral to a service.
pub fn referral_bundle(service: &str, person: &Person, now: Timestamp) -> Message {
    Bundles::new(service).referral(person, now)
}

/// One booking with a service.
pub fn booking_bundle(
    service: &str,
    person: &Person,
    slot: &FreeSlot,
    referral: Option<&str>,
    now: Timestamp,
) -> Message {
    Bundles::new(service).booking(person, slot, referral, now)
}

fn parsed(text: &str) -> Value {
    // The two files are part of the program, and the tests below read both.
    serde_json::from_str(text).expect("a built-in message is JSON")
}

fn template(message: &Value) -> Template {
    Template::new(&message.to_string(), NAMES).expect("a built-in message has known places only")
}

fn without_referral(booking: &mut Value) {
    for entry in booking["entry"].as_array_mut().into_iter().flatten() {
        entry["resource"].as_object_mut().map(|resource| resource.shift_remove("basedOn"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::booking::nhs_number::NhsNumber;

    fn person() -> Person {
        People::starting_at(900_000_001, 7).next()
    }

    fn slot() -> FreeSlot {
        let [start, end] = ["2026-06-01T09:00:00+00:00", "2026-06-01T09:15:00+00:00"].map(str::to_owned);
        FreeSlot { id: "slot-1".to_owned(), schedule: "diary-1".to_owned(), start, end }
    }

    fn now() -> Timestamp {
        "2026-05-01T12:00:00.25Z".parse().unwrap()
    }

    fn resource<'a>(bundle: &'a Value, kind: &str) -> &'a Value {
        let entries = bundle["entry"].as_array().unwrap();
        &entries.iter().find(|entry| entry["resource"]["resourceType"] == kind).unwrap()["resource"]
    }

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| match value.as_str() {
                Some(text) if key == "reference" => found.push(text),
                _ => references(value, found),
            }),
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    /// Every reference within the message leads to an entry, and every entry has a URL of its own.
    fn assert_closed(bundle: &Value) {
        let entries = bundle["entry"].as_array().unwrap();
        let urls: HashSet<_> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
        assert_eq!(urls.len(), entries.len());
        assert!(urls.iter().all(|url| Uuid::parse_str(url.strip_prefix("urn:uuid:").unwrap()).is_ok()));
        let mut found = Vec::new();
        references(bundle, &mut found);
        assert!(
            found.iter().filter(|reference| reference.starts_with("urn:")).all(|reference| urls.contains(reference))
        );
    }

    #[test]
    fn a_referral_is_of_real_size_and_holds_what_it_must() {
        let message = referral_bundle("111111111", &person(), now());
        assert!((20_000..30_000).contains(&message.body.len()), "{} bytes", message.body.len());
        let bundle: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(bundle["id"], message.id.to_string());
        assert_eq!(bundle["meta"]["lastUpdated"], "2026-05-01T12:00:00.250+00:00");
        assert_closed(&bundle);
        let header = resource(&bundle, "MessageHeader");
        assert_eq!(header["destination"][0]["endpoint"], "https://fhir.nhs.uk/Id/dos-service-id|111111111");
        assert_eq!(resource(&bundle, "CarePlan")["status"], "completed");
        assert_eq!(resource(&bundle, "Encounter")["status"], "finished");
        let number = resource(&bundle, "Patient")["identifier"][0]["value"].as_str().unwrap();
        assert!(NhsNumber::parse(number).is_ok());
        let entries = bundle["entry"].as_array().unwrap();
        assert!(entries.iter().all(|entry| entry["resource"]["meta"]["lastUpdated"] == bundle["meta"]["lastUpdated"]));
        assert!(!String::from_utf8(message.body).unwrap().contains("{{"));
    }

    #[test]
    fn a_booking_is_for_its_slot() {
        let message = booking_bundle("111111111", &person(), &slot(), None, now());
        let bundle: Value = serde_json::from_slice(&message.body).unwrap();
        assert_closed(&bundle);
        let appointment = resource(&bundle, "Appointment");
        assert_eq!(appointment["start"], resource(&bundle, "Slot")["start"]);
        assert_eq!(resource(&bundle, "Slot")["id"], "slot-1");
        assert_eq!(appointment.get("basedOn"), None);
        let message = booking_bundle("111111111", &person(), &slot(), Some("r-1"), now());
        let bundle: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(resource(&bundle, "Appointment")["basedOn"][0]["reference"], "ServiceRequest/r-1");
    }

    #[test]
    fn no_two_messages_share_an_id() {
        let bundles = Bundles::new("1");
        assert_ne!(bundles.referral(&person(), now()).id, bundles.referral(&person(), now()).id);
    }
}
