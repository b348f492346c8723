//! What references point to, within the document and never beyond it (R4 2.3, 2.36.4.1).

use std::cell::OnceCell;

use foldhash::HashMap;
use smallvec::SmallVec;

use super::findings::Source;
use super::walk::Walk;
use super::*;
use crate::fhir::tape::Kind as Json;
use crate::issue;
use crate::profile::facts::{Field, Special, Type};
use crate::profile::program::{Aggregation, Target};

/// Where the resources of a document are.
#[derive(Debug, Default)]
pub(super) struct References {
    index: OnceCell<Index>,
    /// Conformance that was tried already.
    tried: HashMap<(NodeId, RuleId), bool>,
    pub(super) forms: questionnaire::Forms,
}

/// The entries of the outermost Bundle.
#[derive(Debug, Default)]
struct Index {
    by_url: HashMap<String, NodeId>,
    /// The entries in the order of the document.
    entries: Vec<NodeId>,
}

impl Walk<'_, '_> {
    /// The entries of the document, in their order.
    pub(super) fn entries(&self) -> &[NodeId] {
        &self.index().entries
    }

    fn index(&self) -> &Index {
        self.references.index.get_or_init(|| {
            let mut index = Index::default();
            let names = self.validator.names();
            let tape = self.tape;
            let entries = tape.member(NodeId::ROOT, names.entry);
            for entry in entries.into_iter().flat_map(|entries| tape.children(entries)) {
                index.entries.push(entry);
                let Some(resource) = tape.member(entry, names.resource) else { continue };
                if let Some(url) = tape.member(entry, names.full_url).and_then(|url| tape.string(url)) {
                    index.by_url.entry(url.into_owned()).or_insert(resource);
                }
            }
            index
        })
    }

    /// The resource in this document that a reference in `from` means.
    pub(super) fn resolve(&self, from: NodeId, reference: &str) -> Option<NodeId> {
        if let Some(id) = reference.strip_prefix('#') {
            return self.contained_as(from, id);
        }
        let plain = unversioned(reference);
        let plain = memchr::memchr(b'|', plain.as_bytes()).map_or(plain, |bar| &plain[..bar]);
        let index = self.index();
        if let Some(found) = index.by_url.get(plain) {
            return Some(*found);
        }
        if is_absolute(plain) {
            return None;
        }
        // A relative reference is below the base of its own entry's fullUrl, which only a RESTful one has.
        match self.base_of(from) {
            Some(base) => index.by_url.get(&format!("{base}{plain}")).copied(),
            None => None,
        }
    }

    /// The server of the entry that a value is in: what stands before type and id in its fullUrl.
    fn base_of(&self, from: NodeId) -> Option<&str> {
        let names = self.validator.names();
        let tape = self.tape;
        let entries = &self.index().entries;
        let entry = entries.get(entries.partition_point(|entry| *entry <= from).checked_sub(1)?)?;
        let url = tape.raw(tape.member(*entry, names.full_url)?);
        let (before, _id) = url.rsplit_once('/')?;
        let (base, kind) = before.rsplit_once('/')?;
        self.facts.resource_id(kind)?;
        Some(&url[..base.len() + 1])
    }

    fn contained_as(&self, from: NodeId, id: &str) -> Option<NodeId> {
        let names = self.validator.names();
        let mut at = Some(from);
        while let Some(node) = at {
            if let Some(list) = self.tape.member(node, names.contained) {
                if id.is_empty() {
                    return Some(node);
                }
                let is_it = |inner: &NodeId| {
                    let own = self.tape.member(*inner, names.id).and_then(|own| self.tape.string(own));
                    own.is_some_and(|own| own == id)
                };
                if let Some(found) = self.tape.children(list).find(is_it) {
                    return Some(found);
                }
            }
            at = self.tape.parent(node);
        }
        None
    }

    /// "At least one of reference, identifier and display SHALL be present (unless an extension is provided)"
    /// (R4 2.3.0).
    pub(super) fn reference_content(&mut self, node: NodeId) {
        let names = self.validator.names();
        let content = [names.reference, names.identifier, names.display, names.extension];
        let has = |child: NodeId| content.contains(&self.tape.name(child).plain());
        if !self.tape.children(node).any(has) && self.tape.children(node).next().is_some() {
            let text = "A Reference has a reference, an identifier or a display.";
            self.missing(&issue::ELEMENT_MISSING, node, names.reference, Source::Shape, text);
        }
    }

    /// A reference that tells a resource type (`Patient/1`), or that points to a resource of this document, must be to
    /// one that R4 allows here.
    #[inline]
    pub(super) fn base_targets(&mut self, field: &Field, kind: &Type, node: NodeId) {
        if kind.special != Special::Reference {
            return;
        }
        self.reference_form(node);
        if field.targets.is_empty() && self.tape.member(node, self.validator.names().kind).is_none() {
            return;
        }
        let told = self.target_type(node).map(|told| self.facts.of(told).name);
        let is_target = |name: &str| field.targets.is_empty() || field.targets.contains(&name);
        if told.is_some_and(|told| !is_target(told)) {
            let text = format!("The reference must be to {}.", field.targets.join(", "));
            self.say(&issue::RESOURCE_TYPE, node, text);
        }
        if !self.is_said(node, |said| is_target(said) && told.is_none_or(|told| told == said)) {
            let text = "The type that is said is not one that is allowed here, or not that of what is referred to.";
            self.by_name(&issue::RESOURCE_TYPE, node, content::REFERENCE_TYPE, text);
        }
    }

    /// `Reference.type`, where it is said: "both SHALL be consistent" where there is a reference too (R4 2.3.0).
    fn is_said(&self, node: NodeId, is_right: impl Fn(&str) -> bool) -> bool {
        const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";
        let said = self.tape.member(node, self.validator.names().kind).and_then(|at| self.tape.string(at));
        said.is_none_or(|said| is_right(said.strip_prefix(BASE).unwrap_or(&said)))
    }

    /// A reference is a URL; `#` is what contains the resource that says it (R4 2.3.0, 2.3.0.2).
    fn reference_form(&mut self, node: NodeId) {
        let tape = self.tape;
        let Some(at) = tape.member(node, self.validator.names().reference) else { return };
        let Some(reference) = tape.string(at) else { return };
        // Looked at many bytes at a time, so not left early.
        if reference.bytes().fold(false, |so_far, byte| so_far | (byte <= b' ')) {
            self.say(&issue::VALUE_FORMAT, node, "A reference has no blanks.");
        } else if reference == "#" && !self.contained {
            self.say(&issue::REFERENCE_TARGET, node, "Only what is contained can refer to what contains it.");
        }
    }

    /// The type of resource that a reference is to, as far as it can be known.
    fn target_type(&self, node: NodeId) -> Option<TypeId> {
        let names = self.validator.names();
        let tape = self.tape;
        let at = tape.member(node, names.reference)?;
        let reference = tape.string(at)?;
        if let Some(told) = told_type(&reference).and_then(|told| self.facts.resource_id(told)) {
            return Some(told);
        }
        let target = self.resolve(node, &reference)?;
        self.told_type(target)
    }

    /// What a profile asks of what a reference points to.
    pub(super) fn target(&mut self, rule: RuleId, alternative: usize, node: NodeId) {
        let names = self.validator.names();
        let (program, tape) = (self.program, self.tape);
        let Some(asked) = program.rule(rule).types.as_ref().and_then(|types| types.get(alternative)) else { return };
        let Some(at) = tape.member(node, names.reference) else { return };
        let Some(reference) = tape.string(at) else { return };
        let target = self.resolve(node, &reference);
        self.aggregated(rule, &asked.aggregation, node, &reference, target);
        let Some(told) = self.target_type(node) else { return };
        let right = |it: &Target| match it {
            Target::Type(id) | Target::Profile(id, _) => self.facts.is_a(told, *id),
            Target::Element(_) | Target::Unknown(_) => true,
        };
        let fitting: SmallVec<[&Target; 4]> = asked.targets.iter().filter(|it| right(it)).collect();
        if fitting.is_empty() && !asked.targets.is_empty() {
            let text = "The profile does not allow a reference to this type of resource.";
            return self.broken(&issue::REFERENCE_TARGET, node, rule, "targetProfile", text);
        }
        let Some(target) = target else { return };
        let mut profiles: SmallVec<[(TypeId, RuleId); 4]> = SmallVec::new();
        for one in fitting {
            match one {
                Target::Profile(id, rule) => profiles.push((*id, *rule)),
                Target::Unknown(url) => {
                    let text = format!("The profile {url} is not loaded, so it was not checked.");
                    return self.broken(&issue::PROFILE_MISSING, node, rule, "targetProfile", text);
                }
                _ => return,
            }
        }
        // A resource that says itself that it conforms was told of what it breaks, at its own place.
        if profiles.iter().any(|(_, profile)| self.declares(target, *profile)) {
            return;
        }
        if !profiles.is_empty() && !profiles.iter().any(|(_, profile)| self.tried(target, told, *profile)) {
            let text = "What the reference points to conforms to none of the profiles that are allowed here.";
            self.broken(&issue::REFERENCE_TARGET, node, rule, "targetProfile", text);
        }
    }

    /// Does a resource's `meta.profile` name the profile?
    fn declares(&self, node: NodeId, rule: RuleId) -> bool {
        let (names, tape) = (self.validator.names(), self.tape);
        let profiles = tape.member(node, names.meta).and_then(|meta| tape.member(meta, names.profile));
        let mut declared = profiles.into_iter().flat_map(|profiles| tape.children(profiles));
        let is_it = |url: Cow<'_, str>| self.program.profile(url.trim()).is_some_and(|profile| profile.rule == rule);
        declared.any(|one| tape.string(one).is_some_and(is_it))
    }

    /// Conformance of a resource to a profile; tried once for each pair.
    fn tried(&mut self, node: NodeId, type_id: TypeId, rule: RuleId) -> bool {
        if let Some(known) = self.references.tried.get(&(node, rule)) {
            return *known;
        }
        // While it is being tried it counts as fitting: resources may refer to each other.
        self.references.tried.insert((node, rule), true);
        let fits = self.tape.kind(node) == Json::Object && self.conforms(node, type_id, rule);
        self.references.tried.insert((node, rule), fits);
        fits
    }

    fn aggregated(
        &mut self,
        rule: RuleId,
        allowed: &[Aggregation],
        at: NodeId,
        reference: &str,
        target: Option<NodeId>,
    ) {
        if allowed.is_empty() {
            return;
        }
        let found = match (reference.starts_with('#'), target) {
            (true, _) => Aggregation::Contained,
            (false, Some(_)) => Aggregation::Bundled,
            (false, None) => Aggregation::Referenced,
        };
        // What is bundled is referenced too.
        let right =
            allowed.contains(&found) || (found == Aggregation::Bundled && allowed.contains(&Aggregation::Referenced));
        if !right {
            let text = "The profile does not allow what is referred to to be where it is.";
            self.broken(&issue::REFERENCE_TARGET, at, rule, "aggregation", text);
        }
    }
}

/// `Type` of `Type/id`, `https://…/Type/id` and either with `/_history/version`.
pub(super) fn told_type(reference: &str) -> Option<&str> {
    if reference.starts_with('#') || reference.starts_with("urn:") {
        return None;
    }
    let mut from_end = unversioned(reference).rsplit('/');
    from_end.next()?;
    from_end.next()
}

/// Without `/_history/version`, which is at the end where it is.
fn unversioned(reference: &str) -> &str {
    let version = memchr::memrchr(b'/', reference.as_bytes());
    version.and_then(|at| reference[..at].strip_suffix("/_history")).unwrap_or(reference)
}

/// Has it a scheme?
pub(super) fn is_absolute(reference: &str) -> bool {
    memchr::memchr(b':', reference.as_bytes()).is_some()
}
