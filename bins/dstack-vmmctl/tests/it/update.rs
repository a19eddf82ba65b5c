//! `update`: without a project file.

use crate::snapshot;
use crate::world::World;

#[test]
fn everything_at_once_in_one_call() {
    let world = World::new();
    let id = world.vm("web");
    world.write("docker-compose.yaml", "services:\n  web:\n    image: nginx:1.28\n");
    let arguments = [
        "update",
        "web",
        "--compose",
        "docker-compose.yaml",
        "--vcpu",
        "4",
        "--memory",
        "4G",
        "--disk",
        "40",
        "--port",
        "tcp:8080:80",
    ];
    snapshot!("plan", world.run(&[&arguments[..], &["--plan-only"]].concat()));
    snapshot!("done", world.run(&[&arguments[..], &["--yes", "--accept-data-loss"]].concat()));
    let made = world.info(&id).unwrap().configuration.unwrap();
    assert_eq!((made.vcpu, made.memory, made.disk_size, made.ports.len()), (4, 4096, 40, 1));
    assert!(made.compose_file.contains("nginx:1.28") && made.compose_file.contains("\"public_logs\": true"));
    snapshot!("again", world.run(&[&arguments[..], &["--yes"]].concat()));
}

#[test]
fn what_is_wrong_with_an_update() {
    let world = World::new();
    world.vm("web");
    snapshot!("nothing_named", world.run(&["update", "web"]));
    world.write("app.json", crate::world::app_compose("web"));
    snapshot!("app_compose_for_compose", world.run(&["update", "web", "--compose", "app.json"]));
    world.write("docker-compose.yaml", "services: {}\n");
    snapshot!(
        "compose_for_app_compose",
        world.run(&["update", "web", "--app-compose", "docker-compose.yaml"])
    );
    world.write_secret("env", "TOKEN=s3cret\n");
    snapshot!("names_not_allowed", world.run(&["update", "web", "--env-file", "env"]));
    snapshot!("two_on_a_port", world.run(&["update", "web", "--port", "tcp:80:80", "--port", "tcp:80:81"]));
    snapshot!("memory", world.run(&["update", "web", "--memory", "0"]));
    snapshot!("smaller_disk", world.run(&["update", "web", "--disk", "10", "--yes"]));
}

#[test]
fn names_of_the_environment_are_refreshed_when_asked() {
    let world = World::new();
    let kms =
        crate::world::app_compose("web").replace("\"public_logs\"", "\"kms_enabled\": true, \"public_logs\"");
    let id = world.vm_with("web", |vm| vm.compose_file = kms);
    world.write_secret("env", "TOKEN=s3cret\n");
    let told = world.run(&[
        "update",
        "web",
        "--env-file",
        "env",
        "--refresh-allowed-envs",
        "--danger-accept-any-signer",
        "--yes",
    ]);
    assert!(told.starts_with("code: 0\n") && !told.contains("s3cret"), "{told}");
    let made = world.info(&id).unwrap().configuration.unwrap();
    assert!(made.compose_file.contains("\"TOKEN\"") && !made.encrypted_env.is_empty());
}
