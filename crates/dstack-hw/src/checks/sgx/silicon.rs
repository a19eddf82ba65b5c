//! What the CPU has.

use dstack_check::{CheckDef, Finding, Fix};

use super::elsewhere;
use crate::checks::cpu::{Identity, said_where};
use crate::{Fact, HostFacts};

/// Models of family 6 that have SGX as a rule: the servers since Ice Lake. Of Sapphire Rapids many retail parts have none.
const SERVERS_WITH_SGX: &[u32] = &[0x6a, 0x6c, 0x8f, 0xcf, 0xad, 0xae, 0xaf];

/// Messages that the kernel writes only where the CPU has SGX.
const ONLY_WITH_SGX: &[&str] = &[
    "sgx: EPC section 0x",
    "sgx: There are zero EPC sections",
    "x86/cpu: SGX disabled by BIOS",
    "x86/cpu: SGX disabled or unsupported by BIOS",
    "x86/cpu: SGX Launch Control is locked",
];

/// Is it a CPU of a server generation that has SGX as a rule?
pub(super) fn expected(facts: &HostFacts) -> bool {
    Identity::of(facts)
        .signature
        .is_some_and(|signature| signature.family == 6 && SERVERS_WITH_SGX.contains(&signature.model))
}

pub(super) fn cpu(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    if let Some((source, excerpt)) = seen(facts) {
        return check.pass().observed("SGX is there").evidence(source, excerpt);
    }
    match &facts.cpu.cpuid.structured {
        Fact::Known(_) if expected(facts) => check
            .unknown("CPUID shows no SGX; CPUs of this generation have it as a rule, and some firmware hides it while it is off")
            .observed("CPUID leaf 7: EBX bit 2 is clear")
            .evidence("CPUID leaf 7, sub-leaf 0", "EBX bit 2 = 0"),
        Fact::Known(_) => check
            .fail()
            .observed("the CPU has no SGX: CPUID leaf 7, EBX bit 2 is clear")
            .expected("an Intel Xeon SP of the 3rd generation or newer with SGX; workstation and client parts have none")
            .evidence("CPUID leaf 7, sub-leaf 0", "EBX bit 2 = 0")
            .fix(Fix::new(
                "look the CPU up in Intel's product database under SGX; on this host use a key provider that runs elsewhere",
            )),
        Fact::Absent => check.unknown("the CPU has no CPUID leaf 7"),
        Fact::Unread(why) => check.unknown(format!("CPUID: {}; neither the flags nor the kernel log show SGX", why.why())),
    }
}

/// What shows that the CPU has SGX, whatever the firmware made of it.
fn seen(facts: &HostFacts) -> Option<(&'static str, String)> {
    if facts.cpu.cpuid.structured.known().is_some_and(|features| features.sgx) {
        return Some(("CPUID leaf 7, sub-leaf 0", "EBX bit 2 = 1".to_owned()));
    }
    if facts.cpu.flag("sgx") == Fact::Known(true) {
        return Some(("/proc/cpuinfo", "flags: sgx".to_owned()));
    }
    if facts.sgx.enclave_device.known().is_some() || facts.sgx.provision_device.known().is_some() {
        return Some(("/dev", "sgx_enclave or sgx_provision".to_owned()));
    }
    let line = said_where(facts, |text| ONLY_WITH_SGX.iter().any(|message| text.starts_with(message)))?;
    Some(("kernel log", line.to_owned()))
}

pub(super) fn launch_control(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = elsewhere(check, facts) {
        return finding;
    }
    if let Fact::Known(features) = &facts.cpu.cpuid.structured
        && features.sgx
    {
        let bit = format!("ECX bit 30 = {}", u8::from(features.sgx_launch_control));
        return if features.sgx_launch_control {
            check
                .pass()
                .observed("flexible launch control is there")
                .evidence("CPUID leaf 7, sub-leaf 0", bit)
        } else {
            check
                .fail()
                .observed("the CPU has SGX without flexible launch control")
                .expected("CPUID leaf 7, ECX bit 30 set: enclaves of any signer may start")
                .evidence("CPUID leaf 7, sub-leaf 0", bit)
                .fix(Fix::new(
                    "use a Xeon SP of the 3rd generation or newer: Linux makes no /dev/sgx_enclave here",
                ))
        };
    }
    if facts.cpu.flag("sgx_lc") == Fact::Known(true) {
        return check
            .pass()
            .observed("flexible launch control is there")
            .evidence("/proc/cpuinfo", "flags: sgx_lc");
    }
    if facts.sgx.enclave_device.known().is_some() {
        return check
            .pass()
            .observed("implied: the kernel makes /dev/sgx_enclave only with flexible launch control")
            .evidence("/dev/sgx_enclave", "is there");
    }
    let why = facts
        .cpu
        .cpuid
        .structured
        .unread()
        .map_or("CPUID shows no SGX".to_owned(), |why| format!("CPUID: {}", why.why()));
    check.unknown(format!("{why}; the flag sgx_lc is not seen"))
}
