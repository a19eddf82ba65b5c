//! Calls a second, and how long one takes: one client for all against one that is made for each call, and against a bare
//! connection for each call.
//!
//! `cargo bench -p dstack-vmm-client --bench calls`

#![allow(
    missing_docs,
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints and may panic"
)]

mod rig;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dstack_vmm_client::api::{METHODS, Surface};
use dstack_vmm_client::client::{Client, Endpoint, VmmApi};
use rig::{Role, millis, role, runtime, serve};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DURATION: Duration = Duration::from_secs(2);

fn main() {
    let role = role();
    match role.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", run_dir] => serve(run_dir.as_ref()),
        ["serve-tls", certificate, key] => serve_tls(certificate, key),
        _ => bench(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    OneClient,
    ClientPerCall,
    ConnectionPerCall,
}

struct Measured {
    calls: f64,
    p50: Duration,
    p99: Duration,
}

fn bench() {
    let directory = tempfile::tempdir().unwrap();
    let mut emulator = Role::start(&["serve", directory.path().to_str().unwrap()]);
    let (unix, tcp) = (emulator.line(), emulator.line());
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (certificate_file, key_file) = (directory.path().join("cert"), directory.path().join("key"));
    std::fs::write(&certificate_file, certificate.der()).unwrap();
    std::fs::write(&key_file, key.serialize_der()).unwrap();
    let mut tls = Role::start(&["serve-tls", certificate_file.to_str().unwrap(), key_file.to_str().unwrap()]);
    let https = tls.line();
    let ca = Arc::new(certificate.pem());

    println!(
        "{} methods; `Version` for {DURATION:?} each, 2 worker threads",
        METHODS.iter().filter(|method| method.surface == Surface::Vmm).count()
    );
    println!(
        "{:<8} {:>5}  {:<22} {:>9} {:>9} {:>9}  against one client",
        "", "tasks", "", "calls/s", "p50 ms", "p99 ms"
    );
    for (name, endpoint) in [("unix", &unix), ("tcp", &tcp), ("https", &https)] {
        for tasks in [1, 16, 64] {
            let mut pooled = 0.0;
            for how in [How::OneClient, How::ClientPerCall, How::ConnectionPerCall] {
                if how == How::ConnectionPerCall && name == "https" {
                    continue;
                }
                let measured =
                    runtime().block_on(measure(endpoint.parse().unwrap(), how, tasks, Arc::clone(&ca)));
                let against = match how {
                    How::OneClient => {
                        pooled = measured.calls;
                        String::new()
                    }
                    _ => format!("1 / {:.1}", pooled / measured.calls),
                };
                let what = match how {
                    How::OneClient => "one client",
                    How::ClientPerCall => "a client a call",
                    How::ConnectionPerCall => "a bare connection a call",
                };
                println!(
                    "{name:<8} {tasks:>5}  {what:<22} {:>9.0} {:>9.3} {:>9.3}  {against}",
                    measured.calls,
                    millis(measured.p50),
                    millis(measured.p99)
                );
            }
        }
    }
}

async fn measure(endpoint: Endpoint, how: How, tasks: usize, ca: Arc<String>) -> Measured {
    let shared = client(&endpoint, &ca);
    shared.version().await.unwrap();
    let started = Instant::now();
    let workers: Vec<_> = (0..tasks)
        .map(|_| {
            let (client_of_all, endpoint, ca) = (shared.clone(), endpoint.clone(), Arc::clone(&ca));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while started.elapsed() < DURATION {
                    let begin = Instant::now();
                    match how {
                        How::OneClient => drop(client_of_all.version().await.unwrap()),
                        How::ClientPerCall => drop(client(&endpoint, &ca).version().await.unwrap()),
                        How::ConnectionPerCall => bare(&endpoint).await,
                    }
                    times.push(begin.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.unwrap());
    }
    let elapsed = started.elapsed();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Measured { calls: times.len() as f64 / elapsed.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}

fn client(endpoint: &Endpoint, ca: &str) -> Client {
    let builder = Client::builder(endpoint.clone());
    if endpoint.is_tls() { builder.only_ca_pem(ca).build().unwrap() } else { builder.build().unwrap() }
}

/// The least that a call can be: connect, write, read until the server closes.
async fn bare(endpoint: &Endpoint) {
    let request = b"POST /prpc/Version?json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let mut reply = Vec::new();
    if let Some(path) = endpoint.socket_path() {
        let mut socket = tokio::net::UnixStream::connect(path).await.unwrap();
        socket.write_all(request).await.unwrap();
        socket.read_to_end(&mut reply).await.unwrap();
    } else {
        let mut socket = tokio::net::TcpStream::connect(endpoint.host_port().unwrap()).await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket.write_all(request).await.unwrap();
        socket.read_to_end(&mut reply).await.unwrap();
    }
    assert!(reply.starts_with(b"HTTP/1.1 200"));
}

/// A server behind TLS that answers every request with a version, as a proxy before a VMM would.
fn serve_tls(certificate: &str, key: &str) {
    let certificate = std::fs::read(certificate).unwrap().into();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(std::fs::read(key).unwrap()));
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("https://{}", listener.local_addr().unwrap());
    let body = r#"{"version":"0.5.11","rev":"git:40eaf35e"}"#;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    while let Ok((socket, _)) = listener.accept() {
        socket.set_nodelay(true).unwrap();
        let (config, reply) = (Arc::clone(&config), reply.clone());
        std::thread::spawn(move || {
            let session = rustls::ServerConnection::new(config).unwrap();
            let mut stream = rustls::StreamOwned::new(session, socket);
            let mut buffer = [0; 4096];
            let mut seen = Vec::new();
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => return,
                    Ok(read) => seen.extend_from_slice(&buffer[..read]),
                }
                // Requests come one after the other, each with the body `{}`.
                if seen.ends_with(b"\r\n\r\n{}") {
                    seen.clear();
                    if stream.write_all(reply.as_bytes()).is_err() || stream.flush().is_err() {
                        return;
                    }
                }
            }
        });
    }
}
