//! What a caller requires of evidence.

mod aspect;
mod file;
mod tcb;

use std::collections::BTreeSet;
use std::time::Duration;

pub use aspect::Aspect;
pub use file::{NamedFile, PolicyFile, PolicyFileError, PolicyProblem};
pub use tcb::{TcbPolicy, TcbStatus};

use crate::event_log::KeyProviderKind;
use crate::known_good::KnownGood;
use crate::report_data::ReportData;
use crate::{Digest32, Id20, hash};

/// A key provider that a policy allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProviderRule {
    /// The kind of provider.
    pub kind: KeyProviderKind,
    /// Its id: the root CA public key of a KMS (SubjectPublicKeyInfo in DER), or the MRENCLAVE of a local provider.
    /// `None` allows every provider of the kind.
    pub id: Option<Vec<u8>>,
}

/// What is required of a CVM and of the evidence about it. What is not said is not required, except for what
/// [`TcbPolicy`] requires from the start.
///
/// A set that is empty allows everything; else the value must be one of the set. A policy is written in Rust, or read
/// from TOML with [`Policy::from_toml`]. Emulated evidence can be let through in Rust only, so that no file does it
/// unseen.
///
/// ```
/// use dstack_attestation::Policy;
/// use dstack_attestation::event_log::KeyProviderKind;
///
/// let policy = Policy::new()
///     .compose("{\"manifest_version\":2,\"name\":\"demo\",\"runner\":\"docker-compose\"}")
///     .key_provider(KeyProviderKind::Kms, None);
/// assert_eq!(policy.compose_hashes.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// SHA-256 of the bytes of the app-composes that may run.
    pub compose_hashes: BTreeSet<Digest32>,
    /// The bytes of such app-composes, where they are at hand, to tell why a hash differs. Their hashes are in
    /// [`Policy::compose_hashes`].
    pub composes: Vec<Vec<u8>>,
    /// App ids.
    pub app_ids: BTreeSet<Id20>,
    /// Instance ids.
    pub instance_ids: BTreeSet<Id20>,
    /// Device ids: SHA-256 of a platform's PPID.
    pub device_ids: BTreeSet<Digest32>,
    /// OS image hashes: SHA-256 of an image's `sha256sum.txt`.
    pub os_images: BTreeSet<Digest32>,
    /// MRTD and RTMR0 to RTMR2 of images in certain VM shapes.
    pub known_good: Vec<KnownGood>,
    /// Aggregated measurements, by which the KMS contract lists KMS instances.
    pub mr_aggregated: BTreeSet<Digest32>,
    /// System measurements: an OS image in a VM shape, with its key provider.
    pub mr_system: BTreeSet<Digest32>,
    /// Key providers.
    pub key_providers: Vec<KeyProviderRule>,
    /// What the platform's TCB must be.
    pub tcb: TcbPolicy,
    /// The 64 bytes that a quote must carry, by which it answers a challenge.
    pub report_data: Option<ReportData>,
    /// How old collateral may be, by the issue date of its TCB info.
    pub max_collateral_age: Option<Duration>,
    /// How old the evidence may be, by the time at which it was collected as its bearer says
    /// ([`CvmEvidence::obtained_at`](crate::CvmEvidence::obtained_at)); of a KMS's env key, by the time that is signed
    /// with it. A certificate's start of validity does not count: dstack's say 1975.
    pub max_evidence_age: Option<Duration>,
    /// What must be shown for the answer to be yes. Empty for what the kind of subject requires at the least.
    pub require: BTreeSet<Aspect>,
    /// Whether emulated evidence is let through with a warning. It proves nothing about any machine; this is for
    /// development and tests only.
    pub danger_accept_emulated: bool,
}

impl Policy {
    /// Nothing in particular is required, except an up-to-date TCB.
    pub fn new() -> Self {
        Self::default()
    }

    /// A policy file to begin with: every key with a comment, nothing required but what is required anyway.
    pub const TEMPLATE: &str = include_str!("file/template.toml");

    /// Reads a policy from TOML, see the
    /// [guide](https://github.com/dstack-toolkit/dstack-toolkit/blob/main/docs/guides/verification-policy.md).
    ///
    /// Nothing else is read: a policy that names files (`compose_files`, `known_good_files`) is refused here, see
    /// [`PolicyFile`].
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`], with everything that is wrong, each with line and column.
    ///
    /// ```
    /// use dstack_attestation::Policy;
    ///
    /// let policy = Policy::from_toml("version = 1\n[hardware]\nmax_collateral_age = \"30d\"\n")?;
    /// assert_eq!(policy.max_collateral_age.map(|age| age.as_secs()), Some(30 * 86_400));
    /// assert_eq!(Policy::from_toml(&policy.to_toml())?, policy);
    /// # Ok::<(), dstack_attestation::PolicyFileError>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, PolicyFileError> {
        file::policy(text)
    }

    /// The policy as TOML, which [`Policy::from_toml`] reads.
    ///
    /// A file cannot say everything: the bytes in [`Policy::composes`] are left out (their hashes are there), so are
    /// [`Policy::danger_accept_emulated`], parts of a second, and an acceptance of [`TcbStatus::Revoked`], which nothing
    /// heeds. Names are cut to 256 bytes. A key provider's id that no file may have, such as a KMS's that is no public
    /// key, is written and then refused on reading.
    pub fn to_toml(&self) -> String {
        file::to_toml(self)
    }

    /// Allows the app-compose with exactly these bytes.
    #[must_use]
    pub fn compose(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.compose_hashes.insert(hash::sha256(&[&bytes]));
        self.composes.push(bytes);
        self
    }

    /// Allows the app-compose with this hash.
    #[must_use]
    pub fn compose_hash(mut self, hash: Digest32) -> Self {
        self.compose_hashes.insert(hash);
        self
    }

    /// Allows this app id.
    #[must_use]
    pub fn app_id(mut self, id: Id20) -> Self {
        self.app_ids.insert(id);
        self
    }

    /// Allows this instance.
    #[must_use]
    pub fn instance_id(mut self, id: Id20) -> Self {
        self.instance_ids.insert(id);
        self
    }

    /// Allows the OS image with this hash.
    #[must_use]
    pub fn os_image(mut self, hash: Digest32) -> Self {
        self.os_images.insert(hash);
        self
    }

    /// Allows these measurements of the OS.
    #[must_use]
    pub fn known_good(mut self, values: KnownGood) -> Self {
        self.known_good.push(values);
        self
    }

    /// Allows keys from this provider, or from every provider of the kind.
    #[must_use]
    pub fn key_provider(mut self, kind: KeyProviderKind, id: Option<Vec<u8>>) -> Self {
        self.key_providers.push(KeyProviderRule { kind, id });
        self
    }

    /// Requires a quote with this report data.
    #[must_use]
    pub const fn report_data(mut self, data: ReportData) -> Self {
        self.report_data = Some(data);
        self
    }

    /// Says what the platform's TCB must be.
    #[must_use]
    pub fn tcb(mut self, tcb: TcbPolicy) -> Self {
        self.tcb = tcb;
        self
    }

    /// Requires that this is shown.
    #[must_use]
    pub fn require(mut self, aspect: Aspect) -> Self {
        self.require.insert(aspect);
        self
    }

    /// Lets emulated evidence through with a warning. For development and tests only.
    #[must_use]
    pub const fn danger_accept_emulated(mut self, accept: bool) -> Self {
        self.danger_accept_emulated = accept;
        self
    }
}
