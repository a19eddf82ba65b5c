//! What the findings come to, for genuine, emulated and forged evidence.

use std::time::Duration;

use dstack_attestation::event_log::Event;
use dstack_attestation::known_good::KnownGood;
use dstack_attestation::policy::TcbPolicy;
use dstack_attestation::quote::{Collateral, TdxQuote};
use dstack_attestation::{Aspect, CvmEvidence, Digest32, Id20, MrConfigId, Policy, Verifier};
use dstack_check::render::{Style, terminal};
use dstack_check::{Answer, Report, Status};

use crate::evidence::{
    boot_events, compose_hash, emulated, emulated_from, expectation, response, verify_app,
};

const HASH: &str = "c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a";

/// The quote that the recorded agent did not patch, with its log.
fn unpatched() -> CvmEvidence {
    CvmEvidence::new()
        .read_quote(&response(include_str!("../fixtures/agent/raw-quote.json")).to_string())
        .unwrap()
}

/// That quote under collateral for its platform.
fn genuine(policy: Policy) -> Report {
    judged(&unpatched(), policy)
}

fn judged(evidence: &CvmEvidence, policy: Policy) -> Report {
    let text = include_str!("../fixtures/agent/collateral-b0c06f000000.json");
    let collateral = Collateral::from_json(text, "collateral.json").unwrap();
    let now = collateral.issued() + Duration::from_secs(86_400);
    Verifier::new(policy, now).collateral(collateral).app("recorded", evidence)
}

fn answer(report: &Report, aspect: Aspect) -> Answer {
    let found = report.conclusions().iter().find(|conclusion| conclusion.question == aspect.as_str());
    found.unwrap_or_else(|| panic!("no conclusion about {aspect}")).answer
}

fn answers(report: &Report) -> Vec<(Aspect, Answer)> {
    Aspect::ALL.into_iter().map(|aspect| (aspect, answer(report, aspect))).collect()
}

fn required(report: &Report) -> &Status {
    &report.get("policy.required").unwrap().status
}

#[test]
fn of_genuine_evidence_with_the_right_hash() {
    let report = genuine(Policy::new().compose_hash(HASH.parse().unwrap()));
    assert_eq!(
        answers(&report),
        [
            (Aspect::Hardware, Answer::Shown),
            (Aspect::Os, Answer::NotShown),
            (Aspect::Code, Answer::WithReserve),
            (Aspect::Identity, Answer::NotShown),
            (Aspect::Freshness, Answer::NotShown),
            (Aspect::Operator, Answer::NotShown),
        ]
    );
    assert_eq!(*required(&report), Status::Warn);
    let style = Style::new().with_width(Some(100)).with_folded_passes(true);
    let text = terminal::report(&report, &style);
    insta::assert_snapshot!(text.split("\n\n").nth(1).unwrap());
}

#[test]
fn without_an_expected_hash_the_code_is_not_shown_and_that_is_no_yes() {
    let report = genuine(Policy::new());
    assert_eq!(answer(&report, Aspect::Hardware), Answer::Shown);
    assert_eq!(answer(&report, Aspect::Code), Answer::NotShown);
    assert!(matches!(required(&report), Status::Unknown { .. }));
    assert_eq!(report.verdict().exit_code(), 1);
    let report = genuine(Policy::new().require(Aspect::Hardware));
    assert_eq!(*required(&report), Status::Pass);
}

#[test]
fn another_hash_refutes_the_code_and_nothing_about_the_hardware() {
    let report = genuine(Policy::new().compose_hash([0; 32].into()));
    assert_eq!(answer(&report, Aspect::Hardware), Answer::Shown);
    assert_eq!(answer(&report, Aspect::Code), Answer::Refuted);
    assert_eq!(*required(&report), Status::Fail);
}

#[test]
fn what_a_policy_names_values_for_is_required() {
    let policy = Policy::new().require(Aspect::Hardware).app_id([7; 20].into());
    assert_eq!(*required(&genuine(policy)), Status::Fail);
    let policy = Policy::new().require(Aspect::Hardware).require(Aspect::Freshness);
    assert!(matches!(required(&genuine(policy)), Status::Unknown { .. }));
}

#[test]
fn emulated_evidence_shows_no_hardware_and_says_so_everywhere() {
    for accepted in [false, true] {
        let report = verify_app("demo", &emulated(), &expectation().danger_accept_emulated(accepted));
        let hardware = if accepted { Answer::NotShown } else { Answer::Refuted };
        assert_eq!(answer(&report, Aspect::Hardware), hardware);
        for conclusion in report.conclusions() {
            assert!(conclusion.statement.starts_with("EMULATED: "), "{}", conclusion.statement);
            assert_ne!(conclusion.answer, Answer::Shown, "{}", conclusion.question);
        }
        assert_eq!(*required(&report), if accepted { Status::Warn } else { Status::Fail });
    }
}

#[test]
fn no_evidence_shows_nothing() {
    let report = verify_app("nothing", &CvmEvidence::new(), &Policy::new());
    for conclusion in report.conclusions() {
        assert_eq!(conclusion.answer, Answer::NotShown, "{}", conclusion.question);
        assert!(!conclusion.missing.is_empty(), "{}", conclusion.question);
    }
    assert!(matches!(required(&report), Status::Unknown { .. }));
}

#[test]
fn a_conclusion_is_never_better_than_what_it_rests_on() {
    let recorded = genuine(Policy::new().compose_hash(HASH.parse().unwrap()));
    let accepted = verify_app("demo", &emulated(), &expectation().danger_accept_emulated(true));
    for report in [recorded, accepted] {
        for conclusion in report.conclusions() {
            for id in &conclusion.rests_on {
                let status = &report.get(id.as_str()).unwrap().status;
                let best = match status {
                    Status::Pass => Answer::Shown,
                    Status::Warn => Answer::WithReserve,
                    Status::Fail | Status::Unknown { .. } | Status::Skipped { .. } => Answer::NotShown,
                    _ => Answer::WithReserve,
                };
                assert!(conclusion.answer >= best, "{} on {id} ({})", conclusion.question, status.word());
            }
        }
    }
}

#[test]
fn a_quote_alone_has_only_its_own_questions() {
    let evidence = response(include_str!("../fixtures/agent/raw-quote.json"));
    let quote = hex::decode(evidence["quote"].as_str().unwrap()).unwrap();
    let text = include_str!("../fixtures/agent/collateral-b0c06f000000.json");
    let collateral = Collateral::from_json(text, "collateral.json").unwrap();
    let now = collateral.issued() + Duration::from_secs(86_400);
    let report = Verifier::new(Policy::new(), now).collateral(collateral).quote("quote", &quote);
    assert_eq!(answer(&report, Aspect::Hardware), Answer::Shown);
    assert_eq!(*required(&report), Status::Pass);
    assert_eq!(report.verdict().exit_code(), 0);
    assert!(report.get("eventlog.readable").is_none());
}

/// A policy under which the OS of the recorded quote is shown.
fn with_its_os() -> Policy {
    let quote = TdxQuote::parse(unpatched().quote.as_deref().unwrap()).unwrap();
    Policy::new().known_good(KnownGood::new("recorded", "a test").registers(&quote.report.measurements))
}

/// The id that the finding observed, at the end of its text.
fn observed<T: std::str::FromStr<Err: std::fmt::Debug>>(report: &Report, id: &str) -> T {
    let text = report.get(id).unwrap().observed.as_deref().unwrap();
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn nothing_is_shown_by_a_platform_that_the_policy_does_not_accept() {
    let good = with_its_os().compose_hash(HASH.parse().unwrap());
    let report = genuine(good.clone());
    for aspect in [Aspect::Hardware, Aspect::Os, Aspect::Code] {
        assert_eq!(answer(&report, aspect), Answer::Shown, "{aspect}");
    }
    let mut tcb = TcbPolicy::default();
    tcb.statuses.clear();
    let report = genuine(good.tcb(tcb).require(Aspect::Code));
    assert_eq!(answer(&report, Aspect::Hardware), Answer::Refuted);
    for aspect in [Aspect::Os, Aspect::Code] {
        assert_eq!(answer(&report, aspect), Answer::NotShown, "{aspect}");
        let conclusion = report.conclusions().iter().find(|one| one.question == aspect.as_str()).unwrap();
        assert!(conclusion.statement.contains("quote.tcb-status"), "{}", conclusion.statement);
    }
    assert!(matches!(required(&report), Status::Unknown { .. }));
}

#[test]
fn an_id_that_nothing_was_compared_with_leaves_the_identity_open() {
    let report = genuine(with_its_os());
    let (app, device): (Id20, Digest32) =
        (observed(&report, "app.id.app-id"), observed(&report, "app.id.device-id"));
    let mut policy = with_its_os().app_id(app);
    policy.device_ids.insert(device);
    assert_eq!(answer(&genuine(policy.clone()), Aspect::Identity), Answer::Shown);
    let mut evidence = unpatched();
    evidence.event_log = None;
    let report = judged(&evidence, policy);
    assert_eq!(report.get("app.id.device-id").unwrap().status, Status::Pass);
    assert_eq!(answer(&report, Aspect::Identity), Answer::NotShown);
}

#[test]
fn an_image_hash_that_nothing_was_compared_with_leaves_a_reserve() {
    let mut evidence = unpatched();
    evidence.event_log = None;
    assert_eq!(answer(&judged(&evidence, with_its_os()), Aspect::Os), Answer::Shown);
    let report = judged(&evidence, with_its_os().os_image([7; 32].into()));
    assert_eq!(answer(&report, Aspect::Os), Answer::WithReserve);
    assert_eq!(report.get("os.measurements").unwrap().status, Status::Pass);
}

#[test]
fn the_agents_word_for_its_own_ids_is_a_reserve() {
    let id: Id20 = observed(&genuine(Policy::new()), "app.id.app-id");
    let mut evidence = unpatched();
    evidence.app_id = Some(id.to_string());
    let report = judged(&evidence, with_its_os());
    assert_eq!(report.get("app.id.app-id").unwrap().status, Status::Pass);
    assert_eq!(answer(&report, Aspect::Identity), Answer::WithReserve);
    assert_eq!(answer(&judged(&evidence, with_its_os().app_id(id)), Aspect::Identity), Answer::Shown);
}

#[test]
fn a_log_with_two_answers_says_nothing_about_the_operator() {
    let mut events = boot_events();
    events.insert(3, Event::ComposeHash([9; 32].into()).to_runtime());
    let evidence = emulated_from(events, MrConfigId::v1(compose_hash())).0;
    let report = verify_app("demo", &evidence, &expectation().danger_accept_emulated(true));
    assert_eq!(report.get("eventlog.order").unwrap().status, Status::Fail);
    assert_eq!(answer(&report, Aspect::Operator), Answer::Refuted);
}

#[test]
fn every_value_that_a_policy_names_is_required() {
    let why = |policy: Policy| match required(&verify_app("nothing", &CvmEvidence::new(), &policy)) {
        Status::Unknown { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    let code = || Policy::new().require(Aspect::Code);
    assert_eq!(why(code()), "not shown: code");
    let mut aggregated = code();
    aggregated.mr_aggregated.insert([7; 32].into());
    assert_eq!(why(aggregated), "not shown: os, code");
    let mut aged = code();
    aged.max_collateral_age = Some(Duration::from_secs(86_400));
    assert_eq!(why(aged), "not shown: hardware, code");
}
