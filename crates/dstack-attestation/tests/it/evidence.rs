//! The evidence that the tests start from: recorded from a real agent, and made by an emulator.

use dstack_attestation::Verifier;
use dstack_attestation::event_log::{
    DigestVersion, Event, EventLogBuilder, KeyProvider, KeyProviderKind, RuntimeEvent,
};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::{
    CreatorFields, CvmEvidence, Digest32, Digest48, Id20, Measurements, MrConfigId, Policy,
};
use dstack_check::Report;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The response of a recorded exchange.
pub(crate) fn response(recorded: &str) -> Value {
    let exchange: Value = serde_json::from_str(recorded).unwrap();
    exchange["response"].clone()
}

pub(crate) fn info() -> Value {
    response(include_str!("../fixtures/agent/info.json"))
}

pub(crate) fn get_quote() -> Value {
    response(include_str!("../fixtures/agent/get-quote.json"))
}

pub(crate) fn tdx_quote() -> Value {
    response(include_str!("../fixtures/agent/tdx-quote.json"))
}

/// What the recorded agent handed out.
pub(crate) fn recorded() -> CvmEvidence {
    let evidence = CvmEvidence::new().read_info(&info().to_string()).unwrap();
    evidence.read_quote(&get_quote().to_string()).unwrap()
}

pub(crate) const COMPOSE: &str = r#"{"manifest_version":2,"name":"demo","runner":"docker-compose"}"#;
pub(crate) const APP: Id20 = Id20::new([0x11; 20]);
pub(crate) const INSTANCE: Id20 = Id20::new([0x33; 20]);
pub(crate) const CHALLENGE: [u8; 64] = [0x5a; 64];

pub(crate) fn compose_hash() -> Digest32 {
    Policy::new().compose(COMPOSE).compose_hashes.into_iter().next().unwrap()
}

/// The events of a boot up to and including `system-ready`.
pub(crate) fn boot_events() -> Vec<RuntimeEvent> {
    [
        Event::SystemPreparing,
        Event::AppId(APP),
        Event::ComposeHash(compose_hash()),
        Event::InstanceId(Some(INSTANCE)),
        Event::BootMrDone,
        Event::OsImageHash([0x44; 32].into()),
        Event::KeyProvider(KeyProvider::new(KeyProviderKind::Kms, &[0x30, 0x59])),
        Event::StorageFs("zfs".to_owned()),
        Event::SystemReady,
    ]
    .iter()
    .map(Event::to_runtime)
    .collect()
}

/// A consistent set of emulated evidence over these runtime events.
pub(crate) fn emulated_from(
    events: Vec<RuntimeEvent>,
    mr_config_id: MrConfigId,
) -> (CvmEvidence, EmulatedQuote) {
    let log =
        events.into_iter().fold(EventLogBuilder::new(DigestVersion::V1), EventLogBuilder::runtime).build();
    let quote = EmulatedQuote {
        measurements: Measurements::new(Digest48::new([0xd0; 48]), &log.replay()),
        creator: CreatorFields { mr_config_id: mr_config_id.to_bytes(), ..CreatorFields::default() },
        report_data: CHALLENGE.into(),
    };
    let mut evidence = CvmEvidence::new();
    evidence.quote = Some(quote.to_bytes());
    evidence.event_log = Some(log.to_json());
    evidence.app_compose = Some(COMPOSE.to_owned());
    evidence.app_id = Some(APP.to_string());
    evidence.instance_id = Some(INSTANCE.to_string());
    (evidence, quote)
}

/// A consistent set of emulated evidence of an app that booted.
pub(crate) fn emulated() -> CvmEvidence {
    emulated_from(boot_events(), MrConfigId::v1(compose_hash())).0
}

/// What a careful caller expects of the emulated app.
pub(crate) fn expectation() -> Policy {
    Policy::new()
        .compose(COMPOSE)
        .app_id(APP)
        .instance_id(INSTANCE)
        .key_provider(KeyProviderKind::Kms, Some(vec![0x30, 0x59]))
        .report_data(CHALLENGE.into())
}

/// The time of the recordings.
pub(crate) fn at_recording() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_291_199)
}

/// The compose hash that the recorded agent measured. The app-compose that it shows has another.
pub(crate) fn recorded_compose_hash() -> Digest32 {
    info()["compose_hash"].as_str().unwrap().parse().unwrap()
}

/// The report of an app under a policy, as of the time of the recordings and without collateral.
pub(crate) fn verify_app(name: &str, evidence: &CvmEvidence, policy: &Policy) -> Report {
    Verifier::new(policy.clone(), at_recording()).app(name, evidence)
}
