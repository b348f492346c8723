//! The formats of R4's primitive types (R4 2.24.0.1), by hand-written matchers: no regular expression, no allocation.

use crate::fhir::instant::{Shape, date_time_shape, is_time};
use crate::fhir::tape::Kind;

/// A primitive type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "R4 documents them; the names are theirs")]
pub enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its JSON is of another type.
    Type(&'static str),
    /// Its text is not in the format.
    Format(&'static str),
    /// Not in the format, but found in published messages and harmless.
    Tolerated(&'static str),
    /// Not as the text on URIs has it, and still one that can be used: a policy may take it.
    Loose(&'static str),
}

impl Primitive {
    /// The primitive type of this name.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64Binary,
            "boolean" => Self::Boolean,
            "canonical" => Self::Canonical,
            "code" => Self::Code,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" => Self::Integer,
            "markdown" => Self::Markdown,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "string" => Self::String,
            "time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uri" => Self::Uri,
            "url" => Self::Url,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }

    /// What is wrong with this value, if anything; `text` is a string's text or a number's digits.
    #[inline]
    pub fn fault(self, kind: Kind, text: &str) -> Option<Fault> {
        match (self, kind) {
            (Self::Boolean, Kind::True | Kind::False) => None,
            (Self::Boolean, _) => Some(Fault::Type("A boolean is the JSON value true or false, not in quotes.")),
            (Self::Decimal, Kind::Number) => None,
            (Self::Integer | Self::PositiveInt | Self::UnsignedInt, Kind::Number) => self.whole_number(text),
            (Self::Decimal | Self::Integer | Self::PositiveInt | Self::UnsignedInt, _) => {
                Some(Fault::Type("A number is expected here, not in quotes."))
            }
            (_, Kind::Plain | Kind::Escaped) => self.text(text, kind == Kind::Escaped),
            _ => Some(Fault::Type("A string in double quotes is expected here.")),
        }
    }

    fn whole_number(self, digits: &str) -> Option<Fault> {
        let least = match self {
            Self::PositiveInt => 1,
            Self::UnsignedInt => 0,
            _ => i32::MIN,
        };
        let fits = digits != "-0" && digits.parse::<i32>().is_ok_and(|number| least <= number);
        let expected = match self {
            Self::PositiveInt => "A whole number from 1 to 2147483647 is expected here.",
            Self::UnsignedInt => "A whole number from 0 to 2147483647 is expected here.",
            _ => "A whole number of 32 bits is expected here.",
        };
        (!fits).then_some(Fault::Format(expected))
    }

    /// Only an escape can bring a control character into a string of JSON.
    fn text(self, text: &str, has_escapes: bool) -> Option<Fault> {
        if text.is_empty() {
            return Some(Fault::Format("A string must not be empty: leave the element out."));
        }
        let bytes = text.as_bytes();
        match self {
            Self::String | Self::Markdown => text_fault(text, has_escapes),
            Self::Code => expect(is_code(bytes), "A code has no blanks around it, and single ones within."),
            Self::Uri | Self::Url | Self::Canonical => uri_fault(text),
            Self::Id => expect(is_id(bytes), "An id is 1 to 64 letters, digits, hyphens and dots."),
            Self::Instant => expect(is_instant(bytes), "An instant is YYYY-MM-DDThh:mm:ss with an offset."),
            Self::Date => expect(is_date(bytes), "A date is YYYY, YYYY-MM or YYYY-MM-DD, and in the calendar."),
            Self::DateTime => expect(
                date_time_shape(bytes).is_some(),
                "A dateTime is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with an offset, and in the calendar.",
            ),
            Self::Time => expect(is_time(bytes), "A time is hh:mm:ss, without an offset."),
            Self::Oid => expect(is_oid(text), "An oid is urn:oid: and numbers joined by dots."),
            Self::Uuid => expect(is_uuid(text), "A uuid is urn:uuid: and a UUID."),
            Self::Base64Binary => expect(is_base64(bytes), "Base64 is expected here."),
            Self::Xhtml => expect(text.trim_start().starts_with("<div"), "XHTML must be one <div> element."),
            Self::Boolean | Self::Decimal | Self::Integer | Self::PositiveInt | Self::UnsignedInt => None,
        }
    }
}

fn expect(right: bool, expected: &'static str) -> Option<Fault> {
    (!right).then_some(Fault::Format(expected))
}

fn text_fault(text: &str, has_escapes: bool) -> Option<Fault> {
    let forbidden = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    if has_escapes && text.as_bytes().iter().any(forbidden) {
        return Some(Fault::Format("Of the control characters only tab, line feed and carriage return are allowed."));
    }
    let blank = text.starts_with(char::is_whitespace) && text.trim().is_empty();
    blank.then_some(Fault::Tolerated("A string should have more than blanks: leave the element out."))
}

fn uri_fault(text: &str) -> Option<Fault> {
    // Nearly all URIs are ASCII, for which this needs no decoding; looked at many bytes at a time, so not left early.
    if text.bytes().fold(true, |so_far, byte| so_far & byte.is_ascii_graphic()) {
        return if text.starts_with("urn:") { urn_fault(text) } else { None };
    }
    let trimmed = text.trim_matches(' ');
    if trimmed.is_empty() || trimmed.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Some(Fault::Format("A URI has no blanks."));
    }
    (trimmed.len() < text.len()).then_some(Fault::Loose("A URI has no blanks around it."))
}

/// What follows `urn:uuid:` and `urn:oid:` has the form of these wherever it stands: "For UUID … use all lowercase"
/// (R4 2.24.0.1 "uri").
fn urn_fault(text: &str) -> Option<Fault> {
    let text = text.split_once('#').map_or(text, |(before, _fragment)| before);
    if text.starts_with("urn:uuid:") && (!is_uuid(text) || text.bytes().any(|byte| byte.is_ascii_uppercase())) {
        return Some(Fault::Loose("What follows urn:uuid: is a UUID in small letters."));
    }
    (text.starts_with("urn:oid:") && !is_oid(text)).then_some(Fault::Loose("What follows urn:oid: is an OID."))
}

fn is_code(text: &[u8]) -> bool {
    let mut after_blank = true;
    for byte in text {
        let is_blank = *byte == b' ';
        if (is_blank && after_blank) || *byte < b' ' {
            return false;
        }
        after_blank = is_blank;
    }
    !after_blank
}

fn is_id(text: &[u8]) -> bool {
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'.');
    text.len() <= 64 && text.iter().fold(true, |so_far, byte| so_far & is_right(*byte))
}

fn is_instant(text: &[u8]) -> bool {
    matches!(date_time_shape(text), Some(Shape::Time { .. }))
}

fn is_date(text: &[u8]) -> bool {
    matches!(date_time_shape(text), Some(Shape::Year | Shape::Month | Shape::Day))
}

fn is_oid(text: &str) -> bool {
    let arc =
        |arc: &str| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    matches!(arcs.as_bytes(), [b'0'..=b'2', b'.', ..]) && arcs.split('.').all(arc)
}

/// Capitals are read too (RFC 4122 section 3), although R4 writes small letters.
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else { return false };
    let right =
        |(at, byte): (usize, u8)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    uuid.len() == 36 && uuid.bytes().enumerate().all(right)
}

/// White space may stand between groups of four.
fn is_base64(text: &[u8]) -> bool {
    let (mut digits, mut padding) = (0_usize, 0_usize);
    for byte in text {
        match byte {
            b'=' => padding += 1,
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' if padding == 0 => digits += 1,
            _ => return false,
        }
    }
    0 < digits && padding <= 2 && (digits + padding).is_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(primitive: Primitive, right: &[&str], wrong: &[&str]) {
        for text in right {
            assert_eq!(primitive.fault(Kind::Plain, text), None, "{primitive:?} {text:?}");
        }
        for text in wrong {
            assert!(matches!(primitive.fault(Kind::Plain, text), Some(Fault::Format(_))), "{primitive:?} {text:?}");
        }
    }

    #[test]
    fn texts_are_checked_by_their_type() {
        check(Primitive::Id, &["a", "A-1.b", &"x".repeat(64)], &["", "a b", "a_b", "é", &"x".repeat(65)]);
        check(Primitive::Code, &["a", "a b", "a/b"], &["", " a", "a ", "a  b", "\t", "a\tb", "a\nb", "a\u{1}b"]);
        check(Primitive::Uri, &["urn:x", "https://a.b/c|1", "é"], &["", "a b", " ", "a\u{a0}b"]);
        let uuid = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";
        check(Primitive::Uri, &[uuid, &format!("{uuid}#a"), "urn:oid:1.2.3"], &[]);
        check(Primitive::String, &["a", " a ", "a\nb"], &[""]);
        // A string of JSON can have a control character only as an escape.
        assert!(matches!(Primitive::String.fault(Kind::Escaped, "a\u{0}"), Some(Fault::Format(_))));
        check(Primitive::Date, &["2024", "2024-02-29"], &["2023-02-29", "2024-02-29T10:00:00Z"]);
        check(Primitive::DateTime, &["2024", "2024-02-29T10:00:00.1234567+00:00"], &["2024-02-29T10:00:00"]);
        check(Primitive::Instant, &["2024-02-29T10:00:00Z"], &["2024", "2024-02-29"]);
        check(Primitive::Time, &["10:00:00", "10:00:00.5"], &["10:00", "24:00:00", "10:00:00Z"]);
        check(
            Primitive::Oid,
            &["urn:oid:1.2.0.34"],
            &["urn:oid:3.1", "1.2", "urn:oid:1", "urn:oid:1.02", "urn:oid:1..2"],
        );
        check(Primitive::Uuid, &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"], &["urn:uuid:1", "c757873d"]);
        check(Primitive::Base64Binary, &["QUJD", "QUI=", "QUJD\nQUI="], &["QUJ", "Q===", "Q=JD", "%%%%"]);
        check(Primitive::Xhtml, &["<div xmlns='x'>a</div>", " <div/>"], &["a", "<p/>"]);
    }

    #[test]
    fn numbers_are_checked_by_their_type() {
        for (primitive, digits, right) in [
            (Primitive::Integer, "-2147483648", true),
            (Primitive::Integer, "2147483648", false),
            (Primitive::Integer, "1.0", false),
            (Primitive::Integer, "-0", false),
            (Primitive::PositiveInt, "0", false),
            (Primitive::UnsignedInt, "0", true),
            (Primitive::UnsignedInt, "-1", false),
            (Primitive::Decimal, "1.50E2", true),
        ] {
            assert_eq!(primitive.fault(Kind::Number, digits).is_none(), right, "{primitive:?} {digits}");
        }
    }

    #[test]
    fn the_wrong_json_type_is_a_fault_of_its_own() {
        for (primitive, kind, text) in [
            (Primitive::Boolean, Kind::Plain, "true"),
            (Primitive::Integer, Kind::Plain, "1"),
            (Primitive::String, Kind::Number, "1"),
            (Primitive::Date, Kind::Object, "{}"),
            (Primitive::Code, Kind::Null, "null"),
        ] {
            assert!(matches!(primitive.fault(kind, text), Some(Fault::Type(_))), "{primitive:?}");
        }
    }

    #[test]
    fn slips_are_tolerated_where_published_messages_have_them() {
        let capitals = "urn:uuid:C757873D-EC9A-4326-A141-556F43239520";
        for text in [" https://a.b", "urn:uuid:x", capitals, "urn:oid:1", "urn:oid:1.2."] {
            assert!(matches!(Primitive::Uri.fault(Kind::Plain, text), Some(Fault::Loose(_))), "{text}");
        }
        assert!(matches!(Primitive::String.fault(Kind::Plain, "  "), Some(Fault::Tolerated(_))));
    }
}
