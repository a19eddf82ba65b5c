//! A directory to work in, the program with nothing from the environment of the tests, and an emulated host.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use dstack_emulator::{BootProfile, Emulator};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::VmConfiguration;
use dstack_vmm_client::client::{Client, Condition, Credentials, VmmApi, WaitOptions, wait_for};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What belongs to one test.
pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// The directory that the program runs in.
    pub(crate) fn work(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes the answers of the recorded guest agent into it, as a person would have kept them.
    pub(crate) fn write_recorded(&self) {
        self.write("evidence/info.json", recorded("info").to_string());
        self.write("evidence/quote.json", recorded("get-quote").to_string());
    }

    /// The text of a file in it.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.work().join(name)).unwrap()
    }

    /// The program.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dstack-verify"));
        command
            .args(arguments)
            .env_clear()
            .env("LANG", "C.UTF-8")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program and gives everything it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.told(&self.command(arguments).output().unwrap())
    }

    /// Runs the program with bytes on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> String {
        let file = std::fs::File::open(self.write("input", input)).unwrap();
        self.told(&self.command(arguments).stdin(file).output().unwrap())
    }

    /// Runs the program and gives its exit code and its data as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), document)
    }

    /// Runs the program and gives its report.
    pub(crate) fn report(&self, arguments: &[&str]) -> (Option<i32>, dstack_check::Report) {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let report = dstack_check::render::json::read_report(&text)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), report)
    }

    /// Exit code, stdout and stderr in one text, without what differs from run to run.
    pub(crate) fn told(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
        let told =
            format!("code: {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr));
        told.replace(self.work().to_str().unwrap(), "[dir]")
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
