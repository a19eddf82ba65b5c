//! Answers that are none, and those that say no.

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
        compare(&format!("400-{name}"), &told(server.client().create_vm(&VmConfiguration::default()).await));
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
    let client = quick(server.endpoint.clone()).credentials(Credentials::bearer("hunter2")).build().unwrap();
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
    let limited = |server: &Server| quick(server.endpoint.clone()).max_reply_bytes(100_000).build().unwrap();
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
