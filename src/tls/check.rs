//! The checks that a certificate must pass before it is used, at start, at every change and by `onward tls check`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate, X509Error};

use super::finding::{Finding, Kind};
use super::inspect::{Source, days_between, parse, rsa_bits, timestamp};

/// Which end of a connection a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that is called.
    Server,
    /// The one that calls.
    Client,
}

/// All that is wrong with a server's certificate and key.
pub fn check_server(cert: &Path, key: &Path, ca: Option<&Path>, host: Option<&str>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let cert = take(Source::read(cert), &mut findings);
    let key = take(Source::read(key), &mut findings);
    let ca = ca.and_then(|ca| take(Source::read(ca), &mut findings));
    if let (Some(cert), Some(key)) = (cert, key) {
        findings.extend(check_pair(&cert, &key, ca.as_ref(), End::Server, now));
        findings.extend(host.and_then(|host| check_host(&cert, host)));
    }
    findings
}

/// All that is wrong with a client's certificate and key.
pub fn check_client(cert: &Path, key: &Path, ca: Option<&Path>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let cert = take(Source::read(cert), &mut findings);
    let key = take(Source::read(key), &mut findings);
    let ca = ca.and_then(|ca| take(Source::read(ca), &mut findings));
    if let (Some(cert), Some(key)) = (cert, key) {
        findings.extend(check_pair(&cert, &key, ca.as_ref(), End::Client, now));
    }
    findings
}

/// All that is wrong with a bundle of authorities and with their revocation lists.
pub fn check_trust(ca: &Path, crl: Option<&Path>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ca = take(Source::read(ca), &mut findings);
    let crl = crl.and_then(|crl| take(Source::read(crl), &mut findings));
    findings.extend(ca.iter().flat_map(|ca| check_authorities(ca, now)));
    if let (Some(ca), Some(crl)) = (ca, crl) {
        findings.extend(check_crls(&crl, &ca, now));
    }
    findings
}

/// All that is wrong with a certificate chain and its key.
pub(super) fn check_pair(cert: &Source, key: &Source, ca: Option<&Source>, end: End, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::from_iter(key_permissions(&key.file));
    match cert.certificates() {
        Ok(chain) => {
            findings.extend(chain_findings(cert, &chain, end, now));
            findings.extend(key_findings(cert, key, &chain));
            findings.extend(ca.and_then(|ca| anchor_finding(cert, &chain, ca, end, now)));
        }
        Err(finding) => findings.push(finding),
    }
    findings
}

/// All that is wrong with a bundle of authorities. One that is over is only reported while others are good.
pub(super) fn check_authorities(ca: &Source, now: Timestamp) -> Vec<Finding> {
    let chain = match ca.certificates() {
        Ok(chain) => chain,
        Err(finding) => return vec![finding],
    };
    let each: Vec<Vec<Finding>> = chain.iter().map(|der| authority_findings(ca, der, now)).collect();
    let some_good = each.iter().any(|findings| !super::finding::has_errors(findings));
    each.into_iter().flatten().map(|finding| if some_good { finding.tolerated() } else { finding }).collect()
}

/// All that is wrong with revocation lists; each must be signed by one of the authorities.
pub(super) fn check_crls(crl: &Source, ca: &Source, now: Timestamp) -> Vec<Finding> {
    let (crls, authorities) = match (crl.crls(), ca.certificates()) {
        (Ok(crls), Ok(authorities)) => (crls, authorities),
        (crls, authorities) => return crls.err().into_iter().chain(authorities.err()).collect(),
    };
    crls.iter().flat_map(|der| crl_findings(crl, der, &authorities, now)).collect()
}

/// When a revocation list is over (`nextUpdate`), the earliest of all in the file.
pub(super) fn crl_next_update(crl: &Source) -> Option<Timestamp> {
    let crls = crl.crls().ok()?;
    let ends = crls.iter().filter_map(|der| {
        let (_, list) = CertificateRevocationList::from_der(der).ok()?;
        list.next_update().map(|end| timestamp(end.timestamp()))
    });
    ends.min()
}

/// Is the host among the first certificate's names?
pub(super) fn check_host(cert: &Source, host: &str) -> Option<Finding> {
    let chain = cert.certificates().ok()?;
    let wrong = |text: String| Some(Finding::new(Kind::WrongHost, &cert.file, text));
    let Ok(name) = ServerName::try_from(host) else {
        return wrong(format!("{host} is not a host name"));
    };
    let parsed = ParsedCertificate::try_from(chain.first()?).ok()?;
    match verify_server_name(&parsed, &name) {
        Ok(()) => None,
        Err(_) => wrong(format!("{host} is not among the names that it is valid for")),
    }
}

fn take(source: Result<Source, Finding>, findings: &mut Vec<Finding>) -> Option<Source> {
    source.map_err(|finding| findings.push(finding)).ok()
}

fn chain_findings(cert: &Source, chain: &[CertificateDer<'_>], end: End, now: Timestamp) -> Vec<Finding> {
    let mut parsed = Vec::new();
    let mut findings = Vec::new();
    for der in chain {
        match parse(&cert.file, der) {
            Ok(certificate) => parsed.push(certificate),
            Err(finding) => findings.push(finding),
        }
    }
    findings.extend(parsed.iter().filter_map(|certificate| validity_finding(cert, certificate, now)));
    findings.extend(parsed.iter().filter_map(|certificate| weakness_finding(cert, certificate)));
    findings.extend(parsed.first().and_then(|certificate| usage_finding(cert, certificate, end)));
    findings.extend(parsed.windows(2).filter_map(|pair| link_finding(cert, &pair[0], &pair[1])));
    findings
}

fn authority_findings(ca: &Source, der: &[u8], now: Timestamp) -> Vec<Finding> {
    match parse(&ca.file, der) {
        Ok(certificate) => {
            let not_ca = || format!("{} may not issue certificates", certificate.subject());
            let is_ca =
                certificate.is_ca().then_some(()).ok_or_else(|| Finding::new(Kind::NotAuthority, &ca.file, not_ca()));
            let validity = validity_finding(ca, &certificate, now);
            is_ca.err().into_iter().chain(validity).chain(weakness_finding(ca, &certificate)).collect()
        }
        Err(finding) => vec![finding],
    }
}

fn validity_finding(cert: &Source, certificate: &X509Certificate<'_>, now: Timestamp) -> Option<Finding> {
    let from = timestamp(certificate.validity().not_before.timestamp());
    let until = timestamp(certificate.validity().not_after.timestamp());
    let subject = certificate.subject();
    let (kind, text) = match days_between(now, until) {
        _ if now < from => (Kind::NotYetValid, format!("{subject} is not valid before {from}")),
        days if days < 0 => (Kind::Expired, format!("{subject} expired at {until}")),
        days @ 0..7 => (Kind::ExpiresVerySoon, format!("{subject} expires at {until}, in {days} days")),
        days @ 7..30 => (Kind::ExpiresSoon, format!("{subject} expires at {until}, in {days} days")),
        _ => return None,
    };
    Some(Finding::new(kind, &cert.file, text))
}

/// A self-signed authority's own signature protects nothing, so its algorithm does not matter.
fn weakness_finding(cert: &Source, certificate: &X509Certificate<'_>) -> Option<Finding> {
    const MD5_WITH_RSA: &str = "1.2.840.113549.1.1.4";
    const SHA1_WITH_RSA: &str = "1.2.840.113549.1.1.5";
    const SHA1_WITH_ECDSA: &str = "1.2.840.10045.4.1";
    let subject = certificate.subject();
    if let Some(bits @ 0..2048) = rsa_bits(certificate.public_key()) {
        return Some(Finding::new(Kind::WeakKey, &cert.file, format!("{subject} has an RSA key of only {bits} bits")));
    }
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    let weak = [MD5_WITH_RSA, SHA1_WITH_RSA, SHA1_WITH_ECDSA].contains(&algorithm.as_str());
    let text = || format!("{subject} is signed with MD5 or SHA-1");
    (weak && certificate.subject() != certificate.issuer())
        .then(|| Finding::new(Kind::WeakSignature, &cert.file, text()))
}

fn usage_finding(cert: &Source, certificate: &X509Certificate<'_>, end: End) -> Option<Finding> {
    let usage = certificate.extended_key_usage().ok()??.value;
    let (allowed, text) = match end {
        End::Server => (usage.server_auth, "it may not be used by a server (extendedKeyUsage)"),
        End::Client => (usage.client_auth, "it may not be used by a client (extendedKeyUsage)"),
    };
    (!allowed && !usage.any).then(|| Finding::new(Kind::WrongUsage, &cert.file, text))
}

fn link_finding(cert: &Source, below: &X509Certificate<'_>, above: &X509Certificate<'_>) -> Option<Finding> {
    let (subject, issuer, next) = (below.subject(), below.issuer(), above.subject());
    if issuer != next {
        let text = format!("{subject} was issued by {issuer}, but {next} comes after it");
        return Some(Finding::new(Kind::ChainOrder, &cert.file, text));
    }
    let text = || format!("{subject} is not signed by the key of {next} that comes after it");
    // An algorithm that this check does not know is left to the check against the authorities.
    let result = below.verify_signature(Some(above.public_key()));
    matches!(result, Err(X509Error::SignatureVerificationError))
        .then(|| Finding::new(Kind::ChainSignature, &cert.file, text()))
}

fn key_findings(cert: &Source, key: &Source, chain: &[CertificateDer<'static>]) -> Option<Finding> {
    let private = match key.key() {
        Ok(private) => private,
        Err(finding) => return Some(finding),
    };
    let error = CertifiedKey::from_der(chain.to_vec(), private, &aws_lc_rs::default_provider()).err()?;
    Some(match error {
        rustls::Error::InconsistentKeys(_) => {
            let text = format!("the key does not belong to the certificate in {}", cert.file.display());
            Finding::new(Kind::KeyMismatch, &key.file, text)
        }
        // The certificate's own trouble has been reported.
        rustls::Error::InvalidCertificate(_) => return None,
        error => Finding::new(Kind::Unparsable, &key.file, format!("the key cannot be used: {error}")),
    })
}

/// Does the chain end at one of the authorities? Only what the other checks have not already said.
fn anchor_finding(
    cert: &Source,
    chain: &[CertificateDer<'_>],
    ca: &Source,
    end: End,
    now: Timestamp,
) -> Option<Finding> {
    let roots = match roots(ca) {
        Ok(roots) => roots,
        Err(finding) => return Some(finding),
    };
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    match verify(chain, roots, end, now) {
        Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            let ca = ca.file.display();
            let text = format!("its chain does not end at an authority in {ca}; is an intermediate missing?");
            Some(Finding::new(Kind::IssuerUnknown, &cert.file, text))
        }
        Err(rustls::Error::InvalidCertificate(error)) if !is_reported(&error) => {
            Some(Finding::new(Kind::ChainInvalid, &cert.file, format!("the chain does not verify: {error}")))
        }
        _ => None,
    }
}

fn verify(chain: &[CertificateDer<'_>], roots: RootCertStore, end: End, now: UnixTime) -> Result<(), rustls::Error> {
    let Some((first, others)) = chain.split_first() else { return Ok(()) };
    let provider = Arc::new(aws_lc_rs::default_provider());
    match end {
        End::Server => {
            let first = ParsedCertificate::try_from(first)?;
            let algorithms = provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&first, &roots, others, now, algorithms)
        }
        End::Client => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
            verifier.verify_client_cert(first, others, now).map(drop)
        }
    }
}

fn is_reported(error: &CertificateError) -> bool {
    use CertificateError::{
        Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidYet, NotValidYetContext,
    };
    let validity = matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. });
    validity || matches!(error, InvalidPurpose | InvalidPurposeContext { .. })
}

pub(super) fn roots(ca: &Source) -> Result<RootCertStore, Finding> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|error| Finding::new(Kind::Unparsable, &ca.file, error.to_string()))?;
    }
    Ok(roots)
}

fn crl_findings(crl: &Source, der: &[u8], authorities: &[CertificateDer<'_>], now: Timestamp) -> Vec<Finding> {
    let Ok((_, list)) = CertificateRevocationList::from_der(der) else {
        return vec![Finding::new(Kind::Unparsable, &crl.file, "not a revocation list")];
    };
    let from = timestamp(list.last_update().timestamp());
    let until = list.next_update().map(|end| timestamp(end.timestamp()));
    let issuer = list.issuer();
    let expired = until.filter(|until| *until < now);
    let expired = expired
        .map(|until| Finding::new(Kind::CrlExpired, &crl.file, format!("the list of {issuer} was over at {until}")));
    let early = (now < from)
        .then(|| Finding::new(Kind::CrlNotYetValid, &crl.file, format!("the list of {issuer} is from {from}")));
    let foreign = (!authorities.iter().any(|der| signs(der, &list))).then(|| {
        Finding::new(Kind::CrlForeign, &crl.file, format!("the list of {issuer} is signed by none of the authorities"))
    });
    expired.into_iter().chain(early).chain(foreign).collect()
}

fn signs(authority: &[u8], list: &CertificateRevocationList<'_>) -> bool {
    let Ok((_, authority)) = X509Certificate::from_der(authority) else { return false };
    let result = list.verify_signature(authority.public_key());
    authority.subject() == list.issuer() && !matches!(result, Err(X509Error::SignatureVerificationError))
}

#[cfg(unix)]
fn key_permissions(file: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let text = || format!("its mode is {mode:03o}; only its owner should read it (chmod 600)");
    (mode & 0o077 != 0).then(|| Finding::new(Kind::KeyPermissions, file, text()))
}

#[cfg(not(unix))]
fn key_permissions(_: &Path) -> Option<Finding> {
    None
}
