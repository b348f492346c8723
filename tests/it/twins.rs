//! Two appointments that may be one: both stay, and a person is asked once, with both side by side.

use assert_cmd::Command;
use onward::booking::index::{Likeness, TaskKind, TaskState, Wish};
use onward::store::Verdict;
use serde_json::Value;

use crate::index::{Fresh, PRIYA, Who, count, everything, fresh, message, send, send_at, tasks, wish};

/// The appointment of this number with somebody, at this time of a day and in this clinic.
fn booked(minute: u32, event: &str, number: &str, who: &Who, (time, clinic): (&str, &str)) -> String {
    let sch = format!("SCH|{number}^RXX|{number}^RXX||||R|FU|ROUTINE|20|min|^^20^20260310{time}||||||||||||||Booked");
    let ail = format!("AIL|1|A|{clinic}^^^RXX");
    message(minute, event, &[&sch, &who.pid(), "RGS|1|A", &ail])
}

fn current(fresh: &Fresh) -> i64 {
    count(&fresh.file, "SELECT count(*) FROM appointment WHERE status = 'booked'")
}

#[test]
fn two_numbers_for_one_time_and_patient_are_asked_about_once() {
    let fresh = fresh(0);
    let priya = PRIYA.numbered("P1");
    let nine = ("0900", "CARD");
    send(&fresh, &booked(0, "SIU^S12", "A1", &priya, nine));
    send(&fresh, &booked(1, "SIU^S12", "A2", &priya, nine));
    let asked = tasks(&fresh, TaskState::Open);
    let [row] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((row.task.kind, row.task.evidence.likeness), (TaskKind::SameAppointment, Likeness::Probable));
    assert_eq!(current(&fresh), 2, "nothing is cancelled by itself");
    // The same once more, and the same with a later word, ask nothing new; what was decided stays decided.
    send(&fresh, &booked(2, "SIU^S14", "A2", &priya, nine));
    assert_eq!(tasks(&fresh, TaskState::Open).len(), 1);
    wish(&fresh, Wish::Settle { task: row.task.id, state: TaskState::Parted }).unwrap();
    send(&fresh, &booked(3, "SIU^S14", "A1", &priya, nine));
    assert_eq!((tasks(&fresh, TaskState::Open).len(), tasks(&fresh, TaskState::Parted).len()), (0, 1));
    assert_eq!(current(&fresh), 2);
}

#[test]
fn what_overlaps_is_possible_and_what_does_not_is_nothing() {
    let fresh = fresh(0);
    let priya = PRIYA.numbered("P1");
    send(&fresh, &booked(0, "SIU^S12", "A1", &priya, ("0900", "CARD")));
    send(&fresh, &booked(1, "SIU^S12", "A2", &priya, ("0920", "CARD")));
    send(
        &fresh,
        &booked(
            2,
            "SIU^S12",
            "A3",
            &Who { name: "OKORO^JO", born: "19610101", ..PRIYA.numbered("P2") },
            ("0900", "CARD"),
        ),
    );
    assert!(tasks(&fresh, TaskState::Open).iter().all(|row| row.task.kind != TaskKind::SameAppointment));
    send(&fresh, &booked(3, "SIU^S12", "A4", &priya, ("0910", "DERM")));
    let asked = tasks(&fresh, TaskState::Open);
    let asked: Vec<_> = asked.iter().filter(|row| row.task.kind == TaskKind::SameAppointment).collect();
    assert_eq!(asked.len(), 2, "one that ends and one that begins within it");
    assert!(asked.iter().all(|row| row.task.evidence.likeness == Likeness::Possible));
    // Moved out of the way it is in nobody's; moved onto another it is asked about.
    send(&fresh, &booked(4, "SIU^S13", "A4", &priya, ("1100", "DERM")));
    assert_eq!(tasks(&fresh, TaskState::Open).len(), 2);
}

#[test]
fn both_are_shown_side_by_side() {
    let fresh = fresh(0);
    let priya = PRIYA.numbered("P1");
    send(&fresh, &booked(0, "SIU^S12", "A1", &priya, ("0900", "CARD")));
    send(&fresh, &booked(1, "SIU^S12", "A2", &priya, ("0900", "CARD")));
    let dir = fresh.file.parent().unwrap();
    std::fs::write(dir.join("onward.toml"), "environment = \"sandbox\"\n").unwrap();
    let id = tasks(&fresh, TaskState::Open)[0].task.id.to_string();
    let onward = |args: &[&str]| {
        let mut command = Command::cargo_bin("onward").unwrap();
        command.env_remove("ONWARD_CONFIG").env("ONWARD_DIR", dir).current_dir(dir).args(args);
        let done = command.assert().success();
        String::from_utf8(done.get_output().stdout.clone()).unwrap()
    };
    let text = onward(&["worklist", "show", &id]);
    assert!(text.contains("same-appointment") && text.contains("RXX|A1") && text.contains("RXX|A2"), "{text}");
    let whole: Value = serde_json::from_str(&onward(&["--json", "worklist", "show", &id])).unwrap();
    assert_eq!(whole["records"].as_array().unwrap().len(), 2);
    let listed: Value = serde_json::from_str(&onward(&["--json", "worklist", "list"])).unwrap();
    assert_eq!(listed[0]["kind"], "same-appointment");
}

/// A referral of this number to cardiology.
fn referred(minute: u32, event: &str, ubrn: &str, priority: &str, who: &Who) -> String {
    referred_to(minute, event, (ubrn, priority, "320", "20260215"), who)
}

/// A referral: booking reference, priority, treatment function, and when it was written.
fn referred_to(minute: u32, event: &str, said: (&str, &str, &str, &str), who: &Who) -> String {
    let (ubrn, priority, function, date) = said;
    let rf1 = format!("RF1|A|{priority}|{function}^T^TFC||O|{ubrn}^^E-RS|{date}||20270220");
    message(minute, event, &[&rf1, "PRD|RP|SAMPLE^S^^^DR||||||||Y00001", &who.pid()])
}

fn active(fresh: &Fresh) -> i64 {
    count(&fresh.file, "SELECT count(*) FROM referral WHERE status = 'active'")
}

/// Kind and grade of what is asked.
fn asked(fresh: &Fresh) -> Vec<(TaskKind, Likeness)> {
    tasks(fresh, TaskState::Open).iter().map(|row| (row.task.kind, row.task.evidence.likeness)).collect()
}

/// The code for which a message is held.
fn held(fresh: &Fresh, text: &str) -> String {
    match send_at(fresh, text, None).unwrap() {
        Verdict::Refused { refusal: Some(refusal), .. } => refusal.issue.code.id.to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_booking_reference_is_one_referral_of_one_patient() {
    let fresh = fresh(0);
    let priya = PRIYA.numbered("P1");
    let (first, second) = ("000000070001", "000000070002");
    let referrals =
        |status: &str| count(&fresh.file, &format!("SELECT count(*) FROM referral WHERE status IN ({status})"));
    send(&fresh, &referred(0, "REF^I12", first, "2", &priya));
    // The same message again, the same content as another message, and other content: one referral.
    let again = send_at(&fresh, &referred(0, "REF^I12", first, "2", &priya), None).unwrap();
    assert!(matches!(again, Verdict::Duplicate { .. }), "{again:?}");
    send(&fresh, &referred(1, "REF^I12", first, "2", &priya));
    send(&fresh, &referred(2, "REF^I13", first, "1", &priya));
    assert_eq!((referrals("'active'"), tasks(&fresh, TaskState::Open).len()), (1, 0));
    // Another patient's it is not.
    let other = Who { name: "OKORO^JO", born: "19610101", ..PRIYA.numbered("P2") };
    assert_eq!(held(&fresh, &referred(3, "REF^I12", first, "2", &other)), "ONW-4011");
    // One that was withdrawn is nobody's: another number for the same is no question then.
    send(&fresh, &referred(5, "REF^I14", first, "2", &priya));
    send(&fresh, &referred(6, "REF^I12", second, "2", &priya));
    assert_eq!((referrals("'active'"), referrals("'active', 'revoked'")), (1, 2));
    assert_eq!(tasks(&fresh, TaskState::Open).len(), 0);
}

/// A second booking reference was given out by somebody: it is taken, and a person looks, once, whatever is said later.
#[test]
fn another_booking_reference_for_the_same_is_taken_and_asked_about() {
    let fresh = fresh(0);
    let priya = PRIYA.numbered("P1");
    let twin = (TaskKind::SameReferral, Likeness::Probable);
    send(&fresh, &referred_to(0, "REF^I12", ("000000070001", "2", "320", "20260215"), &priya));
    send(&fresh, &referred_to(1, "REF^I12", ("000000070002", "2", "320", "20260218"), &priya));
    assert_eq!((active(&fresh), asked(&fresh)), (2, vec![twin]));
    send(&fresh, &referred_to(2, "REF^I13", ("000000070002", "1", "320", "20260218"), &priya));
    assert_eq!((active(&fresh), asked(&fresh)), (2, vec![twin]));
    // For something else, and for the same a year later, they are two.
    send(&fresh, &referred_to(3, "REF^I12", ("000000070003", "2", "330", "20260215"), &priya));
    send(&fresh, &referred_to(4, "REF^I12", ("000000070004", "2", "320", "20241215"), &priya));
    assert_eq!((active(&fresh), asked(&fresh)), (4, vec![twin]));
}

/// Two people who turn out to be one, each with a referral to the same service and a booking at the same time.
#[test]
fn what_two_had_who_turn_out_to_be_one_is_asked_about_and_parts_again() {
    let fresh = fresh(0);
    let (priya, pria) =
        (PRIYA.numbered("P1"), Who { name: "NAIR^P", born: "", phone: "", street: "", ..PRIYA.numbered("P2") });
    let (first, second) = (("000000070001", "2", "320", "20260215"), ("000000070002", "2", "320", "20260217"));
    let kept = send(&fresh, &referred_to(0, "REF^I12", first, &priya));
    let lost = send(&fresh, &referred_to(1, "REF^I12", second, &pria));
    assert_ne!(kept, lost);
    send(&fresh, &booked(2, "SIU^S12", "A1", &priya, ("0900", "CARD")));
    send(&fresh, &booked(3, "SIU^S12", "A2", &pria, ("0900", "CARD")));
    let of = |kind: TaskKind| asked(&fresh).into_iter().filter(|it| it.0 == kind).collect::<Vec<_>>();
    assert_eq!((of(TaskKind::SameReferral), of(TaskKind::SameAppointment)), (vec![], vec![]));
    send(&fresh, &message(4, "ADT^A31", &[&priya.pid()]));
    let before = everything(&fresh.file);
    send(&fresh, &message(4, "ADT^A40", &[&priya.pid(), "MRG|P2^^^RXX^MR"]));
    let of_kept = |table: &str| {
        let id = kept.0.simple();
        count(
            &fresh.file,
            &format!("SELECT count(*) FROM {table} WHERE patient_id = x'{id}' AND status IN ('active', 'booked')"),
        )
    };
    assert_eq!((of_kept("referral"), of_kept("appointment")), (2, 2), "both go on");
    assert_eq!(of(TaskKind::SameReferral), [(TaskKind::SameReferral, Likeness::Probable)]);
    assert_eq!(of(TaskKind::SameAppointment), [(TaskKind::SameAppointment, Likeness::Probable)]);
    wish(&fresh, Wish::Part { record: lost }).unwrap();
    // That the hospital merged them, and when, is remembered with all that it said.
    let said = "UPDATE feed_record SET model = json_set(json_remove(model, '$.versions.\"RXX|Person\"'), '$.merged_into', null)
        WHERE model ->> '$.merged_into' IS NOT NULL";
    assert_eq!(rusqlite::Connection::open(&fresh.file).unwrap().execute(said, ()).unwrap(), 1);
    assert!(everything(&fresh.file) == before, "byte by byte");
    // What a person has said of the two stays said, should they be joined once more.
    for row in tasks(&fresh, TaskState::Open) {
        wish(&fresh, Wish::Settle { task: row.task.id, state: TaskState::Parted }).unwrap();
    }
    wish(&fresh, Wish::Link { record: lost, to: kept }).unwrap();
    assert_eq!((of_kept("referral"), asked(&fresh)), (2, vec![]));
}
