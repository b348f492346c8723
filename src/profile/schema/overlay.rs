//! What a profile says beyond R4, element by element, as a schema that only adds to that of the type.

use serde_json::{Map, Value, json};

use super::{CODES_MAX, Writer, all_of, exact, slices, there};
use crate::profile::definition::{Definition, Element, Max, Strength};
use crate::profile::facts::{self, Field, Kind, TypeId};
use crate::profile::primitive::Primitive;

/// What a definition adds to its type.
pub(super) fn of(writer: &mut Writer<'_>, definition: &Definition, type_id: TypeId) -> Value {
    let Some(root) = definition.snapshot.first() else { return Value::Bool(true) };
    Overlay { writer, definition }.below(root, type_id)
}

/// The elements of one definition on their way into a schema.
pub(super) struct Overlay<'w, 'p> {
    pub(super) writer: &'w mut Writer<'p>,
    pub(super) definition: &'w Definition,
}

/// What is said of the properties of one object.
#[derive(Default)]
struct Object {
    properties: Map<String, Value>,
    all: Vec<Value>,
}

impl Object {
    fn add(&mut self, key: &str, schema: Value) {
        if schema == Value::Bool(true) {
            return;
        }
        let held = self.properties.remove(key).into_iter();
        self.properties.insert(key.to_owned(), all_of(held.chain([schema]).collect()));
    }

    fn forbid(&mut self, keys: &[String]) {
        keys.iter().for_each(|key| drop(self.properties.insert(key.clone(), Value::Bool(false))));
    }

    fn schema(self) -> Value {
        let mut all = self.all;
        if !self.properties.is_empty() {
            all.push(json!({ "properties": self.properties }));
        }
        all_of(all)
    }
}

impl<'w> Overlay<'w, '_> {
    /// The elements directly below one, slices left out.
    fn children(&self, parent: &Element) -> Vec<&'w Element> {
        let below = |element: &&Element| {
            let rest = element.id.strip_prefix(&*parent.id).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| !rest.contains(['.', ':']))
        };
        self.definition.snapshot.iter().filter(below).collect()
    }

    /// The element of this id.
    pub(super) fn element(&self, id: &str) -> Option<&'w Element> {
        self.definition.snapshot.iter().find(|element| element.id == id)
    }

    /// The slices of an element, slices of slices left out.
    pub(super) fn slices_of(&self, of: &Element) -> Vec<&'w Element> {
        let is_slice = |element: &&Element| {
            let rest = element.id.strip_prefix(&*of.id).and_then(|rest| rest.strip_prefix(':'));
            rest.is_some_and(|rest| !rest.contains(['.', '/', ':']))
        };
        self.definition.snapshot.iter().filter(is_slice).collect()
    }

    /// What is said of the elements below one.
    fn below(&mut self, parent: &Element, type_id: TypeId) -> Value {
        let kind = self.writer.facts.of(type_id);
        let mut object = Object::default();
        for child in self.children(parent) {
            let Some(name) = child.id.rsplit('.').next() else { continue };
            match name.strip_suffix("[x]") {
                Some(stem) => self.choice(child, kind, stem, &mut object),
                None => {
                    if let Some((field, false)) = self.writer.facts.field(kind, name) {
                        self.plain(child, kind, field, &mut object);
                    }
                }
            }
        }
        object.schema()
    }

    fn plain(&mut self, child: &Element, kind: &facts::Type, field: &Field, object: &mut Object) {
        let (keys, many) = (self.writer.keys(field), kind.element(field).many);
        if child.max == Some(Max::Count(0)) {
            return object.forbid(&keys);
        }
        let is_required = kind.required & (1 << field.element) != 0;
        if 1 <= child.min.unwrap_or_default() && !is_required {
            object.all.push(there(&keys));
        }
        let value = self.value(child, field.kind);
        if !many {
            return object.add(&field.key, value);
        }
        let mut array = Map::new();
        if let Some(min) = child.min.filter(|min| 1 < *min) {
            array.insert("minItems".to_owned(), json!(min));
        }
        if let Some(Max::Count(max)) = child.max {
            array.insert("maxItems".to_owned(), json!(max));
        }
        let (items, mut all) = slices::of(self, child, field.kind);
        let items = all_of(std::iter::once(value).chain(items).collect());
        if items != Value::Bool(true) {
            array.insert("items".to_owned(), items);
        }
        if !array.is_empty() {
            all.push(Value::Object(array));
        }
        object.add(&field.key, all_of(all));
    }

    fn choice(&mut self, child: &Element, kind: &facts::Type, stem: &str, object: &mut Object) {
        let fields: Vec<&Field> = kind.fields().iter().filter(|field| kind.element(field).name == stem).collect();
        let (allowed, others): (Vec<&Field>, Vec<&Field>) =
            fields.into_iter().partition(|field| child.max != Some(Max::Count(0)) && self.allows(child, field.kind));
        others.iter().for_each(|field| object.forbid(&self.writer.keys(field)));
        let Some(first) = allowed.first() else { return };
        let is_required = kind.required & (1 << first.element) != 0;
        if 1 <= child.min.unwrap_or_default() && !is_required {
            let keys: Vec<String> = allowed.iter().flat_map(|field| self.writer.keys(field)).collect();
            object.all.push(there(&keys));
        }
        let slices = self.slices_of(child);
        for field in allowed {
            let value = self.value(child, field.kind);
            object.add(&field.key, value);
            for slice in slices.iter().filter(|slice| slice.slice_name.as_deref() == Some(&*field.key)) {
                if slice.max == Some(Max::Count(0)) {
                    object.forbid(&self.writer.keys(field));
                    continue;
                }
                let value = self.value(slice, field.kind);
                object.add(&field.key, value);
                if 1 <= slice.min.unwrap_or_default() {
                    object.all.push(there(&self.writer.keys(field)));
                }
            }
        }
    }

    fn allows(&self, element: &Element, kind: TypeId) -> bool {
        let facts = self.writer.facts;
        let fits = |code: &str| facts.id(code).is_none_or(|id| facts.is_a(kind, id));
        element.types.is_empty() || element.types.iter().any(|it| fits(&it.code))
    }

    /// What is said of one value.
    pub(super) fn value(&mut self, element: &Element, type_id: TypeId) -> Value {
        let kind = self.writer.facts.of(type_id);
        let mut all = Vec::new();
        all.extend(exact::of(element, kind.name));
        all.extend(self.codes(element, kind.kind));
        if let Some(max) = element.max_length {
            all.push(json!({ "maxLength": max }));
        }
        if !matches!(kind.kind, Kind::Primitive(_)) {
            all.push(self.below(element, type_id));
        }
        all.extend(self.profiled(element, kind.kind, type_id));
        all_of(all)
    }

    /// Codes of a required value set that can all be listed.
    fn codes(&self, element: &Element, kind: Kind) -> Option<Value> {
        let Kind::Primitive(Primitive::Code | Primitive::String | Primitive::Uri) = kind else { return None };
        let binding = element.binding.as_ref().filter(|it| it.strength == Strength::Required)?;
        let codes = self.writer.packages.codes_for(binding.value_set.as_ref()?, self.definition).ok()?;
        let members = codes.members().filter(|members| !members.is_empty() && members.len() <= CODES_MAX)?;
        // Of a system that does not mind case not every spelling is listed.
        let minds_case = |system: &str| self.writer.packages.code_system(system).is_none_or(|it| it.case_sensitive);
        let listed = members.iter().all(|(system, _)| minds_case(system));
        listed.then(|| json!({ "enum": members.iter().map(|(_, code)| code).collect::<Vec<_>>() }))
    }

    /// What the one profile of the type adds, where there is one.
    fn profiled(&mut self, element: &Element, kind: Kind, type_id: TypeId) -> Option<Value> {
        let [only] = element.types.as_slice() else { return None };
        let [url] = only.profiles.as_slice() else { return None };
        let packages = self.writer.packages;
        let profile = packages.definition_for(url, self.definition)?;
        match kind {
            Kind::Complex if self.writer.facts.id(&profile.type_name) == Some(type_id) => {
                Some(self.writer.profile_ref(profile, type_id))
            }
            Kind::Resource { .. } => {
                let id = self.writer.facts.resource_id(&profile.type_name)?;
                Some(all_of(vec![self.writer.type_ref(id), self.writer.profile_ref(profile, id)]))
            }
            _ => None,
        }
    }
}
