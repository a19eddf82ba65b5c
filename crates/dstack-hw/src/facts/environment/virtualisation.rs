//! Hypervisors: how they give themselves away, and their names.

use serde::Serialize;

use crate::facts::kernel_log::KernelLog;
use crate::{Fact, HostFacts, HostSource};

/// What says something: a source, such as a path, and an excerpt of it.
pub type Signs = Vec<(String, String)>;

/// What tells of a hypervisor beside the CPU's own words, which are in [`Cpu`](crate::facts::cpu::Cpu).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct VirtualisationSigns {
    /// What the firmware calls the machine.
    pub machine: Machine,
    /// Under Xen: is this the control domain, which has the hardware? From `/proc/xen/capabilities`.
    pub xen_control_domain: Fact<bool>,
}

/// What the firmware calls the machine, from `/sys/class/dmi/id`. Names of products, no serial numbers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Machine {
    /// `sys_vendor`.
    pub vendor: Fact<String>,
    /// `product_name`.
    pub product: Fact<String>,
    /// `bios_vendor`.
    pub firmware_vendor: Fact<String>,
}

/// What this runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Virtualisation {
    /// On the hardware.
    BareMetal,
    /// In a virtual machine of the hypervisor named.
    VirtualMachine {
        /// Its name, such as `KVM` or `Hyper-V`; `an unnamed hypervisor` where it says nothing.
        hypervisor: String,
    },
    /// In the control domain of Xen: the devices are real, but the CPU's virtualisation belongs to Xen.
    XenControlDomain,
}

/// The names behind the signatures, from the kernel's detection code, the vendors' documents and what QEMU sets.
const SIGNATURES: &[(&str, &str)] = &[
    ("KVMKVMKVM", "KVM"),
    ("Linux KVM Hv", "KVM"),
    ("TCGTCGTCGTCG", "QEMU without acceleration"),
    ("Microsoft Hv", "Hyper-V"),
    ("VMwareVMware", "VMware"),
    ("XenVMMXenVMM", "Xen"),
    ("VBoxVBoxVBox", "VirtualBox"),
    ("bhyve bhyve", "bhyve"),
    ("BHyVE BHyVE", "bhyve"),
    ("prl hyperv", "Parallels"),
    ("lrpepyh vr", "Parallels"),
    ("ACRNACRNACRN", "ACRN"),
    ("OpenBSDVMM58", "OpenBSD vmm"),
    ("___ NVMM ___", "NVMM"),
    ("HAXMHAXMHAXM", "HAXM"),
    ("SRESRESRESRE", "LMHS"),
    ("Jailhouse", "Jailhouse"),
    ("QNXQVMBSQG", "QNX"),
    ("UnisysSpar64", "Unisys s-Par"),
];

/// The hypervisor behind a signature of CPUID leaf 0x40000000.
pub fn hypervisor_name(signature: &str) -> Option<&'static str> {
    let signature = signature.trim_matches(|c: char| c == '\0' || c == ' ');
    SIGNATURES.iter().find(|(known, _)| *known == signature).map(|(_, name)| *name)
}

/// Names that only virtual machines have in their DMI fields, lower-case, with the hypervisor. Clouds whose bare-metal
/// servers carry the same names as their virtual machines (Amazon EC2, Google) are not here.
const VIRTUAL_MACHINES: &[(&str, &str)] = &[
    ("qemu", "QEMU"),
    ("standard pc (", "QEMU"),
    ("cloud hypervisor", "Cloud Hypervisor"),
    ("cloud-hypervisor", "Cloud Hypervisor"),
    ("vmware", "VMware"),
    ("virtualbox", "VirtualBox"),
    ("innotek gmbh", "VirtualBox"),
    ("hvm domu", "Xen"),
    ("bochs", "QEMU"),
    ("kubevirt", "KubeVirt"),
    ("bhyve", "bhyve"),
    ("parallels virtual", "Parallels"),
    ("apple virtualization", "Apple's virtualisation"),
    ("virtual machine", "Hyper-V"),
    ("dstack", "QEMU, started by a dstack VMM"),
];

impl Machine {
    fn collect(source: &dyn HostSource) -> Self {
        let field = |name: &str| {
            Fact::from(source.text(&format!("/sys/class/dmi/id/{name}"))).map(|text| text.trim().to_owned())
        };
        Self {
            vendor: field("sys_vendor"),
            product: field("product_name"),
            firmware_vendor: field("bios_vendor"),
        }
    }

    /// The hypervisor whose machines are called so, with the field that says it.
    fn hypervisor(&self) -> Option<(&'static str, &'static str, &str)> {
        [
            ("product_name", &self.product),
            ("sys_vendor", &self.vendor),
            ("bios_vendor", &self.firmware_vendor),
        ]
        .into_iter()
        .find_map(|(field, value)| {
            let value = value.known()?;
            let lower = value.to_ascii_lowercase();
            let (_, name) = VIRTUAL_MACHINES.iter().find(|(part, _)| lower.contains(part))?;
            Some((*name, field, value.as_str()))
        })
    }
}

impl VirtualisationSigns {
    pub(super) fn collect(source: &dyn HostSource) -> Self {
        let xen_control_domain = match source.text("/sys/hypervisor/type") {
            Ok(kind) if kind.trim() == "xen" => {
                Fact::from(source.text("/proc/xen/capabilities")).map(|text| text.contains("control_d"))
            }
            Ok(_) => Fact::Absent,
            Err(why) => Fact::from(Err(why)),
        };
        Self { machine: Machine::collect(source), xen_control_domain }
    }
}

/// What the kernel says that it found: `Hypervisor detected: KVM` (`arch/x86/kernel/cpu/hypervisor.c`).
const DETECTED: &str = "Hypervisor detected: ";
/// `Booting paravirtualized kernel on bare hardware` (`arch/x86/kernel/paravirt.c`). Also printed under a hypervisor
/// the kernel does not know, so it counts only where nothing else is known.
const BARE: &str = "Booting paravirtualized kernel on bare hardware";
/// The maker of the ACPI tables of a Firecracker machine, which has no DMI table and calls itself KVM.
const FIRECRACKER: &str = "FIRECK";

impl HostFacts {
    /// What this runs on, with what says so as pairs of a source and an excerpt. `Err` says why it is not known.
    pub fn virtualisation(&self) -> Result<(Virtualisation, Signs), String> {
        let signs = &self.environment.virtualisation;
        let log = self.kernel_log.known();
        let mut evidence = Vec::new();
        if signs.xen_control_domain == Fact::Known(true) {
            evidence.push(("/proc/xen/capabilities".to_owned(), "control_d".to_owned()));
            return Ok((Virtualisation::XenControlDomain, evidence));
        }
        let named = signs.machine.hypervisor();
        let detected = log.and_then(|log| log.last_with_prefix(DETECTED));
        let under_hypervisor = self.cpu.under_hypervisor();
        let bit = under_hypervisor.known().copied();
        let signature =
            self.cpu.cpuid.hypervisor.known().map(|text| text.trim()).filter(|text| !text.is_empty());
        let virtual_machine = bit == Some(true) || named.is_some() || detected.is_some();
        if virtual_machine {
            if bit == Some(true) {
                let excerpt = "the hypervisor bit is set (CPUID leaf 1, ECX bit 31)".to_owned();
                evidence.push(("CPU".to_owned(), excerpt));
            }
            if let Some(signature) = signature {
                evidence.push(("CPUID leaf 0x40000000".to_owned(), signature.to_owned()));
            }
            if let Some((_, field, value)) = named {
                evidence.push((format!("/sys/class/dmi/id/{field}"), value.to_owned()));
            }
            if let Some(message) = detected {
                evidence.push(("kernel log".to_owned(), message.line.clone()));
            }
            let firecracker = log.and_then(firecracker_table);
            if let Some(line) = firecracker {
                evidence.push(("kernel log".to_owned(), line.to_owned()));
            }
            let by_signature = signature.map(|text| hypervisor_name(text).unwrap_or(text).to_owned());
            let by_log =
                || detected.and_then(|message| message.text.strip_prefix(DETECTED)).map(str::to_owned);
            let engine = by_signature.or_else(by_log);
            let program =
                if firecracker.is_some() { Some("Firecracker") } else { named.map(|(name, ..)| name) };
            let hypervisor = match (engine, program) {
                (Some(engine), Some(program)) if engine != program => format!("{engine} ({program})"),
                (Some(engine), _) => engine,
                (None, Some(program)) => program.to_owned(),
                (None, None) => "an unnamed hypervisor".to_owned(),
            };
            return Ok((Virtualisation::VirtualMachine { hypervisor }, evidence));
        }
        if bit == Some(false) {
            let excerpt =
                "no hypervisor bit (CPUID leaf 1, ECX bit 31, or the flags in /proc/cpuinfo)".to_owned();
            evidence.push(("CPU".to_owned(), excerpt));
            return Ok((Virtualisation::BareMetal, evidence));
        }
        if let Some(message) =
            log.and_then(|log| log.last_with_prefix(BARE).or_else(|| host_only_message(log)))
        {
            evidence.push(("kernel log".to_owned(), message.line.clone()));
            return Ok((Virtualisation::BareMetal, evidence));
        }
        Err(under_hypervisor.unread().map_or_else(
            || "the CPU says nothing about a hypervisor".to_owned(),
            |why| format!("CPUID: {}", why.why()),
        ))
    }
}

/// A message that the kernel writes only on the hardware itself: neither TDX nor SEV-SNP can be nested.
fn host_only_message(log: &KernelLog) -> Option<&crate::facts::kernel_log::Message> {
    let module = log.messages.iter().find(|message| {
        let text = message.text.strip_prefix("virt/").unwrap_or(&message.text);
        text.starts_with("tdx: BIOS enabled: private KeyID range")
            || text.starts_with("tdx: module initialized")
            || text.starts_with("tdx: TDX module")
    });
    module.or_else(|| log.last_with_prefix("SEV-SNP: RMP table physical "))
}

fn firecracker_table(log: &KernelLog) -> Option<&str> {
    log.messages
        .iter()
        .take(4096)
        .find(|message| message.text.starts_with("ACPI: ") && message.text.contains(FIRECRACKER))
        .map(|message| message.line.as_str())
}
