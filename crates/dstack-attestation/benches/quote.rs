//! What a verification costs: a genuine quote with collateral from a file, and the whole report about an app.
//!
//! `cargo bench -p dstack-attestation --bench quote`. Verifying one recorded quote is to stay below 50 ms, without a
//! network. The library below is measured in the same run, so that what we add can be seen.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../tests/it/authority/mod.rs"]
mod authority;

use std::time::{Duration, SystemTime};

use authority::{Authority, Contents, now};
use dcap_qvl::configs::RustCryptoConfig;
use dcap_qvl::verify::QuoteVerifier;
use divan::{Bencher, black_box};
use dstack_attestation::event_log::{DigestVersion, Event, EventLogBuilder, KeyProvider, KeyProviderKind};
use dstack_attestation::quote::Collateral;
use dstack_attestation::quote::verify::{TrustRoot, check_signatures, verify};
use dstack_attestation::{CreatorFields, CvmEvidence, Digest48, Measurements, MrConfigId, Policy, Verifier};

fn main() {
    divan::main();
}

/// A genuine quote that was recorded from dstack's guest agent, with collateral for its platform type as text, and a
/// time at which that holds.
struct Recorded {
    evidence: CvmEvidence,
    quote: Vec<u8>,
    collateral: &'static str,
    now: SystemTime,
}

fn recorded() -> Recorded {
    let exchange = include_str!("../tests/fixtures/agent/raw-quote.json");
    let exchange: serde_json::Value = serde_json::from_str(exchange).unwrap();
    let evidence = CvmEvidence::new().read_quote(&exchange["response"].to_string()).unwrap();
    let quote = evidence.quote.clone().unwrap();
    let collateral = include_str!("../tests/fixtures/agent/collateral-b0c06f000000.json");
    let now = Collateral::from_json(collateral, "").unwrap().issued() + Duration::from_secs(86_400);
    Recorded { evidence, quote, collateral, now }
}

/// From the bytes of quote and collateral to what the hardware vouches for.
#[divan::bench]
fn genuine_quote_from_files(bencher: Bencher<'_, '_>) {
    let recorded = recorded();
    bencher.bench_local(|| {
        let collateral = Collateral::from_json(black_box(recorded.collateral), "").unwrap();
        verify(black_box(&recorded.quote), &collateral, recorded.now, &TrustRoot::intel()).unwrap()
    });
}

/// The same with the report that people read.
#[divan::bench]
fn genuine_quote_to_report(bencher: Bencher<'_, '_>) {
    let recorded = recorded();
    bencher.bench_local(|| {
        let collateral = Collateral::from_json(black_box(recorded.collateral), "").unwrap();
        let verifier = Verifier::new(Policy::new(), recorded.now).collateral(collateral);
        verifier.quote("recorded", black_box(&recorded.quote))
    });
}

/// All checks of the recorded app: quote, event log, registers and what they say.
#[divan::bench]
fn genuine_app_to_report(bencher: Bencher<'_, '_>) {
    let recorded = recorded();
    bencher.bench_local(|| {
        let collateral = Collateral::from_json(black_box(recorded.collateral), "").unwrap();
        let verifier = Verifier::new(Policy::new(), recorded.now).collateral(collateral);
        verifier.app("recorded", black_box(&recorded.evidence))
    });
}

/// The quote's own signatures and certificates alone.
#[divan::bench]
fn genuine_quote_without_collateral(bencher: Bencher<'_, '_>) {
    let recorded = recorded();
    bencher.bench_local(|| {
        check_signatures(black_box(&recorded.quote), recorded.now, &TrustRoot::intel()).unwrap();
    });
}

/// The library below, doing the same as `genuine_quote_from_files`.
#[divan::bench]
fn genuine_quote_by_dcap_qvl(bencher: Bencher<'_, '_>) {
    let recorded = recorded();
    let seconds = recorded.now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    bencher.bench_local(|| {
        let mut collateral: dcap_qvl::QuoteCollateralV3 =
            serde_json::from_str(black_box(recorded.collateral)).unwrap();
        // The collateral carries the certificates of the machine it was fetched for, which is not this one.
        collateral.pck_certificate_chain = None;
        let verifier = QuoteVerifier::<RustCryptoConfig>::new_with_config(TrustRoot::intel().der().to_vec());
        verifier.verify(black_box(&recorded.quote), &collateral, seconds).unwrap()
    });
}

/// All checks of an app whose evidence is signed by a test authority.
#[divan::bench]
fn signed_app_to_report(bencher: Bencher<'_, '_>) {
    let compose = r#"{"manifest_version":2,"name":"demo","runner":"docker-compose"}"#;
    let policy = Policy::new().compose(compose).app_id([0x11; 20].into());
    let hash = policy.compose_hashes.first().copied().unwrap();
    let log = EventLogBuilder::new(DigestVersion::V1)
        .event(&Event::SystemPreparing)
        .event(&Event::AppId([0x11; 20].into()))
        .event(&Event::ComposeHash(hash))
        .event(&Event::InstanceId(None))
        .event(&Event::BootMrDone)
        .event(&Event::KeyProvider(KeyProvider::new(KeyProviderKind::None, &[])))
        .event(&Event::SystemReady)
        .build();
    let (authority, mut contents) = (Authority::new(now()), Contents::default());
    let platform = authority.platform();
    contents.measurements = Measurements::new(Digest48::ZERO, &log.replay());
    contents.creator =
        CreatorFields { mr_config_id: MrConfigId::v1(hash).to_bytes(), ..CreatorFields::default() };
    let mut evidence = CvmEvidence::new();
    evidence.quote = Some(platform.quote(&contents));
    evidence.event_log = Some(log.to_json());
    evidence.app_compose = Some(compose.to_owned());
    let verifier = Verifier::new(policy, now())
        .danger_root(authority.trust_root())
        .collateral(authority.collateral(&platform));
    bencher.bench_local(|| verifier.app("demo", black_box(&evidence)));
}
