//! What an expression is compiled to: names as numbers, types as sets, tests apart from what yields items.

use regex::Regex;

use super::document::Document;
use super::functions::Function;
use super::item::Item;
use crate::fhir::names::NameId;
use crate::profile::facts::{Kind, TypeId};

/// Anything that yields a collection.
#[derive(Debug)]
pub(super) enum Op {
    Nothing,
    Constants(Box<[Constant]>),
    /// `$this`; at the start of an expression its context.
    This,
    Index,
    Total,
    Context,
    Resource,
    Root,
    /// Elements by name, from each item of a start.
    Path(Box<Op>, Vec<Member>),
    /// `Patient` at the start of a path: the item itself, if it is one.
    OfKind(Box<Op>, TypeTest),
    /// `as` and `ofType`: the items of exactly this type.
    OfType(Box<Op>, TypeTest),
    At(Box<Op>, Box<Op>),
    Where(Box<Op>, Box<Op>),
    Select(Box<Op>, Box<Op>),
    Extension(Box<Op>, Box<Op>),
    Part(Box<Op>, Part),
    Children(Box<Op>),
    Descendants(Box<Op>),
    Union(Vec<Op>),
    Test(Box<Test>),
    Negative(Box<Op>),
    Reckon(Reckoning, Box<Op>, Box<Op>),
    Call(Box<Call>),
}

/// Which items of a collection.
#[derive(Debug)]
pub(super) enum Part {
    First,
    Last,
    Tail,
    Skip(Box<Op>),
    Take(Box<Op>),
}

/// Anything that yields true, false or nothing.
#[derive(Debug)]
pub(super) enum Test {
    Or(Vec<Op>),
    And(Vec<Op>),
    Xor(Op, Op),
    Implies(Op, Op),
    Not(Op),
    Exists(Op),
    ExistsWhere(Op, Op),
    Empty(Op),
    All(Op, Op),
    HasValue(Op),
    /// Is the one item this text? False: is it not?
    EqualsText(Op, Box<str>, bool),
    AmongTexts(Op, Box<[Box<str>]>),
    Equal(Op, Op, bool),
    Equivalent(Op, Op, bool),
    Order(Order, Op, Op),
    /// Of two tests: do they say the same?
    SameTruth(Op, Op, bool),
    In(Op, Op),
    Is(Op, TypeTest),
    /// Has the one item this text in it?
    HasText(Op, Place, Box<str>),
    Matches(Op, Regex),
    IsDistinct(Op),
}

/// Where in a text another one is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Start,
    End,
    Anywhere,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Reckoning {
    Plus,
    Minus,
    Times,
    Over,
    Div,
    Mod,
    Concat,
}

/// A function that needs its whole input.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) input: Op,
    pub(super) given: Vec<Op>,
    /// The pattern, where it is written in the expression.
    pub(super) pattern: Option<Regex>,
}

#[derive(Debug)]
pub(super) enum Constant {
    Text(Box<str>),
    Other(Item<'static>),
}

impl Constant {
    pub(super) fn item(&self) -> Item<'_> {
        match self {
            Self::Text(text) => Item::text(&**text),
            Self::Other(item) => item.clone(),
        }
    }
}

/// An element by its name.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: NameId,
    /// The name of what goes with a primitive value of this name; where there is no such name the name itself.
    pub(super) sibling: NameId,
    /// Properties of choices of this name, sorted.
    pub(super) choices: Box<[NameId]>,
    /// Is it the property of a choice in some type, such as `valueQuantity`?
    pub(super) is_property_of_choice: bool,
    /// Have primitive elements it too: `id` and `extension`?
    pub(super) of_element: bool,
    /// The same name, for what `type()` answers.
    pub(super) text: Box<str>,
}

/// How a property's name goes with a member's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    No,
    /// It is the name.
    Name,
    /// It is a choice of this name in one of its types.
    Choice,
}

impl Member {
    #[inline]
    pub(super) fn matches(&self, name: NameId) -> Match {
        if name == self.name || name == self.sibling {
            // A name that no type has is compared by its text, of which nobody asks here.
            return if name.is_known() { Match::Name } else { Match::No };
        }
        if !self.choices.is_empty() && self.has_choice(name.plain()) { Match::Choice } else { Match::No }
    }

    fn has_choice(&self, plain: NameId) -> bool {
        // Names are numbered in the order of the alphabet, so those of a choice stand together.
        let (Some(first), Some(last)) = (self.choices.first(), self.choices.last()) else { return false };
        *first <= plain && plain <= *last && self.choices.binary_search(&plain).is_ok()
    }
}

/// FHIRPath's own types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SystemType {
    Boolean,
    String,
    Integer,
    Decimal,
    Date,
    DateTime,
    Time,
    Quantity,
}

/// Is something of a type?
#[derive(Debug)]
pub(super) struct TypeTest {
    /// The type itself.
    pub(super) own: Option<TypeId>,
    /// It and all that specialise it.
    pub(super) all: Box<[TypeId]>,
    pub(super) group: Option<Group>,
    pub(super) system: Option<SystemType>,
}

/// Types that are too many to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Resource,
    DomainResource,
    Element,
    BackboneElement,
}

impl TypeTest {
    /// Is it of the type, or of one that specialises it?
    pub(super) fn is(&self, document: &Document<'_>, item: &Item<'_>) -> bool {
        match item {
            Item::Node(node) => {
                let id = document.type_id(*node);
                id != TypeId::NONE && (self.all.contains(&id) || self.in_group(document, id))
            }
            item => self.system.is_some() && self.system == system_type(item),
        }
    }

    /// Is it of exactly the type? Abstract ones stand for all that specialise them.
    pub(super) fn is_exactly(&self, document: &Document<'_>, item: &Item<'_>) -> bool {
        match item {
            Item::Node(node) => {
                let id = document.type_id(*node);
                id != TypeId::NONE && (self.own == Some(id) || self.in_group(document, id))
            }
            item => self.is(document, item),
        }
    }

    fn in_group(&self, document: &Document<'_>, id: TypeId) -> bool {
        let Some(group) = self.group else { return false };
        let kind = document.facts.of(id);
        let is_resource = matches!(kind.kind, Kind::Resource { .. });
        match group {
            Group::Resource => is_resource,
            Group::DomainResource => is_resource && document.facts.field(kind, "contained").is_some(),
            Group::Element => !is_resource,
            Group::BackboneElement => !is_resource && document.facts.field(kind, "modifierExtension").is_some(),
        }
    }
}

/// Which of FHIRPath's own types a computed item has.
pub(super) fn system_type(item: &Item<'_>) -> Option<SystemType> {
    use super::moment::MomentKind;
    Some(match item {
        Item::Boolean(_) => SystemType::Boolean,
        Item::Integer(_) => SystemType::Integer,
        Item::Decimal(_) => SystemType::Decimal,
        Item::String(_) => SystemType::String,
        Item::Quantity(_) => SystemType::Quantity,
        Item::Moment(moment) => match moment.kind {
            MomentKind::Date => SystemType::Date,
            MomentKind::DateTime => SystemType::DateTime,
            MomentKind::Time => SystemType::Time,
        },
        Item::Node(_) | Item::Type { .. } => return None,
    })
}
