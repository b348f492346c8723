//! FHIR packages as an operator meets them: archives and folders, versions side by side, limits, and what is said
//! about what is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use onward::issue::Severity;
use onward::profile::definition::{Element, Max, SlicingRules};
use onward::profile::package::{Limits, LoadFault, LoadIssue, Packages};
use onward::profile::terminology::{Membership, Reason};
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENT: &str = "http://hl7.org/fhir/StructureDefinition/Patient";

fn manifest(name: &str, version: &str, dependencies: &Value) -> (String, Value) {
    ("package.json".into(), json!({"name": name, "version": version, "dependencies": dependencies}))
}

/// A profile, with what it changes.
fn profile(url: &str, version: &str, base: &str, elements: &Value) -> (String, Value) {
    let type_name = elements[0]["path"].as_str().unwrap().split('.').next().unwrap();
    let definition = json!({
        "resourceType": "StructureDefinition", "url": url, "version": version, "name": "X", "status": "active",
        "kind": "resource", "abstract": false, "type": type_name, "baseDefinition": base,
        "derivation": "constraint", "differential": {"element": elements},
    });
    (format!("{}-{version}.json", url.replace(['/', ':'], "-")), definition)
}

fn folder(files: &[(String, Value)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content.to_string()).unwrap();
    }
    dir
}

/// An archive with entries as they are given, paths unchecked.
fn archive(dir: &Path, name: &str, entries: &[(&str, &[u8])]) -> PathBuf {
    let path = dir.join(name);
    let mut builder = tar::Builder::new(GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast()));
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap();
    path
}

fn load(paths: &[&Path]) -> (Packages, Vec<LoadIssue>) {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    Packages::load(&paths, &Limits::default())
}

fn sound(paths: &[&Path]) -> Packages {
    let (packages, issues) = load(paths);
    assert_eq!(issues, []);
    packages
}

/// The elements that a differential on Patient gives.
fn made(elements: &Value) -> Vec<Element> {
    let base = format!(
        "http://hl7.org/fhir/StructureDefinition/{}",
        elements[0]["path"].as_str().unwrap().split('.').next().unwrap()
    );
    let dir = folder(&[profile("urn:p", "1", &base, elements)]);
    sound(&[dir.path()]).definition("urn:p").unwrap().snapshot.clone()
}

fn element<'e>(elements: &'e [Element], id: &str) -> &'e Element {
    elements.iter().find(|it| it.id == id).unwrap_or_else(|| panic!("{id} is not there"))
}

fn root() -> Value {
    json!({"id": "Patient", "path": "Patient"})
}

#[test]
fn versions_stand_side_by_side_and_the_newest_is_meant() {
    let one = |version: &str| profile("urn:p", version, PATIENT, &json!([root()]));
    let dir = folder(&[one("1.9.0"), one("1.10.0"), one("2.0.0-beta")]);
    let packages = sound(&[dir.path()]);
    let version = |canonical: &str| packages.definition(canonical).and_then(|it| it.version.as_deref());
    assert_eq!(version("urn:p"), Some("2.0.0-beta"));
    assert_eq!((version("urn:p|1.9.0"), version("urn:p|1.8.0")), (Some("1.9.0"), None));
}

#[test]
fn a_package_means_its_own_before_what_it_builds_on_before_others() {
    let user = |url: &str, on: &str| profile(url, "1", on, &json!([root()]));
    let own = |version: &str, max: &str| {
        profile("urn:b", version, PATIENT, &json!([root(), {"id": "Patient.name", "path": "Patient.name", "max": max}]))
    };
    let a = folder(&[manifest("a", "1.0.0", &json!({})), own("1", "1"), user("urn:of-a", "urn:b")]);
    let b = folder(&[manifest("b", "1.0.0", &json!({})), own("2", "2")]);
    let c = folder(&[manifest("c", "1.0.0", &json!({"a": "1.0.x"})), user("urn:of-c", "urn:b")]);
    let packages = sound(&[a.path(), b.path(), c.path()]);
    let max = |url: &str| element(&packages.definition(url).unwrap().snapshot, "Patient.name").max;
    assert_eq!((max("urn:of-a"), max("urn:of-c")), (Some(Max::Count(1)), Some(Max::Count(1))));
    assert_eq!(packages.definition("urn:b").unwrap().version.as_deref(), Some("2"));
}

#[test]
fn a_missing_dependency_is_told_and_the_core_is_always_there() {
    let dir = folder(&[manifest("a", "1.0.0", &json!({"hl7.fhir.r4.core": "4.0.1", "other": "3.0.0"}))]);
    let (packages, issues) = load(&[dir.path()]);
    let [only] = issues.as_slice() else { panic!("{issues:?}") };
    assert_eq!((only.severity, only.fault), (Severity::Warning, LoadFault::DependencyMissing));
    assert_eq!(only.to_string(), "warning: a#1.0.0: package.json: dependencies: other#3.0.0 is not loaded");
    assert!(packages.definition(PATIENT).is_some());
}

#[test]
fn an_archive_is_a_package_and_its_examples_are_only_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (_, package) = manifest("a", "1.0.0", &json!({}));
    let (_, definition) = profile("urn:p", "1", PATIENT, &json!([root()]));
    let message = json!({"resourceType": "MessageDefinition", "url": "urn:m", "version": "2", "status": "active"});
    let file = archive(
        dir.path(),
        "a.tgz",
        &[
            ("package/StructureDefinition-p.json", definition.to_string().as_bytes()),
            ("package/example/p.json", definition.to_string().replace("urn:p", "urn:example").as_bytes()),
            ("package/MessageDefinition-m.json", message.to_string().as_bytes()),
            ("package/package.json", package.to_string().as_bytes()),
        ],
    );
    let packages = sound(&[&file]);
    let loaded = packages.packages().last().unwrap();
    assert_eq!((loaded.label().as_str(), loaded.counts["example"]), ("a#1.0.0", 1));
    assert!(packages.definition("urn:p").is_some() && packages.definition("urn:example").is_none());
    assert_eq!(packages.message_definition("urn:m|2").unwrap()["status"], "active");
}

#[test]
fn nothing_leads_out_of_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (_, definition) = profile("urn:p", "1", PATIENT, &json!([root()]));
    let text = definition.to_string();
    let file = archive(dir.path(), "a.tgz", &[("package/../../p.json", text.as_bytes()), ("/p.json", text.as_bytes())]);
    let (packages, issues) = load(&[&file]);
    let faults: Vec<LoadFault> = issues.iter().map(|issue| issue.fault).collect();
    assert_eq!(faults, [LoadFault::UnsafePath; 2]);
    assert!(packages.definition("urn:p").is_none());
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let outside = folder(&[profile("urn:p", "1", PATIENT, &json!([root()]))]);
    let dir = folder(&[manifest("a", "1.0.0", &json!({}))]);
    std::os::unix::fs::symlink(outside.path(), dir.path().join("more")).unwrap();
    let (packages, issues) = load(&[dir.path()]);
    assert_eq!(issues.iter().map(|issue| issue.fault).collect::<Vec<_>>(), [LoadFault::UnsafePath]);
    assert!(packages.definition("urn:p").is_none());
}

#[test]
fn an_archive_may_not_inflate_beyond_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let blanks = vec![b' '; 4 << 20];
    let file = archive(dir.path(), "a.tgz", &[("package/a.json", &blanks), ("package/b.json", &blanks)]);
    assert!(fs::metadata(&file).unwrap().len() < 1 << 20);
    let with = |limits: Limits| {
        let (_, issues) = Packages::load(std::slice::from_ref(&file), &limits);
        issues.into_iter().filter(|it| it.fault == LoadFault::TooLarge).map(|it| it.file).collect::<Vec<_>>()
    };
    assert_eq!(with(Limits { file_bytes_max: 1 << 20, ..Limits::default() }), ["a.json"]);
    assert_eq!(with(Limits { bytes_max: 5 << 20, ..Limits::default() }), ["b.json"]);
    assert_eq!(with(Limits { files_max: 1, ..Limits::default() }), [""]);
    assert!(with(Limits::default()).is_empty());
}

#[test]
fn what_is_broken_is_told_with_file_and_element() {
    let (name, mut definition) = profile("urn:p", "1", PATIENT, &json!([root(), {"path": "Patient.name", "min": 0}]));
    definition["differential"]["element"][1]["min"] = json!("two");
    let dir = folder(&[(name.clone(), definition)]);
    fs::write(dir.path().join("z.json"), "{\"resourceType\": ").unwrap();
    fs::write(dir.path().join("cut.tgz"), b"\x1f\x8bnothing").unwrap();
    let (_, issues) = load(&[dir.path()]);
    let told = |fault| issues.iter().find(|issue| issue.fault == fault && !issue.file.starts_with('z')).unwrap();
    let malformed = told(LoadFault::Malformed);
    assert_eq!((malformed.file.as_str(), malformed.severity), (name.as_str(), Severity::Error));
    assert_eq!(malformed.element.as_deref(), Some("differential.element[1].min"));
    assert_eq!(told(LoadFault::Archive).severity, Severity::Error);
    assert!(issues.iter().any(|issue| issue.file == "z.json"));
}

#[test]
fn a_differential_that_does_not_fit_is_told_with_its_element() {
    let deep = format!("Patient.contained{}", ".id".repeat(60));
    let wrong = [
        (json!([root(), {"id": "Patient.nose", "path": "Patient.nose"}]), "Patient.nose"),
        (
            json!([root(), {"id": "Patient.deceased[x].start", "path": "Patient.deceased[x].start"}]),
            "Patient.deceased[x].start",
        ),
        (json!([root(), {"id": deep, "path": deep}]), deep.as_str()),
    ];
    for (elements, id) in wrong {
        let dir = folder(&[profile("urn:p", "1", PATIENT, &elements)]);
        let (packages, issues) = load(&[dir.path()]);
        let [only] = issues.as_slice() else { panic!("{issues:?}") };
        assert_eq!((only.fault, only.element.as_deref()), (LoadFault::Snapshot, Some(id)), "{only}");
        assert!(packages.definition("urn:p").unwrap().snapshot.is_empty());
    }
    let dir =
        folder(&[profile("urn:p", "1", "urn:q", &json!([root()])), profile("urn:q", "1", "urn:p", &json!([root()]))]);
    let (_, issues) = load(&[dir.path()]);
    assert_eq!(issues.iter().filter(|issue| issue.text.contains("needs itself")).count(), 2, "{issues:?}");
}

#[test]
fn slices_and_slices_of_slices_are_cut_from_what_the_base_says() {
    let elements = made(&json!([
        root(),
        {"id": "Patient.identifier", "path": "Patient.identifier", "min": 1,
            "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "closed"}},
        {"id": "Patient.identifier:a", "path": "Patient.identifier", "sliceName": "a", "max": "2"},
        {"id": "Patient.identifier:a.system", "path": "Patient.identifier.system", "min": 1, "fixedUri": "urn:a"},
        {"id": "Patient.identifier:a/b", "path": "Patient.identifier", "sliceName": "a/b", "max": "1"},
        {"id": "Patient.identifier:a/b.use", "path": "Patient.identifier.use", "min": 1},
    ]));
    let stem = element(&elements, "Patient.identifier");
    assert_eq!((stem.min, stem.slicing.as_ref().map(|it| it.rules)), (Some(1), Some(SlicingRules::Closed)));
    let slice = element(&elements, "Patient.identifier:a");
    assert_eq!((slice.min, slice.max, slice.slicing.as_ref()), (Some(0), Some(Max::Count(2)), None));
    let inner = element(&elements, "Patient.identifier:a/b");
    assert_eq!((inner.max, inner.path.as_str()), (Some(Max::Count(1)), "Patient.identifier"));
    assert_eq!(
        element(&elements, "Patient.identifier:a/b.system").fixed,
        Some(Box::new(("Uri".into(), "urn:a".into())))
    );
    assert_eq!(element(&elements, "Patient.identifier:a.use").min, Some(0));
    assert!(!elements.iter().any(|it| it.id == "Patient.identifier.system"));
}

#[test]
fn a_short_cut_names_a_type_and_a_reference_to_content_is_unfolded() {
    let elements = made(&json!([
        {"id": "Observation", "path": "Observation"},
        {"id": "Observation.valueQuantity", "path": "Observation.valueQuantity"},
        {"id": "Observation.valueQuantity.code", "path": "Observation.valueQuantity.code", "min": 1},
        {"id": "Observation.component.referenceRange.low", "path": "Observation.component.referenceRange.low", "min": 1},
    ]));
    let choice = element(&elements, "Observation.value[x]");
    assert_eq!(choice.types.iter().map(|it| it.code.as_str()).collect::<Vec<_>>(), ["Quantity"]);
    let slice = element(&elements, "Observation.value[x]:valueQuantity");
    assert_eq!((slice.path.as_str(), slice.slice_name.as_deref()), ("Observation.value[x]", Some("valueQuantity")));
    assert_eq!(element(&elements, "Observation.value[x]:valueQuantity.code").min, Some(1));
    assert_eq!(element(&elements, "Observation.component.referenceRange").content_reference, None);
    assert_eq!(element(&elements, "Observation.component.referenceRange.low").min, Some(1));
    assert!(element(&elements, "Observation.referenceRange.low").min == Some(0));
}

#[test]
fn constraints_and_bindings_merge_along_the_chain() {
    let rule = |key: &str| json!({"key": key, "severity": "error", "human": "…", "expression": "true"});
    let name = |constraint: &Value| {
        json!([root(), {"id": "Patient.gender", "path": "Patient.gender", "constraint": [constraint],
        "binding": {"strength": "required"}}])
    };
    let dir = folder(&[
        profile("urn:p", "1", PATIENT, &name(&rule("p-1"))),
        profile("urn:q", "1", "urn:p", &name(&json!({"key": "p-1", "severity": "warning"}))),
        profile("urn:r", "1", "urn:q", &name(&rule("r-1"))),
    ]);
    let packages = sound(&[dir.path()]);
    let gender = element(&packages.definition("urn:r").unwrap().snapshot, "Patient.gender").clone();
    let told = |key: &str| gender.constraints.iter().find(|it| it.key == key).unwrap();
    assert!(!told("p-1").is_error && told("p-1").expression.as_deref() == Some("true"));
    assert_eq!(told("r-1").source.as_deref(), Some("urn:r"));
    assert!(gender.constraints.iter().any(|it| it.key == "ele-1"));
    let set = gender.binding.and_then(|it| it.value_set);
    assert_eq!(set.as_deref(), Some("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1"));
}

fn value_set(url: &str, compose: &Value) -> (String, Value) {
    (format!("{url}.json").replace(':', "-"), json!({"resourceType": "ValueSet", "url": url, "compose": compose}))
}

fn terms() -> TempDir {
    let system = json!({"resourceType": "CodeSystem", "url": "urn:s", "version": "1", "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b"}, {"code": "c"}]}, {"code": "d"}]});
    let part =
        json!({"resourceType": "CodeSystem", "url": "urn:part", "content": "fragment", "concept": [{"code": "x"}]});
    let all = json!({"include": [{"system": "urn:s"}], "exclude": [{"system": "urn:s", "concept": [{"code": "d"}]}]});
    let below = json!({"include": [{"system": "urn:s", "filter": [{"property": "concept", "op": "descendent-of", "value": "a"}]}]});
    folder(&[
        ("s.json".into(), system),
        ("part.json".into(), part),
        value_set("urn:all", &all),
        value_set("urn:below", &below),
        value_set("urn:both", &json!({"include": [{"valueSet": ["urn:all", "urn:below"]}]})),
        value_set("urn:old", &json!({"include": [{"system": "urn:s", "version": "0"}]})),
        value_set("urn:fragment", &json!({"include": [{"system": "urn:part"}]})),
        value_set("urn:listed", &json!({"include": [{"system": "urn:unknown", "concept": [{"code": "k"}]}]})),
        value_set("urn:some", &json!({"include": [{"system": "urn:unknown"}, {"system": "urn:s"}]})),
        value_set("urn:round", &json!({"include": [{"valueSet": ["urn:around"]}]})),
        value_set("urn:around", &json!({"include": [{"valueSet": ["urn:round"]}]})),
        value_set("urn:mime", &json!({"include": [{"system": "urn:ietf:bcp:13"}]})),
    ])
}

#[test]
fn a_code_is_a_member_only_where_that_is_known() {
    use Membership::{Member, NotChecked, NotMember};
    let dir = terms();
    let packages = sound(&[dir.path()]);
    let ask = |set: &str, system: &str, code: &str| packages.codes(set).unwrap().has(system, None, code);
    assert_eq!(
        [ask("urn:all", "urn:s", "a"), ask("urn:all", "urn:s", "d"), ask("urn:all", "urn:t", "a")],
        [Member, NotMember, NotMember]
    );
    assert_eq!([ask("urn:below", "urn:s", "b"), ask("urn:below", "urn:s", "a")], [Member, NotMember]);
    assert_eq!([ask("urn:both", "urn:s", "c"), ask("urn:both", "urn:s", "a")], [Member, NotMember]);
    assert_eq!(ask("urn:old", "urn:s", "a"), NotChecked(Reason::SystemVersion("urn:s".into())));
    assert_eq!(ask("urn:fragment", "urn:part", "x"), NotChecked(Reason::SystemIncomplete("urn:part".into())));
    assert_eq!([ask("urn:listed", "urn:unknown", "k"), ask("urn:listed", "urn:unknown", "l")], [Member, NotMember]);
    assert_eq!(ask("urn:some", "urn:unknown", "a"), NotChecked(Reason::SystemUnknown("urn:unknown".into())));
    assert_eq!(ask("urn:some", "urn:s", "a"), Member);
    assert!(matches!(ask("urn:round", "urn:s", "a"), NotChecked(Reason::ValueSetCycle(_))));
    assert_eq!(
        [ask("urn:mime", "urn:ietf:bcp:13", "a/b"), ask("urn:mime", "urn:ietf:bcp:13", "a")],
        [Member, NotMember]
    );
    assert_eq!(packages.codes("urn:none").err(), Some(Reason::ValueSetUnknown("urn:none".into())));
    let all = packages.codes("urn:all").unwrap();
    assert_eq!([all.has_code("b"), all.has_code("z")], [Member, NotMember]);
    assert_eq!(all.has("urn:s", Some("2"), "a"), NotChecked(Reason::SystemVersion("urn:s".into())));
    assert_eq!(packages.is_code("urn:s", None, "d"), Member);
    assert_eq!(packages.codes("urn:below").unwrap().members(), Some(vec![("urn:s", "b"), ("urn:s", "c")]));
}

#[test]
fn value_sets_that_multiply_are_not_followed() {
    let twice = |at: usize| {
        let next = [format!("urn:v{}", at + 1)];
        value_set(&format!("urn:v{at}"), &json!({"include": [{"valueSet": next}, {"valueSet": next}]}))
    };
    let last = value_set("urn:v30", &json!({"include": [{"system": "urn:s", "concept": [{"code": "a"}]}]}));
    let dir = folder(&(0..30).map(twice).chain([last]).collect::<Vec<_>>());
    let packages = sound(&[dir.path()]);
    assert!(matches!(
        packages.codes("urn:v0").unwrap().has_code("b"),
        Membership::NotChecked(Reason::ValueSetTooLarge(_))
    ));
    assert_eq!(packages.codes("urn:v25").unwrap().has_code("a"), Membership::Member);
}

#[test]
fn a_differential_may_not_lie_deeper_than_anything() {
    for path in [format!("Patient{}", ".a".repeat(100_000)), format!("Patient.name:{}", "a/".repeat(10_000))] {
        let elements = json!([root(), {"id": path, "path": path.split(':').next().unwrap()}]);
        let (name, definition) = profile("urn:p", "1", PATIENT, &elements);
        let dir = folder(&[(name, definition)]);
        let (_, issues) = load(&[dir.path()]);
        assert!(issues.iter().all(|issue| issue.fault == LoadFault::Snapshot), "{issues:?}");
    }
}

#[test]
fn the_value_sets_of_r4_are_there() {
    let packages = sound(&[]);
    let gender = packages.codes("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1").unwrap();
    assert_eq!([gender.has_code("female"), gender.has_code("femal")], [Membership::Member, Membership::NotMember]);
    let types = packages.codes("http://hl7.org/fhir/ValueSet/all-types").unwrap();
    assert_eq!([types.has_code("Patient"), types.has_code("HumanName")], [Membership::Member, Membership::Member]);
    let languages = packages.codes("http://hl7.org/fhir/ValueSet/all-languages").unwrap();
    assert_eq!([languages.has_code("en-GB"), languages.has_code("e")], [Membership::Member, Membership::NotMember]);
}

fn onward(args: &[&str]) -> (i32, String) {
    let done = Command::cargo_bin("onward").unwrap().args(args).output().unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
}

#[test]
fn packages_are_added_listed_shown_and_compared_on_the_command_line() {
    let named = |max: &str| json!([root(), {"id": "Patient.name", "path": "Patient.name", "max": max}]);
    let one = folder(&[manifest("a", "1.0.0", &json!({})), profile("urn:p", "1", PATIENT, &named("1"))]);
    let two = folder(&[manifest("a", "2.0.0", &json!({})), profile("urn:p", "2", PATIENT, &named("2"))]);
    let store = tempfile::tempdir().unwrap();
    let [first, second, dir] = [one.path(), two.path(), store.path()].map(|it| it.to_str().unwrap());
    for package in [first, second] {
        assert_eq!(onward(&["profiles", "add", package, "--dir", dir]).0, 0);
    }
    assert_eq!(onward(&["profiles", "add", first, "--dir", dir]).0, 1, "it is there already");
    let (code, listed) = onward(&["--json", "profiles", "list", "--package", dir]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let (ships, added): (Vec<&Value>, Vec<&Value>) =
        listed.as_array().unwrap().iter().partition(|it| it["path"].is_null());
    let names = |of: &[&Value], what: &str| of.iter().map(|it| it[what].clone()).collect::<Vec<_>>();
    assert_eq!((code, names(&added, "version")), (0, vec![json!("1.0.0"), json!("2.0.0")]));
    let built_in = ["hl7.fhir.r4.core", "health.onward.ukcore.stu1", "health.onward.bars", "health.onward.rest"];
    assert_eq!(names(&ships, "name"), built_in.map(Value::from));
    let (code, shown) = onward(&["profiles", "show", "urn:p|1", "--package", dir]);
    assert!(
        code == 0 && shown.lines().any(|line| line.starts_with("Patient.name ") && line.contains("0..1")),
        "{shown}"
    );
    let (code, changed) = onward(&["profiles", "diff", "urn:p|1", "urn:p|2", "--package", dir]);
    assert_eq!((code, changed.as_str()), (1, "urn:p Patient.name: cardinality: 0..1 → 0..2\n"));
    assert_eq!(onward(&["profiles", "diff", first, second]), (1, changed));
    assert_eq!(onward(&["profiles", "show", "urn:none"]).0, 1);
}

#[test]
fn a_package_with_errors_is_not_added() {
    let wrong = json!([root(), {"id": "Patient.nose", "path": "Patient.nose"}]);
    let package = folder(&[manifest("a", "1.0.0", &json!({})), profile("urn:p", "1", PATIENT, &wrong)]);
    let store = tempfile::tempdir().unwrap();
    let [path, dir] = [package.path(), store.path()].map(|it| it.to_str().unwrap());
    assert_eq!(onward(&["profiles", "add", path, "--dir", dir]).0, 1);
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);
    let (code, found) = onward(&["--json", "profiles", "check", path]);
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!((code, &found[0]["fault"], &found[0]["element"]), (1, &json!("snapshot"), &json!("Patient.nose")));
}
