//! Readings as data: what a capture holds, and what a fake host is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CpuidRegisters, DiskSpace, FileKind, FileMeta, HostSource, KvmCapabilities, Origin, Probe, ProbeOutput,
    RawKernelLog,
};
use crate::{Reading, Unread};

/// Readings as data. A [`HostSource`] that answers from memory and touches nothing else.
///
/// ```
/// use dstack_hw::source::{HostSource, Readings};
///
/// let host = Readings::empty_host().file("/proc/cmdline", "quiet nohibernate\n").msr(0, 0x87, 32 << 32 | 31);
/// assert_eq!(host.text("/proc/cmdline").unwrap(), "quiet nohibernate\n");
/// assert_eq!(host.msr_value(0, 0x87), Ok(32 << 32 | 31));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    pub(crate) origin: Origin,
    /// What an unlisted reading means.
    pub unlisted: Unlisted,
    pub(crate) cpuid: BTreeMap<(u32, u32), Reading<CpuidRegisters>>,
    pub(crate) msrs: BTreeMap<(u32, u32), Reading<u64>>,
    pub(crate) files: BTreeMap<String, Reading<Vec<u8>>>,
    pub(crate) digests: BTreeMap<String, Reading<String>>,
    pub(crate) folders: BTreeMap<String, Reading<Vec<String>>>,
    pub(crate) stats: BTreeMap<String, Reading<FileMeta>>,
    pub(crate) kernel_log: Reading<RawKernelLog>,
    pub(crate) kvm: Reading<KvmCapabilities>,
    pub(crate) disks: BTreeMap<String, Reading<DiskSpace>>,
    pub(crate) probes: BTreeMap<Probe, Reading<ProbeOutput>>,
}

/// What a reading means that is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unlisted {
    /// Nobody looked: [`Unread::NotRecorded`].
    #[default]
    NotRecorded,
    /// It is not there: [`Unread::Absent`]. For hosts that are described in full.
    Absent,
}

impl Readings {
    /// A host on which nothing is: what is not added is absent.
    pub fn empty_host() -> Self {
        Self::new(Origin::Capture, Unlisted::Absent)
    }

    /// A host of which nothing is known: what is not added was not recorded.
    pub fn nothing_known() -> Self {
        Self::new(Origin::Capture, Unlisted::NotRecorded)
    }

    pub(crate) fn new(origin: Origin, unlisted: Unlisted) -> Self {
        let none = match unlisted {
            Unlisted::NotRecorded => Unread::NotRecorded,
            Unlisted::Absent => Unread::Absent,
        };
        Self {
            origin,
            unlisted,
            cpuid: BTreeMap::new(),
            msrs: BTreeMap::new(),
            files: BTreeMap::new(),
            digests: BTreeMap::new(),
            folders: BTreeMap::new(),
            stats: BTreeMap::new(),
            kernel_log: Err(none.clone()),
            kvm: Err(none),
            disks: BTreeMap::new(),
            probes: BTreeMap::new(),
        }
    }

    /// Sets the registers of one CPUID leaf.
    #[must_use]
    pub fn cpuid_leaf(mut self, leaf: u32, subleaf: u32, registers: CpuidRegisters) -> Self {
        self.cpuid.insert((leaf, subleaf), Ok(registers));
        self
    }

    /// Sets a model-specific register of one logical CPU.
    #[must_use]
    pub fn msr(mut self, cpu: u32, address: u32, value: u64) -> Self {
        self.msrs.insert((cpu, address), Ok(value));
        self
    }

    /// Sets what reading a model-specific register gives.
    #[must_use]
    pub fn msr_reading(mut self, cpu: u32, address: u32, reading: Reading<u64>) -> Self {
        self.msrs.insert((cpu, address), reading);
        self
    }

    /// A model-specific register, as [`HostSource::msr`] answers.
    pub fn msr_value(&self, cpu: u32, address: u32) -> Reading<u64> {
        HostSource::msr(self, cpu, address)
    }

    /// Sets the content of a file.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), Ok(content.into()));
        self
    }

    /// Sets what reading a file gives.
    #[must_use]
    pub fn file_reading(mut self, path: impl Into<String>, reading: Reading<Vec<u8>>) -> Self {
        self.files.insert(path.into(), reading);
        self
    }

    /// Sets the names in a folder.
    #[must_use]
    pub fn folder<'a>(mut self, path: impl Into<String>, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort();
        self.folders.insert(path.into(), Ok(names));
        self
    }

    /// Sets what a path is.
    #[must_use]
    pub fn meta(mut self, path: impl Into<String>, meta: FileMeta) -> Self {
        self.stats.insert(path.into(), Ok(meta));
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.meta(path, FileMeta::link(target))
    }

    /// Adds a character device of root's with this mode.
    #[must_use]
    pub fn device(self, path: impl Into<String>, mode: u32, group: &str) -> Self {
        self.meta(
            path,
            FileMeta {
                gid: if group == "root" { 0 } else { 100 },
                group: Some(group.to_owned()),
                device: Some((10, 0)),
                ..FileMeta::new(FileKind::CharacterDevice, mode)
            },
        )
    }

    /// Sets the kernel log.
    #[must_use]
    pub fn log(mut self, log: RawKernelLog) -> Self {
        self.kernel_log = Ok(log);
        self
    }

    /// Sets what reading the kernel log gives.
    #[must_use]
    pub fn log_reading(mut self, reading: Reading<RawKernelLog>) -> Self {
        self.kernel_log = reading;
        self
    }

    /// Sets what `/dev/kvm` says.
    #[must_use]
    pub fn kvm_capabilities(mut self, capabilities: KvmCapabilities) -> Self {
        self.kvm = Ok(capabilities);
        self
    }

    /// Sets the space of the file system that a folder is on.
    #[must_use]
    pub fn disk_space(mut self, path: impl Into<String>, space: DiskSpace) -> Self {
        self.disks.insert(path.into(), Ok(space));
        self
    }

    /// Sets the output of a command.
    #[must_use]
    pub fn probe_output(mut self, probe: Probe, output: ProbeOutput) -> Self {
        self.probes.insert(probe, Ok(output));
        self
    }

    /// Sets what a command gives that printed `stdout` and ended with 0.
    #[must_use]
    pub fn probe_stdout(self, probe: Probe, stdout: impl Into<String>) -> Self {
        self.probe_output(
            probe,
            ProbeOutput { status: Some(0), stdout: stdout.into(), stderr: String::new() },
        )
    }

    fn unlisted<T>(&self) -> Reading<T> {
        Err(match self.unlisted {
            Unlisted::NotRecorded => Unread::NotRecorded,
            Unlisted::Absent => Unread::Absent,
        })
    }

    /// The names below a folder that follow from the files and devices listed. `None` where there is none.
    pub(crate) fn implied_folder(&self, path: &str) -> Option<Vec<String>> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let below = |listed: &String| {
            listed.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()).map(str::to_owned)
        };
        let present = self.files.iter().filter(|(_, reading)| reading.is_ok()).map(|(path, _)| path);
        let stats = self.stats.iter().filter(|(_, reading)| reading.is_ok()).map(|(path, _)| path);
        let folders = self.folders.iter().filter(|(_, reading)| reading.is_ok()).map(|(path, _)| path);
        let names: std::collections::BTreeSet<String> =
            present.chain(stats).chain(folders).filter_map(below).collect();
        (!names.is_empty()).then(|| names.into_iter().collect())
    }
}

impl HostSource for Readings {
    fn origin(&self) -> Origin {
        self.origin
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        let known = |leaf, subleaf| self.cpuid.get(&(leaf, subleaf)).cloned();
        super::cpuid::gated(leaf, subleaf, known).unwrap_or_else(|| {
            // A CPU answers every leaf it is asked for below its highest; one that is not listed has nothing to say.
            if self.unlisted == Unlisted::Absent && !self.cpuid.is_empty() {
                Ok(CpuidRegisters::default())
            } else {
                self.unlisted()
            }
        })
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        self.msrs.get(&(cpu, address)).cloned().unwrap_or_else(|| self.unlisted())
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.files.get(path).cloned().unwrap_or_else(|| self.unlisted())
    }

    fn digest(&self, path: &str) -> Reading<String> {
        if let Some(digest) = self.digests.get(path) {
            return digest.clone();
        }
        let content = self.read(path)?;
        Ok(hex::encode(ring::digest::digest(&ring::digest::SHA256, &content)))
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        if let Some(names) = self.folders.get(path) {
            return names.clone();
        }
        if self.unlisted == Unlisted::Absent
            && let Some(names) = self.implied_folder(path)
        {
            return Ok(names);
        }
        self.unlisted()
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        if let Some(meta) = self.stats.get(path) {
            return meta.clone();
        }
        let plain = |kind, mode, size| FileMeta { size, ..FileMeta::new(kind, mode) };
        match self.files.get(path) {
            Some(Ok(content)) => return Ok(plain(FileKind::File, 0o644, content.len() as u64)),
            // It is there, or nobody would have been refused.
            Some(Err(Unread::NotPermitted | Unread::TooLarge)) => return Ok(plain(FileKind::File, 0o600, 0)),
            Some(Err(why)) => return Err(why.clone()),
            None => {}
        }
        match self.folders.get(path) {
            // As with a file: who is refused the names knows that there is a folder.
            Some(Err(Unread::NotPermitted)) => Ok(plain(FileKind::Folder, 0o700, 0)),
            Some(Err(why)) => Err(why.clone()),
            _ if self.list(path).is_ok() => Ok(plain(FileKind::Folder, 0o755, 0)),
            _ => self.unlisted(),
        }
    }

    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.kernel_log.clone()
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.kvm.clone()
    }

    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        self.disks.get(path).cloned().unwrap_or_else(|| self.unlisted())
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        self.probes.get(probe).cloned().unwrap_or_else(|| self.unlisted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_that_something_is_there() {
        let mut host = Readings::empty_host().file_reading("/etc/shadow", Err(Unread::NotPermitted));
        host.folders.insert("/root".to_owned(), Err(Unread::NotPermitted));
        assert_eq!(host.stat("/etc/shadow").unwrap().kind, FileKind::File);
        assert_eq!(host.stat("/root").unwrap().kind, FileKind::Folder);
        assert_eq!(host.stat("/nowhere"), Err(Unread::Absent));
    }
}
