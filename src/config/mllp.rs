//! `[[mllp]]`: listeners for HL7 v2 messages from hospital systems.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
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
    /// Most connections of one address at a time.
    pub source_connections_max: usize,
    /// Longest TLS handshake, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// Longest time from the first to the last byte of a message, in milliseconds.
    pub message_timeout_ms: u64,
    /// A connection without a byte for this long is closed, in milliseconds; 0: never.
    pub idle_timeout_ms: u64,
    /// Longest silence between `busy_from_hour` and `busy_until_hour` from Monday to Friday, in minutes; after it the
    /// state is `fail`. 0: silence is no alarm.
    pub silence_max_minutes: u64,
    /// From this hour on something is to be heard of a channel (0 to 23, local time in the United Kingdom) …
    pub busy_from_hour: i8,
    /// … until this one (1 to 24).
    pub busy_until_hour: i8,
    /// A load of many messages that are not urgent, such as a first load or a copy of everything: they are taken one at a
    /// time over all connections, so that they hold up no other channel.
    pub bulk: bool,
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
            source_connections_max: 8,
            handshake_timeout_ms: 5_000,
            message_timeout_ms: 30_000,
            idle_timeout_ms: 0,
            silence_max_minutes: 0,
            busy_from_hour: 8,
            busy_until_hour: 18,
            bulk: false,
            commit_blocks: false,
            channel: toml::Table::new(),
        }
    }
}

impl Mllp {
    /// Has it been silent for too long? `heard`: when something came last. Nobody is missed at night or at a weekend.
    pub fn is_silent(&self, heard: Timestamp, now: Timestamp) -> bool {
        let local = now.to_zoned(TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC));
        let working_day = !matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
        let busy = working_day && (self.busy_from_hour..self.busy_until_hour).contains(&local.hour());
        let opened = local.with().hour(self.busy_from_hour).minute(0).second(0).subsec_nanosecond(0).build();
        let since = opened.map_or(heard, |opened| opened.timestamp().max(heard));
        let minutes = i64::try_from(self.silence_max_minutes).unwrap_or(i64::MAX);
        let longest = SignedDuration::from_mins(minutes.min(i64::MAX / 60));
        busy && self.silence_max_minutes != 0 && longest < now.duration_since(since)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_missed_in_working_hours_only() {
        let watched = Mllp { silence_max_minutes: 30, ..Mllp::default() };
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let silent = |heard: &str, now: &str| watched.is_silent(at(heard), at(now));
        // A Monday in March; London is at UTC.
        assert!(silent("2026-03-02T09:00:00Z", "2026-03-02T09:31:00Z"));
        assert!(!silent("2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z"));
        // Nothing came since Friday: it is missed half an hour after the day has begun.
        assert!(!silent("2026-02-27T17:00:00Z", "2026-03-02T08:30:00Z"));
        assert!(silent("2026-02-27T17:00:00Z", "2026-03-02T08:31:00Z"));
        // At night, at a weekend and after the last hour nobody is missed.
        for now in ["2026-03-02T07:59:59Z", "2026-03-02T18:00:00Z", "2026-03-01T12:00:00Z"] {
            assert!(!silent("2026-02-01T00:00:00Z", now), "{now}");
        }
        // In summer the day begins an hour earlier by UTC.
        assert!(silent("2026-06-01T00:00:00Z", "2026-06-01T07:31:00Z"));
        let never = Mllp { silence_max_minutes: u64::MAX, ..Mllp::default() };
        assert!(!never.is_silent(at("1970-01-01T00:00:00Z"), at("2026-03-02T09:00:00Z")));
        assert!(!Mllp::default().is_silent(at("2026-01-01T00:00:00Z"), at("2026-03-02T09:00:00Z")));
    }
}
