//! `onward tls`: makes certificates for development, and says what is wrong with any.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;

use crate::tls::authority::{Pki, create_development_pki};
use crate::tls::check::{check_client, check_trust};
use crate::tls::finding::has_errors;
use crate::tls::handshake::{Handshake, handshake_check};
use crate::tls::inspect::facts;
use crate::tls::{ClientTls, Facts, Finding, check_server};

/// Certificates: make them for development, check any.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Make an authority, a server certificate and client certificates for development; what is still good is kept.
    Init(Init),
    /// Show certificates, their names and days left, and say why a handshake would fail.
    Check(Check),
}

/// What `onward tls init` takes.
#[derive(Debug, Args)]
pub struct Init {
    /// Where the files go.
    #[arg(long, default_value = "tls")]
    pub dir: PathBuf,
    /// A name or address of the server, besides localhost, 127.0.0.1 and ::1 (may be given more than once).
    #[arg(long = "name", value_name = "HOST")]
    pub names: Vec<String>,
    /// A client to issue a certificate for (may be given more than once).
    #[arg(long = "client", value_name = "NAME")]
    pub clients: Vec<String>,
    /// How long certificates are valid.
    #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// What `onward tls check` takes: files, or a server to connect to.
#[derive(Debug, Args)]
pub struct Check {
    /// Certificate chain; with --connect: the client certificate to show.
    #[arg(long, required_unless_present_any = ["connect", "ca"], requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, requires = "cert")]
    pub key: Option<PathBuf>,
    /// Authorities that the chain must end at.
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// Host name that partners call the server by.
    #[arg(long, conflicts_with_all = ["connect", "as_client"])]
    pub host: Option<String>,
    /// Revocation lists of those authorities.
    #[arg(long, requires = "ca", conflicts_with = "connect")]
    pub crl: Option<PathBuf>,
    /// The certificate is a client's.
    #[arg(long, conflicts_with = "connect")]
    pub as_client: bool,
    /// Shake hands with this server instead of only reading files.
    #[arg(long, value_name = "HOST:PORT", requires = "ca")]
    pub connect: Option<String>,
}

impl TlsCommand {
    /// Runs it; gives the exit code: 0 fine, 1 something to mend in what was given, 2 our own fault.
    pub fn run(&self, json: bool) -> anyhow::Result<i32> {
        match self {
            Self::Init(init) => init.run(json),
            Self::Check(check) => check.run(json),
        }
    }
}

impl Init {
    fn run(&self, json: bool) -> anyhow::Result<i32> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let clients: Vec<&str> = self.clients.iter().map(String::as_str).collect();
        let pki = create_development_pki(&self.dir, &names, &clients, self.days, Timestamp::now())?;
        print(json, &pki, &pki_text(&pki))?;
        eprintln!("{}", if pki.made.is_empty() { "all files were good and were kept" } else { "for development only" });
        Ok(0)
    }
}

fn pki_text(pki: &Pki) -> String {
    let pairs = [("ca", &pki.ca), ("server", &pki.server)].into_iter();
    let pairs = pairs.chain(pki.clients.iter().map(|pair| ("client", pair)));
    pairs.fold(String::new(), |mut text, (what, pair)| {
        let state = if pki.made.contains(&pair.cert) { "made" } else { "kept" };
        let _ = writeln!(text, "{what}\t{}\t{}\t{state}", pair.cert.display(), pair.key.display());
        text
    })
}

/// What a check of files shows.
#[derive(Debug, Serialize)]
struct Report {
    certificates: Vec<Facts>,
    findings: Vec<Finding>,
}

impl Check {
    fn run(&self, json: bool) -> anyhow::Result<i32> {
        let now = Timestamp::now();
        match &self.connect {
            Some(target) => self.connect(target, json, now),
            None => self.files(json, now),
        }
    }

    fn files(&self, json: bool, now: Timestamp) -> anyhow::Result<i32> {
        let files = self.cert.iter().chain(&self.ca);
        // One that cannot be read is among the findings.
        let certificates = files.filter_map(|file| facts(file, now).ok()).flatten().collect();
        let report = Report { certificates, findings: self.findings(now) };
        print(json, &report, &report_text(&report))?;
        report.findings.iter().for_each(|finding| eprintln!("{:?}: {finding}", finding.level));
        Ok(i32::from(has_errors(&report.findings)))
    }

    fn findings(&self, now: Timestamp) -> Vec<Finding> {
        let ca = self.ca.as_deref();
        let mut findings = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) if self.as_client => check_client(cert, key, ca, now),
            (Some(cert), Some(key)) => check_server(cert, key, ca, self.host.as_deref(), now),
            _ => Vec::new(),
        };
        findings.extend(ca.into_iter().flat_map(|ca| check_trust(ca, self.crl.as_deref(), now)));
        findings
    }

    fn connect(&self, target: &str, json: bool, now: Timestamp) -> anyhow::Result<i32> {
        let (host, port) = host_and_port(target)?;
        let ca = self.ca.clone().context("--connect needs --ca")?;
        let settings = ClientTls { ca, cert: self.cert.clone(), key: self.key.clone() };
        let handshake = handshake_check(host, port, &settings, now);
        print(json, &handshake, &handshake_text(&handshake))?;
        match &handshake.failure {
            Some(failure) => eprintln!("the handshake fails: {} ({})", failure.text, failure.code),
            None => eprintln!("the handshake succeeds"),
        }
        Ok(i32::from(handshake.failure.is_some()))
    }
}

fn host_and_port(target: &str) -> anyhow::Result<(&str, u16)> {
    let (host, port) = target.rsplit_once(':').context("--connect takes HOST:PORT")?;
    let port = port.parse().context("--connect takes HOST:PORT, and the port is a number")?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

fn print(json: bool, value: &impl Serialize, text: &str) -> anyhow::Result<()> {
    match json {
        true => println!("{}", serde_json::to_string_pretty(value)?),
        false => print!("{text}"),
    }
    Ok(())
}

fn report_text(report: &Report) -> String {
    report.certificates.iter().map(facts_text).collect()
}

fn handshake_text(handshake: &Handshake) -> String {
    let mut text: String = handshake.chain.iter().map(facts_text).collect();
    if let (Some(protocol), Some(cipher)) = (&handshake.protocol, &handshake.cipher) {
        let asked = if handshake.client_certificate_asked { "asked for" } else { "not asked for" };
        let _ = writeln!(text, "{protocol} {cipher}, client certificate {asked}");
    }
    text
}

fn facts_text(facts: &Facts) -> String {
    let addresses = facts.ips.iter().map(ToString::to_string);
    let names: Vec<String> = facts.dns.iter().cloned().chain(addresses).chain(facts.uris.iter().cloned()).collect();
    format!(
        "{}{}\n  file     {}\n  issuer   {}\n  names    {}\n  valid    {} to {} ({} days left)\n  key      {}\n  sha256   {}\n",
        facts.subject,
        if facts.is_ca { " (authority)" } else { "" },
        facts.file.display(),
        facts.issuer,
        if names.is_empty() { "-".to_owned() } else { names.join(", ") },
        facts.not_before,
        facts.not_after,
        facts.days_left,
        facts.key_algorithm,
        facts.sha256,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_and_port() {
        assert_eq!(host_and_port("localhost:8443").unwrap(), ("localhost", 8443));
        assert_eq!(host_and_port("[::1]:8443").unwrap(), ("::1", 8443));
        assert!(host_and_port("localhost").is_err());
        assert!(host_and_port("localhost:https").is_err());
    }
}
