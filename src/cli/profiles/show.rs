//! `onward profiles show`: the elements of a profile's snapshot.

use clap::Args;
use serde_json::{Map, Value};

use super::super::{CallerFault, print, print_json, table};
use super::Sources;
use crate::profile::definition::{Definition, Element, Max, Prescribed, TypeRef};
use crate::profile::package::Packages;

/// What `onward profiles show` takes.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The profile's canonical, perhaps with a version: URL or URL|VERSION
    pub url: String,
    /// What is loaded.
    #[command(flatten)]
    pub sources: Sources,
}

impl ShowArgs {
    pub(super) fn run(&self, json: bool) -> anyhow::Result<i32> {
        let packages = self.sources.load()?;
        let definition = find(&packages, &self.url)?;
        if json {
            print_json(&definition.snapshot.iter().map(element_json).collect::<Vec<_>>())?;
        } else {
            let heading = ["ELEMENT", "CARD", "TYPE", "RULES"];
            print(&table::render(&heading, &definition.snapshot.iter().map(line).collect::<Vec<_>>()))?;
        }
        Ok(0)
    }
}

/// A definition; also a type of R4 by its name alone.
pub(super) fn find<'p>(packages: &'p Packages, canonical: &str) -> Result<&'p Definition, CallerFault> {
    let of_r4 = || packages.definition(&format!("http://hl7.org/fhir/StructureDefinition/{canonical}"));
    let found = packages.definition(canonical).or_else(of_r4);
    found.ok_or_else(|| CallerFault(format!("{canonical} is in no loaded package")))
}

fn line(element: &Element) -> Vec<String> {
    let rules = facets(element).into_iter().filter(|(name, _)| !matches!(*name, "cardinality" | "type"));
    let rules: Vec<String> = rules.map(|(name, value)| format!("{name} {value}")).collect();
    vec![element.id.clone(), cardinality(element), types(element), rules.join("; ")]
}

fn element_json(element: &Element) -> Value {
    let facets = facets(element).into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
    let named = [("id", &element.id), ("path", &element.path)].map(|(name, it)| (name.to_owned(), it.as_str().into()));
    Value::Object(named.into_iter().chain(facets).collect::<Map<_, _>>())
}

/// All that is said about an element, under the names that are shown.
pub(super) fn facets(element: &Element) -> Vec<(&'static str, String)> {
    let value = |held: &Option<Prescribed>| held.as_deref().map(|(_, value)| value.to_string()).unwrap_or_default();
    let number = |held: Option<u32>| held.map(|it| it.to_string()).unwrap_or_default();
    let flag = |held: Option<bool>| if held == Some(true) { "yes".to_owned() } else { String::new() };
    let all = vec![
        ("cardinality", cardinality(element)),
        ("type", types(element)),
        ("content", element.content_reference.clone().unwrap_or_default()),
        ("slicing", slicing(element)),
        ("fixed", value(&element.fixed)),
        ("pattern", value(&element.pattern)),
        ("least", value(&element.min_value)),
        ("most", value(&element.max_value)),
        ("length", number(element.max_length)),
        ("binding", binding(element)),
        ("invariants", invariants(element)),
        ("modifier", flag(element.is_modifier)),
        ("must-support", flag(element.must_support)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn cardinality(element: &Element) -> String {
    let max = match element.max {
        Some(Max::Count(count)) => count.to_string(),
        Some(Max::Many) => "*".into(),
        None => String::new(),
    };
    let min = element.min.map(|min| min.to_string()).unwrap_or_default();
    if min.is_empty() && max.is_empty() { String::new() } else { format!("{min}..{max}") }
}

fn types(element: &Element) -> String {
    element.types.iter().map(type_text).collect::<Vec<_>>().join(" | ")
}

fn type_text(kind: &TypeRef) -> String {
    let mut text = kind.code.clone();
    if !kind.profiles.is_empty() {
        text += &format!("<{}>", kind.profiles.join(", "));
    }
    if !kind.target_profiles.is_empty() {
        text += &format!("({})", kind.target_profiles.join(", "));
    }
    text
}

fn slicing(element: &Element) -> String {
    let Some(slicing) = &element.slicing else { return String::new() };
    let by: Vec<String> = slicing.discriminators.iter().map(|it| format!("{}:{}", it.kind, it.path)).collect();
    let ordered = if slicing.ordered { ", ordered" } else { "" };
    format!("by {}, {:?}{ordered}", by.join(" + "), slicing.rules).to_lowercase()
}

fn binding(element: &Element) -> String {
    let Some(binding) = &element.binding else { return String::new() };
    let strength = format!("{:?}", binding.strength).to_lowercase();
    let most = binding.max_value_set.as_ref().map(|url| format!(", at most {url}")).unwrap_or_default();
    format!("{strength} {}{most}", binding.value_set.as_deref().unwrap_or("-"))
}

/// Those that every element has say nothing about this one.
fn invariants(element: &Element) -> String {
    let own = element.constraints.iter().filter(|it| !matches!(it.key.as_str(), "ele-1" | "ext-1"));
    own.map(|it| it.key.as_str()).collect::<Vec<_>>().join(", ")
}
