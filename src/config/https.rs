//! `[https]`: the API's listener, its certificates and its limits.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[https]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Https {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The name by which clients reach this gateway; its certificate must be for it.
    pub host: String,
    /// Certificate chain, PEM, leaf first.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities whose client certificates are accepted, PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
    /// Revocation lists of those authorities, PEM.
    pub crl: Option<PathBuf>,
    /// Threads that serve requests; 0: one per processor.
    pub workers: usize,
    /// Largest body as it comes over the wire, in bytes.
    pub body_bytes_max: usize,
    /// Largest body after decompression, in bytes.
    pub inflated_bytes_max: usize,
    /// Deepest nesting of JSON that is read.
    pub json_depth_max: usize,
    /// Most entries that a Bundle may have.
    pub entries_max: usize,
    /// Largest head of a request (request line and headers), in bytes.
    pub header_bytes_max: usize,
    /// Most connections at a time, over all workers.
    pub connections_max: usize,
    /// Longest TLS handshake, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Longest time for a request to arrive, in milliseconds.
    pub request_timeout_ms: u64,
    /// Longest time until a message is answered, in milliseconds; BaRS asks for less than 5,000.
    pub answer_timeout_ms: u64,
    /// How long an idle connection is kept, in milliseconds.
    pub keep_alive_ms: u64,
    /// Requests per second and client system; 0: no limit.
    pub rate_per_second: u32,
    /// Most messages that are worked on at a time; others wait, and the systems take turns.
    pub work_max: usize,
    /// Most messages of one system that wait for that; what comes beyond is refused at once, to be sent again later.
    pub waiting_max: usize,
    /// Longest period that a search for slots may ask for, in days.
    pub slot_range_days_max: u32,
}

impl Default for Https {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)),
            host: "localhost".into(),
            cert: "tls/server.pem".into(),
            key: "tls/server-key.pem".into(),
            client_ca: None,
            client_auth: ClientAuth::Required,
            crl: None,
            workers: 0,
            body_bytes_max: 5 << 20,
            inflated_bytes_max: 20 << 20,
            json_depth_max: 64,
            entries_max: 1_000,
            header_bytes_max: 64 << 10,
            connections_max: 2_000,
            handshake_timeout_ms: 5_000,
            request_timeout_ms: 10_000,
            answer_timeout_ms: 4_500,
            keep_alive_ms: 75_000,
            rate_per_second: 0,
            work_max: 64,
            waiting_max: 256,
            slot_range_days_max: 93,
        }
    }
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// None is asked for. For experiments only.
    Off,
    /// Asked for, and checked where shown.
    Optional,
    /// No certificate, no connection.
    #[default]
    Required,
}
