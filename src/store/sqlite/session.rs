//! Statements on a connection to SQLite. Each is prepared once per connection; nothing is copied on the way in, and
//! nothing on the way out before somebody takes it out of its row.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use crate::store::sql::fault::Fault;
use crate::store::sql::session::{Dialect, Reading, Row, Session, Value};

impl Session for Connection {
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<usize, Fault> {
        Ok(self.prepare_cached(sql)?.execute(params_from_iter(params))?)
    }

    fn each(&self, sql: &str, params: &[Value<'_>], read: Reading<'_>) -> Result<(), Fault> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            if read(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn defer_keys(&self) -> Result<(), Fault> {
        Ok(self.pragma_update(None, "defer_foreign_keys", true)?)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn value(&self, index: usize) -> Result<Value<'_>, Fault> {
        Ok(match self.get_ref(index)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Int(number),
            ValueRef::Text(text) => {
                Value::Text(str::from_utf8(text).map_err(|_| Fault::Broken("a stored text is not UTF-8"))?)
            }
            ValueRef::Blob(bytes) => Value::Blob(bytes),
            ValueRef::Real(_) => return Err(Fault::Broken("a stored value is not what it must be")),
        })
    }
}
