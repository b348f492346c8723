//! From a SQLite file to a PostgreSQL database: everything, in one transaction, and looked at again afterwards.
//!
//! The file is locked meanwhile, so that nothing comes in behind the copy. Before the commit every table is read back,
//! and its rows are counted and hashed on both sides: the copy is whole, or there is none.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::connection::Server;
use super::session::Link;
use super::{Options, background, schema};
use crate::store::StoreError;
use crate::store::sql::fault::Fault;
use crate::store::sql::session::{Row, Session, Value, text};
use crate::store::sqlite::connection::{CACHE_BYTES, open_writer};

/// Rows that are read back at a time.
const FETCH: usize = 500;
/// Rows between two words about how far it is.
const STEP: u64 = 1_000;

/// Tables in the order of their foreign keys, with the columns that both databases have.
#[rustfmt::skip]
const TABLES: &[(&str, &str)] = &[
    ("patient", "seq, id, nhs_number, family, birth_date, postal_code, model, keys"),
    ("service", "id, model, resource"),
    ("referral", "seq, id, patient_id, service_id, category, status, worklist, model, resource, record_id"),
    ("appointment", "seq, id, referral_id, patient_id, service_id, slot_id, status, start, model, resource"),
    ("directory", "kind, id, resource"),
    ("slot", "seq, id, schedule, start, \"end\", status, resource"),
    ("slot_service", "service_id, start, slot_id"),
    ("message", "seq, id, received_at, channel, caller, organisation, kind, key, correlation, bundle, outcome, status, \
        first_id, alarm, command, patient_id, referral_id, appointment_id, issues, sha256, body_bytes, body, answer, \
        letters"),
    ("outbox", "id, message_id, destination, key, event, control_id, state, waiting, attempts, due_at, created_at, \
        settled_at, failure, body"),
    ("message_tally", "outcome, n"),
    ("outbox_tally", "destination, state, n"),
    ("patient_number", "system, value, patient_id, merged"),
    ("referral_number", "system, value, referral_id"),
    ("feed_record", "kind, system, value, model"),
    ("feed_message", "seq, message_id, channel, kind, state, code, place, received_at, settled_by"),
    ("feed_decision", "message_id, who, why"),
    ("patient_key", "key, patient"),
    ("patient_link", "record_id, to_id, model, linked_at"),
    ("nhs_number_retired", "number, newer, message_id, at"),
    ("patient_event", "seq, message_id, record_id, at, model"),
    ("task", "seq, id, kind, a, b, source, grade, state, raised_at, raised_by, decided_at, model"),
    ("create_rate", "source, hour, n"),
    ("act", "seq, at, deed, subject, who, why"),
    ("pause", "direction, name, since, who"),
];

/// A table that was copied.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Copied {
    /// Its name.
    pub table: &'static str,
    /// How many rows it has, on both sides.
    pub rows: u64,
    /// The sum of its rows' SHA-256, cut to 128 bits, in hexadecimal; the same on both sides.
    pub hash: String,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Progress {
    Copying { table: &'static str, rows: u64 },
    Verifying { table: &'static str, rows: u64 },
}

/// Copies everything of a file into a database that has nothing in it yet. Fails, and leaves the database as it was,
/// where the file is of an unknown version, the database is not empty, or what is read back is not the same.
pub fn from_sqlite(
    file: &Path,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Copied>, StoreError> {
    if !file.is_file() {
        return Err(StoreError::Refused("there is no such file"));
    }
    let source = open_writer(file, CACHE_BYTES)?;
    source.execute_batch("BEGIN IMMEDIATE").map_err(Fault::from)?;
    refuse_unknown(&source)?;
    let runtime = background()?;
    let server = Server::new(options, runtime.handle().clone())?;
    let link = server.writer(0)?;
    server.check_promises(&link)?;
    schema::migrate(&link)?;
    link.batch("SET idle_in_transaction_session_timeout = 0; BEGIN")?;
    let copied = copy_all(&source, &link, progress)?;
    link.batch("COMMIT")?;
    Ok(copied)
}

/// A table that this list does not know would be left behind.
fn refuse_unknown(source: &dyn Session) -> Result<(), Fault> {
    const ALL: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let known = |name: &String| name == "trial" || TABLES.iter().any(|(table, _)| table == name);
    let all_known = source.all(ALL, &[], text)?.iter().all(known);
    if all_known { Ok(()) } else { Err(Fault::Refused("the file has a table that cannot be copied")) }
}

fn copy_all(source: &Connection, link: &Link, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Copied>, Fault> {
    let session: &dyn Session = link;
    // From here on no gateway can begin with it.
    link.batch("LOCK TABLE message, patient, service IN EXCLUSIVE MODE")?;
    for table in ["message", "patient", "service", "outbox"] {
        if session.exists(&format!("SELECT 1 FROM {table} LIMIT 1"), &[])? {
            return Err(Fault::Refused("the database is not empty"));
        }
    }
    let mut copied = Vec::new();
    for (table, columns) in TABLES {
        let sent = copy(source, link, table, columns, progress)?;
        let found = read_back(link, table, columns, progress)?;
        if sent != found {
            return Err(Fault::Broken("what was read back is not what was copied"));
        }
        copied.push(Copied { table, rows: found.rows, hash: format!("{:032x}", found.hash) });
    }
    Ok(copied)
}

fn copy(
    source: &dyn Session,
    link: &Link,
    table: &'static str,
    columns: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Sum, Fault> {
    let width = columns.split(',').count();
    let insert = insert_into(table, columns, width);
    let mut sum = Sum::default();
    source.each(&format!("SELECT {columns} FROM {table}"), &[], &mut |row| {
        let values = (0..width).map(|index| row.value(index)).collect::<Result<Vec<_>, _>>()?;
        sum.add(row, width)?;
        link.write(&insert, &values)?;
        if sum.rows % STEP == 0 {
            progress(Progress::Copying { table, rows: sum.rows });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    link.flush()?;
    let numbered = columns.split(", ").next().filter(|first| *first == "seq" || (table == "outbox" && *first == "id"));
    if let Some(column) = numbered.filter(|_| sum.rows > 0) {
        let last = format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table}");
        link.batch(&last)?;
    }
    progress(Progress::Copying { table, rows: sum.rows });
    Ok(sum)
}

fn insert_into(table: &str, columns: &str, width: usize) -> String {
    let places: Vec<String> = (1..=width).map(|place| format!("?{place}")).collect();
    let places = places.join(", ");
    if table.ends_with("_tally") {
        return format!("INSERT INTO {table} ({columns}, lane) VALUES ({places}, 0)");
    }
    format!("INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE VALUES ({places})")
}

fn read_back(
    link: &Link,
    table: &'static str,
    columns: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Sum, Fault> {
    let session: &dyn Session = link;
    let width = columns.split(',').count();
    link.batch(&format!("DECLARE again NO SCROLL CURSOR FOR SELECT {columns} FROM {table}"))?;
    let mut sum = Sum::default();
    loop {
        let before = sum.rows;
        session.each(&format!("FETCH {FETCH} FROM again"), &[], &mut |row| {
            sum.add(row, width)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if sum.rows == before {
            break;
        }
        progress(Progress::Verifying { table, rows: sum.rows });
    }
    link.forget("FETCH");
    link.batch("CLOSE again")?;
    Ok(sum)
}

/// Rows and their hashes, in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: u128,
}

impl Sum {
    fn add(&mut self, row: &dyn Row, width: usize) -> Result<(), Fault> {
        let mut hash = Sha256::new();
        for index in 0..width {
            add_value(&mut hash, row.value(index)?);
        }
        let whole: [u8; 32] = hash.finalize().into();
        let mut short = [0; 16];
        short.copy_from_slice(&whole[..16]);
        self.hash = self.hash.wrapping_add(u128::from_be_bytes(short));
        self.rows += 1;
        Ok(())
    }
}

/// Kind, length and bytes, so that no two rows that differ look the same.
fn add_value(hash: &mut Sha256, value: Value<'_>) {
    let (kind, bytes): (u8, std::borrow::Cow<'_, [u8]>) = match value {
        Value::Null => (0, (&[][..]).into()),
        Value::Int(number) => (1, number.to_be_bytes().to_vec().into()),
        // As it is kept there.
        Value::Text(text) => (2, text.replace('\0', "\u{fffd}").into_bytes().into()),
        Value::Blob(bytes) => (3, bytes.into()),
    };
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_column_of_the_file_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("onward.db");
        std::fs::write(&path, "").unwrap();
        let conn = open_writer(&path, CACHE_BYTES).unwrap();
        let session: &dyn Session = &conn;
        refuse_unknown(session).unwrap();
        for (table, columns) in TABLES {
            let own = format!("SELECT name FROM pragma_table_info('{table}')");
            let own: Vec<String> = session.all(&own, &[], text).unwrap();
            let listed: Vec<_> = columns.split(',').map(|it| it.trim().trim_matches('"').to_owned()).collect();
            let sorted = |mut list: Vec<String>| {
                list.sort();
                list
            };
            assert_eq!(sorted(own), sorted(listed), "{table}");
        }
        conn.execute_batch("CREATE TABLE stranger (x)").unwrap();
        assert!(refuse_unknown(session).is_err());
    }
}
