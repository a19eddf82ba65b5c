//! Is this KMS the one whose keys were made inside a genuine CVM?

mod bootstrap;
mod catalogue;
mod certificate;
mod env_key;
mod meta;
mod read;

use dstack_check::{CheckDef, Finding, Report};

pub use catalogue::KMS_CHECKS;

use super::certificate::Presented;
use super::cvm::{Part, Subject};
use super::{CvmEvidence, Verifier, quoted};
use crate::Id20;

use read::{Bootstrap, EnvKey, Meta};

/// What a KMS hands out about itself, as it was received. Nothing in here has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsEvidence {
    /// The JSON answer of `Onboard.Bootstrap`, or the content of `bootstrap-info.json`. Without one, `bootstrap_info`
    /// of [`KmsEvidence::meta`] is taken.
    pub bootstrap: Option<String>,
    /// The JSON answer of `KMS.GetMeta`.
    pub meta: Option<String>,
    /// The certificates (DER, the leaf first) that the KMS showed when it was asked over TLS.
    pub tls_chain: Vec<Vec<u8>>,
    /// The host name that the KMS's certificate must be for.
    pub domain: Option<String>,
    /// The k256 root public key that is registered for this KMS elsewhere, such as in its contract: 33 bytes.
    pub registered_k256: Option<Vec<u8>>,
    /// The root CA's public key that is registered for this KMS elsewhere: SubjectPublicKeyInfo in DER.
    pub registered_ca: Option<Vec<u8>>,
    /// The key to which the KMS has environments sealed.
    pub env_key: Option<EnvKeyEvidence>,
    /// What else is known about the CVM that made the keys, such as its guest agent's `Info`. Its quote and event log
    /// are replaced by those of the bootstrap's attestation.
    pub cvm: CvmEvidence,
}

/// The key to which the KMS has an app's environment sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvKeyEvidence {
    /// The app id that was asked about.
    pub app_id: Id20,
    /// The JSON answer of `KMS.GetAppEnvEncryptPubKey`.
    pub answer: String,
}

impl EnvKeyEvidence {
    /// The KMS's answer about this app.
    pub fn new(app_id: Id20, answer: impl Into<String>) -> Self {
        Self { app_id, answer: answer.into() }
    }
}

impl KmsEvidence {
    /// No evidence yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Verifier {
    /// Judges a KMS: its root keys, the CVM in which they were made, what it says about itself, and the certificate it
    /// shows.
    ///
    /// What was not given beyond the bootstrap is not judged: such findings are not applicable. The bootstrap itself is
    /// unknown without [`KmsEvidence::bootstrap`] and without the copy in [`KmsEvidence::meta`].
    pub fn kms(&self, name: impl Into<String>, evidence: &KmsEvidence) -> Report {
        let kms = Kms::read(evidence);
        let attested = match &kms.bootstrap {
            Some(Ok(bootstrap)) => bootstrap.attested.clone(),
            Some(Err(_)) | None => CvmEvidence::new(),
        };
        let cvm = quoted::in_context(attested, &evidence.cvm);
        self.cvm(name, &cvm, KMS_CHECKS, |check, subject| judge(check, &kms, subject))
    }
}

/// The evidence, read. `None` for what was not given.
struct Kms<'a> {
    evidence: &'a KmsEvidence,
    bootstrap: Option<Result<Bootstrap, String>>,
    /// Where the bootstrap was taken from, in words.
    bootstrap_source: &'static str,
    meta: Option<Result<Meta, String>>,
    /// The certificates that the KMS showed, the leaf first.
    chain: Part<Presented>,
    env_key: Option<Result<EnvKey, String>>,
}

impl<'a> Kms<'a> {
    fn read(evidence: &'a KmsEvidence) -> Self {
        let meta = evidence.meta.as_deref().map(Meta::read);
        let (bootstrap, bootstrap_source) = match (&evidence.bootstrap, &meta) {
            (Some(json), _) => (Some(Bootstrap::read(json)), "Onboard.Bootstrap"),
            (None, Some(Ok(meta))) => (meta.bootstrap_info.clone(), "GetMeta's bootstrap_info"),
            (None, Some(Err(_)) | None) => (None, "Onboard.Bootstrap"),
        };
        // GetMeta's CA certificate completes a chain that ends below it, unless its key is not the attested one.
        let ca = meta.as_ref().and_then(|meta| meta.as_ref().ok()?.ca.as_ref().ok());
        let attested = bootstrap.as_ref().and_then(|bootstrap| bootstrap.as_ref().ok());
        let ca = ca.filter(|ca| attested.is_none_or(|attested| attested.ca_pubkey == ca.public_key));
        let chain = Presented::read(&evidence.tls_chain, ca.map(|ca| ca.der.as_slice()));
        let env_key = evidence.env_key.as_ref().map(EnvKey::read);
        Self { evidence, bootstrap, bootstrap_source, meta, chain, env_key }
    }

    fn bootstrap(&self) -> Option<&Bootstrap> {
        self.bootstrap.as_ref().and_then(|read| read.as_ref().ok())
    }

    fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref().and_then(|read| read.as_ref().ok())
    }
}

/// Carries out a check of a KMS.
fn judge(check: &CheckDef, kms: &Kms<'_>, subject: &Subject<'_>) -> Finding {
    match check.id {
        "kms.bootstrap.readable" => bootstrap::readable(check, kms),
        "kms.bootstrap.curve" => bootstrap::curve(check, kms),
        "kms.bootstrap.key-match" => bootstrap::key_match(check, kms, subject),
        "kms.meta.readable" => meta::readable(check, kms),
        "kms.meta.keys" => meta::keys(check, kms),
        "kms.meta.bootstrap-info" => meta::bootstrap_info(check, kms),
        "kms.meta.production" => meta::production(check, kms),
        "kms.registered.keys" => bootstrap::registered(check, kms),
        "kms.certificate.readable" => certificate::readable(check, kms),
        "kms.certificate.root" => certificate::root(check, kms),
        "kms.certificate.validity" => certificate::validity(check, kms, subject),
        "kms.certificate.usage" => certificate::usage(check, kms),
        "kms.certificate.names" => certificate::names(check, kms),
        "kms.certificate.key-binding" => certificate::key_binding(check, kms),
        "kms.certificate.cvm" => certificate::cvm(check, kms, subject),
        "kms.env-key" => env_key::signature(check, kms, subject),
        _ => check.unknown("this version does not know how to carry the check out"),
    }
}
