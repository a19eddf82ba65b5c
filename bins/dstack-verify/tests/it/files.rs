//! Evidence in files: what a real guest agent handed out.

use crate::snapshot;
use crate::world::{World, recorded, status};

#[test]
fn a_directory_of_evidence() {
    let world = World::new();
    world.write_recorded();
    let text = world.run(&["app", "--evidence", "evidence"]);
    snapshot!("recorded", text);
    let (code, report) = world.report(&["app", "--evidence", "evidence"]);
    assert_eq!(code, Some(1));
    assert_eq!(status(&report, "eventlog.replay-rtmr3"), "pass");
    assert_eq!(report.meta()["from"], "evidence");
    // The recorded app-compose is not the one whose hash was measured.
    assert_eq!(status(&report, "app.compose.hash"), "fail");
}

#[test]
fn documents_are_known_by_their_content() {
    let world = World::new();
    world.write_recorded();
    let quote = recorded("get-quote");
    let blob = recorded("attest")["attestation"].as_str().unwrap().to_owned();
    world.write("a", &blob);
    world.write("b", hex::decode(&blob).unwrap());
    world.write("c", quote["quote"].as_str().unwrap());
    world.write("d", hex::decode(quote["quote"].as_str().unwrap()).unwrap());
    world.write("e", quote.to_string());
    world.write("f", recorded("attest").to_string());
    for file in ["a", "b", "e", "f"] {
        let (code, report) = world.report(&["app", "--evidence", file]);
        assert_eq!(code, Some(1), "{file}");
        assert_eq!(status(&report, "eventlog.replay-rtmr3"), "pass", "{file}: {report:#?}");
    }
    for file in ["a", "b", "c", "d", "e", "f"] {
        let (code, report) = world.report(&["quote", file]);
        assert_eq!((code, status(&report, "quote.readable")), (Some(1), "pass"), "{file}: {report:#?}");
    }
    let piped = world.run_with_input(&["quote", "-", "--json"], &blob);
    assert!(piped.contains("\"quote.readable\""), "{piped}");
}

#[test]
fn several_files_complete_each_other() {
    let world = World::new();
    world.write_recorded();
    let (_, alone) = world.report(&["app", "--evidence", "evidence/quote.json"]);
    assert_eq!(status(&alone, "app.tcb-info.consistent"), "not-applicable");
    let (_, both) = world.report(&["app", "--evidence", "evidence/quote.json", "evidence/info.json"]);
    assert_eq!(status(&both, "app.tcb-info.consistent"), "pass");
    assert_eq!(both.meta()["from"], "evidence/quote.json, evidence/info.json");
}

#[test]
fn the_certificate_of_the_recorded_agent() {
    let world = World::new();
    let tls = recorded("get-tls-key");
    let chain: Vec<&str> =
        tls["certificate_chain"].as_array().unwrap().iter().map(|pem| pem.as_str().unwrap()).collect();
    world.write("chain.pem", chain.join("\n"));
    world.write("root.pem", chain.last().unwrap());
    let (code, report) = world.report(&["cert", "chain.pem", "--root", "root.pem"]);
    assert_eq!(code, Some(1));
    for id in ["cert.readable", "cert.attestation", "cert.key-binding", "cert.chain", "cert.root"] {
        assert_eq!(status(&report, id), "pass", "{id}: {report:#?}");
    }
    assert_eq!(status(&report, "quote.signature"), "fail");
    let (_, report) = world.report(&["cert", "chain.pem"]);
    assert_ne!(status(&report, "cert.root"), "pass");
}

#[test]
fn app_composes() {
    let world = World::new();
    let hash = "e0c6b5a7b8e6b3dd3b1c3c1fbb3a0b2b3a4b8a2b3e5d2b7b8c9a1b2c3d4e5f60";
    world.write("app-compose.json", crate::world::APP_COMPOSE);
    let (code, report) = world.report(&["compose", "app-compose.json", "--hash", hash]);
    assert_eq!((code, status(&report, "compose.hash")), (Some(1), "fail"));
    let observed = report.get("compose.hash").unwrap().observed.clone().unwrap();
    let right = observed.split(|c: char| !c.is_ascii_hexdigit()).find(|word| word.len() == 64).unwrap();
    let (code, report) =
        world.report(&["compose", "app-compose.json", "--hash", right, "--app-id", &right[..40]]);
    assert_eq!((code, status(&report, "compose.app-id")), (Some(0), "pass"), "{report:#?}");
    snapshot!("compose_no", world.run(&["compose", "app-compose.json", "--hash", hash]));
    snapshot!("compose_yes", world.run(&["compose", "app-compose.json", "--hash", right]));
}

#[test]
fn image_directories() {
    use ring::digest::{SHA256, digest};
    let world = World::new();
    let sha256 = |bytes: &[u8]| hex::encode(digest(&SHA256, bytes));
    let metadata = r#"{"bios": "ovmf.fd", "kernel": "bzImage", "initrd": "initramfs.cpio.gz", "rootfs": "rootfs.img", "cmdline": "x", "version": "0.5.11", "is_dev": false}"#;
    let files = [
        ("ovmf.fd", "firmware"),
        ("bzImage", "kernel"),
        ("initramfs.cpio.gz", "initrd"),
        ("rootfs.img", "rootfs"),
        ("metadata.json", metadata),
    ];
    let mut sums = String::new();
    for (name, content) in files {
        world.write(&format!("image/{name}"), content);
        sums.push_str(&format!("{}  {name}\n", sha256(content.as_bytes())));
    }
    world.write("image/sha256sum.txt", &sums);
    let hash = sha256(sums.as_bytes());
    world.write("image/digest.txt", format!("{hash}\n"));
    let (code, report) = world.report(&["image", "image", "--hash", &hash]);
    assert_eq!((code, status(&report, "image.hash")), (Some(0), "pass"), "{report:#?}");
    let (code, report) = world.report(&["image", "image", "--hash", &"0".repeat(64)]);
    assert_eq!((code, status(&report, "image.hash")), (Some(1), "fail"));
    world.write("image/bzImage", "another kernel");
    let (code, report) = world.report(&["image", "image"]);
    assert_eq!((code, status(&report, "image.checksums")), (Some(1), "fail"));
}

#[test]
fn every_check_is_listed() {
    let world = World::new();
    let (code, document) = world.json(&["list-checks"]);
    assert_eq!((code, document["schema"].as_str()), (Some(0), Some("dstack-verify/list-checks/v1")));
    let checks = document["checks"].as_array().unwrap();
    for id in ["quote.signature", "cert.chain", "kms.bootstrap.key-match", "image.hash", "compose.hash"] {
        let row = checks.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id}"));
        assert!(!row["proves"].as_str().unwrap().is_empty(), "{id}");
    }
    assert!(world.run(&["list-checks"]).contains("quote.signature"));
}

/// What is printed with --json has the members that its schema asks for.
#[test]
fn reports_are_of_their_schema() {
    let world = World::new();
    world.write_recorded();
    let (_, document) = world.json(&["app", "--evidence", "evidence"]);
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(package.join("../../schemas/report-v1.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert_eq!(document["schema"], "dstack-check/report/v1");
    let described = schema["properties"].as_object().unwrap();
    for member in schema["required"].as_array().unwrap() {
        assert!(document.get(member.as_str().unwrap()).is_some(), "{member}");
    }
    for member in document.as_object().unwrap().keys() {
        assert!(described.contains_key(member), "{member} is not in the schema");
    }
    assert!(!document["conclusions"].as_array().unwrap().is_empty());
}
