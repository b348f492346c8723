//! Integration tests.

mod structure;
