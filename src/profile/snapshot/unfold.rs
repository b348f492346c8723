//! What is inside an element whose snapshot does not go there yet: what its type, its profile or the element that
//! it refers to has inside.

use super::differential::Change;
use super::tree::Node;
use super::{Generator, R4, SnapshotFault};
use crate::profile::definition::{Definition, TypeRef};

impl Generator<'_> {
    /// Gives an element its children, where it has none yet; answers how many elements came.
    pub(super) fn unfold(
        &self,
        node: &mut Node,
        change: &Change<'_>,
        user: &Definition,
    ) -> Result<usize, SnapshotFault> {
        if !node.children.is_empty() {
            return Ok(0);
        }
        let inside = match node.element.content_reference.take() {
            Some(reference) => {
                let inside = self.referenced(&reference, user)?;
                node.element.types.clone_from(&inside.element.types);
                inside
            }
            None => self.typed(node, change, user)?,
        };
        node.children = inside.children;
        Ok(node.children.iter().map(Node::count).sum())
    }

    /// `#Bundle.link`, perhaps behind the URL of its definition. The base's own element is meant, not a profile's.
    fn referenced(&self, reference: &str, user: &Definition) -> Result<Node, SnapshotFault> {
        let (url, id) = reference.split_once('#').unwrap_or(("", reference));
        let type_name = id.split('.').next().unwrap_or_default();
        let canonical = if url.is_empty() { format!("{R4}{type_name}") } else { url.to_owned() };
        self.at(&canonical, Some(id), user)
    }

    fn typed(&self, node: &Node, change: &Change<'_>, user: &Definition) -> Result<Node, SnapshotFault> {
        let types = node.element.types.as_slice();
        if let [TypeRef { profiles, .. }] = types
            && let [profile] = profiles.as_slice()
        {
            let (canonical, id) = profile.split_once('#').map_or((profile.as_str(), None), |(url, id)| (url, Some(id)));
            match self.at(canonical, id, user) {
                // What the profile says is checked where it is loaded; its type is what is certain here.
                Err(SnapshotFault::TypeUnknown(_)) => {}
                found => return found,
            }
        }
        let code = the_code(types, change)?;
        let canonical = if code.contains(':') { code.to_owned() } else { format!("{R4}{code}") };
        self.at(&canonical, None, user)
    }

    /// A definition's snapshot, or the part of it below an element.
    pub(super) fn at(&self, canonical: &str, id: Option<&str>, user: &Definition) -> Result<Node, SnapshotFault> {
        let definition = self.resolver.definition(canonical, user);
        let definition = definition.ok_or_else(|| SnapshotFault::TypeUnknown(canonical.to_owned()))?;
        let elements = self.elements(definition).map_err(|error| error.fault)?;
        let node = match id {
            Some(id) => Node::read_at(&elements, id),
            None => Node::read(&elements),
        };
        node.map_err(|()| SnapshotFault::Disordered(definition.url.clone()))
    }
}

/// The one type that all types are of. Every type has an id and extensions, so for these it does not matter.
fn the_code<'t>(types: &'t [TypeRef], change: &Change<'_>) -> Result<&'t str, SnapshotFault> {
    let Some(first) = types.first() else { return Err(SnapshotFault::NoContent) };
    if types.iter().all(|it| it.code == first.code) {
        return Ok(&first.code);
    }
    let general = change.children.iter().all(|child| matches!(child.name, "id" | "extension"));
    if general { Ok("Element") } else { Err(SnapshotFault::TypeAmbiguous) }
}
