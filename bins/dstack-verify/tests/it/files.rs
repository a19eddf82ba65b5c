//! Evidence in files: what a real guest agent handed out.

use crate::snapshot;
use crate::world::{World, fixture, recorded, status};

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

/// The quote that the recorded agent did not patch: genuine TDX hardware signed it.
#[test]
fn genuine_evidence_offline() {
    let world = World::new();
    world.write("quote.json", recorded("raw-quote").to_string());
    world.write("collateral.json", fixture("agent/collateral-b0c06f000000.json"));
    let hash = "c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a";
    let app = ["app", "--evidence", "quote.json", "--collateral", "collateral.json", "--compose-hash"];
    let then = ["--at", "2026-10-15T12:00:00Z"];
    let (code, report) = world.report(&[&app[..], &[hash], &then].concat());
    assert_eq!((code, status(&report, "quote.signature")), (Some(0), "pass"), "{report:#?}");
    assert_eq!(status(&report, "quote.tcb-status"), "pass");
    assert_eq!(status(&report, "app.compose.deployed"), "pass");
    snapshot!("genuine", world.run(&[&app[..], &[hash], &then].concat()));

    let other = hash.replace('c', "d");
    let (code, report) = world.report(&[&app[..], &[other.as_str()], &then].concat());
    assert_eq!((code, status(&report, "app.compose.deployed")), (Some(1), "fail"));
    // A month later that collateral says nothing any more.
    let (code, report) = world.report(&[&app[..], &[hash, "--at", "2026-12-15T12:00:00Z"]].concat());
    assert_eq!((code, status(&report, "quote.collateral")), (Some(1), "fail"), "{report:#?}");
    // What nobody asked for is not answered either.
    let (code, report) = world.report(&[&app[..], &[hash], &then, &["--nonce", "0011"]].concat());
    assert_eq!((code, status(&report, "quote.report-data")), (Some(1), "fail"));
}

/// A KMS in its simulator: the keys are bound to the quote, and the quote is not signed.
#[test]
fn the_recorded_kms() {
    let world = World::new();
    let exchange: serde_json::Value = serde_json::from_str(&fixture("kms/bootstrap-v0.5.11.json")).unwrap();
    let bootstrap = exchange.get("response").unwrap_or(&exchange).clone();
    world.write("bootstrap.json", bootstrap.to_string());
    let (code, report) = world.report(&["kms", "--bootstrap", "bootstrap.json"]);
    assert_eq!((code, status(&report, "kms.bootstrap.key-match")), (Some(1), "pass"), "{report:#?}");
    assert_eq!(status(&report, "quote.signature"), "fail");
    let key = bootstrap["k256_pubkey"].as_str().unwrap();
    let other = "02".repeat(33);
    let (_, report) = world.report(&["kms", "--bootstrap", "bootstrap.json", "--registered-k256", &other]);
    assert_eq!(status(&report, "kms.registered.keys"), "fail", "{report:#?}");
    let mut swapped = bootstrap.clone();
    swapped["k256_pubkey"] = key.replace(&key[10..14], "0000").into();
    world.write("swapped.json", swapped.to_string());
    let (code, report) = world.report(&["kms", "--bootstrap", "swapped.json"]);
    assert_eq!((code, status(&report, "kms.bootstrap.key-match")), (Some(1), "fail"));
}

#[test]
fn the_recorded_env_key() {
    let world = World::new();
    for name in ["meta", "env-key"] {
        let exchange: serde_json::Value =
            serde_json::from_str(&fixture(&format!("kms/{name}-v0.5.11.json"))).unwrap();
        world.write(&format!("{name}.json"), exchange["response"].to_string());
    }
    let judged = |app: &str| {
        let kms = ["kms", "--meta", "meta.json", "--env-key-of", app, "--env-key", "env-key.json"];
        let (_, report) = world.report(&[&kms[..], &["--at", "2026-11-21T20:20:00Z"]].concat());
        status(&report, "kms.env-key")
    };
    assert_eq!(judged(&"11".repeat(20)), "pass");
    assert_eq!(judged(&"12".repeat(20)), "fail");
    let without = world.run(&["kms", "--meta", "meta.json", "--env-key-of", &"11".repeat(20)]);
    assert!(without.starts_with("code: 2\n") && without.contains("`--env-key FILE`"), "{without}");
}

/// The recorded challenge stands in the report data as it is.
#[test]
fn what_the_report_data_was_made_from() {
    let world = World::new();
    world.write_recorded();
    let (_, report) = world.report(&["quote", "evidence/quote.json"]);
    let meaning = report.meta().get("report data").cloned();
    let data = recorded("get-quote")["report_data"].as_str().unwrap().to_owned();
    world.write("content", hex::decode(&data).unwrap());
    world.write("other", "good morning");
    let quote = ["quote", "evidence/quote.json", "--content", "other", "--content", "content"];
    let (_, report) = world.report(&quote);
    let made = report.meta().get("report data").cloned();
    assert_eq!(made.as_deref(), Some("the content itself, padded with zeros: content"), "{meaning:?}");
    assert_ne!(made, meaning);
}

#[test]
fn an_ingress_whose_list_is_not_the_quoted_one() {
    let world = World::new();
    world.write("evidence/quote.json", recorded("get-quote").to_string());
    world.write("evidence/sha256sum.txt", format!("{}  cert-app.example.com.pem\n", "0".repeat(64)));
    world.write(
        "evidence/cert-app.example.com.pem",
        recorded("get-tls-key")["certificate_chain"][0].as_str().unwrap(),
    );
    let (code, report) = world.report(&["ingress", "evidence", "--domain", "app.example.com"]);
    assert_eq!(code, Some(1));
    for id in ["ingress.checksums", "ingress.quote-binding"] {
        assert_eq!(status(&report, id), "fail", "{id}: {report:#?}");
    }
    assert_ne!(status(&report, "ingress.live"), "pass");
}

#[test]
fn a_gateway_that_says_nothing_useful() {
    let world = World::new();
    world.write(
        "acme.json",
        r#"{"account_uri": "https://acme.example.com/1", "hist_keys": [], "quoted_hist_keys": []}"#,
    );
    let (code, document) = world.json(&["gateway", "--acme-info", "acme.json", "--domain", "example.com"]);
    assert_eq!((code, document["schema"].as_str()), (Some(1), Some("dstack-check/report-set/v1")));
    let text = world.run(&["gateway", "--acme-info", "acme.json"]);
    assert!(text.starts_with("code: 1\n") && text.contains("gateway."), "{text}");
}
