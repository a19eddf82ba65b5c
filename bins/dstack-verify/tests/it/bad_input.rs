//! Input that cannot be used: exit code 2, and words that help.

use cli_support::testing;

use crate::snapshot;
use crate::world::{World, recorded};

/// Every command with files that are not there, not readable, or of another kind.
#[test]
fn files_that_cannot_be_used() {
    let world = World::new();
    world.write("folder/x", "");
    world.write("empty", "");
    world.write("text.txt", "good morning\n");
    world.write("cut.json", "{\"quote\": \"04");
    world.write("deep.json", "[".repeat(100_000));
    world.write("not-hex.json", r#"{"quote": "xyz", "event_log": "[]"}"#);
    world.write("compose.yaml", "services:\n  web:\n    image: nginx\n");
    world.write("quote.json", recorded("get-quote").to_string());
    world.write("cert.pem", recorded("get-tls-key")["certificate_chain"][0].as_str().unwrap());
    world.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    world.write("log.json", recorded("get-quote")["event_log"].as_str().unwrap());
    let said = [
        vec!["app", "--evidence", "missing.json"],
        vec!["app", "--evidence", "folder"],
        vec!["app", "--evidence", "empty"],
        vec!["app", "--evidence", "text.txt"],
        vec!["app", "--evidence", "cut.json"],
        vec!["app", "--evidence", "deep.json"],
        vec!["app", "--evidence", "not-hex.json"],
        vec!["app", "--evidence", "compose.yaml"],
        vec!["app", "--evidence", "cert.pem"],
        vec!["app", "--evidence", "key.pem"],
        vec!["app", "--evidence", "quote.json", "--policy", "quote.json"],
        vec!["app", "--evidence", "quote.json", "--collateral", "quote.json"],
        vec!["app", "--evidence", "quote.json", "--collateral", "text.txt"],
        vec!["app", "--evidence", "quote.json", "--danger-root-ca", "key.pem"],
        vec!["app", "--evidence", "quote.json", "--compose", "missing.json"],
        vec!["quote", "cert.pem"],
        vec!["quote", "log.json"],
        vec!["quote", "folder"],
        vec!["log", "replay", "cert.pem"],
        vec!["log", "explain", "text.txt"],
        vec!["log", "replay", "log.json", "--quote", "log.json"],
        vec!["cert", "quote.json"],
        vec!["cert", "key.pem"],
        vec!["cert", "empty"],
        vec!["image", "missing"],
        vec!["image", "quote.json"],
        vec!["compose", "missing.json"],
        vec!["kms", "--bootstrap", "missing.json"],
        vec!["gateway", "--acme-info", "folder"],
        vec!["ingress", "missing"],
        vec!["ingress", "quote.json"],
        vec!["collateral", "show", "cert.pem"],
        vec!["policy", "check", "cert.pem"],
        vec!["policy", "show", "missing.toml"],
    ]
    .map(|arguments| format!("$ dstack-verify {}\n{}", arguments.join(" "), world.run(&arguments)));
    for text in &said {
        assert!(text.contains("\ncode: 2\n--- stdout\n--- stderr\n"), "{text}");
    }
    snapshot!(said.join("\n"));
}

#[test]
fn command_lines_that_make_no_sense() {
    let world = World::new();
    world.write("quote.json", recorded("get-quote").to_string());
    world.write("policy.toml", "version = 1\n[code]\ncompose_hash = [\"00\"]\n");
    world.write("nonce.toml", "version = 1\n[freshness]\nnonce = \"00ff\"\n");
    let said = [
        vec!["app"],
        vec!["kms"],
        vec!["gateway"],
        vec!["ingress"],
        vec!["cert"],
        vec!["app", "--evidence", "quote.json", "--nonce", "xy"],
        vec!["app", "--evidence", "quote.json", "--nonce", "00", "--report-data", "00"],
        vec!["app", "--evidence", "quote.json", "--nonce", ""],
        vec!["app", "--evidence", "quote.json", "--nonce", &"00".repeat(65)],
        vec!["app", "--evidence", "quote.json", "--nonce", "01", "--policy", "nonce.toml"],
        vec!["app", "--evidence", "quote.json", "--report-data", "00"],
        vec!["app", "--evidence", "quote.json", "--at", "yesterday"],
        vec!["app", "--evidence", "quote.json", "--require", "everything"],
        vec!["app", "--evidence", "quote.json", "--app-id", "1234"],
        vec!["app", "--evidence", "quote.json", "--policy", "policy.toml"],
        vec!["app", "--evidence", "quote.json", "--json", "--md"],
        vec!["app", "--agent", "unix:/a", "--url", "https://app.example.com"],
        vec!["app", "--vmm", "unix:/a"],
        vec!["app", "--vm", "web"],
        vec!["app", "--agent", "localhost:8090"],
        vec!["cert", "--connect", "example.com"],
        vec!["cert", "quote.json", "--connect", "example.com:443"],
        vec!["cert", "quote.json", "--server-name", "example.com"],
        vec!["ingress", "folder", "--url", "https://app.example.com"],
        vec!["compose", "quote.json", "--hash", "00"],
    ]
    .map(|arguments| format!("$ dstack-verify {}\n{}", arguments.join(" "), world.run(&arguments)));
    for text in &said {
        assert!(text.contains("\ncode: 2\n--- stdout\n--- stderr\n"), "{text}");
    }
    snapshot!(said.join("\n"));
}

#[test]
fn an_error_in_json_mode_is_one_line_of_json() {
    let world = World::new();
    let error = testing::error_in_json(world.command(&["app", "--json", "--evidence", "missing.json"]));
    assert!(error["message"].as_str().unwrap().contains("missing.json"));
}

/// What is damaged inside evidence is the report's to say: it is no error, and it is no yes.
#[test]
fn damaged_evidence_gives_a_report_that_is_no_yes() {
    let world = World::new();
    let answer = recorded("get-quote");
    let quote = answer["quote"].as_str().unwrap();
    let mut cut = answer.clone();
    cut["quote"] = quote[..2000].into();
    world.write("cut.json", cut.to_string());
    world.write("zeros.bin", [0; 1300]);
    let mut broken = answer.clone();
    broken["event_log"] = "[{\"imr\": 9}]".into();
    world.write("log.json", broken.to_string());
    for arguments in
        [&["app", "--evidence", "cut.json"][..], &["app", "--evidence", "log.json"], &["quote", "cut.json"]]
    {
        let (code, report) = world.report(arguments);
        assert_eq!(code, Some(1), "{arguments:?}");
        assert_ne!(report.verdict(), dstack_check::Verdict::Ok, "{arguments:?}");
    }
}
