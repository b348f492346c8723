//! A message as it came in: borrowed, divided only where somebody looks, nothing dropped.
//!
//! Segments end with CR; LF, CRLF, blank lines, a byte order mark in front and a control-Z behind are tolerated,
//! because real senders do all of them. Segments that nobody knows keep their place. The only things that make a
//! message unreadable are a missing or nonsensical header, and size: everything here is linear in the input, and
//! [`Limits`] bound what later stations may be asked to hold.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

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

/// A message.
#[derive(Clone)]
pub struct Message<'a> {
    delimiters: Delimiters,
    segments: Vec<Segment<'a>>,
}

impl<'a> Message<'a> {
    /// Reads a message within the default limits.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_within(bytes, &Limits::default())
    }

    /// Reads a message.
    pub fn parse_within(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.message_bytes_max {
            return Err(ParseError::TooLarge { max: limits.message_bytes_max });
        }
        let mut lines = lines(trim(bytes)).peekable();
        let header = *lines.peek().ok_or(ParseError::Empty)?;
        if !header.starts_with(b"MSH") {
            return Err(ParseError::NoHeader);
        }
        let delimiters = Delimiters::read(header).ok_or(ParseError::Delimiters)?;
        let mut segments = Vec::new();
        for raw in lines {
            if segments.len() == limits.segments_max {
                return Err(ParseError::TooManySegments { max: limits.segments_max });
            }
            let segment = Segment { raw, delimiters };
            segment.check(segments.len() + 1, limits)?;
            segments.push(segment);
        }
        Ok(Self { delimiters, segments })
    }

    /// How it is divided.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// All segments in order.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// The segments of a name, in order.
    pub fn named(&self, name: [u8; 3]) -> impl Iterator<Item = Segment<'a>> {
        self.segments.iter().copied().filter(move |segment| segment.name() == name)
    }

    /// What stands at a place.
    pub fn get(&self, path: Path) -> Value<'a> {
        let segment = self.named(path.segment).nth(usize::from(path.occurrence).saturating_sub(1));
        segment.map_or(Value::Absent, |segment| segment.get(path))
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
pub struct Segment<'a> {
    raw: &'a [u8],
    delimiters: Delimiters,
}

impl<'a> Segment<'a> {
    /// For the half-readable header of an answer.
    pub(super) fn new(raw: &'a [u8], delimiters: Delimiters) -> Self {
        Self { raw, delimiters }
    }

    /// Its name; what is shorter or longer than a name is its own.
    pub fn name(&self) -> &'a [u8] {
        if self.raw.starts_with(b"MSH") {
            return &self.raw[..3];
        }
        split(self.raw, Some(self.delimiters.field)).next().unwrap_or_default()
    }

    /// Its bytes, without its end.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// A field, as it stands. MSH-1 is the character that divides fields, MSH-2 is never divided.
    pub fn field(&self, number: u16) -> Field<'a> {
        let number = usize::from(number);
        let literal = self.is_header() && number <= 2;
        let raw = match (self.is_header(), number) {
            (_, 0) => None,
            (true, 1) => self.raw.get(3..4),
            (true, _) => split(self.raw, Some(self.delimiters.field)).nth(number - 1),
            (false, _) => split(self.raw, Some(self.delimiters.field)).nth(number),
        };
        Field { raw: raw.unwrap_or_default(), delimiters: self.delimiters, literal }
    }

    /// What stands at a place in this segment; the path's segment and occurrence do not matter.
    pub fn get(&self, path: Path) -> Value<'a> {
        self.field(path.field).get(path.repetition, path.component, path.subcomponent)
    }

    fn is_header(&self) -> bool {
        self.raw.starts_with(b"MSH")
    }

    fn check(&self, segment: usize, limits: &Limits) -> Result<(), ParseError> {
        let skipped = if self.is_header() { 1 } else { 0 };
        let document = self.raw.starts_with(b"OBX");
        for (at, raw) in split(self.raw, Some(self.delimiters.field)).enumerate() {
            let field = at + skipped;
            if field > limits.fields_max {
                return Err(ParseError::TooManyFields { segment, max: limits.fields_max });
            }
            if raw.len() > limits.field_bytes_max && !(document && field == 5) {
                return Err(ParseError::FieldTooLarge { segment, field, max: limits.field_bytes_max });
            }
            if split(raw, Some(self.delimiters.repetition)).nth(limits.repetitions_max).is_some() {
                return Err(ParseError::TooManyRepetitions { segment, field, max: limits.repetitions_max });
            }
        }
        Ok(())
    }
}

/// A field with all its repetitions.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    raw: &'a [u8],
    delimiters: Delimiters,
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

    /// A part of it. Component 0 is the whole repetition, sub-component 0 the whole component. A simple value
    /// where parts are expected is the first of them (2.8: how versions stay compatible); a part of what is to
    /// be deleted is to be deleted.
    pub fn get(&self, repetition: u16, component: u16, subcomponent: u16) -> Value<'a> {
        let whole = nth(self.raw, self.repetition(), repetition);
        if self.literal || component == 0 || whole == Some(NULL) {
            return self.value(whole);
        }
        let part = whole.and_then(|raw| nth(raw, Some(self.delimiters.component), component));
        if subcomponent == 0 || part == Some(NULL) {
            return self.value(part);
        }
        self.value(part.and_then(|raw| nth(raw, self.delimiters.subcomponent, subcomponent)))
    }

    fn repetition(&self) -> Option<u8> {
        (!self.literal).then_some(self.delimiters.repetition)
    }

    fn value(&self, raw: Option<&'a [u8]>) -> Value<'a> {
        match raw {
            None | Some(b"") => Value::Absent,
            Some(NULL) if !self.literal => Value::Null,
            Some(raw) => Value::Present(Text { raw, escapes: (!self.literal).then_some(self.delimiters) }),
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
    escapes: Option<Delimiters>,
}

impl<'a> Text<'a> {
    /// With escape sequences resolved, in the character set of the message.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        self.escapes.map_or(Cow::Borrowed(self.raw), |delimiters| unescape(self.raw, &delimiters))
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.raw.len())
    }
}

/// The parts between separators; without a separator the whole is the one part.
fn split(raw: &[u8], separator: Option<u8>) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(raw);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = separator.and_then(|byte| memchr(byte, whole));
        rest = end.map(|end| &whole[end + 1..]);
        Some(&whole[..end.unwrap_or(whole.len())])
    })
}

/// The `n`-th part, counted from 1.
fn nth(raw: &[u8], separator: Option<u8>, n: u16) -> Option<&[u8]> {
    split(raw, separator).nth(usize::from(n).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"MSH|^~\\&|A|B|C|D|20261121||ADT^A31|x\\F\\1|P|2.4\rPID|1||9990000018^^^NHS&2.16&ISO^NH~77^^^RH8^PI||O'Neill^Zo\\XC3AB\\||\"\"|1\rZZZ|what^ever\rNTE|1||one\rNTE|2||two";

    fn text(message: &Message<'_>, path: &str) -> Option<String> {
        message.get(Path::parse(path).unwrap()).text().map(Cow::into_owned)
    }

    #[test]
    fn finds_what_stands_at_a_place() {
        let message = Message::parse(SAMPLE).unwrap();
        for (path, expected) in [
            ("MSH-1", "|"),
            ("MSH-2", "^~\\&"),
            ("MSH-3", "A"),
            ("MSH-9.2", "A31"),
            ("MSH-10", "x|1"),
            ("PID-3.1", "9990000018"),
            ("PID-3.4.1", "NHS"),
            ("PID-3.4.2", "2.16"),
            ("PID-3[2].5", "PI"),
            ("PID-1.1.1", "1"),
            ("ZZZ-1.2", "ever"),
            ("NTE[2]-3", "two"),
        ] {
            assert_eq!(text(&message, path).as_deref(), Some(expected), "{path}");
        }
        assert_eq!(message.segments().len(), 5);
    }

    #[test]
    fn absent_null_and_present_are_three_things() {
        let message = Message::parse(SAMPLE).unwrap();
        let get = |path: &str| message.get(Path::parse(path).unwrap());
        assert!(get("PID-7").is_null() && get("PID-7.2.1").is_null());
        assert!(get("PID-2").is_absent() && get("PID-99").is_absent() && get("PID[2]-1").is_absent());
        assert!(get("PID-3.2").is_absent() && get("PID-3[3].1").is_absent() && get("PV1-1").is_absent());
        assert!(matches!(get("PID-8"), Value::Present(_)));
        assert!(get("PID-7").text().is_none());
    }

    #[test]
    fn tolerates_what_real_senders_do() {
        let header = "MSH|^~\\&|A";
        for body in [
            format!("{header}\rPID|1\r"),
            format!("{header}\nPID|1"),
            format!("{header}\r\nPID|1\r\n"),
            format!("\u{feff}\r\n{header}\r\r\n\nPID|1\r\x1a"),
        ] {
            let message = Message::parse(body.as_bytes()).unwrap();
            assert_eq!(text(&message, "PID-1").as_deref(), Some("1"), "{body:?}");
            assert_eq!(message.segments().len(), 2, "{body:?}");
        }
    }

    #[test]
    fn says_why_bytes_are_not_a_message() {
        for (bytes, error) in [
            (&b""[..], ParseError::Empty),
            (b"\r\n \x1a", ParseError::Empty),
            (b"PID|1", ParseError::NoHeader),
            (b"MS", ParseError::NoHeader),
            (b"MSH", ParseError::Delimiters),
            (b"MSH|^^~&|", ParseError::Delimiters),
        ] {
            assert_eq!(Message::parse(bytes).err(), Some(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn holds_its_limits() {
        let limits =
            Limits { message_bytes_max: 200, segments_max: 3, fields_max: 9, repetitions_max: 2, field_bytes_max: 20 };
        let parse = |body: &str| Message::parse_within(format!("MSH|^~\\&|A\r{body}").as_bytes(), &limits).err();
        assert_eq!(parse("PID|1\rPV1|1"), None);
        assert_eq!(parse("PID|1\rPV1|1\rNTE|1"), Some(ParseError::TooManySegments { max: 3 }));
        assert_eq!(parse("PID|||||||||"), None);
        assert_eq!(parse("PID||||||||||"), Some(ParseError::TooManyFields { segment: 2, max: 9 }));
        assert_eq!(parse("PID|a~b"), None);
        assert_eq!(parse("PID|a~b~c"), Some(ParseError::TooManyRepetitions { segment: 2, field: 1, max: 2 }));
        let long = "x".repeat(21);
        assert_eq!(parse(&format!("PID||{long}")), Some(ParseError::FieldTooLarge { segment: 2, field: 2, max: 20 }));
        assert_eq!(parse(&format!("OBX|||||{long}")), None);
        assert_eq!(parse(&"x".repeat(200)), Some(ParseError::TooLarge { max: 200 }));
    }

    #[test]
    fn no_byte_makes_it_panic() {
        let mut seed = 7_u64;
        for _ in 0..20_000 {
            let mut bytes = b"MSH|^~\\&|".to_vec();
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                bytes.push(b"|^~\\&\r\n\"MSHPID1X.\xff\x0b\x1c"[(seed >> 33) as usize % 20]);
            }
            let from = (seed >> 40) as usize % 10;
            if let Ok(message) = Message::parse(&bytes[from..]) {
                for segment in message.segments() {
                    segment.name();
                    (0..12)
                        .for_each(|n| drop((0..4).map(|c| segment.field(n).get(1, c, c).bytes()).collect::<Vec<_>>()));
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn fields_joined_again_are_the_segment(raw in "(PID|ZZ1|NTE)(\\|[A-Z^~&\"]{0,6}){0,9}") {
            let bytes = format!("MSH|^~\\&|\r{raw}\r");
            let message = Message::parse(bytes.as_bytes()).unwrap();
            let segment = message.segments()[1];
            let count = raw.matches('|').count() as u16;
            let fields: Vec<_> = (1..=count).map(|number| segment.field(number).raw()).collect();
            let joined = std::iter::once(segment.name()).chain(fields).collect::<Vec<_>>().join(&b'|');
            assert_eq!(joined, raw.as_bytes());
        }
    }
}
