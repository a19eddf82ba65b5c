//! Does the CPU have SEV-SNP, can it virtualise, is its memory encryption on?

use dstack_check::{CheckDef, Finding, Fix};

use super::proof;
use crate::HostFacts;
use crate::checks::cpu::{Identity, neither, of_another_maker, register_source, said_where};
use crate::facts::cpu::Vendor;
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::knowledge::cpu_models::Support;

const FLAGS: &str = "/proc/cpuinfo, line flags";
const LEAF: &str = "CPUID leaf 0x8000001f, EAX";

pub(super) fn cpu(check: &CheckDef, facts: &HostFacts) -> Finding {
    let identity = Identity::of(facts);
    let expected = "an AMD EPYC of the third generation (Milan) or newer, with SEV-SNP";
    if let Some(finding) = of_another_maker(check, &identity, &Vendor::Amd, expected) {
        return finding;
    }
    let another =
        || Fix::new("use a server with an EPYC 7003 or newer: no setting brings SEV-SNP to this CPU");
    if let Some(encryption) = facts.cpu.cpuid.encryption.known() {
        if encryption.sev_snp {
            let shown = format!(
                "{}: SEV-SNP, C-bit {}, {} address bits less, {} privilege levels",
                identity.shown(),
                encryption.c_bit,
                encryption.address_reduction,
                encryption.vmpls
            );
            return check.pass().observed(shown).evidence(LEAF, "bit 4 is set");
        }
        let shown = format!(
            "{}: SEV {}, SEV-ES {}, no SEV-SNP",
            identity.shown(),
            if encryption.sev { "yes" } else { "no" },
            if encryption.sev_es { "yes" } else { "no" }
        );
        return check
            .fail()
            .observed(shown)
            .expected(expected)
            .evidence(LEAF, "bit 4 is clear")
            .fix(another());
    }
    // On a bare-metal host the flag is the silicon's; whether this is one is asked elsewhere.
    if facts.cpu.flag("sev_snp").known() == Some(&true) {
        return check
            .pass()
            .observed(format!("{}: flag sev_snp", identity.shown()))
            .evidence(FLAGS, "sev_snp");
    }
    if let Some(proof) = proof::of_table(facts) {
        return proof.implies(check);
    }
    match identity.generation().map(|generation| (generation.name, generation.support)) {
        Some((name, Support::None)) => check
            .fail()
            .observed(format!("{} ({name})", identity.shown()))
            .expected(expected)
            .evidence(identity.source, identity.shown())
            .fix(another()),
        Some((name, Support::SevSnp)) => check
            .pass()
            .observed(format!("{} ({name})", identity.shown()))
            .evidence(identity.source, identity.shown()),
        _ => check.unknown(match facts.cpu.cpuid.encryption.unread() {
            Some(why) => format!("CPUID leaf 0x8000001f: {why}"),
            None => "CPUID has no leaf 0x8000001f, and nothing else tells".to_owned(),
        }),
    }
}

pub(super) fn svm(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "SVM, not turned off by the firmware";
    let off = |finding: Finding| {
        finding
            .observed("the firmware turned SVM off")
            .expected(expected)
            .fix(fix_for(Setting::Svm, &facts.firmware))
    };
    let register = facts.msrs.first(Register::VmCr);
    if let Some(value) = register.known() {
        let source = register_source(Register::VmCr, facts);
        return if value >> 4 & 1 == 0 {
            check
                .pass()
                .observed(format!("VM_CR {value:#x}: bit 4 is clear"))
                .evidence(source, format!("{value:#x}"))
        } else {
            off(check.fail()).evidence(source, format!("{value:#x}"))
        };
    }
    let line = said_where(facts, |text| {
        text.contains("SVM disabled (by BIOS)")
            || text.contains("SVM not enabled by BIOS")
            || text == "kvm: disabled by bios"
    });
    if let Some(line) = line {
        return off(check.fail()).evidence("kernel log", line);
    }
    if let Some(proof) = proof::in_kvm(facts) {
        return proof.implies(check);
    }
    // kvm_amd loads only where SVM is on.
    if facts.snp.kvm_sev.known().is_some() {
        return check
            .pass()
            .observed("implied: kvm_amd is loaded")
            .evidence("/sys/module/kvm_amd/parameters", "there");
    }
    if facts.cpu.flag("svm").known() == Some(&false) {
        return off(check.fail()).evidence(FLAGS, "svm is not among them");
    }
    if facts.cpu.flag("svm").known() == Some(&true) {
        // Before 6.10 the flag is the silicon's alone; later kernels take it away where the firmware says no.
        return check.pass().observed("flag svm").evidence(FLAGS, "svm");
    }
    check.unknown(neither(Register::VmCr, &register, facts))
}

pub(super) fn smee(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "SYSCFG bit 23 is set; the word mem_encrypt on the kernel command line is something else and not needed";
    let off = |finding: Finding| {
        finding
            .observed("memory encryption is off")
            .expected(expected)
            .fix(fix_for(Setting::Smee, &facts.firmware))
    };
    let register = facts.msrs.first(Register::Syscfg);
    if let (Some(value), Some(syscfg)) = (register.known(), facts.msrs.syscfg().known()) {
        let source = register_source(Register::Syscfg, facts);
        return if syscfg.smee {
            check
                .pass()
                .observed(format!("SYSCFG {value:#x}: bit 23 is set"))
                .evidence(source, format!("{value:#x}"))
        } else {
            off(check.fail()).evidence(source, format!("{value:#x}"))
        };
    }
    if let Some(proof) = proof::of_table(facts) {
        return proof.implies(check);
    }
    // Where bit 23 is clear the kernel takes all flags of memory encryption away (Linux, arch/x86/kernel/cpu/amd.c).
    let flags = ["sme", "sev", "sev_es", "sev_snp"];
    if let Some(flag) = flags.into_iter().find(|flag| facts.cpu.flag(flag).known() == Some(&true)) {
        return check
            .pass()
            .observed(format!("implied: the kernel lets the flag {flag} stand"))
            .evidence(FLAGS, flag);
    }
    let silicon_has_it = facts.cpu.cpuid.encryption.known().is_some_and(|encryption| encryption.sev);
    if silicon_has_it && flags.iter().all(|flag| facts.cpu.flag(flag).known() == Some(&false)) {
        return off(check.fail()).evidence(FLAGS, "none of sme, sev, sev_es and sev_snp, which the CPU has");
    }
    check.unknown(neither(Register::Syscfg, &register, facts))
}
