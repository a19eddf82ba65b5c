//! The memory for the module's bookkeeping against the memory of the host.

use dstack_check::{CheckDef, Finding, Fix};

use crate::HostFacts;
use crate::checks::kernel::{implied, not_intel};
use crate::facts::kernel_tdx::{MemoryRange, TdxStage};

/// The module keeps 16 bytes of every 4 KiB page, and a little of larger pages: a 256th of the memory.
const PAGE_SHARE: u64 = 256;

pub(super) fn pamt(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let boot = facts.tdx.boot.known();
    let Some((kib, line)) = boot.and_then(|boot| Some((boot.pamt_kib?, boot.pamt_line.clone()?))) else {
        if let Some(proof) = facts.tdx_proven(TdxStage::ModuleInitialized) {
            return implied(check, "the module has the memory it needs; how much was not read", proof);
        }
        return check.unknown(match facts.tdx.boot.unread() {
            Some(why) => format!("the kernel log: {}", why.why()),
            None => "the kernel does not say how much memory it set aside".to_owned(),
        });
    };
    let covered = kib.saturating_mul(1024).saturating_mul(PAGE_SHARE);
    let observed = format!("{} MiB, enough to keep book of {} GiB", kib / 1024, covered >> 30);
    let total = facts.memory.info.known().map(|info| info.total.saturating_mul(1024));
    let listed: u64 = boot
        .map_or(&[][..], |boot| boot.convertible.as_slice())
        .iter()
        .copied()
        .map(MemoryRange::bytes)
        .fold(0, u64::saturating_add);
    // The ranges in a log that was cut are too few, never too many.
    let (needed, source) = match total {
        Some(total) => (total, "/proc/meminfo"),
        None if listed > 0 => (listed, "the memory ranges in the kernel log"),
        None => {
            return check
                .pass()
                .observed(format!("{observed}; how much the host has is not known"))
                .evidence("kernel log", line);
        }
    };
    // The kernel takes some memory away before TDX sees it, and the module keeps book of holes too.
    if covered < needed / 10 * 9 {
        return check
            .warn()
            .observed(format!("{observed}, and the host has {} GiB", needed >> 30))
            .expected(format!("about {} MiB", (needed / PAGE_SHARE) >> 20))
            .evidence("kernel log", line)
            .evidence(source, format!("{} GiB", needed >> 30))
            .fix(Fix::new("see whether memory was added while the host was running or is of a kind that TDX cannot protect (CXL, persistent memory); restart, and look at the memory ranges that the kernel lists")
                .command("sudo dmesg | grep -E 'CMR|PAMT'"));
    }
    check
        .pass()
        .observed(format!("{observed}; the host has {} GiB", needed >> 30))
        .evidence("kernel log", line)
}
