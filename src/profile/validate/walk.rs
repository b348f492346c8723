//! The walk: along the members of an object, R4's facts and the rules that apply.

use smallvec::SmallVec;

use super::findings::{Findings, Source};
use super::reference::References;
use super::*;
use crate::fhir::tape::Kind as Json;
use crate::issue;
use crate::profile::facts::{Element, Field, Kind, Type};
use crate::profile::program::{MANY, bit, members};

/// Deeper than this is not walked; the JSON reader's own limit is below it.
const DEPTH_MAX: usize = 512;

/// Rules that apply to one value.
pub(super) type Active = SmallVec<[RuleId; 8]>;

/// The check of one document on its way.
pub(super) struct Walk<'v, 't> {
    pub(super) validator: &'v Validator,
    pub(super) facts: &'static Facts,
    pub(super) program: &'v Program,
    pub(super) tape: &'t Tape<'t>,
    pub(super) now: Timestamp,
    /// The type of each value that was walked.
    pub(super) types: Vec<TypeId>,
    pub(super) found: Findings,
    /// What is to be judged after the walk.
    pub(super) work: Vec<Work>,
    pub(super) references: References,
    /// The resource that is being walked, and the outermost one that it is contained in.
    pub(super) resource: NodeId,
    pub(super) root_resource: NodeId,
    pub(super) depth: usize,
    pub(super) contained: bool,
    pub(super) trial_depth: usize,
    pub(super) evaluated: usize,
}

/// What waits for the end of the walk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// An invariant on a value.
    Invariant { id: InvariantId, node: NodeId, resource: NodeId, root: NodeId },
    /// What a Reference points to.
    Target { rule: RuleId, alternative: usize, node: NodeId },
    /// Where an extension is used.
    Context { profile: usize, node: NodeId, resource: NodeId, root: NodeId },
}

/// An object that is being walked.
#[derive(Clone, Copy)]
pub(super) struct Here<'w> {
    pub(super) node: NodeId,
    pub(super) kind: &'static Type,
    pub(super) rules: &'w [RuleId],
}

/// One occurrence of an element: its value, what goes with it (`_name`), or both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) value: Option<NodeId>,
    pub(super) sibling: Option<NodeId>,
    /// Where to point to.
    pub(super) node: NodeId,
}

impl<'v, 't> Walk<'v, 't> {
    pub(super) fn new(validator: &'v Validator, tape: &'t Tape<'t>, request: &Request<'_>) -> Self {
        Self {
            validator,
            facts: validator.facts,
            program: &validator.program,
            tape,
            now: request.now.unwrap_or(Timestamp::UNIX_EPOCH),
            types: vec![TypeId::NONE; tape.len()],
            found: Findings::new(request.brief),
            work: Vec::new(),
            references: References::default(),
            resource: NodeId::ROOT,
            root_resource: NodeId::ROOT,
            depth: 0,
            contained: false,
            trial_depth: 0,
            evaluated: 0,
        }
    }

    /// The document's resource, then everything that had to wait.
    pub(super) fn whole(&mut self, asked: &[RuleId]) {
        self.resource(NodeId::ROOT, asked, true);
        self.bundles();
        self.waiting(0);
    }

    /// A resource; `asked` are the rules that somebody asks of it.
    pub(super) fn resource(&mut self, node: NodeId, asked: &[RuleId], report_declared: bool) {
        if self.tape.kind(node) != Json::Object {
            return self.say(&issue::ELEMENT_TYPE, node, "A resource is expected here: a JSON object.");
        }
        let Some(id) = self.resource_type(node) else { return };
        self.types[node.index()] = id;
        let mut rules: Active = self.program.base(id).into_iter().collect();
        self.conforming(node, id, asked, &mut rules);
        self.declared(node, id, report_declared, &mut rules);
        let outer = (self.resource, self.root_resource);
        self.resource = node;
        if !self.contained {
            self.root_resource = node;
        }
        self.object(Here { node, kind: self.facts.of(id), rules: &rules });
        match self.facts.of(id).name {
            "Questionnaire" => self.questionnaire(node),
            "QuestionnaireResponse" => self.response(node),
            _ => {}
        }
        (self.resource, self.root_resource) = outer;
    }

    fn resource_type(&mut self, node: NodeId) -> Option<TypeId> {
        let name = self.facts.resource_type();
        let Some(told) = self.tape.member(node, name) else {
            self.missing(&issue::ELEMENT_MISSING, node, name, Source::Shape, "Every resource has a resourceType.");
            return None;
        };
        if !self.tape.kind(told).is_string() {
            self.say(&issue::ELEMENT_TYPE, told, "resourceType must be a string.");
            return None;
        }
        let found = self.facts.resource_id(self.tape.raw(told));
        if found.is_none() {
            self.say(&issue::RESOURCE_TYPE, told, "resourceType must be one of FHIR R4's resource types.");
        }
        found
    }

    /// Rules of profiles that the resource must conform to; a profile of another type is a finding by itself.
    fn conforming(&mut self, node: NodeId, id: TypeId, asked: &[RuleId], rules: &mut Active) {
        for rule in asked {
            match self.program.rule(*rule).profile.map(|index| &self.program.profiles()[index as usize]) {
                Some(profile) if rule == &profile.rule && !self.facts.is_a(id, profile.type_id) => {
                    let text = format!("The profile is for {}.", self.facts.of(profile.type_id).name);
                    self.broken(&issue::PROFILE_TYPE, node, *rule, "", text);
                }
                _ if rules.contains(rule) => {}
                _ => rules.push(*rule),
            }
        }
    }

    /// Rules of the profiles in `meta.profile`.
    fn declared(&mut self, node: NodeId, id: TypeId, report: bool, rules: &mut Active) {
        let names = self.validator.names();
        let Some(meta) = self.tape.member(node, names.meta) else { return };
        let Some(profiles) = self.tape.member(meta, names.profile) else { return };
        let tape = self.tape;
        for declared in tape.children(profiles) {
            let Some(canonical) = tape.string(declared) else { continue };
            match self.program.profile(canonical.trim()) {
                Some(profile) => {
                    let asked = [profile.rule];
                    if self.facts.is_a(id, profile.type_id) {
                        self.conforming(node, id, &asked, rules);
                    } else {
                        let text = format!("The profile is for {}.", self.facts.of(profile.type_id).name);
                        self.broken(&issue::PROFILE_TYPE, declared, profile.rule, "", text);
                    }
                }
                None if is_base_of(self.facts, id, &canonical) => {}
                None if report => self.say(&issue::PROFILE_UNKNOWN, declared, issue::PROFILE_UNKNOWN.meaning),
                None => {}
            }
        }
    }

    pub(super) fn object(&mut self, here: Here<'_>) {
        if self.depth == DEPTH_MAX {
            return self.say(&issue::JSON_TOO_DEEP, here.node, issue::JSON_TOO_DEEP.meaning);
        }
        self.depth += 1;
        let seen = self.members(here);
        self.absent(here, seen);
        self.special(here);
        self.invariants_of(here.rules, here.node);
        self.depth -= 1;
    }

    /// Walks all members; one bit for each element that is there.
    fn members(&mut self, here: Here<'_>) -> u128 {
        let mut seen: u128 = 0;
        let tape = self.tape;
        let mask = self.program.mask(here.rules);
        let has_siblings = tape.children(here.node).any(|node| tape.name(node).is_sibling());
        for node in tape.children(here.node) {
            let name = tape.name(node);
            let Some(slot) = here.kind.slot_of(name) else {
                self.unknown(here, node);
                continue;
            };
            // Most are plain, and nothing but R4 asks anything of them.
            if let Some(plain) = slot.plain
                && !has_siblings
                && mask & bit(name) == 0
                && tape.kind(node) != Json::Array
            {
                seen |= 1 << plain.element;
                self.value(node, &plain);
                continue;
            }
            let field = here.kind.field(slot);
            let element = here.kind.element(field);
            let primitive = matches!(self.facts.of(field.kind).kind, Kind::Primitive(_));
            if !element.allowed || (name.is_sibling() && !primitive) {
                self.unknown(here, node);
                continue;
            }
            let bit: u128 = 1 << field.element;
            if element.choice && seen & bit != 0 {
                self.one_choice(here, field, element, node);
            }
            seen |= bit;
            // The two halves of a primitive are walked together, at the first that has a value.
            let (value, sibling) = match name.is_sibling() {
                true if tape.member(here.node, name.plain()).is_some() => continue,
                true => (None, Some(node)),
                false if primitive && has_siblings => (Some(node), tape.member(here.node, name.sibling())),
                false => (Some(node), None),
            };
            self.element(here, mask, (field, element), value, sibling);
        }
        seen
    }

    fn element(
        &mut self,
        here: Here<'_>,
        mask: u64,
        (field, element): (&'static Field, &'static Element),
        value: Option<NodeId>,
        sibling: Option<NodeId>,
    ) {
        let mut rules = Active::new();
        if mask & bit(element.name_id) != 0 {
            for rule in here.rules {
                self.program.children(*rule, element.name_id).for_each(|child| rules.push(child));
            }
        }
        if !element.many {
            let Some(item) = self.single(element, value, sibling) else { return };
            if rules.is_empty() {
                return self.item(item, field, element, &[]);
            }
            return self.occurrences(here, field, element, &[item], &rules);
        }
        let Some(items) = self.items(field, element, value, sibling) else { return };
        if rules.is_empty() {
            for item in items {
                self.item(item, field, element, &[]);
            }
        } else {
            self.occurrences(here, field, element, &items, &rules);
        }
    }

    /// A repeating element is an array and no other is (R4 2.6.2.1).
    fn single(&mut self, _: &Element, value: Option<NodeId>, sibling: Option<NodeId>) -> Option<Item> {
        const ONCE: &str = "This element occurs at most once, so it must not be an array.";
        for node in [value, sibling].into_iter().flatten() {
            if self.tape.kind(node) == Json::Array {
                let many = 1 < self.tape.children(node).count();
                let code = if many { &issue::ELEMENT_REPEATS } else { &issue::ELEMENT_TYPE };
                self.say(code, node, ONCE);
                return None;
            }
        }
        Some(Item { value, sibling, node: value.or(sibling)? })
    }

    /// The items of an array, each with what goes with it.
    fn items(
        &mut self,
        field: &Field,
        element: &Element,
        value: Option<NodeId>,
        sibling: Option<NodeId>,
    ) -> Option<SmallVec<[Item; 8]>> {
        for node in [value, sibling].into_iter().flatten() {
            if self.tape.kind(node) != Json::Array {
                let text = "This element may repeat, so it must be an array.";
                self.say(&issue::ELEMENT_TYPE, node, text);
                return None;
            }
            if self.tape.children(node).next().is_none() {
                self.say(&issue::ELEMENT_TYPE, node, "An array must not be empty: leave the element out.");
                return None;
            }
        }
        let tape = self.tape;
        let mut values = value.into_iter().flat_map(|node| tape.children(node));
        let mut siblings = sibling.into_iter().flat_map(|node| tape.children(node));
        let mut items = SmallVec::new();
        loop {
            let (value, sibling) = (values.next(), siblings.next());
            let Some(node) = value.or(sibling) else { return Some(items) };
            let there = |node: &NodeId| tape.kind(*node) != Json::Null;
            let item = Item { value: value.filter(there), sibling: sibling.filter(there), node };
            if item.value.is_none() && item.sibling.is_none() {
                self.padding(field, element, node);
            } else {
                items.push(item);
            }
        }
    }

    /// `null` stands for the half that an item does not have, and only in primitives.
    fn padding(&mut self, field: &Field, _: &Element, node: NodeId) {
        let text = match self.facts.of(field.kind).kind {
            Kind::Primitive(_) => "null may stand only where the other half has the item.",
            _ => "null stands for nothing: leave the item out.",
        };
        self.say(&issue::ELEMENT_TYPE, node, text);
    }

    /// What R4 or a profile requires and nobody gave.
    fn absent(&mut self, here: Here<'_>, seen: u128) {
        let mut missing = here.kind.required & !seen;
        while missing != 0 {
            let element = &here.kind.elements[missing.trailing_zeros() as usize];
            let text = format!("FHIR R4 requires {}.{}.", here.kind.name, element.name);
            self.missing(&issue::ELEMENT_MISSING, here.node, element.name_id, Source::Shape, text);
            missing &= missing - 1;
        }
        for rule in here.rules {
            self.absent_by(here, seen, *rule);
        }
    }

    fn absent_by(&mut self, here: Here<'_>, seen: u128, rule: RuleId) {
        let program = self.program;
        for (name, child) in program.needed(rule) {
            let asked = program.rule(child);
            let Some(index) = here.kind.elements.iter().position(|element| element.name_id == name) else { continue };
            // What is there was counted; what R4 requires was missed already.
            if (seen | here.kind.required) >> index & 1 == 1 {
                continue;
            }
            if 0 < asked.min {
                self.cardinality(&issue::ELEMENT_MISSING, here.node, name, child);
            } else {
                self.absent_slices(here.node, name, child);
            }
        }
    }

    /// A property of no element; `resourceType` belongs to resources alone.
    fn unknown(&mut self, here: Here<'_>, node: NodeId) {
        let is_type = self.tape.name(node) == self.facts.resource_type();
        if is_type && matches!(here.kind.kind, Kind::Resource { .. }) {
            return;
        }
        let text = format!("{} has no such element in FHIR R4.", here.kind.name);
        self.say(&issue::ELEMENT_UNKNOWN, node, text);
    }

    /// Of a choice only one type may be there; `valueX` and `_valueX` are the same one.
    #[cold]
    fn one_choice(&mut self, here: Here<'_>, field: &Field, element: &Element, node: NodeId) {
        let differs = |other: NodeId| {
            let found = here.kind.field_of(self.tape.name(other));
            found.is_some_and(|found| found.element == field.element && found.name_id != field.name_id)
        };
        if self.tape.children(here.node).take_while(|other| *other < node).any(differs) {
            let text = format!("Only one type of {}[x] may be there.", element.name);
            self.say(&issue::ELEMENT_REPEATS, node, text);
        }
    }

    /// Invariants of rules wait until the types of everything are known, unless they hold without being evaluated.
    pub(super) fn invariants_of(&mut self, rules: &[RuleId], node: NodeId) {
        let program = self.program;
        let mut there = None;
        for (index, rule) in rules.iter().enumerate() {
            for id in &program.rule(*rule).invariants {
                let invariant = program.invariant(*id);
                let again = || rules[..index].iter().any(|before| program.rule(*before).invariants.contains(id));
                let there = *there.get_or_insert_with(|| members(self.tape, node));
                let is_idle = invariant.is_practice && self.found.is_brief();
                if !is_idle && !invariant.is_spared(self.tape, node, there) && !again() {
                    let (resource, root) = (self.resource, self.root_resource);
                    self.work.push(Work::Invariant { id: *id, node, resource, root });
                }
            }
        }
    }

    /// A problem with R4's own shape.
    #[cold]
    pub(super) fn say(&mut self, code: &'static Code, node: NodeId, text: impl Into<Cow<'static, str>>) {
        self.told(code, code.severity, node, NameId::UNKNOWN, Source::Shape, text.into());
    }

    /// Something that is not there.
    #[cold]
    pub(super) fn missing(
        &mut self,
        code: &'static Code,
        node: NodeId,
        name: NameId,
        rule: Source,
        text: impl Into<Cow<'static, str>>,
    ) {
        self.told(code, code.severity, node, name, rule, text.into());
    }

    /// A problem with a profile's rule, and which part of it.
    #[cold]
    pub(super) fn broken(
        &mut self,
        code: &'static Code,
        node: NodeId,
        rule: RuleId,
        part: &'static str,
        text: impl Into<Cow<'static, str>>,
    ) {
        self.told(code, code.severity, node, NameId::UNKNOWN, Source::Rule(rule, part), text.into());
    }

    #[cold]
    pub(super) fn told(
        &mut self,
        code: &'static Code,
        severity: Severity,
        node: NodeId,
        missing: NameId,
        rule: Source,
        text: Cow<'static, str>,
    ) {
        self.found.push(Finding { code, severity, node, missing, rule, text });
    }

    /// Fewer or more than a profile allows.
    #[cold]
    pub(super) fn cardinality(&mut self, code: &'static Code, node: NodeId, name: NameId, rule: RuleId) {
        let asked = self.program.rule(rule);
        let max = if asked.max == MANY { "*".to_owned() } else { asked.max.to_string() };
        let text = format!("The profile asks for {}..{max} of {}.", asked.min, asked.id);
        self.missing(code, node, name, Source::Rule(rule, ""), text);
    }
}

/// `http://hl7.org/fhir/StructureDefinition/Patient` of a Patient says nothing new.
pub(super) fn is_base_of(facts: &Facts, id: TypeId, canonical: &str) -> bool {
    let plain = canonical.split('|').next().unwrap_or(canonical);
    let name = plain.strip_prefix("http://hl7.org/fhir/StructureDefinition/");
    name.and_then(|name| facts.id(name)).is_some_and(|base| facts.is_a(id, base))
}
