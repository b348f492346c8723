//! What messages are held to: the operator's packages and policy, `$validate`, and profiles as schemas over the wire.

use std::fs;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use onward::load::client::Response;
use serde_json::{Value, json};

use crate::gateway::{Gateway, Options, json as json_of};

const PROFILE: &str = "http://example.org/StructureDefinition/Named";

fn profile() -> Value {
    json!({
        "resourceType": "StructureDefinition", "id": "Named", "url": PROFILE, "name": "Named", "status": "draft",
        "fhirVersion": "4.0.1", "kind": "resource", "abstract": false, "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient", "derivation": "constraint",
        "differential": { "element": [{ "id": "Patient.name", "path": "Patient.name", "min": 1 }] },
    })
}

async fn ask(gateway: &Gateway, path: &str, body: &str) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    gateway.client().send(Method::POST, path, headers, Some(body.to_owned().into())).await.unwrap()
}

/// Severity, code, place, line and column of each issue.
fn issues(answer: &Response) -> Vec<(String, String, String, i64, i64)> {
    let body = json_of(answer);
    assert_eq!(body["resourceType"], "OperationOutcome", "{body}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |issue: &Value, name: &str| {
        let extensions = issue["extension"].as_array().cloned().unwrap_or_default();
        let found = extensions.iter().find(|it| text(&it["url"]).ends_with(&format!("operationoutcome-issue-{name}")));
        found.and_then(|it| it["valueInteger"].as_i64()).unwrap_or_default()
    };
    let told = |issue: &Value| {
        let coding = issue["details"]["coding"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
        let place = text(&issue["expression"][0]);
        (text(&issue["severity"]), text(&coding["code"]), place, number(issue, "line"), number(issue, "col"))
    };
    body["issue"].as_array().unwrap().iter().map(told).collect()
}

fn issue(severity: &str, code: &str, at: &str, line: i64, column: i64) -> (String, String, String, i64, i64) {
    (severity.into(), code.into(), at.into(), line, column)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validate_tells_everything_that_is_wrong_and_where() {
    let gateway = Gateway::start(Options::default());
    let sound = ask(&gateway, "/$validate", r#"{"resourceType":"Slot","schedule":{"reference":"Schedule/1"},"status":"free","start":"2026-01-02T03:04:05Z","end":"2026-01-02T03:14:05Z","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}"#).await;
    assert_eq!(sound.status, 200);
    assert_eq!(issues(&sound), [issue("information", "", "", 0, 0)]);

    let text = "{\"resourceType\":\"Patient\",\n  \"birthDate\": \"soon\",\n  \"nickname\": true }";
    let answer = ask(&gateway, "/Patient/$validate", text).await;
    assert_eq!(answer.status, 200);
    let found: Vec<_> = issues(&answer).into_iter().filter(|it| it.0 == "error").collect();
    let wanted =
        [issue("error", "ONW-2010", "Patient.birthDate", 2, 3), issue("error", "ONW-2006", "Patient.nickname", 3, 3)];
    assert_eq!(found, wanted);

    let within = format!(
        "{{\"resourceType\":\"Parameters\",\"parameter\":[{{\"name\":\"mode\",\"valueCode\":\"create\"}},{{\"name\":\"é\",\"valueString\":\"é\"}},\n {{\"name\":\"resource\",\"resource\":\n{text}}}]}}"
    );
    let found: Vec<_> =
        issues(&ask(&gateway, "/$validate", &within).await).into_iter().filter(|it| it.0 == "error").collect();
    let wanted =
        [issue("error", "ONW-2010", "Patient.birthDate", 4, 3), issue("error", "ONW-2006", "Patient.nickname", 5, 3)];
    assert_eq!(found, wanted);
    let other = ask(&gateway, "/Slot/$validate", r#"{"resourceType":"Patient","active":true}"#).await;
    assert!(issues(&other).contains(&issue("error", "ONW-2005", "", 1, 1)), "{:?}", issues(&other));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_questions_are_refused() {
    let gateway = Gateway::start(Options::default());
    let patient = r#"{"resourceType":"Patient","active":true}"#;
    for (path, body, status, code) in [
        ("/$validate", "", 400, "ONW-2001"),
        ("/$validate", "{", 400, "ONW-2001"),
        ("/Unknown/$validate", patient, 404, "ONW-1008"),
        ("/$validate?mode=delete", patient, 400, "ONW-1014"),
        ("/$validate?profile=http://example.org/nowhere", patient, 400, "ONW-1014"),
        (
            "/$validate",
            r#"{"resourceType":"Parameters","parameter":[{"name":"mode","valueCode":"create"}]}"#,
            400,
            "ONW-1013",
        ),
    ] {
        let answer = ask(&gateway, path, body).await;
        let told: Vec<String> = issues(&answer).into_iter().map(|it| it.1).collect();
        assert_eq!((answer.status.as_u16(), told), (status, vec![code.to_owned()]), "{path} {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_folder_of_packages_is_in_force_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options::default().with("validation.packages", format!("[{:?}]", folder.path().display().to_string()));
    let gateway = Gateway::start(options);
    let question = format!("/Patient/$validate?profile={PROFILE}");
    let nameless = r#"{"resourceType":"Patient","active":true}"#;
    assert_eq!(ask(&gateway, &question, nameless).await.status, 400, "not loaded yet");
    fs::write(folder.path().join("Named.json"), profile().to_string()).unwrap();
    let began = Instant::now();
    let answer = loop {
        let answer = ask(&gateway, &question, nameless).await;
        if answer.status == 200 {
            break answer;
        }
        assert!(began.elapsed() < Duration::from_secs(120), "{}", String::from_utf8_lossy(&answer.body));
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let missing = issue("error", "ONW-2007", "Patient", 1, 1);
    let found = issues(&answer);
    assert!(found.iter().any(|it| it.0 == "error" && it.2 == missing.2), "{found:?}");

    let path = "/StructureDefinition/Named/$schema";
    let schema = gateway.client().send(Method::GET, path, HeaderMap::new(), None).await.unwrap();
    assert_eq!(
        (schema.status.as_u16(), &schema.headers[CONTENT_TYPE]),
        (200, &HeaderValue::from_static("application/schema+json"))
    );
    let schema = jsonschema::draft202012::new(&json_of(&schema)).unwrap();
    assert!(!schema.is_valid(&serde_json::from_str(nameless).unwrap()));
    assert!(schema.is_valid(&json!({ "resourceType": "Patient", "name": [{ "text": "A name" }] })));
    let unknown =
        gateway.client().send(Method::GET, "/StructureDefinition/No/$schema", HeaderMap::new(), None).await.unwrap();
    assert_eq!(unknown.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_decides_how_bad_a_finding_is() {
    let wrong = r#"{"resourceType":"Patient","birthDate":"soon","active":true}"#;
    let level = |answer: &Response| issues(answer).into_iter().find(|it| it.1 == "ONW-2010").map(|it| it.0);
    let gateway = Gateway::start(Options::default().with("validation.rules", "{ \"ONW-2010\" = \"warning\" }"));
    assert_eq!(level(&ask(&gateway, "/$validate", wrong).await).as_deref(), Some("warning"));
    let gateway = Gateway::start(Options::default().with("validation.rules", "{ \"ONW-2010\" = \"off\" }"));
    assert_eq!(level(&ask(&gateway, "/$validate", wrong).await), None);
}
