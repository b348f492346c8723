//! The embedded store: one SQLite file, one thread that writes, any number that read.
//!
//! * `writer` runs a `batch` of work in one transaction and one sync (group commit); `checkpoint` moves pages behind
//!   its back. While it is ill it makes a `trial` now and then.
//! * `examination` looks at a file from outside.
//! * `reader` keeps connections for reads beside it; `session` runs the statements of the folder `sql`.
//!
//! Other processes (the `onward` commands) may have the same file open: they wait for each other's
//! transactions, and the constraints of `schema.sql` hold for all of them.

pub(super) mod batch;
mod checkpoint;
pub(super) mod connection;
mod examination;
mod reader;
pub(super) mod schema;
mod session;
#[cfg(test)]
mod tests;
pub(super) mod transaction;
mod trial;
mod writer;

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use self::reader::Readers;
use self::writer::Writer;
use super::sql::engine::Engine;
use super::sql::fault::Fault;
use super::sql::job::Job;
use super::sql::pulse::Pulse;
use super::sql::queue::Queue;
use super::sql::session::Session;
use super::sql::submission::Desk;
use super::symptom::Symptom;
use super::{DecideFn, Store, StoreError};
use crate::booking::decision::Rules;
use crate::reconcile::weight::Weights;

/// What can be said of a file without changing it. `deep`: it is read whole, however large it is.
pub fn examine(path: &Path, deep: bool, now: Timestamp) -> Vec<Symptom> {
    examination::examine(path, deep, now)
}

/// How the store works.
#[derive(Clone, Debug)]
pub struct Options {
    /// What differs between environments; handed to every decision.
    pub rules: Rules,
    /// How people are compared.
    pub weights: Arc<Weights>,
    /// Pieces of work that may wait for the writer; one more is refused with [`StoreError::Full`].
    pub queue_len: usize,
    /// Bytes of (compressed) bodies that may wait for the writer.
    pub queue_bytes: usize,
    /// Most pieces of work in one transaction.
    pub batch_len: usize,
    /// A transaction takes no more work once it has so many bytes of (compressed) bodies.
    pub batch_bytes: usize,
    /// How long a transaction with little work waits for more, while there is traffic.
    pub batch_pause: Duration,
    /// Bytes of SQLite's log that are worth a checkpoint in the background; it may grow to four times as much.
    pub log_bytes: usize,
    /// Bytes of pages that the writer keeps in memory.
    pub cache_bytes: usize,
}

impl Options {
    /// For millions of pieces of work of one caller. Each record writes to some twenty places all over the file; the
    /// more of them share a transaction and the cache, the more often one page serves many. A gateway that runs beside
    /// waits for each transaction, so there are no more in one.
    pub fn for_import() -> Self {
        let batches = Self { batch_len: 1024, batch_bytes: 64 << 20, queue_len: 8 << 10, ..Self::default() };
        Self { log_bytes: 256 << 20, cache_bytes: 512 << 20, ..batches }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            weights: Arc::default(),
            queue_len: 4096,
            queue_bytes: 256 << 20,
            batch_len: 256,
            batch_bytes: 8 << 20,
            batch_pause: Duration::from_millis(2),
            log_bytes: 64 << 20,
            cache_bytes: connection::CACHE_BYTES,
        }
    }
}

/// The store in one SQLite file.
pub struct SqliteStore {
    queue: Queue,
    readers: Readers,
    pulse: Arc<Pulse>,
    weights: Arc<Weights>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings it to the newest schema.
    pub fn open(path: &Path, options: Options, decide: DecideFn) -> Result<Arc<Self>, StoreError> {
        connection::create_private(path)?;
        let conn = connection::open_writer(path, options.cache_bytes)?;
        let pulse = Arc::new(Pulse::new("SQLite"));
        let (queue, jobs, load) = Queue::new(options.queue_len, options.queue_bytes);
        let (nudge, nudges) = sync_channel(1);
        let writer = Writer {
            path: path.to_owned(),
            file: connection::Identity::of(path)?,
            conn: Some(conn),
            desk: Desk { rules: options.rules, weights: Arc::clone(&options.weights), decide },
            pulse: Arc::clone(&pulse),
            load,
            nudge,
            batch_len: options.batch_len,
            batch_bytes: options.batch_bytes,
            batch_pause: options.batch_pause,
            crowded: false,
            cache_bytes: options.cache_bytes,
            log_limits: checkpoint::Limits::new(options.log_bytes),
        };
        let threads = Mutex::new(vec![spawn_writer(writer, jobs)?, spawn_checkpointer(path, nudges)?]);
        let readers = Readers::new(path.to_owned());
        Ok(Arc::new(Self { queue, readers, pulse, weights: options.weights, threads }))
    }
}

fn spawn_writer(writer: Writer, jobs: Receiver<Job>) -> Result<JoinHandle<()>, StoreError> {
    let pulse = Arc::clone(&writer.pulse);
    spawn("store-writer", move || {
        let run = std::panic::AssertUnwindSafe(|| writer.run(&jobs));
        if std::panic::catch_unwind(run).is_err() {
            pulse.failed("the writer ended".to_owned());
        }
    })
}

fn spawn_checkpointer(path: &Path, nudges: Receiver<()>) -> Result<JoinHandle<()>, StoreError> {
    let path = path.to_owned();
    spawn("store-checkpoint", move || checkpoint::run(&path, &nudges))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    Ok(thread.map_err(Fault::from)?)
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Engine for SqliteStore {
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

    fn stop(&self) {
        self.readers.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}
