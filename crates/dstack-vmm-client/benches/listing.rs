//! 10,000 VMs, listed page by page by a process of its own.
//!
//! `cargo bench -p dstack-vmm-client --bench listing`

#![allow(
    missing_docs,
    dead_code,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints and may panic"
)]

mod rig;

use std::time::Instant;

use dstack_vmm_client::client::{Client, Listing, VmmApi, list};
use futures_util::StreamExt;
use rig::{Role, configuration, mib, millis, peak_memory, role, runtime, serve};

const VMS: usize = 10_000;

fn main() {
    let role = role();
    match role.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", run_dir] => serve(run_dir.as_ref()),
        ["read", endpoint, brief] => read(endpoint, *brief == "brief"),
        _ => bench(),
    }
}

fn bench() {
    let directory = tempfile::tempdir().unwrap();
    let mut emulator = Role::start(&["serve", directory.path().to_str().unwrap()]);
    let endpoint = emulator.line();
    let mut made = 0;
    println!(
        "{:>6}  {:<6}  {:>9} {:>9} {:>10} {:>10}",
        "VMs", "", "first ms", "again ms", "start MiB", "peak MiB"
    );
    for vms in [20, 1000, VMS] {
        let started = Instant::now();
        runtime().block_on(make(&endpoint, made..vms));
        made = vms;
        let setup = started.elapsed();
        for form in ["brief", "full"] {
            let mut reader = Role::start(&["read", &endpoint, form]);
            println!("{vms:>6}  {form:<6}  {}", reader.line());
        }
        if vms == VMS {
            println!("(making them took {:.1} s)", setup.as_secs_f64());
        }
    }
}

async fn make(endpoint: &str, range: std::ops::Range<usize>) {
    let client = Client::new(endpoint.parse().unwrap()).unwrap();
    let image = client.list_images().await.unwrap().remove(0).name;
    let (client, image) = (&client, &image);
    futures_util::stream::iter(range)
        .for_each_concurrent(8, |number| async move {
            client.create_vm(&configuration(&format!("app-{number}"), image)).await.unwrap();
        })
        .await;
}

/// Lists everything twice, without keeping it, and prints how long it took and what it cost.
fn read(endpoint: &str, brief: bool) {
    // One thread, as in a command line tool.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::new(endpoint.parse().unwrap()).unwrap();
    let before = peak_memory();
    let mut times = Vec::new();
    for _ in 0..2 {
        let started = Instant::now();
        runtime.block_on(async {
            let listing = if brief { Listing::brief() } else { Listing::default() };
            let mut vms = std::pin::pin!(list(&client, listing));
            while let Some(vm) = vms.next().await {
                assert!(!vm.unwrap().id.is_empty());
            }
        });
        times.push(started.elapsed());
    }
    println!(
        "{:>9.1} {:>9.1} {:>10.1} {:>10.1}",
        millis(times[0]),
        millis(times[1]),
        mib(before),
        mib(peak_memory())
    );
}
