//! HL7 v2 on its way in: read, decided, durable, and only then acknowledged.
//!
//! A message is decided in the transaction that keeps it, so there is nothing to recover after a crash: what was
//! acknowledged has had its effect. What cannot be applied is kept in quarantine with its reason and its place, for a
//! person ([`Settled`]). A repeat (same channel, MSH-3, MSH-4, MSH-10 and bytes) gets the first answer, byte for byte.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use metrics::counter;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Intake, Tell};
use crate::booking::command::Command;
use crate::booking::decision::{Change, Decision, Refusal};
use crate::hl7v2::ack::{Mode, Problem, Reply, Verdict as Acknowledged, framable};
use crate::hl7v2::batch;
use crate::hl7v2::delimiters::Delimiters;
use crate::hl7v2::header::Header;
use crate::hl7v2::write::Writer;
use crate::issue::{FEED_LEAP, Issue, PERSON_DECIDED, Severity};
use crate::pas::inbound::dialect::Dialect;
use crate::pas::inbound::reading::Found;
use crate::pas::inbound::{self, Surroundings};
use crate::store::{self, Answer, Letter, Message, Settles, Verdict, Work};
use crate::telemetry::metric;

/// Longest wait for a message to be durable. Peers send again after ten seconds or more; the connection is closed
/// before that, so that a late answer is never taken for the next message's.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);
/// Stands between the answers to one message where they are kept; no answer holds it.
const BETWEEN_ANSWERS: u8 = 0x1C;

/// A channel that messages come in by.
#[derive(Clone)]
pub struct Feed {
    /// Its name.
    pub channel: String,
    /// The organisation that speaks on it (ODS code); empty: not known.
    pub organisation: String,
    /// How its messages are read.
    pub dialect: Dialect,
    /// Renders what referrers are told of what is said on it.
    pub tell: Tell,
}

/// A message that is ready for the store.
pub struct Prepared {
    /// For the journal.
    pub message: Message,
    /// What is to be done with it.
    pub work: Work,
    /// The answers, should it be accepted; none where it cannot be.
    accepted: Vec<u8>,
}

impl Prepared {
    /// The answers, should it be accepted; 1C stands between them. None where it cannot be.
    pub fn accepted(&self) -> &[u8] {
        &self.accepted
    }
}

impl Intake {
    /// One frame of a channel, with a message or a batch of them. `None`: the connection is to be closed without an
    /// answer, so that the sender keeps the message; so it is when it could not be kept here.
    pub async fn receive_hl7(&self, feed: &Feed, body: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        match batch::read(&body).filter(|batch| !batch.messages.is_empty()) {
            Some(batch) => self.receive_batch(feed, &batch).await.map(|answer| vec![answer]),
            None => self.receive_one(feed, body).await,
        }
    }

    async fn receive_one(&self, feed: &Feed, body: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let settings = &self.settings;
        let number = std::str::from_utf8(Header::read(&body).component(13, 1)).ok().and_then(|it| it.parse().ok());
        let Prepared { mut message, work, accepted } = prepare(feed, body, settings.sandbox, None);
        if number.is_some_and(|number| self.counts.leaps(&feed.channel, &message.correlation, number)) {
            counter!(metric::FEED_LEAPS, "channel" => feed.channel.clone()).increment(1);
            message.issues.push(Issue::new(&FEED_LEAP, "MSH-13"));
        }
        let verdict = timeout(DURABLE_WITHIN, self.store.submit(message, work)).await;
        if let Ok(Ok(verdict)) = &verdict {
            let state = state(verdict);
            counter!(metric::MESSAGES, "channel" => feed.channel.clone(), "outcome" => state).increment(1);
        }
        let answers = match verdict {
            Ok(Ok(Verdict::Accepted { letters, .. })) => {
                if 0 < letters {
                    (settings.wake)();
                }
                accepted
            }
            Ok(Ok(
                Verdict::Refused { answer, .. } | Verdict::Duplicate { answer, .. } | Verdict::Repeated { answer },
            )) => answer.body.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::error!(%error, channel = feed.channel, "a message could not be kept and was not answered");
                return None;
            }
            Err(_) => {
                tracing::error!(channel = feed.channel, "a message was not durable in time and was not answered");
                return None;
            }
        };
        Some(separate(&answers))
    }

    /// Each message by itself; what was applied stays applied, whatever the envelope says. The answer is a batch of
    /// theirs. Where one cannot be kept there is none for any: the sender sends the batch again, and those that were
    /// kept get their first answers.
    async fn receive_batch(&self, feed: &Feed, batch: &batch::Batch<'_>) -> Option<Vec<u8>> {
        let mut answers = Vec::new();
        for message in &batch.messages {
            answers.extend(self.receive_one(feed, message.to_vec()).await?);
        }
        Some(batch_answer(batch, &answers))
    }
}

/// The state that it is counted in.
fn state(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted { decision, .. } => decision.effect.as_str(),
        Verdict::Refused { .. } => "quarantined",
        Verdict::Duplicate { .. } | Verdict::Repeated { .. } => "duplicate",
    }
}

fn batch_answer(batch: &batch::Batch<'_>, answers: &[Vec<u8>]) -> Vec<u8> {
    let comment = batch.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let mut head = Writer::new(Delimiters::STANDARD);
    let mut bhs = head.segment("BHS");
    bhs.raw(1, b"^~\\&").text(6, &now_hl7(Timestamp::now())).text(9, &comment).raw(11, &framable(batch.control_id));
    drop(bhs);
    let mut tail = Writer::new(Delimiters::STANDARD);
    tail.segment("BTS").text(1, &answers.len().to_string()).text(2, &comment);
    let mut out = head.finish();
    answers.iter().for_each(|answer| out.extend_from_slice(answer));
    out.extend_from_slice(&tail.finish());
    out
}

/// Reads a message and says what is to be done with it. `settles`: a person has this quarantined message read again.
pub fn prepare(feed: &Feed, body: Vec<u8>, sandbox: bool, settles: Option<Settles>) -> Prepared {
    let (now, id) = (Timestamp::now(), Uuid::now_v7());
    let outcome = inbound::read(&body, &feed.dialect, Surroundings { sandbox, now });
    let header = Header::read(&body);
    let mut problems: Vec<Problem<'_>> = outcome.found.iter().map(problem).collect();
    // Many look at MSA-3 and the first ERR only: what the message is refused for goes before what was noted by the way.
    problems.sort_by_key(|problem| problem.lenient);
    let answers = |verdict, problems: &[Problem<'_>]| {
        if outcome.silent { Vec::new() } else { acknowledge(&header, verdict, problems, now) }
    };
    let (work, accepted) = match outcome.event {
        Some(event) => {
            let command = Box::new(Command::Feed(Box::new(event)));
            let accepted = answers(Acknowledged::Accepted, &[]);
            let sender = (!outcome.silent).then(|| header.line().to_vec());
            (Work::Decide { command, answer: decided(id, accepted.clone(), sender, &feed.tell) }, accepted)
        }
        None => (Work::Refuse(kept(answers(outcome.verdict, &problems))), Vec::new()),
    };
    let decided_by_a_person = settles.iter().map(|_| Issue::new(&PERSON_DECIDED, ""));
    let message = Message {
        id,
        received_at: now,
        channel: if settles.is_some() { "cli" } else { "mllp" },
        caller: feed.channel.clone(),
        organisation: feed.organisation.clone(),
        key: key(feed, &header, &body).filter(|_| settles.is_none()),
        correlation: correlation(&header),
        bundle: String::from_utf8_lossy(header.control_id()).into_owned(),
        issues: decided_by_a_person.chain(outcome.found.iter().map(|found| found.issue.clone())).collect(),
        kind: outcome.kind,
        body,
        feed: Some(store::Feed { settles, counted: true }),
    };
    Prepared { message, work, accepted }
}

/// A person has decided that a quarantined message will not be applied.
pub fn skip(settles: Settles) -> (Message, Work) {
    let message = Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "cli",
        caller: settles.who.clone(),
        organisation: String::new(),
        kind: "skip".to_owned(),
        key: None,
        correlation: String::new(),
        bundle: settles.message.to_string(),
        body: Vec::new(),
        issues: vec![Issue::new(&PERSON_DECIDED, "")],
        feed: Some(store::Feed { settles: Some(settles), counted: false }),
    };
    let answer = Box::new(|_: &Result<Decision, Refusal>| Answer::default());
    (message, Work::Decide { command: Box::new(Command::Skip), answer })
}

/// What was held for a person here is safe, and nothing that its sender could mend. Referrers are told in the same
/// transaction, so that no change goes untold and none is told twice. `sender`: the header of the message, should it have
/// to be refused, which is rare; `None`: it is not answered.
fn decided(message: Uuid, accepted: Vec<u8>, sender: Option<Vec<u8>>, tell: &Tell) -> store::AnswerFn {
    let tell = Arc::clone(tell);
    Box::new(move |result: &Result<Decision, Refusal>| match result {
        Err(refusal) if !refusal.alarm => kept(sender.iter().flat_map(|header| refused(header)).collect()),
        Err(_) => kept(accepted.clone()),
        Ok(decision) => Answer { letters: letters(decision, message, &tell), ..kept(accepted.clone()) },
    })
}

fn refused(header: &[u8]) -> Vec<u8> {
    acknowledge(&Header::read(header), Acknowledged::Error, &[], Timestamp::now())
}

fn letters(decision: &Decision, message: Uuid, tell: &Tell) -> Vec<Letter> {
    let tellings = decision.changes.iter().filter_map(|change| match change {
        Change::Tell(telling) => tell(telling, message),
        _ => None,
    });
    tellings.collect()
}

fn kept(answers: Vec<u8>) -> Answer {
    Answer { status: 0, body: Some(answers), letters: Vec::new() }
}

fn acknowledge(header: &Header<'_>, verdict: Acknowledged, problems: &[Problem<'_>], now: Timestamp) -> Vec<u8> {
    let codes = Mode::of(header).answers(verdict);
    let answers = codes.into_iter().flatten().map(|code| {
        let id = Uuid::now_v7().simple().to_string();
        let control_id = &id[12..];
        let text = problems.first().map_or("", |problem| problem.application_code);
        Reply { code, control_id, at: &now_hl7(now), text, problems, version: "2.4" }.render(header)
    });
    answers.collect::<Vec<_>>().join(&BETWEEN_ANSWERS)
}

fn separate(answers: &[u8]) -> Vec<Vec<u8>> {
    let answers = answers.split(|byte| *byte == BETWEEN_ANSWERS).filter(|answer| !answer.is_empty());
    answers.map(<[u8]>::to_vec).collect()
}

fn now_hl7(now: Timestamp) -> String {
    now.strftime("%Y%m%d%H%M%S+0000").to_string()
}

fn problem(found: &Found) -> Problem<'_> {
    Problem {
        place: found.path,
        code: inbound::table_0357(found),
        lenient: found.issue.severity != Severity::Error,
        application_code: found.issue.code.id,
        text: found.issue.code.meaning,
    }
}

/// The sender, within whom a control id is unique.
fn correlation(header: &Header<'_>) -> String {
    let text = |field| String::from_utf8_lossy(header.component(field, 1)).into_owned();
    format!("{}|{}", text(3), text(4))
}

/// The same message again: channel, MSH-3, MSH-4, MSH-10 and the bytes. Without a control id nothing is the same.
fn key(feed: &Feed, header: &Header<'_>, body: &[u8]) -> Option<String> {
    let hash = Sha256::new_with_prefix(header.raw(3))
        .chain_update([0])
        .chain_update(header.raw(4))
        .chain_update([0])
        .chain_update(header.control_id())
        .chain_update([0])
        .chain_update(body)
        .finalize();
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    (!header.control_id().is_empty()).then(|| format!("hl7:{}:{hash}", feed.channel))
}
