//! The store beside the world in memory (`booking::decide::world`): after the same walk both have refused the same
//! and hold the same. What one of them looks up or writes differently shows here.

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::diary;
use super::engine::Engine;
use super::session::{Row, Session};
use crate::booking::command::Command;
use crate::booking::decide::walk::{self, Scene, Step, walks};
use crate::booking::decide::world::{Accepted, AppointmentRow, ReferralRow, World, origin};
use crate::booking::decision::{Refusal, Rules};
use crate::booking::identifier::{PatientId, ReferralId, SlotId};
use crate::booking::referral::Origin;
use crate::store::contract::{message, wait, work};
use crate::store::{Message, Pending, Store, StoreError, Verdict};

/// A command with its time, and how the world in memory took it.
struct Taken {
    command: Command,
    now: Timestamp,
    verdict: Result<(), Refusal>,
}

/// So many walks, each through a store of its own: whatever keeps it, and the store.
pub(in crate::store) fn walk_through<E: Engine, K>(cases: u32, fresh: impl Fn(Rules) -> (K, std::sync::Arc<E>)) {
    let config = Config { cases, max_shrink_iters: 300, ..Config::with_source_file(file!()) };
    TestRunner::new(config)
        .run(&(walks(20..90), 1..40_usize, any::<bool>()), |(steps, together, sandbox)| {
            let rules = Rules { sandbox, ..Rules::default() };
            let (taken, world) = walked(&steps, rules);
            let (_keeper, store) = fresh(rules);
            for batch in taken.chunks(together) {
                let pending: Vec<_> = batch.iter().map(|it| submit(&*store, it)).collect();
                for (it, pending) in batch.iter().zip(pending) {
                    same_verdict(it, wait(pending))?;
                }
            }
            let held = store.read(|conn| Ok(held(conn, rules))).unwrap();
            store.close();
            prop_assert_eq!(in_order(held), in_order(world));
            Ok(())
        })
        .unwrap_or_else(|found| panic!("{found}"));
}

/// Homes and services stand in no order.
fn in_order(mut world: World) -> World {
    world.homes.sort();
    world.services.sort_by(|a, b| a.id.cmp(&b.id));
    world
}

/// The walk in memory.
fn walked(steps: &[Step], rules: Rules) -> (Vec<Taken>, World) {
    let mut world = World { rules, ..World::default() };
    let diary = Command::PublishSlots(walk::diary());
    let mut taken = vec![take(&mut world, diary, walk::instant(0))];
    for (number, step) in steps.iter().enumerate() {
        let command = Scene { world: &world, step: *step, number }.command();
        taken.push(take(&mut world, command, walk::instant(number)));
    }
    (taken, world)
}

fn take(world: &mut World, command: Command, now: Timestamp) -> Taken {
    let verdict = world.submit(&command, now).map(drop);
    Taken { command, now, verdict }
}

fn submit(store: &dyn Store, taken: &Taken) -> Pending<Verdict> {
    let Origin { bundle, correlation, .. } = origin(&taken.command);
    let message = Message { received_at: taken.now, key: None, bundle, correlation, ..message("") };
    store.submit(message, work(taken.command.clone(), Vec::new()))
}

fn same_verdict(taken: &Taken, found: Result<Verdict, StoreError>) -> Result<(), TestCaseError> {
    let found = match found {
        Ok(Verdict::Accepted { .. }) => Ok(()),
        Ok(Verdict::Refused { refusal: Some(refusal), .. }) => Err(refusal),
        other => return Err(TestCaseError::fail(format!("{}: {other:?}", taken.command.name()))),
    };
    prop_assert_eq!(&found, &taken.verdict, "{}", taken.command.name());
    Ok(())
}

/// Everything in the store, in the order in which it came.
fn held(conn: &dyn Session, rules: Rules) -> World {
    let patients = rows(conn, "SELECT model FROM patient ORDER BY seq", |row| json_in(row, 0));
    let referrals = rows(conn, "SELECT model, worklist, resource FROM referral ORDER BY seq", |row| ReferralRow {
        model: json_in(row, 0),
        worklist: row.get::<Option<String>>(1).unwrap().map(|name| read(&format!("{name:?}"))),
        resource: row.get::<Option<String>>(2).unwrap().map(|text| read(&text)),
    });
    let appointments = rows(conn, "SELECT model, resource FROM appointment ORDER BY seq", |row| AppointmentRow {
        model: json_in(row, 0),
        resource: row.get::<Option<String>>(1).unwrap().map(|text| read(&text)),
    });
    let slots = rows(conn, "SELECT id FROM slot ORDER BY seq", |row| SlotId(row.get(0).unwrap()));
    let journal = "SELECT bundle, correlation, referral_id FROM message WHERE outcome = 'accepted' ORDER BY seq";
    World {
        rules,
        patients,
        referrals,
        appointments,
        services: rows(conn, "SELECT model FROM service ORDER BY id", |row| json_in(row, 0)),
        slots: slots.iter().map(|id| diary::slot_find(conn, id).unwrap().unwrap()).collect(),
        journal: rows(conn, journal, |row| Accepted {
            bundle: row.get(0).unwrap(),
            correlation: row.get(1).unwrap(),
            referral: row.get::<Option<Uuid>>(2).unwrap().map(ReferralId),
        }),
        tasks: rows(conn, "SELECT model FROM task ORDER BY seq", |row| json_in(row, 0)),
        homes: rows(conn, "SELECT id, record_id FROM referral WHERE record_id IS NOT NULL", |row| {
            (ReferralId(row.get(0).unwrap()), PatientId(row.get(1).unwrap()))
        }),
    }
}

fn rows<T>(conn: &dyn Session, sql: &str, read: impl Fn(&dyn Row) -> T) -> Vec<T> {
    conn.all(sql, &[], |row| Ok(read(row))).unwrap()
}

fn json_in<T: DeserializeOwned>(row: &dyn Row, column: usize) -> T {
    read(&row.get::<String>(column).unwrap())
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}
