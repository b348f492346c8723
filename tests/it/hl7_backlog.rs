//! A gateway with a long past starts as quickly as a new one, and takes up no more memory for it: nothing of what was
//! kept is read at the start. ONWARD_BACKLOG says how many messages were applied, and how many are in quarantine. And
//! however much is sent at once, memory is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use onward::booking::decide::decide;
use onward::booking::decision::Rules;
use onward::hl7v2::ack::{Code, Received};
use onward::hl7v2::frame::{Mllp, wrap};
use onward::intake::hl7::{Feed, prepare};
use onward::outbox::destination::Peer;
use onward::outbox::mllp::send_all;
use onward::pas::inbound::dialect::Dialect;
use onward::store::Store;
use onward::store::sqlite::SqliteStore;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::sleep;
use tokio_util::codec::Framed;

use crate::gateway::{Gateway, Options, fixed_port, somebody};

const READY_MAX: Duration = Duration::from_secs(10);
const MEMORY_MAX_KB: u64 = 256 << 10;

/// A person each; every second one is about nobody, and so in quarantine.
fn message(n: u64) -> Vec<u8> {
    let (name, born) = somebody(n);
    let pid = format!("PID|1||B{n}^^^RZ9^MR||{name}^^^^^L||{born}|1\r");
    let pid = if n.is_multiple_of(2) { pid } else { String::new() };
    format!("MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|B{n}|T|2.4\rEVN||20260301091500\r{pid}")
        .into_bytes()
}

/// Most that the process ever took up, in kB.
fn memory_peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_past_delays_no_start_and_takes_up_no_memory() {
    let count = std::env::var("ONWARD_BACKLOG").ok().map_or(1_000, |text| text.parse().expect("a number"));
    let port = fixed_port();
    let mut gateway = Gateway::start(Options::default().with("mllp.0.listen", format!("127.0.0.1:{port}")));
    gateway.kill();
    let options =
        onward::store::sqlite::Options { rules: Rules { sandbox: true, ..Default::default() }, ..Default::default() };
    let store = SqliteStore::open(&gateway.path("onward.db"), options, decide).unwrap();
    let dialect = Dialect::shipped("itk").unwrap();
    let feed =
        Feed { channel: "pas-feed".into(), organisation: "RZ9".into(), dialect, tell: crate::referrers::nobody() };
    for first in (0..2 * count).step_by(500) {
        let submitted = (first..(first + 500).min(2 * count)).map(|n| {
            let prepared = prepare(&feed, message(n), true, None);
            store.submit(prepared.message, prepared.work)
        });
        join_all(submitted).await.into_iter().for_each(|verdict| drop(verdict.unwrap()));
    }
    store.close();
    let begun = Instant::now();
    gateway.restart();
    let peer = Peer::new("127.0.0.1", port);
    let mut code = None;
    let hello = [message(2 * count)];
    send_all(&peer, &hello, |_, answer| code = Received::read(answer).and_then(|it| it.code)).await.unwrap();
    let (ready, memory) = (begun.elapsed(), memory_peak(gateway.pid()));
    println!("{count} applied and {count} in quarantine: the first answer after {ready:?}, at most {memory} kB");
    assert_eq!(code, Some(Code::AA));
    assert!(ready < READY_MAX, "{ready:?}");
    assert!(memory < MEMORY_MAX_KB, "{memory} kB");
    let counts = gateway.document(&["messages", "feed", "counts"]);
    assert_eq!((counts["applied"].as_u64(), counts["quarantined"].as_u64()), (Some(count + 1), Some(count)));
    assert_eq!(gateway.document(&["messages", "feed", "list", "--limit", "3"]).as_array().unwrap().len(), 3);
}

/// A letter of a megabyte, which fifty senders send at once and again.
fn large(n: usize) -> Vec<u8> {
    let mut message = message(2 * n as u64);
    message.extend_from_slice(b"\rOBX|1|FT|||");
    message.resize(message.len() + (1 << 20), b'x');
    wrap(&message).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_senders_of_a_megabyte_each_take_up_bounded_memory() {
    const SENDERS: usize = 50;
    const ROUNDS: usize = 3;
    let gateway = Gateway::start(Options::default());
    let to = gateway.mllp.unwrap();
    let before = memory_peak(gateway.pid());
    let send = |sender: usize| async move {
        // A listener takes so many connections from one address.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 2, 1 + (sender / 8) as u8], 0))).unwrap();
        let mut framed = Framed::new(socket.connect(to).await.unwrap(), Mllp::default());
        for round in 0..ROUNDS {
            framed.get_mut().write_all(&large(sender * ROUNDS + round)).await.unwrap();
            let answer = framed.next().await.expect("an answer").unwrap();
            assert_eq!(Received::read(&answer).unwrap().code, Some(Code::AA));
        }
    };
    join_all((0..SENDERS).map(send)).await;
    let memory = memory_peak(gateway.pid());
    println!("{SENDERS} senders of a megabyte each: {before} kB at rest, at most {memory} kB");
    assert!(memory < before + MEMORY_MAX_KB, "{before} kB at rest, {memory} kB");
}

/// Sends one message after the other on a line of its own until it is told to stop; how many were acknowledged.
async fn load(port: u16, source: u8, stop: Arc<AtomicBool>) -> u64 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 2, source], 0))).unwrap();
    let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    let mut line = Framed::new(stream, Mllp::default());
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let n = 2 * (1_000_000 * u64::from(source) + count);
        line.get_mut().write_all(&wrap(&message(n)).unwrap()).await.unwrap();
        line.next().await.unwrap().unwrap();
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_load_has_one_place_beside_a_live_channel() {
    let (live, bulk) = (fixed_port(), fixed_port());
    let options = Options::default().with("mllp.0.listen", format!("127.0.0.1:{live}"));
    let mut gateway = Gateway::start(options);
    gateway.kill();
    let mut file = std::fs::OpenOptions::new().append(true).open(gateway.path("onward.toml")).unwrap();
    let load_channel = format!("\n[[mllp]]\nname = \"bulk\"\nlisten = \"127.0.0.1:{bulk}\"\nbulk = true\n");
    std::io::Write::write_all(&mut file, load_channel.as_bytes()).unwrap();
    gateway.restart();
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (1..=24).map(|source| tokio::spawn(load(bulk, source, stop.clone()))).collect();
    sleep(Duration::from_millis(500)).await;
    let before = gateway.document(&["messages", "feed", "counts"])["applied"].as_u64().unwrap();
    let peer = Peer::new("127.0.0.1", live);
    let urgent: Vec<_> = (0..100).map(|n| message(2 * n)).collect();
    let mut answers = 0;
    send_all(&peer, &urgent, |_, _| answers += 1).await.unwrap();
    let between = gateway.document(&["messages", "feed", "counts"])["applied"].as_u64().unwrap() - before;
    stop.store(true, Ordering::Relaxed);
    let loaded: u64 = join_all(loads).await.into_iter().map(|count| count.unwrap()).sum();
    assert_eq!(answers, 100);
    println!("{between} messages while 100 urgent ones were taken, {loaded} of the load in all");
    // Of 24 senders one is served at a time: as a rule one message for each urgent one, and those of the two counts.
    assert!(between < 100 + 400, "{between}: the load takes up more than its place");
    assert_eq!(
        gateway.document(&["messages", "feed", "counts"])["applied"].as_u64(),
        Some(100 + loaded),
        "none is lost"
    );
}
