//! No patient data leaves by a side door. Words that occur nowhere else are put wherever a sender can put a word, in
//! messages that are accepted, refused, malformed or undeliverable; then every byte that the gateway wrote to its log
//! (at `debug`), into error answers, metrics and the status page is searched for them.

use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use onward::load::client::{Client, Response};
use onward::load::synthetic::{FreeSlot, People};
use onward::pas::simulator::{self, Answer, Reaction, ReceivedMessage, Simulator};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::gateway::{Gateway, Options, bundles, free_slots, headers, json, post_bytes, raw, resource_id};

/// In what a patient's record has.
const FAMILY: &str = "Zwickelbart";
const GIVEN: &str = "Oktavianus";
const TITLE: &str = "Brigadearzt";
const LINE: &str = "Klabautergasse 4711";
const CITY: &str = "Wolpertingen";
const POSTCODE: &str = "QX77 9ZQ";
const PHONE: &str = "07700900987";
const BIRTH_DATE: &str = "1913-07-29";
const FREE_TEXT: &str = "schnapsdrosselig und blumerant";
const HOSPITAL_NUMBER: &str = "HOSP7319462";
/// In places that are not meant for such words.
const ORGANISATION: &str = "Murmeltierklinik";
const HEADER: &str = "Kuddelmuddel";
const QUERY: &str = "Firlefanzfrau";
const PATH: &str = "Papperlapapp";
const KEY: &str = "Hokuspokus";
const CODE: &str = "larifari-request";
const BROKEN: &str = "Tohuwabohu";
const REFERENCE: &str = "Remmidemmi";
const ID: &str = "Techtelmechtel";
const HL7: &str = "SCHABERNACK";
const PEER: &str = "Peermanntratsch";

const WORDS: [&str; 21] = [
    FAMILY,
    GIVEN,
    TITLE,
    LINE,
    CITY,
    POSTCODE,
    PHONE,
    BIRTH_DATE,
    FREE_TEXT,
    HOSPITAL_NUMBER,
    ORGANISATION,
    HEADER,
    QUERY,
    PATH,
    KEY,
    CODE,
    BROKEN,
    REFERENCE,
    ID,
    HL7,
    PEER,
];

/// All ways in which a word may be written.
fn spellings(numbers: &[String]) -> Vec<String> {
    let words = WORDS.iter().map(|word| (*word).to_owned()).chain(numbers.iter().cloned());
    words
        .flat_map(|word| {
            let compact = word.replace([' ', '-'], "");
            [word.replace(' ', "%20"), word.replace(' ', "+"), base64(&word), compact, word]
        })
        .map(|word| word.to_lowercase())
        .collect()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD_NO_PAD.encode(text)
}

/// What was written where others may read it.
#[derive(Default)]
struct Found {
    texts: Vec<(String, String)>,
    accepted: usize,
}

impl Found {
    fn note(&mut self, place: &str, answer: &Response) {
        match answer.status.is_success() {
            true => self.accepted += 1,
            // The ids that a caller sends are given back to it in headers; nothing else is.
            false => self.add(place, &String::from_utf8_lossy(&answer.body)),
        }
    }

    fn add(&mut self, place: &str, text: &str) {
        self.texts.push((place.to_owned(), text.to_owned()));
    }

    fn leaks(&self, spellings: &[String]) -> Vec<String> {
        let of = |(place, text): &(String, String)| {
            let text = text.to_lowercase();
            let found = spellings.iter().filter(|word| text.contains(word.as_str()));
            found.map(|word| format!("{place}: {word}")).collect::<Vec<_>>()
        };
        self.texts.iter().flat_map(of).collect()
    }
}

/// Puts the words into a message about somebody.
fn planted(body: &[u8]) -> Value {
    let mut bundle: Value = serde_json::from_slice(body).unwrap();
    for entry in bundle["entry"].as_array_mut().unwrap() {
        let resource = &mut entry["resource"];
        match resource["resourceType"].as_str().unwrap() {
            "Patient" => plant_patient(resource),
            "ServiceRequest" => resource["note"] = json!([{ "text": FREE_TEXT }]),
            "Appointment" => resource["comment"] = json!(FREE_TEXT),
            _ => {}
        }
    }
    bundle
}

fn plant_patient(patient: &mut Value) {
    patient["name"] = json!([{ "use": "official", "family": FAMILY, "given": [GIVEN], "prefix": [TITLE] }]);
    patient["birthDate"] = json!(BIRTH_DATE);
    patient["address"] = json!([{ "use": "home", "line": [LINE], "city": CITY, "postalCode": POSTCODE }]);
    patient["telecom"] = json!([{ "system": "phone", "value": PHONE, "use": "mobile" }]);
    let number = json!({ "system": "https://hospital.example/Id/number", "value": HOSPITAL_NUMBER });
    patient["identifier"].as_array_mut().unwrap().push(number);
}

fn resource<'a>(bundle: &'a mut Value, kind: &str) -> &'a mut Value {
    let entries = bundle["entry"].as_array_mut().unwrap();
    &mut entries.iter_mut().find(|entry| entry["resource"]["resourceType"] == kind).unwrap()["resource"]
}

/// Messages that are refused, each for another reason, with the words in the place that it is refused for.
fn refused(good: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle.to_string().into_bytes()
    };
    let text = good.to_string();
    let twice = text.replacen("\"type\":\"message\"", &format!("\"{KEY}\":1,\"{KEY}\":2,\"type\":\"message\""), 1);
    vec![
        ("unknown element", changed(&|it| it[KEY] = json!(FAMILY))),
        ("unknown element below", changed(&|it| resource(it, "Patient")[KEY] = json!({ KEY: FAMILY }))),
        ("a key twice", twice.into_bytes()),
        ("unknown event", changed(&|it| it["entry"][0]["resource"]["eventCoding"]["code"] = json!(CODE))),
        ("unknown gender", changed(&|it| resource(it, "Patient")["gender"] = json!(BROKEN))),
        ("no date", changed(&|it| resource(it, "Patient")["birthDate"] = json!(FREE_TEXT))),
        ("a text for a list", changed(&|it| resource(it, "Patient")["name"] = json!(FAMILY))),
        ("unknown status", changed(&|it| resource(it, "ServiceRequest")["status"] = json!(CODE))),
        ("unknown reference", changed(&|it| resource(it, "ServiceRequest")["subject"]["reference"] = json!(REFERENCE))),
        ("no fullUrl", changed(&|it| it["entry"][2]["fullUrl"] = json!(REFERENCE))),
        ("no bundle id", changed(&|it| it["id"] = json!(format!("{ID} {FAMILY}")))),
        ("unknown version", changed(&|it| it["meta"]["versionId"] = json!(format!("7.{BROKEN}")))),
        ("unknown focus", changed(&|it| resource(it, "ServiceRequest")["resourceType"] = json!(BROKEN))),
        ("unknown resource, broken", format!("{{\"resourceType\":\"{BROKEN}\",\"name\":{FAMILY}}}").into_bytes()),
        ("a number for a name", changed(&|it| it["entry"][1]["9434765919"] = json!({ FAMILY: 1 }))),
        ("unknown resource", changed(&|it| resource(it, "Patient")["resourceType"] = json!(BROKEN))),
        ("no NHS number", changed(&|it| resource(it, "Patient")["identifier"][0]["value"] = json!(PHONE))),
        (
            "wrong destination",
            changed(&|it| it["entry"][0]["resource"]["destination"][0]["endpoint"] = json!(REFERENCE)),
        ),
        ("unknown reason", changed(&|it| it["entry"][0]["resource"]["reason"]["coding"][0]["code"] = json!(CODE))),
        ("broken in the middle", text.as_bytes()[..text.find(FAMILY).unwrap() + 5].to_vec()),
        ("broken by a word", text.replacen(FAMILY, &format!("{BROKEN}\"{FAMILY}"), 1).into_bytes()),
        ("no UTF-8", [text.as_bytes(), FAMILY.as_bytes(), b"\xff"].concat()),
        ("no JSON", format!("{FAMILY} {GIVEN}, {BIRTH_DATE}").into_bytes()),
        ("a list", format!("[\"{FAMILY}\"]").into_bytes()),
    ]
}

/// Headers with the words in them, where one at a time is wrong.
fn spoiled() -> Vec<HeaderMap> {
    let organisation = json!({
        "resourceType": "Organization", "name": ORGANISATION,
        "identifier": [{ "system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": ORGANISATION }],
    });
    let identifier = json!({ "system": HEADER, "value": FAMILY });
    let pairs = [
        ("x-request-id", HEADER.to_owned()),
        ("x-correlation-id", FAMILY.to_owned()),
        ("nhsd-target-identifier", HEADER.to_owned()),
        ("nhsd-target-identifier", base64(&identifier.to_string())),
        ("nhsd-target-identifier", base64(FREE_TEXT)),
        ("nhsd-end-user-organisation", base64(&organisation.to_string())),
        ("content-type", format!("application/{HEADER}")),
        ("content-encoding", HEADER.to_owned()),
        ("accept", format!("application/{HEADER}")),
        ("user-agent", format!("{HEADER} {FAMILY}")),
        ("cookie", format!("name={FAMILY}")),
        ("authorization", format!("Bearer {HEADER}")),
        ("x-forwarded-for", HEADER.to_owned()),
    ];
    let spoil = |(name, value): (&'static str, String)| {
        let mut headers = headers().write();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        headers
    };
    pairs.into_iter().map(spoil).collect()
}

fn reads(number: &str) -> Vec<String> {
    let system = "https://fhir.nhs.uk/Id/nhs-number%7C";
    let postcode = POSTCODE.replace(' ', "%20");
    vec![
        format!("/{PATH}/{FAMILY}"),
        format!("/Appointment/{PATH}"),
        format!("/ServiceRequest/{number}"),
        format!("/Appointment?patient:identifier={system}{number}1"),
        format!("/Appointment?patient:identifier={QUERY}%7C{number}"),
        format!("/Appointment?patient:name={QUERY}&patient:birthdate={BIRTH_DATE}"),
        format!(
            "/Appointment?patient:name={FAMILY}&patient:birthdate={BIRTH_DATE}&patient:address-postalcode={postcode}"
        ),
        format!("/ServiceRequest?{QUERY}={FAMILY}"),
        format!("/Slot?Schedule.actor:HealthcareService={QUERY}&start={QUERY}&status={QUERY}&_include={QUERY}"),
        format!("/MessageDefinition?context={QUERY}%7C{FAMILY}"),
        format!("/metadata?_format={QUERY}"),
    ]
}

/// A hospital that quotes the patient back when it refuses.
async fn gossip() -> Simulator {
    let react = |message: &ReceivedMessage| {
        let ack = format!(
            "MSH|^~\\&|{PEER}|{PEER}|||20260101||ACK|1|P|2.4\rMSA|AE|{}|{PEER} {FAMILY}\rERR|{PEER}^1^1^207&{PEER}\r",
            message.control_id
        );
        Reaction::answer(Answer::Bytes(ack.into_bytes()))
    };
    Simulator::start(([127, 0, 0, 1], 0).into(), simulator::Options::reacting(react)).await.unwrap()
}

async fn mllp(gateway: &Gateway, message: &str) -> String {
    let mut stream = TcpStream::connect(gateway.mllp.unwrap()).await.unwrap();
    stream.write_all(format!("\x0b{message}\x1c\r").as_bytes()).await.unwrap();
    let mut answer = vec![0; 10_000];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
    answer.truncate(read.map_or(0, |count| count.unwrap_or(0)));
    String::from_utf8_lossy(&answer).into_owned()
}

async fn status(gateway: &Gateway, path: &str) -> String {
    let mut stream = TcpStream::connect(gateway.status).await.unwrap();
    stream.write_all(format!("GET {path}?{QUERY} HTTP/1.1\r\nX-A: {HEADER}\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// A referral and a booking that are taken.
async fn accept(client: &Client, number_of: &People, slot: &FreeSlot, found: &mut Found) -> (String, String) {
    let person = number_of.next();
    let referral = planted(&bundles().referral(&person, Timestamp::now()).body);
    let answer = post_bytes(client, headers().write(), referral.to_string()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    found.note("referral", &answer);
    let id = resource_id(&answer, "ServiceRequest").unwrap();
    let booking = planted(&bundles().booking(&person, slot, Some(&id), Timestamp::now()).body);
    let answer = post_bytes(client, headers().write(), booking.to_string()).await;
    assert_eq!(answer.status, 200, "{}", json(&answer));
    found.note("booking", &answer);
    (person.nhs_number.as_str().to_owned(), id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_word_of_a_patient_leaves_by_a_side_door() {
    let pas = gossip().await;
    let options = Options { pas: Some(pas.addr.port()), log: Some("debug"), ..Options::default() };
    let mut gateway = Gateway::start(options);
    let (client, people, mut found) = (gateway.client(), People::new(30), Found::default());
    let slots = free_slots(&client, 1).await;
    let (number, id) = accept(&client, &people, &slots[0], &mut found).await;

    let other = people.next();
    let good = planted(&bundles().referral(&other, Timestamp::now()).body);
    for (name, body) in refused(&good) {
        found.note(name, &post_bytes(&client, headers().write(), body).await);
    }
    let stolen = planted(&bundles().booking(&other, &slots[1], Some(&id), Timestamp::now()).body);
    found.note("somebody else's referral", &post_bytes(&client, headers().write(), stolen.to_string()).await);
    for headers in spoiled() {
        found.note("headers", &post_bytes(&client, headers, good.to_string()).await);
    }
    for path in reads(&number) {
        found.note(&path.clone(), &client.send(Method::GET, &path, headers().read(), None).await.unwrap());
    }
    let method = Method::from_bytes(HL7.as_bytes()).unwrap();
    found.note("method", &client.send(method, "/Slot", headers().read(), None).await.unwrap());
    for line in [
        format!("GET /{PATH} {FAMILY}\r\n\r\n"),
        format!("{FAMILY}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{HEADER}\r\n\r\n"),
    ] {
        found.add("no HTTP", &raw(&gateway, line.as_bytes()).await);
    }
    let patient = format!("PID|1||{number}||{FAMILY}^{GIVEN}||{BIRTH_DATE}\r");
    for head in [format!("MSH|^~\\&|A|B|C|D|20260101||ADT^{HL7}|M1|P|2.4\r"), format!("{HL7}|1\r"), String::new()] {
        // An acknowledgement repeats the event that it is for.
        found.add("HL7 v2", &mllp(&gateway, &format!("{head}{patient}")).await.replace(&format!("ACK^{HL7}"), ""));
    }

    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while gateway.outbox("parked") == 0 {
        assert!(std::time::Instant::now() < deadline, "the PAS refuses, so a person must look");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for path in ["/metrics", "/_status", "/ready", "/nothing"] {
        found.add(path, &status(&gateway, path).await);
    }
    for args in [&["messages", "list", "--limit", "1000"][..], &["outbox", "list"], &["messages", "counts"]] {
        // What an operator lists is no place for patients either; `show` is.
        found.add("list", &gateway.document(args).to_string());
    }
    assert_eq!(gateway.stop(), Some(0));
    for output in ["stderr", "stdout"] {
        found.add(output, &String::from_utf8_lossy(&std::fs::read(gateway.path(output)).unwrap()));
    }
    let log = gateway.stderr();
    assert!(log.contains("\"DEBUG\""), "it was told to log everything");
    let numbers = [number, other.nhs_number.as_str().to_owned(), "9434765919".to_owned()];
    let bytes: usize = found.texts.iter().map(|(_, text)| text.len()).sum();
    println!("{} texts, {bytes} bytes ({} of log), {} accepted", found.texts.len(), log.len(), found.accepted);
    assert_eq!(found.leaks(&spellings(&numbers)), Vec::<String>::new());
    assert!(!log.contains("panicked"), "{log}");
}
