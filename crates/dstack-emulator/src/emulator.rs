//! The emulator as a value: asked while it runs, and stopped when it is dropped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dstack_vmm_client::DstackVersion;
use tokio::task::JoinHandle;

use crate::agent::GuestAgent;
use crate::boot::BootProfile;
use crate::builder::Builder;
use crate::clock::Clock;
use crate::discovery::Discoverable;
use crate::fault::Faults;
use crate::kms::Kms;
use crate::store::{CHANNELS, Store};
use crate::vmm::{Node, Served};

/// A running emulator. Dropping it closes its listeners and ends its guests; what is on disk stays.
///
/// ```
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// use dstack_emulator::Emulator;
///
/// let emulator = Emulator::builder().start().await?;
/// assert!(emulator.endpoint().starts_with("unix:/"));
/// # Ok::<(), dstack_emulator::StartError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Emulator {
    pub(crate) discoverable: Option<Discoverable>,
    pub(crate) served: Vec<Served>,
    pub(crate) time: JoinHandle<()>,
    pub(crate) faults: Faults,
    pub(crate) node: Arc<Node>,
    pub(crate) temporary: Option<tempfile::TempDir>,
}

impl Emulator {
    /// What an emulator is made of, with the defaults.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The first address it listens on, as clients take it: `unix:/path` or `http://host:port`.
    pub fn endpoint(&self) -> &str {
        self.served.first().map(|served| served.endpoint.as_str()).unwrap_or_default()
    }

    /// All addresses it listens on, in the order in which they were asked for.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.served.iter().map(|served| served.endpoint.as_str())
    }

    /// The version of dstack it plays.
    pub fn version(&self) -> DstackVersion {
        self.node.version
    }

    /// The directory of the VMs.
    pub fn run_dir(&self) -> &Path {
        self.node.store.root()
    }

    /// The directory of one VM: its files, its logs, and while its guest is up the sockets of its app.
    pub fn vm_dir(&self, id: &str) -> PathBuf {
        self.node.store.vm_dir(id)
    }

    /// The faults in force; add to them at any time.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.node.clock
    }

    /// The built-in KMS.
    pub fn kms(&self) -> &Kms {
        &self.node.kms
    }

    /// The guest agent of a VM, while it is up.
    pub fn agent(&self, id: &str) -> Option<GuestAgent> {
        self.node.agent(id)
    }

    /// Changes how guests boot from now on.
    pub fn set_boot(&self, profile: BootProfile) {
        self.node.profiles.lock().unwrap_or_else(PoisonError::into_inner).default = profile;
    }

    /// Changes how the guests of VMs with this name boot from now on.
    pub fn set_boot_named(&self, name: impl Into<String>, profile: BootProfile) {
        let mut profiles = self.node.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.by_name.insert(name.into(), profile);
    }

    /// Ends the process of a VM as a crash does. Nothing happens where none runs.
    pub fn crash(&self, id: &str, exit_code: i32) {
        self.node.crash(id, exit_code);
    }

    /// Appends a line to a log of a VM, `serial`, `stdout` or `stderr`, with the rotation of the version.
    ///
    /// # Errors
    /// When there is no such VM or channel, or the file cannot be written.
    pub fn append_log(&self, id: &str, channel: &str, line: &str) -> io::Result<()> {
        if !CHANNELS.contains(&channel) || !Store::is_vm_id(id) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let line = format!("{line}\n");
        self.node.store.append_log(id, channel, line.as_bytes(), self.node.rotation())
    }

    /// Moves a manual clock and lets everything happen that is due by then.
    pub fn advance(&self, time: Duration) {
        self.node.clock.advance(time);
        drop(self.node.settled());
    }

    /// Stops the emulator. Dropping it does the same; this says so.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // First nobody finds it and nobody can call any more, then time stops, then the guests end.
        drop(self.discoverable.take());
        self.served.clear();
        self.time.abort();
        self.node.end();
        drop(self.temporary.take());
    }
}
