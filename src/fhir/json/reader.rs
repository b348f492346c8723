//! The grammar of RFC 8259, by recursive descent over text that is already known to be UTF-8.

use std::borrow::Cow;
use std::collections::HashSet;

use super::string::unescaped;
use super::{DEPTH_CEILING, JsonError, JsonFault, Limits};
use crate::fhir::names::{NameId, Names, spread};
use crate::fhir::tape::{Kind, Node, NodeId, Tape, push_name};

/// From so many members on, a set says whether a name is there twice.
const MEMBERS_PLAIN_MAX: usize = 64;

/// About so many bytes a value takes in messages; what is indented takes more.
const BYTES_PER_VALUE: usize = 32;

/// Reads one value that is all of `text`.
pub(super) fn read<'a>(
    text: &'a str,
    limits: &Limits,
    names: &Names,
    mut nodes: Vec<Node>,
) -> Result<Tape<'a>, JsonError> {
    nodes.clear();
    nodes.reserve((text.len() / BYTES_PER_VALUE).min(limits.values_max));
    let mut reader = Reader {
        text,
        at: 0,
        names,
        depth_max: limits.depth_max.min(DEPTH_CEILING),
        depth: 0,
        values_max: limits.values_max.min(u32::MAX as usize - 1),
        tape: Tape { text, nodes },
        steps: None,
    };
    let Err(failure) = reader.whole() else { return Ok(reader.tape) };
    // Read again, to know the way: what is sound need not remember it.
    (reader.at, reader.depth, reader.steps) = (0, 0, Some(Vec::new()));
    reader.tape.nodes.clear();
    let _ = reader.whole();
    Err(JsonError::at(failure.kind, text.as_bytes(), failure.offset, reader.place()))
}

/// What is wrong, and at which byte.
#[derive(Clone, Copy)]
pub(super) struct Failure {
    kind: JsonFault,
    offset: usize,
}

pub(super) type Read<T> = Result<T, Failure>;

/// Where reading stands.
pub(super) struct Reader<'a, 'n> {
    text: &'a str,
    at: usize,
    names: &'n Names,
    depth_max: usize,
    depth: usize,
    values_max: usize,
    tape: Tape<'a>,
    /// The way to the value that is being read, where it is wanted; only what stands above a fault is left in it.
    steps: Option<Vec<Step<'a>>>,
}

#[derive(Clone, Copy)]
struct Key<'a> {
    name: NameId,
    raw: &'a str,
    escaped: bool,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(Key<'a>),
    Index(u32),
}

/// Which names an object has had so far: a bit per name, and a set for very wide objects.
struct Seen<'a> {
    bits: u64,
    members: usize,
    /// The names of all members before the value of this number.
    wide: Option<HashSet<Cow<'a, str>>>,
    wide_until: NodeId,
}

impl Seen<'_> {
    fn in_object(id: NodeId) -> Self {
        Self { bits: 0, members: 0, wide: None, wide_until: NodeId(id.0 + 1) }
    }
}

impl<'a> Reader<'a, '_> {
    fn whole(&mut self) -> Read<()> {
        self.skip_space();
        if self.at == self.text.len() {
            return self.fail(JsonFault::Empty);
        }
        self.value(NodeId::ROOT, 0, NameId::UNKNOWN)?;
        self.skip_space();
        if self.at < self.text.len() { self.fail(JsonFault::Trailing) } else { Ok(()) }
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
        Err(Failure { kind, offset })
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

    fn value(&mut self, parent: NodeId, key: usize, name: NameId) -> Read<()> {
        let own = self.tape.nodes.len();
        if self.values_max <= own {
            return self.fail_at(JsonFault::TooManyValues, self.at);
        }
        let start = self.at;
        let id = NodeId(own as u32);
        let node = |kind| Node {
            start: start as u32,
            end: start as u32,
            next: own as u32 + 1,
            parent: parent.0,
            key: key as u32,
            name,
            kind,
        };
        match self.peek() {
            Some(b'"') => {
                let escaped = self.string()?;
                let kind = if escaped { Kind::Escaped } else { Kind::Plain };
                self.tape.nodes.push(Node { start: start as u32 + 1, end: self.at as u32 - 1, ..node(kind) });
            }
            Some(b'{') => {
                self.tape.nodes.push(node(Kind::Object));
                self.nested(id, Self::object)?;
            }
            Some(b'[') => {
                self.tape.nodes.push(node(Kind::Array));
                self.nested(id, Self::array)?;
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.tape.nodes.push(Node { end: self.at as u32, ..node(Kind::Number) });
            }
            Some(b't') => self.word("true", node(Kind::True))?,
            Some(b'f') => self.word("false", node(Kind::False))?,
            Some(b'n') => self.word("null", node(Kind::Null))?,
            _ => return self.fail(JsonFault::Value),
        }
        Ok(())
    }

    fn nested(&mut self, id: NodeId, inside: fn(&mut Self, NodeId) -> Read<()>) -> Read<()> {
        if self.depth == self.depth_max {
            return self.fail(JsonFault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        inside(self, id)?;
        self.depth -= 1;
        let next = self.tape.nodes.len() as u32;
        let end = self.at as u32;
        let node = &mut self.tape.nodes[id.index()];
        (node.end, node.next) = (end, next);
        Ok(())
    }

    fn object(&mut self, id: NodeId) -> Read<()> {
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut seen = Seen::in_object(id);
        loop {
            self.member(id, &mut seen)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    #[inline]
    fn member(&mut self, id: NodeId, seen: &mut Seen<'a>) -> Read<()> {
        let offset = self.at;
        if self.peek() != Some(b'"') {
            return self.fail(JsonFault::Name);
        }
        let escaped = self.string()?;
        let raw = &self.text[offset + 1..self.at - 1];
        let name = if escaped { self.names.find(&unescaped(raw)) } else { self.names.find(raw) };
        let key = Key { name, raw, escaped };
        self.enter(Step::Name(key));
        if self.is_twice(id, seen, key) {
            return self.fail_at(JsonFault::DuplicateKey, offset);
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            self.leave();
            return self.fail(JsonFault::Colon);
        }
        self.at += 1;
        self.skip_space();
        self.value(id, offset + 1, name)?;
        self.leave();
        Ok(())
    }

    #[inline]
    fn enter(&mut self, step: Step<'a>) {
        if let Some(steps) = &mut self.steps {
            steps.push(step);
        }
    }

    #[inline]
    fn leave(&mut self) {
        if let Some(steps) = &mut self.steps {
            steps.pop();
        }
    }

    /// Was this name there before, in the object that is being read?
    #[inline]
    fn is_twice(&self, object: NodeId, seen: &mut Seen<'a>, key: Key<'a>) -> bool {
        let bit = 1 << (key.hash() & 63);
        let fresh = seen.bits & bit == 0;
        seen.bits |= bit;
        seen.members += 1;
        if fresh { false } else { self.is_twice_slowly(object, seen, key) }
    }

    #[cold]
    fn is_twice_slowly(&self, object: NodeId, seen: &mut Seen<'a>, key: Key<'a>) -> bool {
        if seen.members < MEMBERS_PLAIN_MAX {
            let is_it = |before: NodeId| self.tape.name(before) == key.name;
            let is_known = key.name.is_known();
            let mut same = self.members_from(NodeId(object.0 + 1)).filter(|before| is_it(*before));
            return same.any(|before| is_known || self.tape.key(before) == key.text());
        }
        // Names that came while their bit was free are not in the set yet.
        let wide = seen.wide.get_or_insert_default();
        wide.extend(self.members_from(seen.wide_until).map(|before| self.tape.key(before)));
        seen.wide_until = NodeId(self.tape.nodes.len() as u32);
        wide.contains(&key.text())
    }

    /// The members so far of the object that is being read, from this one on.
    fn members_from(&self, first: NodeId) -> impl Iterator<Item = NodeId> {
        let end = self.tape.nodes.len();
        let there = move |at: &NodeId| at.index() < end;
        std::iter::successors(Some(first).filter(there), move |at| Some(self.tape.next(*at)).filter(there))
    }

    fn array(&mut self, id: NodeId) -> Read<()> {
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.enter(Step::Index(index));
            self.value(id, 0, NameId::UNKNOWN)?;
            self.leave();
            index += 1;
            if !self.goes_on(b']')? {
                return Ok(());
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

    fn word(&mut self, word: &str, node: Node) -> Read<()> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            self.tape.nodes.push(Node { end: self.at as u32, ..node });
            return Ok(());
        }
        let cut_off = word.as_bytes().starts_with(rest);
        self.fail_at(if cut_off { JsonFault::Unfinished } else { JsonFault::Value }, self.at)
    }

    fn number(&mut self) -> Read<()> {
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
        match self.peek() {
            Some(b'0'..=b'9' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-') => self.fail(JsonFault::Number),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if start == self.at { self.fail(JsonFault::Number) } else { Ok(()) }
    }

    /// The way to where reading stopped.
    fn place(&self) -> String {
        let mut place = String::new();
        let first = self.tape.nodes.first().map(|root| root.kind);
        // Another type's name could be anything, and is not shown.
        let is_type = |node: &Node| node.parent == 0 && node.kind == Kind::Plain && node.key != 0;
        let is_bundle = |node: &Node| {
            let key = &self.text[node.key as usize..];
            is_type(node)
                && key.starts_with("resourceType\"")
                && &self.text[node.start as usize..node.end as usize] == "Bundle"
        };
        let steps = self.steps.as_deref().unwrap_or_default();
        if first == Some(Kind::Object) && !steps.is_empty() && self.tape.nodes.iter().any(is_bundle) {
            place.push_str("Bundle");
        }
        for step in steps {
            match step {
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Name(key) => push_name(&mut place, &key.text()),
            }
        }
        place
    }
}

impl<'a> Key<'a> {
    #[inline]
    fn hash(&self) -> usize {
        match self.name {
            NameId::UNKNOWN if self.escaped => spread(self.text().as_bytes()),
            NameId::UNKNOWN => spread(self.raw.as_bytes()),
            name => name.index().wrapping_mul(7) + usize::from(name.is_sibling()),
        }
    }

    fn text(&self) -> Cow<'a, str> {
        if self.escaped { unescaped(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}
