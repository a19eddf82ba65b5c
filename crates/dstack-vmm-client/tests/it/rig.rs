//! Small servers that do exactly what a test says, also what no HTTP server would.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dstack_vmm_client::client::{Client, Endpoint, RetryPolicy};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) type Conn = Box<dyn Stream>;

type Handler = Arc<dyn Fn(usize, Conn) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A server that gives each connection, with its number from 0, to a function.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    _directory: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn boxed<F, R>(handler: F) -> Handler
where
    F: Fn(usize, Conn) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |number, conn| Box::pin(handler(number, conn)))
}

impl Server {
    /// On a port of the loopback interface.
    pub(crate) async fn tcp<F, R>(handler: F) -> Self
    where
        F: Fn(usize, Conn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (handler, connections) = (boxed(handler), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                tokio::spawn(handler(counter.fetch_add(1, Ordering::SeqCst), Box::new(socket)));
            }
        });
        Self { endpoint, connections, task, _directory: None }
    }

    /// On a unix socket in a directory of its own.
    pub(crate) async fn unix<F, R>(handler: F) -> Self
    where
        F: Fn(usize, Conn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self::unix_at(directory.path().join("vmm.sock"), handler).await;
        server._directory = Some(directory);
        server
    }

    /// On a unix socket of this name, which is made anew.
    pub(crate) async fn unix_at<F, R>(path: PathBuf, handler: F) -> Self
    where
        F: Fn(usize, Conn) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let endpoint = Endpoint::unix(&path).unwrap();
        let (handler, connections) = (boxed(handler), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(handler(counter.fetch_add(1, Ordering::SeqCst), Box::new(socket)));
            }
        });
        Self { endpoint, connections, task, _directory: None }
    }

    /// A server that reads requests and answers each with the same bytes.
    pub(crate) async fn answering(reply: impl Into<Vec<u8>>) -> Self {
        let reply = Arc::new(reply.into());
        Self::tcp(move |_, mut conn| {
            let reply = Arc::clone(&reply);
            async move {
                while read_request(&mut conn).await.is_some() {
                    if conn.write_all(&reply).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A client that fails fast and does not repeat.
    pub(crate) fn client(&self) -> Client {
        quick(self.endpoint.clone()).build().unwrap()
    }
}

/// A builder of clients that fail fast and do not repeat.
pub(crate) fn quick(endpoint: Endpoint) -> dstack_vmm_client::client::Builder {
    Client::builder(endpoint).connect_timeout(Duration::from_secs(2)).retry(RetryPolicy::never())
}

/// One request as it came.
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first line without the version.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap().trim_end_matches(" HTTP/1.1")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Reads a whole request; `None` once the client has closed.
pub(crate) async fn read_request(conn: &mut Conn) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = conn.read_u8().await.ok()?;
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut request = Request { head, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    request.body = vec![0; length];
    conn.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// A reply with a length.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut text = format!("HTTP/1.1 {status} Words\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A JSON reply.
pub(crate) fn json(status: u16, body: impl AsRef<[u8]>) -> Vec<u8> {
    reply(status, &[("content-type", "application/json")], body)
}

/// A server that notes each request and answers what a function says.
pub(crate) async fn noting<F>(answer: F) -> (Server, Arc<Mutex<Vec<Request>>>)
where
    F: Fn(&Request) -> serde_json::Value + Send + Sync + 'static,
{
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (notes, answer) = (Arc::clone(&seen), Arc::new(answer));
    let server = Server::tcp(move |_, mut conn: Conn| {
        let (notes, answer) = (Arc::clone(&notes), Arc::clone(&answer));
        async move {
            while let Some(request) = read_request(&mut conn).await {
                let body = answer(&request).to_string();
                notes.lock().unwrap().push(request);
                conn.write_all(&json(200, body)).await.unwrap();
            }
        }
    })
    .await;
    (server, seen)
}
