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

use crate::store::OutboxRow;
use crate::store::sql::fault::Fault;
use crate::store::sql::outbox;
use crate::store::sql::session::{Session, values};

/// Takes letters, those due first; in order of their ids. What this gateway has already stays under its number.
pub(super) fn take(
    session: &dyn Session,
    own: &Uuid,
    destination: &str,
    now: Timestamp,
    limit: usize,
    lease: Duration,
) -> Result<Vec<(OutboxRow, Vec<u8>)>, Fault> {
    const TAKE: &str = "WITH clock (at) AS (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)),
        free (letter) AS (
            SELECT id FROM outbox, clock
            WHERE destination = ?1 AND state = 'queued' AND waiting = 0 AND due_at <= ?2
            AND (leased_until <= clock.at OR leased_to = ?4)
            ORDER BY due_at, id LIMIT ?3 FOR UPDATE OF outbox SKIP LOCKED)
        UPDATE outbox SET lease = CASE WHEN leased_to = ?4 THEN lease ELSE lease + 1 END, leased_to = ?4,
            leased_until = (SELECT at FROM clock) + ?5
        FROM free WHERE id = letter
        RETURNING ";
    let sql = format!("{TAKE}{}, body, lease", outbox::COLUMNS);
    let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4);
    let mut taken = session.all(&sql, values![destination, now, limit, own, lease], |row| {
        let (letter, body) = outbox::row_and_body(row)?;
        Ok((OutboxRow { lease: row.get(13)?, ..letter }, body))
    })?;
    taken.sort_unstable_by_key(|(letter, _)| letter.id);
    Ok(taken)
}

/// Gives back what this gateway has taken: it ends.
pub(super) fn release(session: &dyn Session, own: &Uuid) -> Result<(), Fault> {
    const RELEASE: &str =
        "UPDATE outbox SET leased_until = 0 WHERE leased_to = ?1 AND state = 'queued' AND waiting = 0";
    session.execute(RELEASE, values![own]).map(drop)
}
