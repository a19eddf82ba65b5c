//! `facts`.

use crate::world::{World, host};

#[test]
fn facts_are_what_was_read() {
    let world = World::new();
    let text = world.run(&["facts", "--root", &host("healthy-2404-intel")]);
    assert!(text.starts_with("code: 0\n"), "{text}");
    assert!(text.contains("\ncpu:\n") && text.contains("\nkernel:\n"), "{text}");
    let document = world.json(&["facts", "--json", "--root", &host("healthy-2404-intel")]);
    assert_eq!(document["schema"], "dstack-hw/facts/v1");
    assert_eq!(document["facts"]["origin"], "tree");
    let live = world.run(&["facts", "--offline", "--skip-qemu"]);
    assert!(live.starts_with("code: 0\n") && live.contains("origin: live"), "{live}");
}
