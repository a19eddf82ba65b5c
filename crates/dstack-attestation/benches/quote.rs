//! What a verification costs: a genuine quote with collateral from a file, and the whole report about an app.
//!
//! `cargo bench -p dstack-attestation --bench quote`. Verifying one recorded quote is to stay below 50 ms, without a
//! network. The library below is measured in the same run, so that what we add can be seen.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may panic")]

#[path = "../tests/it/authority/mod.rs"]
mod authority;

use std::path::PathBuf;
use std::process::Command;
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

/// A genuine quote and its collateral as text: a sample of the crate `dcap-qvl`.
struct Sample {
    quote: Vec<u8>,
    json: String,
    now: SystemTime,
}

fn sample() -> Sample {
    let cargo = |arguments: &[&str]| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let run = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        String::from_utf8(run.unwrap().stdout).unwrap()
    };
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata =
        cargo(&["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "dcap-qvl").unwrap();
    let folder = PathBuf::from(package["manifest_path"].as_str().unwrap()).with_file_name("sample");
    let json = std::fs::read_to_string(folder.join("tdx_quote_collateral.json")).unwrap();
    let now = Collateral::from_json(&json, "").unwrap().next_update() - Duration::from_secs(3600);
    Sample { quote: std::fs::read(folder.join("tdx_quote")).unwrap(), json, now }
}

/// From the bytes of quote and collateral to what the hardware vouches for.
#[divan::bench]
fn genuine_quote_from_files(bencher: Bencher<'_, '_>) {
    let sample = sample();
    bencher.bench_local(|| {
        let collateral = Collateral::from_json(black_box(&sample.json), "").unwrap();
        verify(black_box(&sample.quote), &collateral, sample.now, &TrustRoot::intel()).unwrap()
    });
}

/// The same with the report that people read.
#[divan::bench]
fn genuine_quote_to_report(bencher: Bencher<'_, '_>) {
    let sample = sample();
    bencher.bench_local(|| {
        let collateral = Collateral::from_json(black_box(&sample.json), "").unwrap();
        let verifier = Verifier::new(Policy::new(), sample.now).collateral(collateral);
        verifier.quote("sample", black_box(&sample.quote))
    });
}

/// The quote's own signatures and certificates alone.
#[divan::bench]
fn genuine_quote_without_collateral(bencher: Bencher<'_, '_>) {
    let sample = sample();
    bencher
        .bench_local(|| check_signatures(black_box(&sample.quote), sample.now, &TrustRoot::intel()).unwrap());
}

/// The library below, doing the same as `genuine_quote_from_files`.
#[divan::bench]
fn genuine_quote_by_dcap_qvl(bencher: Bencher<'_, '_>) {
    let sample = sample();
    let seconds = sample.now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    bencher.bench_local(|| {
        let collateral: dcap_qvl::QuoteCollateralV3 = serde_json::from_str(black_box(&sample.json)).unwrap();
        let verifier = QuoteVerifier::<RustCryptoConfig>::new_with_config(TrustRoot::intel().der().to_vec());
        verifier.verify(black_box(&sample.quote), &collateral, seconds).unwrap()
    });
}

/// All checks of an app whose evidence is signed by a test authority.
#[divan::bench]
fn whole_app(bencher: Bencher<'_, '_>) {
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
