//! Servers that a test writes the words of, over TCP and TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dstack_attestation::client::{Endpoint, Limits, TlsTrust, Transport};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a server does with a request.
pub(super) enum Play {
    /// Says this, and closes the connection.
    Say(Vec<u8>),
    /// Says this, and then nothing more, with the connection open.
    SayAndHang(Vec<u8>),
    /// Says the first, and the second for as long as the client listens.
    SayForever(Vec<u8>, Vec<u8>),
}

/// An answer with a body.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Play {
    let body = body.as_ref();
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())
            .into_bytes();
    bytes.extend_from_slice(body);
    Play::Say(bytes)
}

pub(super) fn json(body: &str) -> Play {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

/// What was asked: the request line, the headers, and the body.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) head: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

type Handler = Arc<dyn Fn(&Asked) -> Play + Send + Sync>;

/// A server on loopback, until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn http(handler: impl Fn(&Asked) -> Play + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(handler), None).await
    }

    pub(super) async fn https(
        identity: &Identity,
        handler: impl Fn(&Asked) -> Play + Send + Sync + 'static,
    ) -> Self {
        Self::start(Arc::new(handler), Some(identity.acceptor())).await
    }

    /// A server that says this to whatever comes.
    pub(super) async fn greeting(words: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut first = [0; 1024];
                let _ = stream.read(&mut first).await;
                let _ = stream.write_all(words).await;
            }
        });
        Self { address, scheme: "http", asked: Arc::default(), task }
    }

    async fn start(handler: Handler, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, log, tls) = (Arc::clone(&handler), Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &handler, &log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &handler, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, scheme, asked, task }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        self.url("").parse().unwrap()
    }

    /// By name where TLS is spoken: the certificates of these tests are for `localhost`.
    pub(super) fn url(&self, path: &str) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    pub(super) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything that was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, handler: &Handler, log: &Mutex<Vec<Asked>>) {
    let Some(asked) = read_request(&mut stream).await else { return };
    log.lock().unwrap().push(asked.clone());
    // A client that has had enough closes the connection; that is for its test to judge.
    match handler(&asked) {
        Play::Say(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Play::SayAndHang(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.flush().await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        Play::SayForever(first, again) => {
            let _ = stream.write_all(&first).await;
            while stream.write_all(&again).await.is_ok() {}
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await.ok()?;
        if count == 0 {
            return None;
        }
        bytes.extend_from_slice(&piece[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            return Some(Asked { head, body: String::from_utf8_lossy(&bytes[end + 4..]).into_owned() });
        }
    }
}

/// Limits with which no test waits long: what hangs is given up after a moment.
pub(super) fn impatient() -> Transport {
    Transport::new()
        .limits(Limits::default().total(Duration::from_millis(300)))
        .trust(TlsTrust::danger_accept_any_certificate())
}

pub(super) fn patient() -> Transport {
    Transport::new().trust(TlsTrust::danger_accept_any_certificate())
}

/// A certificate chain with its key, as a server has it.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    /// The CA in PEM, or the certificate itself where it is self-signed.
    pub(super) authority: String,
}

impl Identity {
    /// A certificate for `localhost` from a CA of its own.
    pub(super) fn from_ca() -> Self {
        Self::with(|_| ())
    }

    /// The same with a few things otherwise.
    pub(super) fn with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "A test CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = localhost();
        change(&mut params);
        let leaf = params.signed_by(&key, &ca).unwrap();
        Self {
            chain: vec![leaf.der().clone(), ca.der().clone()],
            key: key.serialize_der(),
            authority: ca.pem(),
        }
    }

    /// A self-signed certificate, which is no CA.
    pub(super) fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = localhost().self_signed(&key).unwrap();
        Self {
            chain: vec![certificate.der().clone()],
            key: key.serialize_der(),
            authority: certificate.pem(),
        }
    }

    pub(super) fn chain(&self) -> Vec<Vec<u8>> {
        self.chain.iter().map(|certificate| certificate.to_vec()).collect()
    }

    pub(super) fn trust(&self) -> TlsTrust {
        TlsTrust::authorities_pem(self.authority.as_bytes()).unwrap()
    }

    fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn localhost() -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Sends a JSON request without any of the code under test, and returns the JSON of the answer.
pub(super) async fn post(address: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    serde_json::from_slice(&bytes[end + 4..]).unwrap()
}
