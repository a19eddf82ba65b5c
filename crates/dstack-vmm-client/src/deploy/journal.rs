//! The note that a run leaves before each step, so that the next run knows where a broken one was.

use serde::{Deserialize, Serialize};

use super::history::EnvRecord;
use crate::app_compose::ComposeHash;

/// What the `schema` field of a journal says.
pub const SCHEMA: &str = "dstack-vmm-client/journal/v1";

/// What a run had done and was about to do. There is none when the last run came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Journal {
    pub(crate) schema: String,
    /// Id of the run, random.
    pub run: String,
    /// Name of the host.
    pub host: String,
    /// When the run began, in seconds since the Unix epoch.
    pub started_at: u64,
    /// The step that was about to be done, in words.
    pub step: String,
    /// Name of the VM.
    pub name: String,
    /// Compose hash that was being applied.
    pub hash: ComposeHash,
    /// App id, 40 hex digits.
    pub app_id: String,
    /// Id of the VM, once it is known.
    #[serde(default)]
    pub vm_id: Option<String>,
    /// Set before a VM is made: the ids of the VMs of this name that were there before. One that is there later and is not
    /// among them is the one this run made.
    #[serde(default)]
    pub known_ids: Option<Vec<String>>,
    /// The environment that was being set.
    #[serde(default)]
    pub env: Option<EnvRecord>,
    /// The VM runs, or may run, with what was there before and has to be started anew.
    #[serde(default)]
    pub restart_due: bool,
}
