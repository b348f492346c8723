//! A small HTTPS client: one address, kept-alive connections, HTTP/1.1 or HTTP/2.
//!
//! It verifies the server like every other caller here; there is no way to switch that off.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::{HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not an `https` URL with a host.
    #[error("{0} is not an https URL")]
    Url(String),
    /// No connection, or its handshake failed.
    #[error("no connection to {0}: {1}")]
    Connect(String, std::io::Error),
    /// The connection failed underneath the request.
    #[error("the connection failed: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be put into HTTP.
    #[error("not a request: {0}")]
    Request(#[from] hyper::http::Error),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A client of one server. Requests at the same time get a connection each over HTTP/1.1, and share one over HTTP/2.
pub struct Client {
    host: String,
    port: u16,
    prefix: String,
    address: Option<SocketAddr>,
    host_header: HeaderValue,
    tls: Arc<ClientConfig>,
    http2: bool,
    timeout: Duration,
    idle: Mutex<Vec<http1::SendRequest<Full<Bytes>>>>,
    shared: tokio::sync::Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client of the server at `base`, such as `https://localhost:8443/FHIR/R4`; a path is put before all others.
    pub fn new(base: &str, tls: Arc<ClientConfig>) -> Result<Self, ClientError> {
        let wrong = || ClientError::Url(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or_else(wrong)?;
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(443),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            address: None,
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            tls: with_protocol(tls, b"http/1.1"),
            http2: false,
            timeout: Duration::from_secs(30),
            idle: Mutex::default(),
            shared: tokio::sync::Mutex::default(),
        })
    }

    /// The same over HTTP/2.
    pub fn over_http2(self) -> Self {
        Self { http2: true, tls: with_protocol(self.tls, b"h2"), ..self }
    }

    /// The same, always at this address, whatever its host's name may resolve to.
    pub fn at(self, address: SocketAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, ClientError> {
        let request = self.request(method, path_and_query, headers, body.unwrap_or_default())?;
        let answer = async { if self.http2 { self.send_two(request).await } else { self.send_one(request).await } };
        tokio::time::timeout(self.timeout, answer).await.map_err(|_| ClientError::Timeout(self.timeout))?
    }

    /// Opens the connection that the next request will use, so that its handshake is not part of that request.
    pub async fn warm_up(&self) -> Result<(), ClientError> {
        match self.http2 {
            true => drop(self.two().await?),
            false => {
                let sender = self.one().await?;
                self.keep(sender);
            }
        }
        Ok(())
    }

    fn request(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let path = format!("{}{path_and_query}", self.prefix);
        let uri = match self.http2 {
            true => {
                Uri::builder().scheme("https").authority(self.host_header.as_bytes()).path_and_query(path).build()?
            }
            false => Uri::builder().path_and_query(path).build()?,
        };
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body))?;
        *request.headers_mut() = headers;
        if !self.http2 {
            request.headers_mut().insert(HOST, self.host_header.clone());
        }
        Ok(request)
    }

    /// A kept connection may have been closed by the server just now; what it never took is sent on another.
    async fn send_one(&self, mut request: Request<Full<Bytes>>) -> Result<Response, ClientError> {
        loop {
            let mut sender = self.one().await?;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let response = whole(response).await?;
                    self.keep(sender);
                    return Ok(response);
                }
                Err(mut error) => request = error.take_message().ok_or_else(|| error.into_error())?,
            }
        }
    }

    async fn send_two(&self, request: Request<Full<Bytes>>) -> Result<Response, ClientError> {
        let mut sender = self.two().await?;
        whole(sender.send_request(request).await?).await
    }

    /// An idle connection that still stands, or a new one.
    async fn one(&self) -> Result<http1::SendRequest<Full<Bytes>>, ClientError> {
        while let Some(mut sender) = self.take() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        match self.connect().await? {
            Sender::One(sender) => Ok(sender),
            Sender::Two(_) => Err(self.refused(std::io::Error::other("HTTP/2 where HTTP/1.1 was asked for"))),
        }
    }

    /// The shared connection, made anew when it is gone.
    async fn two(&self) -> Result<http2::SendRequest<Full<Bytes>>, ClientError> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        match self.connect().await? {
            Sender::Two(sender) => Ok(shared.insert(sender).clone()),
            Sender::One(_) => Err(self.refused(std::io::Error::other("the server does not speak HTTP/2"))),
        }
    }

    fn take(&self) -> Option<http1::SendRequest<Full<Bytes>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, sender: http1::SendRequest<Full<Bytes>>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }

    fn refused(&self, error: std::io::Error) -> ClientError {
        ClientError::Connect(format!("{}:{}", self.host, self.port), error)
    }

    async fn connect(&self) -> Result<Sender, ClientError> {
        let stream = self.connect_tls().await.map_err(|error| self.refused(error))?;
        let is_two = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        // What ends a connection is told to whoever waits for an answer on it.
        if is_two {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(async { drop(connection.await) });
            return Ok(Sender::Two(sender));
        }
        let (sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(async { drop(connection.await) });
        Ok(Sender::One(sender))
    }

    async fn connect_tls(&self) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let socket = match self.address {
            Some(address) => TcpStream::connect(address).await?,
            None => TcpStream::connect((self.host.as_str(), self.port)).await?,
        };
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone()).map_err(std::io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, socket).await
    }
}

fn with_protocol(tls: Arc<ClientConfig>, protocol: &[u8]) -> Arc<ClientConfig> {
    let mut tls = Arc::unwrap_or_clone(tls);
    tls.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(tls)
}

async fn whole(response: hyper::Response<hyper::body::Incoming>) -> Result<Response, ClientError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Response { status: head.status, headers: head.headers, body })
}
