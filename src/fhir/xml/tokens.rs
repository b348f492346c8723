//! XML as a row of tokens. The splitting is quick-xml's; what it leaves to its caller is checked here and in
//! [`super::tag`]: characters, names, attributes, what may stand outside of the root.

use quick_xml::Error;
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::tag::{self, Scan};
use super::{Failure, Limits, Read, XmlFault, fail};

/// Offsets are kept in 32 bits.
const BYTES_CEILING: usize = 1 << 31;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The bytes as text, if they are UTF-8 in characters of XML, and not too many.
pub(super) fn text<'x>(bytes: &'x [u8], limits: &Limits) -> Read<&'x str> {
    let bytes_max = limits.bytes_max.min(BYTES_CEILING);
    if bytes_max < bytes.len() {
        return fail(XmlFault::TooLarge, bytes_max);
    }
    // UTF-16 and UTF-32, with or without a mark: their first characters hold a zero byte (XML 1.0 appendix F).
    if matches!(bytes, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [_, 0, ..]) {
        return fail(XmlFault::Encoding, 0);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Bytes that are not UTF-8 may well be what the declaration says.
        Err(error) if declares_other(bytes) => return fail(XmlFault::Encoding, error.valid_up_to()),
        Err(error) => return fail(XmlFault::Utf8, error.valid_up_to()),
    };
    match tag::foreign_character(text) {
        Some(offset) => fail(XmlFault::Character, offset),
        None => Ok(text),
    }
}

fn declares_other(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(128)).unwrap_or_default();
    let end = memchr::memmem::find(head, b"?>").unwrap_or(0);
    let declaration = std::str::from_utf8(&head[..end]).unwrap_or_default().to_ascii_lowercase();
    declaration.starts_with("<?xml") && declaration.contains("encoding") && !declaration.contains("utf-8")
}

/// One piece of markup, or the text between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A start tag, or an element that is empty at once.
    Open {
        /// Where its content ends: before `>` or `/>`.
        end: usize,
        empty: bool,
    },
    Close,
    /// Text, a CDATA section or a reference.
    Text {
        blank: bool,
    },
    Comment,
    Declaration,
    Instruction,
    End,
}

/// The tokens of a text.
pub(super) struct Tokens<'x> {
    pub(super) text: &'x str,
    reader: Reader<&'x [u8]>,
    /// quick-xml does not count a byte order mark.
    base: usize,
    /// Where the last token begins.
    pub(super) start: usize,
}

impl<'x> Tokens<'x> {
    pub(super) fn of(text: &'x str) -> Self {
        let base = if text.as_bytes().starts_with(BOM) { BOM.len() } else { 0 };
        let mut reader = Reader::from_str(text.get(base..).unwrap_or_default());
        reader.config_mut().enable_all_checks(true);
        Self { text, reader, base, start: base }
    }

    /// Where the next token begins.
    pub(super) fn at(&self) -> usize {
        self.base + self.reader.buffer_position() as usize
    }

    /// Is the next token the first?
    fn is_first(&self) -> bool {
        self.start == self.base
    }

    pub(super) fn next(&mut self) -> Read<Token> {
        self.start = self.at();
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(error) => return Err(self.failure(&error)),
        };
        Ok(match event {
            Event::Start(_) => Token::Open { end: self.at() - 1, empty: false },
            Event::Empty(_) => Token::Open { end: self.at() - 2, empty: true },
            Event::End(_) => Token::Close,
            Event::Text(text) => return self.plain(&text),
            Event::CData(_) => Token::Text { blank: false },
            Event::GeneralRef(name) => match tag::referred(&name) {
                Some(_) => Token::Text { blank: false },
                None => return fail(XmlFault::Entity, self.start),
            },
            Event::Comment(_) => Token::Comment,
            Event::Decl(_) if self.is_first() => {
                self.declaration()?;
                Token::Declaration
            }
            Event::Decl(_) => return fail(XmlFault::Declaration, self.start),
            Event::PI(_) => Token::Instruction,
            Event::DocType(_) => return fail(XmlFault::Doctype, self.start),
            Event::Eof => Token::End,
        })
    }

    fn plain(&self, text: &str) -> Read<Token> {
        let blank = text.bytes().all(tag::is_space);
        if !blank && let Some(end) = memchr::memmem::find(text.as_bytes(), b"]]>") {
            return fail(XmlFault::Markup, self.start + end);
        }
        Ok(Token::Text { blank })
    }

    /// `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`, the last two as you like.
    fn declaration(&self) -> Read<()> {
        let mut scan = Scan::of(self.text, self.start + "<?xml".len(), self.at() - "?>".len());
        let mut expected = ["version", "encoding", "standalone"].iter();
        let mut versioned = false;
        while let Some(attribute) = scan.attribute()? {
            if !expected.any(|name| *name == attribute.name) {
                return fail(XmlFault::Declaration, attribute.offset);
            }
            let value = attribute.raw;
            match attribute.name {
                "version" if value != "1.0" => return fail(XmlFault::Version, attribute.offset),
                "encoding" if !["utf-8", "us-ascii"].iter().any(|name| value.eq_ignore_ascii_case(name)) => {
                    return fail(XmlFault::Encoding, attribute.offset);
                }
                _ => versioned |= attribute.name == "version",
            }
        }
        if versioned { Ok(()) } else { fail(XmlFault::Declaration, self.start) }
    }

    fn failure(&self, error: &Error) -> Failure {
        let kind = match error {
            Error::Syntax(SyntaxError::UnclosedDoctype) => XmlFault::Doctype,
            Error::Syntax(SyntaxError::InvalidBangMarkup) => XmlFault::Markup,
            Error::Syntax(_) => XmlFault::Unfinished,
            Error::IllFormed(IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_)) => {
                XmlFault::EndTag
            }
            Error::IllFormed(IllFormedError::UnclosedReference) => XmlFault::Entity,
            Error::IllFormed(IllFormedError::MissingDoctypeName) => XmlFault::Doctype,
            _ => XmlFault::Markup,
        };
        let offset = self.base + self.reader.error_position() as usize;
        Failure { kind, offset: offset.clamp(self.start, self.text.len()) }
    }
}
