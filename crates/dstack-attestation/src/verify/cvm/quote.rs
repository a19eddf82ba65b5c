//! Checks of the quote itself: is it there, is it genuine, and what does it say about its platform?

use dstack_check::{CheckDef, Finding, Fix, Status};

use crate::policy::TcbStatus;
use crate::quote::appraise::{Appraisal, Choice};
use crate::quote::chain::time_text;
use crate::quote::verify::{QuoteVerifyError, VerifiedQuote};
use crate::quote::{Collateral, CollateralFault, TdReport};
use crate::verify::cvm::subject::{Part, Subject, list, one_of};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("quote.present", "there is a quote")
        .layer("quote")
        .needs("an answer of the guest agent's GetQuote")
        .why("without a quote, everything rests on what the host and the guest say about themselves")
        .proves("there are bytes to look at")
        .leaves_open("whether they are a quote, and whose"),
    CheckDef::new("quote.readable", "the quote is a TDX quote")
        .layer("quote")
        .parents(&["quote.present"])
        .proves("the bytes have the layout of a TDX quote of version 4 or 5")
        .leaves_open("whether any of what they say is true: anybody can write such bytes"),
    CheckDef::new("quote.collateral", "there is genuine, current collateral for the quote's platform")
        .layer("quote")
        .parents(&["quote.readable"])
        .needs("collateral for the quote's platform type, from Intel's PCS or a PCCS")
        .why("without Intel's word on a platform nobody can tell a sound one from a broken one")
        .proves("Intel has signed what the quote is judged by, and it has not expired")
        .leaves_open("whether Intel has published newer collateral since, which may judge the platform worse"),
    CheckDef::new("quote.collateral-age", "the collateral is as new as the policy asks")
        .layer("quote")
        .parents(&["quote.collateral"])
        .needs("the policy's greatest age of collateral")
        .why("collateral holds for a month, in which platforms can become out of date")
        .proves("Intel issued the TCB info no longer ago than the policy allows")
        .leaves_open("whether Intel has published newer collateral since"),
    CheckDef::new("quote.signature", "the quote was signed by genuine TDX hardware")
        .layer("quote")
        .needs("collateral for the quote's platform type")
        .why("only the signature ties the values in a quote to hardware")
        .proves("a platform that Intel certified and has not revoked signed exactly this TD report")
        .leaves_open("what the registers stand for, when the quote was made, and in whose hands the machine is"),
    CheckDef::new("quote.tcb-status", "the platform's TCB is as up to date as the policy asks")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the keys of a platform with known weaknesses may be in other hands")
        .proves("by the collateral, CPU microcode, TDX module and quoting enclave have a status that the policy allows")
        .leaves_open("weaknesses that Intel has not published, and attacks on the machine itself"),
    CheckDef::new("quote.advisories", "no advisory that the policy rejects applies to the platform")
        .layer("quote")
        .parents(&["quote.readable"])
        .needs("the policy's allowed or rejected advisories")
        .proves("the collateral names no advisory for the platform but those that the policy takes")
        .leaves_open("advisories that Intel does not tie to a TCB level"),
    CheckDef::new("quote.tcb-recovery", "the collateral knows of the TCB recovery that the policy asks for")
        .layer("quote")
        .parents(&["quote.collateral"])
        .needs("the policy's least TCB evaluation data number")
        .why("older collateral calls platforms up to date that a later TCB recovery finds out of date")
        .proves("the platform is judged by a TCB recovery no older than the policy asks")
        .leaves_open("whether a later one exists"),
    CheckDef::new("quote.debug", "the quote says that the host cannot debug the CVM")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the host can read and change the memory of a TD in debug mode")
        .proves("TDATTRIBUTES has none of the bits under which a TD is open to its host")
        .leaves_open("whether the quote is genuine, and what software in the CVM lets the operator do"),
    CheckDef::new("quote.attributes", "the CVM has no attribute that weakens it")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("attributes decide what the host and service TDs may do to the CVM")
        .proves("TDATTRIBUTES has no reserved bit, no migration, and SEPT_VE_DISABLE")
        .leaves_open("whether the quote is genuine"),
    CheckDef::new("quote.module-signer", "the quote names a TDX module of Intel's")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the TDX module keeps the host out of the CVM")
        .proves("MRSIGNERSEAM and SEAMATTRIBUTES are zero, as they are for Intel's production modules")
        .leaves_open("which version of the module it is: quote.tcb-status judges that"),
    CheckDef::new("quote.service-td", "the quote names no service TD")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("a service TD can migrate the CVM, which dstack does not provide for")
        .proves("no service TD was bound to the CVM")
        .leaves_open("whether the quote is genuine"),
    CheckDef::new("quote.report-data", "the quote answers the challenge")
        .layer("quote")
        .parents(&["quote.readable"])
        .needs("the report data that was asked for")
        .why("a quote without a fresh challenge may be an old one")
        .proves("the CVM made the quote after the challenge was known to it, if the challenge was fresh and unguessable")
        .leaves_open("who asked the CVM for the quote: any caller of its guest agent can put in any 64 bytes"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "quote.present" => present(check, subject),
        "quote.readable" => readable(check, subject),
        "quote.collateral" => collateral(check, subject),
        "quote.collateral-age" => collateral_age(check, subject),
        "quote.signature" => signature(check, subject),
        "quote.tcb-status" => tcb_status(check, subject),
        "quote.advisories" => advisories(check, subject),
        "quote.tcb-recovery" => tcb_recovery(check, subject),
        "quote.debug" => debug(check, subject),
        "quote.attributes" => attributes(check, subject),
        "quote.module-signer" => module_signer(check, subject),
        "quote.service-td" => service_td(check, subject),
        "quote.report-data" => report_data(check, subject),
        _ => return None,
    })
}

const EMULATED: &str = "EMULATED: there is no TEE";

fn present(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    if let Some(quote) = &subject.evidence.quote {
        return check.pass().observed(format!("{} bytes", quote.len()));
    }
    if subject.emulated_and_accepted() {
        return check.warn().observed("EMULATED evidence without a quote");
    }
    let attested = subject.evidence.attestation.as_ref();
    if let Some(platform) =
        attested.map(|attested| &attested.platform).filter(|platform| !platform.is_verified_here())
    {
        let why = format!(
            "the evidence is an attestation of {platform}, which is recognised but not verified here"
        );
        return check.unknown(why).fix(Fix::new("verify it with a verifier of that platform"));
    }
    check.unknown("no quote was given").fix(Fix::new(
        "ask the guest agent for one with GetQuote; the VMM's guest proxy does not pass quotes on",
    ))
}

fn readable(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let quote = match &subject.quote {
        Part::Absent => return check.not_applicable(),
        Part::Unreadable(why) => return check.unknown(why),
        Part::Read(quote) => quote,
    };
    let observed = format!("version {}, report of {}", quote.header.version, quote.report.kind.as_str());
    let vendor = format!("QE vendor id {}", quote.header.qe_vendor_id);
    let trailing = subject.evidence.quote.as_deref().and_then(|bytes| {
        let end = bytes.len().checked_sub(quote.trailing_bytes)?;
        bytes.get(end..)
    });
    // Guests hand quotes out in a larger buffer, filled up with zeros. Anything else after the signature is nobody's.
    if trailing.is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0)) {
        return check
            .warn()
            .observed(format!("{observed}, followed by {} bytes that are not zero", quote.trailing_bytes))
            .expected("nothing after the signature but zeros")
            .evidence("quote header", vendor)
            .fix(Fix::new("ask for the quote again; what follows it is not signed and was not looked at"));
    }
    check.pass().observed(observed).evidence("quote header", vendor)
}

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

fn collateral(check: &CheckDef, subject: &Subject<'_>) -> Finding {
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

fn collateral_age(check: &CheckDef, subject: &Subject<'_>) -> Finding {
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

fn signature(check: &CheckDef, subject: &Subject<'_>) -> Finding {
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

fn tcb_status(check: &CheckDef, subject: &Subject<'_>) -> Finding {
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

fn advisories(check: &CheckDef, subject: &Subject<'_>) -> Finding {
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

fn tcb_recovery(check: &CheckDef, subject: &Subject<'_>) -> Finding {
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

/// Runs a check of the TD report, where there is one.
fn on_report(check: &CheckDef, subject: &Subject<'_>, judge: impl FnOnce(&TdReport) -> Finding) -> Finding {
    match &subject.quote {
        Part::Read(quote) => judge(&quote.report),
        Part::Absent | Part::Unreadable(_) => check.not_applicable(),
    }
}

/// As [`on_report`], for what a quote says about its platform. There is no platform behind an emulated quote, so that
/// nothing about it can pass; what an emulated quote owns up to still fails.
fn on_platform(check: &CheckDef, subject: &Subject<'_>, judge: impl FnOnce(&TdReport) -> Finding) -> Finding {
    let finding = on_report(check, subject, judge);
    if matches!(finding.status, Status::Pass | Status::Warn) && subject.emulated().is_some() {
        return check.not_applicable().observed(EMULATED);
    }
    finding
}

fn debug(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_platform(check, subject, |report| {
        let attributes = report.td_attributes;
        let finding = if attributes.untrusted() {
            check.fail().expected("TDATTRIBUTES with bits 0 to 7 zero").fix(Fix::new(
                "start the CVM without debugging; nothing it says in debug mode can be relied on",
            ))
        } else {
            check.pass()
        };
        let debug = if attributes.debug() { ", debug" } else { "" };
        finding.observed(format!("TDATTRIBUTES {:#018x}{debug}", attributes.0))
    })
}

fn attributes(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    // What dstack's VMM sets, and what the CPU's own features add. None of it weakens the TD.
    const COMMON: [&str; 5] = ["SEPT_VE_DISABLE", "ICSSD", "LASS", "PKS", "KL"];
    // Each with a check of its own.
    const ELSEWHERE: [&str; 5] = ["DEBUG", "HGS_PLUS_PROF", "PERF_PROF", "PMT_PROF", "SERVTD_EXT"];
    on_platform(check, subject, |report| {
        let attributes = report.td_attributes;
        // An emulator leaves them zero; there is nothing to weaken.
        if attributes.0 == 0 && subject.emulated().is_some() {
            return check.pass();
        }
        let mut wrong = Vec::new();
        if attributes.reserved() & !0xff != 0 {
            wrong.push(format!("reserved bits {:#018x}", attributes.reserved()));
        }
        if attributes.migratable() {
            wrong.push("MIGRATABLE: a service TD may move the CVM to another host".to_owned());
        }
        if !attributes.sept_ve_disable() {
            wrong.push("SEPT_VE_DISABLE is missing: the host can interrupt the guest at will".to_owned());
        }
        let names = attributes.names();
        let unusual: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| !COMMON.contains(name) && !ELSEWHERE.contains(name))
            .collect();
        let value = format!("TDATTRIBUTES {:#018x}: {}", attributes.0, names.join(", "));
        let fix =
            || Fix::new("start the CVM with the attributes that dstack gives it: SEPT_VE_DISABLE alone");
        if !wrong.is_empty() {
            let expected = "SEPT_VE_DISABLE, no migration, reserved bits zero";
            return check.fail().observed(format!("{value}\n{}", list(&wrong))).expected(expected).fix(fix());
        }
        if !unusual.is_empty() {
            let expected = format!("none but {}", COMMON.join(", "));
            return check.warn().observed(value).expected(expected).fix(fix());
        }
        check.pass().observed(value)
    })
}

fn module_signer(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_platform(check, subject, |report| {
        if report.mr_signer_seam.is_zero() && report.seam_attributes == 0 {
            return check.pass().observed(format!("MRSEAM {}", report.mr_seam));
        }
        check
            .fail()
            .observed(format!(
                "MRSIGNERSEAM {}, SEAMATTRIBUTES {:#018x}",
                report.mr_signer_seam, report.seam_attributes
            ))
            .expected("both zero, which stands for a production module of Intel's")
            .fix(Fix::new("do not trust the CVM: a TDX module of another maker can look into it"))
    })
}

fn service_td(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_platform(check, subject, |report| {
        let bound =
            [("MRSERVICETD", report.mr_service_td), ("the service TDs bound now", report.current_service_td)];
        let mut wrong: Vec<String> = bound
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_zero())?)))
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        if report.td_attributes.service_td_extension() {
            wrong.push("the attribute SERVTD_EXT".to_owned());
        }
        if wrong.is_empty() {
            // The report of TDX 1.0 has no such field, and Intel's quoting enclave writes none for a TD with a service TD.
            return match report.mr_service_td {
                None => check.not_applicable(),
                Some(_) => check.pass(),
            };
        }
        check
            .fail()
            .observed(list(&wrong))
            .expected("MRSERVICETD zero")
            .fix(Fix::new("start the CVM without a service TD"))
    })
}

fn report_data(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(expected) = subject.policy.report_data else {
        let finding = check.not_applicable();
        return match &subject.quote {
            Part::Read(quote) => finding.observed(quote.report.report_data.to_string()),
            Part::Absent | Part::Unreadable(_) => finding,
        };
    };
    on_report(check, subject, |report| {
        if report.report_data == expected {
            return check
                .pass()
                .observed(expected.to_string())
                .trusting("that the caller chose the challenge for this occasion");
        }
        check
            .fail()
            .observed(report.report_data.to_string())
            .expected(expected.to_string())
            .fix(Fix::new("ask for a new quote with the report data of your own choice"))
    })
}
