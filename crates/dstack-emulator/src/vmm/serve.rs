//! The server: listeners, credentials, faults, and the way from a path to what answers it.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use dstack_vmm_client::DstackVersion;
use futures_util::{StreamExt, stream};
use http::{HeaderValue, Method, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};

use super::methods::vmm_mount;
use super::node::{Node, REVISION};
use super::pages;
use crate::auth::{self, Auth};
use crate::fault::{Fault, Faults};
use crate::rpc::{Call, Mount, failure, json_asked};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    Unix(PathBuf),
    Tcp(String),
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// A server and what it needs for each request.
struct Server {
    node: Arc<Node>,
    auth: Auth,
    faults: Faults,
}

/// A listener that is served. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub(crate) struct Served {
    /// In the form that clients take: `unix:/path` or `http://address`.
    pub(crate) endpoint: String,
    task: JoinHandle<()>,
    socket: Option<PathBuf>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(socket) = &self.socket {
            // Nobody is left to tell; whoever listens here next removes the file first.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// The connection is closed without a reply.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped on purpose")]
struct Dropped;

/// Opens the listeners and serves them. The error names the address.
pub(crate) async fn serve(
    node: &Arc<Node>,
    auth: &Auth,
    faults: &Faults,
    listeners: &[Listener],
) -> Result<Vec<Served>, (String, io::Error)> {
    let server = Arc::new(Server { node: Arc::clone(node), auth: auth.clone(), faults: faults.clone() });
    let mut served = Vec::new();
    for listener in listeners {
        let opened = match listener {
            Listener::Unix(path) => listen_unix(&server, path),
            Listener::Tcp(address) => listen_tcp(&server, address).await,
        };
        served.push(opened.map_err(|error| (listener.to_string(), error))?);
    }
    Ok(served)
}

fn listen_unix(server: &Arc<Server>, path: &Path) -> io::Result<Served> {
    // A socket is left behind where a server was killed. Any other file is somebody's.
    if std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let path = path.canonicalize()?;
    let task = tokio::spawn(accept_unix(Arc::clone(server), listener));
    Ok(Served { endpoint: format!("unix:{}", path.display()), task, socket: Some(path) })
}

async fn listen_tcp(server: &Arc<Server>, address: &str) -> io::Result<Served> {
    let listener = TcpListener::bind(address).await?;
    let address: SocketAddr = listener.local_addr()?;
    let task = tokio::spawn(accept_tcp(Arc::clone(server), listener));
    Ok(Served { endpoint: format!("http://{address}"), task, socket: None })
}

async fn accept_unix(server: Arc<Server>, listener: UnixListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(Arc::clone(&server), stream))),
                Err(error) => tracing::warn!(%error, "cannot accept a connection"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept_tcp(server: Arc<Server>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Replies are short: waiting for more to send only delays them.
                    let _ = stream.set_nodelay(true);
                    drop(connections.spawn(connection(Arc::clone(&server), stream)));
                }
                Err(error) => tracing::warn!(%error, "cannot accept a connection"),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(server: Arc<Server>, stream: S) {
    let keep_alive = server.node.settings.keep_alive;
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let server = Arc::clone(&server);
        async move { server.answer(request.map(Body::new)).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    if keep_alive.is_zero() {
        http.keep_alive(false);
    } else {
        http.header_read_timeout(keep_alive);
    }
    let served = http.serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

impl Server {
    /// Answers a request, or does not, as the faults say.
    async fn answer(&self, request: Request) -> Result<Response, Dropped> {
        let fault = call_name(request.uri().path()).and_then(|name| self.faults.take(&name));
        if let Some(fault) = &fault {
            tracing::info!(path = request.uri().path(), ?fault, "fault on purpose");
        }
        let mut response = match fault {
            None => self.route(request).await,
            Some(Fault::Latency(time)) => {
                tokio::time::sleep(time).await;
                self.route(request).await
            }
            Some(Fault::Error(words)) => match Call::read(Mount::PLAIN, request).await {
                Ok(call) => call.fail(&words),
                Err(response) => response,
            },
            Some(Fault::Raw { status, content_type, body }) => {
                let mut response = Response::new(Body::from(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                if let Ok(value) = HeaderValue::try_from(content_type) {
                    response.headers_mut().insert(header::CONTENT_TYPE, value);
                }
                response
            }
            Some(Fault::DropBefore) => return Err(Dropped),
            Some(Fault::DropAfter) => {
                self.route(request).await;
                return Err(Dropped);
            }
            Some(Fault::Cut(bytes)) => self.route(request).await.map(|body| cut(body, bytes)),
            Some(Fault::Slow { piece, every }) => {
                self.route(request).await.map(|body| slow(body, piece, every))
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::SERVER, HeaderValue::from_static("dstack VMM (EMULATED)"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        let version = format!("{} ({REVISION})", self.node.capabilities().reference);
        if let Ok(version) = HeaderValue::try_from(version) {
            headers.insert("x-app-version", version);
        }
        Ok(response)
    }

    async fn route(&self, mut request: Request) -> Response {
        let node = &self.node;
        let old = node.version == DstackVersion::V0_5;
        if node.capabilities().auth_covers_rpc {
            if !self.auth.allows(request.method(), request.uri(), request.headers()) {
                return auth::unauthorized();
            }
            *request.uri_mut() = auth::without_token(request.uri());
        }
        let path = request.uri().path().to_owned();
        let get = request.method() == Method::GET;
        let calls = get || request.method() == Method::POST;
        let below = |prefix: &str| {
            let method = path.strip_prefix(prefix).unwrap_or_default();
            calls && !method.is_empty() && !method.contains('/')
        };
        if below("/prpc/") {
            return match Call::read(vmm_mount(node.version), request).await {
                Ok(call) => {
                    tracing::debug!(method = call.method, "call");
                    node.call(&call).await
                }
                Err(response) => response,
            };
        }
        if below("/guest/") {
            return match Call::read(Mount::PLAIN, request).await {
                Ok(call) => {
                    tracing::debug!(method = call.method, "call to a guest");
                    node.guest_call(&call)
                }
                Err(response) => response,
            };
        }
        if old && below("/api/") {
            // What hosts tell their guests is only for guests: the caller would have to come over vsock.
            let json = get || json_asked(request.uri().query().unwrap_or_default());
            return failure(json, "invalid remote endpoint");
        }
        if !get {
            return pages::not_found();
        }
        match path.as_str() {
            "/logs" if old && !self.auth.allows_logs_v0_5(request.headers()) => pages::unauthorized_page(),
            "/logs" => node.logs(request.uri().query().unwrap_or_default()).await,
            "/api-docs/openapi.json" => pages::openapi(node),
            "/api-docs/docs" => pages::api_browser(),
            path if pages::is_console(path, node.version) => pages::console(node),
            path => match path.strip_prefix("/res/") {
                Some(name) => pages::resource(name),
                None => pages::not_found(),
            },
        }
    }
}

/// What a fault calls a request: the method, a guest's method as `guest/<Method>`, or `logs`.
fn call_name(path: &str) -> Option<String> {
    if let Some(method) = path.strip_prefix("/prpc/") {
        return Some(method.strip_prefix("Teepod.").unwrap_or(method).to_owned());
    }
    if path.starts_with("/guest/") || path == "/logs" {
        return path.strip_prefix('/').map(str::to_owned);
    }
    None
}

/// A body that breaks off after so many bytes, and the connection with it.
fn cut(body: Body, bytes: usize) -> Body {
    let pieces = body.into_data_stream();
    Body::from_stream(stream::unfold(Some((pieces, bytes)), |state| async move {
        let (mut pieces, left) = state?;
        if left == 0 {
            // What came before is written out while the body has nothing to give; then the connection breaks.
            tokio::task::yield_now().await;
            return Some((Err(io::Error::other(Dropped)), None));
        }
        match pieces.next().await? {
            Ok(mut piece) => {
                piece.truncate(left);
                let left = left - piece.len();
                Some((Ok::<Bytes, io::Error>(piece), Some((pieces, left))))
            }
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    }))
}

/// A body that arrives in small pieces.
fn slow(body: Body, piece: usize, every: std::time::Duration) -> Body {
    let pieces = body.into_data_stream();
    Body::from_stream(stream::unfold((pieces, Bytes::new()), move |(mut pieces, mut held)| async move {
        while held.is_empty() {
            match pieces.next().await? {
                Ok(more) => held = more,
                Err(error) => return Some((Err(io::Error::other(error)), (pieces, Bytes::new()))),
            }
        }
        tokio::time::sleep(every).await;
        let head = held.split_to(piece.clamp(1, held.len()));
        Some((Ok::<Bytes, io::Error>(head), (pieces, held)))
    }))
}
