//! One transaction's worth of work.
//!
//! The work is claimed as a whole, then looked up, decided and written piece by piece. A piece whose writing fails
//! spoils the transaction: it begins anew, and from then on each piece has its savepoint, so that the next failure
//! undoes nothing but its own work.

use super::claims::{Claims, Overseer};
use super::session::Link;
use crate::store::sql::fault::Fault;
use crate::store::sql::job::{Done, Job};
use crate::store::sql::session::{Session, values};
use crate::store::sql::submission::{self, Desk, Filing};
use crate::store::sql::tally::Tally;
use crate::store::{StoreError, sql::submission::Submission};

const CLAIM: &str = "INSERT INTO claim (bucket, times) SELECT bucket, 1 FROM unnest($1::int4[]) AS wanted (bucket)
    ORDER BY bucket ON CONFLICT (bucket) DO UPDATE SET times = claim.times + 1";

/// How a transaction ended.
pub(super) enum End {
    /// Everybody knows what became of their work.
    Done,
    /// Nothing of it took effect; it may go better next time.
    Again(Vec<Job>),
    /// The same, with a savepoint for each piece.
    Carefully(Vec<Job>),
    /// Nothing of it took effect, nor will it now.
    Failed(Vec<Job>, Fault),
}

/// What became of a piece of work, as long as nothing is durable.
enum Piece {
    Written(Done),
    /// It was not for the others to suffer from.
    Failed(Job, Fault),
    /// Not tried.
    Untried(Job),
}

/// See the module.
pub(super) struct Batch {
    pieces: Vec<Piece>,
    tally: Tally,
    careful: bool,
    /// Something was touched that was not claimed.
    short: bool,
    /// The transaction is spoilt.
    spoilt: Option<Fault>,
}

impl Batch {
    /// Claims, looks up, decides and writes; `claims` grows by what turns out to be touched.
    pub(super) fn run(desk: &Desk, link: &Link, jobs: Vec<Job>, claims: &mut Claims, careful: bool) -> Self {
        let mut batch = Self {
            pieces: Vec::with_capacity(jobs.len()),
            tally: Tally::default(),
            careful,
            short: false,
            spoilt: None,
        };
        if let Err(fault) = claim(link, &jobs, claims) {
            batch.spoilt = Some(fault);
        }
        let held = claims.clone();
        for job in jobs {
            let piece =
                if batch.spoilt.is_some() { Piece::Untried(job) } else { batch.piece(desk, link, job, &held, claims) };
            batch.pieces.push(piece);
        }
        if batch.spoilt.is_none() && !batch.short {
            let tally = std::mem::take(&mut batch.tally);
            batch.spoilt = tally.write(link).and_then(|()| link.flush()).err();
        }
        batch
    }

    fn piece(&mut self, desk: &Desk, link: &Link, job: Job, held: &Claims, claims: &mut Claims) -> Piece {
        let done = match job {
            Job::Submit(submission, answer) => match self.judge(desk, link, &submission, held, claims) {
                Ok(Some(outcome)) => Done::Filed(Box::new(Filing::new(submission, outcome)), answer),
                Ok(None) => return Piece::Untried(Job::Submit(submission, answer)),
                Err(fault) => return self.failed(Job::Submit(submission, answer), fault),
            },
            Job::Settle(settle, answer) => Done::Settled(settle, answer),
            Job::Act(act, answer) => Done::Acted(act, answer),
            #[cfg(test)]
            Job::Probe(probe, answer) => {
                probe(link);
                Done::Probed(probe, answer)
            }
        };
        if self.short {
            return Piece::Untried(done.undone());
        }
        self.written(link, done)
    }

    /// `None`: it rests on something that was not claimed.
    fn judge(
        &mut self,
        desk: &Desk,
        link: &Link,
        submission: &Submission,
        held: &Claims,
        claims: &mut Claims,
    ) -> Result<Option<submission::Outcome>, Fault> {
        let overseer = Overseer::new(held);
        let outcome = submission::judge(desk, link, submission, &overseer);
        let missing = overseer.missing();
        if let Some(missing) = &missing {
            claims.extend(missing);
            self.short = true;
        }
        match outcome {
            Err(fault) if fault.is_server() => Err(fault),
            _ if missing.is_some() => Ok(None),
            outcome => outcome.map(Some),
        }
    }

    /// What failed before anything was written, or was undone by itself. A failure of the database spoils the
    /// transaction.
    fn failed(&mut self, job: Job, fault: Fault) -> Piece {
        if fault.is_server() && !fault.is_of_the_work() {
            return self.spoil(job, fault);
        }
        if !matches!(fault, Fault::Refused(_)) {
            tracing::warn!(failure = %fault, "a piece of work failed");
        }
        Piece::Failed(job, fault)
    }

    fn spoil(&mut self, job: Job, fault: Fault) -> Piece {
        self.spoilt = Some(fault);
        Piece::Untried(job)
    }

    fn written(&mut self, link: &Link, done: Done) -> Piece {
        let mark = self.tally.mark();
        let written = self.write(link, &done);
        let Err(fault) = written else { return Piece::Written(done) };
        self.tally.back_to(mark);
        // What is refused is refused before anything is written.
        if self.careful || matches!(fault, Fault::Refused(_)) {
            return self.failed(done.undone(), fault);
        }
        self.spoil(done.undone(), fault)
    }

    fn write(&mut self, link: &Link, done: &Done) -> Result<(), Fault> {
        if !self.careful {
            done.write(link, &mut self.tally)?;
            return link.flush();
        }
        link.send("SAVEPOINT work")?;
        // Foreign keys that wait for the end of the transaction are this piece's, so they are looked at here.
        let checked = |()| link.send("SET CONSTRAINTS ALL IMMEDIATE");
        let written = done.write(link, &mut self.tally).and_then(checked).and_then(|()| link.flush());
        if written.as_ref().is_err_and(|fault| !fault.is_server() || fault.is_of_the_work()) {
            link.batch("ROLLBACK TO work")?;
        }
        written?;
        link.send("RELEASE work")
    }

    /// May it be committed?
    pub(super) fn outcome(&self) -> Result<(), ()> {
        if self.short || self.spoilt.is_some() { Err(()) } else { Ok(()) }
    }

    /// How many pieces of work it holds.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// It was rolled back.
    pub(super) fn undone(mut self) -> End {
        match self.spoilt.take() {
            Some(fault) => self.given_up(fault),
            None => End::Again(self.jobs()),
        }
    }

    /// It could not be committed.
    pub(super) fn given_up(self, fault: Fault) -> End {
        if !self.careful && (!fault.is_server() || fault.is_of_the_work()) {
            return End::Carefully(self.jobs());
        }
        if fault.is_loss() || fault.passes() { End::Again(self.jobs()) } else { End::Failed(self.jobs(), fault) }
    }

    /// The work as it came.
    fn jobs(self) -> Vec<Job> {
        let pieces = self.pieces.into_iter();
        pieces
            .map(|piece| match piece {
                Piece::Written(done) => done.undone(),
                Piece::Failed(job, _) | Piece::Untried(job) => job,
            })
            .collect()
    }

    /// It is durable: whoever waits may know.
    pub(super) fn tell(self) {
        for piece in self.pieces {
            match piece {
                Piece::Written(done) => done.tell(),
                Piece::Failed(job, fault) => job.reject(fault.into()),
                Piece::Untried(job) => job.reject(StoreError::Closed),
            }
        }
    }
}

/// One statement, in one order for everybody.
fn claim(link: &Link, jobs: &[Job], claims: &mut Claims) -> Result<(), Fault> {
    for job in jobs {
        match job {
            Job::Submit(submission, _) => claims.add_buckets(submission.claims()),
            // Which line a letter stands in never changes.
            Job::Settle(settle, _) => {
                let session: &dyn Session = link;
                let key =
                    session.one("SELECT key FROM outbox WHERE id = ?1", values![settle.letter], |row| row.get(0))?;
                key.into_iter().for_each(|key| claims.line(key));
            }
            // The row of the pause itself is what two would meet at.
            Job::Act(..) => {}
            #[cfg(test)]
            Job::Probe(..) => {}
        }
    }
    let buckets = claims.buckets();
    if buckets.is_empty() { Ok(()) } else { link.execute_for(CLAIM, &buckets) }
}
