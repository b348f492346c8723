//! A message as it came in: borrowed, divided only where somebody looks, nothing dropped.
//!
//! Segments end with CR; LF, CRLF, blank lines, a byte order mark in front and a control-Z behind are tolerated,
//! because real senders do all of them. Segments that nobody knows keep their place. The only things that make a
//! message unreadable are a missing or nonsensical header, and size: everything here is linear in the input, and
//! [`Limits`] bound what later stations may be asked to hold.

use std::borrow::Cow;

use encoding_rs::Encoding;
use memchr::{memchr, memchr_iter, memchr2, memchr3_iter};

use super::delimiters::Delimiters;
use super::escape::unescape;
use super::path::Path;

/// How much is read at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the message.
    pub message_bytes_max: usize,
    /// Segments.
    pub segments_max: usize,
    /// Fields of one segment.
    pub fields_max: usize,
    /// Repetitions of one field.
    pub repetitions_max: usize,
    /// Bytes of one field, OBX-5 (documents) excepted.
    pub field_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 10 << 20,
            segments_max: 20_000,
            fields_max: 1_000,
            repetitions_max: 1_000,
            field_bytes_max: 64 << 10,
        }
    }
}

/// Why bytes are not a message. Segments are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing but white space.
    #[error("the message is empty")]
    Empty,
    /// The first segment is not MSH.
    #[error("the message does not begin with MSH")]
    NoHeader,
    /// MSH-1 and MSH-2 do not say how the message is divided.
    #[error("MSH-1 and MSH-2 are not usable as delimiters")]
    Delimiters,
    /// More bytes than [`Limits::message_bytes_max`].
    #[error("the message has more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// More segments than [`Limits::segments_max`].
    #[error("the message has more than {max} segments")]
    TooManySegments {
        /// The limit.
        max: usize,
    },
    /// More fields than [`Limits::fields_max`].
    #[error("segment {segment} has more than {max} fields")]
    TooManyFields {
        /// Which.
        segment: usize,
        /// The limit.
        max: usize,
    },
    /// More repetitions than [`Limits::repetitions_max`].
    #[error("field {field} of segment {segment} has more than {max} repetitions")]
    TooManyRepetitions {
        /// Which segment.
        segment: usize,
        /// Which field.
        field: usize,
        /// The limit.
        max: usize,
    },
    /// More bytes in a field than [`Limits::field_bytes_max`].
    #[error("field {field} of segment {segment} has more than {max} bytes")]
    FieldTooLarge {
        /// Which segment.
        segment: usize,
        /// Which field.
        field: usize,
        /// The limit.
        max: usize,
    },
}

impl ParseError {
    /// Where it is, in the words of the standard, where it can be said.
    pub fn place(&self, bytes: &[u8]) -> Option<Path> {
        let (segment, field) = match *self {
            Self::TooManyFields { segment, .. } => (segment, 1),
            Self::TooManyRepetitions { segment, field, .. } | Self::FieldTooLarge { segment, field, .. } => {
                (segment, field)
            }
            _ => return None,
        };
        let names: Vec<&[u8]> = lines(trim(bytes)).take(segment).map(|line| line.get(..3).unwrap_or(line)).collect();
        let name = *names.last()?;
        let occurrence = names.iter().filter(|it| **it == name).count();
        let [occurrence, field] = [occurrence, field].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        Some(Path { segment: name.try_into().ok()?, occurrence, field, repetition: 1, component: 0, subcomponent: 0 })
    }
}

/// A message.
#[derive(Clone)]
pub struct Message<'a> {
    bytes: &'a [u8],
    context: Context,
    rows: Vec<Row>,
    /// Where each field begins, the segment's name being the first; of all segments, one after the other.
    starts: Vec<u32>,
}

/// Where a segment stands, and which of the starts are its fields'.
#[derive(Clone, Copy)]
struct Row {
    begin: u32,
    end: u32,
    first: u32,
}

/// What it takes to divide and to read text.
#[derive(Clone, Copy)]
struct Context {
    delimiters: Delimiters,
    /// The character set that `\X..\` is written in, where it is not the one of the bytes.
    encoding: Option<&'static Encoding>,
}

impl<'a> Message<'a> {
    /// Reads a message within the default limits.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_within(bytes, &Limits::default())
    }

    /// Reads a message: one pass over its bytes.
    pub fn parse_within(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        let message_bytes_max = limits.message_bytes_max.min(u32::MAX as usize);
        if bytes.len() > message_bytes_max {
            return Err(ParseError::TooLarge { max: message_bytes_max });
        }
        let text = trim(bytes);
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        if !text.starts_with(b"MSH") {
            return Err(ParseError::NoHeader);
        }
        let delimiters = Delimiters::read(text).ok_or(ParseError::Delimiters)?;
        let mut scan = Scan::new(text, delimiters.field, limits);
        scan.run()?;
        let context = Context { delimiters, encoding: None };
        Ok(Self { bytes: text, context, rows: scan.rows, starts: scan.starts })
    }

    /// The same message, whose `\X..\` is in a character set of its own: the bytes were decoded before.
    pub fn with_encoding(mut self, encoding: &'static Encoding) -> Self {
        self.context.encoding = Some(encoding);
        self
    }

    /// How it is divided.
    pub fn delimiters(&self) -> &Delimiters {
        &self.context.delimiters
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: a message has a header.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All segments in order.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = Segment<'_, 'a>> {
        (0..self.rows.len()).map(|at| self.segment_at(at))
    }

    /// The segments of a name, in order.
    pub fn named(&self, name: [u8; 3]) -> impl Iterator<Item = Segment<'_, 'a>> {
        self.segments().filter(move |segment| segment.is_named(name))
    }

    /// What stands at a place.
    pub fn get(&self, path: Path) -> Value<'a> {
        let segment = self.named(path.segment).nth(usize::from(path.occurrence).saturating_sub(1));
        segment.map_or(Value::Absent, |segment| segment.get(path))
    }

    /// Puts the message together again from its smallest parts and from what stands between its segments: the bytes
    /// that it was read from, without what was trimmed around them.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        for (at, segment) in self.segments().enumerate() {
            segment.write_into(&mut out);
            let end = self.rows[at].end as usize;
            let next = self.rows.get(at + 1).map_or(self.bytes.len(), |row| row.begin as usize);
            out.extend_from_slice(&self.bytes[end..next]);
        }
        out
    }

    fn segment_at(&self, at: usize) -> Segment<'_, 'a> {
        let row = self.rows[at];
        let last = self.rows.get(at + 1).map_or(self.starts.len(), |next| next.first as usize);
        Segment {
            raw: &self.bytes[row.begin as usize..row.end as usize],
            base: row.begin,
            starts: &self.starts[row.first as usize..last],
            context: self.context,
        }
    }
}

/// The one pass: every line break and every field separator, each once.
struct Scan<'a, 'l> {
    text: &'a [u8],
    field: u8,
    limits: &'l Limits,
    rows: Vec<Row>,
    starts: Vec<u32>,
    /// Where the segment, and its last field, began; and which of the starts is its first.
    begin: usize,
    field_begin: usize,
    first: usize,
}

impl<'a, 'l> Scan<'a, 'l> {
    fn new(text: &'a [u8], field: u8, limits: &'l Limits) -> Self {
        let starts = Vec::with_capacity(text.len().min(64 << 10) / 5 + 16);
        let rows = Vec::with_capacity(16);
        Self { text, field, limits, rows, starts, begin: 0, field_begin: 0, first: 0 }
    }

    fn run(&mut self) -> Result<(), ParseError> {
        let text = self.text;
        for at in memchr3_iter(self.field, b'\r', b'\n', text) {
            if text[at] == self.field {
                self.field_ends(at)?;
                self.field_begin = at + 1;
            } else {
                self.segment_ends(at)?;
                self.begin = at + 1;
                self.field_begin = at + 1;
            }
        }
        self.segment_ends(text.len())
    }

    fn field_ends(&mut self, end: usize) -> Result<(), ParseError> {
        self.starts.push(self.field_begin as u32);
        let length = end - self.field_begin;
        if length > self.limits.repetitions_max.min(self.limits.field_bytes_max) {
            self.check_long(end, length)?;
        }
        Ok(())
    }

    /// Only a field with at least so many bytes can have too many, or too many repetitions.
    #[cold]
    fn check_long(&self, end: usize, length: usize) -> Result<(), ParseError> {
        let header = u8::from(self.text[self.begin..].starts_with(b"MSH"));
        let segment = self.rows.len() + 1;
        let field = self.starts.len() - 1 - self.first + usize::from(header);
        let document = self.text[self.begin..].starts_with(b"OBX") && field == 5;
        if length > self.limits.field_bytes_max && !document {
            return Err(ParseError::FieldTooLarge { segment, field, max: self.limits.field_bytes_max });
        }
        let repetition = Delimiters::read(self.text).map_or(b'~', |delimiters| delimiters.repetition);
        let max = self.limits.repetitions_max;
        let separators = memchr_iter(repetition, &self.text[self.field_begin..end]);
        if !document && separators.take(max).count() == max {
            return Err(ParseError::TooManyRepetitions { segment, field, max });
        }
        Ok(())
    }

    fn segment_ends(&mut self, end: usize) -> Result<(), ParseError> {
        if end == self.begin {
            return Ok(());
        }
        self.field_ends(end)?;
        if self.rows.len() == self.limits.segments_max {
            return Err(ParseError::TooManySegments { max: self.limits.segments_max });
        }
        // The name is no field.
        if self.starts.len() - self.first > self.limits.fields_max + 1 {
            return Err(ParseError::TooManyFields { segment: self.rows.len() + 1, max: self.limits.fields_max });
        }
        self.rows.push(Row { begin: self.begin as u32, end: end as u32, first: self.first as u32 });
        self.first = self.starts.len();
        Ok(())
    }
}

/// Without what senders put around a message: byte order mark, blank lines, control-Z.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let bytes = bytes.trim_ascii_start();
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0x1A)).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Lines that are not blank.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| {
            let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            line
        })
    })
    .filter(|line| !line.is_empty())
}

/// A segment, known or not.
#[derive(Clone, Copy)]
pub struct Segment<'m, 'a> {
    raw: &'a [u8],
    base: u32,
    starts: &'m [u32],
    context: Context,
}

impl<'a> Segment<'_, 'a> {
    /// Its name; what is shorter or longer than a name is its own.
    pub fn name(&self) -> &'a [u8] {
        if self.is_header() { &self.raw[..3] } else { self.part(0).unwrap_or_default() }
    }

    /// Has it this name?
    pub fn is_named(&self, name: [u8; 3]) -> bool {
        self.raw.starts_with(&name) && self.raw.get(3).is_none_or(|next| *next == self.context.delimiters.field)
    }

    /// Its bytes, without its end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The number of its last field.
    pub fn fields(&self) -> u16 {
        let last = self.starts.len() - usize::from(!self.is_header());
        u16::try_from(last).unwrap_or(u16::MAX)
    }

    /// A field, as it stands. MSH-1 is the character that divides fields, MSH-2 is never divided.
    pub fn field(&self, number: u16) -> Field<'a> {
        let number = usize::from(number);
        let literal = self.is_header() && number <= 2;
        let raw = match (self.is_header(), number) {
            (_, 0) => None,
            (true, 1) => self.raw.get(3..4),
            (true, _) => self.part(number - 1),
            (false, _) => self.part(number),
        };
        Field { raw: raw.unwrap_or_default(), context: self.context, literal }
    }

    /// What stands at a place in this segment; the path's segment and occurrence do not matter.
    pub fn get(&self, path: Path) -> Value<'a> {
        self.field(path.field).get(path.repetition, path.component, path.subcomponent)
    }

    /// What stands between two separators; the name is the first.
    fn part(&self, at: usize) -> Option<&'a [u8]> {
        let begin = (self.starts.get(at)? - self.base) as usize;
        let end = self.starts.get(at + 1).map_or(self.raw.len(), |next| (next - self.base) as usize - 1);
        Some(&self.raw[begin..end])
    }

    fn is_header(&self) -> bool {
        self.raw.starts_with(b"MSH")
    }

    fn write_into(&self, out: &mut Vec<u8>) {
        let delimiters = self.context.delimiters;
        for at in 0..self.starts.len() {
            if at > 0 {
                out.push(delimiters.field);
            }
            let raw = self.part(at).unwrap_or_default();
            let literal = at == 0 || (self.is_header() && at == 1);
            if literal {
                out.extend_from_slice(raw);
            } else {
                join(out, raw, &[Some(delimiters.repetition), Some(delimiters.component), delimiters.subcomponent]);
            }
        }
    }
}

/// Divides by the first separator, each part by the next, and puts all of it together again.
fn join(out: &mut Vec<u8>, raw: &[u8], separators: &[Option<u8>]) {
    let Some((separator, finer)) = separators.split_first() else { return out.extend_from_slice(raw) };
    for (at, part) in split(raw, *separator).enumerate() {
        if at > 0 {
            out.extend(separator);
        }
        join(out, part, finer);
    }
}

/// A field with all its repetitions.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    raw: &'a [u8],
    context: Context,
    literal: bool,
}

impl<'a> Field<'a> {
    /// Its bytes.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// How often it repeats; an empty field does not.
    pub fn repetitions(&self) -> u16 {
        let count = if self.raw.is_empty() { 0 } else { split(self.raw, self.repetition()).count() };
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// How many components a repetition has.
    pub fn components(&self, repetition: u16) -> u16 {
        let whole = part(self.raw, self.repetition(), repetition).unwrap_or_default();
        let count = split(whole, self.component()).count();
        u16::try_from(if whole.is_empty() { 0 } else { count }).unwrap_or(u16::MAX)
    }

    /// A part of it. Component 0 is the whole repetition, sub-component 0 the whole component. A simple value
    /// where parts are expected is the first of them (2.8: how versions stay compatible); a part of what is to
    /// be deleted is to be deleted.
    pub fn get(&self, repetition: u16, component: u16, subcomponent: u16) -> Value<'a> {
        let whole = part(self.raw, self.repetition(), repetition);
        if self.literal || component == 0 || whole == Some(NULL) {
            return self.value(whole);
        }
        let found = whole.and_then(|raw| part(raw, self.component(), component));
        if subcomponent == 0 || found == Some(NULL) {
            return self.value(found);
        }
        self.value(found.and_then(|raw| part(raw, self.context.delimiters.subcomponent, subcomponent)))
    }

    fn repetition(&self) -> Option<u8> {
        (!self.literal).then_some(self.context.delimiters.repetition)
    }

    fn component(&self) -> Option<u8> {
        (!self.literal).then_some(self.context.delimiters.component)
    }

    fn value(&self, raw: Option<&'a [u8]>) -> Value<'a> {
        match raw {
            None | Some(b"") => Value::Absent,
            Some(NULL) if !self.literal => Value::Null,
            Some(raw) => Value::Present(Text { raw, escapes: (!self.literal).then_some(self.context) }),
        }
    }
}

/// The HL7 null: "delete what you hold".
const NULL: &[u8] = b"\"\"";

/// What stands at a place. Absent and null are not the same: one says nothing, the other says "no longer".
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Nothing is said.
    Absent,
    /// `""`: what is held is to be deleted.
    Null,
    /// Something.
    Present(Text<'a>),
}

impl<'a> Value<'a> {
    /// The text as bytes, escape sequences resolved; `None` for absent and null.
    pub fn bytes(&self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Present(text) => Some(text.bytes()),
            Self::Absent | Self::Null => None,
        }
    }

    /// The text, where it is UTF-8.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        match self.bytes()? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        }
    }

    /// Its bytes as they stand; empty for absent.
    pub fn raw(&self) -> &'a [u8] {
        match self {
            Self::Present(text) => text.raw,
            Self::Null => NULL,
            Self::Absent => b"",
        }
    }

    /// Says nothing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Says "no longer".
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// Text as it stands in a message. Its `Debug` shows only how long it is.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a [u8],
    /// `None` for MSH-1 and MSH-2, which are never unescaped.
    escapes: Option<Context>,
}

impl<'a> Text<'a> {
    /// With escape sequences resolved, in the character set of the message.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        let Some(Context { delimiters, encoding }) = self.escapes else { return Cow::Borrowed(self.raw) };
        unescape(self.raw, &delimiters, encoding)
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.raw.len())
    }
}

/// The parts between separators; without a separator the whole is the one part.
pub(super) fn split(raw: &[u8], separator: Option<u8>) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(raw);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = separator.and_then(|byte| memchr(byte, whole));
        rest = end.map(|end| &whole[end + 1..]);
        Some(&whole[..end.unwrap_or(whole.len())])
    })
}

/// The `n`-th part, counted from 1.
pub(super) fn part(raw: &[u8], separator: Option<u8>, n: u16) -> Option<&[u8]> {
    split(raw, separator).nth(usize::from(n).checked_sub(1)?)
}

#[cfg(test)]
mod tests;
