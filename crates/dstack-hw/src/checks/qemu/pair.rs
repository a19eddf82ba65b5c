//! QEMU and the kernel: do they call a TD by the same number?

use dstack_check::{CheckDef, Finding, Fix};

use crate::facts::kvm::TdxAbi;
use crate::knowledge::qemu::{tdx_abi_of_kernel, tdx_abi_of_qemu};
use crate::{Fact, HostFacts};

pub(super) fn check(check: &CheckDef, facts: &HostFacts) -> Finding {
    if facts.cpu.is_amd().known() == Some(&true) {
        return check.not_applicable().observed("TDX is Intel's, this is an AMD host");
    }
    let version = match &facts.qemu.version {
        Fact::Known(version) => version,
        Fact::Absent => return check.unknown("QEMU was not there to be asked"),
        Fact::Unread(why) => return check.unknown(format!("qemu-system-x86_64 --version: {}", why.why())),
    };
    let release = facts.kernel_release();
    let before_6_8 = release.known().and_then(|it| it.mainline()).is_some_and(|version| version < (6, 8));
    let capabilities = facts.kvm.capabilities.known();
    let offered = capabilities.and_then(|it| it.tdx_abi(before_6_8));
    let by_release = release.known().and_then(tdx_abi_of_kernel);
    let kernel_name =
        release.known().map_or_else(|| "the kernel".to_owned(), |it| format!("kernel {}", it.as_str()));
    let with = |finding: Finding| {
        let finding = finding.evidence("qemu-system-x86_64 --version", version.line.clone());
        match (capabilities.filter(|_| offered.is_some()), release.known()) {
            (Some(it), _) => finding.evidence("/dev/kvm, KVM_CAP_VM_TYPES", format!("0x{:x}", it.vm_types)),
            (None, Some(release)) => finding.evidence("kernel release", release.as_str().to_owned()),
            (None, None) => finding,
        }
    };
    let Some(kernel) = offered.or(by_release) else {
        return match (capabilities, release.unread()) {
            (Some(it), _) => {
                check.unknown(format!("{kernel_name} offers no TDs (VM types 0x{:x})", it.vm_types))
            }
            (None, Some(why)) => check.unknown(format!("/dev/kvm and the kernel's release: {}", why.why())),
            (None, None) => check.unknown(format!(
                "which number {kernel_name} has for TDs is not known, and /dev/kvm was not asked"
            )),
        };
    };
    let Some(qemu) = tdx_abi_of_qemu(version) else {
        return check.unknown(format!("which number QEMU {version} has for TDs is not known"));
    };
    let observed = format!(
        "QEMU {version} asks for VM type {}, {kernel_name} offers type {}",
        qemu.vm_type(),
        kernel.vm_type()
    );
    if qemu == kernel {
        return with(check.pass().observed(observed));
    }
    let finding = if offered.is_some() { check.fail() } else { check.warn() };
    with(
        finding
            .observed(format!("{observed}: starting a TD ends with `vm-type tdx not supported by KVM`"))
            .expected("QEMU and kernel of the same generation")
            .fix(fix(kernel)),
    )
}

fn fix(kernel: TdxAbi) -> Fix {
    match kernel {
        TdxAbi::Mainline => {
            Fix::new("install an upstream QEMU of 10.1 or later, such as the one of Ubuntu 25.10 or later")
        }
        _ => Fix::new(
            "install the QEMU that comes from the same archive as this kernel (its version ends with `+tdx`), \
             or move to a kernel of 6.16 or later",
        ),
    }
}
