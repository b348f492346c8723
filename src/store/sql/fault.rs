//! Why something failed in here, before it becomes a [`StoreError`].
//!
//! The texts name tables, columns and constraints, never a value: they may be logged.

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Fault {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What is stored, or what was to be stored, is not as it must be.
    #[error("{0}")]
    Broken(&'static str),
    /// Not a failure of ours: it cannot be done as things stand.
    #[error("{0}")]
    Refused(&'static str),
    #[error("schema version {found} is too new")]
    SchemaTooNew { found: i64, known: i64 },
}

impl Fault {
    /// Does it say that the store itself is ill, rather than that one piece of work was wrong?
    pub(in crate::store) fn is_illness(&self) -> bool {
        match self {
            Self::Sql(error) => error.sqlite_error_code().is_some_and(|code| code != ErrorCode::ConstraintViolation),
            Self::Io(_) => true,
            Self::Broken(_) | Self::Refused(_) | Self::SchemaTooNew { .. } => false,
        }
    }

    /// Is the connection itself to be given up? A full disk or a busy file pass by themselves.
    pub(in crate::store) fn spoils_connection(&self) -> bool {
        use ErrorCode::{ConstraintViolation, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory};
        let Self::Sql(error) = self else { return matches!(self, Self::Io(_)) };
        let passes = [ConstraintViolation, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory];
        error.sqlite_error_code().is_some_and(|code| !passes.contains(&code))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => Self::Refused(why),
            Fault::SchemaTooNew { found, known } => Self::SchemaTooNew { found, known },
            other => Self::Database(other.to_string().into()),
        }
    }
}
