//! The base check: every element known, present as often as R4 asks, of its type, in its format and, where R4
//! binds it to a required value set, one of its codes (R4 2.6 "JSON Representation", 2.24 "Data Types").
//!
//! One walk along the message and the facts together. Nothing is allocated until something is found; then
//! the place is written out as FHIRPath with indexes, and a sentence says what is expected. No sentence holds a
//! value from the message, because those may be a patient's data.

use serde_json::{Map, Value};

use super::facts::{Element, Facts, Field, Kind, Type, r4};
use super::primitive::Fault;
use crate::fhir::path::Path;
use crate::fhir::view::resource_type;
use crate::issue::{self, Code, Issue, Issues, Severity};

mod binding;
mod primitives;
mod special;

/// More problems than this are not listed: a message that has them is not a message with mistakes.
const ISSUES_MAX: usize = 500;

/// Deeper than this is not walked; the JSON reader's own limit is below it.
const DEPTH_MAX: usize = 512;

/// Checks a resource; `place` is where it stands, or empty for its own type (`Patient`).
pub fn check(resource: &Value, place: &str, issues: &mut Issues) {
    let own_place = if place.is_empty() { resource_type(resource).and_then(|name| r4().resource(name)) } else { None };
    let root = Path::root(own_place.map_or(place, |found| found.name));
    Walk::new(issues).resource(resource, &root);
}

/// Checks a Bundle and every resource in it.
pub fn check_bundle(bundle: &Value, issues: &mut Issues) {
    match resource_type(bundle) {
        Some("Bundle") => check(bundle, "Bundle", issues),
        Some(_) => issues.say(&issue::RESOURCE_TYPE, "", "A Bundle is expected: resourceType must be Bundle."),
        None => issues.say(&issue::ELEMENT_MISSING, "resourceType", "A Bundle is expected: resourceType is missing."),
    }
}

/// The check of one resource on its way.
struct Walk<'i> {
    facts: &'static Facts,
    issues: &'i mut Issues,
    found: usize,
    errors: usize,
    depth: usize,
    contained: bool,
}

/// An object that is being walked, with its type and place.
#[derive(Clone, Copy)]
struct Here<'w> {
    members: &'w Map<String, Value>,
    kind: &'static Type,
    path: &'w Path<'w>,
}

impl<'i> Walk<'i> {
    fn new(issues: &'i mut Issues) -> Self {
        Self { facts: r4(), issues, found: 0, errors: 0, depth: 0, contained: false }
    }

    fn resource(&mut self, value: &Value, path: &Path<'_>) {
        let Value::Object(members) = value else {
            return self.say(&issue::ELEMENT_TYPE, path, "A resource is expected here: a JSON object.");
        };
        match members.get("resourceType") {
            Some(Value::String(name)) => match self.facts.resource(name) {
                Some(kind) => self.object(Here { members, kind, path }),
                None => self.say(
                    &issue::RESOURCE_TYPE,
                    &path.name("resourceType"),
                    "resourceType must be one of FHIR R4's resource types.",
                ),
            },
            Some(_) => self.say(&issue::ELEMENT_TYPE, &path.name("resourceType"), "resourceType must be a string."),
            None => self.say(&issue::ELEMENT_MISSING, &path.name("resourceType"), "Every resource has a resourceType."),
        }
    }

    fn object(&mut self, here: Here<'_>) {
        if self.depth == DEPTH_MAX {
            return self.say(&issue::JSON_TOO_DEEP, here.path, issue::JSON_TOO_DEEP.meaning);
        }
        self.depth += 1;
        let seen = self.members(here);
        self.missing(here, seen);
        self.special(here);
        self.depth -= 1;
    }

    /// Walks all members; one bit for each element that is there.
    fn members(&mut self, here: Here<'_>) -> u128 {
        let mut seen = 0;
        for (key, value) in here.members {
            let Some((field, sibling)) = here.kind.field(key) else {
                self.unknown(here, key);
                continue;
            };
            let bit = 1 << field.element;
            let element = here.kind.element(field);
            if element.choice && seen & bit != 0 {
                self.one_choice(here, field, element);
            }
            seen |= bit;
            self.member(here, field, element, key, value, sibling);
        }
        seen
    }

    fn member(&mut self, here: Here<'_>, field: &Field, element: &Element, key: &str, value: &Value, sibling: bool) {
        let path = here.path.name(element.name);
        if !element.allowed {
            return self.unknown(here, key);
        }
        let kind = self.facts.of(field.kind);
        match (sibling, kind.kind) {
            (true, Kind::Primitive(_)) => self.sibling(here, element, key, value, &path),
            (true, _) => self.unknown(here, key),
            (false, _) => self.occurrences(here, field, element, value, &path),
        }
    }

    /// A repeating element is an array and no other is (R4 2.6.2.1).
    fn occurrences(&mut self, here: Here<'_>, field: &Field, element: &Element, value: &Value, path: &Path<'_>) {
        match (element.many, value) {
            (true, Value::Array(items)) if items.is_empty() => {
                self.say(&issue::ELEMENT_TYPE, path, "An array must not be empty: leave the element out.");
            }
            (true, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    match item {
                        Value::Null => self.padding(here, field, index, path),
                        item => self.value(field, element, item, &path.index(index)),
                    }
                }
            }
            (true, _) => self.say(&issue::ELEMENT_TYPE, path, "This element may repeat, so it must be an array."),
            (false, Value::Array(items)) if 1 < items.len() => {
                self.say(
                    &issue::ELEMENT_REPEATS,
                    path,
                    "This element occurs at most once, so it must not be an array.",
                );
            }
            (false, Value::Array(_)) => {
                self.say(&issue::ELEMENT_TYPE, path, "This element occurs at most once, so it must not be an array.");
            }
            (false, value) => self.value(field, element, value, path),
        }
    }

    fn value(&mut self, field: &Field, element: &Element, value: &Value, path: &Path<'_>) {
        let kind = self.facts.of(field.kind);
        match (kind.kind, value) {
            (_, Value::Null) => self.say(&issue::ELEMENT_TYPE, path, "null stands for nothing: leave the element out."),
            (Kind::Primitive(primitive), value) => match primitive.fault(value) {
                None => self.bound_code(element, value, path),
                Some(fault) => self.primitive_fault(fault, path),
            },
            (Kind::Resource { .. }, value) => self.inner_resource(element, value, path),
            (Kind::Complex, Value::Object(members)) => {
                let errors_before = self.errors;
                self.content(members, path);
                self.object(Here { members, kind, path });
                // What is malformed cannot be judged by its meaning as well.
                if self.errors == errors_before {
                    self.bound_concept(element, kind, members, path);
                    self.targets(field, kind, members, path);
                }
            }
            (Kind::Complex, _) => {
                let text = format!("A JSON object of the type {} is expected here.", kind.name);
                self.say(&issue::ELEMENT_TYPE, path, text);
            }
        }
    }

    /// An element has content beyond its id (ele-1).
    #[inline]
    fn content(&mut self, members: &Map<String, Value>, path: &Path<'_>) {
        if members.is_empty() || (members.len() == 1 && members.contains_key("id")) {
            self.say(&issue::ELEMENT_TYPE, path, "An object must not be empty: leave the element out.");
        }
    }

    fn inner_resource(&mut self, element: &Element, value: &Value, path: &Path<'_>) {
        let outer = self.contained;
        self.contained = element.name == "contained";
        self.depth += 1;
        if self.depth < DEPTH_MAX {
            self.resource(value, path);
        }
        self.depth -= 1;
        self.contained = outer;
    }

    fn primitive_fault(&mut self, fault: Fault, path: &Path<'_>) {
        match fault {
            Fault::Type(expected) => self.say(&issue::ELEMENT_TYPE, path, expected),
            Fault::Format(expected) => self.say(&issue::VALUE_FORMAT, path, expected),
            Fault::Tolerated(expected) => {
                self.push(Issue::with(&issue::VALUE_FORMAT, path.to_string(), expected).tolerated());
            }
        }
    }

    fn missing(&mut self, here: Here<'_>, seen: u128) {
        let mut missing = here.kind.required & !seen;
        while missing != 0 {
            let element = &here.kind.elements[missing.trailing_zeros() as usize];
            let text = format!("FHIR R4 requires {}.{}.", here.kind.name, element.name);
            self.say(&issue::ELEMENT_MISSING, &here.path.name(element.name), text);
            missing &= missing - 1;
        }
    }

    /// A property of no element; `resourceType` belongs to resources alone.
    fn unknown(&mut self, here: Here<'_>, key: &str) {
        if key == "resourceType" && matches!(here.kind.kind, Kind::Resource { .. }) {
            return;
        }
        let text = format!("{} has no such element in FHIR R4.", here.kind.name);
        self.say(&issue::ELEMENT_UNKNOWN, &here.path.name(key), text);
    }

    /// Of a choice only one type may be there; `valueX` and `_valueX` are the same one.
    #[cold]
    fn one_choice(&mut self, here: Here<'_>, field: &Field, element: &Element) {
        let differs = |key: &String| {
            let other = here.kind.field(key).map(|(other, _)| other);
            other.is_some_and(|other| other.element == field.element && other.key != field.key)
        };
        if here.members.keys().any(differs) {
            let text = format!("Only one type of {}[x] may be there.", element.name);
            self.say(&issue::ELEMENT_REPEATS, &here.path.name(element.name), text);
        }
    }

    #[cold]
    fn say(&mut self, code: &'static Code, path: &Path<'_>, text: impl Into<std::borrow::Cow<'static, str>>) {
        self.push(Issue::with(code, path.to_string(), text));
    }

    #[cold]
    fn push(&mut self, issue: Issue) {
        self.found += 1;
        self.errors += usize::from(issue.severity == Severity::Error);
        if self.found < ISSUES_MAX {
            self.issues.push(issue);
        } else if self.found == ISSUES_MAX {
            self.issues.say(
                issue.code,
                issue.at,
                "There are more problems from here on than are listed: mend these first.",
            );
        }
    }
}

#[cfg(test)]
mod tests;
