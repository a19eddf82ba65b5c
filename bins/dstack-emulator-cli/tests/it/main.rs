//! The binary as a user starts it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

fn emulator(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dstack-emulator"));
    command.args(arguments).env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn terminate(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// One request over a unix socket; the whole reply as text.
fn get(endpoint: &str, path: &str, token: &str) -> String {
    let mut stream = UnixStream::connect(endpoint.strip_prefix("unix:").unwrap()).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn it_reads_a_vmm_toml_says_what_it_is_and_stops_on_a_signal() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("vmm.toml");
    let text = format!(
        "address = \"unix:{0}/vmm.sock\"\nrun_path = \"{0}/vm\"\nnode_name = \"a\"\n[cvm]\ncid_pool_size = 3\n",
        dir.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut child = emulator(&["--dstack", "next", "--fault", "ListGpus=error:none today"])
        .arg("--config")
        .arg(&config)
        .arg("--token-file")
        .arg(&token)
        .arg("serve")
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let endpoint = line.trim();
    assert!(get(endpoint, "/prpc/GetMeta", "secret").contains("\"max_cvm_number\":3"));
    assert!(get(endpoint, "/prpc/ListGpus", "secret").contains("none today"));
    assert!(get(endpoint, "/prpc/GetMeta", "wrong").starts_with("HTTP/1.1 401"));
    terminate(&child, rustix::process::Signal::TERM);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("EMULATED dstack node 0.6.0: no TEE"), "{stderr}");
    assert!(stderr.contains("SIGTERM"), "{stderr}");
    assert!(!dir.path().join("vmm.sock").exists());
}

#[test]
fn json_says_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        emulator(&["--json", "--listen", "127.0.0.1:0", "--run-dir"]).arg(dir.path()).spawn().unwrap();
    let mut text = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut text).unwrap();
    terminate(&child, rustix::process::Signal::INT);
    stdout.read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let up: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&up["emulated"], &up["version"]), (&true.into(), &"0.5.11".into()));
    assert!(up["endpoints"][0].as_str().unwrap().starts_with("http://127.0.0.1:"));
}

#[test]
fn what_is_wrong_is_said_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = emulator(arguments).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let stderr = stderr.replace(&dir.path().display().to_string(), "DIR");
        format!("exit {}\n{stderr}", output.status.code().unwrap())
    };
    let file = dir.path().join("vmm.toml");
    let file = file.to_str().unwrap();
    let missing = run(&["-c", file]);
    std::fs::write(file, "address = \n").unwrap();
    let broken = run(&["-c", file]);
    std::fs::write(file, "address = \"vsock:2\"\n").unwrap();
    let vsock = run(&["-c", file]);
    let nowhere = format!("unix:{}/no/such/x.sock", dir.path().display());
    let nowhere = run(&["--listen", &nowhere]);
    insta::assert_snapshot!([missing, broken, vsock, nowhere].join("\n"));
}
