//! The states of a VM.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// State of a VM, from the text of [`VmInfo::status`](crate::api::VmInfo::status).
///
/// It is made of three bits of the VMM, not stored as such: whether the VM is being removed, whether it should run, and
/// whether its process does.
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

impl VmStatus {
    /// The states this crate knows.
    pub const KNOWN: [Self; 5] = [Self::Running, Self::Exited, Self::Stopping, Self::Stopped, Self::Removing];

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Removing => "removing",
            Self::Other(text) => text,
        }
    }

    /// What it means, as a sentence without a full stop.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Running => "the VM's process runs; whether the app is up says its boot step",
            Self::Exited => {
                "the VM should run and its process does not: it crashed or is about to be started again"
            }
            Self::Stopping => "the VM was told to stop and its process still runs",
            Self::Stopped => "the VM does not run and nothing will start it but a call",
            Self::Removing => "the VM and its disk are being deleted; this cannot be undone",
            Self::Other(_) => "a state that is not known here",
        }
    }

    /// Whether the state may directly follow this one. Every pair with an unknown state may.
    ///
    /// A poll can miss states between, so that a pair that may not follow directly is no sign of an error.
    pub fn may_become(&self, next: &Self) -> bool {
        use VmStatus::{Exited, Other, Removing, Running, Stopped, Stopping};
        match (self, next) {
            (Other(_), _) | (_, Other(_)) => true,
            // Nothing leads out of a removal but the end.
            (Removing, _) => *next == Removing,
            (_, Removing) => true,
            (Running, Running | Exited | Stopping | Stopped) => true,
            // Its process is gone: it starts again, or is told not to.
            (Exited, Exited | Running | Stopped) => true,
            (Exited, Stopping) => false,
            // StartVm while the process still ends makes it running again.
            (Stopping, Stopping | Stopped | Running | Exited) => true,
            // A start sets the flag before there is a process.
            (Stopped, Stopped | Exited | Running) => true,
            (Stopped, Stopping) => false,
        }
    }

    /// Whether resources and image can be changed in this state.
    pub fn allows_resize(&self) -> bool {
        matches!(self, Self::Stopped | Self::Exited)
    }
}

impl fmt::Display for VmStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&str> for VmStatus {
    fn from(text: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|status| status.as_str() == text)
            .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl FromStr for VmStatus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_and_write() {
        for status in VmStatus::KNOWN {
            assert_eq!(VmStatus::from(status.as_str()), status);
        }
        assert_eq!(VmStatus::from("paused"), VmStatus::Other("paused".to_owned()));
        assert_eq!(format!("{:>9}|", VmStatus::Running), "  running|");
    }

    #[test]
    fn transitions() {
        let mut table = String::from("from \\ to ");
        for next in &VmStatus::KNOWN {
            table.push_str(&format!(" {next:<9}"));
        }
        for from in &VmStatus::KNOWN {
            table.push_str(&format!("\n{from:<10}"));
            for next in &VmStatus::KNOWN {
                table.push_str(if from.may_become(next) { " yes      " } else { " -        " });
            }
        }
        insta::assert_snapshot!(table);
        assert!(VmStatus::Removing.may_become(&VmStatus::Other("paused".to_owned())));
    }
}
