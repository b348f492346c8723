//! The standard's conformance cases against a running gateway, and its examples in a sensible sequence. The cases
//! stand in the facts folder beside the project; without it these tests say that they were skipped.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use onward::booking::nhs_number::NhsNumber;
use onward::load::client::{Client, Response};
use onward::load::headers::Headers;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::gateway::{Gateway, Options, free_slots, json as body_of, resource_id};

pub(crate) const BOOKING: &str = "examples/ig-1.12.0/bundles/BOOKREQ01---Booking-Request-New-Full.json";
const BOOKING_CANCEL: &str = "examples/ig-1.12.0/bundles/BOOKREQ02---Booking-Request-Cancelled.json";
const REFERRAL: &str = "examples/ig-1.12.0/bundles/REFREQ01---Referral-Service-Request-New-Full---111-to-ED.json";
const CANCEL: &str = "examples/ig-1.12.0/bundles/SERVREQ01---Service-Request-Update---Revoked.json";
const VALIDATION: &str = "examples/ig-1.12.0/bundles/VALREQ01---Validation-Service-Request-New-Full---999-to-CAS.json";

pub(crate) fn facts() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/bars");
    if !folder.is_dir() {
        eprintln!("SKIPPED: the folder with the standard's conformance cases is not here");
        return None;
    }
    Some(folder)
}

pub(crate) fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// One client of one gateway.
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
    pub(crate) gateway: Gateway,
    pub(crate) client: Client,
}

impl Bench {
    pub(crate) fn start(folder: PathBuf) -> Self {
        let gateway = Gateway::start(Options::default());
        let client = gateway.client();
        Self { folder, gateway, client }
    }

    /// The slots of a booking, on offer, as their owner would publish them.
    pub(crate) fn import_slots(&self, booking: &str) {
        let mut bundle = read(&self.folder, booking);
        let published = ["Slot", "Schedule", "HealthcareService", "Location", "Practitioner", "PractitionerRole"];
        let entries = bundle["entry"].as_array_mut().unwrap();
        entries.retain(|entry| published.iter().any(|kind| entry["resource"]["resourceType"] == *kind));
        for entry in entries.iter_mut().filter(|entry| entry["resource"]["resourceType"] == "Slot") {
            entry["resource"]["status"] = json!("free");
        }
        bundle["type"] = json!("collection");
        let file = self.gateway.path("slots.json");
        std::fs::write(&file, bundle.to_string()).unwrap();
        self.gateway.document(&["slots", "import", file.to_str().unwrap()]);
    }

    async fn send(&self, bundle: &Value) -> Response {
        self.send_with(bundle, headers_to(&target(bundle)).write(), Method::POST).await
    }

    async fn send_with(&self, bundle: &Value, headers: HeaderMap, method: Method) -> Response {
        self.client.send(method, "/$process-message", headers, Some(bundle.to_string().into())).await.unwrap()
    }

    /// Sends an example with changes; it must be accepted.
    async fn accepted(&self, name: &str, change: impl FnOnce(&mut Value)) -> Response {
        let mut bundle = read(&self.folder, name);
        change(&mut bundle);
        let answer = self.send(&bundle).await;
        assert_eq!(answer.status, 200, "{name}: {}", String::from_utf8_lossy(&answer.body));
        answer
    }
}

pub(crate) fn headers_to(service: &str) -> Headers {
    Headers::new(service)
}

/// The service that a message is for.
pub(crate) fn target(bundle: &Value) -> String {
    let endpoint = bundle["entry"][0]["resource"]["destination"][0]["endpoint"].as_str().unwrap_or_default();
    endpoint.split('|').nth(1).unwrap_or("111111111").to_owned()
}

/// RFC 6902, as far as the cases use it.
fn patch(document: &mut Value, operations: &[Value]) {
    for operation in operations {
        let path = operation["path"].as_str().unwrap();
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap();
        let value = operation["value"].clone();
        match (parent, operation["op"].as_str().unwrap()) {
            (Value::Object(members), "remove") => drop(members.shift_remove(name).unwrap()),
            (Value::Object(members), _) => drop(members.insert(name.into(), value)),
            (Value::Array(items), "remove") => drop(items.remove(name.parse().unwrap())),
            (Value::Array(items), "add") => items.insert(name.parse().unwrap(), value),
            (Value::Array(items), _) => items[name.parse::<usize>().unwrap()] = value,
            (other, _) => panic!("{path} leads into {other}"),
        }
    }
}

/// `REC_BAD_REQUEST` and `invariant` of the first issue.
fn codes(answer: &Response) -> (String, String) {
    let issue = &body_of(answer)["issue"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&issue["details"]["coding"][0]["code"]), text(&issue["code"]))
}

/// What is wrong with an answer; nothing, if it is as expected.
fn complaint(id: &str, expected: &Value, answer: &Response) -> Option<String> {
    let (code, issue) = codes(answer);
    let status = answer.status.as_u16().to_string();
    let among = |alternatives: &Value, got: &str| match alternatives.as_str() {
        None => true,
        Some(text) => text.split('|').any(|it| it == "any" || it == got),
    };
    let any_status = match &expected["status"] {
        Value::Number(number) => number.to_string() == status,
        text => text.as_str().is_some_and(|text| text.contains(&status) || text == "4xx" && status.starts_with('4')),
    };
    let failed = !answer.status.is_success();
    let fits =
        any_status && (!failed || among(&expected["error_code"], &code) && among(&expected["issue_code"], &issue));
    (!fits).then(|| format!("{id}: {status} {code} {issue}, expected {expected}"))
}

/// A header of a case: `null` leaves it out, `b64(…)` is to be encoded.
fn apply_headers(headers: &mut HeaderMap, case: &Value) {
    for (name, value) in case.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('_')) {
        let name: HeaderName = name.parse().unwrap();
        match value.as_str() {
            None => drop(headers.remove(&name)),
            Some(text) if text.starts_with("<same") => {}
            Some(text) => {
                let inner = text.strip_prefix("b64(").and_then(|text| text.strip_suffix(')'));
                let text = inner.map_or_else(|| text.to_owned(), |inner| STANDARD.encode(inner));
                headers.insert(name, HeaderValue::from_str(&text).unwrap());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_message_cases() {
    let Some(folder) = facts() else { return };
    let bench = Bench::start(folder);
    bench.import_slots(BOOKING);
    let cases = read(&bench.folder, "conformance/process-message-cases.json");
    let mut booked = None;
    let mut revoked = None;
    let mut complaints = Vec::new();
    for case in cases["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let mut operations = case["patch"].as_array().unwrap().clone();
        for operation in &mut operations {
            match operation["value"].as_str() {
                Some(text) if text.starts_with("<Appointment") => operation["value"] = json!(booked),
                Some(text) if text.starts_with("<ServiceRequest") => {
                    let fresh = match id {
                        "CAN-09" => revoked.clone(),
                        _ => resource_id(&bench.accepted(VALIDATION, |_| {}).await, "ServiceRequest"),
                    };
                    revoked = fresh.clone();
                    operation["value"] = json!(fresh);
                }
                _ => {}
            }
        }
        let mut bundle = read(&bench.folder, case["base"].as_str().unwrap());
        let routed = target(&bundle);
        patch(&mut bundle, &operations);
        let mut headers = headers_to(&routed).write();
        apply_headers(&mut headers, &case["headers"]);
        let method = case["headers"]["_method"].as_str().unwrap_or("POST").parse().unwrap();
        let answer = bench.send_with(&bundle, headers, method).await;
        if id == "POS-03" {
            booked = resource_id(&answer, "Appointment");
        }
        // The second cancel is of what the first one cancelled.
        if id == "CAN-01" {
            assert_eq!(answer.status, 200);
        }
        complaints.extend(complaint(id, &case["expect"], &answer));
        if id == "CAN-06" {
            revoked = cancelled_request(&bench).await;
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The id of a validation request that was accepted and withdrawn.
async fn cancelled_request(bench: &Bench) -> Option<String> {
    let id = resource_id(&bench.accepted(VALIDATION, |_| {}).await, "ServiceRequest");
    bench.accepted(CANCEL, |bundle| bundle["entry"][1]["resource"]["id"] = json!(id)).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn get_cases() {
    let Some(folder) = facts() else { return };
    let bench = Bench::start(folder);
    let mut complaints = Vec::new();
    for case in read(&bench.folder, "conformance/get-cases.json")["cases"].as_array().unwrap() {
        let mut headers = headers_to("2000072489").read();
        apply_headers(&mut headers, &case["headers"]);
        let path = case["path"].as_str().unwrap();
        let answer = bench.client.send(Method::GET, path, headers, None).await.unwrap();
        complaints.extend(complaint(case["id"].as_str().unwrap(), &case["expect"], &answer));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// One patient, in one of the three states of the linking table.
struct Patient<'b> {
    bench: &'b Bench,
    number: String,
    appointment: String,
    request: String,
    times: Option<(Value, Value)>,
}

impl Patient<'_> {
    fn is_named(&self, bundle: &mut Value) {
        for entry in bundle["entry"].as_array_mut().unwrap() {
            let resource = &mut entry["resource"];
            if resource["resourceType"] == "Patient" {
                resource["identifier"][0]["value"] = json!(self.number);
                resource["name"] = json!([{ "family": "Chalmers", "given": ["Peter"] }]);
                resource["birthDate"] = json!("1974-12-25");
            }
        }
        bundle["id"] = json!(Uuid::new_v4());
    }

    async fn send(&self, name: &str, change: impl FnOnce(&mut Value)) -> Response {
        let mut bundle = read(&self.bench.folder, name);
        self.is_named(&mut bundle);
        change(&mut bundle);
        self.bench.send(&bundle).await
    }

    async fn book(&self) -> Response {
        let slot = free_slots(&self.bench.client, 1).await.swap_remove(0);
        self.send(BOOKING, |bundle| {
            for entry in bundle["entry"].as_array_mut().unwrap() {
                let resource = &mut entry["resource"];
                if resource["resourceType"] == "Slot" {
                    resource["id"] = json!(slot.id);
                }
                if resource["resourceType"] == "Slot" || resource["resourceType"] == "Appointment" {
                    resource["start"] = json!(slot.start);
                    resource["end"] = json!(slot.end);
                }
            }
        })
        .await
    }

    async fn refer(&self, appointment: &str) -> Response {
        let reference = json!(format!("Appointment/{appointment}"));
        self.send(REFERRAL, |bundle| {
            let entries = bundle["entry"].as_array_mut().unwrap();
            let request = entries.iter_mut().find(|it| it["resource"]["resourceType"] == "ServiceRequest").unwrap();
            request["resource"]["supportingInfo"].as_array_mut().unwrap().last_mut().unwrap()["reference"] = reference;
        })
        .await
    }

    async fn cancel_booking(&self) -> Response {
        self.send(BOOKING_CANCEL, |bundle| {
            bundle["entry"][0]["resource"]["reason"]["coding"][0]["code"] = json!("update");
            let appointment = &mut bundle["entry"][1]["resource"];
            appointment["id"] = json!(self.appointment);
            if let Some((start, end)) = &self.times {
                appointment["start"] = start.clone();
                appointment["end"] = end.clone();
            }
        })
        .await
    }

    async fn cancel_referral(&self) -> Response {
        self.send(CANCEL, |bundle| {
            let request = &mut bundle["entry"][1]["resource"];
            request["id"] = json!(self.request);
            request["category"][0]["coding"][0]["code"] = json!("referral");
            request["category"][0]["coding"][1]["code"] = json!("a1t1");
        })
        .await
    }

    /// Brings the patient into a state.
    async fn reach(&mut self, state: &str) {
        if state == "initial" {
            return;
        }
        let answer = self.book().await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        self.appointment = resource_id(&answer, "Appointment").unwrap();
        let booked = body_of(&answer)["entry"][1]["resource"].clone();
        self.times = Some((booked["start"].clone(), booked["end"].clone()));
        if state == "referral_created" {
            let answer = self.refer(&self.appointment).await;
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            self.request = resource_id(&answer, "ServiceRequest").unwrap();
        }
    }

    async fn act(&self, event: &str) -> Response {
        match event {
            "make booking" => self.book().await,
            "cancel booking" => self.cancel_booking().await,
            "create referral linked to booking" => self.refer(&self.appointment).await,
            "create referral linked to wrong booking" => self.refer(&Uuid::new_v4().to_string()).await,
            "cancel referral" => self.cancel_referral().await,
            other => panic!("{other} is no event of the table"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linking_of_booking_and_referral() {
    let Some(folder) = facts() else { return };
    let bench = Bench::start(folder);
    let mut complaints = Vec::new();
    let mut numbers = (999_000_001..).filter_map(NhsNumber::from_prefix);
    for transition in read(&bench.folder, "conformance/stateful-linking.json")["transitions"].as_array().unwrap() {
        for state in ["initial", "appointment_booked", "referral_created"] {
            let number = numbers.next().unwrap().as_str().to_owned();
            let (appointment, request) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
            let mut patient = Patient { bench: &bench, number, appointment, request, times: None };
            patient.reach(state).await;
            let event = transition["event"].as_str().unwrap();
            let status = patient.act(event).await.status.as_u16();
            let expected = transition[state].as_u64().or(transition[state][0].as_u64());
            if expected != Some(u64::from(status)) {
                complaints.push(format!("{event} in {state}: {status}, expected {expected:?}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What is sent, in which conversation, and of which earlier message it takes over the receiver's ids.
const SEQUENCE: &[(&str, &str, Option<&str>)] = &[
    ("ig-1.12.0/bundles/BOOKREQ01", "booking", None),
    ("ig-1.12.0/bundles/REFREQ01", "referral", None),
    ("ig-1.12.0/bundles/REFREQ03", "pharmacy", None),
    ("ig-1.12.0/bundles/REFREQ04", "out of area", None),
    ("ig-1.12.0/bundles/REFREQ05", "mutual aid", None),
    ("ig-1.12.0/bundles/REFREQ06", "blood pressure", None),
    ("ig-1.12.0/bundles/REFREQ8A", "8", None),
    ("ig-1.12.0/bundles/REFREQ8B", "8", Some("ig-1.12.0/bundles/REFREQ8A")),
    ("ig-1.12.0/bundles/REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-1", "9", None),
    (
        "ig-1.12.0/bundles/REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-2",
        "9",
        Some("ig-1.12.0/bundles/REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-1"),
    ),
    (
        "ig-1.12.0/bundles/REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-3",
        "9",
        Some("ig-1.12.0/bundles/REFREQ9A---Referral-Service-Request---CAD-Out-of-Area-C2-1"),
    ),
    ("ig-1.12.0/bundles/REFRESP01", "referral", None),
    ("ig-1.12.0/bundles/VALREQ01", "validation", None),
    ("ig-1.12.0/bundles/VALREQ02", "validation", Some("ig-1.12.0/bundles/VALREQ01")),
    ("ig-1.12.0/bundles/VALRESP01A", "validation", None),
    ("ig-1.12.0/bundles/VALRESP01B", "validation", None),
    ("ig-1.12.0/bundles/VALRESP02", "validation", None),
    ("tkw/requests/book_appt", "toolkit booking", None),
    ("tkw/requests/6_OOA_3", "toolkit out of area", None),
    ("tkw/requests/6_OOA_1", "toolkit out of area", Some("tkw/requests/6_OOA_3")),
    ("tkw/requests/referral_request_01_template", "toolkit referral", None),
    ("tkw/requests/referral_request_01_cancel", "toolkit second referral", None),
    ("tkw/requests/referral_request_03", "toolkit pharmacy", None),
    ("tkw/requests/validation_request", "toolkit validation", None),
    ("tkw/requests/referral_response", "toolkit response", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn acceptable_examples_in_sequence_reach_the_pas() {
    let Some(folder) = facts() else { return };
    let bench = Bench::start(folder);
    bench.import_slots(BOOKING);
    bench.import_slots("examples/tkw/requests/book_appt_template.json");
    let mut answers: HashMap<&str, Value> = HashMap::new();
    let mut conversations: HashMap<&str, String> = HashMap::new();
    for (start, conversation, earlier) in SEQUENCE {
        let mut bundle = read(&bench.folder, &format!("examples/{}", starting_with(&bench.folder, start)));
        if let Some(earlier) = earlier {
            take_over_ids(&mut bundle, &answers[earlier]);
        }
        let correlation = conversations.entry(conversation).or_insert_with(|| Uuid::new_v4().to_string());
        let mut headers = headers_to(&target(&bundle)).write();
        headers.insert("X-Correlation-Id", HeaderValue::from_str(correlation).unwrap());
        let answer = bench.send_with(&bundle, headers, Method::POST).await;
        assert_eq!(answer.status, 200, "{start}: {}", String::from_utf8_lossy(&answer.body));
        answers.insert(start, body_of(&answer));
    }
    bench.gateway.drain(Duration::from_secs(30));
    assert_eq!(bench.gateway.outbox("delivered"), SEQUENCE.len() as u64, "each told the PAS once");
    assert_eq!(bench.gateway.outbox("parked"), 0);
}

/// The one example that begins so.
fn starting_with(folder: &Path, start: &str) -> String {
    let (part, name) = start.rsplit_once('/').unwrap();
    let files = std::fs::read_dir(folder.join("examples").join(part)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    format!("{part}/{}", names.into_iter().find(|file| file.starts_with(name)).unwrap())
}

/// The ids that the receiver gave, by fullUrl; and always that of the request.
fn take_over_ids(bundle: &mut Value, answer: &Value) {
    let given = answer["entry"].as_array().unwrap();
    for entry in bundle["entry"].as_array_mut().unwrap() {
        let same = given.iter().find(|it| it["fullUrl"] == entry["fullUrl"]);
        if let Some(same) = same.filter(|_| entry["resource"]["id"].is_string()) {
            entry["resource"]["id"] = same["resource"]["id"].clone();
        }
    }
}
