//! Everything that is tested from outside of the library: one binary, one module per subject.

mod bars_examples;
mod cli;
mod status;
mod tls;
