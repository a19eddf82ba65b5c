//! Key ids take the upper bits of physical addresses. A limit on those bits leaves none for them.

use dstack_check::{CheckDef, Finding};

use super::ground::{implied, said};
use crate::HostFacts;
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::bios_menus::{Setting, fix_for};

/// What servers with TDX have where nothing limits them.
const FULL: u8 = 52;

/// What the firmware's option limits them to.
const LIMITED: u32 = 46;

pub(super) fn physical_address_bits(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "52 bits in CPUID leaf 0x80000008, not limited to 46";
    let activate = facts.msrs.tme_activate();
    let keys_on = activate.known().map(|activate| activate.key_id_bits > 0);
    if let Some(bits) = facts.cpu.cpuid.physical_address_bits.known() {
        let source = "CPUID leaf 0x80000008, EAX bits 7 to 0";
        if *bits >= FULL {
            return check.pass().observed(format!("{bits} bits")).evidence(source, bits.to_string());
        }
        if let Some(proof) = facts.tdx_proven(TdxStage::PlatformAccepted) {
            return implied(check, proof).evidence(source, bits.to_string());
        }
        // It is in the way for certain only where multi-key encryption is known not to be on.
        let no_keys = facts.msrs.key_id_partitioning().known().is_some_and(|split| split.tdx == 0);
        let off = keys_on == Some(false) || no_keys || mktme_is_off(facts).is_some();
        let finding = if off { check.fail() } else { check.warn() };
        let finding = finding
            .observed(if u32::from(*bits) == LIMITED {
                format!("{bits} bits: the firmware limits physical addresses")
            } else {
                format!("{bits} bits, where servers with TDX have {FULL}")
            })
            .expected(expected)
            .evidence(source, bits.to_string())
            .fix(fix_for(Setting::PhysicalAddressLimit, &facts.firmware));
        return match mktme_is_off(facts) {
            Some(line) => finding.evidence("kernel log", line),
            None => finding,
        };
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::PlatformAccepted) {
        return implied(check, proof);
    }
    let Some(bits) = facts.cpu.info.known().and_then(|info| info.physical_address_bits) else {
        return check.unknown(match facts.cpu.cpuid.physical_address_bits.unread() {
            Some(why) => format!("CPUID leaf 0x80000008: {why}"),
            None => "CPUID has no leaf 0x80000008".to_owned(),
        });
    };
    // The kernel subtracts the bits that key ids take: 46 is the limit, or 52 with six bits of key ids.
    let source = "/proc/cpuinfo, line address sizes";
    let shown = format!("{bits} bits physical");
    if bits >= u32::from(FULL) || keys_on == Some(true) {
        return check.pass().observed(shown.clone()).evidence(source, shown);
    }
    if bits == LIMITED && (keys_on == Some(false) || mktme_is_off(facts).is_some()) {
        return check
            .fail()
            .observed(format!("{bits} bits, and no key ids that would account for the rest: the firmware limits physical addresses"))
            .expected(expected)
            .evidence(source, shown)
            .fix(fix_for(Setting::PhysicalAddressLimit, &facts.firmware));
    }
    check.unknown(format!(
        "the kernel counts {bits} bits, which is the firmware's limit or what key ids leave of {FULL}; CPUID leaf 0x80000008 tells and was not read"
    ))
}

/// The line that says that multi-key encryption is off although encryption is on: the limit is the usual reason.
fn mktme_is_off(facts: &HostFacts) -> Option<&str> {
    said(facts, "x86/mktme: disabled by BIOS")
}
