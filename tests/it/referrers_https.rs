//! Referrers on real sockets, in TLS with certificates on both sides: those that behave, and those that do not.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use onward::load::synthetic::{People, Person};
use onward::outbox::backoff::Backoff;
use onward::outbox::destination::{Adapter, Destination, Peer, Site, Tls};
use onward::outbox::mllp::send_all;
use onward::store::{Letter, OutboxState};
use onward::tls::{ClientAuth, ReloadingServer, ServerTls};
use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use uuid::Uuid;

use crate::gateway::{Gateway, Options, bundles, fixed_port, free_slots, headers, json, post, resource_id};
use crate::hl7_gateway::{siu, withdrawal};
use crate::mllps::pki;
use crate::outbox::World;

/// A request as it came.
#[derive(Clone, Debug)]
struct Received {
    at: Instant,
    head: String,
    body: Vec<u8>,
    /// How often this request id was seen before.
    repeats: usize,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{}:", name.to_lowercase())));
        line.and_then(|line| line.split_once(": ")).map(|(_, value)| value).unwrap_or_default()
    }

    fn id(&self) -> &str {
        self.header("x-request-id")
    }
}

/// What a peer does with a request.
#[derive(Clone, Debug)]
enum Reaction {
    /// Answers, and keeps the connection.
    Say(Vec<u8>),
    /// Says something and hangs up.
    Hang(Vec<u8>),
    /// Says something and then nothing more.
    Mute(Vec<u8>),
}

/// A referrer's server.
struct Referrer {
    addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Referrer {
    async fn start(
        server: Arc<ServerConfig>,
        at: SocketAddr,
        react: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (seen, react) = (received.clone(), Arc::new(react));
        let acceptor = TlsAcceptor::from(server);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, seen, react) = (acceptor.clone(), seen.clone(), react.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    assert!(stream.get_ref().1.peer_certificates().is_some(), "it shows who it is");
                    serve(stream, &seen, &*react).await;
                });
            }
        });
        Self { addr, received }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TlsStream<TcpStream>,
    seen: &Mutex<Vec<Received>>,
    react: &(dyn Fn(&Received) -> Reaction + Sync),
) {
    while let Some((head, body)) = read_request(&mut stream).await {
        let mut request = Received { at: Instant::now(), head, body, repeats: 0 };
        {
            let mut seen = seen.lock().unwrap();
            request.repeats = seen.iter().filter(|it| it.id() == request.id()).count();
            seen.push(request.clone());
        }
        match react(&request) {
            Reaction::Say(bytes) => drop(stream.write_all(&bytes).await),
            Reaction::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reaction::Mute(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                sleep(Duration::from_secs(600)).await;
            }
        }
    }
}

async fn read_request(stream: &mut TlsStream<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = bytes[end + 4..].to_vec();
    while body.len() < length.unwrap_or(0) {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn outcome(code: &str, error: &str) -> String {
    format!(
        r#"{{"resourceType":"OperationOutcome","issue":[{{"severity":"error","code":"{code}","diagnostics":"about Mrs Smith","details":{{"coding":[{{"code":"{error}"}}]}}}}]}}"#
    )
}

fn letter(key: u32, number: u32) -> Letter {
    let id = Uuid::from_u128(u128::from(key) << 64 | u128::from(number) | 0xF << 120);
    let body = format!("X-Request-Id: {id}\r\nContent-Type: application/fhir+json\r\n\r\n{{\"n\":{number}}}");
    Letter {
        destination: "referrer".into(),
        key: Uuid::from_u128(key.into()),
        event: "booking-request update".into(),
        control_id: id.to_string(),
        body: body.into_bytes(),
    }
}

/// A destination whose time-outs are short enough for a test.
fn destination(addr: SocketAddr, client: &Arc<rustls::ClientConfig>) -> Destination {
    let config = client.clone();
    let server_name = ServerName::try_from("pas.test").unwrap();
    let peer = Peer {
        tls: Some(Tls { server_name, config: Arc::new(move || config.clone()) }),
        ack_timeout: Duration::from_millis(400),
        ..Peer::new("127.0.0.1", addr.port())
    };
    Destination {
        adapter: Adapter::Bars(Site::new(peer.clone(), "/FHIR/R4/")),
        backoff: Backoff { min: Duration::from_millis(20), max: Duration::from_millis(100) },
        look_interval: Duration::from_millis(50),
        ..Destination::mllp("referrer", peer)
    }
}

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referrer_gets_every_letter_once_and_in_order() {
    let pki = pki();
    let site = Referrer::start(pki.server.clone(), ANY, |_| Reaction::Say(answer("200 OK", "", "{}"))).await;
    let mut world = World::new();
    world.write_letters((0..4).flat_map(|number| (0..20).map(move |key| letter(key, number))).collect()).await;
    world.start(destination(site.addr, &pki.client));
    world.until_delivered(80).await;
    let received = site.received();
    assert_eq!((received.len(), received.iter().map(Received::id).collect::<HashSet<_>>().len()), (80, 80));
    let mut last: HashMap<u64, u64> = HashMap::new();
    for request in &received {
        let id = Uuid::parse_str(request.id()).unwrap().as_u128();
        let (key, number) = ((id >> 64) as u64, id as u64);
        assert_eq!(last.insert(key, number), number.checked_sub(1), "in order");
        assert_eq!(request.head.lines().next(), Some("POST /FHIR/R4/$process-message HTTP/1.1"));
        assert_eq!(request.header("host"), format!("127.0.0.1:{}", site.addr.port()));
        assert_eq!(request.body, format!("{{\"n\":{number}}}").into_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_referrer_answers_a_letter_is_delivered_or_waits_for_a_person() {
    use OutboxState::{Delivered, Parked};
    let duplicate = outcome("duplicate", "REC_CONFLICT");
    let conflict = outcome("conflict", "REC_CONFLICT");
    let drip = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    let endless =
        [b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-Filler: abcdefghijklmnopqrstuvwxyz\r\n".repeat(20_000)].concat();
    // What is answered first; what becomes of the letter; how often it is sent; what the failure says.
    let table: Vec<(&str, Reaction, OutboxState, usize, &str)> = vec![
        ("200", Reaction::Say(answer("200 OK", "", "{}")), Delivered, 1, ""),
        ("204", Reaction::Say(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), Delivered, 1, ""),
        ("200 and hung up", Reaction::Hang(answer("200 OK", "Connection: close\r\n", "{}")), Delivered, 1, ""),
        ("duplicate", Reaction::Say(answer("409 Conflict", "", &duplicate)), Delivered, 1, ""),
        ("conflict", Reaction::Say(answer("409 Conflict", "", &conflict)), Parked, 1, "409 REC_CONFLICT/conflict"),
        ("409 in words", Reaction::Say(answer("409 Conflict", "", "<p>Mrs Smith</p>")), Parked, 1, "409"),
        (
            "400",
            Reaction::Say(answer("400 Bad", "", &outcome("invariant", "REC_BAD_REQUEST"))),
            Parked,
            1,
            "400 REC_BAD_REQUEST/invariant",
        ),
        ("401", Reaction::Say(answer("401 Who", "", "")), Parked, 1, "401"),
        ("404", Reaction::Say(answer("404 No", "", "")), Parked, 1, "404"),
        (
            "redirected",
            Reaction::Say(answer("302 Found", "Location: https://elsewhere.test/\r\n", "")),
            Parked,
            1,
            "302",
        ),
        ("429", Reaction::Say(answer("429 Slow", "Retry-After: 1\r\n", "")), Delivered, 2, ""),
        ("503", Reaction::Say(answer("503 Later", "Retry-After: 1\r\n", "")), Delivered, 2, ""),
        ("500", Reaction::Say(answer("500 Oh", "", &outcome("exception", "REC_SERVER_ERROR"))), Delivered, 2, ""),
        ("408", Reaction::Say(answer("408 Timeout", "", "")), Delivered, 2, ""),
        ("425", Reaction::Say(answer("425 Early", "", &outcome("duplicate", "REC_TOO_EARLY"))), Delivered, 2, ""),
        ("hung up", Reaction::Hang(Vec::new()), Delivered, 2, ""),
        ("no answer", Reaction::Mute(Vec::new()), Delivered, 2, ""),
        ("half an answer", Reaction::Mute(drip), Delivered, 2, ""),
        ("no HTTP", Reaction::Hang(b"\x0bMSH|^~\\&|\x1c\r".to_vec()), Delivered, 2, ""),
        ("a head without end", Reaction::Mute(endless), Delivered, 2, ""),
        ("30 MB", Reaction::Hang(answer("200 OK", "", &"x".repeat(30 << 20))), Delivered, 1, ""),
    ];
    let pki = pki();
    for (what, first, state, sent, failure) in table {
        let react = move |request: &Received| match request.repeats {
            0 if request.body == b"{\"n\":0}" => first.clone(),
            _ => Reaction::Say(answer("200 OK", "", "{}")),
        };
        let site = Referrer::start(pki.server.clone(), ANY, react).await;
        let mut world = World::new();
        world.write_letters(vec![letter(1, 0), letter(1, 1), letter(2, 1)]).await;
        world.start(destination(site.addr, &pki.client));
        let delivered = if state == Delivered { 3 } else { 1 };
        world.until(what, |world| world.count(Delivered) == delivered && world.count(state) > 0).await;
        let row = world.letter(&letter(1, 0).control_id);
        assert_eq!((row.state, row.failure.as_deref().unwrap_or_default()), (state, failure), "{what}");
        let received = site.received();
        let attempts: Vec<_> = received.iter().filter(|it| it.id() == letter(1, 0).control_id).collect();
        assert_eq!(attempts.len(), sent, "{what}");
        assert!(attempts.iter().all(|it| (&it.head, &it.body) == (&attempts[0].head, &attempts[0].body)), "{what}");
        if what == "429" || what == "503" {
            let pause = attempts[1].at - attempts[0].at;
            assert!(Duration::from_secs(1) <= pause, "{what}: {pause:?}");
            let meanwhile = received.iter().filter(|it| attempts[0].at < it.at && it.at < attempts[1].at);
            assert!(meanwhile.count() <= 1, "{what}: nothing else is sent to a peer that takes nothing");
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_error_holds_up_nobody_else_and_is_tried_for_as_long_as_it_takes() {
    let pki = pki();
    let hopeless = letter(1, 0).control_id;
    let react = move |request: &Received| match request.id() == hopeless && request.repeats < 6 {
        true => Reaction::Say(answer("500 Oh", "", "")),
        false => Reaction::Say(answer("200 OK", "", "{}")),
    };
    let site = Referrer::start(pki.server.clone(), ANY, react).await;
    let mut world = World::new();
    let letters = (0..10).flat_map(|key| (0..3).map(move |number| letter(key, number)));
    world.write_letters(letters.collect()).await;
    world.start(destination(site.addr, &pki.client));
    world.until_delivered(30).await;
    assert_eq!(world.letter(&letter(1, 0).control_id).attempts, 7);
    let received = site.received();
    let end = received.iter().position(|it| it.repeats == 6).unwrap();
    let others = received[..end].iter().filter(|it| it.id() != letter(1, 0).control_id).count();
    assert_eq!(others, 27, "everybody else's came before");
}

/// A gateway that knows where its referrer is, and takes what a hospital says at a port of its own.
struct Place {
    gateway: Gateway,
    hospital: SocketAddr,
    referrer: SocketAddr,
    /// Settings of both destinations.
    destinations: String,
}

impl Place {
    fn start() -> Self {
        let mut gateway = Gateway::start(Options::default());
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (hospital, referrer) = (local(fixed_port()), local(fixed_port()));
        let file = |name: &str| gateway.path(&format!("tls/{name}")).display().to_string();
        let tls = format!(
            "{{ ca = \"{}\", cert = \"{}\", key = \"{}\" }}",
            file("ca.pem"),
            file("client-gp.pem"),
            file("client-gp-key.pem")
        );
        let destinations = format!(
            "[{{ name = \"pas\", host = \"127.0.0.1\", port = 9 }}, {{ name = \"advice\", kind = \"bars\", host = \"127.0.0.1\", \
             port = {}, path = \"/FHIR/R4\", addresses = [\"{ADDRESS}\"], tls = {tls}, backoff_max_ms = 1000 }}]",
            referrer.port()
        );
        gateway.kill();
        gateway.set("mllp.0.listen", hospital);
        gateway.set("destination", &destinations);
        gateway.restart();
        Self { gateway, hospital, referrer, destinations }
    }

    fn server(&self) -> Arc<ServerConfig> {
        let file = |name: &str| self.gateway.path(&format!("tls/{name}"));
        let settings = ServerTls {
            cert: file("server.pem"),
            key: file("server-key.pem"),
            client_ca: Some(file("ca.pem")),
            client_auth: ClientAuth::Required,
            crl: None,
            host: None,
        };
        Arc::new(ReloadingServer::load(settings, Timestamp::now()).unwrap().config())
    }

    async fn say(&self, messages: &[Vec<u8>]) {
        let peer = Peer::new(self.hospital.ip().to_string(), self.hospital.port());
        let mut answers = 0;
        send_all(&peer, messages, |_, _| answers += 1).await.unwrap();
        assert_eq!(answers, messages.len());
    }
}

const ADDRESS: &str = "https://fhir.nhs.uk/Id/dos-service-id|2222222222";

/// A referral and a booking on it.
async fn booked(gateway: &Gateway, person: &Person, slot: usize) -> (String, String, Timestamp) {
    let client = gateway.client();
    let referral = post(&client, headers().write(), &bundles().referral(person, Timestamp::now())).await;
    let referral = resource_id(&referral, "ServiceRequest").unwrap();
    let slot = free_slots(&client, 14).await.swap_remove(slot);
    let booking = bundles().booking(person, &slot, Some(&referral), Timestamp::now());
    let booking = post(&client, headers().write(), &booking).await;
    (referral, resource_id(&booking, "Appointment").unwrap(), slot.start.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hospital_changed_is_told_once_and_in_order_though_the_gateway_is_killed() {
    let mut world = Place::start();
    let people = People::new(23);
    let people: Vec<Person> = (0..3).map(|_| people.next()).collect();
    let mut held = Vec::new();
    for (number, person) in people.iter().enumerate() {
        held.push(booked(&world.gateway, person, number).await);
    }
    // Nobody is there yet to be told; the hospital goes on, and the gateway is killed in between.
    let mut control = 0;
    for round in 0..4 {
        for (person, (referral, booking, start)) in people.iter().zip(&held) {
            control += 1;
            let id = format!("K{control}");
            let later = *start + SignedDuration::from_hours(24 * (round + 1));
            let message = match round {
                0 => siu("S13", &id, booking, person, later, "Booked"),
                1 => siu("S15", &id, booking, person, later, "Cancelled"),
                2 => siu("S13", &id, booking, person, later, "Booked"),
                _ => withdrawal(&id, referral, person),
            };
            // Every booking has a number of its own there.
            let number = format!("{}^RZ9", &booking[24..]);
            let message = String::from_utf8(message).unwrap().replace("HOSP1^RZ9", &number);
            world.say(&[message.into_bytes()]).await;
        }
        if round % 2 == 0 {
            world.gateway.kill();
            world.gateway.restart();
        }
    }
    // It is killed between what the referrer takes and the answer to it, too: a repeat is known by its id.
    let react = |request: &Received| match request.repeats {
        0 if request.id().bytes().last().is_some_and(|it| it < b'8') => Reaction::Hang(Vec::new()),
        0 => Reaction::Say(answer("200 OK", "", "{}")),
        _ => Reaction::Say(answer("409 Conflict", "", &outcome("duplicate", "REC_CONFLICT"))),
    };
    let referrer = Referrer::start(world.server(), world.referrer, react).await;
    sleep(Duration::from_millis(300)).await;
    world.gateway.kill();
    world.gateway.restart();
    let deadline = Instant::now() + Duration::from_secs(60);
    while delivered(&world.gateway) < 12 {
        assert!(Instant::now() < deadline, "{}", world.gateway.document(&["outbox", "list"]));
        sleep(Duration::from_millis(100)).await;
    }
    let mut seen = HashSet::new();
    let first: Vec<_> = referrer.received().into_iter().filter(|it| seen.insert(it.id().to_owned())).collect();
    assert_eq!(first.len(), 12, "each of them, under one id");
    for (referral, booking, _) in &held {
        let told: Vec<(String, Value)> =
            first.iter().map(news).filter(|(id, _)| id == booking || id == referral).collect();
        let statuses: Vec<_> = told.iter().map(|(_, status)| status.as_str().unwrap()).collect();
        assert_eq!(statuses, ["booked", "cancelled", "booked", "cancelled"], "in order");
    }
    // Both sides say the same.
    let client = world.gateway.client();
    for (referral, booking, start) in &held {
        let read = async |path: String| json(&client.send(Method::GET, &path, headers().read(), None).await.unwrap());
        let appointment = read(format!("/Appointment/{booking}")).await;
        let moved = *start + SignedDuration::from_hours(72);
        assert_eq!(appointment["start"].as_str().unwrap().parse::<Timestamp>().unwrap(), moved);
        assert_eq!(read(format!("/ServiceRequest/{referral}")).await["status"], "revoked");
    }
}

fn delivered(gateway: &Gateway) -> u64 {
    let depths = gateway.document(&["outbox", "counts"]);
    let own = depths.as_array().unwrap().iter().find(|depth| depth["destination"] == "advice").cloned();
    own.and_then(|own| own["delivered"].as_u64()).unwrap_or(0)
}

/// What a message is about: the appointment and its status, or the request and that of the responder's Encounter.
fn news(request: &Received) -> (String, Value) {
    let bundle: Value = serde_json::from_slice(&request.body).unwrap();
    let last = |kind: &str| {
        let mut entries = bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
        entries.rfind(|it| it["resourceType"] == kind).cloned()
    };
    match (last("ServiceRequest"), last("Appointment")) {
        (Some(request), _) => (request["id"].as_str().unwrap().into(), last("Encounter").unwrap()["status"].clone()),
        (None, appointment) => {
            let appointment = appointment.unwrap();
            (appointment["id"].as_str().unwrap().into(), appointment["status"].clone())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_an_address_goes_out_when_it_is_registered() {
    let mut world = Place::start();
    world.gateway.kill();
    let destinations = world.destinations.clone();
    world.gateway.set("destination", "[{ name = \"pas\", host = \"127.0.0.1\", port = 9 }]");
    world.gateway.restart();
    let person = People::new(29).next();
    let (_, booking, start) = booked(&world.gateway, &person, 0).await;
    world.say(&[siu("S13", "W1", &booking, &person, start + SignedDuration::from_hours(24), "Booked")]).await;
    let waits = world.gateway.document(&["outbox", "counts"]);
    assert!(waits.as_array().unwrap().iter().any(|it| it["destination"] == ADDRESS && it["queued"] == 1), "{waits}");

    let referrer = Referrer::start(world.server(), world.referrer, |_| Reaction::Say(answer("200 OK", "", "{}"))).await;
    world.gateway.kill();
    world.gateway.set("destination", destinations);
    world.gateway.restart();
    let deadline = Instant::now() + Duration::from_secs(30);
    while delivered(&world.gateway) < 1 {
        assert!(Instant::now() < deadline, "{}", world.gateway.document(&["outbox", "list"]));
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(referrer.received().len(), 1);
    assert_eq!(news(&referrer.received()[0]), (booking, "booked".into()));
}
