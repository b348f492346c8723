//! Which namespace a name is of (Namespaces in XML 1.0).

use super::tag::{RawAttribute, split};
use super::{FHIR_NAMESPACE, Read, XHTML_NAMESPACE, XmlFault, fail};

/// More prefixes than this are never in scope at once, so that looking one up costs little.
const BINDINGS_MAX: usize = 64;

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A namespace, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Fhir,
    Xhtml,
    /// `xml:lang` and its like.
    Xml,
    /// Hints for validators, such as `xsi:schemaLocation`.
    SchemaInstance,
    Other,
    /// None at all.
    None,
}

/// The declarations in scope, the innermost last.
#[derive(Debug, Default)]
pub(super) struct Namespaces<'x>(Vec<(&'x str, Space)>);

impl<'x> Namespaces<'x> {
    /// With a default namespace.
    pub(super) fn within(space: Space) -> Self {
        Self(vec![("", space)])
    }

    /// How many there are; see [`Self::leave`].
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets all but the first `len`.
    pub(super) fn leave(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Takes the attribute in, if it declares a namespace.
    pub(super) fn declare(&mut self, attribute: &RawAttribute<'x>) -> Read<bool> {
        let prefix = match split(attribute.name) {
            ("", "xmlns") => "",
            ("xmlns", prefix) => prefix,
            _ => return Ok(false),
        };
        let uri = attribute.value()?;
        let reserved = prefix == "xmlns" || &*uri == XMLNS || (prefix == "xml") != (&*uri == XML);
        if reserved || (uri.is_empty() && !prefix.is_empty()) {
            return fail(XmlFault::Prefix, attribute.offset);
        }
        let space = space(&uri);
        // Some writers declare FHIR's namespace anew at every element.
        if space == Space::Fhir && self.of(prefix, attribute.offset).is_ok_and(|(now, _)| now == space) {
            return Ok(true);
        }
        if self.0.len() == BINDINGS_MAX {
            return fail(XmlFault::TooManyAttributes, attribute.offset);
        }
        self.0.push((prefix, space));
        Ok(true)
    }

    /// The namespace of a prefix, and which declaration says so.
    pub(super) fn of(&self, prefix: &str, offset: usize) -> Read<(Space, Option<usize>)> {
        match (self.0.iter().rposition(|(own, _)| *own == prefix), prefix) {
            (Some(index), _) => Ok((self.0[index].1, Some(index))),
            (None, "") => Ok((Space::None, None)),
            (None, "xml") => Ok((Space::Xml, None)),
            (None, _) => fail(XmlFault::Prefix, offset),
        }
    }
}

fn space(uri: &str) -> Space {
    match uri {
        "" => Space::None,
        FHIR_NAMESPACE => Space::Fhir,
        XHTML_NAMESPACE => Space::Xhtml,
        SCHEMA_INSTANCE => Space::SchemaInstance,
        XML => Space::Xml,
        _ => Space::Other,
    }
}
