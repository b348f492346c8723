//! Integration tests.

mod mllp;
mod mllps;
mod outbox;
