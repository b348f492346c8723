//! The server's side of TLS: what is configured, and the listener's configuration that follows its files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use serde::Deserialize;

use super::TlsError;
use super::check::{End, check_authorities, check_crls, check_host, check_pair, crl_next_update, roots};
use super::expiry::{self, Expiry};
use super::finding::{Finding, Kind};
use super::inspect::Source;
use super::reload::{Course, Reload, State, accept, print};
use super::swap::{Cell, SwapCertificate, SwapTickets, SwapVerifier};

/// Must a caller show a certificate?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// It is not asked for one.
    #[default]
    Off,
    /// It is asked; one that it shows must be good.
    Optional,
    /// No certificate, no connection.
    Required,
}

/// The files and rules of a listener.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerTls {
    /// Certificate chain, the server's own first (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Authorities that client certificates are issued by (PEM).
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Must a caller show a certificate?
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Revocation lists of those authorities, one for each (PEM).
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// The name that partners call it by; it must be in the certificate.
    #[serde(default)]
    pub host: Option<String>,
}

/// The files of a listener at one moment.
struct Files {
    cert: Result<Source, Finding>,
    key: Result<Source, Finding>,
    ca: Option<Result<Source, Finding>>,
    crl: Option<Result<Source, Finding>>,
}

impl Files {
    fn read(settings: &ServerTls) -> Self {
        let asks = settings.client_auth != ClientAuth::Off;
        let if_asked = |file: &Option<PathBuf>| file.as_deref().filter(|_| asks).map(Source::read);
        Self {
            cert: Source::read(&settings.cert),
            key: Source::read(&settings.key),
            ca: if_asked(&settings.client_ca),
            crl: if_asked(&settings.crl),
        }
    }

    fn print(&self) -> [u8; 32] {
        print([&self.cert, &self.key].into_iter().chain(&self.ca).chain(&self.crl))
    }

    fn trust_print(&self) -> [u8; 32] {
        print(self.ca.iter().chain(&self.crl))
    }
}

/// What is built from the files, before it is put to use.
struct Built {
    certificate: Arc<CertifiedKey>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    expiries: Vec<Expiry>,
    warnings: Vec<Finding>,
    trust_print: [u8; 32],
}

impl Built {
    fn from(files: Files, settings: &ServerTls, now: Timestamp) -> Result<Self, Vec<Finding>> {
        let trust_print = files.trust_print();
        let (ca, crl) = (files.ca.transpose(), files.crl.transpose());
        let (cert, key, ca, crl) = all(files.cert, files.key, ca, crl)?;
        let warnings = accept(check(settings, (&cert, &key), ca.as_ref(), crl.as_ref(), now))?;
        let verifier = ca.as_ref().map(|ca| verifier(ca, crl.as_ref())).transpose().map_err(|finding| vec![finding])?;
        let certificate = Arc::new(certified(&cert, &key).map_err(|finding| vec![finding])?);
        let expiries = expiries(&cert, ca.as_ref(), crl.as_ref());
        Ok(Self { certificate, verifier, expiries, warnings, trust_print })
    }
}

type Sources = (Source, Source, Option<Source>, Option<Source>);

fn all(
    cert: Result<Source, Finding>,
    key: Result<Source, Finding>,
    ca: Result<Option<Source>, Finding>,
    crl: Result<Option<Source>, Finding>,
) -> Result<Sources, Vec<Finding>> {
    match (cert, key, ca, crl) {
        (Ok(cert), Ok(key), Ok(ca), Ok(crl)) => Ok((cert, key, ca, crl)),
        (cert, key, ca, crl) => Err([cert.err(), key.err(), ca.err(), crl.err()].into_iter().flatten().collect()),
    }
}

fn check(
    settings: &ServerTls,
    (cert, key): (&Source, &Source),
    ca: Option<&Source>,
    crl: Option<&Source>,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = check_pair(cert, key, None, End::Server, now);
    findings.extend(settings.host.as_deref().and_then(|host| check_host(cert, host)));
    findings.extend(ca.into_iter().flat_map(|ca| check_authorities(ca, now)));
    if let (Some(crl), Some(ca)) = (crl, ca) {
        findings.extend(check_crls(crl, ca, now));
    }
    if settings.client_auth != ClientAuth::Off && ca.is_none() {
        findings.push(Finding::new(Kind::AuthorityMissing, Path::new("client_ca"), Kind::AuthorityMissing.meaning()));
    }
    findings
}

/// Every certificate of a caller's chain must be in the scope of a list when there are lists: an authority without
/// one would be a hole. A list that runs out while it is in use stays in use, because the alternative is to lock
/// every partner out at once; its end is on the status page, and a restart refuses it.
fn verifier(ca: &Source, crl: Option<&Source>) -> Result<Arc<dyn ClientCertVerifier>, Finding> {
    let crls = crl.map(Source::crls).transpose()?.unwrap_or_default();
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider()).with_crls(crls);
    let file = crl.map_or(&ca.file, |crl| &crl.file);
    builder.build().map_err(|error| Finding::new(Kind::Unparsable, file, error.to_string()))
}

pub(super) fn certified(cert: &Source, key: &Source) -> Result<CertifiedKey, Finding> {
    let result = CertifiedKey::from_der(cert.certificates()?, key.key()?, &provider());
    result.map_err(|error| Finding::new(Kind::KeyMismatch, &key.file, error.to_string()))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn expiries(cert: &Source, ca: Option<&Source>, crl: Option<&Source>) -> Vec<Expiry> {
    let mut expiries = expiry::of_certificates("server certificate", cert);
    expiries.extend(ca.into_iter().flat_map(|ca| expiry::of_certificates("client authority", ca)));
    let list = crl.and_then(|crl| Some((crl.file.clone(), crl_next_update(crl)?)));
    expiries.extend(list.map(|(file, not_after)| Expiry { name: "revocation list".to_owned(), file, not_after }));
    expiries
}

/// A listener's configuration that follows its files.
pub struct ReloadingServer {
    settings: ServerTls,
    config: ServerConfig,
    certificate: Arc<SwapCertificate>,
    verifier: Option<Arc<SwapVerifier>>,
    tickets: Arc<SwapTickets>,
    trust_print: Cell<[u8; 32]>,
    expiries: Cell<Vec<Expiry>>,
    course: Course,
}

impl ReloadingServer {
    /// Reads and checks the files; refuses with all reasons if one of them cannot work.
    pub fn load(settings: ServerTls, now: Timestamp) -> Result<Arc<Self>, TlsError> {
        let files = Files::read(&settings);
        let print = files.print();
        let built = Built::from(files, &settings, now).map_err(TlsError::Refused)?;
        let certificate = Arc::new(SwapCertificate(Cell::new(built.certificate)));
        let mandatory = settings.client_auth == ClientAuth::Required;
        let verifier = built.verifier.map(|inner| Arc::new(SwapVerifier { inner: Cell::new(inner), mandatory }));
        let tickets = Arc::new(SwapTickets::new()?);
        Ok(Arc::new(Self {
            config: config(Arc::clone(&certificate), verifier.clone(), Arc::clone(&tickets))?,
            course: Course::new("server", print, built.warnings),
            trust_print: Cell::new(Arc::new(built.trust_print)),
            expiries: Cell::new(Arc::new(built.expiries)),
            settings,
            certificate,
            verifier,
            tickets,
        }))
    }

    /// For a listener: all copies follow the files.
    pub fn config(&self) -> ServerConfig {
        self.config.clone()
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
        let built = Built::from(files, &self.settings, now)?;
        self.certificate.0.set(built.certificate);
        if let (Some(swap), Some(inner)) = (&self.verifier, built.verifier) {
            swap.inner.set(inner);
        }
        // After the verifier: a ticket that is made in between is revoked as well.
        if *self.trust_print.get() != built.trust_print {
            self.tickets.revoke();
            self.trust_print.set(Arc::new(built.trust_print));
        }
        self.expiries.set(Arc::new(built.expiries));
        Ok(built.warnings)
    }
}

impl Reload for ReloadingServer {
    fn poll(&self, now: Timestamp) {
        self.tickets.age();
        let files = Files::read(&self.settings);
        self.course.follow(files.print(), now, || self.take_up(files, now));
    }
}

fn config(
    certificate: Arc<SwapCertificate>,
    verifier: Option<Arc<SwapVerifier>>,
    tickets: Arc<SwapTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = tickets;
    // Sessions are resumed by tickets only: what the server stores could not be revoked.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
