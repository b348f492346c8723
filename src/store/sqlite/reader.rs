//! Connections for reading. Each read is one statement on a connection of its own, so that it sees
//! everything that was committed before it began and never waits for the writer.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::connection;
use crate::store::StoreError;
use crate::store::sql::fault::Fault;
use crate::store::sql::session::Session;

/// More than there are threads that read at once.
const IDLE_MAX: usize = 32;

/// A stack of idle connections: the one used last has the warmest cache.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// None is opened before it is needed.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Reads. A connection on which something failed is not used again.
    pub(super) fn read<T>(&self, mut work: impl FnMut(&dyn Session) -> Result<T, Fault>) -> Result<T, StoreError> {
        let conn = self.take()?;
        let found = work(&conn)?;
        self.put_back(conn);
        Ok(found)
    }

    /// Closes the idle ones.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn take(&self) -> Result<Connection, Fault> {
        let idle = self.lock().pop();
        idle.map_or_else(|| connection::open_reader(&self.path), Ok)
    }

    fn put_back(&self, conn: Connection) {
        let mut idle = self.lock();
        if idle.len() < IDLE_MAX {
            idle.push(conn);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
