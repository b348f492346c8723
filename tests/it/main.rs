//! Everything that is tested from outside of the library: one binary, one module per subject.

mod bars_examples;
mod certificates;
mod cli;
mod conformance;
mod crash;
mod docs;
mod faults;
mod gateway;
mod load;
mod mllp;
mod mllps;
mod outbox;
mod python_hl7;
mod race;
mod status;
mod structure;
mod tidy;
mod tls;
