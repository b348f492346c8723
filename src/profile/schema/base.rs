//! R4's own types as schemas.

use serde_json::{Map, Value, json};

use super::{CODES_MAX, Writer, format, there};
use crate::profile::facts::{Element, Field, Kind, Special, Type, TypeId};

impl Writer<'_> {
    /// Points to the schema of a type; written at the first call.
    pub(super) fn type_ref(&mut self, id: TypeId) -> Value {
        let name = self.facts.of(id).name;
        if !self.types.contains_key(name) {
            self.types.insert(name.to_owned(), Value::Bool(true));
            let schema = match self.facts.of(id).kind {
                Kind::Primitive(primitive) => format::of(primitive),
                Kind::Resource { is_abstract: true } => self.any_resource(),
                Kind::Resource { .. } | Kind::Complex => self.object(id),
            };
            self.types.insert(name.to_owned(), schema);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// Any resource; those that messages are made of with all that they hold, others by their type alone. All of R4
    /// would be a megabyte.
    fn any_resource(&mut self) -> Value {
        let is_concrete = |it: &&Type| it.kind == Kind::Resource { is_abstract: false };
        let names: Vec<&str> = self.facts.types().iter().filter(is_concrete).map(|it| it.name).collect();
        let mut schema = json!({
            "type": "object",
            "required": ["resourceType"],
            "properties": { "resourceType": { "enum": names } },
        });
        if !self.types.contains_key("Bundle") {
            return schema;
        }
        let mut known = Vec::new();
        for (name, id) in self.of_messages() {
            let is = json!({ "required": ["resourceType"], "properties": { "resourceType": { "const": name } } });
            known.push(json!({ "if": is, "then": self.type_ref(id) }));
        }
        if !known.is_empty() {
            schema["allOf"] = json!(known);
        }
        schema
    }

    /// The types that the loaded MessageDefinitions name.
    fn of_messages(&self) -> Vec<(&'static str, TypeId)> {
        let focus = self.packages.message_definitions().filter_map(|it| it.get("focus")?.as_array());
        let names = focus.flatten().filter_map(|it| it.get("code")?.as_str());
        let mut found: Vec<_> = names.filter_map(|name| self.facts.resource_id(name)).collect();
        found.sort_by_key(|id| id.index());
        found.dedup();
        found.into_iter().map(|id| (self.facts.of(id).name, id)).collect()
    }

    fn object(&mut self, id: TypeId) -> Value {
        let kind = self.facts.of(id);
        let (mut properties, mut required, mut all) = (Map::new(), Vec::new(), Vec::new());
        if matches!(kind.kind, Kind::Resource { .. }) {
            properties.insert("resourceType".to_owned(), json!({ "const": kind.name }));
            required.push("resourceType".to_owned());
        }
        for (index, element) in kind.elements.iter().enumerate().filter(|(_, element)| element.allowed) {
            let fields: Vec<&Field> = kind.fields().iter().filter(|it| usize::from(it.element) == index).collect();
            fields.iter().for_each(|field| self.property(element, field, &mut properties));
            let is_required = kind.required & (1 << index) != 0;
            let keys: Vec<Vec<String>> = fields.iter().map(|field| self.keys(field)).collect();
            match keys.as_slice() {
                [only] if is_required && only.len() == 1 => required.extend(only.iter().cloned()),
                [only] if is_required => all.push(there(only)),
                [] | [_] => {}
                several => all.push(at_most_one(several, is_required)),
            }
        }
        if kind.special == Special::Extension {
            all.push(self.says_something(kind));
        }
        let mut schema = json!({
            "type": "object", "minProperties": 1, "properties": properties, "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !all.is_empty() {
            schema["allOf"] = json!(all);
        }
        schema
    }

    /// An extension has a value or extensions (ext-1).
    fn says_something(&self, kind: &Type) -> Value {
        let values = kind.fields().iter().filter(|field| kind.element(field).choice);
        let keys: Vec<String> = values.flat_map(|field| self.keys(field)).chain(["extension".to_owned()]).collect();
        there(&keys)
    }

    fn property(&mut self, element: &Element, field: &Field, properties: &mut Map<String, Value>) {
        let mut value = self.type_ref(field.kind);
        if let Some(list) = element.list.filter(|_| self.is_primitive(field)) {
            let codes: Vec<&str> = self.facts.list(list).codes().collect();
            if codes.len() <= CODES_MAX {
                value = json!({ "enum": codes });
            }
        }
        if !self.is_primitive(field) {
            properties.insert(field.key.to_string(), repeated(element, value));
            return;
        }
        let or_null = |value: Value| if element.many { json!({ "anyOf": [value, { "type": "null" }] }) } else { value };
        properties.insert(field.key.to_string(), repeated(element, or_null(value)));
        let sibling = self.sibling();
        properties.insert(format!("_{}", field.key), repeated(element, or_null(sibling)));
    }

    /// The id and the extensions of a primitive.
    fn sibling(&mut self) -> Value {
        const NAME: &str = "primitive-element";
        if !self.types.contains_key(NAME) {
            self.types.insert(NAME.to_owned(), Value::Bool(true));
            let extension = self.facts.id("Extension").map_or(Value::Bool(true), |id| self.type_ref(id));
            let text = self.facts.id("string").map_or(Value::Bool(true), |id| self.type_ref(id));
            let extensions = json!({ "type": "array", "minItems": 1, "items": extension });
            let schema = json!({
                "type": "object", "minProperties": 1, "additionalProperties": false,
                "properties": { "id": text, "extension": extensions },
            });
            self.types.insert(NAME.to_owned(), schema);
        }
        json!({ "$ref": format!("#/$defs/{NAME}") })
    }

    pub(super) fn is_primitive(&self, field: &Field) -> bool {
        matches!(self.facts.of(field.kind).kind, Kind::Primitive(_))
    }

    /// The properties that an element can be there as.
    pub(super) fn keys(&self, field: &Field) -> Vec<String> {
        let sibling = self.is_primitive(field).then(|| format!("_{}", field.key));
        std::iter::once(field.key.to_string()).chain(sibling).collect()
    }
}

fn repeated(element: &Element, value: Value) -> Value {
    if element.many { json!({ "type": "array", "minItems": 1, "items": value }) } else { value }
}

/// A choice has one type at a time.
fn at_most_one(types: &[Vec<String>], is_required: bool) -> Value {
    let mut ways: Vec<Value> = types.iter().map(|keys| there(keys)).collect();
    if !is_required {
        let none = json!({ "not": { "anyOf": ways } });
        ways.push(none);
    }
    json!({ "oneOf": ways })
}
