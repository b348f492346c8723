//! What had to wait for the end of the walk: invariants, references, contexts of extensions.

use super::walk::{Walk, Work};
use super::*;
use crate::issue;
use crate::profile::fhirpath::{Expression, Verdict};

impl Walk<'_, '_> {
    /// Judges all that waits from `first` on, and what comes up meanwhile.
    pub(super) fn waiting(&mut self, first: usize) {
        let mut next = first;
        while let Some(work) = self.work.get(next).copied() {
            next += 1;
            match work {
                Work::Invariant { id, rule, node, resource, root } => self.judge(id, rule, node, resource, root),
                Work::Target { rule, alternative, node, .. } => self.target(rule, alternative, node),
                Work::Context { profile, node, resource, root } => self.context(profile, node, resource, root),
            }
        }
        self.work.truncate(first);
    }

    pub(super) fn judge(&mut self, id: InvariantId, rule: RuleId, node: NodeId, resource: NodeId, root: NodeId) {
        self.evaluated += 1;
        let program = self.program;
        let invariant = program.invariant(id);
        let verdict = self.evaluate(&invariant.expression, node, resource, root);
        let severity = if invariant.is_error { Severity::Error } else { Severity::Warning };
        match verdict {
            Verdict::True => {}
            Verdict::Error(_) => {
                let text = format!("The rule {} could not be evaluated.", invariant.key);
                let name = self.invariant_name(id, rule);
                self.told(&issue::INVARIANT_NOT_CHECKED, Severity::Warning, node, NameId::UNKNOWN, &name, text.into());
            }
            Verdict::False | Verdict::Empty => {
                let text = format!("The rule {} does not hold.", invariant.key);
                let name = self.invariant_name(id, rule);
                self.told(&issue::INVARIANT, severity, node, NameId::UNKNOWN, &name, text.into());
            }
        }
    }

    fn invariant_name(&self, id: InvariantId, _: RuleId) -> String {
        let invariant = self.program.invariant(id);
        format!("{}#{}", invariant.source, invariant.key)
    }

    fn evaluate(&mut self, _: &Expression, _: NodeId, _: NodeId, _: NodeId) -> Verdict {
        Verdict::True
    }

    pub(super) fn finds(&mut self, _: &Expression, _: NodeId, _: NodeId, _: NodeId) -> bool {
        true
    }
}
