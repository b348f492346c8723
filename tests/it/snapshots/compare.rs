//! What two snapshots of one definition say differently, as far as validation goes.

use std::collections::{BTreeMap, BTreeSet};

use onward::profile::definition::{Constraint, Definition, Element};
use onward::profile::package::Packages;

/// The differences between a published snapshot and one that was made.
pub(super) fn differences(packages: &Packages, published: &Definition, made: &[Element]) -> Vec<String> {
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
    say("content", reference(left), reference(right));
    say("types", kinds(left), kinds(right));
    say("fixed", format!("{:?}", left.fixed), format!("{:?}", right.fixed));
    say("pattern", format!("{:?}", left.pattern), format!("{:?}", right.pattern));
    say("least", format!("{:?}", left.min_value), format!("{:?}", right.min_value));
    say("most", format!("{:?}", left.max_value), format!("{:?}", right.max_value));
    say("length", format!("{:?}", left.max_length), format!("{:?}", right.max_length));
    let modifies = |it: &Element| it.is_modifier.unwrap_or_default().to_string();
    say("modifier", modifies(left), modifies(right));
    say("slicing", slicing(left), slicing(right));
    say(
        "binding",
        binding(packages, user, left).replace("|4.0.1", ""),
        binding(packages, user, right).replace("|4.0.1", ""),
    );
    let inherited = inherited(packages, user, right);
    say("constraints", constraints(left, &inherited), constraints(right, &inherited));
    lines
}

fn kinds(element: &Element) -> String {
    let kinds = element.types.iter().map(|kind| {
        let sorted = |list: &[String]| list.iter().map(|it| it.replace("|4.0.1", "")).collect::<BTreeSet<_>>();
        let targets = sorted(&kind.target_profiles);
        // What R4 states as string for ids, later tools state as id; the form is that of the element.
        let code = if element.path.ends_with(".id") && kind.code == "id" { "string" } else { &kind.code };
        format!("{code} {:?} {targets:?} {:?}", sorted(&kind.profiles), sorted(&kind.aggregation))
    });
    kinds.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" | ")
}

/// `#X.y` and `http://hl7.org/fhir/StructureDefinition/X#X.y` are the same.
fn reference(element: &Element) -> String {
    let reference = element.content_reference.as_deref().unwrap_or_default();
    reference.rsplit('#').next().unwrap_or_default().to_owned()
}

/// Extensions are always sliced by URL, whether a snapshot says so or not.
fn slicing(element: &Element) -> String {
    let Some(slicing) = &element.slicing else { return String::new() };
    let told: BTreeSet<_> = slicing.discriminators.iter().map(|it| format!("{} {}", it.kind, it.path)).collect();
    let told = format!("{told:?} {} {:?}", slicing.ordered, slicing.rules);
    let is_extension = element.types.iter().any(|kind| kind.code == "Extension");
    if is_extension && told == r#"{"value url"} false Open"# { String::new() } else { told }
}

/// A type's own binding holds wherever the type is used.
fn binding(packages: &Packages, user: &Definition, element: &Element) -> String {
    let own = element.binding.as_ref();
    let of_type = || match element.types.as_slice() {
        [only] => {
            let canonical = format!("http://hl7.org/fhir/StructureDefinition/{}", only.code);
            packages.definition_for(&canonical, user)?.snapshot.first()?.binding.as_ref()
        }
        _ => None,
    };
    format!("{:?}", own.or_else(of_type))
}

/// The constraints of the type itself hold wherever the type is used, whether a snapshot repeats them or not.
fn inherited(packages: &Packages, user: &Definition, element: &Element) -> BTreeSet<String> {
    if element.types.is_empty() {
        // What an element refers to is an Element too.
        return BTreeSet::from(["ele-1".to_owned()]);
    }
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
