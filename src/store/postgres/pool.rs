//! Connections for whoever asks, one at a time. Each sees everything that was committed before it was asked, whichever
//! gateway did it.

use std::sync::{Mutex, PoisonError};

use super::connection::Server;
use super::session::Link;
use crate::store::StoreError;
use crate::store::sql::fault::Fault;
use crate::store::sql::session::Session;

/// Connections that are kept. A server has some hundred for everybody.
const IDLE_MAX: usize = 8;

/// A stack of idle connections.
pub(super) struct Pool {
    server: Server,
    open: fn(&Server) -> Result<Link, Fault>,
    idle: Mutex<Vec<Link>>,
}

impl Pool {
    /// None is opened before it is needed.
    pub(super) fn new(server: Server, open: fn(&Server) -> Result<Link, Fault>) -> Self {
        Self { server, open, idle: Mutex::default() }
    }

    /// Asks. An idle connection whose server has gone is no failure: a new one is tried.
    pub(super) fn read<T>(&self, mut work: impl FnMut(&dyn Session) -> Result<T, Fault>) -> Result<T, StoreError> {
        while let Some(link) = self.take() {
            match work(&link) {
                Err(fault) if fault.is_loss() => {}
                found => return self.found(link, found),
            }
        }
        let link = (self.open)(&self.server)?;
        let found = work(&link);
        self.found(link, found)
    }

    fn found<T>(&self, link: Link, found: Result<T, Fault>) -> Result<T, StoreError> {
        if !link.is_closed() {
            let mut idle = self.lock();
            if idle.len() < IDLE_MAX {
                idle.push(link);
            }
        }
        Ok(found?)
    }

    /// Closes the idle ones.
    pub(super) fn close(&self) {
        self.lock().clear();
    }

    fn take(&self) -> Option<Link> {
        self.lock().pop()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
