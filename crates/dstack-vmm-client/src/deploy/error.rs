//! Why a plan was not made or not carried out.

use dstack_check::{Finding, Hint, Hinted};

use super::authorize::AuthorizeError;
use super::plan::Plan;
use super::store::StoreError;
use crate::client::WaitError;
use crate::env::{SealError, SignatureError};

/// Why a plan was not made or not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The VMM could not be asked, or refused.
    #[error("cannot {action}")]
    Vmm {
        /// What was tried, in a few words.
        action: &'static str,
        /// Why not.
        #[source]
        source: crate::Error,
    },
    /// The directory of kept versions could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The policy could not be asked or changed.
    #[error("cannot {action} in {policy}")]
    Policy {
        /// What was tried.
        action: &'static str,
        /// The policy.
        policy: String,
        /// Why not.
        #[source]
        source: AuthorizeError,
    },
    /// The app id of the VM is no app id, so that neither key nor policy can be asked about it.
    #[error("the VMM gives {app_id:?} as the app id of VM {vm_id}")]
    AppId {
        /// Id of the VM.
        vm_id: String,
        /// The text.
        app_id: String,
    },
    /// Something stands in the way. Nothing was done.
    #[error("{}", summary(.findings))]
    Blocked {
        /// What.
        findings: Vec<Finding>,
    },
    /// What runs is no longer what the plan was made for. Nothing was done.
    #[error("the plan no longer fits what runs on {host}")]
    Outdated {
        /// Name of the host.
        host: String,
        /// The plan as it would be now.
        now: Box<Plan>,
    },
    /// The key for the environment is not trusted. Nothing was sealed.
    #[error("the key for the environment of app {app_id} is not trusted")]
    Untrusted {
        /// App id.
        app_id: String,
        /// Why not.
        #[source]
        source: SignatureError,
    },
    /// The environment could not be sealed.
    #[error("the environment cannot be sealed")]
    Seal(#[source] SealError),
    /// The reply to `CreateVm` was lost, and several VMs may be the one it made.
    #[error("the reply to CreateVm was lost, and it is not known which of these VMs it made: {}", .ids.join(", "))]
    Ambiguous {
        /// Their ids.
        ids: Vec<String>,
        /// How the reply was lost.
        #[source]
        source: Box<crate::Error>,
    },
    /// The update failed in the middle: the VMM keeps what it had changed by then.
    #[error("VM {vm_id} was changed in part only: {} changed, {} did not", list(.done), list(.missing))]
    HalfDone {
        /// Id of the VM.
        vm_id: String,
        /// What was changed.
        done: Vec<&'static str>,
        /// What was not.
        missing: Vec<&'static str>,
        /// The VMM's reason.
        #[source]
        source: Box<crate::Error>,
    },
    /// The VMM said that all was well and did not make every change.
    #[error("VM {vm_id} was changed without an error, yet these are not as they should be: {}", .fields.join(", "))]
    Dropped {
        /// Id of the VM.
        vm_id: String,
        /// What is not as it should be.
        fields: Vec<&'static str>,
    },
    /// The VM did not stop or the app did not come up.
    #[error("the change of VM {vm_id} was made, but it is not {wanted}")]
    Wait {
        /// Id of the VM.
        vm_id: String,
        /// What was waited for.
        wanted: &'static str,
        /// What came instead.
        #[source]
        source: Box<WaitError>,
    },
    /// The VM is gone.
    #[error("VM {vm_id} is no longer there")]
    Gone {
        /// Its id.
        vm_id: String,
    },
}

impl DeployError {
    /// Whether somebody has to decide something first: what runs or is allowed is not what was expected. Binaries end with
    /// the exit code for conflicts then.
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Blocked { .. }
                | Self::Outdated { .. }
                | Self::Ambiguous { .. }
                | Self::Store(StoreError::Busy { .. })
        )
    }
}

impl Hinted for DeployError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Vmm { source, .. } => source.hint(),
            Self::Untrusted { source, .. } => source.hint(),
            Self::Wait { source, .. } => source.hint(),
            Self::HalfDone { source, .. } => source.hint(),
            Self::Blocked { findings } => {
                findings.iter().find_map(|finding| finding.fix.as_ref()).map(Hint::from)
            }
            Self::Outdated { .. } => {
                Some(Hint::from("plan again, look at what changed, and apply that plan"))
            }
            Self::Ambiguous { .. } => Some(Hint::from(
                "look at the VMs, remove those that are not wanted, and name the one to go on with",
            )),
            Self::Dropped { .. } => {
                Some(Hint::from("apply again; when it stays so, the VMM does not know these settings"))
            }
            Self::Store(StoreError::Busy { .. }) => Some(Hint::from("wait for the other run to end")),
            Self::Store(StoreError::Journal { .. }) => Some(Hint::from(
                "a run was broken off and its note is damaged: look which VMs are there, then delete the note",
            )),
            Self::Policy { source: AuthorizeError::File(file), .. }
                if file.source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Some(Hint::from(
                    "the allow-list belongs to the host's administrator: run where it can be written, or set kind = \"none\" in [authorization] and have the hash allowed there",
                ))
            }
            Self::Policy { .. } | Self::Store(_) | Self::AppId { .. } | Self::Seal(_) | Self::Gone { .. } => {
                None
            }
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let texts: Vec<&str> =
        findings.iter().map(|finding| finding.observed.as_deref().unwrap_or(&finding.title)).collect();
    texts.join("; ")
}

fn list(fields: &[&str]) -> String {
    if fields.is_empty() { "nothing".to_owned() } else { fields.join(", ") }
}
