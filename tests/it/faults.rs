//! What the running gateway says of itself, and to its callers, while something that it needs is broken.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use onward::load::client::{Client, Response};
use onward::load::synthetic::{Message, People};
use onward::pas::simulator::{self, Simulator};
use onward::tls::authority::{Authority, Validity};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::gateway::{Gateway, Options, bundles, code, fixed_port, headers, json, post};

/// What the status page promises is a quarter of this; a debug build beside other tests gets the rest.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// How long the probes may take to notice.
const NOTICE_MAX: Duration = Duration::from_secs(15);

/// Asks the status listener, and keeps the longest time that an answer took.
pub(crate) struct Watch {
    longest: Duration,
    answers: u32,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { longest: Duration::ZERO, answers: 0 }
    }

    async fn get(&mut self, gateway: &Gateway, path: &str) -> (u16, String) {
        let begun = Instant::now();
        let answer = timeout(ANSWER_MAX, get(gateway, path)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} was not answered within {ANSWER_MAX:?}"));
        self.longest = self.longest.max(begun.elapsed());
        self.answers += 1;
        answer
    }

    async fn ready(&mut self, gateway: &Gateway) -> u16 {
        self.get(gateway, "/ready").await.0
    }

    async fn status(&mut self, gateway: &Gateway) -> Value {
        serde_json::from_str(&self.get(gateway, "/_status").await.1).unwrap()
    }

    /// Asks until it is so; answers how long that took.
    pub(crate) async fn until(&mut self, gateway: &Gateway, what: &str, is_so: impl Fn(&Value) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            let status = self.status(gateway).await;
            if is_so(&status) {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < NOTICE_MAX, "{what}: {status:#}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_ready(&mut self, gateway: &Gateway, is_ready: bool) -> Duration {
        let took = self.until(gateway, "ready", |status| status["ready"] == is_ready).await;
        // Asked a moment later, it says the same.
        assert_eq!(self.ready(gateway).await, if is_ready { 200 } else { 503 });
        took
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        println!("{} answers of the status listener, the slowest after {:?}", self.answers, self.longest);
    }
}

pub(crate) async fn get(gateway: &Gateway, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(gateway.status).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// A referral of somebody new.
fn referral(people: &People) -> Message {
    bundles().referral(&people.next(), Timestamp::now())
}

fn assert_unavailable(answer: &Response) {
    assert_eq!((answer.status.as_u16(), code(answer).as_str()), (503, "ONW-9001"), "{:?}", answer.body);
    assert_eq!(json(answer)["resourceType"], "OperationOutcome");
    assert_eq!(answer.headers["retry-after"], "1");
}

/// Sends referrals until one is refused; answers that one, to be sent again. What was answered before is counted.
async fn send_until_refused(client: &Client, people: &People, taken: &mut u64) -> (hyper::HeaderMap, Message) {
    for _ in 0..400 {
        let (headers, message) = (headers().write(), referral(people));
        let answer = post(client, headers.clone(), &message).await;
        if answer.status == 200 {
            *taken += 1;
            continue;
        }
        assert_unavailable(&answer);
        return (headers, message);
    }
    panic!("the disk is full, and everything is taken");
}

/// Referrals that the journal says were accepted.
fn accepted(gateway: &Gateway) -> u64 {
    let rows = gateway.document(&["messages", "list", "--outcome", "accepted", "--limit", "100000"]);
    rows.as_array().unwrap().iter().filter(|row| row["channel"] == "https").count() as u64
}

/// The whole course of a disk that fills and empties. `fill` and `empty` are given the gateway's process.
async fn fill_and_empty(gateway: &Gateway, fill: impl FnOnce(u32), empty: impl FnOnce(u32)) {
    let (mut watch, people, client) = (Watch::new(), People::new(8), gateway.client());
    watch.until_ready(gateway, true).await;
    assert_eq!(post(&client, headers().write(), &referral(&people)).await.status, 200);
    let mut taken = 1;
    fill(gateway.pid());
    let (refused, message) = send_until_refused(&client, &people, &mut taken).await;
    let noticed = watch.until_ready(gateway, false).await;
    for _ in 0..5 {
        assert_unavailable(&post(&client, headers().write(), &referral(&people)).await);
        assert_eq!(watch.ready(gateway).await, 503);
    }
    let status = watch.status(gateway).await;
    assert_eq!(
        (&status["status"], &status["checks"]["store:durability"][0]["status"]),
        (&"fail".into(), &"fail".into())
    );
    empty(gateway.pid());
    // No request comes meanwhile.
    let recovered = watch.until_ready(gateway, true).await;
    assert_eq!(post(&client, refused, &message).await.status, 200, "the same request is taken now");
    assert_eq!(accepted(gateway), taken + 1, "all that was answered, and nothing else");
    gateway.check_ledger();
    println!("{taken} taken before it was full; noticed after {noticed:?}, well again after {recovered:?}");
}

/// A small disk, where this process may make one.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(path).output().ok()?;
        mounted.status.success().then(|| Self(path.to_owned()))
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_is_told_and_its_end_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk")) else {
        return eprintln!("SKIPPED: no small disk can be mounted here");
    };
    let mut gateway = Gateway::start(Options::default().with("store.path", disk.0.join("onward.db").display()));
    fill_and_empty(&gateway, |_| disk.fill(), |_| fs::remove_file(disk.0.join("filler")).unwrap()).await;
    assert!(gateway.is_alive());
    gateway.kill();
}

/// Limits the size of files that a process may write; the same failure without a disk of one's own.
fn limit_files(pid: u32, bytes: &str) {
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:")]).status();
    assert!(limited.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_may_not_grow_are_told_and_their_growth_is_noticed() {
    if Command::new("prlimit").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no prlimit here");
    }
    let gateway = Gateway::start(Options { ignores_file_limit: true, ..Options::default() }.with("https.workers", 2));
    let log = fs::metadata(gateway.path("onward.db-wal")).map_or(0, |log| log.len()) + 200_000;
    fill_and_empty(&gateway, |pid| limit_files(pid, &log.to_string()), |pid| limit_files(pid, "unlimited")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_file_that_is_gone_is_told_and_takes_nothing() {
    let gateway = Gateway::start(Options::default());
    let (mut watch, people, client) = (Watch::new(), People::new(9), gateway.client());
    watch.until_ready(&gateway, true).await;
    assert_eq!(post(&client, headers().write(), &referral(&people)).await.status, 200);
    let (file, away) = (gateway.path("onward.db"), gateway.path("away.db"));
    fs::rename(&file, &away).unwrap();
    let (again, message) = (headers().write(), referral(&people));
    assert_unavailable(&post(&client, again.clone(), &message).await);
    let noticed = watch.until_ready(&gateway, false).await;
    fs::rename(&away, &file).unwrap();
    let recovered = watch.until_ready(&gateway, true).await;
    assert_eq!(post(&client, again, &message).await.status, 200);
    gateway.check_ledger();
    println!("noticed after {noticed:?}, well again after {recovered:?}");
    fs::remove_file(&file).unwrap();
    // Nobody sends anything, and it is noticed all the same.
    let noticed = watch.until_ready(&gateway, false).await;
    let output = watch.status(&gateway).await["output"].clone();
    println!("deleted: noticed after {noticed:?}: {output}");
    assert_unavailable(&post(&client, headers().write(), &referral(&people)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pas_that_is_down_is_a_warning_and_nothing_is_refused() {
    let port = fixed_port();
    let gateway = Gateway::start(Options { pas: Some(port), ..Options::default() });
    let (mut watch, people, client) = (Watch::new(), People::new(10), gateway.client());
    watch.until_ready(&gateway, true).await;
    assert_eq!(post(&client, headers().write(), &referral(&people)).await.status, 200);
    let delivery = |status: &Value| status["checks"]["destination:delivery"][0]["status"].clone();
    watch.until(&gateway, "the PAS is down", |status| delivery(status) == "warn").await;
    let queued = |status: &Value| status["checks"]["outbox:queued"][0]["observedValue"].clone();
    watch.until(&gateway, "one is queued", |status| queued(status) == 1 && status["ready"] == true).await;
    assert_eq!(watch.ready(&gateway).await, 200);
    assert_eq!(post(&client, headers().write(), &referral(&people)).await.status, 200);
    let pas = Simulator::start(([127, 0, 0, 1], port).into(), simulator::Options::default()).await.unwrap();
    watch.until(&gateway, "the PAS is up", |status| delivery(status) == "pass").await;
    gateway.drain(Duration::from_secs(20));
    assert_eq!(pas.received().len(), 2);
    gateway.check_ledger();
}

/// A connection that takes up its place and says half of what it has to say.
async fn dawdle(gateway: &Gateway) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
    let files = gateway.client_files();
    let mut stream = timeout(Duration::from_secs(2), gateway.connect(&files)).await.ok()?.ok()?;
    stream.write_all(b"POST /FHIR/R4/$process-message HTTP/1.1\r\nHost: x\r\n").await.ok()?;
    Some(stream)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_whose_places_are_all_taken_is_told() {
    let options = Options::default().with("https.connections_max", 6).with("https.workers", 2);
    let gateway = Gateway::start(options.with("https.request_timeout_ms", 60_000));
    let mut watch = Watch::new();
    watch.until_ready(&gateway, true).await;
    let mut crowd = Vec::new();
    // Some wait at the door and never come in.
    for _ in 0..10 {
        crowd.push(dawdle(&gateway).await);
    }
    let noticed = watch.until_ready(&gateway, false).await;
    let output = watch.status(&gateway).await["output"].clone();
    println!("{} inside; noticed after {noticed:?}: {output}", crowd.iter().flatten().count());
    assert_eq!(watch.get(&gateway, "/_ping").await.0, 200);
    drop(crowd);
    let recovered = watch.until_ready(&gateway, true).await;
    println!("well again after {recovered:?}");
    let answer = post(&gateway.client(), headers().write(), &referral(&People::new(11))).await;
    assert_eq!(answer.status, 200);
}

/// Nineteen megabytes of JSON that arrive as a few kilobytes.
fn heavy() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"{\"resourceType\":\"Bundle\",\"entry\":[").unwrap();
    let entry = format!("{{\"fullUrl\":\"{}\"}},", "x".repeat(60));
    (0..240_000).for_each(|_| encoder.write_all(entry.as_bytes()).unwrap());
    encoder.write_all(b"{}]}").unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_is_busy_holds_up_no_answer_about_it() {
    let gateway = std::sync::Arc::new(Gateway::start(Options::default()));
    let mut watch = Watch::new();
    watch.until_ready(&gateway, true).await;
    let body = heavy();
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (client, body) = (gateway.client(), body.clone());
            let mut headers = headers().write();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            tokio::spawn(async move {
                client
                    .send(hyper::Method::POST, "/$process-message", headers, Some(body.into()))
                    .await
                    .map(|it| it.status)
            })
        })
        .collect();
    let (begun, mut fewest) = (Instant::now(), i64::MAX);
    while !tasks.iter().all(|task| task.is_finished()) && begun.elapsed() < Duration::from_secs(30) {
        let status = watch.status(&gateway).await;
        fewest = fewest.min(status["checks"]["api:threads"][0]["observedValue"].as_i64().unwrap());
        sleep(Duration::from_millis(20)).await;
    }
    for task in tasks {
        println!("a heavy message: {:?}", task.await.unwrap());
    }
    println!("busy for {:?}; at the worst {fewest} threads were free to work", begun.elapsed());
    watch.until_ready(&gateway, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_expires_while_it_is_used_is_told() {
    let mut gateway = Gateway::start(Options::default());
    gateway.kill();
    let ca = Authority::load(&gateway.path("tls/ca.pem"), &gateway.path("tls/ca-key.pem")).unwrap();
    let issue = |seconds: i64| {
        let not_after = Timestamp::now() + SignedDuration::from_secs(seconds);
        let validity = Validity { not_after, ..Validity::days(Timestamp::now(), 1) };
        let issued = ca.issue_server(&["127.0.0.1"], validity).unwrap();
        issued.write(&gateway.path("tls/short.pem"), &gateway.path("tls/short-key.pem")).unwrap();
    };
    issue(8);
    let paths = ["tls/short.pem", "tls/short-key.pem"].map(|name| gateway.path(name));
    gateway.set("https.cert", paths[0].display());
    gateway.set("https.key", paths[1].display());
    gateway.restart();
    let (mut watch, people) = (Watch::new(), People::new(12));
    assert_eq!(post(&gateway.client(), headers().write(), &referral(&people)).await.status, 200);
    let expired = |status: &Value| status["output"].as_str().is_some_and(|text| text.contains("it expired on"));
    watch.until(&gateway, "expired", expired).await;
    let (status, text) = watch.get(&gateway, "/_status").await;
    assert_eq!(status, 503);
    println!("{}", serde_json::from_str::<Value>(&text).unwrap()["output"]);
    // Its last second is still good.
    sleep(Duration::from_secs(2)).await;
    assert!(gateway.client().warm_up().await.is_err(), "no caller accepts it");
    let not_after = Timestamp::now() + SignedDuration::from_hours(24 * 60);
    let issued =
        ca.issue_server(&["127.0.0.1"], Validity { not_after, ..Validity::days(Timestamp::now(), 1) }).unwrap();
    issued.write(&paths[0], &paths[1]).unwrap();
    watch.until(&gateway, "renewed", |status| !expired(status)).await;
    assert_eq!(post(&gateway.client(), headers().write(), &referral(&people)).await.status, 200);
}
