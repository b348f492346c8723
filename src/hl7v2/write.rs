//! The way out: segments written front to back into one buffer.
//!
//! Nothing that is written can break out of its place: every delimiter and control character is escaped. Fields that
//! are empty are left out, and so are separators behind the last that is not, so "no statement" is what an absent
//! value becomes; the HL7 null (`""`), which would be an order to delete, cannot be written at all.

use super::delimiters::Delimiters;
use super::escape::{Style, escape_into};

/// A message in the making.
pub struct Writer {
    out: Vec<u8>,
    delimiters: Delimiters,
}

impl Writer {
    /// An empty message.
    pub fn new(delimiters: Delimiters) -> Self {
        Self { out: Vec::with_capacity(1024), delimiters }
    }

    /// Begins a segment; it ends when the returned value is dropped. MSH brings its first two fields with it.
    pub fn segment(&mut self, name: &str) -> SegmentWriter<'_> {
        self.out.extend_from_slice(name.as_bytes());
        let mut reached = 0;
        if name == "MSH" {
            self.out.push(self.delimiters.field);
            self.out.extend(self.delimiters.encoding());
            reached = 2;
        }
        SegmentWriter { message: self, reached }
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }
}

/// A segment in the making. Fields are given in ascending order; giving one again makes a repetition.
pub struct SegmentWriter<'w> {
    message: &'w mut Writer,
    /// The field that was written last.
    reached: usize,
}

impl SegmentWriter<'_> {
    /// A simple value.
    pub fn text(&mut self, field: usize, text: &str) -> &mut Self {
        self.parts(field, &[text])
    }

    /// A number.
    pub fn number(&mut self, field: usize, number: impl Into<i64>) -> &mut Self {
        self.text(field, &number.into().to_string())
    }

    /// Formatted text (FT): its lines stay lines.
    pub fn formatted(&mut self, field: usize, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.reach(field);
            escape_into(&mut self.message.out, text, &self.message.delimiters, Style::Formatted);
        }
        self
    }

    /// Components.
    pub fn parts(&mut self, field: usize, parts: &[&str]) -> &mut Self {
        let Some(last) = parts.iter().rposition(|part| !part.is_empty()) else { return self };
        self.reach(field);
        for (at, part) in parts[..=last].iter().enumerate() {
            self.separate(at, self.message.delimiters.component);
            self.escape(part);
        }
        self
    }

    /// Components that have sub-components.
    pub fn nested(&mut self, field: usize, parts: &[&[&str]]) -> &mut Self {
        let filled = |part: &&[&str]| part.iter().any(|text| !text.is_empty());
        let Some(last) = parts.iter().rposition(filled) else { return self };
        self.reach(field);
        for (at, part) in parts[..=last].iter().enumerate() {
            self.separate(at, self.message.delimiters.component);
            self.subparts(part);
        }
        self
    }

    /// Bytes that are in the form of this message already, such as a field copied from a message with the same
    /// delimiters.
    pub fn raw(&mut self, field: usize, bytes: &[u8]) -> &mut Self {
        if !bytes.is_empty() {
            self.reach(field);
            self.message.out.extend_from_slice(bytes);
        }
        self
    }

    fn subparts(&mut self, parts: &[&str]) {
        let last = parts.iter().rposition(|part| !part.is_empty());
        let parts = last.map_or(&[][..], |last| &parts[..=last]);
        for (at, part) in parts.iter().enumerate() {
            // A message without sub-components has room for the first only.
            match self.message.delimiters.subcomponent {
                Some(separator) => self.separate(at, separator),
                None if at > 0 => return,
                None => {}
            }
            self.escape(part);
        }
    }

    /// Moves on to a field, or to the next repetition of the one reached.
    fn reach(&mut self, field: usize) {
        debug_assert!(field >= self.reached && field > 0, "fields are written in ascending order");
        if field == self.reached {
            self.message.out.push(self.message.delimiters.repetition);
        }
        for _ in self.reached..field {
            self.message.out.push(self.message.delimiters.field);
        }
        self.reached = field;
    }

    fn separate(&mut self, at: usize, separator: u8) {
        if at > 0 {
            self.message.out.push(separator);
        }
    }

    fn escape(&mut self, text: &str) {
        escape_into(&mut self.message.out, text, &self.message.delimiters, Style::Plain);
    }
}

impl Drop for SegmentWriter<'_> {
    fn drop(&mut self) {
        self.message.out.push(b'\r');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hl7v2::message::Message;
    use crate::hl7v2::path::Path;

    fn written(write: impl FnOnce(&mut Writer)) -> String {
        let mut writer = Writer::new(Delimiters::STANDARD);
        write(&mut writer);
        String::from_utf8(writer.finish()).unwrap()
    }

    #[test]
    fn writes_segments() {
        let message = written(|w| {
            w.segment("MSH").text(3, "ONWARD").parts(9, &["REF", "I12", "REF_I12"]).text(18, "UNICODE UTF-8");
            w.segment("PID").number(1, 1).parts(3, &["1", "", "", "NHS", "NH"]).parts(3, &["2"]).text(8, "1");
            w.segment("ERR").nested(1, &[&["PID"], &["1"], &[], &["101", "", ""]]);
            w.segment("NTE").formatted(3, "a\nb|c");
        });
        let expected = "MSH|^~\\&|ONWARD||||||REF^I12^REF_I12|||||||||UNICODE UTF-8\r\
                        PID|1||1^^^NHS^NH~2|||||1\rERR|PID^1^^101\rNTE|||a\\.br\\b\\F\\c\r";
        assert_eq!(message, expected);
    }

    #[test]
    fn leaves_out_what_is_empty() {
        let message = written(|w| {
            w.segment("PV1")
                .text(2, "O")
                .parts(3, &["", ""])
                .text(7, "")
                .parts(8, &["a", "", ""])
                .nested(9, &[&[""]])
                .raw(10, b"");
            w.segment("NTE").text(1, "").formatted(3, "");
        });
        assert_eq!(message, "PV1||O||||||a\rNTE\r");
    }

    #[test]
    fn nothing_that_is_written_breaks_out_of_its_place() {
        let hostile = "x|y^z~\\&\rPID|1\n\u{1c}\r\u{b}";
        let message = written(|w| {
            w.segment("MSH").text(3, hostile);
            w.segment("NTE").formatted(3, hostile).parts(4, &[hostile, hostile]);
        });
        let message = Message::parse(message.as_bytes()).unwrap();
        assert_eq!(message.len(), 2);
        for path in ["MSH-3", "NTE-4.1", "NTE-4.2"] {
            assert_eq!(message.get(Path::of(path)).text().unwrap(), hostile, "{path}");
        }
        assert_eq!(message.get(Path::of("NTE-3")).text().unwrap(), hostile.replace('\r', "\n"));
    }
}
