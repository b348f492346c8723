//! Places as FHIRPath: elements by their names, choices without their type, items with their index.

use std::fmt::Write;

use smallvec::SmallVec;

use super::*;
use crate::fhir::path::plain_name;
use crate::profile::facts::Kind;

/// Most places are shorter.
const LENGTH: usize = 96;

/// `Bundle.entry[3].resource.status`; from the type of the root.
pub(super) fn of(facts: &Facts, tape: &Tape<'_>, types: &[TypeId], node: NodeId) -> String {
    let mut steps: SmallVec<[NodeId; 16]> = SmallVec::new();
    let mut at = node;
    while let Some(parent) = tape.parent(at) {
        steps.push(at);
        at = parent;
    }
    let root = types.first().copied().filter(|id| *id != TypeId::NONE);
    let mut place = String::with_capacity(LENGTH);
    place.push_str(root.map_or("", |id| facts.of(id).name));
    for step in steps.into_iter().rev() {
        match tape.position(step) {
            // Writing to a String cannot fail.
            Some(index) => drop(write!(place, "[{index}]")),
            None => push_name(&mut place, facts, tape, types, step),
        }
    }
    place
}

/// Adds the element that a property is of; a name that is none is shown only where it could be one.
fn push_name(place: &mut String, facts: &Facts, tape: &Tape<'_>, types: &[TypeId], node: NodeId) {
    if !place.is_empty() {
        place.push('.');
    }
    let above = tape.parent(node).and_then(|parent| types.get(parent.index())).copied().unwrap_or(TypeId::NONE);
    if above != TypeId::NONE {
        let kind = facts.of(above);
        let name = tape.name(node);
        let is_half = |id| !name.is_sibling() || matches!(facts.of(id).kind, Kind::Primitive(_));
        if let Some(field) = kind.field_of(name).filter(|field| is_half(field.kind)) {
            return place.push_str(kind.element(field).name);
        }
    }
    place.push_str(plain_name(&tape.key(node)));
}
