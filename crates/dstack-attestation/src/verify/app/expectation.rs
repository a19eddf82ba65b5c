//! What a caller expects of an app.

use crate::event_log::KeyProviderKind;
use crate::report_data::ReportData;
use crate::{Digest32, Id20, hash};

/// What is expected of an app. What is not said is not required.
///
/// ```
/// use dstack_attestation::AppExpectation;
/// use dstack_attestation::event_log::KeyProviderKind;
///
/// let expectation = AppExpectation::new()
///     .compose("{\"manifest_version\":2,\"name\":\"demo\",\"runner\":\"docker-compose\"}")
///     .key_provider(KeyProviderKind::Kms);
/// assert!(expectation.compose_hash.is_some());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppExpectation {
    /// The bytes of the app-compose that was deployed, where they are at hand.
    pub compose: Option<Vec<u8>>,
    /// SHA-256 of the bytes of the app-compose that was deployed.
    pub compose_hash: Option<Digest32>,
    /// The app id.
    pub app_id: Option<Id20>,
    /// The instance id.
    pub instance_id: Option<Id20>,
    /// The kind of key provider.
    pub key_provider: Option<KeyProviderKind>,
    /// The key provider's id: the root CA public key of a KMS (DER), or the MRENCLAVE of a local provider.
    pub key_provider_id: Option<Vec<u8>>,
    /// The report data that was asked for.
    pub report_data: Option<ReportData>,
    /// Whether emulated evidence is let through with a warning. It proves nothing about any machine; this is for
    /// development and tests only.
    pub danger_accept_emulated: bool,
}

impl AppExpectation {
    /// Nothing in particular is expected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects the app-compose with exactly these bytes.
    #[must_use]
    pub fn compose(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.compose_hash = Some(hash::sha256(&[&bytes]));
        self.compose = Some(bytes);
        self
    }

    /// Expects the app-compose with this hash.
    #[must_use]
    pub fn compose_hash(mut self, hash: Digest32) -> Self {
        self.compose = None;
        self.compose_hash = Some(hash);
        self
    }

    /// Expects this app id.
    #[must_use]
    pub const fn app_id(mut self, id: Id20) -> Self {
        self.app_id = Some(id);
        self
    }

    /// Expects this instance.
    #[must_use]
    pub const fn instance_id(mut self, id: Id20) -> Self {
        self.instance_id = Some(id);
        self
    }

    /// Expects keys from a provider of this kind.
    #[must_use]
    pub const fn key_provider(mut self, kind: KeyProviderKind) -> Self {
        self.key_provider = Some(kind);
        self
    }

    /// Expects keys from the provider with this id.
    #[must_use]
    pub fn key_provider_id(mut self, id: impl Into<Vec<u8>>) -> Self {
        self.key_provider_id = Some(id.into());
        self
    }

    /// Expects a quote with this report data.
    #[must_use]
    pub const fn report_data(mut self, data: ReportData) -> Self {
        self.report_data = Some(data);
        self
    }

    /// Lets emulated evidence through with a warning. For development and tests only.
    #[must_use]
    pub const fn danger_accept_emulated(mut self, accept: bool) -> Self {
        self.danger_accept_emulated = accept;
        self
    }
}
