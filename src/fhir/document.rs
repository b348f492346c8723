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

    /// Where the array of entries stands in the text.
    pub(super) fn entries_span(&self) -> Option<(Range<usize>, Option<usize>)> {
        let entries = self.entries?;
        Some((self.tape.span(entries), self.tape.children(entries).last().map(|last| self.tape.span(last).end)))
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
