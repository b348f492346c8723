//! Snapshots from differentials (R4 5.1.0.3 "Differential and Snapshot", 5.1.0.14 "Slicing").
//!
//! The base's snapshot becomes a tree, the differential becomes a tree, and the one is laid onto the other from the
//! root: elements merge, slices are made of what they slice, and where a differential goes deeper than the
//! snapshot does, the element's type or profile, or what it refers to, is unfolded there. Paths and ids are written
//! when all is done, so that nothing has to be renamed on the way.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::definition::{Definition, Derivation, Element};

mod apply;
mod differential;
mod merge;
mod tree;
mod unfold;

use self::differential::Change;
use self::tree::Node;

/// Where the definitions of R4 itself live.
pub(crate) const R4: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Deeper elements are not made: only a definition that unfolds itself has them.
const DEPTH_MAX: usize = 40;
/// So much of an id is shown that is too long.
const ID_SHOWN_MAX: usize = 200;
/// More elements than any definition needs.
const ELEMENTS_MAX: usize = 20_000;
/// Longest chain of definitions that are made because another needs them.
const CHAIN_MAX: usize = 24;

/// Where definitions are found.
pub trait Resolver {
    /// The definition of a canonical, perhaps with a version, as `user` means it.
    fn definition(&self, canonical: &str, user: &Definition) -> Option<&Definition>;
}

/// Gives all definitions of a list their snapshots, over each other; answers what could not be made.
pub fn complete(definitions: &mut [Definition]) -> Vec<(String, SnapshotError)> {
    let mut errors = Vec::new();
    let made: Vec<(usize, Vec<Element>)> = {
        let list = List(definitions.iter().map(|definition| (definition.url.as_str(), definition)).collect());
        let generator = Generator::new(&list);
        let bare = || definitions.iter().enumerate().filter(|(_, definition)| definition.snapshot.is_empty());
        let failed =
            bare().filter_map(|(_, definition)| Some((definition.url.clone(), generator.elements(definition).err()?)));
        errors.extend(failed);
        bare().filter_map(|(at, definition)| Some((at, generator.take(definition)?))).collect()
    };
    for (at, elements) in made {
        definitions[at].snapshot = elements;
    }
    errors
}

/// Definitions of one version, by URL.
struct List<'d>(HashMap<&'d str, &'d Definition>);

impl Resolver for List<'_> {
    fn definition(&self, canonical: &str, _: &Definition) -> Option<&Definition> {
        let url = canonical.split('|').next().unwrap_or_default();
        self.0.get(url).copied()
    }
}

/// A snapshot cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {fault}")]
pub struct SnapshotError {
    /// The id of the element in the differential; of the definition's root where it is not about one.
    pub element: String,
    /// What is wrong.
    pub fault: SnapshotFault,
}

/// What is wrong with a differential, or missing around it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// The base is in no package.
    #[error("the base {0} is not loaded")]
    BaseUnknown(String),
    /// There is neither a base nor a snapshot.
    #[error("there is no base to start from")]
    BaseMissing,
    /// A type, or a profile of one, is in no package.
    #[error("{0} is not loaded, but the differential goes into it")]
    TypeUnknown(String),
    /// A definition needs itself.
    #[error("the snapshot of {0} needs itself")]
    Cycle(String),
    /// The base has no such element.
    #[error("the base has no such element")]
    ElementUnknown,
    /// What it goes into may be of several types.
    #[error("the element may be of several types: a slice by type must say which is meant")]
    TypeAmbiguous,
    /// The element has no type to go into.
    #[error("the element has nothing inside")]
    NoContent,
    /// The elements of a snapshot do not follow each other.
    #[error("the snapshot of {0} has an element without the one that it is in")]
    Disordered(String),
    /// It grows beyond all measure.
    #[error("the snapshot grows beyond the limit")]
    TooLarge,
}

/// Makes snapshots, and keeps what it made on the way.
pub struct Generator<'r> {
    resolver: &'r dyn Resolver,
    made: RefCell<HashMap<*const Definition, Rc<Vec<Element>>>>,
    under_way: RefCell<Vec<*const Definition>>,
}

impl<'r> Generator<'r> {
    /// Over these definitions.
    pub fn new(resolver: &'r dyn Resolver) -> Self {
        Self { resolver, made: RefCell::default(), under_way: RefCell::default() }
    }

    /// Makes the snapshot from base and differential, whether the definition brings one or not.
    pub fn snapshot(&self, definition: &Definition) -> Result<Vec<Element>, SnapshotError> {
        let key = std::ptr::from_ref(definition);
        let fail = |fault| SnapshotError { element: definition.type_name.clone(), fault };
        {
            let mut under_way = self.under_way.borrow_mut();
            if under_way.contains(&key) || CHAIN_MAX < under_way.len() {
                return Err(fail(SnapshotFault::Cycle(definition.url.clone())));
            }
            under_way.push(key);
        }
        let made = self.make(definition);
        self.under_way.borrow_mut().pop();
        made
    }

    fn make(&self, definition: &Definition) -> Result<Vec<Element>, SnapshotError> {
        let fail = |fault| SnapshotError { element: definition.type_name.clone(), fault };
        let change = Change::read(&definition.differential).map_err(|element| SnapshotError {
            element: element.chars().take(ID_SHOWN_MAX).collect(),
            fault: SnapshotFault::TooLarge,
        })?;
        let Some(canonical) = &definition.base else {
            return match definition.derivation {
                Derivation::Specialization => Ok(definition.differential.clone()),
                Derivation::Constraint => Err(fail(SnapshotFault::BaseMissing)),
            };
        };
        let base = self.resolver.definition(canonical, definition);
        let base = base.ok_or_else(|| fail(SnapshotFault::BaseUnknown(canonical.clone())))?;
        let elements = self.elements(base)?;
        let mut root = Node::read(&elements).map_err(|()| fail(SnapshotFault::Disordered(base.url.clone())))?;
        if definition.derivation == Derivation::Specialization {
            definition.type_name.clone_into(&mut root.name);
        }
        apply::Application::new(self, definition).run(&mut root, &change)?;
        let mut snapshot = Vec::with_capacity(elements.len() * 2);
        root.write(&mut snapshot);
        Ok(snapshot)
    }

    /// The snapshot that a definition brings; else the one that is made, once.
    pub fn elements(&self, definition: &'r Definition) -> Result<Elements<'r>, SnapshotError> {
        if !definition.snapshot.is_empty() {
            return Ok(Elements::Brought(&definition.snapshot));
        }
        let key = std::ptr::from_ref(definition);
        if let Some(made) = self.made.borrow().get(&key) {
            return Ok(Elements::Made(Rc::clone(made)));
        }
        let mut made = self.snapshot(definition)?;
        made.shrink_to_fit();
        let made = Rc::new(made);
        self.made.borrow_mut().insert(key, Rc::clone(&made));
        Ok(Elements::Made(made))
    }

    /// What was made for a definition; it is made anew if it is asked for again.
    pub fn take(&self, definition: &Definition) -> Option<Vec<Element>> {
        let made = self.made.borrow_mut().remove(&std::ptr::from_ref(definition))?;
        Some(Rc::try_unwrap(made).unwrap_or_else(|made| made.to_vec()))
    }
}

/// A snapshot, wherever it came from.
pub enum Elements<'r> {
    /// From the definition itself.
    Brought(&'r [Element]),
    /// From base and differential.
    Made(Rc<Vec<Element>>),
}

impl std::ops::Deref for Elements<'_> {
    type Target = [Element];

    fn deref(&self) -> &[Element] {
        match self {
            Self::Brought(elements) => elements,
            Self::Made(elements) => elements,
        }
    }
}
