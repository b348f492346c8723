//! A certificate authority of one's own, for development and for tests.
//!
//! Partners' real certificates come from the NHS or a public authority. What this makes lets a new installation and
//! every test speak mutual TLS from the first minute, so that nothing is ever tried out "without TLS for now".

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType, SerialNumber,
};

use super::check::{check_client, check_server};
use super::inspect;

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file could not be read or written.
    #[error("{}: {error}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A name cannot be part of a certificate or a file name.
    #[error("{0:?} cannot be a name: letters, digits, '.', '-' and '_' only")]
    Name(String),
    /// The certificate library refuses.
    #[error("the certificate cannot be made: {0}")]
    Issue(#[from] rcgen::Error),
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The start.
    pub not_before: Timestamp,
    /// The end.
    pub not_after: Timestamp,
}

impl Validity {
    /// From five minutes ago (clocks differ) for so many days.
    pub fn days(now: Timestamp, days: u32) -> Self {
        let after = |seconds: i64| now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        Self { not_before: after(-300), not_after: after(i64::from(days) * 86_400) }
    }
}

/// A certificate and its key, not yet written anywhere.
pub struct Issued {
    /// The certificate chain.
    pub cert_pem: String,
    /// The private key (PKCS#8).
    pub key_pem: String,
    /// What a revocation list names it by.
    pub serial: Vec<u8>,
}

impl Issued {
    /// Writes both, each readable by its owner only.
    pub fn write(&self, cert: &Path, key: &Path) -> Result<(), AuthorityError> {
        write(key, &self.key_pem)?;
        write(cert, &self.cert_pem)
    }
}

/// An authority with its key.
pub struct Authority {
    cert_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str, validity: Validity) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = params(name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let cert_pem = params.self_signed(&key)?.pem();
        Ok(Self { cert_pem, issuer: Issuer::new(params, key) })
    }

    /// One that was written before.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, AuthorityError> {
        let cert_pem = read(cert)?;
        let key = KeyPair::from_pem(&read(key)?)?;
        let issuer = Issuer::from_ca_cert_pem(&cert_pem, key)?;
        Ok(Self { cert_pem, issuer })
    }

    /// Its own certificate.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Its private key.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for a server with these host names and addresses; the first is its common name.
    pub fn issue_server(&self, names: &[&str], validity: Validity) -> Result<Issued, AuthorityError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = params(names.first().map_or("server", String::as_str), validity);
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// A certificate for a client: its common name is the name, its URI is [`client_uri`].
    pub fn issue_client(&self, name: &str, validity: Validity) -> Result<Issued, AuthorityError> {
        let uri = Ia5String::try_from(client_uri(name)).map_err(|_| AuthorityError::Name(name.to_owned()))?;
        let mut params = params(name, validity);
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// A revocation list that names these serial numbers.
    pub fn crl(&self, revoked: &[Vec<u8>], validity: Validity) -> Result<String, AuthorityError> {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: time(validity.not_before),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: time(validity.not_before),
            next_update: time(validity.not_after),
            crl_number: SerialNumber::from(validity.not_before.as_second().unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    fn issue(&self, mut params: CertificateParams) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate()?;
        // The first bit stays clear: serial numbers are positive.
        let mut serial = uuid::Uuid::new_v4().as_bytes().to_vec();
        serial[0] = serial[0] & 0x3f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let cert_pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { cert_pem, key_pem: key.serialize_pem(), serial })
    }
}

/// The URI that a development certificate carries for a system.
pub fn client_uri(name: &str) -> String {
    format!("urn:onward:system:{name}")
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = time(validity.not_before);
    params.not_after = time(validity.not_after);
    params
}

/// The library's own type of time, which is not named here.
fn time<T: From<std::time::SystemTime>>(at: Timestamp) -> T {
    std::time::SystemTime::from(at).into()
}

/// A certificate file and its key file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Pair {
    fn of(dir: &Path, stem: &str) -> Self {
        Self { cert: dir.join(format!("{stem}.pem")), key: dir.join(format!("{stem}-key.pem")) }
    }
}

/// The files of a development installation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pki {
    /// The authority.
    pub ca: Pair,
    /// The gateway's own.
    pub server: Pair,
    /// One for each client, in the order asked for.
    pub clients: Vec<Pair>,
    /// The files that were made or renewed now; all others were good and were kept.
    pub made: Vec<PathBuf>,
}

/// Makes what is missing or no longer good in `dir`: an authority (ten years), a certificate for the server (its names
/// besides `localhost`, 127.0.0.1 and ::1) and one for each client. What is still good is kept as it is.
pub fn create_development_pki(
    dir: &Path,
    server_names: &[&str],
    clients: &[&str],
    days: u32,
    now: Timestamp,
) -> Result<Pki, AuthorityError> {
    clients.iter().try_for_each(is_file_name)?;
    create_dir(dir)?;
    let mut made = Vec::new();
    let ca = Pair::of(dir, "ca");
    let authority = authority(&ca, now, &mut made)?;
    let validity = Validity::days(now, days);
    let server = Pair::of(dir, "server");
    let mut names = vec!["localhost", "127.0.0.1", "::1"];
    names.extend(server_names.iter().filter(|name| !["localhost", "127.0.0.1", "::1"].contains(name)));
    if !server_is_good(&server, &ca, &names, now) {
        keep(&server, &authority.issue_server(&names, validity)?, &mut made)?;
    }
    let clients: Vec<(&str, Pair)> =
        clients.iter().map(|name| (*name, Pair::of(dir, &format!("client-{name}")))).collect();
    for (name, pair) in &clients {
        if !check_client(&pair.cert, &pair.key, Some(&ca.cert), now).is_empty() {
            keep(pair, &authority.issue_client(name, validity)?, &mut made)?;
        }
    }
    Ok(Pki { ca, server, clients: clients.into_iter().map(|(_, pair)| pair).collect(), made })
}

/// The one on disk, unless it cannot be read or has less than a month left.
fn authority(ca: &Pair, now: Timestamp, made: &mut Vec<PathBuf>) -> Result<Authority, AuthorityError> {
    let facts = inspect::facts(&ca.cert, now).unwrap_or_default();
    if facts.first().is_some_and(|facts| facts.is_ca && 30 <= facts.days_left)
        && let Ok(authority) = Authority::load(&ca.cert, &ca.key)
    {
        return Ok(authority);
    }
    let authority = Authority::new("Onward development authority", Validity::days(now, 3650))?;
    write(&ca.key, &authority.key_pem())?;
    write(&ca.cert, authority.cert_pem())?;
    made.extend([ca.cert.clone(), ca.key.clone()]);
    Ok(authority)
}

fn server_is_good(server: &Pair, ca: &Pair, names: &[&str], now: Timestamp) -> bool {
    let good = |name: &&str| check_server(&server.cert, &server.key, Some(&ca.cert), Some(name), now).is_empty();
    names.iter().all(good)
}

fn keep(pair: &Pair, issued: &Issued, made: &mut Vec<PathBuf>) -> Result<(), AuthorityError> {
    issued.write(&pair.cert, &pair.key)?;
    made.extend([pair.cert.clone(), pair.key.clone()]);
    Ok(())
}

fn is_file_name(name: &&str) -> Result<(), AuthorityError> {
    let good = |c: char| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&c);
    match !name.is_empty() && !name.starts_with('.') && name.chars().all(good) {
        true => Ok(()),
        false => Err(AuthorityError::Name((*name).to_owned())),
    }
}

fn read(file: &Path) -> Result<String, AuthorityError> {
    fs::read_to_string(file).map_err(|error| AuthorityError::File { file: file.to_owned(), error })
}

/// Beside, then over: a reader sees the old file or the new one, never half of it.
fn write(file: &Path, text: &str) -> Result<(), AuthorityError> {
    let beside = file.with_extension("new");
    let _ = fs::remove_file(&beside);
    let result = private_file(&beside).and_then(|mut open| open.write_all(text.as_bytes()));
    result
        .and_then(|()| fs::rename(&beside, file))
        .map_err(|error| AuthorityError::File { file: file.to_owned(), error })
}

fn private_file(file: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn create_dir(dir: &Path) -> Result<(), AuthorityError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| AuthorityError::File { file: dir.to_owned(), error })
}
