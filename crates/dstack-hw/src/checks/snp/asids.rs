//! What guests take a share of: address space ids, and memory that is locked.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::cpu::{log_is_silent, said_where};
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::{Fact, HostFacts};

/// Below this many guests at a time the limit is worth a look.
const FEW: u64 = 8;

pub(super) fn asids(check: &CheckDef, facts: &HostFacts) -> Finding {
    let Some((ids, source, excerpt)) = snp_asids(facts) else {
        return check.unknown(match facts.cpu.cpuid.encryption.unread() {
            Some(why) => format!("CPUID leaf 0x8000001f: {why}; {}", log_is_silent(facts)),
            None => format!("CPUID has no leaf 0x8000001f; {}", log_is_silent(facts)),
        });
    };
    let shown = format!("{ids} address space ids for SEV-ES and SEV-SNP guests");
    let expected = "one for each guest that is to run at a time";
    let fix = || fix_for(Setting::SevEsAsidLimit, &facts.firmware);
    let finding = match ids {
        0 => check.fail().expected(expected).fix(fix()),
        1..FEW => check.warn().expected(expected).fix(fix()),
        _ => check.pass(),
    };
    finding.observed(shown).evidence(source, excerpt)
}

/// How many ids SEV-SNP guests share: from the control group, else from the log, else from the CPU.
fn snp_asids(facts: &HostFacts) -> Option<(u64, &'static str, String)> {
    if let Some(misc) = facts.kvm.misc.known()
        && let Some(ids) = misc.capacity("sev_es")
    {
        return Some((ids, misc.source(), format!("sev_es {ids}")));
    }
    let logged = said_where(facts, |text| range(text, "SEV-SNP").is_some())
        .or_else(|| said_where(facts, |text| range(text, "SEV-ES").is_some()));
    if let Some(line) = logged
        && let Some(ids) = line
            .find("kvm_amd: ")
            .and_then(|at| line.get(at..))
            .and_then(|text| range(text, "SEV-SNP").or_else(|| range(text, "SEV-ES")))
    {
        return Some((ids, "kernel log", line.to_owned()));
    }
    let encryption = facts.cpu.cpuid.encryption.known()?;
    let last = encryption.first_plain_asid.saturating_sub(1).min(encryption.asids);
    let shown = format!("ECX {}, EDX {}", encryption.asids, encryption.first_plain_asid);
    Some((u64::from(last), "CPUID leaf 0x8000001f", shown))
}

/// `kvm_amd: SEV-SNP enabled (ASIDs 1 - 254)`: how many.
fn range(text: &str, what: &str) -> Option<u64> {
    let rest = text.strip_prefix("kvm_amd: ")?.strip_prefix(what)?.strip_prefix(" enabled (ASIDs ")?;
    let (first, last) = rest.split_once(')')?.0.split_once(" - ")?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    Some(last.checked_sub(first)?.saturating_add(1))
}

pub(super) fn memlock(check: &CheckDef, facts: &HostFacts) -> Finding {
    const LIMITS: &str = "/proc/self/limits, Max locked memory";
    match &facts.snp.memlock {
        Fact::Known(None) => check.pass().observed("no limit").evidence(LIMITS, "unlimited"),
        Fact::Known(Some(bytes)) => check
            .warn()
            .observed(format!("{} MiB for the user who asks", bytes >> 20))
            .expected("no limit for who runs QEMU: the memory of a guest is locked as a whole; root is not bound by it")
            .evidence(LIMITS, bytes.to_string())
            .fix(
                Fix::new("lift the limit for the user who runs guests, or for the service: LimitMEMLOCK=infinity in its unit")
                    .command("echo '@kvm - memlock unlimited' | sudo tee /etc/security/limits.d/90-sev-snp.conf"),
            ),
        Fact::Absent => check.unknown("the limits of the process are not there"),
        Fact::Unread(why) => check.unknown(format!("{LIMITS}: {why}")),
    }
}
