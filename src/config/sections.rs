//! The small sections: what kind of place this is, the database, status, logs, retention.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What kind of place this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Test data only: live NHS numbers are refused, some content rules only warn.
    #[default]
    Sandbox,
    /// Real patients: test NHS numbers are refused, nothing is tolerated.
    Production,
}

impl Environment {
    /// Is this the test environment?
    pub fn is_sandbox(self) -> bool {
        self == Self::Sandbox
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The database file. It is made where there is none; its folder must exist.
    pub path: PathBuf,
    /// A PostgreSQL database instead of the file, which several gateways may share:
    /// `postgres://onward@db.example.nhs.uk/onward`. Without a password; with several hosts the one that writes is used.
    pub url: Option<String>,
    /// File that holds the password of the database's user, and nothing else.
    pub password_file: Option<PathBuf>,
    /// Authorities that the database server's certificate is issued by (PEM). With it the connection is encrypted.
    pub ca: Option<PathBuf>,
    /// Connections to the database that write. More than a few make each batch smaller.
    pub writers: usize,
    /// Submissions that may wait for the writer; beyond that callers are told to come back later.
    pub queue_max: usize,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: "onward.db".into(), url: None, password_file: None, ca: None, writers: 2, queue_max: 1024 }
    }
}

impl Store {
    /// The store in a few words: the file, or the database without anything that is secret.
    pub fn place(&self) -> String {
        let Some(url) = &self.url else { return self.path.display().to_string() };
        let address = url.split_once('@').map_or(url.as_str(), |(_, address)| address);
        format!("PostgreSQL {}", address.split('?').next().unwrap_or_default())
    }
}

/// `[status]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// Address of the status listener: plain HTTP, for the operator's network only.
    pub listen: SocketAddr,
    /// How often expensive figures are refreshed, in milliseconds.
    pub sample_interval_ms: u64,
    /// How long a source may take before it counts as failed, in milliseconds.
    pub sample_timeout_ms: u64,
    /// From this age of the oldest undelivered message on the state is `warn`, in seconds.
    pub undelivered_warn_s: u64,
    /// From this age of the oldest undelivered message on the state is `fail`, in seconds.
    pub undelivered_fail_s: u64,
    /// With fewer days than this left on a certificate the state is `warn`.
    pub certificate_warn_days: i64,
    /// With fewer days than this left on a certificate the state is `fail`.
    pub certificate_fail_days: i64,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            sample_interval_ms: 1_000,
            sample_timeout_ms: 2_000,
            undelivered_warn_s: 300,
            undelivered_fail_s: 3_600,
            certificate_warn_days: 30,
            certificate_fail_days: 7,
        }
    }
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,onward::outbox=debug`.
    pub level: String,
    /// `json` or `text`. Not set: text where standard error is a terminal, JSON elsewhere.
    pub format: Option<LogFormat>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: None }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For eyes.
    Text,
}

/// `[retention]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days for which the bytes of messages are kept; 0, the only value so far: for ever.
    pub messages_days: u32,
}

/// `[index]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Index {
    /// So many new records of patients without a proven NHS number may come by one channel of HL7 v2 in an hour, or
    /// three times what is usual at that hour. What would make more is held until a person has decided the entry of the
    /// worklist. 0: any number. Not set: 20 in production, any number in a sandbox, which is filled with such patients.
    pub unproven_per_hour: Option<u32>,
    /// Weights by which people are compared, as `onward match train` writes them from the operator's own data. Not set:
    /// those that are shipped, which are for the whole country. All gateways on one database must have the same.
    pub weights: Option<PathBuf>,
}

impl Index {
    /// The limit in this environment; 0: none.
    pub fn unproven_limit(&self, environment: Environment) -> u32 {
        self.unproven_per_hour.unwrap_or(if environment.is_sandbox() { 0 } else { 20 })
    }
}
