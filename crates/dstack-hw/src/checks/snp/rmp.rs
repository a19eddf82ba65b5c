//! The reverse map table: memory that the firmware sets aside, with an entry for every page there is.

use dstack_check::{CheckDef, Finding};

use super::proof;
use crate::checks::cpu::{neither, register_source, said_where};
use crate::facts::msr::{Register, RmpTable};
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

const EXPECTED: &str = "memory for the RMP table, set aside by the firmware";

pub(super) fn rmp(check: &CheckDef, facts: &HostFacts) -> Finding {
    let fix = || fix_for(Setting::SnpMemoryCoverage, &facts.firmware);
    let table = facts.msrs.rmp_table();
    if let Some(table) = table.known() {
        let evidence = |finding: Finding| {
            [Register::RmpBase, Register::RmpEnd].into_iter().fold(finding, |finding, register| {
                match facts.msrs.first(register) {
                    Fact::Known(value) => {
                        finding.evidence(register_source(register, facts), format!("{value:#x}"))
                    }
                    _ => finding,
                }
            })
        };
        return if table.is_reserved() || is_segmented(facts) {
            evidence(check.pass().observed(shown(*table)))
        } else {
            evidence(
                check.fail().observed("RMP_BASE and RMP_END hold no range").expected(EXPECTED).fix(fix()),
            )
        };
    }
    let bad = |text: &str| {
        proof::after_speaker(text).is_some_and(|text| {
            text.starts_with("Memory for the RMP table has not been reserved by BIOS")
                || text.starts_with("RMP configuration not valid")
        })
    };
    if let Some(line) = said_where(facts, bad) {
        return check
            .fail()
            .observed("the firmware set nothing aside, says the kernel")
            .expected(EXPECTED)
            .evidence("kernel log", line)
            .fix(fix());
    }
    if let Some(table) = logged_table(facts) {
        return check.pass().observed(shown(table.0)).evidence("kernel log", table.1);
    }
    match proof::of_table(facts) {
        Some(proof) => proof.implies(check),
        None => check.unknown(neither(Register::RmpBase, &facts.msrs.first(Register::RmpBase), facts)),
    }
}

fn shown(table: RmpTable) -> String {
    format!("{:#x} to {:#x}, {} MiB", table.base, table.end, table.size() >> 20)
}

/// `[0x0000000088900000 - 0x00000000a8efffff]`
fn logged_table(facts: &HostFacts) -> Option<(RmpTable, &str)> {
    let line = said_where(facts, proof::is_table)?;
    let (_, range) = line.rsplit_once('[')?;
    let (first, last) = range.split_once(']')?.0.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok();
    Some((RmpTable::decode(number(first)?, number(last)?), line))
}

/// Newer CPUs can keep the table in segments; then the registers hold a list of them, and the arithmetic is another.
fn is_segmented(facts: &HostFacts) -> bool {
    facts.msrs.first(Register::RmpConfig).known().is_some_and(|value| value & 1 == 1)
}

pub(super) fn rmp_covers(check: &CheckDef, facts: &HostFacts) -> Finding {
    let fix = || fix_for(Setting::SnpMemoryCoverage, &facts.firmware);
    let too_small =
        |text: &str| text.contains("Memory reserved for the RMP table does not cover full system RAM");
    if let Some(line) = said_where(facts, too_small) {
        return check
            .fail()
            .observed("the table is too small for the memory, says the kernel")
            .expected("16 bytes for each page of 4 KiB, and 16 KiB")
            .evidence("kernel log", line)
            .fix(fix());
    }
    // The kernel measures this itself before it turns SEV-SNP on.
    if let Some(proof) = proof::in_kernel(facts) {
        return proof.implies(check);
    }
    let table = facts.msrs.rmp_table();
    let (table, source) = match (table.known(), logged_table(facts)) {
        (Some(table), _) => (*table, register_source(Register::RmpEnd, facts)),
        (None, Some((table, _))) => (table, "kernel log".to_owned()),
        (None, None) => return check.unknown(neither(Register::RmpBase, &table, facts)),
    };
    if is_segmented(facts) {
        return check
            .unknown("the table is in segments, and the kernel does not say whether they cover all memory");
    }
    let Some((end, end_source)) = end_of_memory(facts) else {
        return check.unknown("how much memory there is, which TOP_MEM2 or /proc/meminfo tell");
    };
    let needed = RmpTable::size_for(end);
    let shown =
        format!("{} MiB, which covers {} GiB of {} GiB", table.size() >> 20, table.covers() >> 30, end >> 30);
    let finding = if table.covers() >= end { check.pass() } else { check.fail().fix(fix()) };
    finding
        .observed(shown)
        .expected(format!("{} MiB: 16 bytes for each page of 4 KiB, and 16 KiB", needed.div_ceil(1 << 20)))
        .evidence(source, format!("{:#x} to {:#x}", table.base, table.end))
        .evidence(end_source, format!("{end:#x}"))
}

/// The end of memory: what is above 4 GiB counts from the register. Without it, memory is at least as long as there is of
/// it, and holes make it longer.
fn end_of_memory(facts: &HostFacts) -> Option<(u64, String)> {
    const FOUR_GIB: u64 = 4 << 30;
    if let Some(top) = facts.msrs.first(Register::TopMem2).known().filter(|top| **top > FOUR_GIB) {
        return Some((*top & ((1 << 52) - 1), register_source(Register::TopMem2, facts)));
    }
    let total = facts.memory.info.known()?.total.checked_mul(1024)?;
    Some((total, "/proc/meminfo, MemTotal".to_owned()))
}
