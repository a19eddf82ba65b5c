//! From an error of a deployment to an exit code with hints.

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::client::WaitError;
use dstack_vmm_client::deploy::DeployError;

use crate::failure::kind_of;

/// A conflict is 4, what cannot be reached or is not permitted 3, what the host or the guest says no to 1.
pub(crate) fn from_deploy(error: DeployError) -> CliError {
    let kind = match &error {
        conflict if conflict.is_conflict() => ExitCode::Conflict,
        DeployError::Vmm { source, .. } => kind_of(source),
        DeployError::HalfDone { source, .. } => kind_of(source),
        DeployError::Wait { source, .. } if matches!(**source, WaitError::Call { .. }) => {
            ExitCode::Unreachable
        }
        DeployError::Store(_) | DeployError::Policy { .. } => ExitCode::Unreachable,
        DeployError::Seal(_) => ExitCode::Usage,
        DeployError::Gone { .. } => ExitCode::Conflict,
        _ => ExitCode::No,
    };
    let more = match &error {
        DeployError::Wait { vm_id, .. } => Some(format!("`dstack-vmmctl logs {vm_id}` shows its serial log")),
        DeployError::Untrusted { .. } => Some(
            "the project file pins signers with `signers` in [kms]; `dstack-vmmctl env key` shows who signs"
                .to_owned(),
        ),
        _ => None,
    };
    let error = CliError::hinted(kind, error);
    match more {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
