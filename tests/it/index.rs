//! The index of patients against the store: who is linked, who is asked about, and that nothing of it is for ever.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use onward::booking::decide::decide;
use onward::booking::decision::Rules;
use onward::booking::identifier::PatientId;
use onward::booking::index::{Likeness, TaskKind, TaskState, Wish};
use onward::intake::hl7::{Feed, prepare};
use onward::intake::index;
use onward::pas::inbound::dialect::Dialect;
use onward::reconcile::weight::Weights;
use onward::store::sqlite::{Options, SqliteStore};
use onward::store::{Store, StoreError, TaskPage, TaskRow, Verdict};
use proptest::prelude::*;
use rusqlite::types::Value as Column;
use tempfile::TempDir;
use uuid::Uuid;

/// A store with nothing in it.
pub(crate) struct Fresh {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) file: PathBuf,
    _dir: TempDir,
}

pub(crate) fn fresh(unproven_per_hour: u32) -> Fresh {
    fresh_with(unproven_per_hour, Weights::default())
}

/// The same, where people are compared by these weights.
pub(crate) fn fresh_with(unproven_per_hour: u32, weights: Weights) -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("onward.db");
    let rules = Rules { sandbox: true, unproven_per_hour };
    let options = Options { rules, weights: Arc::new(weights), ..Options::default() };
    Fresh { store: SqliteStore::open(&file, options, decide).unwrap(), file, _dir: dir }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Somebody, as a hospital writes it down.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) number: String,
    pub(crate) nhs: &'static str,
    pub(crate) name: &'static str,
    pub(crate) born: &'static str,
    pub(crate) street: &'static str,
    pub(crate) phone: &'static str,
}

pub(crate) const PRIYA: Who = Who {
    number: String::new(),
    nhs: "",
    name: "NAIR^PRIYA",
    born: "19880217",
    street: "7 PARK ROAD^^NOTTINGHAM^^NG2 4AB",
    phone: "07700900123",
};

impl Who {
    pub(crate) fn numbered(&self, number: &str) -> Self {
        Self { number: number.to_owned(), ..self.clone() }
    }

    pub(crate) fn pid(&self) -> String {
        let nhs = if self.nhs.is_empty() { String::new() } else { format!("~{}^^^NHS^NH", self.nhs) };
        let status = if self.nhs.is_empty() { "" } else { "NSTS01" };
        let Self { number, name, born, street, phone, .. } = self;
        let address = if street.is_empty() { String::new() } else { format!("{street}^^H") };
        let phone = if phone.is_empty() { String::new() } else { format!("{phone}^PRN^CP") };
        format!("PID|1||{number}^^^RXX^MR{nhs}||{name}^^^^^L||{born}|2|||{address}||{phone}|||||||||||||||||||{status}")
    }
}

pub(crate) fn message(minute: u32, event: &str, segments: &[&str]) -> String {
    let time = format!("20260301{:02}{:02}00", 9 + minute / 60, minute % 60);
    let id = format!("{event}{time}{}", segments.join("").len()).replace('^', "");
    format!("MSH|^~\\&|PAS|RXX|ONWARD|RXX|{time}||{event}|{id}|T|2.4|||AL|NE\rEVN||{time}\r{}\r", segments.join("\r"))
}

fn booked(minute: u32, booking: &str, who: &Who) -> String {
    let start = "202603100900";
    let sch = format!("SCH|{booking}^RXX|{booking}^RXX||||R|FU|ROUTINE|20|min|^^20^{start}||||||||||||||Booked");
    message(minute, "SIU^S12", &[&sch, &who.pid()])
}

pub(crate) fn send_at(fresh: &Fresh, text: &str, at: Option<Timestamp>) -> Result<Verdict, StoreError> {
    let dialect = Dialect::shipped("itk").unwrap();
    let feed = Feed { channel: "pas".into(), organisation: "RXX".into(), dialect, tell: crate::referrers::nobody() };
    let mut prepared = prepare(&feed, text.as_bytes().to_vec(), true, None);
    prepared.message.received_at = at.unwrap_or(prepared.message.received_at);
    run(fresh.store.submit(prepared.message, prepared.work))
}

pub(crate) fn send(fresh: &Fresh, text: &str) -> PatientId {
    match send_at(fresh, text, None).unwrap() {
        Verdict::Accepted { decision, .. } => decision.patient.unwrap().id,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn wish(fresh: &Fresh, wish: Wish) -> Result<(), String> {
    let (message, work) = index::prepare("tester", "seen both files", wish, "cli");
    match run(fresh.store.submit(message, work)).unwrap() {
        Verdict::Accepted { .. } => Ok(()),
        Verdict::Refused { refusal, .. } => Err(refusal.unwrap().issue.code.id.to_owned()),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn tasks(fresh: &Fresh, state: TaskState) -> Vec<TaskRow> {
    fresh.store.task_list(&TaskPage { state, at_least: Likeness::Possible, limit: 1000 }).unwrap()
}

pub(crate) fn count(file: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(file).unwrap().query_row(sql, (), |row| row.get(0)).unwrap()
}

/// How many people there are: records that follow no other one.
fn people(fresh: &Fresh) -> i64 {
    count(&fresh.file, "SELECT count(*) FROM patient WHERE id NOT IN (SELECT record_id FROM patient_link)")
}

/// Every byte of what is held, without journal and history.
pub(crate) fn everything(file: &Path) -> Vec<Vec<Column>> {
    let conn = rusqlite::Connection::open(file).unwrap();
    let mut rows = Vec::new();
    for table in ["patient", "patient_key", "patient_link", "patient_number", "referral", "appointment", "feed_record"]
    {
        let mut list = conn.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let columns = list.column_count();
        let found = list.query_map((), |row| (0..columns).map(|at| row.get(at)).collect::<Result<Vec<Column>, _>>());
        rows.extend(found.unwrap().map(Result::unwrap));
    }
    rows
}

#[test]
fn what_is_certain_is_linked_and_the_record_stays_as_it_came() {
    let fresh = fresh(0);
    let first = send(&fresh, &message(0, "ADT^A28", &[&PRIYA.numbered("P1").pid()]));
    let second = send(&fresh, &message(1, "ADT^A28", &[&PRIYA.numbered("P2").pid()]));
    assert_eq!((first, people(&fresh)), (second, 1));
    let records = fresh.store.patient_records(first).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].demographics.identifiers[0].value, "P2");
    let history = fresh.store.patient_history(records[1].id).unwrap();
    assert!(history[0].1.linked && history[0].1.evidence.as_ref().unwrap().likeness == Likeness::Certain);
}

#[test]
fn a_hundred_first_messages_at_once_make_one_person() {
    let fresh = fresh(0);
    let dialect = Dialect::shipped("itk").unwrap();
    let feed = Feed { channel: "pas".into(), organisation: "RXX".into(), dialect, tell: crate::referrers::nobody() };
    let pending: Vec<_> = (0..100)
        .map(|number| {
            let text = message(number % 60, "ADT^A28", &[&PRIYA.numbered(&format!("P{number}")).pid()]);
            let prepared = prepare(&feed, text.into_bytes(), true, None);
            fresh.store.submit(prepared.message, prepared.work)
        })
        .collect();
    for pending in pending {
        assert!(matches!(run(pending), Ok(Verdict::Accepted { .. })));
    }
    assert_eq!((people(&fresh), tasks(&fresh, TaskState::Open).len()), (1, 0));
}

#[test]
fn two_who_are_nearly_the_same_and_come_together_are_both_seen() {
    let fresh = fresh(0);
    let ruth = Who { nhs: "9990000018", ..PRIYA.numbered("P1") };
    let other = Who { nhs: "9990000026", ..PRIYA.numbered("P2") };
    let dialect = Dialect::shipped("itk").unwrap();
    let feed = Feed { channel: "pas".into(), organisation: "RXX".into(), dialect, tell: crate::referrers::nobody() };
    let both = [ruth, other].map(|who| {
        let prepared = prepare(&feed, message(0, "ADT^A28", &[&who.pid()]).into_bytes(), true, None);
        fresh.store.submit(prepared.message, prepared.work)
    });
    for pending in both {
        assert!(matches!(run(pending), Ok(Verdict::Accepted { .. })));
    }
    assert_eq!(people(&fresh), 2);
    let open = tasks(&fresh, TaskState::Open);
    assert_eq!((open.len(), open[0].task.evidence.likeness), (1, Likeness::Probable));
    assert!(3 < open[0].task.evidence.fields.len());
}

#[test]
fn a_failed_or_unknown_identity_is_never_linked() {
    let fresh = fresh(0);
    send(&fresh, &message(0, "ADT^A28", &[&PRIYA.numbered("P1").pid()]));
    // PID-31: nobody knows who it is.
    let pid = PRIYA.numbered("P2").pid().replace("|||||||||||||||||||", "||||||||||||||||||Y|");
    send(&fresh, &message(1, "ADT^A28", &[&pid]));
    let twin = Who { name: "NAIR^ANJALI", phone: "", ..PRIYA.numbered("P3") };
    send(&fresh, &message(2, "ADT^A28", &[&twin.pid()]));
    assert_eq!(people(&fresh), 3);
}

#[test]
fn a_number_with_a_slip_in_the_date_is_linked_and_both_dates_stay() {
    let fresh = fresh(0);
    let first = send(&fresh, &message(0, "ADT^A28", &[&Who { nhs: "9990000018", ..PRIYA.numbered("P1") }.pid()]));
    let slip = Who { nhs: "9990000018", born: "19880218", ..PRIYA.numbered("P2") };
    assert_eq!(send(&fresh, &message(1, "ADT^A28", &[&slip.pid()])), first);
    let records = fresh.store.patient_records(first).unwrap();
    let dates: Vec<_> = records.iter().map(|it| it.demographics.birth_date.clone().unwrap()).collect();
    assert_eq!(dates, ["1988-02-17", "1988-02-18"]);
    // Somebody else's number is held.
    let other = Who { nhs: "9990000018", name: "OKORO^ZED", born: "19550506", ..PRIYA.numbered("P3") };
    let held = send_at(&fresh, &message(2, "ADT^A28", &[&other.pid()]), None).unwrap();
    assert!(matches!(held, Verdict::Refused { refusal: Some(it), .. } if it.issue.code.id == "ONW-6024"));
}

#[test]
fn what_a_person_has_parted_no_rule_links_again() {
    let fresh = fresh(0);
    let first = send(&fresh, &message(0, "ADT^A28", &[&PRIYA.numbered("P1").pid()]));
    send(&fresh, &message(1, "ADT^A28", &[&PRIYA.numbered("P2").pid()]));
    let record = fresh.store.patient_records(first).unwrap()[1].id;
    wish(&fresh, Wish::Part { record }).unwrap();
    assert_eq!(people(&fresh), 2);
    let newer = Who { phone: "07700900456", ..PRIYA.numbered("P2") };
    send(&fresh, &message(2, "ADT^A31", &[&newer.pid()]));
    assert_eq!((people(&fresh), tasks(&fresh, TaskState::Open).len()), (2, 0));
    assert_eq!(wish(&fresh, Wish::Part { record }), Err("ONW-7003".to_owned()));
    wish(&fresh, Wish::Link { record, to: first }).unwrap();
    assert_eq!(people(&fresh), 1);
    assert_eq!(wish(&fresh, Wish::Link { record, to: first }), Err("ONW-7004".to_owned()));
}

#[test]
fn a_task_is_settled_once_and_its_decision_is_done() {
    for (state, left) in [(TaskState::Linked, 1), (TaskState::Parted, 2), (TaskState::Left, 2)] {
        let fresh = fresh(0);
        send(&fresh, &message(0, "ADT^A28", &[&Who { nhs: "9990000018", ..PRIYA.numbered("P1") }.pid()]));
        // Names and birth date agree, and nothing confirms it.
        let moved = Who { street: "", phone: "", ..PRIYA.numbered("P2") };
        send(&fresh, &message(1, "ADT^A28", &[&moved.pid()]));
        let open = tasks(&fresh, TaskState::Open);
        assert_eq!((open.len(), people(&fresh)), (1, 2));
        let task = open[0].task.id;
        wish(&fresh, Wish::Settle { task, state }).unwrap();
        assert_eq!((people(&fresh), tasks(&fresh, TaskState::Open).len()), (left, 0));
        let again = wish(&fresh, Wish::Settle { task, state });
        assert_eq!(again.is_err(), state != TaskState::Left);
    }
    assert_eq!(wish(&fresh(0), Wish::Settle { task: Uuid::nil(), state: TaskState::Left }), Err("ONW-7005".to_owned()));
}

#[test]
fn different_proven_numbers_are_never_joined_by_anybody() {
    let fresh = fresh(0);
    let a = send(&fresh, &message(0, "ADT^A28", &[&Who { nhs: "9990000018", ..PRIYA.numbered("P1") }.pid()]));
    let b = send(&fresh, &message(1, "ADT^A28", &[&Who { nhs: "9990000026", ..PRIYA.numbered("P2") }.pid()]));
    assert_eq!(wish(&fresh, Wish::Link { record: b, to: a }), Err("ONW-7007".to_owned()));
    assert_eq!(people(&fresh), 2);
}

#[test]
fn a_hospital_links_and_unlinks_by_its_own_word() {
    let fresh = fresh(0);
    let other = Who { name: "OKORO^ZED", born: "19550506", street: "", phone: "", ..PRIYA.numbered("P2") };
    send(&fresh, &booked(0, "B1", &PRIYA.numbered("P1")));
    send(&fresh, &booked(1, "B2", &other));
    let before = everything(&fresh.file);
    let second = other.pid().replace("PID|1|", "PID|2|");
    send(&fresh, &message(2, "ADT^A24", &[&PRIYA.numbered("P1").pid(), &second]));
    assert_eq!(people(&fresh), 1);
    assert_eq!(count(&fresh.file, "SELECT count(DISTINCT patient_id) FROM appointment"), 1);
    send(&fresh, &message(3, "ADT^A37", &[&PRIYA.numbered("P1").pid(), &second]));
    let rows = |all: &[Vec<Column>]| all.iter().filter(|row| !format!("{row:?}").contains("link")).count();
    assert_eq!((people(&fresh), rows(&everything(&fresh.file))), (2, rows(&before)));
    assert_eq!(count(&fresh.file, "SELECT count(DISTINCT patient_id) FROM appointment"), 2);
}

/// In 2007 an upgrade put each booking on a new blank record. A hospital that usually makes 15 records a day makes 400.
#[test]
fn blank_records_by_the_hundred_stop_within_the_hour_until_a_person_has_looked() {
    let fresh = fresh(20);
    let start: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
    let blank = |number: u32| {
        let who = Who { name: "^", born: "", street: "", phone: "", ..PRIYA.numbered(&format!("N{number}")) };
        booked(number % 60, &format!("B{number}"), &who)
    };
    let at = |day: u32, minute: u32| start + SignedDuration::from_mins(i64::from(day * 24 * 60 + 8 * 60 + minute));
    let mut number = 0;
    for day in 0..28 {
        for each in 0..15 {
            number += 1;
            let verdict = send_at(&fresh, &blank(number), Some(at(day, each * 32)));
            assert!(matches!(verdict, Ok(Verdict::Accepted { .. })));
        }
    }
    let usual = people(&fresh);
    let mut held_at = None;
    for each in 0..400 {
        number += 1;
        // 400 in the eight hours of a working day.
        let minute = each * 480 / 400;
        let verdict = send_at(&fresh, &blank(number), Some(at(28, minute))).unwrap();
        if matches!(verdict, Verdict::Refused { .. }) {
            held_at = held_at.or(Some(minute));
        }
    }
    let duplicates = people(&fresh) - usual;
    println!("{duplicates} records were made, held from minute {held_at:?} on");
    assert!(duplicates <= 20 && held_at.is_some_and(|minute| minute < 60));
    let open: Vec<TaskRow> = tasks(&fresh, TaskState::Open);
    assert_eq!(open.iter().map(|it| it.task.kind).collect::<Vec<_>>(), [TaskKind::CreateRate]);
    assert_eq!(open[0].source, "pas");
    assert_eq!(count(&fresh.file, "SELECT count(*) FROM feed_message WHERE state = 'quarantined'"), 400 - duplicates);
    // A person has looked; what comes next day is taken.
    wish(&fresh, Wish::Settle { task: open[0].task.id, state: TaskState::Left }).unwrap();
    let verdict = send_at(&fresh, &blank(number + 1), Some(at(29, 0))).unwrap();
    assert!(matches!(verdict, Verdict::Accepted { .. }));
}

/// What may be said about two records while they are linked, or as if they were not.
fn edits() -> impl Strategy<Value = Vec<(bool, u8)>> {
    proptest::collection::vec((any::<bool>(), 0..4_u8), 0..8)
}

fn edit(minute: u32, first: bool, what: u8, other: &Who) -> String {
    let who = if first { PRIYA.numbered("P1") } else { other.clone() };
    let side = if first { "A" } else { "B" };
    match what {
        0 => message(minute, "ADT^A31", &[&Who { phone: "07700900789", ..who }.pid()]),
        1 => message(minute, "ADT^A31", &[&Who { street: "1 NEW STREET^^LEEDS^^LS1 4AP", ..who }.pid()]),
        2 => booked(minute, &format!("{side}1"), &who),
        _ => booked(minute, &format!("{side}{minute}"), &who),
    }
}

/// Rows in which nothing stands that every store makes differently.
fn comparable(file: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(file).unwrap();
    let all = |sql: &str| -> Vec<String> {
        let mut list = conn.prepare(sql).unwrap();
        list.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut rows = all("SELECT hex(id) || coalesce(nhs_number, '-') || hex(keys) || model FROM patient ORDER BY id");
    rows.extend(all("SELECT hex(record_id) || hex(to_id) FROM patient_link ORDER BY record_id"));
    rows.extend(all("SELECT system || value || hex(patient_id) || merged FROM patient_number ORDER BY system, value"));
    let at = "json_remove(model, '$.received_at', '$.origin')";
    rows.extend(all(&format!(
        "SELECT hex(id) || hex(patient_id) || hex(record_id) || coalesce(worklist, '-') || {at} FROM referral ORDER BY id"
    )));
    rows.extend(all(
        "SELECT hex(id) || hex(patient_id) || hex(referral_id) || json_remove(model, '$.created', '$.origin')
            || resource FROM appointment ORDER BY id",
    ));
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 40, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn merged_edited_and_parted_is_the_same_as_edited(edits in edits(), by_hand in any::<bool>()) {
        let other = Who { name: "OKORO^ZED", born: "19550506", street: "", phone: "", ..PRIYA.numbered("P2") };
        let ends: Vec<Vec<String>> = [true, false]
            .into_iter()
            .map(|merged| {
                let fresh = fresh(0);
                let first = send(&fresh, &booked(0, "A0", &PRIYA.numbered("P1")));
                let record = send(&fresh, &booked(1, "B0", &other));
                match (merged, by_hand) {
                    (true, true) => wish(&fresh, Wish::Link { record, to: first }).unwrap(),
                    (true, false) => {
                        send(&fresh, &message(2, "ADT^A40", &[&PRIYA.numbered("P1").pid(), "MRG|P2^^^RXX^MR"]));
                    }
                    // The message says of the person what was said before.
                    (false, false) => drop(send(&fresh, &message(2, "ADT^A31", &[&PRIYA.numbered("P1").pid()]))),
                    (false, true) => {}
                }
                for (at, (first, what)) in edits.iter().enumerate() {
                    send(&fresh, &edit(3 + at as u32, *first, *what, &other));
                }
                if merged {
                    assert_eq!(people(&fresh), 1);
                    wish(&fresh, Wish::Part { record }).unwrap();
                }
                fresh.store.close();
                comparable(&fresh.file)
            })
            .collect();
        prop_assert_eq!(&ends[0], &ends[1]);
    }

    #[test]
    fn the_order_of_feeds_changes_nobody_or_somebody_is_asked(
        order in Just((0..7_usize).collect::<Vec<_>>()).prop_shuffle(),
        twice in proptest::collection::vec(any::<bool>(), 7),
    ) {
        // Three people: one known by a number and by two local records, one twin, one namesake of another age.
        let cast = [
            Who { nhs: "9990000018", ..PRIYA.numbered("P1") },
            PRIYA.numbered("P2"),
            Who { phone: "", ..PRIYA.numbered("P3") },
            Who { name: "NAIR^ANJALI", nhs: "9990000026", ..PRIYA.numbered("P4") },
            Who { name: "NAIR^ANJALI", ..PRIYA.numbered("P5") },
            Who { born: "19600101", phone: "", ..PRIYA.numbered("P6") },
            Who { street: "", phone: "", nhs: "9990000018", ..PRIYA.numbered("P7") },
        ];
        let fresh = fresh(0);
        let mut asked = 0;
        for at in order {
            let text = message(at as u32, "ADT^A28", &[&cast[at].pid()]);
            for _ in 0..=usize::from(twice[at]) {
                asked += usize::from(!matches!(
                    send_at(&fresh, &text, None).unwrap(),
                    Verdict::Accepted { .. } | Verdict::Duplicate { .. }
                ));
            }
        }
        let open = tasks(&fresh, TaskState::Open).len() + asked;
        let people = people(&fresh) as usize;
        prop_assert!(people == 3 || people <= 3 + open, "{} people, {} asked", people, open);
        prop_assert!(3 <= people, "two people were joined");
        // Nobody is in one person with a twin.
        let twin = fresh.store.patient_search(&onward::booking::identifier::Identifier {
            system: "https://fhir.nhs.uk/Id/nhs-number".into(),
            value: "9990000026".into(),
        }).unwrap();
        for record in fresh.store.patient_records(twin[0]).unwrap() {
            prop_assert_eq!(&record.demographics.names[0].given[0], "ANJALI");
        }
    }
}

const CONFIG: &str = r#"
environment = "sandbox"
[store]
path = "onward.db"
[[mllp]]
name = "pas"
listen = "127.0.0.1:2575"
[mllp.channel]
dialect = "itk"
"#;

pub(crate) fn onward(fresh: &Fresh, args: &[&str]) -> (i32, String) {
    let dir = fresh.file.parent().unwrap();
    std::fs::write(dir.join("onward.toml"), CONFIG).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_onward"));
    let out = command.args(args).args(["--dir".as_ref(), dir.as_os_str()]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
    (out.status.code().unwrap(), text)
}

#[test]
fn a_person_sees_both_sides_and_decides_with_a_reason() {
    let fresh = fresh(0);
    send(&fresh, &message(0, "ADT^A28", &[&Who { nhs: "9990000018", ..PRIYA.numbered("P1") }.pid()]));
    send(&fresh, &message(1, "ADT^A28", &[&Who { street: "", phone: "", ..PRIYA.numbered("P2") }.pid()]));
    let id = tasks(&fresh, TaskState::Open)[0].task.id.to_string();
    let (code, listed) = onward(&fresh, &["worklist", "list"]);
    assert!(code == 0 && listed.contains(&id) && listed.contains("same-person"), "{listed}");
    let (_, shown) = onward(&fresh, &["worklist", "show", &id]);
    for text in ["9990000018", "given_name", "PRIYA", "birth_date", "1988-02-17", "COMPARES"] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    assert_eq!(onward(&fresh, &["worklist", "decide", &id, "link"]).0, 1);
    assert_eq!(onward(&fresh, &["worklist", "decide", &id, "link", "--reason", " "]).0, 1);
    let (code, done) = onward(&fresh, &["worklist", "decide", &id, "link", "--reason", "same passport", "--json"]);
    assert!(code == 0 && done.contains("linked"), "{done}");
    let person = fresh.store.patient_records(PatientId(tasks(&fresh, TaskState::Linked)[0].task.pair.0)).unwrap();
    let (_, shown) = onward(&fresh, &["patients", "show", &person[0].id.to_string()]);
    assert!(shown.contains("same passport") && shown.contains("FROM RECORD"), "{shown}");
    let (code, parted) =
        onward(&fresh, &["patients", "part", &person[1].id.to_string(), "--reason", "a cousin of that name"]);
    assert!(code == 0 && parted.contains(&format!("of the person {}", person[1].id)), "{parted}");
    assert_eq!(people(&fresh), 2);
    let (code, again) = onward(&fresh, &["patients", "part", &person[1].id.to_string(), "--reason", "again"]);
    assert!(code == 1 && again.contains("ONW-7003"), "{again}");
}

#[test]
fn a_file_is_imported_once_however_often_it_is_given() {
    let fresh = fresh(20);
    let dir = fresh.file.parent().unwrap().to_owned();
    let csv = dir.join("patients.csv");
    let text = "local_id,nhs_number,nhs_number_status,family_name,given_names,birth_date,gender,address,postcode\n\
        P1,9990000018,01,Nair,Priya,1988-02-17,female,7 Park Road,NG2 4AB\n\
        P2,,,Nair,Priya,1988-02-17,2,7 Park Rd,ng24ab\n\
        P3,,,Nair,Priya,1988-02-17,,,\n\
        P4,9990000026,01,Nair,Anjali,1988-02-17,F,7 Park Road,NG2 4AB\n\
        ,,,Nobody,,,,,\n";
    std::fs::write(&csv, text).unwrap();
    let svg = dir.join("scores.svg");
    let import = |args: &[&str]| {
        let all = [&["import", "patients", csv.to_str().unwrap(), "--source", "RXX", "--json"], args].concat();
        let (code, text) = onward(&fresh, &all);
        let json = text[text.find('{').unwrap()..=text.rfind('}').unwrap()].to_owned();
        (code, serde_json::from_str::<serde_json::Value>(&json).unwrap())
    };
    let (code, report) = import(&["--svg", svg.to_str().unwrap()]);
    assert_eq!((code, &report["records"], &report["persons"]), (1, &4.into(), &3.into()), "{report}");
    assert_eq!((&report["certain"], &report["probable"], &report["skipped"]), (&1.into(), &1.into(), &1.into()));
    let picture = std::fs::read_to_string(svg).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("probable: "));
    let (_, again) = import(&[]);
    assert_eq!((&again["repeated"], people(&fresh)), (&4.into(), 3));
    // What the hospital's feed says of the same number is said of the same record.
    send(&fresh, &message(0, "ADT^A31", &[&PRIYA.numbered("P2").pid()]));
    assert_eq!(count(&fresh.file, "SELECT count(*) FROM patient"), 4);
    // The same as FHIR, and as HL7 v2.
    let ndjson = dir.join("patients.ndjson");
    let patient = serde_json::json!({
        "resourceType": "Patient", "birthDate": "1988-02-17", "name": [{ "family": "Nair", "given": ["Priya"] }],
        "identifier": [{ "system": "urn:other", "value": "7" }],
        "address": [{ "line": ["7 Park Road"], "postalCode": "NG2 4AB" }],
    });
    std::fs::write(&ndjson, format!("{patient}\n\nnot json\n")).unwrap();
    let (code, text) = onward(&fresh, &["import", "patients", ndjson.to_str().unwrap(), "--source", "RYY"]);
    assert!(code == 1 && text.contains("line 3: not JSON") && text.contains("1 linked"), "{text}");
    assert_eq!(people(&fresh), 3);
}

#[test]
fn a_batch_of_a_hospital_is_imported_as_its_feed_would_be() {
    let fresh = fresh(0);
    let file = fresh.file.parent().unwrap().join("patients.hl7");
    let sam = Who { name: "OKORO^SAM", born: "19550506", street: "1 MILL LANE^^LEEDS^^LS1 1AA", phone: "", ..PRIYA };
    let all = [PRIYA.numbered("P1"), PRIYA.numbered("P2"), sam.numbered("P3")];
    let messages: String = (0..).zip(&all).map(|(n, who)| message(n, "ADT^A28", &[&who.pid()])).collect();
    let broken = message(9, "ADT^A28", &["PID|1||||NOBODY"]);
    std::fs::write(&file, format!("FHS|^~\\&|PAS\rBHS|^~\\&|PAS\r{messages}{broken}BTS|4\rFTS|1\r")).unwrap();
    let (code, text) = onward(&fresh, &["import", "patients", file.to_str().unwrap(), "--channel", "pas", "--json"]);
    assert!(text.contains('{'), "{text}");
    let json = &text[text.find('{').unwrap()..=text.rfind('}').unwrap()];
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!((code, &report["records"], &report["persons"]), (1, &3.into(), &2.into()), "{text}");
    assert_eq!((&report["certain"], people(&fresh)), (&1.into(), 2), "{text}");
    // The feed's own word about one of them is about the same record.
    send(&fresh, &message(20, "ADT^A31", &[&sam.numbered("P3").pid()]));
    assert_eq!(count(&fresh.file, "SELECT count(*) FROM patient"), 3);
}

#[test]
fn a_diary_is_compared_with_a_hospitals_own() {
    let fresh = fresh(0);
    send(&fresh, &booked(0, "B1", &PRIYA.numbered("P1")));
    send(&fresh, &booked(1, "B2", &Who { name: "OKORO^ZED", born: "19550506", ..PRIYA.numbered("P2") }));
    let pas = fresh.file.parent().unwrap().join("pas.csv");
    let compare = |rows: &str| {
        std::fs::write(&pas, format!("appointment_id,start,status,local_id\n{rows}")).unwrap();
        let from = ["reconcile", "diary", "--pas", pas.to_str().unwrap(), "--json", "--from", "2026-03-01T00:00:00Z"];
        let (code, text) = onward(&fresh, &[&from[..], &["--to", "2026-04-01T00:00:00Z"]].concat());
        let json = &text[text.find('{').unwrap()..=text.rfind('}').unwrap()];
        (code, serde_json::from_str::<serde_json::Value>(json).unwrap()["counts"].to_string())
    };
    let first = "B1,2026-03-10T09:00:00,Booked,P1\n";
    assert_eq!(compare(&format!("{first}B2,2026-03-10T09:00:00Z,booked,P2\n")), (0, "{}".to_owned()));
    let (code, found) =
        compare(&format!("{first}B2,2026-03-10T09:30:00,Booked,P2\nB3,2026-03-11T09:00:00,Booked,P2\n"));
    assert_eq!((code, found.as_str()), (1, r#"{"missing-in-gateway":1,"time-differs":1}"#));
    let (_, found) = compare("B1,2026-03-10T09:00:00,Cancelled,P1\nB2,2026-03-10T09:00:00,Booked,P1\n");
    assert_eq!(found, r#"{"cancelled-in-pas":1,"patient-differs":1}"#);
    assert_eq!(compare("B1,2026-03-10T09:00:00,Booked,P1\n").1, r#"{"missing-in-pas":1}"#);
}
