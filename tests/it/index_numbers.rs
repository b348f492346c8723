//! NHS numbers that are nobody's any more: replaced by another one, or declared invalid.

use onward::booking::identifier::{Identifier, PatientId};
use onward::booking::index::{TaskState, Wish};
use onward::store::Store;

use crate::index::{Fresh, PRIYA, Who, count, fresh, message, onward, send, tasks, wish};

const OLD: &str = "9990000018";
const NEWER: &str = "9990000026";

fn admit(minute: u32, who: &Who) -> String {
    message(minute, "ADT^A28", &[&who.pid()])
}

fn renumber(fresh: &Fresh, args: &[&str]) -> (i32, String) {
    onward(fresh, &[&["patients", "renumber"], args, &["--reason", "told by the national service"]].concat())
}

fn found(fresh: &Fresh, number: &str) -> Vec<PatientId> {
    let system = "https://fhir.nhs.uk/Id/nhs-number".to_owned();
    fresh.store.patient_search(&Identifier { system, value: number.to_owned() }).unwrap()
}

fn persons(fresh: &Fresh) -> i64 {
    count(&fresh.file, "SELECT count(*) FROM patient WHERE id NOT IN (SELECT record_id FROM patient_link)")
}

/// Nobody has the newer one yet: the record has it from now on, and whoever says the old one means it.
#[test]
fn a_number_that_was_replaced_means_the_newer_one() {
    let fresh = fresh(0);
    let person = send(&fresh, &admit(0, &Who { nhs: OLD, ..PRIYA.numbered("P1") }));
    let (code, text) = renumber(&fresh, &[OLD, "--to", NEWER]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(fresh.store.patient_records(person).unwrap()[0].nhs_number.unwrap().as_str(), NEWER);
    // The same source with the old number, another one with the old, and one with the newer: one person.
    for (at, (number, nhs)) in (1..).zip([("P1", OLD), ("P2", OLD), ("P3", NEWER)]) {
        assert_eq!(send(&fresh, &admit(at, &Who { nhs, ..PRIYA.numbered(number) })), person, "{number}");
    }
    assert_eq!((persons(&fresh), tasks(&fresh, TaskState::Open).len()), (1, 0));
    assert_eq!((found(&fresh, OLD), found(&fresh, NEWER)), (vec![person], vec![person]));
    // It is told once, and a number that nobody has cannot be replaced.
    assert_eq!(renumber(&fresh, &["9990000034", "--to", "9990000042"]).0, 1);
    assert_eq!(renumber(&fresh, &["9990000019", "--to", NEWER]).0, 1);
}

/// Both are held: two people who could never be joined are one.
#[test]
fn the_record_of_the_old_number_joins_that_of_the_newer_one() {
    let fresh = fresh(0);
    let old = send(&fresh, &admit(0, &Who { nhs: OLD, ..PRIYA.numbered("P1") }));
    let newer = send(&fresh, &admit(1, &Who { nhs: NEWER, ..PRIYA.numbered("P2") }));
    assert_ne!(old, newer);
    assert_eq!(wish(&fresh, Wish::Link { record: old, to: newer }), Err("ONW-7007".to_owned()));
    let (code, text) = renumber(&fresh, &[OLD, "--to", NEWER]);
    assert_eq!(code, 0, "{text}");
    assert_eq!((persons(&fresh), found(&fresh, OLD), found(&fresh, NEWER)), (1, vec![newer], vec![newer]));
    assert_eq!(send(&fresh, &admit(2, &Who { nhs: OLD, ..PRIYA.numbered("P1") })), newer);
    // Should that have been wrong, they are parted as any others.
    wish(&fresh, Wish::Part { record: old }).unwrap();
    assert_eq!(persons(&fresh), 2);
}

/// Whoever says a number that was declared invalid proves nothing by it.
#[test]
fn a_number_that_was_declared_invalid_proves_nothing() {
    let fresh = fresh(0);
    let person = send(&fresh, &admit(0, &Who { nhs: OLD, ..PRIYA.numbered("P1") }));
    assert_eq!(renumber(&fresh, &[OLD, "--invalid"]).0, 0);
    assert!(fresh.store.patient_records(person).unwrap()[0].nhs_number.is_none());
    let other = Who { nhs: OLD, name: "OKORO^JO", born: "19610101", street: "", phone: "", ..PRIYA.numbered("P2") };
    assert_ne!(send(&fresh, &admit(1, &other)), person);
    assert_eq!(send(&fresh, &admit(2, &Who { nhs: OLD, ..PRIYA.numbered("P1") })), person);
    assert_eq!(found(&fresh, OLD), []);
    assert_eq!((persons(&fresh), tasks(&fresh, TaskState::Open).len()), (2, 0));
}

/// Numbers replace each other in the order in which it is told, and never in a circle.
#[test]
fn a_chain_of_numbers_leads_to_the_last() {
    let fresh = fresh(0);
    let person = send(&fresh, &admit(0, &Who { nhs: OLD, ..PRIYA.numbered("P1") }));
    for (from, to) in [(OLD, NEWER), (NEWER, "9990000034"), ("9990000034", OLD), (OLD, NEWER)] {
        assert_eq!(renumber(&fresh, &[from, "--to", to]).0, 0, "{from}");
    }
    for (at, nhs) in (1..).zip([OLD, NEWER, "9990000034"]) {
        assert_eq!(send(&fresh, &admit(at, &Who { nhs, ..PRIYA.numbered("P9") })), person, "{nhs}");
    }
    assert_eq!(fresh.store.patient_records(person).unwrap()[0].nhs_number.unwrap().as_str(), NEWER);
}
