//! Checks of the quote itself: is it there, is it genuine, and what does it say about its platform?

mod genuine;

use dstack_check::{CheckDef, Finding, Fix, Status};

use crate::quote::TdReport;
use crate::verify::cvm::subject::{Part, Subject, list};

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
        "quote.collateral" => genuine::collateral(check, subject),
        "quote.collateral-age" => genuine::collateral_age(check, subject),
        "quote.signature" => genuine::signature(check, subject),
        "quote.tcb-status" => genuine::tcb_status(check, subject),
        "quote.advisories" => genuine::advisories(check, subject),
        "quote.tcb-recovery" => genuine::tcb_recovery(check, subject),
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
