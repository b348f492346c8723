//! A strict JSON reader (RFC 8259) for bytes that nobody has looked at yet.
//!
//! `serde_json::from_slice` keeps the last of two equal keys, so two readers of one message may see different
//! patients; it also rewrites exponents and cannot name the place of a fault. This reader refuses what is
//! ambiguous (RFC 8259 section 4: names SHOULD be unique; R4 2.6.2: "property names SHALL be unique"), keeps every
//! number as it was written (R4 2.24.0.1: the precision of a decimal is significant), and is bounded in
//! bytes, depth and values, so that no body can exhaust the stack or the memory.

mod reader;
mod string;

use std::fmt;

use serde_json::Value;

pub(crate) use self::string::unescaped;
use super::names::Names;
use super::tape::{NO_NAMES, Node, NodeId, Tape, line_column};
use crate::issue::{self, Code, Issue};

/// Deeper than this is never read, whatever the configuration says: the reader and the values it makes recurse.
const DEPTH_CEILING: usize = 512;

/// How much is read at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body.
    pub bytes_max: usize,
    /// Deepest nesting of objects and arrays; 512 at most.
    pub depth_max: usize,
    /// Most values of any kind: two bytes of JSON can cost some seventy bytes of memory.
    pub values_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 10 << 20, depth_max: 64, values_max: 1 << 19 }
    }
}

/// What is wrong with a body that is not JSON, or not JSON that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// More bytes than `Limits::bytes_max`.
    TooLarge,
    /// More values than `Limits::values_max`.
    TooManyValues,
    /// Nested deeper than `Limits::depth_max`.
    TooDeep,
    /// Not UTF-8 (RFC 8259 section 8.1).
    Utf8,
    /// Starts with a byte order mark, which RFC 8259 section 8.1 forbids to send.
    ByteOrderMark,
    /// Nothing but white space.
    Empty,
    /// Ends in the middle of a value.
    Unfinished,
    /// Goes on after the value.
    Trailing,
    /// No value where one must stand.
    Value,
    /// No property name where one must stand.
    Name,
    /// No colon after a property name.
    Colon,
    /// Neither a comma nor the end of the object or array.
    Separator,
    /// A number that is not in JSON's form, such as `01` or `.5`.
    Number,
    /// A backslash that is not followed by one of JSON's escapes.
    Escape,
    /// Half of a surrogate pair, which is no character.
    Surrogate,
    /// A control character that is not escaped.
    Control,
    /// The same property twice in one object.
    DuplicateKey,
}

impl JsonFault {
    /// The kind of issue that it is.
    pub fn code(self) -> &'static Code {
        match self {
            Self::TooLarge | Self::TooManyValues => &issue::BODY_TOO_LARGE,
            Self::TooDeep => &issue::JSON_TOO_DEEP,
            Self::Utf8 => &issue::UTF8_INVALID,
            Self::DuplicateKey => &issue::JSON_DUPLICATE_KEY,
            _ => &issue::JSON_INVALID,
        }
    }

    /// What is expected instead.
    pub fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "the body has more bytes than are read here",
            Self::TooManyValues => "the body has more values than are read here",
            Self::TooDeep => "objects and arrays are nested deeper than is read here",
            Self::Utf8 => "JSON must be encoded as UTF-8, and these bytes are not",
            Self::ByteOrderMark => "JSON must not start with a byte order mark: send the body without it",
            Self::Empty => "the body is empty; a JSON value is expected",
            Self::Unfinished => "the body ends in the middle of a value",
            Self::Trailing => "nothing may follow after the JSON value",
            Self::Value => "a JSON value is expected here",
            Self::Name => "a property name in double quotes is expected here",
            Self::Colon => "a colon is expected after the property name",
            Self::Separator => "a comma, or the end of the object or array, is expected here",
            Self::Number => "this is not a JSON number",
            Self::Escape => "a backslash must start one of JSON's escapes",
            Self::Surrogate => "an escaped surrogate must be one of a high and low pair",
            Self::Control => "a control character within a string must be escaped",
            Self::DuplicateKey => "the object has this property twice",
        }
    }
}

/// Where and why reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonFault,
    /// Offset of the offending byte, from 0.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// Its character within the line, from 1.
    pub column: usize,
    /// The value that was being read, such as `Bundle.entry[3].resource.status`.
    pub place: String,
}

impl JsonError {
    /// The kind of issue that it is.
    pub fn code(&self) -> &'static Code {
        self.kind.code()
    }

    /// The same as an issue: place and position, no value from the body.
    pub fn issue(&self) -> Issue {
        let text = format!("Line {}, column {}: {}.", self.line, self.column, self.kind.text());
        Issue::with(self.code(), self.place.clone(), text)
    }

    fn at(kind: JsonFault, bytes: &[u8], offset: usize, place: String) -> Self {
        let (line, column) = line_column(bytes, offset);
        Self { kind, offset, line, column, place }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.kind.text(), self.line, self.column)
    }
}

impl std::error::Error for JsonError {}

/// Reads one JSON value that is all of `bytes` into a tree.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    read(bytes, limits, &NO_NAMES, Vec::new()).map(|tape| tape.value(NodeId::ROOT))
}

/// Reads one JSON value that is all of `bytes` as spans. `nodes` is a list to read into, new or of a document that
/// is done with.
pub fn read<'a>(bytes: &'a [u8], limits: &Limits, names: &Names, nodes: Vec<Node>) -> Result<Tape<'a>, JsonError> {
    let fail = |kind, offset| Err(JsonError::at(kind, bytes, offset, String::new()));
    let bytes_max = limits.bytes_max.min(u32::MAX as usize - 1);
    if bytes_max < bytes.len() {
        return fail(JsonFault::TooLarge, bytes_max);
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return fail(JsonFault::ByteOrderMark, 0);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => reader::read(text, limits, names, nodes),
        Err(error) => fail(JsonFault::Utf8, error.valid_up_to()),
    }
}

#[cfg(test)]
mod tests;
