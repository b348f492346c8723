//! StructureDefinition from JSON. What is not held is skipped without being built.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{
    Binding, Constraint, Context, Controls, Definition, Derivation, Discriminator, Element, Kind, Max, Prescribed,
    Slicing, SlicingRules, Strength, TypeRef,
};

const EXTENSION: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A property's name, borrowed from the text where nothing is escaped in it.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a property name")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// A StructureDefinition as it is written.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDefinition {
    url: String,
    version: Option<String>,
    // Required by R4, but nothing is made of it.
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    kind: Kind,
    #[serde(default, rename = "abstract", deserialize_with = "lenient_bool")]
    is_abstract: bool,
    derivation: Option<Derivation>,
    base_definition: Option<String>,
    #[serde(default)]
    context: Vec<Context>,
    #[serde(default)]
    context_invariant: Vec<String>,
    #[serde(default)]
    snapshot: ElementList,
    #[serde(default)]
    differential: ElementList,
}

/// `true`, or `"true"` as converters from XML write it.
fn lenient_bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Bool(value) => Ok(value),
        Value::String(text) if text == "true" || text == "false" => Ok(text == "true"),
        _ => Err(serde::de::Error::custom("a boolean is expected")),
    }
}

#[derive(Default, serde::Deserialize)]
struct ElementList {
    #[serde(default)]
    element: Vec<Element>,
}

impl<'de> Deserialize<'de> for Definition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawDefinition::deserialize(deserializer)?;
        Ok(Self {
            url: raw.url,
            version: raw.version,
            name: raw.name,
            type_name: last_segment(raw.type_name, raw.kind),
            kind: raw.kind,
            is_abstract: raw.is_abstract,
            derivation: raw.derivation.unwrap_or(Derivation::Specialization),
            base: raw.base_definition,
            contexts: raw.context,
            context_invariants: raw.context_invariant,
            snapshot: raw.snapshot.element,
            differential: raw.differential.element,
        })
    }
}

/// FHIR's own types may be given as URLs; a logical model's type stays the URL that it is.
fn last_segment(name: String, kind: Kind) -> String {
    match name.strip_prefix(EXTENSION) {
        Some(own) if kind != Kind::Logical => own.to_owned(),
        _ => name,
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ElementDefinition")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let mut element = Element::default();
        while let Some(Key(key)) = map.next_key()? {
            if !read_member(&mut element, &key, &mut map)? {
                read_value(&mut element, &key, &mut map)?;
            }
        }
        if element.path.is_empty() {
            return Err(A::Error::missing_field("path"));
        }
        if element.id.is_empty() {
            element.id.clone_from(&element.path);
        }
        Ok(element)
    }
}

/// Reads a member of a fixed name; false where the name is none of them.
fn read_member<'de, A: MapAccess<'de>>(element: &mut Element, key: &str, map: &mut A) -> Result<bool, A::Error> {
    match key {
        "id" => element.id = map.next_value()?,
        "extension" => element.controls = controls(&map.next_value::<Vec<RawExtension>>()?),
        "path" => element.path = map.next_value()?,
        "sliceName" => element.slice_name = map.next_value()?,
        "slicing" => element.slicing = Some(map.next_value()?),
        "min" => element.min = map.next_value()?,
        "max" => element.max = map.next_value()?,
        "base" => {
            let base: RawBase = map.next_value()?;
            element.base_path = base.path;
            element.base_max = base.max;
        }
        "contentReference" => element.content_reference = map.next_value()?,
        "type" => element.types = map.next_value()?,
        "maxLength" => element.max_length = map.next_value()?,
        "constraint" => element.constraints = map.next_value()?,
        "mustSupport" => element.must_support = map.next_value()?,
        "isModifier" => element.is_modifier = map.next_value()?,
        "binding" => element.binding = Some(map.next_value()?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads a member whose name says its type; anything else is skipped.
fn read_value<'de, A: MapAccess<'de>>(element: &mut Element, key: &str, map: &mut A) -> Result<(), A::Error> {
    let typed = |prefix: &str| {
        let suffix = key.strip_prefix(prefix)?;
        suffix.starts_with(|first: char| first.is_ascii_uppercase()).then(|| suffix.to_owned())
    };
    let slots: [(&str, &mut Option<Prescribed>); 4] = [
        ("fixed", &mut element.fixed),
        ("pattern", &mut element.pattern),
        ("minValue", &mut element.min_value),
        ("maxValue", &mut element.max_value),
    ];
    for (prefix, slot) in slots {
        if let Some(suffix) = typed(prefix) {
            *slot = Some(Box::new((suffix, map.next_value()?)));
            return Ok(());
        }
    }
    map.next_value::<IgnoredAny>().map(drop)
}

#[derive(serde::Deserialize)]
struct RawBase {
    path: Option<String>,
    max: Option<Max>,
}

impl<'de> Deserialize<'de> for Max {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MaxVisitor;
        impl Visitor<'_> for MaxVisitor {
            type Value = Max;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in a string, or *")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Max, E> {
                let unexpected = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                if text == "*" { Ok(Max::Many) } else { text.parse().map(Max::Count).map_err(|_| unexpected()) }
            }
        }
        deserializer.deserialize_str(MaxVisitor)
    }
}

/// What extensions of an element ask of its content.
fn controls(extensions: &[RawExtension]) -> Option<Box<Controls>> {
    const ALTERNATIVES: &str =
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.valueAlternatives";
    let texts = |url: &str| {
        let own = extensions.iter().filter(move |it| it.url == url);
        own.filter_map(|it| it.value.as_ref()?.as_str().map(ToOwned::to_owned)).collect::<Vec<_>>()
    };
    let controls = Controls {
        sources: extension_text(extensions, "narrative-source-control"),
        languages: texts(&format!("{EXTENSION}narrative-language-control")),
        alternatives: texts(ALTERNATIVES),
    };
    (controls != Controls::default()).then(|| Box::new(controls))
}

/// An extension within a definition, with the only values that are looked at.
#[derive(serde::Deserialize)]
struct RawExtension {
    #[serde(default)]
    url: String,
    #[serde(alias = "valueUrl", alias = "valueUri", alias = "valueString", alias = "valueCanonical")]
    #[serde(alias = "valueReference", alias = "valueCode", default)]
    value: Option<Value>,
}

fn extension_text(extensions: &[RawExtension], name: &str) -> Option<String> {
    let own = |extension: &&RawExtension| extension.url.strip_prefix(EXTENSION) == Some(name);
    let value = extensions.iter().find(own)?.value.as_ref()?;
    value.as_str().or_else(|| value["reference"].as_str()).map(ToOwned::to_owned)
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawType {
    #[serde(default)]
    extension: Vec<RawExtension>,
    #[serde(default)]
    code: String,
    #[serde(default)]
    profile: Vec<String>,
    #[serde(default, rename = "_profile")]
    profile_halves: Vec<Option<RawHalf>>,
    #[serde(default)]
    target_profile: Vec<String>,
    #[serde(default)]
    aggregation: Vec<String>,
    versioning: Option<String>,
}

/// The `_` half of a primitive.
#[derive(serde::Deserialize)]
struct RawHalf {
    #[serde(default)]
    extension: Vec<RawExtension>,
}

impl<'de> Deserialize<'de> for TypeRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawType::deserialize(deserializer)?;
        Ok(Self {
            code: type_code(&raw),
            profiles: with_elements(raw.profile, &raw.profile_halves),
            target_profiles: raw.target_profile,
            aggregation: raw.aggregation,
            versioning: raw.versioning,
        })
    }
}

/// An element of a profile is meant where the `profile-element` extension says so: `url#Composition.section:plan`.
fn with_elements(mut profiles: Vec<String>, halves: &[Option<RawHalf>]) -> Vec<String> {
    for (profile, half) in profiles.iter_mut().zip(halves) {
        let extensions = half.as_ref().map(|half| half.extension.as_slice()).unwrap_or_default();
        if let Some(element) = extension_text(extensions, "elementdefinition-profile-element") {
            profile.push('#');
            profile.push_str(&element);
        }
    }
    profiles
}

fn type_code(raw: &RawType) -> String {
    let system = raw.code.strip_prefix("http://hl7.org/fhirpath/");
    match system {
        Some(system) => {
            extension_text(&raw.extension, "structuredefinition-fhir-type").unwrap_or_else(|| system.to_owned())
        }
        None => raw.code.strip_prefix(EXTENSION).unwrap_or(&raw.code).to_owned(),
    }
}

#[derive(serde::Deserialize)]
struct RawConstraint {
    key: String,
    severity: Option<String>,
    expression: Option<String>,
    source: Option<String>,
}

impl<'de> Deserialize<'de> for Constraint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawConstraint::deserialize(deserializer)?;
        let is_error = raw.severity.as_deref() != Some("warning");
        Ok(Self { key: raw.key, is_error, expression: raw.expression, source: raw.source })
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBinding {
    #[serde(default)]
    extension: Vec<RawExtension>,
    strength: Strength,
    #[serde(alias = "valueSetUri")]
    value_set: Option<String>,
}

impl<'de> Deserialize<'de> for Binding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawBinding::deserialize(deserializer)?;
        let max_value_set = extension_text(&raw.extension, "elementdefinition-maxValueSet");
        Ok(Self { strength: raw.strength, value_set: raw.value_set, max_value_set })
    }
}

#[derive(serde::Deserialize)]
struct RawSlicing {
    #[serde(default)]
    discriminator: Vec<Discriminator>,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    rules: SlicingRules,
}

impl<'de> Deserialize<'de> for Slicing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawSlicing::deserialize(deserializer)?;
        Ok(Self { discriminators: raw.discriminator, ordered: raw.ordered, rules: raw.rules })
    }
}

/// A resource's type, wherever in the object it stands. Nothing behind it is read.
pub fn resource_type(bytes: &[u8]) -> Option<String> {
    let mut found = None;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    // The rest of the object is left unread, which the reader takes for an error.
    let _ = deserializer.deserialize_map(TypeVisitor(&mut found));
    found
}

struct TypeVisitor<'f>(&'f mut Option<String>);

impl<'de> Visitor<'de> for TypeVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            if key == "resourceType" {
                *self.0 = map.next_value()?;
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(element: &str) -> Definition {
        let text = format!(
            r#"{{"resourceType": "StructureDefinition", "url": "http://x/y", "name": "Y", "type": "Patient",
            "kind": "resource", "abstract": false, "derivation": "constraint", "text": {{"div": "…"}},
            "differential": {{"element": [{element}]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn values_are_told_by_the_prefix_of_their_name() {
        let read = definition(
            r#"{"id": "Patient.x", "path": "Patient.x", "fixedUri": "urn:x", "minValueDate": "2020-01-01",
            "patternCodeableConcept": {"text": "a"}, "maxLength": 3, "_fixedUri": {}, "max": "*", "min": 1}"#,
        );
        let [element] = read.differential.as_slice() else { panic!("one element") };
        assert_eq!(element.fixed, Some(Box::new(("Uri".into(), "urn:x".into()))));
        assert_eq!(element.min_value, Some(Box::new(("Date".into(), "2020-01-01".into()))));
        assert_eq!(element.pattern.as_ref().map(|it| it.0.as_str()), Some("CodeableConcept"));
        assert_eq!((element.max_length, element.max, element.min), (Some(3), Some(Max::Many), Some(1)));
    }

    #[test]
    fn system_types_are_the_fhir_types_that_they_stand_for() {
        let read = definition(
            r#"{"path": "Patient.id", "type": [{"code": "http://hl7.org/fhirpath/System.String", "extension":
            [{"url": "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type", "valueUrl": "string"}]},
            {"code": "http://hl7.org/fhirpath/System.String"}]}"#,
        );
        let codes: Vec<&str> = read.differential[0].types.iter().map(|it| it.code.as_str()).collect();
        assert_eq!(codes, ["string", "System.String"]);
        assert_eq!(read.differential[0].id, "Patient.id");
    }

    #[test]
    fn a_resources_type_is_found_wherever_it_stands() {
        let find = |text: &str| resource_type(text.as_bytes());
        assert_eq!(find(r#"{"resourceType": "A", broken"#).as_deref(), Some("A"));
        assert_eq!(find(r#"{"id": {"resourceType": "C"}, "resourceType": "A"}"#).as_deref(), Some("A"));
        assert_eq!(find("[]"), None);
    }
}
