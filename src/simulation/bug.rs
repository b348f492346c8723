//! Bugs that tests plant, to see that they are found.

use jiff::Timestamp;

use crate::booking::command::Command;
use crate::booking::decide::decide;
use crate::booking::decision::{Decision, Refusal, State};
use crate::booking::slot::SlotStatus;

/// A bug that a test plants, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests plant bugs"))]
pub(super) enum Bug {
    None,
    /// The caller is told before the commit.
    AckBeforeCommit,
    /// A settlement shows no number.
    LostFence,
    /// Rules that sell a slot again; the constraints are there.
    CarelessRules,
    /// The same, and a constraint is gone.
    MissingConstraint,
    /// Any acknowledgement settles the letter that waits.
    LateAck,
    /// The ledger is not asked.
    KeyForgotten,
    /// A repeat has another control id.
    FreshControlId,
    /// Letters are given out whether or not an earlier one of their line is open.
    OrderIgnored,
    /// A gateway takes what another one is sending.
    LeaseIgnored,
    /// What was sent counts as delivered.
    SentIsDelivered,
    /// A settlement that the disk refused is forgotten.
    SettlementForgotten,
    /// A letter is not written with its message.
    LetterLost,
}

/// Rules with a hole: a slot is always free.
pub(super) fn careless(command: &Command, state: &State, now: Timestamp) -> Result<Decision, Refusal> {
    let mut state = state.clone();
    state.slot.iter_mut().for_each(|slot| slot.status = SlotStatus::Free);
    decide(command, &state, now)
}
