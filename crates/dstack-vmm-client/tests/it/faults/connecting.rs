//! No connection.

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
