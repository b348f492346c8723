//! Where letters go and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::backoff::Backoff;
use crate::config::{self, DestinationKind, OnRefusal, Windows};

/// Another system that letters are delivered to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its name in the configuration and in the outbox.
    pub name: String,
    /// How it is spoken to.
    pub adapter: Adapter,
    /// Connections at a time; one letter is in flight on each.
    pub connections: usize,
    /// Pauses, both of a letter that failed and of a destination that cannot be reached.
    pub backoff: Backoff,
    /// What becomes of a letter that is answered with AE or CE.
    pub on_ae: OnRefusal,
    /// The same for AR and CR.
    pub on_ar: OnRefusal,
    /// How often a letter is answered so, and sent again, before a person must look.
    pub ar_attempts_max: u32,
    /// Shortest time from one letter to the next.
    pub gap: Duration,
    /// When letters are sent.
    pub windows: Windows,
    /// Longest time between two looks at the outbox: a person may have decided something in another process.
    pub look_interval: Duration,
    /// How long a letter in flight may take to land once the gateway is stopping.
    pub drain: Duration,
}

impl Destination {
    /// How long other gateways leave a letter alone that this one has taken: longer than any attempt lasts.
    pub fn lease(&self) -> Duration {
        const SPARE: Duration = Duration::from_secs(15);
        let peer = self.adapter.peer();
        peer.connect_timeout + peer.ack_timeout + SPARE
    }
}

/// The kinds of destination.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// HL7 v2 over MLLP, perhaps in TLS.
    Mllp(Peer),
    /// BaRS messages over HTTPS.
    Bars(Site),
}

impl Adapter {
    /// The other end.
    fn peer(&self) -> &Peer {
        match self {
            Self::Mllp(peer) => peer,
            Self::Bars(site) => &site.peer,
        }
    }
}

/// Where BaRS messages are posted to.
#[derive(Clone, Debug)]
pub struct Site {
    /// The other end.
    pub peer: Peer,
    /// The `Host` header.
    pub host: String,
    /// The path before `/$process-message`.
    pub path: String,
}

impl Site {
    /// A site at a path of a peer.
    pub fn new(peer: Peer, path: &str) -> Self {
        let host = if peer.port == 443 { peer.host.clone() } else { format!("{}:{}", peer.host, peer.port) };
        Self { peer, host, path: path.trim_end_matches('/').to_owned() }
    }
}

/// The other end of MLLP.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS; without it in clear.
    pub tls: Option<Tls>,
    /// Longest time for a connection to come about, TLS included.
    pub connect_timeout: Duration,
    /// Longest time from the first byte sent to the acknowledgement.
    pub ack_timeout: Duration,
}

/// TLS towards a peer.
#[derive(Clone)]
pub struct Tls {
    /// The name that its certificate must have.
    pub server_name: ServerName<'static>,
    /// Asked for at every connection, so that renewed certificates are used without a restart.
    pub config: Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.server_name)
    }
}

impl Destination {
    /// A destination of MLLP with the usual settings.
    pub fn mllp(name: impl Into<String>, peer: Peer) -> Self {
        Self {
            name: name.into(),
            adapter: Adapter::Mllp(peer),
            connections: 4,
            backoff: Backoff::default(),
            on_ae: OnRefusal::Park,
            on_ar: OnRefusal::Retry,
            ar_attempts_max: 5,
            gap: Duration::ZERO,
            windows: Windows::default(),
            look_interval: Duration::from_secs(1),
            drain: Duration::from_secs(10),
        }
    }

    /// The destination that the configuration describes.
    pub fn from_config(config: &config::Destination, tls: Option<Tls>) -> Self {
        let peer = Peer {
            tls,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            ack_timeout: Duration::from_millis(config.ack_timeout_ms),
            ..Peer::new(&config.host, config.port)
        };
        let adapter = match config.kind {
            DestinationKind::Mllp => Adapter::Mllp(peer.clone()),
            DestinationKind::Bars => Adapter::Bars(Site::new(peer.clone(), &config.path)),
        };
        Self {
            adapter,
            connections: config.connections.max(1),
            backoff: Backoff {
                min: Duration::from_millis(config.backoff_min_ms),
                max: Duration::from_millis(config.backoff_max_ms),
            },
            on_ae: config.on_ae,
            on_ar: config.on_ar,
            ar_attempts_max: config.ar_attempts_max,
            gap: Duration::from_millis(config.gap_min_ms),
            // What cannot be read does not pass the check before the start.
            windows: Windows::read(&config.windows).unwrap_or_default(),
            ..Self::mllp(&config.name, peer)
        }
    }
}

impl Peer {
    /// A peer in clear with the usual time-outs.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            connect_timeout: Duration::from_secs(5),
            ack_timeout: Duration::from_secs(30),
        }
    }
}
