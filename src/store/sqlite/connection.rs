//! Opening the file: for writing, for reading, and private to its owner.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::schema;
use crate::store::sql::fault::Fault;

/// Each random entry of an index writes a page, and a person is found by ten of them: 8 KiB write half as much again for a
/// referral, and cost 4 % more work (measured). A compressed body spills over into a second one.
pub(super) const PAGE_BYTES: i64 = 4 * 1024;
/// How long to wait for another process, such as an `onward slots import`.
const BUSY: Duration = Duration::from_secs(5);
/// Between two looks whether the other one is done. SQLite by itself looks ten times a second after a while, and misses the
/// moments between the transactions of one that writes all the time.
const BUSY_LOOK: Duration = Duration::from_millis(1);
/// Before it, SQLite could corrupt a file when the log was reset.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// More statements than there are in this module, so that each is prepared once.
const STATEMENTS: usize = 128;
/// Pages that a writer keeps in memory, unless it has a reason to keep more.
pub(in crate::store) const CACHE_BYTES: usize = 64 << 20;

/// Makes the file, and its folder, for nobody else to read. SQLite gives its side files the same mode.
pub(super) fn create_private(path: &Path) -> Result<(), Fault> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // `create_new`: to open and close an existing file would drop this process's locks on it.
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// Which file a path led to: device and inode. One that is deleted or replaced while it is open still takes writes,
/// and nobody will ever read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// The file's that is there now.
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        let found = fs::metadata(path)?;
        Ok(Self(found.dev(), found.ino()))
    }

    /// Is it still there? What takes its place is not the database that this gateway knows.
    pub(super) fn check(self, path: &Path) -> Result<(), Fault> {
        match Self::of(path) {
            Ok(found) if found == self => Ok(()),
            Ok(_) => Err(Fault::Broken("the database file was replaced while it was open")),
            Err(_) => Err(Fault::Broken("the database file is gone")),
        }
    }
}

/// The one connection that writes. Refuses a file or a library with which it could not keep its word. `cache_bytes`: pages that
/// it keeps in memory.
pub(in crate::store) fn open_writer(path: &Path, cache_bytes: usize) -> Result<Connection, Fault> {
    let mut conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    schema::check(&conn)?;
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "cache_size", -i64::try_from(cache_bytes >> 10).unwrap_or(i64::MAX))?;
    check_promises(&conn)?;
    schema::migrate(&mut conn)?;
    Ok(conn)
}

/// A connection that only moves pages from the log to the file.
pub(super) fn open_checkpointer(path: &Path) -> Result<Connection, Fault> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    conn.pragma_update(None, "synchronous", "full")?;
    Ok(conn)
}

/// A connection that only reads; mapped memory spares it a copy of each page after each commit.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update_and_check(None, "mmap_size", 1_i64 << 30, |_| Ok(()))?;
    Ok(conn)
}

/// Somebody else writes: is it worth another look?
fn waits(looks: i32) -> bool {
    std::thread::sleep(BUSY_LOOK);
    BUSY_LOOK.saturating_mul(looks.unsigned_abs()) < BUSY
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Fault> {
    let mut conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_handler(Some(waits))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on bound values; without this SQLite prepares statements on partial indexes anew at
    // every other execution, which was a twentieth of the writer's time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    Ok(conn)
}

/// What durability and the invariants rest on is read back, not assumed.
fn check_promises(conn: &Connection) -> Result<(), Fault> {
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let journal: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(Fault::Broken("SQLite is older than 3.51.3"));
    }
    if journal != "wal" || number("synchronous")? != 2 || number("foreign_keys")? != 1 {
        return Err(Fault::Broken("SQLite did not take the settings that durability needs"));
    }
    Ok(())
}
