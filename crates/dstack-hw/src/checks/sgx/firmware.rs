//! What the firmware made of SGX: on or off, and how much memory.

use dstack_check::{CheckDef, Finding, Fix};

use super::{elsewhere, mib, silicon};
use crate::checks::cpu::{log_is_silent, register_is_silent, register_source, said_where};
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

/// The beginnings of the messages by which the kernel says that the firmware has SGX off, older and newer wording.
const OFF: &[&str] = &["x86/cpu: SGX disabled by BIOS", "x86/cpu: SGX disabled or unsupported by BIOS"];

/// Below this a section of EPC is smaller than the firmware's automatic setting gives on servers. Quotes and the key
/// provider need a few tens of MiB.
const SMALL_SECTION: u64 = 128 << 20;

pub(super) fn firmware(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    // The later stages prove the earlier one, whatever a register may say.
    if facts.sgx.enclave_device.known().is_some() {
        return check
            .pass()
            .observed("implied: the kernel made /dev/sgx_enclave")
            .evidence("/dev/sgx_enclave", "is there");
    }
    let locked = said_where(facts, |text| text.starts_with("x86/cpu: SGX Launch Control is locked"));
    if let Some(line) = locked {
        return launch_control_locked(check, facts).evidence("kernel log", line);
    }
    let register = facts.msrs.feature_control();
    if let Fact::Known(bits) = &register {
        let source = register_source(Register::FeatureControl, facts);
        let excerpt = format!(
            "lock (bit 0) {}, launch control (bit 17) {}, SGX (bit 18) {}",
            u8::from(bits.locked),
            u8::from(bits.sgx_launch_control),
            u8::from(bits.sgx)
        );
        if !bits.sgx {
            return off(check, facts, "the firmware left SGX off").evidence(source, excerpt);
        }
        // Without flexible launch control in the CPU the bit is clear whatever the firmware does.
        let flexible = facts.cpu.cpuid.structured.known().is_none_or(|features| features.sgx_launch_control);
        if !bits.sgx_launch_control && flexible {
            return launch_control_locked(check, facts).evidence(source, excerpt);
        }
        return check.pass().observed("SGX is on").evidence(source, excerpt);
    }
    if facts.cpu.flag("sgx") == Fact::Known(true) {
        return check
            .pass()
            .observed("implied: the kernel takes the flag away where the firmware has SGX off")
            .evidence("/proc/cpuinfo", "flags: sgx");
    }
    if let Some(line) = said_where(facts, |text| text.starts_with("sgx: EPC section 0x")) {
        return check.pass().observed("implied: there is enclave memory").evidence("kernel log", line);
    }
    if let Some(line) = said_where(facts, |text| OFF.iter().any(|message| text.starts_with(message))) {
        return off(check, facts, "the firmware has SGX off").evidence("kernel log", line);
    }
    if let Fact::Known(leaf) = &facts.cpu.cpuid.sgx {
        let excerpt = format!("EAX bit 0 (SGX1) = {}", u8::from(leaf.sgx1));
        return if leaf.sgx1 {
            check.pass().observed("the instructions of SGX work").evidence("CPUID leaf 0x12", excerpt)
        } else {
            let words =
                "the CPU has SGX and its instructions are off: the firmware has SGX off or locked out";
            let finding = off(check, facts, words).evidence("CPUID leaf 0x12", excerpt);
            match said_where(facts, |text| text.starts_with("sgx: There are zero EPC sections")) {
                Some(line) => finding.evidence("kernel log", line),
                None => finding,
            }
        };
    }
    if let Some(line) = said_where(facts, |text| text.starts_with("sgx: There are zero EPC sections")) {
        return off(check, facts, "SGX has no memory, as where the firmware has it off")
            .evidence("kernel log", line);
    }
    let nosgx = facts.kernel_command_line().known().is_some_and(|line| line.has("nosgx"));
    if facts.cpu.flag("sgx") == Fact::Known(false) && silicon::expected(facts) && !nosgx {
        return off(check, facts, "a CPU of this generation, and the flag `sgx` is missing: the kernel takes it away where the firmware has SGX off")
            .evidence("/proc/cpuinfo", "flags: no sgx");
    }
    check.unknown(format!(
        "{}; {}",
        register_is_silent(Register::FeatureControl, &register),
        log_is_silent(facts)
    ))
}

fn off(check: &CheckDef, facts: &HostFacts, observed: &str) -> Finding {
    check
        .fail()
        .observed(observed)
        .expected("SGX on in the firmware: IA32_FEATURE_CONTROL (MSR 0x3A) bits 0, 17 and 18 set")
        .fix(fix_for(Setting::Sgx, &facts.firmware))
}

fn launch_control_locked(check: &CheckDef, facts: &HostFacts) -> Finding {
    check
        .fail()
        .observed("the firmware locked launch control: enclaves of one's own cannot start")
        .expected("IA32_FEATURE_CONTROL (MSR 0x3A) bit 17 set")
        .fix(fix_for(Setting::SgxLaunchControl, &facts.firmware))
}

pub(super) fn epc(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    let zero = said_where(facts, |text| text.starts_with("sgx: There are zero EPC sections"));
    let Some((source, sizes)) = sections(facts) else {
        return match zero {
            Some(line) => none(check, facts).evidence("kernel log", line),
            None if facts.sgx.enclave_device.known().is_some() => check
                .pass()
                .observed("implied: the kernel makes /dev/sgx_enclave only where there is enclave memory; how much is not known")
                .evidence("/dev/sgx_enclave", "is there"),
            None => check.unknown(format!("enclave memory is not shown by CPUID or sysfs; {}", log_is_silent(facts))),
        };
    };
    let total = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let listed: Vec<String> = sizes.iter().take(16).map(|size| format!("{} MiB", mib(*size))).collect();
    let excerpt = if listed.is_empty() { "no section".to_owned() } else { listed.join(", ") };
    if total == 0 {
        let finding = none(check, facts).evidence(source, excerpt);
        return match zero {
            Some(line) => finding.evidence("kernel log", line),
            None => finding,
        };
    }
    let observed =
        format!("{} MiB in {} section{}", mib(total), sizes.len(), if sizes.len() == 1 { "" } else { "s" });
    if sizes.iter().any(|size| *size < SMALL_SECTION) {
        return check
            .warn()
            .observed(observed)
            .expected(format!(
                "at least {} MiB a section, which leaves room beside the quote services",
                mib(SMALL_SECTION)
            ))
            .evidence(source, excerpt)
            .fix(
                Fix::new("set the size of SGX memory (PRMRR) in the firmware to automatic or larger")
                    .only_a_hint(),
            );
    }
    check.pass().observed(observed).evidence(source, excerpt)
}

fn none(check: &CheckDef, facts: &HostFacts) -> Finding {
    check
        .fail()
        .observed("there is no enclave memory: the firmware set none aside")
        .expected("one EPC section a package")
        .fix(fix_for(Setting::Sgx, &facts.firmware))
}

/// The sizes of the EPC sections, by CPUID, else by the kernel's own count, else by its messages.
fn sections(facts: &HostFacts) -> Option<(&'static str, Vec<u64>)> {
    if let Fact::Known(leaf) = &facts.cpu.cpuid.sgx {
        let sizes: Vec<u64> = leaf.epc.iter().map(|section| section.size).collect();
        // A recording that ends at the first sub-leaf shows no sections, although there may be some.
        if !sizes.is_empty() || !leaf.sgx1 {
            return Some(("CPUID leaf 0x12", sizes));
        }
    }
    if let Fact::Known(nodes) = &facts.sgx.node_epc {
        return Some((
            "/sys/devices/system/node/node*/x86/sgx_total_bytes",
            nodes.iter().map(|node| node.bytes).collect(),
        ));
    }
    let log = facts.kernel_log.known()?;
    let sizes: Vec<u64> = log
        .with_prefix("sgx: EPC section ")
        .filter_map(|message| section_size(&message.text))
        .take(64)
        .collect();
    (!sizes.is_empty()).then_some(("kernel log", sizes))
}

/// The size in `sgx: EPC section 0x4000c00000-0x407edfefff`: both ends belong to it.
fn section_size(text: &str) -> Option<u64> {
    let range = text.strip_prefix("sgx: EPC section ")?.split_whitespace().next()?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    number(last)?.checked_sub(number(first)?)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_section_belong_to_it() {
        assert_eq!(section_size("sgx: EPC section 0x1020c00000-0x107fffffff").map(mib), Some(1524));
        assert_eq!(section_size("sgx: EPC section 0x4000c00000-0x407edfefff").map(mib), Some(2017));
        assert_eq!(section_size("sgx: EPC section 0x2-0x1"), None);
        assert_eq!(section_size("sgx: EPC section 0x0-0xffffffffffffffff"), None);
    }
}
