//! The listener on real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use onward::mllp::{Handler, Options, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Messages that reached the handler.
    handled: Arc<AtomicUsize>,
}

/// Answers `x` with `re:x` after a short while; `close` not at all, `silent` with nothing.
async fn running(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let handler: Handler = Arc::new(move |message, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            sleep(Duration::from_millis(5)).await;
            match message.as_slice() {
                b"close" => None,
                b"silent" => Some(Vec::new()),
                b"slow" => sleep(Duration::from_millis(200)).map(|()| Some(vec![b"re:slow".to_vec()])).await,
                _ => Some(vec![[b"re:", &message[..]].concat()]),
            }
        }
        .boxed()
    });
    listen(listener, options, handler, &stop, &tracker);
    Running { addr, stop, tracker, handled }
}

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.addr).await.unwrap()
}

/// All that comes until the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes)).await.expect("it stays open");
    // A reset is an end as well.
    drop(read);
    String::from_utf8(bytes).unwrap()
}

async fn read(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    timeout(Duration::from_secs(5), stream.read_exact(&mut bytes)).await.expect("no answer").unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[tokio::test]
async fn answers_every_frame_once_and_in_order_however_it_arrives() {
    let running = running(Options::default()).await;
    let mut all = connect(&running).await;
    all.write_all(b"\r\n\x0ba\x1c\r\x0bb\x1c\r\r\x0b\x1c\r\x0b\x06\x1c\r\x0bsilent\x1c\r\x0bcut\x0bc\x1c\r")
        .await
        .unwrap();
    all.shutdown().await.unwrap();
    assert_eq!(rest(all).await, "\x0bre:a\x1c\r\x0bre:b\x1c\r\x0bre:c\x1c\r");

    let mut slow = connect(&running).await;
    for byte in b"\x0bbyte by byte\x1c\r" {
        slow.write_all(&[*byte]).await.unwrap();
        slow.flush().await.unwrap();
    }
    read(&mut slow, "\x0bre:byte by byte\x1c\r").await;
    assert_eq!(running.handled.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn reads_no_further_while_a_message_is_worked_on() {
    let running = running(Options::default()).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"\x0bslow\x1c\r\x0bnext\x1c\r").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(running.handled.load(Ordering::SeqCst), 1);
    read(&mut stream, "\x0bre:slow\x1c\r\x0bre:next\x1c\r").await;
}

#[tokio::test]
async fn closes_without_an_answer_what_cannot_be_dealt_with() {
    let running = running(Options::default()).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"\x0bclose\x1c\r\x0bnever\x1c\r").await.unwrap();
    assert_eq!(rest(stream).await, "");
    assert_eq!(running.handled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn says_with_a_block_whether_a_message_is_safe_where_that_is_wanted() {
    let running = running(Options { commit_blocks: true, ..Options::default() }).await;
    let mut stream = connect(&running).await;
    stream.write_all(b"\x0ba\x1c\r\x0bsilent\x1c\r\x0bclose\x1c\r").await.unwrap();
    assert_eq!(rest(stream).await, "\x0b\x06\x1c\r\x0bre:a\x1c\r\x0b\x06\x1c\r\x0b\x15\x1c\r");
}

#[tokio::test]
async fn cuts_off_whoever_is_too_slow_too_long_or_speaks_something_else() {
    let mut options = Options { frame_timeout: Duration::from_millis(150), ..Options::default() };
    options.frame.frame_bytes_max = 100;
    let running = running(options).await;
    let junk = "GET / HTTP/1.1\r\n".repeat(300);
    let long = format!("\x0b{}", "x".repeat(200));
    for bytes in [junk.as_str(), &long, "\x0bthe rest never comes"] {
        let mut stream = connect(&running).await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(rest(stream).await, "");
    }
    // But whoever is silent between messages may be.
    let mut idle = connect(&running).await;
    sleep(Duration::from_millis(400)).await;
    idle.write_all(b"\x0bstill here\x1c\r").await.unwrap();
    read(&mut idle, "\x0bre:still here\x1c\r").await;
}

#[tokio::test]
async fn takes_only_so_many_connections_and_only_from_where_it_should() {
    let one = running(Options { source_connections_max: 2, ..Options::default() }).await;
    let (mut first, second, third) = (connect(&one).await, connect(&one).await, connect(&one).await);
    assert_eq!(rest(third).await, "");
    first.write_all(b"\x0ba\x1c\r").await.unwrap();
    read(&mut first, "\x0bre:a\x1c\r").await;
    drop(second);
    sleep(Duration::from_millis(100)).await;
    let mut fourth = connect(&one).await;
    fourth.write_all(b"\x0bb\x1c\r").await.unwrap();
    read(&mut fourth, "\x0bre:b\x1c\r").await;

    let other = running(Options { peers: vec!["192.0.2.1".parse().unwrap()], ..Options::default() }).await;
    assert_eq!(rest(connect(&other).await).await, "");
}

#[tokio::test]
async fn stopping_answers_the_message_in_hand_and_takes_no_more() {
    let running = running(Options::default()).await;
    let idle = connect(&running).await;
    let mut busy = connect(&running).await;
    busy.write_all(b"\x0bslow\x1c\r\x0bnever\x1c\r").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    running.stop.cancel();
    running.tracker.close();
    assert_eq!(rest(idle).await, "");
    assert_eq!(rest(busy).await, "\x0bre:slow\x1c\r");
    timeout(Duration::from_secs(2), running.tracker.wait()).await.expect("something still runs");
    assert_eq!(running.handled.load(Ordering::SeqCst), 1);
    assert!(TcpStream::connect(running.addr).await.is_err());
}
