//! A database for simulations: the real schema, statements and batches of the embedded store, in memory, with the
//! outcome of every commit in the hands of whoever simulates. Several gateways work on it as on a shared database, with
//! the leases and fences that they need there.
//!
//! What is left out is what stands around a batch (threads, files, the server's locks); the real thing is killed and
//! cut off in the tests of the stores.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::ledger::Held;
use super::sql::fault::Fault;
use super::sql::job::{Job, Settle};
use super::sql::lease::{self, Words};
use super::sql::outbox::Fence;
use super::sql::session::{Session, values};
use super::sql::submission::{Desk, Submission};
use super::sql::{journal, ledger, outbox};
use super::sqlite::batch::Batch;
use super::sqlite::{schema, transaction};
use super::{DecideFn, Message, OutboxRow, OutboxState, Settlement, StoreError, Verdict, Work};
use crate::booking::decision::Rules;

/// The clock of the server is a row.
const WORDS: Words = Words { clock: "at FROM server_clock", lock: "" };
/// More statements than there are.
const STATEMENTS: usize = 256;
/// What a database for many gateways has besides.
const SHARED: &str = "ALTER TABLE outbox ADD COLUMN leased_to BLOB;
    ALTER TABLE outbox ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN lease INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE server_clock (at INTEGER NOT NULL) STRICT;
    INSERT INTO server_clock VALUES (0)";

/// See the module.
pub(crate) struct Database {
    conn: Connection,
    desk: Desk,
}

/// A piece of work that waits for the writer.
pub(crate) struct Queued(Job);

/// Where its result will be.
pub(crate) struct Reply<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Reply<T> {
    /// The result, once it is there. A writer that is gone says that it is closed.
    pub(crate) fn poll(&mut self) -> Option<Result<T, StoreError>> {
        match self.0.try_recv() {
            Ok(result) => Some(result),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(StoreError::Closed)),
        }
    }
}

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable, and those who wait are told.
    Durable,
    /// The disk is full, or the sync failed: it is undone, and those who wait are told so.
    Refused,
    /// The process dies before it is durable.
    DiesBefore,
    /// The process dies when it is durable, before anybody is told.
    DiesAfter,
    /// A bug: those who wait are told before it is durable, and then the process dies.
    #[cfg(test)]
    ToldAndLost,
}

/// A letter as it is held, with whose it is to send.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub(crate) struct HeldLetter {
    pub(crate) id: i64,
    pub(crate) control_id: String,
    pub(crate) key: Uuid,
    pub(crate) state: OutboxState,
    pub(crate) attempts: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) leased_to: Option<Uuid>,
    pub(crate) leased_until: i64,
    pub(crate) lease: i64,
}

/// Letters with their bytes, and when the next one is due.
pub(crate) type Taken = (Vec<(OutboxRow, Vec<u8>)>, Option<Timestamp>);

/// What must never be: the name of the rule, and a query that finds what breaks it.
const RULES: &[(&str, &str)] = &[
    (
        "an appointment hangs on another patient's referral",
        "SELECT 1 FROM appointment JOIN referral ON
        referral.id = appointment.referral_id WHERE referral.patient_id <> appointment.patient_id",
    ),
    (
        "an appointment has no live referral",
        "SELECT 1 FROM appointment LEFT JOIN referral ON
        referral.id = appointment.referral_id WHERE appointment.status IN ('booked', 'arrived')
        AND coalesce(referral.status, '') NOT IN ('awaited', 'active', 'on-hold')",
    ),
    (
        "a slot is sold twice",
        "SELECT 1 FROM appointment WHERE status IN ('booked', 'arrived') AND slot_id IS NOT NULL
        GROUP BY slot_id HAVING count(*) > 1",
    ),
    (
        "a referral has two appointments",
        "SELECT 1 FROM appointment WHERE status IN ('booked', 'arrived')
        GROUP BY referral_id HAVING count(*) > 1",
    ),
    (
        "a slot that is sold is on offer, or the other way round",
        "SELECT 1 FROM slot WHERE (status = 'busy') <> EXISTS (
        SELECT 1 FROM appointment WHERE slot_id = slot.id AND status IN ('booked', 'arrived'))",
    ),
    (
        "a live referral is on no worklist",
        "SELECT 1 FROM referral
        WHERE status IN ('awaited', 'active', 'on-hold') AND worklist IS NULL",
    ),
    (
        "one person has two records",
        "SELECT 1 FROM patient WHERE nhs_number IS NOT NULL
        GROUP BY nhs_number HAVING count(*) > 1",
    ),
    (
        "one request has two first answers",
        "SELECT 1 FROM message WHERE key IS NOT NULL
        GROUP BY key HAVING count(*) > 1",
    ),
    (
        "one request had its effect twice",
        "SELECT 1 FROM message WHERE outcome = 'accepted' AND bundle <> ''
        GROUP BY bundle HAVING count(*) > 1",
    ),
    (
        "two letters of one line are up",
        "SELECT 1 FROM outbox WHERE state IN ('queued', 'parked') AND waiting = 0
        GROUP BY destination, key HAVING count(*) > 1",
    ),
    (
        "a line of letters waits for nobody",
        "SELECT 1 FROM outbox AS late WHERE state IN ('queued', 'parked')
        AND waiting = 1 AND NOT EXISTS (SELECT 1 FROM outbox AS first WHERE first.destination = late.destination
        AND first.key = late.key AND first.state IN ('queued', 'parked') AND first.waiting = 0 AND first.id < late.id)",
    ),
];

impl Database {
    /// An empty one.
    pub(crate) fn new(rules: Rules, decide: DecideFn) -> Result<Self, StoreError> {
        Ok(Self { conn: open()?, desk: Desk { rules, weights: Arc::default(), decide } })
    }

    /// A message for the queue.
    pub(crate) fn submission(message: Message, work: Work) -> (Queued, Reply<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        let submission = Box::new(Submission::prepare(message, work, Vec::new()));
        (Queued(Job::Submit(submission, sender)), Reply(receiver))
    }

    /// The end of an attempt for the queue. `gateway`: as whose; none is what no gateway on a shared database says.
    pub(crate) fn settlement(letter: &OutboxRow, settlement: Settlement, gateway: Option<Uuid>) -> (Queued, Reply<()>) {
        let (sender, receiver) = oneshot::channel();
        let fence = gateway.map(|gateway| Fence { gateway, lease: letter.lease });
        let settle = Box::new(Settle { letter: letter.id, settlement, fence });
        (Queued(Job::Settle(settle, sender)), Reply(receiver))
    }

    /// All of it in one transaction.
    pub(crate) fn work(&self, queued: Vec<Queued>, fate: Fate) -> Result<(), StoreError> {
        transaction::begin(&self.conn)?;
        let mut batch = Batch::default();
        queued.into_iter().for_each(|Queued(job)| batch.run(&self.desk, &self.conn, job));
        let undo = || transaction::roll_back(&self.conn);
        match fate {
            Fate::Durable => match batch.commit(&self.conn) {
                Ok(()) => batch.tell(),
                Err(fault) => {
                    let _ = undo();
                    batch.tell_failure(&StoreError::from(fault));
                }
            },
            Fate::Refused => {
                undo()?;
                batch.tell_failure(&StoreError::Database("the disk is full".into()));
            }
            Fate::DiesBefore => undo()?,
            Fate::DiesAfter => batch.commit(&self.conn)?,
            #[cfg(test)]
            Fate::ToldAndLost => {
                batch.tell();
                undo()?;
            }
        }
        Ok(())
    }

    /// Letters for a gateway to send, and when it is to look again. The server's clock says `server_at`.
    pub(crate) fn take(
        &self,
        gateway: &Uuid,
        server_at: i64,
        now: Timestamp,
        limit: usize,
        lease: Duration,
    ) -> Result<Taken, StoreError> {
        let session: &dyn Session = &self.conn;
        session.execute("UPDATE server_clock SET at = ?1", values![server_at])?;
        let letters = lease::take(session, WORDS, gateway, DESTINATION, now, limit, lease)?;
        Ok((letters, outbox::next_due(session, DESTINATION)?))
    }

    /// Which rules are broken.
    pub(crate) fn broken_rules(&self) -> Result<Vec<&'static str>, StoreError> {
        let session: &dyn Session = &self.conn;
        let mut broken = Vec::new();
        for (rule, query) in RULES {
            if session.exists(query, &[])? {
                broken.push(*rule);
            }
        }
        Ok(broken)
    }

    /// The ledger's next messages.
    pub(crate) fn ledger_page(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Held>, StoreError> {
        Ok(ledger::page(&self.conn, after, limit)?)
    }

    /// The first answer to a key: the message, and whether it was accepted.
    pub(crate) fn first_answer(&self, key: &str) -> Result<Option<(Uuid, bool)>, StoreError> {
        Ok(journal::first_find(&self.conn, key)?.map(|first| (first.message, first.accepted)))
    }

    /// The referral and the appointment that a message was about.
    pub(crate) fn subject_of(&self, message: Uuid) -> Result<(Option<Uuid>, Option<Uuid>), StoreError> {
        const SQL: &str = "SELECT referral_id, appointment_id FROM message WHERE id = ?1";
        let session: &dyn Session = &self.conn;
        Ok(session.one(SQL, values![&message], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
    }

    /// A letter by its control id.
    pub(crate) fn letter(&self, control_id: &str) -> Result<Option<HeldLetter>, StoreError> {
        Ok(self.letters("control_id = ?1", control_id.into())?.pop())
    }

    /// A letter by its id.
    pub(crate) fn letter_of(&self, id: i64) -> Result<Option<HeldLetter>, StoreError> {
        Ok(self.letters("id = ?1", id.into())?.pop())
    }

    /// The earlier letters of a letter's line.
    pub(crate) fn line_before(&self, letter: &HeldLetter) -> Result<Vec<HeldLetter>, StoreError> {
        let mut line = self.letters("key = ?1", (&letter.key).into())?;
        line.retain(|it| it.id < letter.id);
        Ok(line)
    }

    /// All letters.
    pub(crate) fn outbox(&self) -> Result<Vec<HeldLetter>, StoreError> {
        self.letters("?1 IS NULL", super::sql::session::Value::Null)
    }

    /// Is there nothing to be sent, but for what waits behind a letter that a person must look at?
    pub(crate) fn is_drained(&self) -> Result<bool, StoreError> {
        let session: &dyn Session = &self.conn;
        Ok(!session.exists("SELECT 1 FROM outbox WHERE state = 'queued' AND waiting = 0", &[])?)
    }

    fn letters(&self, which: &str, value: super::sql::session::Value<'_>) -> Result<Vec<HeldLetter>, StoreError> {
        let sql = format!(
            "SELECT id, control_id, key, state, attempts, body, leased_to, leased_until, lease
             FROM outbox WHERE {which} ORDER BY id"
        );
        let mut found = Vec::new();
        self.conn.each(&sql, &[value], &mut |row| {
            found.push(HeldLetter {
                id: row.get(0)?,
                control_id: row.get(1)?,
                key: row.get(2)?,
                state: outbox::state_named(&row.get::<String>(3)?),
                attempts: row.get(4)?,
                body: row.get(5)?,
                leased_to: row.get(6)?,
                leased_until: row.get(7)?,
                lease: row.get(8)?,
            });
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// What no program does: a bug is planted by it.
    #[cfg(test)]
    pub(crate) fn harm(&self, sql: &str) {
        self.conn.execute_batch(sql).unwrap_or_else(|error| unreachable!("{sql}: {error}"));
    }
}

/// Where all letters go.
pub(crate) const DESTINATION: &str = "pas";

fn open() -> Result<Connection, Fault> {
    let mut conn = Connection::open_in_memory()?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    schema::migrate(&mut conn)?;
    conn.execute_batch(SHARED)?;
    Ok(conn)
}
