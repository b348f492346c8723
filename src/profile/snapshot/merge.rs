//! What a differential says about an element, laid onto what its base says (R4 5.1.0.3, 2.27 ElementDefinition).

use crate::profile::definition::{Binding, Constraint, Element, TypeRef};

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
    replace(&mut base.controls, change.controls.as_ref());
    if !change.types.is_empty() {
        base.types = change.types.iter().map(|kind| merge_type(&base.types, kind)).collect();
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

/// A type that says nothing about profiles or targets keeps those of the base: a profile cannot allow more.
fn merge_type(base: &[TypeRef], change: &TypeRef) -> TypeRef {
    let mut merged = change.clone();
    let same: Vec<&TypeRef> = base.iter().filter(|it| it.code == change.code).collect();
    if let [before] = same.as_slice() {
        if merged.profiles.is_empty() {
            merged.profiles.clone_from(&before.profiles);
        }
        if merged.target_profiles.is_empty() {
            merged.target_profiles.clone_from(&before.target_profiles);
        }
    }
    merged
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

/// Constraints are added; one of the same key is said anew, and keeps the expression where it brings none.
pub(super) fn add_constraints(base: &mut Vec<Constraint>, added: &[Constraint], source: &str) {
    for constraint in added {
        let mut constraint = constraint.clone();
        constraint.source.get_or_insert_with(|| source.to_owned());
        match base.iter_mut().find(|own| own.key == constraint.key) {
            Some(own) => {
                let expression = own.expression.take();
                *own = constraint;
                own.expression = own.expression.take().or(expression);
            }
            None => base.push(constraint),
        }
    }
}
