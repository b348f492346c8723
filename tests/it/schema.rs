//! Profiles as JSON Schemas, judged by the crate `jsonschema`: what a schema refuses the validator refuses, and where
//! the fault is one that JSON Schema can say, the schema refuses it too.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use onward::fhir::json::{Limits, parse};
use onward::fhir::view::{items, resource_type};
use onward::issue::{Issue, Severity};
use onward::profile::definition::{Definition, Derivation, Kind};
use onward::profile::library::Library;
use onward::profile::package;
use onward::profile::schema;
use onward::profile::validate::Request;
use serde_json::Value;

use crate::structure::{FIXTURES, json_files, mutants, read, shared};

/// Schemas by canonical, made and compiled once.
struct Judge {
    library: &'static Library,
    schemas: HashMap<String, Validator>,
    seen: Seen,
}

/// What came out.
#[derive(Debug, Default)]
struct Seen {
    both_accept: usize,
    both_refuse: usize,
    only_program: BTreeMap<String, usize>,
}

/// What R4 and the folders of profiles have.
static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    let folders =
        ["ukcore", "bars", "onward"].map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(name));
    let library = Library::load(&folders, &package::Limits::default());
    assert!(library.issues.iter().all(|issue| issue.severity != Severity::Error), "{:#?}", library.issues);
    library
});

fn compiled(library: &Library, definition: &Definition) -> Validator {
    let schema = schema::of(library.whole(), definition).unwrap();
    jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{}: {error}", definition.url))
}

impl Judge {
    fn new() -> Self {
        Self { library: &LIBRARY, schemas: HashMap::new(), seen: Seen::default() }
    }

    fn schema(&mut self, url: &str) -> Option<&Validator> {
        if !self.schemas.contains_key(url) {
            let definition = self.library.whole().definition(url)?;
            self.schemas.insert(url.to_owned(), compiled(self.library, definition));
        }
        self.schemas.get(url)
    }

    fn errors(&self, resource: &Value, profile: &str) -> Vec<Issue> {
        let text = resource.to_string();
        let validator = &self.library.validator;
        let tape = validator.read(text.as_bytes(), &Limits::default()).unwrap();
        let profile = validator.program().profile(profile);
        let profiles: Vec<_> = profile.into_iter().collect();
        let request = Request { profiles: &profiles, ..Request::default() };
        let found = validator.check(&tape, &request).issues;
        found.iter().filter(|issue| issue.severity == Severity::Error).cloned().collect()
    }

    /// Says what is wrong with the two verdicts, if anything.
    fn compare(&mut self, resource: &Value, url: &str) -> Option<String> {
        let errors = self.errors(resource, url);
        let schema = self.schema(url)?;
        let refused = schema.iter_errors(resource).next().map(|error| format!("{} {}", error.instance_path(), error));
        match (refused, errors.is_empty()) {
            (Some(reason), true) => {
                let reason: String = reason.chars().take(300).collect();
                return Some(format!("{url}: only the schema refuses: {reason}"));
            }
            (Some(_), false) => self.seen.both_refuse += 1,
            (None, true) => self.seen.both_accept += 1,
            (None, false) => {
                let name = errors.iter().map(|issue| issue.code.id).collect::<Vec<_>>();
                *self.seen.only_program.entry(name.first().unwrap().to_string()).or_default() += 1;
                return errors
                    .iter()
                    .find(|issue| can_be_said(issue))
                    .map(|issue| format!("{url}: only we refuse: {issue}"));
            }
        }
        None
    }
}

/// Is it a fault of the shape or of a format that JSON Schema has words for?
fn can_be_said(issue: &Issue) -> bool {
    // In Bundles that are no messages and in `contained` only the type of a resource is said.
    let inside =
        [".contained[", ".resource."].iter().any(|part| issue.at.contains(part)) || issue.at.ends_with(".resource");
    // What a reference points to, what a system names and what dates there are is beyond a pattern.
    let unsayable = ["Base64", "XHTML", "calendar", "The reference must be", "The system of a code"];
    let unsayable = unsayable.iter().any(|words| issue.text.contains(words));
    ("ONW-2005"..="ONW-2010").contains(&issue.code.id) && issue.rule.is_empty() && !inside && !unsayable
}

fn url_of(resource: &Value) -> String {
    format!("http://hl7.org/fhir/StructureDefinition/{}", resource_type(resource).unwrap_or_default())
}

#[test]
fn sound_resources_and_all_their_mutants_are_judged_alike() {
    let mut judge = Judge::new();
    let (mut made, mut wrong) = (0, Vec::new());
    for path in json_files(Path::new(FIXTURES)) {
        let resource = read(&path);
        assert_eq!(judge.compare(&resource, &url_of(&resource)), None, "{}", path.display());
        mutants::of(&resource, &mut |mutant, mutated| {
            made += 1;
            let told = judge.compare(mutated, &url_of(&resource));
            wrong.extend(told.map(|told| format!("{}: {mutant:?}: {told}", path.display())));
        });
    }
    println!("{made} mutants: {:?}; {} wrong", judge.seen, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
    assert!(2_000 < made && made - made / 50 < judge.seen.both_refuse, "{made} {:?}", judge.seen);
}

/// A message's own schema, and that of each resource in it with the profiles that it declares.
#[test]
fn published_examples_are_judged_alike() {
    let folders =
        ["bars/examples", "fhir/ukcore/stu1-0.5.1/examples", "fhir/nhsdigital/uk.nhsdigital.r4-2.5.0/examples"];
    let files: Vec<PathBuf> = folders.iter().filter_map(|it| shared(it)).flat_map(|it| json_files(&it)).collect();
    let (mut judge, mut wrong) = (Judge::new(), Vec::new());
    for path in &files {
        let Ok(document) = parse(&std::fs::read(path).unwrap(), &Limits::default()) else { continue };
        for resource in items(&document, "entry").iter().filter_map(|entry| entry.get("resource")).chain([&document]) {
            if resource_type(resource).is_none_or(|name| onward::profile::facts::r4().resource(name).is_none()) {
                continue;
            }
            let declared = items(resource, "meta.profile").iter().filter_map(Value::as_str).map(str::to_owned);
            for url in declared.chain([url_of(resource)]) {
                let told = judge.compare(resource, &url);
                wrong.extend(told.map(|told| format!("{}: {told}", path.display())));
            }
        }
    }
    println!("{} files, {} schemas: {:?}; {} wrong", files.len(), judge.schemas.len(), judge.seen, wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
}

/// All that ships, as far as it has instances.
#[test]
fn every_profile_that_ships_has_a_schema_of_a_sensible_size() {
    let library = &*LIBRARY;
    let has_instances = |it: &&Definition| !it.is_abstract && it.kind == Kind::Resource;
    let profiles = library.whole().definitions().filter(|it| it.derivation == Derivation::Constraint);
    let resources = library.whole().definitions().filter(|it| it.derivation == Derivation::Specialization);
    let mut sizes = Vec::new();
    for definition in profiles.chain(resources.filter(has_instances)) {
        let schema = schema::of(library.whole(), definition);
        let schema = schema.unwrap_or_else(|| panic!("{} has none", definition.url));
        assert!(jsonschema::meta::is_valid(&schema), "{}", definition.url);
        sizes.push((schema.to_string().len(), definition.url.clone()));
    }
    sizes.sort();
    let (least, middle, most) = (&sizes[0], &sizes[sizes.len() / 2], sizes.last().unwrap());
    println!("{} schemas: {least:?}, {middle:?}, {most:?} bytes", sizes.len());
    assert!(250 < sizes.len() && most.0 < 1_000_000, "{}", sizes.len());
}

#[test]
fn a_profile_s_own_rules_are_in_its_schema() {
    let mut judge = Judge::new();
    let url = "https://fhir.nhs.uk/StructureDefinition/BARSBundleMessage";
    let message = |kind: &str, timestamp: bool| {
        let mut bundle = serde_json::json!({ "resourceType": "Bundle", "type": kind, "entry": [{
            "fullUrl": "urn:uuid:6f1b4bd6-5e0c-4b1c-a6c1-1b1f0a4f2d10",
            "resource": { "resourceType": "Patient", "active": true },
        }] });
        if timestamp {
            bundle["timestamp"] = "2026-01-02T03:04:05Z".into();
        }
        bundle
    };
    let schema = judge.schema(url).unwrap();
    assert!(!schema.is_valid(&message("collection", true)), "fixedCode");
    assert!(!schema.is_valid(&message("message", false)), "min");
    let told: Vec<_> = schema.iter_errors(&message("message", true)).map(|error| error.to_string()).collect();
    assert_eq!(told, [""; 0]);
    let mut unknown = message("message", true);
    unknown["entry"][0]["resource"]["activ"] = true.into();
    assert!(!schema.is_valid(&unknown), "messages are looked into");
}
