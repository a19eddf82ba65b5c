//! Not let in.

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
