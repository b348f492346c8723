//! kill -9 while hospitals send: every control id that was acknowledged is in the journal, applied exactly once.
//! ONWARD_CRASHES says how often, ONWARD_MESSAGES how many messages.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onward::hl7v2::ack::{Code, Received};
use onward::outbox::destination::Peer;
use onward::outbox::mllp::send_all;
use tokio::time::sleep;

use crate::gateway::{Gateway, Options, fixed_port, somebody};

const SENDERS: u64 = 6;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A new person, whose number follows from the message's.
fn message(n: u64) -> Vec<u8> {
    let (name, born) = somebody(n);
    format!(
        "MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|K{n}|T|2.4\rEVN||20260301091500\r\
         PID|1||P{n}^^^RZ9^MR||{name}^^^^^L||{born}|1\r"
    )
    .into_bytes()
}

/// Sends each until it is acknowledged.
async fn insist(
    peer: Peer,
    next: Arc<AtomicU64>,
    last: u64,
    acknowledged: Arc<Mutex<HashSet<u64>>>,
    tries: Arc<AtomicU64>,
) {
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= last {
            return;
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            tries.fetch_add(1, Ordering::Relaxed);
            let mut code = None;
            let bytes = [message(n)];
            let sent = send_all(&peer, &bytes, |_, answer| code = Received::read(answer).and_then(|it| it.code));
            if sent.await.is_ok() && code == Some(Code::AA) {
                break;
            }
            assert!(Instant::now() < deadline, "no answer to {n}: {code:?}");
            sleep(Duration::from_millis(20)).await;
        }
        acknowledged.lock().unwrap().insert(n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hospital_was_acknowledged_survives_kill_9_once() {
    let (kills, last) = (number("ONWARD_CRASHES", 4), number("ONWARD_MESSAGES", 1_000));
    let port = fixed_port();
    let options = Options::default().with("mllp.0.listen", format!("127.0.0.1:{port}"));
    let mut gateway = Gateway::start(options);
    let peer = Peer { ack_timeout: Duration::from_secs(10), ..Peer::new("127.0.0.1", port) };
    let (next, tries) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| tokio::spawn(insist(peer.clone(), next.clone(), last, acknowledged.clone(), tries.clone())))
        .collect();
    for kill in 1..=kills {
        // Spread over the whole run, at moments that the disk decides.
        while (acknowledged.lock().unwrap().len() as u64) < last * kill / (kills + 1) {
            sleep(Duration::from_millis(5)).await;
        }
        gateway.kill();
        gateway.restart();
    }
    for sender in senders {
        sender.await.unwrap();
    }
    gateway.check_ledger();
    assert_eq!(gateway.stop(), Some(0));
    let conn = rusqlite::Connection::open(gateway.path("onward.db")).unwrap();
    let count = |sql: &str| conn.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    let accepted = "FROM message WHERE channel = 'mllp' AND outcome = 'accepted'";
    assert_eq!(count(&format!("SELECT count(*) {accepted}")), last);
    assert_eq!(count(&format!("SELECT count(DISTINCT bundle) {accepted}")), last);
    assert_eq!(count("SELECT count(*) FROM patient WHERE family LIKE 'tester%'"), last);
    assert_eq!(count("SELECT count(*) FROM patient_number"), last);
    assert_eq!(count("SELECT count(*) FROM feed_message WHERE state = 'applied'"), last);
    let all = count("SELECT count(*) FROM message WHERE channel = 'mllp'");
    assert_eq!(count("SELECT count(*) FROM feed_message"), all);
    println!("{last} messages, {kills} kills, {} attempts, {} repeats", tries.load(Ordering::Relaxed), all - last);
}
