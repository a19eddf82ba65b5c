//! What a check of a capture costs: reading it, making facts of it, asking every check.
//!
//! `cargo bench -p dstack-hw --bench capture`. The whole way is to stay below 20 ms.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic")]

use std::path::Path;

use divan::{Bencher, black_box};
use dstack_hw::capture::{Capture, MadeBy};
use dstack_hw::source::TreeHost;
use dstack_hw::{Assessment, CollectOptions, HostFacts, Profile};

const HOSTS: [&str; 4] = ["healthy-2404-intel", "gpu-host", "healthy-snp", "td-guest"];

fn main() {
    divan::main();
}

fn tree(name: &str) -> TreeHost {
    TreeHost::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts").join(name)).unwrap()
}

fn json(name: &str) -> String {
    Capture::record(&tree(name), CollectOptions::default(), MadeBy::new("bench", "0")).to_json()
}

fn profile(name: &str) -> Profile {
    Profile::builtin(match name {
        "healthy-snp" => "snp-host",
        "gpu-host" => "gpu",
        "td-guest" => "tdx-guest",
        _ => "tdx-host-with-kms",
    })
    .unwrap()
}

/// From the bytes of a capture to the answer.
#[divan::bench(args = HOSTS)]
fn from_json_to_readiness(bencher: Bencher<'_, '_>, name: &str) {
    let (json, profile) = (json(name), profile(name));
    bencher.bench(|| {
        let capture = Capture::from_json(black_box(&json)).unwrap();
        let facts = HostFacts::collect(capture.readings(), CollectOptions::default());
        Assessment::of("bench", &facts, &profile).readiness
    });
}

#[divan::bench(args = HOSTS)]
fn from_json(bencher: Bencher<'_, '_>, name: &str) {
    let json = json(name);
    bencher.bench(|| Capture::from_json(black_box(&json)).unwrap());
}

#[divan::bench(args = HOSTS)]
fn facts(bencher: Bencher<'_, '_>, name: &str) {
    let capture = Capture::from_json(&json(name)).unwrap();
    bencher.bench(|| HostFacts::collect(black_box(capture.readings()), CollectOptions::default()));
}

#[divan::bench(args = HOSTS)]
fn checks(bencher: Bencher<'_, '_>, name: &str) {
    let capture = Capture::from_json(&json(name)).unwrap();
    let facts = HostFacts::collect(capture.readings(), CollectOptions::default());
    let profile = profile(name);
    bencher.bench(|| Assessment::of("bench", black_box(&facts), &profile));
}

/// A host read, redacted and written down.
#[divan::bench(args = HOSTS)]
fn record(bencher: Bencher<'_, '_>, name: &str) {
    let host = tree(name);
    bencher.bench(|| {
        Capture::record(black_box(&host), CollectOptions::default(), MadeBy::new("bench", "0")).to_json()
    });
}
