//! A directory to work in, the program with nothing from the environment of the tests, and an emulated host.

use std::ops::Deref;
use std::time::Duration;

use cli_support::testing::{self, Sandbox};
use dstack_emulator::{BootProfile, Emulator};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::VmConfiguration;
use dstack_vmm_client::client::{Client, Condition, Credentials, VmmApi, WaitOptions, wait_for};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What belongs to one test.
pub(crate) struct World(Sandbox);

impl World {
    pub(crate) fn new() -> Self {
        Self(Sandbox::new(env!("CARGO_BIN_EXE_dstack-verify")))
    }

    /// Writes the answers of the recorded guest agent into it, as a person would have kept them.
    pub(crate) fn write_recorded(&self) {
        self.write("evidence/info.json", recorded("info").to_string());
        self.write("evidence/quote.json", recorded("get-quote").to_string());
    }

    /// Runs the program and gives its exit code and its data as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        (output.status.code(), testing::json(&output))
    }

    /// Runs the program and gives its report.
    pub(crate) fn report(&self, arguments: &[&str]) -> (Option<i32>, dstack_check::Report) {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let report = dstack_check::render::json::read_report(&text)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), report)
    }
}

impl Deref for World {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

/// A fixture of the library.
pub(crate) fn fixture(name: &str) -> String {
    let package = env!("CARGO_MANIFEST_DIR");
    std::fs::read_to_string(format!("{package}/../../crates/dstack-attestation/tests/fixtures/{name}"))
        .unwrap()
}

/// What a recorded guest agent answered.
pub(crate) fn recorded(name: &str) -> serde_json::Value {
    let exchange: serde_json::Value = serde_json::from_str(&fixture(&format!("agent/{name}.json"))).unwrap();
    exchange["response"].clone()
}

/// How a finding ended.
pub(crate) fn status(report: &dstack_check::Report, id: &str) -> &'static str {
    report.get(id).map_or("not there", |finding| finding.status.word())
}

/// The app-compose of the emulated app.
pub(crate) const APP_COMPOSE: &str = r#"{"manifest_version": 2, "name": "web", "runner": "docker-compose", "docker_compose_file": "services:\n  web:\n    image: nginx:1.27\n", "public_logs": true}"#;

/// An emulated host with one app that is up.
pub(crate) struct Host {
    pub(crate) emulator: Emulator,
    pub(crate) vm: String,
    _runtime: Runtime,
    dir: TempDir,
}

impl Host {
    pub(crate) fn new(version: DstackVersion) -> Self {
        Self::with(version, None)
    }

    /// A host whose VMM wants a token.
    pub(crate) fn with_token(token: &str) -> Self {
        Self::with(DstackVersion::Next, Some(token))
    }

    fn with(version: DstackVersion, token: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let boot = BootProfile::new().step_time(Duration::from_millis(5));
        let mut builder = Emulator::builder()
            .version(version)
            .boot(boot)
            .run_dir(dir.path().join("vm"))
            .listen_unix(dir.path().join("vmm.sock"));
        if let Some(token) = token {
            builder = builder.token(token);
        }
        let emulator = runtime.block_on(builder.start()).unwrap();
        let mut configuration = VmConfiguration::default();
        configuration.name = "web".to_owned();
        configuration.image = "dstack-0.5.11".to_owned();
        configuration.vcpu = 2;
        configuration.memory = 2048;
        configuration.disk_size = 20;
        configuration.compose_file = APP_COMPOSE.to_owned();
        let mut client = Client::builder(emulator.endpoint().parse().unwrap());
        if let Some(token) = token {
            client = client.credentials(Credentials::bearer(token));
        }
        let client = client.build().unwrap();
        let vm = runtime.block_on(client.create_vm(&configuration)).unwrap();
        let booted = Condition::Booted;
        runtime.block_on(wait_for(&client, &vm, &booted, &WaitOptions::default(), &mut |_| {})).unwrap();
        Self { emulator, vm, _runtime: runtime, dir }
    }

    /// The VMM, as an option takes it.
    pub(crate) fn vmm(&self) -> String {
        format!("unix:{}", self.dir.path().join("vmm.sock").display())
    }

    /// The guest agent's socket, as an option takes it.
    pub(crate) fn agent(&self) -> String {
        format!("unix:{}", self.emulator.vm_dir(&self.vm).join("dstack.sock").display())
    }

    /// A text without the directory of the host.
    pub(crate) fn steady(&self, text: &str) -> String {
        text.replace(self.dir.path().to_str().unwrap(), "[host]")
    }
}

/// Snapshots without the paths of the checkout, hashes, times and versions.
#[macro_export]
macro_rules! snapshot {
    ($($arguments:tt)*) => {
        insta::with_settings!({
            filters => vec![
                (r"/[^\s:,]*/tests/fixtures/", "[fixtures]/"),
                (r"\b[0-9a-f]{96}\b", "[sha384]"),
                (r"\b[0-9a-f]{128}\b", "[report data]"),
                (r"\b[0-9a-f]{64}\b", "[hash]"),
                (r"\b[0-9a-f]{40}\b", "[id]"),
                (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[vm id]"),
                (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
            ],
        }, {
            insta::assert_snapshot!($($arguments)*);
        });
    };
}
