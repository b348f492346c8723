//! FHIR XML by R4's own definitions: [`crate::fhir::xml`] with the facts as its schema.
//!
//! The reader and the writer stand with the other form of FHIR, in [`crate::fhir`], which knows no types. What they
//! must know of them is the small trait [`Schema`]; this is the one place where it is answered.

use serde_json::Value;

use super::facts::{Facts, Kind, Type, TypeId, r4};
use super::primitive::Primitive;
use crate::fhir::xml::{self, Content, Element, Limits, Parsed, Schema, Shape, XmlError};
use crate::issue::Issues;

/// Reads one resource of R4 that is all of `bytes`.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Parsed, XmlError> {
    xml::read(bytes, limits, r4())
}

/// Writes a resource of R4; what XML cannot say is in the issues.
pub fn write(resource: &Value) -> (Vec<u8>, Issues) {
    xml::write(resource, r4())
}

impl Schema for Facts {
    type Kind = TypeId;

    fn resource(&self, name: &str) -> Option<TypeId> {
        self.resource(name).and_then(|_| self.id(name))
    }

    fn primitive(&self) -> TypeId {
        self.id("Element").unwrap_or(TypeId::NONE)
    }

    fn element(&self, of: TypeId, name: &str) -> Option<Element<TypeId>> {
        let kind = self.of(of);
        let (field, false) = self.field(kind, name)? else { return None };
        let element = kind.element(field);
        let content = match self.of(field.kind).kind {
            Kind::Complex => Content::Complex(field.kind),
            Kind::Resource { .. } => Content::Resource,
            Kind::Primitive(Primitive::Xhtml) => Content::Narrative,
            Kind::Primitive(primitive) => Content::Primitive(shape(primitive)),
        };
        let attribute = is_attribute(kind, element.name);
        Some(Element { position: field.element, stem: element.name.len(), many: element.many, attribute, content })
    }
}

fn shape(primitive: Primitive) -> Shape {
    match primitive {
        Primitive::Boolean => Shape::Boolean,
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => Shape::Integer,
        Primitive::Decimal => Shape::Decimal,
        _ => Shape::Text,
    }
}

/// Ids of elements and the url of an extension are attributes (R4 2.6.1); a resource's id is an element.
fn is_attribute(kind: &Type, name: &str) -> bool {
    match name {
        "id" => kind.kind == Kind::Complex,
        "url" => kind.name == "Extension",
        _ => false,
    }
}
