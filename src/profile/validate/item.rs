//! One occurrence of an element.

use smallvec::SmallVec;

use super::findings::Source;
use super::walk::{Active, Here, Item, Walk};
use super::*;
use crate::fhir::tape::Kind as Json;
use crate::issue;
use crate::profile::facts::{Element, Field, Kind, Plain, Special, Type};
use crate::profile::primitive::{Fault, Primitive};
use crate::profile::program::{Alternative, MANY, Target};

impl Walk<'_, '_> {
    /// All occurrences of an element that rules apply to.
    pub(super) fn occurrences(
        &mut self,
        here: Here<'_>,
        field: &'static Field,
        element: &'static Element,
        items: &[Item],
        rules: &Active,
    ) {
        let is_sliced = rules.iter().any(|rule| self.program.rule(*rule).slicing.is_some());
        // A slice's rules are for the items that fall into it.
        let mut active: SmallVec<[Active; 4]> = SmallVec::new();
        if is_sliced {
            active.resize(items.len(), rules.clone());
        }
        for rule in rules {
            let asked = self.program.rule(*rule);
            let count = items.len() as u32;
            if count < asked.min {
                self.cardinality(&issue::ELEMENT_MISSING, here.node, element.name_id, *rule);
            }
            if asked.max < count && asked.max < MANY {
                let text = format!("The profile allows {} of {} at most.", asked.max, asked.id);
                self.broken(&issue::ELEMENT_REPEATS, here.node, *rule, "max", text);
            }
            if asked.slicing.is_some() {
                let all: Vec<usize> = (0..items.len()).collect();
                self.slice(here, field, items, &all, *rule, &mut active);
            }
        }
        for (index, item) in items.iter().enumerate() {
            self.item(*item, field, element, active.get(index).unwrap_or(rules));
        }
    }

    /// One value, or what stands for it.
    pub(super) fn item(&mut self, item: Item, field: &'static Field, element: &'static Element, rules: &[RuleId]) {
        let kind = self.facts.of(field.kind);
        match kind.kind {
            Kind::Primitive(primitive) => self.primitive(item, field, element, primitive, rules),
            Kind::Resource { .. } => self.inner_resource(item, element, rules),
            Kind::Complex => self.complex(item, field, element, kind, rules),
        }
    }

    fn primitive(
        &mut self,
        item: Item,
        field: &'static Field,
        element: &'static Element,
        primitive: Primitive,
        rules: &[RuleId],
    ) {
        if let Some(node) = item.value {
            let (element, list) = (field.element, element.list);
            self.value(node, &Plain { element, primitive, kind: field.kind, list });
        }
        if let Some(node) = item.sibling {
            self.types[node.index()] = field.kind;
            if element.name == "id" {
                self.say(&issue::ELEMENT_UNKNOWN, item.node, "An id has neither an id nor extensions.");
            } else {
                self.sibling(node, item.value.is_some(), rules);
            }
        }
        for rule in rules {
            self.prescribed(*rule, item, field);
        }
        self.invariants_of(rules, item.node);
    }

    /// The half with the value: its form, and its code where R4 asks for one of a list.
    #[inline]
    pub(super) fn value(&mut self, node: NodeId, plain: &Plain) {
        let primitive = plain.primitive;
        self.types[node.index()] = plain.kind;
        let text = self.tape.string(node);
        let raw = text.as_deref().unwrap_or_else(|| self.tape.raw(node));
        match primitive.fault(self.tape.kind(node), raw) {
            None if primitive == Primitive::Xhtml => self.narrative(node, raw),
            None if primitive == Primitive::String && memchr::memchr(b'<', raw.as_bytes()).is_some() => {
                self.markup(node, raw);
            }
            None => self.bound_code(plain.list, raw, node),
            Some(Fault::Type(expected)) => self.say(&issue::ELEMENT_TYPE, node, expected),
            Some(Fault::Format(expected)) => self.say(&issue::VALUE_FORMAT, node, expected),
            Some(Fault::Tolerated(expected)) => self.warn(&issue::VALUE_FORMAT, node, expected),
            Some(Fault::Loose(expected)) => self.by_name(&issue::VALUE_FORMAT, node, content::URI, expected),
        }
    }

    /// The half with ids and extensions.
    fn sibling(&mut self, node: NodeId, has_value: bool, rules: &[RuleId]) {
        if self.tape.kind(node) != Json::Object {
            return self.say(&issue::ELEMENT_TYPE, node, "The `_` half is an object with id or extension.");
        }
        let empty = self.tape.children(node).next().is_none();
        if empty || !has_value {
            // An id alone is content only where there is a value that it is the id of (ele-1).
            self.content(node);
        }
        let Some(kind) = self.facts.named("Element") else { return };
        self.object(Here { node, kind, rules: &self.below_only(rules) });
    }

    /// The rules, of which only what they say of elements below is wanted.
    fn below_only(&self, rules: &[RuleId]) -> Active {
        rules.iter().copied().filter(|rule| !self.program.rule(*rule).children.is_empty()).collect()
    }

    fn complex(
        &mut self,
        item: Item,
        field: &'static Field,
        element: &'static Element,
        kind: &'static Type,
        rules: &[RuleId],
    ) {
        let Some(node) = item.value else { return };
        match self.tape.kind(node) {
            Json::Object => {}
            Json::Null => {
                return self.say(&issue::ELEMENT_TYPE, node, "null stands for nothing: leave the element out.");
            }
            _ => {
                let text = format!("A JSON object of the type {} is expected here.", kind.name);
                return self.say(&issue::ELEMENT_TYPE, node, text);
            }
        }
        self.types[node.index()] = field.kind;
        let errors_before = self.found.errors();
        self.content(node);
        let mut active = Active::from_slice(rules);
        if let Some(base) = self.program.base(field.kind).filter(|base| !active.contains(base)) {
            active.push(base);
        }
        for rule in rules {
            self.typed(*rule, item, field, &mut active);
        }
        if kind.special == Special::Extension {
            self.extension(node, &mut active);
        }
        self.object(Here { node, kind, rules: &active });
        // What is malformed cannot be judged by its meaning as well.
        if self.found.errors() == errors_before {
            if self.bound_concept(element, kind, node) {
                self.known_codes(element, kind, node);
            }
            self.base_targets(field, kind, node);
            if element.simple {
                self.simple_quantity(kind, node);
            }
        }
        for rule in rules {
            self.prescribed(*rule, item, field);
        }
    }

    /// Profiles of the value's type that a rule asks for.
    fn typed(&mut self, rule: RuleId, item: Item, field: &Field, active: &mut Active) {
        let Some(alternatives) = &self.program.rule(rule).types else { return };
        let Some(alternative) = alternatives.iter().find(|it| self.fits(it, field.kind)) else { return };
        self.one_profile(rule, alternative, item.node, active);
    }

    /// Of several profiles one must hold; of one, all that it says is told.
    fn one_profile(&mut self, rule: RuleId, alternative: &Alternative, node: NodeId, active: &mut Active) {
        // Most ask for one, and it is there.
        if let [Target::Profile(_, one) | Target::Element(one)] = &*alternative.profiles {
            if !active.contains(one) {
                active.push(*one);
            }
            return;
        }
        // A type of R4 itself asks for no more than R4 does.
        if alternative.profiles.iter().any(|target| matches!(target, Target::Type(_))) {
            return;
        }
        let known: Vec<RuleId> = alternative.profiles.iter().filter_map(Target::rule).collect();
        let all_known = known.len() == alternative.profiles.len();
        match known.as_slice() {
            [] if all_known => {}
            several if several.iter().any(|one| self.conforms(node, alternative.type_id, *one)) => {}
            _ if all_known => {
                let text = "None of the profiles that are allowed here fits.";
                self.broken(&issue::PROFILE_MISMATCH, node, rule, "profile", text);
            }
            some => {
                let missing = alternative.profiles.iter().find_map(Target::missing).unwrap_or_default();
                let text = format!("The profile {missing} is not loaded, so it was not checked.");
                // What fits none of those that are loaded may fit this one; an extension is told of by its URL.
                let is_extension = self.facts.of(alternative.type_id).special == Special::Extension;
                let is_open = !some.is_empty() || is_extension;
                let severity = if is_open { Severity::Warning } else { Severity::Error };
                let source = Source::Rule(rule, "profile");
                self.told(&issue::PROFILE_MISSING, severity, node, NameId::UNKNOWN, source, text.into());
            }
        }
    }

    /// Is this one of the types that are meant? A block is a BackboneElement or Element to its definition.
    pub(super) fn fits(&self, alternative: &Alternative, found: TypeId) -> bool {
        alternative.type_id == found || self.facts.is_a(found, alternative.type_id) || {
            let name = self.facts.of(found).name;
            name.contains('.') && matches!(self.facts.of(alternative.type_id).name, "BackboneElement" | "Element")
        }
    }

    fn inner_resource(&mut self, item: Item, element: &Element, rules: &[RuleId]) {
        let Some(node) = item.value else { return };
        let outer = self.contained;
        self.contained = element.name == "contained";
        let mut asked = Active::new();
        if self.tape.kind(node) == Json::Object {
            for rule in rules {
                self.resource_types(*rule, node, &mut asked);
            }
        }
        asked.extend(self.below_only(rules));
        self.depth += 1;
        self.resource(node, &asked, true);
        self.depth -= 1;
        self.contained = outer;
    }

    /// A resource must be of one of the types and profiles that a rule asks for.
    fn resource_types(&mut self, rule: RuleId, node: NodeId, active: &mut Active) {
        let Some(alternatives) = &self.program.rule(rule).types else { return };
        let Some(found) = self.told_type(node) else { return };
        let fitting: Vec<&Alternative> = alternatives.iter().filter(|it| self.fits(it, found)).collect();
        let Some(alternative) = fitting.first() else {
            let names: Vec<_> = alternatives.iter().map(|it| self.facts.of(it.type_id).name).collect();
            let text = format!("The profile allows only {} here.", names.join(", "));
            return self.broken(&issue::PROFILE_TYPE, node, rule, "type", text);
        };
        let right = |target: &&Target| match target {
            Target::Type(id) | Target::Profile(id, _) => self.facts.is_a(found, *id),
            Target::Element(_) | Target::Unknown(_) => true,
        };
        if !alternative.profiles.is_empty() && !alternative.profiles.iter().any(|target| right(&target)) {
            return self.broken(
                &issue::PROFILE_TYPE,
                node,
                rule,
                "type",
                "The resource is not of a type that is allowed here.",
            );
        }
        self.one_profile(rule, alternative, node, active);
    }

    pub(super) fn told_type(&self, node: NodeId) -> Option<TypeId> {
        let told = self.tape.member(node, self.facts.resource_type())?;
        self.facts.resource_id(self.tape.raw(told))
    }

    /// An element has content beyond its id (ele-1).
    #[inline]
    fn content(&mut self, node: NodeId) {
        let id = self.validator.names().id;
        if self.tape.children(node).all(|child| self.tape.name(child) == id) {
            self.say(&issue::ELEMENT_TYPE, node, "An object must not be empty: leave the element out.");
        }
    }

    /// What R4 asks of some types beyond elements and cardinalities.
    #[inline]
    pub(super) fn special(&mut self, here: Here<'_>) {
        match here.kind.special {
            Special::Extension => self.extension_content(here.node),
            Special::Reference => self.reference_content(here.node),
            Special::Coding => self.coding_system(here.node),
            Special::System => self.absolute_system(here.node),
            Special::Attachment => self.attachment(here.node),
            Special::CodeableConcept | Special::None => {}
        }
        if self.contained && matches!(here.kind.kind, Kind::Resource { .. }) {
            let contained = self.validator.names().contained;
            if let Some(node) = self.tape.member(here.node, contained) {
                self.say(&issue::ELEMENT_UNKNOWN, node, "A contained resource must not contain others.");
            }
        } else if matches!(here.kind.kind, Kind::Resource { .. }) {
            self.contained_used(here.node);
        }
    }

    /// Would the value conform to this rule's profile? Nothing is told of it.
    pub(super) fn conforms(&mut self, node: NodeId, type_id: TypeId, rule: RuleId) -> bool {
        /// Profiles that ask for each other's conformance would go on for ever.
        const TRIALS_MAX: usize = 6;
        if self.trial_depth == TRIALS_MAX {
            return true;
        }
        self.trial_depth += 1;
        let (mark, work) = (self.found.begin(), self.work.len());
        let (depth, contained) = (self.depth, self.contained);
        let outer = (self.resource, self.root_resource);
        if matches!(self.facts.of(type_id).kind, Kind::Primitive(_)) {
            let item = Item { value: Some(node), sibling: None, node };
            self.exact(rule, self.program.rule(rule), item);
        } else if matches!(self.facts.of(type_id).kind, Kind::Resource { .. }) {
            self.depth = 0;
            self.resource(node, &[rule], false);
        } else {
            let old = std::mem::replace(&mut self.types[node.index()], type_id);
            if self.tape.kind(node) == Json::Object {
                self.object(Here { node, kind: self.facts.of(type_id), rules: &[rule] });
            }
            if old != TypeId::NONE {
                self.types[node.index()] = old;
            }
        }
        self.waiting(work);
        (self.depth, self.contained) = (depth, contained);
        (self.resource, self.root_resource) = outer;
        self.trial_depth -= 1;
        self.found.end(mark)
    }

    /// Is a resource what R4 says that it is?
    pub(super) fn is_sound(&mut self, node: NodeId) -> bool {
        let mark = self.found.begin();
        self.resource(node, &[], false);
        self.waiting(0);
        self.found.end(mark)
    }

    #[cold]
    pub(super) fn warn(&mut self, code: &'static Code, node: NodeId, text: impl Into<Cow<'static, str>>) {
        self.told(code, Severity::Warning, node, NameId::UNKNOWN, Source::Shape, text.into());
    }
}
