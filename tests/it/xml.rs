//! FHIR XML over the wire: what is taken and told in JSON is taken and told in XML, on every endpoint.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::Timestamp;
use onward::fhir::form::Form;
use onward::fhir::json::{self, Limits};
use onward::load::client::Response;
use onward::load::synthetic::People;
use onward::profile::xml;
use serde_json::Value;

use crate::conformance::{BOOKING, Bench, facts, headers_to, read, target};
use crate::gateway::{Gateway, Options, SERVICE, bundles, code, headers, json as json_of};

const MESSAGE: &str = "/$process-message";
const XML: &str = "application/fhir+xml; version=1.5.0";

fn as_xml(resource: &Value) -> Bytes {
    let (bytes, issues) = xml::write(resource);
    assert!(issues.is_empty(), "{issues:?}");
    bytes.into()
}

/// An answer in XML as the same answer in JSON.
fn of_xml(answer: Response) -> Response {
    assert_eq!(answer.headers[CONTENT_TYPE], XML, "{}", String::from_utf8_lossy(&answer.body));
    let parsed = xml::read(&answer.body, &Limits::default()).unwrap();
    assert!(parsed.issues.is_empty(), "{:?}", parsed.issues);
    Response { body: parsed.json.into(), ..answer }
}

fn with(mut headers: HeaderMap, accept: &'static str, content_type: Option<&'static str>) -> HeaderMap {
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers
}

fn referral() -> Value {
    let body = bundles().referral(&People::new(30).next(), Timestamp::now()).body;
    json::parse(&body, &Limits::default()).unwrap()
}

/// What of an answer is the same each time: everything but ids and times that the gateway gives.
fn gist(answer: &Response) -> (u16, Vec<String>) {
    let body = json_of(answer);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = body["entry"].as_array().cloned().unwrap_or_default();
    let kinds = entries.iter().map(|entry| text(&entry["resource"]["resourceType"]));
    let issues = body["issue"].as_array().cloned().unwrap_or_default();
    let issues =
        issues.iter().map(|issue| format!("{} {}", issue["details"]["coding"][1]["code"], issue["expression"]));
    (answer.status.as_u16(), [text(&body["resourceType"])].into_iter().chain(kinds).chain(issues).collect())
}

/// Each example once in JSON to one gateway and once in XML to another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standards_examples_get_the_same_verdicts_in_both_forms() {
    let Some(folder) = facts() else { return };
    let (of_json, of_xml_bench) = (Bench::start(folder.clone()), Bench::start(folder.clone()));
    for bench in [&of_json, &of_xml_bench] {
        bench.import_slots(BOOKING);
    }
    let mut names: Vec<String> = ["ig-1.12.0/bundles", "tkw/requests"]
        .iter()
        .flat_map(|part| std::fs::read_dir(folder.join("examples").join(part)).unwrap())
        .map(|entry| entry.unwrap().path().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let (mut accepted, mut refused) = (0, 0);
    for name in &names {
        let bundle = read(&folder, name);
        let headers = || headers_to(&target(&bundle)).write();
        let json_body = Some(bundle.to_string().into());
        let json_answer = of_json.client.send(Method::POST, MESSAGE, headers(), json_body).await.unwrap();
        // What R4 does not allow may lose its shape in XML; the verdict must be a refusal all the same.
        let (xml_body, told) = xml::write(&bundle);
        let xml_headers = with(headers(), "application/fhir+xml", Some("application/fhir+xml"));
        let answer = of_xml_bench.client.send(Method::POST, MESSAGE, xml_headers, Some(xml_body.into())).await.unwrap();
        let answer = of_xml(answer);
        if told.is_empty() {
            assert_eq!(gist(&answer), gist(&json_answer), "{name}");
        }
        assert_eq!(answer.status, json_answer.status, "{name}");
        accepted += usize::from(answer.status == 200);
        refused += usize::from(answer.status != 200);
    }
    println!("{accepted} accepted, {refused} refused, the same in both forms");
    assert!(15 < accepted, "{accepted} of {}", names.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_xml_is_answered_kept_and_repeated_like_one_in_json() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let body = as_xml(&referral());
    let headers = with(headers().write(), "application/fhir+xml", Some("application/fhir+xml; charset=utf-8"));
    let answer = client.send(Method::POST, MESSAGE, headers.clone(), Some(body.clone())).await.unwrap();
    let answer = of_xml(answer);
    assert_eq!((answer.status.as_u16(), &json_of(&answer)["resourceType"]), (200, &Value::from("Bundle")));
    let again = of_xml(client.send(Method::POST, MESSAGE, headers, Some(body.clone())).await.unwrap());
    assert_eq!((again.status.as_u16(), code(&again).as_str()), (409, "ONW-1020"));

    let rows = gateway.document(&["messages", "list"]);
    let first = rows.as_array().unwrap().iter().find(|row| row["outcome"] == "accepted").unwrap();
    let shown = gateway.document(&["messages", "show", first["id"].as_str().unwrap(), "--body"]);
    use base64::Engine as _;
    let kept = base64::prelude::BASE64_STANDARD.decode(shown["body_base64"].as_str().unwrap()).unwrap();
    assert_eq!(kept, body, "the bytes are kept as they came");
    assert_eq!(Form::of(&kept), Form::Xml);
    assert!(shown["report"]["mapped"].as_object().is_some_and(|mapped| 5 < mapped.len()), "{}", shown["report"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_xml_names_line_and_column_and_its_repeat_may_ask_for_json() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let text = String::from_utf8(as_xml(&referral()).to_vec()).unwrap();
    let late = text.replacen("<type value=\"message\"/>", "\n", 1).replacen(
        "</Bundle>",
        "\n<type value=\"message\"/></Bundle>",
        1,
    );
    let broken = text.replacen("<type value=\"message\"/>", "\n <type value=\"message\"&nbsp;/>", 1);
    let value = text.replacen("<timestamp value=\"", "\n  <timestamp value=\"x", 1);
    for (body, expected, line) in [
        (late, "ONW-2055", "(line 3, column 1)"),
        (broken, "ONW-2051", "(line 2, column 23)"),
        (value, "ONW-2010", "(line 2, column 3)"),
    ] {
        let xml_headers = with(headers().write(), "application/fhir+xml", Some("text/xml"));
        let mut json_headers = xml_headers.clone();
        json_headers.insert(ACCEPT, HeaderValue::from_static("application/fhir+json"));
        let body = Bytes::from(body);
        let answer = of_xml(client.send(Method::POST, MESSAGE, xml_headers, Some(body.clone())).await.unwrap());
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, expected));
        let said = json_of(&answer)["issue"][0]["diagnostics"].to_string();
        assert!(said.contains(line), "{said}");
        let again = client.send(Method::POST, MESSAGE, json_headers, Some(body)).await.unwrap();
        assert_eq!(json_of(&again), json_of(&answer), "the ledger's answer, in the form that is asked for now");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_endpoint_answers_in_the_form_that_is_wanted() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let sent =
        client.send(Method::POST, MESSAGE, headers().write(), Some(referral().to_string().into())).await.unwrap();
    let entries = json_of(&sent)["entry"].as_array().cloned().unwrap();
    let request = entries.iter().map(|it| &it["resource"]).find(|it| it["resourceType"] == "ServiceRequest").unwrap();
    let slots = format!(
        "/Slot?Schedule.actor:HealthcareService={SERVICE}&start=ge2026-01-01T00:00:00%2B00:00&start=le2026-01-02T00:00:00%2B00:00\
         &status=free&_include=Slot:schedule&_include=Schedule:actor:HealthcareService"
    );
    let paths = [
        "/metadata".to_owned(),
        format!("/MessageDefinition?context=https://fhir.nhs.uk/Id/dos-service-id%7C{SERVICE}"),
        slots,
        "/Appointment?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C9990548609".to_owned(),
        "/ServiceRequest?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C9990548609".to_owned(),
        format!("/ServiceRequest/{}", request["id"].as_str().unwrap()),
        format!("/Appointment/{}", uuid::Uuid::nil()),
        "/ServiceRequest/1".to_owned(),
        "/Nothing".to_owned(),
        "/DocumentReference".to_owned(),
    ];
    for path in &paths {
        let get = |accept: &'static str, path: String| {
            let headers = with(headers().read(), accept, None);
            async { client.send(Method::GET, &{ path }, headers, None).await.unwrap() }
        };
        let joint = if path.contains('?') { '&' } else { '?' };
        let plain = get("application/fhir+json", path.clone()).await;
        assert_eq!(plain.headers[CONTENT_TYPE], "application/fhir+json; version=1.5.0", "{path}");
        let by_accept = of_xml(get("application/fhir+xml", path.clone()).await);
        let by_format =
            of_xml(get("application/fhir+json", format!("{path}{joint}_format=application/fhir%2Bxml")).await);
        assert_eq!(gist(&by_accept), gist(&plain), "{path}");
        assert_eq!(gist(&by_format), gist(&plain), "{path}: _format wins over Accept");
        let back = get("application/fhir+xml", format!("{path}{joint}_format=json")).await;
        assert_eq!(back.headers[CONTENT_TYPE], plain.headers[CONTENT_TYPE], "{path}: _format wins over Accept");
    }
    let wrong_method = with(headers().read(), "text/xml", None);
    let answer = of_xml(client.send(Method::PUT, MESSAGE, wrong_method, None).await.unwrap());
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (405, "ONW-1009"));
    let formats = &json_of(&client.send(Method::GET, "/metadata", headers().read(), None).await.unwrap())["format"];
    assert_eq!(*formats, serde_json::json!(["application/fhir+json", "application/fhir+xml"]));
}
