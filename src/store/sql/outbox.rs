//! The outbox. Of the letters for one destination and key only the first open one is up; the others
//! carry `waiting` until it is delivered or superseded. So "what may be sent now" is one index range,
//! however long the queue is.

use jiff::Timestamp;
use uuid::Uuid;

use super::fault::Fault;
use super::session::{Dialect, Row, Session, values};
use super::tally::Tally;
use crate::store::{Letter, Message, OutboxDepth, OutboxRow, OutboxState, Page, Settlement};

/// What a letter is read from.
pub(in crate::store) const COLUMNS: &str =
    "id, message_id, destination, key, event, control_id, state, attempts, due_at, created_at, settled_at, failure";

/// Puts a letter at the end of its line, due at once.
pub(in crate::store) fn insert(
    conn: &dyn Session,
    tally: &mut Tally,
    message: &Message,
    letter: &Letter,
) -> Result<(), Fault> {
    conn.write(
        "INSERT INTO outbox (message_id, destination, key, event, control_id, state, waiting, attempts, due_at,
             created_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued',
             CASE WHEN EXISTS (SELECT 1 FROM outbox WHERE destination = ?2 AND key = ?3
                 AND state IN ('queued', 'parked') AND waiting = 0) THEN 1 ELSE 0 END,
             0, ?6, ?6, ?7)",
        values!(
            &message.id,
            &letter.destination,
            &letter.key,
            &letter.event,
            &letter.control_id,
            message.received_at,
            &letter.body,
        ),
    )?;
    tally.letter(&letter.destination, OutboxState::Queued);
    Ok(())
}

/// What a settlement writes.
struct Step<'a> {
    state: OutboxState,
    attempts: u32,
    due_at: Timestamp,
    failure: Option<&'a str>,
}

/// Under which number a gateway took the letter that it settles.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Fence {
    pub(in crate::store) gateway: Uuid,
    pub(in crate::store) lease: i64,
}

/// Refuses what another gateway has taken since, and keeps it from being taken until the transaction ends.
pub(in crate::store) fn check_fence(conn: &dyn Session, id: i64, fence: &Fence) -> Result<(), Fault> {
    const HELD: &str = "SELECT 1 FROM outbox WHERE id = ?1 AND lease = ?2 AND leased_to = ?3";
    const LOCKED: &str = "SELECT 1 FROM outbox WHERE id = ?1 AND lease = ?2 AND leased_to = ?3 FOR UPDATE";
    // SQLite locks everything.
    let sql = if conn.dialect() == Dialect::Sqlite { HELD } else { LOCKED };
    let held = conn.exists(sql, values![id, fence.lease, &fence.gateway])?;
    if held { Ok(()) } else { Err(Fault::Refused("another gateway has taken the letter")) }
}

/// Says what became of a letter, and lets the next in line come up.
pub(in crate::store) fn settle(
    conn: &dyn Session,
    tally: &mut Tally,
    id: i64,
    settlement: &Settlement,
) -> Result<(), Fault> {
    let held = find(conn, id)?.ok_or(Fault::Refused("there is no such letter"))?;
    if let Settlement::Redirected { destination } = settlement {
        return redirect(conn, tally, &held, destination);
    }
    let now = Timestamp::now();
    let step = step(&held, settlement, now)?;
    let settled_at = is_final(step.state).then_some(now);
    conn.write(
        "UPDATE outbox SET state = ?2, attempts = ?3, due_at = ?4, failure = ?5, settled_at = ?6 WHERE id = ?1",
        values!(id, step.state.as_str(), step.attempts, step.due_at, step.failure, settled_at),
    )?;
    if step.state != held.state {
        tally.letter_moved(&held.destination, held.state, step.state);
    }
    if is_final(step.state) { first_up(conn, &held.destination, held.key) } else { Ok(()) }
}

/// Sends a letter another way. Letters that are redirected in order of their ids stay in that order.
fn redirect(conn: &dyn Session, tally: &mut Tally, held: &OutboxRow, destination: &str) -> Result<(), Fault> {
    if is_final(held.state) {
        return Err(Fault::Refused("the letter is settled already"));
    }
    conn.write(
        "UPDATE outbox SET destination = ?2, waiting = CASE WHEN EXISTS (
             SELECT 1 FROM outbox WHERE destination = ?2 AND key = ?3 AND state IN ('queued', 'parked') AND waiting = 0)
             THEN 1 ELSE 0 END WHERE id = ?1",
        values!(held.id, destination, &held.key),
    )?;
    tally.letter_redirected(&held.destination, destination, held.state);
    first_up(conn, &held.destination, held.key)
}

fn is_final(state: OutboxState) -> bool {
    matches!(state, OutboxState::Delivered | OutboxState::Superseded)
}

/// The table of what may follow what.
fn step<'a>(held: &'a OutboxRow, settlement: &'a Settlement, now: Timestamp) -> Result<Step<'a>, Fault> {
    if is_final(held.state) {
        return Err(Fault::Refused("the letter is settled already"));
    }
    let again = held.attempts.saturating_add(1);
    let step = |state, attempts, due_at, failure| Ok(Step { state, attempts, due_at, failure });
    match settlement {
        Settlement::Delivered => step(OutboxState::Delivered, again, held.due_at, None),
        // A person may have parked it while it was being sent: that stands.
        Settlement::Retry { failure, due_at } => step(held.state, again, *due_at, Some(failure)),
        Settlement::Parked { failure } => step(OutboxState::Parked, again, held.due_at, Some(failure)),
        Settlement::Requeue => step(OutboxState::Queued, held.attempts, now, held.failure.as_deref()),
        Settlement::Superseded { reason } => step(OutboxState::Superseded, held.attempts, held.due_at, Some(reason)),
        Settlement::Redirected { .. } => step(held.state, held.attempts, held.due_at, held.failure.as_deref()),
    }
}

/// Brings up the first that waits, unless there still is one before it.
fn first_up(conn: &dyn Session, destination: &str, key: Uuid) -> Result<(), Fault> {
    conn.write(
        "UPDATE outbox SET waiting = 0 WHERE id = (
             SELECT min(id) FROM outbox
             WHERE destination = ?1 AND key = ?2 AND state IN ('queued', 'parked') AND waiting = 1)
         AND NOT EXISTS (
             SELECT 1 FROM outbox
             WHERE destination = ?1 AND key = ?2 AND state IN ('queued', 'parked') AND waiting = 0)",
        values!(destination, &key),
    )
}

/// Letters that may be sent now: those due first, in order of their ids.
pub(in crate::store) fn due(
    conn: &dyn Session,
    destination: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(OutboxRow, Vec<u8>)>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS}, body FROM outbox WHERE destination = ?1 AND state = 'queued' AND waiting = 0
         AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3"
    );
    let mut found = conn.all(&sql, values![destination, now, limit], row_and_body)?;
    found.sort_unstable_by_key(|(row, _)| row.id);
    Ok(found)
}

/// When the next letter becomes due.
pub(in crate::store) fn next_due(conn: &dyn Session, destination: &str) -> Result<Option<Timestamp>, Fault> {
    const SQL: &str = "SELECT min(due_at) FROM outbox WHERE destination = ?1 AND state = 'queued' AND waiting = 0";
    Ok(conn.one(SQL, values![destination], |row| row.get(0))?.flatten())
}

/// Letters, newest first. The filter on `state <> 'delivered'` lets the small index be used.
pub(in crate::store) fn list(conn: &dyn Session, page: &Page) -> Result<Vec<OutboxRow>, Fault> {
    let state = match page.state.as_deref() {
        None => "CAST(?1 AS TEXT) IS NULL",
        Some("delivered") => "state = ?1",
        Some(_) => "state <> 'delivered' AND state = ?1",
    };
    let destination = match page.destination {
        None => "CAST(?2 AS TEXT) IS NULL",
        Some(_) => "destination = ?2",
    };
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE {state} AND {destination} ORDER BY id DESC LIMIT ?3");
    conn.all(&sql, values![page.state.as_ref(), page.destination.as_ref(), page.limit], outbox_row)
}

/// One letter and its bytes.
pub(in crate::store) fn show(conn: &dyn Session, id: i64) -> Result<Option<(OutboxRow, Vec<u8>)>, Fault> {
    let sql = format!("SELECT {COLUMNS}, body FROM outbox WHERE id = ?1");
    conn.one(&sql, values![id], row_and_body)
}

fn find(conn: &dyn Session, id: i64) -> Result<Option<OutboxRow>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
    conn.one(&sql, values![id], outbox_row)
}

/// How much there is, per destination.
pub(in crate::store) fn depth(conn: &dyn Session) -> Result<Vec<OutboxDepth>, Fault> {
    const SQL: &str = "SELECT destination, state, CAST(sum(n) AS BIGINT) FROM outbox_tally
        GROUP BY destination, state ORDER BY destination";
    let rows = conn.all(SQL, &[], |row| Ok((row.get::<String>(0)?, state(row, 1)?, row.get::<u64>(2)?)))?;
    let mut found: Vec<OutboxDepth> = Vec::new();
    for (destination, state, n) in rows {
        if found.last().is_none_or(|last| last.destination != destination) {
            let oldest = oldest_open(conn, &destination)?;
            found.push(OutboxDepth { destination, oldest, ..OutboxDepth::default() });
        }
        let Some(last) = found.last_mut() else { continue };
        match state {
            OutboxState::Queued => last.queued = n,
            OutboxState::Parked => last.parked = n,
            OutboxState::Delivered => last.delivered = n,
            OutboxState::Superseded => last.superseded = n,
        }
    }
    Ok(found)
}

/// Each database by the index that it has for it: counting on its planner is not enough.
fn oldest_open(conn: &dyn Session, destination: &str) -> Result<Option<Timestamp>, Fault> {
    const SQLITE: &str = "SELECT min(created_at) FROM outbox WHERE id IN (
        (SELECT min(id) FROM outbox WHERE destination = ?1 AND state <> 'delivered' AND state = 'queued'),
        (SELECT min(id) FROM outbox WHERE destination = ?1 AND state <> 'delivered' AND state = 'parked'))";
    const POSTGRES: &str =
        "SELECT min(created_at) FROM outbox WHERE destination = ?1 AND state IN ('queued', 'parked')";
    let sql = if conn.dialect() == Dialect::Sqlite { SQLITE } else { POSTGRES };
    Ok(conn.one(sql, values![destination], |row| row.get(0))?.flatten())
}

/// [`COLUMNS`] and the bytes after them.
pub(in crate::store) fn row_and_body(row: &dyn Row) -> Result<(OutboxRow, Vec<u8>), Fault> {
    Ok((outbox_row(row)?, row.get(12)?))
}

fn outbox_row(row: &dyn Row) -> Result<OutboxRow, Fault> {
    Ok(OutboxRow {
        id: row.get(0)?,
        message: row.get(1)?,
        destination: row.get(2)?,
        key: row.get(3)?,
        event: row.get(4)?,
        control_id: row.get(5)?,
        state: state(row, 6)?,
        attempts: row.get(7)?,
        due_at: row.get(8)?,
        created_at: row.get(9)?,
        settled_at: row.get(10)?,
        failure: row.get(11)?,
        lease: 0,
    })
}

/// The column's constraint lets nothing else in.
fn state(row: &dyn Row, index: usize) -> Result<OutboxState, Fault> {
    Ok(state_named(&row.get::<String>(index)?))
}

/// The state of this name; no other name is in the column.
pub(in crate::store) fn state_named(name: &str) -> OutboxState {
    match name {
        "queued" => OutboxState::Queued,
        "delivered" => OutboxState::Delivered,
        "parked" => OutboxState::Parked,
        _ => OutboxState::Superseded,
    }
}
