//! One thread that serves every client without ever waiting for one: sockets do not block, and what is not
//! finished within two seconds is closed. So neither a slow client nor a hundred of them hold up the others,
//! and no thread has to be had when the machine has none left.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::report::State;
use super::request::{self, HEAD_BYTES_MAX, Head, Reply};
use super::sampler::{Sampler, reachable};

const CONNECTION_MAX: Duration = Duration::from_secs(2);
/// With more than this many, the one that has been there longest is closed.
const CONNECTIONS_MAX: usize = 64;
const TURN_PAUSE: Duration = Duration::from_millis(2);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes the address.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// The thread.
pub(super) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to serve.
    pub(super) fn start(listener: TcpListener, sampler: Arc<Sampler>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let said = Arc::clone(&stop);
        let serve = move || serve(&listener, &sampler, &said);
        let thread = thread::Builder::new().name("status".into()).spawn(serve)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops it; a connection of our own wakes it where it waits for one.
    pub(super) fn stop(&mut self, address: SocketAddr) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect_timeout(&reachable(address), CONNECTION_MAX);
        // A panic in there was logged when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(listener: &TcpListener, sampler: &Sampler, stop: &AtomicBool) {
    let mut clients: Vec<Client> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        accept_all(listener, &mut clients);
        let before = clients.len();
        clients.retain_mut(|client| client.turn(sampler).unwrap_or(false));
        if before == clients.len() && !clients.is_empty() {
            thread::sleep(TURN_PAUSE);
        }
    }
}

/// Takes every client that is waiting at the door; waits for one only where there is nobody to serve.
fn accept_all(listener: &TcpListener, clients: &mut Vec<Client>) {
    loop {
        // Where this fails, accepting fails too.
        let _ = listener.set_nonblocking(!clients.is_empty());
        match listener.accept() {
            Ok((stream, _)) => clients.extend(Client::new(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return thread::sleep(ACCEPT_PAUSE),
        }
        if CONNECTIONS_MAX < clients.len() {
            clients.remove(0);
        }
    }
}

struct Client {
    stream: TcpStream,
    deadline: Instant,
    request: Vec<u8>,
    /// What is still to be written; `None`: the request is not whole yet.
    answer: Option<Vec<u8>>,
}

impl Client {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, deadline: Instant::now() + CONNECTION_MAX, request: Vec::new(), answer: None })
    }

    /// Does what can be done without waiting; answers whether there is more to do.
    fn turn(&mut self, sampler: &Sampler) -> io::Result<bool> {
        if self.deadline < Instant::now() {
            return Ok(false);
        }
        if self.answer.is_none() {
            let is_open = self.receive()?;
            self.answer = answer(&self.request, sampler);
            if self.answer.is_none() {
                return Ok(is_open);
            }
        }
        self.send()
    }

    /// Reads what is there; answers whether more may come.
    fn receive(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        while self.request.len() < HEAD_BYTES_MAX {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => self.request.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if self.request.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        Ok(true)
    }

    fn send(&mut self) -> io::Result<bool> {
        let Some(answer) = &mut self.answer else { return Ok(true) };
        while !answer.is_empty() {
            match self.stream.write(answer) {
                Ok(count) => drop(answer.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// The answer, when the request is whole.
fn answer(request: &[u8], sampler: &Sampler) -> Option<Vec<u8>> {
    match request::read(request) {
        Head::Partial => None,
        Head::Broken => Some(Reply::text(400, "bad request").to_bytes(true)),
        Head::TooLarge => Some(Reply::text(431, "too large").to_bytes(true)),
        Head::Whole { method, path } => Some(route(method, path, sampler).to_bytes(method != "HEAD")),
    }
}

fn route(method: &str, path: &str, sampler: &Sampler) -> Reply {
    if !matches!(path, "/_ping" | "/ready" | "/_status" | "/metrics") {
        return Reply::text(404, "not found: try /_ping, /ready, /_status or /metrics");
    }
    if !matches!(method, "GET" | "HEAD") {
        return Reply::text(405, "method not allowed");
    }
    match path {
        "/_ping" => Reply::text(200, "ok"),
        "/ready" => ready(sampler),
        "/_status" => status(sampler),
        _ => Reply { status: 200, content_type: "text/plain; version=0.0.4", body: sampler.metrics() },
    }
}

fn ready(sampler: &Sampler) -> Reply {
    match sampler.report().is_ready {
        true => Reply::text(200, "ready"),
        false => Reply::text(503, "not ready: see /_status"),
    }
}

/// The draft asks for a 5xx where the state is `fail`.
fn status(sampler: &Sampler) -> Reply {
    let report = sampler.report();
    let status = if report.state() == State::Fail { 503 } else { 200 };
    Reply { status, content_type: "application/health+json", body: format!("{:#}\n", report.to_json()) }
}
