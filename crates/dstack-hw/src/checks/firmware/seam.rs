//! The range of memory in which the TDX module lives, the loader that puts it there, and the check of the platform
//! that comes before.

use dstack_check::{CheckDef, Finding, Fix};

use crate::HostFacts;
use crate::checks::cpu::{Identity, implied_by, neither, register_source};
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::knowledge::cpu_models::Support;
use crate::knowledge::tdx_modules::Cause;

const EXPECTED: &str = "the SEAM range is configured (IA32_SEAMRR_PHYS_BASE bit 3), on and locked (IA32_SEAMRR_PHYS_MASK bits 11 and 10)";

pub(super) fn seam_loader(check: &CheckDef, facts: &HostFacts) -> Finding {
    let mask_register = facts.msrs.first(Register::SeamrrMask);
    if let (Some(raw), Some(mask)) = (mask_register.known(), facts.msrs.seamrr_mask().known()) {
        let base = facts.msrs.first(Register::SeamrrBase);
        // Bit 3; where the register was not read, the mask alone tells.
        let configured = base.known().is_none_or(|base| base >> 3 & 1 == 1);
        let state = match (mask.enabled, mask.locked) {
            (true, true) => "on and locked",
            (true, false) => "on, and not locked: the SEAM loader did not run",
            (false, true) => "off and locked",
            (false, false) => "off",
        };
        let shown = format!("SEAM range mask {raw:#x}: {state}");
        let with_evidence = |finding: Finding| {
            let finding = finding.evidence(register_source(Register::SeamrrMask, facts), format!("{raw:#x}"));
            match base.known() {
                Some(base) => {
                    finding.evidence(register_source(Register::SeamrrBase, facts), format!("{base:#x}"))
                }
                None => finding,
            }
        };
        if mask.enabled && mask.locked && configured {
            return with_evidence(check.pass().observed(shown));
        }
        if let Some(finding) = implied_by(check, facts, TdxStage::ModuleLoaded) {
            return with_evidence(finding);
        }
        let shown = if configured { shown } else { format!("{shown}, and its base is not configured") };
        let finding =
            with_evidence(check.fail().observed(shown).expected(EXPECTED)).fix(fix(facts, mask.enabled));
        return with_log(finding, facts);
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::ModuleLoaded) {
        return finding;
    }
    match log_cause(facts) {
        Some(Cause::ModuleNotLoaded) => with_log(
            check.fail().observed("the loader did not load a TDX module, says the kernel").expected(EXPECTED),
            facts,
        )
        .fix(fix(facts, true)),
        Some(_) => with_log(
            check.fail().observed("TDX has key ids, and is still not on, says the kernel").expected(EXPECTED),
            facts,
        )
        .fix(fix(facts, false)),
        None => check.unknown(neither(Register::SeamrrMask, &mask_register, facts)),
    }
}

/// What the kernel says that speaks of the range or of its loader.
fn log_cause(facts: &HostFacts) -> Option<Cause> {
    let cause = facts.tdx.boot.known()?.failure()?.cause;
    match cause {
        Cause::ModuleNotLoaded | Cause::NotEnabledByFirmware => Some(cause),
        // On a CPU that cannot, it is the CPU's fault.
        Cause::PlatformWithoutTdx => Identity::of(facts)
            .generation()
            .is_some_and(|generation| matches!(generation.support, Support::Tdx | Support::TdxOnSomeParts))
            .then_some(cause),
        _ => None,
    }
}

fn with_log(finding: Finding, facts: &HostFacts) -> Finding {
    match facts.tdx.boot.known().and_then(|boot| boot.failure()) {
        Some(failure) if log_cause(facts).is_some() => {
            finding.evidence("kernel log", failure.lines.join("\n"))
        }
        _ => finding,
    }
}

/// With the range on, it is the loader. With the range off it is TDX, or SGX: the check of the platform that turns the
/// range on is SGX's.
fn fix(facts: &HostFacts, range_is_on: bool) -> Fix {
    let sgx_is_off = facts.cpu.cpuid.sgx.known().is_some_and(|sgx| !sgx.sgx1)
        || facts.cpu.flag("sgx").known() == Some(&false)
        || facts.msrs.feature_control().known().is_some_and(|control| control.locked && !control.sgx);
    let setting = match (range_is_on, sgx_is_off) {
        (true, _) => Setting::SeamLoader,
        (false, true) => Setting::Sgx,
        (false, false) => Setting::Tdx,
    };
    let mut fix = fix_for(setting, &facts.firmware);
    if setting == Setting::Sgx {
        fix.action = format!("{}; without SGX the firmware leaves TDX off", fix.action).into();
    }
    fix
}

/// What some values of the register say. From Intel's setup guides.
const CODES: &[(u64, &str, Setting)] = &[(
    0x1861,
    "the variables in which the firmware keeps the registration of SGX are damaged",
    Setting::SgxFactoryReset,
)];

pub(super) fn mcheck(check: &CheckDef, facts: &HostFacts) -> Finding {
    let register = facts.msrs.first(Register::McheckError);
    let Some(value) = register.known() else {
        return implied_by(check, facts, TdxStage::ModuleLoaded).unwrap_or_else(|| {
            check.unknown(crate::checks::cpu::register_is_silent(Register::McheckError, &register))
        });
    };
    let source = register_source(Register::McheckError, facts);
    if *value == 0 {
        return check.pass().observed("MSR 0xa0 is 0").evidence(source, "0x0");
    }
    let known = CODES.iter().find(|(code, ..)| code == value);
    let observed = match known {
        Some((_, meaning, _)) => format!("MSR 0xa0 is {value:#x}: {meaning}"),
        None => format!("MSR 0xa0 is {value:#x}"),
    };
    let fix = match known {
        Some((.., setting)) => fix_for(*setting, &facts.firmware),
        None => Fix::new(
            "load the firmware's defaults, set memory encryption, SGX and TDX anew in that order, check that the DIMMs are placed as the maker's manual says, and update the firmware",
        )
        .only_a_hint(),
    };
    // A module that runs shows that the refusal, if it was one, is over.
    let finding =
        if facts.tdx_proven(TdxStage::ModuleInitialized).is_some() { check.warn() } else { check.fail() };
    finding
        .observed(observed)
        .expected("0: the check of the platform before SGX and TDX found nothing")
        .evidence(source, format!("{value:#x}"))
        .fix(fix)
}
