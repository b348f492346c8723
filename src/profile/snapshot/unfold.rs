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
        let Some(first) = types.first() else { return Err(SnapshotFault::NoContent) };
        if types.iter().all(|it| it.code == first.code) {
            return self.of_type(&first.code, user);
        }
        self.of_several(types, change, user)
    }

    fn of_type(&self, code: &str, user: &Definition) -> Result<Node, SnapshotFault> {
        let canonical = if code.contains(':') { code.to_owned() } else { format!("{R4}{code}") };
        self.at(&canonical, None, user)
    }

    /// Of several types: every one has an id and extensions; else the only one that has all that is asked for.
    fn of_several(&self, types: &[TypeRef], change: &Change<'_>, user: &Definition) -> Result<Node, SnapshotFault> {
        if change.children.iter().all(|child| matches!(child.name, "id" | "extension")) {
            return self.of_type("Element", user);
        }
        let has_all =
            |node: &Node| change.children.iter().all(|asked| node.children.iter().any(|own| own.name == asked.name));
        let mut fitting = Vec::new();
        for kind in types {
            fitting.extend(Some(self.of_type(&kind.code, user)?).filter(has_all));
        }
        match fitting.pop() {
            Some(only) if fitting.is_empty() => Ok(only),
            _ => Err(SnapshotFault::TypeAmbiguous),
        }
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
