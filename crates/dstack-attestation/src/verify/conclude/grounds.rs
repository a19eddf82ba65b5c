//! Which findings answer which question of a reader.

use crate::Aspect;

/// What the answer to one question rests on. Ids that a report does not have are left aside, so that one table serves
/// reports about apps, certificates, KMSs and ingresses.
pub(super) struct Grounds {
    pub(super) aspect: Aspect,
    /// Every one of these must have passed. "Not applicable" is not enough.
    pub(super) each: &'static [&'static str],
    /// One of these must have passed. Where all do not apply, nothing was asked, and nothing is shown.
    pub(super) any: &'static [&'static str],
    /// A pass of one of these stands in for `any`, with reserve.
    pub(super) weak: &'static [&'static str],
    /// A failure of these refutes, a warning gives reserve; anything else says nothing.
    pub(super) objections: &'static [&'static str],
    /// A failure of these refutes where the question is not answered otherwise.
    pub(super) betrayals: &'static [&'static str],
}

const QUOTE: &[&str] = &[
    "quote.present",
    "quote.readable",
    "quote.collateral",
    "quote.collateral-age",
    "quote.advisories",
    "quote.tcb-recovery",
    "quote.attributes",
    "quote.service-td",
];

const LOG: &[&str] = &[
    "eventlog.readable",
    "eventlog.digests",
    "eventlog.order",
    "eventlog.boot-complete",
    "eventlog.attestation",
    "app.mrconfigid.compose",
];

/// What ties the subject of a report to the CVM behind its evidence: a key, a certificate, a directory.
pub(super) const BINDINGS: &[&str] =
    &["cert.key-binding", "kms.bootstrap.key-match", "ingress.quote-binding", "gateway.evidence.binding"];

/// What a subject's identity cannot do without: a list of files binds nothing where it cannot be read, or was not held
/// against the files.
const BOUND: &[&str] = &[
    "cert.key-binding",
    "kms.bootstrap.key-match",
    "ingress.quote-binding",
    "ingress.checksums",
    "ingress.certificate",
    "gateway.evidence.binding",
];

/// The table, in the order in which reports have the conclusions.
pub(super) const GROUNDS: &[Grounds] = &[
    Grounds {
        aspect: Aspect::Hardware,
        each: &["quote.signature", "quote.tcb-status", "quote.debug", "quote.module-signer"],
        any: &[],
        weak: &[],
        objections: QUOTE,
        betrayals: &[],
    },
    Grounds {
        aspect: Aspect::Os,
        each: &[],
        any: &["os.measurements", "os.mr-system", "os.mr-aggregated"],
        // The measured hash is the word of the KMS, which is not a measurement of the image.
        weak: &["os.image-hash"],
        objections: &["os.image-hash", "os.vm-config"],
        betrayals: &[],
    },
    Grounds {
        aspect: Aspect::Code,
        each: &["eventlog.replay-rtmr3"],
        any: &["app.compose.deployed", "os.mr-aggregated"],
        weak: &[],
        objections: LOG,
        betrayals: &["app.compose.hash"],
    },
    Grounds {
        aspect: Aspect::Identity,
        each: BOUND,
        any: &["app.id.app-id", "app.id.instance-id", "app.id.device-id", "app.key-provider"],
        weak: &[],
        objections: &[
            "eventlog.replay-rtmr3",
            "eventlog.digests",
            "eventlog.order",
            "eventlog.boot-complete",
            "eventlog.attestation",
            "cert.readable",
            "cert.attestation",
            "cert.chain",
            "cert.root",
            "cert.validity",
            "cert.usage",
            "cert.app-id",
            "cert.names",
            "cert.key-provider",
            "kms.bootstrap.readable",
            "kms.bootstrap.curve",
            "kms.meta.keys",
            "kms.meta.bootstrap-info",
            "kms.registered.keys",
            "kms.certificate.key-binding",
            "kms.certificate.root",
            "kms.certificate.validity",
            "kms.certificate.usage",
            "kms.certificate.names",
            "kms.certificate.cvm",
            "kms.env-key",
            "ingress.live",
            "ingress.validity",
            "ingress.account",
        ],
        betrayals: &[],
    },
    Grounds {
        aspect: Aspect::Freshness,
        each: &[],
        any: &["quote.report-data", "policy.freshness"],
        weak: &[],
        objections: &[],
        betrayals: &[],
    },
    Grounds {
        aspect: Aspect::Operator,
        // Without the text of the app-compose there is only half an answer.
        each: &["eventlog.replay-rtmr3", "operator.environment"],
        any: &[
            "operator.environment",
            "operator.upgrades",
            "operator.logs",
            "operator.clock",
            "operator.pre-launch",
            "operator.images",
        ],
        weak: &[],
        objections: &[
            // What was measured is taken from the log: one that contradicts itself answers nothing.
            "eventlog.readable",
            "eventlog.digests",
            "eventlog.order",
            "eventlog.attestation",
            // A KMS that asks nobody gives its keys to whom the operator likes.
            "kms.meta.production",
            "operator.environment",
            "operator.upgrades",
            "operator.logs",
            "operator.clock",
            "operator.pre-launch",
            "operator.images",
        ],
        betrayals: &[],
    },
];
