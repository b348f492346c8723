//! What the stores have in common: the statements, written once in the SQL that both databases understand, and the way
//! of a piece of work through them.
//!
//! * `submission` runs one message from the ledger to its answer; `act`, `state`, `apply`, `diary`, `feed`, `index`, `journal`
//!   and `outbox` are its statements; `lease` shares letters out
//!   among gateways; `people`, `search` and `ledger` serve reads. All run on a `session`.
//! * `job` is a piece of work with who waits for it, `queue` the bounded line of them; `pulse` tells how whoever does
//!   them is. An `engine` with these is a store.

pub(super) mod act;
pub(super) mod apply;
pub(super) mod column;
pub(super) mod diary;
pub(super) mod engine;
pub(super) mod fault;
pub(super) mod feed;
pub(super) mod index;
pub(super) mod job;
pub(super) mod journal;
pub(super) mod lease;
pub(super) mod ledger;
pub(super) mod number;
pub(super) mod outbox;
pub(super) mod people;
pub(super) mod pulse;
pub(super) mod queue;
pub(super) mod search;
pub(super) mod session;
pub(super) mod state;
pub(super) mod submission;
pub(super) mod tally;
pub(super) mod twins;
#[cfg(test)]
pub(super) mod walks;
