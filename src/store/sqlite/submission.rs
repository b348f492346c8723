//! One message, from the ledger to its answer, inside the writer's transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::fault::Fault;
use super::journal::{self, Entry, First};
use super::tally::Tally;
use super::{apply, column, outbox, savepoint, state};
use crate::booking::command::Command;
use crate::booking::decision::{Decision, Refusal, Rules};
use crate::store::{Answer, AnswerFn, DecideFn, Message, Verdict, Work};

/// How decisions are made here.
pub(super) struct Desk {
    pub(super) rules: Rules,
    pub(super) decide: DecideFn,
}

/// A message made ready for the writer: its body is packed and hashed.
pub(super) struct Submission {
    /// Its `body` is packed.
    pub(super) message: Message,
    pub(super) body_bytes: usize,
    pub(super) sha256: [u8; 32],
    work: Work,
}

impl Submission {
    /// Does what costs time on the caller's thread, so that the writer only writes.
    pub(super) fn prepare(mut message: Message, work: Work) -> Self {
        let sha256 = Sha256::digest(&message.body).into();
        let body_bytes = message.body.len();
        message.body = column::packed(&message.body);
        Self { message, body_bytes, sha256, work }
    }

    /// What it takes up in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.message.body.len() + 1024
    }
}

/// Does it: answers a repeat, keeps a refusal, or decides.
pub(super) fn run(desk: &Desk, conn: &Connection, tally: &mut Tally, submission: Submission) -> Result<Verdict, Fault> {
    let Submission { message, body_bytes, sha256, work } = submission;
    let mut task = Task { conn, tally, message, body_bytes, sha256 };
    let first = task.message.key.as_deref().map(|key| journal::first_find(conn, key)).transpose()?.flatten();
    match (first, work) {
        (Some(first), _) => task.repeat(first),
        (None, Work::Refuse(answer)) => task.refuse(None, None, answer),
        (None, Work::Decide { command, answer }) => task.decide(desk, &command, answer),
    }
}

struct Task<'a> {
    conn: &'a Connection,
    tally: &'a mut Tally,
    message: Message,
    body_bytes: usize,
    sha256: [u8; 32],
}

impl Task<'_> {
    fn repeat(mut self, first: First) -> Result<Verdict, Fault> {
        let entry = Entry { first: Some(first.message), status: first.answer.status, ..Entry::default() };
        self.message.key = None;
        if first.accepted {
            self.file("duplicate", &entry)?;
            return Ok(Verdict::Duplicate { first: first.message });
        }
        self.file("repeated", &entry)?;
        Ok(Verdict::Repeated { answer: first.answer })
    }

    fn decide(&mut self, desk: &Desk, command: &Command, answer: AnswerFn) -> Result<Verdict, Fault> {
        let state = state::load(self.conn, desk.rules, &command.needs())?;
        let now = self.message.received_at;
        let outcome = guarded("a decision panicked", || (desk.decide)(command, &state, now))?;
        if let Ok(decision) = &outcome {
            apply::changes(self.conn, decision)?;
        }
        let answer = guarded("an answer panicked", || answer(&outcome))?;
        match outcome {
            Ok(decision) if answer.status < 500 => self.accept(command, decision, answer),
            Ok(_) => self.take_back(command, answer),
            Err(refusal) => self.refuse(Some(command), Some(refusal), answer),
        }
    }

    fn accept(&mut self, command: &Command, decision: Decision, answer: Answer) -> Result<Verdict, Fault> {
        let entry = Entry {
            status: answer.status,
            answer: answer.body.as_deref(),
            command: Some(command.name()),
            patient: decision.patient.as_ref().map(|patient| patient.id.0),
            referral: decision.referral.as_ref().map(|referral| referral.id.0),
            appointment: decision.appointment.as_ref().map(|appointment| appointment.id.0),
            issues: decision.warnings.iter().collect(),
            ..Entry::default()
        };
        self.file("accepted", &entry)?;
        for letter in &answer.letters {
            outbox::insert(self.conn, self.tally, &self.message, letter)?;
        }
        Ok(Verdict::Accepted { decision: Box::new(decision), letters: answer.letters.len() })
    }

    /// It could be decided but not answered: nothing of it may stay, and the sender may try again.
    fn take_back(&mut self, command: &Command, answer: Answer) -> Result<Verdict, Fault> {
        savepoint::undo(self.conn)?;
        self.refuse(Some(command), None, answer)
    }

    fn refuse(
        &mut self,
        command: Option<&Command>,
        refusal: Option<Refusal>,
        mut answer: Answer,
    ) -> Result<Verdict, Fault> {
        // A failure of ours is not the answer to the message: its repeat is tried afresh.
        if answer.status >= 500 {
            self.message.key = None;
        }
        answer.letters.clear();
        let entry = Entry {
            status: answer.status,
            answer: answer.body.as_deref(),
            command: command.map(Command::name),
            alarm: refusal.as_ref().is_some_and(|refusal| refusal.alarm),
            issues: refusal.iter().map(|refusal| &*refusal.issue).collect(),
            ..Entry::default()
        };
        self.file("refused", &entry)?;
        Ok(Verdict::Refused { refusal, answer })
    }

    fn file(&mut self, outcome: &'static str, entry: &Entry<'_>) -> Result<(), Fault> {
        self.tally.message(outcome);
        journal::insert(self.conn, &self.message, self.body_bytes, &self.sha256, outcome, entry)
    }
}

/// Code that is not the store's own must not end the writer. What it said when it panicked is left out.
fn guarded<T>(what: &'static str, work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Fault::Broken(what))
}
