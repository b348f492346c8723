//! `onward demo`: the main job on one machine. Certificates, a database, a small world, a gateway and a
//! hospital's PAS; one referral and one booking go through, told station by station; then it serves on.

mod walk;
mod world;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::serve::stop_asked;
use super::{CallerFault, print, say};
use crate::app::{self, App};
use crate::bars::diary;
use crate::booking::identifier::ServiceId;
use crate::config::Config;
use crate::pas::simulator::{self, Simulator};
use crate::store::SlotQuery;
use crate::tls::authority::{self, Pki};
use world::Addresses;

/// What `onward demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where everything is kept; an existing one is taken up again. Not given: a temporary one.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Where the API listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub https: SocketAddr,
    /// Where HL7 v2 is listened for.
    #[arg(long, default_value = "127.0.0.1:2575")]
    pub mllp: SocketAddr,
    /// Where the status page is.
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub status: SocketAddr,
    /// Deliver to the PAS at HOST:PORT instead of the built-in one.
    #[arg(long, value_name = "HOST:PORT")]
    pub pas: Option<String>,
    /// Exit after the walk-through.
    #[arg(long)]
    pub once: bool,
}

impl DemoArgs {
    /// Runs it; answers the exit code.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let pas = self.pas.as_deref().map(host_and_port).transpose()?;
        for address in [self.https, self.mllp, self.status] {
            refuse_remote(address.ip())?;
        }
        let dir = Dir::open(self.dir.as_deref())?;
        tokio::runtime::Runtime::new()?.block_on(self.demonstrate(&dir, pas, json))
    }

    async fn demonstrate(&self, dir: &Dir, pas: Option<(String, u16)>, json: bool) -> anyhow::Result<i32> {
        let began = std::time::Instant::now();
        let pki = authority::create_development_pki(&dir.path.join("tls"), &[], world::CLIENTS, 365, Timestamp::now())
            .context("certificates could not be made")?;
        let simulator = match &pas {
            Some(_) => None,
            None => Some(Simulator::start((Ipv4Addr::LOCALHOST, 0).into(), simulator::Options::default()).await?),
        };
        let local = |simulator: &Simulator| (simulator.addr.ip().to_string(), simulator.addr.port());
        let pas = pas.or(simulator.as_ref().map(local)).context("there is no PAS")?;
        let addresses = Addresses { https: self.https, status: self.status, mllp: self.mllp, pas };
        let config = world::config(&dir.path, &pki, &addresses);
        app::install_telemetry(&quiet(&config))?;
        keep(&dir.path.join("onward.toml"), &config)?;
        let app = App::start(config).await?;
        publish_diary(&app).await?;
        if json {
            print(&format!("{}\n", ready(&app, &pki, &dir.path)))?;
        }
        let walked = self.walk(&app, &pki, simulator.as_ref(), json, began).await;
        if self.once || walked.is_err() {
            app.stop().await;
            return walked;
        }
        stop_asked().await?;
        say("stopping");
        app.stop().await;
        Ok(0)
    }

    /// Machines get the ready line only, and can start at once: no message is sent that they did not send.
    async fn walk(
        &self,
        app: &App,
        pki: &Pki,
        simulator: Option<&Simulator>,
        json: bool,
        began: std::time::Instant,
    ) -> anyhow::Result<i32> {
        if json && !self.once {
            return Ok(0);
        }
        let told = walk::through(app, pki, simulator, began).await?;
        if json {
            say(&told)
        } else {
            print(&told)?
        }
        Ok(0)
    }
}

/// A folder that is kept, or one that goes when the demo ends.
struct Dir {
    path: PathBuf,
    temporary: bool,
}

impl Dir {
    fn open(given: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = given.is_none();
        let name = format!("onward-demo-{}", uuid::Uuid::now_v7().simple());
        let path = given.map_or_else(|| std::env::temp_dir().join(name), Path::to_path_buf);
        make_private(&path).with_context(|| format!("{} could not be made", path.display()))?;
        Ok(Self { path: std::path::absolute(path)?, temporary })
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed is left to the system's own sweep of temporary files.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn refuse_remote(address: IpAddr) -> anyhow::Result<()> {
    if address.is_loopback() {
        return Ok(());
    }
    let text = format!("{address} can be reached from outside; the demo's data and keys are for this machine only");
    Err(CallerFault(text).into())
}

fn host_and_port(text: &str) -> anyhow::Result<(String, u16)> {
    let fault = || CallerFault(format!("--pas takes HOST:PORT, not {text}"));
    let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address =
        if host == "localhost" { IpAddr::from(Ipv4Addr::LOCALHOST) } else { host.parse().map_err(|_| fault())? };
    refuse_remote(address)?;
    Ok((host.to_owned(), port.parse().map_err(|_| fault())?))
}

/// The demo talks for itself; its log says what went wrong.
fn quiet(config: &Config) -> Config {
    let mut config = config.clone();
    config.log.level = std::env::var("ONWARD_LOG").unwrap_or_else(|_| "warn".into());
    config
}

/// The configuration as a file, so that every other command finds its way: `--dir` or `--config`.
fn keep(path: &Path, config: &Config) -> anyhow::Result<()> {
    let text = format!("# Made by `onward demo`; made again at every start.\n{}", config.show());
    std::fs::write(path, text).with_context(|| format!("{} could not be written", path.display()))
}

/// A diary from tomorrow on, unless there is time on offer already.
async fn publish_diary(app: &App) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let query = SlotQuery {
        service: ServiceId(world::SERVICE.into()),
        from: now,
        to: Timestamp::MAX,
        statuses: vec![crate::booking::slot::SlotStatus::Free],
        limit: 100,
    };
    if app.store.slot_search(&query)?.len() == 100 {
        return Ok(());
    }
    let known = |id: &ServiceId| app.store.service_find(id).ok().flatten();
    let context = diary::Context { service: None, organisation: None, destination: None, known: &known };
    let (publish, issues) = diary::read_with(&world::diary(now), &context);
    anyhow::ensure!(!issues.has_errors(), "the demo's own diary is wrong");
    Ok(app::publish_diary(app.store.as_ref(), publish).await?)
}

/// One line for whoever started the demo from a program.
fn ready(app: &App, pki: &Pki, dir: &Path) -> serde_json::Value {
    let clients: serde_json::Map<_, _> =
        world::CLIENTS.iter().zip(&pki.clients).map(|(name, pair)| ((*name).to_owned(), json!(pair))).collect();
    json!({
        "ready": true,
        "https": app.base,
        "status": format!("http://{}", app.status),
        "mllp": app.mllp.first().map(|(_, address)| address.to_string()),
        "ca": pki.ca.cert,
        "clients": clients,
        "dir": dir,
        "config": dir.join("onward.toml"),
    })
}

/// The client that the walk-through is.
fn client_tls(pki: &Pki) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    let pair = pki.clients.first().context("no client certificate was made")?;
    let settings =
        crate::tls::ClientTls { ca: pki.ca.cert.clone(), cert: Some(pair.cert.clone()), key: Some(pair.key.clone()) };
    Ok(crate::tls::client::client_config(&settings, Timestamp::now())?)
}
