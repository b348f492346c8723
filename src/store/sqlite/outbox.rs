//! The outbox. Of the letters for one destination and key only the first open one is up; the others
//! carry `waiting` until it is delivered or superseded. So "what may be sent now" is one index range,
//! however long the queue is.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::column::{id, instant, instant_maybe};
use super::fault::Fault;
use super::tally::Tally;
use crate::store::{Letter, Message, OutboxDepth, OutboxRow, OutboxState, Page, Settlement};

const COLUMNS: &str =
    "id, message_id, destination, key, event, control_id, state, attempts, due_at, created_at, settled_at, failure";

/// Puts a letter at the end of its line, due at once.
pub(super) fn insert(conn: &Connection, tally: &mut Tally, message: &Message, letter: &Letter) -> Result<(), Fault> {
    conn.prepare_cached(
        "INSERT INTO outbox (message_id, destination, key, event, control_id, state, waiting, attempts, due_at,
             created_at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued',
             EXISTS (SELECT 1 FROM outbox WHERE destination = ?2 AND key = ?3 AND state IN ('queued', 'parked')
                 AND waiting = 0),
             0, ?6, ?6, ?7)",
    )?
    .execute((
        message.id.as_bytes(),
        &letter.destination,
        letter.key.as_bytes(),
        &letter.event,
        &letter.control_id,
        message.received_at.as_microsecond(),
        &letter.body,
    ))?;
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

/// Says what became of a letter, and lets the next in line come up.
pub(super) fn settle(conn: &Connection, tally: &mut Tally, id: i64, settlement: &Settlement) -> Result<(), Fault> {
    let held = find(conn, id)?.ok_or(Fault::Refused("there is no such letter"))?;
    if let Settlement::Redirected { destination } = settlement {
        return redirect(conn, tally, &held, destination);
    }
    let now = Timestamp::now();
    let step = step(&held, settlement, now)?;
    let settled_at = is_final(step.state).then(|| now.as_microsecond());
    conn.prepare_cached(
        "UPDATE outbox SET state = ?2, attempts = ?3, due_at = ?4, failure = ?5, settled_at = ?6 WHERE id = ?1",
    )?
    .execute((id, step.state.as_str(), step.attempts, step.due_at.as_microsecond(), step.failure, settled_at))?;
    if step.state != held.state {
        tally.letter_moved(&held.destination, held.state, step.state);
    }
    if is_final(step.state) { first_up(conn, &held.destination, held.key) } else { Ok(()) }
}

/// Sends a letter another way. Letters that are redirected in order of their ids stay in that order.
fn redirect(conn: &Connection, tally: &mut Tally, held: &OutboxRow, destination: &str) -> Result<(), Fault> {
    if is_final(held.state) {
        return Err(Fault::Refused("the letter is settled already"));
    }
    conn.prepare_cached(
        "UPDATE outbox SET destination = ?2, waiting = EXISTS (
             SELECT 1 FROM outbox WHERE destination = ?2 AND key = ?3 AND state IN ('queued', 'parked') AND waiting = 0)
         WHERE id = ?1",
    )?
    .execute((held.id, destination, held.key.as_bytes()))?;
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
fn first_up(conn: &Connection, destination: &str, key: Uuid) -> Result<(), Fault> {
    conn.prepare_cached(
        "UPDATE outbox SET waiting = 0 WHERE id = (
             SELECT min(id) FROM outbox
             WHERE destination = ?1 AND key = ?2 AND state IN ('queued', 'parked') AND waiting = 1)
         AND NOT EXISTS (
             SELECT 1 FROM outbox
             WHERE destination = ?1 AND key = ?2 AND state IN ('queued', 'parked') AND waiting = 0)",
    )?
    .execute((destination, key.as_bytes()))?;
    Ok(())
}

/// Letters that may be sent now: those due first, in order of their ids.
pub(super) fn due(
    conn: &Connection,
    destination: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(OutboxRow, Vec<u8>)>, Fault> {
    let sql = format!(
        "SELECT {COLUMNS}, body FROM outbox WHERE destination = ?1 AND state = 'queued' AND waiting = 0
         AND due_at <= ?2 ORDER BY due_at, id LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map((destination, now.as_microsecond(), sql_limit(limit)), row_and_body)?;
    let mut found: Vec<_> = rows.collect::<Result<_, _>>()?;
    found.sort_unstable_by_key(|(row, _)| row.id);
    Ok(found)
}

/// When the next letter becomes due.
pub(super) fn next_due(conn: &Connection, destination: &str) -> Result<Option<Timestamp>, Fault> {
    let mut find = conn
        .prepare_cached("SELECT min(due_at) FROM outbox WHERE destination = ?1 AND state = 'queued' AND waiting = 0")?;
    Ok(find.query_row([destination], |row| instant_maybe(row, 0))?)
}

/// Letters, newest first. The filter on `state <> 'delivered'` lets the small index be used.
pub(super) fn list(conn: &Connection, page: &Page) -> Result<Vec<OutboxRow>, Fault> {
    let state = match page.state.as_deref() {
        None => "?1 IS NULL",
        Some("delivered") => "state = ?1",
        Some(_) => "state <> 'delivered' AND state = ?1",
    };
    let destination = match page.destination {
        None => "?2 IS NULL",
        Some(_) => "destination = ?2",
    };
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE {state} AND {destination} ORDER BY id DESC LIMIT ?3");
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map((&page.state, &page.destination, sql_limit(page.limit)), outbox_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One letter and its bytes.
pub(super) fn show(conn: &Connection, id: i64) -> Result<Option<(OutboxRow, Vec<u8>)>, Fault> {
    let sql = format!("SELECT {COLUMNS}, body FROM outbox WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], row_and_body).optional()?)
}

fn find(conn: &Connection, id: i64) -> Result<Option<OutboxRow>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], outbox_row).optional()?)
}

/// How much there is, per destination.
pub(super) fn depth(conn: &Connection) -> Result<Vec<OutboxDepth>, Fault> {
    let mut list = conn.prepare_cached("SELECT destination, state, n FROM outbox_tally ORDER BY destination")?;
    let mut rows = list.query(())?;
    let mut found: Vec<OutboxDepth> = Vec::new();
    while let Some(row) = rows.next()? {
        let (destination, n): (String, i64) = (row.get(0)?, row.get(2)?);
        if found.last().is_none_or(|last| last.destination != destination) {
            let oldest = oldest_open(conn, &destination)?;
            found.push(OutboxDepth { destination, oldest, ..OutboxDepth::default() });
        }
        let Some(last) = found.last_mut() else { continue };
        let n = n.unsigned_abs();
        match state(row, 1)? {
            OutboxState::Queued => last.queued = n,
            OutboxState::Parked => last.parked = n,
            OutboxState::Delivered => last.delivered = n,
            OutboxState::Superseded => last.superseded = n,
        }
    }
    Ok(found)
}

fn oldest_open(conn: &Connection, destination: &str) -> Result<Option<Timestamp>, Fault> {
    let mut find = conn.prepare_cached(
        "SELECT min(created_at) FROM outbox WHERE id IN (
             (SELECT min(id) FROM outbox WHERE destination = ?1 AND state <> 'delivered' AND state = 'queued'),
             (SELECT min(id) FROM outbox WHERE destination = ?1 AND state <> 'delivered' AND state = 'parked'))",
    )?;
    Ok(find.query_row([destination], |row| instant_maybe(row, 0))?)
}

fn sql_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn row_and_body(row: &Row<'_>) -> rusqlite::Result<(OutboxRow, Vec<u8>)> {
    Ok((outbox_row(row)?, row.get(12)?))
}

fn outbox_row(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        id: row.get(0)?,
        message: id(row, 1)?,
        destination: row.get(2)?,
        key: id(row, 3)?,
        event: row.get(4)?,
        control_id: row.get(5)?,
        state: state(row, 6)?,
        attempts: row.get(7)?,
        due_at: instant(row, 8)?,
        created_at: instant(row, 9)?,
        settled_at: instant_maybe(row, 10)?,
        failure: row.get(11)?,
    })
}

/// The column's constraint lets nothing else in.
fn state(row: &Row<'_>, index: usize) -> rusqlite::Result<OutboxState> {
    Ok(match row.get_ref(index)?.as_str()? {
        "queued" => OutboxState::Queued,
        "delivered" => OutboxState::Delivered,
        "parked" => OutboxState::Parked,
        _ => OutboxState::Superseded,
    })
}
