//! Real handshakes over real sockets, while the files behind them change.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use onward::cli::tls::TlsCommand;
use onward::tls::authority::{Authority, Issued, Validity};
use onward::tls::client::client_config;
use onward::tls::handshake::{Handshake, handshake_check};
use onward::tls::{ClientAuth, ClientTls, Kind, ReloadingClient, ReloadingServer, ServerTls, Watcher};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

const POLL: Duration = Duration::from_millis(10);

/// An authority, its files, and a listener that echoes.
struct Bench {
    dir: TempDir,
    ca: Authority,
    server: Arc<ReloadingServer>,
    port: u16,
    _watcher: Watcher,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(client_auth: ClientAuth) -> Self {
        let (dir, ca) = (TempDir::new().unwrap(), Authority::new("Test authority", valid()).unwrap());
        fs::write(dir.path().join("ca.pem"), ca.cert_pem()).unwrap();
        fs::write(dir.path().join("crl.pem"), ca.crl(&[], valid()).unwrap()).unwrap();
        put(&dir, "server", &ca.issue_server(&["localhost"], valid()).unwrap());
        let settings = ServerTls {
            cert: dir.path().join("server.pem"),
            key: dir.path().join("server-key.pem"),
            client_ca: Some(dir.path().join("ca.pem")),
            client_auth,
            crl: Some(dir.path().join("crl.pem")),
            host: Some("localhost".to_owned()),
        };
        let server = ReloadingServer::load(settings, Timestamp::now()).unwrap();
        let watcher = Watcher::start("files", POLL, vec![server.clone()]).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(echo(listener, TlsAcceptor::from(Arc::new(server.config()))));
        Self { dir, ca, server, port, _watcher: watcher, runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A client's files, with a certificate that was issued by `ca`.
    fn client(&self, name: &str, ca: &Authority, validity: Validity) -> (ClientTls, Vec<u8>) {
        let issued = ca.issue_client(name, validity).unwrap();
        put(&self.dir, name, &issued);
        let key = Some(self.path(&format!("{name}-key.pem")));
        (ClientTls { ca: self.path("ca.pem"), cert: Some(self.path(&format!("{name}.pem"))), key }, issued.serial)
    }

    fn anonymous(&self) -> ClientTls {
        ClientTls { ca: self.path("ca.pem"), cert: None, key: None }
    }

    fn shake(&self, settings: &ClientTls) -> Handshake {
        handshake_check("localhost", self.port, settings, Timestamp::now())
    }

    fn failure(&self, settings: &ClientTls) -> &'static str {
        self.shake(settings).failure.map_or("none", |failure| failure.code)
    }

    fn wait(&self, what: impl Fn(&onward::tls::State) -> bool) {
        for _ in 0..500 {
            if what(&self.server.state()) {
                return;
            }
            std::thread::sleep(POLL);
        }
        panic!("the change was not seen: {:?}", self.server.state());
    }
}

async fn echo(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            let mut byte = [0];
            while let Ok(1) = stream.read(&mut byte).await {
                let _ = stream.write_all(&byte).await;
            }
        });
    }
}

/// From three days ago, so that what is over now was good yesterday.
fn valid() -> Validity {
    Validity { not_before: Timestamp::now() - SignedDuration::from_hours(72), ..Validity::days(Timestamp::now(), 90) }
}

fn over() -> Validity {
    let ago = |hours| Timestamp::now() - SignedDuration::from_hours(hours);
    Validity { not_before: ago(48), not_after: ago(1) }
}

fn put(dir: &TempDir, stem: &str, issued: &Issued) {
    let path = |end: &str| dir.path().join(format!("{stem}{end}"));
    issued.write(&path(".pem"), &path("-key.pem")).unwrap();
}

async fn connect(config: &Arc<ClientConfig>, port: u16) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    TlsConnector::from(config.clone()).connect(ServerName::try_from("localhost").unwrap(), socket).await
}

async fn round_trip(stream: &mut TlsStream<tokio::net::TcpStream>) -> std::io::Result<()> {
    stream.write_all(b"x").await?;
    stream.read_exact(&mut [0]).await.map(drop)
}

/// The first bytes of a client that speaks nothing newer than TLS 1.1.
fn hello_1_1() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0xc0, 0x2b, 0xc0, 0x13, 1, 0]);
    // Its signature algorithms and curves would do: only the version is too old.
    body.extend([0, 16, 0, 13, 0, 4, 0, 2, 4, 3, 0, 10, 0, 4, 0, 2, 0, 23]);
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(body);
    hello
}

#[test]
fn tls_1_3_and_1_2_but_nothing_older() {
    let bench = Bench::new(ClientAuth::Off);
    let shown = bench.shake(&bench.anonymous());
    assert_eq!((shown.failure, shown.protocol.as_deref()), (None, Some("TLSv1_3")));
    assert_eq!(shown.chain[0].dns, ["localhost"]);
    onward::tls::install_provider();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(bench.ca.cert_pem().as_bytes()).unwrap()).unwrap();
    let only_1_2 = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS12]);
    let only_1_2 = Arc::new(only_1_2.with_root_certificates(roots).with_no_client_auth());
    bench.runtime.block_on(async { round_trip(&mut connect(&only_1_2, bench.port).await.unwrap()).await.unwrap() });
    let mut socket = TcpStream::connect(("127.0.0.1", bench.port)).unwrap();
    socket.write_all(&hello_1_1()).unwrap();
    let mut alert = [0; 7];
    socket.read_exact(&mut alert).unwrap();
    assert_eq!((alert[0], alert[5..].to_vec()), (21, vec![2, 70]), "fatal protocol_version");
    assert_eq!(socket.read(&mut alert).unwrap(), 0);
}

#[test]
fn clients_are_refused_with_the_reason() {
    let bench = Bench::new(ClientAuth::Required);
    let other = Authority::new("Other authority", valid()).unwrap();
    let (good, _) = bench.client("pas", &bench.ca, valid());
    let (foreign, _) = bench.client("foreign", &other, valid());
    let (expired, _) = bench.client("expired", &bench.ca, over());
    assert_eq!(bench.failure(&good), "none");
    assert_eq!(bench.failure(&bench.anonymous()), "client-certificate-required");
    // A server certificate cannot be used by a client.
    let server =
        ClientTls { cert: Some(bench.path("server.pem")), key: Some(bench.path("server-key.pem")), ..good.clone() };
    assert_eq!(bench.failure(&server), "files-refused");
    assert_eq!(bench.failure(&foreign), "client-issuer-unknown");
    assert_eq!(bench.failure(&expired), "files-refused");
    // As it was when it was still good; the server's clock decides.
    let then = Timestamp::now() - SignedDuration::from_hours(2);
    let shown = handshake_check("localhost", bench.port, &expired, then);
    assert_eq!(shown.failure.unwrap().code, "client-certificate-expired");
}

#[test]
fn servers_are_refused_with_the_reason() {
    let bench = Bench::new(ClientAuth::Off);
    let shown = handshake_check("127.0.0.1", bench.port, &bench.anonymous(), Timestamp::now());
    assert_eq!(shown.failure.unwrap().code, "host-not-in-certificate");
    assert_eq!(shown.chain.len(), 1, "the chain is shown although it is refused");
    fs::write(bench.path("other.pem"), Authority::new("Other", valid()).unwrap().cert_pem()).unwrap();
    let foreign = ClientTls { ca: bench.path("other.pem"), ..bench.anonymous() };
    assert_eq!(bench.failure(&foreign), "issuer-unknown");
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || plain.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let shown = handshake_check("localhost", port, &bench.anonymous(), Timestamp::now());
    assert_eq!(shown.failure.unwrap().code, "not-tls");
    let shown = handshake_check("localhost", 1, &bench.anonymous(), Timestamp::now());
    assert_eq!(shown.failure.unwrap().code, "no-connection");
}

#[test]
fn a_revoked_client_is_refused_and_cannot_resume() {
    let bench = Bench::new(ClientAuth::Required);
    let (settings, serial) = bench.client("pas", &bench.ca, valid());
    let config = client_config(&settings, Timestamp::now()).unwrap();
    let kind = || {
        bench.runtime.block_on(async {
            let mut stream = connect(&config, bench.port).await?;
            round_trip(&mut stream).await?;
            Ok::<_, std::io::Error>(stream.get_ref().1.handshake_kind())
        })
    };
    assert_eq!(kind().unwrap(), Some(HandshakeKind::Full));
    assert_eq!(kind().unwrap(), Some(HandshakeKind::Resumed));
    let (innocent, _) = bench.client("gp", &bench.ca, valid());
    fs::write(bench.path("crl.pem"), bench.ca.crl(&[serial], valid()).unwrap()).unwrap();
    bench.wait(|state| state.reloads == 1);
    assert!(kind().is_err());
    assert_eq!(bench.failure(&settings), "client-certificate-revoked");
    assert_eq!(bench.failure(&innocent), "none");
}

#[test]
fn a_client_of_a_removed_authority_cannot_resume() {
    let bench = Bench::new(ClientAuth::Required);
    let (settings, _) = bench.client("pas", &bench.ca, valid());
    let trusted = ClientTls { ca: bench.path("old.pem"), ..settings };
    fs::copy(bench.path("ca.pem"), bench.path("old.pem")).unwrap();
    let config = client_config(&trusted, Timestamp::now()).unwrap();
    let reach = || bench.runtime.block_on(async { round_trip(&mut connect(&config, bench.port).await?).await });
    reach().unwrap();
    let other = Authority::new("Other authority", valid()).unwrap();
    fs::write(bench.path("crl.pem"), other.crl(&[], valid()).unwrap()).unwrap();
    fs::write(bench.path("ca.pem"), other.cert_pem()).unwrap();
    bench.wait(|state| 0 < state.reloads);
    assert!(reach().is_err());
}

#[test]
fn a_new_server_certificate_loses_no_connection() {
    let bench = Bench::new(ClientAuth::Off);
    let config = client_config(&bench.anonymous(), Timestamp::now()).unwrap();
    let first = bench.shake(&bench.anonymous()).chain[0].sha256.clone();
    let mut long = bench.runtime.block_on(connect(&config, bench.port)).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (port, stopped, fresh) = (bench.port, stop.clone(), bench.anonymous());
    let stream = bench.runtime.spawn(async move {
        let mut count = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            // A configuration of its own each time: no session is resumed.
            let config = client_config(&fresh, Timestamp::now()).unwrap();
            round_trip(&mut connect(&config, port).await.unwrap()).await.unwrap();
            count += 1;
        }
        count
    });
    for round in 1..=5 {
        put(&bench.dir, "server", &bench.ca.issue_server(&["localhost"], valid()).unwrap());
        bench.wait(|state| state.reloads == round);
    }
    bench.runtime.block_on(round_trip(&mut long)).unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(5 < bench.runtime.block_on(stream).unwrap());
    assert_ne!(bench.shake(&bench.anonymous()).chain[0].sha256, first);
}

#[test]
fn a_bad_new_file_is_refused_and_the_old_one_stays() {
    let bench = Bench::new(ClientAuth::Off);
    let old = fs::read(bench.path("server.pem")).unwrap();
    let serves = || assert_eq!(bench.failure(&bench.anonymous()), "none");
    fs::write(bench.path("server.pem"), "half a certifi").unwrap();
    bench.wait(|state| state.refused.iter().any(|finding| finding.kind == Kind::Unparsable));
    serves();
    put(&bench.dir, "server", &bench.ca.issue_server(&["elsewhere"], valid()).unwrap());
    bench.wait(|state| state.refused.iter().any(|finding| finding.kind == Kind::WrongHost));
    serves();
    fs::write(bench.path("server.pem"), &old).unwrap();
    bench.wait(|state| state.refused.iter().any(|finding| finding.kind == Kind::KeyMismatch));
    serves();
    put(&bench.dir, "server", &bench.ca.issue_server(&["localhost"], valid()).unwrap());
    bench.wait(|state| state.reloads == 1 && state.refused.is_empty());
    serves();
}

#[test]
fn what_is_in_use_says_when_it_ends() {
    let bench = Bench::new(ClientAuth::Required);
    let names: Vec<_> = bench.server.expiries().into_iter().map(|expiry| expiry.name).collect();
    assert_eq!(names, ["server certificate CN=localhost", "client authority CN=Test authority", "revocation list"]);
}

#[test]
fn a_caller_takes_up_a_new_authority_and_certificate() {
    let bench = Bench::new(ClientAuth::Off);
    let (settings, _) = bench.client("pas", &bench.ca, valid());
    let settings = ClientTls { ca: bench.path("outbound-ca.pem"), ..settings };
    fs::write(&settings.ca, Authority::new("Other", valid()).unwrap().cert_pem()).unwrap();
    let client = ReloadingClient::load(settings.clone(), Timestamp::now()).unwrap();
    let _watcher = Watcher::start("files", POLL, vec![client.clone()]).unwrap();
    let reach =
        || bench.runtime.block_on(async { round_trip(&mut connect(&client.config(), bench.port).await?).await });
    assert!(reach().is_err());
    fs::copy(bench.path("ca.pem"), &settings.ca).unwrap();
    while client.state().reloads == 0 {
        std::thread::sleep(POLL);
    }
    reach().unwrap();
    let names: Vec<_> = client.expiries().into_iter().map(|expiry| expiry.name).collect();
    assert_eq!(names, ["server authority CN=Test authority", "client certificate CN=pas"]);
}

#[test]
fn the_command_says_by_its_exit_code_whether_something_is_to_be_mended() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(subcommand)]
        tls: TlsCommand,
    }
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let run = |words: &[&str]| <Command as clap::Parser>::try_parse_from(words).unwrap().tls.run(true).unwrap();
    assert_eq!(run(&["tls", "init", "--dir", &path(""), "--client", "pas"]), 0);
    let (ca, cert, key) = (path("ca.pem"), path("server.pem"), path("server-key.pem"));
    let server = ["tls", "check", "--cert", &cert, "--key", &key, "--ca", &ca];
    assert_eq!(run(&[&server[..], &["--host", "localhost"]].concat()), 0);
    assert_eq!(run(&[&server[..], &["--host", "elsewhere"]].concat()), 1);
    assert_eq!(run(&[&server[..], &["--as-client"]].concat()), 1);
    assert_eq!(run(&["tls", "check", "--ca", &ca]), 0);
    assert_eq!(run(&["tls", "check", "--ca", &ca, "--connect", "localhost:1"]), 1);
}
