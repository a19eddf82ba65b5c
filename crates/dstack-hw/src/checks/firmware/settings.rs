//! Settings that are a bit in a register: VMX, and the debug mode of SGX.

use dstack_check::{CheckDef, Finding};

use crate::HostFacts;
use crate::checks::cpu::{implied_by, neither, register_source, said_where};
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};

pub(super) fn vmx_locked_on(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "bits 0 (locked) and 2 (VMX) of IA32_FEATURE_CONTROL are set";
    let register = facts.msrs.first(Register::FeatureControl);
    if let (Some(value), Some(control)) = (register.known(), facts.msrs.feature_control().known()) {
        let shown = format!("IA32_FEATURE_CONTROL {value:#x}");
        let source = register_source(Register::FeatureControl, facts);
        return match (control.locked, control.vmx) {
            (true, true) => check.pass().observed(format!("{shown}: locked, VMX on")).evidence(source, shown),
            (true, false) => check
                .fail()
                .observed(format!("{shown}: locked, VMX off"))
                .expected(expected)
                .evidence(source, shown)
                .fix(fix_for(Setting::VtX, &facts.firmware)),
            // The kernel locks it while it boots, with VMX on, where the firmware did not.
            (false, _) => check
                .warn()
                .observed(format!("{shown}: not locked"))
                .expected(expected)
                .evidence(source, shown)
                .fix(fix_for(Setting::VtX, &facts.firmware)),
        };
    }
    let line = said_where(facts, |text| text.contains("VMX (outside TXT) disabled by BIOS"));
    if let Some(line) = line {
        return check
            .fail()
            .observed("the kernel says that the firmware turned VMX off")
            .expected(expected)
            .evidence("kernel log", line)
            .fix(fix_for(Setting::VtX, &facts.firmware));
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::ModuleLoaded) {
        return finding;
    }
    // The kernel takes the flag away where the register says no (Linux, arch/x86/kernel/cpu/feat_ctl.c).
    if facts.cpu.flag("vmx").known() == Some(&true) {
        return check
            .pass()
            .observed("implied: the kernel lets the flag vmx stand")
            .evidence("/proc/cpuinfo, line flags", "vmx");
    }
    check.unknown(neither(Register::FeatureControl, &register, facts))
}

pub(super) fn sgx_debug(check: &CheckDef, facts: &HostFacts) -> Finding {
    let register = facts.msrs.first(Register::SgxDebug);
    let Some(value) = register.known() else {
        return check.unknown(crate::checks::cpu::register_is_silent(Register::SgxDebug, &register));
    };
    let shown = format!("MSR 0x503 {value:#x}");
    let source = register_source(Register::SgxDebug, facts);
    if *value == 0 {
        return check.pass().observed(shown.clone()).evidence(source, shown);
    }
    check
        .fail()
        .observed(shown.clone())
        .expected("0: with debug mode on, nothing that SGX says of this host is believed")
        .evidence(source, shown)
        .fix(fix_for(Setting::SgxDebug, &facts.firmware))
}
