//! The outbox against a hospital system on a real socket that behaves, and one that does not.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use onward::booking::command::{Command, PublishSlots};
use onward::booking::decision::{Decision, Refusal, State};
use onward::hl7v2::ack::Code;
use onward::outbox::backoff::Backoff;
use onward::outbox::destination::{Destination, Peer};
use onward::outbox::health;
use onward::outbox::{Outbox, OutboxHandle};
use onward::pas::simulator::{Answer, Counts, Options, Reaction, ReceivedMessage, Simulator};
use onward::store::sqlite::SqliteStore;
use onward::store::{self, Letter, Message, OutboxRow, OutboxState, Page, Settlement, Store, Work};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A store, and an outbox that can be started and stopped over it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) store: Arc<SqliteStore>,
    running: Option<(OutboxHandle, CancellationToken, TaskTracker)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        Self { folder, store, running: None }
    }

    pub(crate) fn start(&mut self, destination: Destination) {
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let handle = Outbox::start(self.store.clone(), vec![destination], &stop, &tracker);
        self.running = Some((handle, stop, tracker));
    }

    pub(crate) async fn stop(&mut self) {
        let (_, stop, tracker) = self.running.take().unwrap();
        stop.cancel();
        tracker.close();
        tracker.wait().await;
    }

    /// As after a crash: whatever was not durable is gone.
    async fn restart(&mut self) {
        self.stop().await;
        self.store.close();
        self.store = open(&self.folder);
    }

    /// Writes one letter per `(key, number)`, in one commit.
    pub(crate) async fn write(&self, letters: &[(u32, u32)]) {
        self.write_letters(letters.iter().map(|(key, number)| letter(*key, *number)).collect()).await;
    }

    pub(crate) async fn write_letters(&self, letters: Vec<Letter>) {
        let answer =
            move |_: &Result<Decision, Refusal>| store::Answer { status: 200, body: None, letters: letters.clone() };
        let command = Box::new(Command::PublishSlots(PublishSlots::default()));
        self.store.submit(message(), Work::Decide { command, answer: Box::new(answer) }).await.unwrap();
        if let Some((handle, ..)) = &self.running {
            handle.wake();
        }
    }

    fn rows(&self) -> Vec<OutboxRow> {
        let mut rows = self.store.outbox_list(&Page { limit: 100_000, ..Page::default() }).unwrap();
        rows.sort_by_key(|row| row.id);
        rows
    }

    pub(crate) fn letter(&self, control_id: &str) -> OutboxRow {
        self.rows().into_iter().find(|row| row.control_id == control_id).unwrap()
    }

    pub(crate) fn row(&self, key: u32, number: u32) -> OutboxRow {
        self.rows().into_iter().find(|row| row.control_id == control_id(key, number)).unwrap()
    }

    pub(crate) fn count(&self, state: OutboxState) -> usize {
        self.rows().iter().filter(|row| row.state == state).count()
    }

    pub(crate) fn health(&self) -> health::Health {
        self.running.as_ref().unwrap().0.health().remove(0)
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if done(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited too long until {what}: {:#?}", self.rows());
    }

    pub(crate) async fn until_delivered(&self, count: usize) {
        self.until("all are delivered", |world| world.count(OutboxState::Delivered) == count).await;
    }

    async fn until_parked(&self, count: usize) {
        self.until("some are parked", |world| world.count(OutboxState::Parked) == count).await;
    }
}

fn open(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
    SqliteStore::open(&folder.path().join("onward.db"), store::sqlite::Options::default(), decide).unwrap()
}

fn decide(_: &Command, _: &State, _: Timestamp) -> Result<Decision, Refusal> {
    let (patient, referral, appointment) = (None, None, None);
    Ok(Decision {
        patient,
        referral,
        appointment,
        changes: vec![],
        notices: vec![],
        warnings: vec![],
        effect: Default::default(),
    })
}

fn message() -> Message {
    Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "cli",
        caller: String::new(),
        organisation: String::new(),
        kind: "test".to_owned(),
        key: None,
        correlation: String::new(),
        bundle: String::new(),
        body: Vec::new(),
        issues: Vec::new(),
        feed: None,
    }
}

pub(crate) fn control_id(key: u32, number: u32) -> String {
    format!("K{key:05}N{number:05}")
}

fn letter(key: u32, number: u32) -> Letter {
    let control_id = control_id(key, number);
    let body = format!("MSH|^~\\&|ONWARD|X26|PAS|RH8|20261121||REF^I12^REF_I12|{control_id}|T|2.4\rPID|1||{key}\r");
    Letter {
        destination: "pas".to_owned(),
        key: Uuid::from_u128(key.into()),
        event: "REF^I12".to_owned(),
        control_id,
        body: body.into_bytes(),
    }
}

/// Quick where the real one is patient.
pub(crate) fn destination(addr: SocketAddr) -> Destination {
    let peer = Peer {
        ack_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_secs(2),
        ..Peer::new(addr.ip().to_string(), addr.port())
    };
    Destination {
        backoff: Backoff { min: Duration::from_millis(20), max: Duration::from_millis(200) },
        look_interval: Duration::from_millis(100),
        drain: Duration::from_secs(2),
        ..Destination::mllp("pas", peer)
    }
}

async fn simulator(react: impl Fn(&ReceivedMessage) -> Reaction + Send + Sync + 'static) -> Simulator {
    Simulator::start(ANY, Options::reacting(react)).await.unwrap()
}

/// Numbers as they first arrived, by key.
fn order(received: &[ReceivedMessage]) -> HashMap<u32, Vec<u32>> {
    let mut order: HashMap<u32, Vec<u32>> = HashMap::new();
    for message in received {
        let (key, number) = message.control_id[1..].split_once('N').unwrap();
        order.entry(key.parse().unwrap()).or_default().push(number.parse().unwrap());
    }
    order
}

fn assert_ordered(received: &[ReceivedMessage]) {
    for (key, numbers) in order(received) {
        assert!(numbers.is_sorted(), "key {key}: {numbers:?}");
    }
}

pub(crate) fn all(keys: u32, numbers: u32) -> Vec<(u32, u32)> {
    (0..numbers).flat_map(|number| (0..keys).map(move |key| (key, number))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivers_everything_once_and_in_order_per_patient() {
    let simulator = simulator(|_| Reaction::default()).await;
    let mut world = World::new();
    world.write(&all(30, 4)).await;
    world.start(destination(simulator.addr));
    world.until_delivered(120).await;
    world.write(&[(7, 100), (8, 100), (7, 101)]).await;
    world.until_delivered(123).await;
    let counts = simulator.counts();
    assert_eq!((counts.messages, counts.repeats), (123, 0));
    assert!(counts.connections <= 4, "{counts:?}");
    assert_ordered(&simulator.received());
    assert!(world.rows().iter().all(|row| row.attempts == 1));
    let health = world.health();
    assert_eq!(health.state, health::State::Up);
    assert!(health.last_response.is_some() && health.last_error.is_none());
    assert_eq!(health.last_answer.as_deref(), Some("AA"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_waits_for_a_person_and_holds_up_only_its_own_patient() {
    let refused = |message: &ReceivedMessage| message.control_id == control_id(1, 1) && message.repeats < 1;
    let answer = move |it: &ReceivedMessage| Answer::Code(if refused(it) { Code::AE } else { Code::AA });
    let simulator = simulator(move |it| Reaction::answer(answer(it))).await;
    let mut world = World::new();
    world.write(&all(3, 4)).await;
    world.start(destination(simulator.addr));
    world.until_parked(1).await;
    world.until_delivered(9).await;
    let row = world.row(1, 1);
    assert_eq!((row.state, row.failure.as_deref(), row.attempts), (OutboxState::Parked, Some("AE"), 1));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.row(1, 2).attempts, 0);

    world.store.outbox_settle(row.id, Settlement::Requeue).await.unwrap();
    world.until_delivered(12).await;
    assert_ordered(&simulator.received());
    assert_eq!(simulator.counts().repeats, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_give_up_a_letter_so_that_the_next_can_go() {
    let refused = |message: &ReceivedMessage| message.control_id == control_id(1, 0);
    let simulator =
        simulator(move |it| Reaction::answer(Answer::Code(if refused(it) { Code::CE } else { Code::CA }))).await;
    let mut world = World::new();
    world.start(destination(simulator.addr));
    world.write(&all(2, 2)).await;
    world.until_parked(1).await;
    let reason = "told by telephone".to_owned();
    world.store.outbox_settle(world.row(1, 0).id, Settlement::Superseded { reason }).await.unwrap();
    world.until_delivered(3).await;
    assert_eq!(world.count(OutboxState::Superseded), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_off_is_sent_again_and_then_parked() {
    let simulator = simulator(|message| {
        let hopeless = message.control_id == control_id(0, 0);
        let later = message.control_id == control_id(1, 0) && message.repeats < 2;
        Reaction::answer(Answer::Code(if hopeless || later { Code::AR } else { Code::AA }))
    })
    .await;
    let mut world = World::new();
    world.write(&all(3, 2)).await;
    world.start(destination(simulator.addr));
    world.until_parked(1).await;
    world.until_delivered(4).await;
    let row = world.row(0, 0);
    assert_eq!((row.failure.as_deref(), row.attempts), (Some("AR, attempt 5 of 5"), 5));
    assert_eq!((world.row(1, 0).attempts, world.row(0, 1).attempts), (3, 0));
    assert_eq!(simulator.counts().repeats, 4 + 2);
    // A destination that answers is up, whatever it answers.
    assert_eq!(world.health().state, health::State::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_settles_nothing() {
    // The first answer comes after the time-out, and says no; it must not be taken for the answer to anything else.
    let simulator = simulator(|message| match (message.control_id == control_id(0, 0), message.repeats) {
        (true, 0) => Reaction { delay: Duration::from_millis(450), ..Reaction::answer(Answer::Code(Code::AE)) },
        _ => Reaction::default(),
    })
    .await;
    let mut world = World::new();
    world.write(&all(1, 3)).await;
    world.start(Destination { connections: 1, ..destination(simulator.addr) });
    world.until_delivered(3).await;
    assert_eq!(world.row(0, 0).attempts, 2);
    assert_eq!((simulator.counts().repeats, simulator.counts().changed), (1, 0));
    assert_ordered(&simulator.received());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_something_else_is_ignored() {
    let simulator = simulator(|message| match (message.control_id.as_str(), message.repeats) {
        ("K00000N00000", 0) => Reaction::answer(Answer::WrongControlId(None)),
        ("K00000N00001", _) => Reaction::answer(Answer::WrongControlId(Some(Code::AA))),
        ("K00000N00002", 0) => Reaction::answer(Answer::Bytes(b"\x06".to_vec())),
        ("K00000N00003", 0) => Reaction::answer(Answer::Bytes(b"MSA|AA|K00000N00003".to_vec())),
        _ => Reaction::default(),
    })
    .await;
    let mut world = World::new();
    world.write(&all(1, 5)).await;
    world.start(destination(simulator.addr));
    world.until_delivered(5).await;
    let attempts: Vec<_> = world.rows().iter().map(|row| row.attempts).collect();
    assert_eq!(attempts, [2, 1, 2, 2, 1]);
    assert_eq!(simulator.counts().repeats, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_hangs_up_gets_the_same_bytes_again() {
    let simulator = simulator(|message| match message.repeats {
        0 if message.control_id.ends_with("N00000") => Reaction::hang_up(),
        _ => Reaction::default(),
    })
    .await;
    let mut world = World::new();
    world.write(&all(4, 2)).await;
    world.start(destination(simulator.addr));
    world.until_delivered(8).await;
    let Counts { messages, repeats, changed, .. } = simulator.counts();
    assert_eq!((messages, repeats, changed), (8, 4, 0));
    assert_ordered(&simulator.received());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_hung_up_while_idle_is_noticed_before_sending() {
    let simulator = simulator(|_| Reaction { hang_up: true, ..Reaction::default() }).await;
    let mut world = World::new();
    world.start(Destination { connections: 1, ..destination(simulator.addr) });
    for number in 0..5 {
        world.write(&[(0, number)]).await;
        world.until_delivered(number as usize + 1).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(world.rows().iter().all(|row| row.attempts == 1), "{:?}", world.rows());
    assert_eq!((simulator.counts().connections, simulator.counts().repeats), (5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_down_costs_no_attempts_and_comes_back_by_itself() {
    let gone = simulator(|_| Reaction::default()).await;
    let addr = gone.addr;
    gone.stop().await;
    let mut world = World::new();
    world.write(&all(50, 2)).await;
    world.start(destination(addr));
    world.until("it is known to be down", |world| world.health().state == health::State::Down).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.health().last_error.as_deref(), Some("connection refused"));
    assert!(world.rows().iter().all(|row| row.attempts == 0 && row.failure.is_none()));

    let simulator = Simulator::start(addr, Options::default()).await.unwrap();
    world.until_delivered(100).await;
    assert_eq!(world.health().state, health::State::Up);
    assert_eq!((simulator.counts().messages, simulator.counts().repeats), (100, 0));
    assert_ordered(&simulator.received());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_answers_is_not_flooded() {
    let simulator = simulator(|_| Reaction::answer(Answer::Nothing)).await;
    let mut world = World::new();
    world.write(&all(100, 1)).await;
    let mut slow = destination(simulator.addr);
    slow.backoff = Backoff { min: Duration::from_millis(200), max: Duration::from_secs(10) };
    world.start(slow);
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Four at once, then one after each pause: 0.2, 0.4, 0.8 s … and a time-out of 0.3 s each.
    let counts = simulator.counts();
    assert!((4..=9).contains(&(counts.messages + counts.repeats)), "{counts:?}");
    assert_eq!(world.health().last_error.as_deref(), Some("timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_sends_the_same_bytes_and_forgets_nothing() {
    let silent = simulator(|_| Reaction::answer(Answer::Nothing)).await;
    let mut world = World::new();
    world.write(&all(6, 2)).await;
    let mut first = destination(silent.addr);
    first.drain = Duration::from_millis(50);
    world.start(first);
    world.until("some are under way", |_| silent.counts().messages >= 4).await;
    world.restart().await;
    let sent = silent.received();
    silent.stop().await;

    let simulator = simulator(|_| Reaction::default()).await;
    world.start(destination(simulator.addr));
    world.until_delivered(12).await;
    assert_eq!(simulator.counts().messages, 12);
    assert_ordered(&simulator.received());
    for before in sent {
        let after = simulator.received().into_iter().find(|it| it.control_id == before.control_id).unwrap();
        assert!(after.body == before.body, "{}", before.control_id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_lets_what_is_under_way_land() {
    let simulator = simulator(|_| Reaction { delay: Duration::from_millis(150), ..Reaction::default() }).await;
    let mut world = World::new();
    world.write(&all(10, 1)).await;
    world.start(destination(simulator.addr));
    world.until("some are under way", |_| simulator.counts().messages == 4).await;
    world.stop().await;
    assert_eq!(world.count(OutboxState::Delivered), 4);
    assert_eq!(simulator.counts().messages, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_peer_does_everything_is_delivered_once_and_in_order() {
    let simulator = simulator(|message| {
        // Reproducible: what happens depends on the message and on how often it came.
        let chance = message
            .control_id
            .bytes()
            .fold(message.repeats.wrapping_mul(7919), |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        match chance % 16 {
            0 | 1 => Reaction::answer(Answer::Code(Code::AR)),
            2 => Reaction::hang_up(),
            3 => Reaction { hang_up: true, ..Reaction::default() },
            4 => Reaction { delay: Duration::from_millis(350), ..Reaction::default() },
            5 => Reaction::answer(Answer::WrongControlId(None)),
            6 => Reaction::answer(Answer::WrongControlId(Some(Code::AA))),
            7 => Reaction::answer(Answer::Bytes(b"what?".to_vec())),
            _ => Reaction::default(),
        }
    })
    .await;
    let mut world = World::new();
    world.write(&all(20, 3)).await;
    world.start(Destination { ar_attempts_max: 1_000, ..destination(simulator.addr) });
    world.until_delivered(60).await;
    let Counts { messages, changed, .. } = simulator.counts();
    assert_eq!((messages, changed), (60, 0));
    assert_ordered(&simulator.received());
    // Every attempt that the outbox counted is one that the peer saw.
    let attempts: u64 = world.rows().iter().map(|row| u64::from(row.attempts)).sum();
    assert_eq!(attempts, messages + simulator.counts().repeats);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_letters_go_quickly() {
    let simulator = simulator(|_| Reaction::default()).await;
    let mut world = World::new();
    for number in 0..8 {
        world.write(&(0..500).map(|key| (key, number)).collect::<Vec<_>>()).await;
    }
    let begun = std::time::Instant::now();
    world.start(destination(simulator.addr));
    let delivered = |world: &World| world.store.outbox_depth().unwrap().iter().map(|it| it.delivered).sum::<u64>();
    world.until("all are delivered", |world| delivered(world) == 4_000).await;
    eprintln!("{:.0} letters a second", 4_000.0 / begun.elapsed().as_secs_f64());
    assert_eq!((simulator.counts().messages, simulator.counts().repeats), (4_000, 0));
    assert_ordered(&simulator.received());
}
