//! The load tool against a stand-in for the gateway: a TLS listener of the gateway's own kind with canned answers.

use std::collections::HashSet;
use std::sync::{Mutex, mpsc};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use clap::Parser;
use jiff::Timestamp;
use onward::cli::load::LoadCommand;
use onward::tls::authority::{Pki, create_development_pki};
use onward::tls::{ClientAuth, ReloadingServer, ServerTls};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the stand-in has seen.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    accepted: HashSet<String>,
    booked: Vec<String>,
    wrong: Vec<String>,
    searches: usize,
    asked: HashSet<String>,
    /// How many days have free slots.
    days: usize,
}

type Shared = web::Data<Mutex<Seen>>;

struct StandIn {
    _dir: TempDir,
    pki: Pki,
    port: u16,
    seen: Shared,
    handle: ServerHandle,
}

impl StandIn {
    fn start(days: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let pki = create_development_pki(dir.path(), &[], &["load"], 90, Timestamp::now()).unwrap();
        let settings = ServerTls {
            cert: pki.server.cert.clone(),
            key: pki.server.key.clone(),
            client_ca: Some(pki.ca.cert.clone()),
            client_auth: ClientAuth::Required,
            crl: None,
            host: Some("localhost".to_owned()),
        };
        let config = ReloadingServer::load(settings, Timestamp::now()).unwrap().config();
        let seen = Shared::new(Mutex::new(Seen { days, ..Seen::default() }));
        let (tell, told) = mpsc::channel();
        let data = seen.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new().app_data(data.clone()).app_data(web::PayloadConfig::new(1 << 20)).configure(routes)
                };
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.bind_rustls_0_23("127.0.0.1:0", config).unwrap();
                let port = server.addrs()[0].port();
                let server = server.run();
                tell.send((port, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (port, handle) = told.recv().unwrap();
        Self { _dir: dir, pki, port, seen, handle }
    }

    fn load(&self, arguments: &[&str]) -> i32 {
        #[derive(Parser)]
        struct Command {
            #[command(flatten)]
            load: LoadCommand,
        }
        let client = &self.pki.clients[0];
        let files = [("--ca", &self.pki.ca.cert), ("--cert", &client.cert), ("--key", &client.key)];
        let files = files.iter().flat_map(|(option, file)| [(*option).to_owned(), file.display().to_string()]);
        let target = ["--target".to_owned(), format!("https://localhost:{}", self.port)];
        let words = ["load".to_owned()].into_iter().chain(files).chain(target);
        let words = words.chain(arguments.iter().map(|word| (*word).to_owned()));
        Command::try_parse_from(words).unwrap().load.run(true).unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/FHIR/R4/$process-message", web::post().to(process))
        .route("/FHIR/R4/Patient/$match", web::post().to(question))
        .route("/FHIR/R4/Slot", web::get().to(search))
        .route("/FHIR/R4/ServiceRequest/{id}", web::get().to(read));
}

async fn process(request: HttpRequest, body: web::Bytes, seen: Shared) -> HttpResponse {
    let mut seen = seen.lock().unwrap();
    check_headers(&request, &mut seen);
    let mut bundle: Value = serde_json::from_slice(&body).unwrap();
    let fresh = seen.ids.insert(bundle["id"].as_str().unwrap().to_owned());
    note(&mut seen, fresh, "Bundle.id again");
    if body.len() < 15_000 {
        return book(&bundle, &mut seen);
    }
    let entries = bundle["entry"].as_array_mut().unwrap();
    let referral = entries.iter_mut().find(|entry| entry["resource"]["resourceType"] == "ServiceRequest").unwrap();
    let id = uuid::Uuid::new_v4().to_string();
    referral["resource"]["id"] = json!(id);
    seen.accepted.insert(id);
    HttpResponse::Ok().json(bundle)
}

fn book(bundle: &Value, seen: &mut Seen) -> HttpResponse {
    let entries = bundle["entry"].as_array().unwrap();
    let slot = &entries.iter().find(|entry| entry["resource"]["resourceType"] == "Slot").unwrap()["resource"];
    let slot = slot["id"].as_str().unwrap().to_owned();
    let taken = slot.ends_with("-3");
    seen.booked.push(slot);
    match taken {
        true => {
            let code = json!({"coding": [{"code": "REC_CONFLICT"}]});
            let issue = json!([{"code": "conflict", "details": code}]);
            HttpResponse::Conflict().json(json!({"resourceType": "OperationOutcome", "issue": issue}))
        }
        false => HttpResponse::Ok().json(bundle),
    }
}

/// Five slots a day, but only in the first days.
async fn search(request: HttpRequest, seen: Shared) -> HttpResponse {
    let mut seen = seen.lock().unwrap();
    check_headers(&request, &mut seen);
    seen.searches += 1;
    let count = if seen.searches <= seen.days { 5 } else { 0 };
    let slot = |number| {
        let id = format!("day-{}-{number}", seen.searches);
        let (start, end) = (format!("2026-06-01T0{number}:00:00+00:00"), format!("2026-06-01T0{number}:15:00+00:00"));
        json!({"resource": {"resourceType": "Slot", "id": id, "status": "free", "start": start, "end": end}})
    };
    let entries: Vec<Value> = (1..=count).map(slot).collect();
    HttpResponse::Ok().json(json!({"resourceType": "Bundle", "entry": entries}))
}

async fn question(request: HttpRequest, body: web::Bytes, seen: Shared) -> HttpResponse {
    let mut seen = seen.lock().unwrap();
    check_headers(&request, &mut seen);
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let [parameter] = asked["parameter"].as_array().unwrap().as_slice() else { panic!("one parameter") };
    note(&mut seen, parameter["name"] == "resource", "no resource");
    seen.asked.insert(parameter["resource"]["birthDate"].as_str().unwrap().to_owned());
    HttpResponse::Ok().json(json!({"resourceType": "Bundle", "type": "searchset"}))
}

async fn read(request: HttpRequest, id: web::Path<String>, seen: Shared) -> HttpResponse {
    let mut seen = seen.lock().unwrap();
    check_headers(&request, &mut seen);
    let known = seen.accepted.contains(id.as_str());
    note(&mut seen, known, "read of what was not accepted");
    HttpResponse::Ok().json(json!({"resourceType": "ServiceRequest"}))
}

fn check_headers(request: &HttpRequest, seen: &mut Seen) {
    let text = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let id = text("x-request-id");
    note(seen, id.is_some(), "X-Request-Id missing");
    let fresh = id.is_some_and(|id| seen.ids.insert(id));
    note(seen, fresh, "X-Request-Id again");
    for name in ["x-correlation-id", "nhsd-target-identifier", "nhsd-end-user-organisation", "accept"] {
        note(seen, text(name).is_some(), name);
    }
}

fn note(seen: &mut Seen, good: bool, what: &str) {
    if !good {
        seen.wrong.push(what.to_owned());
    }
}

#[test]
fn a_closed_load_sends_all_kinds_over_http_1() {
    let gateway = StandIn::start(120);
    assert_eq!(gateway.load(&["--duration", "1", "--concurrency", "3"]), 0);
    let seen = gateway.seen.lock().unwrap();
    assert_eq!(seen.wrong, Vec::<String>::new());
    assert!(5 < seen.accepted.len());
    assert!(!seen.booked.is_empty());
}

#[test]
fn each_slot_is_booked_once_and_then_it_is_said_that_none_is_left() {
    let gateway = StandIn::start(3);
    assert_eq!(gateway.load(&["--duration", "4", "--concurrency", "3", "--mix", "booking=1"]), 2);
    let seen = gateway.seen.lock().unwrap();
    assert_eq!(seen.wrong, Vec::<String>::new());
    assert_eq!((seen.booked.len(), seen.searches), (15, 120));
    assert_eq!(seen.booked.iter().collect::<HashSet<_>>().len(), 15);
    assert!(!seen.accepted.is_empty(), "referrals take the place of bookings");
}

#[test]
fn an_open_load_keeps_its_rate_over_http_2() {
    let gateway = StandIn::start(0);
    let arguments = ["--duration", "1", "--rate", "20", "--http2", "--connections", "2", "--mix", "referral=1,read=1"];
    assert_eq!(gateway.load(&arguments), 0);
    let seen = gateway.seen.lock().unwrap();
    assert_eq!(seen.wrong, Vec::<String>::new());
    // 20 and the warm-up; each has a request id, and each referral a Bundle.id.
    assert_eq!(seen.ids.len() - seen.accepted.len(), 21);
}

#[test]
fn people_of_a_file_are_asked_for() {
    let gateway = StandIn::start(0);
    let file = TempDir::new().unwrap();
    let people = file.path().join("people.ndjson");
    let lines: Vec<String> = (1..=4)
        .map(|day| json!({"resourceType": "Patient", "birthDate": format!("1950-01-0{day}")}).to_string())
        .collect();
    std::fs::write(&people, lines.join("\n")).unwrap();
    let arguments = ["--duration", "1", "--concurrency", "2", "--mix", "match=1", "--people"];
    assert_eq!(gateway.load(&[&arguments[..], &[people.to_str().unwrap()]].concat()), 0);
    assert_eq!(gateway.load(&arguments[..6]), 2, "there is nobody to ask for");
    let seen = gateway.seen.lock().unwrap();
    assert_eq!((&seen.wrong, seen.asked.len()), (&Vec::new(), 4));
}
