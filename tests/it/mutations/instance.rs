//! The smallest resource that has a certain element of a profile.

use std::collections::{BTreeMap, BTreeSet};

use onward::profile::definition::{Definition, Element, Max, Strength};
use onward::profile::package::Packages;
use onward::profile::terminology::CodeSystem;
use serde_json::{Map, Value, json};

/// Deeper than any element of these profiles.
const DEPTH_MAX: usize = 12;

/// Elements that are sound only beside another one: prr-1.
const NEEDS: &[(&str, &str)] = &[("ServiceRequest.orderDetail", "ServiceRequest.code")];

/// One step of the way to a value.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A property, and the element as FHIRPath calls it.
    Key(String, String),
    /// An item.
    Index(usize),
}

/// A resource, and the way to what was asked for.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) resource: Value,
    pub(super) way: Vec<Step>,
    /// The root's type.
    pub(super) root: String,
}

impl Instance {
    /// The value at a way, in a copy of the resource.
    pub(super) fn at<'v>(resource: &'v mut Value, way: &[Step]) -> &'v mut Value {
        way.iter().fold(resource, |value, step| match step {
            Step::Key(key, _) => value.get_mut(key.as_str()).unwrap(),
            Step::Index(index) => value.get_mut(*index).unwrap(),
        })
    }

    /// The place of a way, as FHIRPath.
    pub(super) fn place(&self, way: &[Step]) -> String {
        way.iter().fold(self.root.clone(), |place, step| match step {
            Step::Key(_, name) => format!("{place}.{name}"),
            Step::Index(index) => format!("{place}[{index}]"),
        })
    }
}

/// Makes instances of a profile.
pub(super) struct Builder<'p> {
    packages: &'p Packages,
    pub(super) definition: &'p Definition,
    by_id: BTreeMap<&'p str, &'p Element>,
}

impl<'p> Builder<'p> {
    pub(super) fn new(packages: &'p Packages, definition: &'p Definition) -> Self {
        let by_id = definition.snapshot.iter().map(|element| (element.id.as_str(), element)).collect();
        Self { packages, definition, by_id }
    }

    /// The ids of all elements that an instance may have.
    pub(super) fn ids(&self) -> Vec<String> {
        let of = self.definition.snapshot.iter().filter(|element| self.is_possible(element));
        of.map(|element| element.id.clone()).collect()
    }

    /// Neither the element nor any above it is forbidden, and an instance of it can be sound by itself: nobody knows a
    /// modifier extension, and contained resources are a story of their own.
    fn is_possible(&self, element: &Element) -> bool {
        let is_none = |id: &str| self.by_id.get(id).is_some_and(|it| it.max == Some(Max::Count(0)));
        let above = element.id.match_indices('.').map(|(at, _)| &element.id[..at]);
        let forbidden = above.chain([element.id.as_str()]).any(is_none);
        !forbidden && !element.path.split('.').any(|part| matches!(part, "contained" | "modifierExtension"))
    }

    pub(super) fn element(&self, id: &str) -> &'p Element {
        self.by_id[id]
    }

    pub(super) fn packages(&self) -> &'p Packages {
        self.packages
    }

    /// The smallest instance with this element; it is wrapped in a resource where it is an extension.
    pub(super) fn instance(&self, id: &str) -> Option<Instance> {
        let above = id.match_indices(['.', ':']).map(|(at, _)| &id[..at]);
        let needs = NEEDS.iter().filter(|(of, _)| id.starts_with(of)).map(|(_, needed)| *needed);
        let wanted = above.chain([id]).chain(needs).filter(|it| self.by_id.contains_key(it)).collect();
        let root = &self.definition.snapshot[0];
        let mut making = Making { builder: self, wanted, target: id, way: Vec::new(), found: None };
        let is_extension = self.definition.type_name == "Extension";
        if is_extension {
            making.way = vec![Step::Key("extension".into(), "extension".into()), Step::Index(0)];
        }
        if root.id == id {
            making.found = Some(making.way.clone());
        }
        let mut made = making.object(root, 0)?;
        let (mut resource, root) = match is_extension {
            true => {
                let holder = &self.definition.contexts.first()?.expression;
                let mut resource = of_type(self, holder, 0)?;
                resource["extension"] = json!([made.take()]);
                (resource, holder.clone())
            }
            false => (made, self.definition.type_name.clone()),
        };
        resource.as_object_mut()?.insert("resourceType".into(), root.clone().into());
        Some(Instance { resource, way: making.found?, root })
    }

    /// Elements right below one, without slices.
    pub(super) fn below(&self, id: &str) -> Vec<&'p Element> {
        let own = self.definition.snapshot.iter().filter(|element| {
            element
                .id
                .strip_prefix(id)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|rest| !rest.contains(['.', ':']))
        });
        own.collect()
    }

    /// The slices of an element.
    pub(super) fn slices(&self, id: &str) -> Vec<&'p Element> {
        let own = self.definition.snapshot.iter().filter(|element| {
            element
                .id
                .strip_prefix(id)
                .and_then(|rest| rest.strip_prefix(':'))
                .is_some_and(|rest| !rest.contains(['.', '/']))
        });
        own.collect()
    }

    /// A code of a value set.
    pub(super) fn code(&self, canonical: &str) -> Option<(Option<String>, String)> {
        let set = self.packages.value_set(canonical)?;
        set.include.iter().find_map(|include| {
            let system = include.system.clone();
            let listed = include.concepts.last().cloned();
            let codes = self.packages.codes(canonical).ok()?;
            let all = || {
                let concepts = &self.packages.code_system(system.as_deref()?)?.concepts;
                concepts
                    .iter()
                    .map(|it| it.code.clone())
                    .find(|code| codes.has_code(code) == onward::profile::terminology::Membership::Member)
            };
            Some((system.clone(), listed.or_else(all)?))
        })
    }
}

/// Is it an array in JSON?
pub(super) fn is_many(element: &Element) -> bool {
    element.base_max.or(element.max).is_some_and(|max| max == Max::Many || Max::Count(1) < max)
}

/// `value[x]` of a string is `valueString`, and FHIRPath says `value`.
pub(super) fn keys(element: &Element, code: &str) -> (String, String) {
    let last = element.path.rsplit('.').next().unwrap_or_default();
    match last.strip_suffix("[x]") {
        Some(stem) => {
            let (first, rest) = code.split_at(1);
            (format!("{stem}{}{rest}", first.to_uppercase()), stem.to_owned())
        }
        None => (last.to_owned(), last.to_owned()),
    }
}

struct Making<'m, 'p> {
    builder: &'m Builder<'p>,
    wanted: BTreeSet<&'m str>,
    target: &'m str,
    way: Vec<Step>,
    found: Option<Vec<Step>>,
}

impl Making<'_, '_> {
    /// What an element needs, and what is wanted of it.
    fn object(&mut self, element: &Element, depth: usize) -> Option<Value> {
        let mut object = Map::new();
        let below = self.builder.below(&element.id);
        for child in &below {
            let needed = child.min.is_some_and(|min| 0 < min) && child.max != Some(Max::Count(0));
            if needed || self.wanted.contains(child.id.as_str()) {
                self.put(child, &mut object, depth)?;
            }
        }
        let has = |object: &Map<String, Value>, start: &str| object.keys().any(|key| key.starts_with(start));
        let of = |name: &str| below.iter().find(|it| it.path.rsplit('.').next() == Some(name));
        match element.types.first().map_or(self.builder.definition.type_name.as_str(), |one| one.code.as_str()) {
            "Extension" if !has(&object, "value") && !has(&object, "extension") => {
                match of("value[x]").filter(|value| value.max != Some(Max::Count(0))) {
                    Some(value) => self.put(value, &mut object, depth)?,
                    None => {
                        let slice = self.builder.slices(&of("extension")?.id).into_iter().next()?;
                        object.insert("extension".into(), json!([self.value(slice, depth)?]));
                    }
                }
            }
            "Coding" => {
                // A code of its system, where that is known.
                let system = object.get("system").and_then(Value::as_str);
                let known = system.and_then(|system| self.builder.packages.code_system(system));
                let is_code = |known: &CodeSystem| known.concepts.iter().any(|it| object["code"] == *it.code);
                if let Some(known) = known.filter(|known| object.contains_key("code") && !is_code(known)) {
                    let code = known.concepts.first().map(|it| it.code.clone());
                    object.insert("code".into(), code?.into());
                }
            }
            "Reference" => {
                let others = ["identifier", "display"].iter().any(|key| object.contains_key(*key));
                if object.contains_key("reference") || !others {
                    object.insert("reference".into(), format!("{}/1", target(self.builder, element)?).into());
                }
                if object.contains_key("type") {
                    object.insert("type".into(), target(self.builder, element)?.into());
                }
            }
            _ => {}
        }
        if element.path == "Bundle.entry" {
            for name in ["fullUrl", "resource"] {
                self.put(of(name)?, &mut object, depth)?;
            }
        }
        let substance = |object: &Map<String, Value>| object.keys().any(|key| key != "id" && key != "resourceType");
        if !substance(&object) && element.path.contains('.') {
            // Something must be in it.
            let plain = |it: &&&Element| {
                !matches!(it.path.rsplit('.').next(), Some("id" | "extension" | "modifierExtension" | "contained"))
                    && it.max != Some(Max::Count(0))
            };
            let first = below.iter().find(plain)?;
            self.put(first, &mut object, depth)?;
        }
        Some(Value::Object(object))
    }

    fn put(&mut self, element: &Element, object: &mut Map<String, Value>, depth: usize) -> Option<()> {
        let code = element.types.first().map_or("", |one| one.code.as_str());
        let (key, name) = keys(element, code);
        self.way.push(Step::Key(key.clone(), name));
        let value = if is_many(element) {
            let slices = self.builder.slices(&element.id);
            let of_slices = slices
                .into_iter()
                .filter(|it| it.min.is_some_and(|min| 0 < min) || self.wanted.contains(it.id.as_str()));
            let mut kinds: Vec<&Element> = of_slices.collect();
            let inner = self
                .wanted
                .iter()
                .any(|id| id.strip_prefix(element.id.as_str()).is_some_and(|rest| rest.starts_with('.')));
            if kinds.is_empty() || inner || self.target == element.id {
                kinds.insert(0, element);
            }
            let mut items = Vec::new();
            for kind in kinds {
                self.way.push(Step::Index(items.len()));
                items.push(self.value(kind, depth)?);
                self.way.pop();
            }
            Value::Array(items)
        } else {
            // A slice of what occurs once is that element, more closely.
            let slice = self.builder.slices(&element.id).into_iter().find(|it| self.wanted.contains(it.id.as_str()));
            self.value(slice.unwrap_or(element), depth)?
        };
        self.way.pop();
        object.insert(key, value);
        Some(())
    }

    fn value(&mut self, element: &Element, depth: usize) -> Option<Value> {
        if self.target == element.id {
            self.found = Some(self.way.clone());
        }
        if let Some(like) = element.content_reference.as_deref().and_then(|it| it.rsplit('#').next()) {
            return self.object(self.builder.by_id[like], depth);
        }
        if let Some((_, fixed)) = element.fixed.as_deref() {
            return Some(fixed.clone());
        }
        let code = element.types.first().map_or("BackboneElement", |one| one.code.as_str());
        let mut value = match self.builder.below(&element.id).is_empty() {
            false if !code.chars().next()?.is_lowercase() => self.object(element, depth)?,
            _ => sample(self.builder, element, code, depth)?,
        };
        if let (Some((_, pattern)), Some(own)) = (element.pattern.as_deref(), value.as_object_mut()) {
            own.extend(pattern.as_object().cloned().unwrap_or_default());
        }
        Some(value)
    }
}

/// A value of a type, as an element asks for it.
fn sample(builder: &Builder<'_>, element: &Element, code: &str, depth: usize) -> Option<Value> {
    let required = element.binding.as_ref().filter(|it| it.strength == Strength::Required);
    let bound = required.and_then(|it| builder.code(it.value_set.as_deref()?));
    let name = element.path.rsplit('.').next().unwrap_or_default();
    Some(match code {
        "boolean" => json!(true),
        "integer" | "positiveInt" | "unsignedInt" => json!(1),
        "decimal" => json!(1.5),
        "date" => json!("2024-05-06"),
        "dateTime" | "instant" => json!("2024-05-06T07:08:09Z"),
        "time" => json!("07:08:09"),
        "base64Binary" => json!("QQ=="),
        "oid" => json!("urn:oid:1.2.3"),
        "uuid" => json!("urn:uuid:00000000-0000-4000-8000-000000000001"),
        "id" => json!("a1"),
        "uri" if name == "fullUrl" => json!("urn:uuid:00000000-0000-4000-8000-000000000001"),
        "uri" | "url" | "canonical" => json!("http://example.org/a"),
        "xhtml" => json!("<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"),
        "code" if name == "language" => json!("en-GB"),
        "code" if name.ends_with("Format") => json!("text/plain"),
        "code" => json!(bound.map_or_else(|| "a".to_owned(), |(_, code)| code)),
        "string" | "markdown" if name == "reference" => json!("Basic/1"),
        "string" | "markdown" => json!("a"),
        "Reference" => json!({"reference": format!("{}/1", target(builder, element)?)}),
        "Coding" => coding(bound),
        "CodeableConcept" if bound.is_some() => json!({"coding": [coding(bound)]}),
        "CodeableConcept" => json!({"text": "a"}),
        "Extension" => extension(builder, element)?,
        "Narrative" => json!({"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"}),
        "Resource" => json!({"resourceType": "MessageHeader", "id": "a1", "eventUri": "http://example.org/a",
            "source": {"endpoint": "http://example.org/a"}}),
        _ if DEPTH_MAX < depth => return None,
        _ => of_type(builder, code, depth)?,
    })
}

fn coding(bound: Option<(Option<String>, String)>) -> Value {
    match bound {
        Some((Some(system), code)) => json!({"system": system, "code": code}),
        Some((None, code)) => json!({"code": code}),
        None => json!({"code": "a"}),
    }
}

/// The type of resource that a reference may be to.
pub(super) fn target(builder: &Builder<'_>, element: &Element) -> Option<String> {
    let one = element.types.iter().find(|one| one.code == "Reference")?;
    let Some(profile) = one.target_profiles.first() else { return Some("Basic".into()) };
    let name = builder.packages.definition(profile)?.type_name.clone();
    Some(if name == "Resource" { "Basic".into() } else { name })
}

/// An extension of a definition's own, or one that nobody knows.
fn extension(builder: &Builder<'_>, element: &Element) -> Option<Value> {
    let profile = element.types.first().and_then(|one| one.profiles.first());
    let Some(url) = profile else {
        return Some(json!({"url": "http://example.org/a", "valueString": "a"}));
    };
    let definition = builder.packages.definition(url)?;
    let inner = Builder::new(builder.packages, definition);
    let mut making = Making { builder: &inner, wanted: BTreeSet::new(), target: "", way: Vec::new(), found: None };
    making.object(&definition.snapshot[0], 1)
}

/// The smallest value of a data type.
fn of_type(builder: &Builder<'_>, code: &str, depth: usize) -> Option<Value> {
    let definition = builder.packages.definition(&format!("http://hl7.org/fhir/StructureDefinition/{code}"))?;
    let inner = Builder::new(builder.packages, definition);
    let mut making = Making { builder: &inner, wanted: BTreeSet::new(), target: "", way: Vec::new(), found: None };
    let mut made = making.object(&definition.snapshot[0], depth + 1)?;
    if made.as_object()?.is_empty() {
        let plain =
            |it: &&&Element| !matches!(it.path.rsplit('.').next(), Some("id" | "extension" | "modifierExtension"));
        let below = inner.below(code);
        making.put(below.iter().find(plain)?, made.as_object_mut()?, depth + 1)?;
    }
    Some(made)
}
