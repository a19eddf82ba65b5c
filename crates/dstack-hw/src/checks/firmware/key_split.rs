//! How many key ids only TDX may use.

use dstack_check::{CheckDef, Finding};

use crate::checks::cpu::{implied_by, log_is_silent, register_is_silent, register_source};
use crate::facts::kernel_tdx::TdxStage;
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::knowledge::tdx_modules::Cause;
use crate::source::LogOrigin;
use crate::{Fact, HostFacts};

/// One key id for the module itself and one for a TD: the least that the kernel accepts (Linux,
/// `arch/x86/virt/vmx/tdx/tdx.c`). More than 16 is sometimes asked for, and nothing needs it.
const FLOOR: u32 = 2;

pub(super) fn tdx_keys(check: &CheckDef, facts: &HostFacts) -> Finding {
    let register = facts.msrs.first(Register::KeyIdPartitioning);
    if let (Some(value), Some(split)) = (register.known(), facts.msrs.key_id_partitioning().known()) {
        let range = split.private_range();
        let mut shown = format!("{} key ids for TDX and {} for the host", split.tdx, split.mktme);
        if split.tdx > 0 {
            shown.push_str(&format!(", range [{}, {})", range.start, range.end));
        }
        return judge(check, facts, split.tdx, shown)
            .evidence(register_source(Register::KeyIdPartitioning, facts), format!("{value:#x}"));
    }
    let boot = facts.tdx.boot.known();
    if let Some((keys, line)) = boot.and_then(|boot| Some((boot.key_ids?, boot.key_ids_line.as_deref()?))) {
        let shown = format!("{} key ids for TDX, range {keys}, says the kernel", keys.count());
        return judge(check, facts, keys.count(), shown).evidence("kernel log", line);
    }
    let failure = boot.and_then(|boot| boot.failure().or(boot.kvm.as_ref()));
    if let Some(failure) =
        failure.filter(|failure| matches!(failure.cause, Cause::TooFewKeyIds | Cause::NoKeyIds))
    {
        let keys = u32::from(failure.cause == Cause::TooFewKeyIds);
        let shown = if keys == 1 {
            "one key id for TDX, says the kernel"
        } else {
            "no key ids for TDX, says the kernel"
        };
        let lines = failure.lines.join("\n");
        return judge(check, facts, keys, shown.to_owned()).evidence("kernel log", lines);
    }
    if let Some(finding) = implied_by(check, facts, TdxStage::PlatformAccepted) {
        return finding;
    }
    let activate = facts.msrs.tme_activate();
    if activate.known().is_some_and(|activate| activate.tdx_key_id_bits == 0) {
        return judge(check, facts, 0, "no address bits are kept for key ids of TDX".to_owned())
            .evidence(register_source(Register::TmeActivate, facts), "bits 39 to 36 are 0");
    }
    // Where there are none the kernel says nothing at all, so silence is an answer where it would have been heard.
    if kernel_would_have_spoken(facts) {
        return judge(check, facts, 0, "the kernel can host TDX and says nothing of key ids".to_owned())
            .evidence("kernel log", "no line `BIOS enabled: private KeyID range`");
    }
    let silence = log_is_silent(facts);
    check.unknown(format!("{}; {silence}", register_is_silent(Register::KeyIdPartitioning, &register)))
}

fn judge(check: &CheckDef, facts: &HostFacts, keys: u32, shown: String) -> Finding {
    if keys >= FLOOR {
        let guests = keys - 1;
        return check.pass().observed(format!("{shown}: room for {guests} TDs at a time"));
    }
    let setting = if keys == 0 { Setting::Tdx } else { Setting::KeySplit };
    check
        .fail()
        .observed(shown)
        .expected("at least 2 private key ids: one is the module's own, each TD takes another")
        .fix(fix_for(setting, &facts.firmware))
}

fn kernel_would_have_spoken(facts: &HostFacts) -> bool {
    let built_for_it =
        facts.kernel.config.known().is_some_and(|config| config.is_on("CONFIG_INTEL_TDX_HOST"));
    // What people paste is seldom the whole log, even where it begins at the beginning.
    let heard = match &facts.kernel_log {
        Fact::Known(log) => log.from_boot && log.from != LogOrigin::Pasted,
        _ => false,
    };
    built_for_it && heard && facts.tdx.boot.known().is_some_and(|boot| boot.is_silent())
}
