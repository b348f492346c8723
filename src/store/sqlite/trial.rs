//! What the writer writes while it is ill, to find out whether that has passed: as much as a few messages would,
//! for where a page fits a message may not. It is taken away again in a second transaction, because of what one
//! transaction writes and removes again nothing reaches the disk.

use rusqlite::Connection;

use crate::store::sql::fault::Fault;

const BYTES: i64 = 1 << 20;

/// Also takes away what a crash left behind.
pub(super) fn write(conn: &Connection) -> Result<(), Fault> {
    conn.execute_batch("DROP TABLE IF EXISTS trial; CREATE TABLE trial (body BLOB) STRICT")?;
    conn.execute("INSERT INTO trial VALUES (zeroblob(?))", [BYTES])?;
    Ok(())
}

/// Its pages are used for other things.
pub(super) fn remove(conn: &Connection) -> Result<(), Fault> {
    Ok(conn.execute_batch("DROP TABLE trial")?)
}
