//! Slices of arrays: how an occurrence is known as one, how many there are, and what is said of it.

use serde_json::{Value, json};

use super::overlay::Overlay;
use super::{exact, there};
use crate::profile::definition::{Discriminator, Element, Max, SlicingRules};
use crate::profile::facts::TypeId;

/// Schemas of each item, and of the array.
pub(super) fn of(overlay: &mut Overlay<'_, '_>, sliced: &Element, type_id: TypeId) -> (Vec<Value>, Vec<Value>) {
    let (mut items, mut arrays, mut known) = (Vec::new(), Vec::new(), Some(Vec::new()));
    let Some(slicing) = &sliced.slicing else { return (items, arrays) };
    for slice in overlay.slices_of(sliced) {
        let Some(is_one) = matcher(overlay, &slicing.discriminators, slice, type_id) else {
            known = None;
            continue;
        };
        if let Some(known) = &mut known {
            known.push(is_one.clone());
        }
        arrays.extend(count(slice, &is_one));
        let value = overlay.value(slice, type_id);
        if value != Value::Bool(true) {
            items.push(json!({ "if": is_one, "then": value }));
        }
    }
    if let (SlicingRules::Closed, Some(known)) = (slicing.rules, known)
        && !known.is_empty()
    {
        items.push(json!({ "anyOf": known }));
    }
    (items, arrays)
}

fn count(slice: &Element, is_one: &Value) -> Option<Value> {
    let min = slice.min.unwrap_or_default();
    match slice.max {
        Some(Max::Count(max)) => Some(json!({ "contains": is_one, "minContains": min, "maxContains": max })),
        _ if 0 < min => Some(json!({ "contains": is_one, "minContains": min })),
        _ => None,
    }
}

/// Is an occurrence this slice? Nothing where JSON Schema cannot tell.
fn matcher(
    overlay: &Overlay<'_, '_>,
    discriminators: &[Discriminator],
    slice: &Element,
    type_id: TypeId,
) -> Option<Value> {
    let tests: Option<Vec<Value>> =
        discriminators.iter().map(|discriminator| test(overlay, discriminator, slice, type_id)).collect();
    match tests?.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        all => Some(json!({ "allOf": all })),
    }
}

fn test(overlay: &Overlay<'_, '_>, discriminator: &Discriminator, slice: &Element, type_id: TypeId) -> Option<Value> {
    let path: Vec<&str> = match discriminator.path.as_str() {
        "$this" => Vec::new(),
        path => path.split('.').collect(),
    };
    let is_name = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !path.iter().all(is_name) {
        return None;
    }
    match discriminator.kind.as_str() {
        "value" | "pattern" => extension_url(overlay, slice, &path).or_else(|| at(overlay, slice, type_id, &path)),
        "exists" => exists(overlay, slice, type_id, &path),
        "type" => resource_type(overlay, slice, &path),
        _ => None,
    }
}

/// The URL of an extension is that of its definition.
fn extension_url(overlay: &Overlay<'_, '_>, slice: &Element, path: &[&str]) -> Option<Value> {
    let [only] = slice.types.as_slice() else { return None };
    let [profile] = only.profiles.as_slice() else { return None };
    if only.code != "Extension" || path != ["url"] {
        return None;
    }
    let definition = overlay.writer.packages.definition_for(profile, overlay.definition)?;
    Some(json!({ "required": ["url"], "properties": { "url": { "const": definition.url } } }))
}

/// The value at a path, as the slice prescribes it there or further up.
fn at(overlay: &Overlay<'_, '_>, element: &Element, type_id: TypeId, path: &[&str]) -> Option<Value> {
    let facts = overlay.writer.facts;
    let kind = facts.of(type_id);
    let [name, rest @ ..] = path else { return exact::of(element, kind.name) };
    if let Some((_, value)) = element.fixed.as_deref().or(element.pattern.as_deref()) {
        return within(value, path);
    }
    let (field, false) = facts.field(kind, name)? else { return None };
    let child = overlay.element(&format!("{}.{name}", element.id))?;
    let inner = at(overlay, child, field.kind, rest)?;
    let inner = if kind.element(field).many { json!({ "contains": inner }) } else { inner };
    Some(json!({ "required": [name], "properties": { *name: inner } }))
}

/// The part of a prescribed value that a path leads to, and nothing else of it.
fn within(value: &Value, path: &[&str]) -> Option<Value> {
    let [name, rest @ ..] = path else { return Some(exact::pattern_of(value)) };
    let inner = match value.get(name)? {
        Value::Array(items) => match items.as_slice() {
            [only] => json!({ "contains": within(only, rest)? }),
            _ => return None,
        },
        inner => within(inner, rest)?,
    };
    Some(json!({ "required": [name], "properties": { *name: inner } }))
}

fn exists(overlay: &Overlay<'_, '_>, slice: &Element, type_id: TypeId, path: &[&str]) -> Option<Value> {
    let [name] = path else { return None };
    let (field, false) = overlay.writer.facts.field(overlay.writer.facts.of(type_id), name)? else { return None };
    let child = overlay.element(&format!("{}.{name}", slice.id))?;
    let is_there = there(&overlay.writer.keys(field));
    match (child.min, child.max) {
        (_, Some(Max::Count(0))) => Some(json!({ "not": is_there })),
        (Some(1..), _) => Some(is_there),
        _ => None,
    }
}

fn resource_type(overlay: &Overlay<'_, '_>, slice: &Element, path: &[&str]) -> Option<Value> {
    let (at, wrapped) = match path {
        [] => (slice, None),
        [name] => (overlay.element(&format!("{}.{name}", slice.id))?, Some(*name)),
        _ => return None,
    };
    let [only] = at.types.as_slice() else { return None };
    overlay.writer.facts.resource_id(&only.code)?;
    let is = json!({ "required": ["resourceType"], "properties": { "resourceType": { "const": only.code } } });
    Some(match wrapped {
        Some(name) => json!({ "required": [name], "properties": { name: is } }),
        None => is,
    })
}
