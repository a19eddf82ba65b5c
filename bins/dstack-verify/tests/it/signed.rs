//! An app whose quote is signed, by an authority that plays Intel.

use dstack_attestation::event_log::{DigestVersion, Event, EventLogBuilder, KeyProvider, KeyProviderKind};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::report_data;
use dstack_attestation::{CreatorFields, Digest32, Digest48, Measurements, MrConfigId, Policy};

use crate::authority::{Authority, Contents, now};
use crate::snapshot;
use crate::world::{APP_COMPOSE, World, status};

/// The time at which the authority plays, as an option takes it.
const AT: &str = "2026-06-01T12:00:00Z";
/// The challenge that the quote answers.
const NONCE: &str = "00112233445566778899aabbccddeeff";

/// Evidence of an app in a TD that the authority vouches for.
fn signed_app() -> World {
    let world = World::new();
    let compose_hash: Digest32 = Policy::new().compose(APP_COMPOSE).compose_hashes.pop_first().unwrap();
    let log = EventLogBuilder::new(DigestVersion::V1)
        .event(&Event::SystemPreparing)
        .event(&Event::AppId([0x11; 20].into()))
        .event(&Event::ComposeHash(compose_hash))
        .event(&Event::InstanceId(Some([0x22; 20].into())))
        .event(&Event::BootMrDone)
        .event(&Event::KeyProvider(KeyProvider::new(KeyProviderKind::None, &[])))
        .event(&Event::SystemReady)
        .build();
    let quote = EmulatedQuote {
        measurements: Measurements::new(Digest48::ZERO, &log.replay()),
        creator: CreatorFields {
            mr_config_id: MrConfigId::v1(compose_hash).to_bytes(),
            ..CreatorFields::default()
        },
        report_data: report_data::padded(&hex::decode(NONCE).unwrap()).unwrap(),
    };

    let authority = Authority::new(now());
    let platform = authority.platform();
    let quote = platform.quote(&Contents::from(quote));
    let answer = serde_json::json!({ "quote": hex::encode(&quote), "event_log": log.to_json() });
    world.write("quote.json", answer.to_string());
    world.write("quote.bin", &quote);
    world.write("app-compose.json", APP_COMPOSE);
    world.write("collateral.json", authority.collateral_json(&platform));
    world.write("root.pem", authority.root_pem());
    world.write("root.der", authority.root_der());
    world
}

const APP: [&str; 14] = [
    "app",
    "--evidence",
    "quote.json",
    "app-compose.json",
    "--compose",
    "app-compose.json",
    "--app-id",
    "1111111111111111111111111111111111111111",
    "--collateral",
    "collateral.json",
    "--at",
    AT,
    "--nonce",
    NONCE,
];

fn app<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&APP[..], more].concat()
}

#[test]
fn everything_fits_under_the_other_root() {
    let world = signed_app();
    for root in ["root.pem", "root.der"] {
        let (code, report) = world.report(&app(&["--danger-root-ca", root]));
        assert_eq!(code, Some(0), "{report:#?}");
        assert_eq!(status(&report, "quote.signature"), "warn");
        for id in ["eventlog.replay-rtmr3", "app.compose.deployed", "quote.report-data", "quote.tcb-status"] {
            assert_eq!(status(&report, id), "pass", "{id}");
        }
        assert!(!report.meta().contains_key("evidence"), "nothing of it is emulated");
    }
    snapshot!("signed", world.run(&app(&["--danger-root-ca", "root.pem"])));
    snapshot!("signed_markdown", world.run(&app(&["--danger-root-ca", "root.pem", "--md"])));
    let explained = world.run(&app(&["--danger-root-ca", "root.pem", "--explain"]));
    assert!(explained.contains("proves:") && explained.contains("quote.tcb-status"), "{explained}");
}

#[test]
fn under_intels_root_it_is_refused() {
    let world = signed_app();
    let (code, report) = world.report(&app(&[]));
    assert_eq!((code, status(&report, "quote.signature")), (Some(1), "fail"));
}

#[test]
fn without_collateral_nothing_is_genuine_and_nobody_is_asked() {
    let world = signed_app();
    let quote = ["quote", "quote.bin", "--at", AT, "--danger-root-ca", "root.pem"];
    let (code, report) = world.report(&quote);
    assert_eq!((code, status(&report, "quote.signature")), (Some(1), "unknown"));
    assert_eq!(report.meta()["collateral"], "none");
    let (code, report) = world.report(&[&quote[..], &["--collateral", "collateral.json"]].concat());
    assert_eq!((code, status(&report, "quote.signature")), (Some(0), "warn"));
    assert_eq!(report.meta()["collateral"], "collateral.json");
}

#[test]
fn the_time_is_part_of_the_question() {
    let world = signed_app();
    let mut late = app(&["--danger-root-ca", "root.pem"]);
    late[11] = "2036-06-01T12:00:00Z";
    let (code, report) = world.report(&late);
    assert_eq!((code, status(&report, "quote.signature")), (Some(1), "fail"), "{report:#?}");
    assert_eq!(report.meta()["as of"], "2036-06-01T12:00:00Z");
}

#[test]
fn another_challenge_was_not_answered() {
    let world = signed_app();
    let mut other = app(&["--danger-root-ca", "root.pem"]);
    other[13] = "ff";
    let (code, report) = world.report(&other);
    assert_eq!((code, status(&report, "quote.report-data")), (Some(1), "fail"));
}

#[test]
fn what_is_required_and_not_shown_is_no() {
    let world = signed_app();
    let (code, report) =
        world.report(&app(&["--danger-root-ca", "root.pem", "--require", "hardware,code,freshness"]));
    assert_eq!(code, Some(0), "{report:#?}");
    let (code, report) = world.report(&app(&["--danger-root-ca", "root.pem", "--require", "os"]));
    assert_eq!(code, Some(1));
    assert_eq!(status(&report, "policy.required"), "unknown", "{report:#?}");
}

#[test]
fn collateral_says_for_what_it_is() {
    let world = signed_app();
    let (code, shown) = world.json(&["collateral", "show", "collateral.json"]);
    assert_eq!((code, shown["schema"].as_str()), (Some(0), Some("dstack-verify/collateral/v1")));
    assert_eq!(shown["fmspc"].as_str().unwrap().len(), 12);
    let text = world.run(&["collateral", "show", "collateral.json"]);
    assert!(text.starts_with("code: 0\n--- stdout\ncollateral.json: collateral for platforms"), "{text}");
}

/// Where a file fits the platform nobody is asked; else the PCCS that was named is, and only then.
#[test]
fn a_pccs_is_asked_only_when_no_file_fits() {
    let world = signed_app();
    let nobody = ["--pccs", "http://127.0.0.1:1"];
    let quote = ["quote", "quote.bin", "--at", AT, "--danger-root-ca", "root.pem"];
    let said = world.run(&[&quote[..], &nobody].concat());
    assert!(said.starts_with("code: 3\n--- stdout\n--- stderr\n"), "{said}");
    let (code, _) = world.report(&[&quote[..], &nobody, &["--collateral", "collateral.json"]].concat());
    assert_eq!(code, Some(0));
    let said =
        world.run(&["collateral", "fetch", "quote.bin", "--pccs", "http://127.0.0.1:1", "-o", "new.json"]);
    assert!(said.starts_with("code: 3\n"), "{said}");
    assert!(!world.work().join("new.json").exists());
}
