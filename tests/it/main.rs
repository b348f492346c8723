//! Everything that is tested from outside of the library: one binary, one module per subject.

mod bad_input;
mod bars_examples;
mod canary;
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
mod necessity;
mod outbox;
mod packages;
mod python_hl7;
mod race;
mod shipped;
mod snapshots;
mod status;
mod structure;
mod tidy;
mod tls;
mod xml;
mod xml_examples;
