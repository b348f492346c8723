//! A differential is laid onto the tree of its base.

use std::cell::Cell;

use super::differential::Change;
use super::merge::{add_constraints, merge};
use super::tree::Node;
use super::{DEPTH_MAX, ELEMENTS_MAX, Generator, SnapshotError, SnapshotFault};
use crate::profile::definition::{Definition, Derivation, Discriminator, Element, Slicing, SlicingRules, TypeRef};

/// One differential on its way.
pub(super) struct Application<'g, 'r> {
    generator: &'g Generator<'r>,
    definition: &'g Definition,
    elements: Cell<usize>,
    depth: Cell<usize>,
}

impl<'g, 'r> Application<'g, 'r> {
    pub(super) fn new(generator: &'g Generator<'r>, definition: &'g Definition) -> Self {
        Self { generator, definition, elements: Cell::new(0), depth: Cell::new(0) }
    }

    pub(super) fn run(&self, root: &mut Node, change: &Change<'_>) -> Result<(), SnapshotError> {
        self.grow(root.count(), change)?;
        self.node(root, change)
    }

    fn fail<T>(change: &Change<'_>, fault: SnapshotFault) -> Result<T, SnapshotError> {
        Err(SnapshotError { element: change.id().to_owned(), fault })
    }

    fn grow(&self, count: usize, change: &Change<'_>) -> Result<(), SnapshotError> {
        self.elements.set(self.elements.get() + count);
        if ELEMENTS_MAX < self.elements.get() { Self::fail(change, SnapshotFault::TooLarge) } else { Ok(()) }
    }

    fn node(&self, node: &mut Node, change: &Change<'_>) -> Result<(), SnapshotError> {
        for element in &change.elements {
            self.merge(node, element, change)?;
        }
        if change.children.is_empty() {
            return Ok(());
        }
        if DEPTH_MAX < self.depth.get() {
            return Self::fail(change, SnapshotFault::TooLarge);
        }
        self.depth.set(self.depth.get() + 1);
        match self.generator.unfold(node, change, self.definition) {
            Ok(count) => self.grow(count, change)?,
            Err(SnapshotFault::NoContent) if self.is_new_type() => {}
            Err(fault) => return Self::fail(change, fault),
        }
        let stems = stems(node, change);
        for child in &change.children {
            self.child(node, child, &stems)?;
        }
        self.depth.set(self.depth.get() - 1);
        Ok(())
    }

    fn is_new_type(&self) -> bool {
        self.definition.derivation == Derivation::Specialization
    }

    fn merge(&self, node: &mut Node, element: &Element, change: &Change<'_>) -> Result<(), SnapshotError> {
        if let Some(profile) = only_profile(&element.types) {
            match self.generator.at(profile, None, self.definition) {
                Ok(root) => lay_profile(&mut node.element, &root.element, &element.types),
                Err(SnapshotFault::TypeUnknown(_)) => {}
                Err(fault) => return Self::fail(change, fault),
            }
        }
        merge(&mut node.element, element, &self.definition.url);
        Ok(())
    }

    fn child(&self, node: &mut Node, change: &Change<'_>, stems: &[Node]) -> Result<(), SnapshotError> {
        if let Some(child) = node.children.iter_mut().find(|child| child.name == change.name) {
            return match change.slice {
                Some(slice) if !is_misnamed(child, slice, change) => self.slice(child, slice, change, stems),
                _ => self.node(child, change),
            };
        }
        if let Some(child) = node.children.iter_mut().find(|child| child.choice_type(change.name).is_some()) {
            let before = stems.iter().find(|before| before.name == child.name);
            narrow(child, before, change.name);
            return self.slice(child, change.slice.unwrap_or(change.name), change, stems);
        }
        if !self.is_new_type() {
            return Self::fail(change, SnapshotFault::ElementUnknown);
        }
        let mut child = Node::new(change.name, Element::default());
        self.grow(1, change)?;
        self.node(&mut child, change)?;
        child.element.base_max = child.element.max;
        child.element.base_path = change.elements.first().map(|element| element.path.clone());
        node.children.push(child);
        Ok(())
    }

    fn slice(&self, stem: &mut Node, slice: &str, change: &Change<'_>, stems: &[Node]) -> Result<(), SnapshotError> {
        if stem.slice(slice).is_none() {
            let before = stems.iter().find(|before| before.name == stem.name);
            let made = new_slice(stem, before, slice, change);
            self.grow(made.count(), change)?;
            stem.cut(slice).push(made);
            imply_slicing(stem);
        }
        match stem.slice(slice) {
            Some(found) => {
                self.node(found, change)?;
                // A short cut has no slice name of its own.
                found.element.slice_name = Some(slice.to_owned());
                Ok(())
            }
            None => Self::fail(change, SnapshotFault::ElementUnknown),
        }
    }
}

/// The profile that is the only one of the only type; not one of an element within a definition.
fn only_profile(types: &[TypeRef]) -> Option<&str> {
    let [TypeRef { profiles, .. }] = types else { return None };
    let [profile] = profiles.as_slice() else { return None };
    (!profile.contains('#')).then_some(profile)
}

/// What a profile says about itself holds wherever it is used: its cardinality, its constraints.
fn lay_profile(element: &mut Element, root: &Element, types: &[TypeRef]) {
    let is_extension = types.iter().any(|it| it.code == "Extension");
    if is_extension {
        element.max = match (element.max, root.max) {
            (Some(own), Some(root)) => Some(own.min(root)),
            (own, root) => own.or(root),
        };
        element.is_modifier = root.is_modifier.or(element.is_modifier);
    }
    add_constraints(&mut element.constraints, &root.constraints, "");
}

/// What will be cut into new slices, as it is before the differential: what that says about all occurrences holds for
/// those in slices too, and is not repeated there.
fn stems(node: &Node, change: &Change<'_>) -> Vec<Node> {
    let is_cut = |child: &&Node| {
        let cuts =
            |it: &Change<'_>| it.slice.is_some() && it.name == child.name || child.choice_type(it.name).is_some();
        change.children.iter().any(cuts)
    };
    let bare = |child: &Node| Node { slices: Vec::new(), ..child.clone() };
    node.children.iter().filter(is_cut).map(bare).collect()
}

/// An id may name a slice that neither the base nor a sliceName knows: then the element itself is meant.
fn is_misnamed(stem: &mut Node, slice: &str, change: &Change<'_>) -> bool {
    let unnamed = change.elements.iter().all(|element| element.slice_name.is_none());
    unnamed && !change.elements.is_empty() && stem.slice(slice).is_none() && stem.choice_type(slice).is_none()
}

/// `valueQuantity` for `value[x]` says that a Quantity is the only type, unless other short cuts add theirs.
fn narrow(stem: &mut Node, before: Option<&Node>, name: &str) {
    let Some(suffix) = stem.choice_type(name).map(ToOwned::to_owned) else { return };
    let Some(own) = before.unwrap_or(stem).element.types.iter().find(|it| is_suffix(&suffix, &it.code)).cloned() else {
        return;
    };
    if stem.element.slicing.is_none() {
        stem.element.slicing = Some(sliced_by_type(SlicingRules::Closed));
        stem.element.types = vec![own];
    } else if stem.element.slicing == Some(sliced_by_type(SlicingRules::Closed)) && !stem.element.types.contains(&own) {
        stem.element.types.push(own);
    }
}

fn sliced_by_type(rules: SlicingRules) -> Slicing {
    let discriminator = Discriminator { kind: "type".into(), path: "$this".into() };
    Slicing { discriminators: vec![discriminator], ordered: false, rules }
}

/// A slice begins as what it is cut from, but none of it has to be there.
fn new_slice(stem: &mut Node, before: Option<&Node>, slice: &str, change: &Change<'_>) -> Node {
    let outer = slice.rsplit_once('/').map(|(outer, _)| outer.to_owned());
    let from = outer.and_then(|outer| stem.slice(&outer).map(|found| found.clone()));
    let from = from.unwrap_or_else(|| before.unwrap_or(stem).clone());
    let mut made = Node { slices: Vec::new(), ..from };
    made.element.slicing = None;
    made.element.min = Some(0);
    made.element.slice_name = Some(slice.to_owned());
    let suffix = stem.choice_type(change.name).or_else(|| stem.choice_type(slice));
    if let Some(suffix) = suffix {
        let kept: Vec<TypeRef> = made.element.types.iter().filter(|it| is_suffix(suffix, &it.code)).cloned().collect();
        if !kept.is_empty() {
            made.element.types = kept;
        }
    }
    made
}

/// `String` of `valueString` for the type `string`.
fn is_suffix(suffix: &str, code: &str) -> bool {
    suffix.len() == code.len() && suffix.eq_ignore_ascii_case(code) && suffix[1..] == code[1..]
}

/// Extensions are always sliced by their URL, choices by their type.
fn imply_slicing(stem: &mut Node) {
    let implied = match stem.name.as_str() {
        "extension" | "modifierExtension" => Slicing {
            discriminators: vec![Discriminator { kind: "value".into(), path: "url".into() }],
            ordered: false,
            rules: SlicingRules::Open,
        },
        name if name.ends_with("[x]") => sliced_by_type(SlicingRules::Open),
        _ => return,
    };
    stem.element.slicing.get_or_insert(implied);
}
