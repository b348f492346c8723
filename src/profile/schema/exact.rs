//! Fixed values and patterns.

use serde_json::{Value, json};

use crate::profile::definition::Element;

/// What `fixed[x]` and `pattern[x]` prescribe for a value of this type.
pub(super) fn of(element: &Element, type_name: &str) -> Option<Value> {
    let is_of = |suffix: &str| suffix.eq_ignore_ascii_case(type_name);
    let fixed = element.fixed.as_deref().filter(|(suffix, value)| is_of(suffix) && is_plain(value));
    let pattern = element.pattern.as_deref().filter(|(suffix, value)| is_of(suffix) && is_plain(value));
    fixed.map(|(_, value)| json!({ "const": value })).or_else(|| pattern.map(|(_, value)| pattern_of(value)))
}

/// At least this, wherever it is in an array.
pub(super) fn pattern_of(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let keys: Vec<&String> = members.keys().collect();
            let properties: serde_json::Map<_, _> =
                members.iter().map(|(key, value)| (key.clone(), pattern_of(value))).collect();
            json!({ "type": "object", "required": keys, "properties": properties })
        }
        Value::Array(items) => {
            let items: Vec<Value> = items.iter().map(|item| json!({ "contains": pattern_of(item) })).collect();
            json!({ "type": "array", "allOf": items })
        }
        value => json!({ "const": value }),
    }
}

/// Decimals are compared by their digits in FHIR, and by their value in JSON Schema.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64(),
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(members) => members.values().all(is_plain),
        _ => true,
    }
}
