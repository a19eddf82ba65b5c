//! Checks of the quote itself.

use dstack_check::{CheckDef, Finding, Fix, Status};

use crate::quote::TdReport;
use crate::verify::cvm::subject::{Part, Subject};

/// The checks of this file, parents before children.
pub(super) const CHECKS: &[CheckDef] = &[
    CheckDef::new("quote.present", "there is a quote")
        .layer("quote")
        .needs("an answer of the guest agent's GetQuote")
        .why("without a quote, everything rests on what the host and the guest say about themselves"),
    CheckDef::new("quote.readable", "the quote is a TDX quote").layer("quote").parents(&["quote.present"]),
    CheckDef::new("quote.signature", "the quote was signed by genuine TDX hardware")
        .layer("quote")
        .why("only the signature ties the values in a quote to hardware"),
    CheckDef::new("quote.debug", "the quote says that the host cannot debug the CVM")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the host can read and change the memory of a TD in debug mode"),
    CheckDef::new("quote.module-signer", "the quote names a TDX module of Intel's")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("the TDX module keeps the host out of the CVM"),
    CheckDef::new("quote.service-td", "the quote names no service TD")
        .layer("quote")
        .parents(&["quote.readable"])
        .why("a service TD can migrate the CVM, which dstack does not provide for"),
    CheckDef::new("quote.report-data", "the quote answers the challenge")
        .layer("quote")
        .parents(&["quote.readable"])
        .needs("the report data that was asked for")
        .why("a quote without a fresh challenge may be an old one"),
];

/// Carries out a check of this file.
pub(super) fn evaluate(check: &CheckDef, subject: &Subject<'_>) -> Option<Finding> {
    Some(match check.id {
        "quote.present" => present(check, subject),
        "quote.readable" => readable(check, subject),
        "quote.signature" => signature(check, subject),
        "quote.debug" => debug(check, subject),
        "quote.module-signer" => module_signer(check, subject),
        "quote.service-td" => service_td(check, subject),
        "quote.report-data" => report_data(check, subject),
        _ => return None,
    })
}

fn present(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    if let Some(quote) = &subject.evidence.quote {
        return check.pass().observed(format!("{} bytes", quote.len()));
    }
    if subject.emulated_and_accepted() {
        return check.warn().observed("EMULATED evidence without a quote");
    }
    check.unknown("no quote was given").fix(Fix::new(
        "ask the guest agent for one with GetQuote; the VMM's guest proxy does not pass quotes on",
    ))
}

fn readable(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    match &subject.quote {
        Part::Absent => check.not_applicable(),
        Part::Unreadable(why) => check.unknown(why),
        Part::Read(quote) => {
            let header = &quote.header;
            let kind = quote.report.kind;
            check
                .pass()
                .observed(format!("version {}, {kind:?} report", header.version))
                .evidence("quote header", format!("QE vendor id {}", header.qe_vendor_id))
        }
    }
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
    match &subject.quote {
        Part::Absent => check.skipped("quote.present"),
        Part::Unreadable(_) => check.skipped("quote.readable"),
        Part::Read(_) => check
            .unknown("this version does not check the signature of a quote: what it says is a claim")
            .fix(Fix::new(
                "check the quote with Intel's DCAP libraries, a dcap-qvl based tool or dstack-verifier",
            )),
    }
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
    if finding.status == Status::Pass && subject.emulated().is_some() {
        return check.not_applicable().observed("EMULATED: there is no TEE");
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

fn module_signer(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_platform(check, subject, |report| {
        if report.mr_signer_seam.is_zero() {
            return check.pass();
        }
        check
            .fail()
            .observed(format!("MRSIGNERSEAM {}", report.mr_signer_seam))
            .expected("MRSIGNERSEAM zero, which stands for Intel")
            .fix(Fix::new("do not trust the CVM: a TDX module of another maker can look into it"))
    })
}

fn service_td(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    on_platform(check, subject, |report| match report.mr_service_td {
        None => check.not_applicable(),
        Some(service) if service.is_zero() => check.pass(),
        Some(service) => check
            .fail()
            .observed(format!("MRSERVICETD {service}"))
            .expected("MRSERVICETD zero")
            .fix(Fix::new("start the CVM without a service TD")),
    })
}

fn report_data(check: &CheckDef, subject: &Subject<'_>) -> Finding {
    let Some(expected) = subject.policy.report_data else { return check.not_applicable() };
    on_report(check, subject, |report| {
        if report.report_data == expected {
            return check.pass().observed(expected.to_string());
        }
        check
            .fail()
            .observed(report.report_data.to_string())
            .expected(expected.to_string())
            .fix(Fix::new("ask for a new quote with the report data of your own choice"))
    })
}
