//! The guest's side: what a confidential VM sees of its own protection.

use serde::Serialize;

use super::HostSource;
use crate::facts::environment::Signs;
use crate::source::{FileKind, FileMeta, Probe};
use crate::{Fact, HostFacts, Reading, Unread};

/// Nodes that the guest drivers make, newest name first.
const DEVICES: &[(&str, Tee, bool)] = &[
    // `drivers/virt/coco/tdx-guest`, Linux 6.2.
    ("/dev/tdx_guest", Tee::Tdx, true),
    // Names of the drivers before that, in Intel's and Canonical's kernels 5.15 to 5.19.
    ("/dev/tdx-guest", Tee::Tdx, false),
    ("/dev/tdx-attest", Tee::Tdx, false),
    // `drivers/virt/coco/sev-guest`, Linux 5.19.
    ("/dev/sev-guest", Tee::SevSnp, true),
];

/// Where the configfs interface for reports is, Linux 6.7 (`Documentation/ABI/testing/configfs-tsm-report`).
pub const TSM_REPORT: &str = "/sys/kernel/config/tsm/report";

/// The runtime measurement registers as files, Linux 6.16.
pub const RTMR: &str = "/sys/devices/virtual/misc/tdx_guest/measurements";

/// Where the guest agent of dstack listens inside a CVM; the first is the one that apps mount.
pub const AGENT_SOCKETS: &[&str] =
    &["/var/run/dstack.sock", "/run/dstack.sock", "/var/run/dstack/dstack.sock", "/run/dstack/dstack.sock"];

/// What is active for an AMD guest.
const SEV_STATUS: u32 = 0xc001_0131;

/// How many PCI devices are looked at.
const MAX_DEVICES: usize = 4096;

/// The technology that protects a confidential VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tee {
    /// Intel TDX.
    Tdx,
    /// AMD SEV-SNP.
    SevSnp,
    /// AMD SEV or SEV-ES without SNP: memory is encrypted, but there is no attestation that dstack uses.
    Sev,
}

impl Tee {
    /// The name as its vendor writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tdx => "Intel TDX",
            Self::SevSnp => "AMD SEV-SNP",
            Self::Sev => "AMD SEV without SNP",
        }
    }
}

/// What a guest sees.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Guest {
    /// `/sys/devices/system/cpu/sev/vmpl` is there: the kernel runs as an SEV-SNP guest (Linux 6.11).
    pub sev_vmpl: Fact<bool>,
    /// Bit 2 of MSR 0xC0010131 (SEV_STATUS, AMD APM volume 2): SEV-SNP is active for this guest.
    pub sev_status: Fact<u64>,
    /// The nodes of guest drivers that are there.
    pub devices: Vec<GuestDevice>,
    /// Why the nodes could not be looked for, where they could not.
    pub devices_unread: Option<Unread>,
    /// Is configfs there, and is the folder for reports in it?
    pub tsm: Tsm,
    /// The names of the files of the runtime measurement registers.
    pub rtmr: Fact<Vec<String>>,
    /// What is at the places of the guest agent's socket.
    pub agent: Vec<(String, FileKind)>,
    /// Why the socket could not be looked for.
    pub agent_unread: Option<Unread>,
    /// NVIDIA's display and compute devices on the PCI bus, as addresses. Looked for under a hypervisor only.
    pub gpus: Fact<Vec<String>>,
    /// What `nvidia-smi conf-compute -f` prints. Asked only where there is a GPU.
    pub gpu_confidential: Fact<GpuConfidential>,
}

/// A node of a guest driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct GuestDevice {
    /// Its path.
    pub path: String,
    /// The technology it belongs to.
    pub tee: Tee,
    /// Is it the name of today?
    pub current: bool,
    /// What it is.
    pub meta: FileMeta,
}

/// The configfs interface for reports.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Tsm {
    /// Is configfs mounted? Its folder exists without it, and is empty then.
    pub configfs: Fact<bool>,
    /// Is the folder for reports there?
    pub report: Fact<bool>,
    /// The providers that report folders name, where somebody made one: `tdx_guest`, `sev_guest`. This crate never
    /// makes a folder.
    pub providers: Vec<String>,
    /// Modules that provide reports and are there, loaded or built in with parameters.
    pub modules: Vec<String>,
}

/// The confidential mode of the GPUs as the driver in the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct GpuConfidential {
    /// `CC status: ON`. `None` where no such line was printed.
    pub on: Option<bool>,
    /// The line, or the first line of what was printed instead.
    pub line: String,
}

impl GpuConfidential {
    /// Reads the output of `nvidia-smi conf-compute -f`.
    pub fn parse(text: &str) -> Self {
        let status = text.lines().take(64).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case("CC status").then(|| (line.trim(), value.trim()))
        });
        match status {
            Some((line, value)) if value.eq_ignore_ascii_case("on") => {
                Self { on: Some(true), line: line.to_owned() }
            }
            Some((line, value)) if value.eq_ignore_ascii_case("off") => {
                Self { on: Some(false), line: line.to_owned() }
            }
            _ => {
                let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
                Self { on: None, line: line.chars().take(200).collect() }
            }
        }
    }
}

impl Guest {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let (devices, devices_unread) = devices(source);
        let (agent, agent_unread) = agent(source);
        // In CPUID's own words: on a host there is nothing to look for, and its registers mean something else.
        let hypervisor = Fact::from(source.cpuid(1, 0)).map(|registers| registers.ecx >> 31 == 1);
        let amd = source.cpuid(0, 0).is_ok_and(|registers| registers.ebx.to_le_bytes() == *b"Auth");
        let gpus = if hypervisor == Fact::Known(false) { Fact::Absent } else { gpus(source) };
        let gpu_confidential = match &gpus {
            Fact::Known(found) if !found.is_empty() => Fact::from(source.probe(&Probe::GpuConfidentialState))
                .map(|output| {
                    let text = format!("{}\n{}", output.stdout, output.stderr);
                    GpuConfidential::parse(&text)
                }),
            _ => Fact::Unread(Unread::NotAsked),
        };
        Self {
            sev_vmpl: Fact::from(source.exists("/sys/devices/system/cpu/sev/vmpl")),
            sev_status: if hypervisor == Fact::Known(true) && amd {
                Fact::from(source.msr(0, SEV_STATUS))
            } else {
                Fact::Unread(Unread::NotAsked)
            },
            devices,
            devices_unread,
            tsm: Tsm::collect(source),
            rtmr: Fact::from(source.list(RTMR)),
            agent,
            agent_unread,
            gpus,
            gpu_confidential,
        }
    }
}

fn devices(source: &dyn HostSource) -> (Vec<GuestDevice>, Option<Unread>) {
    let mut unread = None;
    let mut found = Vec::new();
    for (path, tee, current) in DEVICES {
        match source.stat(path) {
            Ok(meta) => {
                found.push(GuestDevice { path: (*path).to_owned(), tee: *tee, current: *current, meta });
            }
            Err(Unread::Absent) => {}
            Err(why) => unread = Some(why),
        }
    }
    (found, unread)
}

fn agent(source: &dyn HostSource) -> (Vec<(String, FileKind)>, Option<Unread>) {
    let mut unread = None;
    let mut found = Vec::new();
    for path in AGENT_SOCKETS {
        match source.stat(path) {
            Ok(meta) => found.push(((*path).to_owned(), meta.kind)),
            Err(Unread::Absent) => {}
            Err(why) => unread = Some(why),
        }
    }
    (found, unread)
}

impl Tsm {
    fn collect(source: &dyn HostSource) -> Self {
        // The mount point is made by the kernel and empty until configfs is mounted on it.
        let configfs = Fact::from(source.text("/proc/mounts")).map(|mounts| {
            mounts.lines().take(65_536).any(|line| {
                let mut words = line.split(' ');
                words.nth(1) == Some("/sys/kernel/config") && words.next() == Some("configfs")
            })
        });
        let folders: Reading<Vec<String>> = source.list(TSM_REPORT);
        let mut providers: Vec<String> = folders
            .iter()
            .flatten()
            .take(64)
            .filter_map(|name| source.text(&format!("{TSM_REPORT}/{name}/provider")).ok())
            .map(|text| text.trim().chars().take(64).collect())
            .collect();
        providers.sort();
        providers.dedup();
        let modules = ["tdx_guest", "sev_guest"]
            .into_iter()
            .filter(|name| source.exists(&format!("/sys/module/{name}")) == Ok(true))
            .map(str::to_owned)
            .collect();
        let report = match folders {
            Ok(_) => Fact::Known(true),
            Err(Unread::Absent) => Fact::from(source.exists(TSM_REPORT)),
            Err(why) => Fact::Unread(why),
        };
        Self { configfs, report, providers, modules }
    }
}

fn gpus(source: &dyn HostSource) -> Fact<Vec<String>> {
    Fact::from(source.list("/sys/bus/pci/devices")).map(|addresses| {
        let is = |address: &str, file: &str, starts: &str| {
            source
                .text(&format!("/sys/bus/pci/devices/{address}/{file}"))
                .is_ok_and(|text| text.trim().starts_with(starts))
        };
        addresses
            .into_iter()
            .take(MAX_DEVICES)
            .filter(|address| is(address, "vendor", "0x10de") && is(address, "class", "0x03"))
            .collect()
    })
}

/// What the kernel says in a confidential VM (`arch/x86/mm/mem_encrypt.c`).
pub(crate) const FEATURES_ACTIVE: &str = "Memory Encryption Features active: ";

impl HostFacts {
    /// The technology that protects this machine where it is a confidential VM, with what says so as pairs of a source
    /// and an excerpt. `Ok(None)`: it is none, as far as it shows itself. `Err` says why it is not known.
    ///
    /// A guest behind a paravisor may not see that it is one.
    pub fn confidential_guest(&self) -> Result<Option<(Tee, Signs)>, String> {
        let guest = &self.guest;
        let mut tdx = Vec::new();
        let (leaf, flag) = (&self.cpu.cpuid.tdx_guest, self.cpu.flag("tdx_guest"));
        if *leaf == Fact::Known(true) {
            tdx.push(("CPUID leaf 0x21".to_owned(), "IntelTDX".to_owned()));
        }
        if flag == Fact::Known(true) {
            tdx.push(("/proc/cpuinfo".to_owned(), "tdx_guest among the flags".to_owned()));
        }
        let mut snp = Vec::new();
        if guest.sev_vmpl == Fact::Known(true) {
            snp.push(("/sys/devices/system/cpu/sev/vmpl".to_owned(), "it is there".to_owned()));
        }
        if let Fact::Known(status) = guest.sev_status
            && status & 0b100 != 0
        {
            snp.push(("MSR 0xc0010131".to_owned(), format!("SEV_STATUS {status:#x}: SNP is active")));
        }
        let mut sev = Vec::new();
        if let Fact::Known(log) = &self.kernel_log {
            let said = |line: &str| ("kernel log".to_owned(), line.to_owned());
            if let Some(message) = log.last_with_prefix("tdx: Guest detected") {
                tdx.push(said(&message.line));
            }
            if let Some(message) = log.last_with_prefix(FEATURES_ACTIVE) {
                let features = message.text.strip_prefix(FEATURES_ACTIVE).unwrap_or_default();
                let words = || features.split_whitespace();
                if words().any(|word| word == "TDX") {
                    tdx.push(said(&message.line));
                } else if words().any(|word| word == "SEV-SNP") {
                    snp.push(said(&message.line));
                } else if words().any(|word| word.starts_with("SEV")) {
                    sev.push(said(&message.line));
                }
            }
        }
        for device in &guest.devices {
            let sign = (device.path.clone(), "the node of the guest driver is there".to_owned());
            match device.tee {
                Tee::Tdx => tdx.push(sign),
                _ => snp.push(sign),
            }
        }
        for (tee, signs) in [(Tee::Tdx, tdx), (Tee::SevSnp, snp), (Tee::Sev, sev)] {
            if !signs.is_empty() {
                return Ok(Some((tee, signs)));
            }
        }
        // A kernel that answers one of these was not asked in vain: each is set in every guest that sees itself. A leaf
        // that is known not to be there is such an answer.
        if flag == Fact::Known(false) || matches!(leaf, Fact::Known(false) | Fact::Absent) {
            return Ok(None);
        }
        if matches!(self.virtualisation(), Ok((super::environment::Virtualisation::BareMetal, _))) {
            return Ok(None);
        }
        Err(flag
            .unread()
            .map_or_else(|| "nothing tells".to_owned(), |why| format!("/proc/cpuinfo: {}", why.why())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_a_gpu_is_read() {
        assert_eq!(GpuConfidential::parse("CC status: ON\n").on, Some(true));
        assert_eq!(GpuConfidential::parse("\n    CC status: OFF\n").on, Some(false));
        let none = GpuConfidential::parse("No CC capable devices found.\n");
        assert_eq!(none, GpuConfidential { on: None, line: "No CC capable devices found.".to_owned() });
        assert_eq!(GpuConfidential::parse("").line, "");
    }
}
