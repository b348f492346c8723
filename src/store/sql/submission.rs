//! One message, from the ledger to its answer, inside the writer's transaction: first everything is looked up and
//! decided, then everything is written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::journal::{self, Entry, First};
use super::session::Session;
use super::tally::Tally;
use super::{apply, column, feed, number, outbox, state};
use crate::booking::command::Command;
use crate::booking::decision::{Decision, Refusal, Rules, State};
use crate::reconcile::weight::Weights;
use crate::store::{Answer, AnswerFn, DecideFn, Letter, Message, Verdict, Work};
use crate::telemetry::metric;

/// How decisions are made here.
pub(in crate::store) struct Desk {
    pub(in crate::store) rules: Rules,
    /// How people are compared.
    pub(in crate::store) weights: Arc<Weights>,
    pub(in crate::store) decide: DecideFn,
}

/// A message made ready for the writer: its body is packed and hashed.
pub(in crate::store) struct Submission {
    /// Its `body` is packed.
    message: Message,
    body_bytes: usize,
    sha256: [u8; 32],
    work: Work,
    /// What it touches as far as that is known beforehand, where gateways must not meet.
    claims: Vec<i32>,
}

impl Submission {
    /// Does what costs time on the caller's thread, so that the writer only writes.
    pub(in crate::store) fn prepare(mut message: Message, work: Work, claims: Vec<i32>) -> Self {
        let sha256 = Sha256::digest(&message.body).into();
        let body_bytes = message.body.len();
        message.body = column::packed(&message.body);
        Self { message, body_bytes, sha256, work, claims }
    }

    /// What it touches, as it was said when it was prepared.
    pub(in crate::store) fn claims(&self) -> &[i32] {
        &self.claims
    }

    /// What it takes up in memory, about.
    pub(in crate::store) fn bytes(&self) -> usize {
        self.message.body.len() + 1024
    }
}

/// A message with what is to be told about it: all that is to be written, so that it can be written again
/// should the transaction have to begin anew.
pub(in crate::store) struct Filing {
    submission: Box<Submission>,
    outcome: Outcome,
}

/// What became of a message.
pub(in crate::store) enum Outcome {
    Accepted { command: &'static str, decision: Box<Decision>, answer: Answer },
    Refused { command: Option<&'static str>, refusal: Option<Refusal>, answer: Answer },
    Duplicate(First),
    Repeated(First),
}

/// Is shown what a decision rests on and what follows from it, and may stop it.
pub(in crate::store) trait Witness {
    /// This was read.
    fn read(&self, _state: &State) -> Result<(), Fault> {
        Ok(())
    }

    /// This is to be written.
    fn decided(&self, _decision: &Decision, _letters: &[Letter]) -> Result<(), Fault> {
        Ok(())
    }
}

/// Recognises a repeat, or decides and renders the answer. Writes nothing.
pub(in crate::store) fn judge(
    desk: &Desk,
    conn: &dyn Session,
    submission: &Submission,
    witness: &dyn Witness,
) -> Result<Outcome, Fault> {
    let message = &submission.message;
    let settles = message.feed.as_ref().and_then(|feed| feed.settles.as_ref());
    if let Some(settles) = settles
        && !feed::in_quarantine(conn, settles.message)?
    {
        return Err(Fault::Refused("the message is not in quarantine"));
    }
    let first = message.key.as_deref().map(|key| journal::first_find(conn, key)).transpose()?.flatten();
    match (first, &submission.work) {
        (Some(first), _) if first.accepted => Ok(Outcome::Duplicate(first)),
        (Some(first), _) => Ok(Outcome::Repeated(first)),
        (None, Work::Refuse(answer)) => Ok(Outcome::Refused { command: None, refusal: None, answer: answer.clone() }),
        (None, Work::Decide { command, answer }) => decide(desk, conn, message, command, answer, witness),
    }
}

fn decide(
    desk: &Desk,
    conn: &dyn Session,
    message: &Message,
    command: &Command,
    answer: &AnswerFn,
    witness: &dyn Witness,
) -> Result<Outcome, Fault> {
    let command = &*number::with_current(conn, command)?;
    let state = state::load(conn, desk, &command.needs(), message)?;
    witness.read(&state)?;
    let decided = guarded("a decision panicked", || (desk.decide)(command, &state, message.received_at))?;
    let answer = guarded("an answer panicked", || answer(&decided))?;
    let command = command.name();
    Ok(match decided {
        Ok(decision) if answer.status < 500 => {
            witness.decided(&decision, &answer.letters)?;
            Outcome::Accepted { command, decision: Box::new(decision), answer }
        }
        // It could be decided but not answered: nothing of it may stay, and the sender may try again.
        Ok(_) => Outcome::Refused { command: Some(command), refusal: None, answer },
        Err(refusal) => Outcome::Refused { command: Some(command), refusal: Some(refusal), answer },
    })
}

impl Outcome {
    /// Is it the answer that a repeat of the message gets? A failure of ours is not: the repeat is tried afresh.
    fn claims_key(&self) -> bool {
        match self {
            Self::Accepted { .. } => true,
            Self::Refused { answer, .. } => answer.status < 500,
            Self::Duplicate(_) | Self::Repeated(_) => false,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Duplicate(_) => "duplicate",
            Self::Repeated(_) => "repeated",
        }
    }

    /// The one state that a message of a feed is in.
    fn feed_state(&self) -> &'static str {
        match self {
            Self::Accepted { decision, .. } => decision.effect.as_str(),
            Self::Refused { .. } => "quarantined",
            Self::Duplicate(_) | Self::Repeated(_) => "duplicate",
        }
    }

    fn entry(&self) -> Entry<'_> {
        match self {
            Self::Accepted { command, decision, answer } => accepted_entry(command, decision, answer),
            Self::Refused { command, refusal, answer } => Entry {
                status: answer.status,
                answer: answer.body.as_deref(),
                command: *command,
                alarm: refusal.as_ref().is_some_and(|refusal| refusal.alarm),
                issues: refusal.iter().map(|refusal| &*refusal.issue).collect(),
                ..Entry::default()
            },
            Self::Duplicate(first) | Self::Repeated(first) => {
                Entry { first: Some(first.message), status: first.answer.status, ..Entry::default() }
            }
        }
    }
}

fn accepted_entry<'a>(command: &'static str, decision: &'a Decision, answer: &'a Answer) -> Entry<'a> {
    Entry {
        status: answer.status,
        answer: answer.body.as_deref(),
        letters: answer.letters.len(),
        command: Some(command),
        patient: decision.patient.as_ref().map(|patient| patient.id.0),
        referral: decision.referral.as_ref().map(|referral| referral.id.0),
        appointment: decision.appointment.as_ref().map(|appointment| appointment.id.0),
        issues: decision.warnings.iter().collect(),
        ..Entry::default()
    }
}

impl Filing {
    /// What became of this message.
    pub(in crate::store) fn new(submission: Box<Submission>, outcome: Outcome) -> Self {
        Self { submission, outcome }
    }

    /// The message, to be judged anew.
    pub(in crate::store) fn into_submission(self) -> Box<Submission> {
        self.submission
    }

    /// Writes what was decided, the journal's row and the letters.
    pub(in crate::store) fn write(&self, conn: &dyn Session, tally: &mut Tally) -> Result<(), Fault> {
        let (Submission { message, body_bytes, sha256, .. }, outcome) = (&*self.submission, &self.outcome);
        if let Outcome::Accepted { decision, .. } = outcome {
            apply::changes(conn, message, decision)?;
        }
        tally.message(outcome.name());
        let key = message.key.as_deref().filter(|_| outcome.claims_key());
        let entry = Entry { key, ..outcome.entry() };
        journal::insert(conn, message, *body_bytes, sha256, outcome.name(), &entry)?;
        if let Some(feed) = &message.feed {
            if feed.counted {
                feed::note(conn, message, outcome.feed_state(), &entry.issues)?;
            }
            feed.settles.iter().try_for_each(|settles| feed::settle(conn, message.id, settles))?;
        }
        match outcome {
            Outcome::Accepted { answer, .. } => {
                answer.letters.iter().try_for_each(|letter| outbox::insert(conn, tally, message, letter))
            }
            _ => Ok(()),
        }
    }

    /// What the caller is told once it is durable.
    pub(in crate::store) fn verdict(self) -> Verdict {
        for issue in self.submission.message.issues.iter().chain(self.outcome.entry().issues) {
            metrics::counter!(metric::ISSUES, "code" => issue.code.id).increment(1);
        }
        match self.outcome {
            Outcome::Accepted { decision, answer, .. } => Verdict::Accepted { decision, letters: answer.letters.len() },
            Outcome::Refused { refusal, answer, .. } => {
                Verdict::Refused { refusal, answer: Answer { letters: Vec::new(), ..answer } }
            }
            Outcome::Duplicate(first) => Verdict::Duplicate { first: first.message, answer: first.answer },
            Outcome::Repeated(first) => Verdict::Repeated { answer: first.answer },
        }
    }
}

/// Code that is not the store's own must not end the writer. What it said when it panicked is left out.
fn guarded<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Fault::Broken(what))
}
