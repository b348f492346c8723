//! What people decide about records and the worklist: through the same door as every message, and in the same journal.

use jiff::Timestamp;
use uuid::Uuid;

use crate::booking::command;
use crate::booking::decision::{Decision, Refusal};
use crate::booking::index::{Command, Decider, Wish};
use crate::issue::{Issue, PERSON_DECIDED};
use crate::store::{Answer, Message, Work};

/// A decision, ready for the store. `who`: as far as it is known. The reason may say anything, so it is kept with the
/// decision and as the message's body, and told in no issue.
pub fn prepare(who: &str, reason: &str, wish: Wish, channel: &'static str) -> (Message, Work) {
    let message = Message {
        id: Uuid::now_v7(),
        received_at: Timestamp::now(),
        channel,
        caller: who.to_owned(),
        organisation: String::new(),
        kind: "index".to_owned(),
        key: None,
        correlation: String::new(),
        bundle: String::new(),
        body: reason.as_bytes().to_vec(),
        issues: vec![Issue::new(&PERSON_DECIDED, "")],
        feed: None,
    };
    let command = Command { by: Decider::Person(who.to_owned()), reason: reason.to_owned(), wish };
    let command = Box::new(command::Command::Index(Box::new(command)));
    let answer = Box::new(|_: &Result<Decision, Refusal>| Answer { status: 200, ..Answer::default() });
    (message, Work::Decide { command, answer })
}
