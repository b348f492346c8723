//! Which slice an occurrence falls into (R4 5.1.0.14 "Slicing").

use super::findings::Source;
use super::walk::{Active, Here, Item, Walk};
use super::*;
use crate::issue;
use crate::profile::definition::SlicingRules;
use crate::profile::facts::Field;
use crate::profile::program::{MANY, Slice, Slicing, Step, Target, Test, What};
use crate::profile::terminology::Membership;

impl Walk<'_, '_> {
    /// Sorts the occurrences into the slices of a rule, and counts them.
    pub(super) fn slice(
        &mut self,
        here: Here<'_>,
        field: &'static Field,
        items: &[Item],
        which: &[usize],
        rule: RuleId,
        active: &mut [Active],
    ) {
        let Some(slicing) = &self.program.rule(rule).slicing else { return };
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); slicing.slices.len()];
        let mut order = Vec::with_capacity(which.len());
        for index in which {
            let found = slicing.slices.iter().position(|slice| self.is_in(slice, items[*index], field.kind));
            if slicing.may_overlap
                && let Some(first) = found
            {
                self.only_slice(slicing, first, items[*index], field, rule);
            }
            match found {
                Some(slice) => {
                    members[slice].push(*index);
                    active[*index].push(slicing.slices[slice].rule);
                }
                None if slicing.rules == SlicingRules::Closed => {
                    let text = "It fits none of the slices, and the profile allows no others.";
                    self.broken(&issue::SLICE_UNMATCHED, items[*index].node, rule, "slicing", text);
                }
                None => {}
            }
            order.push((found, items[*index].node));
        }
        self.order(slicing, &order, rule);
        for (slice, members) in slicing.slices.iter().zip(&members) {
            self.count(here, items, slice, members);
            if self.program.rule(slice.rule).slicing.is_some() {
                self.slice(here, field, items, members, slice.rule, active);
            }
        }
    }

    /// What fits several slices belongs to none that anybody could tell.
    fn only_slice(&mut self, slicing: &Slicing, first: usize, item: Item, field: &Field, rule: RuleId) {
        let others = &slicing.slices[first + 1..];
        let Some(other) = others.iter().position(|slice| self.is_in(slice, item, field.kind)) else { return };
        let id = |slice: &Slice| self.program.rule(slice.rule).id.clone();
        let text = format!("It fits more than one slice: {} and {}.", id(&slicing.slices[first]), id(&others[other]));
        self.broken(&issue::SLICE_AMBIGUOUS, item.node, rule, "slicing", text);
    }

    fn order(&mut self, slicing: &Slicing, order: &[(Option<usize>, NodeId)], rule: RuleId) {
        if slicing.ordered {
            let mut last = 0;
            for (slice, node) in order.iter().filter_map(|(slice, node)| Some(((*slice)?, *node))) {
                if slice < last {
                    let text = "The slices must stand in the order of the profile.";
                    self.broken(&issue::SLICE_ORDER, node, rule, "slicing", text);
                }
                last = last.max(slice);
            }
        }
        if slicing.rules == SlicingRules::OpenAtEnd {
            let Some(first) = order.iter().position(|(slice, _)| slice.is_none()) else { return };
            for (slice, node) in &order[first..] {
                if slice.is_some() {
                    let text = "What fits no slice must stand after all that does.";
                    self.broken(&issue::SLICE_ORDER, *node, rule, "slicing", text);
                }
            }
        }
    }

    fn count(&mut self, here: Here<'_>, items: &[Item], slice: &Slice, members: &[usize]) {
        let asked = self.program.rule(slice.rule);
        let count = members.len() as u32;
        if count < asked.min {
            let name = items.first().map(|item| self.element_name(item.node)).unwrap_or(NameId::UNKNOWN);
            self.slice_missing(here.node, name, slice);
        }
        if asked.max < count && asked.max < MANY {
            let text = format!("The profile allows {} of {} at most.", asked.max, asked.id);
            self.broken(&issue::ELEMENT_REPEATS, here.node, slice.rule, "max", text);
        }
    }

    /// Slices that must be there, of an element that is not.
    pub(super) fn absent_slices(&mut self, node: NodeId, name: NameId, rule: RuleId) {
        let Some(slicing) = &self.program.rule(rule).slicing else { return };
        for slice in &slicing.slices {
            if 0 < self.program.rule(slice.rule).min {
                self.slice_missing(node, name, slice);
            }
        }
    }

    fn slice_missing(&mut self, node: NodeId, name: NameId, slice: &Slice) {
        let asked = self.program.rule(slice.rule);
        let text = format!("The profile asks for at least {} of {}.", asked.min, asked.id);
        self.missing(&issue::SLICE_MISSING, node, name, Source::Rule(slice.rule, ""), text);
    }

    fn element_name(&self, node: NodeId) -> NameId {
        let own = if self.tape.position(node).is_some() { self.tape.parent(node).unwrap_or(node) } else { node };
        let above = self.tape.parent(own).map(|above| self.types[above.index()]);
        let name = self.tape.name(own).plain();
        match above {
            Some(above) if above != TypeId::NONE => {
                let kind = self.facts.of(above);
                kind.field_of(name).map_or(name, |field| kind.element(field).name_id)
            }
            _ => name,
        }
    }

    fn is_in(&mut self, slice: &Slice, item: Item, type_id: TypeId) -> bool {
        !slice.tests.is_empty() && slice.tests.iter().all(|test| self.passes(test, item, type_id))
    }

    fn passes(&mut self, test: &Test, item: Item, type_id: TypeId) -> bool {
        let mut found: Vec<(NodeId, TypeId)> = vec![(item.node, type_id)];
        for step in &test.steps {
            found = found.into_iter().flat_map(|(node, kind)| self.step(node, kind, step)).collect();
        }
        let tape = self.tape;
        match &test.what {
            What::Exists(wanted) => *wanted != found.is_empty(),
            What::Fixed(exact) => found.iter().any(|(node, _)| exact.is(tape, *node)),
            What::Pattern(exact) => found.iter().any(|(node, _)| exact.is_in(tape, *node)),
            What::OneOf(set) => {
                found.iter().any(|(node, kind)| matches!(self.membership(*set, *node, *kind), Some(Membership::Member)))
            }
            What::Types(types) => found.iter().any(|(_, kind)| types.iter().any(|own| self.facts.is_a(*kind, *own))),
            What::Profiles(profiles) => found.iter().any(|(node, kind)| {
                profiles.iter().any(|target| match target {
                    Target::Type(id) => self.facts.is_a(*kind, *id),
                    Target::Element(rule) => self.conforms(*node, *kind, *rule),
                    Target::Profile(id, rule) => self.facts.is_a(*kind, *id) && self.conforms(*node, *kind, *rule),
                    Target::Unknown(_) => false,
                })
            }),
            What::Never => false,
        }
    }

    /// Where one step of a discriminator leads, with the types found there.
    fn step(&mut self, node: NodeId, type_id: TypeId, step: &Step) -> Vec<(NodeId, TypeId)> {
        match step {
            Step::OfType(wanted) if self.facts.is_a(type_id, *wanted) => vec![(node, type_id)],
            Step::OfType(_) => Vec::new(),
            Step::Resolve => {
                let names = self.validator.names();
                let reference = self.tape.member(node, names.reference).and_then(|it| self.tape.string(it));
                let target = reference.and_then(|reference| self.resolve(node, &reference));
                target.and_then(|target| Some((target, self.told_type(target)?))).into_iter().collect()
            }
            Step::Extension(url) => {
                let names = self.validator.names();
                let is_it = |(node, _): &(NodeId, TypeId)| {
                    let own = self.tape.member(*node, names.url).and_then(|own| self.tape.string(own));
                    own.is_some_and(|own| own == **url)
                };
                self.children_named(node, type_id, names.extension).into_iter().filter(is_it).collect()
            }
            Step::Child(name) => self.children_named(node, type_id, *name),
        }
    }

    fn children_named(&self, node: NodeId, type_id: TypeId, name: NameId) -> Vec<(NodeId, TypeId)> {
        if type_id == TypeId::NONE {
            return Vec::new();
        }
        let kind = self.facts.of(type_id);
        let mut found = Vec::new();
        for child in self.tape.children(node) {
            let Some(field) = kind.field_of(self.tape.name(child)) else { continue };
            if kind.element(field).name_id != name || self.tape.name(child).is_sibling() {
                continue;
            }
            let type_of = |node| match self.facts.of(field.kind).kind {
                crate::profile::facts::Kind::Resource { .. } => self.told_type(node).unwrap_or(field.kind),
                _ => field.kind,
            };
            match kind.element(field).many {
                true => found.extend(self.tape.children(child).map(|item| (item, type_of(item)))),
                false => found.push((child, type_of(child))),
            }
        }
        found
    }
}
