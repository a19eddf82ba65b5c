//! Is the quote genuine, and its platform sound? Carried out with collateral, under a root CA and the policy.

use dstack_check::{CheckDef, Finding, Fix};

use super::EMULATED;
use crate::policy::TcbStatus;
use crate::quote::appraise::{Appraisal, Choice};
use crate::quote::chain::time_text;
use crate::quote::verify::{QuoteVerifyError, VerifiedQuote};
use crate::quote::{Collateral, CollateralFault};
use crate::verify::cvm::subject::{Part, Subject, list, one_of};

/// Where collateral is got.
fn fetch() -> Fix {
    Fix::new("fetch collateral for this quote from Intel's PCS or a PCCS and give it")
        .command("dstack-verify collateral fetch QUOTE --pccs URL -o collateral.json")
}

/// Whose word a finding takes that rests on collateral.
fn on_collateral(finding: Finding, subject: &Subject<'_>, collateral: &Collateral) -> Finding {
    finding
        .trusting(format!("that there is no newer collateral than that of {}", collateral.source()))
        .trusting(format!("the time for which is asked, {}", time_text(subject.verifier.now)))
}

pub(super) fn collateral(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(appraisal) = subject.appraisal() else { return check.not_applicable().observed(EMULATED) };
    let wanted = match &appraisal.fmspc {
        Ok(fmspc) => format!("for TDX and FMSPC {fmspc}"),
        Err(_) => "for TDX and the quote's platform".to_owned(),
    };
    match &appraisal.collateral {
        Choice::NoneGiven => check.unknown("no collateral was given").expected(wanted).fix(fetch()),
        Choice::NoneFits(given) => {
            if let Err(error) = &appraisal.fmspc
                && !matches!(error, QuoteVerifyError::Unsupported(_))
            {
                return check.unknown(format!("the quote does not tell its platform type: {error}"));
            }
            let given: Vec<String> = given
                .iter()
                .map(|given| {
                    format!("for {:?} and FMSPC {}, from {}", given.tee(), given.fmspc(), given.source())
                })
                .collect();
            check.fail().observed(list(&given)).expected(wanted).fix(fetch())
        }
        Choice::Fits(given, Ok(())) => {
            let finding = check.pass().observed(described(given));
            on_collateral(finding, subject, given)
        }
        Choice::Fits(given, Err(fault)) => {
            let fix = match fault {
                CollateralFault::Expired { .. } | CollateralFault::NotYetValid { .. } => Fix::new(
                    "fetch collateral of this time; for evidence kept from earlier, judge as of the time it was collected",
                ),
                CollateralFault::OtherEnclave { .. } => fetch(),
                CollateralFault::Chain { .. }
                | CollateralFault::OtherRoot { .. }
                | CollateralFault::Signature { .. } => {
                    Fix::new("do not use this collateral: it is not what Intel signed; fetch it again")
                }
            };
            check
                .fail()
                .observed(fault.to_string())
                .expected("collateral that the trusted root CA vouches for, within its dates")
                .evidence(given.source(), described(given))
                .fix(fix)
        }
    }
}

fn described(collateral: &Collateral) -> String {
    format!(
        "FMSPC {}, TCB evaluation data number {}, issued {}, expires {}, from {}",
        collateral.fmspc(),
        collateral.evaluation_number(),
        time_text(collateral.issued()),
        time_text(collateral.next_update()),
        collateral.source()
    )
}

pub(super) fn collateral_age(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(Choice::Fits(collateral, _)) = subject.appraisal().map(|appraisal| &appraisal.collateral) else {
        return check.not_applicable();
    };
    let issued = format!("issued {}", time_text(collateral.issued()));
    let Some(greatest) = subject.policy.max_collateral_age else {
        return check.not_applicable().observed(issued);
    };
    let expected = format!(
        "issued in the {} hours before {}",
        greatest.as_secs() / 3600,
        time_text(subject.verifier.now)
    );
    let finding = match subject.verifier.now.duration_since(collateral.issued()) {
        Ok(age) if age <= greatest => check.pass(),
        Ok(_) | Err(_) => check.fail().fix(fetch()),
    };
    on_collateral(finding.observed(issued).expected(expected), subject, collateral)
}

pub(super) fn signature(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    if let Some(mark) = subject.emulated() {
        let finding = if subject.policy.danger_accept_emulated {
            check.warn()
        } else {
            check.fail().fix(Fix::new(
                "take the evidence from a CVM on TDX hardware; emulated evidence is for development and tests only",
            ))
        };
        return finding.observed(format!("EMULATED: {mark}")).expected("a quote signed by TDX hardware");
    }
    let appraisal = match (&subject.quote, subject.appraisal()) {
        (Part::Absent, _) => return check.skipped("quote.present"),
        (Part::Unreadable(_), _) | (Part::Read(_), None) => return check.skipped("quote.readable"),
        (Part::Read(_), Some(appraisal)) => appraisal,
    };
    if let Err(error) = &appraisal.own {
        return refused(check, error);
    }
    match (&appraisal.collateral, &appraisal.verified) {
        (_, Some(Ok(verified))) => signed(check, subject, appraisal, verified),
        (_, Some(Err(error))) => refused(check, error),
        (Choice::NoneGiven, None) => unjudged(check, "there is no collateral to judge it by"),
        (Choice::NoneFits(_), None) => unjudged(check, "none of the collateral is for its platform"),
        (Choice::Fits(..), None) => unjudged(check, "the collateral for its platform does not hold"),
    }
}

/// The quote's own signatures hold together, which is not enough.
fn unjudged(check: &CheckDef, why: &str) -> Finding {
    check
        .unknown(format!(
            "the quote's own signatures match, but {why}, so that it may be a retired platform's"
        ))
        .fix(fetch())
}

fn signed(
    check: &CheckDef,
    subject: &Subject<'_>,
    appraisal: &Appraisal<'_>,
    verified: &VerifiedQuote,
) -> Finding {
    let root = &subject.verifier.root;
    let finding = if root.is_intel() {
        check.pass()
    } else {
        check
            .warn()
            .expected("a chain to Intel's SGX root CA")
            .trusting(
                "the root CA that the caller gave: whoever has its key can make quotes that say anything",
            )
            .fix(Fix::new("judge quotes of platforms in production by Intel's root CA"))
    };
    let under = if root.is_intel() { "Intel's root CA" } else { "ANOTHER ROOT CA than Intel's" };
    let finding = finding.observed(format!(
        "signed under {under} by a platform of FMSPC {}, device id {}",
        verified.fmspc, verified.device_id
    ));
    match &appraisal.collateral {
        Choice::Fits(collateral, _) => on_collateral(finding, subject, collateral),
        Choice::NoneGiven | Choice::NoneFits(_) => finding,
    }
}

fn refused(check: &CheckDef, error: &QuoteVerifyError) -> Finding {
    let fix = match error {
        QuoteVerifyError::Unsupported(_) => {
            return check
                .unknown(error.to_string())
                .fix(Fix::new("verify the quote with a verifier that supports its kind"));
        }
        error if error.blames_collateral() => return check.unknown(error.to_string()).fix(fetch()),
        QuoteVerifyError::TcbRevoked(_) | QuoteVerifyError::CertificateRevoked(_) => {
            "do not trust the CVM: Intel has revoked the keys that signed its quote"
        }
        QuoteVerifyError::NoTcbLevel(_) => {
            "have the host's firmware and TDX module updated; they are below every level"
        }
        QuoteVerifyError::Attributes(_) => "start the CVM with the attributes that dstack gives it",
        QuoteVerifyError::OtherRoot(_) => {
            "do not believe the quote: it was not signed by a platform of Intel's"
        }
        _ => "do not believe the quote; ask the CVM for a new one and see whether that one holds",
    };
    check
        .fail()
        .observed(error.to_string())
        .expected("signatures that match from the TD report up to the root CA")
        .fix(Fix::new(fix))
}

/// Runs a check of what a verified quote vouches for.
fn on_verified(
    check: &CheckDef,
    subject: &Subject<'_>,
    judge: impl FnOnce(&VerifiedQuote) -> Finding,
) -> Finding {
    let Some(appraisal) = subject.appraisal() else { return check.not_applicable().observed(EMULATED) };
    match (appraisal.verified(), &appraisal.collateral) {
        (Some(verified), Choice::Fits(collateral, _)) => on_collateral(judge(verified), subject, collateral),
        (Some(_) | None, _) => check.skipped("quote.signature"),
    }
}

pub(super) fn tcb_status(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let update = || {
        Fix::new("have the host's firmware, microcode and TDX module updated, or allow the status in the policy")
            .link("https://www.intel.com/content/www/us/en/developer/topic-technology/software-security-guidance/trusted-computing-base-recovery-attestation.html")
    };
    let allowed = &subject.policy.tcb.statuses;
    let expected = || match allowed.len() {
        0 => "no status at all, by the policy".to_owned(),
        _ => one_of(allowed),
    };
    // The two refusals of a quote that are answers to this question.
    let verified = subject.appraisal().and_then(|appraisal| appraisal.verified.as_ref());
    match verified {
        Some(Err(QuoteVerifyError::TcbRevoked(_))) => {
            return check
                .fail()
                .observed(TcbStatus::Revoked.to_string())
                .expected(expected())
                .fix(Fix::new("do not trust the CVM: Intel has revoked the keys that signed its quote"));
        }
        Some(Err(error @ QuoteVerifyError::NoTcbLevel(_))) => {
            return check.fail().observed(error.to_string()).expected(expected()).fix(update());
        }
        Some(Ok(_) | Err(_)) | None => {}
    }
    on_verified(check, subject, |verified| {
        let status = verified.tcb_status;
        let finding = if allowed.contains(&status) && status != TcbStatus::Revoked {
            check.pass()
        } else {
            check.fail().fix(update())
        };
        finding
            .observed(format!(
                "{status}: platform {}, quoting enclave {}, level of {}",
                verified.platform_status,
                verified.qe_status,
                time_text(verified.tcb_date)
            ))
            .expected(expected())
    })
}

pub(super) fn advisories(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let policy = &subject.policy.tcb;
    if policy.allowed_advisories.is_none() && policy.rejected_advisories.is_empty() {
        let finding = check.not_applicable();
        return match subject.verified() {
            Some(verified) => finding.observed(named(&verified.advisories)),
            None => finding,
        };
    }
    on_verified(check, subject, |verified| {
        let allowed = |advisory: &String| match &policy.allowed_advisories {
            Some(allowed) => allowed.contains(advisory),
            None => true,
        };
        let wrong: Vec<&String> = verified
            .advisories
            .iter()
            .filter(|advisory| policy.rejected_advisories.contains(*advisory) || !allowed(advisory))
            .collect();
        if wrong.is_empty() {
            return check.pass().observed(named(&verified.advisories));
        }
        check.fail().observed(named(&wrong)).expected("no advisory but those that the policy takes").fix(
            Fix::new(
                "have the host's firmware and TDX module updated, or decide that the advisories are bearable",
            ),
        )
    })
}

fn named(advisories: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = advisories.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { "no advisories".to_owned() } else { names.join(", ") }
}

pub(super) fn tcb_recovery(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(Choice::Fits(collateral, _)) = subject.appraisal().map(|appraisal| &appraisal.collateral) else {
        return check.not_applicable();
    };
    let number = collateral.evaluation_number();
    let observed = format!("TCB evaluation data number {number}");
    let Some(least) = subject.policy.tcb.min_evaluation_number else {
        return check.not_applicable().observed(observed);
    };
    let finding = if number >= least { check.pass() } else { check.fail().fix(fetch()) };
    finding.observed(observed).expected(format!("at least {least}"))
}
