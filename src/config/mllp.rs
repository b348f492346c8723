//! `[[mllp]]`: listeners for HL7 v2 messages from hospital systems.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[[mllp]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mllp {
    /// Name of the channel, in logs and in the journal.
    pub name: String,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// TLS; without it the channel is in clear, for a private network only.
    pub tls: Option<ServerTls>,
    /// Addresses that may connect; empty: any.
    pub peers: Vec<std::net::IpAddr>,
    /// Registered systems that may speak on this channel, by the certificates that they show; empty: whoever the
    /// authorities of `tls.client_ca` vouch for.
    pub systems: Vec<String>,
    /// The organisation that speaks on this channel (ODS code); empty: not known.
    pub organisation: String,
    /// Largest message, in bytes.
    pub message_bytes_max: usize,
    /// Most connections at a time.
    pub connections_max: usize,
    /// Longest TLS handshake, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Longest time from the first to the last byte of a message, in milliseconds.
    pub message_timeout_ms: u64,
    /// A connection without a byte for this long is closed, in milliseconds; 0: never.
    pub idle_timeout_ms: u64,
    /// Say with a commit block that a message is safe, before it is acknowledged (MLLP release 2).
    pub commit_blocks: bool,
    /// How the other side's HL7 differs; read by `pas`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub channel: toml::Table,
}

impl Default for Mllp {
    fn default() -> Self {
        Self {
            name: String::new(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 2575)),
            tls: None,
            peers: Vec::new(),
            systems: Vec::new(),
            organisation: String::new(),
            message_bytes_max: 5 << 20,
            connections_max: 64,
            handshake_timeout_ms: 5_000,
            message_timeout_ms: 30_000,
            idle_timeout_ms: 0,
            commit_blocks: false,
            channel: toml::Table::new(),
        }
    }
}

/// `[mllp.tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities whose client certificates are required, PEM; not set: none is asked for.
    pub client_ca: Option<PathBuf>,
}
