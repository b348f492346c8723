//! Integration tests: everything over real sockets and files.

mod load;
mod tls;
