//! Whatever the order in which a hospital's events come, and however often: the end is the same as in order, or a
//! person is asked. Never a second booking or patient.

use std::collections::BTreeMap;
use std::path::Path;

use onward::booking::decide::decide;
use onward::booking::decision::Rules;
use onward::intake::hl7::{Feed, prepare};
use onward::pas::inbound::dialect::Dialect;
use onward::store::sqlite::{Options, SqliteStore};
use onward::store::{Store, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

/// An event at a minute of the day on which it all happened.
fn message(minute: u32, event: &str, segments: &[&str]) -> String {
    let (hour, minute) = (9 + minute / 60, minute % 60);
    let time = format!("20260301{hour:02}{minute:02}00");
    let id = format!("{event}{time}").replace('^', "");
    format!("MSH|^~\\&|PAS|RXX|ONWARD|RXX|{time}||{event}|{id}|T|2.4|||AL|NE\rEVN||{time}\r{}\r", segments.join("\r"))
}

fn pid(number: &str, nhs: &str, name: &str, phone: &str) -> String {
    let nhs = if nhs.is_empty() { String::new() } else { format!("~{nhs}^^^NHS^NH") };
    let status = if nhs.is_empty() { "" } else { "NSTS01" };
    let phone = if phone.is_empty() { String::new() } else { format!("{phone}^PRN^PH") };
    format!("PID|1||{number}^^^RXX^MR{nhs}||{name}^ANN^^^^^L||19800101|2|||||{phone}||||||||||||||||{status}")
}

fn sch(id: &str, start: &str, status: &str) -> String {
    format!("SCH|{id}^RXX|{id}^RXX||||R^Reason|FU^Follow up|ROUTINE|20|min|^^20^{start}||||||||||||||{status}")
}

const ANN: &str = "9990000018";

/// Sequences as hospitals send them, in order.
fn sequences() -> Vec<Vec<String>> {
    let ann = || pid("D1", ANN, "TESTER", "01700000001");
    let moved = || pid("D1", ANN, "TESTER", "01700000002");
    let bare = || pid("D1", "", "TESTER", "");
    let other = || pid("D2", "", "TESTER", "01700000003");
    let (nine, ten) = ("202603100900", "202603101000");
    let pv1 = "PV1|1|O|ORTHO1^^^RXX||||||||||||||||OP1^^^RXX^VN";
    vec![
        // Booked, moved, changed, cancelled, reinstated, missed.
        vec![
            message(0, "SIU^S12", &[&sch("OP1", nine, "Booked"), &ann()]),
            message(1, "SIU^S13", &[&sch("OP1", ten, "Booked"), &ann()]),
            message(2, "SIU^S14", &[&sch("OP1", ten, "Booked"), &moved()]),
            message(3, "SIU^S15", &[&sch("OP1", ten, "Cancelled"), &ann()]),
            message(4, "SIU^S13", &[&sch("OP1", nine, "Booked"), &ann()]),
            message(5, "SIU^S26", &[&sch("OP1", nine, "Noshow"), &ann()]),
        ],
        // By admissions: booked, arrived, not after all, arrived, seen; and the person changes between.
        vec![
            message(0, "ADT^A28", &[&bare()]),
            message(1, "ADT^A05", &[&ann(), pv1, "PV2||||||||202603100900"]),
            message(2, "ADT^A04", &[&bare(), pv1]),
            message(3, "ADT^A11", &[&bare(), pv1]),
            message(4, "ADT^A31", &[&moved()]),
            message(5, "ADT^A04", &[&bare(), pv1]),
            message(6, "ADT^A03", &[&bare(), pv1]),
        ],
        // Two records of one person, each with a booking; then they are one.
        vec![
            message(0, "ADT^A28", &[&ann()]),
            message(1, "ADT^A28", &[&other()]),
            message(2, "SIU^S12", &[&sch("OP1", nine, "Booked"), &ann()]),
            message(3, "SIU^S12", &[&sch("OP2", ten, "Booked"), &other()]),
            message(4, "ADT^A40", &[&bare(), "MRG|D2^^^RXX^MR"]),
            message(5, "SIU^S15", &[&sch("OP2", ten, "Cancelled"), &bare()]),
        ],
        // A booking under the wrong person is put right.
        vec![
            message(0, "SIU^S12", &[&sch("OP1", nine, "Booked"), &other()]),
            message(1, "ADT^A44", &[&ann(), "MRG|D2^^^RXX^MR||||OP1^^^RXX^VN"]),
            message(2, "SIU^S14", &[&sch("OP1", ten, "Booked"), &ann()]),
        ],
        // A referral, made more urgent, withdrawn.
        vec![
            message(0, "REF^I12", &["RF1|A|1|110^T^TFC||O|000000070001^^E-RS|20260215||20260220", &ann()]),
            message(1, "REF^I13", &["RF1|A|2|110^T^TFC||O|000000070001^^E-RS|20260215||20260220", &ann()]),
            message(2, "REF^I14", &["RF1|R|2|110^T^TFC||O|000000070001^^E-RS|20260215||20260220", &ann()]),
        ],
    ]
}

/// Sends all of it to a new gateway's store; what is there in the end, and how much a person is asked.
async fn end(messages: &[String]) -> (Value, usize) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("onward.db");
    let options = Options { rules: Rules { sandbox: true, ..Rules::default() }, ..Options::default() };
    let store = SqliteStore::open(&file, options, decide).unwrap();
    let dialect = Dialect::shipped("itk").unwrap();
    let feed = Feed { channel: "pas".into(), organisation: "RXX".into(), dialect, tell: crate::referrers::nobody() };
    let mut asked = 0;
    for message in messages {
        let prepared = prepare(&feed, message.clone().into_bytes(), true, None);
        let verdict = store.submit(prepared.message, prepared.work).await.unwrap();
        asked += usize::from(matches!(verdict, Verdict::Refused { .. }));
    }
    store.close();
    (held(&file), asked)
}

/// What readers see: people that are in use, bookings, referrals and whose they are.
fn held(file: &Path) -> Value {
    let conn = rusqlite::Connection::open(file).unwrap();
    let all = |sql: &str| -> Vec<Value> {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement.query_map((), |row| row.get::<_, String>(0)).unwrap();
        rows.map(|row| serde_json::from_str(&row.unwrap()).unwrap()).collect()
    };
    let people: Vec<Value> =
        all("SELECT model FROM patient").into_iter().filter(|it| it["replaced_by"].is_null()).collect();
    let names: BTreeMap<String, String> = people
        .iter()
        .map(|it| {
            (
                it["id"].as_str().unwrap().to_owned(),
                format!("{:?} {}", it["nhs_number"], it["demographics"]["telecoms"]),
            )
        })
        .collect();
    let mut people: Vec<Value> = people
        .iter()
        .map(|it| json!([it["nhs_number"], it["demographics"]["telecoms"], it["demographics"]["names"]]))
        .collect();
    people.sort_by_key(ToString::to_string);
    let owner = |it: &Value| names.get(it["patient"].as_str().unwrap()).cloned().unwrap_or("nobody in use".to_owned());
    // What was another patient's in truth is nobody's appointment, whether or not it was known as one first.
    let mut appointments = all("SELECT model FROM appointment");
    let (passed, appointments): (Vec<Value>, Vec<Value>) =
        appointments.drain(..).partition(|it| it["passed"]["to"]["now"].as_str().is_some_and(|now| it["id"] != *now));
    assert!(passed.iter().all(|it| ["entered-in-error", "cancelled"].contains(&it["status"].as_str().unwrap())));
    let hung = |it: &&Value| passed.iter().all(|passed| passed["referral"] != it["id"]);
    let mut bookings: Vec<Value> = appointments
        .iter()
        .map(|it| json!([it["identifiers"], it["status"], it["start"], it["end"], it["cancel_reason"], owner(it)]))
        .collect();
    bookings.sort_by_key(ToString::to_string);
    let mut referrals: Vec<Value> = all("SELECT model FROM referral")
        .iter()
        .filter(hung)
        .map(|it| json!([it["ubrn"], it["status"], it["priority"], owner(it)]))
        .collect();
    referrals.sort_by_key(ToString::to_string);
    json!({ "people": people, "bookings": bookings, "referrals": referrals })
}

/// What a hospital may do next; the numbers choose among whom and what there is.
#[derive(Clone, Copy, Debug)]
struct Choice {
    what: u8,
    who: u8,
    which: u8,
}

/// A hospital that invents its own history: two records of Ann and one of somebody else, three visits, a referral.
#[derive(Default)]
struct Hospital {
    messages: Vec<String>,
    /// D2 was merged into D1.
    merged: bool,
    /// Whose each visit is, and how it stands.
    visits: [Option<(usize, Visit)>; 3],
    referred: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Booked,
    Arrived,
    Seen,
    Over,
}

const RECORDS: [(&str, &str); 3] = [("D1", ANN), ("D2", ""), ("D3", "9990000026")];
const VISITS: [&str; 3] = ["OP1", "OP2", "OP3"];

impl Hospital {
    fn history(choices: &[Choice]) -> Vec<String> {
        let mut hospital = Self::default();
        choices.iter().for_each(|choice| hospital.step(*choice));
        hospital.messages
    }

    fn say(&mut self, event: &str, segments: &[&str]) {
        self.messages.push(message(u32::try_from(self.messages.len()).unwrap(), event, segments));
    }

    /// Somebody whose record is still in use.
    fn somebody(&self, who: u8) -> usize {
        let record = usize::from(who) % RECORDS.len();
        if self.merged && record == 1 { 0 } else { record }
    }

    /// What is known about them changes with every message, so that the order matters.
    fn pid(&self, record: usize) -> String {
        let (number, nhs) = RECORDS[record];
        pid(number, nhs, ["TESTER", "TESTER", "OTHER"][record], &format!("0170000{:04}", self.messages.len()))
    }

    fn step(&mut self, choice: Choice) {
        let visit = usize::from(choice.which) % VISITS.len();
        let (owner, standing) = match self.visits[visit] {
            Some((owner, standing)) => (if self.merged && owner == 1 { 0 } else { owner }, Some(standing)),
            None => (self.somebody(choice.who), None),
        };
        let time = format!("20260310{:02}00", 9 + usize::from(choice.who) % 7);
        let (id, pid) = (VISITS[visit], self.pid(owner));
        let pv1 = format!("PV1|1|O|ORTHO1^^^RXX||||||||||||||||{id}^^^RXX^VN");
        let schedule = |status: &str| sch(id, &time, status);
        let next = match (choice.what % 13, standing) {
            (0, _) => return self.say("ADT^A31", &[&self.pid(self.somebody(choice.who))]),
            (1, _) => return self.refer(choice.which),
            (2, _) => return self.merge(),
            (3, Some(standing)) if owner != 0 => {
                let mrg = format!("MRG|{}^^^RXX^MR||||{id}^^^RXX^VN", RECORDS[owner].0);
                self.say("ADT^A44", &[&self.pid(0), &mrg]);
                self.visits[visit] = Some((0, standing));
                return;
            }
            (4, None) => {
                self.say("ADT^A05", &[&pid, &pv1, &format!("PV2||||||||{time}")]);
                Visit::Booked
            }
            (_, None) => {
                self.say("SIU^S12", &[&schedule("Booked"), &pid]);
                Visit::Booked
            }
            (5 | 6, Some(Visit::Booked)) => {
                self.say("ADT^A04", &[&pid, &pv1]);
                Visit::Arrived
            }
            (7, Some(Visit::Arrived)) => {
                self.say("ADT^A11", &[&pid, &pv1]);
                Visit::Booked
            }
            (8, Some(Visit::Arrived)) => {
                self.say("ADT^A03", &[&pid, &pv1]);
                Visit::Seen
            }
            (8, Some(Visit::Seen)) => {
                self.say("ADT^A13", &[&pid, &pv1]);
                Visit::Arrived
            }
            (9, Some(Visit::Booked)) => {
                self.say("SIU^S15", &[&schedule("Cancelled"), &pid]);
                Visit::Over
            }
            (10, Some(Visit::Booked)) => {
                self.say("SIU^S26", &[&schedule("Noshow"), &pid]);
                Visit::Over
            }
            (11, Some(Visit::Booked)) => {
                self.say("SIU^S14", &[&schedule("Booked"), &pid]);
                Visit::Booked
            }
            // Moved; what was over is taken up again.
            (_, Some(_)) => {
                self.say("SIU^S13", &[&schedule("Booked"), &pid]);
                Visit::Booked
            }
        };
        self.visits[visit] = Some((owner, next));
    }

    fn refer(&mut self, urgency: u8) {
        let event = match (self.referred, urgency % 4) {
            (false, _) => "REF^I12",
            (true, 0) => "REF^I14",
            (true, _) => "REF^I13",
        };
        let (status, priority) = (if event == "REF^I14" { "R" } else { "A" }, 1 + urgency % 2);
        let rf1 = format!("RF1|{status}|{priority}|110^T^TFC||O|000000070001^^E-RS|20260215||20260220");
        self.say(event, &[&rf1, &self.pid(0)]);
        self.referred = true;
    }

    fn merge(&mut self) {
        if !self.merged {
            self.say("ADT^A40", &[&self.pid(0), "MRG|D2^^^RXX^MR"]);
            self.merged = true;
        }
    }
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = any::<(u8, u8, u8)>().prop_map(|(what, who, which)| Choice { what, who, which });
    proptest::collection::vec(choice, 2..LONGEST)
}

/// Of a history.
const LONGEST: usize = 12;

fn cases() -> u32 {
    std::env::var("ONWARD_ORDERS").ok().map_or(24, |text| text.parse().expect("ONWARD_ORDERS is a number"))
}

/// In another order, and some of it twice.
fn shuffled(sequence: &[String], ranks: &[u32], twice: &[bool]) -> Vec<String> {
    let again = sequence.iter().zip(twice).filter(|(_, twice)| **twice).map(|(message, _)| message);
    let mut all: Vec<(&u32, &String)> = ranks.iter().zip(sequence.iter().chain(again)).collect();
    all.sort();
    all.into_iter().map(|(_, message)| message.clone()).collect()
}

/// The end of a sequence in order, and in another.
fn both(sequence: &[String], shuffled: &[String]) -> ((Value, usize), (Value, usize)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { (end(sequence).await, end(shuffled).await) })
}

fn same_or_asked(right: &Value, other: &Value, asked: usize) -> Result<(), TestCaseError> {
    let count = |state: &Value, what: &str| state[what].as_array().unwrap().len();
    prop_assert!(count(other, "people") <= count(right, "people") + asked);
    prop_assert!(count(other, "bookings") <= count(right, "bookings"));
    if asked == 0 {
        prop_assert_eq!(other, right);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 400, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn any_order_ends_as_the_right_one_or_a_person_is_asked(
        which in 0..5_usize,
        ranks in proptest::collection::vec(any::<u32>(), 14),
        twice in proptest::collection::vec(any::<bool>(), 7),
    ) {
        let sequence = &sequences()[which];
        let ((right, none), (other, asked)) = both(sequence, &shuffled(sequence, &ranks, &twice));
        prop_assert_eq!(none, 0);
        same_or_asked(&right, &other, asked)?;
    }

    #[test]
    fn any_order_of_any_history_ends_as_the_right_one_or_a_person_is_asked(
        choices in choices(),
        ranks in proptest::collection::vec(any::<u32>(), 2 * LONGEST),
        twice in proptest::collection::vec(any::<bool>(), LONGEST),
    ) {
        let history = Hospital::history(&choices);
        let ((right, none), (other, asked)) = both(&history, &shuffled(&history, &ranks, &twice));
        prop_assert_eq!(none, 0, "what comes in order needs nobody: {:#?}", history);
        same_or_asked(&right, &other, asked)?;
    }
}
