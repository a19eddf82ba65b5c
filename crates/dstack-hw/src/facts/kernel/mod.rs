//! The running kernel: version, configuration, command line, modules.

mod command_line;
mod config;
mod configured;
mod modules;
mod release;

use std::collections::BTreeSet;

use serde::Serialize;

pub use command_line::{CommandLine, switch_value};
pub use config::{KernelConfig, Setting};
pub use configured::ConfiguredCommandLine;
pub use modules::ModuleOptions;
pub use release::{Flavour, Release};

use super::HostSource;
use crate::{Fact, HostFacts, Unread};

/// Registers that are tried to find out whether registers can be read at all: every x86 server CPU has one of them.
const PROBED_REGISTERS: &[u32] = &[0xfe, 0x3a, 0x87, 0x982, 0x1401, 0xce, 0xc001_0010, 0x10];

/// The running kernel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Kernel {
    /// `/proc/sys/kernel/osrelease`, such as `6.8.0-1028-intel`.
    pub release: Fact<Release>,
    /// The command line it was started with.
    pub command_line: Fact<CommandLine>,
    /// The command line that the boot loader is set up to give it at the next start.
    pub configured: Fact<ConfiguredCommandLine>,
    /// The options it was built with.
    pub config: Fact<KernelConfig>,
    /// The modules that are loaded, with underscores. Built-in ones are not all among them.
    pub modules: Fact<BTreeSet<String>>,
    /// Options of the KVM, vsock and VFIO modules in `modprobe.d`.
    pub module_options: Fact<Vec<ModuleOptions>>,
    /// `/proc/sys/kernel/dmesg_restrict`: is the kernel log for root only?
    pub dmesg_restricted: Fact<bool>,
    /// `/sys/power/disk`: the ways of hibernation, the chosen one in brackets; `[disabled]` where there is none.
    pub hibernation: Fact<String>,
    /// Can model-specific registers be read? `true` where one could.
    pub registers_readable: Fact<bool>,
}

impl Kernel {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let release = Fact::from(source.text("/proc/sys/kernel/osrelease")).map(|text| Release::parse(&text));
        Self {
            command_line: Fact::from(source.text("/proc/cmdline")).map(|text| CommandLine::parse(&text)),
            configured: ConfiguredCommandLine::collect(source),
            config: KernelConfig::collect(source, &release),
            modules: modules::loaded(source),
            module_options: modules::options(source),
            dmesg_restricted: Fact::from(source.text("/proc/sys/kernel/dmesg_restrict"))
                .map(|text| text.trim() != "0"),
            hibernation: Fact::from(source.text("/sys/power/disk")).map(|text| text.trim().to_owned()),
            registers_readable: registers_readable(source),
            release,
        }
    }

    /// Is this module loaded? A module that is built in and has no parameters is not seen.
    pub fn module_loaded(&self, name: &str) -> Fact<bool> {
        self.modules.as_ref().map(|modules| modules.contains(name))
    }
}

/// What the log tells of the kernel stands in where the files were not read: people paste logs.
impl HostFacts {
    /// The release of the running kernel, else the one that the kernel log begins with.
    pub fn kernel_release(&self) -> Fact<Release> {
        let logged = || self.kernel_log.known().and_then(super::kernel_log::KernelLog::linux_version);
        match &self.kernel.release {
            Fact::Unread(_) => logged().map_or_else(|| self.kernel.release.clone(), Fact::Known),
            known => known.clone(),
        }
    }

    /// The command line of the running kernel, else the one that the kernel log repeats.
    pub fn kernel_command_line(&self) -> Fact<CommandLine> {
        let logged = || self.kernel_log.known().and_then(super::kernel_log::KernelLog::command_line);
        match &self.kernel.command_line {
            Fact::Unread(_) => logged().map_or_else(|| self.kernel.command_line.clone(), Fact::Known),
            known => known.clone(),
        }
    }
}

/// One register that can be read is enough. Without one, the reason that says most counts: no right before no such
/// register before no device. A recorded source answers "not there" for registers that nobody wrote down.
fn registers_readable(source: &dyn HostSource) -> Fact<bool> {
    let weight = |why: &Unread| match why {
        Unread::NotRecorded => 0,
        Unread::Absent => 1,
        Unread::Failed(_) => 2,
        _ => 3,
    };
    let mut answer = Unread::NotRecorded;
    for address in PROBED_REGISTERS {
        match source.msr(0, *address) {
            Ok(_) => return Fact::Known(true),
            Err(why) if weight(&why) > weight(&answer) => answer = why,
            Err(_) => {}
        }
    }
    Fact::from(Err(answer))
}
