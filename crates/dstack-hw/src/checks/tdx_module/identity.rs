//! Which module it is, and the erratum of two generations of CPUs.

use dstack_check::{CheckDef, Finding, Fix};

use crate::checks::kernel::{implied, not_intel};
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::bios_menus::update_for;
use crate::knowledge::tdx_modules::{self, Standing, standing};
use crate::{HostFacts, Unread};

pub(super) fn version(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let Some((source, module)) = facts.tdx.module() else {
        return match facts.tdx_proven(TdxStage::ModuleInitialized) {
            // Mainline before 7.x does not print it, and nothing else shows it.
            Some(proof) => {
                implied(check, "a module that this kernel initialises; this kernel does not say which", proof)
            }
            None => check.unknown(match facts.tdx.boot.unread() {
                Some(why) => format!("the kernel log: {}", why.why()),
                None => "the kernel does not say which module it is".to_owned(),
            }),
        };
    };
    let cpu = facts.cpu.signature().known().map(|signature| (signature.family, signature.model));
    let as_of = tdx_modules::AS_OF;
    let line = facts.tdx.boot.known().and_then(|boot| boot.module_line.clone());
    let excerpt = line.filter(|_| source == "kernel log").unwrap_or_else(|| module.to_string());
    let update = || update_for(&facts.firmware);
    let finding = match standing(&module, cpu) {
        Standing::Obsolete => check
            .fail()
            .observed(format!("{module}: the line 1.0, which kernels and attestation of today do not work with"))
            .expected("1.5 or newer")
            .fix(update()),
        Standing::WrongLineForCpu { needs_major } => check
            .fail()
            .observed(format!("{module}, on a CPU that needs {needs_major}.0 or newer"))
            .expected(format!("{needs_major}.0 or newer"))
            .fix(update()),
        Standing::BeforeFirstRelease => check
            .warn()
            .observed(format!("{module}: older than every release in the table of {as_of}; TDs run, but their quotes may be below the TCB level that verifiers ask for"))
            .expected("a released build")
            .fix(update()),
        Standing::Released { newest } => {
            check.pass().observed(format!("{module}; the newest of its line in the table of {as_of} is {newest}"))
        }
        Standing::Newest => check.pass().observed(format!("{module}, the newest of its line in the table of {as_of}")),
        Standing::NewerThanKnown => check.pass().observed(format!("{module}, newer than the table of {as_of}")),
        Standing::Unknown => {
            check.unknown(format!("{module}: neither a release nor a build number is known")).evidence(source, &excerpt)
        }
    };
    if finding.evidence.is_empty() { finding.evidence(source, excerpt) } else { finding }
}

pub(super) fn erratum(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let Some(info) = facts.cpu.info.known() else {
        let why = facts.cpu.info.unread().map_or_else(|| "not there".to_owned(), Unread::why);
        return check.unknown(format!("/proc/cpuinfo: {why}"));
    };
    // The word stands on the line of the errata. On the line of the features it would mean something else.
    let known_to_kernel = info.bugs.contains("tdx_pw_mce");
    let signature = facts.cpu.signature();
    let affected = signature.known().map(|cpu| cpu.family == 6 && matches!(cpu.model, 0x8f | 0xcf));
    if !known_to_kernel {
        return match affected {
            Some(false) => check.not_applicable().observed("this generation does not have the erratum"),
            // The kernel marks it only once it has taken the platform.
            Some(true) if facts.tdx_proven(TdxStage::PlatformAccepted).is_some() && !info.bugs.is_empty() => check
                .warn()
                .observed("the CPU is of a generation with the erratum, TDX is on, and the kernel does not mark it")
                .expected("tdx_pw_mce on the line bugs of /proc/cpuinfo")
                .evidence("/proc/cpuinfo", "bugs: without tdx_pw_mce")
                .fix(Fix::new("update the kernel to one that knows the erratum").only_a_hint()),
            Some(true) if info.bugs.is_empty() => check.unknown("the line bugs of /proc/cpuinfo is not there"),
            Some(true) => check.unknown("the kernel marks the erratum once it has taken the platform"),
            None => check.unknown("neither the generation of the CPU nor the erratum is known"),
        };
    }
    let kdump =
        facts.kernel_command_line().known().and_then(|line| line.last("crashkernel").map(str::to_owned));
    let observed = "the kernel knows of it: no kexec and no kdump while TDX is on";
    match kdump {
        Some(word) => check
            .warn()
            .observed(format!("{observed}, but memory is reserved for kdump ({word})"))
            .expected("no crashkernel= on the command line of a host with this erratum")
            .evidence("/proc/cpuinfo", "bugs: ... tdx_pw_mce ...")
            .evidence("/proc/cmdline", word)
            .fix(Fix::new("remove crashkernel= and the kdump tools, or accept that a crash leaves no dump: mainline refuses kexec on these CPUs while TDX is on")),
        None => check.pass().observed(observed).evidence("/proc/cpuinfo", "bugs: ... tdx_pw_mce ..."),
    }
}
