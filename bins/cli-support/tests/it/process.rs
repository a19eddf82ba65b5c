//! Exit codes, streams and looks of a real process.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::{probe, run, told};

#[test]
fn help_and_version_are_success_on_stdout() {
    assert_snapshot!("help", run(&["--help"]));
    assert_eq!(
        run(&["--version"]),
        format!("code: 0\n--- stdout\ncli-support-probe {}\n--- stderr\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_command_lines_end_with_2() {
    let all = [&["nonsense"][..], &["panic", "--threads"], &["secret"], &["secret", ""], &["secret", "env:"]];
    let told: Vec<String> = all.into_iter().map(run).collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn no_command_shows_help_on_stderr_and_is_no_success() {
    let told = run(&[]);
    assert!(told.starts_with("code: 2\n--- stdout\n--- stderr\nDoes what the tests tell it\n"), "{told}");
}

#[test]
fn errors_as_text_and_as_json() {
    let as_text = run(&["conflict"]);
    let as_json = run(&["conflict", "--json"]);
    let usage = run(&["--json", "panic", "--threads"]);
    assert_snapshot!([as_text, as_json, usage].join("\n"));
}

#[test]
fn a_panic_in_any_thread_is_a_bug_with_its_own_code() {
    for arguments in [&["panic"][..], &["panic", "--thread"]] {
        let told = run(arguments);
        let (code, stderr) = told.split_once("\n--- stdout\n--- stderr\n").unwrap();
        assert_eq!(code, "code: 70");
        assert!(stderr.starts_with("error: cli-support-probe "), "{stderr}");
        assert!(
            stderr.contains("stopped at a bug of its own: the probe was told to\nhint: it was at "),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 2, "{stderr}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = probe(&["lines"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    // The reader is dropped here, which closes the pipe.
    let output = child.wait_with_output().unwrap();
    assert_eq!((first.as_str(), told(&output).as_str()), ("0\n", "code: 0\n--- stdout\n--- stderr\n"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = probe(&["table"]).stdout(full).output().unwrap();
    assert_eq!(
        told(&output),
        "code: 3\n--- stdout\n--- stderr\n\
         error: failed to write the output: No space left on device (os error 28)\n"
    );
}

#[test]
fn reports_in_both_forms_end_with_their_verdict() {
    assert_snapshot!([run(&["report"]), run(&["report", "--json"])].join("\n"));
}

#[test]
fn symbols_follow_the_locale() {
    let output = probe(&["report"]).env("LANG", "C").output().unwrap();
    assert!(told(&output).contains("x fail     the file is for its owner alone"));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let coloured = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = probe(arguments).envs(variables.iter().copied()).output().unwrap();
        (output.stdout.contains(&0x1b), output.stderr.contains(&0x1b))
    };
    assert_eq!(coloured(&["table"], &[]), (false, false));
    assert_eq!(coloured(&["table"], &[("CLICOLOR_FORCE", "1")]), (true, false));
    assert_eq!(coloured(&["table"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), (false, false));
    assert_eq!(coloured(&["table", "--color", "always"], &[("NO_COLOR", "1")]), (true, false));
    assert_eq!(coloured(&["conflict", "--color=always"], &[]), (false, true));
    assert_eq!(coloured(&["nonsense", "--color=always"], &[]), (false, true));
    assert_eq!(coloured(&["nonsense"], &[]), (false, false));
    assert_eq!(coloured(&["--help"], &[("CLICOLOR_FORCE", "1")]), (true, false));
}

#[test]
fn talk_is_on_stderr_line_by_line() {
    assert_snapshot!(run(&["talk"]));
}

#[test]
fn secrets_come_from_files_the_environment_and_stdin() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "12345\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = path.to_str().unwrap();
    let ok = |length: &str| format!("code: 0\n--- stdout\n{length}\n--- stderr\n");
    assert_eq!(run(&["secret", path]), ok("5"));
    assert_eq!(told(&probe(&["secret", "env:TOKEN"]).env("TOKEN", "123").output().unwrap()), ok("3"));
    let mut child = probe(&["secret", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"1234567\r\n").unwrap();
    assert_eq!(told(&child.wait_with_output().unwrap()), ok("7"));
}

#[test]
fn secrets_that_cannot_be_had() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "12345\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let lines = [
        run(&["secret", path.to_str().unwrap()]),
        run(&["secret", directory.path().to_str().unwrap()]),
        run(&["secret", "env:NOT_SET"]),
        run(&["secret", "-"]),
    ];
    assert_snapshot!(lines.join("\n").replace(directory.path().to_str().unwrap(), "[DIR]"));
}

#[test]
fn completions_and_man_pages() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert!(script.starts_with("code: 0\n") && script.contains("cli-support-probe"), "{shell}");
    }
    let page = run(&["man"]);
    assert!(page.starts_with("code: 0\n--- stdout\n.ie"), "{page}");
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("man1");
    let listed = run(&["man", "--dir", target.to_str().unwrap()]);
    assert_snapshot!(listed.replace(directory.path().to_str().unwrap(), "[DIR]"));
    let page = std::fs::read_to_string(target.join("cli-support-probe-panic.1")).unwrap();
    assert!(page.contains(r"Do it in another thread") && page.contains(r"\-\-json"), "{page}");
}
