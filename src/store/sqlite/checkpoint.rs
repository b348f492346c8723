//! Moving pages from the log to the file, beside the writer and not in its way.
//!
//! A passive checkpoint never reaches the end of a log that keeps growing, so the log would grow as long
//! as there is load. Once the background has moved nearly all of it the writer moves the little rest
//! itself, and SQLite then begins the log anew.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rusqlite::Connection;

use super::connection;
use crate::store::sql::fault::Fault;

/// Pages in the log at which something is done about it.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The background moves them. The longer it waits, the more often a page was written anew meanwhile and need
    /// be moved only once.
    due: i64,
    /// The writer finishes what the background began.
    large: i64,
    /// The writer does it all, whatever it takes.
    most: i64,
}

impl Limits {
    /// Begins to move pages at so many bytes.
    pub(super) fn new(log_bytes: usize) -> Self {
        let due = i64::try_from(log_bytes).unwrap_or(i64::MAX / 4) / connection::PAGE_BYTES;
        Self { due, large: due * 2, most: due * 4 }
    }
}

/// How full the log is.
struct Log {
    pages: i64,
    moved: i64,
}

/// Is there enough for the background to move? Where that is not enough, moves it here.
pub(super) fn is_due(conn: &Connection, limits: Limits) -> bool {
    let Ok(log) = checkpoint(conn, "PRAGMA wal_checkpoint(NOOP)") else { return false };
    let rest = log.pages - log.moved;
    if log.pages > limits.most || (log.pages > limits.large && rest <= limits.due) {
        report(checkpoint(conn, "PRAGMA wal_checkpoint(PASSIVE)").map(drop));
    }
    rest > limits.due
}

/// Moves pages each time when it is nudged, until nobody is left to nudge it.
pub(super) fn run(path: &Path, nudges: &Receiver<()>) {
    let mut held = None;
    while nudges.recv().is_ok() {
        report(move_pages(path, &mut held));
        // Gives the disk to the writer for a while.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Empties the log, if no other process is at it.
pub(super) fn finish(conn: &Connection) {
    let _ = conn.busy_timeout(Duration::from_millis(200));
    report(checkpoint(conn, "PRAGMA wal_checkpoint(TRUNCATE)").map(drop));
}

fn move_pages(path: &Path, held: &mut Option<Connection>) -> Result<(), Fault> {
    let conn = match held.take() {
        Some(conn) => conn,
        None => connection::open_checkpointer(path)?,
    };
    checkpoint(&conn, "PRAGMA wal_checkpoint(PASSIVE)")?;
    *held = Some(conn);
    Ok(())
}

fn checkpoint(conn: &Connection, pragma: &str) -> Result<Log, Fault> {
    let mut statement = conn.prepare_cached(pragma)?;
    Ok(statement.query_row((), |row| Ok(Log { pages: row.get(1)?, moved: row.get(2)? }))?)
}

/// Nothing is lost by a checkpoint that failed: the log still has it all.
fn report(outcome: Result<(), Fault>) {
    if let Err(fault) = outcome {
        tracing::warn!(failure = %fault, "a checkpoint failed");
    }
}
