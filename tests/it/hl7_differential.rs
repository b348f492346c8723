//! Field values as another parser reads them (`hl7-parser`), over our own messages and, where it is there, the corpus.
//! Where it reads something else a rule says why; no file is an exception by its name.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as File;

use onward::hl7v2::delimiters::Delimiters;
use onward::hl7v2::escape::unescape;
use onward::hl7v2::message::{Message, Segment};

use crate::hl7_corpus;

/// Where a value stands, as it is written and without its escapes.
type Leaf = (String, String, String);

/// What both read of a message.
enum Compared {
    /// So many values, and they are the same.
    Same(usize),
    /// The other parser does not read it, or not all of it, and why.
    Otherwise(&'static str),
    /// Nothing explains it.
    Different(String),
}

/// Whatever says something, down to the subcomponents.
fn ours(segment: &Segment<'_, '_>, delimiters: &Delimiters) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for number in 1..=segment.fields() {
        let field = segment.field(number);
        for repetition in 1..=field.repetitions().max(1) {
            for component in 1..=field.components(repetition).max(1) {
                let whole = field.get(repetition, component, 0).raw();
                let parts: Vec<&[u8]> = match segment.is_named(*b"MSH") && number < 3 {
                    true => vec![whole],
                    false => whole.split(|byte| Some(*byte) == delimiters.subcomponent).collect(),
                };
                for (part, raw) in parts.iter().enumerate().filter(|(_, raw)| !raw.is_empty()) {
                    let text = unescape(raw, delimiters, None);
                    let place = format!("{number}({repetition}).{component}.{}", part + 1);
                    leaves.push((place, lossy(raw), lossy(&text)));
                }
            }
        }
    }
    leaves
}

fn theirs(segment: &hl7_parser::message::Segment<'_>, separators: &hl7_parser::message::Separators) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for (number, field) in segment.fields().enumerate() {
        for (repetition, repeat) in field.repeats().enumerate() {
            for (component, parts) in repeat.components().enumerate() {
                for (part, value) in parts.subcomponents().enumerate().filter(|(_, it)| !it.raw_value().is_empty()) {
                    let place = format!("{}({}).{}.{}", number + 1, repetition + 1, component + 1, part + 1);
                    leaves.push((place, value.raw_value().to_owned(), value.display(separators).to_string()));
                }
            }
        }
    }
    leaves
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Escapes that both decode: those of the delimiters. Of the others it knows some and leaves some.
fn is_plain(raw: &str, delimiters: &Delimiters) -> bool {
    let inside: Vec<&str> = raw.split(char::from(delimiters.escape)).skip(1).collect();
    inside.len().is_multiple_of(2) && inside.iter().step_by(2).all(|it| ["F", "S", "T", "R", "E"].contains(it))
}

/// Why the other parser cannot read a message as it stands.
fn unreadable(bytes: &[u8]) -> Option<&'static str> {
    let field = bytes.get(3)?;
    let separators = bytes.get(4..8).unwrap_or_default();
    let next = bytes.get(8);
    match () {
        () if std::str::from_utf8(bytes).is_err() => Some("it reads UTF-8 only"),
        () if !bytes.starts_with(b"MSH") => Some("it reads messages that begin with MSH only"),
        () if separators.len() < 4 || separators.contains(field) => {
            Some("it takes whatever follows for delimiters that are missing")
        }
        () if next.is_some_and(|next| next != field && !next.is_ascii_whitespace()) => {
            Some("it knows no fifth encoding character")
        }
        () => None,
    }
}

/// Why it stops at a segment: what it reads after that is not compared.
fn is_end(raw: &[u8], field: u8) -> bool {
    let named = raw.len() >= 4 && raw[..3].iter().all(u8::is_ascii_alphanumeric) && raw[3] == field;
    !named
}

/// With more after it.
fn has_blank_line(text: &str) -> bool {
    text.trim_end().replace("\r\n", "\n").replace('\r', "\n").contains("\n\n")
}

fn compare(bytes: &[u8]) -> Option<Compared> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let message = Message::parse(bytes).ok()?;
    if let Some(why) = unreadable(bytes) {
        return Some(Compared::Otherwise(why));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let other = match hl7_parser::parse_message_with_lenient_newlines(text) {
        Ok(other) => other,
        Err(error) => return Some(Compared::Different(error.to_string())),
    };
    let delimiters = message.delimiters();
    let (mut count, mut others) = (0, other.segments());
    for (number, segment) in message.segments().enumerate() {
        if 0 < number && segment.is_named(*b"MSH") {
            return Some(Compared::Otherwise("a second header is a segment like others to it"));
        }
        if is_end(segment.raw(), delimiters.field) {
            return Some(Compared::Otherwise("it stops at a line that is no segment to it"));
        }
        let Some(theirs_whole) = others.next() else {
            if has_blank_line(text) {
                return Some(Compared::Otherwise("it stops at an empty line"));
            }
            return Some(Compared::Different(format!("it does not have {}", lossy(segment.name()))));
        };
        let (mine, other) = (ours(&segment, delimiters), theirs(theirs_whole, &other.separators));
        let same = |(mine, other): (&Leaf, &Leaf)| {
            mine.0 == other.0 && mine.1 == other.1 && (mine.2 == other.2 || !is_plain(&mine.1, delimiters))
        };
        if mine.len() != other.len() || !mine.iter().zip(&other).all(same) {
            let differs = mine.iter().zip(&other).find(|pair| !same(*pair));
            return Some(Compared::Different(format!("{}: {differs:?}", lossy(segment.name()))));
        }
        count += mine.len();
    }
    Some(Compared::Same(count))
}

#[test]
fn field_values_are_those_that_another_parser_reads() {
    let folder = File::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/feed");
    let own = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let own = own.filter(|path| path.extension().is_some_and(|it| it == "hl7"));
    let mut messages: Vec<(String, Vec<u8>)> =
        own.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    match hl7_corpus::shared() {
        None => hl7_corpus::skipped(),
        Some(shared) => {
            for (file, bytes) in hl7_corpus::files(&shared) {
                messages.extend(hl7_corpus::messages(&bytes).into_iter().map(|message| (file.clone(), message)));
            }
        }
    }
    let (mut same, mut values, mut otherwise, mut wrong) = (0, 0, BTreeMap::<_, usize>::new(), Vec::new());
    for (name, bytes) in &messages {
        match compare(bytes) {
            None => *otherwise.entry("neither is it a message here").or_default() += 1,
            Some(Compared::Same(count)) => (same, values) = (same + 1, values + count),
            Some(Compared::Otherwise(why)) => *otherwise.entry(why).or_default() += 1,
            Some(Compared::Different(what)) => wrong.push(format!("{name}: {what}")),
        }
    }
    println!("{same} of {} messages with {values} values are read alike; others: {otherwise:#?}", messages.len());
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(80 <= same && messages.len() < 8 * same / 7, "{same} of {} {otherwise:#?}", messages.len());
}
