//! What is converted is sound: FHIR under the profiles of UK Core, HL7 v2 for everything that a resource stands for,
//! and an account of each field that is never more than the truth.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as File;

use assert_cmd::Command;
use onward::fhir::json::Limits;
use onward::hl7v2::message::Message;
use onward::hl7v2::path::Path;
use onward::load::synthetic::{Bundles, FreeSlot, People};
use onward::pas::inbound::convert::{account, to_fhir};
use onward::pas::inbound::dialect::Dialect;
use onward::profile::library::built_in;
use onward::profile::policy::Policy;
use onward::profile::validate::Request;
use serde_json::{Value, json};

use crate::hl7_corpus;

/// Our own messages, and what of the corpus is there.
fn messages() -> Vec<(String, Vec<u8>)> {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/feed");
    let own = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let own = own.filter(|path| path.extension().is_some_and(|it| it == "hl7"));
    let mut messages: Vec<_> = own.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    match hl7_corpus::shared() {
        None => hl7_corpus::skipped(),
        Some(shared) => {
            for (file, bytes) in hl7_corpus::files(&shared) {
                messages.extend(hl7_corpus::messages(&bytes).into_iter().map(|message| (file.clone(), message)));
            }
        }
    }
    messages
}

#[test]
fn what_is_made_of_any_message_is_valid_under_the_profiles_of_uk_core() {
    let (validator, policy) = (&built_in().validator, Policy::strict());
    let (mut resources, mut wrong) = (0, BTreeMap::<String, (usize, String)>::new());
    for (name, bytes) in messages() {
        let Ok(bundle) = to_fhir(&bytes, &Dialect::default(), true) else { continue };
        let text = bundle.to_string();
        let tape = validator.read(text.as_bytes(), &Limits::default()).unwrap();
        let found = policy.apply(validator.check(&tape, &Request::default()).issues);
        for issue in found.errors() {
            let at: String = issue.at.chars().filter(|c| !c.is_ascii_digit()).collect();
            let seen = wrong.entry(format!("{} {at}: {}", issue.code.id, issue.text)).or_insert((0, name.clone()));
            seen.0 += 1;
        }
        resources += bundle["entry"].as_array().map_or(0, Vec::len);
    }
    println!("{resources} resources were made");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(70 < resources);
}

#[test]
fn every_field_is_translated_or_carried_and_nothing_is_dropped() {
    // Of very large ones there is nothing more to learn.
    for (name, bytes) in messages().into_iter().filter(|(_, bytes)| bytes.len() < 20_000) {
        let account = account(&bytes, &Dialect::default(), true);
        assert!(account.dropped.is_empty(), "{name}: {:?}", account.dropped);
    }
}

#[test]
fn only_what_the_settings_say_means_nothing_is_dropped() {
    let message = b"MSH|^~\\&|PAS|RXX|O|X|202605011000||ADT^A28|1|T|2.4\rEVN|A28|202605011000\r\
        PID|1||D1^^^RXX^MR||DOE^JO||19700101|1|||NOBODY SAID||||X9^Klingon|S|\"\"\r";
    let said = |settings: &str| account(message, &Dialect::read(&toml_table(settings)).unwrap(), true);
    let plain = said("");
    assert!(plain.dropped.is_empty() && plain.mapped.contains(&"PID-11".to_owned()), "{plain:?}");
    // A language that FHIR has no code for is not translated, whatever field it stands in.
    assert!(plain.carried.contains(&"PID-15".to_owned()), "{plain:?}");
    assert!(plain.carried.contains(&"PID-17".to_owned()), "{plain:?}");
    let set = said("placeholders = [\"nobody said\"]\nnull = \"absent\"");
    assert_eq!(set.dropped, ["PID-11", "PID-17"], "{set:?}");
}

fn toml_table(text: &str) -> toml::Table {
    text.parse().unwrap()
}

fn convert(input: &Value, args: &[&str]) -> Printed {
    let mut command = Command::cargo_bin("onward").unwrap();
    command.args(["hl7", "convert", "--to", "hl7v2", "--report", "-"]).args(args).write_stdin(input.to_string());
    let done = command.assert().success();
    let report = String::from_utf8(done.get_output().stderr.clone()).unwrap();
    assert!(report.contains("dropped: nothing"), "{report}");
    Printed(done.get_output().stdout.clone())
}

/// A message as it was printed.
struct Printed(Vec<u8>);

impl Printed {
    fn text(&self, path: &str) -> String {
        let message = Message::parse(&self.0).unwrap();
        message.get(Path::parse(path).unwrap()).text().unwrap_or_default().into_owned()
    }

    fn event(&self) -> String {
        format!("{}^{}", self.text("MSH-9.1"), self.text("MSH-9.2"))
    }
}

#[test]
fn every_event_of_a_referral_or_booking_is_made_of_the_resource_that_stands_for_it() {
    let patient = json!({ "resourceType": "Patient", "id": "11111111-1111-4111-8111-111111111111",
        "name": [{ "family": "Doe", "given": ["Jo"] }], "birthDate": "1970-01-01" });
    let bundle = |resource: Value| {
        let entries = [patient.clone(), resource].map(|it| json!({ "resource": it }));
        json!({ "resourceType": "Bundle", "type": "collection", "entry": entries })
    };
    let appointment = |status: &str| {
        bundle(json!({ "resourceType": "Appointment", "id": "22222222-2222-4222-8222-222222222222", "status": status,
            "start": "2026-05-04T09:00:00Z", "end": "2026-05-04T09:20:00Z",
            "participant": [{ "actor": { "reference": "Patient/11111111-1111-4111-8111-111111111111" }, "status": "accepted" }] }))
    };
    let request = |status: &str| {
        bundle(
            json!({ "resourceType": "ServiceRequest", "id": "33333333-3333-4333-8333-333333333333", "status": status,
            "intent": "plan", "subject": { "reference": "Patient/11111111-1111-4111-8111-111111111111" } }),
        )
    };
    let by = ["--organisation", "RXX"];
    for (status, event, shown) in [
        ("booked", "SIU^S12", "Booked"),
        ("arrived", "SIU^S14", "Started"),
        ("checked-in", "SIU^S14", "Started"),
        ("fulfilled", "SIU^S14", "Complete"),
        ("cancelled", "SIU^S15", "Cancelled"),
        ("entered-in-error", "SIU^S17", "Deleted"),
        ("noshow", "SIU^S26", "Noshow"),
    ] {
        let message = convert(&appointment(status), &by);
        assert_eq!((message.event().as_str(), message.text("SCH-25.1").as_str()), (event, shown), "{status}");
        assert_eq!(message.text("SCH-1.1"), "22222222-2222-4222-8222-222222222222");
        assert_eq!(message.text("PID-5.1"), "Doe");
    }
    for (status, event, shown) in [
        ("active", "REF^I12", "P"),
        ("on-hold", "REF^I13", "P"),
        ("completed", "REF^I13", "A"),
        ("revoked", "REF^I14", "R"),
        ("entered-in-error", "REF^I14", "R"),
    ] {
        let message = convert(&request(status), &by);
        assert_eq!((message.event().as_str(), message.text("RF1-1.1").as_str()), (event, shown), "{status}");
    }
    // What happened is not always to be seen.
    for event in ["SIU^S13", "S14"] {
        let message = convert(&appointment("booked"), &[by[0], by[1], "--event", event]);
        assert!(message.event().ends_with(&event[event.len() - 3..]));
    }
    // A resource by itself.
    let alone = appointment("noshow")["entry"][1]["resource"].clone();
    assert_eq!(convert(&alone, &by).event(), "SIU^S26");
    for refused in [appointment("pending"), request("draft-ish"), bundle(json!({ "resourceType": "Slot" })), json!({})]
    {
        let mut command = Command::cargo_bin("onward").unwrap();
        command.args(["hl7", "convert", "--to", "hl7v2", "-"]).args(by).write_stdin(refused.to_string());
        command.assert().code(1);
    }
}

#[test]
fn every_message_of_the_standard_is_made_an_event() {
    let (bundles, person) = (Bundles::new("111111111"), People::new(3).next());
    let now = "2026-05-04T09:00:00Z".parse().unwrap();
    let slot = FreeSlot {
        id: "slot-1".into(),
        schedule: "diary-1".into(),
        start: "2026-05-05T09:00:00Z".into(),
        end: "2026-05-05T09:20:00Z".into(),
    };
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let referral = read(&bundles.referral(&person, now).body);
    let booking = read(&bundles.booking(&person, &slot, None, now).body);
    assert_eq!(convert(&referral, &[]).event(), "REF^I12");
    assert_eq!(convert(&booking, &[]).event(), "SIU^S12");
    let with = |bundle: &Value, kind: &str, status: &str, definition: Option<&str>| {
        let mut bundle = bundle.clone();
        bundle["entry"][0]["resource"]["reason"]["coding"][0]["code"] = "update".into();
        if let Some(definition) = definition {
            let url = format!("https://fhir.nhs.uk/MessageDefinition/{definition}");
            bundle["entry"][0]["resource"]["definition"] = url.into();
            let kept = [kind, "MessageHeader", "Patient", "Organization"];
            let entries = bundle["entry"].as_array_mut().unwrap();
            entries.retain(|it| kept.contains(&it["resource"]["resourceType"].as_str().unwrap()));
        }
        for entry in bundle["entry"].as_array_mut().unwrap() {
            let resource = &mut entry["resource"];
            if resource["resourceType"] == kind {
                resource["status"] = status.into();
                resource["id"] = "44444444-4444-4444-8444-444444444444".into();
            }
        }
        bundle
    };
    let cancelled = Some("bars-message-booking-request-cancelled");
    let withdrawn = Some("bars-message-servicerequest-request-cancelled");
    for (bundle, event) in [
        (with(&referral, "ServiceRequest", "active", None), "REF^I13"),
        (with(&referral, "ServiceRequest", "revoked", withdrawn), "REF^I14"),
        (with(&booking, "Appointment", "booked", None), "SIU^S13"),
        (with(&booking, "Appointment", "cancelled", cancelled), "SIU^S15"),
        (with(&booking, "Appointment", "entered-in-error", cancelled), "SIU^S17"),
    ] {
        let message = convert(&bundle, &[]);
        assert_eq!(message.event(), event);
        assert_eq!(message.text("PID-5.1"), person.family);
    }
}
