//! What the checks make of it.

use std::time::Duration;

use dstack_attestation::policy::{TcbPolicy, TcbStatus};
use dstack_attestation::quote::emulated::EmulatedQuote;
use dstack_attestation::{Policy, Verifier};

use super::{Bench, ended, status, why};
use crate::authority::{Body, Contents, DAY, Faults, Statement, now};

/// What is said otherwise than in good collateral.
type Change = fn(&mut Statement);

#[test]
fn an_honest_quote_under_another_root_is_let_through_with_a_warning() {
    let bench = Bench::new();
    let report = bench.report(&Contents::default());
    assert_eq!(ended(&report, "warn"), ["quote.signature"]);
    assert!(ended(&report, "fail").is_empty() && ended(&report, "unknown").is_empty());
    assert!(ended(&report, "skipped").is_empty());
    assert_eq!(
        ended(&report, "pass"),
        [
            "quote.present",
            "quote.readable",
            "quote.collateral",
            "quote.tcb-status",
            "quote.debug",
            "quote.attributes",
            "quote.module-signer"
        ]
    );
}

#[test]
fn without_collateral_nothing_is_genuine_and_a_bad_signature_is_still_found() {
    let bench = Bench::new();
    let verifier = bench.verifier(Policy::new(), []);
    let report = verifier.quote("a quote", &bench.platform.quote(&Contents::default()));
    assert_eq!(ended(&report, "unknown"), ["quote.collateral", "quote.signature"]);
    assert_eq!(ended(&report, "skipped"), ["quote.collateral-age", "quote.tcb-status", "quote.tcb-recovery"]);
    assert!(why(&report, "quote.signature").contains("no collateral"));

    let faults = Faults { report_signature: true, ..Faults::default() };
    let forged = bench.platform.quote(&Contents { faults, ..Contents::default() });
    assert_eq!(status(&verifier.quote("forged", &forged), "quote.signature"), "fail");

    // A quote of somebody else's authority is refused even though there is nothing to judge it by.
    let stranger = Bench::new().platform.quote(&Contents::default());
    let report = verifier.quote("a stranger's", &stranger);
    assert_eq!(status(&report, "quote.signature"), "fail");
    assert!(report.get("quote.signature").unwrap().observed.as_ref().unwrap().contains("another root CA"));
}

#[test]
fn collateral_that_does_not_hold_is_named_and_leaves_the_quote_open() {
    let bench = Bench::new();
    let quote = bench.platform.quote(&Contents::default());
    let judge = |change: Change| {
        let collateral = bench.authority.collateral_with(&bench.platform, change);
        bench.verifier(Policy::new(), [collateral]).quote("a quote", &quote)
    };
    let faults: [(&str, Change); 7] = [
        ("expired", |s| s.next_update = now() - Duration::from_secs(1)),
        ("is of 2026-06-02", |s| s.issued = now() + DAY),
        ("signature of the TCB info", |s| s.edit_tcb_info = true),
        ("signature of the QE identity", |s| s.edit_qe_identity = true),
        ("FMSPC 010101010101", |s| s.fmspc = [1; 6]),
        ("for Sgx", |s| s.tee = "SGX"),
        ("QE identity is of \"QE\"", |s| s.qe_id = "QE"),
    ];
    for (expected, change) in faults {
        let report = judge(change);
        let finding = report.get("quote.collateral").unwrap();
        assert_eq!(finding.status.word(), "fail", "{expected}");
        assert!(finding.observed.as_ref().unwrap().contains(expected), "{finding:?}");
        assert!(finding.fix.is_some());
        assert_eq!(status(&report, "quote.signature"), "unknown", "{expected}");
        assert_eq!(status(&report, "quote.tcb-status"), "skipped", "{expected}");
    }
    let stranger = Bench::new();
    let report = bench.verifier(Policy::new(), [stranger.collateral()]).quote("a quote", &quote);
    assert_eq!(status(&report, "quote.collateral"), "fail");
    assert_eq!(status(&report, "quote.signature"), "unknown");
}

#[test]
fn of_several_collaterals_the_one_that_holds_and_is_newest_is_taken() {
    let bench = Bench::new();
    let quote = bench.platform.quote(&Contents::default());
    let with = |change: Change| bench.authority.collateral_with(&bench.platform, change);
    let outdated = with(|s| {
        s.tcb_status = "OutOfDate".to_owned();
        s.issued = now() - DAY / 2;
    });
    let expired = with(|s| (s.issued, s.next_update) = (now() - 40 * DAY, now() - 10 * DAY));
    let foreign = with(|s| s.fmspc = [1; 6]);
    let edited = with(|s| (s.issued, s.edit_tcb_info) = (now(), true));
    let all = [foreign.clone(), expired.clone(), bench.collateral(), edited.clone(), outdated];
    // The newest that holds finds the platform out of date; older good news does not outweigh it.
    let report = bench.verifier(Policy::new(), all).quote("a quote", &quote);
    assert_eq!(status(&report, "quote.collateral"), "pass");
    assert_eq!(status(&report, "quote.tcb-status"), "fail");
    let report = bench
        .verifier(Policy::new(), [foreign, expired, edited, bench.collateral()])
        .quote("a quote", &quote);
    assert_eq!(status(&report, "quote.tcb-status"), "pass");
}

#[test]
fn revocation_fails_where_it_belongs() {
    let bench = Bench::new();
    let quote = bench.platform.quote(&Contents::default());
    let lenient = || {
        let mut tcb = TcbPolicy::default();
        tcb.statuses = TcbStatus::ALL.into_iter().collect();
        Policy::new().tcb(tcb)
    };
    let revoked = bench.authority.collateral_with(&bench.platform, |s| s.tcb_status = "Revoked".to_owned());
    // No policy accepts it, not even one that names it.
    let report = bench.verifier(lenient(), [revoked]).quote("a quote", &quote);
    assert_eq!(ended(&report, "fail"), ["quote.signature", "quote.tcb-status"]);
    let below = bench.authority.collateral_with(&bench.platform, |s| s.cpu_svn[0] = 0xff);
    let report = bench.verifier(lenient(), [below]).quote("a quote", &quote);
    assert_eq!(ended(&report, "fail"), ["quote.signature", "quote.tcb-status"]);
    let serial = bench.platform.spec().serial;
    let revoked = bench.authority.collateral_with(&bench.platform, |s| s.revoked = vec![serial]);
    let report = bench.verifier(lenient(), [revoked]).quote("a quote", &quote);
    assert_eq!(ended(&report, "fail"), ["quote.signature"]);
    assert_eq!(status(&report, "quote.tcb-status"), "skipped");
}

#[test]
fn the_policy_decides_on_status_advisories_recovery_and_age() {
    let bench = Bench::new();
    let quote = bench.platform.quote(&Contents::default());
    let collateral = bench.authority.collateral_with(&bench.platform, |s| {
        s.tcb_status = "SWHardeningNeeded".to_owned();
        s.advisories = vec!["INTEL-SA-00837".to_owned()];
        s.evaluation_number = 18;
    });
    let judge = |change: &dyn Fn(&mut Policy)| {
        let mut policy = Policy::new();
        change(&mut policy);
        bench.verifier(policy, [collateral.clone()]).quote("a quote", &quote)
    };
    let strict = judge(&|_| ());
    assert_eq!(ended(&strict, "fail"), ["quote.tcb-status"]);
    for id in ["quote.advisories", "quote.tcb-recovery", "quote.collateral-age"] {
        assert_eq!(status(&strict, id), "not-applicable");
        assert!(strict.get(id).unwrap().observed.is_some(), "{id}");
    }
    let lenient = judge(&|policy| {
        policy.tcb.statuses.insert(TcbStatus::SwHardeningNeeded);
    });
    assert!(ended(&lenient, "fail").is_empty());
    let none = judge(&|policy| policy.tcb.statuses.clear());
    assert_eq!(status(&none, "quote.tcb-status"), "fail");

    let advisories = |allowed: Option<&str>, rejected: Option<&str>| {
        let report = judge(&|policy| {
            policy.tcb.allowed_advisories = allowed.map(|one| [one.to_owned()].into());
            policy.tcb.rejected_advisories = rejected.into_iter().map(str::to_owned).collect();
        });
        status(&report, "quote.advisories")
    };
    assert_eq!(advisories(Some("INTEL-SA-00837"), None), "pass");
    assert_eq!(advisories(Some("INTEL-SA-00001"), None), "fail");
    assert_eq!(advisories(None, Some("INTEL-SA-00001")), "pass");
    assert_eq!(advisories(None, Some("INTEL-SA-00837")), "fail");
    assert_eq!(advisories(Some("INTEL-SA-00837"), Some("INTEL-SA-00837")), "fail");

    let recovery = |least| {
        status(&judge(&|policy| policy.tcb.min_evaluation_number = Some(least)), "quote.tcb-recovery")
    };
    assert_eq!((recovery(17), recovery(18), recovery(19)), ("pass", "pass", "fail"));
    let age = |hours: u32| {
        let greatest = Duration::from_secs(3600) * hours;
        status(&judge(&|policy| policy.max_collateral_age = Some(greatest)), "quote.collateral-age")
    };
    assert_eq!((age(23), age(24), age(48)), ("fail", "pass", "pass"));
}

#[test]
fn attributes_fail_by_name() {
    let bench = Bench::new();
    let with = |change: fn(&mut Contents)| {
        let mut contents = Contents::default();
        change(&mut contents);
        bench.report(&contents)
    };
    assert_eq!(ended(&with(|c| c.td_attributes |= 1), "fail"), ["quote.debug"]);
    for bit in [4, 5, 6] {
        let contents = Contents { td_attributes: 0x1000_0000 | 1 << bit, ..Contents::default() };
        assert_eq!(ended(&bench.report(&contents), "fail"), ["quote.debug"], "bit {bit}");
    }
    let both = ["quote.signature", "quote.attributes"];
    assert_eq!(ended(&with(|c| c.td_attributes |= 1 << 29), "fail"), both);
    assert_eq!(ended(&with(|c| c.td_attributes |= 1 << 8), "fail"), both);
    assert_eq!(ended(&with(|c| c.td_attributes = 0), "fail"), both);
    assert_eq!(ended(&with(|c| c.td_attributes |= 1 << 63), "warn"), ["quote.signature", "quote.attributes"]);
    assert_eq!(ended(&with(|c| c.td_attributes |= 1 << 30), "warn"), ["quote.signature"]);
    assert_eq!(ended(&with(|c| c.td_attributes |= 1 << 17), "fail"), ["quote.signature", "quote.service-td"]);
    let module = ["quote.signature", "quote.module-signer"];
    assert_eq!(ended(&with(|c| c.mr_signer_seam = [1; 48]), "fail"), module);
    assert_eq!(ended(&with(|c| c.seam_attributes = 1), "fail"), module);
    let service = |c: &mut Contents| (c.body, c.mr_service_td) = (Body::Version5Td15, [1; 48]);
    assert_eq!(ended(&with(service), "fail"), ["quote.service-td"]);
    let none = with(|c| c.body = Body::Version5Td15);
    assert_eq!(status(&none, "quote.service-td"), "pass");
}

#[test]
fn the_challenge() {
    let bench = Bench::new();
    let contents = Contents { report_data: [7; 64].into(), ..Contents::default() };
    let quote = bench.platform.quote(&contents);
    let judge = |expected: [u8; 64]| {
        let policy = Policy::new().report_data(expected.into());
        let report = bench.verifier(policy, [bench.collateral()]).quote("a quote", &quote);
        status(&report, "quote.report-data")
    };
    assert_eq!((judge([7; 64]), judge([8; 64])), ("pass", "fail"));
}

#[test]
fn what_follows_the_signature_is_reported() {
    let bench = Bench::new();
    let verifier = bench.verifier(Policy::new(), [bench.collateral()]);
    let mut quote = bench.platform.quote(&Contents::default());
    quote.extend([0; 100]);
    let report = verifier.quote("padded", &quote);
    assert_eq!((status(&report, "quote.readable"), status(&report, "quote.signature")), ("pass", "warn"));
    quote.push(1);
    let report = verifier.quote("followed", &quote);
    assert_eq!((status(&report, "quote.readable"), status(&report, "quote.signature")), ("warn", "warn"));
}

#[test]
fn nothing_about_a_platform_passes_on_emulated_evidence() {
    let bench = Bench::new();
    for accept in [false, true] {
        let policy = Policy::new().danger_accept_emulated(accept);
        let verifier = bench.verifier(policy, [bench.collateral()]);
        let report = verifier.quote("emulated", &EmulatedQuote::default().to_bytes());
        assert_eq!(ended(&report, "pass"), ["quote.present", "quote.readable"]);
        let signature = if accept { "warn" } else { "fail" };
        assert_eq!(status(&report, "quote.signature"), signature);
        assert!(ended(&report, "unknown").is_empty());
    }
    // A genuine signature does not help a service that says it is emulated.
    let mut evidence = dstack_attestation::CvmEvidence::new().service_version("0.6.0 (EMULATED)");
    evidence.quote = Some(bench.platform.quote(&Contents::default()));
    let report = bench.verifier(Policy::new(), [bench.collateral()]).app("mixed", &evidence);
    assert_eq!(status(&report, "quote.signature"), "fail");
    assert_eq!(ended(&report, "pass"), ["quote.present", "quote.readable"]);
}

#[test]
fn a_removed_mark_does_not_make_evidence_genuine() {
    let bench = Bench::new();
    let mut quote = EmulatedQuote::default().to_bytes();
    quote[2] = 2;
    quote[3] = 0;
    quote[12..28].copy_from_slice(&Contents::default().qe_vendor_id);
    quote[636] ^= 1;
    let report = bench.verifier(Policy::new(), [bench.collateral()]).quote("dressed up", &quote);
    assert_eq!(status(&report, "quote.signature"), "fail");
}

#[test]
fn other_evidence_is_recognised_and_never_passes() {
    let bench = Bench::new();
    let mut snp = vec![0; 1184];
    (snp[0], snp[0x34]) = (2, 1);
    let mut sgx = bench.platform.quote(&Contents::default());
    sgx[4] = 0;
    let nitro = [&[0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0][..], &[0; 64]].concat();
    let others = [
        (snp, "an AMD SEV-SNP report of version 2"),
        (sgx, "an SGX quote of version 4"),
        (nitro, "an AWS Nitro attestation document"),
        (b"\xffTCG\x80\x18\x00\x22".to_vec(), "a TPM quote"),
        (b"{\"quote\":\"00\"}".to_vec(), "a JSON text"),
        (Vec::new(), "the quote ends at byte 0"),
    ];
    for (bytes, name) in others {
        let report = bench.verifier(Policy::new(), [bench.collateral()]).quote("other", &bytes);
        assert!(why(&report, "quote.readable").contains(name), "{}", why(&report, "quote.readable"));
        assert_eq!(status(&report, "quote.signature"), "skipped", "{name}");
        assert_eq!(ended(&report, "pass"), ["quote.present"], "{name}");
    }
}

#[test]
fn the_recorded_agents_quote_does_not_match_its_signature() {
    let evidence = crate::evidence::recorded();
    // Found without collateral: the simulator patches the report data of a genuine quote.
    let report = Verifier::new(Policy::new(), now()).app("recorded", &evidence);
    let finding = report.get("quote.signature").unwrap();
    assert_eq!(finding.status.word(), "fail");
    assert!(finding.observed.as_ref().unwrap().contains("that of the TD report by the attestation key"));
    assert_eq!(status(&report, "quote.collateral"), "unknown");
}
