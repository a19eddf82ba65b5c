//! Checks of the certificate that the KMS shows over TLS.

use dstack_check::{CheckDef, Finding, Fix, Status};

use super::Kms;
use crate::quote::TdxQuote;
use crate::verify::certificate::{Presented, carried};
use crate::verify::cvm::{Part, Subject};
use crate::verify::quoted;

/// The special usage that guests require of a KMS's certificate (upstream `kms/src/main_service.rs`).
const RPC_USAGE: &str = "kms:rpc";

/// Runs a check of the certificates, where some were given.
fn on_chain(check: &CheckDef, kms: &Kms<'_>, judge: impl FnOnce(&Presented) -> Finding) -> Finding {
    match &kms.chain {
        Part::Absent => check.not_applicable().observed("no TLS certificate of the KMS was given"),
        Part::Unreadable(why) if check.id == "kms.certificate.readable" => check.unknown(why),
        Part::Unreadable(_) => check.skipped("kms.certificate.readable"),
        Part::Read(presented) => judge(presented),
    }
}

pub(super) fn readable(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_chain(check, kms, |presented| presented.readable(check))
}

pub(super) fn root(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_chain(check, kms, |presented| {
        let (source, key) = match (kms.bootstrap(), kms.meta().and_then(|meta| meta.ca.as_ref().ok())) {
            (Some(bootstrap), _) => ("the root CA key of the bootstrap", bootstrap.ca_pubkey.as_slice()),
            (None, Some(ca)) => ("the root CA that GetMeta names", ca.public_key.as_slice()),
            (None, None) => {
                return check.unknown(
                    "neither the bootstrap nor GetMeta's answer was given to hold the certificate against",
                );
            }
        };
        let held = presented.chain_holds(check);
        if held.status != Status::Pass {
            return held;
        }
        let mut finding = presented.rooted(check, &[key]);
        finding.trusting = vec![source.to_owned()];
        finding
    })
}

pub(super) fn validity(check: &CheckDef, kms: &Kms<'_>, subject: &Subject<'_>) -> Finding {
    on_chain(check, kms, |presented| presented.valid_at(check, subject.verifier.now()))
}

pub(super) fn usage(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_chain(check, kms, |presented| presented.usable(check, Some(RPC_USAGE)))
}

pub(super) fn names(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_chain(check, kms, |presented| presented.named(check, kms.evidence.domain.as_deref()))
}

pub(super) fn key_binding(check: &CheckDef, kms: &Kms<'_>) -> Finding {
    on_chain(check, kms, |presented| {
        let Some(leaf) = presented.leaf() else { return check.unknown("there is no certificate") };
        if !leaf.has_evidence() {
            return check.unknown("the certificate carries no attestation").fix(Fix::new(
                "set core.attest_rpc_cert in kms.toml, so that everybody can see that the KMS's TLS key is inside its CVM",
            ));
        }
        if let Some(Err(error)) = leaf.attestation() {
            return check.unknown(format!("the attestation in the certificate cannot be read: {error}"));
        }
        let quote = Part::of(carried(leaf).quote.as_deref().map(TdxQuote::parse));
        presented.key_bound(check, &quote)
    })
}

pub(super) fn cvm(check: &CheckDef, kms: &Kms<'_>, subject: &Subject<'_>) -> Finding {
    on_chain(check, kms, |presented| {
        let Some(leaf) = presented.leaf() else { return check.unknown("there is no certificate") };
        let evidence = quoted::in_context(carried(leaf), &kms.evidence.cvm);
        quoted::summary(check, &subject.verifier.app("the KMS's TLS certificate", &evidence))
    })
}
