//! What is known to break receivers of HL7 v2: each is kept with a reason, or taken where nothing has to be guessed. None
//! makes a second person or booking.

use onward::store::Store;

use crate::hl7_corpus::Bench;

/// A message of one hospital; the first is of the first minute.
fn message(minute: usize, event: &str, segments: &[&str]) -> Vec<u8> {
    let time = format!("2026030109{minute:02}00");
    let header = format!("MSH|^~\\&|PAS|RXX|ONWARD|RXX|{time}||{event}|H{minute}|T|2.4");
    format!("{header}\r{}\r", segments.join("\r")).into_bytes()
}

fn pid(number: &str, nhs: &str, birth: &str) -> String {
    let nhs = if nhs.is_empty() { String::new() } else { format!("~{nhs}^^^NHS^NH") };
    format!("PID|1||{number}^^^RXX^MR{nhs}||TESTER^ANN^^^^^L||{birth}|2{}NSTS01", "|".repeat(24))
}

fn sch(start: &str, status: &str) -> String {
    format!("SCH|OP1^RXX|OP1^RXX||||R^Reason|FU^Follow up|ROUTINE|20|min|^^20^{start}||||||||||||||{status}")
}

const ANN: &str = "9990000018";
const BOB: &str = "9990000026";
const NOBODY: &str = "nothing wrong";

/// What was said before, what is said, the answer, and the code of what is wrong.
type Hazard = (&'static str, Vec<Vec<u8>>, Vec<u8>, &'static str, &'static str);

fn hazards() -> Vec<Hazard> {
    let ann = || pid("D1", ANN, "19800101");
    let (bob, no_number) = (|| pid("D2", BOB, "19700101"), || pid("", "", "19800101"));
    let (evn, mrg) = ("EVN||20260301090000", "MRG|D2^^^RXX^MR");
    let two = || vec![message(0, "ADT^A28", &[evn, &ann()]), message(1, "ADT^A28", &[evn, &pid("D2", "", "19800101")])];
    let known = || vec![message(0, "ADT^A28", &[evn, &ann()])];
    let pv1 = "PV1|1|O|ORTHO1^^^RXX||||||||||||||||OP1^^^RXX^VN";
    let retired = ann().replace("D1^^^RXX^MR", "D2^^^RXX^MR~D1^^^RXX^MR");
    vec![
        ("a merge without MRG", known(), message(2, "ADT^A40", &[evn, &ann()]), "AE", "ONW-6007"),
        ("a merge of nobody", known(), message(2, "ADT^A40", &[evn, &ann(), "MRG|"]), "AE", "ONW-6003"),
        ("the same, older", known(), message(2, "ADT^A34", &[evn, &ann(), "MRG|\"\""]), "AE", "ONW-6003"),
        ("visits without the one", known(), message(2, "ADT^A35", &[evn, &ann(), mrg, pv1]), "AE", "ONW-6003"),
        (
            "visits without the other",
            known(),
            message(2, "ADT^A35", &[evn, &ann(), "MRG|D2^^^RXX^MR||||OP2"]),
            "AE",
            "ONW-6003",
        ),
        ("a move of no visit", known(), message(2, "ADT^A44", &[evn, &ann(), mrg]), "AE", "ONW-6003"),
        ("a merge into itself", known(), message(2, "ADT^A40", &[evn, &ann(), "MRG|D1^^^RXX^MR"]), "AE", "ONW-6020"),
        (
            "a merge in a circle",
            [two(), vec![message(2, "ADT^A40", &[evn, &ann(), mrg])]].concat(),
            message(3, "ADT^A40", &[evn, &pid("D2", "", "19800101"), "MRG|D1^^^RXX^MR"]),
            "AA",
            "ONW-6027",
        ),
        // The time is that of the message.
        ("a merge without EVN", two(), message(2, "ADT^A34", &[&ann(), mrg]), "AA", NOBODY),
        (
            "a merge of two numbers",
            vec![message(0, "ADT^A28", &[evn, &ann()]), message(1, "ADT^A28", &[evn, &bob()])],
            message(2, "ADT^A40", &[evn, &ann(), mrg]),
            "AA",
            "ONW-6023",
        ),
        (
            "a booking without PV1",
            known(),
            message(2, "ADT^A05", &[evn, &ann(), "PV2||||||||202603100900"]),
            "AE",
            "ONW-6003",
        ),
        (
            "a booking without its number",
            known(),
            message(2, "ADT^A05", &[evn, &ann(), "PV1|1|O|ORTHO1^^^RXX", "PV2||||||||202603100900"]),
            "AE",
            "ONW-6003",
        ),
        ("an attendance of no booking", known(), message(2, "ADT^A08", &[evn, &ann(), "ZU3|||5"]), "AE", "ONW-6003"),
        ("a cancellation of nothing", known(), message(2, "ADT^A38", &[evn, &ann()]), "AE", "ONW-6003"),
        ("an arrival that is no booking's", known(), message(2, "ADT^A04", &[evn, &ann(), "PV1|1|E"]), "AA", NOBODY),
        ("nobody", known(), message(2, "ADT^A31", &[evn, &no_number()]), "AE", "ONW-6003"),
        // The other site's numbers are kept apart: who has the same number there is somebody else.
        (
            "a number of another site",
            known(),
            message(2, "ADT^A31", &[evn, "PID|1||D1^^^RYY^MR||OTHER^BEN^^^^^L||19500505|1"]),
            "AA",
            NOBODY,
        ),
        (
            "several doctors, and an unknown practice",
            known(),
            message(2, "ADT^A31", &[evn, &ann(), "PD1|||NO SURGERY^^ZZ9999|G1^ONE~G2^TWO~G3^THREE"]),
            "AA",
            NOBODY,
        ),
        (
            "another's local number",
            known(),
            message(2, "ADT^A31", &[evn, &pid("D1", BOB, "19700101")]),
            "AA",
            "ONW-602*",
        ),
        (
            "one person's both numbers",
            vec![message(0, "ADT^A28", &[evn, &ann()]), message(1, "ADT^A28", &[evn, &bob()])],
            message(2, "ADT^A31", &[evn, &pid("D1", BOB, "19800101")]),
            "AA",
            "ONW-6023",
        ),
        (
            "another date of birth",
            known(),
            message(2, "ADT^A31", &[evn, &pid("D9", ANN, "19450505")]),
            "AA",
            "ONW-6024",
        ),
        (
            "a number with a wrong digit",
            known(),
            message(2, "ADT^A31", &[evn, &pid("D1", "9990000019", "19800101")]),
            "AA",
            "ONW-3*",
        ),
        (
            "a number in three parts",
            known(),
            message(2, "ADT^A31", &[evn, &pid("D1", "999 000 0018", "19800101")]),
            "AA",
            NOBODY,
        ),
        (
            "two merges in one message",
            two(),
            message(2, "ADT^A40", &[evn, &ann(), "MRG|D7^^^RXX^MR", &pid("D2", "", "19800101"), "MRG|D8^^^RXX^MR"]),
            "AE",
            "ONW-6038",
        ),
        (
            "one patient's two old numbers, each with the patient",
            known(),
            message(2, "ADT^A40", &[evn, &ann(), "MRG|D7^^^RXX^MR", &ann(), "MRG|D8^^^RXX^MR"]),
            "AA",
            NOBODY,
        ),
        (
            "a group's appointment",
            known(),
            message(2, "SIU^S12", &[&sch("202603101000", "Booked"), &ann(), "RGS|1", &bob()]),
            "AE",
            "ONW-6038",
        ),
        (
            "two visits move at once",
            known(),
            message(
                2,
                "ADT^A45",
                &[evn, &ann(), "MRG|D2^^^RXX^MR||||OP1^^^RXX", pv1, "MRG|D2^^^RXX^MR||||OP2^^^RXX", pv1],
            ),
            "AE",
            "ONW-6038",
        ),
        (
            "a series of appointments under one number",
            known(),
            message(2, "SIU^S12", &[&sch("202603101000^202603101020~^^20^202603171000", "Booked"), &ann()]),
            "AE",
            "ONW-6038",
        ),
        (
            "an appointment that ends before it begins",
            known(),
            message(2, "SIU^S12", &[&sch("202603101000^202603100900", "Booked"), &ann()]),
            "AA",
            "ONW-6004",
        ),
        (
            "accounts become one",
            known(),
            message(2, "ADT^A35", &[evn, &ann(), "MRG|D1^^^RXX^MR||A7^^^RXX^AN"]),
            "AA",
            NOBODY,
        ),
        (
            "an appointment on a day without an hour",
            known(),
            message(2, "SIU^S12", &[&sch("20260310", "Booked"), &ann()]),
            "AE",
            "ONW-6004",
        ),
        (
            "a state of a booking that nobody knows",
            known(),
            message(2, "SIU^S12", &[&sch("202603101000", "Frobnicated"), &ann()]),
            "AA",
            "ONW-6004",
        ),
        (
            "an admission expected on a day without an hour",
            known(),
            message(2, "ADT^A14", &[evn, &ann(), pv1, "PV2||||||||20260310"]),
            "AE",
            "ONW-6004",
        ),
        (
            "the same, of a month",
            known(),
            message(2, "ADT^A05", &[evn, &ann(), pv1, "PV2||||||||202603"]),
            "AE",
            "ONW-6004",
        ),
        (
            "a day whose hour was lost on the way",
            known(),
            message(2, "ADT^A05", &[evn, &ann(), pv1, "PV2||||||||20260310000000"]),
            "AA",
            "ONW-6039",
        ),
        (
            "the same, in the hospital's own scheduling",
            known(),
            message(2, "SIU^S12", &[&sch("202603100000", "Booked"), &ann()]),
            "AA",
            "ONW-6039",
        ),
        (
            "a cancellation that says the day only",
            known(),
            message(2, "ADT^A38", &[evn, &ann(), pv1, "PV2||||||||20260310"]),
            "AA",
            "ONW-6004",
        ),
        (
            "an appointment that ends on a day",
            known(),
            message(2, "SIU^S12", &[&sch("202603100900^20260310", "Booked"), &ann()]),
            "AA",
            "ONW-6004",
        ),
        (
            "a merge that repeats the old number among the new ones",
            two(),
            message(2, "ADT^A40", &[evn, &retired, mrg]),
            "AA",
            NOBODY,
        ),
        (
            "a merge of all the numbers of both",
            two(),
            message(2, "ADT^A40", &[evn, &retired, "MRG|D2^^^RXX^MR~D1^^^RXX^MR"]),
            "AE",
            "ONW-6020",
        ),
        (
            "numbers that change, said with the old one",
            known(),
            message(2, "ADT^A47", &[evn, &retired, mrg]),
            "AA",
            NOBODY,
        ),
        (
            "a visit that goes to a patient who is also the one that it comes from",
            known(),
            message(2, "ADT^A44", &[evn, &retired, "MRG|D2^^^RXX^MR||||OP1^^^RXX^VN"]),
            "AE",
            "ONW-6020",
        ),
        (
            "a time that the clocks went over",
            known(),
            message(2, "ADT^A05", &[evn, &ann(), pv1, "PV2||||||||20260329013000"]),
            "AE",
            "ONW-6012",
        ),
    ]
}

#[tokio::test]
async fn what_breaks_receivers_is_kept_with_a_reason_or_taken_without_a_guess() {
    let mut wrong = Vec::new();
    for (name, before, last, answer, code) in hazards() {
        let bench = Bench::new("dialect = \"itk\"");
        for message in &before {
            assert_eq!(bench.take(message).await.0, ["AA"], "{name}: before");
        }
        let (codes, found, decision) = bench.take(&last).await;
        let is_it = match code.strip_suffix('*') {
            Some(start) => found.split(',').any(|found| found.starts_with(start)),
            None if code == NOBODY => decision.is_some() && !found.contains("ONW-602"),
            None => found.split(',').any(|found| found == code),
        };
        let kept = bench.store.feed_list("quarantined", 10).unwrap();
        let reasoned = kept.iter().all(|row| row.code.is_some());
        if codes != [answer] || !is_it || !reasoned || kept.is_empty() != decision.is_some() {
            wrong.push(format!("{name}: {codes:?} {found} {}", kept.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn held(bench: &Bench, sql: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(&bench.file).unwrap();
    let mut select = conn.prepare(sql).unwrap();
    let rows = select.query_map((), |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Hospitals that share a feed may call their authorities by universal ids alone.
#[tokio::test]
async fn the_same_number_of_two_authorities_is_two_patients() {
    let bench = Bench::new("dialect = \"itk\"");
    let pid = |oid: &str, name: &str| format!("PID|1||4711^^^&{oid}&ISO^MR||{name}^ANN^^^^^L||19800101|2");
    for (minute, oid, name) in [(0, "1.2.3.1", "ABEL"), (1, "1.2.3.2", "BAKER"), (2, "1.2.3.1", "ABLE")] {
        assert_eq!(bench.take(&message(minute, "ADT^A31", &[&pid(oid, name)])).await.0, ["AA"]);
    }
    let names = held(&bench, "SELECT family FROM patient ORDER BY family");
    assert_eq!(names, ["able", "baker"], "each keeps what was said of it");
}

/// A check digit of two digits beside a hospital's own number proves nothing about the NHS number.
#[tokio::test]
async fn a_check_digit_is_no_status_of_the_nhs_number() {
    let bench = Bench::new("dialect = \"itk\"");
    let pid = |own: &str, nhs: &str| format!("PID|1||{own}^^^RXX^MR~{ANN}{nhs}^^^NHS^NH||TESTER^ANN^^^^^L||19800101|2");
    bench.take(&message(0, "ADT^A28", &[&pid("D1^01^M97", "")])).await;
    let proven = "SELECT nhs_number FROM patient WHERE nhs_number IS NOT NULL";
    assert!(held(&bench, proven).is_empty());
    bench.take(&message(1, "ADT^A31", &[&pid("D1^01^M97", "^01")])).await;
    assert_eq!(held(&bench, proven), [ANN], "beside the NHS number it is its status");
}

/// Of two events of one day the later one is known by its hour, also where a field before says the day only.
#[tokio::test]
async fn a_day_does_not_put_an_event_before_those_of_its_morning() {
    let bench = Bench::new("dialect = \"itk\"");
    let pid = |name: &str| format!("PID|1||D1^^^RXX^MR||{name}^ANN^^^^^L||19800101|2");
    bench.take(&message(0, "ADT^A28", &["EVN||20260301090000", &pid("BEFORE")])).await;
    bench.take(&message(9, "ADT^A31", &["EVN||20260301090900||||20260301", &pid("AFTER")])).await;
    bench.take(&message(5, "ADT^A31", &["EVN||20260301090500", &pid("BETWEEN")])).await;
    assert_eq!(held(&bench, "SELECT family FROM patient"), ["after"]);
}

/// What is said of a booking that is over does not bring it back.
#[tokio::test]
async fn a_change_to_a_cancelled_booking_leaves_it_cancelled() {
    let bench = Bench::new("dialect = \"itk\"");
    let ann = pid("D1", ANN, "19800101");
    for (minute, event, status) in
        [(0, "SIU^S12", "Booked"), (1, "SIU^S15", "Cancelled"), (2, "SIU^S14", "Cancelled"), (3, "SIU^S14", "Dc")]
    {
        bench.take(&message(minute, event, &[&sch("202603101000", status), &ann])).await;
    }
    assert_eq!(held(&bench, "SELECT status FROM appointment"), ["cancelled"]);
}

/// A clock that is years ahead must not silence all that comes until then.
#[tokio::test]
async fn an_event_of_the_future_does_not_go_before_all_that_comes_until_then() {
    let bench = Bench::new("dialect = \"itk\"");
    let pid = |name: &str| format!("PID|1||D1^^^RXX^MR||{name}^ANN^^^^^L||19800101|2");
    let ahead = |message: Vec<u8>| String::from_utf8(message).unwrap().replace("|20260301", "|20990301").into_bytes();
    let (codes, found, _) = bench.take(&ahead(message(0, "ADT^A28", &["EVN||20260301090000", &pid("FIRST")]))).await;
    assert_eq!(codes, ["AA"]);
    assert!(found.starts_with("ONW-6004,ONW-6004"), "both times are told of: {found}");
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1);
    let now = later.strftime("%Y%m%d%H%M%S+0000");
    bench.take(&message(1, "ADT^A31", &[&format!("EVN||{now}"), &pid("LATER")])).await;
    assert_eq!(held(&bench, "SELECT family FROM patient"), ["later"]);
}

/// A code of the sender's own with the name of the table's beside it.
#[tokio::test]
async fn the_name_of_a_state_counts_where_its_code_is_the_senders_own() {
    let bench = Bench::new("dialect = \"itk\"");
    let ann = pid("D1", ANN, "19800101");
    let (_, found, _) = bench.take(&message(0, "SIU^S12", &[&sch("202603101000", "Sch^Scheduled"), &ann])).await;
    assert_eq!(found, "");
    bench.take(&message(1, "SIU^S14", &[&sch("202603101000", "Cnl^Canceled"), &ann])).await;
    assert_eq!(held(&bench, "SELECT status FROM appointment"), ["cancelled"]);
}

/// Many look at the first thing only that an acknowledgement says.
#[tokio::test]
async fn what_a_message_is_refused_for_is_said_first() {
    let bench = Bench::new("dialect = \"itk\"");
    let pid = format!("PID|1||D1^^^ELSEWHERE^MR~{ANN}^^^NHS^NH~{BOB}^^^NHS^NH||TESTER^ANN||19800101|2");
    let answer = bench.answer(&message(0, "ADT^A31", &[&pid])).await;
    let text = String::from_utf8(answer).unwrap();
    assert!(text.contains("MSA|AE|H0|ONW-6019"), "{text:?}");
}

/// Nobody is to come at midnight because a day had no hour, and a cancellation is one whatever its day.
#[tokio::test]
async fn a_day_never_becomes_an_hour() {
    let bench = Bench::new("dialect = \"itk\"");
    let (evn, ann) = ("EVN||20260301090000", pid("D1", ANN, "19800101"));
    let pv1 = "PV1|1|O|ORTHO1^^^RXX||||||||||||||||OP1^^^RXX^VN";
    let all = "SELECT status || ' ' || json_extract(model, '$.start') FROM appointment";
    bench.take(&message(0, "ADT^A05", &[evn, &ann, pv1, "PV2||||||||20260310"])).await;
    assert!(held(&bench, all).is_empty());
    bench.take(&message(1, "ADT^A05", &[evn, &ann, pv1, "PV2||||||||202603100915"])).await;
    assert_eq!(held(&bench, all), ["booked 2026-03-10T09:15:00Z"]);
    bench.take(&message(2, "ADT^A05", &[evn, &ann, pv1, "PV2||||||||20260311"])).await;
    assert_eq!(held(&bench, all), ["booked 2026-03-10T09:15:00Z"]);
    bench.take(&message(3, "SIU^S15", &[&sch("20260310^20260310", "Cancelled"), &ann])).await;
    assert_eq!(held(&bench, all), ["cancelled 2026-03-10T09:15:00Z"]);
    let other_day = message(4, "SIU^S26", &[&sch("202603100900", "Noshow"), &ann, "RGS|1", "AIS|1||X|202603110900"]);
    assert_eq!(bench.take(&other_day).await.0, ["AA"], "nor does it matter that its times disagree");
    let booked = message(5, "SIU^S13", &[&sch("202603100900", "Booked"), &ann, "RGS|1", "AIS|1||X|202603110900"]);
    assert_eq!(bench.take(&booked).await.0, ["AE"], "but to a booking it does");
    let taken = Bench::new("dialect = \"itk\"\nmidnight = \"take\"");
    taken.take(&message(0, "ADT^A05", &[evn, &ann, pv1, "PV2||||||||202603100000"])).await;
    assert_eq!(held(&taken, all), ["booked 2026-03-10T00:00:00Z"]);
}

/// A merge that says the old number among the new ones ends in the one record whose own numbers are left.
#[tokio::test]
async fn the_old_number_beside_the_new_ones_is_the_one_that_ends() {
    for order in ["D2^^^RXX^MR~D1^^^RXX^MR", "D1^^^RXX^MR~D2^^^RXX^MR"] {
        let bench = Bench::new("dialect = \"itk\"");
        let pid = |numbers: &str, name: &str| format!("PID|1||{numbers}||{name}^ANN^^^^^L||19800101|2");
        let known = [("D1^^^RXX^MR", "LEFT"), ("D2^^^RXX^MR", "ENDED")];
        for (minute, (number, name)) in known.into_iter().enumerate() {
            bench.take(&message(minute, "ADT^A28", &[&pid(number, name)])).await;
        }
        let (codes, ..) = bench.take(&message(2, "ADT^A40", &[&pid(order, "LEFT"), "MRG|D2^^^RXX^MR"])).await;
        assert_eq!(codes, ["AA"]);
        let in_use = "SELECT json_extract(model, '$.demographics.names[0].family') FROM patient \
            WHERE json_extract(model, '$.replaced_by') IS NULL";
        assert_eq!(held(&bench, in_use), ["LEFT"], "{order}");
    }
}

/// A new number that is used before the old one is said to be no more in use: what was said of it is not lost, whether or
/// not the message about the numbers says anything newer itself.
#[tokio::test]
async fn what_was_said_of_a_new_number_too_early_is_the_patients() {
    for renumbered in [2, 6] {
        let bench = Bench::new("dialect = \"itk\"");
        let pid = |number: &str, minute: usize| {
            let home = "|".repeat(5);
            format!(
                "PID|1||{number}^^^RXX^MR~{ANN}^^^NHS^NH||TESTER^ANN^^^^^L||19800101|2{home}0170000000{minute}^PRN^PH"
            )
        };
        for minute in [1, 4] {
            bench.take(&message(minute, "ADT^A31", &[&pid("D1", minute)])).await;
        }
        bench.take(&message(5, "ADT^A31", &[&pid("N1", 5)])).await;
        let segments = [&pid("N1", renumbered), "MRG|D1^^^RXX^MR"];
        assert_eq!(bench.take(&message(renumbered, "ADT^A47", &segments)).await.0, ["AA"]);
        let told = "SELECT json_extract(model, '$.demographics.telecoms[0].value') FROM patient \
            WHERE json_extract(model, '$.replaced_by') IS NULL";
        let newest = format!("0170000000{}", renumbered.max(5));
        assert_eq!(held(&bench, told), [newest], "the numbers changed at {renumbered}");
    }
}
