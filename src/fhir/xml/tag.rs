//! Inside of a start tag: the name, the attributes, what their values stand for (XML 1.0 sections 2.3, 3.1, 3.3.3).

use std::borrow::Cow;

use super::{Failure, Read, XmlFault, fail};

/// More attributes than this no element of FHIR or XHTML has.
const ATTRIBUTES_MAX: usize = 64;

/// Goes over the inside of a tag.
pub(super) struct Scan<'x> {
    text: &'x str,
    at: usize,
    end: usize,
    /// The first attribute's name; most elements have no other.
    first: &'x str,
    others: Vec<&'x str>,
}

/// An attribute as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawAttribute<'x> {
    /// With its prefix.
    pub(super) name: &'x str,
    /// Between the quotes.
    pub(super) raw: &'x str,
    /// Of its name.
    pub(super) offset: usize,
    /// Of its value.
    value_offset: usize,
}

impl<'x> Scan<'x> {
    /// The bytes from `at` to `end` of the text.
    pub(super) fn of(text: &'x str, at: usize, end: usize) -> Self {
        Self { text, at, end: end.max(at), first: "", others: Vec::new() }
    }

    fn rest(&self) -> &'x str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    /// The name that comes next, with its prefix.
    pub(super) fn name(&mut self) -> Read<&'x str> {
        let rest = self.rest();
        let name = &rest[..name_end(rest)];
        if !is_qualified(name) {
            return fail(XmlFault::Name, self.at);
        }
        self.at += name.len();
        Ok(name)
    }

    /// The next attribute; `None` at the end of the tag.
    pub(super) fn attribute(&mut self) -> Read<Option<RawAttribute<'x>>> {
        let before = self.at;
        self.skip_space();
        if self.at == self.end {
            return Ok(None);
        }
        if self.at == before {
            return fail(XmlFault::Attribute, self.at);
        }
        let offset = self.at;
        let name = self.name().map_err(|failure| Failure { kind: XmlFault::Attribute, ..failure })?;
        self.unique(name, offset)?;
        self.skip_space();
        self.expect(|byte| byte == b'=')?;
        self.skip_space();
        let quote = self.expect(|byte| matches!(byte, b'"' | b'\''))?;
        let rest = self.rest();
        let Some(length) = memchr::memchr(quote, rest.as_bytes()) else {
            return fail(XmlFault::Attribute, offset);
        };
        let attribute = RawAttribute { name, raw: &rest[..length], offset, value_offset: self.at };
        self.at += length + 1;
        Ok(Some(attribute))
    }

    fn unique(&mut self, name: &'x str, offset: usize) -> Read<()> {
        if self.first.is_empty() {
            self.first = name;
            return Ok(());
        }
        if self.first == name || self.others.contains(&name) {
            return fail(XmlFault::DuplicateAttribute, offset);
        }
        if self.others.len() + 1 == ATTRIBUTES_MAX {
            return fail(XmlFault::TooManyAttributes, offset);
        }
        self.others.push(name);
        Ok(())
    }

    fn skip_space(&mut self) {
        let rest = self.rest().as_bytes();
        self.at += rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len());
    }

    fn expect(&mut self, wanted: impl Fn(u8) -> bool) -> Read<u8> {
        match self.rest().as_bytes().first() {
            Some(byte) if wanted(*byte) => {
                self.at += 1;
                Ok(*byte)
            }
            _ => fail(XmlFault::Attribute, self.at),
        }
    }
}

impl<'x> RawAttribute<'x> {
    /// The value: references resolved, and every white space that is not one a blank (XML 1.0 section 3.3.3).
    pub(super) fn value(&self) -> Read<Cow<'x, str>> {
        let special = |byte: u8| matches!(byte, b'&' | b'<' | b'\t' | b'\n' | b'\r');
        let Some(first) = self.raw.bytes().position(special) else { return Ok(Cow::Borrowed(self.raw)) };
        let mut out = String::with_capacity(self.raw.len());
        let mut at = first;
        out.push_str(&self.raw[..first]);
        while let Some(byte) = self.raw.as_bytes().get(at) {
            let rest = &self.raw[at..];
            match byte {
                b'<' => return fail(XmlFault::Attribute, self.value_offset + at),
                b'&' => {
                    let name = rest[1..].split_once(';').map(|(name, _)| name);
                    let Some((name, found)) = name.and_then(|name| Some((name, referred(name)?))) else {
                        return fail(XmlFault::Entity, self.value_offset + at);
                    };
                    out.push(found);
                    at += name.len() + 2;
                }
                b'\r' if rest.starts_with("\r\n") => at += 1,
                b'\t' | b'\n' | b'\r' => {
                    out.push(' ');
                    at += 1;
                }
                _ => {
                    let plain = rest.bytes().position(special).unwrap_or(rest.len());
                    out.push_str(&rest[..plain]);
                    at += plain;
                }
            }
        }
        Ok(Cow::Owned(out))
    }
}

/// What `name` of `&name;` stands for: one of XML's own five, or a character by its number.
pub(super) fn referred(name: &str) -> Option<char> {
    let number = match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => name.strip_prefix('#')?,
    };
    let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| char::from(byte).is_digit(radix));
    let scalar = u32::from_str_radix(digits, radix).ok().filter(|_| is_number)?;
    char::from_u32(scalar).filter(|found| is_character(*found))
}

/// XML's white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// A character that XML 1.0 allows (section 2.2).
pub(super) fn is_character(found: char) -> bool {
    match found {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        _ => ' ' <= found,
    }
}

/// The offset of the first character that XML 1.0 does not allow.
pub(super) fn foreign_character(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let control = bytes.iter().position(|byte| *byte < b' ' && !is_space(*byte));
    let noncharacter =
        memchr::memmem::find_iter(bytes, b"\xEF\xBF").find(|at| matches!(bytes.get(at + 2), Some(0xBE | 0xBF)));
    match (control, noncharacter) {
        (Some(control), Some(noncharacter)) => Some(control.min(noncharacter)),
        (control, noncharacter) => control.or(noncharacter),
    }
}

/// The prefix, empty where there is none, and the local name.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

fn name_end(text: &str) -> usize {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    let ascii = text.bytes().position(|byte| !plain(byte)).unwrap_or(text.len());
    match text.as_bytes().get(ascii) {
        Some(128..) => text.find(|c: char| !is_name_character(c)).unwrap_or(text.len()),
        _ => ascii,
    }
}

/// A name with at most one prefix (Namespaces in XML 1.0 section 3).
fn is_qualified(name: &str) -> bool {
    let is_plain = |part: &str| part.starts_with(is_name_start) && !part.contains(':');
    match name.split_once(':') {
        Some((prefix, local)) => is_plain(prefix) && is_plain(local),
        None => is_plain(name),
    }
}

/// Is it a name that XML can write?
pub(super) fn is_name(name: &str) -> bool {
    name_end(name) == name.len() && is_qualified(name) && !name.contains(':')
}

fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_character(c: char) -> bool {
    is_name_start(c)
        || matches!(c, ':' | '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
