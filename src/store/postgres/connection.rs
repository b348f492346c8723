//! Connecting: to the right server, with the settings that durability needs, and not for ever.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::drive::Drive;
use super::session::Link;
use super::{Options, TlsConfig};
use crate::store::sql::fault::Fault;
use crate::store::sql::session::{Session, text};

/// How long a server may take to answer a new connection.
const CONNECT: Duration = Duration::from_secs(5);
/// After so long without a word from the other side it is asked whether it is still there, and given up soon.
const SILENCE: Duration = Duration::from_secs(10);
/// Older ones lack what is relied on here.
const SERVER_VERSION_MIN: i64 = 15_00_00;

/// For whoever writes. A transaction whose gateway is stopped or cut off ends after a while, so that it does not hold
/// up the others for ever.
const FOR_WRITING: &str = "SET default_transaction_isolation = 'read committed';
    SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '30s'";
const FOR_READING: &str = "SET default_transaction_read_only = on; SET statement_timeout = '30s'";

/// How to reach the server.
#[derive(Clone)]
pub(super) struct Server {
    config: Config,
    tls: Option<TlsConfig>,
    sandbox: bool,
    /// Where connections live that no thread has for its own.
    shared: Handle,
}

impl Server {
    /// The server of the options. Its password is in nothing that is printed.
    pub(super) fn new(options: &Options, shared: Handle) -> Result<Self, Fault> {
        let mut config: Config =
            options.url.parse().map_err(|_| Fault::Broken("the URL of the store is none of PostgreSQL's"))?;
        if let Some(password) = &options.password {
            config.password(secrecy::ExposeSecret::expose_secret(password));
        }
        if config.get_ssl_mode() == SslMode::Require && options.tls.is_none() {
            return Err(Fault::Broken("the URL of the store asks for TLS, and no authority to trust is configured"));
        }
        config.connect_timeout(CONNECT).keepalives_idle(SILENCE).tcp_user_timeout(SILENCE * 3);
        if options.tls.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        // Of several hosts the one that writes, also for reading: a standby may be behind.
        config.application_name("onward").target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, tls: options.tls.clone(), sandbox: options.rules.sandbox, shared })
    }

    /// A connection that writes.
    pub(super) fn writer(&self, lane: i64) -> Result<Link, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let link = self.connect(Drive::Own(runtime), lane)?;
        link.batch(FOR_WRITING)?;
        // Half the work for the server; it may have been built without.
        let _ = link.batch("SET default_toast_compression = 'lz4'");
        Ok(link)
    }

    /// A connection that reads.
    pub(super) fn reader(&self) -> Result<Link, Fault> {
        let link = self.connect(Drive::Shared, 0)?;
        link.batch(FOR_READING)?;
        Ok(link)
    }

    /// A connection that takes letters. A lease need not survive a crash of the server, so nobody waits for the disk.
    pub(super) fn lessor(&self) -> Result<Link, Fault> {
        let link = self.connect(Drive::Shared, 0)?;
        link.batch(FOR_WRITING)?;
        link.batch("SET synchronous_commit = off; SET statement_timeout = '30s'")?;
        Ok(link)
    }

    fn connect(&self, drive: Drive, lane: i64) -> Result<Link, Fault> {
        let home = drive.home(&self.shared);
        let client = drive.wait(async {
            let _home = home.enter();
            match &self.tls {
                Some(tls) => {
                    let tls = MakeRustlsConnect::new((**tls).clone());
                    let (client, connection) = on(&home, self.config.clone(), tls).await?;
                    home.spawn(connection);
                    Ok::<_, Fault>(client)
                }
                None => {
                    let (client, connection) = on(&home, self.config.clone(), NoTls).await?;
                    home.spawn(connection);
                    Ok(client)
                }
            }
        })?;
        Ok(Link::new(client, drive, lane))
    }

    /// What durability and the invariants rest on is asked for, not assumed.
    pub(super) fn check_promises(&self, link: &Link) -> Result<(), Fault> {
        let session: &dyn Session = link;
        let shown = |name: &str| -> Result<String, Fault> {
            Ok(session.one(&format!("SHOW {name}"), &[], text)?.unwrap_or_default())
        };
        let version = shown("server_version_num")?;
        if version.parse::<i64>().is_ok_and(|version| version < SERVER_VERSION_MIN) {
            return Err(Fault::Broken("the PostgreSQL server is older than version 15"));
        }
        for (setting, complaint) in [
            ("synchronous_commit", "PostgreSQL has synchronous_commit = off: what is answered could be lost"),
            ("fsync", "PostgreSQL has fsync = off: what is answered could be lost"),
            ("full_page_writes", "PostgreSQL has full_page_writes = off: a power cut could spoil the database"),
        ] {
            if shown(setting)? == "off" {
                self.complain(complaint)?;
            }
        }
        Ok(())
    }

    /// Test data may be lost.
    fn complain(&self, complaint: &'static str) -> Result<(), Fault> {
        if !self.sandbox {
            return Err(Fault::Broken(complaint));
        }
        tracing::warn!(failure = complaint, "this store is fit for test data only");
        Ok(())
    }
}

type Running = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Connects on the runtime on which the connection will live.
async fn on<T>(home: &Handle, config: Config, tls: T) -> Result<(tokio_postgres::Client, Running), Fault>
where
    T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket> + Send + 'static,
    T::Stream: Send,
    T::TlsConnect: Send,
    <T::TlsConnect as tokio_postgres::tls::TlsConnect<tokio_postgres::Socket>>::Future: Send,
{
    let connected = home.spawn(async move { config.connect(tls).await }).await;
    let (client, connection) = connected.map_err(|_| Fault::Broken("connecting ended in a panic"))??;
    // What ends a connection is told by the statements that meet its end.
    let running = async move { drop(connection.await) };
    Ok((client, Box::pin(running)))
}
