//! A snapshot as a tree: an element has children, and is cut into slices, which have children too.

use super::DEPTH_MAX;
use crate::profile::definition::Element;

/// Deeper slices of slices are taken for slices of the element itself.
const RESLICES_MAX: usize = 16;

/// An element with all that is below it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The last part of its path: `value[x]`.
    pub(super) name: String,
    /// What is said about it. Id and path are written by [`Node::write`].
    pub(super) element: Element,
    /// Elements within it.
    pub(super) children: Vec<Node>,
    /// What it is cut into; slices of slices too.
    pub(super) slices: Vec<Node>,
}

impl Node {
    /// An element alone.
    pub(super) fn new(name: &str, element: Element) -> Self {
        Self { name: name.to_owned(), element, children: Vec::new(), slices: Vec::new() }
    }

    /// Reads a snapshot; fails where an element follows that is in none before it.
    pub(super) fn read(elements: &[Element]) -> Result<Self, ()> {
        let (root, rest) = Self::read_one(elements, 0)?;
        if rest.is_empty() { Ok(root) } else { Err(()) }
    }

    /// Reads the part of a snapshot that begins at the element of this id.
    pub(super) fn read_at(elements: &[Element], id: &str) -> Result<Self, ()> {
        let at = elements.iter().position(|element| element.id == id).ok_or(())?;
        Ok(Self::read_one(&elements[at..], 0)?.0)
    }

    fn read_one(elements: &[Element], depth: usize) -> Result<(Self, &[Element]), ()> {
        let (first, mut rest) = elements.split_first().filter(|_| depth <= DEPTH_MAX).ok_or(())?;
        let name = first.path.rsplit('.').next().unwrap_or_default();
        let mut node = Self::new(name, first.clone());
        while let Some(next) = rest.first() {
            let Some(name) = next.path.strip_prefix(&first.path).and_then(|it| it.strip_prefix('.')) else { break };
            if name.contains('.') {
                return Err(());
            }
            let (child, after) = Self::read_one(rest, depth + 1)?;
            rest = after;
            node.adopt(child);
        }
        Ok((node, rest))
    }

    /// A slice belongs to what it is of, everything else to the node itself.
    fn adopt(&mut self, mut child: Self) {
        let slice = child.element.slice_name.clone();
        let stem = slice.as_ref().and_then(|_| self.children.iter_mut().find(|own| own.is_cut_as(&child.name)));
        match (stem, slice) {
            (Some(stem), Some(slice)) => {
                child.name.clone_from(&stem.name);
                stem.cut(&slice).push(child);
            }
            _ => self.children.push(child),
        }
    }

    fn is_cut_as(&self, name: &str) -> bool {
        self.name == name || self.choice_type(name).is_some()
    }

    /// Of a choice of types: the type whose name a property `valueQuantity` ends in.
    pub(super) fn choice_type<'n>(&self, name: &'n str) -> Option<&'n str> {
        let stem = self.name.strip_suffix("[x]")?;
        name.strip_prefix(stem).filter(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
    }

    /// The list that a slice of this name is in: `a/b` is a slice of `a`.
    pub(super) fn cut(&mut self, slice: &str) -> &mut Vec<Node> {
        let Some((outer, _)) = slice.rsplit_once('/') else { return &mut self.slices };
        if RESLICES_MAX < slice.matches('/').count() {
            return &mut self.slices;
        }
        match self.slices.iter().position(|it| it.element.slice_name.as_deref() == Some(outer)) {
            Some(at) => &mut self.slices[at].slices,
            None => match self.slices.iter().position(|it| it.holds(outer)) {
                Some(at) => self.slices[at].cut(slice),
                None => &mut self.slices,
            },
        }
    }

    fn holds(&self, slice: &str) -> bool {
        self.slices.iter().any(|it| it.element.slice_name.as_deref() == Some(slice) || it.holds(slice))
    }

    /// The slice of this name, at any depth.
    pub(super) fn slice(&mut self, slice: &str) -> Option<&mut Node> {
        self.cut(slice).iter_mut().find(|it| it.element.slice_name.as_deref() == Some(slice))
    }

    /// How many elements there are.
    pub(super) fn count(&self) -> usize {
        1 + self.children.iter().chain(&self.slices).map(Self::count).sum::<usize>()
    }

    /// Writes the snapshot, with paths and ids.
    pub(super) fn write(self, snapshot: &mut Vec<Element>) {
        let (path, id) = (self.name.clone(), self.name.clone());
        self.write_as(path, id, snapshot);
    }

    fn write_as(self, path: String, id: String, snapshot: &mut Vec<Element>) {
        let stem =
            id.split_at(id.rfind(':').filter(|colon| id.rfind('.') < Some(*colon)).unwrap_or(id.len())).0.to_owned();
        snapshot.push(Element { path: path.clone(), id: id.clone(), ..self.element });
        for child in self.children {
            let (path, id) = (format!("{path}.{}", child.name), format!("{id}.{}", child.name));
            child.write_as(path, id, snapshot);
        }
        for slice in self.slices {
            let name = slice.element.slice_name.as_deref().unwrap_or_default();
            let id = format!("{stem}:{name}");
            slice.write_as(path.clone(), id, snapshot);
        }
    }
}
