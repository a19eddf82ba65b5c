//! A source that keeps what another one answers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Reading;
use crate::source::{
    CpuidRegisters, DiskSpace, FileMeta, HostSource, KvmCapabilities, Origin, Probe, ProbeOutput,
    RawKernelLog, Readings, Unlisted,
};

/// Passes every question on and keeps the answer, whether it is a value or not.
pub(super) struct Recorder<'a> {
    source: &'a dyn HostSource,
    kept: Mutex<Readings>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(source: &'a dyn HostSource) -> Self {
        Self { source, kept: Mutex::new(Readings::new(Origin::Capture, Unlisted::NotRecorded)) }
    }

    pub(super) fn into_readings(self) -> Readings {
        self.kept.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was kept is whole even if a thread panicked: every change is one insertion.
    fn kept(&self) -> MutexGuard<'_, Readings> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostSource for Recorder<'_> {
    fn origin(&self) -> Origin {
        self.source.origin()
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        let reading = self.source.cpuid(leaf, subleaf);
        self.kept().cpuid.insert((leaf, subleaf), reading.clone());
        reading
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        let reading = self.source.msr(cpu, address);
        self.kept().msrs.insert((cpu, address), reading.clone());
        reading
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        let reading = self.source.read(path);
        self.kept().files.insert(path.to_owned(), reading.clone());
        reading
    }

    fn digest(&self, path: &str) -> Reading<String> {
        let reading = self.source.digest(path);
        self.kept().digests.insert(path.to_owned(), reading.clone());
        reading
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        let reading = self.source.list(path);
        self.kept().folders.insert(path.to_owned(), reading.clone());
        reading
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        let reading = self.source.stat(path);
        self.kept().stats.insert(path.to_owned(), reading.clone());
        reading
    }

    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        let reading = self.source.disk(path);
        self.kept().disks.insert(path.to_owned(), reading.clone());
        reading
    }

    fn kernel_log(&self) -> Reading<RawKernelLog> {
        let reading = self.source.kernel_log();
        self.kept().kernel_log = reading.clone();
        reading
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        let reading = self.source.kvm();
        self.kept().kvm = reading.clone();
        reading
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        let reading = self.source.probe(probe);
        self.kept().probes.insert(probe.clone(), reading.clone());
        reading
    }
}
