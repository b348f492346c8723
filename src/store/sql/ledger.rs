//! What the ledger is made of: the journal by id, with the letters and the fate of each message beside it.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::fault::Fault;
use super::outbox;
use super::session::{Row, Session, values};
use crate::store::ledger::{Held, Letters};

/// The next messages by id, with everything that their state follows from. All of it is read in one statement, so that
/// each is seen as it is at one moment, and from indexes, so that no body is read. Where it ends is found beforehand: with
/// both bounds no planner is led to read a whole table for a page of it.
pub(in crate::store) fn page(conn: &dyn Session, after: Option<Uuid>, limit: usize) -> Result<Vec<Held>, Fault> {
    const LAST: &str = "SELECT id FROM (SELECT id FROM message WHERE id > ?1 ORDER BY id LIMIT ?2) AS page
        ORDER BY id DESC LIMIT 1";
    const SQL: &str = "SELECT m.id, m.outcome, m.letters,
            m.first_id IS NULL OR EXISTS (SELECT 1 FROM message AS first WHERE first.id = m.first_id),
            f.state, o.state
        FROM message AS m
        LEFT JOIN feed_message AS f ON f.message_id = m.id AND f.message_id > ?1 AND f.message_id <= ?2
        LEFT JOIN outbox AS o ON o.message_id = m.id AND o.message_id > ?1 AND o.message_id <= ?2
        WHERE m.id > ?1 AND m.id <= ?2
        ORDER BY m.id";
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let Some(last) = conn.one(LAST, values![&after, limit], |row| row.get::<Uuid>(0))? else { return Ok(Vec::new()) };
    let mut found: Vec<Held> = Vec::new();
    conn.each(SQL, values![&after, &last], &mut |row| {
        let id = row.get(0)?;
        if found.last().is_none_or(|last| last.id != id) {
            found.push(held(row, id)?);
        }
        let letter = row.get::<Option<String>>(5)?;
        if let (Some(last), Some(state)) = (found.last_mut(), letter) {
            last.letters.add(outbox::state_named(&state));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn held(row: &dyn Row, id: Uuid) -> Result<Held, Fault> {
    Ok(Held {
        id,
        outcome: row.get(1)?,
        promised: row.get(2)?,
        letters: Letters::default(),
        first_is_there: row.get(3)?,
        feed: row.get(4)?,
    })
}

/// Letters whose message is not there.
pub(in crate::store) fn letters_astray(conn: &dyn Session, limit: usize) -> Result<Vec<i64>, Fault> {
    const SQL: &str = "SELECT id FROM outbox
        WHERE NOT EXISTS (SELECT 1 FROM message WHERE message.id = outbox.message_id) ORDER BY id LIMIT ?1";
    conn.all(SQL, values![limit], |row| row.get(0))
}
