//! What an app-compose and an environment cost before anything is sent.
//!
//! The document has 256 KiB, the most that guests of 0.5 boot with; the environment has 100 variables.

use divan::{Bencher, black_box};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::{
    AppCompose, AppComposeBuilder, AppComposeDocument, ComposeHash, Layout, lint,
};
use dstack_vmm_client::env::{EnvFile, EnvPublicKey, open, seal};

const VERSION: DstackVersion = DstackVersion::V0_5;

fn main() {
    divan::main();
}

/// A document that just fits, most of it a Compose file with line breaks to escape.
fn document() -> AppComposeDocument {
    let yaml = "    # a line of a Compose file that is neither short nor long\n".repeat(4150);
    AppComposeBuilder::docker_compose("bench", yaml)
        .allowed_envs(["TOKEN"])
        .build(VERSION, Layout::Indented(4))
        .expect("it fits")
}

fn env_file() -> String {
    (0..100).map(|n| format!("NAME_{n}='value {n} # of \\'many\\'' # with a comment\n")).collect()
}

#[divan::bench]
fn hash(bencher: Bencher<'_, '_>) {
    let document = document();
    bencher.bench(|| ComposeHash::of(black_box(document.bytes())));
}

#[divan::bench]
fn parse_as_server(bencher: Bencher<'_, '_>) {
    let document = document();
    bencher.bench(|| AppCompose::parse_as_server(black_box(document.text()), VERSION));
}

#[divan::bench]
fn lint_all(bencher: Bencher<'_, '_>) {
    let document = document();
    bencher.bench(|| lint(black_box(document.bytes()), VERSION));
}

#[divan::bench]
fn edit_in_place(bencher: Bencher<'_, '_>) {
    let document = document();
    bencher.bench(|| document.set_allowed_envs(black_box(["TOKEN", "OTHER"])));
}

#[divan::bench]
fn env_parse(bencher: Bencher<'_, '_>) {
    let text = env_file();
    bencher.bench(|| EnvFile::parse(black_box(text.as_bytes())));
}

#[divan::bench]
fn env_seal(bencher: Bencher<'_, '_>) {
    let file = EnvFile::parse(env_file().as_bytes()).expect("it is well-formed");
    let key = EnvPublicKey::of_secret(&[7; 32]);
    bencher.bench(|| seal(black_box(&file.environment), &key));
}

#[divan::bench]
fn env_open(bencher: Bencher<'_, '_>) {
    let file = EnvFile::parse(env_file().as_bytes()).expect("it is well-formed");
    let blob = seal(&file.environment, &EnvPublicKey::of_secret(&[7; 32])).expect("it fits");
    bencher.bench(|| open(&[7; 32], black_box(&blob)));
}
