//! What a collection holds: values of the document, and values that were computed.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::decimal::Decimal;
use super::moment::Moment;
use super::quantity::Quantity;
use crate::fhir::tape::NodeId;

/// One item of a collection.
#[derive(Clone, Debug)]
pub enum Item<'a> {
    /// A value of the document: an object, or a primitive value. A primitive element that has extensions and no
    /// value is the object that holds them.
    Node(NodeId),
    /// A boolean.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Decimal(Decimal),
    /// A text.
    String(Cow<'a, str>),
    /// A date, a dateTime or a time.
    Moment(Moment),
    /// A number with a unit.
    Quantity(Box<Quantity<'a>>),
    /// What `type()` answers.
    Type {
        /// `System`, not `FHIR`.
        is_system: bool,
        /// The name within it.
        name: &'a str,
    },
}

/// A collection.
pub type Items<'a> = SmallVec<[Item<'a>; 2]>;

impl<'a> Item<'a> {
    /// A text of any origin.
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn quantity(quantity: Quantity<'a>) -> Self {
        Self::Quantity(Box::new(quantity))
    }
}

/// A collection of at most one.
pub(super) fn some<'a>(item: impl Into<Option<Item<'a>>>) -> Items<'a> {
    item.into().into_iter().collect()
}
