//! Readings turned into values. Each file reads one part of a host; none judges it.

pub mod build;
pub mod cpu;
pub mod environment;
pub mod firmware;
pub mod guest;
pub mod io;
pub mod kernel;
pub mod kernel_log;
pub mod kernel_tdx;
pub mod kvm;
pub mod memory;
pub mod msr;
pub mod os;
pub mod pci;
pub mod qemu;
pub mod registration;
pub mod services;
pub mod sgx;
pub mod snp;
pub mod topology;

use serde::Serialize;

use crate::source::{
    CpuidRegisters, DiskSpace, FileMeta, HostSource, KvmCapabilities, Origin, Probe, ProbeOutput,
    RawKernelLog,
};
use crate::{Fact, Reading, Unread};

/// Everything the checks look at. Collected once; evaluating checks over it does no IO.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct HostFacts {
    /// The kind of source it comes from.
    pub origin: Origin,
    /// Where this runs and with which rights.
    pub environment: environment::Environment,
    /// The CPU.
    pub cpu: cpu::Cpu,
    /// Model-specific registers.
    pub msrs: msr::Msrs,
    /// The firmware.
    pub firmware: firmware::Firmware,
    /// The distribution.
    pub os: os::OperatingSystem,
    /// The kernel.
    pub kernel: kernel::Kernel,
    /// Its log.
    #[serde(skip)]
    pub kernel_log: Fact<kernel_log::KernelLog>,
    /// How far it got with TDX.
    pub tdx: kernel_tdx::KernelTdx,
    /// KVM.
    pub kvm: kvm::Kvm,
    /// SGX.
    pub sgx: sgx::Sgx,
    /// Registration with Intel.
    pub registration: registration::Registration,
    /// Quote services.
    pub services: services::Services,
    /// QEMU.
    pub qemu: qemu::Qemu,
    /// Memory.
    pub memory: memory::Memory,
    /// Packages and NUMA nodes.
    pub topology: topology::Topology,
    /// PCI devices.
    pub pci: pci::Pci,
    /// vsock, IOMMU, VFIO, disks, the clock.
    pub io: io::Io,
    /// AMD SEV-SNP.
    pub snp: snp::Snp,
    /// The guest's side.
    pub guest: guest::Guest,
    /// Tools for building.
    pub build: build::BuildTools,
}

/// What to collect beyond what is cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectOptions {
    /// Ask QEMU what it can do, which starts it up to three times without a machine (about 0.1 s each). On by default.
    pub qemu: bool,
    /// Ask the collateral service over the network whether it is there (3 s at most). On by default.
    pub network: bool,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { qemu: true, network: true }
    }
}

impl CollectOptions {
    /// Neither QEMU nor the network is asked.
    pub const fn quick() -> Self {
        Self { qemu: false, network: false }
    }

    /// Chooses whether QEMU is asked.
    #[must_use]
    pub const fn qemu(mut self, ask: bool) -> Self {
        self.qemu = ask;
        self
    }

    /// Chooses whether the network is asked.
    #[must_use]
    pub const fn network(mut self, ask: bool) -> Self {
        self.network = ask;
        self
    }
}

impl HostFacts {
    /// Reads everything there is to know from a source. Never fails: what cannot be read is recorded as unread.
    ///
    /// What waits for other programs (systemd, QEMU, the network) is read side by side.
    pub fn collect(source: &dyn HostSource, options: CollectOptions) -> Self {
        let source = &Asked { source, options };
        std::thread::scope(|scope| {
            let services = scope.spawn(|| services::Services::collect(source));
            let qemu = scope.spawn(|| qemu::Qemu::collect(source));
            let kernel_log = scope.spawn(|| kernel_log::KernelLog::collect(source));
            let registration = scope.spawn(|| registration::Registration::collect(source));
            let kernel_log = joined(kernel_log);
            Self {
                tdx: kernel_tdx::KernelTdx::collect(source, &kernel_log),
                origin: source.origin(),
                environment: environment::Environment::collect(source),
                cpu: cpu::Cpu::collect(source),
                msrs: msr::Msrs::collect(source),
                firmware: firmware::Firmware::collect(source),
                os: os::OperatingSystem::collect(source),
                kernel: kernel::Kernel::collect(source),
                kvm: kvm::Kvm::collect(source),
                sgx: sgx::Sgx::collect(source),
                memory: memory::Memory::collect(source),
                topology: topology::Topology::collect(source),
                pci: pci::Pci::collect(source),
                io: io::Io::collect(source),
                snp: snp::Snp::collect(source),
                guest: guest::Guest::collect(source),
                build: build::BuildTools::collect(source),
                services: joined(services),
                qemu: joined(qemu),
                kernel_log,
                registration: joined(registration),
            }
        })
    }
}

/// The value of a thread. A panic in it is a panic here: it would be a bug, and must not look like an unread fact.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A source that is asked only what the options allow.
pub(crate) struct Asked<'a> {
    pub(crate) source: &'a dyn HostSource,
    pub(crate) options: CollectOptions,
}

impl HostSource for Asked<'_> {
    fn origin(&self) -> Origin {
        self.source.origin()
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> Reading<CpuidRegisters> {
        self.source.cpuid(leaf, subleaf)
    }

    fn msr(&self, cpu: u32, address: u32) -> Reading<u64> {
        self.source.msr(cpu, address)
    }

    fn read(&self, path: &str) -> Reading<Vec<u8>> {
        self.source.read(path)
    }

    fn digest(&self, path: &str) -> Reading<String> {
        self.source.digest(path)
    }

    fn list(&self, path: &str) -> Reading<Vec<String>> {
        self.source.list(path)
    }

    fn stat(&self, path: &str) -> Reading<FileMeta> {
        self.source.stat(path)
    }

    fn kernel_log(&self) -> Reading<RawKernelLog> {
        self.source.kernel_log()
    }

    fn kvm(&self) -> Reading<KvmCapabilities> {
        self.source.kvm()
    }

    fn disk(&self, path: &str) -> Reading<DiskSpace> {
        self.source.disk(path)
    }

    fn probe(&self, probe: &Probe) -> Reading<ProbeOutput> {
        let asked = match probe {
            Probe::QemuVersion | Probe::QemuObjects | Probe::QemuTdxProperties => self.options.qemu,
            Probe::CollateralService { .. } => self.options.network,
            _ => true,
        };
        if asked { self.source.probe(probe) } else { Err(Unread::NotAsked) }
    }
}
