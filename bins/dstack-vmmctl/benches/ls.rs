//! How long one `ls` of 20 VMs takes as a process, and how much memory it needs, over a unix socket.
//!
//! `cargo bench -p dstack-vmmctl`. The bar: under 5 ms and 8 MB.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on panics, and its table is its output"
)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dstack_emulator::Emulator;
use dstack_vmm_client::api::VmConfiguration;
use dstack_vmm_client::client::{Client, VmmApi};

const VMS: usize = 20;
const RUNS: usize = 300;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vmm.sock");
    let emulator = runtime.block_on(Emulator::builder().listen_unix(&socket).start()).unwrap();
    let endpoint = format!("unix:{}", socket.display());
    let client = Client::new(endpoint.parse().unwrap()).unwrap();
    for number in 0..VMS {
        let mut vm = VmConfiguration::default();
        vm.name = format!("app-{number}");
        vm.image = "dstack-0.5.11".to_owned();
        (vm.vcpu, vm.memory, vm.disk_size) = (2, 2048, 20);
        vm.compose_file =
            format!(r#"{{"manifest_version":2,"name":"app-{number}","runner":"docker-compose"}}"#);
        runtime.block_on(client.create_vm(&vm)).unwrap();
    }
    // The guests have booted and the emulator is idle.
    std::thread::sleep(Duration::from_secs(3));
    let program = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dstack-vmmctl"));
        command.args(arguments).env_clear().env("DSTACK_VMM_URL", &endpoint).stdin(Stdio::null());
        command
    };
    println!("{:<28}{:>8}{:>8}{:>8}", "ms per process", "min", "median", "p95");
    measure(&format!("ls of {VMS} VMs"), || program(&["ls"]));
    measure("--help", || program(&["--help"]));
    measure("/bin/true", || Command::new("/bin/true"));
    println!("peak RSS of ls: {:.1} MB", peak_rss(program(&["ls", "--watch", "3600", "--json"])));
    drop(emulator);
}

fn measure(name: &str, command: impl Fn() -> Command) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let status = command().stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success());
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<28}{:>8.2}{:>8.2}{:>8.2}", times[0], times[RUNS / 2], times[RUNS * 95 / 100]);
}

/// The most that a listing process had in memory, in MB, read while it waits for its next round.
fn peak_rss(mut command: Command) -> f64 {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
