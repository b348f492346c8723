//! Two diaries side by side: the gateway's and a hospital's. Whoever is expected on one side and not on the other comes
//! in vain, or is missed.
//!
//! Entries are the same where they share a number; nothing is guessed from time or name.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

/// A booking, as one side has it.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// All numbers of the booking; the first is told.
    pub numbers: Vec<String>,
    /// All numbers of whoever is expected; empty: not known.
    pub patient: Vec<String>,
    /// When.
    pub start: Timestamp,
    /// Is somebody expected?
    pub current: bool,
}

/// How the diaries differ in a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The gateway expects somebody of whom the hospital does not know.
    MissingInPas,
    /// The hospital expects somebody of whom the gateway does not know.
    MissingInGateway,
    /// Both expect somebody, at different times.
    TimeDiffers,
    /// Both expect somebody, but not the same person.
    PatientDiffers,
    /// The hospital no longer expects whom the gateway does.
    CancelledInPas,
    /// The gateway no longer expects whom the hospital does.
    CancelledInGateway,
    /// The hospital expects one person twice at one time, under two numbers.
    DoubleInPas,
    /// The gateway expects one person twice at one time, under two numbers.
    DoubleInGateway,
}

/// A difference; the numbers are those of the booking on either side, where there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub struct Difference {
    pub class: Class,
    pub gateway: Option<String>,
    pub pas: Option<String>,
}

/// All differences, by class and number. What only one side has and does not expect is none.
pub fn differences(gateway: &[Entry], pas: &[Entry]) -> Vec<Difference> {
    let known = by_number(pas);
    let mut met = vec![false; pas.len()];
    let mut found = Vec::new();
    for ours in gateway {
        let theirs = ours.numbers.iter().find_map(|number| known.get(number.as_str()).copied());
        let Some(at) = theirs else {
            found.extend(ours.current.then(|| difference(Class::MissingInPas, Some(ours), None)));
            continue;
        };
        met[at] = true;
        let class = compared(ours, &pas[at]);
        found.extend(class.map(|class| difference(class, Some(ours), Some(&pas[at]))));
    }
    // A second booking that only one side has is told once: as what it is.
    let (theirs, ours) = (doubles(pas), doubles(gateway));
    let alone = (0..pas.len()).filter(|at| pas[*at].current && !met[*at] && !theirs.contains(at));
    found.extend(alone.map(|at| difference(Class::MissingInGateway, None, Some(&pas[at]))));
    let second: HashSet<&String> = ours.iter().filter_map(|at| gateway[*at].numbers.first()).collect();
    found.retain(|it| it.class != Class::MissingInPas || !it.gateway.as_ref().is_some_and(|it| second.contains(it)));
    found.extend(theirs.iter().map(|at| difference(Class::DoubleInPas, None, Some(&pas[*at]))));
    found.extend(ours.iter().map(|at| difference(Class::DoubleInGateway, Some(&gateway[*at]), None)));
    found.sort();
    found
}

fn by_number(entries: &[Entry]) -> HashMap<&str, usize> {
    let all = entries.iter().enumerate();
    all.flat_map(|(at, entry)| entry.numbers.iter().map(move |number| (number.as_str(), at))).collect()
}

fn difference(class: Class, gateway: Option<&Entry>, pas: Option<&Entry>) -> Difference {
    let number = |entry: Option<&Entry>| entry.and_then(|entry| entry.numbers.first().cloned());
    Difference { class, gateway: number(gateway), pas: number(pas) }
}

/// Another patient is worse than another time; both are told as the worse.
fn compared(ours: &Entry, theirs: &Entry) -> Option<Class> {
    let known = !ours.patient.is_empty() && !theirs.patient.is_empty();
    let same = || ours.patient.iter().any(|number| theirs.patient.contains(number));
    match (ours.current, theirs.current) {
        (true, true) if known && !same() => Some(Class::PatientDiffers),
        (true, true) if ours.start != theirs.start => Some(Class::TimeDiffers),
        (true, false) => Some(Class::CancelledInPas),
        (false, true) => Some(Class::CancelledInGateway),
        _ => None,
    }
}

/// Who is expected twice at one time: all bookings of that time but the first.
fn doubles(entries: &[Entry]) -> HashSet<usize> {
    let mut seen: HashSet<(Timestamp, &str)> = HashSet::new();
    let mut doubles = HashSet::new();
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.current) {
        let keys = || entry.patient.iter().map(|number| (entry.start, number.as_str()));
        if keys().any(|key| seen.contains(&key)) {
            doubles.insert(at);
        }
        seen.extend(keys());
    }
    doubles
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    /// A hundred of all kinds among a hundred thousand.
    #[test]
    fn a_hundred_differences_among_a_hundred_thousand_are_found_and_no_other() {
        let start: Timestamp = "2026-03-02T09:00:00Z".parse().unwrap();
        let entry = |at: usize| Entry {
            numbers: vec![format!("B{at}")],
            patient: vec![format!("P{}", at % 30_000)],
            start: start + SignedDuration::from_mins(10 * (at / 40) as i64),
            current: !at.is_multiple_of(17),
        };
        let pas: Vec<Entry> = (0..100_000).map(entry).collect();
        let mut gateway = pas.clone();
        let mut theirs = pas.clone();
        let mut injected = Vec::new();
        let (mut gone, mut lost) = (Vec::new(), Vec::new());
        for (n, at) in (1..).zip((0..100).map(|n| n * 997 + 1)) {
            let at = if pas[at].current { at } else { at + 1 };
            let class = match n % 8 {
                0 => {
                    gone.push(at);
                    Class::MissingInPas
                }
                1 => {
                    lost.push(at);
                    Class::MissingInGateway
                }
                2 => {
                    gateway[at].start += SignedDuration::from_mins(5);
                    Class::TimeDiffers
                }
                3 => {
                    gateway[at].patient = vec!["X".to_owned() + &at.to_string()];
                    Class::PatientDiffers
                }
                4 => {
                    theirs[at].current = false;
                    Class::CancelledInPas
                }
                5 => {
                    gateway[at].current = false;
                    Class::CancelledInGateway
                }
                side => {
                    let double = Entry { numbers: vec![format!("D{at}")], ..pas[at].clone() };
                    let class = if side == 6 { Class::DoubleInPas } else { Class::DoubleInGateway };
                    if side == 6 { &mut theirs } else { &mut gateway }.push(double);
                    injected.push((class, format!("D{at}")));
                    continue;
                }
            };
            injected.push((class, format!("B{at}")));
        }
        let without = |entries: Vec<Entry>, out: &[usize]| -> Vec<Entry> {
            entries.into_iter().enumerate().filter(|(at, _)| !out.contains(at)).map(|(_, entry)| entry).collect()
        };
        let found = differences(&without(gateway, &lost), &without(theirs, &gone));
        let mut found: Vec<(Class, String)> =
            found.into_iter().map(|it| (it.class, it.pas.or(it.gateway).unwrap())).collect();
        found.sort();
        injected.sort();
        assert_eq!(found.len(), 100);
        assert_eq!(found, injected);
    }
}
