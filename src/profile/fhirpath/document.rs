//! A document as FHIRPath sees it: elements with types, choices under their common name, primitive values
//! together with their extensions (R4 2.6.2.2, 2.6.2.3).

use std::borrow::Cow;

use super::item::Item;
use super::moment::Moment;
use super::program::{Match, Member};
use super::quantity::{Quantity, Unit};
use super::{Decimal, EvalError};
use crate::fhir::names::NameId;
use crate::fhir::tape::{Kind as Json, NodeId, Tape};
use crate::profile::facts::{Facts, Kind, Type, TypeId};
use crate::profile::primitive::Primitive;

/// A document with the type of each of its values.
#[derive(Clone, Copy, Debug)]
pub struct Document<'t> {
    /// What was read.
    pub tape: &'t Tape<'t>,
    /// A type for each value, as [`annotate`] gives them; [`TypeId::NONE`] where it is not known. Objects, primitive
    /// values and the `_name` objects beside them have types; what an array's own entry says does not matter.
    pub types: &'t [TypeId],
    /// The definitions that the types are of.
    pub facts: &'t Facts,
}

/// Goes on, ends early, or fails.
pub(super) type Step = Result<Flow, EvalError>;

/// Whether whoever takes items wants more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    End,
}

impl Flow {
    #[inline]
    pub(super) fn is_end(self) -> bool {
        self == Self::End
    }
}

pub(super) const ON: Step = Ok(Flow::On);

pub(super) const END: Step = Ok(Flow::End);

/// The types of all values, found along `resourceType` and the fields of the types.
pub fn annotate(tape: &Tape<'_>, facts: &Facts) -> Vec<TypeId> {
    let mut walk = Walk { tape, facts, types: vec![TypeId::NONE; tape.len()] };
    walk.resource(NodeId::ROOT, 0);
    walk.types
}

/// Deeper than this nothing is typed; the reader's own limit is not above it.
const DEPTH_MAX: usize = 512;

struct Walk<'w, 't> {
    tape: &'w Tape<'t>,
    facts: &'w Facts,
    types: Vec<TypeId>,
}

impl Walk<'_, '_> {
    fn resource(&mut self, node: NodeId, depth: usize) {
        let name = self.tape.member(node, self.facts.resource_type()).and_then(|name| self.tape.string(name));
        let Some(name) = name else { return };
        if self.facts.resource(&name).is_some()
            && let Some(id) = self.facts.id(&name)
        {
            self.object(node, id, depth);
        }
    }

    fn object(&mut self, node: NodeId, id: TypeId, depth: usize) {
        self.types[node.index()] = id;
        if depth == DEPTH_MAX {
            return;
        }
        let tape = self.tape;
        for child in tape.children(node) {
            if let Some(field) = self.facts.of(id).field_of(tape.name(child)) {
                self.value(child, field.kind, depth + 1);
            }
        }
    }

    fn value(&mut self, node: NodeId, id: TypeId, depth: usize) {
        match (self.tape.kind(node), self.facts.of(id).kind) {
            (Json::Array, _) if depth < DEPTH_MAX => {
                let tape = self.tape;
                for item in tape.children(node) {
                    self.value(item, id, depth + 1);
                }
            }
            (Json::Object, Kind::Resource { .. }) => self.resource(node, depth),
            (Json::Object, _) => self.object(node, id, depth),
            (Json::Array | Json::Null, _) => {}
            _ => self.types[node.index()] = id,
        }
    }
}

impl<'t> Document<'t> {
    /// The type of a value, where it is known.
    pub fn kind(&self, node: NodeId) -> Option<&'t Type> {
        let id = self.type_id(node);
        if id == TypeId::NONE { None } else { Some(self.facts.of(id)) }
    }

    pub(super) fn type_id(&self, node: NodeId) -> TypeId {
        self.types.get(node.index()).copied().unwrap_or(TypeId::NONE)
    }

    /// Is it a primitive value that is there?
    pub(super) fn has_value(&self, node: NodeId) -> bool {
        !matches!(self.tape.kind(node), Json::Object | Json::Array | Json::Null)
    }

    /// Is it a primitive element, with or without a value?
    pub(super) fn is_primitive(&self, node: NodeId) -> bool {
        self.has_value(node) || matches!(self.kind(node), Some(Type { kind: Kind::Primitive(_), .. }))
    }

    /// A member by its name, counting what was looked at.
    fn member(&self, object: NodeId, name: NameId, looked: &mut usize) -> Option<NodeId> {
        let counted = self.tape.children(object).inspect(|_| *looked += 1);
        let mut found = counted.filter(|child| self.tape.name(*child) == name);
        found.next()
    }

    /// The object that holds a primitive value's id and extensions.
    fn beside(&self, node: NodeId, looked: &mut usize) -> Option<NodeId> {
        let tape = self.tape;
        let owner = tape.parent(node)?;
        let found = match tape.kind(owner) {
            Json::Object => self.member(owner, sibling(tape.name(node))?, looked)?,
            _ => {
                let all = self.member(tape.parent(owner)?, sibling(tape.name(owner))?, looked)?;
                let position = tape.position(node)?;
                *looked += 2 * position;
                tape.children(all).nth(position)?
            }
        };
        (tape.kind(found) == Json::Object).then_some(found)
    }

    /// Calls `found` with every element of the name. Tells how much was looked at.
    pub(super) fn members(
        &self,
        node: NodeId,
        member: &Member,
        looked: &mut usize,
        found: &mut dyn FnMut(NodeId) -> Step,
    ) -> Step {
        if self.tape.kind(node) == Json::Object {
            return self.members_of(node, member, looked, found);
        }
        // What a primitive value has of members is beside it.
        if !member.of_element || !self.has_value(node) {
            return ON;
        }
        match self.beside(node, looked) {
            Some(beside) => self.members_of(beside, member, looked, found),
            None => ON,
        }
    }

    #[inline]
    fn members_of(
        &self,
        object: NodeId,
        member: &Member,
        looked: &mut usize,
        found: &mut dyn FnMut(NodeId) -> Step,
    ) -> Step {
        let mut beside = None;
        for child in self.tape.children(object) {
            *looked += 1;
            let name = self.tape.name(child);
            let matched = member.matches(name);
            if matched == Match::No || !self.is_element(object, member, name, matched) {
                continue;
            }
            if name.is_sibling() {
                beside = Some(child);
            } else {
                return self.occurrences(object, child, looked, found);
            }
        }
        match beside {
            Some(beside) => self.without_value(beside, looked, found),
            None => ON,
        }
    }

    /// Does a path lead to anything? `None` where that needs a closer look.
    pub(super) fn leads_on(&self, node: NodeId, path: &[Member], looked: &mut usize) -> Option<bool> {
        let Some((member, rest)) = path.split_first() else { return Some(true) };
        if self.tape.kind(node) != Json::Object {
            return None;
        }
        let Some((child, name)) = self.first(node, member, looked) else { return Some(false) };
        match self.tape.kind(child) {
            Json::Null => None,
            Json::Array => self.any_leads_on(child, rest, looked),
            _ if name.is_sibling() && !rest.is_empty() => None,
            _ => self.leads_on(child, rest, looked),
        }
    }

    /// The one value that a path leads to, if any. `None` where that needs a closer look.
    pub(super) fn sole(&self, node: NodeId, path: &[Member], looked: &mut usize) -> Option<Option<NodeId>> {
        let Some((member, rest)) = path.split_first() else { return Some(Some(node)) };
        if self.tape.kind(node) != Json::Object {
            return None;
        }
        let Some((child, name)) = self.first(node, member, looked) else { return Some(None) };
        let is_sure = !name.is_sibling() && !matches!(self.tape.kind(child), Json::Array | Json::Null);
        if is_sure { self.sole(child, rest, looked) } else { None }
    }

    /// The first property of an object that is this member, or goes with it.
    #[inline]
    fn first(&self, object: NodeId, member: &Member, looked: &mut usize) -> Option<(NodeId, NameId)> {
        let counted = self.tape.children(object).inspect(|_| *looked += 1);
        let mut named = counted.map(|child| (child, self.tape.name(child)));
        named.find(|(_, name)| {
            let matched = member.matches(*name);
            matched != Match::No && self.is_element(object, member, *name, matched)
        })
    }

    /// The same as [`Self::leads_on`] of an array's items.
    fn any_leads_on(&self, array: NodeId, path: &[Member], looked: &mut usize) -> Option<bool> {
        for item in self.tape.children(array) {
            *looked += 1;
            match self.tape.kind(item) {
                Json::Object if !self.leads_on(item, path, looked)? => {}
                Json::Object => return Some(true),
                Json::Null | Json::Array => return None,
                _ if path.is_empty() => return Some(true),
                _ => return None,
            }
        }
        Some(false)
    }

    /// A choice answers to its common name and to no other; a name may be both in different types.
    #[inline]
    fn is_element(&self, object: NodeId, member: &Member, name: NameId, matched: Match) -> bool {
        let through_choice = matched == Match::Choice;
        if !through_choice && !member.is_property_of_choice {
            return true;
        }
        let Some(kind) = self.kind(object) else { return true };
        kind.field_of(name).is_none_or(|field| kind.element(field).choice == through_choice)
    }

    /// The items of an array, or the one value.
    fn occurrences(
        &self,
        object: NodeId,
        child: NodeId,
        looked: &mut usize,
        found: &mut dyn FnMut(NodeId) -> Step,
    ) -> Step {
        match self.tape.kind(child) {
            Json::Null => ON,
            Json::Array => {
                let mut beside = None;
                for (index, item) in self.tape.children(child).enumerate() {
                    *looked += 1;
                    let mut item = item;
                    if self.tape.kind(item) == Json::Null {
                        // Items in both arrays belong together by their position.
                        let items = beside.get_or_insert_with(|| self.items_beside(object, child));
                        match items.get(index) {
                            Some(other) if self.tape.kind(*other) == Json::Object => item = *other,
                            _ => continue,
                        }
                    }
                    if found(item)?.is_end() {
                        return END;
                    }
                }
                ON
            }
            _ => found(child),
        }
    }

    fn items_beside(&self, object: NodeId, array: NodeId) -> Vec<NodeId> {
        let all = sibling(self.tape.name(array)).and_then(|name| self.tape.member(object, name));
        all.map(|all| self.tape.children(all).collect()).unwrap_or_default()
    }

    /// Elements that have extensions and no value.
    fn without_value(&self, beside: NodeId, looked: &mut usize, found: &mut dyn FnMut(NodeId) -> Step) -> Step {
        match self.tape.kind(beside) {
            Json::Object => found(beside),
            Json::Array => {
                for item in self.tape.children(beside) {
                    *looked += 1;
                    if self.tape.kind(item) == Json::Object && found(item)?.is_end() {
                        return END;
                    }
                }
                ON
            }
            _ => ON,
        }
    }

    /// Calls `found` with every child element.
    pub(super) fn children(&self, node: NodeId, looked: &mut usize, found: &mut dyn FnMut(NodeId) -> Step) -> Step {
        let object = match self.tape.kind(node) {
            Json::Object => node,
            _ if !self.has_value(node) => return ON,
            _ => match self.beside(node, looked) {
                Some(beside) => beside,
                None => return ON,
            },
        };
        for child in self.tape.children(object) {
            *looked += 1;
            let name = self.tape.name(child);
            if name == self.facts.resource_type() {
                continue;
            }
            let step = if name.is_sibling() {
                // Looked at together with the value, if there is one.
                match self.member(object, name.plain(), looked) {
                    Some(_) => ON,
                    None => self.without_value(child, looked, found),
                }
            } else {
                self.occurrences(object, child, looked, found)
            };
            if step?.is_end() {
                return END;
            }
        }
        ON
    }

    /// A value of the document as a value of FHIRPath's own types; `None` for what has no value of its own.
    pub(super) fn system(&self, node: NodeId) -> Option<Item<'t>> {
        let tape = self.tape;
        match tape.kind(node) {
            Json::True => Some(Item::Boolean(true)),
            Json::False => Some(Item::Boolean(false)),
            Json::Number => Some(self.number(node)),
            Json::Plain | Json::Escaped => Some(self.text(node)),
            Json::Object => self.quantity(node).map(Item::quantity),
            Json::Array | Json::Null => None,
        }
    }

    fn number(&self, node: NodeId) -> Item<'t> {
        let text = self.tape.raw(node);
        let is_decimal = matches!(self.primitive(node), Some(Primitive::Decimal));
        match text.parse() {
            Ok(whole) if !is_decimal => Item::Integer(whole),
            // What has more digits than are kept is not a number that can be reckoned with.
            _ => Decimal::parse(text).map_or(Item::text(text), Item::Decimal),
        }
    }

    fn primitive(&self, node: NodeId) -> Option<Primitive> {
        match self.kind(node)?.kind {
            Kind::Primitive(primitive) => Some(primitive),
            _ => None,
        }
    }

    fn text(&self, node: NodeId) -> Item<'t> {
        let text = self.tape.string(node).unwrap_or(Cow::Borrowed(""));
        let moment = match self.primitive(node) {
            Some(Primitive::Date) => Moment::date(&text),
            Some(Primitive::DateTime | Primitive::Instant) => Moment::date_time(&text),
            Some(Primitive::Time) => Moment::time(&text),
            _ => None,
        };
        moment.map_or(Item::String(text), Item::Moment)
    }

    /// A Quantity of FHIR as one of FHIRPath (R4 2.9.1 "Use of FHIR Quantity").
    fn quantity(&self, node: NodeId) -> Option<Quantity<'t>> {
        let name = self.kind(node)?.name;
        if !matches!(name, "Quantity" | "Age" | "Count" | "Distance" | "Duration" | "MoneyQuantity" | "SimpleQuantity")
        {
            return None;
        }
        let member = |name: &str| self.tape.member(node, self.facts.names().find(name));
        let text = |name: &str| member(name).and_then(|found| self.tape.string(found));
        let value = Decimal::parse(self.tape.raw(member("value")?))?;
        let code = text("code").or_else(|| text("unit"));
        let unit = match (text("system").as_deref(), code) {
            (_, None) => Unit::ONE,
            (Some("http://unitsofmeasure.org"), Some(code)) => Unit::Ucum(code),
            (_, Some(code)) => Unit::Other(code),
        };
        Some(Quantity { value, unit })
    }
}

fn sibling(name: NameId) -> Option<NameId> {
    name.is_known().then(|| name.sibling())
}
