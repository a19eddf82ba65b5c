//! `doctor`.

use dstack_emulator::settings::KmsSource;

use crate::snapshot;
use crate::world::World;

#[test]
fn a_host_that_is_well() {
    let world = World::next();
    world.vm("web");
    snapshot!("text", world.run(&["doctor"]));
    let json = world.json(&["doctor", "--json"]);
    assert_eq!(json["schema"], "dstack-check/report/v1");
    assert_eq!(json["counts"]["fail"], 0);
}

#[test]
fn a_host_that_is_not_there() {
    let world = World::new();
    let output = world.bare(&["doctor", "--vmm", "unix:/nonexistent/vmm.sock"]).output().unwrap();
    snapshot!(world.told(&output));
}

#[test]
fn a_host_with_much_to_say() {
    let world = World::with(|builder| {
        builder.listen_tcp("127.0.0.1:0").configure(|settings| {
            settings.port_mapping_enabled = false;
            settings.kms = KmsSource::Url("http://127.0.0.1:1".to_owned());
            settings.kms_urls = vec!["http://127.0.0.1:8081".to_owned()];
            settings.gateway_urls = vec!["http://127.0.0.1:8082".to_owned()];
            settings.max_allocable_vcpu = 1;
        })
    });
    world.vm("web");
    world.write("dstack.toml", "schema = 1\nname = \"x\"\n");
    let endpoint =
        world.emulator.endpoints().find(|endpoint| endpoint.starts_with("http")).unwrap().to_owned();
    let output = world.bare(&["doctor", "--vmm", &endpoint]).output().unwrap();
    snapshot!(world.told(&output));
}

#[test]
fn several_hosts_side_by_side() {
    let world = World::new();
    world.write("docker-compose.yaml", "services: {}\n");
    world.write(
        "dstack.toml",
        format!(
            "schema = 1\nname = \"hello\"\ncompose = \"docker-compose.yaml\"\nimage = \"dstack-0.5.11\"\n\
             [[hosts]]\nname = \"tdx1\"\nendpoint = \"{}\"\n[[hosts]]\nname = \"tdx2\"\nendpoint = \"unix:/nonexistent/vmm.sock\"\n",
            world.endpoint()
        ),
    );
    let output = world.bare(&["doctor", "-q"]).output().unwrap();
    snapshot!(world.told(&output));
}
