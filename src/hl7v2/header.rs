//! The header of a message that may be broken: whatever of it can be read, so that its sender gets an answer
//! that it can match to what it sent.

use super::delimiters::Delimiters;
use super::message::{lines, part, split, trim};

/// MSH, as far as it is there.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    line: Option<&'a [u8]>,
    delimiters: Delimiters,
}

impl<'a> Header<'a> {
    /// Reads what there is. Where there is no usable MSH everything is empty and the delimiters are the usual ones.
    pub fn read(bytes: &'a [u8]) -> Self {
        let line = lines(trim(bytes)).next().filter(|line| line.starts_with(b"MSH"));
        let delimiters = line.and_then(Delimiters::read);
        let line = line.filter(|_| delimiters.is_some());
        Self { line, delimiters: delimiters.unwrap_or(Delimiters::STANDARD) }
    }

    /// How the message is divided.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The segment as it came; empty where there is none. A header that is read from it is the same.
    pub fn line(&self) -> &'a [u8] {
        self.line.unwrap_or_default()
    }

    /// A field, byte for byte.
    pub fn raw(&self, field: u16) -> &'a [u8] {
        let number = usize::from(field);
        let found = match (self.line, number) {
            (None, _) | (_, 0) => None,
            (Some(line), 1) => line.get(3..4),
            (Some(line), _) => split(line, Some(self.delimiters.field)).nth(number - 1),
        };
        found.unwrap_or_default()
    }

    /// A component, byte for byte.
    pub fn component(&self, field: u16, component: u16) -> &'a [u8] {
        let first = part(self.raw(field), Some(self.delimiters.repetition), 1);
        part(first.unwrap_or_default(), Some(self.delimiters.component), component).unwrap_or_default()
    }

    /// MSH-10, byte for byte.
    pub fn control_id(&self) -> &'a [u8] {
        self.raw(10)
    }

    /// MSH-9 as people say it: `REF^I12`. What is not letters and digits is left out, so that it can be logged.
    pub fn event(&self) -> String {
        let word = |bytes: &[u8]| -> String {
            bytes.iter().copied().filter(u8::is_ascii_alphanumeric).take(8).map(char::from).collect()
        };
        let (kind, event) = (word(self.component(9, 1)), word(self.component(9, 2)));
        if event.is_empty() { kind } else { format!("{kind}^{event}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_there_is() {
        let header = Header::read(b"\n MSH$%*!@$A$B$C$D$20261121$$REF%I12%REF_I12$ id!$P");
        assert_eq!(header.control_id(), b" id!");
        assert_eq!((header.event().as_str(), header.raw(3), header.raw(99)), ("REF^I12", &b"A"[..], &b""[..]));
        assert_eq!(Header::read(b"MSH|^~\\&|A|B").raw(4), b"B");
    }

    #[test]
    fn has_nothing_where_there_is_nothing() {
        for bytes in [&b""[..], b"MSH", b"MSH|", b"PID|1", b"\x00\xff"] {
            let header = Header::read(bytes);
            assert_eq!((header.control_id(), header.event().as_str()), (&b""[..], ""));
            assert_eq!(header.delimiters(), Delimiters::STANDARD);
        }
    }
}
