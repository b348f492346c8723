//! TLS: certificates that are checked before they are used, watched while they are used and explained when they fail.
//!
//! Three things go wrong with TLS between hospitals, and each has its place here. A certificate expires on a Sunday:
//! [`expiry`] tells the status page weeks before, and [`server`] and [`client`] refuse to start with one that
//! cannot work. A new certificate is put in place while messages flow: [`reload`] takes it up without dropping one,
//! and keeps the old one if the new one is bad. A handshake fails and nobody can say why: [`handshake`] says it in
//! plain words, and [`finding`] names the file.
//!
//! There is one stack (rustls) and one provider (aws-lc-rs); TLS 1.2 and 1.3 only; no switch anywhere accepts a
//! certificate that does not verify. [`authority`] issues certificates for development and for tests.

pub mod authority;
pub mod check;
pub mod client;
pub mod expiry;
pub mod finding;
pub mod handshake;
pub mod inspect;
pub mod reload;
pub mod server;
mod swap;

pub use check::{check_client, check_server};
pub use client::{ClientTls, ReloadingClient};
pub use expiry::Expiry;
pub use finding::{Finding, Kind, Level};
pub use inspect::{Facts, PeerIdentity};
pub use reload::{State, Watcher};
pub use server::{ClientAuth, ReloadingServer, ServerTls};

use rustls::crypto::aws_lc_rs;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The files are not fit for use; all reasons.
    #[error("{}", in_words(.0))]
    Refused(Vec<Finding>),
    /// The TLS stack refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl TlsError {
    /// The reasons, where they are known one by one.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Refused(findings) => findings,
            Self::Setup(_) => &[],
        }
    }
}

/// Makes aws-lc-rs the provider of the whole process. To be called once, first thing; more often does no harm.
pub fn install_provider() {
    // An error only says that there is one already.
    let _ = aws_lc_rs::default_provider().install_default();
}

fn in_words(findings: &[Finding]) -> String {
    findings.iter().filter(|finding| finding.is_error()).map(Finding::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
