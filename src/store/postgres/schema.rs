//! The schema and its versions. A database of a newer version is refused: writing into what is not understood could
//! break what a newer gateway relies on.

use super::session::Link;
use crate::store::sql::fault::Fault;
use crate::store::sql::session::Session;

/// Each brings the database from the version of its index to the next one. Never changed once released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("ledger.sql"),
    include_str!("act.sql"),
    include_str!("referral.sql"),
    include_str!("number.sql"),
];

/// Brings the database to the newest version, all steps or none. Gateways that start together do it one after another.
pub(super) fn migrate(link: &Link) -> Result<(), Fault> {
    match version(link) {
        Ok(Some(found)) if found == known() => return Ok(()),
        _ => {}
    }
    // Two that make it at once: one of them fails, and finds it made.
    let _ = link.batch("CREATE TABLE IF NOT EXISTS onward_schema (one INTEGER PRIMARY KEY, version BIGINT NOT NULL)");
    link.batch("INSERT INTO onward_schema (one, version) VALUES (1, 0) ON CONFLICT DO NOTHING")?;
    link.batch("BEGIN")?;
    match steps(link) {
        Ok(()) => link.batch("COMMIT"),
        Err(fault) => {
            let _ = link.batch("ROLLBACK");
            Err(fault)
        }
    }
}

fn steps(link: &Link) -> Result<(), Fault> {
    let session: &dyn Session = link;
    let found = session.one("SELECT version FROM onward_schema WHERE one = 1 FOR UPDATE", &[], |row| row.get(0))?;
    let found = checked(found.unwrap_or_default())?;
    for step in MIGRATIONS.iter().skip(found as usize) {
        link.batch(step)?;
    }
    session.execute("UPDATE onward_schema SET version = ?1 WHERE one = 1", &[known().into()]).map(drop)
}

/// Has a store been made here?
pub(super) fn exists(link: &Link) -> Result<bool, Fault> {
    let session: &dyn Session = link;
    session.exists("SELECT 1 FROM information_schema.tables WHERE table_name = 'onward_schema'", &[])
}

/// The database's version; `None`: it has none yet.
pub(super) fn version(link: &Link) -> Result<Option<i64>, Fault> {
    let session: &dyn Session = link;
    let found = session.one("SELECT version FROM onward_schema WHERE one = 1", &[], |row| row.get(0))?;
    found.map(checked).transpose()
}

fn checked(found: i64) -> Result<i64, Fault> {
    if (0..=known()).contains(&found) { Ok(found) } else { Err(Fault::SchemaTooNew { found, known: known() }) }
}

pub(super) fn known() -> i64 {
    MIGRATIONS.len() as i64
}
