//! Connections: unix sockets, TCP, and TLS over TCP.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tower_service::Service;

use super::endpoint::{Endpoint, Target};
use super::tls::TlsOptions;
use crate::error::ConnectFailure;

type BoxError = Box<dyn StdError + Send + Sync>;

/// A connected stream of bytes.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Something that makes connections in place of the operating system: a tunnel, a proxy, or a test.
///
/// TLS is still the client's own: for an `https:` endpoint it is spoken over the socket that `dial` returns.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Connects to the endpoint. The kind of the error decides which hint its reader gets.
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Box<dyn Socket>>;
}

/// Why there is no connection. It is cloned out of the HTTP client's error, which gives only references.
#[derive(Clone, Debug)]
pub(crate) struct ConnectError {
    pub(crate) failure: ConnectFailure,
    source: Arc<dyn StdError + Send + Sync>,
}

impl ConnectError {
    fn new(failure: ConnectFailure, source: impl Into<BoxError>) -> Self {
        Self { failure, source: source.into().into() }
    }

    fn io(error: io::Error) -> Self {
        let failure = match error.kind() {
            io::ErrorKind::NotFound => ConnectFailure::NoSocket,
            // Reset: the listener closed while we waited in its queue.
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => ConnectFailure::Refused,
            io::ErrorKind::PermissionDenied => ConnectFailure::PermissionDenied,
            io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => ConnectFailure::Unreachable,
            _ => ConnectFailure::Other,
        };
        Self::new(failure, error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl StdError for ConnectError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.source()
    }
}

/// A socket of any of the kinds.
pub(crate) enum Wire {
    Unix(UnixStream),
    Tcp(TcpStream),
    Other(Box<dyn Socket>),
}

macro_rules! on_wire {
    ($self:ident, $socket:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Unix($socket) => $call,
            Self::Tcp($socket) => $call,
            Self::Other($socket) => $call,
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, socket => Pin::new(socket).poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_wire!(self, socket => Pin::new(socket).poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, socket => Pin::new(socket).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, socket => Pin::new(socket).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_wire!(self, socket => Pin::new(socket).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Unix(socket) => socket.is_write_vectored(),
            Self::Tcp(socket) => socket.is_write_vectored(),
            Self::Other(socket) => socket.is_write_vectored(),
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Makes sockets to one endpoint, without TLS.
#[derive(Clone)]
struct Plain {
    endpoint: Arc<Endpoint>,
    dial: Option<Arc<dyn Dial>>,
}

impl Plain {
    async fn connect(self) -> Result<Wire, ConnectError> {
        if let Some(dial) = &self.dial {
            return dial.dial(&self.endpoint).await.map(Wire::Other).map_err(ConnectError::io);
        }
        match self.endpoint.target() {
            Target::Unix(path) => UnixStream::connect(path).await.map(Wire::Unix).map_err(|error| {
                let is_other_file = error.kind() == io::ErrorKind::ConnectionRefused
                    && std::fs::metadata(path)
                        .is_ok_and(|file| !std::os::unix::fs::FileTypeExt::is_socket(&file.file_type()));
                if is_other_file {
                    ConnectError::new(ConnectFailure::NotASocket, error)
                } else {
                    ConnectError::io(error)
                }
            }),
            Target::Tcp { host, port, .. } => {
                // Looked up apart from connecting, so that the two failures can be told apart.
                let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port))
                    .await
                    .map_err(|error| ConnectError::new(ConnectFailure::Dns, error))?
                    .collect();
                let mut last = None;
                for address in addresses {
                    match TcpStream::connect(address).await {
                        Ok(socket) => {
                            // Requests are small and single; waiting for more to send only adds latency.
                            let _ = socket.set_nodelay(true);
                            return Ok(Wire::Tcp(socket));
                        }
                        Err(error) => last = Some(error),
                    }
                }
                Err(last.map_or_else(
                    || ConnectError::new(ConnectFailure::Dns, "the name has no address"),
                    ConnectError::io,
                ))
            }
        }
    }
}

impl Service<Uri> for Plain {
    type Response = TokioIo<Wire>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.connect().await.map(TokioIo::new) })
    }
}

/// Makes connections to one endpoint, with TLS where its scheme asks for it, within a time limit.
#[derive(Clone)]
pub(crate) struct Connector {
    plain: Plain,
    tls: Arc<TlsOptions>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        dial: Option<Arc<dyn Dial>>,
        tls: TlsOptions,
        timeout: Duration,
    ) -> Self {
        Self { plain: Plain { endpoint, dial }, tls: Arc::new(tls), timeout }
    }

    async fn connect(self, uri: Uri) -> Result<MaybeHttpsStream<TokioIo<Wire>>, ConnectError> {
        if !self.plain.endpoint.is_tls() {
            return self.plain.connect().await.map(|wire| MaybeHttpsStream::Http(TokioIo::new(wire)));
        }
        let config =
            self.tls.config().await.map_err(|error| ConnectError::new(ConnectFailure::NoRoots, error))?;
        HttpsConnector::from((self.plain, config)).call(uri).await.map_err(tls_error)
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<Wire>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let limit = this.timeout;
            tokio::time::timeout(limit, this.connect(uri)).await.unwrap_or_else(|_| {
                let words = format!("no connection within {limit:?}");
                Err(ConnectError::new(ConnectFailure::TimedOut, words))
            })
        })
    }
}

/// Tells a failed connection from a failed handshake, and the handshakes from each other.
fn tls_error(error: BoxError) -> ConnectError {
    let error = match error.downcast::<ConnectError>() {
        Ok(plain) => return *plain,
        Err(other) => other,
    };
    // The handshake's error is an `io::Error` of an `io::Error` of the real one; only the innermost says something.
    let mut current: &(dyn StdError + 'static) = &*error;
    let mut closed = false;
    loop {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return ConnectError::new(tls_failure(tls), tls.clone());
        }
        let next = match current.downcast_ref::<io::Error>() {
            Some(io) => {
                closed |= matches!(io.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
                io.get_ref().map(|inner| inner as &(dyn StdError + 'static))
            }
            None => current.source(),
        };
        match next {
            Some(inner) => current = inner,
            None => break,
        }
    }
    // A plain-text server that cannot read a handshake closes.
    let failure = if closed { ConnectFailure::NotTls } else { ConnectFailure::Tls };
    ConnectError::new(failure, error)
}

fn tls_failure(error: &rustls::Error) -> ConnectFailure {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidMessage(_) => ConnectFailure::NotTls,
        rustls::Error::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::UnhandledCriticalExtension | Certificate::BadSignature,
        ) => ConnectFailure::UntrustedCertificate,
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => ConnectFailure::WrongName,
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => ConnectFailure::ExpiredCertificate,
        rustls::Error::InvalidCertificate(Certificate::Other(_)) => ConnectFailure::UntrustedCertificate,
        _ => ConnectFailure::Tls,
    }
}
