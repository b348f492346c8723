//! Why something failed in here, before it becomes a [`StoreError`].
//!
//! The texts name tables, columns and constraints, never a value: they may be logged.

use rusqlite::ErrorCode;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum Fault {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
    /// PostgreSQL, or the way to it.
    #[error("{}", in_words(.0))]
    Server(#[from] tokio_postgres::Error),
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
            Self::Server(_) => !self.is_of_the_work(),
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

/// What a failure of PostgreSQL means for the work.
impl Fault {
    fn state(&self) -> Option<&str> {
        if let Self::Server(error) = self { error.code().map(SqlState::code) } else { None }
    }

    /// Is it PostgreSQL's?
    pub(in crate::store) fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Is it the work that cannot be done, whoever tries? A value that is none (22), a constraint that would have been
    /// broken (23), more than an index takes (54): nothing ails the database.
    pub(in crate::store) fn is_of_the_work(&self) -> bool {
        self.state().is_some_and(|state| ["22", "23", "54"].iter().any(|class| state.starts_with(class)))
    }

    /// Is the connection lost, or the server stopping, so that only somebody else can tell what took effect?
    pub(in crate::store) fn is_loss(&self) -> bool {
        let Self::Server(error) = self else { return matches!(self, Self::Io(_)) };
        match error.as_db_error() {
            None => error.is_closed() || std::error::Error::source(error).is_some_and(|it| it.is::<std::io::Error>()),
            // Connection trouble; ended by an operator, a crash or a start; ended for being idle.
            Some(said) => {
                let state = said.code().code();
                state.starts_with("08") || state.starts_with("57P") || state == "25P03"
            }
        }
    }

    /// Was somebody else in the way, so that it may go better next time?
    pub(in crate::store) fn passes(&self) -> bool {
        // A failed serialisation, a deadlock, a lock that was not to be had.
        self.state().is_some_and(|state| ["40001", "40P01", "55P03"].contains(&state))
    }
}

/// What the server says of values stands in the detail of an error, and of malformed ones in its text: both are left
/// out.
fn in_words(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        return std::error::Error::source(error).map_or_else(|| error.to_string(), |why| format!("{error}: {why}"));
    };
    let state = said.code().code();
    let constraint = said.constraint().unwrap_or_default();
    match state {
        "23505" => format!("UNIQUE constraint failed: {constraint}"),
        "23503" => format!("FOREIGN KEY constraint failed: {constraint}"),
        "23514" => format!("CHECK constraint failed: {constraint}"),
        _ if ["22", "23", "54"].iter().any(|class| state.starts_with(class)) => {
            format!("SQLSTATE {state} {constraint}")
        }
        _ => format!("{} (SQLSTATE {state})", said.message()),
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
