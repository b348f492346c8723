//! Values that a profile prescribes: `fixed[x]` whole, `pattern[x]` as the least that must be there
//! (R4 ElementDefinition.fixed[x], .pattern[x]).

use serde_json::Value;

use crate::fhir::tape::{Kind, NodeId, Tape};

/// A prescribed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Exact {
    /// An object's members.
    Object(Vec<(Box<str>, Exact)>),
    /// An array's items.
    Array(Vec<Exact>),
    /// A string.
    Text(Box<str>),
    /// A number, with its digits.
    Number(Box<str>),
    /// A boolean.
    Boolean(bool),
}

impl Exact {
    /// The value that a definition gives.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.as_str().into(), Self::of(value))).collect())
            }
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Number(number) => Self::Number(number.to_string().into()),
            Value::Bool(value) => Self::Boolean(*value),
            // FHIR has no null of its own; it pads arrays of primitives.
            Value::Null => Self::Object(Vec::new()),
        }
    }

    /// Is the value exactly this?
    pub fn is(&self, tape: &Tape<'_>, node: NodeId) -> bool {
        match self {
            Self::Object(members) => {
                let count = tape.children(node).count();
                let same = |(name, value): &(Box<str>, Self)| {
                    tape.member_named(node, name).is_some_and(|found| value.is(tape, found))
                };
                tape.kind(node) == Kind::Object && count == members.len() && members.iter().all(same)
            }
            Self::Array(items) => {
                let mut found = tape.children(node);
                tape.kind(node) == Kind::Array
                    && items.iter().all(|item| found.next().is_some_and(|node| item.is(tape, node)))
                    && found.next().is_none()
            }
            plain => plain.is_plain(tape, node),
        }
    }

    /// Is at least this in the value? Every item of an array must be found, wherever it stands.
    pub fn is_in(&self, tape: &Tape<'_>, node: NodeId) -> bool {
        match self {
            Self::Object(members) => {
                let within = |(name, value): &(Box<str>, Self)| {
                    tape.member_named(node, name).is_some_and(|found| value.is_in(tape, found))
                };
                tape.kind(node) == Kind::Object && members.iter().all(within)
            }
            Self::Array(items) => {
                let found = |item: &Self| tape.children(node).any(|node| item.is_in(tape, node));
                tape.kind(node) == Kind::Array && items.iter().all(found)
            }
            plain => plain.is_plain(tape, node),
        }
    }

    fn is_plain(&self, tape: &Tape<'_>, node: NodeId) -> bool {
        match (self, tape.kind(node)) {
            (Self::Text(text), Kind::Plain) => **text == *tape.raw(node),
            (Self::Text(text), Kind::Escaped) => tape.string(node).is_some_and(|found| found == **text),
            (Self::Number(digits), Kind::Number) => same_number(digits, tape.raw(node)),
            (Self::Boolean(value), kind) => kind == if *value { Kind::True } else { Kind::False },
            _ => false,
        }
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Digits compare by value, and by precision only where they are the same text (R4 2.24.0.1).
fn same_number(one: &str, other: &str) -> bool {
    one == other || matches!((one.parse::<f64>(), other.parse::<f64>()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fhir::json::{Limits, read};
    use crate::fhir::tape::NO_NAMES;

    fn check(exact: Value, value: Value) -> (bool, bool) {
        let text = value.to_string();
        let tape = read(text.as_bytes(), &Limits::default(), &NO_NAMES, Vec::new()).unwrap();
        let exact = Exact::of(&exact);
        (exact.is(&tape, NodeId::ROOT), exact.is_in(&tape, NodeId::ROOT))
    }

    #[test]
    fn fixed_is_all_and_a_pattern_the_least() {
        let concept = json!({"coding": [{"system": "s", "code": "1"}]});
        assert_eq!(check(concept.clone(), concept.clone()), (true, true));
        let more = json!({"text": "t", "coding": [{"code": "0"}, {"code": "1", "system": "s", "display": "d"}]});
        assert_eq!(check(concept.clone(), more), (false, true));
        assert_eq!(check(concept, json!({"coding": [{"system": "s"}, {"code": "1"}]})), (false, false));
        assert_eq!(check(json!(1.50), json!(1.5)), (true, true));
        assert_eq!(check(json!("a"), json!("b")), (false, false));
        assert_eq!(check(json!(true), json!("true")), (false, false));
    }
}
