//! The one thread that writes. It takes what is waiting, does all of it in one transaction, syncs once,
//! and only then lets the callers know. The slower the disk, the larger the batches: that keeps it steady.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::Fault;
use super::pulse::Pulse;
use super::queue::Load;
use super::submission::{Desk, Submission};
use super::tally::Tally;
use super::{checkpoint, connection, outbox, savepoint, submission};
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

/// A result that must not be told before it is durable.
enum Reply {
    Verdict(Answer<Verdict>, Result<Verdict, StoreError>),
    Done(Answer<()>, Result<(), StoreError>),
}

impl Job {
    /// What it takes up in memory, about.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Submit(submission, _) => submission.bytes(),
            _ => 0,
        }
    }

    fn reject(self, error: StoreError) {
        match self {
            Self::Submit(_, answer) => Reply::Verdict(answer, Err(error)).send(),
            Self::Settle(_, _, answer) => Reply::Done(answer, Err(error)).send(),
            #[cfg(test)]
            Self::Probe(_, answer) => Reply::Done(answer, Err(error)).send(),
        }
    }
}

impl Reply {
    /// Whoever has stopped waiting does not get it; what it says stays true.
    fn send(self) {
        match self {
            Self::Verdict(answer, result) => drop(answer.send(result)),
            Self::Done(answer, result) => drop(answer.send(result)),
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Verdict(answer, _) => Self::Verdict(answer, Err(error)).send(),
            Self::Done(answer, _) => Self::Done(answer, Err(error)).send(),
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
        let replies = std::mem::take(&mut batch.replies);
        match batch.commit(&conn) {
            Ok(illness) => self.committed(conn, replies, illness),
            Err(fault) => self.failed(conn, replies, fault),
        }
    }

    /// A connection with an open transaction.
    fn begin(&mut self) -> Result<Connection, Fault> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => connection::open_writer(&self.path)?,
        };
        let begun = conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute(()));
        match begun.map_err(Fault::from) {
            Ok(_) => Ok(conn),
            Err(fault) => {
                self.keep(conn, &fault);
                Err(fault)
            }
        }
    }

    fn committed(&mut self, conn: Connection, replies: Vec<Reply>, illness: Option<String>) {
        match illness {
            Some(why) => self.pulse.failed(why),
            None => self.pulse.committed(),
        }
        replies.into_iter().for_each(Reply::send);
        if checkpoint::is_due(&conn) {
            let _ = self.nudge.try_send(());
        }
        self.conn = Some(conn);
    }

    fn failed(&mut self, conn: Connection, replies: Vec<Reply>, fault: Fault) {
        if !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        self.pulse.failed(fault.to_string());
        self.keep(conn, &fault);
        let error = StoreError::from(fault);
        replies.into_iter().for_each(|reply| reply.fail(error.clone()));
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

/// One transaction's worth of work.
#[derive(Default)]
struct Batch {
    replies: Vec<Reply>,
    tally: Tally,
    /// A failure that the transaction survived, but that was not the fault of the work.
    illness: Option<String>,
    /// The database gave the whole transaction up.
    lost: Option<Fault>,
}

impl Batch {
    fn run(&mut self, desk: &Desk, conn: &Connection, job: Job) {
        let reply = match job {
            Job::Submit(it, answer) => {
                Reply::Verdict(answer, self.guard(conn, |tally| submission::run(desk, conn, tally, *it)))
            }
            Job::Settle(id, settlement, answer) => {
                Reply::Done(answer, self.guard(conn, |tally| outbox::settle(conn, tally, id, &settlement)))
            }
            #[cfg(test)]
            Job::Probe(probe, answer) => {
                probe(conn);
                Reply::Done(answer, Ok(()))
            }
        };
        self.replies.push(reply);
    }

    /// Does one piece of work so that its failure undoes nothing but itself.
    fn guard<T>(
        &mut self,
        conn: &Connection,
        work: impl FnOnce(&mut Tally) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        // Outside the transaction a savepoint would be one of its own, durable at once.
        if self.lost.is_none() && conn.is_autocommit() {
            self.lost = Some(Fault::Broken("the transaction was lost"));
        }
        if self.lost.is_some() {
            return Err(StoreError::Closed); // The batch's own failure takes its place.
        }
        let mark = self.tally.mark();
        let done = savepoint::open(conn).and_then(|()| work(&mut self.tally));
        done.and_then(|value| savepoint::close(conn).map(|()| value)).map_err(|fault| {
            self.tally.back_to(mark);
            self.undo(conn, fault)
        })
    }

    fn undo(&mut self, conn: &Connection, fault: Fault) -> StoreError {
        if conn.is_autocommit() {
            self.lost = Some(fault);
            return StoreError::Closed;
        }
        if let Err(worse) = savepoint::undo(conn).and_then(|()| savepoint::close(conn)) {
            self.lost = Some(worse);
        }
        if fault.is_illness() {
            self.illness = Some(fault.to_string());
        }
        if !matches!(fault, Fault::Refused(_)) {
            tracing::warn!(failure = %fault, "a piece of work was rolled back");
        }
        fault.into()
    }

    /// Makes it durable. `Some`: it is, but a part of it failed because the store is ill.
    fn commit(self, conn: &Connection) -> Result<Option<String>, Fault> {
        if let Some(fault) = self.lost {
            return Err(fault);
        }
        self.tally.write(conn)?;
        conn.prepare_cached("COMMIT")?.execute(())?;
        Ok(self.illness)
    }
}
