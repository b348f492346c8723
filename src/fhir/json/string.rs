//! Strings: eight bytes at a time up to the first that needs a decision.

use super::JsonFault;
use super::reader::{Read, Reader};

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

impl Reader<'_> {
    /// Reads a string; the next byte is its opening quote.
    pub(super) fn string(&mut self) -> Read<String> {
        let start = self.offset() + 1;
        let end = plain_end(self.text().as_bytes(), start);
        self.go_to(end);
        if self.peek() == Some(b'"') {
            self.go_to(end + 1);
            return Ok(self.text()[start..end].to_owned());
        }
        self.string_with_escapes(start)
    }

    fn string_with_escapes(&mut self, start: usize) -> Read<String> {
        let mut out = self.text()[start..self.offset()].to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.go_to(self.offset() + 1);
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return self.fail(JsonFault::Control),
            }
            let from = self.offset();
            self.go_to(plain_end(self.text().as_bytes(), from));
            out.push_str(&self.text()[from..self.offset()]);
        }
    }

    fn escape(&mut self) -> Read<char> {
        let backslash = self.offset();
        self.go_to(backslash + 1);
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(backslash),
            None => return self.fail(JsonFault::Unfinished),
            Some(_) => return self.fail_at(JsonFault::Escape, backslash),
        };
        self.go_to(backslash + 2);
        Ok(plain)
    }

    /// `\uXXXX`, or two of them that make one character (RFC 8259 section 7).
    fn unicode(&mut self, backslash: usize) -> Read<char> {
        let first = self.unit(backslash)?;
        let scalar = match first {
            0xD800..=0xDBFF => match self.low_surrogate(backslash + 6) {
                Some(low) => 0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00),
                None => return self.fail_at(JsonFault::Surrogate, backslash),
            },
            _ => first,
        };
        match char::from_u32(scalar) {
            Some(character) => Ok(character),
            None => self.fail_at(JsonFault::Surrogate, backslash),
        }
    }

    fn unit(&mut self, backslash: usize) -> Read<u32> {
        match unit_at(self.text(), backslash) {
            Some(unit) => {
                self.go_to(backslash + 6);
                Ok(unit)
            }
            None if self.text().len() < backslash + 6 => self.fail_at(JsonFault::Unfinished, self.text().len()),
            None => self.fail_at(JsonFault::Escape, backslash),
        }
    }

    fn low_surrogate(&mut self, backslash: usize) -> Option<u32> {
        let low = unit_at(self.text(), backslash).filter(|unit| (0xDC00..=0xDFFF).contains(unit))?;
        self.go_to(backslash + 6);
        Some(low)
    }
}

fn unit_at(text: &str, backslash: usize) -> Option<u32> {
    let digits = text.get(backslash..backslash + 6)?.strip_prefix("\\u")?;
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// Offset of the first quote, backslash or control character from `start` on, or the end.
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
