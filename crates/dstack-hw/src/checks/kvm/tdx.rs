//! Whether KVM has TDX, and under which number.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::kernel::{add_to_command_line, not_intel};
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::kvm::TdxAbi;
use crate::knowledge::kernels;
use crate::knowledge::tdx_modules::Cause;
use crate::{Fact, HostFacts, Unread};

/// KVM's switch for TDX.
const PARAMETER: &str = "/sys/module/kvm_intel/parameters/tdx";

pub(super) fn tdx(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::KvmReady) {
        return check
            .pass()
            .observed(format!("TDX is up in KVM: {} reads {}", proof.source, proof.excerpt))
            .evidence(proof.source, proof.excerpt);
    }
    let boot = facts.tdx.boot.known();
    let expected = "Y";
    let complaint = boot.and_then(|boot| {
        let kvm = boot.kvm.as_ref().filter(|failure| failure.cause != Cause::AfterModuleFailure);
        kvm.or_else(|| boot.failure())
    });
    if let Some(failure) = complaint {
        return check
            .fail()
            .observed(format!("KVM is without TDX: {}", failure.cause.meaning()))
            .expected(expected)
            .evidence("kernel log", failure.lines.join("\n"))
            .fix(failure.cause.fix(&facts.firmware));
    }
    let release = facts.kernel_release();
    let default = release.known().and_then(kernels::tdx_on_by_default);
    match &facts.kvm.intel.tdx {
        Fact::Known(_) => {
            let told = facts.kernel_command_line().known().and_then(|line| line.switch("kvm_intel.tdx"));
            let (why, fix) = match (told, default) {
                // The trap: on mainline N mostly means that nobody asked, and says nothing of the firmware.
                (None, Some(false)) => (
                    "on this kernel it is off until it is asked for, so this says nothing of the firmware",
                    add_to_command_line(facts, "kvm_intel.tdx=1"),
                ),
                (Some(false), _) => (
                    "it is turned off on the command line",
                    Fix::new("change kvm_intel.tdx=0 to kvm_intel.tdx=1 and restart"),
                ),
                (Some(true), _) | (None, Some(true)) => (
                    "it was asked for, so bringing TDX up failed: the kernel log says where",
                    look_into_the_log(),
                ),
                (None, None) => (
                    "it was not asked for, or bringing TDX up failed: the kernel log says which",
                    look_into_the_log(),
                ),
            };
            check
                .fail()
                .observed(format!("the parameter reads N: {why}"))
                .expected(expected)
                .evidence(PARAMETER, "N")
                .fix(fix)
        }
        Fact::Absent => absent(check, facts),
        Fact::Unread(why) => match facts.tdx_proven(TdxStage::ModuleInitialized) {
            // KVM is the only one that calls for it, and it would have said what is in the way.
            Some(proof) => check
                .pass()
                .observed("KVM has initialised the TDX module and says nothing against it; the parameter itself was not read")
                .evidence(proof.source, proof.excerpt),
            None => check.unknown(format!("{PARAMETER}: {}", why.why())),
        },
    }
}

/// The parameter is not there. That has three causes at least, and none of them is the firmware by itself.
fn absent(check: &CheckDef, facts: &HostFacts) -> Finding {
    let module_there = facts.kvm.intel_present.known() == Some(&true)
        || facts.kernel.module_loaded("kvm_intel").known() == Some(&true);
    let finding = check.fail().expected("Y").evidence(PARAMETER, "not there");
    if module_there {
        return finding
            .observed("kvm_intel is loaded and has no parameter tdx: the kernel was built without TDX in KVM")
            .fix(
                Fix::new("install a kernel that hosts TDX, see hw.kernel.version")
                    .command("modinfo -p kvm_intel | grep tdx"),
            );
    }
    finding
        .observed("there is no parameter because kvm_intel is not loaded: nobody loaded it, or on mainline an error of the TDX module kept it from loading")
        .fix(
            Fix::new("load kvm_intel and look at what the kernel says")
                .command("sudo modprobe kvm_intel")
                .command("sudo dmesg | grep -E 'virt/tdx|kvm_intel' | tail"),
        )
}

fn look_into_the_log() -> Fix {
    Fix::new("look for what stopped it: messages of virt/tdx and of kvm_intel")
        .command("sudo dmesg | grep -E '(virt/)?tdx: |kvm_intel: '")
        .command("sudo journalctl -k -b | grep -E '(virt/)?tdx: |kvm_intel: '")
}

pub(super) fn vm_type(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let release = facts.kernel_release();
    let line = release.known().and_then(kernels::line_of);
    let capabilities = match &facts.kvm.capabilities {
        Fact::Known(capabilities) => capabilities,
        unknown => {
            // Where KVM has TDX up, the type is among its types: only the number was not seen.
            if let Some(proof) = facts.tdx_proven(TdxStage::KvmReady) {
                let number = line.and_then(|line| line.abi).map_or_else(
                    || "its number is not known".to_owned(),
                    |abi| format!("its number on this kernel is {}", abi.vm_type()),
                );
                return crate::checks::kernel::implied(check, format!("KVM has TDX; {number}"), proof);
            }
            let why = unknown.unread().map_or_else(|| "not there".to_owned(), Unread::why);
            return check.unknown(format!("/dev/kvm: {why}"));
        }
    };
    let types = capabilities.vm_types;
    let before_6_8 =
        release.known().and_then(|release| release.mainline()).is_some_and(|number| number < (6, 8));
    let excerpt = format!("KVM_CAP_VM_TYPES = {types:#x}");
    match capabilities.tdx_abi(before_6_8) {
        Some(abi) => {
            let of = match abi {
                TdxAbi::Mainline => "the number of mainline: QEMU 10.1 or newer fits",
                TdxAbi::PatchesV19 => "the number of Intel's patches: only a QEMU built for them fits (`+tdx` in its version)",
                TdxAbi::Early => "the number of Intel's early kernels: only a QEMU of that time fits",
            };
            check
                .pass()
                .observed(format!("a TD is VM type {}, {of}", abi.vm_type()))
                .evidence("/dev/kvm", excerpt)
        }
        None => check
            .fail()
            .observed(format!("none of the VM types {} is a TD", listed(types)))
            .expected("VM type 5 on mainline, 2 on kernels with Intel's patches")
            .evidence("/dev/kvm", excerpt)
            .fix(Fix::new("bring TDX up in KVM first, see hw.kvm.tdx; where it is up, install a kernel that offers TDs to QEMU")),
    }
}

/// The numbers of the bits that are set.
fn listed(types: u64) -> String {
    let numbers: Vec<String> =
        (0..64).filter(|bit| types >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
    if numbers.is_empty() { "(none)".to_owned() } else { numbers.join(", ") }
}
