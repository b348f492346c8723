//! The one thread that writes. It takes what is waiting, does all of it in one transaction, syncs once,
//! and only then lets the callers know. The slower the disk, the larger the batches: that keeps it steady.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::batch::Batch;
use super::fault::Fault;
use super::pulse::Pulse;
use super::queue::Load;
use super::submission::{Desk, Submission};
use super::{checkpoint, connection, transaction};
use crate::store::{Settlement, StoreError, Verdict};

/// A piece of work and who waits for it.
pub(super) enum Job {
    /// A message.
    Submit(Box<Submission>, Answer<Verdict>),
    /// What became of a letter.
    Settle(i64, Settlement, Answer<()>),
    /// For tests of what cannot be brought about from outside.
    #[cfg(test)]
    Probe(Box<dyn FnOnce(&Connection) + Send>, Answer<()>),
}

/// Where a result goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

impl Job {
    /// What it takes up in memory, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Submit(submission, _) => submission.bytes(),
            _ => 0,
        }
    }

    /// Tells whoever waits that it was not done. Whoever has stopped waiting does not hear it.
    pub(super) fn reject(self, error: StoreError) {
        match self {
            Self::Submit(_, answer) => drop(answer.send(Err(error))),
            Self::Settle(_, _, answer) => drop(answer.send(Err(error))),
            #[cfg(test)]
            Self::Probe(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// The writer and what it works with.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    /// `None` while it could not be opened again.
    pub(super) conn: Option<Connection>,
    pub(super) desk: Desk,
    pub(super) pulse: Arc<Pulse>,
    pub(super) load: Arc<Load>,
    /// Wakes the checkpointer.
    pub(super) nudge: SyncSender<()>,
    pub(super) batch_len: usize,
    pub(super) batch_bytes: usize,
    pub(super) log_limits: checkpoint::Limits,
}

impl Writer {
    /// Works until nobody can send any more and all is done.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let batch = self.gather(first, jobs);
            self.work(batch);
        }
        if let Some(conn) = &self.conn {
            checkpoint::finish(conn);
        }
    }

    fn gather(&self, first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        while batch.len() < self.batch_len && bytes < self.batch_bytes {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += job.bytes();
            batch.push(job);
        }
        self.load.remove(bytes);
        batch
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let conn = match self.begin() {
            Ok(conn) => conn,
            Err(fault) => return self.reject(jobs, fault),
        };
        let mut batch = Batch::default();
        for job in jobs {
            batch.run(&self.desk, &conn, job);
        }
        match batch.commit(&conn) {
            Ok(()) => self.committed(conn, batch),
            Err(fault) => self.failed(conn, batch, fault),
        }
    }

    /// A connection with an open transaction.
    fn begin(&mut self) -> Result<Connection, Fault> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => connection::open_writer(&self.path)?,
        };
        match transaction::begin(&conn) {
            Ok(()) => Ok(conn),
            Err(fault) => {
                self.keep(conn, &fault);
                Err(fault)
            }
        }
    }

    fn committed(&mut self, conn: Connection, mut batch: Batch) {
        match batch.illness.take() {
            Some(why) => self.pulse.failed(why),
            None => self.pulse.committed(),
        }
        batch.tell();
        if checkpoint::is_due(&conn, self.log_limits) {
            let _ = self.nudge.try_send(());
        }
        self.conn = Some(conn);
    }

    fn failed(&mut self, conn: Connection, batch: Batch, fault: Fault) {
        if !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        self.pulse.failed(fault.to_string());
        self.keep(conn, &fault);
        batch.tell_failure(&StoreError::from(fault));
    }

    fn reject(&self, jobs: Vec<Job>, fault: Fault) {
        self.pulse.failed(fault.to_string());
        let error = StoreError::from(fault);
        jobs.into_iter().for_each(|job| job.reject(error.clone()));
    }

    /// Keeps the connection if it can be used again; else a new one is opened for the next batch.
    fn keep(&mut self, conn: Connection, fault: &Fault) {
        self.conn = (conn.is_autocommit() && !fault.spoils_connection()).then_some(conn);
    }
}
