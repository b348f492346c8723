//! The store for many gateways: one PostgreSQL database, a few threads of each gateway that write, and connections that
//! read.
//!
//! * `claims` keeps gateways from deciding about the same thing at once: that is the whole of what they have in common.
//! * `writer` runs a `batch` of work in one transaction, and finds out what became of one whose connection was lost.
//! * `examination` looks at a server from outside.
//! * `copy` moves an installation here from SQLite.
//! * `session` runs the statements of the folder `sql`; `connection` reaches the server, `drive` waits for it.
//! * `pool` keeps connections for reads, and for the leases of letters that one gateway sends.

mod batch;
mod claims;
mod connection;
pub mod copy;
mod drive;
mod examination;
mod pool;
mod schema;
mod session;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use uuid::Uuid;

use self::claims::Claims;
use self::connection::Server;
use self::pool::Pool;
use self::writer::Writer;
use super::sql::engine::Engine;
use super::sql::fault::Fault;
use super::sql::lease::{self, Words};
use super::sql::outbox::Fence;
use super::sql::pulse::Pulse;
use super::sql::queue::Queue;
use super::sql::session::Session;
use super::sql::submission::Desk;
use super::symptom::Symptom;
use super::{DecideFn, Message, OutboxRow, Store, StoreError, Work};
use crate::booking::decision::Rules;
use crate::reconcile::weight::Weights;

/// How TLS to the server is spoken.
pub type TlsConfig = Arc<rustls::ClientConfig>;

/// The clock moves on within a transaction.
const WORDS: Words = Words {
    clock: "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    lock: "FOR UPDATE OF outbox SKIP LOCKED",
};

/// Places among which the counts of writers are spread.
const LANES: u128 = 1024;

/// How the store works.
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://user@host:port/database`, also with several hosts, of which the one that writes is found.
    pub url: String,
    /// The user's password.
    pub password: Option<SecretString>,
    /// Whom to trust; where there is one, the connection is encrypted.
    pub tls: Option<TlsConfig>,
    /// What differs between environments; handed to every decision.
    pub rules: Rules,
    /// How people are compared.
    pub weights: Arc<Weights>,
    /// A database without a store in it is refused, where otherwise the store is made.
    pub must_exist: bool,
    /// Threads that write, each with a connection.
    pub writers: usize,
    /// Pieces of work that may wait for the writers; one more is refused with [`StoreError::Full`].
    pub queue_len: usize,
    /// Bytes of (compressed) bodies that may wait for the writers.
    pub queue_bytes: usize,
    /// Most pieces of work in one transaction.
    pub batch_len: usize,
    /// A transaction takes no more work once it has so many bytes of (compressed) bodies.
    pub batch_bytes: usize,
}

impl Options {
    /// The usual ones, for this database.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            password: None,
            tls: None,
            rules: Rules::default(),
            weights: Arc::default(),
            must_exist: false,
            writers: 2,
            queue_len: 4096,
            queue_bytes: 256 << 20,
            batch_len: 256,
            batch_bytes: 8 << 20,
        }
    }
}

/// The store in one PostgreSQL database.
pub struct PostgresStore {
    /// This gateway, as long as it runs.
    id: Uuid,
    queue: Queue,
    readers: Pool,
    /// Connections that take letters.
    lessors: Pool,
    pulse: Arc<Pulse>,
    weights: Arc<Weights>,
    closing: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Where connections for reading live. Dropped without waiting, because that may happen on a runtime's thread.
    runtime: Option<Runtime>,
}

/// What can be said of a database and its server without changing anything.
pub fn examine(options: &Options) -> Vec<Symptom> {
    examination::examine(options)
}

impl PostgresStore {
    /// Opens the database, which must exist, and brings it to the newest schema.
    pub fn open(options: &Options, decide: DecideFn) -> Result<Arc<Self>, StoreError> {
        let runtime = background()?;
        let server = Server::new(options, runtime.handle().clone())?;
        // On a thread of its own: whoever opens a store may be a thread of a runtime.
        let prepared = std::thread::scope(|scope| scope.spawn(|| prepare(&server, options.must_exist)).join());
        prepared.unwrap_or(Err(Fault::Broken("opening the database ended in a panic")))?;
        let pulse = Arc::new(Pulse::new("PostgreSQL"));
        let closing = Arc::new(AtomicBool::new(false));
        let (queue, jobs, load) = Queue::new(options.queue_len, options.queue_bytes);
        let jobs = Arc::new(Mutex::new(jobs));
        let desk = Arc::new(Desk { rules: options.rules, weights: Arc::clone(&options.weights), decide });
        let writers = (0..options.writers.max(1)).map(|_| {
            let id = Uuid::new_v4();
            spawn_writer(Writer {
                server: server.clone(),
                link: None,
                id,
                lane: (id.as_u128() % LANES) as i64,
                desk: Arc::clone(&desk),
                pulse: Arc::clone(&pulse),
                load: Arc::clone(&load),
                jobs: Arc::clone(&jobs),
                batch_len: options.batch_len,
                batch_bytes: options.batch_bytes,
                transaction: Uuid::nil(),
                closing: Arc::clone(&closing),
            })
        });
        let threads = Mutex::new(writers.collect::<Result<_, _>>()?);
        let readers = Pool::new(server.clone(), Server::reader);
        let lessors = Pool::new(server, Server::lessor);
        let (id, runtime) = (Uuid::now_v7(), Some(runtime));
        Ok(Arc::new(Self {
            id,
            queue,
            readers,
            lessors,
            pulse,
            weights: Arc::clone(&options.weights),
            closing,
            threads,
            runtime,
        }))
    }
}

fn background() -> Result<Runtime, Fault> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(1).thread_name("store-postgres").enable_all().build()?)
}

fn prepare(server: &Server, must_exist: bool) -> Result<(), Fault> {
    let link = server.writer(0)?;
    if must_exist && !schema::exists(&link)? {
        return Err(Fault::Refused("there is no store in this database: has a gateway run on it yet?"));
    }
    server.check_promises(&link)?;
    schema::migrate(&link)?;
    writer::forget_the_gone(&link)
}

fn spawn_writer(writer: Writer) -> Result<JoinHandle<()>, Fault> {
    let pulse = Arc::clone(&writer.pulse);
    let work = move || {
        let run = std::panic::AssertUnwindSafe(|| writer.run());
        if std::panic::catch_unwind(run).is_err() {
            pulse.failed("a writer ended".to_owned());
        }
    };
    Ok(std::thread::Builder::new().name("store-writer".to_owned()).spawn(work)?)
}

impl Engine for PostgresStore {
    fn read<T>(&self, work: impl FnMut(&dyn Session) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.readers.read(work)
    }

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn take(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError> {
        self.lessors.read(|session| lease::take(session, WORDS, &self.id, destination, now, limit, lease))
    }

    fn claims(&self, message: &Message, work: &Work) -> Vec<i32> {
        Claims::of(message, work).buckets()
    }

    fn fence(&self, lease: i64) -> Option<Fence> {
        Some(Fence { gateway: self.id, lease })
    }

    fn stop(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        if threads.is_empty() {
            return;
        }
        for thread in threads {
            let _ = thread.join();
        }
        if let Err(error) = self.lessors.read(|session| lease::release(session, &self.id)) {
            tracing::warn!(%error, "letters that were taken are free again only when their time is over");
        }
        self.lessors.close();
        self.readers.close();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.close();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
