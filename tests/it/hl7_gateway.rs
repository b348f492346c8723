//! A hospital speaks to a running gateway: what it says about a booking that a referrer made is what readers of FHIR
//! see, whoever made it is to be told, and what nobody may guess waits for a person.

use std::time::Duration;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use onward::hl7v2::ack::{Code, Received};
use onward::load::client::Client;
use onward::load::synthetic::{People, Person};
use onward::load::{self, Feed, Mode, Plan, Sender};
use onward::outbox::destination::Peer;
use onward::outbox::mllp::send_all;
use serde_json::Value;

use crate::faults::{Watch, get};
use crate::gateway::{Gateway, Options, bundles, free_slots, headers, json, post, resource_id};

/// Where referrers of the load tool's messages are to be answered.
const ADDRESS: &str = "https://fhir.nhs.uk/Id/dos-service-id|2222222222";

/// SIU about this gateway's own id, as a hospital gives it back.
pub(crate) fn siu(event: &str, control: &str, id: &str, person: &Person, start: Timestamp, status: &str) -> Vec<u8> {
    let end = start + SignedDuration::from_mins(20);
    let at = |instant: Timestamp| instant.strftime("%Y%m%d%H%M%S+0000").to_string();
    let (number, birth) = (person.nhs_number.as_str(), person.birth_date.to_string().replace('-', ""));
    let pid = format!(
        "PID|1||{number}^^^NHS^NH~H{number}^^^RZ9^MR||{}^^^^^^L||{birth}|0{}NSTS01",
        person.family,
        "|".repeat(24)
    );
    format!(
        "MSH|^~\\&|PAS|RZ9|ONWARD|X26|{}||SIU^{event}^SIU_S12|{control}|T|2.4|||AL|NE\r\
         SCH|{id}^ONWARD|HOSP1^RZ9||||REASON^In words|R|N|20|min|^^20^{}^{}||||||||||||||{status}\r{pid}\r",
        at(Timestamp::now()),
        at(start),
        at(end)
    )
    .into_bytes()
}

/// REF^I14 about this gateway's own id, as a hospital gives it back.
pub(crate) fn withdrawal(control: &str, referral: &str, person: &Person) -> Vec<u8> {
    let now = Timestamp::now().strftime("%Y%m%d%H%M%S+0000");
    let (number, birth) = (person.nhs_number.as_str(), person.birth_date.to_string().replace('-', ""));
    format!(
        "MSH|^~\\&|PAS|RZ9|ONWARD|X26|{now}||REF^I14^REF_I12|{control}|T|2.4|||AL|NE\r\
         RF1|R|R|110|AM|O|{referral}^ONWARD|{now}\r\
         PID|1||{number}^^^NHS^NH~H{number}^^^RZ9^MR||{}^^^^^^L||{birth}|0{}NSTS01\rOBR|1|{referral}^ONWARD\r",
        person.family,
        "|".repeat(24)
    )
    .into_bytes()
}

async fn send(gateway: &Gateway, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let addr = gateway.mllp.expect("it listens");
    let mut answers = Vec::new();
    send_all(&Peer::new(addr.ip().to_string(), addr.port()), messages, |_, answer| answers.push(answer.to_vec()))
        .await
        .unwrap();
    answers
}

fn code(answer: &[u8]) -> Option<Code> {
    Received::read(answer).unwrap().code
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hospital_says_of_a_referrers_booking_is_so() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let people = People::new(7);
    let (person, other) = (people.next(), people.next());
    let referral = post(&client, headers().write(), &bundles().referral(&person, Timestamp::now())).await;
    let referral = resource_id(&referral, "ServiceRequest").unwrap();
    let slot = free_slots(&client, 14).await.pop().unwrap();
    let booking = bundles().booking(&person, &slot, Some(&referral), Timestamp::now());
    let booking = post(&client, headers().write(), &booking).await;
    let id = resource_id(&booking, "Appointment").unwrap();
    let read = async || -> Value {
        let path = format!("/Appointment/{id}");
        let answer = client.send(Method::GET, &path, headers().read(), None).await.unwrap();
        json(&answer)
    };
    let start: Timestamp = read().await["start"].as_str().unwrap().parse().unwrap();

    // Moved by the hospital; the repeat is answered byte for byte.
    let later = start + SignedDuration::from_hours(24);
    let moved = siu("S13", "C1", &id, &person, later, "Booked");
    let answers = send(&gateway, &[moved.clone(), moved]).await;
    assert_eq!((code(&answers[0]), answers[0] == answers[1]), (Some(Code::CA), true));
    let now = read().await;
    assert_eq!(now["start"].as_str().unwrap().parse::<Timestamp>().unwrap(), later);
    assert_eq!(now["status"], "booked");

    // Not the person whose booking it is: kept for a person here, and nothing changes.
    let wrong = send(&gateway, &[siu("S15", "C2", &id, &other, later, "Cancelled")]).await;
    assert_eq!(code(&wrong[0]), Some(Code::CA));
    assert_eq!(read().await["status"], "booked");

    // By its own number, which the hospital gave with the first event.
    let missed = siu("S26", "C3", "HOSP1", &person, later, "Noshow");
    assert_eq!(code(&send(&gateway, &[missed]).await[0]), Some(Code::CA));
    assert_eq!(read().await["status"], "noshow");

    // Cancelled for a reason, and then booked again: the reason goes with the cancellation.
    let cancelled = siu("S15", "C4", "HOSP1", &person, later, "Cancelled");
    assert_eq!(code(&send(&gateway, &[cancelled]).await[0]), Some(Code::CA));
    assert_eq!(
        (read().await["status"].as_str(), read().await["cancelationReason"]["text"].as_str()),
        (Some("cancelled"), Some("In words"))
    );
    let again = siu("S13", "C5", "HOSP1", &person, start, "Booked");
    assert_eq!(code(&send(&gateway, &[again]).await[0]), Some(Code::CA));
    assert_eq!((read().await["status"].as_str(), &read().await["cancelationReason"]), (Some("booked"), &Value::Null));

    // What becomes of the referral is what readers see, too.
    let referral_now = async || -> Value {
        let path = format!("/ServiceRequest/{referral}");
        json(&client.send(Method::GET, &path, headers().read(), None).await.unwrap())
    };
    assert_eq!(referral_now().await["status"], "active");
    assert_eq!(code(&send(&gateway, &[withdrawal("C6", &referral, &person)]).await[0]), Some(Code::CA));
    assert_eq!(referral_now().await["status"], "revoked");

    let counts = gateway.document(&["messages", "feed", "counts"]);
    assert_eq!((&counts["applied"], &counts["duplicate"], &counts["quarantined"]), (&5.into(), &1.into(), &1.into()));
    // Nobody has registered the referrer's address: what there is to tell it waits under that, in order.
    let letters = gateway.document(&["outbox", "list"]);
    let mut letters: Vec<_> = letters.as_array().unwrap().iter().filter(|it| it["destination"] == ADDRESS).collect();
    letters.sort_by_key(|letter| letter["id"].as_i64());
    let told: Vec<_> = letters.iter().map(|it| it["event"].as_str().unwrap()).collect();
    let booking = "booking-request update";
    let response = "servicerequest-response new";
    assert_eq!(told, [booking, response, booking, booking, response]);
    assert!(letters.iter().all(|it| it["state"] == "queued" && it["key"] == referral.as_str()));

    // The status page and the numbers say the same.
    let waits = |status: &Value| {
        let check = &status["checks"]["feed:quarantine"][0];
        check["componentId"] == "pas-feed" && check["status"] == "warn" && check["observedValue"] == 1
    };
    Watch::new().until(&gateway, "what waits for a person is told", waits).await;
    let numbers = get(&gateway, "/metrics").await.1;
    for (state, count) in [("applied", 5), ("duplicate", 1), ("quarantined", 1)] {
        let line = format!("onward_messages_total{{channel=\"pas-feed\",outcome=\"{state}\"}} {count}");
        assert!(numbers.contains(&line), "{line}");
    }
    assert!(numbers.contains("onward_acknowledgement_seconds_count{listener=\"pas-feed\"} 7"), "{numbers}");

    let kept = gateway.document(&["messages", "feed", "list"]);
    assert_eq!((&kept[0]["code"], &kept[0]["place"]), (&"ONW-4011".into(), &"PID-3".into()));
    let kept = kept[0]["message"].as_str().unwrap();
    let skipped = gateway.document(&["messages", "skip", kept, "--reason", "the clerk chose the wrong patient"]);
    assert_eq!(skipped[0]["state"], "skipped");
    assert_eq!(gateway.document(&["messages", "feed", "counts"])["skipped"], 1);
    assert!(gateway.document(&["messages", "feed", "list"]).as_array().unwrap().is_empty());
}

/// ADT^A44: a booking was written under the wrong person.
fn put_right(control: &str, booking: &str, from: &Person, to: &Person) -> Vec<u8> {
    let now = Timestamp::now().strftime("%Y%m%d%H%M%S+0000");
    let (right, wrong) = (to.nhs_number.as_str(), from.nhs_number.as_str());
    let birth = to.birth_date.to_string().replace('-', "");
    format!(
        "MSH|^~\\&|PAS|RZ9|ONWARD|X26|{now}||ADT^A44^ADT_A43|{control}|T|2.4|||AL|NE\rEVN||{now}\r\
         PID|1||{right}^^^NHS^NH~H{right}^^^RZ9^MR||{}^^^^^^L||{birth}|0{}NSTS01\r\
         MRG|H{wrong}^^^RZ9^MR||||{booking}^^^RZ9^VN\r",
        to.family,
        "|".repeat(24)
    )
    .into_bytes()
}

async fn read(client: &Client, id: &str) -> Value {
    json(&client.send(Method::GET, &format!("/Appointment/{id}"), headers().read(), None).await.unwrap())
}

/// What somebody who has the patient's number is told.
async fn search(client: &Client, person: &Person) -> Vec<Value> {
    let number = format!("https://fhir.nhs.uk/Id/nhs-number|{}", person.nhs_number.as_str());
    let path = format!("/Appointment?patient:identifier={}", number.replace('|', "%7C"));
    let found = json(&client.send(Method::GET, &path, headers().read(), None).await.unwrap());
    let entries = found["entry"].as_array().unwrap_or_else(|| panic!("{found}"));
    let found: Vec<Value> = entries.iter().map(|entry| entry["resource"].clone()).collect();
    assert!(found.iter().all(|it| it["id"].is_string()), "whatever is found can be read: {found:?}");
    found
}

fn patient_of(appointment: &Value) -> String {
    let actors = appointment["participant"].as_array().unwrap().iter();
    let patient = actors.filter_map(|it| it["actor"]["reference"].as_str()).find(|it| it.starts_with("Patient/"));
    patient.unwrap_or_else(|| panic!("{appointment}")).to_owned()
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// What waits for the referrers: the status of each Appointment, and the bytes.
fn told(gateway: &Gateway) -> Vec<(String, String)> {
    let conn = rusqlite::Connection::open(gateway.path("onward.db")).unwrap();
    let mut select = conn.prepare("SELECT body FROM outbox WHERE destination = ?1 ORDER BY id").unwrap();
    let bodies = select.query_map([ADDRESS], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let read = |body: Vec<u8>| {
        let text = String::from_utf8(body).unwrap();
        let bundle: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let entries = bundle["entry"].as_array().unwrap().iter();
        let booking = entries.map(|entry| &entry["resource"]).find(|it| it["resourceType"] == "Appointment").unwrap();
        (booking["status"].as_str().unwrap().to_owned(), text)
    };
    bodies.map(|body| read(body.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_that_is_another_patients_is_withdrawn_and_its_referrer_hears_nothing_of_the_other() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let people = People::new(31);
    for (round, by_own_id) in [false, true].into_iter().enumerate() {
        let person = people.next();
        let other = std::iter::repeat_with(|| people.next()).find(|it| it.family != person.family).unwrap();
        let referral = post(&client, headers().write(), &bundles().referral(&person, Timestamp::now())).await;
        let referral = resource_id(&referral, "ServiceRequest").unwrap();
        let slot = free_slots(&client, 14).await.pop().unwrap();
        let booking = bundles().booking(&person, &slot, Some(&referral), Timestamp::now());
        let booking = post(&client, headers().write(), &booking).await;
        let id = resource_id(&booking, "Appointment").unwrap();
        let own = format!("VISIT{round}");
        let say = async |message: Vec<u8>| {
            let message = String::from_utf8(message).unwrap().replace("HOSP1^RZ9", &format!("{own}^RZ9"));
            assert_eq!(code(&send(&gateway, &[message.into_bytes()]).await[0]), Some(Code::CA));
        };
        let before = told(&gateway).len();
        let start: Timestamp = slot.start.parse().unwrap();
        let day = |days: i64| start + SignedDuration::from_hours(24 * days);
        let control = |number: u32| format!("R{round}{number}");
        say(siu("S13", &control(1), &id, &person, day(1), "Booked")).await;
        // It was the other one's all along: who knows the id reads that it is nobody's, and nothing of the other.
        let named = if by_own_id { &id } else { &own };
        say(put_right(&control(2), named, &person, &other)).await;
        let of_person = patient_of(&read(&client, &id).await);
        let unseen = async |status: &str| {
            let seen = read(&client, &id).await;
            assert_eq!((seen["status"].as_str(), patient_of(&seen)), (Some(status), of_person.clone()));
            assert_eq!(instant(&seen["start"]), day(1), "it is not told when the other one is expected");
        };
        unseen("entered-in-error").await;
        let others = search(&client, &other).await;
        assert_eq!((others.len(), others[0]["status"].as_str()), (1, Some("booked")));
        assert!(others[0]["id"] != *id && patient_of(&others[0]) != of_person);
        assert!(!others[0].to_string().contains(&*referral) && others[0]["description"].is_null());
        say(siu("S13", &control(3), &id, &other, day(2), "Booked")).await;
        unseen("entered-in-error").await;
        let id_of_other = others[0]["id"].as_str().unwrap();
        assert_eq!(instant(&read(&client, id_of_other).await["start"]), day(2));
        // No, it was not.
        say(put_right(&control(4), named, &other, &person)).await;
        let seen = read(&client, &id).await;
        assert_eq!((seen["status"].as_str(), patient_of(&seen)), (Some("booked"), of_person.clone()));
        assert_eq!(instant(&seen["start"]), day(2));
        let left = read(&client, id_of_other).await;
        assert_eq!((left["status"].as_str(), patient_of(&left)), (Some("entered-in-error"), patient_of(&others[0])));
        say(siu("S15", &control(5), &id, &person, day(2), "Cancelled")).await;
        let letters = told(&gateway).split_off(before);
        let statuses: Vec<_> = letters.iter().map(|(status, _)| status.as_str()).collect();
        assert_eq!(statuses, ["booked", "entered-in-error", "booked", "cancelled"]);
        for (_, text) in &letters {
            assert!(!text.contains(other.nhs_number.as_str()) && !text.contains(other.family), "it tells of the other");
        }
        assert!(letters[1].1.contains(person.nhs_number.as_str()));
        let listed = gateway.document(&["outbox", "list"]);
        let keys =
            listed.as_array().unwrap().iter().filter(|it| it["destination"] == ADDRESS && it["key"] == *referral);
        assert_eq!(keys.count(), 4, "they go in order");
    }
    let counts = gateway.document(&["messages", "feed", "counts"]);
    assert_eq!((&counts["applied"], &counts["quarantined"]), (&10.into(), &Value::Null));
}

/// A referrer's booking was written down by the hospital a second time; the one that is left is the hospital's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_referrers_booking_goes_on_when_the_hospital_gives_up_its_number_for_another() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let people = People::new(43);
    for (round, other_is_known) in [true, false].into_iter().enumerate() {
        let person = people.next();
        let referral = post(&client, headers().write(), &bundles().referral(&person, Timestamp::now())).await;
        let referral = resource_id(&referral, "ServiceRequest").unwrap();
        let slot = free_slots(&client, 14).await.pop().unwrap();
        let booking = bundles().booking(&person, &slot, Some(&referral), Timestamp::now());
        let id = resource_id(&post(&client, headers().write(), &booking).await, "Appointment").unwrap();
        let start: Timestamp = slot.start.parse().unwrap();
        let day = |days: i64| start + SignedDuration::from_hours(24 * days);
        let before = told(&gateway).len();
        let say = async |number: u32, message: Vec<u8>, own: &str| {
            let message = String::from_utf8(message).unwrap().replace("HOSP1^RZ9", &format!("{own}{round}^RZ9"));
            let message = message.replace("CONTROL", &format!("M{round}{number}"));
            assert_eq!(code(&send(&gateway, &[message.into_bytes()]).await[0]), Some(Code::CA));
        };
        say(1, siu("S13", "CONTROL", &id, &person, start, "Booked"), "FIRST").await;
        if other_is_known {
            say(2, siu("S12", "CONTROL", "", &person, day(2), "Booked"), "SECOND").await;
        }
        let second = search(&client, &person).await.into_iter().find(|it| it["id"] != *id);
        assert_eq!(second.is_some(), other_is_known);
        let merge = String::from_utf8(put_right("CONTROL", "FIRST", &person, &person)).unwrap();
        let merge =
            merge.replace("^^^RZ9^VN", &format!("{round}^^^RZ9^VN")).replace("ADT^A44^ADT_A43", "ADT^A42^ADT_A39");
        let visit = format!("PV1|1|O|||||||||||||||||SECOND{round}^^^RZ9^VN\r");
        say(3, (merge + &visit).into_bytes(), "").await;
        let seen = read(&client, &id).await;
        assert_eq!(seen["status"], "booked", "there is an appointment, and it is this one");
        assert_eq!(instant(&seen["start"]), if other_is_known { day(2) } else { start });
        if let Some(second) = second {
            assert_eq!(read(&client, second["id"].as_str().unwrap()).await["status"], "entered-in-error");
        }
        // What is said of the number that is left is said of it.
        say(4, siu("S13", "CONTROL", "", &person, day(3), "Booked"), "SECOND").await;
        assert_eq!(instant(&read(&client, &id).await["start"]), day(3));
        say(5, siu("S15", "CONTROL", "", &person, day(3), "Cancelled"), "SECOND").await;
        assert_eq!(read(&client, &id).await["status"], "cancelled");
        let letters = told(&gateway).split_off(before);
        let statuses: Vec<_> = letters.iter().map(|(status, _)| status.as_str()).collect();
        // The hospital's first word said how long it takes.
        let all = ["booked", "booked", "booked", "cancelled"];
        assert_eq!(statuses, all[usize::from(!other_is_known)..]);
    }
    let counts = gateway.document(&["messages", "feed", "counts"]);
    assert_eq!((&counts["applied"], &counts["quarantined"]), (&9.into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_admissions_is_applied_each_once() {
    let gateway = Gateway::start(Options::default());
    let addr = gateway.mllp.expect("it listens");
    let sender = Sender { application: "PAS".to_owned(), facility: "RZ9".to_owned() };
    let feed = Feed::new(Peer::new(addr.ip().to_string(), addr.port()), sender);
    let plan = Plan {
        mix: "admission=1".parse().unwrap(),
        mode: Mode::Closed,
        duration: Duration::from_secs(1),
        workers: 4,
        service: "111111111".to_owned(),
        seed: 5,
        questions: Vec::new(),
    };
    let report = load::run(&plan, &[gateway.client()], Some(&feed), "", |_, _| {}).await.unwrap();
    assert!(report.is_good(), "{report}");
    let counts = gateway.document(&["messages", "feed", "counts"]);
    assert_eq!((&counts["applied"], &counts["quarantined"]), (&report.total.count.into(), &Value::Null));
    assert_eq!(report.kinds[0].kind, "admission");
}
