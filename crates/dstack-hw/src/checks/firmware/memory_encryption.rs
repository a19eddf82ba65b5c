//! Memory encryption: on at all, and with more than one key.

use dstack_check::{CheckDef, Finding};

use crate::HostFacts;
use crate::checks::cpu::{implied_by, neither, register_source, said, said_where};
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};

pub(super) fn tme(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "TME on and locked: bits 0 and 1 of IA32_TME_ACTIVATE";
    let fix = || fix_for(Setting::Tme, &facts.firmware);
    let register = facts.msrs.first(Register::TmeActivate);
    if let (Some(value), Some(activate)) = (register.known(), facts.msrs.tme_activate().known()) {
        let shown = format!("IA32_TME_ACTIVATE {value:#x}");
        let source = register_source(Register::TmeActivate, facts);
        // Linux takes both together: what is not locked does not count as on (arch/x86/kernel/cpu/intel.c).
        return if activate.enabled && activate.locked {
            check.pass().observed(format!("{shown}: on and locked")).evidence(source, shown)
        } else {
            let state = match (activate.enabled, activate.locked) {
                (false, true) => "off and locked",
                (false, false) => "off",
                (true, _) => "on, and not locked",
            };
            check
                .fail()
                .observed(format!("{shown}: {state}"))
                .expected(expected)
                .evidence(source, shown)
                .fix(fix())
        };
    }
    // The whole message: `not enabled by BIOS` has the words of success in it.
    if let Some(line) = said_where(facts, |text| {
        text.trim_end() == "x86/tme: enabled by BIOS" || text.trim_end() == "x86/tme: not enabled by BIOS"
    }) {
        return if line.trim_end().ends_with("x86/tme: enabled by BIOS") {
            check.pass().observed("on, says the kernel").evidence("kernel log", line)
        } else {
            check
                .fail()
                .observed("off, says the kernel")
                .expected(expected)
                .evidence("kernel log", line)
                .fix(fix())
        };
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::PlatformAccepted) {
        return finding;
    }
    if let Some(line) = said(facts, "x86/mktme: enabled by BIOS") {
        return check.pass().observed("implied: it is on with several keys").evidence("kernel log", line);
    }
    if facts.cpu.cpuid.structured.known().is_some_and(|features| !features.tme) {
        return check
            .fail()
            .observed("the CPU has no memory encryption of this kind")
            .expected(expected)
            .evidence("CPUID leaf 7, ECX bit 13", "clear")
            .fix(fix().only_a_hint());
    }
    check.unknown(neither(Register::TmeActivate, &register, facts))
}

pub(super) fn tme_mt(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "address bits for key ids: bits 35 to 32 of IA32_TME_ACTIVATE are not 0";
    let fix = || fix_for(Setting::TmeMt, &facts.firmware);
    let register = facts.msrs.first(Register::TmeActivate);
    if let (Some(value), Some(activate)) = (register.known(), facts.msrs.tme_activate().known()) {
        let source = register_source(Register::TmeActivate, facts);
        let shown = format!(
            "IA32_TME_ACTIVATE {value:#x}: {} bits for key ids, {} of them kept for TDX",
            activate.key_id_bits, activate.tdx_key_id_bits
        );
        if activate.key_id_bits > 0 {
            return check
                .pass()
                .observed(format!("{shown}: {} key ids", activate.key_ids()))
                .evidence(source, format!("{value:#x}"));
        }
        // A register that says that key ids were split is proof that there are some.
        let split = facts.msrs.key_id_partitioning();
        if split.known().is_none_or(|split| split.mktme == 0 && split.tdx == 0) {
            return check
                .fail()
                .observed(shown)
                .expected(expected)
                .evidence(source, format!("{value:#x}"))
                .fix(fix());
        }
    }
    if let Some(split) =
        facts.msrs.key_id_partitioning().known().filter(|split| split.mktme > 0 || split.tdx > 0)
    {
        return check
            .pass()
            .observed(format!("implied: {} key ids for the host and {} for TDX", split.mktme, split.tdx))
            .evidence(
                register_source(Register::KeyIdPartitioning, facts),
                format!("{} and {}", split.mktme, split.tdx),
            );
    }
    if let Some((line, keys)) = key_ids(facts) {
        return if keys > 0 {
            check.pass().observed(format!("{keys} key ids, says the kernel")).evidence("kernel log", line)
        } else {
            check
                .fail()
                .observed("no key ids, says the kernel")
                .expected(expected)
                .evidence("kernel log", line)
                .fix(fix())
        };
    }
    if let Some(line) = said(facts, "x86/mktme: disabled by BIOS") {
        return check
            .fail()
            .observed("off, says the kernel")
            .expected(expected)
            .evidence("kernel log", line)
            .fix(fix());
    }
    if let Some(line) = said(facts, "x86/mktme: enabled by BIOS") {
        return check.pass().observed("on, says the kernel").evidence("kernel log", line);
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::PlatformAccepted) {
        return finding;
    }
    check.unknown(neither(Register::TmeActivate, &register, facts))
}

/// `x86/mktme: 63 KeyIDs available`.
fn key_ids(facts: &HostFacts) -> Option<(&str, u32)> {
    let number = |text: &str| {
        let rest = text.strip_prefix("x86/mktme: ")?;
        rest.trim_end().strip_suffix(" KeyIDs available")?.parse().ok()
    };
    let log = facts.kernel_log.known()?;
    log.messages.iter().rev().find_map(|message| Some((message.line.as_str(), number(&message.text)?)))
}
