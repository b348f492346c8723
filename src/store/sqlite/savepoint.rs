//! A part of a transaction that can be undone without the rest.

use rusqlite::Connection;

use super::fault::Fault;

/// From here on.
pub(super) fn open(conn: &Connection) -> Result<(), Fault> {
    run(conn, "SAVEPOINT work")
}

/// Back to where it was opened; it stays open.
pub(super) fn undo(conn: &Connection) -> Result<(), Fault> {
    run(conn, "ROLLBACK TO work")
}

/// It is the transaction's now.
pub(super) fn close(conn: &Connection) -> Result<(), Fault> {
    run(conn, "RELEASE work")
}

fn run(conn: &Connection, statement: &str) -> Result<(), Fault> {
    conn.prepare_cached(statement)?.execute(())?;
    Ok(())
}
