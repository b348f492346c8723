//! The grammar of RFC 8259, by recursive descent over text that is already known to be UTF-8.

use serde_json::{Map, Number, Value};

use super::{DEPTH_CEILING, JsonError, JsonFault, Limits};
use crate::fhir::path::plain_name;

/// Reads one value that is all of `text`.
pub(super) fn read(text: &str, limits: &Limits) -> Result<Value, JsonError> {
    let mut reader = Reader {
        text,
        at: 0,
        depth_max: limits.depth_max.min(DEPTH_CEILING),
        depth: 0,
        values_left: limits.values_max,
        members: Vec::new(),
        items: Vec::new(),
    };
    reader.whole().map_err(|failure| JsonError::at(failure.kind, text.as_bytes(), failure.offset, failure.place()))
}

/// A fault on its way out; each level that it passes adds its step.
pub(super) struct Failure {
    kind: JsonFault,
    offset: usize,
    steps: Vec<Step>,
}

enum Step {
    /// The type of the outermost resource. Another one is a value from the message, and is not shown.
    Bundle,
    Name(String),
    Index(usize),
}

impl Failure {
    fn within(mut self: Box<Self>, step: Step) -> Box<Self> {
        self.steps.push(step);
        self
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Bundle => place.push_str("Bundle"),
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Name(name) if place.is_empty() => place.push_str(plain_name(name)),
                Step::Name(name) => {
                    place.push('.');
                    place.push_str(plain_name(name));
                }
            }
        }
        place
    }
}

pub(super) type Read<T> = Result<T, Box<Failure>>;

/// Where reading stands. Members and items of all open objects and arrays share one stack each, so that
/// every finished object and array is allocated once, in its final size.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth_max: usize,
    depth: usize,
    values_left: usize,
    members: Vec<Member>,
    items: Vec<Value>,
}

struct Member {
    key: String,
    key_offset: usize,
    value: Value,
}

impl<'a> Reader<'a> {
    fn whole(&mut self) -> Read<Value> {
        self.skip_space();
        if self.at == self.text.len() {
            return self.fail(JsonFault::Empty);
        }
        let value = self.value()?;
        self.skip_space();
        if self.at < self.text.len() { self.fail(JsonFault::Trailing) } else { Ok(value) }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn go_to(&mut self, offset: usize) {
        self.at = offset;
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// A fault at the byte that is next, or the end of the text.
    #[cold]
    pub(super) fn fail<T>(&self, kind: JsonFault) -> Read<T> {
        let cut_off = self.at == self.text.len() && !matches!(kind, JsonFault::Empty);
        self.fail_at(if cut_off { JsonFault::Unfinished } else { kind }, self.at)
    }

    #[cold]
    pub(super) fn fail_at<T>(&self, kind: JsonFault, offset: usize) -> Read<T> {
        Err(Box::new(Failure { kind, offset, steps: Vec::new() }))
    }

    #[inline]
    fn skip_space(&mut self) {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ') if bytes[self.at..].starts_with(b"        ") => self.at += 8,
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                _ => return,
            }
        }
    }

    fn value(&mut self) -> Read<Value> {
        match self.values_left.checked_sub(1) {
            Some(left) => self.values_left = left,
            None => return self.fail_at(JsonFault::TooManyValues, self.at),
        }
        match self.peek() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.fail(JsonFault::Value),
        }
    }

    fn nested(&mut self, inside: fn(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.depth == self.depth_max {
            return self.fail(JsonFault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        let value = inside(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Read<Value> {
        let base = self.members.len();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(Map::new()));
        }
        loop {
            let member = self.member(base)?;
            self.members.push(member);
            if !self.goes_on(b'}')? {
                return self.object_of(base);
            }
        }
    }

    fn member(&mut self, base: usize) -> Read<Member> {
        let key_offset = self.at;
        if self.peek() != Some(b'"') {
            return self.fail(JsonFault::Name);
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fail(JsonFault::Colon);
        }
        self.at += 1;
        self.skip_space();
        let own = self.members.len();
        match self.value() {
            Ok(value) => Ok(Member { key, key_offset, value }),
            Err(failure) => {
                self.members.truncate(own);
                Err(self.within_member(failure, key, base))
            }
        }
    }

    /// Adds the member's name and, at the outermost object, that it is a Bundle's.
    #[cold]
    fn within_member(&self, failure: Box<Failure>, key: String, base: usize) -> Box<Failure> {
        let failure = failure.within(Step::Name(key));
        let own = if self.depth == 1 { &self.members[base..] } else { &[] };
        let is_bundle = own.iter().any(|member| member.key == "resourceType" && member.value == "Bundle");
        if is_bundle { failure.within(Step::Bundle) } else { failure }
    }

    /// The object of all members from `base` on; the map's own look-up finds a key that is there twice.
    fn object_of(&mut self, base: usize) -> Read<Value> {
        let mut map = Map::with_capacity(self.members.len() - base);
        let mut twice = None;
        for Member { key, key_offset, value } in self.members.drain(base..) {
            match map.entry(key) {
                serde_json::map::Entry::Vacant(free) => {
                    free.insert(value);
                }
                serde_json::map::Entry::Occupied(taken) => {
                    twice.get_or_insert_with(|| (taken.key().clone(), key_offset));
                }
            }
        }
        match twice {
            None => Ok(Value::Object(map)),
            Some((key, offset)) => {
                self.fail_at(JsonFault::DuplicateKey, offset).map_err(|f: Box<Failure>| f.within(Step::Name(key)))
            }
        }
    }

    fn array(&mut self) -> Read<Value> {
        let base = self.items.len();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(Vec::new()));
        }
        loop {
            match self.value() {
                Ok(item) => self.items.push(item),
                Err(failure) => {
                    let index = self.items.len().saturating_sub(base);
                    self.items.truncate(base);
                    return Err(failure.within(Step::Index(index)));
                }
            }
            if !self.goes_on(b']')? {
                return Ok(Value::Array(self.items.drain(base..).collect()));
            }
        }
    }

    /// After a member or item: true on a comma, false on the closing bracket.
    #[inline]
    fn goes_on(&mut self, close: u8) -> Read<bool> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => self.fail(JsonFault::Separator),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Read<Value> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        let cut_off = word.as_bytes().starts_with(rest);
        self.fail_at(if cut_off { JsonFault::Unfinished } else { JsonFault::Value }, self.at)
    }

    fn number(&mut self) -> Read<Value> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        if let Some(b'0'..=b'9' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-') = self.peek() {
            return self.fail(JsonFault::Number);
        }
        // The only constructor that keeps the digits as written (`parse` turns `1E5` into `1e+5`); it asks for a
        // text in JSON's number grammar, which has just been read. `numbers_keep_their_digits` pins it.
        Ok(Value::Number(Number::from_string_unchecked(self.text[start..self.at].to_owned())))
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if start == self.at { self.fail(JsonFault::Number) } else { Ok(()) }
    }
}
