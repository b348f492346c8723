//! The document as a tree, before anything is known of types.
//!
//! Nodes stand in one list and name each other by index: nothing recurses, and an element costs 44 bytes, however
//! deep it is.

use std::borrow::Cow;
use std::ops::Range;

use super::namespace::{Namespaces, Space};
use super::tag::{self, Scan};
use super::tokens::{Token, Tokens};
use super::{Limits, Read, XmlFault, fail, narrative};

/// No such node.
pub(super) const NONE: u32 = u32::MAX;

/// XML is little deeper than the JSON that is made of it, for which the limit is exact.
const DEPTH_MARGIN: usize = 8;
const DEPTH_CEILING: usize = 520;

/// A document.
#[derive(Debug, Default)]
pub(super) struct Tree<'x> {
    text: &'x str,
    /// The root is the first.
    nodes: Vec<Node<'x>>,
    attributes: Vec<Attribute<'x>>,
    narratives: Vec<Cow<'x, str>>,
}

/// An element.
#[derive(Debug)]
pub(super) struct Node<'x> {
    /// Without its prefix.
    pub(super) name: &'x str,
    pub(super) space: Space,
    /// Where it begins.
    pub(super) start: u32,
    end: u32,
    attributes: Range<u32>,
    /// Where text stands in it that is not blank; [`NONE`] where there is none.
    pub(super) text: u32,
    /// Its first child; of XHTML the index of its text.
    first: u32,
    next: u32,
}

/// An attribute that declares no namespace and is no hint for validators.
#[derive(Debug)]
pub(super) struct Attribute<'x> {
    /// With its prefix.
    pub(super) name: &'x str,
    pub(super) value: Cow<'x, str>,
    pub(super) offset: u32,
}

impl<'x> Tree<'x> {
    /// The node of this index.
    pub(super) fn node(&self, index: u32) -> &Node<'x> {
        &self.nodes[index as usize]
    }

    pub(super) fn attributes(&self, node: &Node<'x>) -> &[Attribute<'x>] {
        &self.attributes[node.attributes.start as usize..node.attributes.end as usize]
    }

    /// Its attribute of this name.
    pub(super) fn attribute(&self, node: &Node<'x>, name: &str) -> Option<&Attribute<'x>> {
        self.attributes(node).iter().find(|attribute| attribute.name == name)
    }

    /// Its child elements, by index.
    pub(super) fn children(&self, node: &Node<'x>) -> impl Iterator<Item = u32> {
        let first = if node.space == Space::Xhtml { NONE } else { node.first };
        std::iter::successors(Some(first), |index| Some(self.nodes.get(*index as usize)?.next))
            .take_while(|index| *index != NONE)
    }

    /// All of it as it is written; of a narrative, as it stands alone.
    pub(super) fn written(&self, node: &Node<'x>) -> &str {
        match node.space {
            Space::Xhtml => &self.narratives[node.first as usize],
            _ => &self.text[node.start as usize..node.end as usize],
        }
    }
}

/// An element that is being read.
struct Open {
    node: u32,
    last_child: u32,
    /// How many declarations were in scope before it.
    declarations: usize,
}

struct Builder<'x> {
    tokens: Tokens<'x>,
    tree: Tree<'x>,
    open: Vec<Open>,
    spaces: Namespaces<'x>,
    depth_max: usize,
    nodes_max: usize,
}

/// Reads a document whose root is of FHIR's namespace.
pub(super) fn read<'x>(text: &'x str, limits: &Limits) -> Read<Tree<'x>> {
    let mut builder = Builder {
        tokens: Tokens::of(text),
        tree: Tree { text, ..Tree::default() },
        open: Vec::new(),
        spaces: Namespaces::default(),
        depth_max: (limits.depth_max + DEPTH_MARGIN).min(DEPTH_CEILING),
        nodes_max: limits.values_max,
    };
    builder.whole()?;
    Ok(builder.tree)
}

impl<'x> Builder<'x> {
    fn whole(&mut self) -> Read<()> {
        loop {
            let token = self.tokens.next()?;
            let start = self.tokens.start;
            match token {
                Token::Open { end, empty } => self.element(start, end, empty)?,
                Token::Close => self.close(),
                Token::Text { blank: false } => self.stray_text(start)?,
                // A hint for whoever shows it, such as a style sheet, may stand before the root.
                Token::Instruction if !self.tree.nodes.is_empty() => return fail(XmlFault::Instruction, start),
                Token::End => return self.end(),
                _ => {}
            }
        }
    }

    fn end(&self) -> Read<()> {
        match (self.open.last(), self.tree.nodes.first()) {
            (Some(open), _) => fail(XmlFault::Unfinished, self.tree.node(open.node).start as usize),
            (None, None) => fail(XmlFault::Empty, self.tokens.start),
            (None, Some(_)) => Ok(()),
        }
    }

    fn stray_text(&mut self, start: usize) -> Read<()> {
        let Some(open) = self.open.last() else { return fail(XmlFault::Trailing, start) };
        let node = &mut self.tree.nodes[open.node as usize];
        if node.text == NONE {
            node.text = start as u32;
        }
        Ok(())
    }

    fn element(&mut self, start: usize, end: usize, empty: bool) -> Read<()> {
        if self.open.is_empty() && !self.tree.nodes.is_empty() {
            return fail(XmlFault::Trailing, start);
        }
        if self.depth_max <= self.open.len() {
            return fail(XmlFault::TooDeep, start);
        }
        if self.nodes_max <= self.tree.nodes.len() {
            return fail(XmlFault::TooManyValues, start);
        }
        let declarations = self.spaces.len();
        let (name, space, attributes) = self.tag(start, end)?;
        if self.open.is_empty() && space != Space::Fhir {
            return fail(XmlFault::Namespace, start);
        }
        let index = self.add(name, space, start, attributes);
        if space == Space::Xhtml {
            self.spaces.leave(declarations);
            return self.narrative(index, end, empty);
        }
        self.open.push(Open { node: index, last_child: NONE, declarations });
        if empty {
            self.close();
        }
        Ok(())
    }

    /// The name, its namespace and the attributes of a start tag.
    fn tag(&mut self, start: usize, end: usize) -> Read<(&'x str, Space, Range<u32>)> {
        let mut scan = Scan::of(self.tokens.text, start + 1, end);
        let name = scan.name()?;
        let first = self.tree.attributes.len();
        while let Some(attribute) = scan.attribute()? {
            let value = attribute.value()?;
            if !self.spaces.declare(&attribute)? {
                let offset = attribute.offset as u32;
                self.tree.attributes.push(Attribute { name: attribute.name, value, offset });
            }
        }
        self.without_hints(first)?;
        let (prefix, local) = tag::split(name);
        let (space, _) = self.spaces.of(prefix, start)?;
        Ok((local, space, first as u32..self.tree.attributes.len() as u32))
    }

    /// `xsi:schemaLocation` and its like say nothing about the resource.
    fn without_hints(&mut self, first: usize) -> Read<()> {
        let mut index = first;
        while let Some(attribute) = self.tree.attributes.get(index) {
            let (prefix, _) = tag::split(attribute.name);
            let hint =
                !prefix.is_empty() && self.spaces.of(prefix, attribute.offset as usize)?.0 == Space::SchemaInstance;
            match hint {
                true => drop(self.tree.attributes.remove(index)),
                false => index += 1,
            }
        }
        Ok(())
    }

    /// Puts an element behind its elder sibling, or under its parent.
    fn add(&mut self, name: &'x str, space: Space, start: usize, attributes: Range<u32>) -> u32 {
        let index = self.tree.nodes.len() as u32;
        let node =
            Node { name, space, start: start as u32, end: NONE, attributes, text: NONE, first: NONE, next: NONE };
        self.tree.nodes.push(node);
        if let Some(parent) = self.open.last_mut() {
            let elder = std::mem::replace(&mut parent.last_child, index);
            match elder {
                NONE => self.tree.nodes[parent.node as usize].first = index,
                elder => self.tree.nodes[elder as usize].next = index,
            }
        }
        index
    }

    fn narrative(&mut self, index: u32, end: usize, empty: bool) -> Read<()> {
        let text = narrative::read(&mut self.tokens, end, empty, &mut self.spaces)?;
        self.tree.nodes[index as usize].first = self.tree.narratives.len() as u32;
        self.tree.narratives.push(text);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(open) = self.open.pop() {
            self.tree.nodes[open.node as usize].end = self.tokens.at() as u32;
            self.spaces.leave(open.declarations);
        }
    }
}
