//! The tables against what HL7 publishes: the whole package where it is at hand, the facts folder's part of it where
//! that stands beside the project. Each compares what is said, element by element, as text.

use super::*;
use crate::profile::definition::{Binding, Constraint, Prescribed, Slicing, SlicingRules, TypeRef};
use crate::profile::terminology::{ConceptSet, Filter};

/// Where the package is looked for.
const PACKAGE_VARIABLE: &str = "ONWARD_R4_CORE_TGZ";

#[test]
fn snapshots_are_those_of_the_facts_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fhir/r4core/StructureDefinition");
    if !folder.is_dir() {
        return eprintln!("SKIPPED: the folder with R4's definitions is not here");
    }
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let seen = files.map(|bytes| compare(&serde_json::from_slice(&bytes).unwrap())).filter(|compared| *compared);
    assert_eq!(seen.count(), 112);
}

/// Where the variable says, or below `target`; `scripts/r4_facts.py` tells which wheel it comes in.
fn package() -> Option<PathBuf> {
    let named = std::env::var_os(PACKAGE_VARIABLE).map(PathBuf::from);
    let cached = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/hl7.fhir.r4.core-4.0.1.tgz");
    named.or(Some(cached)).filter(|path| path.is_file())
}

#[test]
fn everything_is_as_in_the_official_package() {
    let Some(path) = package() else {
        return eprintln!("SKIPPED: {PACKAGE_VARIABLE} does not name hl7.fhir.r4.core.tgz");
    };
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()));
    let (mut structures, mut terms) = (0, 0);
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let content = &content;
        match name.split('-').next().unwrap() {
            "StructureDefinition" => {
                structures += usize::from(compare(&serde_json::from_slice(content).unwrap()));
            }
            "ValueSet" => terms += compare_set(&serde_json::from_slice(content).unwrap()),
            "CodeSystem" => terms += compare_system(&serde_json::from_slice(content).unwrap()),
            _ => {}
        }
    }
    assert_eq!((structures, terms), (definitions().len(), code_systems().len() + value_sets().len()));
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn all<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    all(value, key).iter().map(|it| it.as_str().unwrap_or_default().to_owned()).collect()
}

fn extension<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    all(value, "extension").iter().find(|it| text(it, "url").ends_with(name))
}

/// Compares a StructureDefinition, and says whether it is one that is held.
fn compare(official: &Value) -> bool {
    let url = text(official, "url");
    let Some(own) = super::DEFINITIONS.iter().find(|definition| definition.url == url) else {
        assert_eq!(official["kind"], "logical", "{url}");
        return false;
    };
    assert_eq!(own.version.as_deref().unwrap_or_default(), text(official, "version"), "{url}");
    assert_eq!((&*own.name, &*own.type_name), (text(official, "name"), text(official, "type")), "{url}");
    assert_eq!(Some(own.is_abstract), official["abstract"].as_bool(), "{url}");
    assert_eq!(own.base.as_deref().unwrap_or_default(), text(official, "baseDefinition"), "{url}");
    let contexts: Vec<_> = all(official, "context").iter().map(|it| text(it, "expression")).collect();
    assert_eq!(own.contexts.iter().map(|it| &*it.expression).collect::<Vec<_>>(), contexts, "{url}");
    assert_eq!(own.context_invariants, texts(official, "contextInvariant"), "{url}");
    if own.derivation == Derivation::Constraint {
        let differential = all(&official["differential"], "element").iter().map(of_differential);
        let own: Vec<_> = own.differential.iter().map(said).collect();
        let kept: Vec<_> =
            differential.filter(|element| own.iter().any(|it| it.starts_with(&id_of(element)))).collect();
        assert_eq!(own, kept, "{url}");
        return facts_that_are_left_out(official, &own).is_empty();
    }
    let snapshot: Vec<_> = all(&official["snapshot"], "element").iter().map(of_snapshot).collect();
    for (own, official) in own.snapshot.iter().map(said).zip(&snapshot) {
        assert_eq!(own, *official, "{url}");
    }
    assert_eq!(own.snapshot.len(), snapshot.len(), "{url}");
    true
}

fn id_of(element: &str) -> String {
    [element.split(' ').next().unwrap(), " "].concat()
}

/// Elements of a differential that say something and are not in ours.
fn facts_that_are_left_out(official: &Value, own: &[String]) -> Vec<String> {
    let elements = all(&official["differential"], "element").iter().map(of_differential);
    let silent = said(&Element::default());
    let silent = silent.split_once(' ').unwrap().1;
    let missing = elements.filter(|element| !own.contains(element));
    missing.filter(|element| element.split_once(" says ").unwrap().1 != silent.split_once("says ").unwrap().1).collect()
}

/// All that validation uses of an element, as text.
fn said(element: &Element) -> String {
    let mut constraints: Vec<_> = element.constraints.iter().map(|it| format!("{it:?}")).collect();
    constraints.sort();
    format!(
        "{} {} {:?} says {:?} {:?} {:?}..{:?} base {:?} {:?} ref {:?} types {:?} value {:?} {:?} {:?} {:?} {:?} {} {:?} {:?}",
        element.id,
        element.path,
        element.slice_name,
        element.slicing,
        element.must_support.unwrap_or(false),
        element.min,
        element.max,
        element.base_path,
        element.base_max,
        element.content_reference,
        element.types,
        element.fixed,
        element.pattern,
        element.min_value,
        element.max_value,
        element.max_length,
        element.is_modifier.unwrap_or(false),
        element.binding,
        constraints,
    )
}

/// An official element of a differential.
fn of_differential(official: &Value) -> String {
    said(&read(official))
}

/// An official element of a snapshot, in the vocabulary of this module.
fn of_snapshot(official: &Value) -> String {
    let mut element = read(official);
    // Element and xhtml have a System type without the FHIR type that stands for it everywhere else.
    if matches!(&*element.id, "Element.id" | "xhtml.id") {
        element.types[0].code = "string".to_owned();
    }
    said(&element)
}

fn read(official: &Value) -> Element {
    let count = |key: &str| official[key].as_u64().map(|count| count as u32);
    let own_text = |key: &str| official[key].as_str().map(str::to_owned);
    let most = |of: &Value| of["max"].as_str().map(structures::most);
    Element {
        id: text(official, "id").to_owned(),
        path: text(official, "path").to_owned(),
        slice_name: own_text("sliceName"),
        slicing: official.get("slicing").map(slicing),
        min: count("min"),
        max: most(official),
        base_max: official.get("base").and_then(most),
        base_path: official["base"]["path"].as_str().map(str::to_owned),
        content_reference: own_text("contentReference"),
        types: all(official, "type").iter().map(type_ref).collect(),
        fixed: choice(official, "fixed"),
        pattern: choice(official, "pattern"),
        min_value: choice(official, "minValue"),
        max_value: choice(official, "maxValue"),
        max_length: count("maxLength"),
        constraints: all(official, "constraint").iter().map(constraint).collect(),
        must_support: official["mustSupport"].as_bool(),
        is_modifier: official["isModifier"].as_bool(),
        binding: official.get("binding").map(binding),
        controls: None,
    }
}

fn choice(official: &Value, stem: &str) -> Option<Prescribed> {
    let (key, value) = official.as_object().unwrap().iter().find(|(key, _)| key.starts_with(stem))?;
    Some(Box::new((key[stem.len()..].to_owned(), value.clone())))
}

fn slicing(official: &Value) -> Slicing {
    let discriminators = all(official, "discriminator").iter();
    let discriminators = discriminators.map(|it| crate::profile::definition::Discriminator {
        kind: text(it, "type").to_owned(),
        path: text(it, "path").to_owned(),
    });
    Slicing {
        discriminators: discriminators.collect(),
        ordered: official["ordered"].as_bool().unwrap_or(false),
        rules: match text(official, "rules") {
            "closed" => SlicingRules::Closed,
            "openAtEnd" => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        },
    }
}

fn type_ref(official: &Value) -> TypeRef {
    let code = match extension(official, "structuredefinition-fhir-type") {
        Some(found) => text(found, "valueUrl"),
        None => text(official, "code"),
    };
    TypeRef {
        code: code.to_owned(),
        profiles: texts(official, "profile"),
        target_profiles: texts(official, "targetProfile"),
        aggregation: texts(official, "aggregation"),
        versioning: official["versioning"].as_str().map(str::to_owned),
    }
}

fn constraint(official: &Value) -> Constraint {
    Constraint {
        key: text(official, "key").to_owned(),
        is_error: official["severity"] == "error",
        expression: official["expression"].as_str().map(str::to_owned),
        source: official["source"].as_str().map(str::to_owned),
    }
}

fn binding(official: &Value) -> Binding {
    let max = extension(official, "elementdefinition-maxValueSet");
    Binding {
        strength: match text(official, "strength") {
            "required" => Strength::Required,
            "extensible" => Strength::Extensible,
            "preferred" => Strength::Preferred,
            _ => Strength::Example,
        },
        value_set: official["valueSet"].as_str().map(str::to_owned),
        max_value_set: max.map(|it| text(it, "valueCanonical").to_owned()),
    }
}

/// Compares a value set.
fn compare_set(official: &Value) -> usize {
    let url = text(official, "url");
    let own = value_sets().iter().find(|set| set.url == url).unwrap();
    assert_eq!(own.version.as_deref().unwrap_or_default(), text(official, "version"));
    for (own, key) in [(&own.include, "include"), (&own.exclude, "exclude")] {
        let official: Vec<_> = all(&official["compose"], key).iter().map(part).collect();
        assert_eq!(*own, official, "{url}");
    }
    1
}

fn part(official: &Value) -> ConceptSet {
    let own_text = |of: &Value, key: &str| of[key].as_str().map(str::to_owned);
    let filter = |of: &Value| {
        let [property, op, value] = ["property", "op", "value"].map(|key| text(of, key).to_owned());
        Filter { property, op, value }
    };
    ConceptSet {
        system: own_text(official, "system"),
        version: own_text(official, "version"),
        concepts: all(official, "concept").iter().map(|it| text(it, "code").to_owned()).collect(),
        filters: all(official, "filter").iter().map(filter).collect(),
        value_sets: texts(official, "valueSet"),
    }
}

/// Compares a code system.
fn compare_system(official: &Value) -> usize {
    let url = text(official, "url");
    let own = code_systems().iter().find(|system| system.url == url).unwrap();
    assert_eq!(own.version.as_deref().unwrap_or_default(), text(official, "version"));
    assert_eq!(own.case_sensitive, official["caseSensitive"].as_bool().unwrap_or(true), "{url}");
    let content = format!("{:?}", own.content).to_lowercase();
    assert_eq!(content, text(official, "content").replace('-', ""), "{url}");
    let mut expected = Vec::new();
    walk(official, None, &mut expected);
    let code = |index: &u32| &*own.concepts[*index as usize].code;
    let above = own.concepts.iter().map(|it| (&*it.code, it.parents.first().map(code), !it.properties.is_empty()));
    assert_eq!(above.collect::<Vec<_>>(), expected, "{url}");
    1
}

fn walk<'a>(of: &'a Value, above: Option<&'a str>, found: &mut Vec<(&'a str, Option<&'a str>, bool)>) {
    for concept in all(of, "concept") {
        let is_abstract = all(concept, "property").iter().any(|it| {
            matches!(text(it, "code"), "notSelectable" | "abstract") && it["valueBoolean"].as_bool().unwrap_or(false)
        });
        found.push((text(concept, "code"), above, is_abstract));
        walk(concept, Some(text(concept, "code")), found);
    }
}
