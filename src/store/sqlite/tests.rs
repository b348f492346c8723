//! The contract, and what only a store in a file can do or fail to do.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use uuid::Uuid;

use super::*;
use crate::booking::command::{Command, PublishSlots};
use crate::booking::decide::decide;
use crate::store::contract::{self, letter, message, place_referral, wait, work};
use crate::store::sql::job::Probe;
use crate::store::sql::walks::walk_through;
use crate::store::{Health, Message, Page, Pending, Settlement, Store, Verdict};

struct Fresh {
    store: Arc<SqliteStore>,
    folder: tempfile::TempDir,
}

impl Fresh {
    fn path(&self) -> PathBuf {
        self.folder.path().join("data/onward.db")
    }

    fn probe(&self, probe: impl Fn(&rusqlite::Connection) + Send + Sync + 'static) {
        wait(self.store.enqueue(|channel| Job::Probe(on_sqlite(probe), channel))).unwrap();
    }

    /// Holds the writer until it is told to go on: what is submitted meanwhile shares the next transaction.
    fn block(&self) -> (Pending<()>, std::sync::mpsc::Sender<()>) {
        let (started, waiting) = std::sync::mpsc::channel();
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let probe = move |_: &dyn Session| {
            started.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        };
        let blocker = self.store.enqueue(|channel| Job::Probe(Arc::new(probe), channel));
        waiting.recv().unwrap();
        (blocker, go)
    }
}

fn on_sqlite(probe: impl Fn(&rusqlite::Connection) + Send + Sync + 'static) -> Probe {
    Arc::new(move |conn: &dyn Session| probe(conn.as_any().downcast_ref().unwrap()))
}

fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("data/onward.db"));
    Fresh { store, folder }
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(path, Options::default(), contract::decide).unwrap()
}

fn place(store: &SqliteStore, key: &str) -> Result<Verdict, StoreError> {
    let command = Command::PlaceReferral(place_referral(None));
    wait(store.submit(message(key), work(command, vec![letter("pas", Uuid::now_v7(), "REF^I12")])))
}

fn of_the_contract() -> Option<Fresh> {
    Some(fresh())
}

crate::store::contract::contract_tests!(of_the_contract);

#[test]
fn the_store_holds_what_the_world_in_memory_holds() {
    walk_through(32, |rules| {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { rules, ..Options::default() };
        let store = SqliteStore::open(&folder.path().join("onward.db"), options, decide).unwrap();
        (folder, store)
    });
}

#[test]
fn whatever_is_lost_is_named() {
    let fresh = fresh();
    contract::whatever_is_lost_is_named(&*fresh.store, &|sql| {
        let sql = sql.to_owned();
        fresh.probe(move |conn| conn.execute_batch(&sql).unwrap());
    });
}

#[test]
fn nobody_else_can_read_the_file() {
    let fresh = fresh();
    place(&fresh.store, "k").unwrap();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(fresh.folder.path().join(format!("data/onward.db{suffix}"))), 0o600, "{suffix}");
    }
    assert_eq!(mode(fresh.folder.path().join("data")), 0o700);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("onward.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let opened = SqliteStore::open(&path, Options::default(), contract::decide);
    assert!(matches!(opened.err(), Some(StoreError::SchemaTooNew { found: 99, .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn what_was_answered_is_there_after_opening_again() {
    let fresh = fresh();
    for key in 0..50 {
        place(&fresh.store, &key.to_string()).unwrap();
    }
    // No goodbye: a second store on the same file while the first is still there.
    let second = open(&fresh.path());
    assert!((0..50).all(|key| second.first_answer(&key.to_string()).unwrap().is_some()));
    assert!(matches!(place(&second, "7"), Ok(Verdict::Duplicate { .. })));
    fresh.store.close();
    second.close();
    let third = open(&fresh.path());
    assert_eq!(third.message_counts().unwrap(), [("accepted".to_owned(), 50), ("duplicate".to_owned(), 1)]);
    assert_eq!(third.outbox_depth().unwrap()[0].queued, 50);
}

#[test]
fn closing_empties_the_log() {
    let fresh = fresh();
    place(&fresh.store, "k").unwrap();
    fresh.store.close();
    let log = std::fs::metadata(fresh.folder.path().join("data/onward.db-wal"));
    assert!(log.map_or(0, |log| log.len()) == 0);
}

#[test]
fn two_stores_on_one_file_write_at_the_same_time() {
    let fresh = fresh();
    let second = open(&fresh.path());
    std::thread::scope(|scope| {
        for (name, store) in [("a", &fresh.store), ("b", &second)] {
            scope.spawn(move || (0..200).for_each(|n| drop(place(store, &format!("{name}{n}")).unwrap())));
        }
    });
    assert_eq!(second.message_counts().unwrap(), [("accepted".to_owned(), 400)]);
    assert_eq!(fresh.store.outbox_depth().unwrap()[0].queued, 400);
}

#[test]
fn a_full_disk_is_said_and_passes() {
    let fresh = fresh();
    place(&fresh.store, "before").unwrap();
    fresh.probe(|conn| {
        let pages: i64 = conn.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    });
    let body = || (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let large = || Message { body: body(), ..message("large") };
    let publish = || work(Command::PublishSlots(PublishSlots::default()), Vec::new());
    let full = wait(fresh.store.submit(large(), publish()));
    assert!(matches!(&full, Err(StoreError::Database(why)) if why.contains("full")), "{full:?}");
    let ill = fresh.store.health();
    assert!(ill.failure.is_some_and(|why| why.contains("full")));
    // Its own trials fail as well: there is still room for a page, but not for a message.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    assert!(fresh.store.health().failure.is_some());

    fresh.probe(|conn| conn.pragma_update_and_check(None, "max_page_count", 1 << 30, |_| Ok(())).unwrap());
    assert!(matches!(wait(fresh.store.submit(large(), publish())), Ok(Verdict::Accepted { .. })));
    let well = fresh.store.health();
    assert!(well.failure.is_none() && well.since >= ill.since);
    assert!(matches!(place(&fresh.store, "before"), Ok(Verdict::Duplicate { .. })));
}

fn await_health(fresh: &Fresh, wanted: impl Fn(&Health) -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !wanted(&fresh.store.health()) {
        assert!(std::time::Instant::now() < deadline, "{:?}", fresh.store.health());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_file_that_is_gone_takes_nothing_and_is_used_again_when_it_is_back() {
    let fresh = fresh();
    place(&fresh.store, "before").unwrap();
    let away = fresh.path().with_extension("away");
    std::fs::rename(fresh.path(), &away).unwrap();
    let gone = place(&fresh.store, "after");
    assert!(matches!(&gone, Err(StoreError::Database(why)) if why.contains("gone")), "{gone:?}");
    std::fs::write(fresh.path(), "").unwrap();
    await_health(&fresh, |health| health.failure.as_ref().is_some_and(|why| why.contains("replaced")));
    // Nobody asks for anything, and yet it is well again.
    std::fs::rename(&away, fresh.path()).unwrap();
    await_health(&fresh, |health| health.failure.is_none());
    assert!(matches!(place(&fresh.store, "after"), Ok(Verdict::Accepted { .. })));
    assert!(matches!(place(&fresh.store, "before"), Ok(Verdict::Duplicate { .. })));
}

#[test]
fn a_transaction_that_is_lost_fails_all_of_its_batch() {
    let fresh = fresh();
    let (blocker, go) = fresh.block();
    let submit =
        |key: &str| fresh.store.submit(message(key), work(Command::PlaceReferral(place_referral(None)), Vec::new()));
    let first = submit("first");
    let breaks =
        fresh.store.enqueue(|channel| Job::Probe(on_sqlite(|conn| conn.execute_batch("ROLLBACK").unwrap()), channel));
    let last = submit("last");
    go.send(()).unwrap();
    wait(blocker).unwrap();
    for outcome in [wait(first).map(drop), wait(breaks), wait(last).map(drop)] {
        assert!(matches!(outcome, Err(StoreError::Database(_))), "{outcome:?}");
    }
    assert!(fresh.store.health().failure.is_some());
    assert!(fresh.store.first_answer("last").unwrap().is_none());
    assert!(matches!(place(&fresh.store, "first"), Ok(Verdict::Accepted { .. })));
    assert!(fresh.store.health().failure.is_none());
}

#[test]
fn failures_in_the_middle_of_a_batch_undo_only_themselves() {
    let fresh = fresh();
    let (blocker, go) = fresh.block();
    let ids: Vec<Uuid> = (0..6).map(|_| Uuid::now_v7()).collect();
    let pending: Vec<_> = (0..12)
        .map(|n| {
            // Every message from the seventh on has the id of an earlier one: a constraint of the journal.
            let message = Message { id: ids[n % 6], ..message(&n.to_string()) };
            let message = if n % 2 == 0 { Message { id: Uuid::now_v7(), ..message } } else { message };
            let letters = vec![letter("pas", Uuid::nil(), &n.to_string())];
            fresh.store.submit(message, work(Command::PlaceReferral(place_referral(None)), letters))
        })
        .collect();
    go.send(()).unwrap();
    wait(blocker).unwrap();
    let outcomes: Vec<bool> = pending.into_iter().map(|it| wait(it).is_ok()).collect();
    let expected: Vec<bool> = (0..12).map(|n| n < 6 || n % 2 == 0).collect();
    assert_eq!(outcomes, expected);
    assert!((0..12).all(|n| fresh.store.first_answer(&n.to_string()).unwrap().is_some() == expected[n]));
    assert_eq!(fresh.store.message_counts().unwrap(), [("accepted".to_owned(), 9)]);
    assert_eq!(fresh.store.outbox_list(&Page { limit: 99, ..Page::default() }).unwrap().len(), 9);
    assert_eq!(fresh.store.outbox_depth().unwrap()[0].queued, 9);
    assert!(fresh.store.health().failure.is_none());
}

#[test]
fn a_full_queue_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { queue_len: 2, ..Options::default() };
    let store = SqliteStore::open(&folder.path().join("onward.db"), options, contract::decide).unwrap();
    let fresh = Fresh { store, folder };
    let (blocker, go) = fresh.block();
    let store = &fresh.store;
    let queued = [store.outbox_settle(1, Settlement::Requeue), store.outbox_settle(2, Settlement::Requeue)];
    assert!(matches!(wait(store.outbox_settle(3, Settlement::Requeue)), Err(StoreError::Full)));
    go.send(()).unwrap();
    wait(blocker).unwrap();
    for settled in queued {
        assert!(matches!(wait(settled), Err(StoreError::Refused(_))));
    }
}

#[test]
fn who_is_alone_never_waits_for_company() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { batch_pause: Duration::from_secs(3600), ..Options::default() };
    let store = SqliteStore::open(&folder.path().join("onward.db"), options, contract::decide).unwrap();
    for n in 0..5 {
        wait(store.submit(message(&n.to_string()), work(Command::PlaceReferral(place_referral(None)), Vec::new())))
            .unwrap();
    }
}

#[test]
fn the_log_is_moved_into_the_file_in_the_background() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { log_bytes: 1 << 20, ..Options::default() };
    let store = SqliteStore::open(&folder.path().join("onward.db"), options, contract::decide).unwrap();
    let body: Vec<u8> = (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for n in 0..200 {
        let large = Message { body: body.clone(), ..message(&n.to_string()) };
        let publish = work(Command::PublishSlots(PublishSlots::default()), Vec::new());
        wait(store.submit(large, publish)).unwrap();
    }
    let log = std::fs::metadata(folder.path().join("onward.db-wal")).unwrap().len();
    assert!(log < 8 << 20, "the log has {log} bytes");
}
