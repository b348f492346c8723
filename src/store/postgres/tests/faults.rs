//! What happens when the server or the way to it fails in the middle of commits: nothing that was answered is lost,
//! nothing takes effect twice, and a failure is told only where nothing took effect.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::server::Server;
use super::*;
use crate::store::ledger::{Standing, audit};
use crate::store::{Store, StoreError, Verdict};

const SENDERS: u32 = 16;

/// What senders met who repeat each message under the same key until it is answered.
#[derive(Default)]
struct Met {
    accepted: AtomicU32,
    failures: AtomicU32,
    /// A message was done although its sender was told that it failed.
    guessed: AtomicU32,
}

/// Sends until it is told to stop.
fn send(store: &PostgresStore, sender: u32, stop: &AtomicBool, met: &Met) {
    for n in 0.. {
        let key = format!("{sender}/{n}");
        while let Err(error) = one(store, &key, met) {
            assert!(matches!(error, StoreError::Database(_)), "{error:?}");
            met.failures.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
        met.accepted.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

fn one(store: &PostgresStore, key: &str, met: &Met) -> Result<(), StoreError> {
    // Somebody else each time: people who are alike make work that is not of interest here.
    let mut command = place_referral(None);
    let name = command.subject.candidate.to_string();
    command.subject.demographics.names[0].family = Some(name.replace(|c: char| !c.is_alphabetic(), ""));
    command.subject.demographics.birth_date = None;
    command.subject.demographics.addresses.clear();
    let letters = vec![letter("pas", Uuid::now_v7(), "REF^I12")];
    match wait(store.submit(message(key), work(Command::PlaceReferral(command), letters)))? {
        Verdict::Accepted { .. } => {}
        Verdict::Duplicate { .. } => drop(met.guessed.fetch_add(1, Ordering::Relaxed)),
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// Load while `harm` is done; then everything must add up.
fn under_load(server: &Server, harm: impl FnOnce(&PostgresStore, &str)) {
    let url = server.database();
    let store = open(&url);
    let (stop, met) = (AtomicBool::new(false), Met::default());
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (store, stop, met) = (&*store, &stop, &met);
            scope.spawn(move || send(store, sender, stop, met));
        }
        harm(&store, &url);
        stop.store(true, Ordering::Relaxed);
    });
    let count = |sql: &str| server.sql(&url, sql).parse::<u32>().unwrap();
    let accepted = met.accepted.load(Ordering::Relaxed);
    println!("{accepted} accepted, {} told to try again", met.failures.load(Ordering::Relaxed));
    assert!(accepted > SENDERS, "there was no load");
    assert_eq!(met.guessed.load(Ordering::Relaxed), 0, "told as failed, and done");
    assert_eq!(count("SELECT count(*) FROM message WHERE outcome = 'accepted'"), accepted);
    assert_eq!(count("SELECT count(*) FROM message"), accepted);
    assert_eq!(count("SELECT count(*) FROM referral"), accepted);
    assert_eq!(count("SELECT count(*) FROM outbox WHERE state = 'queued'"), accepted);
    assert_eq!(count("SELECT sum(n) FROM message_tally"), accepted);
    assert_eq!(store.outbox_depth().unwrap()[0].queued, u64::from(accepted));
    let ledger = audit(&*store, |_| {}).unwrap();
    println!("{ledger}");
    assert!(ledger.is_balanced() && ledger.count(Standing::Waiting) == u64::from(accepted), "{ledger}");
    assert!(store.health().failure.is_none(), "{:?}", store.health());
}

fn await_health(store: &PostgresStore, well: bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.health().failure.is_none() != well {
        assert!(Instant::now() < deadline, "{:?}", store.health());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn connections_that_are_cut_in_the_middle_of_commits_lose_nothing() {
    let Some(server) = Server::start() else { return };
    under_load(&server, |_, url| {
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(30));
            let own = "datname = current_database() AND pid <> pg_backend_pid()";
            server.sql(url, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {own}"));
        }
    });
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_commits_loses_nothing() {
    let Some(server) = Server::start() else { return };
    under_load(&server, |store, _| {
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(400));
            server.kill();
            await_health(store, false);
            server.run();
            await_health(store, true);
        }
    });
}

#[test]
fn a_backend_that_is_killed_takes_all_others_with_it_and_loses_nothing() {
    let Some(server) = Server::start() else { return };
    under_load(&server, |store, url| {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(400));
            let writing = "datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'";
            let pid = server.sql(url, &format!("SELECT pid FROM pg_stat_activity WHERE {writing} LIMIT 1"));
            std::process::Command::new("kill").args(["-KILL", &pid]).output().unwrap();
            server.await_ready();
            await_health(store, true);
        }
    });
}
