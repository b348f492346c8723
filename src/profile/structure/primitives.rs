//! Primitives in two halves: `given` holds values, `_given` ids and extensions, and in arrays `null` keeps the two
//! in step (R4 2.6.2.3).

use serde_json::Value;

use super::{Here, Walk};
use crate::fhir::path::Path;
use crate::issue;
use crate::profile::facts::{Element, Field, Kind};

impl Walk<'_> {
    /// The half with ids and extensions.
    pub(super) fn sibling(&mut self, here: Here<'_>, element: &Element, key: &str, value: &Value, path: &Path<'_>) {
        let other = here.members.get(&key[1..]);
        match (element.many, value) {
            (true, Value::Array(items)) if items.is_empty() => {
                self.say(&issue::ELEMENT_TYPE, path, "An array must not be empty: leave it out.");
            }
            (true, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let other = other.and_then(|other| other.get(index));
                    match item {
                        Value::Null => self.counterpart(other, index, path),
                        item => self.sibling_item(item, other, &path.index(index)),
                    }
                }
            }
            (true, _) => {
                self.say(&issue::ELEMENT_TYPE, path, "This element may repeat, so its `_` half must be an array.");
            }
            (false, item) => self.sibling_item(item, other, path),
        }
    }

    /// An id alone is content only where there is a value that it is the id of (ele-1).
    fn sibling_item(&mut self, value: &Value, other: Option<&Value>, path: &Path<'_>) {
        let (Value::Object(members), Some(kind)) = (value, self.facts.named("Element")) else {
            return self.say(&issue::ELEMENT_TYPE, path, "The `_` half is an object with id or extension.");
        };
        if members.is_empty() || other.is_none_or(Value::is_null) {
            self.content(members, path);
        }
        self.object(Here { members, kind, path });
    }

    /// `null` among values stands for one that has only extensions.
    pub(super) fn padding(&mut self, here: Here<'_>, field: &Field, index: usize, path: &Path<'_>) {
        match self.facts.of(field.kind).kind {
            Kind::Primitive(_) => {
                let other = here.members.get(&format!("_{}", field.key));
                self.counterpart(other.and_then(|other| other.get(index)), index, path);
            }
            _ => self.say(&issue::ELEMENT_TYPE, &path.index(index), "null stands for nothing: leave the item out."),
        }
    }

    /// Where one half is null, the other must not be.
    fn counterpart(&mut self, other: Option<&Value>, index: usize, path: &Path<'_>) {
        if other.is_none_or(Value::is_null) {
            self.say(
                &issue::ELEMENT_TYPE,
                &path.index(index),
                "null may stand only where the other half has the item.",
            );
        }
    }
}
