//! A thread that writes. It takes what is waiting, does all of it in one transaction, waits once for the disk, and only
//! then lets the callers know. There are a few of them; [`super::claims`] keeps them, and those of other gateways, from
//! deciding about the same thing at once.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::batch::{Batch, End};
use super::claims::Claims;
use super::connection::Server;
use super::session::Link;
use crate::store::StoreError;
use crate::store::sql::fault::Fault;
use crate::store::sql::job::Job;
use crate::store::sql::pulse::Pulse;
use crate::store::sql::queue::Load;
use crate::store::sql::session::{Session, values};
use crate::store::sql::submission::Desk;

/// How long a writer waits for work while the store is ill before it tries by itself.
const TRIAL_PAUSE: Duration = Duration::from_millis(500);
/// How often a batch is tried in one piece, and then each of its members by itself.
const TRIES: u32 = 6;
/// Between two questions whether a commit that nobody heard the end of took place.
const ASK_PAUSE: Duration = Duration::from_millis(250);

/// A writer and what it works with.
pub(super) struct Writer {
    pub(super) server: Server,
    /// `None` while it could not be opened again.
    pub(super) link: Option<Link>,
    /// This writer, as its marker knows it, and its lane of the counts.
    pub(super) id: Uuid,
    pub(super) lane: i64,
    pub(super) desk: Arc<Desk>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) load: Arc<Load>,
    pub(super) jobs: Arc<Mutex<Receiver<Job>>>,
    pub(super) batch_len: usize,
    pub(super) batch_bytes: usize,
    /// The last transaction that was begun.
    pub(super) transaction: Uuid,
    /// The store closes: what cannot be found out now is left to the sender's repeat.
    pub(super) closing: Arc<std::sync::atomic::AtomicBool>,
}

impl Writer {
    /// Works until nobody can send any more and all is done.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.next() {
            self.work(batch);
        }
    }

    /// What is waiting: with one writer at the queue, the others find theirs afterwards.
    fn next(&mut self) -> Option<Vec<Job>> {
        loop {
            let jobs = Arc::clone(&self.jobs);
            let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.pulse.is_ill() {
                return jobs.recv().ok().map(|first| self.gather(first, &jobs));
            }
            // Whoever was told that it is ill stays away, and nobody would ever find out that it has passed.
            match jobs.recv_timeout(TRIAL_PAUSE) {
                Ok(first) => return Some(self.gather(first, &jobs)),
                Err(RecvTimeoutError::Timeout) => {
                    drop(jobs);
                    self.try_out();
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
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

    /// Commits for its own sake.
    fn try_out(&mut self) {
        let tried = self.begin().and_then(|link| {
            link.batch("COMMIT")?;
            self.link = Some(link);
            Ok(())
        });
        match tried {
            Ok(()) => self.pulse.committed(),
            Err(fault) => self.pulse.failed(fault.to_string()),
        }
    }

    fn work(&mut self, jobs: Vec<Job>) {
        let left = self.work_together(jobs);
        for job in left {
            let again = self.work_together(vec![job]);
            let error = StoreError::Database("others were always faster: try again".into());
            again.into_iter().for_each(|job| job.reject(error.clone()));
        }
    }

    /// Does all of it in one transaction; what could not be done for the sake of others is handed back.
    fn work_together(&mut self, mut jobs: Vec<Job>) -> Vec<Job> {
        let mut claims = Claims::default();
        let mut careful = false;
        for attempt in 0..TRIES {
            let link = match self.begin() {
                Ok(link) => link,
                Err(fault) => {
                    self.reject(jobs, &fault);
                    return Vec::new();
                }
            };
            let batch = Batch::run(&self.desk, &link, jobs, &mut claims, careful);
            match self.end(link, batch) {
                End::Done => return Vec::new(),
                End::Again(undone) => jobs = undone,
                End::Carefully(undone) => {
                    careful = true;
                    jobs = undone;
                }
                End::Failed(undone, fault) => {
                    self.reject(undone, &fault);
                    return Vec::new();
                }
            }
            if attempt > 1 {
                std::thread::sleep(Duration::from_millis(5 << attempt));
            }
        }
        jobs
    }

    /// A connection with an open transaction, in which the marker is written.
    fn begin(&mut self) -> Result<Link, Fault> {
        let link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => self.server.writer(self.lane)?,
        };
        self.transaction = Uuid::now_v7();
        match self.mark(&link) {
            Ok(()) => Ok(link),
            Err(fault) if fault.is_loss() => {
                // It was idle, and its server is another one by now.
                let link = self.server.writer(self.lane)?;
                self.mark(&link)?;
                Ok(link)
            }
            Err(fault) => Err(fault),
        }
    }

    /// From here on the marker is locked until the transaction has ended, however that is.
    fn mark(&self, link: &Link) -> Result<(), Fault> {
        link.send("BEGIN")?;
        link.write(MARK, values![&self.id, &self.transaction, Timestamp::now()])?;
        link.flush()
    }

    /// Ends the transaction, and tells whoever waits what is certain.
    fn end(&mut self, link: Link, batch: Batch) -> End {
        let begin = Instant::now();
        let fault = match batch.outcome() {
            Ok(()) => match link.batch("COMMIT") {
                Ok(()) => {
                    self.pulse.served(batch.len(), begin.elapsed());
                    return self.committed(Some(link), batch);
                }
                Err(fault) => fault,
            },
            Err(()) => {
                let rolled_back = link.batch("ROLLBACK");
                self.link = rolled_back.is_ok().then_some(link);
                return batch.undone();
            }
        };
        drop(link);
        if !fault.is_loss() {
            // The server said so: nothing of it took effect.
            return batch.given_up(fault);
        }
        self.pulse.failed(fault.to_string());
        match self.look_up() {
            Some(true) => self.committed(None, batch),
            Some(false) => batch.given_up(fault),
            // Whoever waits learns that the store closed: it may have been done.
            None => End::Done,
        }
    }

    fn committed(&mut self, link: Option<Link>, batch: Batch) -> End {
        self.link = link;
        self.pulse.committed();
        batch.tell();
        End::Done
    }

    /// Did the last transaction take place? Whoever asks writes the marker himself: as long as that transaction is open
    /// he waits for its end, for it holds the marker; afterwards the marker says which one was the last that committed.
    /// `None`: the store closes before there is an answer.
    fn look_up(&mut self) -> Option<bool> {
        loop {
            match self.ask() {
                Ok(committed) => return Some(committed),
                Err(fault) => self.pulse.failed(fault.to_string()),
            }
            if self.closing.load(std::sync::atomic::Ordering::Relaxed) {
                return None;
            }
            std::thread::sleep(ASK_PAUSE);
        }
    }

    fn ask(&mut self) -> Result<bool, Fault> {
        let link = self.server.writer(self.lane)?;
        let session: &dyn Session = &link;
        let last: Option<Uuid> =
            session.one(ASK, values![&self.id, &Uuid::nil(), Timestamp::now()], |row| row.get(0))?;
        self.link = Some(link);
        Ok(last == Some(self.transaction))
    }

    fn reject(&self, jobs: Vec<Job>, fault: &Fault) {
        if fault.is_illness() {
            self.pulse.failed(fault.to_string());
        }
        let error = StoreError::Database(fault.to_string().into());
        jobs.into_iter().for_each(|job| job.reject(error.clone()));
    }
}

/// Forgets writers that have not written for a week.
pub(super) fn forget_the_gone(link: &Link) -> Result<(), Fault> {
    let before = Timestamp::now() - Duration::from_secs(7 * 24 * 3600);
    link.execute("DELETE FROM commit_marker WHERE at < ?1", values![before]).map(drop)
}

const MARK: &str = "INSERT INTO commit_marker (writer, last, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (writer) DO UPDATE SET last = excluded.last, at = excluded.at";
const ASK: &str = "INSERT INTO commit_marker (writer, last, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (writer) DO UPDATE SET at = excluded.at RETURNING last";
