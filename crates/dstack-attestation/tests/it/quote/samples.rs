//! Genuine quotes with their collateral: those that the crate `dcap-qvl` publishes as samples. They were made by
//! machines that are not ours, and verify up to Intel's root CA.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use dstack_attestation::policy::{TcbPolicy, TcbStatus};
use dstack_attestation::quote::verify::{
    QuoteVerifyError, TrustRoot, check_signatures, stated_fmspc, verify,
};
use dstack_attestation::quote::{
    Collateral, CollateralTee, EvidenceKind, QuoteError, TdReportKind, TdxQuote,
};
use dstack_attestation::{Policy, Verifier};

use super::{ended, status, why};

/// A quote, its collateral, and a time at which the collateral holds.
pub(super) struct Sample {
    pub(super) quote: Vec<u8>,
    pub(super) collateral: Collateral,
    pub(super) now: SystemTime,
}

impl Sample {
    fn read(name: &str) -> Self {
        let read = |file: String| std::fs::read(folder().join(file)).unwrap();
        let json = String::from_utf8(read(format!("{name}_collateral.json"))).unwrap();
        let collateral = Collateral::from_json(&json, format!("the sample {name}")).unwrap();
        let now = collateral.next_update() - Duration::from_secs(3600);
        Self { quote: read(name.to_owned()), collateral, now }
    }

    pub(super) fn verifier(&self, policy: Policy) -> Verifier {
        Verifier::new(policy, self.now).collateral(self.collateral.clone())
    }
}

/// The folder of samples in the package `dcap-qvl`, as cargo has it.
fn folder() -> PathBuf {
    let cargo = |arguments: &[&str]| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let run = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = run.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // Without the packages of other platforms, which need not be there.
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let metadata =
        cargo(&["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "dcap-qvl").unwrap();
    PathBuf::from(package["manifest_path"].as_str().unwrap()).with_file_name("sample")
}

/// A genuine TDX quote of version 4, up to date at the time of its collateral.
pub(super) fn genuine() -> &'static Sample {
    static GENUINE: LazyLock<Sample> = LazyLock::new(|| Sample::read("tdx_quote"));
    &GENUINE
}

#[test]
fn an_up_to_date_platform() {
    let sample = genuine();
    sample.collateral.check(&TrustRoot::intel(), sample.now).unwrap();
    check_signatures(&sample.quote, sample.now, &TrustRoot::intel()).unwrap();
    let verified = verify(&sample.quote, &sample.collateral, sample.now, &TrustRoot::intel()).unwrap();
    assert_eq!(verified.tcb_status, TcbStatus::UpToDate);
    assert!(verified.advisories.is_empty());
    assert_eq!(verified.evaluation_number, 17);
    assert_eq!(verified.fmspc.to_string(), "b0c06f000000");
    assert_eq!(stated_fmspc(&sample.quote), Ok(verified.fmspc));

    let report = sample.verifier(Policy::new()).quote("a genuine quote", &sample.quote);
    assert_eq!(status(&report, "quote.signature"), "pass");
    assert_eq!(status(&report, "quote.tcb-status"), "pass");
    for word in ["fail", "unknown", "skipped", "warn"] {
        assert!(ended(&report, word).is_empty(), "{word}: {:?}", ended(&report, word));
    }

    // A day later the collateral has expired.
    let late = Verifier::new(Policy::new(), sample.now + Duration::from_secs(86_400));
    let report = late.collateral(sample.collateral.clone()).quote("late", &sample.quote);
    assert_eq!(
        (status(&report, "quote.collateral"), status(&report, "quote.signature")),
        ("fail", "unknown")
    );
    // Whoever trusts another root does not believe Intel.
    let root = TrustRoot::danger_other(crate::authority::Authority::new(sample.now).root_der());
    let report = sample.verifier(Policy::new()).danger_root(root).quote("another root", &sample.quote);
    assert_eq!((status(&report, "quote.collateral"), status(&report, "quote.signature")), ("fail", "fail"));
}

#[test]
fn a_platform_below_every_level() {
    let sample = Sample::read("tdx_quote_outdated");
    check_signatures(&sample.quote, sample.now, &TrustRoot::intel()).unwrap();
    sample.collateral.check(&TrustRoot::intel(), sample.now).unwrap();
    let verified = verify(&sample.quote, &sample.collateral, sample.now, &TrustRoot::intel());
    assert!(matches!(verified, Err(QuoteVerifyError::NoTcbLevel(_))), "{verified:?}");
    // No policy takes a platform that the collateral says nothing about.
    let mut tcb = TcbPolicy::default();
    tcb.statuses = TcbStatus::ALL.into_iter().collect();
    let report = sample.verifier(Policy::new().tcb(tcb)).quote("outdated", &sample.quote);
    assert_eq!(ended(&report, "fail"), ["quote.signature", "quote.tcb-status"]);
    assert_eq!(status(&report, "quote.collateral"), "pass");
}

#[test]
fn the_extended_report_of_tdx_1_5() {
    let sample = Sample::read("tdx_quote_td15ex");
    let quote = TdxQuote::parse(&sample.quote).unwrap();
    assert_eq!((quote.header.version, quote.report.kind), (5, TdReportKind::Td15Ex));
    assert!(quote.report.current_service_td.is_some());
    let verified = verify(&sample.quote, &sample.collateral, sample.now, &TrustRoot::intel()).unwrap();
    assert_eq!(verified.tcb_status, TcbStatus::UpToDate);
    let report = sample.verifier(Policy::new()).quote("extended", &sample.quote);
    assert_eq!(status(&report, "quote.signature"), "pass");
    assert!(ended(&report, "fail").is_empty(), "{:?}", ended(&report, "fail"));
}

#[test]
fn collateral_of_one_platform_judges_another_of_its_type() {
    // Both samples are of one platform type; each collateral was fetched for the other's machine, and the second
    // carries that machine's certificates.
    let (first, second) = (genuine(), Sample::read("tdx_quote_td15ex"));
    assert_eq!(first.collateral.fmspc(), second.collateral.fmspc());
    let verified = verify(&first.quote, &second.collateral, second.now, &TrustRoot::intel());
    assert!(verified.is_ok(), "{verified:?}");
}

#[test]
fn an_sgx_quote_is_no_tdx_quote() {
    let sample = Sample::read("sgx_quote");
    assert_eq!(EvidenceKind::of(&sample.quote), Some(EvidenceKind::SgxQuote { version: 3 }));
    assert_eq!(sample.collateral.tee(), CollateralTee::Sgx);
    let error = TdxQuote::parse(&sample.quote).unwrap_err();
    assert_eq!(error, QuoteError::Other(EvidenceKind::SgxQuote { version: 3 }));
    let verified = verify(&sample.quote, &sample.collateral, sample.now, &TrustRoot::intel());
    assert!(matches!(verified, Err(QuoteVerifyError::Unreadable(_))), "{verified:?}");
    let report = sample.verifier(Policy::new()).quote("sgx", &sample.quote);
    assert!(why(&report, "quote.readable").contains("SGX quote"));
    assert_eq!(status(&report, "quote.signature"), "skipped");
}

#[test]
fn collateral_survives_being_written() {
    let sample = genuine();
    let again = Collateral::from_json(&sample.collateral.to_json(), "again").unwrap();
    assert_eq!(again.parts(), sample.collateral.parts());
    assert!(verify(&sample.quote, &again, sample.now, &TrustRoot::intel()).is_ok());
}
