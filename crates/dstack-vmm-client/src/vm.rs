//! What the texts of a VM's life mean.

use std::fmt;

/// State of a VM, from the text of [`VmInfo::status`](crate::api::VmInfo::status).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VmStatus {
    /// It is started and its process runs.
    Running,
    /// It is started and its process does not run: it crashed, or is about to start. The VMM restarts it.
    Exited,
    /// It is not started and its process still runs.
    Stopping,
    /// It is not started and has no process.
    Stopped,
    /// It is being removed.
    Removing,
    /// A state this crate does not know.
    Other(String),
}
