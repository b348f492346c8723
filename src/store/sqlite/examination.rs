//! The file, looked at from outside: nothing is written, and nothing brought to a newer schema.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;

use super::{connection, schema};
use crate::store::sql::fault::Fault;
use crate::store::sql::session::Session;
use crate::store::symptom::{Kind, Symptom};

/// A larger file is read whole only on request.
const READ_MAX: u64 = 4 << 30;
/// Clocks of one machine may be so much apart after a start.
const CLOCK_TOLERANCE_S: i64 = 5;

/// Everything that can be seen of the file. `deep`: it is read whole, however large it is.
pub(in crate::store) fn examine(path: &Path, deep: bool, now: Timestamp) -> Vec<Symptom> {
    let Ok(file) = fs::metadata(path) else {
        return vec![Symptom::new(Kind::Missing, path.display().to_string())];
    };
    let mut found = Vec::new();
    if file.mode() & 0o077 != 0 {
        found.push(Symptom::new(Kind::Permissions, format!("mode {:o}", file.mode() & 0o777)));
    }
    let looked = connection::open_reader(path).and_then(|conn| look(&conn, deep || file.len() <= READ_MAX, now));
    match looked {
        Ok(symptoms) if symptoms.is_empty() => {
            found.push(Symptom::new(Kind::Well, format!("SQLite {}, {} MB", rusqlite::version(), file.len() >> 20)));
        }
        Ok(symptoms) => found.extend(symptoms),
        Err(fault) => found.push(of_fault(fault)),
    }
    found
}

fn of_fault(fault: Fault) -> Symptom {
    match fault {
        Fault::SchemaTooNew { found, known } => {
            Symptom::new(Kind::TooNew, format!("schema {found}, this version knows {known}"))
        }
        other => Symptom::new(Kind::Unreachable, other.to_string()),
    }
}

fn look(conn: &Connection, whole: bool, now: Timestamp) -> Result<Vec<Symptom>, Fault> {
    let mut found = Vec::new();
    let version = schema::check(conn)?;
    let known = schema::known();
    let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "wal" {
        found.push(Symptom::new(Kind::Journal, journal));
    }
    if whole {
        found.extend(read(conn)?);
    } else {
        found.push(Symptom::new(Kind::IntegrityUnknown, "not read"));
    }
    if version < known {
        found.push(Symptom::new(Kind::Older, format!("schema {version}, this version makes it {known}")));
        return Ok(found);
    }
    found.extend(clock(conn, now)?);
    Ok(found)
}

/// Page by page and index by index.
fn read(conn: &Connection) -> Result<Vec<Symptom>, Fault> {
    let checked: String = conn.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
    let session: &dyn Session = conn;
    let stray = session.exists("SELECT 1 FROM pragma_foreign_key_check LIMIT 1", &[])?;
    // What the check says names tables and pages, and no values.
    let damaged = (checked != "ok").then(|| Symptom::new(Kind::Integrity, checked));
    let strays = stray.then(|| Symptom::new(Kind::Strays, "PRAGMA foreign_key_check"));
    Ok(damaged.into_iter().chain(strays).collect())
}

/// What has come is not of the future.
fn clock(conn: &Connection, now: Timestamp) -> Result<Option<Symptom>, Fault> {
    const NEWEST: &str = "SELECT received_at FROM message ORDER BY seq DESC LIMIT 1";
    let session: &dyn Session = conn;
    let newest: Option<Timestamp> = session.one(NEWEST, &[], |row| row.get(0))?;
    let ahead_s = newest.map_or(0, |newest| newest.duration_since(now).as_secs());
    Ok((ahead_s > CLOCK_TOLERANCE_S)
        .then(|| Symptom::new(Kind::ClockBehind, format!("the newest message came in {ahead_s} s from now"))))
}
