//! What the statements need of a database: a connection on which they run, values that go in, and rows that come out.
//!
//! Statements are written once, in the SQL that SQLite and PostgreSQL share, with parameters as `?1`. A connection is
//! used through `&dyn Session`: the call costs a few nanoseconds where the statement costs microseconds, and the
//! modules are compiled once and stay as readable as if there were one database.

use std::ops::ControlFlow;

use jiff::Timestamp;
use uuid::Uuid;

use super::fault::Fault;

/// A value that goes in or comes out. It is borrowed from wherever it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::store) enum Value<'a> {
    Null,
    /// Also truth: 0 and 1.
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// Is shown row after row; `Break`: no more are wanted.
pub(in crate::store) type Reading<'r> = &'r mut dyn FnMut(&dyn Row) -> Result<ControlFlow<()>, Fault>;

/// Is shown row after row, with the place of what was asked.
pub(in crate::store) type ReadingOf<'r> = &'r mut dyn FnMut(usize, &dyn Row) -> Result<(), Fault>;

/// Where statements differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Dialect {
    /// One writes at a time.
    Sqlite,
    /// Many write at once, and each counts in a lane of its own.
    #[allow(missing_docs)]
    Postgres { lane: i64 },
}

/// A connection, mostly with an open transaction.
pub(in crate::store) trait Session {
    /// Runs a statement; how many rows it changed.
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, Fault>;

    /// Runs a statement of which nobody needs to know how many rows it changed. It may be under way when this returns;
    /// [`Session::flush`] waits for it and tells its failure, and whatever runs later sees what it did.
    fn write(&self, sql: &str, params: &[Value<'_>]) -> Result<(), Fault> {
        self.execute(sql, params).map(drop)
    }

    /// Waits for what is under way.
    fn flush(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Runs a query and shows its rows, until there are none left or no more are wanted.
    fn each(&self, sql: &str, params: &[Value<'_>], read: Reading<'_>) -> Result<(), Fault>;

    /// Runs a query once for each of many sets of parameters, and shows the rows with the place of the set that they
    /// answer. Where the database is a journey away, it is one journey for all.
    fn each_of(&self, sql: &str, sets: &[&[Value<'_>]], read: ReadingOf<'_>) -> Result<(), Fault> {
        for (at, params) in sets.iter().enumerate() {
            self.each(sql, params, &mut |row| read(at, row).map(ControlFlow::Continue))?;
        }
        Ok(())
    }

    /// Until the end of the transaction foreign keys are looked at only there.
    fn defer_keys(&self) -> Result<(), Fault>;

    /// Which database it is, for the few statements that differ.
    fn dialect(&self) -> Dialect;

    /// For tests of what only one database can do.
    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any;
}

impl dyn Session + '_ {
    /// The first row, if there is one.
    pub(in crate::store) fn one<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        read: impl Fn(&dyn Row) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut found = None;
        self.each(sql, params, &mut |row| {
            found = Some(read(row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// All rows.
    pub(in crate::store) fn all<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut found = Vec::new();
        self.each(sql, params, &mut |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Is there such a row?
    pub(in crate::store) fn exists(&self, sql: &str, params: &[Value<'_>]) -> Result<bool, Fault> {
        Ok(self.one(sql, params, |_| Ok(()))?.is_some())
    }
}

/// A row.
pub(in crate::store) trait Row {
    /// What is in a column, by its place.
    fn value(&self, index: usize) -> Result<Value<'_>, Fault>;
}

impl dyn Row + '_ {
    /// What is in a column, as what it is for us.
    pub(in crate::store) fn get<T: Column>(&self, index: usize) -> Result<T, Fault> {
        T::read(self.value(index)?).ok_or(Fault::Broken("a stored value is not what it must be"))
    }
}

/// The text in the first column.
pub(in crate::store) fn text(row: &dyn Row) -> Result<String, Fault> {
    row.get(0)
}

/// What a column can hold for us.
pub(in crate::store) trait Column: Sized {
    /// `None`: it is something else.
    fn read(value: Value<'_>) -> Option<Self>;
}

impl Column for i64 {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Int(number) = value { Some(number) } else { None }
    }
}

impl Column for u64 {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value).map(i64::unsigned_abs)
    }
}

impl Column for u32 {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }
}

impl Column for u16 {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value)?.try_into().ok()
    }
}

impl Column for bool {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value).map(|number| number != 0)
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.to_vec()) } else { None }
    }
}

/// Sixteen bytes.
impl Column for Uuid {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Self::from_slice(bytes).ok() } else { None }
    }
}

/// Microseconds since 1970.
impl Column for Timestamp {
    fn read(value: Value<'_>) -> Option<Self> {
        Self::from_microsecond(i64::read(value)?).ok()
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value<'_>) -> Option<Self> {
        if value == Value::Null { Some(None) } else { T::read(value).map(Some) }
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Int(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

/// A length or a limit; what is larger than any is the largest.
impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Int(truth.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(instant: Timestamp) -> Self {
        Self::Int(instant.as_microsecond())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a> From<&'a Uuid> for Value<'a> {
    fn from(id: &'a Uuid) -> Self {
        Self::Blob(id.as_bytes())
    }
}

impl<'a, T> From<Option<T>> for Value<'a>
where
    Value<'a>: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// Parameters of a statement, in their order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::sql::session::Value::from($value)),*] };
}
pub(in crate::store) use values;
