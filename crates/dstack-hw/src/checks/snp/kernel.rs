//! Has the kernel turned SEV-SNP on, and has KVM?

use dstack_check::{CheckDef, Finding, Fix};

use super::proof;
use crate::checks::cpu::{neither, register_source, said_where};
use crate::facts::msr::Register;
use crate::{Fact, HostFacts};

const PARAMETER: &str = "/sys/module/kvm_amd/parameters/sev_snp";

fn newer_kernel() -> Fix {
    Fix::new(
        "use a kernel with SEV-SNP for hosts: mainline since 6.11, or a distribution's kernel that has it; then look in the kernel log for what SEV-SNP and AMD-Vi say",
    )
    .command("sudo dmesg | grep -iE 'sev|AMD-Vi|ccp'")
}

pub(super) fn kernel(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "SYSCFG bits 24 (SEV-SNP) and 25 (privilege levels), which the kernel sets while it boots";
    let register = facts.msrs.first(Register::Syscfg);
    if let (Some(value), Some(syscfg)) = (register.known(), facts.msrs.syscfg().known()) {
        let source = register_source(Register::Syscfg, facts);
        let shown = format!("SYSCFG {value:#x}");
        return match (syscfg.snp, syscfg.vmpl) {
            (true, true) => {
                check.pass().observed(format!("{shown}: bits 24 and 25 are set")).evidence(source, shown)
            }
            (true, false) => check
                .warn()
                .observed(format!("{shown}: bit 24 is set and bit 25 is not"))
                .expected(expected)
                .evidence(source, shown)
                .fix(newer_kernel()),
            (false, _) => check
                .fail()
                .observed(format!("{shown}: bit 24 is clear"))
                .expected(expected)
                .evidence(source, shown)
                .fix(newer_kernel()),
        };
    }
    if let Some(proof) = proof::in_kvm(facts) {
        return proof.implies(check);
    }
    check.unknown(neither(Register::Syscfg, &register, facts))
}

pub(super) fn kvm(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "Y, or 1 on older kernels";
    match &facts.snp.kvm_sev_snp {
        Fact::Known(true) => check.pass().observed("Y").evidence(PARAMETER, "Y"),
        Fact::Known(false) => {
            let finding = check.fail().observed("N").expected(expected).evidence(PARAMETER, "N");
            match initialisation_failure(facts) {
                Some(line) => finding.evidence("kernel log", line),
                None => finding,
            }
            .fix(newer_kernel())
        }
        Fact::Absent if facts.kvm.amd_present.known() == Some(&false) => check
            .fail()
            .observed("kvm_amd is not loaded")
            .expected("kvm_amd, with its parameter sev_snp")
            .evidence("/sys/module/kvm_amd", "is not there")
            .fix(
                Fix::new("load kvm_amd; where it refuses, the kernel log says why")
                    .command("sudo modprobe kvm_amd")
                    .command("sudo dmesg | tail"),
            ),
        Fact::Absent => check
            .fail()
            .observed("kvm_amd has no parameter sev_snp: the kernel does not know SEV-SNP for hosts")
            .expected(expected)
            .evidence(PARAMETER, "is not there")
            .fix(newer_kernel()),
        Fact::Unread(why) => {
            if let Some(proof) = proof::in_kvm(facts) {
                return proof.implies(check);
            }
            if let Some(line) = said_where(facts, |text| text.starts_with("kvm_amd: SEV-SNP disabled")) {
                return check
                    .fail()
                    .observed("KVM has SEV-SNP off, says the kernel")
                    .expected(expected)
                    .evidence("kernel log", line)
                    .fix(newer_kernel());
            }
            check.unknown(format!("{PARAMETER}: {why}"))
        }
    }
}

/// `ccp 0000:22:00.1: SEV-SNP: failed to INIT rc -5, error 0x3`
fn initialisation_failure(facts: &HostFacts) -> Option<&str> {
    said_where(facts, |text| text.starts_with("ccp ") && text.contains("SEV-SNP: failed to INIT"))
}
