//! From the tree to JSON (R4 2.6.2 "JSON Representation"): repeats become arrays, values their shape, ids and
//! extensions of primitives the `_` halves.

use std::collections::HashMap;
use std::ops::Range;

use super::namespace::Space;
use super::place::Cursor;
use super::tree::{Attribute, NONE, Node, Tree};
use super::{Content, Element, Limits, Parsed, Places, Read, Schema, Shape, XmlFault, fail};
use crate::fhir::path::Path;
use crate::issue::{Code, ELEMENT_ORDER, Issue, Issues, XML_CONTENT, XML_NAMESPACE};

/// More problems than this are not listed.
const ISSUES_MAX: usize = 500;

/// Deeper than this is never written, whatever the configuration says: this recurses.
const DEPTH_CEILING: usize = 512;

/// A child element with what the schema knows of it.
#[derive(Clone, Copy)]
struct Child<K> {
    node: u32,
    element: Option<Element<K>>,
}

struct Writer<'w, 'x, S: Schema> {
    tree: &'w Tree<'x>,
    schema: &'w S,
    json: Vec<u8>,
    places: Places,
    issues: Issues,
    cursor: Cursor<'w>,
    depth: usize,
    depth_max: usize,
    values_left: usize,
    /// The children of all elements that are being written: one stack for all.
    row: Vec<Child<S::Kind>>,
}

/// Writes the tree of these bytes as JSON.
pub(super) fn write<S: Schema>(tree: &Tree<'_>, bytes: &[u8], limits: &Limits, schema: &S) -> Read<Parsed> {
    let mut writer = Writer {
        tree,
        schema,
        json: Vec::with_capacity(bytes.len()),
        places: Places::default(),
        issues: Issues::default(),
        cursor: Cursor::new(bytes),
        depth: 0,
        depth_max: limits.depth_max.min(DEPTH_CEILING),
        values_left: limits.values_max,
        row: Vec::new(),
    };
    let root = tree.node(0);
    let known = schema.resource(root.name).is_some();
    writer.resource(root, &Path::root(if known { root.name } else { "" }))?;
    Ok(Parsed { json: writer.json, places: writer.places, issues: writer.issues })
}

impl<'w, 'x, S: Schema> Writer<'w, 'x, S> {
    /// `<Patient>…</Patient>` as `{"resourceType":"Patient",…}`.
    fn resource(&mut self, node: &'w Node<'x>, path: &Path<'_>) -> Read<()> {
        self.open(b'{', node)?;
        self.key("", "resourceType", node.start);
        self.text(node.name, node)?;
        self.members(node, self.schema.resource(node.name), path)?;
        self.close(b'}');
        Ok(())
    }

    fn object(&mut self, node: &'w Node<'x>, kind: Option<S::Kind>, path: &Path<'_>) -> Read<()> {
        self.open(b'{', node)?;
        self.members(node, kind, path)?;
        self.close(b'}');
        Ok(())
    }

    /// Attributes and children; without a kind nothing is known of them, and nothing is said.
    fn members(&mut self, node: &'w Node<'x>, kind: Option<S::Kind>, path: &Path<'_>) -> Read<()> {
        let Some(known) = kind else { return self.contents(node, kind, path) };
        for attribute in self.tree.attributes(node) {
            match self.schema.element(known, attribute.name) {
                Some(Element { attribute: true, .. }) => {
                    self.key("", attribute.name, attribute.offset);
                    self.text(&attribute.value, node)?;
                }
                _ => self.stray_attribute(attribute, path),
            }
        }
        self.stray_text(node, path);
        self.contents(node, kind, path)
    }

    /// The children, each name once.
    fn contents(&mut self, node: &'w Node<'x>, kind: Option<S::Kind>, path: &Path<'_>) -> Read<()> {
        let start = self.row.len();
        if !self.children(node, kind, path) {
            self.group(start);
        }
        let end = self.row.len();
        let mut at = start;
        while at < end {
            let run = at..self.run_end(at, end);
            at = run.end;
            self.run(run, path)?;
        }
        self.row.truncate(start);
        Ok(())
    }

    /// Puts the children on the row; false where those of one name may not stand side by side.
    fn children(&mut self, node: &'w Node<'x>, kind: Option<S::Kind>, path: &Path<'_>) -> bool {
        let tree = self.tree;
        let (mut last, mut in_order, mut grouped) = (None, true, true);
        for index in tree.children(node) {
            let child = tree.node(index);
            let element = kind.and_then(|kind| self.schema.element(kind, child.name));
            if !self.belongs(child, element, path) {
                continue;
            }
            self.row.push(Child { node: index, element });
            let Some(element) = element else {
                grouped = false;
                continue;
            };
            let own = (element.position, child.name);
            let (position, name) = last.unwrap_or(own);
            if own.0 < position && in_order {
                in_order = false;
                self.too_late(child, &element, path);
            }
            grouped &= position < own.0 || own == (position, name);
            last = Some(own);
        }
        grouped
    }

    /// Is it an element that JSON can have?
    fn belongs(&mut self, child: &Node<'x>, element: Option<Element<S::Kind>>, path: &Path<'_>) -> bool {
        let narrative = element.is_some_and(|element| matches!(element.content, Content::Narrative));
        let wanted = if narrative { Space::Xhtml } else { Space::Fhir };
        if child.space != wanted {
            self.foreign(child, path);
        }
        let of_json = child.name == "resourceType" || child.name.starts_with('_');
        if of_json {
            let text = "This is a name of JSON's, and no element in XML.";
            self.say(&XML_CONTENT, &path.name(child.name), child.start, text);
        }
        // A narrative in FHIR's namespace is carried: its sender forgot only to declare the other one.
        (child.space == wanted || (narrative && child.space == Space::Fhir)) && !of_json
    }

    /// Brings children of one name together, each name where it stood first.
    fn group(&mut self, start: usize) {
        let tree = self.tree;
        let mut first = HashMap::new();
        for (index, child) in self.row[start..].iter().enumerate() {
            first.entry(tree.node(child.node).name).or_insert(index);
        }
        self.row[start..].sort_by_key(|child| first.get(tree.node(child.node).name).copied());
    }

    fn run_end(&self, start: usize, end: usize) -> usize {
        let name = |at: usize| self.tree.node(self.row[at].node).name;
        (start + 1..end).find(|at| name(*at) != name(start)).unwrap_or(end)
    }

    /// All children of one name: one member, or two of a primitive.
    fn run(&mut self, run: Range<usize>, path: &Path<'_>) -> Read<()> {
        let Child { node, element } = self.row[run.start];
        let name = self.tree.node(node).name;
        let place = path.name(element.map_or(name, |element| stem(name, &element)));
        match element.map(|element| element.content) {
            Some(Content::Primitive(shape)) => self.primitives(run, shape, &place),
            _ => self.member("", run, &place, Self::value),
        }
    }

    /// A member of this prefix: an array where the element repeats, or where it should not but does.
    fn member(
        &mut self,
        prefix: &str,
        run: Range<usize>,
        place: &Path<'_>,
        write: impl Fn(&mut Self, Child<S::Kind>, &Path<'_>) -> Read<()>,
    ) -> Read<()> {
        let child = self.row[run.start];
        let first = self.tree.node(child.node);
        self.key(prefix, first.name, first.start);
        if run.len() == 1 && child.element.is_none_or(|element| !element.many) {
            return write(self, child, place);
        }
        self.open(b'[', first)?;
        for (index, at) in run.enumerate() {
            if index != 0 {
                self.json.push(b',');
            }
            let child = self.row[at];
            self.places.push(self.json.len(), self.tree.node(child.node).start);
            write(self, child, &place.index(index))?;
        }
        self.close(b']');
        Ok(())
    }

    /// Anything but a primitive.
    fn value(&mut self, child: Child<S::Kind>, place: &Path<'_>) -> Read<()> {
        let node = self.tree.node(child.node);
        match (child.element.map(|element| element.content), self.lone_value(node)) {
            (Some(Content::Narrative), _) => self.text(self.tree.written(node), node),
            (Some(Content::Resource), _) => self.wrapped(node, place),
            // A value where FHIR has none is carried, so that the structure check says what is expected.
            (_, Some(value)) => self.text(value, node),
            (Some(Content::Complex(kind)), None) => self.object(node, Some(kind), place),
            (_, None) => self.object(node, None, place),
        }
    }

    /// `value`, where it is all that the element has.
    fn lone_value(&self, node: &'w Node<'x>) -> Option<&'w str> {
        match self.tree.attributes(node) {
            [only] if only.name == "value" && self.tree.children(node).next().is_none() => Some(&only.value),
            _ => None,
        }
    }

    /// The one resource within `contained`, `resource` or `outcome`.
    fn wrapped(&mut self, node: &'w Node<'x>, place: &Path<'_>) -> Read<()> {
        let tree = self.tree;
        tree.attributes(node).iter().for_each(|attribute| self.stray_attribute(attribute, place));
        self.stray_text(node, place);
        let mut inner = tree.children(node).map(|index| tree.node(index));
        match inner.next() {
            Some(resource) if resource.space == Space::Fhir => self.resource(resource, place)?,
            other => {
                other.into_iter().for_each(|other| self.foreign(other, place));
                self.open(b'{', node)?;
                self.close(b'}');
            }
        }
        if let Some(second) = inner.next() {
            self.say(&XML_CONTENT, place, second.start, "Exactly one resource may stand here.");
        }
        Ok(())
    }

    /// Values and `_` halves, with nulls that keep the two in step.
    fn primitives(&mut self, run: Range<usize>, shape: Shape, place: &Path<'_>) -> Read<()> {
        let tree = self.tree;
        let (mut values, mut halves) = (false, false);
        for at in run.clone() {
            let node = tree.node(self.row[at].node);
            values |= tree.attribute(node, "value").is_some();
            halves |= has_half(tree, node);
            self.strays(node, place);
        }
        // With neither a value nor anything else the member is null, and the structure check says so.
        if values || !halves {
            self.member("", run.clone(), place, |writer, child, _| writer.primitive(child, shape))?;
        }
        if halves {
            self.member("_", run, place, Self::half)?;
        }
        Ok(())
    }

    fn strays(&mut self, node: &'w Node<'x>, place: &Path<'_>) {
        for attribute in self.tree.attributes(node) {
            if !matches!(attribute.name, "value" | "id") {
                self.stray_attribute(attribute, place);
            }
        }
        self.stray_text(node, place);
    }

    fn primitive(&mut self, child: Child<S::Kind>, shape: Shape) -> Read<()> {
        let node = self.tree.node(child.node);
        let Some(value) = self.tree.attribute(node, "value") else { return self.plain("null", node) };
        let text = match shape {
            // JSON has no plus sign.
            Shape::Integer => value.value.strip_prefix('+').unwrap_or(&value.value),
            _ => &value.value,
        };
        match shape {
            Shape::Boolean if matches!(text, "true" | "false") => self.plain(text, node),
            Shape::Integer | Shape::Decimal if is_number(text) => self.plain(text, node),
            _ => self.text(&value.value, node),
        }
    }

    /// Id and extensions of a primitive.
    fn half(&mut self, child: Child<S::Kind>, place: &Path<'_>) -> Read<()> {
        let node = self.tree.node(child.node);
        if !has_half(self.tree, node) {
            return self.plain("null", node);
        }
        self.open(b'{', node)?;
        if let Some(id) = self.tree.attribute(node, "id") {
            self.key("", "id", id.offset);
            self.text(&id.value, node)?;
        }
        self.contents(node, Some(self.schema.primitive()), place)?;
        self.close(b'}');
        Ok(())
    }
}

/// The bytes of the JSON.
impl<'x, S: Schema> Writer<'_, 'x, S> {
    fn key(&mut self, prefix: &str, name: &str, offset: u32) {
        if self.json.last() != Some(&b'{') {
            self.json.push(b',');
        }
        self.places.push(self.json.len(), offset);
        self.json.push(b'"');
        self.json.extend_from_slice(prefix.as_bytes());
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
    }

    fn open(&mut self, bracket: u8, node: &Node<'x>) -> Read<()> {
        if self.depth == self.depth_max {
            return fail(XmlFault::TooDeep, node.start as usize);
        }
        self.depth += 1;
        self.count(node)?;
        if self.json.is_empty() {
            self.places.push(0, node.start);
        }
        self.json.push(bracket);
        Ok(())
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.json.push(bracket);
    }

    fn plain(&mut self, text: &str, node: &Node<'x>) -> Read<()> {
        self.json.extend_from_slice(text.as_bytes());
        self.count(node)
    }

    fn text(&mut self, text: &str, node: &Node<'x>) -> Read<()> {
        self.json.push(b'"');
        let mut copied = 0;
        for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'"' | b'\\' | 0..=0x1F)) {
            self.json.extend_from_slice(&text.as_bytes()[copied..at]);
            // XML has no other control characters than these three.
            self.json.extend_from_slice(match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                _ => b"\\t",
            });
            copied = at + 1;
        }
        self.json.extend_from_slice(&text.as_bytes()[copied..]);
        self.json.push(b'"');
        self.count(node)
    }

    fn count(&mut self, node: &Node<'x>) -> Read<()> {
        match self.values_left.checked_sub(1) {
            Some(left) => self.values_left = left,
            None => return fail(XmlFault::TooManyValues, node.start as usize),
        }
        Ok(())
    }
}

/// What JSON cannot show.
impl<'x, S: Schema> Writer<'_, 'x, S> {
    fn stray_attribute(&mut self, attribute: &Attribute<'x>, path: &Path<'_>) {
        let text = "FHIR has no such attribute here.";
        self.say(&XML_CONTENT, &path.name(attribute.name), attribute.offset, text);
    }

    fn stray_text(&mut self, node: &Node<'x>, path: &Path<'_>) {
        if node.text != NONE {
            self.say(&XML_CONTENT, path, node.text, "FHIR has no text here: a value stands in the attribute `value`.");
        }
    }

    #[cold]
    fn foreign(&mut self, node: &Node<'x>, path: &Path<'_>) {
        let text = "FHIR's elements are in the namespace http://hl7.org/fhir, and only a narrative is in XHTML's.";
        self.say(&XML_NAMESPACE, &path.name(node.name), node.start, text);
    }

    #[cold]
    fn too_late(&mut self, node: &Node<'x>, element: &Element<S::Kind>, path: &Path<'_>) {
        let text = "In XML the elements must be in the order of their definition, and this one comes too late.";
        self.say(&ELEMENT_ORDER, &path.name(stem(node.name, element)), node.start, text);
    }

    #[cold]
    fn say(&mut self, code: &'static Code, path: &Path<'_>, offset: u32, text: &'static str) {
        if self.issues.len() < ISSUES_MAX {
            let position = self.cursor.position(offset as usize);
            self.issues.push(Issue::with(code, path.to_string(), text).at_line(position.line, position.column));
        }
    }
}

/// The part of an element's name that FHIRPath uses.
fn stem<'n, K>(name: &'n str, element: &Element<K>) -> &'n str {
    name.get(..element.stem).unwrap_or(name)
}

/// Has a primitive more than its value?
fn has_half(tree: &Tree<'_>, node: &Node<'_>) -> bool {
    tree.attribute(node, "id").is_some() || tree.children(node).next().is_some()
}

/// JSON's grammar of numbers, which is also that of FHIR's decimals (RFC 8259 section 6, R4 2.24.0.1).
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(number, it)| (number, Some(it)));
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, it)| (whole, Some(it)));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|it| digits(it.strip_prefix(['+', '-']).unwrap_or(it)))
}
