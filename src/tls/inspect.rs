//! Reading certificates, keys and revocation lists, and what there is to say about them.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::finding::{Finding, Kind};
use crate::config::System;

/// A file as it was at one moment: what is checked, hashed and built from are the same bytes.
#[derive(Clone)]
pub struct Source {
    /// Where it was read.
    pub file: PathBuf,
    data: Vec<u8>,
}

impl Source {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, Finding> {
        let data = std::fs::read(file).map_err(|error| Finding::new(Kind::Unreadable, file, error.to_string()))?;
        Ok(Self { file: file.to_owned(), data })
    }

    /// All certificates in it, at least one.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Finding> {
        self.items("certificate")
    }

    /// All revocation lists in it, at least one.
    pub fn crls(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Finding> {
        self.items("revocation list")
    }

    /// The private key in it (PKCS#8, PKCS#1 or SEC1).
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, Finding> {
        PrivateKeyDer::from_pem_slice(&self.data).map_err(|error| self.unparsable(&format!("no private key: {error}")))
    }

    /// SHA-256 of its content.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.data).into()
    }

    fn items<T: PemObject>(&self, what: &str) -> Result<Vec<T>, Finding> {
        let items: Result<Vec<T>, _> = T::pem_slice_iter(&self.data).collect();
        match items {
            Ok(items) if items.is_empty() => Err(self.unparsable(&format!("no {what} in it"))),
            Ok(items) => Ok(items),
            Err(error) => Err(self.unparsable(&format!("no readable {what}: {error}"))),
        }
    }

    fn unparsable(&self, text: &str) -> Finding {
        Finding::new(Kind::Unparsable, &self.file, text)
    }
}

/// What there is to say about one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The file that it is in.
    pub file: PathBuf,
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Host names that it is valid for.
    pub dns: Vec<String>,
    /// Addresses that it is valid for.
    pub ips: Vec<IpAddr>,
    /// URIs that it is valid for.
    pub uris: Vec<String>,
    /// Start of its time.
    pub not_before: Timestamp,
    /// End of its time.
    pub not_after: Timestamp,
    /// Whole days until then; negative once it is over.
    pub days_left: i64,
    /// SHA-256 of its DER, in lower-case hexadecimal.
    pub sha256: String,
    /// Such as `EC P-256` or `RSA 2048`.
    pub key_algorithm: String,
    /// May it issue others?
    pub is_ca: bool,
}

impl Facts {
    /// Reads one certificate.
    pub fn of(file: &Path, der: &[u8], now: Timestamp) -> Result<Self, Finding> {
        let certificate = parse(file, der)?;
        let not_after = timestamp(certificate.validity().not_after.timestamp());
        let mut facts = Self {
            file: file.to_owned(),
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            dns: Vec::new(),
            ips: Vec::new(),
            uris: Vec::new(),
            not_before: timestamp(certificate.validity().not_before.timestamp()),
            not_after,
            days_left: days_between(now, not_after),
            sha256: hex(&Sha256::digest(der)),
            key_algorithm: key_algorithm(certificate.public_key()),
            is_ca: certificate.is_ca(),
        };
        names(&certificate).into_iter().for_each(|name| facts.add_name(name));
        Ok(facts)
    }

    fn add_name(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => self.dns.push((*name).to_owned()),
            GeneralName::URI(uri) => self.uris.push((*uri).to_owned()),
            GeneralName::IPAddress(bytes) => self.ips.extend(address(bytes)),
            _ => {}
        }
    }
}

/// All certificates of a file, in its order.
pub fn facts(file: &Path, now: Timestamp) -> Result<Vec<Facts>, Finding> {
    Source::read(file)?.certificates()?.iter().map(|der| Facts::of(file, der, now)).collect()
}

/// Who is at the other end, as far as its certificate says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PeerIdentity {
    /// Common name of the subject.
    pub common_name: Option<String>,
    /// URIs among its names.
    pub uris: Vec<String>,
    /// SHA-256 of its DER, in lower-case hexadecimal: what a registered system is known by.
    pub sha256: String,
}

impl PeerIdentity {
    /// Reads the certificate that a handshake gave; none if it cannot be read.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let uris = names(&certificate).into_iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        });
        Some(Self {
            common_name: common_name(certificate.subject()),
            uris: uris.collect(),
            sha256: hex(&Sha256::digest(der)),
        })
    }

    /// Is it this system's certificate?
    pub fn is_of(&self, system: &System) -> bool {
        let pinned = system.certificate_sha256.iter().any(|pin| pin.as_str() == self.sha256);
        let named = system.common_name.is_some() && system.common_name == self.common_name;
        let located = system.uri.as_ref().is_some_and(|uri| self.uris.contains(uri));
        pinned || named || located
    }
}

pub(super) fn parse<'a>(file: &Path, der: &'a [u8]) -> Result<X509Certificate<'a>, Finding> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(Finding::new(Kind::Unparsable, file, format!("not an X.509 certificate: {error}"))),
    }
}

pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

pub(super) fn days_between(now: Timestamp, then: Timestamp) -> i64 {
    (then.as_second() - now.as_second()).div_euclid(86_400)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bits of an RSA key.
pub(super) fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => Some(rsa.key_size()),
        _ => None,
    }
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().find_map(|part| part.as_str().ok()).map(str::to_owned)
}

fn names<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a GeneralName<'a>> {
    match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().collect(),
        _ => Vec::new(),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

fn key_algorithm(key: &SubjectPublicKeyInfo<'_>) -> String {
    let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
    let algorithm = key.algorithm.algorithm.to_id_string();
    match (rsa_bits(key), curve.as_deref(), algorithm.as_str()) {
        (Some(bits), ..) => format!("RSA {bits}"),
        (_, Some("1.2.840.10045.3.1.7"), _) => "EC P-256".to_owned(),
        (_, Some("1.3.132.0.34"), _) => "EC P-384".to_owned(),
        (_, Some("1.3.132.0.35"), _) => "EC P-521".to_owned(),
        (.., "1.3.101.112") => "Ed25519".to_owned(),
        _ => algorithm,
    }
}
