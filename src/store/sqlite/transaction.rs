//! Transactions and savepoints by hand: one transaction spans the work of many callers.

use rusqlite::Connection;

use crate::store::sql::fault::Fault;

/// Takes the write lock, waiting for other processes.
pub(in crate::store) fn begin(conn: &Connection) -> Result<(), Fault> {
    run(conn, "BEGIN IMMEDIATE")
}

/// Durable when it returns.
pub(in crate::store) fn commit(conn: &Connection) -> Result<(), Fault> {
    run(conn, "COMMIT")
}

/// Nothing of it took effect.
pub(in crate::store) fn roll_back(conn: &Connection) -> Result<(), Fault> {
    run(conn, "ROLLBACK")
}

/// From here on a part can be undone.
pub(in crate::store) fn savepoint(conn: &Connection) -> Result<(), Fault> {
    run(conn, "SAVEPOINT work")
}

/// Back to the savepoint, which stays.
pub(in crate::store) fn undo(conn: &Connection) -> Result<(), Fault> {
    run(conn, "ROLLBACK TO work")
}

/// The part is the transaction's now.
pub(in crate::store) fn release(conn: &Connection) -> Result<(), Fault> {
    run(conn, "RELEASE work")
}

/// Changes when another connection has committed.
pub(in crate::store) fn data_version(conn: &Connection) -> Result<i64, Fault> {
    Ok(conn.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))?)
}

fn run(conn: &Connection, statement: &str) -> Result<(), Fault> {
    conn.prepare_cached(statement)?.execute(())?;
    Ok(())
}
