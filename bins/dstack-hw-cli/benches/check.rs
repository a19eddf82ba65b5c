//! How long a check takes as a process, live and from a capture, and how much memory it needs.
//!
//! `cargo bench -p dstack-hw-cli`. The bars: a live check under 150 ms without QEMU and the network and under 1 s with
//! them, one from a capture under 20 ms.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot go on panics, and its table is its output"
)]

use std::process::{Command, Stdio};
use std::time::Instant;

const RUNS: usize = 40;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("capture.json");
    let capture = capture.to_str().unwrap();
    assert!(program(&["capture", "--offline", "-o", capture]).status().unwrap().success());
    println!("{:<44}{:>8}{:>8}{:>8}{:>9}", "ms per process", "min", "median", "p95", "RSS MB");
    measure("check, live, --offline --skip-qemu", &["check", "--offline", "--skip-qemu"]);
    measure("check, live", &["check"]);
    measure("check, from a capture of this machine", &["check", "--from", capture]);
    measure("check, a pasted log of one line", &["check", "--dmesg", "/dev/null"]);
    measure("capture", &["capture", "-o", "-"]);
    measure("snapshot", &["snapshot", "-o", "-"]);
    measure("--help", &["--help"]);
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dstack-hw"));
    command.args(arguments).env_clear().env("LANG", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn measure(name: &str, arguments: &[&str]) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let status = program(arguments).status().unwrap();
            // 1 is an answer too: not every machine is a TDX host.
            assert!(matches!(status.code(), Some(0 | 1)), "{arguments:?}: {status}");
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let rss = peak_rss(arguments);
    println!("{name:<44}{:>8.1}{:>8.1}{:>8.1}{rss:>9.1}", times[0], times[RUNS / 2], times[RUNS * 95 / 100]);
}

/// The most that a run had in memory, in MB, as GNU time tells; 0 where it is not installed.
fn peak_rss(arguments: &[&str]) -> f64 {
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M", env!("CARGO_BIN_EXE_dstack-hw")]).args(arguments);
    let Ok(output) = command.stdin(Stdio::null()).stdout(Stdio::null()).output() else { return 0.0 };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let kib = said.lines().rev().find_map(|line| line.trim().parse::<f64>().ok());
    kib.map_or(0.0, |kib| kib / 1024.0)
}
