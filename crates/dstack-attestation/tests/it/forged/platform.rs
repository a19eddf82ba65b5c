//! Attacks on the platform: its quote, its certificates, and what is said about its TCB.

use dstack_attestation::quote::emulated;
use dstack_attestation::quote::verify::TrustRoot;
use std::time::Duration;

use super::scene::{Attack, authority, carry_out, platform};
use crate::authority::{Authority, Body, DAY, Faults, PlatformSpec, now};

const ATTACKS: &[Attack] = &[
    (
        "a TD that can be debugged",
        |scene| {
            scene.contents.td_attributes |= 1;
            scene.sign();
        },
        "fail quote.debug",
    ),
    (
        "another untrusted attribute",
        |scene| {
            scene.contents.td_attributes |= 0x10;
            scene.sign();
        },
        "fail quote.debug",
    ),
    (
        "a TDX module of another maker",
        |scene| {
            scene.contents.mr_signer_seam = [1; 48];
            scene.sign();
        },
        "fail quote.signature quote.module-signer",
    ),
    (
        "a service TD",
        |scene| {
            scene.contents.body = Body::Version5Td15;
            scene.contents.mr_service_td = [7; 48];
            scene.sign();
        },
        "fail quote.service-td",
    ),
    (
        "the collateral is expired",
        |scene| scene.now = now() + 40 * DAY,
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the collateral is not valid yet",
        |scene| scene.now = now() - 10 * DAY,
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the collateral is older than the caller takes",
        |scene| scene.policy.max_collateral_age = Some(Duration::from_secs(3600)),
        "fail quote.collateral-age",
    ),
    (
        "the revocation lists are expired",
        |scene| {
            let stale =
                authority().collateral_with(platform(), |says| says.crl_next_update = Some(now() - DAY / 2));
            scene.only_collateral(stale);
        },
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the TCB is revoked",
        |scene| {
            scene.only_collateral(
                authority().collateral_with(platform(), |says| says.tcb_status = "Revoked".to_owned()),
            );
        },
        "fail quote.signature quote.tcb-status",
    ),
    (
        "the TCB is out of date",
        |scene| {
            scene.only_collateral(
                authority().collateral_with(platform(), |says| says.tcb_status = "OutOfDate".to_owned()),
            );
        },
        "fail quote.tcb-status",
    ),
    (
        "the TCB's software must be hardened",
        |scene| {
            scene.only_collateral(
                authority()
                    .collateral_with(platform(), |says| says.tcb_status = "SWHardeningNeeded".to_owned()),
            );
        },
        "fail quote.tcb-status",
    ),
    (
        "the TDX module is out of date",
        |scene| {
            scene.only_collateral(authority().collateral_with(platform(), |says| says.module_isv_svn = 9));
        },
        "fail quote.tcb-status",
    ),
    (
        "the quoting enclave is out of date",
        |scene| {
            scene.only_collateral(authority().collateral_with(platform(), |says| says.qe_isv_svn = 5));
        },
        "fail quote.tcb-status",
    ),
    (
        "an advisory that the caller rejects",
        |scene| {
            scene.only_collateral(
                authority()
                    .collateral_with(platform(), |says| says.advisories = vec!["INTEL-SA-00001".to_owned()]),
            );
            scene.policy.tcb.rejected_advisories.insert("INTEL-SA-00001".to_owned());
        },
        "fail quote.advisories",
    ),
    (
        "an advisory that is not among the allowed",
        |scene| {
            scene.only_collateral(
                authority()
                    .collateral_with(platform(), |says| says.advisories = vec!["INTEL-SA-00002".to_owned()]),
            );
            scene.policy.tcb.allowed_advisories = Some(["INTEL-SA-00001".to_owned()].into());
        },
        "fail quote.advisories",
    ),
    (
        "collateral from before a TCB recovery",
        |scene| scene.policy.tcb.min_evaluation_number = Some(21),
        "fail quote.tcb-recovery",
    ),
    (
        "no TCB level fits the platform",
        |scene| {
            scene.only_collateral(authority().collateral_with(platform(), |says| says.cpu_svn[0] = 200));
        },
        "fail quote.signature quote.tcb-status",
    ),
    (
        "the collateral is of another platform type",
        |scene| {
            scene.only_collateral(authority().collateral_with(platform(), |says| says.fmspc = [1; 6]));
        },
        "fail quote.collateral; unknown quote.signature",
    ),
    ("there is no collateral", |scene| scene.collateral.clear(), "unknown quote.collateral quote.signature"),
    (
        "the PCK certificate is revoked",
        |scene| {
            let serial = platform().spec().serial;
            scene
                .only_collateral(authority().collateral_with(platform(), |says| says.revoked = vec![serial]));
        },
        "fail quote.signature",
    ),
    (
        "the PCK certificate is expired",
        |scene| {
            let platform =
                authority().platform_with(PlatformSpec { valid_days: 0, ..PlatformSpec::default() });
            scene.now = now() + DAY;
            scene.sign_on(&platform);
        },
        "fail quote.signature",
    ),
    (
        "the caller trusts Intel only",
        |scene| scene.root = TrustRoot::intel(),
        "fail quote.collateral quote.signature",
    ),
    (
        "all is signed by somebody else's authority",
        |scene| {
            let other = Authority::new(now());
            let platform = other.platform();
            scene.only_collateral(other.collateral(&platform));
            scene.sign_on(&platform);
        },
        "fail quote.collateral quote.signature",
    ),
    (
        "the quote is signed under somebody else's authority, the collateral under the trusted one",
        |scene| scene.sign_on(&Authority::new(now()).platform()),
        "fail quote.signature",
    ),
    (
        "the TCB info was edited",
        |scene| {
            let edited = authority().collateral_with(platform(), |says| {
                says.tcb_status = "OutOfDate".to_owned();
                says.edit_tcb_info = true;
            });
            scene.only_collateral(edited);
        },
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "a space was added to the TCB info",
        |scene| {
            scene.only_collateral(authority().collateral_with(platform(), |says| says.edit_tcb_info = true));
        },
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the QE identity was edited",
        |scene| {
            scene.only_collateral(
                authority().collateral_with(platform(), |says| says.edit_qe_identity = true),
            );
        },
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the TCB info is for SGX",
        |scene| scene.only_collateral(authority().collateral_with(platform(), |says| says.tee = "SGX")),
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the identity is that of another enclave",
        |scene| scene.only_collateral(authority().collateral_with(platform(), |says| says.qe_id = "QE")),
        "fail quote.collateral; unknown quote.signature",
    ),
    (
        "the quoting enclave is of another maker",
        |scene| {
            scene.contents.qe_mr_signer = [0xee; 32];
            scene.sign();
        },
        "fail quote.signature",
    ),
    (
        "a bit of the signature is flipped",
        |scene| scene.edit_quote(|quote| quote[640] ^= 1),
        "fail quote.signature",
    ),
    (
        "a bit of MRTD is flipped",
        |scene| scene.edit_quote(|quote| quote[48 + 136] ^= 1),
        "fail quote.signature os.measurements",
    ),
    (
        "the signature is of another text",
        |scene| {
            scene.contents.faults = Faults { report_signature: true, ..Faults::default() };
            scene.sign();
        },
        "fail quote.signature",
    ),
    (
        "the attestation key is another than the quoting enclave's",
        |scene| {
            scene.contents.faults = Faults { attestation_key: true, ..Faults::default() };
            scene.sign();
        },
        "fail quote.signature",
    ),
    (
        "the quoting enclave's report is not signed by the platform",
        |scene| {
            scene.contents.faults = Faults { qe_signature: true, ..Faults::default() };
            scene.sign();
        },
        "fail quote.signature",
    ),
    (
        "the attestation key of another platform's quote",
        |scene| {
            let other = authority().platform().quote(&scene.contents);
            scene.edit_quote(|quote| quote[636 + 64..636 + 128].copy_from_slice(&other[636 + 64..636 + 128]));
        },
        "fail quote.signature",
    ),
    (
        "the certificates of another platform",
        |scene| {
            let other = authority().platform().quote(&scene.contents);
            let at = |quote: &[u8]| quote.windows(11).position(|part| part == b"-----BEGIN ").unwrap();
            scene.edit_quote(|quote| {
                let (mine, theirs) = (at(quote), at(&other));
                // Chains of different length would not be read at all.
                let difference =
                    i64::try_from(other.len() - theirs).unwrap() - i64::try_from(quote.len() - mine).unwrap();
                quote.truncate(mine);
                quote.extend_from_slice(&other[theirs..]);
                for field in [632, 636 + 130, mine - 4] {
                    let mut bytes = [0; 4];
                    bytes.copy_from_slice(&quote[field..field + 4]);
                    let length = i64::from(u32::from_le_bytes(bytes)) + difference;
                    quote[field..field + 4].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
                }
            });
        },
        "fail quote.signature",
    ),
    (
        "an emulated quote with the mark taken off",
        |scene| {
            let plain = emulated::EmulatedQuote {
                measurements: scene.contents.measurements,
                creator: scene.contents.creator,
                report_data: scene.contents.report_data,
            };
            let mut bytes = plain.to_bytes();
            bytes[2..4].copy_from_slice(&2u16.to_le_bytes());
            bytes[12..28].copy_from_slice(&scene.contents.qe_vendor_id);
            bytes[640] ^= 1;
            scene.evidence.quote = Some(bytes);
        },
        "fail quote.signature quote.attributes; unknown quote.collateral",
    ),
    (
        "an emulated quote with the mark taken off and the signature of a genuine one",
        |scene| {
            let plain = emulated::EmulatedQuote {
                measurements: scene.contents.measurements,
                creator: scene.contents.creator,
                report_data: scene.contents.report_data,
            };
            let mut bytes = plain.to_bytes();
            bytes[2..4].copy_from_slice(&2u16.to_le_bytes());
            bytes[12..28].copy_from_slice(&scene.contents.qe_vendor_id);
            bytes.truncate(632);
            bytes.extend_from_slice(&scene.evidence.quote.as_deref().unwrap()[632..]);
            scene.evidence.quote = Some(bytes);
        },
        "fail quote.signature quote.attributes",
    ),
    (
        "a genuine quote beside a service that says it is emulated",
        |scene| scene.evidence.service_versions.push("0.6.0 EMULATED".to_owned()),
        "fail quote.signature",
    ),
];

#[test]
fn each_is_found() {
    carry_out(ATTACKS);
}
