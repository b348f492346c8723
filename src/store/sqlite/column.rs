//! How values of ours stand in columns: times as microseconds, ids as 16 bytes, models as JSON,
//! bodies compressed.

use jiff::Timestamp;
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::fault::Fault;

/// The instant in a column.
pub(super) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    instant_of(index, row.get(index)?)
}

/// The instant in a column that may be empty.
pub(super) fn instant_maybe(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    row.get::<_, Option<i64>>(index)?.map(|value| instant_of(index, value)).transpose()
}

fn instant_of(index: usize, value: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, value))
}

/// The id in a column.
pub(super) fn id(row: &Row<'_>, index: usize) -> rusqlite::Result<Uuid> {
    row.get(index).map(Uuid::from_bytes)
}

/// The id in a column that may be empty.
pub(super) fn id_maybe(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Uuid>> {
    Ok(row.get::<_, Option<[u8; 16]>>(index)?.map(Uuid::from_bytes))
}

/// A record as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|_| Fault::Broken("a record cannot be written as JSON"))
}

/// A record from its JSON. The parser's own words might quote it, so they are left out.
pub(super) fn model<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Broken("a stored record cannot be read"))
}

/// Bytes as they are kept.
pub(super) fn packed(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(bytes)
}

/// Bytes as they were.
pub(super) fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    lz4_flex::block::decompress_size_prepended(bytes).map_err(|_| Fault::Broken("a stored body cannot be unpacked"))
}
