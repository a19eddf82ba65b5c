//! What the app finds in its environment: opened at boot with the key that the KMS gave.

use dstack_attestation::event_log::KeyProviderKind;
use dstack_vmm_client::env::{self, Environment};

use super::compose::GuestCompose;
use super::{AgentError, GuestAgent, GuestSpec};
use crate::kms::Kms;

impl GuestAgent {
    /// The environment of the app: what was sealed to it, without the names that `allowed_envs` of the app-compose leaves
    /// out.
    pub fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// Why the guest would not take its environment, without booting it.
    ///
    /// # Errors
    ///
    /// [`AgentError::Environment`], or [`AgentError::Compose`] where the app-compose cannot be read.
    pub(crate) fn check_environment(spec: &GuestSpec, kms: &Kms) -> Result<(), AgentError> {
        let compose = GuestCompose::read(&spec.compose)?;
        open(spec, &compose, spec.measured_app_id(&compose).as_ref(), kms).map(|_| ())
    }
}

/// Opens the environment of a guest and keeps what its app-compose allows.
///
/// Only a KMS gives a key for it; a guest with another provider of keys has none to open it with, and goes without.
pub(super) fn open(
    spec: &GuestSpec,
    compose: &GuestCompose,
    app_id: &[u8],
    kms: &Kms,
) -> Result<Environment, AgentError> {
    let mut kept = Environment::new();
    if spec.encrypted_env.is_empty() || compose.key_provider != KeyProviderKind::Kms {
        return Ok(kept);
    }
    let opened = env::open(&kms.env_secret(app_id)?, &spec.encrypted_env)
        .map_err(|error| AgentError::Environment(error.to_string()))?;
    env::check_limits(&opened).map_err(|error| AgentError::Environment(error.to_string()))?;
    for var in opened.iter().filter(|var| compose.allowed_envs.iter().any(|name| name == var.name())) {
        kept.insert(var.clone());
    }
    Ok(kept)
}
