//! Integration tests.

mod cli;
mod status;
