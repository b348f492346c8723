//! MLLP in TLS, both ways.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use onward::mllp::{Handler, Options, listen};
use onward::outbox::destination::{Destination, Peer, Tls};
use onward::outbox::health::State;
use onward::pas::simulator::{self, Simulator};
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outbox::{World, all, destination};

/// An authority, and what it vouches for on both sides.
pub(crate) struct Pki {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
    /// Trusts the server, but has nothing to show for itself.
    stranger: Arc<ClientConfig>,
}

pub(crate) fn pki() -> Pki {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str, usage| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &issuer).unwrap();
        (vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    };
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let roots = Arc::new(roots);
    let (chain, key) = issue("pas.test", ExtendedKeyUsagePurpose::ServerAuth);
    let verifier = WebPkiClientVerifier::builder(roots.clone()).build().unwrap();
    let server = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let (chain, key) = issue("onward.test", ExtendedKeyUsagePurpose::ClientAuth);
    let client =
        ClientConfig::builder().with_root_certificates(roots.clone()).with_client_auth_cert(chain, key).unwrap();
    let stranger = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Pki { server: Arc::new(server), client: Arc::new(client), stranger: Arc::new(stranger) }
}

fn over_tls(simulator: &Simulator, name: &'static str, config: &Arc<ClientConfig>) -> Destination {
    let config = config.clone();
    let tls = Tls { server_name: ServerName::try_from(name).unwrap(), config: Arc::new(move || config.clone()) };
    let peer = Peer { tls: Some(tls), ..Peer::new("127.0.0.1", simulator.addr.port()) };
    let plain = destination(simulator.addr);
    Destination { backoff: plain.backoff, look_interval: plain.look_interval, ..Destination::mllp("pas", peer) }
}

async fn secure_simulator(pki: &Pki) -> Simulator {
    let options = simulator::Options { tls: Some(pki.server.clone()), ..simulator::Options::default() };
    Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_go_over_mutual_tls() {
    let pki = pki();
    let simulator = secure_simulator(&pki).await;
    let mut world = World::new();
    world.write(&all(10, 3)).await;
    world.start(over_tls(&simulator, "pas.test", &pki.client));
    world.until_delivered(30).await;
    assert_eq!((simulator.counts().messages, simulator.counts().repeats), (30, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_to_a_peer_of_another_name_and_the_reason_is_said() {
    let pki = pki();
    let simulator = secure_simulator(&pki).await;
    let mut world = World::new();
    world.write(&all(2, 1)).await;
    world.start(over_tls(&simulator, "somebody.else.test", &pki.client));
    world.until("it is known to be down", |world| world.health().state == State::Down).await;
    let reason = world.health().last_error.unwrap();
    assert!(reason.starts_with("TLS: invalid peer certificate"), "{reason}");
    assert_eq!(simulator.counts().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_listener_takes_those_it_knows_over_tls_and_no_others() {
    let pki = pki();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let handler: Handler = Arc::new(|message, _| async move { Some(vec![message]) }.boxed());
    let server = pki.server.clone();
    let options = Options { tls: Some(Arc::new(move || server.clone())), ..Options::default() };
    listen(listener, options, handler, &CancellationToken::new(), &TaskTracker::new());

    let talk = async |config: &Arc<ClientConfig>| -> std::io::Result<Vec<u8>> {
        let stream = TcpStream::connect(addr).await?;
        let name = ServerName::try_from("pas.test").unwrap();
        let mut stream = TlsConnector::from(config.clone()).connect(name, stream).await?;
        stream.write_all(b"\x0becho\x1c\r").await?;
        let mut answer = vec![0; 7];
        tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await??;
        Ok(answer)
    };
    assert_eq!(talk(&pki.client).await.unwrap(), b"\x0becho\x1c\r");
    assert!(talk(&pki.stranger).await.is_err());
}
