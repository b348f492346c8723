//! A definition as a stand-alone JSON Schema 2020-12, so that a vendor can check payloads without this program.
//!
//! What R4 says of each type is a schema below `$defs`: closed objects, formats, arrays, choices, code lists. What a
//! profile says beyond that is a second schema over the same value, which only adds to it. Invariants, references, most
//! bindings and the contents of extensions are beyond JSON Schema; so what the schema refuses the validator refuses, and
//! not the other way round. `tests/it/schema.rs` holds both to that.

use serde_json::{Map, Value, json};

use super::definition::{Definition, Derivation, Kind};
use super::facts::{Facts, TypeId, r4};
use super::package::Packages;

mod base;
mod exact;
mod format;
mod overlay;
mod slices;

/// Longer lists of codes are left out.
const CODES_MAX: usize = 300;

/// The definition with this id: the last part of its URL. Of several the newest; R4's own before all others.
pub fn by_id<'p>(packages: &'p Packages, id: &str) -> Option<&'p Definition> {
    let named = |definition: &&Definition| definition.url.rsplit('/').next() == Some(id);
    let of_r4 = packages.definition(&format!("http://hl7.org/fhir/StructureDefinition/{id}"));
    of_r4.or_else(|| packages.definition(&packages.definitions().find(named)?.url))
}

/// The schema of a resource, data type or extension; none for what has no instances, and for logical models.
pub fn of(packages: &Packages, definition: &Definition) -> Option<Value> {
    let facts = r4();
    let type_id = facts.id(&definition.type_name)?;
    let has_none = definition.is_abstract && definition.derivation == Derivation::Specialization;
    if has_none || definition.kind == Kind::Logical {
        return None;
    }
    let mut writer = Writer { facts, packages, types: Map::new(), profiles: Map::new() };
    let mut all = vec![writer.type_ref(type_id)];
    if definition.derivation == Derivation::Constraint {
        all.push(writer.profile_ref(definition, type_id));
    }
    let version = definition.version.iter().map(|version| format!("|{version}"));
    let title: String = std::iter::once(definition.url.clone()).chain(version).collect();
    writer.types.append(&mut writer.profiles);
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$comment": "FHIR R4 4.0.1. Invariants, references and most bindings are beyond JSON Schema.",
        "allOf": all,
        "$defs": writer.types,
    }))
}

/// A schema that is being written.
struct Writer<'p> {
    facts: &'static Facts,
    packages: &'p Packages,
    /// Schemas of R4's types, by name.
    types: Map<String, Value>,
    /// What profiles add, by canonical.
    profiles: Map<String, Value>,
}

impl Writer<'_> {
    /// Points to what a profile adds to its type; written at the first call.
    fn profile_ref(&mut self, definition: &Definition, type_id: TypeId) -> Value {
        let version = definition.version.as_deref().unwrap_or_default();
        let key = key_of(&format!("{} {version}", definition.url));
        if !self.profiles.contains_key(&key) {
            self.profiles.insert(key.clone(), Value::Bool(true));
            let schema = overlay::of(self, definition, type_id);
            self.profiles.insert(key.clone(), schema);
        }
        json!({ "$ref": format!("#/$defs/{key}") })
    }
}

/// A name that needs no escapes in a pointer.
fn key_of(canonical: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
    let canonical = canonical.split_once("://").map_or(canonical, |(_, rest)| rest);
    canonical.trim().chars().map(plain).collect()
}

/// One of these properties is there.
fn there(keys: &[String]) -> Value {
    match keys {
        [key] => json!({ "required": [key] }),
        keys => json!({ "anyOf": keys.iter().map(|key| json!({ "required": [key] })).collect::<Vec<_>>() }),
    }
}

/// All of these schemas; true where there are none.
fn all_of(mut schemas: Vec<Value>) -> Value {
    schemas.retain(|schema| *schema != Value::Bool(true));
    match schemas.len() {
        0 => Value::Bool(true),
        1 => schemas.remove(0),
        _ => json!({ "allOf": schemas }),
    }
}
