//! The only SQL. What is kept: the journal (every message, its bytes, its first answer), the booking
//! records with the invariants as constraints, the diary, and the outbox.
//!
//! One submission is one unit: journal entry, state, decision, changes, outbox rows and answer become
//! durable together or not at all. Many submissions share one transaction and one fsync (group commit).

pub mod act;
#[cfg(test)]
mod contract;
pub mod ledger;
pub mod postgres;
pub(crate) mod simulated;
mod sql;
pub mod sqlite;
pub mod symptom;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::booking::appointment::Appointment;
use crate::booking::command::{Command, Subject};
use crate::booking::decision::{Decision, Refusal, State};
use crate::booking::feed::Effect;
use crate::booking::identifier::{AppointmentId, Identifier, PatientId, ReferralId, ServiceId};
use crate::booking::index::{Alike, Likeness, Link, Task, TaskState};
use crate::booking::nhs_number::NhsNumber;
use crate::booking::patient::Patient;
use crate::booking::referral::Referral;
use crate::booking::service::Service;
use crate::booking::slot::SlotStatus;
use crate::issue::Issue;
use crate::reconcile::diary::Entry;

/// A message as it came in, with what is known about it.
#[derive(Clone, Debug)]
pub struct Message {
    /// UUIDv7: sorts by arrival.
    pub id: Uuid,
    /// When its last byte arrived.
    pub received_at: Timestamp,
    /// The way it came: `https`, `mllp` or `cli`.
    pub channel: &'static str,
    /// The registered system that sent it; empty where that is not known.
    pub caller: String,
    /// The organisation that it acts for; empty where that is not known.
    pub organisation: String,
    /// What it is, in few words without patient data: `booking-request new`, `REF^I12`.
    pub kind: String,
    /// The ledger's key; a repeat of it gets the first answer. `None` where there was none to read.
    pub key: Option<String>,
    /// The conversation (`X-Correlation-Id`); empty where there is none.
    pub correlation: String,
    /// `Bundle.id`, or MSH-10; empty where there is none.
    pub bundle: String,
    /// The bytes as they came (after gzip).
    pub body: Vec<u8>,
    /// What was found wrong or remarkable before a decision was sought. No patient data.
    pub issues: Vec<Issue>,
    /// It is of a hospital's feed, whose messages are counted by what became of them.
    pub feed: Option<Feed>,
}

/// What is particular to a message of a feed.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    /// A quarantined message that a person settles by this one.
    pub settles: Option<Settles>,
    /// It is a message itself, and not only a person's decision about one.
    pub counted: bool,
}

/// What a person decided about a quarantined message.
#[derive(Clone, Debug)]
pub struct Settles {
    /// Which.
    pub message: Uuid,
    /// What was decided.
    pub as_what: Settled,
    /// Who decided, as far as this machine knows.
    pub who: String,
    /// Why. It may say anything, so it is kept with the decision and nowhere else.
    pub why: String,
}

/// What can be decided about a quarantined message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was read again, by what is configured now.
    Replayed,
    /// It will not be applied.
    Skipped,
    /// It was read again as another channel's.
    Rerouted,
}

/// The states of a message of a feed. The schema knows no others.
pub const FEED_STATES: [&str; 8] = [
    Effect::Applied.as_str(),
    Effect::Stale.as_str(),
    Effect::Ignored.as_str(),
    "duplicate",
    "quarantined",
    Settled::Replayed.as_str(),
    Settled::Skipped.as_str(),
    Settled::Rerouted.as_str(),
];

impl Settled {
    /// The name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Skipped => "skipped",
            Self::Rerouted => "rerouted",
        }
    }
}

/// A message of a feed and what became of it.
#[derive(Clone, Debug, serde::Serialize)]
#[allow(missing_docs)]
pub struct FeedRow {
    pub message: Uuid,
    pub channel: String,
    pub kind: String,
    /// One of [`FEED_STATES`].
    pub state: String,
    /// Why it is in quarantine: the `ONW-…` code …
    pub code: Option<String>,
    /// … and where.
    pub place: Option<String>,
    /// The journal's message by which a person settled it, …
    pub settled_by: Option<Uuid>,
    /// … who that was …
    pub who: Option<String>,
    /// … and why.
    pub why: Option<String>,
    pub received_at: Timestamp,
}

/// What is to be done with a message.
#[allow(missing_docs)]
pub enum Work {
    /// It was refused before any decision: keep it with its answer.
    Refuse(Answer),
    /// Decide, and answer as this function says. It runs inside the transaction: it must be quick,
    /// do no input or output, and not panic. Where the transaction must begin anew it is asked again.
    #[allow(missing_docs)]
    Decide { command: Box<Command>, answer: AnswerFn },
}

/// Renders the answer and the outbox letters of a decision.
pub type AnswerFn = Box<dyn Fn(&Result<Decision, Refusal>) -> Answer + Send>;

/// The rules by which a store decides: [`decide`](crate::booking::decide::decide).
pub type DecideFn = fn(&Command, &State, Timestamp) -> Result<Decision, Refusal>;

/// What the caller is told, and what others will be told.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status, or 0 for an MLLP message.
    pub status: u16,
    /// Kept so that a repeat gets the same; successes of BaRS keep none (a repeat gets 409).
    pub body: Option<Vec<u8>>,
    /// For the outbox.
    pub letters: Vec<Letter>,
}

/// One message for another system, rendered once: every attempt sends the same bytes.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Name of the destination in the configuration.
    pub destination: String,
    /// Letters with the same key (a patient's id) are delivered in order.
    pub key: Uuid,
    /// What it is: `REF^I12`.
    pub event: String,
    /// MSH-10: the same at every attempt.
    pub control_id: String,
    /// The bytes.
    pub body: Vec<u8>,
}

/// How a submission ended. Whatever it says is durable.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Verdict {
    /// Done. `letters`: how many it put into the outbox.
    Accepted { decision: Box<Decision>, letters: usize },
    /// Kept, with the reason.
    Refused { refusal: Option<Refusal>, answer: Answer },
    /// The key was answered with success before; nothing was done.
    Duplicate { first: Uuid, answer: Answer },
    /// The key was refused before; this is that answer.
    Repeated { answer: Answer },
}

/// Why the store could not do it. Nothing was answered, nothing took effect.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused or failed; the text has no patient data.
    #[error("the database failed: {0}")]
    Database(Arc<str>),
    /// The queue before the writer is full: try later.
    #[error("the store has all the work that it can take")]
    Full,
    /// The store is shutting down, or its writer ended.
    #[error("the store is closed")]
    Closed,
    /// The file is of a schema that this version does not know.
    #[error("schema version {found} is newer than {known}, the newest that this version knows")]
    SchemaTooNew {
        /// In the file.
        found: i64,
        /// Here.
        known: i64,
    },
    /// What was asked for is not there or not in a state for it.
    #[error("{0}")]
    Refused(&'static str),
}

/// How sure the store is that it can make things durable.
#[derive(Clone, Debug)]
pub struct Health {
    /// Which database it is: `SQLite` or `PostgreSQL`.
    pub database: &'static str,
    /// Since when it is as it is.
    pub since: Timestamp,
    /// When a commit was last durable.
    pub last_commit: Option<Timestamp>,
    /// Why the last attempt failed; `None`: it did not.
    pub failure: Option<String>,
}

/// A row of the journal.
#[derive(Clone, Debug, serde::Serialize)]
#[allow(missing_docs)]
pub struct MessageRow {
    pub id: Uuid,
    pub received_at: Timestamp,
    pub channel: String,
    pub caller: String,
    pub organisation: String,
    pub kind: String,
    pub key: Option<String>,
    pub correlation: String,
    pub bundle: String,
    /// `accepted`, `refused`, `duplicate` or `repeated`.
    pub outcome: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// `ONW-…` codes found, with their places and texts.
    pub issues: Vec<IssueRow>,
    pub command: Option<String>,
    pub patient: Option<Uuid>,
    pub referral: Option<Uuid>,
    pub appointment: Option<Uuid>,
    /// SHA-256 of the body, in hexadecimal.
    pub sha256: String,
    pub body_bytes: u64,
}

/// An issue as the journal keeps it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct IssueRow {
    pub code: String,
    pub severity: String,
    pub at: String,
    pub text: String,
}

/// A row of the outbox.
#[derive(Clone, Debug, serde::Serialize)]
#[allow(missing_docs)]
pub struct OutboxRow {
    pub id: i64,
    /// The journal message that caused it.
    pub message: Uuid,
    pub destination: String,
    pub key: Uuid,
    pub event: String,
    pub control_id: String,
    pub state: OutboxState,
    pub attempts: u32,
    /// Not before this.
    pub due_at: Timestamp,
    pub created_at: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// Why the last attempt failed, without patient data (`AE`, `timeout`, …).
    pub failure: Option<String>,
    /// How often the letter went from one gateway to another, by which a settlement is known to be of this time. Only
    /// [`Store::outbox_take`] says it.
    #[serde(skip)]
    pub lease: i64,
}

/// Where a letter stands. Everything accepted ends in exactly one of the last three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxState {
    /// To be sent.
    Queued,
    /// Confirmed by the other side.
    Delivered,
    /// A person must look; later letters of the same key wait behind it.
    Parked,
    /// No longer wanted, by a person's decision.
    Superseded,
}

impl OutboxState {
    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
            Self::Superseded => "superseded",
        }
    }
}

/// What became of an attempt, or what a person decided.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Settlement {
    /// The other side confirmed it.
    Delivered,
    /// It failed; not again before `due_at`.
    Retry { failure: String, due_at: Timestamp },
    /// It failed for good; a person must look.
    Parked { failure: String },
    /// A person: send it again now.
    Requeue,
    /// A person: never send it; later letters may go.
    Superseded { reason: String },
    /// It goes to another destination, behind what is there already for its key.
    Redirected { destination: String },
}

/// How much is in the outbox.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[allow(missing_docs)]
pub struct OutboxDepth {
    pub destination: String,
    pub queued: u64,
    pub parked: u64,
    pub delivered: u64,
    pub superseded: u64,
    /// When the oldest letter that is neither delivered nor superseded was written.
    pub oldest: Option<Timestamp>,
}

/// A slot with what describes it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SlotRow {
    pub id: String,
    pub schedule: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub status: SlotStatus,
    /// The resource as imported; its `status` is not kept up to date, the field above is.
    pub resource: String,
}

/// What to look for in the diary.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SlotQuery {
    pub service: ServiceId,
    /// Slots that start at this instant or later …
    pub from: Timestamp,
    /// … and before this one.
    pub to: Timestamp,
    /// Empty: all.
    pub statuses: Vec<SlotStatus>,
    pub limit: usize,
}

impl SlotQuery {
    /// Does it ask for slots of this status?
    pub fn wants(&self, status: SlotStatus) -> bool {
        self.statuses.is_empty() || self.statuses.contains(&status)
    }
}

/// Which patient's referrals or appointments.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum PatientQuery {
    NhsNumber(NhsNumber),
    /// Surname (as sent), date of birth `YYYY-MM-DD`, home postcode.
    Demographics {
        family: String,
        birth_date: String,
        postal_code: String,
    },
}

/// Filter of a listing; newest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Page {
    /// `outcome` of messages, `state` of letters.
    pub state: Option<String>,
    pub destination: Option<String>,
    pub limit: usize,
}

/// An entry of the worklist and when it came about.
#[derive(Clone, Debug, serde::Serialize)]
#[allow(missing_docs)]
pub struct TaskRow {
    #[serde(flatten)]
    pub task: Task,
    /// The channel, system or person by whose message it was raised.
    pub source: String,
    pub raised_at: Timestamp,
    pub decided_at: Option<Timestamp>,
}

/// Which entries of the worklist.
#[derive(Clone, Debug)]
pub struct TaskPage {
    /// In this state …
    pub state: TaskState,
    /// … and at least as sure.
    pub at_least: Likeness,
    /// At most so many.
    pub limit: usize,
}

/// A future that the caller of the store waits for.
pub type Pending<T> = std::pin::Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// What every database must do; one contract test runs against each.
/// Reads see everything that was answered before they began.
pub trait Store: Send + Sync {
    /// Does it, durably, exactly once per key. The future may be dropped; the work goes on.
    fn submit(&self, message: Message, work: Work) -> Pending<Verdict>;

    /// The first answer that a key got, if there was one: `(message, accepted, answer)`.
    fn first_answer(&self, key: &str) -> Result<Option<(Uuid, bool, Answer)>, StoreError>;

    /// A service.
    fn service_find(&self, id: &ServiceId) -> Result<Option<Service>, StoreError>;
    /// All services.
    fn service_list(&self) -> Result<Vec<Service>, StoreError>;
    /// A ServiceRequest as JSON. An awaited referral has none.
    fn referral_resource(&self, id: Uuid) -> Result<Option<String>, StoreError>;
    /// An Appointment as JSON.
    fn appointment_resource(&self, id: Uuid) -> Result<Option<String>, StoreError>;
    /// A referral as the model has it.
    fn referral_find(&self, id: ReferralId) -> Result<Option<Referral>, StoreError>;
    /// An appointment as the model has it.
    fn appointment_find(&self, id: AppointmentId) -> Result<Option<Appointment>, StoreError>;
    /// A patient's ServiceRequests, newest first.
    fn referral_search(&self, patient: &PatientQuery) -> Result<Vec<String>, StoreError>;
    /// A patient's Appointments, newest first.
    fn appointment_search(&self, patient: &PatientQuery) -> Result<Vec<String>, StoreError>;
    /// Slots by start.
    fn slot_search(&self, query: &SlotQuery) -> Result<Vec<SlotRow>, StoreError>;
    /// A Schedule, HealthcareService, Location, PractitionerRole … of the diary.
    fn directory_resource(&self, kind: &str, id: &str) -> Result<Option<String>, StoreError>;

    /// Letters that may be sent now, with their bytes: due, and none before them with the same destination and
    /// key that is queued or parked. Where there are more than `limit`, those due first; in order of their ids.
    /// A letter that is being sent is among them until it is settled.
    fn outbox_due(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError>;
    /// The same letters, for this gateway to send: where several gateways work on one database, the others leave them
    /// alone until `lease` has passed. It may take letters again that it has.
    fn outbox_take(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<(OutboxRow, Vec<u8>)>, StoreError>;
    /// Says what became of an attempt at a letter that was taken, durably. Refused also where another gateway has taken
    /// the letter since.
    fn outbox_settle_taken(&self, letter: &OutboxRow, settlement: Settlement) -> Pending<()>;
    /// The earliest instant at which a letter of the destination may be sent; `None`: none is queued, or all wait
    /// behind a parked one.
    fn outbox_next_due(&self, destination: &str) -> Result<Option<Timestamp>, StoreError>;
    /// Says what a person decided about a letter, durably. Refused where it is delivered or superseded already.
    fn outbox_settle(&self, id: i64, settlement: Settlement) -> Pending<()>;
    /// Letters, newest first.
    fn outbox_list(&self, page: &Page) -> Result<Vec<OutboxRow>, StoreError>;
    /// One letter and its bytes.
    fn outbox_show(&self, id: i64) -> Result<Option<(OutboxRow, Vec<u8>)>, StoreError>;
    /// How much there is, per destination.
    fn outbox_depth(&self) -> Result<Vec<OutboxDepth>, StoreError>;

    /// Journal rows, newest first.
    fn message_list(&self, page: &Page) -> Result<Vec<MessageRow>, StoreError>;
    /// One journal row, its bytes and its answer.
    fn message_show(&self, id: Uuid) -> Result<Option<(MessageRow, Vec<u8>, Answer)>, StoreError>;
    /// How many messages there are of each outcome.
    fn message_counts(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// Messages of feeds in a state, oldest first.
    fn feed_list(&self, state: &str, limit: usize) -> Result<Vec<FeedRow>, StoreError>;
    /// A message of a feed, and what became of it.
    fn feed_find(&self, message: Uuid) -> Result<Option<FeedRow>, StoreError>;
    /// How many messages of feeds are in each state.
    fn feed_counts(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// The next messages of the journal by their ids, after this one, with what the state of each follows from; fewer
    /// than `limit`: these are the last.
    fn ledger_page(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<ledger::Held>, StoreError>;
    /// Letters whose message is not there.
    fn ledger_letters_astray(&self, limit: usize) -> Result<Vec<i64>, StoreError>;

    /// All records that are linked to this one, the one that stands for the person first; none: there is no such one.
    fn patient_records(&self, id: PatientId) -> Result<Vec<Patient>, StoreError>;
    /// Everybody who has this identifier: the records that stand for them.
    fn patient_search(&self, identifier: &Identifier) -> Result<Vec<PatientId>, StoreError>;
    /// Who may be the person of whom this is said, with the record that stands for each.
    fn patient_match(&self, subject: &Subject) -> Result<Vec<(PatientId, Alike)>, StoreError>;
    /// When these records were linked and parted, oldest first.
    fn patient_history(&self, id: PatientId) -> Result<Vec<(Timestamp, Link)>, StoreError>;
    /// Bookings that start at the first instant or later and before the second one, with all numbers of whoever is
    /// expected.
    fn diary_entries(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Entry>, StoreError>;
    /// Entries of the worklist, oldest first.
    fn task_list(&self, page: &TaskPage) -> Result<Vec<TaskRow>, StoreError>;
    /// One entry of the worklist.
    fn task_show(&self, id: Uuid) -> Result<Option<TaskRow>, StoreError>;
    /// How many entries of the worklist are open, of each kind and grade.
    fn task_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError>;

    /// Remembers what somebody did at the command line, durably. Refused where it would pause what is paused, or resume
    /// what is not.
    fn act(&self, act: act::Act) -> Pending<()>;
    /// What people did there, newest first.
    fn act_list(&self, limit: usize) -> Result<Vec<act::Act>, StoreError>;
    /// What is paused.
    fn pauses(&self) -> Result<Vec<act::Pause>, StoreError>;

    /// How sure it is that it can make things durable; reads no disk.
    fn health(&self) -> Health;
    /// Waits until nothing is queued before the writer, then stops it.
    fn close(&self);
}
