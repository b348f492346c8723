//! From the elements of a snapshot to rules.
//!
//! Every element becomes a draft with a parent, by its id. What R4's own facts say already is left out; a draft with
//! nothing left, and nothing below it, becomes no rule at all.

use std::collections::HashMap;

use super::discriminator;
use super::guard::Guard;
use super::{
    Aggregation, Alternative, Binding, Exact, ExtensionContext, Invariant, InvariantId, MANY, Profile, Program, Rule,
    RuleId, SetId, Slice, Slicing, Target, Test, What,
};
use crate::fhir::names::NameId;
use crate::profile::definition::{self, Definition, Derivation, Element, Max, Strength};
use crate::profile::facts::{Facts, Kind, Type, TypeId};
use crate::profile::fhirpath;
use crate::profile::package::Packages;

/// Where HL7's definitions have their canonical URLs.
pub(super) const HL7: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Invariants that the walk itself sees to.
const NATIVE: [&str; 6] = ["dom-2", "dom-3", "ele-1", "ext-1", "txt-1", "txt-2"];

/// Invariants of R4 that are marked `elementdefinition-bestpractice`.
const PRACTICE: [&str; 1] = ["dom-6"];

/// Invariants that say themselves what may be absent. per-1 yields nothing only where the precision of the two times
/// leaves open which is the earlier; then a period was not said to end after it starts.
const DECISIVE: [&str; 1] = ["per-1"];

/// R4's slips, with what they must have meant. app-4 names `no-show`, which is no code of AppointmentStatus; the code is
/// `noshow` (R4 8.26.2), and later releases say so. que-12 is about "more than one" and counts to two; the reference
/// validator and later releases count to one.
const ERRATA: [(&str, &str, &str); 2] = [("app-4", "'no-show'", "'noshow'"), ("que-12", "> 2", "> 1")];

/// Something in a definition that cannot be compiled. Nothing of it is checked; whoever loads must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The definition.
    pub url: String,
    /// The element's id.
    pub element: String,
    /// What is wrong.
    pub text: String,
}

/// Compiles the definitions of packages that have a snapshot; those of R4's own types are among them.
pub fn compile(packages: &Packages, facts: &'static Facts) -> (Program, Vec<Fault>) {
    let ready: Vec<&Definition> = packages.ranked().into_iter().filter(|it| !it.snapshot.is_empty()).collect();
    let of = |derivation| ready.iter().copied().filter(move |it| it.derivation == derivation);
    let mut compiler = Compiler {
        facts,
        packages,
        user: None,
        profiles: HashMap::new(),
        program: Program::default(),
        faults: Vec::new(),
        invariants: HashMap::new(),
        sets: HashMap::new(),
        fhirpath: fhirpath::Compiler::new(facts),
    };
    compiler.program.base = vec![None; facts.types().len()];
    let profiles: Vec<&Definition> = of(Derivation::Constraint).filter(|it| compiler.reserve(it)).collect();
    of(Derivation::Specialization).for_each(|definition| compiler.base_type(definition));
    for (index, definition) in profiles.into_iter().enumerate() {
        compiler.profile(index, definition);
    }
    compiler.profile_elements();
    compiler.program.finish();
    (compiler.program, compiler.faults)
}

pub(super) struct Compiler<'d> {
    pub(super) facts: &'static Facts,
    packages: &'d Packages,
    /// The definition that is being compiled: what it names is looked for in its own package first.
    user: Option<&'d Definition>,
    /// Where the profile of a definition is.
    profiles: HashMap<*const Definition, u32>,
    pub(super) program: Program,
    faults: Vec<Fault>,
    invariants: HashMap<(String, String), InvariantId>,
    sets: HashMap<String, SetId>,
    fhirpath: fhirpath::Compiler<'static>,
}

/// An element on its way to a rule.
pub(super) struct Draft<'d> {
    pub(super) element: &'d Element,
    /// The type of the element, where it has only one.
    pub(super) type_id: TypeId,
    pub(super) name: NameId,
    /// Elements below, by index.
    pub(super) children: Vec<usize>,
    /// Slices of it, by index.
    slices: Vec<usize>,
    rule: Option<RuleId>,
}

/// The drafts of one definition.
pub(super) struct Drafts<'d> {
    pub(super) definition: &'d Definition,
    profile: Option<u32>,
    pub(super) all: Vec<Draft<'d>>,
    by_id: HashMap<&'d str, usize>,
}

impl<'d> Compiler<'d> {
    /// A place for a profile, so that profiles can name each other; none where it is of no type of R4.
    fn reserve(&mut self, definition: &Definition) -> bool {
        let Some(type_id) = self.facts.id(&definition.type_name) else {
            let text = "R4 has no type of this name".to_owned();
            self.faults.push(Fault { url: definition.url.clone(), element: String::new(), text });
            return false;
        };
        let rule = self.push(Rule::default());
        let index = self.program.profiles.len() as u32;
        self.program.profiles.push(Profile {
            url: definition.url.clone(),
            version: definition.version.clone(),
            type_id,
            rule,
            contexts: Vec::new(),
            context_invariants: Vec::new(),
            is_modifier: false,
        });
        self.profiles.insert(definition, index);
        let canonical = definition.version.iter().map(|version| format!("{}|{version}", definition.url));
        for url in canonical.chain([definition.url.clone()]) {
            self.program.by_url.entry(url).or_insert(index);
        }
        true
    }

    fn push(&mut self, rule: Rule) -> RuleId {
        self.program.rules.push(rule);
        RuleId(self.program.rules.len() as u32 - 1)
    }

    fn base_type(&mut self, definition: &'d Definition) {
        let Some(type_id) = self.facts.id(&definition.type_name) else { return };
        if matches!(self.facts.of(type_id).kind, Kind::Primitive(_)) {
            return;
        }
        self.user = Some(definition);
        let mut drafts = self.drafts(definition, None, type_id);
        self.program.base[type_id.index()] = self.emit(&mut drafts, 0, false);
    }

    fn profile(&mut self, index: usize, definition: &'d Definition) {
        let Profile { type_id, rule, .. } = self.program.profiles[index];
        self.user = Some(definition);
        let mut drafts = self.drafts(definition, Some(index as u32), type_id);
        if drafts.all.is_empty() {
            self.fault(&drafts, "", "the definition has no snapshot".to_owned());
            return;
        }
        drafts.all[0].rule = Some(rule);
        self.emit(&mut drafts, 0, true);
        self.extension(index, definition);
    }

    fn extension(&mut self, index: usize, definition: &'d Definition) {
        let mut contexts = Vec::new();
        for context in &definition.contexts {
            contexts.push(match context.kind.as_str() {
                "extension" => ExtensionContext::Extension(context.expression.clone()),
                "fhirpath" => match self.fhirpath.compile(&context.expression) {
                    Ok(expression) => ExtensionContext::Path(expression),
                    Err(error) => {
                        let (url, element) = (definition.url.clone(), "context".to_owned());
                        self.faults.push(Fault { url, element, text: error.to_string() });
                        continue;
                    }
                },
                _ => ExtensionContext::Element(context.expression.clone()),
            });
        }
        let invariants = definition.context_invariants.iter();
        let invariants = invariants.filter_map(|expression| {
            let constraint = definition::Constraint {
                key: "context".to_owned(),
                is_error: true,
                expression: Some(expression.clone()),
                source: Some(definition.url.clone()),
            };
            self.invariant(definition, "context", &constraint)
        });
        let context_invariants = invariants.collect();
        let is_modifier = definition.snapshot.first().is_some_and(|root| root.is_modifier == Some(true));
        let profile = &mut self.program.profiles[index];
        (profile.contexts, profile.context_invariants, profile.is_modifier) =
            (contexts, context_invariants, is_modifier);
    }

    fn fault(&mut self, drafts: &Drafts<'_>, element: &str, text: String) {
        self.faults.push(Fault { url: drafts.definition.url.clone(), element: element.to_owned(), text });
    }

    /// Elements by id, each below its parent or beside what it is a slice of.
    fn drafts(&mut self, definition: &'d Definition, profile: Option<u32>, root: TypeId) -> Drafts<'d> {
        let mut drafts = Drafts { definition, profile, all: Vec::new(), by_id: HashMap::new() };
        for element in &definition.snapshot {
            let index = drafts.all.len();
            let Some((parent, last)) = element.id.rsplit_once('.') else {
                drafts.put(element, root, NameId::UNKNOWN);
                continue;
            };
            let Some(parent) = drafts.by_id.get(parent).copied() else {
                self.fault(&drafts, &element.id, "there is no element above this one".to_owned());
                continue;
            };
            let (segment, slice) = match last.split_once(':') {
                Some((segment, slice)) => (segment, Some(slice)),
                None => (last, None),
            };
            let name = self.facts.names().find(segment.trim_end_matches("[x]"));
            let type_id = self.type_of(&drafts.all[parent], name, element);
            drafts.put(element, type_id, name);
            match slice {
                None => drafts.all[parent].children.push(index),
                Some(slice) => {
                    let whole = &element.id[..element.id.len() - slice.len() - 1];
                    let of_slice = slice.rsplit_once('/').map(|(outer, _)| format!("{whole}:{outer}"));
                    let sliced = of_slice.as_deref().and_then(|id| drafts.by_id.get(id)).or(drafts.by_id.get(whole));
                    match sliced.copied() {
                        Some(sliced) => drafts.all[sliced].slices.push(index),
                        None => self.fault(&drafts, &element.id, "a slice of nothing".to_owned()),
                    }
                }
            }
        }
        drafts
    }

    /// The one type of an element, or that of its block.
    fn type_of(&self, parent: &Draft<'_>, name: NameId, element: &Element) -> TypeId {
        let own = match element.types.as_slice() {
            [one] => self.facts.id(&one.code),
            _ => None,
        };
        let block = || {
            let parent = self.type_at(parent.type_id)?;
            Some(parent.field_of(name)?.kind)
        };
        match own {
            Some(own) if !matches!(self.facts.of(own).name, "BackboneElement" | "Element") => own,
            _ => block().or(own).unwrap_or(TypeId::NONE),
        }
    }

    pub(super) fn type_at(&self, id: TypeId) -> Option<&'static Type> {
        (id != TypeId::NONE).then(|| self.facts.of(id))
    }

    /// The rule of a draft and of all below it; `None` where nothing is left to say. `keep` makes one anyway.
    fn emit(&mut self, drafts: &mut Drafts<'d>, index: usize, keep: bool) -> Option<RuleId> {
        let mut rule = self.own(drafts, index);
        for child in drafts.all[index].children.clone() {
            if let Some(id) = self.emit(drafts, child, false) {
                rule.put(drafts.all[child].name, id);
            }
        }
        rule.slicing = self.slicing(drafts, index);
        rule.like = self.like(drafts, index);
        let says = rule.types.is_some()
            || rule.fixed.is_some()
            || rule.pattern.is_some()
            || rule.range.is_some()
            || rule.max_length.is_some()
            || rule.binding.is_some()
            || rule.controls.is_some()
            || rule.slicing.is_some()
            || rule.like.is_some()
            || 0 < rule.min
            || rule.max < MANY
            || !rule.invariants.is_empty()
            || !rule.children.is_empty();
        match drafts.all[index].rule {
            Some(id) => {
                self.program.rules[id.0 as usize] = rule;
                Some(id)
            }
            None if says || keep => {
                let id = self.push(rule);
                drafts.all[index].rule = Some(id);
                Some(id)
            }
            None => None,
        }
    }

    fn like(&mut self, drafts: &mut Drafts<'d>, index: usize) -> Option<RuleId> {
        // A profile's own rules for an element are not those of what repeats its content further down.
        let reference = drafts.all[index].element.content_reference.as_deref().filter(|_| drafts.profile.is_none())?;
        let id = reference.rsplit_once('#').map_or(reference, |(_, id)| id);
        let target = drafts.by_id.get(id).copied()?;
        // What is referred to may be above this element, and so not made yet: its place is taken now.
        if drafts.all[target].rule.is_none() {
            drafts.all[target].rule = Some(self.push(Rule::default()));
        }
        drafts.all[target].rule
    }

    /// What the element itself asks, without what R4's facts say anyway.
    fn own(&mut self, drafts: &Drafts<'d>, index: usize) -> Rule {
        let draft = &drafts.all[index];
        let element = draft.element;
        let parent = drafts.parent(index).and_then(|parent| self.type_at(parent.type_id));
        let base = parent.and_then(|parent| Some((parent, parent.field_of(draft.name)?)));
        let (base_min, base_max) = base.map_or((0, MANY), |(parent, field)| {
            let of = parent.element(field);
            let required = parent.required >> field.element & 1 == 1;
            (u32::from(required), if of.many { MANY } else { u32::from(of.allowed) })
        });
        let is_slice = element.slice_name.is_some();
        let min = element.min.filter(|min| is_slice || base_min < *min).unwrap_or(0);
        let max = match element.max {
            Some(Max::Count(max)) if is_slice || max < base_max => max,
            _ => MANY,
        };
        let known = |compiler: &Self, invariant: &InvariantId| compiler.base_has(drafts, index, *invariant);
        let mut invariants = Vec::new();
        for constraint in element.constraints.iter().filter(|it| !NATIVE.contains(&it.key.as_str())) {
            if let Some(invariant) = self.invariant(drafts.definition, &element.id, constraint)
                && !known(self, &invariant)
            {
                invariants.push(invariant);
            }
        }
        let range = (element.min_value.as_deref().map(|(_, value)| Exact::of(value)), element.max_value.as_deref());
        let range = (range.0, range.1.map(|(_, value)| Exact::of(value)));
        Rule {
            profile: drafts.profile,
            id: element.id.as_str().into(),
            min: if index == 0 { 0 } else { min },
            max: if index == 0 { MANY } else { max },
            types: self.types(drafts, index, base),
            fixed: element.fixed.as_deref().map(|(_, value)| Box::new(Exact::of(value))),
            pattern: element.pattern.as_deref().map(|(_, value)| Box::new(Exact::of(value))),
            range: if range == (None, None) { None } else { Some(Box::new(range)) },
            max_length: element.max_length,
            controls: element.controls.clone(),
            binding: self.binding(drafts, index, base),
            invariants: invariants.into(),
            ..Rule::default()
        }
    }

    /// Does R4's own rule for this element have the invariant already? (Only asked for profiles.)
    fn base_has(&self, drafts: &Drafts<'_>, index: usize, invariant: InvariantId) -> bool {
        drafts.profile.is_some() && self.base_rules(drafts, index).any(|rule| rule.invariants.contains(&invariant))
    }

    /// R4's own rules for an element: that of its type, and that of its place in the type above.
    fn base_rules<'c>(&'c self, drafts: &'c Drafts<'_>, index: usize) -> impl Iterator<Item = &'c Rule> {
        let own = self.program.base.get(drafts.all[index].type_id.index()).copied().flatten();
        let place = drafts.parent(index).and_then(|parent| {
            let above = self.facts_rule(parent.type_id)?;
            self.program.child(above, drafts.all[index].name)
        });
        own.into_iter().chain(place).map(|id| self.program.rule(id))
    }

    /// R4's rule of a type or of a block within one (`Patient.contact`).
    fn facts_rule(&self, id: TypeId) -> Option<RuleId> {
        let mut steps = self.type_at(id)?.name.split('.');
        let root = self.program.base(self.facts.id(steps.next()?)?)?;
        steps.try_fold(root, |rule, step| self.program.child(rule, self.facts.names().find(step)))
    }

    fn invariant(
        &mut self,
        definition: &Definition,
        element: &str,
        constraint: &definition::Constraint,
    ) -> Option<InvariantId> {
        let expression = constraint.expression.as_deref()?;
        let key = (constraint.key.clone(), expression.to_owned());
        if let Some(known) = self.invariants.get(&key) {
            return Some(*known);
        }
        let erratum = ERRATA.iter().find(|(key, ..)| *key == constraint.key);
        let mended = erratum.map(|(_, slip, meant)| expression.replace(slip, meant));
        match self.fhirpath.compile(mended.as_deref().unwrap_or(expression)) {
            Ok(compiled) => {
                let id = InvariantId(self.program.invariants.len() as u32);
                self.program.invariants.push(Invariant {
                    key: constraint.key.as_str().into(),
                    is_error: constraint.is_error,
                    is_practice: PRACTICE.contains(&constraint.key.as_str()),
                    is_decisive: DECISIVE.contains(&constraint.key.as_str()),
                    guard: Guard::of(expression, &compiled, self.facts.names()),
                    expression: compiled,
                    source: constraint.source.as_deref().unwrap_or(&definition.url).into(),
                });
                self.invariants.insert(key, id);
                Some(id)
            }
            Err(error) => {
                self.faults.push(Fault {
                    url: definition.url.clone(),
                    element: element.to_owned(),
                    text: format!("the invariant {} cannot be compiled: {error}", constraint.key),
                });
                None
            }
        }
    }

    pub(super) fn set(&mut self, canonical: &str) -> SetId {
        let canonical = &self.user.map_or_else(|| canonical.to_owned(), |user| self.packages.exactly(canonical, user));
        if let Some(known) = self.sets.get(canonical.as_str()) {
            return *known;
        }
        let id = SetId(self.program.value_sets.len() as u32);
        self.program.value_sets.push(canonical.to_owned());
        self.sets.insert(canonical.to_owned(), id);
        id
    }

    fn binding(
        &mut self,
        drafts: &Drafts<'d>,
        index: usize,
        base: Option<(&Type, &crate::profile::facts::Field)>,
    ) -> Option<Box<Binding>> {
        let binding = drafts.all[index].element.binding.as_ref()?;
        let url = binding.value_set.as_deref()?;
        if binding.strength == Strength::Example && binding.max_value_set.is_none() {
            return None;
        }
        if let Some((parent, field)) = base
            && binding.strength == Strength::Required
            && let Some(list) = parent.element(field).list
        {
            let plain = url.split('|').next().unwrap_or(url);
            if plain.strip_prefix("http://hl7.org/fhir/ValueSet/") == Some(self.facts.list(list).name) {
                return None;
            }
        }
        let same =
            |rule: &Rule| rule.binding.as_ref().is_some_and(|own| *own.url == *url && own.strength == binding.strength);
        if drafts.profile.is_some() && self.base_rules(drafts, index).any(same) {
            return None;
        }
        let (set, max_set) = (self.set(url), binding.max_value_set.as_deref().map(|url| self.set(url)));
        Some(Box::new(Binding { strength: binding.strength, url: url.into(), set, max_set }))
    }

    /// Types, where they are fewer or more closely said than R4's own.
    fn types(
        &mut self,
        drafts: &Drafts<'d>,
        index: usize,
        base: Option<(&Type, &crate::profile::facts::Field)>,
    ) -> Option<Box<[Alternative]>> {
        let draft = &drafts.all[index];
        drafts.profile?;
        if index == 0 || draft.element.types.is_empty() {
            return None;
        }
        let mut alternatives = Vec::new();
        for one in &draft.element.types {
            let Some(type_id) = self.facts.id(&one.code) else { continue };
            alternatives.push(Alternative {
                type_id,
                profiles: one.profiles.iter().map(|url| self.target(url)).collect(),
                targets: one.target_profiles.iter().map(|url| self.target(url)).collect(),
                aggregation: one.aggregation.iter().filter_map(|kind| Aggregation::of(kind)).collect(),
            });
        }
        let plain = |it: &Alternative| it.profiles.is_empty() && it.aggregation.is_empty();
        let same = base.is_some_and(|(parent, field)| {
            let fields = parent.fields().iter().filter(|other| other.element == field.element);
            let within = |field: &crate::profile::facts::Field| {
                alternatives.iter().any(|it| self.allows(it.type_id, field.kind) && self.same_targets(it, field))
            };
            fields.clone().count() == alternatives.len() && fields.clone().all(within)
        });
        if alternatives.is_empty() || (same && alternatives.iter().all(plain)) {
            return None;
        }
        Some(alternatives.into())
    }

    /// A block is a BackboneElement or Element to its definition.
    fn allows(&self, said: TypeId, found: TypeId) -> bool {
        said == found || self.facts.of(found).name.contains('.')
    }

    fn same_targets(&self, alternative: &Alternative, field: &crate::profile::facts::Field) -> bool {
        let of_base = |target: &Target| match target {
            Target::Type(id) => {
                let name = self.facts.of(*id).name;
                name == "Resource" || field.targets.contains(&name)
            }
            _ => false,
        };
        alternative.targets.iter().all(of_base)
            && (field.targets.is_empty() || alternative.targets.len() == field.targets.len())
    }

    /// A profile that is named, as a type of R4, as one that is loaded, or neither.
    pub(super) fn target(&self, canonical: &str) -> Target {
        let named = self.named(canonical).filter(|_| !canonical.contains('#'));
        if let Some(index) = named.and_then(|definition| self.profiles.get(&std::ptr::from_ref(definition))) {
            let profile = &self.program.profiles[*index as usize];
            return Target::Profile(profile.type_id, profile.rule);
        }
        let plain = canonical.split('|').next().unwrap_or(canonical);
        match plain.strip_prefix(HL7).and_then(|name| self.facts.id(name)) {
            Some(id) => Target::Type(id),
            None => Target::Unknown(canonical.into()),
        }
    }

    fn slicing(&mut self, drafts: &mut Drafts<'d>, index: usize) -> Option<Box<Slicing>> {
        let slices = drafts.slices(index);
        let element = drafts.all[index].element;
        if slices.is_empty() && element.slicing.is_none() {
            return None;
        }
        let definition = element.slicing.clone().unwrap_or_default();
        let mut out =
            Slicing { rules: definition.rules, ordered: definition.ordered, slices: Vec::new(), may_overlap: false };
        let mut is_settled = true;
        for slice in slices {
            let Some(rule) = self.emit(drafts, slice, true) else { continue };
            let (mut tests, mut nothing) = (Vec::new(), Vec::new());
            for found in &definition.discriminators {
                match discriminator::tests(self, drafts, slice, found) {
                    Ok(own) => {
                        // That something is there tells a slice from others only where that is what is asked.
                        let is_there = |test: &Test| matches!(test.what, What::Exists(true));
                        is_settled &= found.kind == "exists" || !own.iter().any(is_there);
                        tests.extend(own);
                    }
                    Err(text) => nothing.push(text),
                }
            }
            is_settled &= nothing.is_empty();
            // What one discriminator leaves open, another may settle.
            if tests.is_empty() && !nothing.is_empty() {
                tests.push(Test { steps: Box::default(), what: What::Never });
                let id = drafts.all[slice].element.id.clone();
                self.fault(drafts, &id, nothing.swap_remove(0));
            }
            if definition.discriminators.is_empty() {
                tests.extend(discriminator::by_type(self, drafts, slice));
            }
            out.slices.push(Slice { rule, tests: tests.into() });
        }
        let type_id = drafts.all[index].type_id;
        out.may_overlap = is_settled && discriminator::may_overlap(self, type_id, &out.slices);
        let open = out.rules == definition::SlicingRules::Open;
        (!open || !out.slices.is_empty()).then(|| Box::new(out))
    }

    /// The definition that a canonical means here; where that version is not loaded, the newest.
    fn named(&self, canonical: &str) -> Option<&'d Definition> {
        let user = self.user?;
        let plain = canonical.split('|').next().unwrap_or(canonical);
        self.packages.definition_for(canonical, user).or_else(|| self.packages.definition_for(plain, user))
    }

    /// Another definition's elements, to look for what tells slices apart.
    pub(super) fn elements_of(&self, canonical: &str) -> Option<&'d [Element]> {
        Some(self.named(canonical)?.snapshot.as_slice()).filter(|elements| !elements.is_empty())
    }
}

impl<'d> Drafts<'d> {
    fn put(&mut self, element: &'d Element, type_id: TypeId, name: NameId) {
        self.by_id.insert(&element.id, self.all.len());
        self.all.push(Draft { element, type_id, name, children: Vec::new(), slices: Vec::new(), rule: None });
    }

    /// Slices by index. Those of a slice that says nothing of how it is cut are told apart as it is itself.
    fn slices(&self, index: usize) -> Vec<usize> {
        let is_cut = |index: usize| {
            let element = self.all[index].element;
            element.slice_name.is_none() || element.slicing.is_some() || element.path.ends_with("[x]")
        };
        if !is_cut(index) {
            return Vec::new();
        }
        let inner = |slice: usize| if is_cut(slice) { &[] } else { self.all[slice].slices.as_slice() };
        self.all[index].slices.iter().flat_map(|slice| [*slice].into_iter().chain(inner(*slice).to_vec())).collect()
    }

    fn parent(&self, index: usize) -> Option<&Draft<'d>> {
        let (parent, _) = self.all[index].element.id.rsplit_once('.')?;
        self.by_id.get(parent).map(|index| &self.all[*index])
    }
}
