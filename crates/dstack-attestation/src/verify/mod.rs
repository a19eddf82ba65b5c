//! From evidence and a policy to findings.

mod certificate;
mod compose;
mod conclude;
mod cvm;
mod gateway;
mod image;
mod ingress;
mod kms;
mod quote;
mod quoted;

use std::time::SystemTime;

pub use certificate::{CERTIFICATE_CHECKS, CertificateEvidence};
pub use compose::{COMPOSE_CHECKS, ComposeClaim};
pub use cvm::{CvmEvidence, EvidenceError, cvm_checks};
pub use gateway::{GATEWAY_CHECKS, GatewayEvidence};
pub use image::{IMAGE_CHECKS, ImageClaim};
pub use ingress::{INGRESS_CHECKS, IngressEvidence};
pub use kms::{EnvKeyEvidence, KMS_CHECKS, KmsEvidence};

use crate::Policy;
use crate::quote::Collateral;
use crate::quote::verify::TrustRoot;

/// Holds evidence against a policy, at a time, with collateral.
///
/// Nothing here asks anybody: evidence, collateral and time are given. Every method answers with a report in which each
/// check of its catalogue has a finding. What cannot be read, or was not given, is unknown and neither passes nor fails;
/// a check that stands on one that did not pass is skipped.
///
/// Emulated evidence fails, or warns where [`Policy::danger_accept_emulated`] is set; the report's `evidence` meta value
/// then says `EMULATED`.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(crate) policy: Policy,
    pub(crate) now: SystemTime,
    pub(crate) collateral: Vec<Collateral>,
    pub(crate) root: TrustRoot,
}

impl Verifier {
    /// A verifier that judges as of `now`, so far without collateral: with it alone no quote is found genuine.
    pub const fn new(policy: Policy, now: SystemTime) -> Self {
        Self { policy, now, collateral: Vec::new(), root: TrustRoot::intel() }
    }

    /// Adds collateral. Of several, the one for a quote's platform is taken, the latest first.
    #[must_use]
    pub fn collateral(mut self, collateral: Collateral) -> Self {
        self.collateral.push(collateral);
        self
    }

    /// Trusts another root CA than Intel's.
    #[must_use]
    pub fn danger_root(mut self, root: TrustRoot) -> Self {
        self.root = root;
        self
    }

    /// What is required.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The time as of which evidence is judged.
    pub const fn now(&self) -> SystemTime {
        self.now
    }
}
