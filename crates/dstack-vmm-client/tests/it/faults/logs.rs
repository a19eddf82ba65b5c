//! Logs that cannot be read.

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
        let _ = conn.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\none\nt\r\n").await;
    })
    .await;
    let mut lines = server.client().logs(LogRequest::new("8fccd788"));
    assert!(lines.next().await.unwrap().is_ok());
    compare("logs-cut", &told(lines.next().await.unwrap()));
    assert!(lines.next().await.is_none());
}
