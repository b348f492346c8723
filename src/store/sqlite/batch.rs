//! One transaction's worth of work, in which a failure undoes nothing but the work that failed.
//!
//! A savepoint for each piece of work would be the plain way, but SQLite then copies every page that the work
//! touches, some twenty of them, and that takes longer than the work (measured). Failures are rare: what was
//! decided would have broken a constraint. So at the first one the transaction begins anew, what was done before
//! is written again as it was decided, and only from there on each piece of work has its savepoint.

use rusqlite::Connection;

use super::transaction;
use crate::store::StoreError;
use crate::store::sql::fault::Fault;
use crate::store::sql::job::{Done, Job};
use crate::store::sql::submission::{self, Desk, Filing, Witness};
use crate::store::sql::tally::Tally;

/// Whoever writes is alone: between looking and deciding nothing changes.
struct Alone;

impl Witness for Alone {}

/// See the module.
#[derive(Default)]
pub(in crate::store) struct Batch {
    done: Vec<Done>,
    /// Not done, because the whole transaction is lost.
    undone: Vec<Job>,
    /// Tells those whose work failed by itself.
    failures: Vec<Box<dyn FnOnce()>>,
    tally: Tally,
    /// A failure that the transaction survived, but that was not the fault of the work.
    pub(in crate::store) illness: Option<String>,
    /// The transaction is no more.
    lost: Option<Fault>,
    /// Something failed before: each piece of work has its savepoint now.
    careful: bool,
}

impl Batch {
    /// Does a piece of work. Nobody hears of it before the transaction has ended.
    pub(in crate::store) fn run(&mut self, desk: &Desk, conn: &Connection, job: Job) {
        // Outside of the transaction each statement would be durable by itself.
        if self.lost.is_none() && conn.is_autocommit() {
            self.lost = Some(Fault::Broken("the transaction was lost"));
        }
        if self.lost.is_some() {
            return self.undone.push(job);
        }
        match job {
            Job::Submit(submission, answer) => match submission::judge(desk, conn, &submission, &Alone) {
                Ok(outcome) => self.write(conn, Done::Filed(Box::new(Filing::new(submission, outcome)), answer)),
                Err(fault) => self.note(fault, |error| drop(answer.send(Err(error)))),
            },
            Job::Settle(settle, answer) => self.write(conn, Done::Settled(settle, answer)),
            Job::Act(act, answer) => self.write(conn, Done::Acted(act, answer)),
            #[cfg(test)]
            Job::Probe(probe, answer) => {
                probe(conn);
                self.done.push(Done::Probed(probe, answer));
            }
        }
    }

    fn write(&mut self, conn: &Connection, work: Done) {
        let mark = self.tally.mark();
        let written = if self.careful { self.write_guarded(conn, &work) } else { work.write(conn, &mut self.tally) };
        let Err(fault) = written else { return self.done.push(work) };
        self.tally.back_to(mark);
        if conn.is_autocommit() {
            // The database gave all of it up, as it does when the disk is full.
            self.lost = Some(fault);
            return self.done.push(work);
        }
        // What is refused is refused before anything is written.
        if !matches!(fault, Fault::Refused(_)) {
            self.recover(conn);
        }
        self.note(fault, |error| work.undone().reject(error));
    }

    fn write_guarded(&mut self, conn: &Connection, work: &Done) -> Result<(), Fault> {
        transaction::savepoint(conn)?;
        work.write(conn, &mut self.tally)?;
        transaction::release(conn)
    }

    /// Brings the transaction back to where it was before the work that failed.
    fn recover(&mut self, conn: &Connection) {
        let recovered = if self.careful {
            transaction::undo(conn).and_then(|()| transaction::release(conn))
        } else {
            self.begin_anew(conn)
        };
        self.careful = true;
        self.lost = recovered.err();
    }

    /// What was decided stands only on the state that it was decided on.
    fn begin_anew(&self, conn: &Connection) -> Result<(), Fault> {
        let before = transaction::data_version(conn)?;
        transaction::roll_back(conn)?;
        transaction::begin(conn)?;
        if transaction::data_version(conn)? != before {
            return Err(Fault::Broken("another process wrote while the transaction began anew"));
        }
        let mut counted = Tally::default();
        self.done.iter().try_for_each(|work| work.write(conn, &mut counted))
    }

    fn note(&mut self, fault: Fault, tell: impl FnOnce(StoreError) + 'static) {
        if fault.is_illness() {
            self.illness = Some(fault.to_string());
        }
        if !matches!(fault, Fault::Refused(_)) {
            tracing::warn!(failure = %fault, "a piece of work failed");
        }
        let error = StoreError::from(fault);
        self.failures.push(Box::new(move || tell(error)));
    }

    /// Makes it durable.
    pub(in crate::store) fn commit(&mut self, conn: &Connection) -> Result<(), Fault> {
        if let Some(fault) = self.lost.take() {
            return Err(fault);
        }
        if conn.is_autocommit() {
            return Err(Fault::Broken("the transaction was lost"));
        }
        std::mem::take(&mut self.tally).write(conn)?;
        transaction::commit(conn)
    }

    /// It is durable: whoever waits may know.
    pub(in crate::store) fn tell(self) {
        self.done.into_iter().for_each(Done::tell);
        self.failures.into_iter().for_each(|tell| tell());
    }

    /// None of it took effect.
    pub(in crate::store) fn tell_failure(self, error: &StoreError) {
        self.done.into_iter().for_each(|work| work.undone().reject(error.clone()));
        self.undone.into_iter().for_each(|job| job.reject(error.clone()));
        self.failures.into_iter().for_each(|tell| tell());
    }
}
