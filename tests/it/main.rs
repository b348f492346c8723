//! Integration tests.
mod bars_examples;
