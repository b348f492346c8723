//! FHIR XML, read into JSON and written from it (R4 2.6.1 "XML Representation").
//!
//! Everything inside works on JSON, so XML is turned into it at the edge and back. Neither way can be gone without
//! knowing the types: that `given` repeats and is an array, that `value` of `valueDecimal` is a number, that
//! `contained` wraps a resource. All of it is asked of a [`Schema`], so that this module stays below the profiles.
//!
//! [`read`] gives JSON in the order of the document, and with it the place in the XML of every JSON member:
//! whoever checks the JSON can name the line and column in the XML. It finds two kinds of fault:
//!
//! * what is not well-formed, or not read here at all (a document type, an entity, XML 1.1), is an [`XmlError`];
//! * what JSON cannot show (wrong order, a stray attribute or text, a foreign namespace) is in [`Parsed::issues`].
//!
//! All else that is wrong is carried into the JSON as it is, so that the structure check says it once: unknown
//! elements under their own name, `value="yes"` of a boolean as a string, what may not repeat as an array.
//!
//! A narrative is carried letter for letter, as long as it declares its own namespaces.

mod into_json;
mod namespace;
mod narrative;
mod place;
mod tag;
mod tokens;
mod tree;
mod writer;

use std::fmt;

use crate::issue::{self, Code, Issue, Issues};

pub use self::place::{Places, Position, position};
pub use self::writer::write;
/// The limits of JSON hold for XML too: bytes of the XML, and depth and values of the JSON that is made of it.
pub use super::json::Limits;

/// The namespace of all of FHIR's elements.
pub const FHIR_NAMESPACE: &str = "http://hl7.org/fhir";

/// The namespace of narratives.
pub const XHTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// What must be known of the types.
pub trait Schema {
    /// A type, or an element with children of its own.
    type Kind: Copy;

    /// The resource type of this name.
    fn resource(&self, name: &str) -> Option<Self::Kind>;

    /// What a primitive has besides its value: `id` and `extension`.
    fn primitive(&self) -> Self::Kind;

    /// The element of a type, by its name in JSON and XML: `valueQuantity`, not `value[x]`.
    fn element(&self, of: Self::Kind, name: &str) -> Option<Element<Self::Kind>>;
}

/// An element, as far as its form depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Element<K> {
    /// Its place among the elements of its type, which is their order in XML; all types of a choice have the same.
    pub position: u8,
    /// How much of its name FHIRPath uses: 5 of `valueQuantity`.
    pub stem: usize,
    /// Is it an array in JSON?
    pub many: bool,
    /// Is it an attribute in XML?
    pub attribute: bool,
    /// What it holds.
    pub content: Content<K>,
}

/// What an element holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<K> {
    /// Elements of this type.
    Complex(K),
    /// Any resource; XML has it as the only child.
    Resource,
    /// A value, in XML's attribute `value`.
    Primitive(Shape),
    /// XHTML.
    Narrative,
}

/// How JSON writes a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// In quotes.
    Text,
    /// `true` and `false`.
    Boolean,
    /// A number, of which XML allows a plus sign.
    Integer,
    /// A number.
    Decimal,
}

/// A resource that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The same in JSON, without white space, in the order of the XML.
    pub json: Vec<u8>,
    /// Where in the XML each part of that JSON stands.
    pub places: Places,
    /// What is wrong in the XML and cannot be seen in the JSON.
    pub issues: Issues,
}

/// What is wrong with a body that is not XML, or not XML that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlFault {
    /// More bytes than `Limits::bytes_max`.
    TooLarge,
    /// More values than `Limits::values_max`.
    TooManyValues,
    /// Nested deeper than `Limits::depth_max`.
    TooDeep,
    /// More attributes of one element, or namespaces in scope, than any resource needs.
    TooManyAttributes,
    /// Not UTF-8.
    Utf8,
    /// Another encoding than UTF-8, by its declaration or its first bytes.
    Encoding,
    /// Another version than 1.0.
    Version,
    /// A declaration that is malformed, or not at the very start.
    Declaration,
    /// Nothing but white space.
    Empty,
    /// Ends within an element.
    Unfinished,
    /// Goes on after the root.
    Trailing,
    /// No markup of XML's.
    Markup,
    /// An end tag that does not end the element that is open.
    EndTag,
    /// No name where one must stand.
    Name,
    /// An attribute that is malformed.
    Attribute,
    /// The same attribute twice.
    DuplicateAttribute,
    /// A character that XML 1.0 does not allow.
    Character,
    /// An entity; only the five of XML itself and characters by number are known.
    Entity,
    /// A document type.
    Doctype,
    /// A processing instruction.
    Instruction,
    /// A prefix that is not declared, or wrongly.
    Prefix,
    /// The root is not of FHIR's namespace, or a narrative mixes namespaces.
    Namespace,
}

impl XmlFault {
    /// The kind of issue that it is.
    pub fn code(self) -> &'static Code {
        match self {
            Self::TooLarge | Self::TooManyValues => &issue::BODY_TOO_LARGE,
            Self::TooDeep => &issue::JSON_TOO_DEEP,
            Self::Utf8 | Self::Encoding => &issue::UTF8_INVALID,
            Self::Doctype | Self::Entity | Self::Instruction => &issue::XML_FORBIDDEN,
            Self::Namespace => &issue::XML_NAMESPACE,
            _ => &issue::XML_INVALID,
        }
    }

    /// What is expected instead.
    pub fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "the body has more bytes than are read here",
            Self::TooManyValues => "the body has more elements than are read here",
            Self::TooDeep => "elements are nested deeper than is read here",
            Self::TooManyAttributes => "there are more attributes or namespaces than are read here",
            Self::Utf8 => "XML must be encoded as UTF-8 here, and these bytes are not",
            Self::Encoding => "only UTF-8 is read here: send the body in that encoding",
            Self::Version => "only XML 1.0 is read here",
            Self::Declaration => "an XML declaration must be well-formed, and at the very start",
            Self::Empty => "the body is empty; an XML element is expected",
            Self::Unfinished => "the body ends before the element that begins here",
            Self::Trailing => "nothing may stand before or after the one root element",
            Self::Markup => "this is not well-formed XML",
            Self::EndTag => "this end tag does not end the element that is open",
            Self::Name => "a name is expected here",
            Self::Attribute => "an attribute is a blank, a name, an equals sign and a value in quotes",
            Self::DuplicateAttribute => "the element has this attribute twice",
            Self::Character => "this is not a character of XML",
            Self::Entity => "no entities are read here but lt, gt, amp, quot, apos and characters by number",
            Self::Doctype => "no document type is read here: send the body without it",
            Self::Instruction => "no processing instructions are read here",
            Self::Prefix => "this namespace prefix is not declared, or may not be declared so",
            Self::Namespace => "FHIR's elements are in http://hl7.org/fhir, and narratives in XHTML's namespace",
        }
    }
}

/// Where and why reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlError {
    /// What is wrong.
    pub kind: XmlFault,
    /// Offset of the offending byte, from 0.
    pub offset: usize,
    /// Its line and column.
    pub position: Position,
}

impl XmlError {
    /// The kind of issue that it is.
    pub fn code(&self) -> &'static Code {
        self.kind.code()
    }

    /// The same as an issue: position, no value from the body.
    pub fn issue(&self) -> Issue {
        let (first, rest) = self.kind.text().split_at(1);
        let text = format!("{}{rest}.", first.to_ascii_uppercase());
        Issue::with(self.code(), "", text).at_line(self.position.line, self.position.column)
    }
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.text(), self.position)
    }
}

impl std::error::Error for XmlError {}

/// A fault on its way out; the offset is within the text.
#[derive(Clone, Copy, Debug)]
struct Failure {
    kind: XmlFault,
    offset: usize,
}

type Read<T> = Result<T, Failure>;

const fn fail<T>(kind: XmlFault, offset: usize) -> Read<T> {
    Err(Failure { kind, offset })
}

/// Reads one resource that is all of `bytes`.
pub fn read<S: Schema>(bytes: &[u8], limits: &Limits, schema: &S) -> Result<Parsed, XmlError> {
    let parsed = tokens::text(bytes, limits).and_then(|text| {
        let tree = tree::read(text, limits)?;
        into_json::write(&tree, bytes, limits, schema)
    });
    parsed.map_err(|Failure { kind, offset }| XmlError { kind, offset, position: position(bytes, offset) })
}

#[cfg(test)]
mod tests;
