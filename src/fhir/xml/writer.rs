//! From JSON to XML: elements in the order of their definition, whatever their order in the JSON.

use serde_json::{Map, Value};

use super::tag::{is_character, is_name};
use super::{Content, Element, FHIR_NAMESPACE, Schema, Shape, XHTML_NAMESPACE, narrative};
use crate::fhir::path::Path;
use crate::fhir::view::resource_type;
use crate::issue::{Code, ELEMENT_TYPE, ELEMENT_UNKNOWN, Issue, Issues, RESOURCE_TYPE, VALUE_FORMAT};

/// Deeper than this is not written; the JSON reader's own limit is not above it.
const DEPTH_MAX: usize = 512;

/// More problems than this are not listed.
const ISSUES_MAX: usize = 500;

/// Writes a resource. What XML cannot say is in the issues: there is none where the structure check finds nothing.
///
/// A narrative without the namespace of XHTML is given it, because in XML it would be something else.
pub fn write<S: Schema>(resource: &Value, schema: &S) -> (Vec<u8>, Issues) {
    let mut writer = Writer { schema, xml: String::new(), issues: Issues::default(), depth: 0, half: "_".into() };
    writer.xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let known = resource_type(resource).filter(|name| schema.resource(name).is_some());
    writer.resource(resource, &Path::root(known.unwrap_or_default()), &format!(" xmlns=\"{FHIR_NAMESPACE}\""));
    (writer.xml.into_bytes(), writer.issues)
}

struct Writer<'s, S> {
    schema: &'s S,
    xml: String,
    issues: Issues,
    depth: usize,
    /// `_name` of the member that is looked up, without allocating for each.
    half: String,
}

/// A member of an object on its way into XML: both halves, if it is a primitive's.
struct Member<'j, K> {
    name: &'j str,
    element: Option<Element<K>>,
    value: Option<&'j Value>,
    half: Option<&'j Value>,
}

impl<S: Schema> Writer<'_, S> {
    fn resource(&mut self, value: &Value, path: &Path<'_>, namespace: &str) {
        let (Value::Object(members), Some(name)) = (value, resource_type(value)) else {
            return self.say(&RESOURCE_TYPE, path, "Only a resource can be written as XML here.");
        };
        if !is_name(name) {
            return self.say(&RESOURCE_TYPE, path, "resourceType is no name of an XML element.");
        }
        self.xml.push('<');
        self.xml.push_str(name);
        self.xml.push_str(namespace);
        self.content(name, members, self.schema.resource(name), path);
    }

    /// The rest of an element whose tag is open: attributes, children and the end.
    fn content(&mut self, tag: &str, object: &Map<String, Value>, kind: Option<S::Kind>, path: &Path<'_>) {
        let members = self.members(object, kind, path);
        for member in &members {
            if member.element.is_some_and(|element| element.attribute) {
                self.attribute(member, path);
            }
        }
        self.xml.push('>');
        let children = members.iter().filter(|member| member.element.is_none_or(|element| !element.attribute));
        let opened = self.xml.len();
        if self.depth == DEPTH_MAX {
            self.say(&ELEMENT_TYPE, path, "This is nested deeper than is written here.");
        } else {
            self.depth += 1;
            children.for_each(|member| self.member(member, path));
            self.depth -= 1;
        }
        self.end(tag, opened);
    }

    /// `</tag>`, or `/>` where nothing was written since the tag was opened.
    fn end(&mut self, tag: &str, opened: usize) {
        if self.xml.len() == opened {
            self.xml.pop();
            self.xml.push_str("/>");
        } else {
            self.xml.push_str("</");
            self.xml.push_str(tag);
            self.xml.push('>');
        }
    }

    /// In the order of their definition; what is unknown comes last.
    fn members<'j>(
        &mut self,
        object: &'j Map<String, Value>,
        kind: Option<S::Kind>,
        path: &Path<'_>,
    ) -> Vec<Member<'j, S::Kind>> {
        let mut members: Vec<Member<'j, S::Kind>> = Vec::with_capacity(object.len());
        let (mut sorted, mut last) = (true, 0);
        for (key, value) in object.iter().filter(|(key, _)| *key != "resourceType") {
            let Some(member) = self.paired(object, key, value, kind) else { continue };
            if !is_name(member.name) || (member.element.is_none() && kind.is_some()) {
                self.say(&ELEMENT_UNKNOWN, &path.name(key), "FHIR R4 has no such element here.");
            }
            if is_name(member.name) {
                let position = position(&member);
                sorted &= last <= position;
                last = position;
                members.push(member);
            }
        }
        if !sorted {
            members.sort_by_key(position);
        }
        members
    }

    /// The member of this key with its other half; `None` for a half that its value brings along.
    fn paired<'j>(
        &mut self,
        object: &'j Map<String, Value>,
        key: &'j str,
        value: &'j Value,
        kind: Option<S::Kind>,
    ) -> Option<Member<'j, S::Kind>> {
        let element = |name| kind.and_then(|kind| self.schema.element(kind, name));
        match key.strip_prefix('_') {
            Some(name) if object.contains_key(name) => None,
            Some(name) => Some(Member { name, element: element(name), value: None, half: Some(value) }),
            None => {
                self.half.truncate(1);
                self.half.push_str(key);
                Some(Member { name: key, element: element(key), value: Some(value), half: object.get(&self.half) })
            }
        }
    }

    fn attribute(&mut self, member: &Member<'_, S::Kind>, path: &Path<'_>) {
        let place = path.name(member.name);
        match member.value {
            Some(Value::String(text)) => self.quoted(member.name, text, &place),
            _ => self.say(&ELEMENT_TYPE, &place, "A string is expected here."),
        }
        if member.half.is_some() {
            self.say(&ELEMENT_UNKNOWN, &place, "This element has neither an id nor extensions.");
        }
    }

    /// Every item of a member is an element of its own.
    fn member(&mut self, member: &Member<'_, S::Kind>, path: &Path<'_>) {
        let stem = member.element.and_then(|element| member.name.get(..element.stem)).unwrap_or(member.name);
        let place = path.name(stem);
        let is_array = [member.value, member.half].into_iter().flatten().any(Value::is_array);
        let many = member.element.map_or(is_array, |element| element.many);
        let count = count(member.value).max(count(member.half));
        if is_array != many || count == 0 {
            self.say(&ELEMENT_TYPE, &place, "What may repeat is an array of one or more, and nothing else is.");
        }
        for index in 0..count {
            let (value, half) = (item(member.value, index), item(member.half, index));
            if many {
                self.item(member, value, half, &place.index(index));
            } else {
                self.item(member, value, half, &place);
            }
        }
    }

    fn item(&mut self, member: &Member<'_, S::Kind>, value: Option<&Value>, half: Option<&Value>, place: &Path<'_>) {
        let content = member.element.map(|element| element.content);
        if half.is_some() && !matches!(content, Some(Content::Primitive(_)) | None) {
            self.say(&ELEMENT_UNKNOWN, place, "Only a primitive has a half with an underscore.");
        }
        match (content, value) {
            (Some(Content::Primitive(shape)), _) => self.primitive(member.name, shape, value, half, place),
            (Some(Content::Narrative), Some(Value::String(text))) => self.narrative(text, place),
            (Some(Content::Resource), Some(resource)) => {
                self.open(member.name);
                self.xml.push('>');
                let opened = self.xml.len();
                self.resource(resource, place, "");
                self.end(member.name, opened);
            }
            (Some(Content::Complex(kind)), Some(Value::Object(object))) => {
                self.open(member.name);
                self.content(member.name, object, Some(kind), place);
            }
            (None, value) => self.unknown(member.name, value, half, place),
            (_, value) => {
                self.say(&ELEMENT_TYPE, place, "The JSON is not of the right shape for its type.");
                self.unknown(member.name, value, None, place);
            }
        }
    }

    fn primitive(&mut self, name: &str, shape: Shape, value: Option<&Value>, half: Option<&Value>, place: &Path<'_>) {
        let right = match (shape, value) {
            (_, None | Some(Value::Null)) => half.is_some_and(Value::is_object),
            (Shape::Text, Some(value)) => value.is_string(),
            (Shape::Boolean, Some(value)) => value.is_boolean(),
            (Shape::Integer | Shape::Decimal, Some(value)) => value.is_number(),
        };
        if !right {
            self.say(&ELEMENT_TYPE, place, "The JSON is not of the right shape for its type.");
        }
        self.open(name);
        self.value(value, place);
        match half {
            Some(Value::Object(half)) => self.content(name, half, Some(self.schema.primitive()), place),
            _ => self.xml.push_str("/>"),
        }
    }

    /// What no schema describes, written as far as it can be: its type is lost.
    fn unknown(&mut self, name: &str, value: Option<&Value>, half: Option<&Value>, place: &Path<'_>) {
        self.open(name);
        self.value(value, place);
        match (value, half) {
            (Some(Value::Object(object)), _) | (_, Some(Value::Object(object))) => {
                self.content(name, object, None, place);
            }
            _ => self.xml.push_str("/>"),
        }
    }

    fn narrative(&mut self, text: &str, place: &Path<'_>) {
        if let Ok(embedded) = narrative::embedded(text) {
            return self.xml.push_str(&embedded);
        }
        self.say(&VALUE_FORMAT, place, "XHTML must be one well-formed <div>; it is written as plain text.");
        self.xml.push_str("<div xmlns=\"");
        self.xml.push_str(XHTML_NAMESPACE);
        self.xml.push_str("\">");
        self.escaped(text, place);
        self.xml.push_str("</div>");
    }

    fn open(&mut self, name: &str) {
        self.xml.push('<');
        self.xml.push_str(name);
    }

    fn value(&mut self, value: Option<&Value>, place: &Path<'_>) {
        match value {
            Some(Value::String(text)) => self.quoted("value", text, place),
            Some(Value::Bool(value)) => self.quoted("value", if *value { "true" } else { "false" }, place),
            Some(Value::Number(number)) => self.quoted("value", number.as_str(), place),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {}
        }
    }

    fn quoted(&mut self, name: &str, text: &str, place: &Path<'_>) {
        self.xml.push(' ');
        self.xml.push_str(name);
        self.xml.push_str("=\"");
        self.escaped(text, place);
        self.xml.push('"');
    }

    /// White space by its number, because a reader makes blanks of it otherwise (XML 1.0 section 3.3.3).
    fn escaped(&mut self, text: &str, place: &Path<'_>) {
        let mut copied = 0;
        for (at, found) in text.char_indices() {
            let escaped = match found {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\t' => "&#9;",
                '\n' => "&#10;",
                '\r' => "&#13;",
                found if is_character(found) => continue,
                _ => {
                    self.say(&VALUE_FORMAT, place, "This has a character that XML cannot write.");
                    "\u{FFFD}"
                }
            };
            self.xml.push_str(&text[copied..at]);
            self.xml.push_str(escaped);
            copied = at + found.len_utf8();
        }
        self.xml.push_str(&text[copied..]);
    }

    #[cold]
    fn say(&mut self, code: &'static Code, path: &Path<'_>, text: &'static str) {
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(Issue::with(code, path.to_string(), text));
        }
    }
}

fn position<K>(member: &Member<'_, K>) -> u8 {
    member.element.as_ref().map_or(u8::MAX, |element| element.position)
}

fn count(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(items)) => items.len(),
        Some(_) => 1,
        None => 0,
    }
}

fn item(value: Option<&Value>, index: usize) -> Option<&Value> {
    match value {
        Some(Value::Array(items)) => items.get(index),
        Some(single) if index == 0 => Some(single),
        _ => None,
    }
}
