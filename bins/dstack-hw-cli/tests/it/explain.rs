//! `explain`.

use crate::snapshot;
use crate::world::World;

#[test]
fn a_code_a_line_and_a_check() {
    let world = World::new();
    snapshot!("code", world.run(&["explain", "0xe011"]));
    snapshot!("check_id", world.run(&["explain", "hw.kvm.tdx"]));
    let line = "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000";
    let of_line = world.run(&["explain", line]);
    assert!(of_line.contains("TDX_SYS_NOT_READY"), "{of_line}");
    // Words need no quotes.
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(of_line, world.run(&[&["explain"], words.as_slice()].concat()));
}

#[test]
fn what_is_not_known_is_said() {
    let world = World::new();
    let said = world.run(&["explain", "zzzqqq"]);
    assert!(
        said.starts_with("code: 1\n--- stdout\n--- stderr\nerror: nothing is known about `zzzqqq`"),
        "{said}"
    );
    assert!(world.run(&["explain"]).starts_with("code: 2\n"));
}

#[test]
fn the_json_form_has_the_query_and_the_answers() {
    let world = World::new();
    let document = world.json(&["explain", "--json", "0xE011"]);
    assert_eq!(document["schema"], "dstack-hw/explain/v1");
    assert_eq!(document["query"], "0xE011");
    assert_eq!(document["explanations"][0]["name"], "SGX_QL_NO_PLATFORM_CERT_DATA");
    let nothing = world.json(&["explain", "--json", "zzzqqq"]);
    assert_eq!(nothing["explanations"].as_array().unwrap().len(), 0);
}
