//! A small hospital system: takes messages over MLLP, keeps them, acknowledges them. For demonstrations and tests,
//! never for care: it forgets everything when it stops.
//!
//! It is what the outbox must get along with, so it can also misbehave on request: refuse, reject, answer late, answer
//! somebody else's message, answer nonsense, or hang up.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::FramedRead;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::channel::Channel;
use crate::hl7v2::ack::{Code, Reply};
use crate::hl7v2::frame::{FrameError, Mllp, wrap};
use crate::hl7v2::header::Header;

/// How it is set up.
#[derive(Clone)]
pub struct Options {
    /// TLS; without it in clear.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How many messages are kept; older ones are forgotten, but stay counted.
    pub messages_max: usize,
    /// What is done with each message.
    pub react: Arc<React>,
}

/// Decides what is done with a message.
pub type React = dyn Fn(&ReceivedMessage) -> Reaction + Send + Sync;

impl Default for Options {
    fn default() -> Self {
        Self { tls: None, messages_max: 10_000, react: Arc::new(|_| Reaction::default()) }
    }
}

impl Options {
    /// Reacts to each message as this function says.
    pub fn reacting(react: impl Fn(&ReceivedMessage) -> Reaction + Send + Sync + 'static) -> Self {
        Self { react: Arc::new(react), ..Self::default() }
    }
}

/// What is done with a message after it was received.
#[derive(Clone, Debug)]
pub struct Reaction {
    /// The answer.
    pub answer: Answer,
    /// Time before it.
    pub delay: Duration,
    /// Hang up afterwards.
    pub hang_up: bool,
}

impl Default for Reaction {
    fn default() -> Self {
        Self::answer(Answer::Code(Code::AA))
    }
}

impl Reaction {
    /// Answers at once.
    pub fn answer(answer: Answer) -> Self {
        Self { answer, delay: Duration::ZERO, hang_up: false }
    }

    /// Hangs up without an answer.
    pub fn hang_up() -> Self {
        Self { hang_up: true, ..Self::answer(Answer::Nothing) }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A proper acknowledgement.
    Code(Code),
    /// An acknowledgement of another message (MSA-2), then the proper one, if one is given.
    WrongControlId(Option<Code>),
    /// These bytes, in a frame.
    Bytes(Vec<u8>),
    /// None.
    Nothing,
}

/// A message that came in.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// MSH-10.
    pub control_id: String,
    /// `REF^I12`
    pub event: String,
    /// The bytes as they came first.
    pub body: Vec<u8>,
    /// When they came first.
    pub at: Timestamp,
    /// How often they came again.
    pub repeats: u32,
}

/// How much came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were opened.
    pub connections: u64,
    /// Messages with a control id that was new.
    pub messages: u64,
    /// Messages with one that was not.
    pub repeats: u64,
    /// Messages that came again with other bytes.
    pub changed: u64,
}

/// A hospital system that runs until it is stopped or dropped.
pub struct Simulator {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    tracker: TaskTracker,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Simulator {
    /// Starts it. Port 0 takes any that is free.
    pub async fn start(addr: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let shared = Arc::new(Shared { options, memory: Mutex::default() });
        let accepting = accept(listener, shared.clone(), stop.clone(), tracker.clone());
        tracker.spawn(stop.clone().run_until_cancelled_owned(accepting));
        Ok(Self { addr, shared, tracker, _guard: stop.clone().drop_guard(), stop })
    }

    /// What came in and is still remembered, in the order in which it first came.
    pub fn received(&self) -> Vec<ReceivedMessage> {
        self.shared.memory().messages.iter().cloned().collect()
    }

    /// How much came in.
    pub fn counts(&self) -> Counts {
        self.shared.memory().counts
    }

    /// Stops listening and closes every connection.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

struct Shared {
    options: Options,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    messages: VecDeque<ReceivedMessage>,
    /// Number of each message since the start, by its control id.
    numbers: HashMap<String, u64>,
    /// How many were forgotten.
    forgotten: u64,
    counts: Counts,
}

impl Shared {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Keeps a message, or counts it as a repeat of one that is kept.
    fn keep(&mut self, control_id: String, event: String, body: &[u8], messages_max: usize) -> ReceivedMessage {
        if let Some(known) = self.numbers.get(&control_id).map(|number| (number - self.forgotten) as usize) {
            let message = &mut self.messages[known];
            message.repeats += 1;
            self.counts.repeats += 1;
            self.counts.changed += u64::from(message.body != body);
            return message.clone();
        }
        let message = ReceivedMessage { control_id, event, body: body.to_vec(), at: Timestamp::now(), repeats: 0 };
        self.numbers.insert(message.control_id.clone(), self.counts.messages);
        self.counts.messages += 1;
        self.messages.push_back(message.clone());
        self.forget(messages_max);
        message
    }

    fn forget(&mut self, messages_max: usize) {
        while self.messages.len() > messages_max.max(1) {
            if let Some(oldest) = self.messages.pop_front() {
                self.numbers.remove(&oldest.control_id);
                self.forgotten += 1;
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, tracker: TaskTracker) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        shared.memory().counts.connections += 1;
        tracker.spawn(stop.clone().run_until_cancelled_owned(serve(stream, shared.clone())));
    }
}

/// A peer that breaks off needs no attention here.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let _ = match &shared.options.tls {
        None => converse(stream, &shared).await,
        Some(config) => match TlsAcceptor::from(config.clone()).accept(stream).await {
            Ok(stream) => converse(stream, &shared).await,
            Err(error) => Err(FrameError::Io(error)),
        },
    };
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> Result<(), FrameError> {
    let mut framed = FramedRead::new(stream, Mllp::default());
    while let Some(frame) = framed.next().await {
        let frame = frame?;
        let header = Header::read(&frame);
        let control_id = String::from_utf8_lossy(header.control_id()).into_owned();
        let message = shared.memory().keep(control_id, header.event(), &frame, shared.options.messages_max);
        let reaction = (shared.options.react)(&message);
        tokio::time::sleep(reaction.delay).await;
        for answer in answers(&reaction.answer, &frame) {
            framed.get_mut().write_all(&wrap(&answer)?).await?;
        }
        if reaction.hang_up {
            break;
        }
    }
    Ok(framed.get_mut().shutdown().await?)
}

fn answers(answer: &Answer, message: &[u8]) -> Vec<Vec<u8>> {
    match answer {
        Answer::Code(code) => vec![acknowledge(message, *code)],
        Answer::WrongControlId(code) => {
            let other = b"MSH|^~\\&|||||||REF^I12|SOMEBODY-ELSE|P|2.4\r";
            let proper = code.map(|code| acknowledge(message, code));
            [Some(acknowledge(other, Code::AA)), proper].into_iter().flatten().collect()
        }
        Answer::Bytes(bytes) => vec![bytes.clone()],
        Answer::Nothing => Vec::new(),
    }
}

fn acknowledge(message: &[u8], code: Code) -> Vec<u8> {
    let now = Timestamp::now();
    let control_id = format!("SIM{:017}", now.as_microsecond().unsigned_abs());
    let at = Channel::default().instant(now);
    let reply = Reply { code, control_id: &control_id, at: &at, text: "", problems: &[], version: "2.4" };
    reply.render(&Header::read(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_at_most_so_many_and_counts_all() {
        let mut memory = Memory::default();
        for number in [1, 2, 2, 3, 1, 3] {
            memory.keep(number.to_string(), String::new(), b"x", 2);
        }
        memory.keep("3".to_owned(), String::new(), b"y", 2);
        // The first was forgotten when the third came, so it came as new again.
        let kept: Vec<_> = memory.messages.iter().map(|it| (it.control_id.as_str(), it.repeats)).collect();
        assert_eq!(kept, [("3", 2), ("1", 0)]);
        assert_eq!(memory.counts, Counts { connections: 0, messages: 4, repeats: 3, changed: 1 });
    }
}
