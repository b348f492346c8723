//! Integration tests.

mod mllp;
mod mllps;
mod outbox;
mod python_hl7;
