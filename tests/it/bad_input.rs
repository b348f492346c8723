//! What no sender should send: each gets an answer that says whose move is next, and the gateway goes on.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use onward::fhir::json::Limits;
use onward::load::client::{Client, Response};
use onward::load::synthetic::{People, Person};
use onward::profile::library::shipped;
use onward::profile::validate::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gateway::{Gateway, Options, SERVICE, bundles, code, free_slots, headers, post, raw, resource_id};

const MESSAGE: &str = "/$process-message";

/// A request that is refused.
struct Case {
    name: &'static str,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Status and code that it is answered with.
    expected: (u16, &'static str),
    /// Is it a message, to be kept with its answer?
    is_kept: bool,
}

impl Case {
    fn message(name: &'static str, body: impl Into<Vec<u8>>, expected: (u16, &'static str)) -> Self {
        let (method, path) = (Method::POST, MESSAGE.to_owned());
        Self { name, method, path, headers: headers().write(), body: body.into(), expected, is_kept: true }
    }

    fn request(name: &'static str, method: Method, path: &str, expected: (u16, &'static str)) -> Self {
        let headers = headers().read();
        Self { name, method, path: path.to_owned(), headers, body: Vec::new(), expected, is_kept: false }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.headers.remove(name);
        self
    }

    fn not_kept(self) -> Self {
        Self { is_kept: false, ..self }
    }

    async fn send(&self, client: &Client) -> Response {
        let body = (!self.body.is_empty()).then(|| self.body.clone().into());
        let answer = client.send(self.method.clone(), &self.path, self.headers.clone(), body).await;
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

fn person() -> Person {
    People::new(20).next()
}

/// A referral that would be accepted.
fn good() -> Vec<u8> {
    bundles().referral(&person(), Timestamp::now()).body
}

/// The same with one thing changed.
fn changed(pointer: &str, value: Value) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(&good()).unwrap();
    *bundle.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}")) = value;
    bundle.to_string().into_bytes()
}

fn replaced(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(good()).unwrap();
    assert!(text.contains(from), "there is no {from}");
    text.replacen(from, to, 1).into_bytes()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(text)
}

fn organisation(code: &str) -> String {
    let identifier = json!([{"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": code}]);
    base64(&json!({"resourceType": "Organization", "identifier": identifier}).to_string())
}

/// An OperationOutcome as the standard has it.
fn assert_outcome(name: &str, answer: &Response) {
    let kind = answer.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert!(kind.starts_with("application/fhir+json"), "{name}: Content-Type is {kind:?}");
    assert_outcome_text(name, &String::from_utf8_lossy(&answer.body));
}

fn assert_outcome_text(name: &str, text: &str) {
    let outcome: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{name}");
    let tape = shipped().read(text.as_bytes(), &Limits::default()).unwrap();
    let issues = shipped().check(&tape, &Request::default()).issues;
    assert!(!issues.has_errors(), "{name}: {issues:?}");
    assert!(outcome["issue"].as_array().is_some_and(|issues| !issues.is_empty()), "{name}");
}

/// A message in XML.
fn xml(name: &'static str, body: impl Into<Vec<u8>>, expected: (u16, &'static str)) -> Case {
    Case::message(name, body, expected).with("content-type", "application/fhir+xml")
}

fn bodies() -> Vec<Case> {
    let half = good().len() / 2;
    vec![
        Case::message("cut off", &good()[..half], (400, "ONW-2001")),
        Case::message("no JSON", "MSH|^~\\&|A|B\r", (400, "ONW-2001")),
        Case::message("only blanks", "   ", (400, "ONW-2001")),
        Case::message("a second value", [good(), b"{}".to_vec()].concat(), (400, "ONW-2001")),
        Case::message("a byte order mark", [b"\xef\xbb\xbf".to_vec(), good()].concat(), (400, "ONW-2001")),
        Case::message("a bare number", "7", (400, "ONW-2005")),
        Case::message("null", "null", (400, "ONW-2005")),
        Case::message("an array", "[]", (400, "ONW-2005")),
        Case::message("an empty object", "{}", (400, "ONW-2005")),
        Case::message("deeper than is read", "[".repeat(100_000), (400, "ONW-2003")),
        Case::message("deep and whole", format!("{}1{}", "{\"a\":".repeat(80), "}".repeat(80)), (400, "ONW-2003")),
        Case::message("no UTF-8", replace_bytes(b"Harbour", b"Harb\xff\xfer"), (400, "ONW-2004")),
        Case::message("half a surrogate", replaced("Harbour", "Harb\\ud800"), (400, "ONW-2001")),
        Case::message(
            "a key twice",
            replaced("\"type\":\"message\"", "\"type\":\"message\",\"type\":\"message\""),
            (400, "ONW-2002"),
        ),
        Case::message("another resource", r#"{"resourceType":"Patient","id":"1"}"#, (400, "ONW-2005")),
        Case::message("entries that are no array", changed("/entry", json!({"a": 1})), (400, "ONW-2009")),
        Case::message("a text where an object belongs", changed("/entry/0/resource", json!("x")), (400, "ONW-2009")),
        Case::message("a number where a text belongs", changed("/id", json!(7)), (400, "ONW-2009")),
        Case::message(
            "an unknown element",
            replaced("\"type\":\"message\"", "\"type\":\"message\",\"kind\":1"),
            (400, "ONW-2006"),
        ),
        Case::message("no such date", changed("/timestamp", json!("2026-02-30T00:00:00Z")), (400, "ONW-2010")),
        Case::message(
            "an unknown event",
            changed("/entry/0/resource/eventCoding/code", json!("dance-request")),
            (400, "ONW-3001"),
        ),
        Case::message("too many entries", changed("/entry", json!(vec![json!({}); 1_001])), (400, "ONW-2012")),
        Case::message("not gzip", "no gzip", (400, "ONW-1022")).with("content-encoding", "gzip").not_kept(),
        Case::message("gzip cut off", &gzipped(&good())[..200], (400, "ONW-1022"))
            .with("content-encoding", "gzip")
            .not_kept(),
        Case::message("a gzip bomb", gzipped(&vec![b' '; 64 << 20]), (413, "ONW-1010"))
            .with("content-encoding", "gzip")
            .not_kept(),
        Case::message("another coding", good(), (415, "ONW-1007")).with("content-encoding", "br").not_kept(),
        Case::message("XML that is said to be JSON", "<Bundle/>", (415, "ONW-1007")),
        Case::message("JSON that is said to be XML", good(), (415, "ONW-1007")).with("content-type", "application/xml"),
        xml("XML cut off", "<Bundle xmlns='http://hl7.org/fhir'", (400, "ONW-2051")),
        xml("XML of no namespace", "<Bundle/>", (400, "ONW-2053")),
        xml("XML with a document type", "<!DOCTYPE a [<!ENTITY b 'c'>]><Bundle/>", (400, "ONW-2052")),
        xml("XML of another encoding", "<?xml version='1.0' encoding='UTF-16'?><Bundle/>", (400, "ONW-2004")),
        xml("XML deeper than is read", "<a xmlns='http://hl7.org/fhir'>".repeat(10_000), (400, "ONW-2003")),
        xml("another resource in XML", "<Patient xmlns='http://hl7.org/fhir'/>", (400, "ONW-2005")),
        Case::message("plain text", good(), (415, "ONW-1007")).with("content-type", "text/plain"),
    ]
}

fn replace_bytes(from: &[u8], to: &[u8]) -> Vec<u8> {
    let body = good();
    let at = body.windows(from.len()).position(|window| window == from).unwrap();
    [&body[..at], to, &body[at + from.len()..]].concat()
}

fn headed() -> Vec<Case> {
    let case = |name, expected| Case::message(name, good(), expected);
    vec![
        case("no X-Request-Id", (400, "ONW-1001")).without("x-request-id"),
        case("no X-Correlation-Id", (400, "ONW-1001")).without("x-correlation-id"),
        case("no target", (400, "ONW-1001")).without("nhsd-target-identifier"),
        case("a request id that is none", (400, "ONW-1002")).with("x-request-id", "1234"),
        case("a correlation id that is none", (400, "ONW-1002")).with("x-correlation-id", "{}"),
        case("a target that is no base64", (400, "ONW-1003")).with("nhsd-target-identifier", "%%%"),
        case("a target that is no JSON", (400, "ONW-1004")).with("nhsd-target-identifier", &base64("{")),
        case("a target that is no identifier", (400, "ONW-1004")).with("nhsd-target-identifier", &base64("{\"a\":1}")),
        case("a target that nobody knows", (404, "ONW-1005")).with(
            "nhsd-target-identifier",
            &base64(r#"{"system":"https://fhir.nhs.uk/Id/dos-service-id","value":"9"}"#),
        ),
        case("a closed organisation", (401, "ONW-5004")).with("nhsd-end-user-organisation", &organisation("Z99001")),
        case("Turtle wanted", (406, "ONW-1006")).with("accept", "text/turtle"),
        case("version 2 wanted", (406, "ONW-1006")).with("accept", "application/fhir+json; version=2.0.0"),
    ]
}

fn requests() -> Vec<Case> {
    let case = Case::request;
    let nobody = "/Appointment?patient:identifier=https://fhir.nhs.uk/Id/nhs-number%7C";
    let far = format!(
        "/Slot?Schedule.actor:HealthcareService={SERVICE}&start=ge2026-01-01T00:00:00%2B00:00&start=le2027-12-31T00:00:00%2B00:00&status=free\
         &_include=Slot:schedule&_include=Schedule:actor:HealthcareService"
    );
    vec![
        case("an unknown path", Method::GET, "/Nothing", (404, "ONW-1008")),
        case("a path in other letters", Method::GET, "/slot", (404, "ONW-1008")),
        case("a path that goes up", Method::GET, "/../../etc/passwd", (404, "ONW-1008")),
        case("a path with a null", Method::GET, "/Appointment/%00", (400, "ONW-1016")),
        case("an id that is none", Method::GET, "/ServiceRequest/1", (400, "ONW-1016")),
        case(
            "an id that nobody has",
            Method::GET,
            &format!("/ServiceRequest/{}", uuid::Uuid::nil()),
            (404, "ONW-1017"),
        ),
        case("a search for nobody", Method::GET, "/Appointment", (400, "ONW-1013")),
        case("a search for half a number", Method::GET, &format!("{nobody}94342"), (400, "ONW-1014")),
        case(
            "a search that is not encoded",
            Method::GET,
            "/Appointment?%ZZ=%&&=&patient:identifier=%F0%9F",
            (400, "ONW-1014"),
        ),
        case("a diary of two years", Method::GET, &far, (422, "ONW-1015")),
        case("a diary of nobody", Method::GET, "/Slot?start=ge2026-01-01", (400, "ONW-1013")),
        case("a wrong method", Method::PUT, MESSAGE, (405, "ONW-1009")),
        case("another wrong method", Method::DELETE, "/Slot", (405, "ONW-1009")),
        case("a made-up method", Method::from_bytes(b"BREW").unwrap(), "/metadata", (405, "ONW-1009")),
        case("what is not offered", Method::POST, "/DocumentReference", (501, "ONW-1019")),
        case("Turtle wanted", Method::GET, "/metadata", (406, "ONW-1006")).with("accept", "text/turtle"),
        case("Turtle wanted by name", Method::GET, "/metadata?_format=ttl", (406, "ONW-1006")),
    ]
}

fn gateway() -> Gateway {
    let options = Options::default().with("organisation.4.closed_on", "2020-01-01").with("https.workers", 2);
    Gateway::start(options.with("https.request_timeout_ms", 2_000))
}

/// It is there, it works, and nothing in it broke.
async fn assert_well(gateway: &mut Gateway) {
    let answer = post(&gateway.client(), headers().write(), &bundles().referral(&person(), Timestamp::now())).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert!(gateway.is_alive());
    assert!(!gateway.stderr().contains("panicked"), "{}", gateway.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_request_gets_its_outcome_and_every_bad_message_its_row() {
    let mut gateway = gateway();
    let client = gateway.client();
    let (mut wrong, mut kept) = (Vec::new(), 0);
    let cases: Vec<Case> = bodies().into_iter().chain(headed()).chain(requests()).collect();
    for case in &cases {
        let answer = case.send(&client).await;
        assert_outcome(case.name, &answer);
        assert_eq!(answer.headers.contains_key("allow"), answer.status == 405, "{}", case.name);
        let found = (answer.status.as_u16(), code(&answer));
        if (found.0, found.1.as_str()) != case.expected {
            wrong.push(format!("{}: {found:?} instead of {:?}", case.name, case.expected));
        }
        let before = std::mem::replace(&mut kept, gateway.messages("refused"));
        if kept - before != u64::from(case.is_kept) {
            wrong.push(format!("{}: {} rows in the journal", case.name, kept - before));
        }
    }
    println!("{} bad requests, {kept} of them kept as messages", cases.len());
    assert_eq!(wrong, Vec::<String>::new());
    assert_well(&mut gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_referral_is_refused_and_kept() {
    let gateway = Gateway::start(Options::default());
    let client = gateway.client();
    let people = People::new(21);
    let (one, other) = (people.next(), people.next());
    let referral = post(&client, headers().write(), &bundles().referral(&one, Timestamp::now())).await;
    let referral = resource_id(&referral, "ServiceRequest").unwrap();
    let slot = free_slots(&client, 1).await.remove(0);
    let booking = |person| bundles().booking(person, &slot, Some(&referral), Timestamp::now());
    let answer = post(&client, headers().write(), &booking(&other)).await;
    assert_outcome("somebody else", &answer);
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (422, "ONW-4011"));
    assert_eq!(gateway.messages("refused"), 1);
    assert_eq!(post(&client, headers().write(), &booking(&one)).await.status, 200, "the slot is still free");
}

/// A request as bytes, with the headers that make it a good one.
fn request(length: &str, body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST /FHIR/R4/$process-message HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{length}");
    for (name, value) in &headers().write() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// An answer is an OperationOutcome, or nothing: the connection was closed. What is no HTTP has no sender that could
/// read a resource; a bare 400 is enough.
fn assert_answer(name: &str, answer: &str, statuses: &[u16]) {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        assert!(answer.is_empty() && statuses.contains(&0), "{name}: {answer:?}");
        return;
    };
    let status: u16 = head[9..12].parse().unwrap();
    assert!(statuses.contains(&status), "{name}: {head}");
    if !body.is_empty() {
        assert!(head.to_lowercase().contains("content-type: application/fhir+json"), "{name}: {head}");
        assert_outcome_text(name, body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused_or_closed() {
    let mut gateway = gateway();
    let good = good();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let large = format!("Content-Length: {}\r\n", 6 << 20);
    let long = format!("GET /FHIR/R4/metadata HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "a".repeat(300_000));
    let query = format!("GET /FHIR/R4/Slot?x={} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    for (name, bytes, statuses) in [
        ("nonsense", b"\x00\x01\x02\x03\r\n\r\n".to_vec(), &[0, 400][..]),
        ("no version", b"GET /FHIR/R4/metadata\r\n\r\n".to_vec(), &[0, 400]),
        ("a header without a colon", b"GET / HTTP/1.1\r\nHost x\r\n\r\n".to_vec(), &[0, 400]),
        ("a length that is none", request("Content-Length: seven\r\n", b""), &[0, 400]),
        ("two lengths", request("Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"), &[0, 400]),
        ("a chunk that is none", request(chunked, b"zz\r\nhello\r\n0\r\n\r\n"), &[0, 400]),
        ("a head without an end", long.into_bytes(), &[0, 400, 431]),
        ("a query without an end", query.into_bytes(), &[0, 400, 414, 431]),
        ("a large body that is announced", request(&large, b"x"), &[413]),
        (
            "a large body in chunks",
            request(chunked, &[b"600000\r\n", &vec![b' '; 0x600000][..], b"\r\n0\r\n\r\n"].concat()),
            &[0, 413],
        ),
        ("less than was announced", request("Content-Length: 100\r\n", b"{"), &[0, 400, 408]),
        ("nothing more after the head", request("Content-Length: 100\r\n", b""), &[0, 400, 408]),
    ] {
        let answer = raw(&gateway, &bytes).await;
        println!("{name}: {}", answer.lines().next().unwrap_or("closed"));
        assert_answer(name, &answer, statuses);
    }
    // Two requests on one connection, the second of them broken.
    let both = [request(&format!("Content-Length: {}\r\n", good.len()), &good), b"\r\n\0\r\n\r\n".to_vec()].concat();
    assert!(raw(&gateway, &both).await.starts_with("HTTP/1.1 200"));
    assert_eq!(gateway.messages("refused"), 0, "nothing of it was a message");
    assert_well(&mut gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_request_leaves_nothing_and_a_slow_one_is_ended() {
    let mut gateway = gateway();
    // One body: another one could be longer than the first one's length says.
    let body = good();
    let whole = request(&format!("Content-Length: {}\r\n", body.len()), &body);
    let files = gateway.client_files();
    for part in [10, 200, whole.len() / 2, whole.len() - 1] {
        let mut stream = gateway.connect(&files).await.unwrap();
        stream.write_all(&whole[..part]).await.unwrap();
        stream.flush().await.unwrap();
        drop(stream);
    }
    // A byte every 100 ms would take an hour.
    let mut stream = gateway.connect(&files).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let begun = Instant::now();
    let drip = tokio::spawn(async move {
        let (head, body) = whole.split_at(whole.len() - 20_000);
        writer.write_all(head).await.unwrap();
        for byte in body {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), reader.read_to_end(&mut answer)).await;
    drop(read.expect("a slow sender is ended"));
    drip.abort();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    println!("a slow sender was ended after {:?}: {}", begun.elapsed(), answer.lines().next().unwrap_or("closed"));
    assert_answer("slow", &answer, &[0, 408]);
    // One that says nothing at all.
    stream = gateway.connect(&files).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
    drop(read.expect("a silent sender is ended"));
    let accepted = gateway.document(&["messages", "list", "--limit", "1000"]);
    assert!(accepted.as_array().unwrap().iter().all(|row| row["channel"] == "cli"), "{accepted}");
    assert_well(&mut gateway).await;
}
