//! The HTTPS listener: actix-web on rustls, HTTP/1.1 and HTTP/2.

use std::any::Any;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpServer, web};

use super::{Front, Peer};
use crate::config::Https;
use crate::tls::{PeerIdentity, ReloadingServer};

/// What the listener needs to know.
pub struct ServerSettings {
    /// The bound socket.
    pub listener: TcpListener,
    /// Certificates that follow their files.
    pub tls: Arc<ReloadingServer>,
    /// Limits.
    pub limits: Https,
    /// Signs of life of its threads.
    pub pulse: Pulse,
}

/// A running listener.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Gives each thread of the listener something to call while it is free to work.
pub type Pulse = Arc<dyn Fn() -> Box<dyn Fn()> + Send + Sync>;

impl Server {
    /// Serves until [`Server::stop`].
    pub fn start(front: Arc<Front>, settings: ServerSettings) -> std::io::Result<Self> {
        let address = settings.listener.local_addr()?;
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("https".into()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                match build(front, settings) {
                    Ok(server) => {
                        let _ = tell.send(Ok(server.handle()));
                        if let Err(error) = server.await {
                            tracing::error!(%error, "the HTTPS listener ended");
                        }
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            });
        })?;
        let handle = told.recv().map_err(|_| std::io::Error::other("the HTTPS listener did not start"))??;
        Ok(Self { address, handle, thread: Some(thread) })
    }

    /// Takes no new connections, finishes what is being answered, and ends.
    pub async fn stop(mut self) {
        self.handle.stop(true).await;
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn build(front: Arc<Front>, settings: ServerSettings) -> std::io::Result<actix_web::dev::Server> {
    let ServerSettings { listener, tls, limits, pulse } = settings;
    let workers = match limits.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        some => some,
    };
    let data = web::Data::from(front);
    let server = HttpServer::new(move || {
        keep_beating(pulse());
        App::new().app_data(data.clone()).default_service(web::to(serve))
    })
    .workers(workers)
    .backlog(1024)
    .max_connections(limits.connections_max.div_ceil(workers))
    .keep_alive(Duration::from_millis(limits.keep_alive_ms))
    .client_request_timeout(Duration::from_millis(limits.request_timeout_ms))
    .client_disconnect_timeout(Duration::from_millis(1_000))
    .tls_handshake_timeout(Duration::from_millis(limits.handshake_timeout_ms))
    .tcp_nodelay(true)
    .shutdown_timeout(10)
    .disable_signals()
    .on_connect(note_peer)
    .listen_rustls_0_23(listener, tls.config())?;
    Ok(server.run())
}

async fn serve(front: web::Data<Front>, request: HttpRequest, payload: web::Payload) -> actix_web::HttpResponse {
    Arc::clone(&front).serve(request, payload).await
}

/// Each worker's runtime beats; a worker that is stuck does not.
fn keep_beating(beat: Box<dyn Fn()>) {
    actix_web::rt::spawn(async move {
        loop {
            beat();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
}

/// Reads the peer's certificate once per connection.
fn note_peer(connection: &dyn Any, extensions: &mut Extensions) {
    let certificate = connection.downcast_ref::<TlsStream<TcpStream>>().and_then(|stream| {
        stream.get_ref().1.peer_certificates()?.first().cloned()
    });
    let identity = certificate.and_then(|certificate| PeerIdentity::from_der(&certificate));
    extensions.insert(Peer { identity });
}
