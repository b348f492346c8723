//! Many who want the same thing at the same moment, against the real gateway: one gets it, the others are told why not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use onward::load::client::{Client, Response};
use onward::load::synthetic::{FreeSlot, Message, People, Person};
use onward::pas::simulator::{self, ReceivedMessage, Simulator};

use crate::gateway::{
    Gateway, Options, bundles, code, field, free_slots, headers, is_other_program, json, post, resource_id,
};

const DRAIN_MAX: Duration = Duration::from_secs(30);

async fn pas() -> Simulator {
    let options = simulator::Options { messages_max: 100_000, ..simulator::Options::default() };
    Simulator::start(([127, 0, 0, 1], 0).into(), options).await.unwrap()
}

fn gateway(pas: &Simulator) -> Gateway {
    Gateway::start(Options { pas: Some(pas.addr.port()), ..Options::default() })
}

/// Sends all of them at once; the answers in the order of the messages.
async fn at_once(client: &Arc<Client>, messages: Vec<Message>) -> Vec<Response> {
    let sending = messages.into_iter().map(|message| {
        let client = Arc::clone(client);
        tokio::spawn(async move { post(&client, headers().write(), &message).await })
    });
    let sending: Vec<_> = sending.collect();
    let mut answers = Vec::new();
    for task in sending {
        answers.push(task.await.unwrap());
    }
    answers
}

fn statuses(answers: &[Response]) -> BTreeMap<(u16, String), usize> {
    let mut counts = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry((answer.status.as_u16(), code(answer))).or_default() += 1);
    counts
}

fn of_event(received: &[ReceivedMessage], event: &str) -> Vec<ReceivedMessage> {
    received.iter().filter(|message| message.event == event).cloned().collect()
}

/// What the gateway holds of this kind for a patient.
async fn held(client: &Client, kind: &str, person: &Person) -> usize {
    let number = person.nhs_number.as_str();
    let query = format!("/{kind}?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C{number}");
    let answer = client.send(Method::GET, &query, headers().read(), None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let bundle = json(&answer);
    bundle["entry"]
        .as_array()
        .map_or(0, |entries| entries.iter().filter(|it| it["resource"]["resourceType"] == kind).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_200_gets_the_slot() {
    let pas = pas().await;
    let gateway = gateway(&pas);
    let client = Arc::new(gateway.client());
    let slot = free_slots(&client, 1).await.remove(0);
    let people: Vec<Person> = std::iter::repeat_with({
        let people = People::new(2);
        move || people.next()
    })
    .take(200)
    .collect();
    let wanted = people.iter().map(|person| bundles().booking(person, &slot, None, Timestamp::now())).collect();
    let answers = at_once(&client, wanted).await;
    let counts = statuses(&answers);
    assert_eq!(counts, BTreeMap::from([((200, String::new()), 1), ((409, "ONW-4001".into()), 199)]));
    gateway.drain(DRAIN_MAX);
    let booked = resource_id(answers.iter().find(|answer| answer.status == 200).unwrap(), "Appointment").unwrap();
    let told: Vec<String> = pas.received().iter().map(|message| field(&message.body, "SCH", 1)).collect();
    assert_eq!(told, [booked]);
    let winner = answers.iter().position(|answer| answer.status == 200).unwrap();
    assert_eq!(held(&client, "Appointment", &people[winner]).await, 1);
    assert_eq!(held(&client, "Appointment", &people[(winner + 1) % 200]).await, 0);
    assert!(free_slots(&client, 1).await.iter().all(|free| free.id != slot.id));
    assert_eq!((gateway.messages("refused"), gateway.outbox("delivered")), (199, 1));
}

/// A patient, their referral and the slot that is kept for the pair.
struct Case {
    person: Person,
    referral: String,
}

async fn refer(client: &Arc<Client>, count: usize) -> Vec<Case> {
    let people = People::new(3);
    let people: Vec<Person> = (0..count).map(|_| people.next()).collect();
    let messages = people.iter().map(|person| bundles().referral(person, Timestamp::now())).collect();
    let answers = at_once(client, messages).await;
    let ids = answers.iter().map(|answer| resource_id(answer, "ServiceRequest").unwrap());
    people.into_iter().zip(ids).map(|(person, referral)| Case { person, referral }).collect()
}

/// How many patients; an unoptimised build takes more than a minute for fifty.
fn patients() -> usize {
    if is_other_program() { 50 } else { 25 }
}

/// Every patient on every referral, in an order that has nothing to do with either.
fn pairings(count: usize) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = (0..count).flat_map(|a| (0..count).map(move |b| (a, b))).collect();
    pairs.sort_by_cached_key(|(a, b)| uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{a}/{b}").as_bytes()));
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_books_on_somebody_elses_referral() {
    let (pas, count) = (pas().await, patients());
    let gateway = gateway(&pas);
    let client = Arc::new(gateway.client());
    let cases = refer(&client, count).await;
    let slots = free_slots(&client, 15).await;
    assert!(count * count <= slots.len(), "{} slots", slots.len());
    let pairs = pairings(count);
    let mut answers = Vec::new();
    // A slot for each, so that nothing but the patient can be in the way.
    for (pairs, slots) in pairs.chunks(100).zip(slots.chunks(100)) {
        let booking = |((whose, who), slot): (&(usize, usize), &FreeSlot)| {
            bundles().booking(&cases[*who].person, slot, Some(&cases[*whose].referral), Timestamp::now())
        };
        answers.extend(at_once(&client, pairs.iter().zip(slots).map(booking).collect()).await);
    }
    for (pair, answer) in pairs.iter().zip(&answers) {
        match pair.0 == pair.1 {
            true => assert_eq!(answer.status, 200, "{pair:?}: {}", code(answer)),
            false => assert!(answer.status.is_client_error(), "{pair:?}: {}", answer.status),
        }
    }
    println!("{count} x {count} pairings: {:?}", statuses(&answers));
    gateway.drain(DRAIN_MAX);
    let received = pas.received();
    assert_eq!((of_event(&received, "REF^I12").len(), received.len()), (count, 2 * count));
    for booked in of_event(&received, "SIU^S12") {
        let case = cases.iter().find(|case| case.referral == field(&booked.body, "SCH", 26)).unwrap();
        let number = case.person.nhs_number.as_str();
        assert!(String::from_utf8_lossy(&booked.body).contains(number), "the patient is the referral's");
    }
    for case in &cases {
        assert_eq!(held(&client, "Appointment", &case.person).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_50_times_at_once_has_one_effect() {
    let pas = pas().await;
    let gateway = gateway(&pas);
    let client = Arc::new(gateway.client());
    let person = People::new(4).next();
    let message = bundles().referral(&person, Timestamp::now());
    let same = headers().write();
    let sending: Vec<_> = (0..50)
        .map(|_| {
            let (client, headers, message) = (Arc::clone(&client), same.clone(), message.clone());
            tokio::spawn(async move { post(&client, headers, &message).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in sending {
        answers.push(task.await.unwrap());
    }
    let counts = statuses(&answers);
    println!("50 identical requests: {counts:?}");
    assert_eq!(counts[&(200, String::new())], 1);
    let others = |code: &str, status| counts.get(&(status, code.to_owned())).copied().unwrap_or(0);
    assert_eq!(others("ONW-1020", 409) + others("ONW-1021", 425), 49, "{counts:?}");
    let later = post(&client, same, &message).await;
    assert_eq!((later.status.as_u16(), code(&later).as_str()), (409, "ONW-1020"));
    gateway.drain(DRAIN_MAX);
    assert_eq!((pas.received().len(), held(&client, "ServiceRequest", &person).await), (1, 1));
    assert_eq!(gateway.outbox("delivered"), 1);
}
