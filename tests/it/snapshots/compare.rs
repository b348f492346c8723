//! What two snapshots of one definition say differently, as far as validation goes.

use std::collections::{BTreeMap, BTreeSet};

use onward::profile::definition::{Constraint, Definition, Element, Slicing};
use onward::profile::package::Packages;

/// The differences between a published snapshot and one that was made.
pub fn differences(packages: &Packages, published: &Definition, made: &[Element]) -> Vec<String> {
    let left: BTreeMap<&str, &Element> = published.snapshot.iter().map(|it| (it.id.as_str(), it)).collect();
    let right: BTreeMap<&str, &Element> = made.iter().map(|it| (it.id.as_str(), it)).collect();
    let mut lines = Vec::new();
    for id in left.keys().filter(|id| !right.contains_key(*id)) {
        lines.push(format!("{id}: only published"));
    }
    for id in right.keys().filter(|id| !left.contains_key(*id)) {
        lines.push(format!("{id}: only made"));
    }
    for (id, left) in left {
        if let Some(right) = right.get(id) {
            lines.extend(element(packages, published, left, right).iter().map(|it| format!("{id}: {it}")));
        }
    }
    let order = |elements: &[Element]| elements.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
    if lines.is_empty() && order(&published.snapshot) != order(made) {
        lines.push("the order of elements".into());
    }
    lines
}

fn element(packages: &Packages, user: &Definition, left: &Element, right: &Element) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |what: &str, left: String, right: String| {
        if left != right {
            lines.push(format!("{what}: published {left}, made {right}"));
        }
    };
    say("path", left.path.clone(), right.path.clone());
    say("slice", format!("{:?}", left.slice_name), format!("{:?}", right.slice_name));
    say("min", format!("{:?}", left.min), format!("{:?}", right.min));
    say("max", format!("{:?}", left.max), format!("{:?}", right.max));
    say("base", format!("{:?}", left.base_max), format!("{:?}", right.base_max));
    say("content", format!("{:?}", left.content_reference), format!("{:?}", right.content_reference));
    say("types", kinds(left), kinds(right));
    say("fixed", format!("{:?}", left.fixed), format!("{:?}", right.fixed));
    say("pattern", format!("{:?}", left.pattern), format!("{:?}", right.pattern));
    say("least", format!("{:?}", left.min_value), format!("{:?}", right.min_value));
    say("most", format!("{:?}", left.max_value), format!("{:?}", right.max_value));
    say("length", format!("{:?}", left.max_length), format!("{:?}", right.max_length));
    say("modifier", format!("{:?}", left.is_modifier), format!("{:?}", right.is_modifier));
    say("slicing", slicing(left.slicing.as_ref()), slicing(right.slicing.as_ref()));
    say("binding", format!("{:?}", left.binding), format!("{:?}", right.binding));
    let inherited = inherited(packages, user, right);
    say("constraints", constraints(left, &inherited), constraints(right, &inherited));
    lines
}

fn kinds(element: &Element) -> String {
    let kinds = element.types.iter().map(|kind| {
        let sorted = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
        let targets = sorted(&kind.target_profiles);
        format!("{} {:?} {targets:?} {:?}", kind.code, sorted(&kind.profiles), sorted(&kind.aggregation))
    });
    kinds.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" | ")
}

fn slicing(slicing: Option<&Slicing>) -> String {
    slicing.map_or_else(String::new, |it| {
        let told: BTreeSet<_> = it.discriminators.iter().map(|it| format!("{} {}", it.kind, it.path)).collect();
        format!("{told:?} {} {:?}", it.ordered, it.rules)
    })
}

/// The constraints of the type itself hold wherever the type is used, whether a snapshot repeats them or not.
fn inherited(packages: &Packages, user: &Definition, element: &Element) -> BTreeSet<String> {
    let canonicals = element.types.iter().flat_map(|kind| {
        let own = format!("http://hl7.org/fhir/StructureDefinition/{}", kind.code);
        kind.profiles.iter().cloned().chain([own])
    });
    let roots = canonicals.filter_map(|it| packages.definition_for(&it, user)?.snapshot.first());
    roots.flat_map(|root| root.constraints.iter().map(|it| it.key.clone())).collect()
}

fn constraints(element: &Element, inherited: &BTreeSet<String>) -> String {
    let told = |it: &Constraint| format!("{}: {} {:?}", it.key, it.is_error, it.expression);
    let own = element.constraints.iter().filter(|it| !inherited.contains(&it.key));
    own.map(told).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" | ")
}
