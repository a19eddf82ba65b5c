//! What proves that SEV-SNP is up, and with it everything below.

use dstack_check::{CheckDef, Finding};

use crate::HostFacts;
use crate::checks::cpu::said_where;
use crate::facts::msr::Register;

/// Evidence from further up.
pub(super) struct Proof<'a> {
    source: &'static str,
    excerpt: &'a str,
    what: &'static str,
}

impl Proof<'_> {
    /// A pass that follows from it.
    pub(super) fn implies(&self, check: &CheckDef) -> Finding {
        check.pass().observed(format!("implied: {}", self.what)).evidence(self.source, self.excerpt)
    }
}

/// KVM runs SEV-SNP guests: everything below it is as it should be.
pub(super) fn in_kvm(facts: &HostFacts) -> Option<Proof<'_>> {
    if facts.snp.kvm_sev_snp.known() == Some(&true) {
        return Some(Proof {
            source: "/sys/module/kvm_amd/parameters/sev_snp",
            excerpt: "Y",
            what: "kvm_amd has SEV-SNP on",
        });
    }
    // kvm_amd: SEV-SNP enabled (ASIDs 1 - 99)
    let line = said_where(facts, |text| text.starts_with("kvm_amd: SEV-SNP enabled"))?;
    // The parameter is the present; the log may be older.
    (facts.snp.kvm_sev_snp.known() != Some(&false)).then_some(Proof {
        source: "kernel log",
        excerpt: line,
        what: "kvm_amd has SEV-SNP on",
    })
}

/// The kernel turned SEV-SNP on: silicon, firmware and IOMMU are as they should be.
pub(super) fn in_kernel(facts: &HostFacts) -> Option<Proof<'_>> {
    if let Some(proof) = in_kvm(facts) {
        return Some(proof);
    }
    // The bit is the kernel's: the firmware leaves it clear.
    facts.msrs.syscfg().known().filter(|syscfg| syscfg.snp).map(|_| Proof {
        source: Register::Syscfg.name(),
        excerpt: "bit 24 is set",
        what: "the kernel has turned SEV-SNP on",
    })
}

/// The kernel found the RMP table: the silicon has SEV-SNP, memory encryption is on, the firmware reserved the table.
pub(super) fn of_table(facts: &HostFacts) -> Option<Proof<'_>> {
    if let Some(proof) = in_kernel(facts) {
        return Some(proof);
    }
    let line = said_where(facts, is_table)?;
    Some(Proof { source: "kernel log", excerpt: line, what: "the kernel found the RMP table" })
}

/// `SEV-SNP: RMP table physical range [0x... - 0x...]`; older kernels say `address`, and `SEV:` before it.
pub(super) fn is_table(text: &str) -> bool {
    after_speaker(text).is_some_and(|text| text.starts_with("RMP table physical"))
}

/// What the part of the kernel that sets SEV-SNP up says, without its name.
pub(super) fn after_speaker(text: &str) -> Option<&str> {
    ["SEV-SNP: ", "SEV: ", "x86/sev: "].iter().find_map(|speaker| text.strip_prefix(speaker))
}
