//! Whatever a hospital sends, in whatever order and however little it fits together: each message is applied, or left out,
//! or held for a person with a code. None fails for good; a sender would send that one for ever.
//! ONWARD_CHAOS says how many walks.

use onward::booking::decide::decide;
use onward::booking::decision::Rules;
use onward::intake::hl7::{Feed, prepare};
use onward::pas::inbound::dialect::Dialect;
use onward::store::sqlite::{Options, SqliteStore};
use onward::store::{Store, Verdict};
use proptest::prelude::*;

/// People as the hospital names them: some are the same person under two numbers, some contradict each other.
const PEOPLE: [&str; 8] = [
    "PID|1||D1^^^RXX^MR~9990000018^^^NHS^NH||NAIR^PRIYA^^^^^L||19880217|2|||7 PARK ROAD^^NOTTINGHAM^^NG2 4AB^^H||07700900123^PRN^CP|||||||||||||||||||NSTS01",
    "PID|1||D1^^^RXX^MR||NAIR^PRIYA^^^^^L||19880217|2",
    "PID|1||D2^^^RXX^MR||NAIR^PRIYA^^^^^L||19880217|2|||7 PARK ROAD^^NOTTINGHAM^^NG2 4AB^^H||07700900123^PRN^CP",
    "PID|1||D3^^^RXX^MR~9990000018^^^NHS^NH||NAIR^PRIYA^^^^^L||19880217|2|||||||||||||||||||||||||NSTS01",
    "PID|1||D3^^^RXX^MR~9990000026^^^NHS^NH||OKORO^JO^^^^^L||19610101|1|||||||||||||||||||||||||NSTS01",
    "PID|1||D4^^^RXX^MR||OKORO^JO^^^^^L||19610101|1|||1 MILL LANE^^LEEDS^^LS1 1AA^^H",
    "PID|1||||NOBODY^AT ALL^^^^^L||19700101|1",
    "PID|1||D2^^^RXX^MR~D4^^^RXX^MR||NAIR^PRIYA^^^^^L||19880217|2",
];
const LOCAL: [&str; 4] = ["D1", "D2", "D3", "D4"];
const REFERRALS: [&str; 3] = ["000000070001", "000000070002", "000000070003"];
const BOOKINGS: [&str; 3] = ["OP1", "OP2", "OP3"];

/// What is sent, and about whom and what.
type Step = (usize, usize, usize, usize, u8);

const EVENTS: [&str; 20] = [
    "ADT^A28", "ADT^A31", "ADT^A04", "ADT^A23", "ADT^A29", "ADT^A40", "ADT^A34", "ADT^A24", "ADT^A37", "ADT^A47",
    "ADT^A44", "SIU^S12", "SIU^S13", "SIU^S14", "SIU^S15", "SIU^S26", "SIU^S17", "REF^I12", "REF^I13", "REF^I14",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..EVENTS.len(), 0..PEOPLE.len(), 0..4_usize, 0..3_usize, any::<u8>());
    proptest::collection::vec(step, 1..24)
}

fn text(number: usize, (event, who, other, which, twist): Step) -> String {
    let (event, pid) = (EVENTS[event], PEOPLE[who]);
    // Some come late.
    let minute = if twist.is_multiple_of(5) { number / 2 } else { number };
    let time = format!("20260301{:02}{:02}00", 9 + minute / 60, minute % 60);
    let (local, referral, booking) = (LOCAL[other], REFERRALS[which], BOOKINGS[which]);
    let hour = 9 + twist % 3;
    let named = if twist.is_multiple_of(2) { format!("{referral}^E-RS") } else { String::new() };
    let sch = |status: &str| {
        format!(
            "SCH|{booking}^RXX|{booking}^RXX||||R|FU|ROUTINE|20|min|^^20^20260310{hour:02}00||||||||||||||{status}|{named}"
        )
    };
    let rf1 = |status: &str| format!("RF1|{status}|{}|110^T^TFC||O|{referral}^^E-RS|20260215||20260220", 1 + twist % 2);
    let segments = match event {
        "ADT^A40" | "ADT^A34" | "ADT^A47" => format!("{pid}\rMRG|{local}^^^RXX^MR"),
        "ADT^A44" => format!("{pid}\rMRG|{local}^^^RXX^MR||||{booking}^^^RXX^VN"),
        "ADT^A24" | "ADT^A37" => format!("{pid}\rPV1|1|N\r{}", PEOPLE[(who + 1 + other) % PEOPLE.len()]),
        "SIU^S15" => format!("{}\r{pid}", sch("Cancelled")),
        "SIU^S26" => format!("{}\r{pid}", sch("Noshow")),
        "REF^I14" => format!("{}\r{pid}", rf1("R")),
        _ if event.starts_with("SIU") => format!("{}\r{pid}", sch("Booked")),
        _ if event.starts_with("REF") => format!("{}\r{pid}", rf1("A")),
        _ => format!("{pid}\rPV1|1|O|CARD^^^RXX||||||||||||||||{booking}^^^RXX^VN"),
    };
    format!("MSH|^~\\&|PAS|RXX|ONWARD|RXX|{time}||{event}|C{number}|T|2.4\rEVN||{time}\r{segments}\r")
}

fn walked(steps: &[Step]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { rules: Rules { sandbox: true, ..Rules::default() }, ..Options::default() };
    let store = SqliteStore::open(&dir.path().join("onward.db"), options, decide).unwrap();
    let dialect = Dialect::shipped("itk").unwrap();
    let feed = Feed { channel: "pas".into(), organisation: "RXX".into(), dialect, tell: crate::referrers::nobody() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (number, step) in steps.iter().enumerate() {
        let message = text(number, *step);
        let prepared = prepare(&feed, message.clone().into_bytes(), true, None);
        match runtime.block_on(store.submit(prepared.message, prepared.work)) {
            Ok(Verdict::Accepted { .. } | Verdict::Refused { .. }) => {}
            other => return Err(TestCaseError::fail(format!("{other:?} of {message}"))),
        }
    }
    let kept: u64 = store.feed_counts().unwrap().iter().map(|(_, count)| count).sum();
    prop_assert_eq!(kept, steps.len() as u64, "each message is in one state");
    let ledger = onward::store::ledger::audit(&*store, |_| {}).unwrap();
    prop_assert!(ledger.is_balanced(), "{ledger} {:?}", ledger.flaws);
    prop_assert_eq!(ledger.received, steps.len() as u64, "{}", ledger);
    store.close();
    Ok(())
}

fn cases() -> u32 {
    std::env::var("ONWARD_CHAOS").ok().map_or(64, |text| text.parse().expect("ONWARD_CHAOS is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 600, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn no_message_fails_for_good(steps in steps()) {
        walked(&steps)?;
    }
}
