//! How many TDs fit, and how many more.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::kernel::not_intel;
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

pub(super) fn capacity(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let misc = &facts.kvm.misc;
    if let Some(misc) = misc.known()
        && let Some(keys) = misc.capacity("tdx")
    {
        let excerpt = format!("tdx {keys}");
        return if keys > 0 {
            check.pass().observed(format!("{keys} TDs at a time")).evidence(misc.source(), excerpt)
        } else {
            check
                .fail()
                .observed("no key id for a TD")
                .expected("one or more")
                .evidence(misc.source(), excerpt)
                .fix(fix_for(Setting::KeySplit, &facts.firmware))
        };
    }
    // Without the file the key ids tell: the first one is the module's own.
    let logged = facts.tdx.boot.known().and_then(|boot| Some((boot.key_ids?, boot.key_ids_line.clone()?)));
    let registers = facts.msrs.key_id_partitioning();
    let keys = logged.map(|(keys, line)| (u64::from(keys.count()), "kernel log", line)).or_else(|| {
        let split = registers.known()?;
        Some((u64::from(split.tdx), "MSR 0x87", format!("{} key ids of TDX", split.tdx)))
    });
    if let Some((keys, source, excerpt)) = keys
        && facts.tdx_proven(TdxStage::ModuleInitialized).is_some()
    {
        return if keys >= 2 {
            check
                .pass()
                .observed(format!("{} TDs at a time: {keys} key ids less the module's own", keys - 1))
                .evidence(source, excerpt)
        } else {
            check
                .fail()
                .observed("no key id for a TD")
                .expected("two or more key ids of TDX")
                .evidence(source, excerpt)
                .fix(fix_for(Setting::KeySplit, &facts.firmware))
        };
    }
    match misc {
        Fact::Known(misc) => check.unknown(format!("{} has no line tdx", misc.source())),
        Fact::Absent => {
            check.unknown("there is no misc.capacity: the misc controller of cgroups is not there")
        }
        Fact::Unread(why) => check.unknown(format!("/sys/fs/cgroup/misc.capacity: {}", why.why())),
    }
}

pub(super) fn free(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let Some(misc) = facts.kvm.misc.known() else {
        return match facts.kvm.misc.unread() {
            Some(why) => check.unknown(format!("/sys/fs/cgroup/misc.current: {}", why.why())),
            None => check
                .not_applicable()
                .observed("this system does not count them: it has no misc controller of cgroups"),
        };
    };
    let Some(capacity) = misc.capacity("tdx") else {
        return check.not_applicable().observed("this kernel does not count them");
    };
    let Some(used) = misc.in_use("tdx") else {
        return check.unknown("misc.current is not there, so how many are in use is not known");
    };
    let excerpt = format!("tdx {used} of {capacity}");
    let source = "/sys/fs/cgroup/misc.current";
    let free = capacity.saturating_sub(used);
    if free == 0 {
        return check
            .warn()
            .observed(format!("all {capacity} are in use: no further TD starts"))
            .expected("one or more free")
            .evidence(source, excerpt)
            .fix(Fix::new("stop a VM, or give TDX more key ids with the key split of the firmware"));
    }
    check.pass().observed(format!("{free} of {capacity} are free")).evidence(source, excerpt)
}
