//! Statements on a connection to PostgreSQL. Each is translated and prepared once per connection. What only writes is
//! sent without waiting for the one before, so that a message costs few journeys to the server.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::drive::Drive;
use crate::store::sql::fault::Fault;
use crate::store::sql::session::{Dialect, Reading, ReadingOf, Row, Session, Value};

/// Statements under way at which it is better to wait: their answers take room.
const UNDER_WAY_MAX: usize = 256;

type UnderWay = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A connection.
pub(super) struct Link {
    client: Arc<Client>,
    drive: Drive,
    statements: RefCell<HashMap<String, Statement>>,
    under_way: RefCell<Vec<UnderWay>>,
    lane: i64,
}

impl Link {
    pub(super) fn new(client: Client, drive: Drive, lane: i64) -> Self {
        Self { client: Arc::new(client), drive, statements: RefCell::default(), under_way: RefCell::default(), lane }
    }

    /// Is it known to be lost?
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Forgets prepared statements that begin so: a cursor's are good for this cursor only.
    pub(super) fn forget(&self, beginning: &str) {
        self.statements.borrow_mut().retain(|sql, _| !sql.starts_with(beginning));
    }

    /// Runs statements that take no parameters.
    pub(super) fn batch(&self, sql: &str) -> Result<(), Fault> {
        self.flush()?;
        Ok(self.drive.wait(self.client.batch_execute(sql))?)
    }

    /// Sends a statement without parameters and does not wait for it.
    pub(super) fn send(&self, sql: &str) -> Result<(), Fault> {
        self.write(sql, &[])
    }

    /// Runs a statement with an array of numbers as its only parameter.
    pub(super) fn execute_for(&self, sql: &str, numbers: &[i32]) -> Result<(), Fault> {
        let statement = self.prepared(sql)?;
        let done = self.drive.wait(self.client.execute(&statement, &[&numbers]));
        self.checked(done).map(drop)
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Fault> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let prepared = self.drive.wait(self.client.prepare(&translated(sql)));
        let statement = self.checked(prepared)?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// A failure that follows from one before is of no use: that one is told.
    fn checked<T>(&self, outcome: Result<T, tokio_postgres::Error>) -> Result<T, Fault> {
        outcome.or_else(|error| {
            self.flush()?;
            Err(error.into())
        })
    }
}

impl Session for Link {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, Fault> {
        let statement = self.prepared(sql)?;
        let done = self.drive.wait(self.client.execute_raw(&statement, params));
        self.checked(done).map(|rows| usize::try_from(rows).unwrap_or(usize::MAX))
    }

    fn write(&self, sql: &str, params: &[Value<'_>]) -> Result<(), Fault> {
        let statement = self.prepared(sql)?;
        let client = Arc::clone(&self.client);
        let params: Vec<Owned> = params.iter().map(Owned::of).collect();
        let mut sent: UnderWay = Box::pin(async move { client.execute_raw(&statement, params).await });
        // The first look at it sends it.
        match sent.as_mut().now_or_never() {
            Some(done) => self.checked(done).map(drop)?,
            None => self.under_way.borrow_mut().push(sent),
        }
        if self.under_way.borrow().len() < UNDER_WAY_MAX { Ok(()) } else { self.flush() }
    }

    fn flush(&self) -> Result<(), Fault> {
        let under_way = self.under_way.take();
        if under_way.is_empty() {
            return Ok(());
        }
        let outcomes = self.drive.wait(futures_util::future::join_all(under_way));
        outcomes.into_iter().find_map(Result::err).map_or(Ok(()), |error| Err(error.into()))
    }

    fn each(&self, sql: &str, params: &[Value<'_>], read: Reading<'_>) -> Result<(), Fault> {
        let statement = self.prepared(sql)?;
        let rows = self.drive.wait(async {
            let rows = self.client.query_raw(&statement, params).await?;
            futures_util::TryStreamExt::try_collect::<Vec<_>>(rows).await
        });
        for row in self.checked(rows)? {
            if read(&row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn each_of(&self, sql: &str, sets: &[&[Value<'_>]], read: ReadingOf<'_>) -> Result<(), Fault> {
        if sets.is_empty() {
            return Ok(());
        }
        let statement = self.prepared(sql)?;
        let asked = sets.iter().map(|params| async {
            let rows = self.client.query_raw(&statement, *params).await?;
            futures_util::TryStreamExt::try_collect::<Vec<_>>(rows).await
        });
        let answers = self.drive.wait(futures_util::future::join_all(asked));
        for (at, rows) in answers.into_iter().enumerate() {
            for row in self.checked(rows)? {
                read(at, &row)?;
            }
        }
        Ok(())
    }

    fn defer_keys(&self) -> Result<(), Fault> {
        self.send("SET CONSTRAINTS ALL DEFERRED")
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgres { lane: self.lane }
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// `?1` as PostgreSQL has it: `$1`. No statement of ours has a question mark in a text.
fn translated(sql: &str) -> String {
    sql.replace('?', "$")
}

/// A value that outlives the call that it was handed to.
#[derive(Debug)]
enum Owned {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Owned {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(number) => Self::Int(*number),
            Value::Text(text) => Self::Text((*text).to_owned()),
            Value::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text),
            Self::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

type Encoded = Result<IsNull, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number_to_sql(*number, ty, out),
            // The one character that PostgreSQL cannot keep. Where a sender has it in a name it is lost, and nothing else.
            Self::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").as_str().to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A parameter is as wide as the server takes it to be.
fn number_to_sql(number: i64, ty: &Type, out: &mut BytesMut) -> Encoded {
    match *ty {
        Type::INT8 => number.to_sql(ty, out),
        Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
        Type::INT2 => i16::try_from(number)?.to_sql(ty, out),
        Type::BOOL => (number != 0).to_sql(ty, out),
        _ => Err("a number where the statement has none".into()),
    }
}

impl ToSql for Owned {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Encoded {
        self.value().to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Self::Int(bool::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(str::from_utf8(raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::INT8
                | Type::INT4
                | Type::INT2
                | Type::BOOL
                | Type::BYTEA
                | Type::TEXT
                | Type::VARCHAR
                | Type::UNKNOWN
        )
    }
}

impl Row for tokio_postgres::Row {
    fn value(&self, index: usize) -> Result<Value<'_>, Fault> {
        Ok(self.try_get(index)?)
    }
}
