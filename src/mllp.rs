//! The listener for HL7 v2: frames from hospital systems in, one answer per frame out, in order.
//!
//! Nothing is read from a connection while its last message is worked on: a sender that is faster than this gateway
//! waits in TCP, not in memory. Limits hold for a whole listener and for each source, so that one noisy system cannot
//! shut out the others. Whoever holds a message without an answer sends it again: so when a message cannot be dealt
//! with, the connection is closed without one.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use metrics::{counter, gauge, histogram};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use crate::config::System;
use crate::hl7v2::frame::{FrameError, Limits, Mllp, wrap};
use crate::telemetry::metric;
use crate::tls::PeerIdentity;

/// Takes a message and says what to answer. `None`: it could not be dealt with now; the connection is closed without
/// an answer, so that the sender keeps it and tries again. No answers: the sender wants none; two: one that it is kept
/// and one that it is done.
pub type Handler = Arc<dyn Fn(Vec<u8>, SocketAddr) -> BoxFuture<'static, Option<Vec<Vec<u8>>>> + Send + Sync>;

/// The certificates of a listener, asked for at every connection, so that a renewal needs no restart.
pub type TlsSource = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// How a listener is set up.
#[derive(Clone)]
pub struct Options {
    /// Its name, for logs and numbers.
    pub name: String,
    /// TLS; without it in clear.
    pub tls: Option<TlsSource>,
    /// Addresses that may connect; empty: any.
    pub peers: Vec<IpAddr>,
    /// Systems that may speak here, by their certificates; `None`: whoever the handshake lets in.
    pub systems: Option<Vec<System>>,
    /// A commit block goes before every answer (MLLP release 2).
    pub commit_blocks: bool,
    /// Most connections at a time.
    pub connections_max: usize,
    /// Most connections of one address at a time.
    pub source_connections_max: usize,
    /// Sizes of frames and of what stands between them.
    pub frame: Limits,
    /// Longest time from the first to the last byte of a frame, and for an answer to be taken.
    pub frame_timeout: Duration,
    /// Longest TLS handshake.
    pub handshake_timeout: Duration,
    /// A connection without a byte for this long is closed; `None`: never, for hospitals are silent all night.
    pub idle_timeout: Option<Duration>,
    /// Has a person paused it? Then connections are refused, and open ones end after the answer to the message in hand:
    /// every sender knows what to do about an outage, and not all of them what to do about AR.
    pub paused: watch::Receiver<bool>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "mllp".to_owned(),
            tls: None,
            peers: Vec::new(),
            systems: None,
            commit_blocks: false,
            connections_max: 64,
            source_connections_max: 8,
            frame: Limits::default(),
            frame_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: None,
            paused: watch::channel(false).1,
        }
    }
}

impl Options {
    /// As the configuration says; `registered`: all systems that are known.
    pub fn from_config(config: &crate::config::Mllp, registered: &[System], tls: Option<TlsSource>) -> Self {
        let speaks = |system: &&System| config.systems.contains(&system.id);
        let idle = Duration::from_millis(config.idle_timeout_ms);
        Self {
            name: config.name.clone(),
            tls,
            peers: config.peers.clone(),
            systems: (!config.systems.is_empty()).then(|| registered.iter().filter(speaks).cloned().collect()),
            commit_blocks: config.commit_blocks,
            connections_max: config.connections_max,
            source_connections_max: config.source_connections_max,
            frame: Limits { frame_bytes_max: config.message_bytes_max, ..Limits::default() },
            frame_timeout: Duration::from_millis(config.message_timeout_ms),
            handshake_timeout: Duration::from_millis(config.handshake_timeout_ms),
            idle_timeout: Some(idle).filter(|idle| !idle.is_zero()),
            ..Self::default()
        }
    }
}

/// Listens until `stop` is cancelled; then no connection is taken, and each that is open ends after the answer to
/// the message in hand. The `tracker` waits for all of that.
pub fn listen(
    listener: TcpListener,
    options: Options,
    handler: Handler,
    stop: &CancellationToken,
    tracker: &TaskTracker,
) {
    let station = Station { options: Arc::new(options), handler, door: Arc::default(), stop: stop.clone() };
    tracker.spawn(accept(listener, station, tracker.clone()));
}

/// What every connection of a listener needs.
#[derive(Clone)]
struct Station {
    options: Arc<Options>,
    handler: Handler,
    door: Arc<Door>,
    stop: CancellationToken,
}

async fn accept(listener: TcpListener, station: Station, tracker: TaskTracker) {
    while let Some(accepted) = station.stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => station.admit(stream, peer, &tracker),
            Err(error) => {
                // Out of file handles, most likely: waiting is all that helps.
                warn!(listener = station.options.name, %error, "A connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Station {
    fn admit(&self, stream: TcpStream, peer: SocketAddr, tracker: &TaskTracker) {
        let paused = *self.options.paused.borrow();
        match if paused { Err("paused") } else { self.door.enter(peer.ip(), &self.options) } {
            Ok(ticket) => {
                let station = self.clone();
                tracker.spawn(async move { station.serve(stream, peer, ticket).await });
            }
            Err(reason) => {
                let listener = self.options.name.clone();
                warn!(listener, %peer, reason, "A connection was refused");
                counter!(metric::CONNECTIONS_REFUSED, "listener" => listener, "reason" => reason).increment(1);
            }
        }
    }

    async fn serve(&self, stream: TcpStream, peer: SocketAddr, _ticket: Ticket) {
        let (listener, open) = (self.options.name.as_str(), Open::new(&self.options.name));
        debug!(listener, %peer, "Connected");
        // Without this, small answers wait for the next message of a sender that waits for the answer.
        let _ = stream.set_nodelay(true);
        match self.serve_open(stream, peer).await {
            Ok(()) => debug!(listener, %peer, "Disconnected"),
            Err(error) => info!(listener, %peer, %error, "Disconnected"),
        }
        drop(open);
    }

    async fn serve_open(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), Ending> {
        let Some(tls) = &self.options.tls else { return self.converse(stream, peer).await };
        let handshake = timeout(self.options.handshake_timeout, TlsAcceptor::from(tls()).accept(stream)).await;
        let stream = handshake.map_err(|_| Ending::Slow)?.map_err(Ending::Handshake)?;
        if !self.knows(stream.get_ref().1.peer_certificates()) {
            let listener = self.options.name.clone();
            let reason = "unknown-certificate";
            counter!(metric::CONNECTIONS_REFUSED, "listener" => listener, "reason" => reason).increment(1);
            return Err(Ending::Stranger);
        }
        self.converse(stream, peer).await
    }

    /// An authority may vouch for more systems than speak on this channel.
    fn knows(&self, shown: Option<&[CertificateDer<'_>]>) -> bool {
        let Some(systems) = &self.options.systems else { return true };
        let identity = shown.and_then(<[_]>::first).and_then(|shown| PeerIdentity::from_der(shown));
        identity.is_some_and(|identity| systems.iter().any(|system| identity.is_of(system)))
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) -> Result<(), Ending> {
        let mut frames = Frames::new(stream, &self.options);
        let taken = histogram!(metric::ACKNOWLEDGEMENT_SECONDS, "listener" => self.options.name.clone());
        let mut paused = self.options.paused.clone();
        while let Some(frame) = self.next(&mut frames, &mut paused).await {
            let Some(frame) = frame? else { break };
            if is_no_message(&frame) {
                debug!(listener = self.options.name, %peer, bytes = frame.len(), "A frame without a message");
                continue;
            }
            let begun = Instant::now();
            let answers = (self.handler)(Vec::from(frame), peer).await;
            frames.answer(&self.blocks(answers.as_deref())).await?;
            taken.record(begun.elapsed());
            answers.ok_or(Ending::Unhandled)?;
        }
        frames.close(&self.options.name, peer).await
    }

    /// The next frame; `None`: no more are to be taken.
    async fn next<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        frames: &mut Frames<'_, S>,
        paused: &mut watch::Receiver<bool>,
    ) -> Option<Result<Option<Bytes>, Ending>> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            // Whoever could pause it is gone: it goes on.
            Ok(_) = paused.wait_for(|paused| *paused) => None,
            frame = frames.next() => Some(frame),
        }
    }

    /// The answers, after the commit block where one is wanted. What could not be kept has a block, too.
    fn blocks<'a>(&self, answers: Option<&'a [Vec<u8>]>) -> Vec<&'a [u8]> {
        let commit = if answers.is_some() { COMMITTED } else { NOT_COMMITTED };
        let block = self.options.commit_blocks.then_some(commit);
        block.into_iter().chain(answers.into_iter().flatten().map(Vec::as_slice)).collect()
    }
}

/// The commit blocks of MLLP release 2.
const COMMITTED: &[u8] = b"\x06";
const NOT_COMMITTED: &[u8] = b"\x15";

/// White space, or a commit block of MLLP release 2.
fn is_no_message(frame: &[u8]) -> bool {
    matches!(frame, COMMITTED | NOT_COMMITTED) || frame.iter().all(u8::is_ascii_whitespace)
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("TLS: {0}")]
    Handshake(io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the certificate is of no system that may speak here")]
    Stranger,
    #[error("the peer was too slow")]
    Slow,
    #[error("the message could not be dealt with")]
    Unhandled,
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Frame(FrameError::Io(error))
    }
}

/// A connection as frames and answers.
struct Frames<'a, S> {
    stream: S,
    codec: Mllp,
    buffer: BytesMut,
    options: &'a Options,
    /// When the frame that is coming in began.
    begun: Option<Instant>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Frames<'a, S> {
    fn new(stream: S, options: &'a Options) -> Self {
        Self { stream, codec: Mllp::new(options.frame), buffer: BytesMut::new(), options, begun: None }
    }

    /// The next frame; `None`: the peer is done. It may be dropped at any time without loss.
    async fn next(&mut self) -> Result<Option<Bytes>, Ending> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.buffer)? {
                self.begun = None;
                return Ok(Some(frame));
            }
            if self.codec.is_inside() {
                self.begun.get_or_insert_with(Instant::now);
            }
            if self.fill().await? == 0 {
                return Ok(self.codec.decode_eof(&mut self.buffer)?);
            }
        }
    }

    async fn fill(&mut self) -> Result<usize, Ending> {
        let idle = self.options.idle_timeout.map(|idle| Instant::now() + idle);
        let deadline = self.begun.map(|begun| begun + self.options.frame_timeout).or(idle);
        self.buffer.reserve(16 << 10);
        let read = self.stream.read_buf(&mut self.buffer);
        Ok(match deadline {
            Some(deadline) => timeout_at(deadline, read).await.map_err(|_| Ending::Slow)??,
            None => read.await?,
        })
    }

    /// One write for all answers to a message.
    async fn answer(&mut self, answers: &[&[u8]]) -> Result<(), Ending> {
        let frames: Vec<_> = answers.iter().map(|answer| wrap(answer)).collect::<Result<_, _>>()?;
        if frames.is_empty() {
            return Ok(());
        }
        let frames = frames.concat();
        let write = async {
            self.stream.write_all(&frames).await?;
            self.stream.flush().await
        };
        Ok(timeout(self.options.frame_timeout, write).await.map_err(|_| Ending::Slow)??)
    }

    async fn close(mut self, listener: &str, peer: SocketAddr) -> Result<(), Ending> {
        let seen = self.codec.seen();
        if seen.truncated > 0 || seen.junk_bytes > 0 {
            info!(listener, %peer, count = seen.truncated, bytes = seen.junk_bytes, "Frames cut short, bytes outside frames");
        }
        // The peer may be gone already.
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
        Ok(())
    }
}

/// Counts connections by source.
#[derive(Default)]
struct Door(Mutex<HashMap<IpAddr, usize>>);

impl Door {
    fn enter(self: &Arc<Self>, source: IpAddr, options: &Options) -> Result<Ticket, &'static str> {
        if !options.peers.is_empty() && !options.peers.contains(&source.to_canonical()) {
            return Err("unknown-source");
        }
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.values().sum::<usize>() >= options.connections_max {
            return Err("listener-full");
        }
        let count = inside.entry(source).or_default();
        if *count >= options.source_connections_max {
            return Err("source-full");
        }
        *count += 1;
        Ok(Ticket { door: self.clone(), source })
    }
}

/// The right to one connection, given back when dropped.
struct Ticket {
    door: Arc<Door>,
    source: IpAddr,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inside = self.door.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.source) {
            *count -= 1;
        }
        inside.retain(|_, count| *count > 0);
    }
}

/// Counts an open connection while it lives.
struct Open(metrics::Gauge);

impl Open {
    fn new(listener: &str) -> Self {
        let gauge = gauge!(metric::CONNECTIONS, "listener" => listener.to_owned());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
