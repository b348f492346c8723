//! Each kind of finding, on files that have exactly that fault.

use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use super::authority::{Authority, Issued, Validity, create_development_pki};
use super::check::check_trust;
use super::finding::{Kind, Level};
use super::inspect::{PeerIdentity, Source, facts};
use super::{ClientAuth, ReloadingServer, ServerTls, TlsError, check_client, check_server};

struct Files {
    dir: TempDir,
    ca: Authority,
}

impl Files {
    fn new() -> Self {
        let ca = Authority::new("Test authority", valid()).unwrap();
        let files = Self { dir: TempDir::new().unwrap(), ca };
        fs::write(files.path("ca.pem"), files.ca.cert_pem()).unwrap();
        files.put("server", &files.ca.issue_server(&["gateway.test"], valid()).unwrap());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, stem: &str, issued: &Issued) {
        issued.write(&self.path(&format!("{stem}.pem")), &self.path(&format!("{stem}-key.pem"))).unwrap();
    }

    fn kinds(&self, host: Option<&str>) -> Vec<Kind> {
        let findings = check_server(
            &self.path("server.pem"),
            &self.path("server-key.pem"),
            Some(&self.path("ca.pem")),
            host,
            now(),
        );
        findings.into_iter().map(|finding| finding.kind).collect()
    }

    fn after_put(&self, validity: Validity) -> Vec<Kind> {
        self.put("server", &self.ca.issue_server(&["gateway.test"], validity).unwrap());
        self.kinds(None)
    }
}

fn now() -> Timestamp {
    "2026-05-01T12:00:00Z".parse().unwrap()
}

fn valid() -> Validity {
    Validity::days(now(), 90)
}

fn ago(days: i64) -> Timestamp {
    now() - SignedDuration::from_hours(24 * days)
}

#[test]
fn a_good_certificate_has_no_finding() {
    let files = Files::new();
    assert_eq!(files.kinds(Some("gateway.test")), []);
}

#[test]
fn validity() {
    let files = Files::new();
    assert_eq!(files.after_put(Validity { not_before: ago(90), not_after: ago(1) }), [Kind::Expired]);
    assert_eq!(files.after_put(Validity { not_before: ago(-1), not_after: ago(-90) }), [Kind::NotYetValid]);
    assert_eq!(files.after_put(Validity::days(now(), 29)), [Kind::ExpiresSoon]);
    assert_eq!(files.after_put(Validity::days(now(), 6)), [Kind::ExpiresVerySoon]);
}

#[test]
fn host_key_and_permissions() {
    let files = Files::new();
    assert_eq!(files.kinds(Some("other.test")), [Kind::WrongHost]);
    assert_eq!(files.kinds(Some("not a host")), [Kind::WrongHost]);
    fs::write(files.path("server-key.pem"), files.ca.key_pem()).unwrap();
    assert_eq!(files.kinds(None), [Kind::KeyMismatch]);
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let files = Files::new();
    fs::set_permissions(files.path("server-key.pem"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(files.kinds(None), [Kind::KeyPermissions]);
}

#[test]
fn unreadable_and_unparsable() {
    let files = Files::new();
    fs::remove_file(files.path("server-key.pem")).unwrap();
    fs::write(files.path("server.pem"), "no PEM at all").unwrap();
    assert_eq!(files.kinds(None), [Kind::Unreadable]);
    fs::copy(files.path("server.pem"), files.path("server-key.pem")).unwrap();
    assert!(files.kinds(None).contains(&Kind::Unparsable));
}

#[test]
fn chains() {
    let files = Files::new();
    let leaf = fs::read_to_string(files.path("server.pem")).unwrap();
    let other = Authority::new("Other authority", valid()).unwrap();
    let same_name = Authority::new("Test authority", valid()).unwrap();
    fs::write(files.path("server.pem"), format!("{leaf}{}", other.cert_pem())).unwrap();
    assert_eq!(files.kinds(None), [Kind::ChainOrder]);
    fs::write(files.path("server.pem"), format!("{leaf}{}", same_name.cert_pem())).unwrap();
    assert_eq!(files.kinds(None), [Kind::ChainSignature]);
    files.put("server", &other.issue_server(&["gateway.test"], valid()).unwrap());
    assert_eq!(files.kinds(None), [Kind::IssuerUnknown]);
}

#[test]
fn usage() {
    let files = Files::new();
    files.put("server", &files.ca.issue_client("pas", valid()).unwrap());
    assert_eq!(files.kinds(None), [Kind::WrongUsage]);
    let (cert, key) = (files.path("server.pem"), files.path("server-key.pem"));
    assert_eq!(check_client(&cert, &key, Some(&files.path("ca.pem")), now()), []);
}

#[test]
fn an_rsa_key_that_is_too_short() {
    let files = Files::new();
    fs::write(files.path("ca.pem"), WEAK).unwrap();
    let findings = check_trust(&files.path("ca.pem"), None, now());
    assert!(findings.iter().any(|finding| finding.kind == Kind::WeakKey), "{findings:?}");
}

/// RSA with 1024 bits, which no library here makes any more.
const WEAK: &str = "\
-----BEGIN CERTIFICATE-----
MIICEDCCAXmgAwIBAgIUORlEJQiMwCnbFXo5qzFZqsgZxhgwDQYJKoZIhvcNAQEL
BQAwGTEXMBUGA1UEAwwOV2VhayBhdXRob3JpdHkwIBcNMjYxMTIxMjMwMTExWhgP
MjEyNjEwMjgyMzAxMTFaMBkxFzAVBgNVBAMMDldlYWsgYXV0aG9yaXR5MIGfMA0G
CSqGSIb3DQEBAQUAA4GNADCBiQKBgQCyPHI7zpetIXp12I5cahPH/xtN3dDCPJ8L
6As1MQUX6S68W1iNRhNzMCAEhDxgk3mwwWAxpHahjJ2udtXXg/k1907QkiSpieUn
VviUbi94d21p5R6G4cEvP+fwuFY0ohFtV8e6nNBK3kFaUggNQ5BdO57/havW5zq0
ENIRZ0fH7wIDAQABo1MwUTAdBgNVHQ4EFgQUXdESumqk9i56s2DTvE8xzMpTyTMw
HwYDVR0jBBgwFoAUXdESumqk9i56s2DTvE8xzMpTyTMwDwYDVR0TAQH/BAUwAwEB
/zANBgkqhkiG9w0BAQsFAAOBgQASZ2RiX1AtPYR/ra+Bje+aNu3HHH6RZJZ1Coh0
Z51Q0AUm3hqJsXTpdv//pp14VI6M0/LWvEyL4fZiWP47V7EiwbMNiHfF2MucgHk1
jBli3ifMESk8DVfEwMYJ35sS4qbrRbiPy57RRTdvzyai6LBcDYv+aiOxqSyUD/tU
eqMh5g==
-----END CERTIFICATE-----
";

#[test]
fn authorities_and_lists() {
    let files = Files::new();
    let other = Authority::new("Other authority", valid()).unwrap();
    let check = |list: String| {
        fs::write(files.path("crl.pem"), list).unwrap();
        let findings = check_trust(&files.path("ca.pem"), Some(&files.path("crl.pem")), now());
        findings.into_iter().map(|finding| finding.kind).collect::<Vec<_>>()
    };
    assert_eq!(check(files.ca.crl(&[vec![1]], valid()).unwrap()), []);
    assert_eq!(
        check(files.ca.crl(&[], Validity { not_before: ago(9), not_after: ago(1) }).unwrap()),
        [Kind::CrlExpired]
    );
    assert_eq!(
        check(files.ca.crl(&[], Validity { not_before: ago(-1), not_after: ago(-9) }).unwrap()),
        [Kind::CrlNotYetValid]
    );
    assert_eq!(check(other.crl(&[], valid()).unwrap()), [Kind::CrlForeign]);
    assert_eq!(check("nothing".to_owned()), [Kind::Unparsable]);
}

#[test]
fn one_old_authority_among_good_ones_is_only_reported() {
    let files = Files::new();
    let old = Authority::new("Old authority", Validity { not_before: ago(90), not_after: ago(1) }).unwrap();
    fs::write(files.path("ca.pem"), format!("{}{}", files.ca.cert_pem(), old.cert_pem())).unwrap();
    let findings = check_trust(&files.path("ca.pem"), None, now());
    assert_eq!((findings[0].kind, findings[0].level), (Kind::Expired, Level::Alarm));
    fs::write(files.path("ca.pem"), old.cert_pem()).unwrap();
    assert!(check_trust(&files.path("ca.pem"), None, now())[0].is_error());
    fs::copy(files.path("server.pem"), files.path("ca.pem")).unwrap();
    assert_eq!(check_trust(&files.path("ca.pem"), None, now())[0].kind, Kind::NotAuthority);
}

#[test]
fn a_server_does_not_start_and_says_all_reasons() {
    let files = Files::new();
    files.after_put(Validity { not_before: ago(90), not_after: ago(1) });
    let settings = ServerTls {
        cert: files.path("server.pem"),
        key: files.path("server-key.pem"),
        client_ca: None,
        client_auth: ClientAuth::Required,
        crl: None,
        host: Some("other.test".to_owned()),
    };
    let Err(TlsError::Refused(findings)) = ReloadingServer::load(settings, now()) else { panic!("it started") };
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Expired, Kind::WrongHost, Kind::AuthorityMissing]);
}

#[test]
fn facts_and_identity_of_a_client() {
    let files = Files::new();
    files.put("client", &files.ca.issue_client("pas", valid()).unwrap());
    let facts = &facts(&files.path("client.pem"), now()).unwrap()[0];
    assert_eq!(facts.subject, "CN=pas");
    assert_eq!(facts.issuer, "CN=Test authority");
    assert_eq!(facts.uris, ["urn:onward:system:pas"]);
    assert_eq!((facts.days_left, facts.is_ca, facts.key_algorithm.as_str()), (90, false, "EC P-256"));
    let der = &Source::read(&files.path("client.pem")).unwrap().certificates().unwrap()[0];
    let identity = PeerIdentity::from_der(der).unwrap();
    assert_eq!(
        (identity.common_name.as_deref(), identity.uris, identity.sha256.len()),
        (Some("pas"), facts.uris.clone(), 64)
    );
    assert_eq!(identity.sha256, facts.sha256);
    assert_eq!(PeerIdentity::from_der(b"no"), None);
}

#[test]
fn a_development_installation_is_kept_while_it_is_good() {
    let dir = TempDir::new().unwrap();
    let make = |names: &[&str], now| create_development_pki(dir.path(), names, &["pas", "gp"], 90, now).unwrap();
    let first = make(&["gateway.test"], now());
    assert_eq!(first.made.len(), 8);
    assert_eq!(make(&["gateway.test"], now()).made, Vec::<PathBuf>::new());
    assert_eq!(make(&["other.test"], now()).made, [first.server.cert.clone(), first.server.key.clone()]);
    assert_eq!(make(&["other.test"], ago(-61)).made.len(), 6);
    assert_eq!(make(&["other.test"], ago(-3640)).made.len(), 8);
    assert!(create_development_pki(dir.path(), &[], &["../evil"], 90, now()).is_err());
}

#[cfg(unix)]
#[test]
fn everything_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let pki = create_development_pki(&dir.path().join("tls"), &[], &["pas"], 90, now()).unwrap();
    for file in &pki.made {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    assert_eq!(fs::metadata(dir.path().join("tls")).unwrap().permissions().mode() & 0o777, 0o700);
}
