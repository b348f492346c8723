//! A message that is being read, and what is found wrong with it on the way.

use jiff::Timestamp;
use jiff::civil::Time;

use super::dialect::{Dialect, Gap, Midnight, Null, Overlap, Place};
use super::time::{Instant, Written};
use crate::booking::identifier::Identifier;
use crate::hl7v2::message::{Message, Segment, Value};
use crate::hl7v2::path::Path;
use crate::issue::{
    Code, HL7_AUTHORITY, HL7_FIELD_MISSING, HL7_GROUPS, HL7_MIDNIGHT, HL7_TIME_GAP, HL7_TIME_TWICE, HL7_VALUE, Issue,
    Severity,
};

/// Something found in a message: what, and where.
#[derive(Clone, Debug)]
pub struct Found {
    /// What is wrong; its place is the path as text.
    pub issue: Issue,
    /// Where, for ERR.
    pub path: Option<Path>,
}

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    Nothing,
    /// That what is held is to be deleted.
    Delete,
    /// This.
    Text(String),
}

impl Said {
    /// The text, where there is one.
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nothing | Self::Delete => None,
        }
    }
}

/// A message with its dialect and with what was found.
pub struct Reading<'m> {
    /// The message.
    pub message: &'m Message<'m>,
    /// How its sender differs.
    pub dialect: &'m Dialect,
    /// Live numbers are not taken in a sandbox, and the other way round.
    pub sandbox: bool,
    /// What was found.
    pub found: Vec<Found>,
}

/// A URI for what a sender calls by a name of its own. Two names never make the same one.
pub fn sender_urn(sender: &str, name: &str) -> String {
    format!("urn:x-sender:{}:{}", escaped(sender), escaped(name))
}

/// As a part of a URI; letters, digits and `-._~` stand for themselves (RFC 3986 2.3).
pub fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

impl<'m> Reading<'m> {
    /// Nothing is found yet.
    pub fn new(message: &'m Message<'m>, dialect: &'m Dialect, sandbox: bool) -> Self {
        Self { message, dialect, sandbox, found: Vec::new() }
    }

    /// Is there anything that the message cannot be applied for?
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.issue.severity == Severity::Error)
    }

    /// Notes something.
    pub fn note(&mut self, code: &'static Code, path: Path) {
        self.found.push(Found { issue: Issue::new(code, path.to_string()), path: Some(path) });
    }

    /// Notes something that does not keep the message from being applied.
    pub fn tolerate(&mut self, code: &'static Code, path: Path) {
        self.found.push(Found { issue: Issue::new(code, path.to_string()).tolerated(), path: Some(path) });
    }

    /// The segments of a name.
    pub fn named(&self, name: &[u8; 3]) -> Vec<Segment<'m, 'm>> {
        self.message.named(*name).collect()
    }

    /// Is there a segment of this name?
    pub fn has(&self, name: &[u8; 3]) -> bool {
        self.message.named(*name).next().is_some()
    }

    /// What a place says, without the blanks around it.
    pub fn said(&self, path: Path) -> Said {
        self.clean(self.message.get(path))
    }

    /// The text at a place; nothing where it is to be deleted.
    pub fn text(&self, path: Path) -> Option<String> {
        self.said(path).text()
    }

    /// The text of a component of the first repetition of a field.
    pub fn part(&self, segment: &Segment<'_, 'm>, field: u16, component: u16) -> Option<String> {
        self.repeated(segment, field, 1, component)
    }

    /// The text of a component of a repetition; of a component with parts the first of them.
    pub fn repeated(&self, segment: &Segment<'_, 'm>, field: u16, repetition: u16, component: u16) -> Option<String> {
        self.clean(segment.field(field).get(repetition, component, 1)).text()
    }

    /// The first of several places that says something.
    pub fn first(&self, places: &[Place]) -> Option<String> {
        places.iter().find_map(|place| self.text(simple(place.0)))
    }

    /// A value without control characters and without the blanks around it.
    pub fn clean(&self, value: Value<'_>) -> Said {
        if value.is_null() {
            return if self.dialect.null == Null::Delete { Said::Delete } else { Said::Nothing };
        }
        let Some(text) = value.text() else { return Said::Nothing };
        let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        match text.trim() {
            "" | "\"\"" => Said::Nothing,
            text => Said::Text(text.to_owned()),
        }
    }

    /// Is it one of the values that stand for "not known"?
    pub fn is_placeholder(&self, text: &str) -> bool {
        self.dialect.is_placeholder(text)
    }

    /// An instant that something hangs on: one that does not exist or is there twice is asked about.
    pub fn instant(&mut self, path: Path, text: &str) -> Option<Timestamp> {
        let zone = self.dialect.time_zone.clone();
        let found = Written::read(text).filter(|written| written.parts == 3);
        let Some(instant) = found.map(|it| self.offset(it)).and_then(|it| it.instant(zone.get())) else {
            self.note(&HL7_VALUE, path);
            return None;
        };
        match (instant, self.dialect.gap, self.dialect.overlap) {
            (Instant::Known(at), ..) => Some(at),
            (Instant::Gap(at), Gap::Forward, _) => {
                self.tolerate(&HL7_TIME_GAP, path);
                Some(at)
            }
            (Instant::Gap(_), Gap::Refuse, _) => {
                self.note(&HL7_TIME_GAP, path);
                None
            }
            (Instant::Twice(at, _), _, Overlap::First) => {
                self.tolerate(&HL7_TIME_TWICE, path);
                Some(at)
            }
            (Instant::Twice(..), _, Overlap::Hold) => {
                self.note(&HL7_TIME_TWICE, path);
                None
            }
        }
    }

    /// The offset of MSH-7 is every time's that has none (2.A.22), unless it is only the one that the hospital's clock
    /// happened to have when the message was sent.
    fn offset(&self, written: Written) -> Written {
        if written.offset.is_some() || written.time.is_none() {
            return written;
        }
        let sent = self.text(Path::of("MSH-7.1")).and_then(|text| Written::read(&text));
        let Some((sent, offset)) = sent.and_then(|sent| Some((sent, sent.offset?))) else { return written };
        let zone = self.dialect.time_zone.get();
        let at_home = sent.roughly(zone).is_some_and(|at| zone.to_offset(at) == offset);
        if at_home { written } else { Written { offset: Some(offset), ..written } }
    }

    /// A time for putting events in order.
    pub fn roughly(&self, path: Path) -> Option<Timestamp> {
        Some(self.said_time(path)?.0)
    }

    /// The same, with the time as it was written.
    pub fn said_time(&self, path: Path) -> Option<(Timestamp, Written)> {
        let written = Written::read(&self.text(simple(path))?)?;
        Some((self.offset(written).roughly(self.dialect.time_zone.get())?, written))
    }

    /// An instant at which somebody is expected. A day alone is none, or somebody would be told to come at midnight; and
    /// midnight is what a day looks like whose hour was lost on the way here.
    pub fn hour(&mut self, path: Path, text: &str) -> Option<Timestamp> {
        match Written::read(text).map(|written| written.time) {
            Some(None) => {
                self.note(&HL7_VALUE, path);
                None
            }
            Some(Some(time)) if time == Time::midnight() && self.dialect.midnight == Midnight::Hold => {
                self.note(&HL7_MIDNIGHT, path);
                None
            }
            _ => self.instant(path, text),
        }
    }

    /// Does a place say a day without an hour?
    pub fn is_day(&self, path: Path) -> bool {
        self.text(simple(path)).and_then(|text| Written::read(&text)).is_some_and(|written| written.time.is_none())
    }

    /// What is read, where nothing hangs on a time that is none, or on which of several it is: it is told of, and the
    /// message is applied without it.
    pub fn without_a_time<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.found.len();
        let value = read(self);
        let times = [&HL7_VALUE, &HL7_MIDNIGHT, &HL7_TIME_GAP, &HL7_TIME_TWICE, &HL7_GROUPS];
        for found in self.found.iter_mut().skip(before).filter(|found| times.contains(&found.issue.code)) {
            found.issue.severity = found.issue.severity.min(Severity::Warning);
        }
        value
    }

    /// Who issued a number (HD): by its name, or else by its universal id.
    pub fn authority(&self, segment: &Segment<'_, 'm>, field: u16, repetition: u16) -> Option<String> {
        let part = |part| self.clean(segment.field(field).get(repetition, 4, part)).text();
        part(1).or_else(|| part(2))
    }

    /// A date as FHIR writes it; what is no date is noted and left out.
    pub fn date(&mut self, path: Path) -> Option<String> {
        let text = self.text(simple(path))?;
        let written = Written::read(&text);
        if written.is_none() && !text.bytes().all(|byte| byte == b'0') {
            self.tolerate(&HL7_VALUE, path);
        }
        written.map(|written| written.fhir_date())
    }

    /// MSH-4: who speaks.
    pub fn facility(&self) -> String {
        self.text(Path::of("MSH-4.1")).unwrap_or_default()
    }

    /// Who issued a number, as a URI: as configured, or one that can be mistaken for no other.
    pub fn system(&mut self, authority: &str, path: Path) -> String {
        let facility = self.facility();
        let authority = if authority.is_empty() { facility.as_str() } else { authority };
        if let Some(known) = self.dialect.authorities.get(authority) {
            return known.clone();
        }
        let system = sender_urn(&facility, authority);
        let noted = self.found.iter().any(|found| *found.issue.code == HL7_AUTHORITY);
        if !noted {
            self.note(&HL7_AUTHORITY, path);
        }
        system
    }

    /// A number in an EI (`id^namespace`) or a CX (`id^^^authority`).
    pub fn number(&mut self, path: Path) -> Option<Identifier> {
        let at = |component: u16| Path { component, subcomponent: 1, ..path };
        // A place that names a component means the value alone.
        if path.component > 1 {
            let value = self.text(path)?;
            let system = self.system("", path);
            return Some(Identifier { system, value });
        }
        let value = self.text(at(1))?;
        let universal = Path { component: 4, subcomponent: 2, ..path };
        let authority = self
            .text(at(4))
            .or_else(|| self.text(universal))
            .or_else(|| self.text(at(2)).filter(|it| !it.starts_with("NSTS")));
        let authority = authority.or_else(|| self.text(at(3))).unwrap_or_default();
        let system = self.system(&authority, path);
        Some(Identifier { system, value })
    }

    /// A segment that the event needs.
    pub fn needs(&mut self, name: &[u8; 3], code: &'static Code) -> bool {
        let there = self.has(name);
        if !there {
            let path = Path { segment: *name, ..Path::of("MSH-1") };
            self.note(code, path);
        }
        there
    }

    /// Notes that a field is missing.
    pub fn missing(&mut self, path: Path) {
        self.note(&HL7_FIELD_MISSING, path);
    }
}

/// Where a value of parts may stand, its first part is meant.
pub fn simple(path: Path) -> Path {
    if path.component == 0 { Path { component: 1, subcomponent: 1, ..path } } else { path }
}
