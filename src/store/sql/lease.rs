//! Letters that one gateway sends and the others leave alone.
//!
//! A gateway takes letters for a while, by the server's clock. What it has not settled when the while is over another
//! one may take; each such change of hands gets a number, and whoever settles an attempt must show the number under
//! which the letter was taken. So a gateway that was stopped and wakes up settles nothing that it has lost. That it
//! sends nothing either rests on the outbox, which looks a letter up again before it sends one that it has had for more
//! than a moment; between that look and the wire nobody can fence, and the receiver knows the message by its control id.
//!
//! Letters of one line keep their order among gateways as within one: only the first that is open may be taken.
//!
//! Nobody is notified of new letters. The gateway that wrote one sends it itself, and whoever settles a letter looks for
//! the next; the others look now and then.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::fault::Fault;
use super::outbox;
use super::session::{Session, values};
use crate::store::OutboxRow;

/// What a database has its own words for.
#[derive(Clone, Copy)]
pub(in crate::store) struct Words {
    /// The server's clock, in microseconds since 1970.
    pub(in crate::store) clock: &'static str,
    /// Passes by what another transaction is taking.
    pub(in crate::store) lock: &'static str,
}

/// Takes letters, those due first; in order of their ids. What this gateway has already stays under its number.
pub(in crate::store) fn take(
    session: &dyn Session,
    words: Words,
    own: &Uuid,
    destination: &str,
    now: Timestamp,
    limit: usize,
    lease: Duration,
) -> Result<Vec<(OutboxRow, Vec<u8>)>, Fault> {
    let Words { clock, lock } = words;
    let sql = format!(
        "WITH clock (at) AS (SELECT {clock}),
        free (letter) AS (
            SELECT id FROM outbox, clock
            WHERE destination = ?1 AND state = 'queued' AND waiting = 0 AND due_at <= ?2
            AND (leased_until <= clock.at OR leased_to = ?4)
            ORDER BY due_at, id LIMIT ?3 {lock})
        UPDATE outbox SET lease = CASE WHEN leased_to = ?4 THEN lease ELSE lease + 1 END, leased_to = ?4,
            leased_until = (SELECT at FROM clock) + ?5
        FROM free WHERE id = letter
        RETURNING {}, body, lease",
        outbox::COLUMNS
    );
    let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4);
    let mut taken = session.all(&sql, values![destination, now, limit, own, lease], |row| {
        let (letter, body) = outbox::row_and_body(row)?;
        Ok((OutboxRow { lease: row.get(13)?, ..letter }, body))
    })?;
    taken.sort_unstable_by_key(|(letter, _)| letter.id);
    Ok(taken)
}

/// Gives back what this gateway has taken: it ends.
pub(in crate::store) fn release(session: &dyn Session, own: &Uuid) -> Result<(), Fault> {
    const RELEASE: &str =
        "UPDATE outbox SET leased_until = 0 WHERE leased_to = ?1 AND state = 'queued' AND waiting = 0";
    session.execute(RELEASE, values![own]).map(drop)
}
