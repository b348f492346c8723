//! The contract against a real server, and what only many gateways on one database can do or fail to do.

mod faults;
#[path = "../../../tests/it/postgres_server.rs"]
mod server;

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use self::server::Server;
use super::*;
use crate::booking::command::Command;
use crate::booking::decide::decide;
use crate::booking::identifier::ServiceId;
use crate::booking::referral::Origin;
use crate::booking::service::Service;
use crate::store::contract::{self, letter, message, place_referral, wait, work};
use crate::store::sql::walks::walk_through;
use crate::store::symptom::{Grade, Kind};
use crate::store::{Message, Settlement, Store, Verdict};

struct Fresh {
    store: Arc<PostgresStore>,
    url: String,
    server: &'static Server,
}

fn fresh() -> Option<Fresh> {
    let server = server::shared()?;
    let url = server.database();
    Some(Fresh { store: open(&url), url, server })
}

fn open(url: &str) -> Arc<PostgresStore> {
    let options = Options { rules: Rules { sandbox: false, ..Rules::default() }, ..Options::new(url) };
    PostgresStore::open(&options, contract::decide).unwrap()
}

fn place(store: &PostgresStore, key: &str) -> Result<Verdict, StoreError> {
    let command = Command::PlaceReferral(place_referral(None));
    wait(store.submit(message(key), work(command, vec![letter("pas", Uuid::now_v7(), "REF^I12")])))
}

crate::store::contract::contract_tests!(fresh);

#[test]
fn the_store_holds_what_the_world_in_memory_holds() {
    let Some(server) = server::shared() else { return };
    // The walk is in one order, which one writer keeps.
    walk_through(16, |rules| {
        let options = Options { rules, writers: 1, ..Options::new(&server.database()) };
        ((), PostgresStore::open(&options, decide).unwrap())
    });
}

#[test]
fn whatever_is_lost_is_named() {
    let Some(fresh) = fresh() else { return };
    contract::whatever_is_lost_is_named(&*fresh.store, &|sql| drop(fresh.server.sql(&fresh.url, sql)));
}

/// A second gateway on the same database.
fn second(fresh: &Fresh) -> Arc<PostgresStore> {
    open(&fresh.url)
}

fn with_rules(url: &str, rules: Rules) -> Arc<PostgresStore> {
    PostgresStore::open(&Options { rules, ..Options::new(url) }, decide).unwrap()
}

/// Submits all of it through both gateways in turn and from many threads; what each answered.
fn through_both(
    stores: &[&PostgresStore; 2],
    count: usize,
    submit: impl Fn(&PostgresStore, usize) -> Result<Verdict, StoreError> + Sync,
) -> Vec<Result<Verdict, StoreError>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                scope.spawn({
                    let submit = &submit;
                    move || submit(stores[n % 2], n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn accepted(verdicts: &[Result<Verdict, StoreError>]) -> usize {
    verdicts.iter().filter(|it| matches!(it, Ok(Verdict::Accepted { .. }))).count()
}

#[test]
fn one_of_200_gets_the_slot_through_two_gateways() {
    let Some(server) = server::shared() else { return };
    let url = server.database();
    let (a, b) = (with_rules(&url, Rules::default()), with_rules(&url, Rules::default()));
    contract::accept(&*a, "diary", Command::PublishSlots(contract::diary(&["s"])));
    let verdicts = through_both(&[&a, &b], 200, |store, n| {
        let who = contract::subject(Some(contract::number(900_000_000 + n as u32 * 10)));
        contract::submit(store, &n.to_string(), Command::Book(contract::book_slot(who, "s", None)))
    });
    assert_eq!(accepted(&verdicts), 1);
    let refused = verdicts.iter().filter(|it| matches!(it, Ok(Verdict::Refused { .. }))).count();
    assert_eq!(refused, 199, "{:?}", verdicts.iter().find(|it| it.is_err()));
    assert_eq!(server.sql(&url, "SELECT count(*) FROM appointment"), "1");
}

#[test]
fn the_same_request_through_two_gateways_has_one_effect() {
    let Some(fresh) = fresh() else { return };
    let other = second(&fresh);
    let verdicts = through_both(&[&fresh.store, &other], 100, |store, _| place(store, "the same"));
    assert_eq!(accepted(&verdicts), 1);
    let again = verdicts.iter().filter(|it| matches!(it, Ok(Verdict::Duplicate { .. }))).count();
    assert_eq!(again, 99, "{:?}", verdicts.iter().find(|it| it.is_err()));
    assert_eq!(fresh.server.sql(&fresh.url, "SELECT count(*) FROM referral"), "1");
    assert_eq!(fresh.store.outbox_depth().unwrap()[0].queued, 1);
    assert_eq!(other.message_counts().unwrap(), [("accepted".to_owned(), 1), ("duplicate".to_owned(), 99)]);
}

/// With a proven number and without one: then only the likeness of what is said leads from one message to the others.
#[test]
fn a_hundred_first_messages_through_two_gateways_make_one_person() {
    let Some(server) = server::shared() else { return };
    for proven in [true, false] {
        let url = server.database();
        let (a, b) = (with_rules(&url, Rules::default()), with_rules(&url, Rules::default()));
        let mut diary = contract::diary(&[]);
        let service = |n| Service { id: ServiceId(format!("service {n}")), ..contract::held_service() };
        diary.services.extend((0..100).map(|n| (service(n), None)));
        contract::accept(&*a, "diary", Command::PublishSlots(diary));
        let verdicts = through_both(&[&a, &b], 100, |store, n| {
            let mut command = place_referral(proven.then(|| contract::number(999_000_001)));
            command.subject.demographics.names[0].given = vec!["Siobhan".to_owned()];
            command.subject.demographics.gender = Some(crate::booking::patient::Gender::Female);
            command.referral.service.0 = format!("service {n}");
            contract::submit(store, &n.to_string(), Command::PlaceReferral(command))
        });
        assert_eq!(accepted(&verdicts), 100, "{:?}", verdicts[0]);
        let people = "SELECT count(*) FROM patient WHERE id NOT IN (SELECT record_id FROM patient_link)";
        assert_eq!(server.sql(&url, people), "1", "proven: {proven}");
        let records = server.sql(&url, "SELECT count(*) FROM patient");
        assert_eq!(records, "1");
        assert_eq!(server.sql(&url, "SELECT count(*) FROM referral"), "100");
    }
}

/// Letters come in while those before them are settled: none may be left behind in its line.
#[test]
fn letters_go_out_once_and_in_order_through_two_gateways() {
    let Some(fresh) = fresh() else { return };
    let other = second(&fresh);
    let keys: Vec<Uuid> = (0..8).map(|_| Uuid::now_v7()).collect();
    let rounds = 25;
    let sent: Mutex<Vec<(Uuid, usize)>> = Mutex::default();
    let deliver = |store: &PostgresStore| {
        let deadline = Instant::now() + Duration::from_secs(120);
        while sent.lock().unwrap().len() < keys.len() * rounds {
            assert!(Instant::now() < deadline, "letters are left: {:?}", store.outbox_depth());
            for (row, _) in store.outbox_take("pas", Timestamp::now(), 7, Duration::from_secs(60)).unwrap() {
                sent.lock().unwrap().push((row.key, row.event.parse().unwrap()));
                wait(store.outbox_settle_taken(&row, Settlement::Delivered)).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        for store in [&fresh.store, &other] {
            scope.spawn(|| deliver(store));
        }
        for n in 0..rounds {
            let store = [&fresh.store, &other][n % 2];
            contract::post(&**store, keys.iter().map(|key| letter("pas", *key, &n.to_string())).collect());
        }
    });
    let sent = sent.into_inner().unwrap();
    for key in keys {
        let line: Vec<_> = sent.iter().filter(|it| it.0 == key).map(|it| it.1).collect();
        assert_eq!(line, (0..rounds).collect::<Vec<_>>());
    }
}

/// Different requests with one bundle: no constraint stands behind this, only that both are decided one after the other.
#[test]
fn a_bundle_is_taken_once_through_two_gateways() {
    let Some(server) = server::shared() else { return };
    let url = server.database();
    let (a, b) = (with_rules(&url, Rules::default()), with_rules(&url, Rules::default()));
    contract::accept(&*a, "diary", Command::PublishSlots(contract::diary(&[])));
    for round in 0..20 {
        let origin = Origin { bundle: format!("b{round}"), correlation: "c".into(), ..Origin::default() };
        let verdicts = through_both(&[&a, &b], 4, |store, n| {
            let mut command = place_referral(Some(contract::number(900_000_000 + round * 100 + n as u32 * 20)));
            command.referral.origin = origin.clone();
            let bundle = origin.bundle.clone();
            let message = Message { bundle, correlation: "c".into(), ..message(&format!("{round}/{n}")) };
            wait(store.submit(message, work(Command::PlaceReferral(command), Vec::new())))
        });
        assert_eq!(accepted(&verdicts), 1, "{verdicts:?}");
    }
}

#[test]
fn a_gateway_that_was_paused_settles_nothing_that_it_lost() {
    let Some(fresh) = fresh() else { return };
    let (paused, awake) = (&fresh.store, second(&fresh));
    contract::post(&**paused, vec![letter("pas", Uuid::nil(), "1"), letter("pas", Uuid::nil(), "2")]);
    let take = |store: &PostgresStore, lease| store.outbox_take("pas", Timestamp::now(), 9, lease).unwrap();
    let lost = take(paused, Duration::from_millis(300)).remove(0).0;
    assert!(take(&awake, Duration::from_secs(60)).is_empty());
    std::thread::sleep(Duration::from_millis(350));
    let taken = take(&awake, Duration::from_secs(60)).remove(0).0;
    assert!(taken.id == lost.id && take(paused, Duration::from_secs(60)).is_empty());

    for settlement in [Settlement::Delivered, Settlement::Parked { failure: "AR".into() }] {
        let late = wait(paused.outbox_settle_taken(&lost, settlement));
        assert!(matches!(late, Err(StoreError::Refused(_))), "{late:?}");
    }
    wait(awake.outbox_settle_taken(&taken, Settlement::Delivered)).unwrap();
    let next = take(paused, Duration::from_secs(60)).remove(0).0;
    assert_eq!(next.event, "2");
    // What a gateway has when it closes is free at once.
    paused.close();
    assert_eq!(take(&awake, Duration::from_secs(60)).remove(0).0.event, "2");
}

#[test]
fn a_server_that_may_lose_what_it_committed_is_for_test_data_only() {
    let Some(fresh) = fresh() else { return };
    let name = fresh.url.split(['/', '?']).nth(3).unwrap();
    fresh.server.sql(&fresh.url, &format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let with = |sandbox| {
        let options = Options { rules: Rules { sandbox, ..Rules::default() }, ..Options::new(&fresh.url) };
        PostgresStore::open(&options, contract::decide)
    };
    let refused = with(false).err();
    assert!(matches!(&refused, Some(StoreError::Database(why)) if why.contains("synchronous_commit")), "{refused:?}");
    assert!(with(true).is_ok());
    let seen = |sandbox| {
        let options = Options { rules: Rules { sandbox, ..Rules::default() }, ..Options::new(&fresh.url) };
        let found = examine(&options);
        let grade = found.iter().find(|it| it.kind == Kind::CommitOff).map(|it| it.grade);
        assert!(found.iter().all(|it| it.kind != Kind::Older && it.kind != Kind::Missing), "{found:?}");
        grade
    };
    assert_eq!((seen(false), seen(true)), (Some(Grade::Error), Some(Grade::Warning)));
    let gone = examine(&Options::new("postgres://onward@/nobody?host=/nowhere"));
    assert_eq!(gone.iter().map(|it| it.kind).collect::<Vec<_>>(), [Kind::Unreachable]);
}

#[test]
fn a_newer_schema_is_refused() {
    let Some(fresh) = fresh() else { return };
    fresh.server.sql(&fresh.url, "UPDATE onward_schema SET version = 99");
    let opened = PostgresStore::open(&Options::new(&fresh.url), contract::decide);
    assert!(matches!(opened.err(), Some(StoreError::SchemaTooNew { found: 99, .. })));
}

#[test]
fn gateways_that_start_together_make_one_schema() {
    let Some(server) = server::shared() else { return };
    let url = server.database();
    let stores = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&url))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for (n, store) in stores.iter().enumerate() {
        place(store, &n.to_string()).unwrap();
    }
    assert_eq!(stores[0].message_counts().unwrap(), [("accepted".to_owned(), 4)]);
}

#[test]
fn a_character_that_the_database_cannot_keep_stops_no_message() {
    let Some(fresh) = fresh() else { return };
    let message = Message { kind: "a\0b".to_owned(), ..message("k\0") };
    wait(fresh.store.submit(message, work(Command::PlaceReferral(place_referral(None)), Vec::new()))).unwrap();
    assert_eq!(fresh.store.message_list(&contract::all()).unwrap()[0].kind, "a\u{fffd}b");
    assert!(matches!(place(&fresh.store, "k\0"), Ok(Verdict::Duplicate { .. })));
}

#[test]
fn reads_may_be_asked_for_on_a_thread_of_a_runtime() {
    let Some(fresh) = fresh() else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Arc::clone(&fresh.store);
    assert_eq!(runtime.block_on(async move { store.message_counts() }).unwrap(), []);
}

#[test]
fn everything_in_a_file_is_copied_and_goes_on_from_there() {
    let Some(server) = server::shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("onward.db");
    let options = crate::store::sqlite::Options::default();
    let source = crate::store::sqlite::SqliteStore::open(&file, options, contract::decide).unwrap();
    contract::accept(&*source, "diary", Command::PublishSlots(contract::diary(&["a", "b"])));
    let who = contract::subject(Some(contract::number(999_000_001)));
    let booked = contract::accept(&*source, "book", Command::Book(contract::book_slot(who, "a", None)));
    for n in 0..1_200 {
        let command = Command::PlaceReferral(place_referral(None));
        let letters = vec![letter("pas", Uuid::from_u128(n / 3), &n.to_string())];
        wait(source.submit(message(&format!("{n}\0")), work(command, letters))).unwrap();
    }
    let first = source.outbox_due("pas", Timestamp::now(), 1).unwrap()[0].0.id;
    wait(source.outbox_settle(first, Settlement::Delivered)).unwrap();

    let url = server.database();
    let mut steps = 0;
    let copied = copy::from_sqlite(&file, &Options::new(&url), &mut |_| steps += 1).unwrap();
    assert!(20 < steps);
    let rows = |table: &str| copied.iter().find(|it| it.table == table).unwrap().rows;
    assert_eq!((rows("message"), rows("outbox"), rows("referral")), (1_202, 1_200, 1_201));
    let again = copy::from_sqlite(&file, &Options::new(&url), &mut |_| {});
    assert!(matches!(again.err(), Some(StoreError::Refused(why)) if why.contains("not empty")));

    let store = open(&url);
    let json = |value: serde_json::Value| value.to_string().replace("\\u0000", "\u{fffd}");
    let listed = |store: &dyn Store| json(serde_json::to_value(store.message_list(&contract::all()).unwrap()).unwrap());
    assert_eq!(listed(&*store), listed(&*source));
    let letters = |store: &dyn Store| json(serde_json::to_value(store.outbox_list(&contract::all()).unwrap()).unwrap());
    assert_eq!(letters(&*store), letters(&*source));
    assert_eq!(contract::events(&*store, "pas"), contract::events(&*source, "pas"));
    assert_eq!(store.message_counts().unwrap(), source.message_counts().unwrap());
    let booked = booked.appointment.unwrap().id.0;
    assert_eq!(store.appointment_resource(booked).unwrap(), source.appointment_resource(booked).unwrap());
    assert!(matches!(place(&store, "7\0"), Ok(Verdict::Duplicate { .. })));
    assert!(matches!(place(&store, "new"), Ok(Verdict::Accepted { .. })));
    let who = contract::subject(Some(contract::number(999_000_101)));
    let taken = contract::submit(&*store, "late", Command::Book(contract::book_slot(who, "a", None)));
    contract::is_database(taken, "UNIQUE");
}
