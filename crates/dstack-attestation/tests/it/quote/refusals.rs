//! Every class of refusal, provoked: an upgrade of the verification library that changes its words is noticed here.

use std::time::{Duration, SystemTime};

use dstack_attestation::policy::TcbStatus;
use dstack_attestation::quote::verify::{QuoteVerifyError as Error, VerifiedQuote, check_signatures, verify};
use dstack_attestation::quote::{Collateral, TdxQuote};

use super::Bench;
use crate::authority::{Authority, Body, Contents, DAY, Faults, PlatformSpec, Statement, now};

impl Bench {
    fn verify_at(
        &self,
        contents: &Contents,
        collateral: &Collateral,
        at: SystemTime,
    ) -> Result<VerifiedQuote, Error> {
        verify(&self.platform.quote(contents), collateral, at, &self.authority.trust_root())
    }

    /// Verifies a quote with these changes to its contents.
    fn with_contents(&self, change: impl FnOnce(&mut Contents)) -> Result<VerifiedQuote, Error> {
        let mut contents = Contents::default();
        change(&mut contents);
        self.verify_at(&contents, &self.collateral(), now())
    }

    /// Verifies an honest quote with these changes to the collateral.
    fn with_statement(&self, change: impl FnOnce(&mut Statement)) -> Result<VerifiedQuote, Error> {
        let collateral = self.authority.collateral_with(&self.platform, change);
        self.verify_at(&Contents::default(), &collateral, now())
    }
}

macro_rules! refused {
    ($result:expr, $kind:ident) => {
        match $result {
            Err(Error::$kind(_)) => {}
            other => panic!("{} instead of {}", format!("{other:?}"), stringify!($kind)),
        }
    };
}

#[test]
fn the_quotes_signatures() {
    let bench = Bench::new();
    let faults = [
        Faults { report_signature: true, ..Faults::default() },
        Faults { qe_signature: true, ..Faults::default() },
        Faults { attestation_key: true, ..Faults::default() },
    ];
    for faults in faults {
        let contents = Contents { faults, ..Contents::default() };
        refused!(bench.verify_at(&contents, &bench.collateral(), now()), Signature);
        // Each is found without collateral as well.
        let quote = bench.platform.quote(&contents);
        refused!(check_signatures(&quote, now(), &bench.authority.trust_root()), Signature);
    }
}

#[test]
fn other_authorities() {
    let (bench, stranger) = (Bench::new(), Bench::new());
    let quote = bench.platform.quote(&Contents::default());
    let (own, strange) = (bench.authority.trust_root(), stranger.authority.trust_root());
    // Trusting a stranger: their collateral holds, the quote's certificates do not.
    refused!(verify(&quote, &stranger.collateral(), now(), &strange), Chain);
    refused!(check_signatures(&quote, now(), &strange), OtherRoot);
    refused!(
        check_signatures(&quote, now(), &dstack_attestation::quote::verify::TrustRoot::intel()),
        OtherRoot
    );
    // Collateral of a stranger does not hold.
    refused!(verify(&quote, &stranger.collateral(), now(), &own), Collateral);
    refused!(verify(&quote, &bench.collateral(), now(), &strange), Collateral);
}

#[test]
fn revocation() {
    let bench = Bench::new();
    let serial = bench.platform.spec().serial;
    refused!(bench.with_statement(|s| s.revoked = vec![serial]), CertificateRevoked);
    assert!(bench.with_statement(|s| s.revoked = vec![serial + 1]).is_ok());
    refused!(bench.with_statement(|s| s.tcb_status = "Revoked".to_owned()), TcbRevoked);
    refused!(bench.with_statement(|s| s.module_status = "Revoked".to_owned()), TcbRevoked);
}

#[test]
fn dates() {
    let bench = Bench::new();
    let contents = Contents::default();
    let collateral = bench.collateral();
    let at = |at| bench.verify_at(&contents, &collateral, at);
    refused!(at(now() + 40 * DAY), Expired);
    refused!(at(now() - 2 * DAY), NotYetValid);
    refused!(at(SystemTime::UNIX_EPOCH - DAY), NotYetValid);
    assert!(at(now() + 20 * DAY).is_ok());
    // Only the revocation lists have expired.
    refused!(bench.with_statement(|s| s.crl_next_update = Some(now() - Duration::from_secs(60))), Expired);

    let authority = Authority::new(now());
    let platform = authority.platform_with(PlatformSpec { valid_days: 1, ..PlatformSpec::default() });
    let bench = Bench { authority, platform };
    let late = bench.verify_at(&contents, &bench.collateral(), now() + 2 * DAY);
    refused!(late, Chain);
    let quote = bench.platform.quote(&contents);
    refused!(check_signatures(&quote, now() + 2 * DAY, &bench.authority.trust_root()), Chain);
}

#[test]
fn other_platforms() {
    let bench = Bench::new();
    refused!(bench.with_statement(|s| s.fmspc = [1; 6]), OtherPlatform);
    refused!(bench.with_statement(|s| s.tee = "SGX"), OtherPlatform);
    refused!(bench.with_statement(|s| s.qe_id = "QE"), OtherPlatform);
}

#[test]
fn edited_collateral() {
    let bench = Bench::new();
    refused!(bench.with_statement(|s| s.edit_tcb_info = true), Collateral);
    refused!(bench.with_statement(|s| s.edit_qe_identity = true), Collateral);
    let hidden = bench.with_statement(|s| {
        s.tcb_status = "OutOfDate".to_owned();
        s.edit_tcb_info = true;
    });
    refused!(hidden, Collateral);
}

#[test]
fn enclave_and_module() {
    let bench = Bench::new();
    refused!(bench.with_contents(|c| c.qe_mr_signer = [1; 32]), QuotingEnclave);
    refused!(bench.with_contents(|c| c.qe_isv_svn = 1), QuotingEnclave);
    refused!(bench.with_contents(|c| c.mr_signer_seam = [1; 48]), Module);
    refused!(bench.with_contents(|c| c.seam_attributes = 1), Module);
    refused!(bench.with_contents(|c| c.tee_tcb_svn[1] = 9), Module);
    refused!(bench.with_contents(|c| c.tee_tcb_svn[0] = 0), NoTcbLevel);
    refused!(bench.with_statement(|s| s.cpu_svn[0] = 0xff), NoTcbLevel);
}

#[test]
fn attributes_that_the_library_refuses() {
    let bench = Bench::new();
    refused!(bench.with_contents(|c| c.td_attributes |= 1 << 29), Attributes);
    refused!(bench.with_contents(|c| c.td_attributes = 0), Attributes);
    refused!(bench.with_contents(|c| c.td_attributes |= 1 << 40), Attributes);
    refused!(bench.with_contents(|c| c.td_attributes |= 1 << 17), Attributes);
    // Debugging and service TDs are for our checks to judge.
    assert!(bench.with_contents(|c| c.td_attributes |= 1).is_ok());
    let service = |c: &mut Contents| (c.body, c.mr_service_td) = (Body::Version5Td15, [1; 48]);
    assert!(bench.with_contents(service).is_ok());
}

#[test]
fn kinds_and_damage() {
    let bench = Bench::new();
    refused!(bench.with_contents(|c| c.qe_vendor_id = [7; 16]), Unsupported);
    refused!(bench.with_contents(|c| c.attestation_key_type = 3), Unsupported);
    let mut quote = bench.platform.quote(&Contents::default());
    let verify = |quote: &[u8]| verify(quote, &bench.collateral(), now(), &bench.authority.trust_root());
    refused!(verify(&quote[..quote.len() - 1]), Unreadable);
    refused!(verify(&quote[..100]), Unreadable);
    // The certification data claims 4 GB.
    let at = 636 + 128 + 2;
    quote[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused!(verify(&quote), Unreadable);
    refused!(check_signatures(&quote, now(), &bench.authority.trust_root()), Unreadable);
}

#[test]
fn every_body_verifies_and_zeros_after_it_do_not_matter() {
    let bench = Bench::new();
    for body in [Body::Version4, Body::Version5Td10, Body::Version5Td15] {
        let contents = Contents { body, ..Contents::default() };
        let verified = bench.verify_at(&contents, &bench.collateral(), now()).unwrap();
        assert_eq!(verified.tcb_status, TcbStatus::UpToDate, "{body:?}");
        let mut padded = bench.platform.quote(&contents);
        let length = padded.len();
        padded.resize(8000, 0);
        let root = bench.authority.trust_root();
        assert_eq!(verify(&padded, &bench.collateral(), now(), &root), Ok(verified.clone()), "{body:?}");
        check_signatures(&padded, now(), &root).unwrap();
        let parsed = TdxQuote::parse(&padded).unwrap();
        assert_eq!(parsed.trailing_bytes, 8000 - length);
    }
}

#[test]
fn what_a_verified_quote_vouches_for() {
    let bench = Bench::new();
    let verified = bench
        .with_statement(|s| {
            s.tcb_status = "SWHardeningNeeded".to_owned();
            s.advisories = vec!["INTEL-SA-00837".to_owned(), "INTEL-SA-00615".to_owned()];
            s.evaluation_number = 19;
        })
        .unwrap();
    assert_eq!(verified.tcb_status, TcbStatus::SwHardeningNeeded);
    assert_eq!(verified.advisories, ["INTEL-SA-00615", "INTEL-SA-00837"]);
    assert_eq!(verified.evaluation_number, 19);
    assert_eq!(verified.fmspc.as_bytes(), &bench.platform.spec().fmspc);
    let device = ring::digest::digest(&ring::digest::SHA256, &bench.platform.spec().ppid);
    assert_eq!(verified.device_id.as_ref(), device.as_ref());
    assert_eq!(
        (verified.dynamic_platform, verified.cached_keys, verified.smt_enabled),
        (Some(false), Some(true), Some(true))
    );
    assert_eq!(verified.tcb_date, SystemTime::UNIX_EPOCH + Duration::from_secs(1_747_180_800));
    assert_eq!(verified.collateral_expires, now() + 29 * DAY);
}

#[test]
fn every_status_is_told_apart() {
    let bench = Bench::new();
    for status in TcbStatus::ALL {
        let found = bench.with_statement(|s| s.tcb_status = status.to_string());
        match status {
            TcbStatus::Revoked => refused!(found, TcbRevoked),
            // These two come from comparing two TDX modules, and are no statuses of a TCB level.
            TcbStatus::TdRelaunchAdvised | TcbStatus::TdRelaunchAdvisedConfigurationNeeded => {
                refused!(found, Collateral);
            }
            status => assert_eq!(found.unwrap().tcb_status, status),
        }
    }
    refused!(bench.with_statement(|s| s.tcb_status = "Fine".to_owned()), Collateral);
    // The quoting enclave's status counts, and so does the module's.
    let enclave = bench.with_contents(|c| c.qe_isv_svn = 3).unwrap();
    assert_eq!((enclave.tcb_status, enclave.qe_status), (TcbStatus::OutOfDate, TcbStatus::OutOfDate));
    let module = bench.with_contents(|c| c.tee_tcb_svn[0] = 2).unwrap();
    assert_eq!((module.tcb_status, module.platform_status), (TcbStatus::OutOfDate, TcbStatus::OutOfDate));
    let relaunch = bench.with_contents(|c| (c.body, c.tee_tcb_svn[0]) = (Body::Version5Td15, 2)).unwrap();
    assert_eq!(relaunch.tcb_status, TcbStatus::TdRelaunchAdvised);
}
