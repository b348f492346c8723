//! Picking elements out of a resource without a model of it.
//!
//! A path is element names joined by dots: `meta.lastUpdated`, `name.family`. An array on the way stands for
//! its first item, a number for the item of that index (`name.1.family`). Nothing here judges: what is
//! absent or of another shape is `None`, and the structure check has already said so.

use jiff::Timestamp;
use serde_json::Value;

use super::instant::FhirDateTime;

/// The value at a path.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, step)
}

fn step<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => match name.parse::<usize>() {
            Ok(index) => items.get(index),
            Err(_) => step(items.first()?, name),
        },
        _ => None,
    }
}

/// The first value at a path, where the path may end in an array.
pub fn first_at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    match at(value, path)? {
        Value::Array(items) => items.first(),
        single => Some(single),
    }
}

/// The text at a path; of an array, its first.
pub fn str_at<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    first_at(value, path)?.as_str()
}

/// The boolean at a path.
pub fn bool_at(value: &Value, path: &str) -> Option<bool> {
    first_at(value, path)?.as_bool()
}

/// The whole number at a path.
pub fn int_at(value: &Value, path: &str) -> Option<i64> {
    first_at(value, path)?.as_i64()
}

/// The date or time at a path, with the precision that it was written with.
pub fn date_time_at(value: &Value, path: &str) -> Option<FhirDateTime> {
    str_at(value, path)?.parse().ok()
}

/// The moment at a path: an instant, or a dateTime with a time of day.
pub fn instant_at(value: &Value, path: &str) -> Option<Timestamp> {
    date_time_at(value, path)?.timestamp()
}

/// The items at a path: those of an array, a single value as one, nothing where there is none.
pub fn items<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    match at(value, path) {
        Some(Value::Array(items)) => items,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

/// `resourceType`.
pub fn resource_type(resource: &Value) -> Option<&str> {
    resource.get("resourceType")?.as_str()
}

/// `id`, the resource's logical id.
pub fn id(resource: &Value) -> Option<&str> {
    resource.get("id")?.as_str()
}

/// One Coding, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding<'a> {
    /// The code system's URI.
    pub system: Option<&'a str>,
    /// The code.
    pub code: Option<&'a str>,
    /// The text that goes with it.
    pub display: Option<&'a str>,
}

/// The codings of a CodeableConcept, or a Coding itself as one.
pub fn codings(concept: &Value) -> impl Iterator<Item = Coding<'_>> {
    let own = if concept.get("coding").is_some() { items(concept, "coding") } else { std::slice::from_ref(concept) };
    own.iter().map(coding).filter(|coding| coding.code.is_some())
}

fn coding(value: &Value) -> Coding<'_> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    Coding { system: text("system"), code: text("code"), display: text("display") }
}

/// The first code of `system` in a CodeableConcept or Coding.
pub fn code_of<'a>(concept: &'a Value, system: &str) -> Option<&'a str> {
    codings(concept).find(|coding| coding.system == Some(system))?.code
}

/// The value of the resource's first identifier of `system`.
pub fn identifier<'a>(resource: &'a Value, system: &str) -> Option<&'a str> {
    let of_system = |identifier: &&Value| identifier.get("system").and_then(Value::as_str) == Some(system);
    items(resource, "identifier").iter().find(of_system)?.get("value")?.as_str()
}

/// `Reference.reference` of the Reference at a path.
pub fn reference_at<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    first_at(value, path)?.get("reference")?.as_str()
}

/// The element's first extension of this URL.
pub fn extension<'a>(element: &'a Value, url: &str) -> Option<&'a Value> {
    extensions(element, url).next()
}

/// All of the element's extensions of this URL.
pub fn extensions<'a>(element: &'a Value, url: &str) -> impl Iterator<Item = &'a Value> {
    items(element, "extension").iter().filter(move |found| found.get("url").and_then(Value::as_str) == Some(url))
}

/// The resource in `resource.contained` that the reference `#id` means.
pub fn contained<'a>(resource: &'a Value, reference: &str) -> Option<&'a Value> {
    let wanted = reference.strip_prefix('#')?;
    items(resource, "contained").iter().find(|inner| id(inner) == Some(wanted))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_reach_into_arrays() {
        let patient = json!({"name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}], "active": true});
        assert_eq!(str_at(&patient, "name.family"), Some("A"));
        assert_eq!(str_at(&patient, "name.1.family"), Some("D"));
        assert_eq!(str_at(&patient, "name.given"), Some("B"));
        assert_eq!(items(&patient, "name.0.given").len(), 2);
        assert_eq!(bool_at(&patient, "active"), Some(true));
        assert_eq!(str_at(&patient, "name.2.family"), None);
        assert!(items(&patient, "photo").is_empty());
    }

    #[test]
    fn codes_are_found_by_system() {
        let concept = json!({"coding": [{"system": "s", "code": "1"}, {"system": "t", "code": "2"}, {"system": "u"}]});
        assert_eq!(code_of(&concept, "t"), Some("2"));
        assert_eq!(codings(&concept).count(), 2);
        assert_eq!(code_of(&json!({"system": "s", "code": "1"}), "s"), Some("1"));
    }

    #[test]
    fn contained_resources_and_extensions_are_found() {
        let resource = json!({
            "contained": [{"id": "a"}, {"id": "b"}], "extension": [{"url": "x", "valueBoolean": true}],
        });
        assert_eq!(contained(&resource, "#b"), Some(&resource["contained"][1]));
        assert_eq!(contained(&resource, "b"), None);
        assert!(extension(&resource, "x").is_some());
    }
}
