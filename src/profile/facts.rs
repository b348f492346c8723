//! R4's definitions, compiled once from the tables under `profiles/r4/` (made by `scripts/r4_facts.py`).
//!
//! A type is a list of elements and a table from JSON property names to them, in which a choice has one name for
//! each of its types (R4 2.6.2.2: `value[x]` becomes `valueQuantity`). Looking a property up neither allocates
//! nor hashes the whole name: this is most of the work of checking a message.

use std::sync::LazyLock;

use foldhash::HashMap;

use super::primitive::Primitive;
use crate::fhir::names::{NameId, Names};

mod read;

/// Everything that is known about R4.
#[derive(Debug)]
pub struct Facts {
    types: Vec<Type>,
    lists: Vec<CodeList>,
    by_name: HashMap<&'static str, TypeId>,
    names: Names,
    /// Resource types by the number of their name.
    resource_type: NameId,
}

/// Which type, within [`Facts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(u16);

impl TypeId {
    /// No type at all: what stands where the facts have no element.
    pub const NONE: Self = Self(u16::MAX);

    /// As an index into [`Facts::types`].
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which code list, within [`Facts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListId(u16);

/// What a type's JSON looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An object whose `resourceType` says what it is; abstract ones stand for any resource.
    Resource {
        /// `Resource` and `DomainResource`.
        is_abstract: bool,
    },
    /// An object: a data type, or an element with children of its own.
    Complex,
    /// A string, number or boolean.
    Primitive(Primitive),
}

/// Types with a rule that no table row can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// None.
    None,
    /// Has a value or extensions (ext-1).
    Extension,
    /// Has a reference, an identifier or a display (R4 2.3.0).
    Reference,
    /// Matches a required list by its own system and code.
    Coding,
    /// Matches a required list by any of its codings.
    CodeableConcept,
    /// Says the size of its data.
    Attachment,
    /// Has a system that is an absolute URI: an Identifier, and the quantities.
    System,
}

/// One resource type, data type or element with children of its own.
#[derive(Debug)]
pub struct Type {
    /// `Patient`, `HumanName`, or the path of an element: `Patient.contact`.
    pub name: &'static str,
    /// What it specialises: `BackboneElement`, `DomainResource`.
    pub parent: Option<TypeId>,
    /// What its JSON looks like.
    pub kind: Kind,
    /// Its rule beyond the table.
    pub special: Special,
    /// Its elements in the order of their definition, the inherited ones first.
    pub elements: Vec<Element>,
    /// One bit for each element that must be there.
    pub required: u128,
    fields: Vec<Field>,
    /// From the number of a name to a field; an open-addressing table.
    slots: Box<[Slot]>,
}

/// Where a property's name leads to. Half of all values are plain ones, and what is asked of those is here too: a walk
/// that went to the field, its element and its type for each spent its time waiting for memory.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    name: NameId,
    field: u16,
    /// The property is an element that occurs once at most, is no choice, and is a primitive.
    pub plain: Option<Plain>,
}

/// A primitive that occurs once at most.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Index in [`Type::elements`].
    pub element: u8,
    /// What its value looks like.
    pub primitive: Primitive,
    /// The type of its value.
    pub kind: TypeId,
    /// The code list that its value must be from.
    pub list: Option<ListId>,
}

impl Slot {
    const FREE: Self = Self { name: NameId::UNKNOWN, field: 0, plain: None };
}

/// One element of a type.
#[derive(Debug)]
pub struct Element {
    /// Its name; of a choice without `[x]`, as in FHIRPath.
    pub name: &'static str,
    /// The number of that name in [`Facts::names`].
    pub name_id: NameId,
    /// May it repeat, and so is an array?
    pub many: bool,
    /// Does the table allow it at all? (`xhtml` may have no extension.)
    pub allowed: bool,
    /// Is it a choice of types?
    pub choice: bool,
    /// Is a quantity here a SimpleQuantity?
    pub simple: bool,
    /// The code list that its value must be from.
    pub list: Option<ListId>,
}

/// One JSON property of a type: an element, or a choice in one of its types.
#[derive(Debug)]
pub struct Field {
    /// The property's name.
    pub key: Box<str>,
    /// The number of that name in [`Facts::names`].
    pub name_id: NameId,
    /// Index in [`Type::elements`].
    pub element: u8,
    /// The type of its value.
    pub kind: TypeId,
    /// What a Reference may point to; empty for anything.
    pub targets: Box<[&'static str]>,
}

/// The codes of a required value set.
#[derive(Debug)]
pub struct CodeList {
    /// Its id below `http://hl7.org/fhir/ValueSet/`.
    pub name: &'static str,
    systems: Vec<(&'static str, Vec<&'static str>)>,
    sorted: Vec<&'static str>,
}

static R4: LazyLock<Facts> = LazyLock::new(|| {
    read::compile(include_str!("../../profiles/r4/structure.txt"), include_str!("../../profiles/r4/codes.txt"))
});

/// The facts of R4 4.0.1; compiled at the first call, in about a millisecond.
pub fn r4() -> &'static Facts {
    &R4
}

impl Facts {
    /// The type of this id.
    pub fn of(&self, id: TypeId) -> &Type {
        &self.types[usize::from(id.0)]
    }

    /// The code list of this id.
    pub fn list(&self, id: ListId) -> &CodeList {
        &self.lists[usize::from(id.0)]
    }

    /// The type of this name or path.
    pub fn id(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// Every property name of R4, and the names of all choices without their type.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The number of `resourceType`.
    #[inline]
    pub fn resource_type(&self) -> NameId {
        self.resource_type
    }

    /// The type of this name or path.
    pub fn named(&self, name: &str) -> Option<&Type> {
        self.by_name.get(name).map(|id| self.of(*id))
    }

    /// The number of the concrete resource type of this name.
    #[inline]
    pub fn resource_id(&self, name: &str) -> Option<TypeId> {
        let id = self.id(name)?;
        (self.of(id).kind == Kind::Resource { is_abstract: false }).then_some(id)
    }

    /// Is the type this one, or a specialisation of it?
    #[inline]
    pub fn is_a(&self, id: TypeId, base: TypeId) -> bool {
        let mut at = Some(id).filter(|id| *id != TypeId::NONE);
        while let Some(id) = at {
            if id == base {
                return true;
            }
            at = self.of(id).parent;
        }
        false
    }

    /// The names of a type and of all that it specialises, its own first.
    pub fn ancestors(&self, id: TypeId) -> impl Iterator<Item = &'static str> {
        std::iter::successors(Some(id), |id| self.of(*id).parent).map(|id| self.of(id).name)
    }

    /// The concrete resource type of this name.
    pub fn resource(&self, name: &str) -> Option<&Type> {
        self.named(name).filter(|found| found.kind == Kind::Resource { is_abstract: false })
    }

    /// A type's property of this name; true where it is the `_name` that holds a primitive's id and extensions.
    #[inline]
    pub fn field<'f>(&self, of: &'f Type, key: &str) -> Option<(&'f Field, bool)> {
        let name = self.names.find(key);
        Some((of.field_of(name)?, name.is_sibling()))
    }

    /// All types.
    pub fn types(&self) -> &[Type] {
        &self.types
    }
}

impl Type {
    /// The property of this number, with or without its underscore.
    #[inline]
    pub fn field_of(&self, name: NameId) -> Option<&Field> {
        self.slot_of(name).map(|slot| self.field(slot))
    }

    /// The same, as far as a name leads by itself.
    #[inline]
    pub fn slot_of(&self, name: NameId) -> Option<&Slot> {
        let wanted = name.plain();
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = wanted.index() & mask;
        // At most half of the slots is taken, so a free one ends the search.
        loop {
            let slot = &self.slots[at];
            if slot.name == wanted && wanted.is_known() {
                return Some(slot);
            }
            if !slot.name.is_known() {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    /// The property that a slot of this type leads to.
    #[inline]
    pub fn field(&self, slot: &Slot) -> &Field {
        &self.fields[usize::from(slot.field)]
    }

    /// The element that a property is of.
    #[inline]
    pub fn element(&self, field: &Field) -> &Element {
        &self.elements[usize::from(field.element)]
    }

    /// All properties.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
}

impl CodeList {
    /// Is it a code of any of the list's systems?
    pub fn has_code(&self, code: &str) -> bool {
        self.sorted.binary_search(&code).is_ok()
    }

    /// Is it this code of this system?
    pub fn has(&self, system: &str, code: &str) -> bool {
        self.systems.iter().any(|(own, codes)| *own == system && codes.contains(&code))
    }

    /// All codes, in the order of their definition.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.systems.iter().flat_map(|(_, codes)| codes.iter().copied())
    }
}

#[cfg(test)]
mod tests;
