//! Integration tests.

mod mllp;
mod outbox;
