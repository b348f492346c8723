//! The one thread that writes. It takes what is waiting, does all of it in one transaction, syncs once,
//! and only then lets the callers know. The slower the disk, the larger the batches: that keeps it steady.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::batch::Batch;
use super::{checkpoint, connection, transaction, trial};
use crate::store::StoreError;
use crate::store::sql::fault::Fault;
use crate::store::sql::job::Job;
use crate::store::sql::pulse::Pulse;
use crate::store::sql::queue::Load;
use crate::store::sql::submission::Desk;

/// How long the writer waits for work while it is ill before it tries by itself.
const TRIAL_PAUSE: Duration = Duration::from_millis(500);

/// Pieces of work with which a transaction is worth its price.
const BATCH_SMALL: usize = 16;

/// The writer and what it works with.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    /// Which file that was when it was opened.
    pub(super) file: connection::Identity,
    /// `None` while it could not be opened again.
    pub(super) conn: Option<Connection>,
    pub(super) desk: Desk,
    pub(super) pulse: Arc<Pulse>,
    pub(super) load: Arc<Load>,
    /// Wakes the checkpointer.
    pub(super) nudge: SyncSender<()>,
    pub(super) batch_len: usize,
    pub(super) batch_bytes: usize,
    pub(super) batch_pause: Duration,
    /// The last transaction held the work of more than one caller.
    pub(super) crowded: bool,
    pub(super) cache_bytes: usize,
    pub(super) log_limits: checkpoint::Limits,
}

impl Writer {
    /// Works until nobody can send any more and all is done.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Some(first) = self.next(jobs) {
            let batch = self.gather(first, jobs);
            self.work(batch);
        }
        if let Some(conn) = &self.conn {
            checkpoint::finish(conn);
        }
    }

    /// The next piece of work. While it is ill it does not only wait for that: whoever was told so stays away, and
    /// nobody would ever find out that it has passed.
    fn next(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        while self.pulse.is_ill() {
            match jobs.recv_timeout(TRIAL_PAUSE) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Timeout) => self.try_out(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        jobs.recv().ok()
    }

    fn try_out(&mut self) {
        let conn = match self.begin() {
            Ok(conn) => conn,
            Err(fault) => return self.pulse.failed(fault.to_string()),
        };
        match self.rehearse(&conn) {
            Ok(()) => {
                self.pulse.committed();
                self.conn = Some(conn);
            }
            Err(fault) => self.give_up(conn, &fault),
        }
    }

    /// Commits for its own sake.
    fn rehearse(&self, conn: &Connection) -> Result<(), Fault> {
        trial::write(conn)?;
        self.commit(conn, transaction::commit)?;
        transaction::begin(conn)?;
        trial::remove(conn)?;
        self.commit(conn, transaction::commit)
    }

    /// What is waiting. A transaction costs some dozen pages and a sync, however little is in it; so where there is
    /// traffic, a small one waits a moment for company. A caller who is alone never waits.
    fn gather(&mut self, first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
        let mut bytes = first.bytes();
        let mut batch = vec![first];
        self.fill(&mut batch, &mut bytes, jobs);
        if self.crowded && batch.len() < BATCH_SMALL && !self.batch_pause.is_zero() {
            std::thread::sleep(self.batch_pause);
            self.fill(&mut batch, &mut bytes, jobs);
        }
        self.crowded = batch.len() > 1;
        self.load.remove(bytes);
        batch
    }

    fn fill(&self, batch: &mut Vec<Job>, bytes: &mut usize, jobs: &Receiver<Job>) {
        while batch.len() < self.batch_len && *bytes < self.batch_bytes {
            let Ok(job) = jobs.try_recv() else { break };
            *bytes += job.bytes();
            batch.push(job);
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let conn = match self.begin() {
            Ok(conn) => conn,
            Err(fault) => return self.reject(jobs, fault),
        };
        let mut batch = Batch::default();
        let pieces = jobs.len();
        for job in jobs {
            batch.run(&self.desk, &conn, job);
        }
        let begin = Instant::now();
        match self.commit(&conn, |conn| batch.commit(conn)) {
            Ok(()) => {
                self.pulse.served(pieces, begin.elapsed());
                self.committed(conn, batch);
            }
            Err(fault) => self.failed(conn, batch, fault),
        }
    }

    /// A commit into a file that was deleted meanwhile is durable nowhere.
    fn commit(&self, conn: &Connection, commit: impl FnOnce(&Connection) -> Result<(), Fault>) -> Result<(), Fault> {
        commit(conn)?;
        self.file.check(&self.path)
    }

    /// A connection with an open transaction.
    fn begin(&mut self) -> Result<Connection, Fault> {
        self.file.check(&self.path)?;
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => connection::open_writer(&self.path, self.cache_bytes)?,
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
        self.give_up(conn, &fault);
        batch.tell_failure(&StoreError::from(fault));
    }

    /// The transaction failed.
    fn give_up(&mut self, conn: Connection, fault: &Fault) {
        if !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        self.pulse.failed(fault.to_string());
        self.keep(conn, fault);
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
