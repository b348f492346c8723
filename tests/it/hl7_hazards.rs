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
