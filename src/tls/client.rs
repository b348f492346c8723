//! The calling side of TLS: outbound connections verify the other end's chain and name, always.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, version};
use serde::Deserialize;

use super::TlsError;
use super::check::{End, check_authorities, check_pair, roots};
use super::expiry::{self, Expiry};
use super::finding::{Finding, Kind};
use super::inspect::Source;
use super::reload::{Course, Reload, State, accept, print};
use super::server::{certified, provider};
use super::swap::Cell;

/// The files of a caller.
#[derive(Clone, Debug, Deserialize)]
pub struct ClientTls {
    /// Authorities that servers' certificates are issued by (PEM).
    pub ca: PathBuf,
    /// Its own certificate chain, if it shows one (PEM).
    #[serde(default)]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate (PEM).
    #[serde(default)]
    pub key: Option<PathBuf>,
}

/// The files of a caller at one moment.
struct Files {
    ca: Result<Source, Finding>,
    cert: Option<Result<Source, Finding>>,
    key: Option<Result<Source, Finding>>,
}

impl Files {
    fn read(settings: &ClientTls) -> Self {
        Self {
            ca: Source::read(&settings.ca),
            cert: settings.cert.as_deref().map(Source::read),
            key: settings.key.as_deref().map(Source::read),
        }
    }

    fn print(&self) -> [u8; 32] {
        print([&self.ca].into_iter().chain(&self.cert).chain(&self.key))
    }
}

/// The parts of a caller's configuration.
pub(super) struct Parts {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) certificate: Option<CertifiedKey>,
    warnings: Vec<Finding>,
    expiries: Vec<Expiry>,
}

impl Parts {
    pub(super) fn read(settings: &ClientTls, now: Timestamp) -> Result<Self, Vec<Finding>> {
        Self::from(Files::read(settings), now)
    }

    fn from(files: Files, now: Timestamp) -> Result<Self, Vec<Finding>> {
        let (ca, pair) = all(files)?;
        let mut findings = check_authorities(&ca, now);
        findings.extend(pair.iter().flat_map(|(cert, key)| check_pair(cert, key, None, End::Client, now)));
        let warnings = accept(findings)?;
        let mut expiries = expiry::of_certificates("server authority", &ca);
        expiries.extend(pair.iter().flat_map(|(cert, _)| expiry::of_certificates("client certificate", cert)));
        let certificate =
            pair.map(|(cert, key)| certified(&cert, &key)).transpose().map_err(|finding| vec![finding])?;
        let verifier = verifier(&ca).map_err(|finding| vec![finding])?;
        Ok(Self { verifier, certificate, warnings, expiries })
    }
}

/// The authorities, and the certificate with its key where there is one.
type Sources = (Source, Option<(Source, Source)>);

fn all(files: Files) -> Result<Sources, Vec<Finding>> {
    match (files.ca, files.cert.transpose(), files.key.transpose()) {
        (Ok(ca), Ok(None), Ok(None)) => Ok((ca, None)),
        (Ok(ca), Ok(Some(cert)), Ok(Some(key))) => Ok((ca, Some((cert, key)))),
        (Ok(_), Ok(cert), Ok(key)) => Err(cert.or(key).map(|one| alone(&one)).into_iter().collect()),
        (ca, cert, key) => Err([ca.err(), cert.err(), key.err()].into_iter().flatten().collect()),
    }
}

fn alone(one: &Source) -> Finding {
    Finding::new(Kind::KeyMismatch, &one.file, "a client needs both a certificate and its key, or neither")
}

fn verifier(ca: &Source) -> Result<Arc<dyn ServerCertVerifier>, Finding> {
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca)?), provider());
    let verifier = builder.build().map_err(|error| Finding::new(Kind::Unparsable, &ca.file, error.to_string()))?;
    Ok(verifier)
}

/// A caller's configuration that follows its files.
pub struct ReloadingClient {
    settings: ClientTls,
    config: Cell<ClientConfig>,
    expiries: Cell<Vec<Expiry>>,
    course: Course,
}

impl ReloadingClient {
    /// Reads and checks the files; refuses with all reasons if one of them cannot work.
    pub fn load(settings: ClientTls, now: Timestamp) -> Result<Arc<Self>, TlsError> {
        let files = Files::read(&settings);
        let print = files.print();
        let mut parts = Parts::from(files, now).map_err(TlsError::Refused)?;
        let course = Course::new("client", print, std::mem::take(&mut parts.warnings));
        let expiries = Cell::new(Arc::new(std::mem::take(&mut parts.expiries)));
        Ok(Arc::new(Self { settings, config: Cell::new(Arc::new(config(parts)?)), expiries, course }))
    }

    /// To be asked for anew at each connection. A changed one is wholly new, so no session of the old is resumed.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.get()
    }

    /// What is in use, and what was refused.
    pub fn state(&self) -> State {
        self.course.state()
    }

    /// When all that is in use will be over.
    pub fn expiries(&self) -> Vec<Expiry> {
        self.expiries.get().to_vec()
    }

    fn take_up(&self, files: Files, now: Timestamp) -> Result<Vec<Finding>, Vec<Finding>> {
        let mut parts = Parts::from(files, now)?;
        let warnings = std::mem::take(&mut parts.warnings);
        self.expiries.set(Arc::new(std::mem::take(&mut parts.expiries)));
        let unusable =
            |error: rustls::Error| vec![Finding::new(Kind::Unparsable, &self.settings.ca, error.to_string())];
        self.config.set(Arc::new(config(parts).map_err(unusable)?));
        Ok(warnings)
    }
}

impl Reload for ReloadingClient {
    fn poll(&self, now: Timestamp) {
        let files = Files::read(&self.settings);
        self.course.follow(files.print(), now, || self.take_up(files, now));
    }
}

/// A caller's configuration as the files are now; for commands that run once.
pub fn client_config(settings: &ClientTls, now: Timestamp) -> Result<Arc<ClientConfig>, TlsError> {
    let parts = Parts::read(settings, now).map_err(TlsError::Refused)?;
    Ok(Arc::new(config(parts)?))
}

pub(super) fn config(parts: Parts) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
    // "Dangerous" is only that rustls cannot see what the verifier does: it is webpki's own.
    let builder = builder.dangerous().with_custom_certificate_verifier(parts.verifier);
    Ok(match parts.certificate {
        Some(certificate) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate))),
        None => builder.with_no_client_auth(),
    })
}
