//! Codes: R4's own required lists, and the value sets that rules bind to (R4 4.1.5 "Binding Strengths").

use std::fmt::Write;

use super::walk::Walk;
use super::*;
use crate::issue;
use crate::profile::definition::Strength;
use crate::profile::facts::{CodeList, Element, Kind, ListId, Special, Type};
use crate::profile::program::{Binding, SetId};
use crate::profile::terminology::{Membership, Reason};

/// Lists up to this length are spelled out.
const LISTED_MAX: usize = 12;

impl Walk<'_, '_> {
    /// A `code` by itself: the element's list gives the system.
    #[inline]
    pub(super) fn bound_code(&mut self, list: Option<ListId>, code: &str, node: NodeId) {
        let Some(list) = list else { return };
        let list = self.facts.list(list);
        if !list.has_code(code) {
            self.say(&issue::CODE_UNKNOWN, node, expected(list));
        }
    }

    /// A Coding, or at least one coding of a CodeableConcept, must be of the list. Tells whether it is.
    #[inline]
    pub(super) fn bound_concept(&mut self, element: &Element, kind: &Type, node: NodeId) -> bool {
        let Some(list) = element.list.map(|list| self.facts.list(list)) else { return true };
        let fit = match kind.special {
            Special::Coding => self.fit(list, node),
            Special::CodeableConcept => {
                self.codings(node).map(|coding| self.fit(list, coding)).max().unwrap_or(Fit::Not)
            }
            _ => Fit::Listed,
        };
        match fit {
            Fit::Listed => {}
            Fit::SystemMissing => {
                let text = "The code is one of those that FHIR R4 requires, but its system is missing.";
                self.warn(&issue::CODE_UNKNOWN, node, text);
            }
            Fit::Not => self.say(&issue::CODE_UNKNOWN, node, expected(list)),
        }
        fit != Fit::Not
    }

    /// A code is one of its system's, where all of that is loaded (R4 2.24.0.6 "Coding", 4.8 "content").
    /// Judged with what the coding is in: what is malformed below would hide it.
    #[inline]
    pub(super) fn known_codes(&mut self, element: &Element, kind: &Type, node: NodeId) {
        match kind.special {
            Special::Coding if element.name != "coding" => self.known_code(node),
            Special::CodeableConcept => {
                let codings = self.tape.member(node, self.validator.names().coding);
                let tape = self.tape;
                codings.into_iter().flat_map(|list| tape.children(list)).for_each(|coding| self.known_code(coding));
            }
            _ => {}
        }
    }

    fn known_code(&mut self, coding: NodeId) {
        let (names, tape) = (self.validator.names(), self.tape);
        let text = |name| tape.member(coding, name).and_then(|at| Some((at, tape.string(at)?)));
        let (Some((_, system)), Some((at, code))) = (text(names.system), text(names.code)) else { return };
        // Sites add codes of their own to the tables of HL7 v2 (v2.9 2.5.3.6).
        if system.starts_with("http://terminology.hl7.org/CodeSystem/v2-") {
            return;
        }
        let version = text(names.version).map(|(_, version)| version);
        if self.validator.packages.lacks_code(&system, version.as_deref(), &code) {
            self.by_name(&issue::CODE_UNKNOWN, at, content::CODE, "The code system has no such code.");
        }
    }

    fn codings(&self, concept: NodeId) -> impl Iterator<Item = NodeId> {
        let tape = self.tape;
        let coding = tape.member(concept, self.validator.names().coding);
        coding.into_iter().flat_map(|coding| tape.children(coding))
    }

    fn text_of(&self, node: NodeId, name: NameId) -> Option<Cow<'_, str>> {
        self.tape.member(node, name).and_then(|found| self.tape.string(found))
    }

    fn fit(&self, list: &CodeList, coding: NodeId) -> Fit {
        let names = self.validator.names();
        match (self.text_of(coding, names.system), self.text_of(coding, names.code)) {
            (Some(system), Some(code)) if list.has(&system, &code) => Fit::Listed,
            (None, Some(code)) if list.has_code(&code) => Fit::SystemMissing,
            _ => Fit::Not,
        }
    }

    /// What a value set that is bound to says of a value.
    pub(super) fn bound(&mut self, rule: RuleId, binding: &Binding, node: NodeId, type_id: TypeId) {
        let Some(membership) = self.membership(binding.set, node, type_id) else { return };
        match (membership, binding.strength) {
            (Membership::Member, _) => {}
            (Membership::NotMember, Strength::Required) => {
                let text = format!("The profile requires a code of the value set {}.", binding.url);
                self.broken(&issue::CODE_UNKNOWN, node, rule, "binding", text);
            }
            (Membership::NotMember, Strength::Extensible) => {
                let text = format!("A code of the value set {} is expected, unless none of them fits.", binding.url);
                self.broken(&issue::CODE_EXTENSIBLE, node, rule, "binding", text);
            }
            (Membership::NotMember, _) => {
                let text = format!("A code of the value set {} is preferred here.", binding.url);
                self.broken(&issue::CODE_PREFERRED, node, rule, "binding", text);
            }
            (Membership::NotChecked(reason), Strength::Required | Strength::Extensible) => {
                let text = format!("The code was not checked: {reason}.");
                self.broken(&issue::CODE_NOT_CHECKED, node, rule, "binding", text);
            }
            (Membership::NotChecked(_), _) => {}
        }
        if let Some(set) = binding.max_set
            && self.membership(set, node, type_id) == Some(Membership::NotMember)
        {
            let text = "The code is outside of the largest value set that the profile allows.";
            self.broken(&issue::CODE_UNKNOWN, node, rule, "maxValueSet", text);
        }
    }

    /// Is the value's code a member? `None` where it is of a type that has no code.
    pub(super) fn membership(&self, set: SetId, node: NodeId, type_id: TypeId) -> Option<Membership> {
        match self.validator.set(set) {
            Some(codes) => self.is_member(codes, node, type_id),
            None => {
                let url = self.program.value_sets[set.0 as usize].as_str();
                Some(Membership::NotChecked(Reason::ValueSetUnknown(url.into())))
            }
        }
    }

    /// The same for codes that are at hand.
    pub(super) fn is_member(&self, codes: &Codes, node: NodeId, type_id: TypeId) -> Option<Membership> {
        if type_id == TypeId::NONE {
            return None;
        }
        let kind = self.facts.of(type_id);
        let coding = |node: NodeId| {
            let names = self.validator.names();
            let code = self.text_of(node, names.code)?;
            let version = self.text_of(node, names.version);
            Some(match self.text_of(node, names.system) {
                Some(system) => codes.has(&system, version.as_deref(), &code),
                None => Membership::NotMember,
            })
        };
        match (kind.kind, kind.special, kind.name) {
            (Kind::Primitive(_), ..) => self.tape.string(node).map(|code| codes.has_code(&code)),
            (_, Special::Coding, _) | (_, _, "Quantity") => coding(node),
            (_, Special::CodeableConcept, _) => {
                let mut open = None;
                for membership in self.codings(node).filter_map(coding) {
                    match membership {
                        Membership::Member => return Some(Membership::Member),
                        Membership::NotChecked(_) if open.is_none() => open = Some(membership),
                        _ => {}
                    }
                }
                Some(open.unwrap_or(Membership::NotMember))
            }
            _ => None,
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
