//! What the benches share: servers and readers as processes of their own, so that memory and time are theirs alone.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use dstack_emulator::{BootProfile, Emulator};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::api::VmConfiguration;
use tokio::runtime::Runtime;

/// A process that is this bench again in another role. It ends when it is dropped.
pub(crate) struct Role {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Role {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line it prints.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("the process ended early").unwrap()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The arguments of a role, without what cargo adds.
pub(crate) fn role() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| argument != "--bench").collect()
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Serves an emulator until the process is ended; prints its endpoints once it listens.
pub(crate) fn serve(run_dir: &Path) -> ! {
    runtime().block_on(async {
        let emulator = Emulator::builder()
            .version(DstackVersion::V0_5)
            .run_dir(run_dir)
            .configure(|settings| settings.cid_pool_size = 20_000)
            .boot(BootProfile::no_guest())
            .listen_unix(run_dir.join("vmm.sock"))
            .listen_tcp("127.0.0.1:0")
            .start()
            .await
            .unwrap();
        for endpoint in emulator.endpoints() {
            println!("{endpoint}");
        }
        std::future::pending::<()>().await;
    });
    unreachable!("nothing ends the server but its parent")
}

/// A stopped VM with a compose file of a usual size.
pub(crate) fn configuration(name: &str, image: &str) -> VmConfiguration {
    let compose_file = format!(
        r#"{{"manifest_version":2,"name":"{name}","runner":"docker-compose","docker_compose_file":"services:\n  web:\n    image: nginx@sha256:{}\n","public_logs":true}}"#,
        "0".repeat(64)
    );
    let mut configuration = VmConfiguration::default();
    configuration.name = name.to_owned();
    configuration.image = image.to_owned();
    configuration.compose_file = compose_file;
    configuration.vcpu = 1;
    configuration.memory = 1024;
    configuration.disk_size = 5;
    configuration.stopped = true;
    configuration
}

/// The most memory this process ever held, in KiB. Linux only.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_ascii_whitespace().nth(1)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
