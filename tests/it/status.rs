//! The status listener over real sockets: what it says when something else is down.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use onward::booking::appointment::Appointment;
use onward::booking::command::Subject;
use onward::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId};
use onward::booking::index::{Alike, Link};
use onward::booking::patient::Patient;
use onward::booking::referral::Referral;
use onward::booking::service::Service;
use onward::config;
use onward::status::{Certificate, DestinationHealth, FeedHealth, Heartbeat, StatusServer, StatusSources};
use onward::store::act::{Act, Pause};
use onward::store::*;
use serde_json::Value;
use uuid::Uuid;

/// The promise is 250 ms; a machine that builds and tests at once gets four times that.
const ANSWER_MAX: Duration = Duration::from_millis(1_000);

/// A store whose troubles are switches.
struct FakeStore {
    health: Mutex<Health>,
    depth: Mutex<Vec<OutboxDepth>>,
    hangs: AtomicBool,
}

impl FakeStore {
    fn new() -> Arc<Self> {
        let health = Health { database: "SQLite", since: Timestamp::now(), last_commit: None, failure: None };
        Arc::new(Self { health: Mutex::new(health), depth: Mutex::default(), hangs: AtomicBool::new(false) })
    }

    fn hang(&self) {
        while self.hangs.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

type Outcome<T> = Result<T, StoreError>;

impl Store for FakeStore {
    fn health(&self) -> Health {
        self.health.lock().unwrap().clone()
    }
    fn service_find(&self, _: &ServiceId) -> Outcome<Option<Service>> {
        self.hang();
        Ok(None)
    }
    fn outbox_depth(&self) -> Outcome<Vec<OutboxDepth>> {
        self.hang();
        Ok(self.depth.lock().unwrap().clone())
    }
    fn submit(&self, _: Message, _: Work) -> Pending<Verdict> {
        unimplemented!()
    }
    fn act(&self, _: Act) -> Pending<()> {
        unimplemented!()
    }
    fn act_list(&self, _: usize) -> Outcome<Vec<Act>> {
        unimplemented!()
    }
    fn pauses(&self) -> Outcome<Vec<Pause>> {
        unimplemented!()
    }
    fn first_answer(&self, _: &str) -> Outcome<Option<(Uuid, bool, Answer)>> {
        unimplemented!()
    }
    fn service_list(&self) -> Outcome<Vec<Service>> {
        unimplemented!()
    }
    fn referral_resource(&self, _: Uuid) -> Outcome<Option<String>> {
        unimplemented!()
    }
    fn appointment_resource(&self, _: Uuid) -> Outcome<Option<String>> {
        unimplemented!()
    }
    fn referral_find(&self, _: ReferralId) -> Outcome<Option<Referral>> {
        unimplemented!()
    }
    fn appointment_find(&self, _: AppointmentId) -> Outcome<Option<Appointment>> {
        unimplemented!()
    }
    fn referral_search(&self, _: &PatientQuery) -> Outcome<Vec<String>> {
        unimplemented!()
    }
    fn appointment_search(&self, _: &PatientQuery) -> Outcome<Vec<String>> {
        unimplemented!()
    }
    fn slot_search(&self, _: &SlotQuery) -> Outcome<Vec<SlotRow>> {
        unimplemented!()
    }
    fn directory_resource(&self, _: &str, _: &str) -> Outcome<Option<String>> {
        unimplemented!()
    }
    fn outbox_due(&self, _: &str, _: Timestamp, _: usize) -> Outcome<Vec<(OutboxRow, Vec<u8>)>> {
        unimplemented!()
    }
    fn outbox_take(
        &self,
        _: &str,
        _: Timestamp,
        _: usize,
        _: std::time::Duration,
    ) -> Outcome<Vec<(OutboxRow, Vec<u8>)>> {
        unimplemented!()
    }
    fn outbox_settle_taken(&self, _: &OutboxRow, _: Settlement) -> Pending<()> {
        unimplemented!()
    }
    fn outbox_next_due(&self, _: &str) -> Outcome<Option<Timestamp>> {
        unimplemented!()
    }
    fn outbox_settle(&self, _: i64, _: Settlement) -> Pending<()> {
        unimplemented!()
    }
    fn outbox_list(&self, _: &Page) -> Outcome<Vec<OutboxRow>> {
        unimplemented!()
    }
    fn outbox_show(&self, _: i64) -> Outcome<Option<(OutboxRow, Vec<u8>)>> {
        unimplemented!()
    }
    fn message_list(&self, _: &Page) -> Outcome<Vec<MessageRow>> {
        unimplemented!()
    }
    fn message_show(&self, _: Uuid) -> Outcome<Option<(MessageRow, Vec<u8>, Answer)>> {
        unimplemented!()
    }
    fn message_counts(&self) -> Outcome<Vec<(String, u64)>> {
        Ok(Vec::new())
    }
    fn feed_list(&self, _: &str, _: usize) -> Result<Vec<onward::store::FeedRow>, StoreError> {
        unimplemented!()
    }
    fn feed_find(&self, _: Uuid) -> Result<Option<onward::store::FeedRow>, StoreError> {
        unreachable!()
    }
    fn feed_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        unimplemented!()
    }
    fn ledger_page(&self, _: Option<Uuid>, _: usize) -> Outcome<Vec<onward::store::ledger::Held>> {
        Ok(Vec::new())
    }
    fn ledger_letters_astray(&self, _: usize) -> Outcome<Vec<i64>> {
        Ok(Vec::new())
    }
    fn patient_records(&self, _: PatientId) -> Outcome<Vec<Patient>> {
        unimplemented!()
    }
    fn patient_search(&self, _: &Identifier) -> Outcome<Vec<PatientId>> {
        unimplemented!()
    }
    fn patient_match(&self, _: &Subject) -> Outcome<Vec<(PatientId, Alike)>> {
        unimplemented!()
    }
    fn patient_history(&self, _: PatientId) -> Outcome<Vec<(Timestamp, Link)>> {
        unimplemented!()
    }
    fn diary_entries(&self, _: Timestamp, _: Timestamp) -> Outcome<Vec<onward::reconcile::diary::Entry>> {
        unimplemented!()
    }
    fn task_list(&self, _: &TaskPage) -> Outcome<Vec<TaskRow>> {
        unimplemented!()
    }
    fn task_show(&self, _: Uuid) -> Outcome<Option<TaskRow>> {
        unimplemented!()
    }
    fn task_counts(&self) -> Outcome<Vec<(String, String, u64)>> {
        self.hang();
        Ok(Vec::new())
    }
    fn close(&self) {}
}

/// A gateway in good health, of which a test breaks one part.
struct House {
    store: Arc<FakeStore>,
    database_file: PathBuf,
    api: Arc<AtomicBool>,
    beat: Arc<Mutex<Option<Heartbeat>>>,
    sources: Option<StatusSources>,
    _dir: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database_file = dir.path().join("onward.db");
        std::fs::write(&database_file, "").unwrap();
        let (store, api) = (FakeStore::new(), Arc::new(AtomicBool::new(true)));
        let sources = StatusSources {
            store: Some(store.clone()),
            database_file: Some(database_file.clone()),
            certificates: Box::new(|| vec![certificate("https", 365)]),
            destinations: Box::new(|| vec![destination("pas", true)]),
            api_address: Some(fake_api(api.clone())),
            ..StatusSources::default()
        };
        let beat = Arc::new(Mutex::new(Some(sources.api_heartbeats.register())));
        let beating = beat.clone();
        thread::spawn(move || {
            while let Some(beat) = &*beating.lock().unwrap() {
                beat.beat();
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self { store, database_file, api, beat, sources: Some(sources), _dir: dir }
    }

    fn with(mut self, change: impl FnOnce(&mut StatusSources)) -> Self {
        self.sources.as_mut().map(change);
        self
    }

    fn open(mut self) -> (Self, StatusServer) {
        let limits = config::Status {
            listen: "127.0.0.1:0".parse().unwrap(),
            sample_interval_ms: 20,
            sample_timeout_ms: 300,
            ..config::Status::default()
        };
        let server = StatusServer::start(&limits, self.sources.take().unwrap()).unwrap();
        (self, server)
    }
}

/// A listener that takes every connection, as long as it is to be open.
fn fake_api(is_open: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || while listener.accept().is_ok() && is_open.load(Ordering::Relaxed) {});
    address
}

fn certificate(name: &str, days: i64) -> Certificate {
    let not_after = Timestamp::now() + SignedDuration::from_hours(24 * days + 1);
    Certificate { name: name.into(), not_after }
}

fn destination(name: &str, up: bool) -> DestinationHealth {
    DestinationHealth {
        name: name.into(),
        up,
        windows: Default::default(),
        paused: None,
        since: Timestamp::now(),
        last_response: None,
        response_code: Some("AA".into()),
        timeout: !up,
        last_error: (!up).then(|| "timeout".into()),
    }
}

/// One exchange; every answer must come in time.
fn send(address: SocketAddr, request: &str) -> (u16, String) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(begun.elapsed() < ANSWER_MAX, "{:?}", begun.elapsed());
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

fn get(server: &StatusServer, path: &str) -> (u16, String) {
    send(server.address(), &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

fn status(server: &StatusServer) -> Value {
    serde_json::from_str(&get(server, "/_status").1).unwrap()
}

/// Asks until the state is as expected; a sampler needs a moment to notice.
fn await_status(server: &StatusServer, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = status(server);
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:#}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn await_state(server: &StatusServer, state: &str) -> Value {
    await_status(server, |found| found["status"] == state)
}

#[test]
fn a_house_in_order_passes() {
    let (_house, server) = House::new().open();
    let found = await_state(&server, "pass");
    assert_eq!(found["checks"]["certificate:expiry"][0]["observedValue"], 365);
    assert_eq!(found["checks"]["destination:delivery"][0]["responseCode"], "AA");
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(get(&server, "/_ping"), (200, "ok\n".into()));
    assert_eq!(get(&server, "/ready"), (200, "ready\n".into()));
    assert_eq!(get(&server, "/_status").0, 200);
}

#[test]
fn only_four_paths_and_two_methods_are_known() {
    let (_house, server) = House::new().open();
    assert_eq!(get(&server, "/").0, 404);
    let at = server.address();
    assert_eq!(send(at, "POST /ready HTTP/1.1\r\n\r\n").0, 405);
    assert_eq!(send(at, "HEAD /_ping HTTP/1.1\r\n\r\n"), (200, String::new()));
    assert_eq!(send(at, "nonsense\r\n\r\n").0, 400);
    assert_eq!(send(at, &"a".repeat(64 << 10)).0, 431);
}

#[test]
fn numbers_are_there_for_prometheus() {
    let (house, server) = House::new().open();
    *house.store.depth.lock().unwrap() = vec![depth(3, 0, 10)];
    await_status(&server, |found| found["checks"]["outbox:queued"][0]["observedValue"] == 3);
    let (status, text) = get(&server, "/metrics");
    assert_eq!(status, 200);
    assert!(text.contains(r#"onward_certificate_days{certificate="https"}"#), "{text}");
    assert!(text.contains(r#"onward_status{check="all"}"#), "{text}");
}

#[test]
fn a_commit_that_failed_is_told() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    house.store.health.lock().unwrap().failure = Some("disk full".into());
    await_status(&server, |found| found["checks"]["store:durability"][0]["output"] == "disk full");
    assert_eq!(get(&server, "/ready").0, 503);
    assert_eq!(get(&server, "/_status").0, 503);
    assert_eq!(get(&server, "/_ping").0, 200);
    house.store.health.lock().unwrap().failure = None;
    await_state(&server, "pass");
}

#[test]
fn a_database_file_that_is_gone_or_replaced_is_told() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    std::fs::rename(&house.database_file, house.database_file.with_extension("away")).unwrap();
    await_state(&server, "fail");
    std::fs::write(&house.database_file, "").unwrap();
    let replaced = |found: &Value| found["output"].as_str().is_some_and(|text| text.contains("replaced"));
    await_status(&server, replaced);
    assert_eq!(get(&server, "/ready").0, 503);
}

#[test]
fn a_disk_that_takes_no_writes_is_told() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    // A folder in the trial file's place fails every trial write, for root too.
    let trial = house.database_file.with_extension("db.trial");
    while std::fs::create_dir(&trial).is_err() {}
    await_status(&server, |found| found["output"].as_str().is_some_and(|text| text.contains("trial write")));
}

#[test]
fn a_database_that_hangs_is_told_and_holds_up_nobody() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    house.store.hangs.store(true, Ordering::Relaxed);
    // On a busy machine something else may be late first.
    await_status(&server, |found| found["checks"]["store:durability"][0]["timeout"] == true);
    assert_eq!(get(&server, "/ready").0, 503);
    house.store.hangs.store(false, Ordering::Relaxed);
    await_state(&server, "pass");
}

#[test]
fn no_store_is_a_failure() {
    let (_house, server) = House::new().with(|sources| sources.store = None).open();
    await_state(&server, "fail");
    assert_eq!(get(&server, "/ready").0, 503);
}

#[test]
fn a_destination_that_is_down_is_a_warning() {
    let change = |sources: &mut StatusSources| sources.destinations = Box::new(|| vec![destination("pas", false)]);
    let (_house, server) = House::new().with(change).open();
    await_status(&server, |found| found["checks"]["destination:delivery"][0]["output"] == "timeout");
    await_status(&server, |found| found["checks"]["destination:delivery"][0]["timeout"] == true);
    await_status(&server, |found| found["ready"] == true);
    assert_eq!(get(&server, "/ready").0, 200);
}

fn depth(queued: u64, parked: u64, age_s: i64) -> OutboxDepth {
    let oldest = Some(Timestamp::now() - SignedDuration::from_secs(age_s));
    OutboxDepth { destination: "pas".into(), queued, parked, oldest, ..OutboxDepth::default() }
}

#[test]
fn messages_that_wait_too_long_are_told() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    *house.store.depth.lock().unwrap() = vec![depth(7, 0, 400)];
    await_state(&server, "warn");
    *house.store.depth.lock().unwrap() = vec![depth(7, 0, 4_000)];
    await_status(&server, |found| found["checks"]["outbox:queued"][0]["observedValue"] == 7);
    *house.store.depth.lock().unwrap() = vec![depth(0, 1, 10)];
    await_status(&server, |found| found["output"].as_str().is_some_and(|text| text.contains("parked")));
}

#[test]
fn certificates_are_told_before_and_after_they_expire() {
    for (days, state) in [(29, "warn"), (6, "fail"), (-1, "fail")] {
        let change =
            |sources: &mut StatusSources| sources.certificates = Box::new(move || vec![certificate("https", days)]);
        let (_house, server) = House::new().with(change).open();
        let found = await_status(&server, |found| found["checks"]["certificate:expiry"][0]["observedValue"] == days);
        assert_eq!(found["checks"]["certificate:expiry"][0]["status"], state);
        await_state(&server, state);
    }
}

#[test]
fn a_feed_that_is_silent_and_what_waits_for_a_person_are_told() {
    for (silent, quarantined, states, whole) in [
        (false, 0, ["pass", "pass"], "pass"),
        (false, 3, ["pass", "warn"], "warn"),
        (true, 0, ["fail", "pass"], "fail"),
    ] {
        let feed = move || {
            let heard = Timestamp::now() - SignedDuration::from_mins(45);
            Ok(vec![FeedHealth { name: "pas-feed".into(), heard, silent, quarantined, oldest: None, paused: None }])
        };
        let (_house, server) = House::new().with(|sources| sources.feeds = Some(Box::new(feed))).open();
        let found = await_status(&server, |found| found["checks"]["feed:silence"][0]["observedValue"] == 45);
        let checks = ["feed:silence", "feed:quarantine"].map(|check| &found["checks"][check][0]["status"]);
        assert_eq!(checks, states);
        await_state(&server, whole);
        let text = get(&server, "/metrics").1;
        assert!(text.contains(r#"onward_feed_heard_seconds{channel="pas-feed"} 27"#), "{text}");
        assert!(text.contains(r#"onward_feed_quarantined{channel="pas-feed"}"#), "{text}");
    }
}

#[test]
fn api_threads_that_are_all_stuck_are_told() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    let _stuck = house.beat.lock().unwrap();
    await_status(&server, |found| found["checks"]["api:threads"][0]["output"] == "1 of 1 threads are stuck");
    assert_eq!(get(&server, "/ready").0, 503);
}

#[test]
fn an_api_that_does_not_listen_is_told() {
    let (house, server) = House::new().open();
    await_state(&server, "pass");
    house.api.store(false, Ordering::Relaxed);
    await_state(&server, "fail");
    assert_eq!(get(&server, "/ready").0, 503);
}

#[test]
fn slow_clients_hold_up_nobody() {
    let (_house, server) = House::new().open();
    let slow = |_| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"GET /_ping HT").unwrap();
        stream
    };
    let mut crowd: Vec<TcpStream> = (0..100).map(slow).collect();
    for _ in 0..20 {
        assert_eq!(get(&server, "/_ping").0, 200);
    }
    let mut rest = Vec::new();
    crowd[99].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(matches!(crowd[99].read_to_end(&mut rest), Ok(0)), "it is closed after two seconds without an answer");
}

#[test]
fn it_stops_when_it_is_dropped() {
    let (_house, server) = House::new().open();
    let address = server.address();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
