//! The schema and its versions. A file of a newer version is refused: writing into what is not
//! understood could break what a newer gateway relies on.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::sql::fault::Fault;
use crate::store::sql::index;

/// Each brings the file from the version of its index to the next one. Never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("feed.sql"),
    include_str!("decision.sql"),
    include_str!("index.sql"),
    include_str!("letters.sql"),
    include_str!("ledger.sql"),
    include_str!("act.sql"),
    include_str!("referral.sql"),
];
/// The version from which on records are found by keys.
const KEYS_SINCE: i64 = 4;

/// Brings the file to the newest version, all steps or none.
pub(in crate::store) fn migrate(conn: &mut Connection) -> Result<(), Fault> {
    if version(conn)? == known() {
        return Ok(());
    }
    // Another process may be doing the same: look again under the lock.
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = check(&tx)?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        tx.execute_batch(step)?;
    }
    if found < KEYS_SINCE {
        index::key_all(&*tx)?;
    }
    tx.pragma_update(None, "user_version", known())?;
    Ok(tx.commit()?)
}

/// The file's version, where it is one that is known here.
pub(super) fn check(conn: &Connection) -> Result<i64, Fault> {
    match version(conn)? {
        found if (0..=known()).contains(&found) => Ok(found),
        found => Err(Fault::SchemaTooNew { found, known: known() }),
    }
}

fn version(conn: &Connection) -> Result<i64, Fault> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

pub(super) fn known() -> i64 {
    MIGRATIONS.len() as i64
}
