//! Replies that do not come.

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
