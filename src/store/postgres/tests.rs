//! The contract against a real server, and what only many gateways on one database can do or fail to do.

#[path = "../../../tests/it/postgres_server.rs"]
mod server;

use std::sync::Arc;

use uuid::Uuid;

use self::server::Server;
use super::*;
use crate::booking::command::Command;
use crate::booking::decide::decide;
use crate::store::contract::{self, letter, message, place_referral, wait, work};
use crate::store::sql::walks::walk_through;
use crate::store::{Store, Verdict};

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
    walk_through(32, |rules| {
        let options = Options { rules, writers: 1, ..Options::new(&server.database()) };
        ((), PostgresStore::open(&options, decide).unwrap())
    });
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
        let verdicts = through_both(&[&a, &b], 100, |store, n| {
            let mut command = place_referral(proven.then(|| contract::number(999_000_001)));
            command.subject.demographics.names[0].given = vec!["Siobhan".to_owned()];
            command.subject.demographics.gender = Some(crate::booking::patient::Gender::Female);
            command.referral.service.0 = format!("service {n}");
            contract::submit(store, &n.to_string(), Command::PlaceReferral(command))
        });
        assert!(verdicts.iter().all(Result::is_ok), "{:?}", verdicts.iter().find(|it| it.is_err()));
        let people = "SELECT count(*) FROM patient WHERE id NOT IN (SELECT record_id FROM patient_link)";
        println!("{:?}", verdicts[0]);
        assert_eq!(server.sql(&url, people), "1", "proven: {proven}");
        let alone = "SELECT count(*) FROM patient";
        assert!(!proven || server.sql(&url, alone) == "1");
    }
}
