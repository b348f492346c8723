//! Required bindings: the value must be one of the codes that R4 lists (R4 4.1.5 "required").

use std::fmt::Write;

use serde_json::{Map, Value};

use super::Walk;
use crate::fhir::path::Path;
use crate::issue::{self, Issue};
use crate::profile::facts::{CodeList, Element, Special, Type};

/// Lists up to this length are spelled out.
const LISTED_MAX: usize = 12;

impl Walk<'_> {
    /// A `code` by itself: the element's list gives the system.
    #[inline]
    pub(super) fn bound_code(&mut self, element: &Element, value: &Value, path: &Path<'_>) {
        let (Some(list), Value::String(code)) = (element.list, value) else { return };
        let list = self.facts.list(list);
        if !list.has_code(code) {
            self.say(&issue::CODE_UNKNOWN, path, expected(list));
        }
    }

    /// A Coding, or at least one coding of a CodeableConcept, must be of the list.
    #[inline]
    pub(super) fn bound_concept(
        &mut self,
        element: &Element,
        kind: &Type,
        members: &Map<String, Value>,
        path: &Path<'_>,
    ) {
        let Some(list) = element.list.map(|list| self.facts.list(list)) else { return };
        let fit = match kind.special {
            Special::Coding => fit(list, members),
            Special::CodeableConcept => codings(members).map(|coding| fit(list, coding)).max().unwrap_or(Fit::Not),
            _ => Fit::Listed,
        };
        match fit {
            Fit::Listed => {}
            Fit::SystemMissing => {
                let text = "The code is one of those that FHIR R4 requires, but its system is missing.";
                self.push(Issue::with(&issue::CODE_UNKNOWN, path.to_string(), text).tolerated());
            }
            Fit::Not => self.say(&issue::CODE_UNKNOWN, path, expected(list)),
        }
    }
}

/// How a coding stands to a list, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// None of its codes.
    Not,
    /// One of its codes, but of no system: published messages have such codings.
    SystemMissing,
    /// One of its codes.
    Listed,
}

fn codings(concept: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    concept.get("coding").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn fit(list: &CodeList, coding: &Map<String, Value>) -> Fit {
    let text = |name: &str| coding.get(name).and_then(Value::as_str);
    match (text("system"), text("code")) {
        (Some(system), Some(code)) if list.has(system, code) => Fit::Listed,
        (None, Some(code)) if list.has_code(code) => Fit::SystemMissing,
        _ => Fit::Not,
    }
}

#[cold]
fn expected(list: &CodeList) -> String {
    let mut text = format!("FHIR R4 requires a code of the value set {}", list.name);
    if list.codes().count() <= LISTED_MAX {
        let codes: Vec<_> = list.codes().collect();
        // Writing to a String cannot fail.
        let _ = write!(text, ": {}", codes.join(", "));
    }
    text.push('.');
    text
}
