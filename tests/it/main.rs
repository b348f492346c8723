//! Everything that is tested from outside of the library: one binary, one module per subject.

mod bars_examples;
mod cli;
mod docs;
mod load;
mod mllp;
mod mllps;
mod outbox;
mod python_hl7;
mod status;
mod structure;
mod tidy;
mod tls;
