//! What a differential says about an element, laid onto what its base says (R4 5.1.0.3, 2.27 ElementDefinition).

use crate::profile::definition::{Binding, Constraint, Element};

/// Lays the one onto the other; `source` is the definition that says it.
pub(super) fn merge(base: &mut Element, change: &Element, source: &str) {
    replace(&mut base.slice_name, change.slice_name.as_ref());
    replace(&mut base.slicing, change.slicing.as_ref());
    replace(&mut base.min, change.min.as_ref());
    replace(&mut base.max, change.max.as_ref());
    replace(&mut base.fixed, change.fixed.as_ref());
    replace(&mut base.pattern, change.pattern.as_ref());
    replace(&mut base.min_value, change.min_value.as_ref());
    replace(&mut base.max_value, change.max_value.as_ref());
    replace(&mut base.max_length, change.max_length.as_ref());
    replace(&mut base.must_support, change.must_support.as_ref());
    replace(&mut base.is_modifier, change.is_modifier.as_ref());
    if !change.types.is_empty() {
        base.types.clone_from(&change.types);
    }
    if let Some(binding) = &change.binding {
        merge_binding(&mut base.binding, binding);
    }
    add_constraints(&mut base.constraints, &change.constraints, source);
}

fn replace<T: Clone>(base: &mut Option<T>, change: Option<&T>) {
    if let Some(change) = change {
        *base = Some(change.clone());
    }
}

/// A strength alone keeps the value set.
fn merge_binding(base: &mut Option<Binding>, change: &Binding) {
    let before = base.take();
    let (value_set, max_value_set) = before.map_or((None, None), |it| (it.value_set, it.max_value_set));
    *base = Some(Binding {
        strength: change.strength,
        value_set: change.value_set.clone().or(value_set),
        max_value_set: change.max_value_set.clone().or(max_value_set),
    });
}

/// Constraints are added; one of the same key is said anew.
pub(super) fn add_constraints(base: &mut Vec<Constraint>, added: &[Constraint], source: &str) {
    for constraint in added {
        let mut constraint = constraint.clone();
        constraint.source.get_or_insert_with(|| source.to_owned());
        match base.iter_mut().find(|own| own.key == constraint.key) {
            Some(own) => *own = constraint,
            None => base.push(constraint),
        }
    }
}
