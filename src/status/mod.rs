//! The independent status listener: it tells the truth when everything else is down.
//!
//! It has its own threads and its own socket, and answers from memory: no async runtime, no database, no
//! certificate, no other listener is on its request path. Whatever may take long or hang is asked by a
//! `probe`, one thread each, that leaves its latest answer behind; an answer that is late is
//! reported as a failure, never as the last known good. So a hung disk turns the state to `fail` after
//! `sample_timeout_ms`, and `/_status` still answers at once.
//!
//! ```text
//!  store, disk ──▶ probe ─┐
//!  outbox      ──▶ probe ─┤   latest answer
//!  certificates──▶ probe ─┼──▶ and its age ──▶ Report ──▶ /ready /_status /metrics
//!  destinations──▶ probe ─┤                               /_ping asks nothing
//!  API         ──▶ probe ─┘
//! ```

mod database;
mod heartbeat;
mod probe;
mod report;
mod request;
mod sampler;
mod server;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

pub use heartbeat::{Heartbeat, Heartbeats};
pub use report::{Check, Report, State};

use crate::config::{self, Windows};
use crate::store::Store;

/// Asks for something, as often as the sampler likes. It may block; it must not panic to say "bad".
pub type Source<T> = Box<dyn FnMut() -> T + Send>;

/// Where the listener has its knowledge from.
pub struct StatusSources {
    /// The store; none is a failure.
    pub store: Option<Arc<dyn Store>>,
    /// The database's file: that it is still there, and that its disk still takes writes, is checked too.
    pub database_file: Option<PathBuf>,
    /// Every certificate in use: the server's, client authorities', outbound ones.
    pub certificates: Source<Vec<Certificate>>,
    /// How deliveries go.
    pub destinations: Source<Vec<DestinationHealth>>,
    /// Where the API listens: that it takes connections is checked.
    pub api_address: Option<SocketAddr>,
    /// Signs of life of the API's threads.
    pub api_heartbeats: Heartbeats,
    /// What content is checked by.
    pub profiles: Option<Source<ProfilesHealth>>,
    /// The channels that hospitals speak on.
    pub feeds: Option<Source<Result<Vec<FeedHealth>, String>>>,
}

impl Default for StatusSources {
    /// No sources at all.
    fn default() -> Self {
        Self {
            store: None,
            database_file: None,
            certificates: Box::new(Vec::new),
            destinations: Box::new(Vec::new),
            api_address: None,
            api_heartbeats: Heartbeats::default(),
            profiles: None,
            feeds: None,
        }
    }
}

/// The profiles in force, and why there are not newer ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilesHealth {
    /// Since when they are in force.
    pub loaded_at: Timestamp,
    /// How many there are.
    pub profiles: usize,
    /// Why the operator's changed packages are not in force; empty: they are.
    pub refused: Vec<String>,
}

/// A certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What it is for: `https`, `client-ca`, `destination pas`.
    pub name: String,
    /// The last instant at which it is valid.
    pub not_after: Timestamp,
}

/// How a channel of HL7 v2 goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedHealth {
    /// Its name in the configuration.
    pub name: String,
    /// When something came last; before that, when it was opened.
    pub heard: Timestamp,
    /// Should something have come since?
    pub silent: bool,
    /// Messages that wait for a person.
    pub quarantined: usize,
    /// Since when the oldest of them does.
    pub oldest: Option<Timestamp>,
    /// Since when a person has paused it.
    pub paused: Option<Timestamp>,
}

/// How deliveries to a destination go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationHealth {
    /// Its name in the configuration.
    pub name: String,
    /// Did the last attempt succeed? Also true before the first one.
    pub up: bool,
    /// When it is sent to.
    pub windows: Windows,
    /// Since when a person has paused it.
    pub paused: Option<Timestamp>,
    /// Since when that is so.
    pub since: Timestamp,
    /// When it last answered anything.
    pub last_response: Option<Timestamp>,
    /// What it answered: `AA`, `AE`, …
    pub response_code: Option<String>,
    /// Did the last attempt fail because no answer came in time?
    pub timeout: bool,
    /// Why the last attempt failed, without patient data; `None`: it did not.
    pub last_error: Option<String>,
}

/// The running listener. It stops when it is dropped.
pub struct StatusServer {
    address: SocketAddr,
    server: server::Server,
    sampler: Arc<sampler::Sampler>,
}

impl StatusServer {
    /// Listens, and begins to ask the sources.
    pub fn start(config: &config::Status, sources: StatusSources) -> io::Result<Self> {
        let listener = server::bind(config.listen)?;
        let address = listener.local_addr()?;
        let sampler = Arc::new(sampler::Sampler::start(config, sources)?);
        let server = server::Server::start(listener, Arc::clone(&sampler))?;
        Ok(Self { address, server, sampler })
    }

    /// Where it listens (the port is known even where the configuration said 0).
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it would answer now.
    pub fn report(&self) -> Report {
        self.sampler.report()
    }
}

impl Drop for StatusServer {
    fn drop(&mut self) {
        self.server.stop(self.address);
        self.sampler.stop();
    }
}
