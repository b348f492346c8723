//! A piece of work, who waits for it, and what is said to them in the end.

use tokio::sync::oneshot;

use super::act;
use super::fault::Fault;
use super::outbox::{self, Fence};
use super::session::Session;
use super::submission::{Filing, Submission};
use super::tally::Tally;
use crate::store::act::Act;
use crate::store::{Settlement, StoreError, Verdict};

/// A piece of work and who waits for it.
pub(in crate::store) enum Job {
    /// A message.
    Submit(Box<Submission>, Answer<Verdict>),
    /// What became of a letter.
    Settle(Box<Settle>, Answer<()>),
    /// What somebody did at the command line.
    Act(Box<Act>, Answer<()>),
    /// For tests of what cannot be brought about from outside.
    #[cfg(test)]
    Probe(Probe, Answer<()>),
}

/// See [`Job::Probe`].
#[cfg(test)]
pub(in crate::store) type Probe = std::sync::Arc<dyn Fn(&dyn Session) + Send + Sync>;

/// What became of a letter.
pub(in crate::store) struct Settle {
    pub(in crate::store) letter: i64,
    pub(in crate::store) settlement: Settlement,
    /// Where gateways take letters from each other: as whose it is settled.
    pub(in crate::store) fence: Option<Fence>,
}

impl Settle {
    fn write(&self, conn: &dyn Session, tally: &mut Tally) -> Result<(), Fault> {
        self.fence.iter().try_for_each(|fence| outbox::check_fence(conn, self.letter, fence))?;
        outbox::settle(conn, tally, self.letter, &self.settlement)
    }
}

/// Where a result goes.
pub(in crate::store) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

impl Job {
    /// What it takes up in memory, about.
    pub(in crate::store) fn bytes(&self) -> usize {
        match self {
            Self::Submit(submission, _) => submission.bytes(),
            _ => 0,
        }
    }

    /// Tells whoever waits that it was not done. Whoever has stopped waiting does not hear it.
    pub(in crate::store) fn reject(self, error: StoreError) {
        match self {
            Self::Submit(_, answer) => drop(answer.send(Err(error))),
            Self::Settle(_, answer) | Self::Act(_, answer) => drop(answer.send(Err(error))),
            #[cfg(test)]
            Self::Probe(_, answer) => drop(answer.send(Err(error))),
        }
    }
}

/// Work that is written but not yet durable, and who waits for it.
pub(in crate::store) enum Done {
    Filed(Box<Filing>, Answer<Verdict>),
    Settled(Box<Settle>, Answer<()>),
    Acted(Box<Act>, Answer<()>),
    #[cfg(test)]
    Probed(Probe, Answer<()>),
}

impl Done {
    /// Writes it.
    pub(in crate::store) fn write(&self, conn: &dyn Session, tally: &mut Tally) -> Result<(), Fault> {
        match self {
            Self::Filed(filing, _) => filing.write(conn, tally),
            Self::Settled(settle, _) => settle.write(conn, tally),
            Self::Acted(act, _) => act::write(conn, act),
            #[cfg(test)]
            Self::Probed(..) => Ok(()),
        }
    }

    /// It is durable. Whoever has stopped waiting does not hear it; it stays true.
    pub(in crate::store) fn tell(self) {
        match self {
            Self::Filed(filing, answer) => drop(answer.send(Ok(filing.verdict()))),
            Self::Settled(_, answer) | Self::Acted(_, answer) => drop(answer.send(Ok(()))),
            #[cfg(test)]
            Self::Probed(_, answer) => drop(answer.send(Ok(()))),
        }
    }

    /// The work as it came, to be done again.
    pub(in crate::store) fn undone(self) -> Job {
        match self {
            Self::Filed(filing, answer) => Job::Submit(filing.into_submission(), answer),
            Self::Settled(settle, answer) => Job::Settle(settle, answer),
            Self::Acted(act, answer) => Job::Act(act, answer),
            #[cfg(test)]
            Self::Probed(probe, answer) => Job::Probe(probe, answer),
        }
    }
}
