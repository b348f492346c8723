//! Certificates of the running gateway: renewed under load, refused at its start, and those that callers show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use onward::hl7v2::frame::wrap;
use onward::load::synthetic::People;
use onward::tls::ClientTls;
use onward::tls::authority::{Authority, Issued, Validity};
use onward::tls::client::client_config;
use onward::tls::handshake::{Handshake, handshake_check};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::faults::Watch;
use crate::gateway::{Gateway, Options, bundles, code, fixed_port, headers, json, onward, post, raw};

const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

fn valid() -> Validity {
    Validity::days(Timestamp::now(), 90)
}

fn over() -> Validity {
    let ago = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    Validity { not_before: ago(48), not_after: ago(1) }
}

fn authority(gateway: &Gateway) -> Authority {
    Authority::load(&gateway.path("tls/ca.pem"), &gateway.path("tls/ca-key.pem")).unwrap()
}

/// Writes a certificate and its key into the gateway's folder.
fn put(gateway: &Gateway, stem: &str, issued: &Issued) -> ClientTls {
    let (cert, key) = (gateway.path(&format!("tls/{stem}.pem")), gateway.path(&format!("tls/{stem}-key.pem")));
    issued.write(&cert, &key).unwrap();
    ClientTls { ca: gateway.path("tls/ca.pem"), cert: Some(cert), key: Some(key) }
}

fn shake(gateway: &Gateway, files: &ClientTls) -> Handshake {
    handshake_check("127.0.0.1", gateway.https().port(), files, Timestamp::now())
}

fn served(gateway: &Gateway) -> String {
    shake(gateway, &gateway.client_files()).chain[0].sha256.clone()
}

/// Replaces the server's certificate, and waits until new connections see the new one.
fn renew(gateway: &Gateway) {
    let before = served(gateway);
    put(gateway, "server", &authority(gateway).issue_server(&NAMES, valid()).unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    while served(gateway) == before {
        assert!(Instant::now() < deadline, "the new certificate is not in use");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[derive(Default)]
struct Load {
    ending: AtomicBool,
    answered: AtomicU64,
    connections: AtomicU64,
}

/// Sends without a pause, over one connection or over a new one each time.
async fn send(gateway: Arc<Gateway>, load: Arc<Load>, is_kept: bool) {
    let people = People::new(5);
    let mut client = gateway.client();
    while !load.ending.load(Ordering::Relaxed) {
        let message = bundles().referral(&people.next(), Timestamp::now());
        let answer = post(&client, headers().write(), &message).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        load.answered.fetch_add(1, Ordering::Relaxed);
        if !is_kept {
            load.connections.fetch_add(1, Ordering::Relaxed);
            client = gateway.client();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_under_load_drops_no_request() {
    let gateway = Arc::new(Gateway::start(Options::default()));
    let load = Arc::new(Load::default());
    let sending = [true, true, false, false].map(|is_kept| tokio::spawn(send(gateway.clone(), load.clone(), is_kept)));
    let mut long = gateway.connect(&gateway.client_files()).await.unwrap();
    let renewed = Arc::clone(&gateway);
    let renewals = tokio::task::spawn_blocking(move || (0..3).for_each(|_| renew(&renewed)));
    renewals.await.unwrap();
    load.ending.store(true, Ordering::Relaxed);
    for task in sending {
        task.await.expect("no request is dropped");
    }
    // The connection was made under the first certificate, and goes on.
    let request = b"GET /FHIR/R4/metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    long.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    long.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let answered = load.answered.load(Ordering::Relaxed);
    let connections = load.connections.load(Ordering::Relaxed);
    println!("3 renewals, {answered} requests answered, {connections} of them on new connections, none dropped");
    assert!(10 < connections && connections < answered);
    assert_eq!(gateway.outbox("delivered") + gateway.outbox("queued"), answered);
}

/// Runs `onward serve` with other files until it ends by itself; answers its exit code and what it said.
fn refused(gateway: &Gateway, cert: &str, key: &str) -> (Option<i32>, String) {
    let setting =
        |name: &str, file: &str| (name.to_owned(), gateway.path(&format!("tls/{file}.pem")).display().to_string());
    let files = [setting("ONWARD__HTTPS__CERT", cert), setting("ONWARD__HTTPS__KEY", key)];
    let output = onward(&files).args(["serve", "--dir"]).arg(gateway.path("")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_server_certificate_that_cannot_work_stops_the_start() {
    let mut gateway = Gateway::start(Options::default());
    gateway.kill();
    let ca = authority(&gateway);
    put(&gateway, "expired", &ca.issue_server(&NAMES, over()).unwrap());
    put(&gateway, "elsewhere", &ca.issue_server(&["elsewhere.example"], valid()).unwrap());
    for (cert, key, kind) in [
        ("expired", "expired-key", "certificate-expired"),
        ("elsewhere", "elsewhere-key", "host-not-in-certificate"),
        ("server", "elsewhere-key", "key-mismatch"),
        ("missing", "server-key", "https.cert"),
    ] {
        let (exit, said) = refused(&gateway, cert, key);
        assert_eq!(exit, Some(1), "{said}");
        let named = [cert, key].map(|file| gateway.path(&format!("tls/{file}.pem")).display().to_string());
        assert!(named.iter().any(|file| said.contains(file)) && said.contains(kind), "{said}");
        println!("{}", said.trim());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_may_not_call_are_refused() {
    let mut gateway = Gateway::start(Options::default());
    let ca = authority(&gateway);
    let revoked = ca.issue_client("nhs111", valid()).unwrap();
    std::fs::write(gateway.path("tls/crl.pem"), ca.crl(std::slice::from_ref(&revoked.serial), valid()).unwrap())
        .unwrap();
    let revoked = put(&gateway, "revoked", &revoked);
    gateway.kill();
    gateway.set("https.crl", gateway.path("tls/crl.pem").display());
    gateway.restart();

    let other = Authority::new("Another authority", valid()).unwrap();
    let foreign = put(&gateway, "foreign", &other.issue_client("gp", valid()).unwrap());
    let expired = put(&gateway, "old", &ca.issue_client("gp", over()).unwrap());
    let nobody = ClientTls { ca: gateway.path("tls/ca.pem"), cert: None, key: None };
    assert_eq!(shake(&gateway, &gateway.client_files()).failure, None);
    for (who, files) in [("foreign", foreign), ("revoked", revoked), ("nobody", nobody)] {
        let failure = shake(&gateway, &files).failure.expect(who);
        println!("{who}: {} ({})", failure.text, failure.code);
        let answer = gateway.client_with(&files).send(Method::GET, "/metadata", headers().read(), None).await;
        assert!(answer.is_err(), "{who} is not served");
    }
    // Our own side would not even try with a certificate that is over.
    assert_eq!(shake(&gateway, &expired).failure.unwrap().code, "files-refused");
    assert!(!gateway.stderr().contains("panicked"), "{}", gateway.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_no_registered_system_is_forbidden() {
    let gateway = Gateway::start(Options::default());
    let stranger = put(&gateway, "stranger", &authority(&gateway).issue_client("stranger", valid()).unwrap());
    let client = gateway.client_with(&stranger);
    let message = bundles().referral(&People::new(6).next(), Timestamp::now());
    let posted = post(&client, headers().write(), &message).await;
    let read = client.send(Method::GET, "/Slot", headers().read(), None).await.unwrap();
    for answer in [posted, read] {
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (403, "ONW-5001"));
        assert_eq!(json(&answer)["resourceType"], "OperationOutcome");
    }
    assert_eq!((gateway.messages("refused"), gateway.outbox("queued") + gateway.outbox("delivered")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_gets_nothing_from_the_tls_port() {
    let mut gateway = Gateway::start(Options::default());
    for request in [&b"GET /FHIR/R4/metadata HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\n", &[0xff; 4096], b"MSH|^~\\&|A\r"] {
        let mut socket = TcpStream::connect(gateway.https()).await.unwrap();
        socket.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut answer)).await;
        drop(read.expect("it is closed"));
        assert!(answer.len() <= 7, "at most a TLS alert: {answer:?}");
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    assert!(gateway.is_alive() && !gateway.stderr().contains("panicked"), "{}", gateway.stderr());
    let answer = raw(&gateway, b"GET /FHIR/R4/metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A listener for HL7 v2: its certificate is told of, and a new one is taken while a line is open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listeners_certificate_is_told_of_and_renewed_while_lines_are_open() {
    let mut gateway = Gateway::start(Options::default());
    let issue = |days| authority(&gateway).issue_server(&NAMES, Validity::days(Timestamp::now(), days)).unwrap();
    let (short, long) = (issue(3), issue(200));
    let files = put(&gateway, "pas", &short);
    let port = fixed_port();
    gateway.kill();
    gateway.set("mllp.0.listen", format!("127.0.0.1:{port}"));
    gateway.set("mllp.0.tls.cert", files.cert.as_ref().unwrap().display());
    gateway.set("mllp.0.tls.key", files.key.as_ref().unwrap().display());
    gateway.restart();
    let mut watch = Watch::new();
    let is = |state: &'static str| {
        move |status: &Value| {
            let found = status["checks"]["certificate:expiry"].as_array();
            let of_listener = |it: &&Value| it["componentId"].as_str().is_some_and(|id| id.starts_with("mllp "));
            found.into_iter().flatten().filter(of_listener).any(|it| it["status"] == state)
        }
    };
    watch.until(&gateway, "it is told", is("fail")).await;
    let ca = ClientTls { cert: None, key: None, ..files };
    let connector = TlsConnector::from(client_config(&ca, Timestamp::now()).unwrap());
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut line = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    put(&gateway, "pas", &long);
    watch.until(&gateway, "the new one is told", is("pass")).await;
    let message = "MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|OPEN|T|2.4\rEVN||20260301091500\r\
                   PID|1||P1^^^RZ9^MR||TESTER^ONE^^^^^L||19800101|1\r";
    line.write_all(&wrap(message.as_bytes()).unwrap()).await.unwrap();
    let mut answer = vec![0; 1000];
    let count = line.read(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer[..count]).contains("MSA|AA|OPEN"));
    let shown = handshake_check("127.0.0.1", port, &ca, Timestamp::now());
    assert!(100 < shown.chain[0].days_left, "the old one is still shown");
}
