//! A log of 1 GB, followed from its first line by a process of its own while the server is killed and started again, once in
//! the middle of the log and once at its end.
//!
//! `cargo bench -p dstack-vmm-client --bench logs [-- BYTES]`

#![allow(
    missing_docs,
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints and may panic"
)]

mod rig;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use dstack_vmm_client::client::{Client, LogChannel, LogEvent, LogRequest, VmmApi};
use futures_util::StreamExt;
use rig::{Role, configuration, mib, peak_memory, role, runtime, serve};

/// Bytes of a line.
const LINE: usize = 100;

fn main() {
    let role = role();
    match role.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", run_dir] => serve(run_dir.as_ref()),
        ["read", endpoint, id, half, all, more] => {
            read(endpoint, id, half.parse().unwrap(), all.parse().unwrap(), more.parse().unwrap());
        }
        [bytes] => bench(bytes.parse().unwrap()),
        _ => bench(1_000_000_000),
    }
}

fn line(number: usize) -> String {
    format!("[{number:12}] {}", "x".repeat(LINE - 16))
}

fn write_lines(path: &Path, range: std::ops::Range<usize>) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    let mut file = BufWriter::with_capacity(1 << 20, file);
    for number in range {
        writeln!(file, "{}", line(number)).unwrap();
    }
    file.flush().unwrap();
}

fn bench(bytes: usize) {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().to_str().unwrap();
    let mut emulator = Role::start(&["serve", run_dir]);
    let endpoint = emulator.line();
    let id = runtime().block_on(async {
        let client = Client::new(endpoint.parse().unwrap()).unwrap();
        let image = client.list_images().await.unwrap().remove(0).name;
        client.create_vm(&configuration("demo", &image)).await.unwrap()
    });
    let all = bytes / LINE;
    let (half, more) = (all / 2, 1000);
    let log = directory.path().join(&id).join("stdout.log");
    write_lines(&log, 0..all);

    let numbers = [half.to_string(), all.to_string(), more.to_string()];
    let mut reader = Role::start(&["read", &endpoint, &id, &numbers[0], &numbers[1], &numbers[2]]);
    println!("{all} lines of {LINE} bytes");
    // Each time the reader says where it is, the server is killed. Once it is back the reader's clock counts.
    for place in ["middle", "end"] {
        assert_eq!(reader.line(), place);
        drop(emulator);
        if place == "end" {
            write_lines(&log, all..all + more);
        }
        std::thread::sleep(Duration::from_millis(500));
        let back = Instant::now();
        emulator = Role::start(&["serve", run_dir]);
        assert_eq!(emulator.line(), endpoint);
        let started = back.elapsed();
        let found = reader.line();
        println!(
            "cut at its {place}: server back after {:.2} s, the next line {:.2} s after that; {found}",
            started.as_secs_f64(),
            back.elapsed().saturating_sub(started).as_secs_f64(),
        );
    }
    println!("{}", reader.line());
    drop(emulator);
}

/// Reads lines whose numbers must go up by one.
fn read(endpoint: &str, id: &str, half: usize, all: usize, more: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(endpoint.parse().unwrap()).unwrap();
        let before = peak_memory();
        let started = Instant::now();
        let mut log = client.logs(LogRequest::new(id).channel(LogChannel::Stdout).follow(true));
        let mut next = 0;
        while next < all + more {
            match log.next().await.unwrap().unwrap() {
                LogEvent::Line(text) => {
                    let number: usize = text[1..13].trim().parse().unwrap();
                    assert_eq!((number, text.len()), (next, LINE - 1), "a line was lost or doubled");
                    next += 1;
                    if next == half {
                        println!("middle");
                    } else if next == all {
                        println!("end");
                    }
                }
                LogEvent::Reconnected { exact } => println!("exact: {exact}, after {next} lines"),
                _ => {}
            }
        }
        println!(
            "{next} lines, none lost or doubled, in {:.1} s with the pauses; memory {:.1} MiB at the start, {:.1} MiB at its peak",
            started.elapsed().as_secs_f64(),
            mib(before),
            mib(peak_memory())
        );
    });
}
