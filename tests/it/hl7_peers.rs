//! Systems that misbehave, on either end of a line: whatever they do, nothing is lost, nothing is doubled, and nobody
//! else is held up.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use onward::config::Windows;
use onward::hl7v2::ack::{Code, Received, Reply};
use onward::hl7v2::frame::{Mllp, wrap};
use onward::hl7v2::header::Header;
use onward::outbox::destination::{Adapter, Destination};
use onward::pas::simulator::{self, Answer, Reaction, ReceivedMessage, Simulator};
use onward::store::OutboxState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::codec::{Decoder, FramedRead};

use crate::gateway::{Gateway, Options};
use crate::outbox::{World, all, control_id, destination};

/// A frame that nobody takes.
const HUGE: usize = 30 << 20;

// ------------------------------------------------------------------------------------------- systems that send to us

/// Somebody who sends: where to, and by what name its messages are known.
#[derive(Clone)]
struct Sender {
    to: SocketAddr,
    name: &'static str,
    /// A listener takes only so many connections from one address.
    from: SocketAddr,
}

type Misbehave = fn(Sender) -> BoxFuture<'static, ()>;

/// Each with how many messages of it must be applied in the end, each once.
const SENDERS: &[(&str, u64, Misbehave)] = &[
    ("one-byte-at-a-time", 2, |it| it.one_byte_at_a_time().boxed()),
    ("in-pieces", 6, |it| it.in_pieces().boxed()),
    ("half-close", 5, |it| it.half_close().boxed()),
    ("reset-after-the-frame", 20, |it| it.reset_after_the_frame().boxed()),
    ("hangs-up-before-the-answer", 20, |it| it.hangs_up_before_the_answer().boxed()),
    ("reads-late", 300, |it| it.reads_late().boxed()),
    ("answers-what-nobody-asked", 3, |it| it.answers_what_nobody_asked().boxed()),
    ("refused-for-ever", 0, |it| it.refused_for_ever().boxed()),
    ("frame-of-30-mb", 1, |it| it.frame_of_30_mb().boxed()),
    ("cut-short", 2, |it| it.cut_short().boxed()),
    ("the-same-on-many-lines", 1, |it| it.the_same_on_many_lines().boxed()),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_sender_does_each_message_is_applied_once_and_nobody_is_held_up() {
    let mut gateway = Gateway::start(Options::default());
    let to = gateway.mllp.expect("it listens");
    let address = |at: usize| SocketAddr::from(([127, 0, 1, at as u8 + 1], 0));
    let (done, well_behaved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let witness = Sender { to, name: "well-behaved", from: address(200) };
    let witness = tokio::spawn(witness.all_the_while(done.clone(), well_behaved.clone()));
    let tasks: Vec<_> = SENDERS
        .iter()
        .enumerate()
        .map(|(at, (name, _, misbehave))| {
            tokio::spawn(timeout(Duration::from_secs(120), misbehave(Sender { to, name, from: address(at) })))
        })
        .collect();
    for ((name, ..), task) in SENDERS.iter().zip(tasks) {
        task.await.unwrap_or_else(|error| panic!("{name}: {error}")).unwrap_or_else(|_| panic!("{name} is stuck"));
    }
    done.store(true, Ordering::Relaxed);
    witness.await.unwrap();
    assert_eq!(gateway.stop(), Some(0));
    let conn = rusqlite::Connection::open(gateway.path("onward.db")).unwrap();
    let count = |sql: &str, name: &str| -> u64 {
        conn.query_row(sql, [format!("{name}-%")], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    };
    let accepted = "FROM message WHERE outcome = 'accepted' AND command = 'feed person' AND bundle LIKE ?1";
    let expected = SENDERS.iter().map(|(name, applied, _)| (*name, *applied));
    for (name, applied) in expected.chain([("well-behaved", well_behaved.load(Ordering::Relaxed))]) {
        assert_eq!(count(&format!("SELECT count(*) {accepted}"), name), applied, "{name}: applied");
        assert_eq!(count(&format!("SELECT count(DISTINCT bundle) {accepted}"), name), applied, "{name}: control ids");
        assert_eq!(count("SELECT count(*) FROM patient_number WHERE value LIKE ?1", name), applied, "{name}: people");
    }
    let one = |sql: &str| conn.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    let (all, counted) = ("SELECT count(*) FROM message WHERE channel = 'mllp'", "SELECT count(*) FROM feed_message");
    assert_eq!(one(all), one(counted), "each is in one state");
    assert_eq!(one("SELECT count(*) FROM feed_message WHERE state = 'quarantined'"), 1, "what is refused for ever");
}

impl Sender {
    /// A new person, whose number follows from the message's.
    fn message(&self, n: u64) -> Vec<u8> {
        let name = self.name;
        format!(
            "MSH|^~\\&|PAS|RZ9|ONWARD|X26|20260301091500||ADT^A28^ADT_A05|{name}-{n}|T|2.4\rEVN||20260301091500\r\
             PID|1||{name}-{n}^^^RZ9^MR||TESTER^ONE^^^^^L||19800101|1\r"
        )
        .into_bytes()
    }

    fn frame(&self, n: u64) -> Vec<u8> {
        wrap(&self.message(n)).unwrap().to_vec()
    }

    async fn line(&self) -> Line {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(self.from).unwrap();
        let stream = socket.connect(self.to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Line { stream, codec: Mllp::default(), buffer: BytesMut::new() }
    }

    /// Sends one as it should be sent, and is told that it is safe.
    async fn proper(&self, line: &mut Line, n: u64) {
        line.write(&self.frame(n)).await;
        line.accepts(&format!("{}-{n}", self.name)).await;
    }

    async fn all_the_while(self, done: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
        let mut line = self.line().await;
        while !done.load(Ordering::Relaxed) {
            let begun = Instant::now();
            self.proper(&mut line, sent.fetch_add(1, Ordering::Relaxed)).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "others hold it up: {:?}", begun.elapsed());
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn one_byte_at_a_time(self) {
        let mut line = self.line().await;
        for n in 0..2 {
            for byte in self.frame(n) {
                line.write(&[byte]).await;
            }
            line.accepts(&format!("{}-{n}", self.name)).await;
        }
    }

    /// Broken where a frame is easily misunderstood: after its start, before and within its end.
    async fn in_pieces(self) {
        let mut line = self.line().await;
        for n in 0..6 {
            let frame = self.frame(n);
            let at = [1, 2, frame.len() / 2, frame.len() - 2, frame.len() - 1][n as usize % 5];
            line.write(&frame[..at]).await;
            sleep(Duration::from_millis(30)).await;
            line.write(&frame[at..]).await;
            line.accepts(&format!("{}-{n}", self.name)).await;
        }
    }

    async fn half_close(self) {
        let mut line = self.line().await;
        let frames: Vec<u8> = (0..5).flat_map(|n| self.frame(n)).collect();
        line.write(&frames).await;
        line.stream.shutdown().await.unwrap();
        for n in 0..5 {
            line.accepts(&format!("{}-{n}", self.name)).await;
        }
        assert_eq!(line.next().await, None, "then the other half is closed, too");
    }

    async fn reset_after_the_frame(self) {
        for n in 0..20 {
            let mut line = self.line().await;
            line.write(&self.frame(n)).await;
            sleep(Duration::from_millis(n)).await;
            line.stream.set_zero_linger().unwrap();
            drop(line);
            self.proper(&mut self.line().await, n).await;
        }
    }

    async fn hangs_up_before_the_answer(self) {
        for n in 0..20 {
            let mut line = self.line().await;
            line.write(&self.frame(n)).await;
            drop(line);
            self.proper(&mut self.line().await, n).await;
        }
    }

    async fn reads_late(self) {
        let mut line = self.line().await;
        let frames: Vec<u8> = (0..300).flat_map(|n| self.frame(n)).collect();
        line.write(&frames).await;
        sleep(Duration::from_secs(1)).await;
        for n in 0..300 {
            line.accepts(&format!("{}-{n}", self.name)).await;
        }
    }

    /// Acknowledgements of what was never sent here: they are not answered, and the next message is.
    async fn answers_what_nobody_asked(self) {
        let mut line = self.line().await;
        for n in 0..3 {
            let ack = format!("MSH|^~\\&|PAS|RZ9|ONWARD|X26|2026||ACK|{}-ack{n}|T|2.4\rMSA|AA|NOBODY{n}\r", self.name);
            line.write(&wrap(ack.as_bytes()).unwrap()).await;
            self.proper(&mut line, n).await;
        }
    }

    /// It is about nobody, so it is refused; and sent again and again, it gets the same bytes.
    async fn refused_for_ever(self) {
        let bad = String::from_utf8(self.message(0)).unwrap().replace("\rPID|", "\rNTE|");
        let mut first: Option<Vec<u8>> = None;
        for _ in 0..20 {
            let mut line = self.line().await;
            line.write(&wrap(bad.as_bytes()).unwrap()).await;
            let answer = line.next().await.expect("an answer");
            assert_eq!(Received::read(&answer).unwrap().code, Some(Code::AE));
            assert_eq!(*first.get_or_insert_with(|| answer.clone()), answer);
        }
    }

    async fn frame_of_30_mb(self) {
        let mut line = self.line().await;
        let mut frame = self.message(0);
        frame.extend_from_slice(b"NTE|1||");
        frame.resize(HUGE, b'x');
        // It is cut off before it has said everything.
        let _ = line.stream.write_all(&wrap(&frame).unwrap()).await;
        assert_eq!(line.next().await, None, "it is not answered");
        self.proper(&mut self.line().await, 1).await;
    }

    async fn cut_short(self) {
        let mut line = self.line().await;
        for n in 0..2 {
            let frame = self.frame(n);
            line.write(&frame[..frame.len() / 2]).await;
            self.proper(&mut line, n).await;
        }
        // And the last words of a connection are no message.
        line.write(&self.frame(7)[..40]).await;
    }

    async fn the_same_on_many_lines(self) {
        let send = |_| async {
            let mut line = self.line().await;
            let mut answers = Vec::new();
            for _ in 0..5 {
                line.write(&self.frame(0)).await;
                answers.push(line.next().await.expect("an answer"));
            }
            answers
        };
        let answers = futures_util::future::join_all((0..6).map(send)).await;
        let answers: HashSet<Vec<u8>> = answers.into_iter().flatten().collect();
        assert_eq!(answers.len(), 1, "one answer, however often it is asked for");
    }
}

/// A connection on which anything may be written.
struct Line {
    stream: TcpStream,
    codec: Mllp,
    buffer: BytesMut,
}

impl Line {
    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next answer; `None`: the other side has closed.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.buffer).unwrap() {
                return Some(frame.to_vec());
            }
            let read = timeout(Duration::from_secs(60), self.stream.read_buf(&mut self.buffer)).await;
            if matches!(read.expect("no answer"), Ok(0) | Err(_)) {
                return None;
            }
        }
    }

    async fn accepts(&mut self, control_id: &str) {
        let answer = self.next().await.unwrap_or_else(|| panic!("{control_id} got no answer"));
        let received = Received::read(&answer).unwrap();
        assert_eq!((received.code, received.answers), (Some(Code::AA), control_id.as_bytes().to_vec()));
    }
}

// --------------------------------------------------------------------------------------------- systems that we send to

/// What a receiver does with the first attempt of every second message; what comes again it answers well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    LateAck,
    WrongMsa2,
    AckAfterAnothers,
    HalfClose,
    AckByteByByte,
    AckInPieces,
    AckThatNeverEnds,
    ResetAfterTheFrame,
    FrameOf30Mb,
    Junk,
}

impl Script {
    /// Does a message need a second attempt?
    fn costs_an_attempt(self) -> bool {
        !matches!(self, Self::AckAfterAnothers | Self::AckByteByByte | Self::AckInPieces)
    }
}

/// What came to a receiver.
#[derive(Default)]
struct Came {
    /// The bytes of each control id, as they came first.
    first: HashMap<String, Vec<u8>>,
    /// Control ids in the order in which they first came.
    order: Vec<String>,
    changed: u64,
}

async fn receiver(script: Script) -> (SocketAddr, Arc<Mutex<Came>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, came) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Came::default())));
    let shared = came.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(receive(stream, script, shared.clone()));
        }
    });
    (addr, came)
}

async fn receive(mut stream: TcpStream, script: Script, came: Arc<Mutex<Came>>) {
    stream.set_nodelay(true).unwrap();
    let mut framed = FramedRead::new(&mut stream, Mllp::default());
    while let Some(Ok(frame)) = framed.next().await {
        let id = String::from_utf8(Header::read(&frame).control_id().to_vec()).unwrap();
        let is_new = {
            let mut came = came.lock().unwrap();
            came.changed += u64::from(came.first.get(&id).is_some_and(|first| first[..] != frame[..]));
            let is_new = came.first.insert(id.clone(), frame.to_vec()).is_none();
            came.order.extend(is_new.then(|| id.clone()));
            is_new
        };
        let answer = acknowledgement(&frame);
        let stream: &mut TcpStream = framed.get_mut();
        let odd = id.ends_with(['1', '3', '5', '7', '9']);
        let kept = if is_new && odd { misbehave(stream, script, &answer).await } else { write(stream, &answer).await };
        if !kept {
            return;
        }
    }
}

fn acknowledgement(message: &[u8]) -> Vec<u8> {
    let reply =
        Reply { code: Code::AA, control_id: "1", at: "20260301091500", text: "", problems: &[], version: "2.4" };
    wrap(&reply.render(&Header::read(message))).unwrap().to_vec()
}

async fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok()
}

/// Does the connection go on?
async fn misbehave(stream: &mut TcpStream, script: Script, answer: &[u8]) -> bool {
    let others = acknowledgement(b"MSH|^~\\&|||||||REF^I12|SOMEBODY-ELSE|P|2.4\r");
    let pieces: Vec<&[u8]> = match script {
        Script::LateAck => {
            sleep(Duration::from_millis(450)).await;
            vec![answer]
        }
        Script::WrongMsa2 => vec![&others],
        Script::AckAfterAnothers => vec![&others, answer],
        Script::HalfClose => {
            stream.shutdown().await.unwrap();
            // It goes on reading what is not sent to it any more.
            sleep(Duration::from_millis(100)).await;
            return true;
        }
        Script::AckByteByByte => answer.chunks(1).collect(),
        Script::AckInPieces => {
            let (start, rest) = answer.split_at(1);
            let (text, end) = rest.split_at(rest.len() - 2);
            vec![start, text, &end[..1], &end[1..]]
        }
        Script::AckThatNeverEnds => vec![&answer[..answer.len() - 1]],
        Script::ResetAfterTheFrame => {
            stream.set_zero_linger().unwrap();
            return false;
        }
        Script::FrameOf30Mb => {
            let mut huge = answer[..answer.len() - 2].to_vec();
            huge.resize(HUGE, b'x');
            return write(stream, &huge).await;
        }
        Script::Junk => vec![b"\x15\r\n? HTTP/1.1 400 Bad Request\r\n\r\n"],
    };
    for piece in &pieces {
        if !write(stream, piece).await {
            return false;
        }
        sleep(Duration::from_millis(1)).await;
    }
    true
}

/// Every letter arrives, with the same bytes however often, and in order for each patient.
async fn delivers_to(script: Script) {
    let (addr, came) = receiver(script).await;
    let mut world = World::new();
    let letters = all(6, 4);
    world.write(&letters).await;
    let mut to = destination(addr);
    if !script.costs_an_attempt()
        && let Adapter::Mllp(peer) = &mut to.adapter
    {
        // However busy this machine is, no answer is late.
        peer.ack_timeout = Duration::from_secs(20);
    }
    world.start(to);
    world.until_delivered(letters.len()).await;
    let attempts: u32 = letters.iter().map(|(key, number)| world.row(*key, *number).attempts).sum();
    let odd = letters.iter().filter(|(_, number)| number % 2 == 1).count();
    let expected = letters.len() + if script.costs_an_attempt() { odd } else { 0 };
    assert_eq!(attempts as usize, expected, "{script:?}: attempts");
    world.stop().await;
    let came = came.lock().unwrap();
    assert_eq!((came.first.len(), came.changed), (letters.len(), 0), "{script:?}");
    for key in 0..6 {
        let of_key: Vec<&String> = came.order.iter().filter(|id| id.starts_with(&format!("K{key:05}"))).collect();
        let right: Vec<String> = (0..4).map(|number| control_id(key, number)).collect();
        assert_eq!(of_key, right.iter().collect::<Vec<_>>(), "{script:?}");
    }
}

macro_rules! receivers {
    ($($name:ident: $script:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            delivers_to(Script::$script).await;
        }
    )*};
}

receivers! {
    a_receiver_that_answers_late_gets_everything_in_order: LateAck,
    a_receiver_that_answers_for_another_message_gets_it_again: WrongMsa2,
    an_answer_counts_though_anothers_came_before_it: AckAfterAnothers,
    a_receiver_that_half_closes_is_called_again: HalfClose,
    an_answer_may_come_byte_by_byte: AckByteByByte,
    an_answer_may_come_in_pieces: AckInPieces,
    an_answer_that_never_ends_is_none: AckThatNeverEnds,
    a_receiver_that_resets_after_the_frame_is_called_again: ResetAfterTheFrame,
    an_answer_of_30_mb_is_none: FrameOf30Mb,
    a_receiver_that_speaks_something_else_is_called_again: Junk,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_one_for_ever_is_asked_once_and_gets_all_of_the_others() {
    let refuse = |it: &ReceivedMessage| {
        Reaction::answer(Answer::Code(if it.control_id == control_id(2, 1) { Code::AE } else { Code::AA }))
    };
    let peer = Simulator::start("127.0.0.1:0".parse().unwrap(), simulator::Options::reacting(refuse)).await.unwrap();
    let mut world = World::new();
    world.write(&all(6, 4)).await;
    world.start(destination(peer.addr));
    world.until_delivered(6 * 4 - 3).await;
    world.until("one is parked", |world| world.count(OutboxState::Parked) == 1).await;
    sleep(Duration::from_millis(400)).await;
    assert_eq!((world.row(2, 1).attempts, world.row(2, 2).attempts), (1, 0));
    assert_eq!((peer.counts().messages, peer.counts().repeats), (6 * 4 - 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_refuses_is_skipped_or_sent_again_where_the_destination_says_so() {
    use onward::config::OnRefusal::{Park, Retry, Skip};
    // One letter is refused, for ever or three times; what becomes of it, how often it was sent, and how many come through.
    for (code, times, (on_ae, on_ar), state, sent, delivered) in [
        (Code::AE, u64::MAX, (Skip, Retry), OutboxState::Superseded, 1, 5),
        (Code::AR, u64::MAX, (Park, Skip), OutboxState::Superseded, 1, 5),
        (Code::AE, 3, (Retry, Retry), OutboxState::Delivered, 4, 6),
        (Code::CE, u64::MAX, (Retry, Retry), OutboxState::Parked, 5, 4),
        (Code::AR, u64::MAX, (Park, Park), OutboxState::Parked, 1, 4),
    ] {
        let asked = Arc::new(AtomicU64::new(0));
        let counted = asked.clone();
        let react = move |it: &ReceivedMessage| {
            let refuses = it.control_id == control_id(2, 0) && counted.fetch_add(1, Ordering::Relaxed) < times;
            Reaction::answer(Answer::Code(if refuses { code } else { Code::AA }))
        };
        let pas = Simulator::start(([127, 0, 0, 1], 0).into(), simulator::Options::reacting(react)).await.unwrap();
        let mut world = World::new();
        world.write(&all(3, 2)).await;
        world.start(Destination { on_ae, on_ar, ar_attempts_max: 5, ..destination(pas.addr) });
        let settled = |it: &World| it.row(2, 0).state == state && it.count(OutboxState::Delivered) == delivered;
        world.until("each is settled", settled).await;
        let row = world.row(2, 0);
        assert_eq!(asked.load(Ordering::Relaxed), sent, "{code:?}");
        if state == OutboxState::Superseded {
            assert_eq!(row.failure, Some(format!("{}, skipped as configured", code.as_str())), "it is kept why");
        }
        world.stop().await;
        pas.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_its_gap_and_nothing_outside_of_its_windows() {
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let seen = arrivals.clone();
    let react = move |_: &ReceivedMessage| {
        seen.lock().unwrap().push(Instant::now());
        Reaction::answer(Answer::Code(Code::AA))
    };
    let pas = Simulator::start(([127, 0, 0, 1], 0).into(), simulator::Options::reacting(react)).await.unwrap();
    let mut world = World::new();
    world.write(&all(8, 1)).await;
    // A day that is neither today nor yesterday, wherever the test runs.
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let today = usize::from(
        jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).weekday().to_monday_zero_offset().unsigned_abs(),
    );
    let closed = Windows::read(&[format!("{} 00:00-24:00", days[(today + 3) % 7])]).unwrap();
    world.start(Destination { windows: closed, ..destination(pas.addr) });
    sleep(Duration::from_millis(500)).await;
    assert_eq!((arrivals.lock().unwrap().len(), world.count(OutboxState::Queued)), (0, 8), "the window is closed");
    world.stop().await;
    let open = Windows::read(&["mon-sun 00:00-24:00".to_owned()]).unwrap();
    let gap = Duration::from_millis(150);
    world.start(Destination { windows: open, gap, connections: 4, ..destination(pas.addr) });
    world.until_delivered(8).await;
    let arrivals = arrivals.lock().unwrap().clone();
    let whole = arrivals[7] - arrivals[0];
    // A busy machine may be late, and never early.
    assert!(gap * 7 - gap / 10 <= whole && whole < gap * 7 * 3, "{whole:?}");
    world.stop().await;
    pas.stop().await;
}
