//! From offsets in the JSON to lines and columns in the XML.

use std::fmt;

use crate::issue::Issues;

/// Where in the XML each part of the JSON that was made of it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(Vec<(u32, u32)>);

impl Places {
    /// What is written at `json` from now on stands at `xml`. Both only grow, but for `xml` of reordered elements.
    pub(super) fn push(&mut self, json: usize, xml: u32) {
        self.0.push((json as u32, xml));
    }

    /// The offset in the XML of the element or attribute that a byte of the JSON was made of.
    pub fn xml_offset(&self, json_offset: usize) -> usize {
        let after = self.0.partition_point(|(json, _)| *json as usize <= json_offset);
        after.checked_sub(1).and_then(|last| self.0.get(last)).map_or(0, |(_, xml)| *xml as usize)
    }

    /// Findings in the JSON, with the lines and columns of the XML instead of those of the JSON.
    ///
    /// The JSON that XML is turned into is one line, so a column is all that is needed to find the way back.
    pub fn in_xml(&self, json: &[u8], xml: &[u8], found: Issues) -> Issues {
        let (mut in_json, mut in_xml) = (Columns { bytes: json, at: 0, column: 1 }, Cursor::new(xml));
        let mut placed = Issues::default();
        for issue in found.iter().cloned() {
            let position = issue.position.map(|(_, column)| {
                let offset = self.xml_offset(in_json.offset(column as usize));
                in_xml.position(offset)
            });
            placed.push(match position {
                Some(position) => issue.at_line(position.line, position.column),
                None => issue,
            });
        }
        placed
    }

    /// The pairs of an offset in the JSON and one in the XML, in the order of the JSON.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.0
    }
}

/// A place for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Line and column of an offset. A byte order mark takes up no column.
pub fn position(bytes: &[u8], offset: usize) -> Position {
    Cursor::new(bytes).position(offset)
}

/// Walks forward from one asked offset to the next, so that many of them cost one pass over the bytes.
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    found: Position,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        let at = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        Self { bytes, at, found: Position { line: 1, column: 1 } }
    }

    pub(super) fn position(&mut self, offset: usize) -> Position {
        if offset < self.at {
            *self = Self::new(self.bytes);
        }
        let between = self.bytes.get(self.at..offset.min(self.bytes.len())).unwrap_or_default();
        let line = match memchr::memrchr(b'\n', between) {
            Some(newline) => {
                self.found.line += memchr::memchr_iter(b'\n', between).count();
                self.found.column = 1;
                &between[newline + 1..]
            }
            None => between,
        };
        self.found.column += line.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        self.at += between.len();
        self.found
    }
}

/// Walks forward from one asked column of a line to the next.
struct Columns<'b> {
    bytes: &'b [u8],
    at: usize,
    column: usize,
}

impl Columns<'_> {
    /// The offset of a column, in characters from 1.
    fn offset(&mut self, column: usize) -> usize {
        if column < self.column {
            (self.at, self.column) = (0, 1);
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let starts = rest.iter().enumerate().filter(|(_, byte)| **byte & 0xC0 != 0x80);
        let steps = column - self.column;
        if let Some((offset, _)) = starts.map(|(offset, _)| (offset, ())).nth(steps) {
            self.at += offset;
            self.column = column;
        }
        self.at
    }
}
