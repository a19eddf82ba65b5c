//! Everything that can go wrong, and what its reader is told: the cause, the next step, and whether the call may have
//! been carried out.

use std::error::Error as _;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dstack_check::Hinted;
use dstack_vmm_client::Error;
use dstack_vmm_client::api::{StatusRequest, VmConfiguration};
use dstack_vmm_client::client::{
    Client, Credentials, Dial, Endpoint, LogRequest, RetryPolicy, Socket, VmmApi,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Server, json, quick, read_request, reply};

/// What a user would see.
fn told<T: Debug>(result: Result<T, Error>) -> String {
    let error = result.expect_err("it should have failed");
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!("  because: {inner}\n"));
        cause = inner.source();
    }
    let hint = error.hint().map_or("-".to_owned(), |hint| hint.to_string());
    text.push_str(&format!("hint: {hint}\nmay have happened: {}\n", error.may_have_happened()));
    text
}

/// Compares with the snapshot of this name. Ports, temporary directories and the words of resolvers differ between runs.
fn compare(name: &str, text: &str) {
    insta::with_settings!({
        filters => vec![
            (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[port]"),
            (r"unix:/\S*/vmm\.sock", "unix:[dir]/vmm.sock"),
            (r"  because: failed to lookup address information: .*", "  because: [words of the resolver]"),
            (r"expired: verification time \d+ \(UNIX\), but certificate is not valid after \d+ \(\d+ seconds ago\)", "expired: [times]"),
        ],
        prepend_module_to_snapshot => false,
        snapshot_path => "snapshots/faults",
    }, {
        insta::assert_snapshot!(name, text);
    });
}

async fn version_of(server: &Server) -> String {
    told(server.client().version().await)
}

fn client_at(endpoint: &str) -> Client {
    quick(endpoint.parse().unwrap()).build().unwrap()
}

/// A connection that fails, or never comes, without a network.
struct FailingDial(Option<io::ErrorKind>);

#[async_trait]
impl Dial for FailingDial {
    async fn dial(&self, _: &Endpoint) -> io::Result<Box<dyn Socket>> {
        match self.0 {
            Some(kind) => Err(io::Error::from(kind)),
            None => std::future::pending().await,
        }
    }
}

fn dialling(endpoint: &str, kind: Option<io::ErrorKind>) -> Client {
    quick(endpoint.parse().unwrap())
        .connect_timeout(Duration::from_millis(50))
        .dial(Arc::new(FailingDial(kind)))
        .build()
        .unwrap()
}

mod connecting {
    use super::*;

    #[tokio::test]
    async fn no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::unix(directory.path().join("vmm.sock")).unwrap();
        compare("connect-no-socket", &told(quick(endpoint).build().unwrap().version().await));
    }

    #[tokio::test]
    async fn socket_without_a_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vmm.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let text = told(quick(Endpoint::unix(&path).unwrap()).build().unwrap().version().await);
        compare("connect-left-over-socket", &text);
    }

    #[tokio::test]
    async fn not_a_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vmm.sock");
        std::fs::write(&path, "").unwrap();
        let client = quick(Endpoint::unix(&path).unwrap()).build().unwrap();
        compare("connect-not-a-socket", &told(client.version().await));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        compare("connect-a-directory", &told(client.version().await));
    }

    #[tokio::test]
    async fn permission_denied() {
        let client = dialling("unix:/run/dstack/vmm.sock", Some(io::ErrorKind::PermissionDenied));
        compare("connect-permission-denied", &told(client.version().await));
    }

    #[tokio::test]
    async fn refused() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        compare("connect-refused", &told(client_at(&endpoint).version().await));
    }

    #[tokio::test]
    async fn unknown_host() {
        // An empty label fails in the resolver itself, without a network.
        compare("connect-unknown-host", &told(client_at("http://vmm..example.com").version().await));
    }

    #[tokio::test]
    async fn no_route() {
        let client = dialling("http://192.0.2.1:9080", Some(io::ErrorKind::HostUnreachable));
        compare("connect-no-route", &told(client.version().await));
    }

    #[tokio::test]
    async fn no_answer() {
        let client = dialling("http://192.0.2.1:9080", None);
        compare("connect-timed-out", &told(client.version().await));
    }

    #[tokio::test]
    async fn a_tunnel_that_closes() {
        let client = dialling("http://192.0.2.1:9080", Some(io::ErrorKind::BrokenPipe));
        compare("connect-other", &told(client.version().await));
    }
}

mod tls {
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
}

mod credentials {
    use super::*;

    const CHALLENGE: (&str, &str) = ("www-authenticate", "Basic realm=\"dstack-vmm API\"");

    #[tokio::test]
    async fn none_given() {
        let server = Server::answering(reply(401, &[CHALLENGE], "")).await;
        compare("401-without-credentials", &version_of(&server).await);
        let server =
            Server::answering(reply(401, &[("www-authenticate", "Basic realm=\"team proxy\"")], "")).await;
        compare("401-of-a-proxy", &version_of(&server).await);
        let server = Server::answering(reply(401, &[], "")).await;
        compare("401-without-a-challenge", &version_of(&server).await);
    }

    #[tokio::test]
    async fn wrong_ones() {
        let client = |server: &Server| {
            quick(server.endpoint.clone()).credentials(Credentials::bearer("hunter2")).build().unwrap()
        };
        let server = Server::answering(reply(401, &[CHALLENGE], "")).await;
        let text = told(client(&server).version().await);
        assert!(!text.contains("hunter2"));
        compare("401-wrong-token", &text);
        let server = Server::answering(reply(401, &[("content-type", "text/html")], "<h1>401</h1>")).await;
        compare("401-wrong-for-a-proxy", &told(client(&server).version().await));
    }

    #[tokio::test]
    async fn forbidden() {
        let server =
            Server::answering(reply(403, &[("content-type", "text/html")], "<h1>403 Forbidden</h1>")).await;
        compare("403", &version_of(&server).await);
    }
}

mod answers {
    use super::*;

    /// Texts as the servers gave them.
    #[tokio::test]
    async fn the_servers_words() {
        for (name, message) in [
            ("unknown-method", "Service not found: Nope"),
            ("bad-json", "EOF while parsing a value at line 1 column 8"),
            ("bad-name", "Invalid name: a/b"),
            ("bad-compose", "Invalid compose file: missing field `manifest_version` at line 1 column 2"),
            (
                "manifest-version-v0.5",
                "Invalid compose file: invalid type: string \"3\", expected u32 at line 1 column 24",
            ),
            (
                "image-missing",
                "Failed to load VM: Failed to load image: failed to resolve image directory: No such file or directory (os error 2)",
            ),
            ("image-in-use", "cannot delete image 'dstack-0.5.11': in use by VM 'demo'"),
            (
                "port-taken",
                "host port mapping conflicts with VM 8fccd788-b7df-4f90-b33d-f4c988f79ec3: tcp 127.0.0.1:3000",
            ),
            ("port-twice", "duplicate host port mapping: tcp 0.0.0.0:3000"),
            ("port-outside-the-range", "Port mapping is not allowed for tcp:30000"),
            ("port-address", "Invalid host address: invalid IP address syntax"),
            ("gpu-disabled", "GPU is not enabled"),
            ("networking", "custom networking mode is manifest-only"),
            ("vm-running", "vm should be stopped before resize: b30f87f4-9d02-416c-8099-768e01ddd2dc"),
            ("disk-shrink", "Cannot shrink disk size"),
            ("vm-unknown", "Failed to remove VM: VM not found"),
            (
                "vm-unknown-by-file",
                "Failed to start VM: Failed to read manifest: failed to read manifest: failed to open file `/run/vm/nope/vm-manifest.json`: No such file or directory (os error 2)",
            ),
            ("never-started", "Failed to stop VM: Server returned error: Process not found"),
            (
                "kms-down",
                "Failed to send request: error sending request for url (http://192.0.2.1:18081/prpc/GetAppEnvEncryptPubKey?json): client error (Connect): tcp connect error: Connection refused (os error 111)",
            ),
            ("guest-away", "client error (Connect): Connection timed out (os error 110)"),
            ("registry", "image registry is not configured"),
            ("too-large", "failed to read data: payload too large"),
            ("words-not-known", "the moon is full"),
        ] {
            let body = serde_json::json!({ "error": message }).to_string();
            let server = Server::answering(json(400, body)).await;
            compare(
                &format!("400-{name}"),
                &told(server.client().create_vm(&VmConfiguration::default()).await),
            );
        }
    }

    #[tokio::test]
    async fn a_protobuf_error() {
        let server = Server::answering(reply(
            400,
            &[("content-type", "application/octet-stream")],
            b"\x0a\x0cVM not found",
        ))
        .await;
        compare("400-protobuf", &told(server.client().start_vm("nope").await));
    }

    #[tokio::test]
    async fn statuses_of_others() {
        let html = [("content-type", "text/html")];
        for (name, status, body) in [
            ("404-html", 404, "<!DOCTYPE html><title>404 Not Found</title>"),
            ("405", 405, ""),
            ("413", 413, "<h1>413 Request Entity Too Large</h1>"),
            ("422-html", 422, "<!DOCTYPE html><title>422 Unprocessable Entity</title>"),
            ("429", 429, "slow down"),
            ("500-text", 500, "internal error"),
            ("502-html", 502, "<html><h1>502 Bad Gateway</h1></html>"),
            ("504-html", 504, "<html><h1>504 Gateway Time-out</h1></html>"),
            ("418", 418, "teapot"),
        ] {
            let server = Server::answering(reply(status, &html, body)).await;
            compare(name, &version_of(&server).await);
        }
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let elsewhere = Server::answering(json(200, r#"{"version":"0.6.0","rev":""}"#)).await;
        let location = format!("{}/prpc/Version?json", elsewhere.endpoint);
        let server = Server::answering(reply(302, &[("location", &location)], "")).await;
        let client =
            quick(server.endpoint.clone()).credentials(Credentials::bearer("hunter2")).build().unwrap();
        compare("302", &told(client.version().await));
        assert_eq!(elsewhere.connections(), 0);
        let server = Server::answering(reply(301, &[], "")).await;
        compare("301-without-a-place", &version_of(&server).await);
    }

    #[tokio::test]
    async fn bodies_that_are_no_answer() {
        let page = "<!DOCTYPE html><title>Sign in</title>";
        let server = Server::answering(reply(200, &[("content-type", "text/html")], page)).await;
        compare("200-html", &version_of(&server).await);
        let server = Server::answering(json(200, r#"{"version":"0.6"#)).await;
        compare("200-truncated-json", &version_of(&server).await);
        let server = Server::answering(json(200, r#"{"vms":3,"total":"x"}"#)).await;
        compare("200-wrong-shape", &told(server.client().status(&StatusRequest::default()).await));
        let server = Server::answering(json(200, "")).await;
        compare("200-empty", &told(server.client().create_vm(&VmConfiguration::default()).await));
        let server = Server::answering(json(200, "{}")).await;
        compare("200-create-without-id", &told(server.client().create_vm(&VmConfiguration::default()).await));
        let server = Server::answering(json(200, b"{\"version\":\"\xff\xfe\"}")).await;
        compare("200-not-utf8", &version_of(&server).await);
        let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        let server = Server::answering(reply(200, &[("content-encoding", "gzip")], gzip)).await;
        compare("200-gzip", &version_of(&server).await);
    }

    #[tokio::test]
    async fn answers_without_an_end() {
        let endless = |head: &'static str| {
            Server::tcp(move |_, mut conn| async move {
                read_request(&mut conn).await;
                let _ = conn.write_all(head.as_bytes()).await;
                while conn.write_all(b"1000\r\n").await.is_ok() {
                    let mut chunk = vec![b' '; 0x1000];
                    chunk.extend_from_slice(b"\r\n");
                    if conn.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
            })
        };
        let limited =
            |server: &Server| quick(server.endpoint.clone()).max_reply_bytes(100_000).build().unwrap();
        let server = endless("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        compare("endless", &told(limited(&server).version().await));
        let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n").await;
        compare("endless-announced", &told(limited(&server).version().await));
        // A header that never ends.
        let server = Server::tcp(|_, mut conn| async move {
            read_request(&mut conn).await;
            let _ = conn.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while conn
                .write_all(b"x-flood: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
                .await
                .is_ok()
            {}
        })
        .await;
        compare("header-flood", &version_of(&server).await);
    }

    #[tokio::test]
    async fn not_http() {
        let server = Server::answering("SSH-2.0-OpenSSH_9.2p1\r\n").await;
        compare("not-http", &version_of(&server).await);
    }
}

mod losses {
    use super::*;

    /// Reads a request and closes, for the first `lost` connections; answers afterwards.
    async fn losing(lost: usize) -> Server {
        Server::unix(move |number, mut conn| async move {
            while let Some(request) = read_request(&mut conn).await {
                if number < lost {
                    return;
                }
                let body = if request.line().contains("CreateVm") {
                    r#"{"id":"new"}"#
                } else {
                    r#"{"vms":[],"total":0}"#
                };
                conn.write_all(&json(200, body)).await.unwrap();
            }
        })
        .await
    }

    fn repeating(server: &Server) -> Client {
        let mut policy = RetryPolicy::default();
        policy.first_pause = Duration::from_millis(1);
        Client::builder(server.endpoint.clone()).retry(policy).build().unwrap()
    }

    #[tokio::test]
    async fn a_lost_reply_to_a_read_is_asked_again() {
        let server = losing(2).await;
        repeating(&server).status(&StatusRequest::default()).await.unwrap();
        assert_eq!(server.connections(), 3);
        let server = losing(3).await;
        compare("lost-status", &told(repeating(&server).status(&StatusRequest::default()).await));
        assert_eq!(server.connections(), 3, "three attempts and no more");
    }

    #[tokio::test]
    async fn a_lost_reply_to_create_vm_is_not() {
        let server = losing(1).await;
        compare("lost-create", &told(repeating(&server).create_vm(&VmConfiguration::default()).await));
        assert_eq!(server.connections(), 1);
        assert_eq!(repeating(&server).create_vm(&VmConfiguration::default()).await.unwrap(), "new");
    }

    #[tokio::test]
    async fn a_reply_cut_in_its_middle() {
        let server = Server::tcp(|_, mut conn| async move {
            read_request(&mut conn).await;
            let whole = json(200, r#"{"id":"8fccd788-b7df-4f90-b33d-f4c988f79ec3"}"#);
            let _ = conn.write_all(&whole[..whole.len() - 10]).await;
        })
        .await;
        compare("cut-create", &told(server.client().create_vm(&VmConfiguration::default()).await));
        compare("cut-version", &version_of(&server).await);
    }

    #[tokio::test]
    async fn no_answer_in_time() {
        let server = Server::tcp(|_, mut conn| async move {
            read_request(&mut conn).await;
            std::future::pending::<()>().await;
        })
        .await;
        let client = quick(server.endpoint.clone())
            .timeout(Duration::from_millis(40))
            .timeout_of::<dstack_vmm_client::api::method::CreateVm>(Duration::from_millis(50))
            .build()
            .unwrap();
        compare("timeout-version", &told(client.version().await));
        compare("timeout-create", &told(client.create_vm(&VmConfiguration::default()).await));
    }

    #[tokio::test]
    async fn an_answer_that_never_ends() {
        let server = Server::tcp(|_, mut conn| async move {
            read_request(&mut conn).await;
            let _ = conn.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\":").await;
            std::future::pending::<()>().await;
        })
        .await;
        let client = quick(server.endpoint.clone()).timeout(Duration::from_millis(50)).build().unwrap();
        compare("timeout-in-the-body", &told(client.version().await));
    }
}

mod logs {
    use super::*;

    async fn first(server: &Server) -> String {
        let mut lines = server.client().logs(LogRequest::new("8fccd788"));
        match lines.next().await {
            Some(result) => told(result),
            None => panic!("the stream ended"),
        }
    }

    #[tokio::test]
    async fn refusals() {
        let plain = [("content-type", "text/plain; charset=utf-8")];
        for (name, status, body) in [
            ("logs-unknown-vm-next", 404, "VM not found"),
            ("logs-unknown-channel-next", 400, "Unknown channel serial"),
            ("logs-unknown-channel-v0.5", 200, "Unknown channel serial"),
            (
                "logs-unreadable-v0.5",
                200,
                "Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" }",
            ),
            ("logs-unauthorized", 401, ""),
        ] {
            let server = Server::answering(reply(status, &plain, body)).await;
            compare(name, &first(&server).await);
        }
        let page = "<html><h1>502 Bad Gateway</h1></html>";
        let server = Server::answering(reply(502, &[("content-type", "text/html")], page)).await;
        compare("logs-502", &first(&server).await);
    }

    #[tokio::test]
    async fn an_empty_log_of_a_vm_that_does_not_exist() {
        let server = Server::tcp(|_, mut conn| async move {
            while let Some(request) = read_request(&mut conn).await {
                let answer = if request.line().starts_with("GET /logs") {
                    reply(200, &[("content-type", "text/plain")], "")
                } else {
                    json(200, r#"{"found":false,"info":null}"#)
                };
                conn.write_all(&answer).await.unwrap();
            }
        })
        .await;
        compare("logs-unknown-vm-v0.5", &first(&server).await);
    }

    #[tokio::test]
    async fn a_log_cut_in_its_middle() {
        let server = Server::tcp(|_, mut conn| async move {
            read_request(&mut conn).await;
            let _ =
                conn.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\none\nt\r\n").await;
        })
        .await;
        let mut lines = server.client().logs(LogRequest::new("8fccd788"));
        assert!(lines.next().await.unwrap().is_ok());
        compare("logs-cut", &told(lines.next().await.unwrap()));
        assert!(lines.next().await.is_none());
    }
}

/// A newer client against an older server and the other way round.
#[tokio::test]
async fn a_method_that_the_server_does_not_have_is_not_sent() {
    let server = Server::answering(json(200, r#"{"version":"0.6.0","rev":""}"#)).await;
    let client = server.client();
    compare("method-of-another-version", &told(client.report_dhcp_lease(&Default::default()).await));
    assert_eq!(client.server_version().await.unwrap().reported.version, "0.6.0");
}
