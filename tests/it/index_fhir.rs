//! The index of patients over FHIR, against the real gateway.

use hyper::{HeaderMap, Method};
use onward::load::client::{Client, Response};
use serde_json::{Value, json};

use crate::gateway::{Gateway, Options, code, json};

/// Somebody, as a hospital's system says it.
fn adt(number: &str, nhs: &str, given: &str, contact: bool) -> Vec<u8> {
    let nhs = if nhs.is_empty() { String::new() } else { format!("~{nhs}^^^NHS^NH") };
    let status = if nhs.is_empty() { "" } else { "NSTS01" };
    let (home, phone) = if contact { ("7 PARK ROAD^^NOTTINGHAM^^NG2 4AB^^H", "07700900123^PRN^CP") } else { ("", "") };
    let pid = format!(
        "PID|1||{number}^^^RZ9^MR{nhs}||NAIR^{given}^^^^^L||19880217|2|||{home}||{phone}|||||||||||||||||||{status}"
    );
    format!("MSH|^~\\&|PAS|RZ9|ONWARD|RZ9|20260301090000||ADT^A28|{number}|T|2.4|||AL|NE\rEVN||20260301090000\r{pid}\r")
        .into_bytes()
}

async fn send(gateway: &Gateway, message: &[u8]) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(gateway.mllp.unwrap()).await.unwrap();
    let frame = [&[0x0B][..], message, &[0x1C, 0x0D]].concat();
    stream.write_all(&frame).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(text.contains("MSA|AA") || text.contains("MSA|CA"), "{text}");
}

async fn ask(client: &Client, path: &str, body: &Value) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/fhir+json".parse().unwrap());
    client.send(Method::POST, path, headers, Some(body.to_string().into())).await.unwrap()
}

async fn get(client: &Client, path: &str) -> Response {
    client.send(Method::GET, path, HeaderMap::new(), None).await.unwrap()
}

fn priya() -> Value {
    json!({
        "resourceType": "Patient",
        "name": [{ "use": "official", "family": "Nair", "given": ["Priya"] }],
        "gender": "female",
        "birthDate": "1988-02-17",
        "address": [{ "use": "home", "line": ["7 Park Road"], "postalCode": "NG2 4AB" }],
    })
}

fn question(patient: Value, only_certain: bool) -> Value {
    json!({ "resourceType": "Parameters", "parameter": [
        { "name": "resource", "resource": patient },
        { "name": "onlyCertainMatches", "valueBoolean": only_certain },
        { "name": "count", "valueInteger": 5 },
    ] })
}

fn grades(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().cloned().unwrap_or_default();
    let grade = |entry: &Value| {
        let extension = &entry["search"]["extension"][0];
        assert_eq!(extension["url"], "http://hl7.org/fhir/StructureDefinition/match-grade");
        let score = entry["search"]["score"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&score));
        extension["valueCode"].as_str().unwrap().to_owned()
    };
    entries.iter().map(grade).collect()
}

fn reference(record: &Value) -> Value {
    json!({ "reference": format!("Patient/{}", record.as_str().unwrap()) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_it_may_be_is_told_to_those_who_may_ask() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    send(&gateway, &adt("P1", "9990000018", "PRIYA", true)).await;
    send(&gateway, &adt("P2", "", "PRIYA", false)).await;

    let found = json(&ask(&client, "/Patient/$match", &question(priya(), false)).await);
    assert_eq!(grades(&found), ["certain", "probable"], "{found}");
    assert_eq!(grades(&json(&ask(&client, "/Patient/$match", &question(priya(), true)).await)), ["certain"]);
    let nobody = json!({ "resourceType": "Patient", "name": [{ "family": "Okoro", "given": ["Zed"] }] });
    assert_eq!(json(&ask(&client, "/Patient/$match", &question(nobody, false)).await)["total"], 0);

    let by_number = get(&client, "/Patient?identifier=https://fhir.nhs.uk/Id/nhs-number%7C9990000018").await;
    let first = json(&by_number)["entry"][0]["resource"].clone();
    assert_eq!((by_number.status.as_u16(), &first["birthDate"]), (200, &json!("1988-02-17")));
    let tasks = json(&get(&client, "/Task").await);
    assert_eq!((&tasks["total"], &tasks["entry"][0]["resource"]["status"]), (&json!(1), &json!("requested")));

    // Merged by a person's wish, with a reason; and taken back.
    let second = json(&ask(&client, "/Patient/$match", &question(priya(), false)).await);
    let second = second["entry"][1]["resource"]["id"].clone();
    let merge = |reason: &str| {
        json!({ "resourceType": "Parameters", "parameter": [
            { "name": "source-patient", "valueReference": reference(&second) },
            { "name": "target-patient", "valueReference": reference(&first["id"]) },
            { "name": "reason", "valueString": reason },
        ] })
    };
    assert_eq!(ask(&client, "/Patient/$merge", &merge(" ")).await.status, 400);
    let merged = json(&ask(&client, "/Patient/$merge", &merge("same passport")).await);
    assert_eq!(merged["parameter"][0]["resource"]["link"][0]["type"], "replaces", "{merged}");
    let follower = json(&get(&client, &format!("/Patient/{}", second.as_str().unwrap())).await);
    assert_eq!((&follower["active"], &follower["link"][0]["type"]), (&json!(false), &json!("replaced-by")));
    let again = ask(&client, "/Patient/$merge", &merge("same passport")).await;
    assert_eq!((again.status.as_u16(), code(&again)), (409, "ONW-7004".to_owned()));
    let links = json(&get(&client, &format!("/Patient/{}/$links", first["id"].as_str().unwrap())).await);
    assert_eq!(links["parameter"][1]["name"], "link");
    let unmerge = format!("/Patient/{}/$unmerge", second.as_str().unwrap());
    let reason =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "reason", "valueString": "a cousin" }] });
    let parted = json(&ask(&client, &unmerge, &reason).await);
    assert_eq!(parted["parameter"][0]["resource"]["id"], second);

    // What the gateway says is itself sound R4.
    for resource in [&found, &first, &tasks, &merged["parameter"][0]["resource"], &follower] {
        let problems = json(&ask(&client, "/$validate", resource).await);
        let errors = problems["issue"].as_array().unwrap().iter().filter(|it| it["severity"] == "error");
        assert_eq!(errors.count(), 0, "{resource}\n{problems}");
    }

    // Another client has not the role.
    let other = gateway.client_with(&gateway.files_of("nhs111"));
    for path in ["/Patient?identifier=a%7Cb", "/Task"] {
        let refused = get(&other, path).await;
        assert_eq!((refused.status.as_u16(), code(&refused)), (403, "ONW-7010".to_owned()), "{path}");
    }
    let refused = ask(&other, "/Patient/$match", &question(priya(), false)).await;
    assert_eq!(code(&refused), "ONW-7010");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_cannot_be_understood_is_never_answered_with_nobody() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let wrong = [
        json!({ "resourceType": "Parameters", "parameter": [] }),
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": { "resourceType": "Task" } }] }),
        question(json!({ "resourceType": "Patient", "birthDate": "17.2.1988" }), false),
        json!({ "resourceType": "Parameters", "parameter": [
            { "name": "resource", "resource": priya() }, { "name": "count", "valueInteger": 0 },
        ] }),
    ];
    for body in wrong {
        let refused = ask(&client, "/Patient/$match", &body).await;
        assert!(400 <= refused.status.as_u16() && code(&refused).starts_with("ONW-"), "{body}: {}", json(&refused));
    }
    assert_eq!(get(&client, "/Patient/00000000-0000-0000-0000-000000000000").await.status, 404);
    assert_eq!(get(&client, "/Patient?identifier=9990000018").await.status, 400);
}
