//! `logs`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::snapshot;
use crate::world::{World, app_compose, port};

#[test]
fn the_last_lines() {
    let world = World::new();
    let id = world.vm("web");
    world.emulator.append_log(&id, "stdout", "one").unwrap();
    world.emulator.append_log(&id, "stdout", "two").unwrap();
    snapshot!("serial", world.run(&["logs", "web", "-n", "1"]));
    snapshot!("stdout", world.run(&["logs", "web", "-c", "stdout", "-n", "2"]));
    snapshot!("json", world.run(&["logs", "web", "-c", "stdout", "-n", "1", "--json"]));
    snapshot!("unknown_channel", world.run(&["logs", "web", "-c", "syslog"]));
}

#[test]
fn following_until_the_vm_is_gone() {
    let world = World::next();
    let id = world.vm("web");
    let mut child = world
        .command(&["logs", "web", "-f", "-n", "0", "-c", "stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The line may come before the program listens; the later ones do not.
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let _ = sender.send(line);
        }
    });
    let mut seen = String::new();
    let mut number = 0;
    world.wait_until("a line is followed", || {
        number += 1;
        world.emulator.append_log(&id, "stdout", &format!("line {number}")).unwrap();
        seen = receiver.recv_timeout(std::time::Duration::from_millis(50)).unwrap_or_default();
        !seen.is_empty()
    });
    assert!(seen.starts_with("line "), "{seen}");
    world.run(&["rm", "web", "--yes", "--force"]);
    let output = child.wait_with_output().unwrap();
    reader.join().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_container_that_cannot_be_read_says_why_and_shows_the_serial_log() {
    let world = World::new();
    world.vm("web");
    snapshot!("no_way_there", world.run(&["logs", "web", "-c", "container:dstack-web-1", "-n", "1"]));
    world.vm_with("closed", |vm| {
        vm.compose_file = app_compose("closed").replace("\"public_logs\": true", "\"public_logs\": false");
    });
    snapshot!("not_public", world.run(&["logs", "closed", "-c", "container:dstack-web-1", "-n", "1"]));
    world.run(&["stop", "web"]);
    snapshot!("stopped", world.run(&["logs", "web", "-c", "container:dstack-web-1", "-n", "1"]));
}

#[test]
fn a_container_behind_a_published_port() {
    let world = World::with(|builder| builder.configure(|settings| settings.port_ranges[0].to = u16::MAX));
    // The emulator publishes nothing; the port is served here, by the agent of the VM.
    let listener = world.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let host_port = listener.local_addr().unwrap().port();
    let id = world.vm_with("web", |vm| vm.ports = vec![port(host_port, 8090)]);
    let router = world.emulator.agent(&id).unwrap().external_router();
    world.runtime().spawn(async move { axum::serve(listener, router).await });
    snapshot!("container", world.run(&["logs", "web", "-c", "container:dstack-web-1"]));
    snapshot!(
        "container_json",
        world.run(&["logs", "web", "-c", "container:dstack-web-1", "-n", "1", "--json"])
    );
    snapshot!("no_such_container", world.run(&["logs", "web", "-c", "container:db"]));
}
