//! One handshake, and in plain words why it fails.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};
use serde::Serialize;

use super::client::{ClientTls, Parts, config};
use super::inspect::Facts;

const TIMEOUT: Duration = Duration::from_secs(5);

/// What a handshake showed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Handshake {
    /// The certificates that the server sent, its own first.
    pub chain: Vec<Facts>,
    /// Such as `TLSv1_3`.
    pub protocol: Option<String>,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// Did the server ask for a client certificate?
    pub client_certificate_asked: bool,
    /// Why it failed; none: it did not.
    pub failure: Option<Failure>,
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Permanent code, such as `certificate-expired`.
    pub code: &'static str,
    /// The reason, for a person.
    pub text: String,
}

impl Failure {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Connects, shakes hands and hangs up.
pub fn handshake_check(host: &str, port: u16, settings: &ClientTls, now: Timestamp) -> Handshake {
    let mut seen = Handshake::default();
    let recorder = Arc::new(Recorder::default());
    if let Err(failure) = attempt(host, port, settings, now, &recorder, &mut seen) {
        seen.failure = Some(failure);
    }
    seen.client_certificate_asked = recorder.asked.load(Ordering::Relaxed);
    let chain = recorder.chain.lock().unwrap_or_else(PoisonError::into_inner);
    let origin = format!("{host}:{port}");
    seen.chain = chain.iter().filter_map(|der| Facts::of(Path::new(&origin), der, now).ok()).collect();
    seen
}

fn attempt(
    host: &str,
    port: u16,
    settings: &ClientTls,
    now: Timestamp,
    recorder: &Arc<Recorder>,
    seen: &mut Handshake,
) -> Result<(), Failure> {
    let config = recorded(settings, now, recorder)?;
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| Failure::new("host-invalid", format!("{host} is not a host name")))?;
    let mut socket = connect(host, port)?;
    let mut connection = ClientConnection::new(config, name).map_err(|error| explain(&error, settings))?;
    let result = shake(&mut connection, &mut socket);
    seen.protocol = connection.protocol_version().map(|version| format!("{version:?}"));
    seen.cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    result.map_err(|error| of_io(&error, settings))
}

fn recorded(settings: &ClientTls, now: Timestamp, recorder: &Arc<Recorder>) -> Result<Arc<ClientConfig>, Failure> {
    let refused = |findings: Vec<_>| Failure::new("files-refused", super::in_words(&findings));
    let mut parts = Parts::read(settings, now).map_err(refused)?;
    parts.verifier = Arc::new(RecordingVerifier { inner: parts.verifier, recorder: Arc::clone(recorder) });
    let mut config = config(parts).map_err(|error| Failure::new("files-refused", error.to_string()))?;
    let inner = Arc::clone(&config.client_auth_cert_resolver);
    config.client_auth_cert_resolver = Arc::new(RecordingResolver { inner, recorder: Arc::clone(recorder) });
    Ok(Arc::new(config))
}

fn connect(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let unknown = |error: io::Error| Failure::new("host-unknown", format!("{host} has no address: {error}"));
    let mut error = Failure::new("host-unknown", format!("{host} has no address"));
    for address in (host, port).to_socket_addrs().map_err(unknown)? {
        match TcpStream::connect_timeout(&address, TIMEOUT).and_then(with_timeouts) {
            Ok(socket) => return Ok(socket),
            Err(reason) => error = Failure::new("no-connection", format!("{address} does not answer: {reason}")),
        }
    }
    Err(error)
}

fn with_timeouts(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    Ok(socket)
}

/// In TLS 1.3 the client is done before the server has seen its certificate: a refusal comes as an alert afterwards.
/// A ticket says that all is well; a server that sends neither is given a moment.
fn shake(connection: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while connection.is_handshaking() {
        connection.complete_io(socket)?;
    }
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    while connection.tls13_tickets_received() == 0 {
        match connection.read_tls(socket) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => connection.process_new_packets().map(drop).map_err(io::Error::other)?,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn of_io(error: &io::Error, settings: &ClientTls) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => explain(error, settings),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Failure::new("closed", "the server hung up without a reason; does it speak TLS on this port?")
        }
        None => Failure::new("connection-lost", error.to_string()),
    }
}

/// A TLS error in plain words.
pub fn explain(error: &Error, settings: &ClientTls) -> Failure {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error, settings),
        Error::AlertReceived(alert) => of_alert(*alert, settings),
        Error::PeerIncompatible(_) => Failure::new(
            "protocol-version",
            format!(
                "the two ends have no protocol version or cipher in common (TLS 1.2 and 1.3 are spoken here): {error}"
            ),
        ),
        Error::InvalidMessage(_) => {
            Failure::new("not-tls", "what the server answers is not TLS; is this a plain port?")
        }
        error => Failure::new("handshake", error.to_string()),
    }
}

fn of_certificate(error: &CertificateError, settings: &ClientTls) -> Failure {
    use CertificateError as E;
    let ca = settings.ca.display();
    match error {
        E::Expired | E::ExpiredContext { .. } => {
            Failure::new("certificate-expired", format!("the server's certificate has expired: {error}"))
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            let text = format!("the server's certificate is not valid yet (or this clock is wrong): {error}");
            Failure::new("certificate-not-yet-valid", text)
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            Failure::new("host-not-in-certificate", format!("the server's certificate is for another name: {error}"))
        }
        E::UnknownIssuer => {
            Failure::new("issuer-unknown", format!("none of the authorities in {ca} issued its certificate"))
        }
        E::Revoked => Failure::new("certificate-revoked", "the server's certificate has been revoked"),
        error => Failure::new("chain-invalid", format!("the server's certificate does not verify: {error}")),
    }
}

fn of_alert(alert: AlertDescription, settings: &ClientTls) -> Failure {
    use AlertDescription as A;
    let shown = settings.cert.as_ref().map(|file| file.display().to_string());
    match (alert, shown) {
        (A::CertificateRequired, _) | (A::HandshakeFailure | A::AccessDenied, None) => {
            Failure::new("client-certificate-required", "the server wants a client certificate, and none was shown")
        }
        (A::CertificateExpired, Some(file)) => {
            Failure::new("client-certificate-expired", format!("the server says that {file} has expired"))
        }
        (A::CertificateRevoked, Some(file)) => {
            Failure::new("client-certificate-revoked", format!("the server says that {file} has been revoked"))
        }
        (A::UnknownCA, Some(file)) => {
            Failure::new("client-issuer-unknown", format!("the server trusts none of the issuers of {file}"))
        }
        (A::BadCertificate | A::CertificateUnknown | A::AccessDenied | A::DecryptError, Some(file)) => {
            Failure::new("client-certificate-refused", format!("the server refuses {file} ({alert:?})"))
        }
        (A::ProtocolVersion, _) => Failure::new("protocol-version", "the server speaks neither TLS 1.2 nor TLS 1.3"),
        (A::UnrecognisedName, _) => Failure::new("host-unknown-there", "the server does not know itself by this name"),
        (alert, _) => Failure::new("alert", format!("the server ended the handshake with the alert {alert:?}")),
    }
}

/// What is seen on the way, whether or not the handshake succeeds.
#[derive(Debug, Default)]
struct Recorder {
    chain: Mutex<Vec<CertificateDer<'static>>>,
    asked: AtomicBool,
}

#[derive(Debug)]
struct RecordingVerifier {
    inner: Arc<dyn ServerCertVerifier>,
    recorder: Arc<Recorder>,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned());
        *self.recorder.chain.lock().unwrap_or_else(PoisonError::into_inner) = chain.collect();
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[derive(Debug)]
struct RecordingResolver {
    inner: Arc<dyn ResolvesClientCert>,
    recorder: Arc<Recorder>,
}

impl ResolvesClientCert for RecordingResolver {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.recorder.asked.store(true, Ordering::Relaxed);
        self.inner.resolve(hints, schemes)
    }

    /// Always asked, so that it is seen whether the server wants one.
    fn has_certs(&self) -> bool {
        true
    }
}
