//! What is found in resources that are held to profiles: each file of cases below fixtures/ is a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use onward::fhir::json::Limits;
use onward::issue::Severity;
use onward::profile::library::Library;
use onward::profile::package;
use onward::profile::validate::Request;
use serde::Deserialize;
use serde_json::{Value, json};

/// The definitions that the cases name.
static LIBRARY: LazyLock<Library> =
    LazyLock::new(|| Library::load(&[folder("fixtures/validation/definitions")], &package::Limits::default()));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is shown by it.
    says: String,
    /// A profile that the resource must conform to.
    profile: Option<String>,
    resource: Value,
    /// Severity, code and place of each finding, in their order; what is only information or good practice is left out.
    found: Vec<String>,
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn found(case: &Case) -> Vec<String> {
    let validator = &LIBRARY.validator;
    let text = case.resource.to_string();
    let tape = validator.read(text.as_bytes(), &Limits::default()).unwrap();
    let asked = case.profile.as_deref().map(|url| {
        let profile = validator.program().profile(url);
        profile.unwrap_or_else(|| panic!("{}: {url} is not loaded", case.says))
    });
    let report = validator.check(&tape, &Request { profiles: asked.as_slice(), ..Request::default() });
    let told = report.issues.iter().filter(|it| it.severity != Severity::Information && !it.rule.ends_with("#dom-6"));
    let told = told.map(|it| {
        let severity = if it.severity == Severity::Error { "error" } else { "warning" };
        format!("{severity} {} {}", it.code.id, it.at)
    });
    told.collect()
}

#[test]
fn the_cases_find_what_they_say() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(folder("fixtures/validation/cases")).unwrap() {
        let path = entry.unwrap().path();
        let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for case in cases {
            count += 1;
            let found = found(&case);
            if found != case.found {
                wrong.push(format!("{}: expected {:?}, found {found:?}", case.says, case.found));
            }
        }
    }
    assert!(0 < count);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_definitions_of_the_cases_load() {
    let wrong: Vec<String> = LIBRARY.issues.iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_response_of_nothing_but_answers_ends_soon() {
    const MANY: usize = 3_000;
    let condition = json!([{ "question": "a", "operator": "=", "answerInteger": 1 }]);
    let asks = |n| json!({ "linkId": format!("q{n}"), "type": "string", "required": true, "enableWhen": condition });
    let first = [json!({ "linkId": "a", "type": "integer", "repeats": true })];
    let questions: Vec<Value> = first.into_iter().chain((0..MANY).map(asks)).collect();
    let answers: Vec<Value> = (0..MANY).map(|_| json!({ "valueInteger": 0 })).collect();
    let resource = json!({
        "resourceType": "QuestionnaireResponse", "questionnaire": "#f", "status": "completed",
        "contained": [{ "resourceType": "Questionnaire", "id": "f", "status": "active", "item": questions }],
        "item": [{ "linkId": "a", "answer": answers }],
    });
    let case = Case { says: String::new(), profile: None, resource, found: Vec::new() };
    let begin = Instant::now();
    // What is required is not missed where nobody can tell whether it is enabled.
    assert_eq!(found(&case), ["warning ONW-2033 QuestionnaireResponse"]);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}
