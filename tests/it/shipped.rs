//! The definitions under `profiles/`: sound, complete among themselves, and the same as the tables of the program and,
//! where the facts folder stands beside the project, as what was published.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use onward::bars::{definitions, systems, use_cases};
use onward::issue::Severity;
use onward::profile::definition::{Definition, Element};
use onward::profile::package::{Limits, Packages};
use onward::profile::shipped;
use onward::profile::terminology::{CodeSystem, ValueSet};
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(name)
}

/// The resources of a type in a shipped or published folder.
fn resources(folder: &Path, kind: &str) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

fn load() -> Packages {
    let (packages, issues) = Packages::load(&["ukcore", "bars", "onward"].map(folder), &Limits::default());
    assert_eq!(issues, []);
    packages
}

#[test]
fn everything_that_ships_can_be_loaded_and_has_a_snapshot() {
    let packages = load();
    let counts: Vec<_> = packages.packages().iter().map(|it| (it.label(), it.counts.clone())).collect();
    let of = |label: &str, kind: &str| {
        counts.iter().find(|(own, _)| own == label).and_then(|(_, counts)| counts.get(kind)).copied()
    };
    assert_eq!(of("health.onward.bars#1.12.0", "StructureDefinition"), Some(10), "{counts:?}");
    assert_eq!(of("health.onward.bars#1.12.0", "MessageDefinition"), Some(9));
    assert_eq!(of("health.onward.bars#1.12.0", "CodeSystem"), Some(22));
    assert_eq!(of("health.onward.ukcore.stu1#0.5.1", "StructureDefinition"), Some(72));
    assert_eq!(of("health.onward.ukcore.stu1#0.5.1", "ValueSet"), Some(62));
    assert_eq!(of("health.onward.ukcore.stu1#0.5.1", "CodeSystem"), Some(46));
    assert_eq!(of("health.onward.rest#0.1.0", "StructureDefinition"), Some(6));
    let errors: Vec<_> = packages.check().into_iter().filter(|it| it.severity == Severity::Error).collect();
    assert_eq!(errors, []);
}

#[test]
fn the_program_has_every_file_that_ships() {
    for package in shipped::PACKAGES {
        let root = folder(package.folder);
        let mut expected = vec!["package.json".to_owned()];
        for kind in std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap()).filter(|it| it.path().is_dir()) {
            let names = std::fs::read_dir(kind.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let kind = kind.file_name().to_string_lossy().into_owned();
            expected.extend(names.map(|name| format!("{kind}/{}", name.to_string_lossy())));
        }
        expected[1..].sort();
        let mut names: Vec<_> = package.files.iter().map(|(name, _)| *name).collect();
        names[1..].sort_unstable();
        assert_eq!(names, expected.iter().filter(|it| it.ends_with(".json")).collect::<Vec<_>>());
        for (name, content) in package.files {
            assert_eq!(std::fs::read_to_string(root.join(name)).unwrap(), *content);
        }
    }
    let all = std::fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(all.filter(|it| it.join("package.json").is_file()).count(), shipped::PACKAGES.len());
}

#[test]
fn the_profiles_of_this_gateway_have_its_urls() {
    let packages = load();
    for kind in ["ServiceRequest", "Appointment", "Slot", "Schedule", "HealthcareService", "Patient"] {
        let url = format!("{}Onward{kind}", systems::ONWARD_PROFILES);
        assert_eq!(packages.definition(&url).unwrap().type_name, kind);
    }
}

#[test]
fn message_definitions_are_those_of_the_table() {
    let shipped = resources(&folder("bars"), "MessageDefinition");
    assert_eq!(shipped.len(), definitions::ALL.len());
    for own in definitions::ALL {
        let shipped = shipped.iter().find(|it| it["url"] == own.url()).unwrap();
        assert_eq!((&shipped["version"], &shipped["title"]), (&own.version.into(), &own.title.into()));
        assert_eq!(shipped["eventCoding"]["code"], own.event);
        // A type may stand twice, with different profiles; the table has one row for it, which allows both.
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for focus in shipped["focus"].as_array().unwrap() {
            let (kind, min) = (focus["code"].as_str().unwrap(), focus["min"].as_u64().unwrap() as usize);
            let max = focus["max"].as_str().unwrap().parse().unwrap_or(definitions::MANY);
            let known = counts.entry(kind).or_insert((min, max));
            *known = (known.0.max(min), known.1.max(max));
        }
        assert!(counts.remove("Bundle").is_some() && counts.remove("MessageHeader") == Some((1, 1)));
        let counts: BTreeSet<_> = counts.into_iter().map(|(kind, (min, max))| (kind, min, max)).collect();
        assert_eq!(counts, own.resources.iter().copied().collect(), "{}", own.name);
    }
}

#[test]
fn use_cases_are_those_of_the_table() {
    let shipped = resources(&folder("bars"), "CodeSystem");
    let shipped = shipped.iter().find(|it| it["url"] == systems::USE_CASES).unwrap();
    let codes: Vec<_> = shipped["concept"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap()).collect();
    let own: Vec<_> = use_cases::ALL.iter().map(|it| it.code).collect();
    assert_eq!(codes, own);
}

#[test]
fn what_messages_may_hold_is_shipped() {
    let packages = load();
    for message in packages.message_definitions() {
        for focus in message["focus"].as_array().unwrap() {
            let profile = focus["profile"].as_str().unwrap();
            assert!(packages.definition(profile).is_some(), "{profile}");
        }
    }
}

/// The published counterpart of a shipped folder.
fn published(parts: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(parts);
    if !folder.is_dir() {
        eprintln!("SKIPPED: the folder with published definitions is not here");
        return None;
    }
    Some(folder)
}

fn by_url(resources: Vec<Value>) -> BTreeMap<String, Value> {
    resources.into_iter().map(|it| (it["url"].as_str().unwrap().to_owned(), it)).collect()
}

/// A definition without its snapshot and without elements that say nothing.
fn told(resource: &Value) -> Definition {
    let mut definition: Definition = serde_json::from_value(resource.clone()).unwrap();
    definition.snapshot.clear();
    let speaks = |it: &Element| *it != Element { id: it.id.clone(), path: it.path.clone(), ..Element::default() };
    let spoken: Vec<String> = definition.differential.iter().filter(|it| speaks(it)).map(|it| it.id.clone()).collect();
    let above = |own: &str, other: &str| other.strip_prefix(own).is_some_and(|rest| rest.starts_with(['.', ':']));
    definition.differential.retain(|it| speaks(it) || spoken.iter().any(|other| above(&it.id, other)));
    definition
}

#[test]
fn shipped_definitions_say_what_the_published_ones_say() {
    for (own, parts) in [("bars", "bars/profiles/ig-1.12.0-differential"), ("ukcore", "fhir/ukcore/stu1-0.5.1")] {
        let Some(source) = published(parts) else { return };
        let from = by_url(resources(&source, "StructureDefinition"));
        for shipped in resources(&folder(own), "StructureDefinition") {
            assert_eq!(told(&shipped), told(&from[shipped["url"].as_str().unwrap()]));
        }
        let from = by_url(resources(&source, "CodeSystem"));
        for shipped in resources(&folder(own), "CodeSystem") {
            let codes = |it: &Value| {
                let system: CodeSystem = serde_json::from_value(it.clone()).unwrap();
                let concepts = system.concepts.into_iter().map(|it| (it.code, it.parents)).collect::<Vec<_>>();
                (system.url, system.version, system.content, system.case_sensitive, concepts)
            };
            assert_eq!(codes(&shipped), codes(&from[shipped["url"].as_str().unwrap()]));
        }
    }
    let Some(source) = published("fhir/ukcore/stu1-0.5.1") else { return };
    let from = by_url(resources(&source, "ValueSet"));
    for shipped in resources(&folder("ukcore"), "ValueSet") {
        let mut published = from[shipped["url"].as_str().unwrap()].clone();
        published.as_object_mut().unwrap().remove("expansion");
        let set = |it: Value| serde_json::from_value::<ValueSet>(it).unwrap();
        assert_eq!(set(shipped), set(published));
    }
}
