//! The rules of the field.

use jiff::Timestamp;

use super::command::Command;
use super::decision::{Decision, Refusal, State};

/// What follows from a command.
pub fn decide(_command: &Command, _state: &State, _now: Timestamp) -> Result<Decision, Refusal> {
    unimplemented!()
}
