//! Places as FHIRPath: elements by their names, choices without their type, items with their index.

use super::*;
use crate::fhir::path::plain_name;
use crate::profile::facts::Kind;

/// `Bundle.entry[3].resource.status`; from the type of the root.
pub(super) fn of(facts: &Facts, tape: &Tape<'_>, types: &[TypeId], node: NodeId) -> String {
    let mut steps = Vec::new();
    let mut at = node;
    while let Some(parent) = tape.parent(at) {
        steps.push(at);
        at = parent;
    }
    let root = types.first().copied().filter(|id| *id != TypeId::NONE);
    let mut place = root.map_or(String::new(), |id| facts.of(id).name.to_owned());
    for step in steps.into_iter().rev() {
        match tape.position(step) {
            Some(index) => place.push_str(&format!("[{index}]")),
            None => push(&mut place, &name(facts, tape, types, step)),
        }
    }
    place
}

fn push(place: &mut String, name: &str) {
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(name);
}

/// The element that a property is of; a name that is none is shown only where it could be one.
fn name(facts: &Facts, tape: &Tape<'_>, types: &[TypeId], node: NodeId) -> String {
    let above = tape.parent(node).and_then(|parent| types.get(parent.index())).copied().unwrap_or(TypeId::NONE);
    if above != TypeId::NONE {
        let kind = facts.of(above);
        let name = tape.name(node);
        let is_half = |id| !name.is_sibling() || matches!(facts.of(id).kind, Kind::Primitive(_));
        if let Some(field) = kind.field_of(name).filter(|field| is_half(field.kind)) {
            return kind.element(field).name.to_owned();
        }
    }
    plain_name(&tape.key(node)).to_owned()
}
