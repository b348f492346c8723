//! Transactions and savepoints by hand: one transaction spans the work of many callers.

use rusqlite::Connection;

use crate::store::sql::fault::Fault;

/// Takes the write lock, waiting for other processes.
pub(super) fn begin(conn: &Connection) -> Result<(), Fault> {
    run(conn, "BEGIN IMMEDIATE")
}

/// Durable when it returns.
pub(super) fn commit(conn: &Connection) -> Result<(), Fault> {
    run(conn, "COMMIT")
}

/// Nothing of it took effect.
pub(super) fn roll_back(conn: &Connection) -> Result<(), Fault> {
    run(conn, "ROLLBACK")
}

/// From here on a part can be undone.
pub(super) fn savepoint(conn: &Connection) -> Result<(), Fault> {
    run(conn, "SAVEPOINT work")
}

/// Back to the savepoint, which stays.
pub(super) fn undo(conn: &Connection) -> Result<(), Fault> {
    run(conn, "ROLLBACK TO work")
}

/// The part is the transaction's now.
pub(super) fn release(conn: &Connection) -> Result<(), Fault> {
    run(conn, "RELEASE work")
}

/// Changes when another connection has committed.
pub(super) fn data_version(conn: &Connection) -> Result<i64, Fault> {
    Ok(conn.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))?)
}

fn run(conn: &Connection, statement: &str) -> Result<(), Fault> {
    conn.prepare_cached(statement)?.execute(())?;
    Ok(())
}
