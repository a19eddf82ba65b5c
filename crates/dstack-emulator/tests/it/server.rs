//! An emulator under test and the plainest client for it, over its unix socket or over TCP.

use std::collections::BTreeMap;
use std::time::Duration;

use dstack_emulator::boot::BootProfile;
use dstack_emulator::clock::Clock;
use dstack_emulator::{Builder, Emulator};
use dstack_vmm_client::DstackVersion;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

pub(crate) const VERSIONS: [DstackVersion; 2] = DstackVersion::ALL;

/// A small app-compose with one service.
pub(crate) const COMPOSE: &str = r#"{"manifest_version": 2, "name": "demo", "runner": "docker-compose", "docker_compose_file": "services:\n  web:\n    image: nginx\n", "kms_enabled": true, "gateway_enabled": true}"#;

/// A stream of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What is sent besides the address.
#[derive(Clone, Default)]
pub(crate) struct Sent {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.headers.get("content-type").map(String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn error(&self) -> String {
        assert_eq!(self.status, 400, "{}", self.text());
        self.json()["error"].as_str().unwrap().to_owned()
    }
}

async fn connect(endpoint: &str) -> Box<dyn Stream> {
    match endpoint.strip_prefix("unix:") {
        Some(path) => Box::new(UnixStream::connect(path).await.unwrap()),
        None => Box::new(TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).await.unwrap()),
    }
}

/// One request on a connection of its own. `None` where the connection is closed without a reply.
pub(crate) async fn send(endpoint: &str, verb: &str, path: &str, sent: &Sent) -> Option<Reply> {
    let mut stream = connect(endpoint).await;
    let mut request = format!("{verb} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in &sent.headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = sent.body.clone().unwrap_or_default();
    if sent.body.is_some() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // A server that refuses an oversized body may answer before it has read all of it.
    let _ = stream.write_all(&body).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Option<Reply> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let headers: BTreeMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let rest = &bytes[end + 4..];
    let (body, whole) = if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        unchunked(rest)
    } else {
        let length: usize = headers.get("content-length").map_or(0, |value| value.parse().unwrap());
        (rest.to_vec(), rest.len() == length)
    };
    Some(Reply { status, headers, body, whole })
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

/// A reply that is read as it arrives.
pub(crate) struct Streaming {
    stream: Box<dyn Stream>,
    raw: Vec<u8>,
}

impl Streaming {
    pub(crate) async fn open(endpoint: &str, path: &str) -> Self {
        let mut stream = connect(endpoint).await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, raw: Vec::new() }
    }

    /// Reads until the body contains `text`, and returns the body so far.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let wait = async {
            loop {
                if let Some(reply) = parse(&self.raw)
                    && reply.text().contains(text)
                {
                    return reply.text();
                }
                let mut piece = [0; 4096];
                let read = self.stream.read(&mut piece).await.unwrap();
                assert!(read > 0, "ended before {text:?}: {}", String::from_utf8_lossy(&self.raw));
                self.raw.extend_from_slice(&piece[..read]);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect(text)
    }
}

/// An emulator with a clock that stands still, on a unix socket and on TCP.
pub(crate) struct Rig {
    pub(crate) emulator: Emulator,
    pub(crate) headers: Vec<(String, String)>,
    endpoint: String,
}

impl Rig {
    pub(crate) async fn new(version: DstackVersion) -> Self {
        Self::with(version, |builder| builder).await
    }

    pub(crate) async fn with(version: DstackVersion, change: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = Emulator::builder().version(version).clock(Clock::manual());
        let emulator = change(builder).start().await.unwrap();
        let endpoint = emulator.endpoint().to_owned();
        Self { emulator, headers: Vec::new(), endpoint }
    }

    /// The same with the endpoint of this kind, `unix` or `http`.
    pub(crate) fn over(mut self, kind: &str) -> Self {
        self.endpoint =
            self.emulator.endpoints().find(|endpoint| endpoint.starts_with(kind)).unwrap().to_owned();
        self
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) async fn try_send(&self, verb: &str, path: &str, body: Option<&[u8]>) -> Option<Reply> {
        let sent = Sent { headers: self.headers.clone(), body: body.map(<[u8]>::to_vec) };
        send(&self.endpoint, verb, path, &sent).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.try_send("GET", path, None).await.unwrap()
    }

    /// A method of the VMM, or with a path of a guest.
    pub(crate) async fn call(&self, method: &str, request: Value) -> Reply {
        let path =
            if method.contains('/') { format!("/{method}?json") } else { format!("/prpc/{method}?json") };
        self.try_send("POST", &path, Some(request.to_string().as_bytes())).await.unwrap()
    }

    /// A method that must succeed.
    pub(crate) async fn ok(&self, method: &str, request: Value) -> Value {
        let reply = self.call(method, request).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text());
        reply.json()
    }

    /// Makes a VM and returns its id.
    pub(crate) async fn create(&self, name: &str, stopped: bool) -> String {
        let request = serde_json::json!({
            "name": name, "image": "dstack-0.5.11", "compose_file": COMPOSE,
            "vcpu": 1, "memory": 1024, "disk_size": 5, "stopped": stopped,
        });
        self.ok("CreateVm", request).await["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn info(&self, id: &str) -> Value {
        self.ok("GetInfo", serde_json::json!({ "id": id })).await["info"].clone()
    }

    /// Lets every boot that is under way come to its end.
    pub(crate) fn boot(&self) {
        self.emulator.advance(Duration::from_secs(3));
    }
}

/// A boot profile from its text.
pub(crate) fn profile(text: &str) -> BootProfile {
    text.parse().unwrap()
}

/// An env file, sealed to the key that the VMM tells for an app, in hex.
pub(crate) async fn sealed(rig: &Rig, app_id: &str, env_file: &str) -> String {
    use dstack_vmm_client::env::{EnvFile, EnvPublicKey, seal};
    let answer = rig.ok("GetAppEnvEncryptPubKey", serde_json::json!({ "app_id": app_id })).await;
    let key: EnvPublicKey = answer["public_key"].as_str().unwrap().parse().unwrap();
    hex::encode(seal(&EnvFile::parse(env_file.as_bytes()).unwrap().environment, &key).unwrap())
}
