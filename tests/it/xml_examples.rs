//! Resources from JSON to XML and back: those under `fixtures/`, and the published ones where the facts folder
//! stands beside the project.

use std::path::{Path, PathBuf};

use onward::fhir::json::{self, Limits};
use onward::fhir::view::resource_type;
use onward::fhir::xml::XHTML_NAMESPACE;
use onward::profile::library::shipped;
use onward::profile::validate::Request;
use onward::profile::xml;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What became of the files of a folder.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Resources.
    all: usize,
    /// The same after the round trip, members in any order.
    same: usize,
    /// … and byte for byte, but for white space.
    same_order: usize,
    /// … the same but for the namespace of a narrative, which XML had to be given.
    namespace_added: usize,
    /// Files that R4 does not allow and of which the writer said what XML cannot say.
    told: Vec<String>,
}

#[test]
fn fixtures_come_back_as_they_were() {
    let tally = tally(&Path::new(ROOT).join("fixtures/structure"));
    assert!(9 <= tally.all && tally.same == tally.all && tally.told.is_empty(), "{tally:?}");
}

#[test]
fn published_examples_come_back_as_they_were() {
    let shared = Path::new(ROOT).join("../shared");
    if !shared.is_dir() {
        return eprintln!("SKIPPED: the folder with published examples is not here");
    }
    for (folder, all, told) in [
        ("bars/examples", 200, 19),
        ("oracle/spec-examples", 95, 0),
        ("fhir/nhsdigital/uk.nhsdigital.r4-2.5.0/examples", 70, 9),
        ("fhir/ukcore/stu1-0.5.1/examples", 1, 0),
        ("fhir/ukcore/current-2025-06-20/examples", 200, 0),
    ] {
        let tally = tally(&shared.join(folder));
        println!("{folder}: {tally:#?}");
        assert!(all <= tally.all && tally.told.len() <= told, "{folder}: {tally:?}");
    }
}

fn tally(folder: &Path) -> Tally {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    let mut tally = Tally::default();
    for file in files {
        let limits = Limits::default();
        let Ok(value) = json::parse(&std::fs::read(&file).unwrap(), &limits) else { continue };
        if resource_type(&value).is_some() {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            round_trip(&value, &name, &mut tally);
        }
    }
    tally
}

fn round_trip(value: &Value, name: &str, tally: &mut Tally) {
    let limits = Limits::default();
    tally.all += 1;
    let (written, told) = xml::write(value);
    let read = xml::read(&written, &limits).unwrap_or_else(|error| panic!("{name}: {error}"));
    let back = json::parse(&read.json, &limits).unwrap();
    if !told.is_empty() {
        let text = value.to_string();
        let tape = shipped().read(text.as_bytes(), &limits).unwrap();
        let report = shipped().check(&tape, &Request::default());
        assert!(report.issues.has_errors(), "{name}: the writer finds fault with what R4 allows: {told:?}");
        let first = told.iter().next().unwrap();
        return tally.told.push(format!("{name}: {first}"));
    }
    assert!(read.issues.is_empty(), "{name}: {:?}", read.issues);
    let mut expected = value.clone();
    tally.namespace_added += usize::from(with_namespaces(&mut expected));
    assert!(back == expected, "{name}: {}", difference(&expected, &back, name.to_owned()));
    tally.same += 1;
    let (text, expected_text) = (back.to_string(), expected.to_string());
    tally.same_order += usize::from(text == expected_text);
    let (again, _) = xml::write(&back);
    assert!(again == written, "{name}: it is written otherwise the second time");
}

/// A narrative without a namespace would be in FHIR's own in XML. Was there one?
fn with_namespaces(value: &mut Value) -> bool {
    let mut any = false;
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                any |= match member {
                    Value::String(text) if name == "div" && !text.contains("xmlns=") => {
                        *text = text.replacen("<div", &format!("<div xmlns=\"{XHTML_NAMESPACE}\""), 1);
                        true
                    }
                    other => with_namespaces(other),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| any |= with_namespaces(item)),
        _ => {}
    }
    any
}

/// The first place where two values differ.
fn difference(a: &Value, b: &Value, at: String) -> String {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.len() == y.len() => {
            let differs = x.iter().find(|(name, value)| y.get(*name) != Some(value));
            differs.map_or(at.clone(), |(name, value)| difference(value, &y[name], format!("{at}.{name}")))
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let differs = x.iter().zip(y).enumerate().find(|(_, (x, y))| x != y);
            differs.map_or(at.clone(), |(index, (x, y))| difference(x, y, format!("{at}[{index}]")))
        }
        _ => format!("{at}: {a} became {b}"),
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|it| it == "json") {
            found.push(path);
        }
    }
}
