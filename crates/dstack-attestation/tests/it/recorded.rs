//! The recorded agent: everything that belongs together is found to, and the swapped compose is found out.

use dstack_attestation::agent::TcbInfo;
use dstack_attestation::event_log::{EventLog, KeyProviderKind, Phase, Rtmr};
use dstack_attestation::quote::{TdReportKind, TdxQuote};
use dstack_attestation::report_data::{self, HashAlgorithm, TAG_APP_DATA};
use dstack_attestation::{MrConfigId, Policy};
use dstack_check::{Status, Verdict};

use crate::evidence::{get_quote, info, recorded, tdx_quote, verify_app};

fn log_and_quote() -> (EventLog, TdxQuote) {
    let answer = get_quote();
    let log = EventLog::parse(answer["event_log"].as_str().unwrap()).unwrap();
    (log, TdxQuote::parse_hex(answer["quote"].as_str().unwrap()).unwrap())
}

#[test]
fn the_log_replays_to_all_four_registers_of_the_quote() {
    let (log, quote) = log_and_quote();
    assert_eq!(log.entries().len(), 33);
    assert_eq!(log.replay(), quote.report.measurements.rtmrs());
    assert_eq!(log.first_divergence(&quote.report.measurements.rtmrs()), None);
    let boot = log.replay_to_boot_mr_done().unwrap();
    assert_eq!(boot.get(Rtmr::Rtmr0), quote.report.measurements.rtmr0);
    assert_ne!(boot.get(Rtmr::Rtmr3), quote.report.measurements.rtmr3);
}

#[test]
fn writing_the_log_gives_the_recorded_text() {
    let answer = get_quote();
    let text = answer["event_log"].as_str().unwrap();
    assert_eq!(EventLog::parse(text).unwrap().to_json(), text);
}

#[test]
fn dstacks_events_are_read() {
    let (log, _) = log_and_quote();
    let system = log.system_events();
    assert_eq!(system.problems, []);
    assert_eq!(system.app_id.unwrap().to_string(), info()["app_id"]);
    assert_eq!(system.instance_id.unwrap().unwrap().to_string(), info()["instance_id"]);
    assert_eq!(system.compose_hash.unwrap().to_string(), info()["compose_hash"]);
    assert_eq!(system.os_image_hash.unwrap().to_string(), info()["os_image_hash"]);
    assert_eq!(system.storage_fs.as_deref(), Some("zfs"));
    let provider = system.key_provider.unwrap();
    assert_eq!(provider.kind(), Some(KeyProviderKind::Kms));
    assert_eq!(provider.to_json(), info()["key_provider_info"]);
    assert_eq!(system.key_provider_payload.unwrap(), provider.to_json().into_bytes());
    assert_eq!(system.app_events, 0);
    let phases: Vec<Phase> = log.runtime_events().map(|event| event.phase).collect();
    assert_eq!(phases, [[Phase::Boot; 5].as_slice(), &[Phase::Setup; 4]].concat());
}

#[test]
fn the_quote_is_read() {
    let (_, quote) = log_and_quote();
    assert_eq!(quote.header.version, 4);
    assert_eq!(quote.header.attestation_key_type, 2);
    assert_eq!(quote.header.qe_vendor_id.to_string(), "939a7233f79c4ca9940a0db3957f0607");
    assert_eq!(quote.report.kind, TdReportKind::Td10);
    assert!(!quote.report.td_attributes.untrusted());
    assert!(quote.report.mr_signer_seam.is_zero());
    assert_eq!(quote.report.report_data, report_data::padded(&[0x12, 0x34]).unwrap());
    assert_eq!((quote.signature_data.len(), quote.trailing_bytes), (4304, 70));
    assert!(!quote.is_emulated());
}

#[test]
fn mr_config_id_commits_to_the_logged_compose_hash() {
    let (log, quote) = log_and_quote();
    let compose_hash = log.system_events().compose_hash.unwrap();
    assert_eq!(MrConfigId::parse(&quote.report.creator.mr_config_id), Ok(MrConfigId::V1 { compose_hash }));
}

#[test]
fn the_aggregate_in_tcb_info_follows_from_the_quote() {
    let (_, quote) = log_and_quote();
    let tcb: TcbInfo = serde_json::from_str(info()["tcb_info"].as_str().unwrap()).unwrap();
    assert_eq!(tcb.mr_aggregated, quote.report.measurements.mr_aggregated(&quote.report.creator));
}

#[test]
fn the_legacy_agent_hashes_the_report_data_with_a_tag() {
    let quote = TdxQuote::parse_hex(tdx_quote()["quote"].as_str().unwrap()).unwrap();
    let expected = report_data::tagged(HashAlgorithm::Sha512, TAG_APP_DATA, &[0x12, 0x34]).unwrap();
    assert_eq!(quote.report.report_data, expected);
}

#[test]
fn the_swapped_compose_is_the_only_failure_and_the_signature_stays_open() {
    let report = verify_app("recorded", &recorded(), &Policy::new());
    assert_eq!(report.verdict(), Verdict::Failed);
    for finding in report.findings() {
        let id = finding.id.as_str();
        match id {
            "app.compose.hash" => assert_eq!(finding.status, Status::Fail),
            "quote.signature" => assert_eq!(finding.status.word(), "unknown"),
            _ => assert!(
                matches!(finding.status, Status::Pass | Status::NotApplicable),
                "{id}: {:?}",
                finding.status
            ),
        }
    }
    assert!(!report.meta().contains_key("evidence"));
}

#[test]
fn the_deployed_compose_is_told_from_the_measured_one() {
    let tcb: TcbInfo = serde_json::from_str(info()["tcb_info"].as_str().unwrap()).unwrap();
    let expectation = Policy::new().compose(tcb.app_compose);
    let report = verify_app("recorded", &recorded(), &expectation);
    assert_eq!(report.get("app.compose.deployed").unwrap().status, Status::Fail);
    let hash = info()["compose_hash"].as_str().unwrap().parse().unwrap();
    let report = verify_app("recorded", &recorded(), &Policy::new().compose_hash(hash));
    assert_eq!(report.get("app.compose.deployed").unwrap().status, Status::Pass);
}
