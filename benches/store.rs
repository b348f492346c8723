//! How many messages a second become durable, and how quickly a referral is read back, for each store.
//!
//! Sixty-four submitters, each waiting for its answer before it sends the next 6 kB message; each message is
//! a new referral of a new patient with one letter for the outbox: everything that a real one writes.
//! The first round starts with an empty file, the last one has some hundred thousand messages behind it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use onward::booking::command::{Carried, Command, PlaceReferral, Subject};
use onward::booking::decision::{Change, Decision, Refusal, State};
use onward::booking::identifier::{PatientId, ReferralId, ServiceId};
use onward::booking::nhs_number::NhsNumber;
use onward::booking::pathway::Pathway;
use onward::booking::patient::{Demographics, HumanName, Patient};
use onward::booking::referral::{Category, Origin, Party, Referral, ReferralStatus};
use onward::store::postgres::{self, PostgresStore};
use onward::store::sqlite::{self, SqliteStore};
use onward::store::{Answer, Letter, Message, Store, Verdict, Work};
use uuid::Uuid;

#[path = "../tests/it/postgres_server.rs"]
mod postgres_server;
use postgres_server::Server;

/// As in the program; SQLite's memory comes from it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SUBMITTERS: u64 = 64;

fn decide(command: &Command, state: &State, _now: Timestamp) -> Result<Decision, Refusal> {
    let Command::PlaceReferral(it) = command else { unreachable!("only referrals are placed here") };
    let patient = state.patient.clone().unwrap_or_else(|| Patient {
        id: it.subject.candidate,
        nhs_number: it.subject.nhs_number,
        demographics: it.subject.demographics.clone(),
        replaced_by: None,
    });
    let referral = Referral { patient: patient.id, ..it.referral.clone() };
    let changes = vec![
        Change::Patient(patient.clone()),
        Change::Referral {
            worklist: referral.worklist(None),
            referral: referral.clone(),
            carried: Some((it.carried.clone(), it.subject.candidate)),
        },
    ];
    let (patient, referral) = (Some(patient), Some(referral));
    Ok(Decision {
        patient,
        referral,
        appointment: None,
        changes,
        notices: Vec::new(),
        warnings: Vec::new(),
        effect: Default::default(),
    })
}

/// JSON-like text that compresses about as well as a real Bundle.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 128);
    while text.len() < bytes {
        let id = Uuid::new_v4();
        text.push_str(&format!(
            r#"{{"fullUrl":"urn:uuid:{id}","resource":{{"resourceType":"Observation","id":""}}}},"#
        ));
    }
    text
}

/// Made once, so that it is the store that is measured.
static RESOURCE: LazyLock<String> = LazyLock::new(|| format!(r#"{{"status":"active","x":[{}0]}}"#, text(1_500)));
static LETTER: LazyLock<String> = LazyLock::new(|| text(1_000));

fn number(n: u64) -> Option<NhsNumber> {
    let scattered = (n.wrapping_mul(2_654_435_761) % 1_000_000_000) as u32;
    NhsNumber::from_prefix(scattered)
}

/// A name of its own for each number. People who all have one name are no population: each would be like all others.
fn word(n: u64) -> String {
    let scattered = n.wrapping_mul(2_654_435_761) % 308_915_776;
    (0..6).map(|place| char::from(b'a' + (scattered / 26_u64.pow(place) % 26) as u8)).collect()
}

fn command(n: u64) -> PlaceReferral {
    let name = HumanName { family: Some(word(n % 9_973)), given: vec![word(n % 1_009)], ..HumanName::default() };
    let born = format!("{}-{:02}-{:02}", 1930 + n % 89, 1 + n % 12, 1 + n % 28);
    let demographics = Demographics { names: vec![name], birth_date: Some(born), ..Demographics::default() };
    let subject = Subject { candidate: PatientId(Uuid::now_v7()), nhs_number: number(n), demographics };
    let origin =
        Origin { correlation: Uuid::new_v4().to_string(), bundle: Uuid::new_v4().to_string(), ..Origin::default() };
    let referral = Referral {
        id: ReferralId(Uuid::now_v7()),
        patient: subject.candidate,
        service: ServiceId("2000099999".into()),
        category: Category::Referral,
        use_case: "a1t1".into(),
        status: ReferralStatus::Active,
        priority: None,
        authored_on: None,
        received_at: Timestamp::now(),
        occurrence: (None, None),
        reasons: Vec::new(),
        reason_text: None,
        patient_instruction: None,
        requester: Party::default(),
        ubrn: None,
        identifiers: Vec::new(),
        case_reference: "case".into(),
        based_on: Vec::new(),
        replaces: Vec::new(),
        linked_appointment: None,
        pathway: Pathway::default(),
        response: None,
        origin,
    };
    PlaceReferral { subject, referral, carried: Carried(RESOURCE.clone()) }
}

fn message(origin: Origin, body: Vec<u8>) -> Message {
    Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel: "https",
        caller: "practice-system".into(),
        organisation: "A81001".into(),
        kind: "servicerequest-request new".into(),
        key: Some(format!("practice-system/{}", Uuid::new_v4())),
        correlation: origin.correlation,
        bundle: origin.bundle,
        body,
        issues: Vec::new(),
        feed: None,
    }
}

/// What is refused is kept: the journal and the ledger, and nothing else.
async fn keep(store: &dyn Store, body: Vec<u8>) -> Uuid {
    let origin =
        Origin { correlation: Uuid::new_v4().to_string(), bundle: Uuid::new_v4().to_string(), ..Origin::default() };
    let (message, answer) = (message(origin, body), Answer { status: 400, body: None, letters: Vec::new() });
    let id = message.id;
    match store.submit(message, Work::Refuse(answer)).await {
        Ok(Verdict::Refused { .. }) => id,
        other => panic!("{other:?}"),
    }
}

async fn submit(store: &dyn Store, n: u64, body: Vec<u8>) -> Uuid {
    let command = command(n);
    let (id, patient) = (command.referral.id.0, command.subject.candidate.0);
    let message = message(command.referral.origin.clone(), body);
    let letter = Letter {
        destination: "pas".into(),
        key: patient,
        event: "REF^I12".into(),
        control_id: id.to_string(),
        body: LETTER.clone().into_bytes(),
    };
    let answer = move |_: &Result<Decision, Refusal>| Answer { status: 200, body: None, letters: vec![letter.clone()] };
    let work = Work::Decide { command: Box::new(Command::PlaceReferral(command)), answer: Box::new(answer) };
    match store.submit(message, work).await {
        Ok(Verdict::Accepted { .. }) => id,
        other => panic!("{other:?}"),
    }
}

/// Submits `total` messages, decided or only kept; how long it took, and a few of the ids.
fn submit_all(
    runtime: &tokio::runtime::Runtime,
    store: &Arc<dyn Store>,
    decided: bool,
    total: u64,
) -> (Duration, Vec<Uuid>) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let body = Arc::new(text(6_000).into_bytes());
    let left = Arc::new(AtomicU64::new(total));
    let submitter = move |store: Arc<dyn Store>, left: Arc<AtomicU64>, body: Arc<Vec<u8>>| async move {
        let mut last = None;
        while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            last = Some(match decided {
                true => submit(&*store, NEXT.fetch_add(1, Relaxed), body.to_vec()).await,
                false => keep(&*store, body.to_vec()).await,
            });
        }
        last
    };
    let started = Instant::now();
    let tasks: Vec<_> = (0..SUBMITTERS)
        .map(|_| runtime.spawn(submitter(Arc::clone(store), Arc::clone(&left), Arc::clone(&body))))
        .collect();
    let ids = tasks.into_iter().filter_map(|task| runtime.block_on(task).expect("a submitter ends")).collect();
    (started.elapsed(), ids)
}

fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(".").expect("a folder on the disk that is measured");
    let options = sqlite::Options::default();
    let store = SqliteStore::open(&folder.path().join("onward.db"), options, decide).expect("the store opens");
    bench_store(criterion, "sqlite", store);
    if let Some(server) = Server::start() {
        let options = postgres::Options::new(&server.database());
        let store = PostgresStore::open(&options, decide).expect("the store opens");
        bench_store(criterion, "postgres", store);
    }
}

fn bench_store(criterion: &mut Criterion, name: &str, store: Arc<dyn Store>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut ids = Vec::new();

    let mut group = criterion.benchmark_group(format!("store {name}"));
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(20));
    group.bench_function("submit, durable, 64 at once", |bencher| {
        bencher.iter_custom(|total| {
            let (taken, found) = submit_all(&runtime, &store, true, total);
            ids.extend(found);
            taken
        });
    });
    group.bench_function("keep, durable, 64 at once", |bencher| {
        bencher.iter_custom(|total| submit_all(&runtime, &store, false, total).0);
    });
    let mut turn = ids.iter().cycle();
    group.measurement_time(Duration::from_secs(5)).bench_function("read a referral", |bencher| {
        bencher.iter(|| turn.next().map(|id| store.referral_resource(*id)));
    });
    group.bench_function("outbox depth", |bencher| bencher.iter(|| store.outbox_depth()));
    group.bench_function("outbox due", |bencher| bencher.iter(|| store.outbox_due("pas", Timestamp::now(), 16)));
    group.finish();
    store.close();
}

criterion_group!(benches, bench);
criterion_main!(benches);
