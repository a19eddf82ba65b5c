//! The checks of a certificate.

use dstack_check::{CheckDef, Finding, Fix};

use super::{CertificateEvidence, Presented};
use crate::event_log::KeyProviderKind;
use crate::verify::cvm::{Part, Subject, list};

/// Every check of [`Verifier::certificate`](crate::Verifier::certificate) besides those of the CVM that the evidence in
/// it is from, parents before children.
pub const CERTIFICATE_CHECKS: &[CheckDef] = &[
    CheckDef::new("cert.readable", "the certificates can be read")
        .layer("certificate")
        .needs("the certificates in DER or PEM, the leaf first")
        .why("what cannot be read says nothing")
        .proves("the certificates are X.509 and dstack's extensions in them are each there at most once")
        .leaves_open("who issued them, for whom, and whether anything in them is true"),
    CheckDef::new("cert.chain", "each certificate is signed by the next")
        .layer("certificate")
        .parents(&["cert.readable"])
        .why("without the signatures anybody can write the names and the usage in a certificate")
        .proves("whoever has the key at the end of the chain let the certificate be issued")
        .leaves_open("who that is, and whether the certificate was taken back: dstack publishes no revocation lists"),
    CheckDef::new("cert.root", "the chain ends at the CA that you trust")
        .layer("certificate")
        .parents(&["cert.chain"])
        .needs("the KMS's root CA certificate, or the key provider's id in the policy")
        .why("every KMS calls its CA by the same name; only the key tells them apart")
        .proves("the certificate was issued under the CA that you named")
        .leaves_open("that this CA's key never left a CVM: that is what a report about the KMS is for"),
    CheckDef::new("cert.validity", "the certificates are valid now")
        .layer("certificate")
        .parents(&["cert.readable"])
        .why("an expired certificate is not to be relied on")
        .proves("the time of verification is within the time that the certificates state")
        .leaves_open("when the certificate was made: dstack's say 1975 unless the app asks for another start"),
    CheckDef::new("cert.usage", "the certificate is for the use you expect")
        .layer("certificate")
        .parents(&["cert.readable"])
        .needs("the usage that is expected, such as kms:rpc")
        .why("an app's certificate comes from the same CA as that of the KMS itself")
        .proves("the certificate states the special usage that you named")
        .leaves_open("whether its CA issues that usage to none but the right ones: it rests on cert.root"),
    CheckDef::new("cert.names", "the certificate is for the host you reached")
        .layer("certificate")
        .parents(&["cert.readable"])
        .needs("the host name or the IP address")
        .why("a certificate of another host may be genuine and still not be the one you are talking to")
        .proves("the host is among the alternative names of the certificate")
        .leaves_open("whether an app was entitled to the name: a guest agent puts in whatever names its app asks for"),
    CheckDef::new("cert.attestation", "the certificate carries evidence")
        .layer("certificate")
        .parents(&["cert.readable"])
        .why("without evidence a certificate shows who signed it, not what has its key")
        .proves("there is an attestation, or a quote of older versions, and it can be read")
        .leaves_open("whether the quote is genuine and the log its own: that is what the checks of the quote and the log are for"),
    CheckDef::new("cert.key-binding", "the quote is over the certificate's key")
        .layer("certificate")
        .parents(&["cert.attestation", "quote.readable"])
        .why("evidence can be copied from certificate to certificate; the binding cannot")
        .proves("the CVM of the quote asked for a quote over exactly this public key")
        .leaves_open("that the quote is genuine, and that whoever shows the certificate has the private key: a TLS handshake shows that"),
    CheckDef::new("cert.app-id", "the app id in the certificates is the measured one")
        .layer("certificate")
        .parents(&["cert.attestation", "eventlog.readable"])
        .why("the app id in a certificate is what its issuer wrote; the one in the log is what the CVM measured")
        .proves("issuer and event log name the same app")
        .leaves_open("that the log is the quote's: that is what eventlog.replay-rtmr3 is for"),
    CheckDef::new("cert.key-provider", "the issuer is the key provider that the CVM measured")
        .layer("certificate")
        .parents(&["cert.chain", "eventlog.readable"])
        .why("an app's certificate is issued under the KMS that gave it its keys")
        .proves("the CA at the end of the chain has the key that the event log names as key provider")
        .leaves_open("whether that KMS is one to trust"),
];

/// Carries out a check of a certificate.
pub(super) fn evaluate(
    check: &CheckDef,
    subject: &Subject<'_>,
    evidence: &CertificateEvidence,
    presented: &Part<Presented>,
) -> Finding {
    let presented = match presented {
        Part::Absent => return check.unknown("no certificate was given"),
        Part::Unreadable(why) => return check.unknown(why),
        Part::Read(presented) => presented,
    };
    match check.id {
        "cert.readable" => presented.readable(check),
        "cert.chain" => presented.chain_holds(check),
        "cert.root" => {
            let rules = subject.policy.key_providers.iter();
            let kms = rules.filter(|rule| rule.kind == KeyProviderKind::Kms);
            let keys: Vec<&[u8]> = kms.filter_map(|rule| rule.id.as_deref()).collect();
            presented.rooted(check, &keys)
        }
        "cert.validity" => presented.valid_at(check, subject.verifier.now),
        "cert.usage" => presented.usable(check, evidence.usage.as_deref()),
        "cert.names" => presented.named(check, evidence.host.as_deref()),
        "cert.attestation" => attestation(check, presented),
        "cert.key-binding" => presented.key_bound(check, &subject.quote),
        "cert.app-id" => app_id(check, subject, presented),
        "cert.key-provider" => key_provider(check, subject, presented),
        _ => check.unknown("this version does not know how to carry the check out"),
    }
}

fn attestation(check: &CheckDef, presented: &Presented) -> Finding {
    let Some(leaf) = presented.leaf() else { return check.unknown("there is no certificate") };
    match (leaf.attestation(), &leaf.quote) {
        (Some(Err(error)), _) => check.unknown(error.to_string()),
        (Some(Ok(found)), _) if !found.platform.is_verified_here() => check.unknown(format!(
            "the certificate carries an attestation of {}, which is not verified here",
            found.platform
        )),
        (Some(Ok(found)), _) => {
            check.pass().observed(format!("an attestation of version {}, {}", found.version, found.platform))
        }
        (None, Some(quote)) => {
            check.pass().observed(format!("a bare quote of {} bytes, as older versions have it", quote.len()))
        }
        (None, None) => check.unknown("the certificate carries no attestation").fix(Fix::new(
            "ask the guest agent for a certificate with evidence: GetTlsKey with usage_ra_tls",
        )),
    }
}

fn app_id(check: &CheckDef, subject: &Subject<'_>, presented: &Presented) -> Finding {
    let stated: Vec<(usize, crate::Id20)> = presented.app_ids().collect();
    if stated.is_empty() {
        return check.not_applicable().observed("no certificate states an app id");
    }
    let lines: Vec<String> =
        stated.iter().map(|(index, id)| format!("certificate {index} states {id}")).collect();
    let Some(measured) = subject.system.app_id else {
        return check
            .unknown("the log has no readable app-id event before system-ready")
            .observed(list(&lines));
    };
    if stated.iter().all(|(_, id)| *id == measured) {
        return check.pass().observed(format!("app id {measured}"));
    }
    check.fail().observed(list(&lines)).expected(format!("{measured}, which the CVM measured")).fix(Fix::new(
        "do not trust the certificate: it was issued for another app than the one in its evidence",
    ))
}

fn key_provider(check: &CheckDef, subject: &Subject<'_>, presented: &Presented) -> Finding {
    let Some(measured) = &subject.system.key_provider else {
        return check.not_applicable().observed("the log has no readable key-provider event");
    };
    let usage = presented.leaf().and_then(|leaf| leaf.usage.as_deref());
    if measured.kind() != Some(KeyProviderKind::Kms) || !usage.is_some_and(|usage| usage.starts_with("app:"))
    {
        let usage = usage.unwrap_or("none");
        return check.not_applicable().observed(format!("key provider {:?}, usage {usage}", measured.name));
    }
    presented.issued_by_provider(check, &measured.id)
}
