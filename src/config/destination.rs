//! `[[destination]]`: other systems that messages are delivered to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[[destination]]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Destination {
    /// Its name, for services to refer to and in the outbox.
    pub name: String,
    /// How it is spoken to.
    pub kind: DestinationKind,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS; without it the connection is in clear, for a private network only.
    pub tls: Option<ClientTls>,
    /// `bars`: the path before `/$process-message`.
    pub path: String,
    /// `bars`: the addresses of the referrers that are told here, as they give them in
    /// `MessageHeader.source.endpoint`: `https://fhir.nhs.uk/Id/dos-service-id|…` of a system,
    /// `https://fhir.nhs.uk/Id/ods-organization-code|…` of an organisation.
    pub addresses: Vec<String>,
    /// Connections at a time. One message is in flight on each; those about one patient keep their order.
    pub connections: usize,
    /// Longest time for a connection to come about, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest wait for an acknowledgement or an answer, in milliseconds.
    pub ack_timeout_ms: u64,
    /// First pause after a failed attempt, in milliseconds; it doubles with every further one.
    pub backoff_min_ms: u64,
    /// Longest pause, in milliseconds.
    pub backoff_max_ms: u64,
    /// `mllp`: what becomes of a message that is answered with AE or CE. `park`: a person looks, and what is later about
    /// the same patient waits. `skip`: it is never sent again, which is kept, and what is later goes on. `retry`: as with
    /// AR.
    pub on_ae: OnRefusal,
    /// The same for AR and CR.
    pub on_ar: OnRefusal,
    /// How often a message that is answered so, and is to be sent again, is sent before a person must look.
    pub ar_attempts_max: u32,
    /// Shortest time from one message to the next, in milliseconds, over all connections.
    pub gap_min_ms: u64,
    /// When messages are sent, such as `mon-fri 07:00-19:00` and `sat 22:00-06:00` (local time in the United Kingdom);
    /// none: always. What is under way when a window closes is finished.
    pub windows: Vec<String>,
    /// How the messages are to look (version, applications, facilities, time zone …); read by `pas`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub channel: toml::Table,
}

impl Default for Destination {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: DestinationKind::Mllp,
            host: String::new(),
            port: 0,
            path: String::new(),
            addresses: Vec::new(),
            tls: None,
            connections: 1,
            connect_timeout_ms: 5_000,
            ack_timeout_ms: 30_000,
            backoff_min_ms: 1_000,
            backoff_max_ms: 300_000,
            on_ae: OnRefusal::Park,
            on_ar: OnRefusal::Retry,
            ar_attempts_max: 10,
            gap_min_ms: 0,
            windows: Vec::new(),
            channel: toml::Table::new(),
        }
    }
}

/// What becomes of a message that the other side does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRefusal {
    /// A person looks; later ones of the same patient wait.
    Park,
    /// It is never sent again; later ones go on.
    Skip,
    /// It is sent again, later and later, and then parked.
    Retry,
}

/// How a destination is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DestinationKind {
    /// HL7 v2 over MLLP.
    #[default]
    Mllp,
    /// BaRS messages over HTTPS: a referrer, or the proxy that leads to it.
    Bars,
}

/// `[destination.tls]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// Authorities that the other side's certificate is checked against, PEM.
    pub ca: PathBuf,
    /// Certificate chain to show, PEM, leaf first.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// The name that the other side's certificate must be for; not set: `host`.
    pub server_name: Option<String>,
}
