//! The guest agent: against recorded answers, and against its own promises.

mod certificates;
mod evidence;
mod golden;
mod keys;
mod surfaces;
mod whole;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use dstack_emulator::agent::{GuestAgent, GuestSpec, Sockets};
use dstack_emulator::clock::Clock;
use dstack_emulator::kms::{Kms, RootKeys};
use dstack_vmm_client::DstackVersion;
use serde_json::Value;

use crate::raw_http::{Reply, over_unix};

/// An app-compose whose keys come from the KMS and that shows everything to the outside.
const COMPOSE: &str = r#"{"manifest_version":2,"name":"guest-agent","runner":"docker-compose","docker_compose_file":"services:\n  web:\n    image: nginx:1.27\n  db:\n    image: postgres:17\n    container_name: store\n","public_logs":true,"public_sysinfo":true,"kms_enabled":true,"storage_fs":"zfs"}"#;

/// A guest with open sockets, and the KMS that it has its keys from.
struct Guest {
    agent: GuestAgent,
    kms: Arc<Kms>,
    clock: Clock,
    sockets: Sockets,
    directory: tempfile::TempDir,
}

fn kms() -> Arc<Kms> {
    Arc::new(Kms::new(&RootKeys::from_seed(b"agent tests").unwrap(), 1_767_225_600).unwrap())
}

impl Guest {
    fn boot(spec: GuestSpec) -> Self {
        let kms = kms();
        let clock = Clock::manual();
        let agent = GuestAgent::boot(spec, &kms, clock.clone()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let sockets = agent.open_sockets(directory.path()).unwrap();
        Self { agent, kms, clock, sockets, directory }
    }

    fn with_compose(version: DstackVersion, compose: &str) -> Self {
        Self::boot(GuestSpec::new(version, compose))
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Serves another router of the agent on a socket of its own until the test ends.
    fn open(&self, name: &str, router: axum::Router) -> PathBuf {
        let path = self.socket(name);
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        path
    }

    async fn post(&self, method: &str, request: &Value) -> Reply {
        let path = format!("/{method}?json");
        over_unix(&self.socket("dstack.sock"), "POST", &path, Some(&request.to_string())).await
    }

    /// The answer of a method on `dstack.sock` that succeeds.
    async fn ask(&self, method: &str, request: &Value) -> Value {
        let reply = self.post(method, request).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text());
        reply.json()
    }

    /// The words of a method on `dstack.sock` that fails.
    async fn refusal(&self, method: &str, request: &Value) -> String {
        let reply = self.post(method, request).await;
        assert_eq!(reply.status, 400, "{method}: {}", reply.text());
        reply.json()["error"].as_str().unwrap().to_owned()
    }

    /// The answer of a method on `tappd.sock`.
    async fn tappd(&self, method: &str, request: &Value) -> Value {
        let path = format!("/prpc/Tappd.{method}?json");
        let reply = over_unix(&self.socket("tappd.sock"), "POST", &path, Some(&request.to_string())).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text());
        reply.json()
    }
}

/// The bytes of a member in hex.
fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// The exchanges recorded from the real agent.
fn recorded() -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../fixtures/golden/agent-next.json")).unwrap();
    golden["exchanges"].as_array().unwrap().clone()
}

/// The answer in the recorded exchange of this name.
fn recorded_answer(name: &str) -> Value {
    recorded().into_iter().find(|exchange| exchange["name"] == name).unwrap()["response"].clone()
}
