//! Integration tests.

mod outbox;
