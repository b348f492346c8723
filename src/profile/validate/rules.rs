//! What a profile prescribes for one value: type, fixed value, pattern, range, length, code.

use super::walk::{Item, Walk, Work};
use super::*;
use crate::fhir::instant::FhirDateTime;
use crate::fhir::tape::Kind as Json;
use crate::issue;
use crate::profile::facts::{Field, Special};
use crate::profile::program::{Exact, Rule};

impl Walk<'_, '_> {
    /// All that a rule says of the value itself.
    pub(super) fn prescribed(&mut self, rule: RuleId, item: Item, field: &'static Field) {
        let program = self.program;
        let asked = program.rule(rule);
        self.allowed_type(rule, asked, item, field);
        if let Some(binding) = &asked.binding
            && let Some(node) = item.value
        {
            self.bound(rule, binding, node, field.kind);
        }
        self.exact(rule, asked, item);
        if let Some(controls) = &asked.controls {
            self.controlled(rule, controls, item);
        }
        let Some(node) = item.value else { return };
        if let Some(max) = asked.max_length {
            let length = self.tape.string(node).map_or(0, |text| text.chars().count());
            if (max as usize) < length {
                let text = format!("The profile allows {max} characters at most.");
                self.broken(&issue::VALUE_RANGE, node, rule, "maxLength", text);
            }
        }
        if let Some(range) = &asked.range {
            self.range(rule, node, range);
        }
    }

    fn allowed_type(&mut self, rule: RuleId, asked: &Rule, item: Item, field: &'static Field) {
        let Some(alternatives) = &asked.types else { return };
        let Some(index) = alternatives.iter().position(|it| self.fits(it, field.kind)) else {
            let names: Vec<_> = alternatives.iter().map(|it| self.facts.of(it.type_id).name).collect();
            let text = format!("The profile allows only {} here.", names.join(", "));
            // A choice of none of several types is told of what has it, and so is an extension that is wrong as a whole.
            let holder = self.tape.parent(item.node).filter(|holder| {
                let id = self.types[holder.index()];
                let is_extension = id != TypeId::NONE && self.facts.of(id).special == Special::Extension;
                1 < alternatives.len() || is_extension
            });
            let node = holder.filter(|_| asked.id.ends_with(']'));
            return self.broken(&issue::PROFILE_TYPE, node.unwrap_or(item.node), rule, "type", text);
        };
        let alternative = &alternatives[index];
        if (!alternative.targets.is_empty() || !alternative.aggregation.is_empty())
            && let Some(node) = item.value
        {
            self.work.push(Work::Target { rule, alternative: index, node });
        }
    }

    pub(super) fn exact(&mut self, rule: RuleId, asked: &Rule, item: Item) {
        let tape = self.tape;
        if let Some(fixed) = &asked.fixed
            && !item.value.is_some_and(|node| fixed.is(tape, node))
        {
            let text = format!("The profile fixes the value of {}.", asked.id);
            self.broken(&issue::VALUE_FIXED, item.node, rule, "fixed", text);
        }
        if let Some(pattern) = &asked.pattern
            && !item.value.is_some_and(|node| pattern.is_in(tape, node))
        {
            let text = format!("The value does not have what the profile's pattern for {} asks for.", asked.id);
            self.broken(&issue::VALUE_FIXED, item.node, rule, "pattern", text);
        }
    }

    fn range(&mut self, rule: RuleId, node: NodeId, (least, most): &(Option<Exact>, Option<Exact>)) {
        use std::cmp::Ordering;
        let below = least.as_ref().and_then(|least| self.compared(node, least)) == Some(Ordering::Less);
        let above = most.as_ref().and_then(|most| self.compared(node, most)) == Some(Ordering::Greater);
        if below || above {
            let text = "The value is outside of the range that the profile allows.";
            self.broken(&issue::VALUE_RANGE, node, rule, if below { "minValue" } else { "maxValue" }, text);
        }
    }

    /// How a number, date or quantity stands to a bound; `None` where they cannot be compared.
    pub(super) fn compared(&self, node: NodeId, bound: &Exact) -> Option<std::cmp::Ordering> {
        match bound {
            Exact::Number(bound) => {
                let value = (self.tape.kind(node) == Json::Number).then(|| self.tape.raw(node))?;
                value.parse::<f64>().ok()?.partial_cmp(&bound.parse().ok()?)
            }
            Exact::Text(bound) => {
                let value = self.tape.string(node)?;
                let (value, bound) = (value.parse::<FhirDateTime>().ok()?, bound.parse::<FhirDateTime>().ok()?);
                match (value.timestamp(), bound.timestamp()) {
                    (Some(value), Some(bound)) => Some(value.cmp(&bound)),
                    _ => {
                        let (value, bound) = (value.to_string(), bound.to_string());
                        let shorter = value.len().min(bound.len());
                        let order = value[..shorter].cmp(&bound[..shorter]);
                        (order.is_ne() || value.len() == bound.len()).then_some(order)
                    }
                }
            }
            Exact::Object(members) => {
                let of = |name: &str| members.iter().find(|(own, _)| **own == *name).map(|(_, value)| value);
                let same = |name: &str| {
                    let own = self.tape.member_named(node, name);
                    match (of(name), own) {
                        (Some(bound), Some(own)) => bound.is(self.tape, own),
                        (None, _) => true,
                        _ => false,
                    }
                };
                let units = same("system") && same("code");
                units.then(|| self.compared(self.tape.member_named(node, "value")?, of("value")?)).flatten()
            }
            _ => None,
        }
    }
}
