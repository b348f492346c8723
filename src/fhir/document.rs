//! A document read once, and looked at in parts: a resource becomes a tree when somebody asks for it.
//!
//! Of a message's twenty-five resources a gateway looks at six or seven. The others are carried as they came, so a tree
//! of them would be built and thrown away for nothing.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use serde_json::{Map, Value};

use super::bundle::Bundle;
use super::names::{NameId, Names};
use super::tape::{Kind, NodeId, Tape};

/// A resource as it was read; of a Bundle, its entries apart.
#[derive(Debug)]
pub struct Document<'t> {
    tape: &'t Tape<'t>,
    root: Value,
    entries: Option<NodeId>,
    parts: Vec<Part<'t>>,
    reference: NameId,
}

/// One entry of a [`Document`].
#[derive(Debug)]
pub struct Part<'t> {
    tape: &'t Tape<'t>,
    full_url: Option<Cow<'t, str>>,
    resource: Option<Held<'t>>,
}

/// The resource of an entry.
#[derive(Debug)]
struct Held<'t> {
    node: NodeId,
    kind: Option<(NodeId, Cow<'t, str>)>,
    id: Option<(NodeId, Cow<'t, str>)>,
    tree: OnceCell<Value>,
}

impl<'t> Document<'t> {
    /// Looks at a tape. `names` are those that it was read with; `resourceType`, `entry` and the like are among them.
    pub fn of(tape: &'t Tape<'t>, names: &Names) -> Self {
        let own = Own::of(names);
        let entries = tape.member(NodeId::ROOT, own.entry).filter(|entries| tape.kind(*entries) == Kind::Array);
        let parts = entries.into_iter().flat_map(|entries| tape.children(entries));
        let parts = parts.map(|entry| Part::of(tape, entry, &own)).collect();
        Self { tape, root: root(tape, entries), entries, parts, reference: own.reference }
    }

    /// The resource without its entries.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The entries, in their order.
    pub fn parts(&self) -> &[Part<'t>] {
        &self.parts
    }

    /// The Bundle that it is, if it is one.
    pub fn bundle(&self) -> Option<Bundle<'_>> {
        Bundle::of_document(self)
    }

    /// The way to a value.
    pub fn place(&self, node: NodeId) -> String {
        self.tape.place(node)
    }

    /// Every `Reference.reference` in the entries' resources, in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = (NodeId, Cow<'t, str>)> {
        let within = self.parts.iter().filter_map(|part| part.resource.as_ref());
        let nodes = within.flat_map(|held| held.node.0..self.tape.next(held.node).0).map(NodeId);
        let named = nodes.filter(|node| self.tape.name(*node) == self.reference);
        named.filter_map(|node| Some((node, self.tape.string(node)?)))
    }

    /// The resource of an entry without spaces, with this id, and with other texts in the references that `renamed`
    /// has one for.
    pub fn copied(&self, index: usize, id: &str, renamed: &impl Fn(&str) -> Option<String>) -> Option<String> {
        let held = self.parts.get(index)?.resource.as_ref()?;
        let mut copy = Copy { document: self, renamed, out: String::new() };
        if self.tape.kind(held.node) != Kind::Object {
            copy.value(held.node);
            return Some(copy.out);
        }
        copy.out.reserve(self.tape.raw(held.node).len() + id.len());
        copy.out.push('{');
        let own = held.id.as_ref().map(|(node, _)| *node);
        for (position, member) in self.tape.children(held.node).enumerate() {
            // The usual place of an id is after the type.
            if position == 1 && own.is_none() {
                copy.id(id);
            }
            if Some(member) == own { copy.id(id) } else { copy.member(member) }
        }
        if own.is_none() && self.tape.children(held.node).count() < 2 {
            copy.id(id);
        }
        copy.out.push('}');
        Some(copy.out)
    }

    /// Where the array of entries stands in the text.
    pub(super) fn entries_span(&self) -> Option<(Range<usize>, Option<usize>)> {
        let entries = self.entries?;
        Some((self.tape.span(entries), self.tape.children(entries).last().map(|last| self.tape.span(last).end)))
    }
}

/// A value that is being copied.
struct Copy<'d, 't, R> {
    document: &'d Document<'t>,
    renamed: &'d R,
    out: String,
}

impl<R: Fn(&str) -> Option<String>> Copy<'_, '_, R> {
    fn value(&mut self, node: NodeId) {
        let tape = self.document.tape;
        match tape.kind(node) {
            Kind::Object => {
                self.out.push('{');
                tape.children(node).for_each(|member| self.member(member));
                self.out.push('}');
            }
            Kind::Array => {
                self.out.push('[');
                for item in tape.children(node) {
                    self.comma();
                    self.value(item);
                }
                self.out.push(']');
            }
            _ => self.out.push_str(&tape.source()[tape.span(node)]),
        }
    }

    fn member(&mut self, node: NodeId) {
        let tape = self.document.tape;
        self.name(tape.raw_key(node));
        let reference = (tape.name(node) == self.document.reference).then(|| tape.string(node)).flatten();
        match reference.and_then(|reference| (self.renamed)(&reference)) {
            Some(renamed) => self.text(&renamed),
            None => self.value(node),
        }
    }

    fn id(&mut self, id: &str) {
        self.name("id");
        self.text(id);
    }

    fn name(&mut self, raw: &str) {
        self.comma();
        self.out.push('"');
        self.out.push_str(raw);
        self.out.push_str("\":");
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&Value::from(text).to_string());
    }

    fn comma(&mut self) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
    }
}

impl Part<'_> {
    /// `fullUrl`.
    pub fn full_url(&self) -> Option<&str> {
        self.full_url.as_deref()
    }

    /// The type of its resource.
    pub fn resource_type(&self) -> Option<&str> {
        self.resource.as_ref()?.kind.as_ref().map(|(_, kind)| kind.as_ref())
    }

    /// The id of its resource.
    pub fn id(&self) -> Option<&str> {
        self.resource.as_ref()?.id.as_ref().map(|(_, id)| id.as_ref())
    }

    /// Its resource, which is made a tree by the first who asks.
    pub fn resource(&self) -> Option<&Value> {
        let held = self.resource.as_ref()?;
        Some(held.tree.get_or_init(|| self.tape.value(held.node)))
    }

    /// A member of its resource, for who needs no more of it.
    pub fn element(&self, name: &str) -> Option<Cow<'_, Value>> {
        let held = self.resource.as_ref()?;
        match held.tree.get() {
            Some(tree) => tree.get(name).map(Cow::Borrowed),
            None => self.tape.member_named(held.node, name).map(|node| Cow::Owned(self.tape.value(node))),
        }
    }

    /// Where its resource stands in the text, if it is an object: with its type and its id, and whether anything is in
    /// it.
    pub(super) fn spans(&self) -> Option<Spans> {
        let held = self.resource.as_ref().filter(|held| self.tape.kind(held.node) == Kind::Object)?;
        let span = |found: &Option<(NodeId, Cow<'_, str>)>| found.as_ref().map(|(node, _)| self.tape.span(*node));
        Some(Spans {
            whole: self.tape.span(held.node),
            kind: span(&held.kind),
            id: span(&held.id),
            empty: self.tape.children(held.node).next().is_none(),
        })
    }
}

impl<'t> Part<'t> {
    fn of(tape: &'t Tape<'t>, entry: NodeId, own: &Own) -> Self {
        let text = |node: NodeId| tape.string(node);
        let full_url = tape.member(entry, own.full_url).and_then(text);
        let resource = tape.member(entry, own.resource).map(|node| {
            let named = |name| tape.member(node, name).and_then(|found| Some((found, text(found)?)));
            Held { node, kind: named(own.resource_type), id: named(own.id), tree: OnceCell::new() }
        });
        Self { tape, full_url, resource }
    }
}

/// Where a resource and what names it stand in the text.
#[derive(Debug)]
pub(super) struct Spans {
    pub(super) whole: Range<usize>,
    pub(super) kind: Option<Range<usize>>,
    pub(super) id: Option<Range<usize>>,
    pub(super) empty: bool,
}

/// What the root says beside its entries.
fn root(tape: &Tape<'_>, entries: Option<NodeId>) -> Value {
    if tape.kind(NodeId::ROOT) != Kind::Object {
        return tape.value(NodeId::ROOT);
    }
    let said = tape.children(NodeId::ROOT).filter(|child| Some(*child) != entries);
    Value::Object(said.map(|child| (tape.key(child).into_owned(), tape.value(child))).collect::<Map<_, _>>())
}

/// The names that tell the parts apart.
struct Own {
    entry: NameId,
    full_url: NameId,
    resource: NameId,
    resource_type: NameId,
    id: NameId,
    reference: NameId,
}

impl Own {
    fn of(names: &Names) -> Self {
        Self {
            entry: names.find("entry"),
            full_url: names.find("fullUrl"),
            resource: names.find("resource"),
            resource_type: names.find("resourceType"),
            id: names.find("id"),
            reference: names.find("reference"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::json::{Limits, read};
    use super::*;

    fn names() -> Names {
        Names::of(["resourceType", "entry", "fullUrl", "resource", "id", "reference"])
    }

    #[test]
    fn entries_are_told_without_a_tree_and_read_with_one() {
        let text = r#"{"resourceType":"Bundle","type":"message","entry":[
            {"fullUrl":"urn:uuid:\u0031","resource":{"id":"a","resourceType":"Patient","n":[1.50]}},
            {"fullUrl":"urn:uuid:2"}, {"resource":{}}, 7],"id":"b"}"#;
        let names = names();
        let tape = read(text.as_bytes(), &Limits::default(), &names, Vec::new()).unwrap();
        let document = Document::of(&tape, &names);
        assert_eq!(*document.root(), json!({"resourceType": "Bundle", "type": "message", "id": "b"}));
        let [patient, bare, empty, number] = document.parts() else { panic!("four entries") };
        assert_eq!(
            (patient.full_url(), patient.resource_type(), patient.id()),
            (Some("urn:uuid:1"), Some("Patient"), Some("a"))
        );
        assert_eq!(patient.resource().unwrap().to_string(), r#"{"id":"a","resourceType":"Patient","n":[1.50]}"#);
        assert_eq!((bare.full_url(), bare.resource(), bare.id()), (Some("urn:uuid:2"), None, None));
        assert_eq!((empty.resource_type(), empty.resource()), (None, Some(&json!({}))));
        assert_eq!((number.resource(), number.full_url()), (None, None));
    }

    #[test]
    fn a_copy_has_its_id_and_the_references_that_it_was_given() {
        let text = r#"{"entry":[{"resource":{ "resourceType" : "X", "n": [ 1.50, {}, [] ], "s":"a\u0041\"{",
            "r":{"reference":"urn:uuid:1","display":"urn:uuid:1"}}}, {"resource":{"id":"old","reference":"y"}}, {"resource":{}}, {"resource":3}, {}]}"#;
        let names = names();
        let tape = read(text.as_bytes(), &Limits::default(), &names, Vec::new()).unwrap();
        let document = Document::of(&tape, &names);
        let renamed = |old: &str| (old == "urn:uuid:1").then(|| "P/\"2".to_owned());
        let copied = |index| document.copied(index, "new", &renamed);
        let first = r#"{"resourceType":"X","id":"new","n":[1.50,{},[]],"s":"a\u0041\"{","r":{"reference":"P/\"2","display":"urn:uuid:1"}}"#;
        assert_eq!(copied(0).unwrap(), first);
        assert_eq!(copied(1).unwrap(), r#"{"id":"new","reference":"y"}"#);
        assert_eq!(copied(2).unwrap(), r#"{"id":"new"}"#);
        assert_eq!((copied(3).as_deref(), copied(4), copied(5)), (Some("3"), None, None));
    }

    #[test]
    fn references_are_those_of_the_resources() {
        let text = r#"{"reference":"no","entry":[{"resource":{"a":{"reference":"x"},"b":[{"r\u0065ference":"y"},{"reference":1}]}},
            {"reference":"no","resource":{"c":[{"d":{"reference":"z"}}]}}]}"#;
        let names = names();
        let tape = read(text.as_bytes(), &Limits::default(), &names, Vec::new()).unwrap();
        let document = Document::of(&tape, &names);
        let found: Vec<_> =
            document.references().map(|(node, text)| (document.place(node), text.into_owned())).collect();
        let places: Vec<_> = found.iter().map(|(place, text)| (place.as_str(), text.as_str())).collect();
        let wanted = [
            ("entry[0].resource.a.reference", "x"),
            ("entry[0].resource.b[0].reference", "y"),
            ("entry[1].resource.c[0].d.reference", "z"),
        ];
        assert_eq!(places, wanted);
    }

    #[test]
    fn what_is_no_bundle_is_read_whole() {
        let names = names();
        for text in [r#"{"resourceType":"Patient","entry":{"x":1}}"#, "[1]", "null"] {
            let tape = read(text.as_bytes(), &Limits::default(), &names, Vec::new()).unwrap();
            let document = Document::of(&tape, &names);
            assert_eq!(document.root().to_string(), text);
            assert!(document.parts().is_empty() && document.bundle().is_none());
        }
    }
}
