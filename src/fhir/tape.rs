//! A JSON document as a flat list of spans: every value in the order of the text, with its place in the bytes.
//!
//! Nothing of the text is copied. So places cost nothing until one is told, numbers keep their digits, and what
//! is not understood can be forwarded as it came. One list of 24-byte nodes is all that is allocated.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Number, Value};

use super::json::unescaped;
use super::names::{NameId, Names};
use super::path::plain_name;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// A string without escapes: its text is its bytes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

impl Kind {
    /// A string of either form?
    #[inline]
    pub fn is_string(self) -> bool {
        matches!(self, Self::Plain | Self::Escaped)
    }
}

/// Which value of a [`Tape`]; values are numbered in the order of the text, from the root's 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The whole document.
    pub const ROOT: Self = Self(0);

    /// As an index into a list with one item per value.
    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Offset of its first byte; of a string, after the quote.
    pub(super) start: u32,
    /// Offset after its last byte; of a string, before the quote.
    pub(super) end: u32,
    /// The value after this one and all that is within it.
    pub(super) next: u32,
    /// The object or array that it is in; the root is in itself.
    pub(super) parent: u32,
    /// Offset of its property's name, after the quote; 0 for what has none.
    pub(super) key: u32,
    pub(super) name: NameId,
    pub(super) kind: Kind,
}

/// A JSON document; see [`super::json::read`].
#[derive(Clone, Debug)]
pub struct Tape<'a> {
    pub(super) text: &'a str,
    pub(super) nodes: Vec<Node>,
}

impl<'a> Tape<'a> {
    /// The whole text.
    pub fn source(&self) -> &'a str {
        self.text
    }

    /// How many values there are; at least the root.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// A document has a root.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Gives the list back, so that the next document can be read into it.
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    #[inline]
    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// What the value is.
    #[inline]
    pub fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    /// The name of the property whose value this is.
    #[inline]
    pub fn name(&self, id: NodeId) -> NameId {
        self.node(id).name
    }

    /// The property's name as it is written, escapes resolved; empty for an item and for the root.
    pub fn key(&self, id: NodeId) -> Cow<'a, str> {
        unescaped(self.raw_key(id))
    }

    /// The property's name as it is written, between its quotes; empty for an item and for the root.
    pub fn raw_key(&self, id: NodeId) -> &'a str {
        match self.node(id).key as usize {
            0 => "",
            start => string_at(self.text, start),
        }
    }

    /// The object or array that the value is in.
    #[inline]
    pub fn parent(&self, id: NodeId) -> Option<NodeId> {
        if id == NodeId::ROOT { None } else { Some(NodeId(self.node(id).parent)) }
    }

    /// The value after this one and all that is within it.
    #[inline]
    pub fn next(&self, id: NodeId) -> NodeId {
        NodeId(self.node(id).next)
    }

    /// Is `inner` this value, or within it?
    pub fn holds(&self, id: NodeId, inner: NodeId) -> bool {
        id <= inner && inner.0 < self.node(id).next
    }

    /// The value's bytes as they came; of a string, what is between the quotes.
    #[inline]
    pub fn raw(&self, id: NodeId) -> &'a str {
        let node = self.node(id);
        &self.text[node.start as usize..node.end as usize]
    }

    /// Where the value stands in the text; of a string, with its quotes.
    pub fn span(&self, id: NodeId) -> Range<usize> {
        let node = self.node(id);
        let quote = usize::from(node.kind.is_string());
        node.start as usize - quote..node.end as usize + quote
    }

    /// A string's text; `None` for anything else.
    #[inline]
    pub fn string(&self, id: NodeId) -> Option<Cow<'a, str>> {
        match self.kind(id) {
            Kind::Plain => Some(Cow::Borrowed(self.raw(id))),
            Kind::Escaped => Some(unescaped(self.raw(id))),
            _ => None,
        }
    }

    /// Members of an object, items of an array, in order; nothing for any other value.
    #[inline]
    pub fn children(&self, id: NodeId) -> Children<'_> {
        let node = self.node(id);
        let end = if matches!(node.kind, Kind::Object | Kind::Array) { node.next } else { id.0 + 1 };
        Children { nodes: &self.nodes, at: id.0 + 1, end }
    }

    /// The value of an object's property.
    #[inline]
    pub fn member(&self, id: NodeId, name: NameId) -> Option<NodeId> {
        if self.kind(id) != Kind::Object {
            return None;
        }
        self.children(id).find(|child| self.name(*child) == name)
    }

    /// The value of an object's property by its text; for names that are not known, and outside hot paths.
    pub fn member_named(&self, id: NodeId, name: &str) -> Option<NodeId> {
        if self.kind(id) != Kind::Object {
            return None;
        }
        self.children(id).find(|child| self.key(*child) == name)
    }

    /// Position of an item in its array, or `None` for what is no item.
    pub fn position(&self, id: NodeId) -> Option<usize> {
        let parent = self.parent(id)?;
        if self.kind(parent) != Kind::Array {
            return None;
        }
        self.children(parent).position(|child| child == id)
    }

    /// Line and character of a value's first byte (a property: of its name), both from 1.
    pub fn line_column(&self, id: NodeId) -> (usize, usize) {
        let node = self.node(id);
        let offset = if node.key == 0 { self.span(id).start } else { node.key as usize - 1 };
        line_column_after(&self.text[..offset])
    }

    /// The same of many values, in one pass over the text.
    pub fn lines_columns(&self, ids: &[NodeId]) -> Vec<(usize, usize)> {
        let offset = |id: NodeId| match self.node(id).key {
            0 => self.span(id).start,
            key => key as usize - 1,
        };
        let mut order: Vec<(usize, usize)> = ids.iter().enumerate().map(|(at, id)| (offset(*id), at)).collect();
        order.sort_unstable();
        let mut found = vec![(1, 1); ids.len()];
        let (mut from, mut line, mut column) = (0, 1, 1);
        for (offset, at) in order {
            let (lines, columns) = line_column_after(&self.text[from..offset]);
            (line, column) = if lines == 1 { (line, column + columns - 1) } else { (line + lines - 1, columns) };
            from = offset;
            found[at] = (line, column);
        }
        found
    }

    /// The value as a tree of its own.
    pub fn value(&self, id: NodeId) -> Value {
        match self.kind(id) {
            Kind::Object => {
                let mut map = Map::with_capacity(self.children(id).count());
                for child in self.children(id) {
                    map.insert(self.key(child).into_owned(), self.value(child));
                }
                Value::Object(map)
            }
            Kind::Array => {
                let mut items = Vec::with_capacity(self.children(id).count());
                items.extend(self.children(id).map(|child| self.value(child)));
                Value::Array(items)
            }
            Kind::Plain | Kind::Escaped => Value::String(self.string(id).unwrap_or_default().into_owned()),
            // The only constructor that keeps the digits as written (`parse` turns `1E5` into `1e+5`); it asks for a
            // text in JSON's number grammar, which the reader has seen to. `numbers_keep_their_digits` pins it.
            Kind::Number => Value::Number(Number::from_string_unchecked(self.raw(id).to_owned())),
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
        }
    }

    /// The way to a value by property names and indexes, from the root's type: `Bundle.entry[3].resource.status`.
    pub fn place(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            steps.push(at);
            at = parent;
        }
        let mut place = self.root_name();
        for step in steps.into_iter().rev() {
            match self.position(step) {
                Some(index) => place.push_str(&format!("[{index}]")),
                None => push_name(&mut place, &self.key(step)),
            }
        }
        place
    }

    /// `Bundle`, where the root is one. Another type's name could be anything, and is not shown.
    fn root_name(&self) -> String {
        let is_bundle = |child: &NodeId| self.raw(*child) == "Bundle" && self.key(*child) == "resourceType";
        let found = !self.nodes.is_empty() && self.children(NodeId::ROOT).any(|child| is_bundle(&child));
        if found { "Bundle".to_owned() } else { String::new() }
    }
}

/// Adds a property's name to a place.
pub(super) fn push_name(place: &mut String, name: &str) {
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(plain_name(name));
}

/// The string whose first byte after the quote is at `start`, as it is written.
fn string_at(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    let bytes = rest.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &bytes[from..]) {
        if bytes[from + found] == b'"' {
            return &rest[..from + found];
        }
        from = (from + found + 2).min(bytes.len());
    }
    rest
}

/// Line and character of an offset, both from 1; what is no UTF-8 ends the text.
pub fn line_column(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let valid = std::str::from_utf8(before)
        .unwrap_or_else(|error| std::str::from_utf8(&before[..error.valid_up_to()]).unwrap_or_default());
    line_column_after(valid)
}

/// Line and character of what comes after this text, both from 1.
fn line_column_after(text: &str) -> (usize, usize) {
    let newline = memchr::memrchr(b'\n', text.as_bytes());
    let line = newline.map_or(text, |newline| &text[newline + 1..]);
    let characters = if line.is_ascii() { line.len() } else { line.chars().count() };
    (1 + newline.map_or(0, |_| memchr::memchr_iter(b'\n', text.as_bytes()).count()), 1 + characters)
}

/// See [`Tape::children`].
#[derive(Clone, Debug)]
pub struct Children<'t> {
    nodes: &'t [Node],
    at: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = NodeId;

    #[inline]
    fn next(&mut self) -> Option<NodeId> {
        if self.at >= self.end {
            return None;
        }
        let found = NodeId(self.at);
        self.at = self.nodes[found.index()].next;
        Some(found)
    }
}

/// Names that no definition is needed for: an empty table.
pub static NO_NAMES: std::sync::LazyLock<Names> = std::sync::LazyLock::new(Names::default);

#[cfg(test)]
mod tests {
    use super::super::json::{Limits, read};
    use super::*;

    fn names() -> Names {
        Names::of(["resourceType", "name", "given", "birthDate"])
    }

    #[test]
    fn values_have_names_spans_and_places() {
        let names = names();
        let text = "{\"resourceType\":\"Patient\",\n \"name\":[{\"given\":[\"A\\u00e9\",null]}], \"_birthDate\":{\"\\u0078\":1.50}}";
        let tape = read(text.as_bytes(), &Limits::default(), &names, Vec::new()).unwrap();
        let name = tape.member(NodeId::ROOT, names.find("name")).unwrap();
        let first = tape.children(name).next().unwrap();
        let given = tape.member(first, names.find("given")).unwrap();
        let items: Vec<_> = tape.children(given).collect();
        assert_eq!(tape.string(items[0]).unwrap(), "Aé");
        assert_eq!((tape.kind(items[0]), tape.kind(items[1])), (Kind::Escaped, Kind::Null));
        assert_eq!(tape.place(items[1]), "name[0].given[1]");
        assert_eq!(tape.line_column(given), (2, 11));
        let all: Vec<NodeId> = (0..tape.len() as u32).rev().map(NodeId).collect();
        let each: Vec<_> = all.iter().map(|id| tape.line_column(*id)).collect();
        assert_eq!(tape.lines_columns(&all), each);
        let sibling = tape.member(NodeId::ROOT, names.find("birthDate").sibling()).unwrap();
        let unknown = tape.member_named(sibling, "x").unwrap();
        assert_eq!((tape.key(unknown).as_ref(), tape.raw(unknown)), ("x", "1.50"));
        assert_eq!(tape.name(unknown), NameId::UNKNOWN);
        assert_eq!(&text[tape.span(items[0])], "\"A\\u00e9\"");
        assert_eq!(tape.parent(items[0]), Some(given));
        assert!(tape.holds(name, items[1]) && !tape.holds(name, sibling));
    }
}
