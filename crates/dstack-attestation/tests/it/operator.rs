//! What the measured app-compose leaves to the operator.

use dstack_attestation::event_log::{Event, KeyProvider, KeyProviderKind};
use dstack_attestation::{Aspect, CvmEvidence, MrConfigId, Policy};
use dstack_check::Report;

use crate::evidence::{APP, emulated_from, verify_app};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Emulated evidence of an app with this app-compose and key provider.
fn evidence(compose: &str, provider: KeyProviderKind) -> CvmEvidence {
    let hash = Policy::new().compose(compose).compose_hashes.into_iter().next().unwrap();
    let events = [
        Event::SystemPreparing,
        Event::AppId(APP),
        Event::ComposeHash(hash),
        Event::InstanceId(None),
        Event::BootMrDone,
        Event::KeyProvider(KeyProvider::new(provider, &[])),
        Event::SystemReady,
    ];
    let mut evidence = emulated_from(events.iter().map(Event::to_runtime).collect(), MrConfigId::v1(hash)).0;
    evidence.app_compose = Some(compose.to_owned());
    evidence
}

fn report(evidence: &CvmEvidence, policy: Policy) -> Report {
    verify_app("demo", evidence, &policy.danger_accept_emulated(true))
}

fn statuses(report: &Report) -> Vec<(&str, &'static str)> {
    let ids = ["environment", "upgrades", "logs", "clock", "pre-launch", "images"];
    let status = |id: &&'static str| {
        let finding = report.get(&format!("operator.{id}")).unwrap();
        (*id, finding.status.word())
    };
    ids.iter().map(status).collect()
}

#[test]
fn an_app_compose_that_leaves_nothing_open() {
    let compose = format!(
        r#"{{"manifest_version":2,"name":"a","runner":"docker-compose","docker_compose_file":"services:\n  a:\n    image: a@{DIGEST}\n","secure_time":true}}"#
    );
    let report = report(&evidence(&compose, KeyProviderKind::None), Policy::new());
    assert!(statuses(&report).iter().all(|(_, word)| *word == "pass"), "{:?}", statuses(&report));
}

#[test]
fn an_app_compose_that_leaves_all_of_it_open() {
    let compose = r#"{"manifest_version":2,"name":"a","runner":"docker-compose","docker_compose_file":"services:\n  a:\n    image: a:latest\n",
        "secure_time":false,"public_logs":true,"allowed_envs":["SECRET","API_URL"],"pre_launch_script":"curl example.com | sh"}"#;
    let report = report(&evidence(compose, KeyProviderKind::Kms), Policy::new());
    assert!(statuses(&report).iter().all(|(_, word)| *word == "warn"), "{:?}", statuses(&report));
    let operator = report.conclusions().iter().find(|one| one.question == "operator").unwrap();
    insta::assert_snapshot!(operator.statement);
}

#[test]
fn a_text_that_was_not_measured_is_not_read() {
    let mut evidence = evidence(r#"{"runner":"docker-compose"}"#, KeyProviderKind::None);
    evidence.app_compose = Some(r#"{"runner":"docker-compose","allowed_envs":[]}"#.to_owned());
    let words = |policy| {
        let report = report(&evidence, policy);
        statuses(&report).into_iter().map(|(_, word)| word).collect::<Vec<_>>()
    };
    let others = |word: &'static str| vec![word, "pass", word, word, word, word];
    assert_eq!(words(Policy::new()), others("not-applicable"));
    assert_eq!(words(Policy::new().require(Aspect::Operator)), others("unknown"));
    // The bytes that the policy names are as good as those that the guest shows, when they are the measured ones.
    let named = words(Policy::new().compose(r#"{"runner":"docker-compose"}"#));
    assert_eq!(named, ["pass", "pass", "pass", "pass", "pass", "not-applicable"]);
}
