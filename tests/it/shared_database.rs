//! Two gateways on one PostgreSQL database, as programs: an installation is moved there, and whatever comes through
//! either of them at the same moment has one effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderMap;
use jiff::Timestamp;
use onward::load::client::{Client, Response};
use onward::load::synthetic::{Message, People, Person};
use onward::pas::simulator::{self, Simulator};

use crate::gateway::{Gateway, Options, bundles, code, field, free_slots, headers, onward, post};
use crate::postgres_server::{self, Server};

const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Two programs, and the hospital that both deliver to.
struct House {
    server: &'static Server,
    url: String,
    pas: Simulator,
    gateways: [Gateway; 2],
}

/// The first begins with a file, which is copied; the second joins it.
async fn house() -> Option<House> {
    let server = postgres_server::shared()?;
    let url = server.database();
    let options = simulator::Options { messages_max: 100_000, ..simulator::Options::default() };
    let pas = Simulator::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let mut first = Gateway::start(Options { pas: Some(pas.addr.port()), ..Options::default() });
    assert_eq!(first.stop(), Some(0));
    let file = first.path("onward.db");
    let copied =
        onward(&[]).args(["--json", "store", "copy", "--from"]).arg(file).args(["--to", &url]).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    let copied: serde_json::Value = serde_json::from_slice(&copied.stdout).unwrap();
    assert!(copied.as_array().unwrap().iter().any(|it| it["table"] == "slot" && it["rows"].as_u64() > Some(0)));
    first.set("store.url", &url);
    first.restart();
    let second = Gateway::start(Options { pas: Some(pas.addr.port()), ..Options::default() }.with("store.url", &url));
    Some(House { server, url, pas, gateways: [first, second] })
}

impl House {
    /// Sends each through the one or the other, all at once.
    async fn at_once(&self, messages: Vec<(HeaderMap, Message)>) -> Vec<Response> {
        let clients: Vec<Arc<Client>> = self.gateways.iter().map(|it| Arc::new(it.client())).collect();
        let sending = messages.into_iter().enumerate().map(|(n, (headers, message))| {
            let client = Arc::clone(&clients[n % 2]);
            tokio::spawn(async move { post(&client, headers, &message).await })
        });
        let sending: Vec<_> = sending.collect();
        let mut answers = Vec::new();
        for task in sending {
            answers.push(task.await.unwrap());
        }
        answers
    }
}

fn statuses(answers: &[Response]) -> BTreeMap<(u16, String), usize> {
    let mut counts = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry((answer.status.as_u16(), code(answer))).or_default() += 1);
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_200_gets_the_slot_through_two_programs() {
    let Some(house) = house().await else { return };
    let slot = free_slots(&house.gateways[1].client(), 1).await.remove(0);
    let people = People::new(5);
    let people: Vec<Person> = (0..200).map(|_| people.next()).collect();
    let booking = |person| (headers().write(), bundles().booking(person, &slot, None, Timestamp::now()));
    let answers = house.at_once(people.iter().map(booking).collect()).await;
    assert_eq!(statuses(&answers), BTreeMap::from([((200, String::new()), 1), ((409, "ONW-4001".into()), 199)]));
    house.gateways[0].drain(DRAIN_MAX);
    assert_eq!(house.pas.received().len(), 1);
    assert!(!field(&house.pas.received()[0].body, "SCH", 1).is_empty());
    assert_eq!(house.server.sql(&house.url, "SELECT count(*) FROM appointment"), "1");
    // The commands that look into a store look into this one, by whichever gateway's configuration.
    assert_eq!(house.gateways.each_ref().map(|it| it.messages("refused")), [199, 199]);
    house.gateways[0].check_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_to_two_programs_at_once_has_one_effect() {
    let Some(house) = house().await else { return };
    let person = People::new(6).next();
    let message = bundles().referral(&person, Timestamp::now());
    let same = headers().write();
    let answers = house.at_once(vec![(same, message); 50]).await;
    let counts = statuses(&answers);
    let count = |status, code: &str| counts.get(&(status, code.to_owned())).copied().unwrap_or(0);
    assert_eq!(count(200, ""), 1, "{counts:?}");
    assert_eq!(count(409, "ONW-1020") + count(425, "ONW-1021"), 49, "{counts:?}");
    house.gateways[1].drain(DRAIN_MAX);
    assert_eq!((house.pas.received().len(), house.gateways[0].outbox("delivered")), (1, 1));
    house.gateways[0].check_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_two_programs_are_delivered_once_and_in_order() {
    let Some(house) = house().await else { return };
    let people = People::new(7);
    let people: Vec<Person> = (0..60).map(|_| people.next()).collect();
    let referral = |person| (headers().write(), bundles().referral(person, Timestamp::now()));
    let answers = house.at_once(people.iter().map(referral).collect()).await;
    assert_eq!(statuses(&answers), BTreeMap::from([((200, String::new()), 60)]));
    let slots = free_slots(&house.gateways[0].client(), 10).await;
    let booking = |(person, slot)| (headers().write(), bundles().booking(person, slot, None, Timestamp::now()));
    let answers = house.at_once(people.iter().zip(&slots).map(booking).collect()).await;
    let booked = answers.iter().filter(|answer| answer.status == 200).count();
    house.gateways[0].drain(DRAIN_MAX);
    let received = house.pas.received();
    assert_eq!(received.len(), 60 + booked);
    // Of each patient the referral first.
    let number = |body: &[u8]| field(body, "PID", 3);
    for (at, told) in received.iter().enumerate().filter(|(_, told)| told.event == "SIU^S12") {
        let before = |it: &&simulator::ReceivedMessage| it.event == "REF^I12" && number(&it.body) == number(&told.body);
        assert!(received[..at].iter().any(|it| before(&it)), "a booking went before its referral");
    }
    house.gateways[1].check_ledger();
}
