//! Strings: eight bytes at a time up to the first that needs a decision.

use std::borrow::Cow;

use super::JsonFault;
use super::reader::{Read, Reader};

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

impl Reader<'_, '_> {
    /// Reads a string and says whether it has escapes; the next byte is its opening quote.
    #[inline]
    pub(super) fn string(&mut self) -> Read<bool> {
        let end = plain_end(self.text().as_bytes(), self.offset() + 1);
        self.go_to(end);
        if self.peek() == Some(b'"') {
            self.go_to(end + 1);
            return Ok(false);
        }
        self.string_with_escapes().map(|()| true)
    }

    fn string_with_escapes(&mut self) -> Read<()> {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.go_to(self.offset() + 1);
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return self.fail(JsonFault::Control),
            }
            self.go_to(plain_end(self.text().as_bytes(), self.offset()));
        }
    }

    fn escape(&mut self) -> Read<()> {
        let backslash = self.offset();
        self.go_to(backslash + 1);
        match self.peek() {
            Some(b'u') => self.unicode(backslash),
            Some(byte) if plain_escape(byte).is_some() => {
                self.go_to(backslash + 2);
                Ok(())
            }
            None => self.fail(JsonFault::Unfinished),
            Some(_) => self.fail_at(JsonFault::Escape, backslash),
        }
    }

    /// `\uXXXX`, or two of them that make one character (RFC 8259 section 7).
    fn unicode(&mut self, backslash: usize) -> Read<()> {
        let Some(unit) = unit_at(self.text(), backslash) else {
            let unfinished = self.text().len() < backslash + 6;
            let fault = if unfinished { JsonFault::Unfinished } else { JsonFault::Escape };
            return self.fail_at(fault, if unfinished { self.text().len() } else { backslash });
        };
        match scalar(unit, || unit_at(self.text(), backslash + 6)) {
            Some((_, units)) => {
                self.go_to(backslash + 6 * units);
                Ok(())
            }
            None => self.fail_at(JsonFault::Surrogate, backslash),
        }
    }
}

/// A string's text from how it is written; for what has been read, and so is sound.
pub(crate) fn unescaped(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw.as_bytes()) else { return Cow::Borrowed(raw) };
    let mut out = String::with_capacity(raw.len());
    out.push_str(&raw[..first]);
    let mut at = first;
    while let Some(escape) = raw.as_bytes().get(at + 1) {
        at += match plain_escape(*escape) {
            Some(character) => {
                out.push(character);
                2
            }
            None => match unit_at(raw, at).and_then(|unit| scalar(unit, || unit_at(raw, at + 6))) {
                Some((character, units)) => {
                    out.push(character);
                    6 * units
                }
                None => 2,
            },
        };
        let plain = memchr::memchr(b'\\', &raw.as_bytes()[at..]).map_or(raw.len(), |found| at + found);
        out.push_str(&raw[at..plain]);
        at = plain;
    }
    Cow::Owned(out)
}

fn plain_escape(byte: u8) -> Option<char> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte as char,
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

/// The character that a unit, perhaps with the one after it, stands for; and how many units that were.
fn scalar(unit: u32, next: impl FnOnce() -> Option<u32>) -> Option<(char, usize)> {
    match unit {
        0xD800..=0xDBFF => {
            let low = next().filter(|unit| (0xDC00..=0xDFFF).contains(unit))?;
            Some((char::from_u32(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))?, 2))
        }
        _ => Some((char::from_u32(unit)?, 1)),
    }
}

fn unit_at(text: &str, backslash: usize) -> Option<u32> {
    let digits = text.get(backslash..backslash + 6)?.strip_prefix("\\u")?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// Offset of the first quote, backslash or control character from `start` on, or the end.
#[inline]
fn plain_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| chunk.first_chunk::<8>()) {
        let found = special_bytes(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F)).unwrap_or(rest.len())
}

/// The high bit of each byte that ends a plain run; exact for the lowest such byte, which is all that is used.
fn special_bytes(word: u64) -> u64 {
    let zero_bytes = |word: u64| word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS;
    let control = word.wrapping_sub(LOW_BITS * 0x20) & !word & HIGH_BITS;
    zero_bytes(word ^ (LOW_BITS * b'"' as u64)) | zero_bytes(word ^ (LOW_BITS * b'\\' as u64)) | control
}
