//! An emulated VMM, a directory to work in, and the program with nothing from the environment of the tests.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use cli_support::testing::{self, Sandbox};
use dstack_emulator::{BootProfile, Builder, Emulator};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::{PortMapping, VmConfiguration, VmInfo};
use dstack_vmm_client::client::{Client, Condition, VmmApi, WaitOptions, wait_for};
use tokio::runtime::Runtime;

/// What belongs to one test.
pub(crate) struct World {
    pub(crate) emulator: Emulator,
    runtime: Runtime,
    sandbox: Sandbox,
}

impl World {
    /// A VMM of the stable version whose guests boot in no time.
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// The same of the coming version.
    pub(crate) fn next() -> Self {
        Self::with(|builder| builder.version(DstackVersion::Next))
    }

    /// A VMM that is different in some way.
    pub(crate) fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let sandbox = Sandbox::within(env!("CARGO_BIN_EXE_dstack-vmmctl"), "work");
        for name in ["home", "run"] {
            std::fs::create_dir(sandbox.root().join(name)).unwrap();
        }
        let runtime = Runtime::new().unwrap();
        let boot = BootProfile::new().step_time(Duration::from_millis(5));
        let builder = Emulator::builder().boot(boot).listen_unix(sandbox.root().join("vmm.sock"));
        let emulator = runtime.block_on(change(builder).start()).unwrap();
        Self { emulator, runtime, sandbox }
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write_secret(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.write(name, text);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    /// `unix:` and the path of the socket.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.root().join("vmm.sock").display())
    }

    /// A client of the VMM.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.endpoint().parse().unwrap()).unwrap()
    }

    /// Runs something of the client to its end.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The runtime, for servers of a test.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Makes a VM of this name with a small app, and waits until it is up. Returns its id.
    pub(crate) fn vm(&self, name: &str) -> String {
        self.vm_with(name, |_| {})
    }

    /// The same with changes to what is asked for.
    pub(crate) fn vm_with(&self, name: &str, change: impl FnOnce(&mut VmConfiguration)) -> String {
        let id = self.create(name, change);
        let booted = Condition::Booted;
        let client = self.client();
        let options = WaitOptions::default();
        self.block_on(wait_for(&client, &id, &booted, &options, &mut |_| {})).unwrap();
        id
    }

    /// Makes a VM and does not wait.
    pub(crate) fn create(&self, name: &str, change: impl FnOnce(&mut VmConfiguration)) -> String {
        let mut configuration = VmConfiguration::default();
        configuration.name = name.to_owned();
        configuration.image = "dstack-0.5.11".to_owned();
        configuration.vcpu = 2;
        configuration.memory = 2048;
        configuration.disk_size = 20;
        configuration.compose_file = app_compose(name);
        change(&mut configuration);
        self.block_on(self.client().create_vm(&configuration)).unwrap()
    }

    /// What the VMM says about a VM.
    pub(crate) fn info(&self, id: &str) -> Option<VmInfo> {
        self.block_on(self.client().info(id)).unwrap()
    }

    /// Waits until something holds, and fails after ten seconds.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(10), "not within ten seconds: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The program, without a VMM named.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command.env("HOME", self.root().join("home")).env("XDG_RUNTIME_DIR", self.root().join("run"));
        command
    }

    /// The program, with the VMM in the environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("DSTACK_VMM_URL", self.endpoint());
        command
    }

    /// Runs the program and gives everything it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.told(&self.command(arguments).output().unwrap())
    }

    /// Runs the program and gives its data as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        testing::json(&self.command(arguments).output().unwrap())
    }
}

impl Deref for World {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

/// The app-compose of a small app.
pub(crate) fn app_compose(name: &str) -> String {
    format!(
        r#"{{"manifest_version": 2, "name": "{name}", "runner": "docker-compose", "docker_compose_file": "services:\n  web:\n    image: nginx:1.27\n", "public_logs": true}}"#
    )
}

/// A port as the VMM has it.
pub(crate) fn port(host_port: u16, vm_port: u16) -> PortMapping {
    let mut port = PortMapping::default();
    port.protocol = "tcp".to_owned();
    port.host_address = "127.0.0.1".to_owned();
    port.host_port = host_port.into();
    port.vm_port = vm_port.into();
    port
}

/// Snapshots without ids, hashes and times.
#[macro_export]
macro_rules! snapshot {
    ($($arguments:tt)*) => {
        insta::with_settings!({
            filters => vec![
                (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[vm id]"),
                (r"\b[0-9a-f]{66}\b", "[signer]"),
                (r"\b[0-9a-f]{64}\b", "[hash]"),
                (r"\b[0-9a-f]{40}\b", "[id]"),
                (r"\b[0-9a-f]{8}\b", "[short]"),
                (r" +\+\d+\.\d s", "  +T s"),
                (r"\b\d{4}-\d\d-\d\d \d\d:\d\d UTC", "[time]"),
                (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[time]"),
                (r"after \d+(\.\d+)?m?s", "after [time]"),
                (r"127\.0\.0\.1:\d{5}", "127.0.0.1:[port]"),
                (r"(?m)\b\d+s( +|$)", "[up] "),
                (r"Up [^)]*", "Up [time]"),
                (r"\[ +\d+\.\d{3}\]", "[T]"),
                (r"(?m)^  up +\d+ s$", "  up [time]"),
                // What is seen between two looks depends on when they are.
                (r"(?m)^(starting|stopping|shutting down|removing|waiting for) .*: (running|stopping|stopped|removing|exited)\n", ""),
                (r"(?m)^( +boot +booting| +vm +exited|([a-z0-9]+)?  \+T s  vm +(running|booting|stopping|exited))\n", ""),
            ],
        }, {
            insta::assert_snapshot!($($arguments)*);
        });
    };
}
