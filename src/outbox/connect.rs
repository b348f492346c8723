//! Connections to other systems, in clear or in TLS.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::destination::Peer;

/// A connection, whatever it is made of.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Opens a connection in time, or says why there is none.
pub(super) async fn connect(peer: &Peer) -> Result<Box<dyn Transport>, String> {
    let transport = timeout(peer.connect_timeout, open(peer)).await;
    transport.map_err(|_| "timeout while connecting".to_owned())?.map_err(|error| text(&error))
}

async fn open(peer: &Peer) -> io::Result<Box<dyn Transport>> {
    let stream = connect_tcp(peer).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = &peer.tls else { return Ok(Box::new(stream)) };
    let connector = TlsConnector::from((tls.config)());
    Ok(Box::new(connector.connect(tls.server_name.clone(), stream).await?))
}

/// Tries every address of the host. Keep-alive, because hospital systems are silent all night and firewalls in
/// between forget.
async fn connect_tcp(peer: &Peer) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for addr in lookup_host((peer.host.as_str(), peer.port)).await? {
        match connect_addr(addr).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn connect_addr(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    socket.connect(addr).await
}

/// What the operator reads: the reason of TLS where it is one, or else the kind of error.
pub(super) fn text(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => format!("TLS: {tls}"),
        None => error.kind().to_string(),
    }
}
