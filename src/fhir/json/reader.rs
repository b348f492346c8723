//! The grammar of RFC 8259, by recursive descent over text that is already known to be UTF-8.

use std::borrow::Cow;
use std::collections::HashSet;

use super::string::unescaped;
use super::{DEPTH_CEILING, JsonError, JsonFault, Limits};
use crate::fhir::names::{NameId, Names, spread};
use crate::fhir::tape::{Kind, Node, NodeId, Tape, push_name};

/// From so many members on, a set says whether a name is there twice.
const MEMBERS_PLAIN_MAX: usize = 64;

/// Reads one value that is all of `text`.
pub(super) fn read<'a>(
    text: &'a str,
    limits: &Limits,
    names: &Names,
    mut nodes: Vec<Node>,
) -> Result<Tape<'a>, JsonError> {
    nodes.clear();
    let mut reader = Reader {
        text,
        at: 0,
        names,
        depth_max: limits.depth_max.min(DEPTH_CEILING),
        depth: 0,
        values_max: limits.values_max.min(u32::MAX as usize - 1),
        tape: Tape { text, nodes },
        keys: Vec::new(),
        steps: Vec::new(),
    };
    match reader.whole() {
        Ok(()) => Ok(reader.tape),
        Err(failure) => Err(JsonError::at(failure.kind, text.as_bytes(), failure.offset, reader.place())),
    }
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
    /// Names of the members so far, of all open objects.
    keys: Vec<Key<'a>>,
    /// The way to the value that is being read; only what stands above a fault is left in it.
    steps: Vec<Step<'a>>,
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
#[derive(Default)]
struct Seen<'a> {
    bits: u64,
    wide: Option<HashSet<Cow<'a, str>>>,
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
        let base = self.keys.len();
        let mut seen = Seen::default();
        loop {
            self.member(id, base, &mut seen)?;
            if !self.goes_on(b'}')? {
                self.keys.truncate(base);
                return Ok(());
            }
        }
    }

    #[inline]
    fn member(&mut self, id: NodeId, base: usize, seen: &mut Seen<'a>) -> Read<()> {
        let offset = self.at;
        if self.peek() != Some(b'"') {
            return self.fail(JsonFault::Name);
        }
        let escaped = self.string()?;
        let raw = &self.text[offset + 1..self.at - 1];
        let name = if escaped { self.names.find(&unescaped(raw)) } else { self.names.find(raw) };
        let key = Key { name, raw, escaped };
        if self.is_twice(base, seen, key) {
            self.steps.push(Step::Name(key));
            return self.fail_at(JsonFault::DuplicateKey, offset);
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fail(JsonFault::Colon);
        }
        self.at += 1;
        self.skip_space();
        self.keys.push(key);
        self.steps.push(Step::Name(key));
        self.value(id, offset + 1, name)?;
        self.steps.pop();
        Ok(())
    }

    /// Was this name there before, in the object whose names start at `base`?
    #[inline]
    fn is_twice(&self, base: usize, seen: &mut Seen<'a>, key: Key<'a>) -> bool {
        let bit = 1 << (key.hash() & 63);
        let fresh = seen.bits & bit == 0;
        seen.bits |= bit;
        if fresh { false } else { self.is_twice_slowly(&self.keys[base..], seen, key) }
    }

    #[cold]
    fn is_twice_slowly(&self, keys: &[Key<'a>], seen: &mut Seen<'a>, key: Key<'a>) -> bool {
        if keys.len() < MEMBERS_PLAIN_MAX {
            return keys.iter().any(|before| before.is(key));
        }
        let wide = seen.wide.get_or_insert_default();
        // Names that came while their bit was free are not in the set yet.
        for before in &keys[wide.len()..] {
            wide.insert(before.text());
        }
        wide.contains(&key.text())
    }

    fn array(&mut self, id: NodeId) -> Read<()> {
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            self.steps.push(Step::Index(index));
            self.value(id, 0, NameId::UNKNOWN)?;
            self.steps.pop();
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
        if first == Some(Kind::Object) && !self.steps.is_empty() && self.tape.nodes.iter().any(is_bundle) {
            place.push_str("Bundle");
        }
        for step in &self.steps {
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

    fn is(&self, other: Self) -> bool {
        self.name == other.name && (self.name.is_known() || self.text() == other.text())
    }

    fn text(&self) -> Cow<'a, str> {
        if self.escaped { unescaped(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}
