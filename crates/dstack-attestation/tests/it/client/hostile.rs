//! Servers that do what they should not: each is given up in bounded time and space, with an error that says why.

use std::time::Duration;

use dstack_attestation::agent::{GetKeyArgs, GetTlsKeyArgs};
use dstack_attestation::client::{
    AgentClient, ConnectFailure, Endpoint, FetchError, KeptBody, Limits, Surface, Transport,
};
use dstack_check::Hinted as _;

use super::play::{Identity, Play, Server, answer, impatient, json, patient};

/// What `Info` at such a server comes to.
async fn info(server: &Server, transport: Transport) -> FetchError {
    AgentClient::new(server.endpoint()).transport(transport).info().await.unwrap_err()
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    let server = Server::http(move |_| Play::SayForever(head.clone(), vec![b' '; 65_536])).await;
    let transport = patient().limits(Limits::default().body(1 << 20));
    let error = info(&server, transport).await;
    assert!(matches!(error, FetchError::TooLarge { limit: 1_048_576, .. }), "{error:?}");
}

#[tokio::test]
async fn a_long_body_in_chunks_or_by_its_word_is_cut_off_too() {
    for head in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nContent-Length: 99999999999\r\n\r\n",
    ] {
        let chunk = [b"1000\r\n".as_slice(), &[b'a'; 4096], b"\r\n"].concat();
        let server = Server::http(move |_| Play::SayForever(head.as_bytes().to_vec(), chunk.clone())).await;
        let error = info(&server, patient().limits(Limits::default().body(1 << 16))).await;
        assert!(matches!(error, FetchError::TooLarge { .. }), "{head}: {error:?}");
    }
}

#[tokio::test]
async fn what_hangs_is_given_up() {
    for said in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"app_id\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ] {
        let server = Server::http(move |_| Play::SayAndHang(said.as_bytes().to_vec())).await;
        let error = info(&server, impatient()).await;
        let after = Duration::from_millis(300);
        assert!(
            matches!(error, FetchError::Timeout { after: limit, .. } if limit == after),
            "{said}: {error:?}"
        );
        assert!(error.is_transport() && error.hint().is_some());
    }
}

#[tokio::test]
async fn a_server_that_never_accepts_is_given_up() {
    // The system makes the connection; nobody ever reads from it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for scheme in ["http", "https"] {
        let endpoint: Endpoint = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
        let error = AgentClient::new(endpoint).transport(impatient()).info().await.unwrap_err();
        let given_up = match &error {
            FetchError::Timeout { .. } => true,
            FetchError::Connect { failure, .. } => *failure == ConnectFailure::TimedOut,
            _ => false,
        };
        assert!(given_up, "{error:?}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_no_answer() {
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"app_id\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\u{0}\u{1}\u{2}",
        "",
    ] {
        let server = Server::http(move |_| Play::Say(said.as_bytes().to_vec())).await;
        let error = info(&server, patient()).await;
        assert!(matches!(error, FetchError::Interrupted { .. }), "{said:?}: {error:?}");
    }
}

#[tokio::test]
async fn headers_have_an_end() {
    let many: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(1 << 22));
    for headers in [many, long] {
        let server = Server::http(move |_| answer("200 OK", &headers, "{}")).await;
        let error = info(&server, patient()).await;
        assert!(matches!(error, FetchError::Interrupted { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let other = Server::http(|_| json("{}")).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let location = format!("Location: {}\r\n", other.url("/prpc/Worker.Info"));
        let server = Server::http(move |_| answer(status, &location, "")).await;
        let error = info(&server, patient()).await;
        assert!(matches!(&error, FetchError::Redirected { location: Some(_), .. }), "{error:?}");
        assert!(error.hint().is_some());
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words_and_tamed() {
    for (status, body, expected) in [
        ("400 Bad Request", r#"{"error":"Report data is too long"}"#, "Report data is too long"),
        ("404 Not Found", "not found\n", "not found"),
        ("500 Oops", "\u{1b}[2Jgone\u{7}", "[2Jgone"),
        ("502 Bad Gateway", "", ""),
    ] {
        let server = Server::http(move |_| answer(status, "", body)).await;
        let error = info(&server, patient()).await;
        let FetchError::Api { message, .. } = &error else { panic!("{error:?}") };
        assert_eq!(message, expected);
        assert!(!error.to_string().chars().any(char::is_control), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_the_message_is_undecodable_whatever_its_type_says() {
    for (kind, body) in [
        ("text/html", "<html></html>"),
        ("application/json", "{\"app_id\":5}"),
        ("application/json", "{\"app_id\":\"zz\"}"),
        ("application/json", "{"),
        ("application/json", ""),
        ("application/json", "\u{feff}{}"),
    ] {
        let headers = format!("Content-Type: {kind}\r\n");
        let server = Server::http(move |_| answer("200 OK", &headers, body)).await;
        let error = info(&server, patient()).await;
        let FetchError::Undecodable { body: kept, .. } = &error else { panic!("{error:?}") };
        assert_eq!(kept.bytes(), body.as_bytes());
    }
    let deep = "[".repeat(1 << 20);
    let server = Server::http(move |_| json(&deep)).await;
    assert!(matches!(info(&server, patient()).await, FetchError::Undecodable { .. }));
    // What a proxy calls JSON under another name is read all the same.
    let server =
        Server::http(|_| answer("200 OK", "Content-Type: text/plain\r\n", "{\"app_id\":\"11\"}")).await;
    assert_eq!(AgentClient::new(server.endpoint()).info().await.unwrap().app_id, [0x11]);
}

#[tokio::test]
async fn keys_do_not_get_into_errors() {
    for body in [
        r#""-----BEGIN PRIVATE KEY----- hunter2""#,
        r#"{"key":["hunter2"]}"#,
        r#"{"key":"hunter2","certificate_chain":"hunter2","signature_chain":"hunter2"}"#,
        r#"{"key":"hunter2""#,
    ] {
        let server = Server::http(move |_| json(body)).await;
        let app = AgentClient::new(server.endpoint()).surface(Surface::App);
        for error in [
            app.get_key(&GetKeyArgs::default()).await.unwrap_err(),
            app.get_tls_key(&GetTlsKeyArgs::default()).await.unwrap_err(),
        ] {
            let FetchError::Undecodable { body: kept, .. } = &error else { panic!("{error:?}") };
            assert_eq!((kept.bytes(), kept.total()), (b"".as_slice(), body.len()));
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
    assert!(KeptBody::default().bytes().is_empty());
}

#[tokio::test]
async fn what_cannot_be_reached_says_how() {
    let nowhere = AgentClient::new("unix:/nonexistent/dstack.sock".parse().unwrap());
    let error = nowhere.info().await.unwrap_err();
    assert!(matches!(&error, FetchError::Connect { failure: ConnectFailure::NoSocket, .. }), "{error:?}");
    assert!(error.hint().unwrap().as_str().contains("inside of a CVM"));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.sock");
    drop(tokio::net::UnixListener::bind(&file).unwrap());
    let dead = AgentClient::new(Endpoint::unix(&file).unwrap());
    let error = dead.info().await.unwrap_err();
    assert!(matches!(&error, FetchError::Connect { failure: ConnectFailure::Refused, .. }), "{error:?}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = AgentClient::new(format!("http://127.0.0.1:{port}").parse().unwrap());
    let error = closed.info().await.unwrap_err();
    assert!(matches!(&error, FetchError::Connect { failure: ConnectFailure::Refused, .. }), "{error:?}");

    let plain = Server::greeting(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    let endpoint: Endpoint = format!("https://127.0.0.1:{}", plain.port()).parse().unwrap();
    let error = AgentClient::new(endpoint).transport(patient()).info().await.unwrap_err();
    assert!(matches!(&error, FetchError::Connect { failure: ConnectFailure::NotTls, .. }), "{error:?}");

    let tls = Server::https(&Identity::from_ca(), |_| json("{}")).await;
    let endpoint: Endpoint = format!("http://127.0.0.1:{}", tls.port()).parse().unwrap();
    let error = AgentClient::new(endpoint).transport(patient()).info().await.unwrap_err();
    assert!(matches!(&error, FetchError::Interrupted { .. }), "{error:?}");
}
