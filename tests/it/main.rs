//! Integration tests.

mod status;
