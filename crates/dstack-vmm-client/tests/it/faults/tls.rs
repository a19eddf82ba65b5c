//! No TLS, or not the right one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    fn server(&self, name: &str, expired: bool) -> rustls::ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 2, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap()
    }

    /// A server that answers `Version` over TLS, with a certificate for this name.
    pub(super) fn serve(&self, name: &str, expired: bool) -> String {
        let config = Arc::new(self.server(name, expired));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(session, socket);
                let mut seen = Vec::new();
                let mut buffer = [0; 1024];
                while !seen.ends_with(b"{}") {
                    match stream.read(&mut buffer) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => seen.extend_from_slice(&buffer[..read]),
                    }
                }
                if !seen.is_empty() {
                    let _ = stream.write_all(&json(200, r#"{"version":"0.6.0","rev":"git:1"}"#));
                    let _ = stream.flush();
                }
            }
        });
        format!("https://{address}")
    }
}

#[tokio::test]
async fn a_known_authority_is_enough() {
    let authority = Authority::new("Test authority");
    let url = authority.serve("127.0.0.1", false);
    let client = quick(url.parse().unwrap()).only_ca_pem(authority.pem()).build().unwrap();
    assert_eq!(client.version().await.unwrap().version, "0.6.0");
    let client = quick(url.parse().unwrap()).danger_accept_invalid_certs(true).build().unwrap();
    assert_eq!(client.version().await.unwrap().version, "0.6.0");
}

#[tokio::test]
async fn unknown_authority() {
    let url = Authority::new("Their authority").serve("127.0.0.1", false);
    let ours = Authority::new("Our authority");
    let client = quick(url.parse().unwrap()).only_ca_pem(ours.pem()).build().unwrap();
    compare("tls-unknown-authority", &told(client.version().await));
}

#[tokio::test]
async fn wrong_name() {
    let authority = Authority::new("Test authority");
    let url = authority.serve("other.example.com", false);
    let client = quick(url.parse().unwrap()).only_ca_pem(authority.pem()).build().unwrap();
    compare("tls-wrong-name", &told(client.version().await));
}

#[tokio::test]
async fn expired() {
    let authority = Authority::new("Test authority");
    let url = authority.serve("127.0.0.1", true);
    let client = quick(url.parse().unwrap()).only_ca_pem(authority.pem()).build().unwrap();
    compare("tls-expired", &told(client.version().await));
}

#[tokio::test]
async fn no_tls_there() {
    let authority = Authority::new("Test authority");
    let server = Server::tcp(|_, mut conn| async move {
        // What an HTTP server says to a handshake.
        let _ = conn.read_u8().await;
        let _ = conn.write_all(&reply(400, &[], "")).await;
    })
    .await;
    let url = server.endpoint.to_string().replace("http:", "https:");
    let client = quick(url.parse().unwrap()).only_ca_pem(authority.pem()).build().unwrap();
    compare("tls-not-spoken", &told(client.version().await));
    let server = Server::tcp(|_, mut conn| async move {
        let mut hello = [0; 64];
        let _ = conn.read(&mut hello).await;
        let _ = conn.shutdown().await;
    })
    .await;
    let url = server.endpoint.to_string().replace("http:", "https:");
    let client = quick(url.parse().unwrap()).only_ca_pem(authority.pem()).build().unwrap();
    let text = told(client.version().await);
    assert!(text.contains("hint: the server does not speak TLS there"), "{text}");
}

#[tokio::test]
async fn tls_there() {
    // The alert that a TLS server sends when it reads a plain request.
    let server = Server::answering([0x15, 3, 3, 0, 2, 2, 50]).await;
    compare("tls-missing", &version_of(&server).await);
    let words = "<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>";
    let server = Server::answering(reply(400, &[("content-type", "text/html")], words)).await;
    compare("tls-missing-says-the-proxy", &version_of(&server).await);
}
