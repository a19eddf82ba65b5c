//! Attacks on emulated evidence that the caller takes: what is found without any signature.

use dstack_attestation::event_log::{Event, KeyProviderKind, RuntimeEvent};
use dstack_attestation::{CvmEvidence, MrConfigDocument, MrConfigId, Policy};
use dstack_check::{Report, Status, Verdict};
use serde_json::Value;

use crate::evidence::{
    APP, COMPOSE, boot_events, compose_hash, emulated, emulated_from, expectation, get_quote, info, recorded,
    verify_app,
};

fn verify(evidence: &CvmEvidence) -> Report {
    verify_app("app", evidence, &expectation().danger_accept_emulated(true))
}

fn status<'r>(report: &'r Report, id: &str) -> &'r Status {
    &report.get(id).unwrap().status
}

/// The ids that failed, in order. What the policy requires follows from the others.
fn failed(report: &Report) -> Vec<&str> {
    let failed = report.findings().iter().filter(|finding| finding.status == Status::Fail);
    failed.map(|finding| finding.id.as_str()).filter(|id| *id != "policy.required").collect()
}

/// The evidence with its log edited as JSON.
fn with_log(mut evidence: CvmEvidence, edit: impl FnOnce(&mut Vec<Value>)) -> CvmEvidence {
    let mut log: Vec<Value> = serde_json::from_str(evidence.event_log.as_deref().unwrap()).unwrap();
    edit(&mut log);
    evidence.event_log = Some(Value::from(log).to_string());
    evidence
}

/// The evidence with bytes of its quote changed.
fn with_quote(mut evidence: CvmEvidence, edit: impl FnOnce(&mut Vec<u8>)) -> CvmEvidence {
    edit(evidence.quote.as_mut().unwrap());
    evidence
}

#[test]
fn emulated_evidence_is_refused_unless_the_danger_is_named() {
    let report = verify_app("app", &emulated(), &expectation());
    assert_eq!(failed(&report), ["quote.signature"]);
    assert_eq!(report.meta().get("evidence").map(String::as_str), Some("EMULATED"));
    let report = verify(&emulated());
    assert_eq!((failed(&report), report.verdict()), (vec![], Verdict::Warnings));
    assert_eq!(report.meta().get("evidence").map(String::as_str), Some("EMULATED"));
}

#[test]
fn an_emulator_is_known_by_its_version_even_without_a_quote() {
    let mut evidence = emulated().service_version("0.6.0 EMULATED");
    evidence.quote = None;
    let report = verify_app("app", &evidence, &expectation());
    assert_eq!(failed(&report), ["quote.signature"]);
    let report = verify(&evidence);
    assert_eq!((failed(&report), report.verdict()), (vec![], Verdict::Undetermined));
    assert_eq!(*status(&report, "eventlog.replay-rtmr3"), Status::NotApplicable);
}

#[test]
fn taking_off_the_mark_does_not_make_evidence_genuine() {
    let evidence = with_quote(emulated(), |quote| {
        quote[2..4].copy_from_slice(&2u16.to_le_bytes());
        quote[12..28].copy_from_slice(&[0x93; 16]);
        quote[640] ^= 1;
    });
    let report = verify_app("app", &evidence, &expectation());
    // What is left where a signature should be is none.
    assert_eq!(*status(&report, "quote.signature"), Status::Fail);
    assert_eq!(report.verdict(), Verdict::Failed);
}

#[test]
fn a_missing_quote_is_no_pass_even_with_the_danger_named() {
    let mut evidence = emulated();
    evidence.quote = None;
    let report = verify(&evidence);
    assert_eq!(status(&report, "quote.present").word(), "unknown");
    assert_eq!(status(&report, "quote.signature").word(), "skipped");
    assert_eq!(report.verdict(), Verdict::Undetermined);
}

#[test]
fn a_swapped_compose_text() {
    let mut evidence = emulated();
    evidence.app_compose = Some(COMPOSE.replace("demo", "evil"));
    assert_eq!(failed(&verify(&evidence)), ["app.compose.hash"]);
}

#[test]
fn another_compose_was_measured_and_shown() {
    let events = boot_events().into_iter().map(|event| match event.name() {
        "compose-hash" => Event::ComposeHash([9; 32].into()).to_runtime(),
        _ => event,
    });
    let (evidence, _) = emulated_from(events.collect(), MrConfigId::v1([9; 32].into()));
    assert_eq!(failed(&verify(&evidence)), ["app.compose.hash", "app.compose.deployed"]);
}

#[test]
fn the_log_claims_the_expected_compose_over_a_quote_of_another() {
    let events = boot_events().into_iter().map(|event| match event.name() {
        "compose-hash" => Event::ComposeHash([9; 32].into()).to_runtime(),
        _ => event,
    });
    let (mut evidence, _) = emulated_from(events.collect(), MrConfigId::v1([9; 32].into()));
    evidence.event_log = emulated().event_log;
    assert_eq!(failed(&verify(&evidence)), ["eventlog.replay-rtmr3", "app.mrconfigid.compose"]);
}

#[test]
fn reordered_events() {
    let evidence = with_log(emulated(), |log| log.swap(1, 2));
    let report = verify(&evidence);
    assert_eq!(failed(&report), ["eventlog.replay-rtmr3"]);
    assert_eq!(*status(&report, "eventlog.order"), Status::Warn);
}

#[test]
fn a_removed_event() {
    let evidence = with_log(emulated(), |log| drop(log.remove(7)));
    assert_eq!(failed(&verify(&evidence)), ["eventlog.replay-rtmr3"]);
}

#[test]
fn an_event_of_the_same_name_after_system_ready_is_the_apps() {
    let mut events = boot_events();
    events.push(Event::ComposeHash([9; 32].into()).to_runtime());
    events.push(Event::AppId([9; 20].into()).to_runtime());
    let (evidence, _) = emulated_from(events, MrConfigId::v1(compose_hash()));
    let report = verify(&evidence);
    assert_eq!(failed(&report), [""; 0]);
    let boot = report.get("eventlog.boot-complete").unwrap().observed.as_deref().unwrap();
    assert!(boot.contains("followed by 2 of the app"), "{boot}");
}

#[test]
fn a_second_compose_hash_before_system_ready_is_ambiguous() {
    let mut events = boot_events();
    events.insert(3, Event::ComposeHash([9; 32].into()).to_runtime());
    let (evidence, _) = emulated_from(events, MrConfigId::v1(compose_hash()));
    assert_eq!(failed(&verify(&evidence)), ["eventlog.order"]);
}

#[test]
fn a_compose_hash_of_the_wrong_length_is_not_read() {
    let events = boot_events().into_iter().map(|event| match event.name() {
        "compose-hash" => RuntimeEvent::new("compose-hash", [9; 31]),
        _ => event,
    });
    let (evidence, _) = emulated_from(events.collect(), MrConfigId::v1(compose_hash()));
    let report = verify(&evidence);
    let expected = ["eventlog.order", "app.compose.hash", "app.compose.deployed", "app.mrconfigid.compose"];
    assert_eq!(failed(&report), expected);
}

#[test]
fn a_changed_payload_under_its_old_digest() {
    let evidence = with_log(emulated(), |log| log[2]["event_payload"] = "09".repeat(32).into());
    let report = verify(&evidence);
    assert!(failed(&report).starts_with(&["eventlog.digests", "eventlog.replay-rtmr3"]));
}

#[test]
fn a_digest_that_replays_over_a_changed_payload() {
    // The digest of the log stays right, so that a reader who replays stated digests would be satisfied.
    let evidence = with_log(recorded(), |log| {
        let entry = log.iter_mut().find(|entry| entry["event"] == "compose-hash").unwrap();
        entry["event_payload"] = "09".repeat(32).into();
    });
    let report = verify_app("app", &evidence, &Policy::new().compose_hash([9; 32].into()));
    assert_eq!(*status(&report, "eventlog.digests"), Status::Fail);
    assert_eq!(*status(&report, "eventlog.replay-rtmr3"), Status::Fail);
}

#[test]
fn an_event_passed_off_as_the_firmwares() {
    // With another event type the digest is taken as it is: the name must then mean nothing.
    let evidence = with_log(emulated(), |log| {
        log[2]["event_type"] = 4.into();
        log[2]["event_payload"] = "09".repeat(32).into();
    });
    let report = verify(&evidence);
    assert_eq!(*status(&report, "eventlog.replay-rtmr3"), Status::Pass);
    let expected = ["eventlog.order", "app.compose.hash", "app.compose.deployed", "app.mrconfigid.compose"];
    assert_eq!(failed(&report), expected);
}

/// An app was deployed with a compose of its own making and measures the expected one itself, after `system-ready`.
/// Whoever hands out the log hides the real events behind another event type.
#[test]
fn the_real_events_are_hidden_and_the_app_measures_better_ones() {
    let evil = boot_events().into_iter().map(|event| match event.name() {
        "compose-hash" => Event::ComposeHash([9; 32].into()).to_runtime(),
        _ => event,
    });
    let events: Vec<RuntimeEvent> = evil.chain(boot_events()).collect();
    let (evidence, _) = emulated_from(events, MrConfigId::v1(compose_hash()));
    assert_eq!(
        failed(&verify(&evidence)),
        ["app.compose.hash", "app.compose.deployed", "app.mrconfigid.compose"]
    );
    let hidden =
        with_log(evidence, |log| log[..9].iter_mut().for_each(|entry| entry["event_type"] = 4.into()));
    let report = verify(&hidden);
    assert_eq!(*status(&report, "eventlog.replay-rtmr3"), Status::Pass);
    assert_eq!(*status(&report, "app.compose.deployed"), Status::Pass);
    assert_eq!(failed(&report), ["eventlog.order"]);
}

/// In version 1, a payload that begins with a colon can be told as part of the name. A script of the app-compose that
/// runs before `system-ready` may have measured the expected hash a second time.
#[test]
fn an_event_hidden_behind_a_longer_name() {
    let mut evil = [9; 32];
    evil[0] = b':';
    let mut events = boot_events();
    events.insert(2, Event::ComposeHash(evil.into()).to_runtime());
    let (evidence, _) = emulated_from(events, MrConfigId::v1(compose_hash()));
    let hidden = with_log(evidence, |log| {
        log[2]["event"] = "compose-hash:".into();
        log[2]["event_payload"] = "09".repeat(31).into();
    });
    let report = verify(&hidden);
    assert_eq!(*status(&report, "eventlog.replay-rtmr3"), Status::Pass);
    assert_eq!(*status(&report, "app.compose.deployed"), Status::Pass);
    assert_eq!(failed(&report), ["eventlog.order"]);
}

#[test]
fn an_event_that_dstack_does_not_know_is_a_warning() {
    let mut events = boot_events();
    events.insert(4, RuntimeEvent::new("from-an-init-script", []));
    events.remove(6);
    let (evidence, _) = emulated_from(events, MrConfigId::v1(compose_hash()));
    let report = verify(&evidence);
    assert_eq!(failed(&report), [""; 0]);
    assert_eq!(*status(&report, "eventlog.order"), Status::Warn);
}

#[test]
fn a_preimage_that_is_not_the_content() {
    let evidence = with_log(emulated(), |log| log[1]["preimage"] = "00".into());
    assert_eq!(failed(&verify(&evidence)), ["eventlog.digests"]);
}

#[test]
fn the_evidence_of_a_guest_that_is_still_booting() {
    let (evidence, _) = emulated_from(boot_events()[..5].to_vec(), MrConfigId::v1(compose_hash()));
    assert_eq!(failed(&verify(&evidence)), ["eventlog.boot-complete", "app.key-provider"]);
}

#[test]
fn a_log_that_is_newer_than_the_quote_is_told_from_a_foreign_one() {
    let evidence = with_log(emulated(), |log| {
        let event = RuntimeEvent::new("visit", *b"1");
        let entry = event.entry(dstack_attestation::event_log::DigestVersion::V1);
        log.push(serde_json::to_value(entry).unwrap());
    });
    let report = verify(&evidence);
    let finding = report.get("eventlog.replay-rtmr3").unwrap();
    assert_eq!(finding.status, Status::Fail);
    assert!(finding.observed.as_deref().unwrap().ends_with("it had that value after its first 9 entries"));
}

#[test]
fn the_wrong_challenge() {
    let evidence = with_quote(emulated(), |quote| quote[568] ^= 1);
    assert_eq!(failed(&verify(&evidence)), ["quote.report-data"]);
}

#[test]
fn a_cvm_in_debug_mode() {
    let evidence = with_quote(emulated(), |quote| quote[48 + 120] |= 1);
    let report = verify(&evidence);
    // The emulated quote has no attribute set; with debugging allowed, what must be set is missed as well.
    assert_eq!(failed(&report), ["quote.debug", "quote.attributes"]);
    let observed = report.get("quote.debug").unwrap().observed.as_deref();
    assert_eq!(observed, Some("TDATTRIBUTES 0x0000000000000001, debug"));
}

#[test]
fn a_tdx_module_of_another_maker() {
    let evidence = with_quote(emulated(), |quote| quote[48 + 64] = 1);
    assert_eq!(failed(&verify(&evidence)), ["quote.module-signer"]);
}

#[test]
fn a_service_td() {
    let evidence = with_quote(emulated(), |quote| {
        quote[0] = 5;
        let service: Vec<u8> = [0; 16].into_iter().chain([7; 48]).collect();
        quote.splice(632..632, service);
        let body: Vec<u8> = 3u16.to_le_bytes().into_iter().chain(648u32.to_le_bytes()).collect();
        quote.splice(48..48, body);
    });
    assert_eq!(failed(&verify(&evidence)), ["quote.service-td"]);
}

#[test]
fn a_truncated_quote_and_a_huge_length_are_unknown() {
    let cut = with_quote(emulated(), |quote| quote.truncate(600));
    let huge = with_quote(emulated(), |quote| quote[632..636].fill(0xff));
    let foreign = with_quote(emulated(), |quote| quote[4] = 0);
    for evidence in [cut, huge, foreign] {
        let report = verify(&evidence);
        assert_eq!(status(&report, "quote.readable").word(), "unknown");
        assert_eq!(status(&report, "eventlog.replay-rtmr3").word(), "skipped");
        assert_eq!(report.verdict(), Verdict::Undetermined);
    }
}

#[test]
fn mr_config_id_of_another_compose() {
    let (evidence, _) = emulated_from(boot_events(), MrConfigId::v1([9; 32].into()));
    assert_eq!(failed(&verify(&evidence)), ["app.mrconfigid.compose"]);
}

#[test]
fn mr_config_id_that_is_not_used_or_not_known() {
    let (evidence, _) = emulated_from(boot_events(), MrConfigId::Unused);
    assert_eq!(*status(&verify(&evidence), "app.mrconfigid.compose"), Status::Warn);
    let strange = with_quote(evidence, |quote| quote[48 + 184] = 9);
    assert_eq!(status(&verify(&strange), "app.mrconfigid.compose").word(), "unknown");
}

#[test]
fn mr_config_id_of_version_2_pins_app_and_key_provider() {
    let pinned = |id: &[u8]| MrConfigId::v2(&compose_hash(), &APP, KeyProviderKind::Kms, id);
    let (evidence, _) = emulated_from(boot_events(), pinned(&[0x30, 0x59]));
    assert_eq!(*status(&verify(&evidence), "app.mrconfigid.compose"), Status::Pass);
    let (evidence, _) = emulated_from(boot_events(), pinned(&[0x30, 0x58]));
    assert_eq!(failed(&verify(&evidence)), ["app.mrconfigid.compose"]);
}

#[test]
fn mr_config_id_of_version_3_needs_its_document() {
    let document = |hash, app: u8| {
        let document = MrConfigDocument::new(hash, "kms").app_id([app; 20].into());
        String::from_utf8(document.to_bytes()).unwrap()
    };
    let right = document(compose_hash(), 0x11);
    let (mut evidence, _) = emulated_from(boot_events(), MrConfigId::v3(right.as_bytes()));
    assert_eq!(status(&verify(&evidence), "app.mrconfigid.compose").word(), "unknown");
    for (text, word) in [
        (right.clone(), "pass"),
        (right.clone() + " ", "fail"),
        (document(compose_hash(), 0x12), "fail"),
        (document([9; 32].into(), 0x11), "fail"),
        (right.replace("\"version\":3", "\"version\":2"), "fail"),
        ("nonsense".to_owned(), "unknown"),
    ] {
        evidence.mr_config_document = Some(text.clone());
        assert_eq!(status(&verify(&evidence), "app.mrconfigid.compose").word(), word, "{text}");
    }
}

#[test]
fn the_evidence_of_another_app_or_instance() {
    let mut evidence = emulated();
    evidence.app_id = Some("22".repeat(20));
    evidence.instance_id = Some(String::new());
    assert_eq!(failed(&verify(&evidence)), ["app.id.app-id", "app.id.instance-id"]);
    let mut other = expectation().danger_accept_emulated(true);
    other.app_ids = [[0x22; 20].into()].into();
    other.instance_ids = [[0x22; 20].into()].into();
    let report = verify_app("app", &emulated(), &other);
    assert_eq!(failed(&report), ["app.id.app-id", "app.id.instance-id"]);
    // The form of the hex is no difference.
    let mut evidence = emulated();
    evidence.app_id = Some(format!("0x{}", APP.to_string().to_uppercase()));
    assert_eq!(*status(&verify(&evidence), "app.id.app-id"), Status::Pass);
}

#[test]
fn keys_from_somebody_else() {
    for (kind, id) in [(KeyProviderKind::Local, None), (KeyProviderKind::Kms, Some(vec![1]))] {
        let mut policy = expectation().danger_accept_emulated(true);
        policy.key_providers.clear();
        let report = verify_app("app", &emulated(), &policy.key_provider(kind, id));
        assert_eq!(failed(&report), ["app.key-provider"]);
    }
    let mut evidence = emulated();
    evidence.key_provider_info = Some(r#"{"name":"none","id":""}"#.to_owned());
    assert_eq!(failed(&verify(&evidence)), ["app.key-provider"]);
    evidence.key_provider_info = Some("nonsense".to_owned());
    assert_eq!(failed(&verify(&evidence)), ["app.key-provider"]);
}

#[test]
fn tcb_info_that_says_something_else() {
    let mut answer = info();
    let edited = answer["tcb_info"].as_str().unwrap().replace("\"rtmr1\": \"0ea1", "\"rtmr1\": \"0ea2");
    answer["tcb_info"] = edited.into();
    let evidence = CvmEvidence::new().read_info(&answer.to_string()).unwrap();
    // Against the quote where there is one, and else against the log.
    for evidence in [evidence.clone(), evidence.read_quote(&get_quote().to_string()).unwrap()] {
        let report = verify_app("app", &evidence, &Policy::new());
        // The recorded quote is patched and the recorded vm_config names another image, whatever tcb_info says.
        let failed: Vec<&str> = failed(&report)
            .into_iter()
            .filter(|id| !matches!(*id, "quote.signature" | "os.vm-config"))
            .collect();
        assert_eq!(failed, ["app.compose.hash", "app.tcb-info.consistent"]);
    }
}

#[test]
fn a_log_that_cannot_be_read_is_unknown_and_so_is_what_stands_on_it() {
    let mut evidence = emulated();
    evidence.event_log = Some("[{}]".to_owned());
    let report = verify(&evidence);
    assert_eq!(status(&report, "eventlog.readable").word(), "unknown");
    assert_eq!(status(&report, "app.compose.hash").word(), "skipped");
    assert_eq!((failed(&report), report.verdict()), (vec![], Verdict::Undetermined));
}

#[test]
fn the_same_compose_in_another_form_is_said_to_be_that() {
    let fix = |bytes: &str| {
        let expectation = Policy::new().compose(bytes).danger_accept_emulated(true);
        let report = verify_app("app", &emulated(), &expectation);
        assert_eq!(failed(&report), ["app.compose.deployed"]);
        report.get("app.compose.deployed").unwrap().fix.clone().unwrap().action.into_owned()
    };
    assert!(fix(&format!("{COMPOSE}\n")).contains("a newline at the end"));
    assert!(fix(&COMPOSE.replace(',', ", ")).contains("the same JSON written differently"));
    assert!(fix(&format!("\u{feff}{COMPOSE}")).contains("a byte order mark"));
    assert!(fix(&COMPOSE.replace("demo", "demo2")).contains("deploy again"));
}
