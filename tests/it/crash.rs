//! kill -9, again and again, under load, while the hospital's PAS comes and goes: what was answered with success is
//! in the PAS once, what was not is not there at all. `scripts/crash_test` runs it at length.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::HeaderMap;
use jiff::Timestamp;
use onward::load::client::{Client, Response};
use onward::load::synthetic::{FreeSlot, Message, People, Person};
use onward::pas::simulator::{self, Reaction, ReceivedMessage, Simulator};
use tokio::time::sleep;

use crate::gateway::{
    Gateway, Options, Shared, bundles, code, field, fixed_port, free_slots, headers, json, resource_id,
};

const SENDERS: u64 = 6;
/// No answer for so long although the gateway is started again and again: something hangs.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// What a test like this has instead of luck: numbers that nobody can foresee.
fn random(below: u64) -> u64 {
    (uuid::Uuid::new_v4().as_u128() % u128::from(below)) as u64
}

fn kills() -> u64 {
    std::env::var("ONWARD_CRASHES").ok().map_or(5, |text| text.parse().expect("ONWARD_CRASHES is a number"))
}

/// What the hospital knows, whichever of its incarnations took it.
#[derive(Default)]
struct Memory {
    /// In the order in which they first came.
    messages: Vec<ReceivedMessage>,
    known: HashMap<String, usize>,
    repeats: u64,
    changed: u64,
    outages: u64,
}

impl Memory {
    fn keep(&mut self, message: &ReceivedMessage) {
        match self.known.get(&message.control_id) {
            Some(known) => {
                self.repeats += 1;
                self.changed += u64::from(self.messages[*known].body != message.body);
            }
            None => {
                self.known.insert(message.control_id.clone(), self.messages.len());
                self.messages.push(message.clone());
            }
        }
    }

    /// `changed`: messages that came to this incarnation again with other bytes.
    fn go_down(&mut self, changed: u64) {
        self.changed += changed;
        self.outages += 1;
    }
}

/// Remembers, then sometimes hangs up without a word or answers late.
fn hospital(memory: &Shared<Memory>) -> simulator::Options {
    let memory = Arc::clone(memory);
    let react = move |message: &ReceivedMessage| {
        memory.lock().unwrap().keep(message);
        match random(100) {
            0..3 => Reaction::hang_up(),
            3..6 => Reaction { delay: Duration::from_millis(random(80)), ..Reaction::default() },
            _ => Reaction::default(),
        }
    };
    simulator::Options { messages_max: 1_000_000, ..simulator::Options::reacting(react) }
}

/// Up for a while, down for a while; up at the end.
async fn come_and_go(port: u16, memory: Shared<Memory>, ending: Arc<AtomicBool>) -> Simulator {
    loop {
        let pas = Simulator::start(([127, 0, 0, 1], port).into(), hospital(&memory)).await.unwrap();
        let until = Instant::now() + Duration::from_millis(200 + random(2_000));
        while Instant::now() < until {
            if ending.load(Ordering::Relaxed) {
                return pas;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let changed = pas.counts().changed;
        pas.stop().await;
        memory.lock().unwrap().go_down(changed);
        sleep(Duration::from_millis(50 + random(800))).await;
    }
}

/// A message that was answered.
struct Sent {
    /// `REF^I12` or `SIU^S12`.
    event: &'static str,
    /// The id that the gateway gave.
    id: String,
    nhs_number: String,
}

#[derive(Default)]
struct Tally {
    requests: AtomicU64,
    unanswered: AtomicU64,
    duplicates: AtomicU64,
}

struct Senders {
    client: Client,
    people: People,
    slots: Mutex<Vec<FreeSlot>>,
    ending: Arc<AtomicBool>,
    sent: Mutex<Vec<Sent>>,
    tally: Tally,
}

impl Senders {
    /// Refers and books until the end; what was begun is brought to its end.
    async fn work(self: Arc<Self>) {
        while !self.ending.load(Ordering::Relaxed) {
            let person = self.people.next();
            let referral = self.refer(&person).await;
            if random(3) != 0 {
                self.book(&person, &referral).await;
            }
            sleep(Duration::from_millis(random(20))).await;
        }
    }

    async fn refer(&self, person: &Person) -> String {
        let message = bundles().referral(person, Timestamp::now());
        let id = self.deliver("ServiceRequest", person, &message).await;
        self.note("REF^I12", &id, person);
        id
    }

    async fn book(&self, person: &Person, referral: &str) {
        let Some(slot) = self.slots.lock().unwrap().pop() else { return };
        let message = bundles().booking(person, &slot, Some(referral), Timestamp::now());
        let id = self.deliver("Appointment", person, &message).await;
        self.note("SIU^S12", &id, person);
    }

    fn note(&self, event: &'static str, id: &str, person: &Person) {
        let sent = Sent { event, id: id.to_owned(), nhs_number: person.nhs_number.as_str().to_owned() };
        self.sent.lock().unwrap().push(sent);
    }

    /// Sends until there is an answer, then finds out which id the receiver gave.
    async fn deliver(&self, kind: &str, person: &Person, message: &Message) -> String {
        let answer = self.insist(Method::POST, "/$process-message", &headers().write(), Some(message)).await;
        if answer.status == 200 {
            return resource_id(&answer, kind).expect("the reply names it");
        }
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (409, "ONW-1020"), "{:?}", answer.body);
        self.tally.duplicates.fetch_add(1, Ordering::Relaxed);
        self.find(kind, person).await
    }

    async fn find(&self, kind: &str, person: &Person) -> String {
        let number = person.nhs_number.as_str();
        let query = format!("/{kind}?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C{number}");
        let answer = self.insist(Method::GET, &query, &headers().read(), None).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let bundle = json(&answer);
        let found: Vec<_> = bundle["entry"].as_array().into_iter().flatten().collect();
        assert_eq!(found.len(), 1, "{kind} of one patient");
        found[0]["resource"]["id"].as_str().unwrap().to_owned()
    }

    /// The identical request, until somebody answers it for good.
    async fn insist(&self, method: Method, path: &str, headers: &HeaderMap, message: Option<&Message>) -> Response {
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            self.tally.requests.fetch_add(1, Ordering::Relaxed);
            let body = message.map(|message| message.body.clone().into());
            match self.client.send(method.clone(), path, headers.clone(), body).await {
                // "Wait, then send the same again."
                Ok(answer) if matches!(answer.status.as_u16(), 408 | 425 | 429 | 503) => {}
                Ok(answer) => return answer,
                Err(_) => drop(self.tally.unanswered.fetch_add(1, Ordering::Relaxed)),
            }
            assert!(Instant::now() < deadline, "no answer");
            sleep(Duration::from_millis(10 + random(40))).await;
        }
    }
}

/// Kills it so often, at moments that nobody chose; now and then while it is still starting.
fn kill_again_and_again(gateway: &mut Gateway, kills: u64) -> u64 {
    let mut early = 0;
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(400 + random(1_200)));
        gateway.kill();
        if kill % 5 == 0 {
            gateway.spawn_serve();
            std::thread::sleep(Duration::from_millis(random(300)));
            gateway.kill();
            early += 1;
        }
        gateway.restart();
    }
    early
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_kill_9() {
    let (kills, memory, port) = (kills(), Shared::<Memory>::default(), fixed_port());
    let options = Options { pas: Some(port), ..Options::default() }
        .with("https.listen", format!("127.0.0.1:{}", fixed_port()))
        .with("destination.0.backoff_min_ms", 50)
        .with("destination.0.backoff_max_ms", 500)
        .with("destination.0.connections", 4);
    let mut gateway = Gateway::start(options);
    let (sending_ends, pas_ends) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let senders = Arc::new(Senders {
        client: gateway.client(),
        people: People::new(1),
        slots: Mutex::new(free_slots(&gateway.client(), 28).await),
        ending: Arc::clone(&sending_ends),
        sent: Mutex::default(),
        tally: Tally::default(),
    });
    let hospital = tokio::spawn(come_and_go(port, Arc::clone(&memory), Arc::clone(&pas_ends)));
    let tasks: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(Arc::clone(&senders).work())).collect();

    let (gateway, early) = tokio::task::spawn_blocking(move || {
        let early = kill_again_and_again(&mut gateway, kills);
        std::thread::sleep(Duration::from_millis(500));
        (gateway, early)
    })
    .await
    .unwrap();
    sending_ends.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    pas_ends.store(true, Ordering::Relaxed);
    let pas = hospital.await.unwrap();
    gateway.drain(Duration::from_secs(30 + kills));

    let mut memory = std::mem::take(&mut *memory.lock().unwrap());
    memory.changed += pas.counts().changed;
    let sent = std::mem::take(&mut *senders.sent.lock().unwrap());
    report(&senders.tally, &sent, &memory, kills, early);
    check_effects(&sent, &memory);
    check_order(&sent, &memory);
    check_counts(&gateway, sent.len() as u64, &senders.tally);
    gateway.check_ledger();
    check_file(gateway);
}

fn report(tally: &Tally, sent: &[Sent], memory: &Memory, kills: u64, early: u64) {
    let count = |event: &str| sent.iter().filter(|sent| sent.event == event).count();
    println!("kills                      {kills}, and {early} while it was starting");
    println!("referrals answered         {}", count("REF^I12"));
    println!("bookings answered          {}", count("SIU^S12"));
    println!("requests sent              {}", tally.requests.load(Ordering::Relaxed));
    println!("requests without an answer {}", tally.unanswered.load(Ordering::Relaxed));
    println!("answered 409 duplicate     {}", tally.duplicates.load(Ordering::Relaxed));
    println!("outages of the PAS         {}", memory.outages);
    println!("messages in the PAS        {}", memory.messages.len());
    println!("repeats to the PAS         {}, {} with other bytes", memory.repeats, memory.changed);
    println!("lost                       {}", difference(&said(sent), &known(memory)).len());
    println!("never sent, but there      {}", difference(&known(memory), &said(sent)).len());
}

/// Event and id of what the gateway said it had taken.
fn said(sent: &[Sent]) -> Vec<(String, String)> {
    sent.iter().map(|sent| (sent.event.to_owned(), sent.id.clone())).collect()
}

/// Event and id of what the hospital was told.
fn known(memory: &Memory) -> Vec<(String, String)> {
    let id = |message: &ReceivedMessage| match message.event.as_str() {
        "REF^I12" => field(&message.body, "RF1", 6),
        _ => field(&message.body, "SCH", 1),
    };
    memory.messages.iter().map(|message| (message.event.clone(), id(message))).collect()
}

fn difference(one: &[(String, String)], other: &[(String, String)]) -> Vec<(String, String)> {
    let other: HashSet<_> = other.iter().collect();
    one.iter().filter(|it| !other.contains(it)).cloned().collect()
}

/// All of it, nothing else, each once; what came again came with the same bytes.
fn check_effects(sent: &[Sent], memory: &Memory) {
    let (said, known) = (said(sent), known(memory));
    assert!(!said.is_empty());
    assert_eq!(difference(&said, &known), [], "lost");
    assert_eq!(difference(&known, &said), [], "never sent");
    assert_eq!(known.iter().collect::<HashSet<_>>().len(), known.len(), "one effect each");
    assert_eq!(said.len(), known.len());
    assert_eq!(memory.changed, 0, "a repeat has the same bytes");
}

/// Nobody has an appointment before the referral that it is for.
fn check_order(sent: &[Sent], memory: &Memory) {
    let places: HashMap<_, _> = known(memory).into_iter().enumerate().map(|(place, it)| (it, place)).collect();
    let place = |sent: &Sent| places[&(sent.event.to_owned(), sent.id.clone())];
    let referred: HashMap<_, _> =
        sent.iter().filter(|sent| sent.event == "REF^I12").map(|sent| (&sent.nhs_number, place(sent))).collect();
    for booked in sent.iter().filter(|sent| sent.event == "SIU^S12") {
        assert!(referred[&booked.nhs_number] < place(booked));
    }
}

/// The journal and the outbox tell the same.
fn check_counts(gateway: &Gateway, sent: u64, tally: &Tally) {
    let listed = gateway.document(&["messages", "list", "--outcome", "accepted", "--limit", "10000000"]);
    let own = listed.as_array().unwrap().iter().filter(|row| row["channel"] == "cli").count() as u64;
    assert_eq!(gateway.messages("accepted") - own, sent, "besides {own} publications of the diary at its starts");
    assert!(tally.duplicates.load(Ordering::Relaxed) <= gateway.messages("duplicate"));
    assert_eq!((gateway.messages("refused"), gateway.messages("repeated")), (0, 0));
    let states = ["delivered", "queued", "parked", "superseded"].map(|state| gateway.outbox(state));
    assert_eq!(states, [sent, 0, 0, 0]);
}

/// The database itself is whole.
fn check_file(mut gateway: Gateway) {
    assert_eq!(gateway.stop(), Some(0));
    let conn = rusqlite::Connection::open(gateway.path("onward.db")).unwrap();
    let integrity: String = conn.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
    let strays: i64 = conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", (), |row| row.get(0)).unwrap();
    assert_eq!(strays, 0);
    assert!(!gateway.stderr().contains("panicked"), "{}", gateway.stderr());
}
