//! The embedded store: one SQLite file, one thread that writes, any number that read.
//!
//! * `submission` runs one message from the ledger to its answer; `state`, `apply`, `diary`, `journal`
//!   and `outbox` are its statements.
//! * `writer` runs a `batch` of them in one transaction and one sync (group commit), fed by `queue`;
//!   `checkpoint` moves pages behind its back.
//! * `reader` and `search` serve reads beside it; `pulse` tells how the writer is. While it is ill it makes a
//!   `trial` now and then.
//!
//! Other processes (the `onward` commands) may have the same file open: they wait for each other's
//! transactions, and the constraints of `schema.sql` hold for all of them.

mod apply;
mod batch;
mod checkpoint;
mod column;
mod connection;
mod diary;
mod fault;
mod feed;
mod index;
mod journal;
mod outbox;
mod people;
mod pulse;
mod queue;
mod reader;
mod schema;
mod search;
mod state;
mod submission;
mod tally;
#[cfg(test)]
mod tests;
mod transaction;
mod trial;
mod twins;
#[cfg(test)]
mod walks;
mod writer;

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::fault::Fault;
use self::pulse::Pulse;
use self::queue::Queue;
use self::reader::Readers;
use self::submission::{Desk, Submission};
use self::writer::{Answer as Channel, Job, Writer};
use super::{
    Answer, DecideFn, FeedRow, Health, Message, MessageRow, OutboxDepth, OutboxRow, Page, PatientQuery, Pending,
    Settlement, SlotQuery, SlotRow, Store, StoreError, TaskPage, TaskRow, Verdict, Work,
};
use crate::booking::appointment::Appointment;
use crate::booking::command::Subject;
use crate::booking::decision::Rules;
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId};
use crate::booking::index::{Alike, Link};
use crate::booking::patient::Patient;
use crate::booking::referral::Referral;
use crate::booking::service::Service;
use crate::reconcile::diary::Entry;

/// How the store works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What differs between environments; handed to every decision.
    pub rules: Rules,
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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            queue_len: 4096,
            queue_bytes: 256 << 20,
            batch_len: 256,
            batch_bytes: 8 << 20,
            batch_pause: Duration::from_millis(2),
            log_bytes: 64 << 20,
        }
    }
}

/// The store in one SQLite file.
pub struct SqliteStore {
    queue: Queue,
    readers: Readers,
    pulse: Arc<Pulse>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens the file, makes it if it is not there, and brings it to the newest schema.
    pub fn open(path: &Path, options: Options, decide: DecideFn) -> Result<Arc<Self>, StoreError> {
        connection::create_private(path)?;
        let conn = connection::open_writer(path)?;
        let pulse = Arc::new(Pulse::new());
        let (queue, jobs, load) = Queue::new(options.queue_len, options.queue_bytes);
        let (nudge, nudges) = sync_channel(1);
        let writer = Writer {
            path: path.to_owned(),
            file: connection::Identity::of(path)?,
            conn: Some(conn),
            desk: Desk { rules: options.rules, decide },
            pulse: Arc::clone(&pulse),
            load,
            nudge,
            batch_len: options.batch_len,
            batch_bytes: options.batch_bytes,
            batch_pause: options.batch_pause,
            crowded: false,
            log_limits: checkpoint::Limits::new(options.log_bytes),
        };
        let threads = Mutex::new(vec![spawn_writer(writer, jobs)?, spawn_checkpointer(path, nudges)?]);
        Ok(Arc::new(Self { queue, readers: Readers::new(path.to_owned()), pulse, threads }))
    }

    /// Puts a job before the writer now, and waits for its result only when it is asked to.
    fn enqueue<T: Send + 'static>(&self, job: impl FnOnce(Channel<T>) -> Job) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let queued = self.queue.push(job(sender));
        Box::pin(async move {
            queued?;
            receiver.await.unwrap_or(Err(StoreError::Closed))
        })
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

impl Store for SqliteStore {
    fn submit(&self, message: Message, work: Work) -> Pending<Verdict> {
        let submission = Box::new(Submission::prepare(message, work));
        self.enqueue(|channel| Job::Submit(submission, channel))
    }

    fn first_answer(&self, key: &str) -> Result<Option<(Uuid, bool, Answer)>, StoreError> {
        let found = self.readers.read(|conn| journal::first_find(conn, key))?;
        Ok(found.map(|first| (first.message, first.accepted, first.answer)))
    }

    fn service_find(&self, id: &ServiceId) -> Result<Option<Service>, StoreError> {
        self.readers.read(|conn| diary::service_find(conn, id))
    }

    fn service_list(&self) -> Result<Vec<Service>, StoreError> {
        self.readers.read(diary::service_list)
    }

    fn referral_resource(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        self.readers.read(|conn| search::referral_resource(conn, id))
    }

    fn appointment_resource(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        self.readers.read(|conn| search::appointment_resource(conn, id))
    }

    fn referral_find(&self, id: ReferralId) -> Result<Option<Referral>, StoreError> {
        self.readers.read(|conn| Ok(state::referral_find(conn, id)?.map(|(referral, _)| referral)))
    }

    fn appointment_find(&self, id: AppointmentId) -> Result<Option<Appointment>, StoreError> {
        self.readers.read(|conn| Ok(state::appointment_find(conn, id)?.map(|(appointment, ..)| appointment)))
    }

    fn referral_search(&self, patient: &PatientQuery) -> Result<Vec<String>, StoreError> {
        self.readers.read(|conn| search::resources_of(conn, "referral", patient))
    }

    fn appointment_search(&self, patient: &PatientQuery) -> Result<Vec<String>, StoreError> {
        self.readers.read(|conn| search::resources_of(conn, "appointment", patient))
    }

    fn slot_search(&self, query: &SlotQuery) -> Result<Vec<SlotRow>, StoreError> {
        self.readers.read(|conn| diary::slot_search(conn, query))
    }

    fn directory_resource(&self, kind: &str, id: &str) -> Result<Option<String>, StoreError> {
        self.readers.read(|conn| diary::directory_resource(conn, kind, id))
    }

    fn outbox_due(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError> {
        self.readers.read(|conn| outbox::due(conn, destination, now, limit))
    }

    fn outbox_next_due(&self, destination: &str) -> Result<Option<Timestamp>, StoreError> {
        self.readers.read(|conn| outbox::next_due(conn, destination))
    }

    fn outbox_settle(&self, id: i64, settlement: Settlement) -> Pending<()> {
        self.enqueue(|channel| Job::Settle(id, settlement, channel))
    }

    fn outbox_list(&self, page: &Page) -> Result<Vec<OutboxRow>, StoreError> {
        self.readers.read(|conn| outbox::list(conn, page))
    }

    fn outbox_show(&self, id: i64) -> Result<Option<(OutboxRow, Vec<u8>)>, StoreError> {
        self.readers.read(|conn| outbox::show(conn, id))
    }

    fn outbox_depth(&self) -> Result<Vec<OutboxDepth>, StoreError> {
        self.readers.read(outbox::depth)
    }

    fn message_list(&self, page: &Page) -> Result<Vec<MessageRow>, StoreError> {
        self.readers.read(|conn| journal::list(conn, page))
    }

    fn message_show(&self, id: Uuid) -> Result<Option<(MessageRow, Vec<u8>, Answer)>, StoreError> {
        self.readers.read(|conn| journal::show(conn, id))
    }

    fn message_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.readers.read(journal::counts)
    }

    fn feed_list(&self, state: &str, limit: usize) -> Result<Vec<FeedRow>, StoreError> {
        self.readers.read(|conn| feed::list(conn, state, limit))
    }

    fn feed_find(&self, message: Uuid) -> Result<Option<FeedRow>, StoreError> {
        self.readers.read(|conn| feed::find(conn, message))
    }

    fn feed_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.readers.read(feed::counts)
    }

    fn patient_records(&self, id: PatientId) -> Result<Vec<Patient>, StoreError> {
        self.readers.read(|conn| people::records(conn, id))
    }

    fn patient_search(&self, identifier: &Identifier) -> Result<Vec<PatientId>, StoreError> {
        self.readers.read(|conn| people::search(conn, identifier))
    }

    fn patient_match(&self, subject: &Subject) -> Result<Vec<(PatientId, Alike)>, StoreError> {
        self.readers.read(|conn| people::find(conn, subject))
    }

    fn patient_history(&self, id: PatientId) -> Result<Vec<(Timestamp, Link)>, StoreError> {
        self.readers.read(|conn| people::history(conn, id))
    }

    fn diary_entries(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Entry>, StoreError> {
        self.readers.read(|conn| people::bookings(conn, from, to))
    }

    fn task_list(&self, page: &TaskPage) -> Result<Vec<TaskRow>, StoreError> {
        self.readers.read(|conn| people::tasks(conn, page))
    }

    fn task_show(&self, id: Uuid) -> Result<Option<TaskRow>, StoreError> {
        self.readers.read(|conn| people::task(conn, id))
    }

    fn task_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError> {
        self.readers.read(people::task_counts)
    }

    fn health(&self) -> Health {
        self.pulse.health()
    }

    fn close(&self) {
        self.queue.close();
        self.readers.close();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}
