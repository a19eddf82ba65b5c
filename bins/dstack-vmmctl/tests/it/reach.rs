//! VMMs that do not answer, or not as they should.

use dstack_emulator::Fault;

use crate::snapshot;
use crate::world::World;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn at(world: &World, endpoint: &str, arguments: &[&str]) -> String {
    let mut command = world.bare(arguments);
    world.told(&command.env("DSTACK_VMM_URL", endpoint).output().unwrap())
}

#[test]
fn nobody_is_there() {
    let world = World::new();
    snapshot!("no_socket", at(&world, "unix:/nonexistent/vmm.sock", &["ls"]));
    snapshot!("refused", at(&world, "http://127.0.0.1:1", &["ls"]));
    snapshot!("as_json", at(&world, "http://127.0.0.1:1", &["ls", "--json"]));
}

#[test]
fn endpoints_that_are_none() {
    let world = World::new();
    let all: Vec<String> = [
        "unix:./vmm.sock",
        "vmm.example.com:9080",
        "tcp:127.0.0.1:9080",
        "vsock:2",
        "http://user:pw@192.0.2.1",
    ]
    .iter()
    .map(|endpoint| format!("{endpoint}\n{}", at(&world, endpoint, &["ls"])))
    .collect();
    snapshot!(all.join("\n"));
}

#[test]
fn credentials() {
    let world = World::with(|builder| {
        builder.version(dstack_vmm_client::DstackVersion::Next).listen_tcp("127.0.0.1:0").token(TOKEN)
    });
    let endpoint =
        world.emulator.endpoints().find(|endpoint| endpoint.starts_with("http")).unwrap().to_owned();
    snapshot!("none", at(&world, &endpoint, &["ls"]));
    let with = |name: &str, value: &str| {
        let mut command = world.bare(&["ls"]);
        world.told(&command.env("DSTACK_VMM_URL", &endpoint).env(name, value).output().unwrap())
    };
    snapshot!("wrong", with("DSTACK_VMM_TOKEN", "not the token"));
    snapshot!("right", with("DSTACK_VMM_TOKEN", TOKEN));
    let file = world.write_secret("token", format!("{TOKEN}\n"));
    let file = file.to_str().unwrap();
    snapshot!("from_a_file", at(&world, &endpoint, &["ls", "--token-from", file]));
    snapshot!("as_a_password", at(&world, &endpoint, &["ls", "--token-from", file, "--user", "admin"]));
    snapshot!("no_password", at(&world, &endpoint, &["ls", "--user", "admin"]));
    world.write("open-token", TOKEN);
    snapshot!("file_others_can_read", at(&world, &endpoint, &["ls", "--token-from", "open-token"]));
    snapshot!("file_that_is_not_there", at(&world, &endpoint, &["ls", "--token-from", "no-such-token"]));
}

#[test]
fn answers_that_no_vmm_gives() {
    let world = World::new();
    let html = |status| Fault::Raw {
        status,
        content_type: "text/html".to_owned(),
        body: b"<html><body>Bad Gateway</body></html>".to_vec(),
    };
    world.emulator.faults().once("Status", html(502));
    snapshot!("html_502", world.run(&["ls"]));
    world.emulator.faults().once("Status", html(200));
    snapshot!("html_200", world.run(&["ls"]));
    world.emulator.faults().once("Status", Fault::Error("the disk is full".to_owned()));
    snapshot!("words_of_the_server", world.run(&["ls"]));
    let cut =
        Fault::Raw { status: 200, content_type: "application/json".to_owned(), body: b"{\"vms\":[".to_vec() };
    world.emulator.faults().once("Status", cut);
    snapshot!("cut_json", world.run(&["ls"]));
}

#[test]
fn a_slow_answer_has_a_limit() {
    let world = World::new();
    world.emulator.faults().always("Status", Fault::Latency(std::time::Duration::from_secs(60)));
    snapshot!(world.run(&["ls", "--timeout", "1"]));
}
