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

mod answers;
mod connecting;
mod credentials;
mod logs;
mod losses;
mod tls;

/// A newer client against an older server and the other way round.
#[tokio::test]
async fn a_method_that_the_server_does_not_have_is_not_sent() {
    let server = Server::answering(json(200, r#"{"version":"0.6.0","rev":""}"#)).await;
    let client = server.client();
    compare("method-of-another-version", &told(client.report_dhcp_lease(&Default::default()).await));
    assert_eq!(client.server_version().await.unwrap().reported.version, "0.6.0");
}
