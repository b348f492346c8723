//! What had to wait for the end of the walk: invariants, references, contexts of extensions.

use super::findings::Source;
use super::walk::{Walk, Work};
use super::*;
use crate::issue;
use crate::profile::fhirpath::{self, Document, Expression, Item, Scope, Verdict};
use crate::profile::terminology::Membership;

impl Walk<'_, '_> {
    /// Judges all that waits from `first` on, and what comes up meanwhile.
    pub(super) fn waiting(&mut self, first: usize) {
        let mut next = first;
        while let Some(work) = self.work.get(next).copied() {
            next += 1;
            match work {
                Work::Invariant { id, node, resource, root } => self.judge(id, node, resource, root),
                Work::Target { rule, alternative, node } => self.target(rule, alternative, node),
                Work::Context { profile, node, resource, root } => self.context(profile, node, resource, root),
            }
        }
        self.work.truncate(first);
    }

    pub(super) fn judge(&mut self, id: InvariantId, node: NodeId, resource: NodeId, root: NodeId) {
        let program = self.program;
        let invariant = program.invariant(id);
        self.evaluated += 1;
        let severity = if invariant.is_error { Severity::Error } else { Severity::Warning };
        if !self.found.wants(&issue::INVARIANT, severity) {
            return;
        }
        match self.evaluate(&invariant.expression, node, resource, root) {
            // Nothing found is no breach: R4 writes rules such as `reference.startsWith('#').not()` for what may be absent.
            Verdict::True => {}
            Verdict::Empty if !invariant.is_decisive => {}
            Verdict::Error(_) => {
                let text = format!("The rule {} could not be evaluated.", invariant.key);
                self.told(
                    &issue::INVARIANT_NOT_CHECKED,
                    Severity::Warning,
                    node,
                    NameId::UNKNOWN,
                    Source::Invariant(id),
                    text.into(),
                );
            }
            // What is malformed cannot be judged by its meaning as well.
            Verdict::False | Verdict::Empty if self.found.is_malformed(node, self.tape.next(node)) => {}
            Verdict::False | Verdict::Empty => {
                let text = ["The rule ", &invariant.key, " does not hold."].concat();
                self.told(&issue::INVARIANT, severity, node, NameId::UNKNOWN, Source::Invariant(id), text.into());
            }
        }
    }

    fn evaluate(&self, expression: &Expression, node: NodeId, resource: NodeId, root: NodeId) -> Verdict {
        let context = Context(self);
        expression.holds(&self.scope(&context, node, resource, root))
    }

    fn scope<'s>(&'s self, context: &'s Context<'s>, node: NodeId, resource: NodeId, root: NodeId) -> Scope<'s> {
        Scope {
            document: Document { tape: self.tape, types: &self.types, facts: self.facts },
            context: node,
            resource,
            root,
            now: self.now,
            steps_max: fhirpath::steps_max(self.tape.len()),
            resolver: Some(context),
            terminology: Some(context),
            profiles: Some(context),
        }
    }

    /// Is a value among what an expression finds from the resource?
    pub(super) fn finds(&self, expression: &Expression, resource: NodeId, root: NodeId, wanted: NodeId) -> bool {
        let context = Context(self);
        let found = expression.evaluate(&self.scope(&context, resource, resource, root));
        found.is_ok_and(|items| items.iter().any(|item| matches!(item, Item::Node(node) if *node == wanted)))
    }
}

/// What FHIRPath may ask of the walk.
struct Context<'w>(&'w Walk<'w, 'w>);

impl fhirpath::Resolver for Context<'_> {
    fn resolve(&self, from: NodeId, reference: &str) -> Option<NodeId> {
        self.0.resolve(from, reference)
    }
}

impl fhirpath::Terminology for Context<'_> {
    fn has_member(&self, _: &Document<'_>, item: &Item<'_>, value_set: &str) -> Option<bool> {
        let codes = self.0.validator.codes(value_set)?;
        let membership = match item {
            Item::Node(node) => self.0.is_member(&codes, *node, self.0.types[node.index()])?,
            Item::String(code) => codes.has_code(code),
            _ => return None,
        };
        match membership {
            Membership::Member => Some(true),
            Membership::NotMember => Some(false),
            Membership::NotChecked(_) => None,
        }
    }
}

impl fhirpath::Profiles for Context<'_> {
    fn conforms(&self, _: &Document<'_>, node: NodeId, profile: &str) -> Option<bool> {
        let program = self.0.program;
        let type_id = self.0.types[node.index()];
        if type_id == TypeId::NONE {
            return None;
        }
        let profile = match program.profile(profile) {
            Some(profile) => profile,
            None if walk::is_base_of(self.0.facts, type_id, profile) => {
                let mut walk = Walk::new(self.0.validator, self.0.tape, &Request::default());
                walk.trial_depth = self.0.trial_depth + 1;
                return Some(walk.is_sound(node));
            }
            None => return None,
        };
        if !self.0.facts.is_a(type_id, profile.type_id) {
            return Some(false);
        }
        // A walk of its own: this one is only being looked at.
        let mut walk = Walk::new(self.0.validator, self.0.tape, &Request::default());
        walk.trial_depth = self.0.trial_depth + 1;
        Some(walk.conforms(node, type_id, profile.rule))
    }
}
