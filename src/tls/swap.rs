//! The parts of a listener's configuration that can be replaced while it listens.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// A value that is replaced as a whole while others read it.
#[derive(Debug)]
pub(super) struct Cell<T: ?Sized>(RwLock<Arc<T>>);

impl<T: ?Sized> Cell<T> {
    pub(super) fn new(value: Arc<T>) -> Self {
        Self(RwLock::new(value))
    }

    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, value: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// Gives each handshake the certificate that is in use at that moment.
#[derive(Debug)]
pub(super) struct SwapCertificate(pub(super) Cell<CertifiedKey>);

impl ResolvesServerCert for SwapCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }
}

/// Verifies each client by the authorities and revocation lists that are in use at that moment.
#[derive(Debug)]
pub(super) struct SwapVerifier {
    pub(super) inner: Cell<dyn ClientCertVerifier>,
    pub(super) mandatory: bool,
}

impl ClientCertVerifier for SwapVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// No hints: they would be borrowed from what may be swapped, and without them a client sends what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.inner.get().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.get().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.get().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.get().supported_verify_schemes()
    }
}

/// Tickets spare a caller the full handshake, and with it the check of its certificate. So their keys live for an
/// hour only, and go at once when it changes who is trusted: every caller then shows its certificate again.
#[derive(Debug)]
pub(super) struct SwapTickets {
    inner: Cell<dyn ProducesTickets>,
    until: Mutex<Instant>,
}

impl SwapTickets {
    const LIFE: Duration = Duration::from_secs(3600);

    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { inner: Cell::new(Ticketer::new()?), until: Mutex::new(Instant::now() + Self::LIFE) })
    }

    /// Makes all tickets worthless when their hour is over.
    pub(super) fn age(&self) {
        if *self.until.lock().unwrap_or_else(PoisonError::into_inner) <= Instant::now() {
            self.rotate(Self::LIFE);
        }
    }

    /// Makes all tickets worthless now, and once more in a minute: a handshake that was verified by the old rules
    /// a moment ago may still get its ticket.
    pub(super) fn revoke(&self) {
        self.rotate(Duration::from_secs(60));
    }

    fn rotate(&self, life: Duration) {
        match Ticketer::new() {
            Ok(ticketer) => {
                self.inner.set(ticketer);
                *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + life;
            }
            Err(error) => {
                tracing::error!(%error, "no new ticket keys; sessions are no longer resumed");
                self.inner.set(Arc::new(NoTickets));
            }
        }
    }
}

impl ProducesTickets for SwapTickets {
    fn enabled(&self) -> bool {
        self.inner.get().enabled()
    }

    fn lifetime(&self) -> u32 {
        Self::LIFE.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.inner.get().encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.inner.get().decrypt(cipher)
    }
}

#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_tickets_are_worthless_after_a_change_of_trust() {
        let tickets = SwapTickets::new().unwrap();
        let ticket = tickets.encrypt(b"session").unwrap();
        tickets.age();
        assert_eq!(tickets.decrypt(&ticket).unwrap(), b"session");
        tickets.revoke();
        assert_eq!(tickets.decrypt(&ticket), None);
    }
}
