//! What R4 asks of some types beyond elements and cardinalities.

use serde_json::{Map, Value};

use super::{Here, Walk};
use crate::fhir::path::Path;
use crate::issue;
use crate::profile::facts::{Field, Special, Type};

impl Walk<'_> {
    /// The rule of the object's own type.
    #[inline]
    pub(super) fn special(&mut self, here: Here<'_>) {
        match here.kind.special {
            Special::Extension => self.extension(here),
            Special::Reference => self.reference(here),
            _ => {}
        }
        if self.contained && here.members.contains_key("contained") {
            self.nested(here);
        }
    }

    /// An extension has a value or extensions (ext-1).
    fn extension(&mut self, here: Here<'_>) {
        let inner = here.members.contains_key("extension");
        let value = here.members.keys().any(|key| key.trim_start_matches('_').starts_with("value"));
        match (inner, value) {
            (true, true) => {
                self.say(&issue::ELEMENT_REPEATS, here.path, "An extension has a value or extensions, not both.");
            }
            (false, false) => {
                self.say(&issue::ELEMENT_MISSING, &here.path.name("value"), "An extension has a value or extensions.");
            }
            _ => {}
        }
    }

    /// "At least one of reference, identifier and display SHALL be present (unless an extension is provided)"
    /// (R4 2.3.0).
    fn reference(&mut self, here: Here<'_>) {
        const CONTENT: [&str; 6] = ["reference", "identifier", "display", "extension", "_reference", "_display"];
        if !here.members.is_empty() && !CONTENT.iter().any(|name| here.members.contains_key(*name)) {
            let text = "A Reference has a reference, an identifier or a display.";
            self.say(&issue::ELEMENT_MISSING, &here.path.name("reference"), text);
        }
    }

    /// A contained resource has none itself (dom-2).
    fn nested(&mut self, here: Here<'_>) {
        if here.kind.field("contained").is_some() {
            let text = "A contained resource must not contain others.";
            self.say(&issue::ELEMENT_UNKNOWN, &here.path.name("contained"), text);
        }
    }

    /// A reference that tells a resource type (`Patient/1`) must tell one that the element may point to.
    #[inline]
    pub(super) fn targets(&mut self, field: &Field, kind: &Type, members: &Map<String, Value>, path: &Path<'_>) {
        if kind.special != Special::Reference || field.targets.is_empty() {
            return;
        }
        let Some(Value::String(reference)) = members.get("reference") else { return };
        let Some(told) = told_type(reference).filter(|told| self.facts.resource(told).is_some()) else { return };
        if !field.targets.contains(&told) {
            let text = format!("The reference must be to {}.", field.targets.join(", "));
            self.say(&issue::RESOURCE_TYPE, &path.name("reference"), text);
        }
    }
}

/// `Type` of `Type/id`, `https://…/Type/id` and either with `/_history/version`.
fn told_type(reference: &str) -> Option<&str> {
    if reference.starts_with('#') || reference.starts_with("urn:") {
        return None;
    }
    let resource = reference.split_once("/_history/").map_or(reference, |(resource, _)| resource);
    let mut from_end = resource.rsplit('/');
    from_end.next()?;
    from_end.next()
}
