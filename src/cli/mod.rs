//! Subcommands: one file each. What a command finds goes to stdout, what it says goes to stderr.

pub mod load;
pub mod tls;
