//! Moving pages from the log to the file, beside the writer and not in its way.
//!
//! A passive checkpoint never reaches the end of a log that keeps growing, so the log would grow as long
//! as there is load. So the background goes over it again and again, each time over less; once it has moved
//! nearly all, the writer moves the little rest itself, and SQLite then begins the log anew. Whatever the
//! writer moves, callers wait for.

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
    /// The background goes on until there is little left, and the writer finishes.
    large: i64,
    /// The writer does it all, whatever it takes.
    most: i64,
}

/// What the writer finishes is this part of the log at most. The longer the log has become, the more that is.
const REST: i64 = 16;

impl Limits {
    /// Begins to move pages at so many bytes.
    pub(super) fn new(log_bytes: usize) -> Self {
        let due = i64::try_from(log_bytes).unwrap_or(i64::MAX / 16) / connection::PAGE_BYTES;
        Self { due, large: due * 2, most: due * 8 }
    }
}

/// How full the log is.
struct Log {
    pages: i64,
    moved: i64,
}

/// Whose turn it is to move pages.
#[derive(Debug, PartialEq)]
enum Turn {
    Nobody,
    Background,
    Writer,
}

impl Limits {
    fn turn(&self, log: &Log) -> Turn {
        let rest = log.pages - log.moved;
        let is_large = self.large < log.pages;
        if self.most < log.pages || is_large && rest * REST <= log.pages {
            return Turn::Writer;
        }
        if is_large || self.due < rest { Turn::Background } else { Turn::Nobody }
    }
}

/// Is there enough for the background to move? What little it leaves is moved here.
pub(super) fn is_due(conn: &Connection, limits: Limits) -> bool {
    let Ok(log) = checkpoint(conn, "PRAGMA wal_checkpoint(NOOP)") else { return false };
    let turn = limits.turn(&log);
    if turn == Turn::Writer {
        report(checkpoint(conn, "PRAGMA wal_checkpoint(PASSIVE)").map(drop));
    }
    turn == Turn::Background
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_wait_for_little() {
        let limits = Limits { due: 1_000, large: 2_000, most: 8_000 };
        let turn = |pages, moved| limits.turn(&Log { pages, moved });
        assert_eq!(turn(1_000, 0), Turn::Nobody);
        assert_eq!(turn(1_001, 0), Turn::Background);
        assert_eq!(turn(2_000, 1_900), Turn::Nobody);
        assert_eq!(turn(2_400, 1_500), Turn::Background);
        assert_eq!(turn(2_400, 2_250), Turn::Writer);
        // The background cannot keep up: a longer log is worse than a pause.
        assert_eq!(turn(8_001, 0), Turn::Writer);
    }

    #[test]
    fn the_background_comes_near_enough_for_the_writer() {
        let limits = Limits { due: 1_000, large: 2_000, most: 8_000 };
        // The log grows by half of what is moved meanwhile.
        let (mut log, mut passes) = (Log { pages: 1_001, moved: 0 }, 0);
        while limits.turn(&log) != Turn::Writer {
            let rest = log.pages - log.moved;
            if limits.turn(&log) == Turn::Background {
                (log.moved, passes) = (log.pages, passes + 1);
            }
            log.pages += rest.max(20) / 2;
        }
        assert!(passes < 10 && log.pages < 4_000, "{passes} passes, {} pages", log.pages);
    }
}
