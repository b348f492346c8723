//! How values of ours stand in columns: models as JSON, bodies compressed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;

/// A record as JSON.
pub(in crate::store) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|_| Fault::Broken("a record cannot be written as JSON"))
}

/// A record from its JSON. The parser's own words might quote it, so they are left out.
pub(in crate::store) fn model<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Broken("a stored record cannot be read"))
}

/// Bytes as they are kept.
pub(in crate::store) fn packed(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(bytes)
}

/// Bytes as they were.
pub(in crate::store) fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    lz4_flex::block::decompress_size_prepended(bytes).map_err(|_| Fault::Broken("a stored body cannot be unpacked"))
}
