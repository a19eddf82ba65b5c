//! Quotes in the forms in which services hand them on.

use dstack_check::{CheckDef, Finding, Fix, Report, Status};

use crate::fixed_bytes::decode_hex;
use crate::quote::TdxQuote;
use crate::report_data::ReportData;
use crate::verify::CvmEvidence;
use crate::versioned::VersionedAttestation;

/// Hex of any length, with or without `0x` before it and white space around it.
pub(in crate::verify) fn hex_bytes(what: &str, text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    decode_hex(digits).map_err(|error| format!("{what} is not hex: {error}"))
}

/// The evidence in an attestation that is written in hex.
pub(in crate::verify) fn attestation(what: &str, text: &str) -> Result<CvmEvidence, String> {
    let bytes = hex_bytes(what, text)?;
    let read = VersionedAttestation::decode(&bytes);
    read.map(|attestation| attestation.to_evidence())
        .map_err(|error| format!("{what} cannot be read: {error}"))
}

/// The evidence in what services call a quote: the hex of a TDX quote or of an attestation, or the JSON answer of the
/// guest agent's `GetQuote`.
pub(in crate::verify) fn quote(what: &str, text: &str) -> Result<CvmEvidence, String> {
    if text.trim_start().starts_with('{') {
        let read = CvmEvidence::new().read_quote(text);
        return read.map_err(|error| format!("{what} cannot be read: {error}"));
    }
    let bytes = hex_bytes(what, text)?;
    // A TDX quote begins with its version, which is no beginning of an attestation; what is neither is left to the
    // checks of the quote, which say what is wrong with it.
    match VersionedAttestation::decode(&bytes) {
        Ok(attestation) if TdxQuote::parse(&bytes).is_err() => Ok(attestation.to_evidence()),
        Ok(_) | Err(_) => {
            let mut evidence = CvmEvidence::new();
            evidence.quote = (!bytes.is_empty()).then_some(bytes);
            Ok(evidence)
        }
    }
}

/// The quote and its log, with what else is known about the CVM.
pub(in crate::verify) fn in_context(quoted: CvmEvidence, context: &CvmEvidence) -> CvmEvidence {
    let mut evidence = context.clone();
    evidence.quote = quoted.quote;
    evidence.event_log = quoted.event_log;
    evidence.attestation = quoted.attestation;
    evidence.vm_config = quoted.vm_config.or(evidence.vm_config);
    evidence.os_image_hash = quoted.os_image_hash.or(evidence.os_image_hash);
    evidence.app_compose = evidence.app_compose.or(quoted.app_compose);
    evidence.service_versions.extend(quoted.service_versions);
    evidence
}

/// The report data in the quote. `None` where there is no quote, or none that can be read.
pub(in crate::verify) fn report_data(evidence: &CvmEvidence) -> Option<ReportData> {
    let quote = TdxQuote::parse(evidence.quote.as_deref()?).ok()?;
    Some(quote.report.report_data)
}

/// One finding for a report about other evidence: as bad as the worst of it.
pub(in crate::verify) fn summary(check: &CheckDef, report: &Report) -> Finding {
    let ended = |status: &str| -> Vec<&str> {
        let of = report.findings().iter().filter(|finding| finding.status.word() == status);
        of.map(|finding| finding.id.as_str()).collect()
    };
    let (failed, unknown, warned) = (ended("fail"), ended("unknown"), ended("warn"));
    let counts = report.counts();
    let observed = format!("{} of {} checks pass", counts.pass, counts.total() - counts.not_applicable);
    if !failed.is_empty() {
        return check
            .fail()
            .observed(format!("{observed}; these fail:\n{}", failed.join("\n")))
            .fix(Fix::new("look at the findings about this evidence by itself"));
    }
    if let Some(first) = unknown.first() {
        let why = match report.get(first).map(|finding| &finding.status) {
            Some(Status::Unknown { why }) => format!("{first}: {why}"),
            Some(_) | None => (*first).to_owned(),
        };
        let more = unknown.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more are unknown") };
        return check.unknown(format!("{why}{more}"));
    }
    if let Some(first) = ended("skipped").first() {
        return check.unknown(format!("{first} was not carried out"));
    }
    if !warned.is_empty() {
        return check
            .warn()
            .observed(format!("{observed}; these warn:\n{}", warned.join("\n")))
            .fix(Fix::new("look at the findings about this evidence by itself"));
    }
    check.pass().observed(observed)
}
