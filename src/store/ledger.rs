//! The ledger: every message that came in is in exactly one state, and whoever asks gets the counts or the names of
//! those that are not.
//!
//! What a message's state follows from is in the journal, in the outbox and among the messages of feeds. Each was
//! written in one transaction with the others, so they can only disagree where something was lost or written by
//! somebody else; [`standing`] is the one place that says what agrees. The journal remembers how many letters a message
//! had, so a letter that is gone is missed.
//!
//! An [`Auditor`] goes through the journal by id, a page at a time, each of which is read in one statement. So a look at
//! a store that is in use is right about each message, and needs neither locks nor memory; it costs some microseconds a
//! message, from two indexes, and no body is read. What was counted when it came is compared with what is there, so a
//! message that is gone is missed as well.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{OutboxState, Settled, Store, StoreError};
use crate::booking::feed::Effect;

/// Messages that are read at a time.
const PAGE_LEN: usize = 20_000;
/// So many that are in no state are named.
const NAMED_MAX: usize = 100;

/// The states. A message is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Accepted, and nobody else is to be told.
    Done,
    /// Accepted, and every letter was confirmed.
    Delivered,
    /// Accepted; a person decided that a letter of it is not wanted any more, the others were confirmed.
    Superseded,
    /// Accepted, and a letter is to be sent.
    Waiting,
    /// Accepted, and a letter is stuck: a person must look.
    Dead,
    /// Refused, with its answer.
    Refused,
    /// A hospital's, in quarantine: a person must look.
    Held,
    /// A hospital's, that a person has taken out of quarantine.
    Decided,
    /// The same as one before, whose answer it got.
    Repeat,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::Delivered,
        Self::Superseded,
        Self::Waiting,
        Self::Dead,
        Self::Refused,
        Self::Held,
        Self::Decided,
        Self::Repeat,
    ];

    /// The name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Delivered => "delivered",
            Self::Superseded => "superseded",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Decided => "decided",
            Self::Repeat => "repeat",
        }
    }

    /// What it means, and whose move it is.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "accepted, and nobody else is to be told",
            Self::Delivered => "accepted, and every letter was confirmed",
            Self::Superseded => "accepted; a person decided that a letter is not wanted any more",
            Self::Waiting => "accepted, and a letter is to be sent: the gateway's move",
            Self::Dead => "accepted, and a letter is stuck: yours (onward outbox list --state parked)",
            Self::Refused => "refused, with its answer: the sender's move",
            Self::Held => "in quarantine: yours (onward messages feed list)",
            Self::Decided => "a person has taken it out of quarantine",
            Self::Repeat => "the same as one before, whose answer it got",
        }
    }
}

/// Why a message is in no state, or in more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// It had more letters than there are.
    LettersMissing,
    /// It has more letters than it had.
    LettersTooMany,
    /// It was not accepted, and has letters.
    LettersOfUnaccepted,
    /// It repeats a message that is not there.
    FirstMissing,
    /// Its outcome is one thing, and what became of it as a hospital's message is another.
    FeedContradicts,
    /// Its outcome is none that is known.
    OutcomeUnknown,
}

/// Letters of one message, by their states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Letters {
    pub queued: u64,
    pub parked: u64,
    pub delivered: u64,
    pub superseded: u64,
}

impl Letters {
    /// One more.
    pub fn add(&mut self, state: OutboxState) {
        match state {
            OutboxState::Queued => self.queued += 1,
            OutboxState::Parked => self.parked += 1,
            OutboxState::Delivered => self.delivered += 1,
            OutboxState::Superseded => self.superseded += 1,
        }
    }

    /// All of them.
    pub fn sum(self) -> u64 {
        self.queued + self.parked + self.delivered + self.superseded
    }
}

/// What is held of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The message.
    pub id: Uuid,
    /// `outcome` of the journal.
    pub outcome: String,
    /// How many letters it had; `None`: an older version wrote it, and nobody knows.
    pub promised: Option<u64>,
    /// The letters that there are.
    pub letters: Letters,
    /// Is the message there that it repeats? True where it repeats none.
    pub first_is_there: bool,
    /// What became of it as a message of a feed, where it is one.
    pub feed: Option<String>,
}

/// The one state that a message is in.
pub fn standing(held: &Held) -> Result<Standing, Flaw> {
    check_letters(held)?;
    if !held.first_is_there {
        return Err(Flaw::FirstMissing);
    }
    let settled = [Settled::Replayed, Settled::Skipped, Settled::Rerouted].map(Settled::as_str);
    let applied = [Effect::Applied, Effect::Stale, Effect::Ignored].map(Effect::as_str);
    match (held.outcome.as_str(), held.feed.as_deref()) {
        ("accepted", None) => Ok(accepted(held.letters)),
        ("accepted", Some(state)) if applied.contains(&state) => Ok(accepted(held.letters)),
        ("refused", None) => Ok(Standing::Refused),
        ("refused", Some("quarantined")) => Ok(Standing::Held),
        ("refused", Some(state)) if settled.contains(&state) => Ok(Standing::Decided),
        ("duplicate" | "repeated", None | Some("duplicate")) => Ok(Standing::Repeat),
        ("accepted" | "refused" | "duplicate" | "repeated", Some(_)) => Err(Flaw::FeedContradicts),
        _ => Err(Flaw::OutcomeUnknown),
    }
}

fn check_letters(held: &Held) -> Result<(), Flaw> {
    let there = held.letters.sum();
    match held.promised {
        _ if held.outcome != "accepted" && there > 0 => Err(Flaw::LettersOfUnaccepted),
        Some(promised) if there < promised => Err(Flaw::LettersMissing),
        Some(promised) if promised < there => Err(Flaw::LettersTooMany),
        _ => Ok(()),
    }
}

fn accepted(letters: Letters) -> Standing {
    match letters {
        Letters { parked: 1.., .. } => Standing::Dead,
        Letters { queued: 1.., .. } => Standing::Waiting,
        Letters { superseded: 1.., .. } => Standing::Superseded,
        Letters { delivered: 1.., .. } => Standing::Delivered,
        _ => Standing::Done,
    }
}

/// How many are in a state, and since when the oldest of them is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Count {
    pub messages: u64,
    pub oldest: Option<Timestamp>,
}

/// A message that is in no state, or in more than one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Flawed {
    pub message: Uuid,
    pub flaw: Flaw,
}

/// What was counted as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    messages: u64,
    letters: u64,
}

impl Sums {
    fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let messages = store.message_counts()?.iter().map(|(_, n)| n).sum();
        let depths = store.outbox_depth()?;
        let letters = depths.iter().map(|it| it.queued + it.parked + it.delivered + it.superseded).sum();
        Ok(Self { messages, letters })
    }
}

/// Where all messages stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Messages that were looked at.
    pub received: u64,
    /// Their states.
    pub states: BTreeMap<Standing, Count>,
    /// How many are in no state or in more than one.
    pub flawed: u64,
    /// The first of them.
    pub flaws: Vec<Flawed>,
    /// Messages that were counted when they came and are not there.
    pub messages_missing: u64,
    /// Messages that are there and were never counted.
    pub messages_uncounted: u64,
    /// Letters of no message: so many were counted besides those of the messages …
    pub letters_astray: u64,
    /// … and these are there.
    pub letters: Vec<i64>,
    #[serde(skip)]
    letters_seen: u64,
}

impl Ledger {
    /// Is every message in exactly one state, and none gone?
    pub fn is_balanced(&self) -> bool {
        [self.flawed, self.messages_missing, self.messages_uncounted, self.letters_astray] == [0; 4]
    }

    /// How many are in a state.
    pub fn count(&self, standing: Standing) -> u64 {
        self.states.get(&standing).map_or(0, |count| count.messages)
    }

    /// Takes a message in.
    pub fn add(&mut self, held: &Held) {
        self.received += 1;
        self.letters_seen += held.letters.sum();
        match standing(held) {
            Ok(standing) => {
                let count = self.states.entry(standing).or_default();
                count.messages += 1;
                // Ids sort by arrival.
                if count.oldest.is_none() {
                    count.oldest = arrival(held.id);
                }
            }
            Err(flaw) => {
                self.flawed += 1;
                if self.flaws.len() < NAMED_MAX {
                    self.flaws.push(Flawed { message: held.id, flaw });
                }
            }
        }
    }

    /// What was counted before the look is there, and what is there was counted by its end.
    fn compare(&mut self, before: Sums, after: Sums) {
        self.messages_missing = before.messages.saturating_sub(self.received);
        self.messages_uncounted = self.received.saturating_sub(after.messages);
        self.letters_astray = before.letters.saturating_sub(self.letters_seen);
    }
}

/// When a message of this id came.
fn arrival(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
}

/// What every fault test prints: `received 10 = delivered 7 + refused 1 + dead 0 + waiting 1 + repeats 1`.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Standing::*;
        let sum = |of: &[Standing]| of.iter().map(|it| self.count(*it)).sum::<u64>();
        write!(
            f,
            "received {} = delivered {} + refused {} + dead {} + waiting {} + repeats {}",
            self.received,
            sum(&[Done, Delivered, Superseded]),
            sum(&[Refused, Decided]),
            sum(&[Dead, Held]),
            sum(&[Waiting]),
            sum(&[Repeat])
        )?;
        if !self.is_balanced() {
            write!(
                f,
                "; in no state or in two {}, messages gone {}, never counted {}, letters astray {}",
                self.flawed, self.messages_missing, self.messages_uncounted, self.letters_astray
            )?;
        }
        Ok(())
    }
}

/// Goes through a store, a page at a time, again and again.
#[derive(Debug, Default)]
pub struct Auditor {
    after: Option<Uuid>,
    before: Sums,
    ledger: Ledger,
}

impl Auditor {
    /// Looks at the next page of so many messages; at the end of the journal answers what was found on the way, and
    /// begins anew.
    pub fn step(&mut self, store: &dyn Store, limit: usize) -> Result<Option<Ledger>, StoreError> {
        if self.after.is_none() {
            (self.before, self.ledger) = (Sums::of(store)?, Ledger::default());
        }
        let page = store.ledger_page(self.after, limit)?;
        page.iter().for_each(|held| self.ledger.add(held));
        match page.last() {
            // Some may have come in between while it was read.
            Some(last) if limit <= page.len() => self.after = Some(last.id),
            _ => {
                self.after = None;
                let mut ledger = std::mem::take(&mut self.ledger);
                ledger.compare(self.before, Sums::of(store)?);
                if ledger.letters_astray > 0 {
                    ledger.letters = store.ledger_letters_astray(NAMED_MAX)?;
                }
                return Ok(Some(ledger));
            }
        }
        Ok(None)
    }

    /// What was found since it last began.
    pub fn so_far(&self) -> &Ledger {
        &self.ledger
    }
}

/// Looks at everything once. `progress` is told how many messages were looked at.
pub fn audit(store: &dyn Store, mut progress: impl FnMut(u64)) -> Result<Ledger, StoreError> {
    let mut auditor = Auditor::default();
    loop {
        if let Some(ledger) = auditor.step(store, PAGE_LEN)? {
            return Ok(ledger);
        }
        progress(auditor.so_far().received);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(outcome: &str, promised: u64, letters: Letters, feed: Option<&str>) -> Held {
        Held {
            id: Uuid::now_v7(),
            outcome: outcome.to_owned(),
            promised: Some(promised),
            letters,
            first_is_there: true,
            feed: feed.map(str::to_owned),
        }
    }

    #[test]
    fn whatever_is_held_of_a_message_it_is_in_one_state_or_its_flaw_is_named() {
        let none = Letters::default();
        let (queued, parked) = (Letters { queued: 1, delivered: 1, ..none }, Letters { parked: 1, queued: 1, ..none });
        let (delivered, given_up) = (Letters { delivered: 2, ..none }, Letters { delivered: 1, superseded: 1, ..none });
        for (found, expected) in [
            (held("accepted", 0, none, None), Ok(Standing::Done)),
            (held("accepted", 2, queued, Some("applied")), Ok(Standing::Waiting)),
            (held("accepted", 2, parked, None), Ok(Standing::Dead)),
            (held("accepted", 2, delivered, Some("stale")), Ok(Standing::Delivered)),
            (held("accepted", 2, given_up, None), Ok(Standing::Superseded)),
            (held("refused", 0, none, None), Ok(Standing::Refused)),
            (held("refused", 0, none, Some("quarantined")), Ok(Standing::Held)),
            (held("refused", 0, none, Some("skipped")), Ok(Standing::Decided)),
            (held("repeated", 0, none, Some("duplicate")), Ok(Standing::Repeat)),
            (held("accepted", 3, delivered, None), Err(Flaw::LettersMissing)),
            (held("accepted", 1, delivered, None), Err(Flaw::LettersTooMany)),
            (held("refused", 2, delivered, None), Err(Flaw::LettersOfUnaccepted)),
            (held("accepted", 0, none, Some("quarantined")), Err(Flaw::FeedContradicts)),
            (held("refused", 0, none, Some("applied")), Err(Flaw::FeedContradicts)),
            (held("duplicate", 0, none, Some("applied")), Err(Flaw::FeedContradicts)),
            (held("forgotten", 0, none, None), Err(Flaw::OutcomeUnknown)),
            (Held { first_is_there: false, ..held("duplicate", 0, none, None) }, Err(Flaw::FirstMissing)),
            (Held { promised: None, ..held("accepted", 0, delivered, None) }, Ok(Standing::Delivered)),
        ] {
            assert_eq!(standing(&found), expected, "{found:?}");
        }
    }

    #[test]
    fn the_sum_names_every_state() {
        let mut ledger = Ledger::default();
        let none = Letters::default();
        let feeds = [("accepted", None), ("refused", None), ("refused", Some("quarantined")), ("repeated", None)];
        feeds.iter().for_each(|(outcome, feed)| ledger.add(&held(outcome, 0, none, *feed)));
        ledger.add(&held("accepted", 1, Letters { queued: 1, ..none }, None));
        assert_eq!(ledger.to_string(), "received 5 = delivered 1 + refused 1 + dead 1 + waiting 1 + repeats 1");
        assert!(ledger.is_balanced());
        assert_eq!(ledger.states.values().map(|count| count.messages).sum::<u64>(), 5);
        assert!(ledger.states.values().all(|count| count.oldest.is_some()));
        ledger.add(&held("accepted", 1, none, None));
        assert!(!ledger.is_balanced());
    }
}
