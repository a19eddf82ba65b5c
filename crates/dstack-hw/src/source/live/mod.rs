//! The host this runs on.

mod catalogue;
mod command;
mod journal;
mod kmsg;
mod kvm;
mod msr;

use std::path::Path;

use super::files::Files;
use super::{
    CpuidRegisters, DiskSpace, FileMeta, HostSource, KvmCapabilities, Origin, Probe, ProbeOutput,
    RawKernelLog,
};
use crate::{Reading, Unread};

/// The host this runs on, now. Linux only.
///
/// Nothing it does changes the host: no module is loaded, no package is installed, and the commands it runs are those
/// of [`Probe`], found in the system's own folders and run with an empty environment. It never waits for a file: pipes
/// and devices are not opened, and what would wait is [`Unread::Failed`].
///
/// ```no_run
/// use dstack_hw::source::LiveHost;
/// use dstack_hw::{CollectOptions, HostFacts};
///
/// let facts = HostFacts::collect(&LiveHost::new(), CollectOptions::quick());
/// # let _ = facts;
/// ```
#[derive(Debug)]
pub struct LiveHost {
    files: Files,
}

impl LiveHost {
    /// This host.
    pub const fn new() -> Self {
        Self { files: Files::host() }
    }

    /// A folder taken for the file system of a host, such as a mounted disk.
    ///
    /// Links in it are resolved inside it, whatever they say, and nothing outside of it is read. It is not this
    /// machine, so CPUID, registers, KVM, the kernel log and commands are [`Unread::NotRecorded`]. So is what is below
    /// `/proc`, `/sys`, `/dev` and `/run` where the tree has nothing there: the kernel that fills them is not running.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be opened.
    pub fn at(root: impl AsRef<Path>) -> std::io::Result<Self> {
        Ok(Self { files: Files::at(root.as_ref())? })
    }

    /// Asks this machine, unless another one's files are looked at.
    fn of_this_machine<T>(&self, ask: impl FnOnce() -> Reading<T>) -> Reading<T> {
        if self.files.is_tree() { Err(Unread::NotRecorded) } else { ask() }
    }
}

impl Default for LiveHost {
    fn default() -> Self {
        Self::new()
    }
}

impl HostSource for LiveHost {
    fn origin(&self) -> Origin {
        if self.files.is_tree() { Origin::Tree } else { Origin::Live }
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        self.of_this_machine(|| super::cpuid::native(leaf, subleaf))
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        self.of_this_machine(|| msr::read(cpu, address))
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.files.read(path)
    }

    fn digest(&self, path: &str) -> Reading<String> {
        self.files.digest(path)
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.files.list(path)
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        self.files.stat(path)
    }

    /// The disk that another host's files happen to be on says nothing about that host.
    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        self.of_this_machine(|| self.files.disk(path))
    }

    /// `/dev/kmsg`; and the journal of systemd where that is refused, or where the ring buffer has forgotten the boot
    /// and the journal has not.
    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.of_this_machine(|| match kmsg::read() {
            Ok(log) if log.from_boot == Some(true) => Ok(log),
            Ok(log) => {
                Ok(journal::read().ok().filter(|journal| journal.from_boot == Some(true)).unwrap_or(log))
            }
            // The first refusal says why; that there is no journal either adds nothing.
            Err(why) => journal::read().map_err(|_| why),
        })
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.of_this_machine(kvm::capabilities)
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        self.of_this_machine(|| {
            let command = probe.command().map_err(|why| Unread::Failed(why.to_owned()))?;
            command::run(&command, command::Limits::PROBE)
        })
    }
}
