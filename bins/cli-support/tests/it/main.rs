//! Integration tests of `cli-support`, one binary: whole processes seen from outside.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod process;

use std::process::{Command, Output, Stdio};

/// The probe with nothing from the environment of the tests.
fn probe(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cli-support-probe"));
    command.args(arguments).env_clear().env("LANG", "C.UTF-8").stdin(Stdio::null());
    command
}

/// Exit code, stdout and stderr in one text.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
    format!("code: {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

fn run(arguments: &[&str]) -> String {
    told(&probe(arguments).output().unwrap())
}
