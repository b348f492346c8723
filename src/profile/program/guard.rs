//! What is looked at before an invariant is evaluated: the most frequent ones speak of what is rarely there.

use crate::fhir::names::{NameId, Names};
use crate::fhir::tape::{NodeId, Tape};

/// Without this an invariant holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// A member.
    Member(NameId),
    /// A member whose text begins with `#`.
    Local(NameId),
}

/// ref-1
const REFERENCE: &str = "reference.startsWith('#').not() or (reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids'))";

/// Expressions of R4 that hold where a member is missing: dom-4, dom-5, and ref-1, where it is no text with a `#`.
const GUARDS: [(&str, &str); 3] = [
    ("contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()", "contained"),
    ("contained.meta.security.empty()", "contained"),
    (REFERENCE, "reference"),
];

impl Guard {
    /// That of an expression.
    pub(super) fn of(expression: &str, names: &Names) -> Option<Self> {
        let (_, member) = GUARDS.iter().find(|(own, _)| *own == expression)?;
        let name = names.find(member);
        Some(if expression == REFERENCE { Self::Local(name) } else { Self::Member(name) })
    }

    /// Is it there, so that the expression must be evaluated?
    pub(super) fn is_met(self, tape: &Tape<'_>, node: NodeId) -> bool {
        // The first character may also be written as an escape.
        let may_be_local = |member| tape.raw(member).starts_with(['#', '\\']);
        match self {
            Self::Member(name) => tape.member(node, name).is_some(),
            Self::Local(name) => tape.member(node, name).is_some_and(may_be_local),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::base;

    /// A guard that no invariant has would be a slip of the pen here.
    #[test]
    fn guards_are_those_of_invariants() {
        let definitions = base::definitions();
        let constraints = definitions.iter().flat_map(|it| &it.snapshot).flat_map(|it| &it.constraints);
        let all: Vec<&str> = constraints.filter_map(|it| it.expression.as_deref()).collect();
        for (expression, _) in GUARDS {
            assert!(all.contains(&expression), "{expression}");
        }
    }
}
