//! `onward load`: puts a load on a gateway on this machine, and measures.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use hyper::Uri;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::load::client::Client;
use crate::load::{Feed, Kind, Mix, Mode, Plan, Report, Sender, run};
use crate::outbox::destination::{Peer, Tls};
use crate::tls::ClientTls;
use crate::tls::client::client_config;

const API: &str = "/FHIR/R4";

/// Put a load of synthetic messages on a gateway on this machine.
#[derive(Debug, Args)]
pub struct LoadCommand {
    /// The gateway's address; it must be one of this machine.
    #[arg(long, default_value = "https://127.0.0.1:8443/FHIR/R4")]
    pub target: String,
    /// Client certificate.
    #[arg(long, requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, requires = "cert")]
    pub key: Option<PathBuf>,
    /// Authority of the gateway's certificate.
    #[arg(long)]
    pub ca: PathBuf,
    /// Kinds of request and their weights.
    #[arg(long, default_value = "referral=8,booking=1,read=10")]
    pub mix: Mix,
    /// Requests in a second, whether or not the gateway keeps up; without it, each worker waits for its answer.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// How many requests may be under way at once [default: 16; with --rate: 256].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub concurrency: Option<u16>,
    /// Seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub duration: u32,
    /// The service that is referred to and booked with.
    #[arg(long, default_value = "111111111")]
    pub service: String,
    /// Use HTTP/2.
    #[arg(long)]
    pub http2: bool,
    /// How many connections [default: one for each request under way; with --http2: 1].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub connections: Option<u16>,
    /// Decides names, addresses and the order of kinds; the patients' numbers are always new.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where `admission` goes: a listener of this machine, such as mllp://127.0.0.1:2575, or mllps:// for TLS with the same
    /// certificates. Each one under way takes a connection.
    #[arg(long, value_name = "URL")]
    pub feed: Option<String>,
    /// Whom admissions are from: MSH-3 and MSH-4.
    #[arg(long, value_name = "APPLICATION/FACILITY", default_value = "PAS/RXX", value_parser = sender)]
    pub sender: Sender,
    /// Whom `match` asks for: FHIR Patients, one on each line.
    #[arg(long, value_name = "FILE.ndjson")]
    pub people: Option<PathBuf>,
}

impl LoadCommand {
    /// Runs it; gives the exit code: 0 no errors but conflicts, 1 wrong usage, 2 errors.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        let (base, address, tls) = match self.prepare() {
            Ok(prepared) => prepared,
            Err(error) => {
                eprintln!("{error:#}");
                return Ok(1);
            }
        };
        // One thread: the gateway needs the others.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let report = runtime.block_on(self.load(&base, address, tls))?;
        match json {
            true => println!("{}", serde_json::to_string_pretty(&report)?),
            false => print!("{report}"),
        }
        Ok(if report.is_good() { 0 } else { 2 })
    }

    fn prepare(&self) -> anyhow::Result<(String, SocketAddr, Arc<ClientConfig>)> {
        let (base, address) = local(&self.target)?;
        let settings = ClientTls { ca: self.ca.clone(), cert: self.cert.clone(), key: self.key.clone() };
        Ok((base, address, client_config(&settings, Timestamp::now())?))
    }

    async fn load(&self, base: &str, address: SocketAddr, tls: Arc<ClientConfig>) -> anyhow::Result<Report> {
        let plan = self.plan()?;
        let connections = match self.http2 {
            true => usize::from(self.connections.unwrap_or(1)).min(plan.workers),
            false => 1,
        };
        let client = || {
            let client = Client::new(base, Arc::clone(&tls))?.at(address);
            anyhow::Ok(if self.http2 { client.over_http2() } else { client })
        };
        let clients = (0..connections).map(|_| client()).collect::<Result<Vec<_>, _>>()?;
        let bar = bar(plan.duration);
        let feed = self.feed(tls)?;
        let report = run(&plan, &clients, feed.as_ref(), base, |requests, errors| show(&bar, requests, errors)).await;
        bar.finish_and_clear();
        Ok(report?)
    }

    fn feed(&self, tls: Arc<ClientConfig>) -> anyhow::Result<Option<Feed>> {
        anyhow::ensure!(
            self.feed.is_some() || !self.mix.has(Kind::Admission),
            "admission needs a listener for HL7 v2: --feed mllp://127.0.0.1:2575"
        );
        let Some(url) = &self.feed else { return Ok(None) };
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        let secured = match uri.scheme_str() {
            Some("mllp") => false,
            Some("mllps") => true,
            _ => anyhow::bail!("{url} is not an mllp or mllps URL"),
        };
        let (host, address) = loopback(&uri, 2575)?;
        let server_name = ServerName::try_from(host)?;
        let tls = secured.then(|| Tls { server_name, config: Arc::new(move || Arc::clone(&tls)) });
        Ok(Some(Feed::new(Peer { tls, ..Peer::new(address.ip().to_string(), address.port()) }, self.sender.clone())))
    }

    /// Over HTTP/1.1 a request under way has a connection to itself, so their numbers are the same.
    fn plan(&self) -> anyhow::Result<Plan> {
        let usual = if self.rate.is_some() { 256 } else { 16 };
        let workers = self.concurrency.or(self.connections.filter(|_| !self.http2)).unwrap_or(usual);
        let at_most = self.connections.filter(|_| !self.http2).unwrap_or(u16::MAX);
        Ok(Plan {
            mix: self.mix.clone(),
            mode: self.rate.map_or(Mode::Closed, Mode::Rate),
            duration: Duration::from_secs(u64::from(self.duration)),
            workers: usize::from(workers.min(at_most)),
            service: self.service.clone(),
            seed: self.seed,
            questions: self.people.as_deref().map(questions).transpose()?.unwrap_or_default(),
        })
    }
}

/// The bodies of `Patient/$match` about the first people of a file.
fn questions(path: &Path) -> anyhow::Result<Vec<Bytes>> {
    const MOST: usize = 100_000;
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let lines = BufReader::new(file).lines().take(MOST).filter(|line| !line.as_ref().is_ok_and(String::is_empty));
    let question = |patient: String| {
        format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{patient}}}]}}"#)
    };
    Ok(lines.map(|line| line.map(|patient| question(patient).into())).collect::<Result<_, _>>()?)
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=1_000_000.0).contains(&rate) { Ok(rate) } else { Err("0.01 to 1000000".to_owned()) }
}

/// The target with its path, and its address. A load on somebody else's machine is an attack, so there is no way to ask
/// for one.
fn local(target: &str) -> anyhow::Result<(String, SocketAddr)> {
    let uri: Uri = target.parse().with_context(|| format!("{target} is not a URL"))?;
    anyhow::ensure!(uri.scheme_str() == Some("https"), "{target} is not an https URL");
    let (_, address) = loopback(&uri, 443)?;
    let base = target.trim_end_matches('/');
    let base = if matches!(uri.path(), "" | "/") { format!("{base}{API}") } else { base.to_owned() };
    Ok((base, address))
}

/// Host and address of a URL, which is of this machine.
fn loopback(uri: &Uri, usual: u16) -> anyhow::Result<(String, SocketAddr)> {
    let host = uri.host().with_context(|| format!("{uri} has no host"))?.trim_matches(['[', ']']);
    let addresses: Vec<SocketAddr> = (host, uri.port_u16().unwrap_or(usual))
        .to_socket_addrs()
        .with_context(|| format!("{host} has no address"))?
        .collect();
    anyhow::ensure!(
        addresses.iter().all(|address| address.ip().is_loopback()),
        "{host} is not this machine: loads go to it only"
    );
    let address = *addresses.first().with_context(|| format!("{host} has no address"))?;
    Ok((host.to_owned(), address))
}

fn sender(text: &str) -> Result<Sender, String> {
    let (application, facility) = text.split_once('/').ok_or("APPLICATION/FACILITY is wanted")?;
    let is_plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_plain(application) && is_plain(facility) {
        true => Ok(Sender { application: application.to_owned(), facility: facility.to_owned() }),
        false => Err("letters and digits are wanted".to_owned()),
    }
}

fn bar(duration: Duration) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // The template is a constant that the library takes.
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} s  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(duration.as_secs()).with_style(style)
}

fn show(bar: &ProgressBar, requests: u64, errors: u64) {
    bar.set_position(bar.elapsed().as_secs());
    bar.set_message(format!("{requests} requests, {errors} errors"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_to_this_machine_only() {
        assert_eq!(local("https://127.0.0.1:8443").unwrap().0, "https://127.0.0.1:8443/FHIR/R4");
        assert_eq!(local("https://127.0.0.1:8443/").unwrap().0, "https://127.0.0.1:8443/FHIR/R4");
        assert_eq!(local("https://[::1]:1/x/").unwrap(), ("https://[::1]:1/x".to_owned(), "[::1]:1".parse().unwrap()));
        for elsewhere in [
            "https://192.0.2.1/",
            "https://0.0.0.0/",
            "https://[2001:db8::1]/",
            "nothing",
            "/path",
            "http://127.0.0.1/",
        ] {
            assert!(local(elsewhere).is_err(), "{elsewhere}");
        }
        assert_eq!(loopback(&"mllp://localhost".parse().unwrap(), 2575).unwrap().1.port(), 2575);
        assert!(loopback(&"mllp://192.0.2.1:2575".parse().unwrap(), 2575).is_err());
    }

    #[test]
    fn a_sender_is_two_plain_words() {
        assert_eq!(sender("PAS/RXX").unwrap().facility, "RXX");
        for wrong in ["PAS", "PAS/", "/RXX", "P|S/RXX", "PAS/RXX/2"] {
            assert!(sender(wrong).is_err(), "{wrong}");
        }
    }
}
