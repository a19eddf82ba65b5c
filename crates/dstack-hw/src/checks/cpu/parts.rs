//! Who made the CPU, whether it is a production part, and whether all packages run the same microcode.

use dstack_check::{CheckDef, Finding, Fix};

use super::ground::{neither, register_source};
use super::identity::Identity;
use crate::facts::cpu::{CpuPackage, Vendor};
use crate::facts::msr::Register;
use crate::knowledge::bios_menus::update_for;
use crate::{Fact, HostFacts};

pub(super) fn vendor(check: &CheckDef, facts: &HostFacts) -> Finding {
    let identity = Identity::of(facts);
    let shown = identity.shown();
    match &identity.vendor {
        Some(vendor @ (Vendor::Intel | Vendor::Amd))
            if !identity.is_known() && facts.cpu.vendor().known().is_none() =>
        {
            check.pass().observed(format!(
                "{vendor}, by what the kernel and the registers have that only one of the two has"
            ))
        }
        Some(vendor @ (Vendor::Intel | Vendor::Amd)) => {
            check.pass().observed(format!("{vendor}: {shown}")).evidence(identity.source, vendor.id())
        }
        Some(Vendor::Other(id)) => check
            .fail()
            .observed(format!("`{id}`"))
            .expected("GenuineIntel or AuthenticAMD")
            .evidence(identity.source, id.clone())
            .fix(Fix::new(
                "use a server with a CPU of Intel's or AMD's: nobody else makes CPUs with TDX or SEV-SNP",
            )),
        None if facts.tdx_proof().is_some() => {
            check.pass().observed("Intel, because the kernel speaks of TDX")
        }
        None => check.unknown(match facts.cpu.vendor() {
            Fact::Unread(why) => format!("who made the CPU: {why}"),
            _ => "nothing tells who made the CPU".to_owned(),
        }),
    }
}

pub(super) fn production(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "a production part: Intel's attestation service does not know others";
    let fix = || {
        Fix::new(
            "use a production part: what is made on this host cannot be verified against Intel's service",
        )
    };
    let register = facts.msrs.first(Register::PlatformInfo);
    if let Some(value) = register.known() {
        let shown = format!("MSR_PLATFORM_INFO {value:#x}");
        let source = register_source(Register::PlatformInfo, facts);
        return if value >> 27 & 1 == 0 {
            check.pass().observed(format!("{shown}: bit 27 is clear")).evidence(source, shown)
        } else {
            check
                .fail()
                .observed(format!("{shown}: bit 27 is set"))
                .expected(expected)
                .evidence(source, shown)
                .fix(fix())
        };
    }
    // Samples of Intel's do not have a product's name.
    let identity = Identity::of(facts);
    if let Some(name) =
        identity.name.as_deref().filter(|name| name.to_lowercase().starts_with("genuine intel"))
    {
        return check
            .warn()
            .observed(format!("it calls itself `{name}`, as engineering samples do"))
            .expected(expected)
            .evidence(identity.source, name)
            .fix(fix().only_a_hint());
    }
    check.unknown(match &register {
        Fact::Absent => neither(Register::PlatformInfo, &register, facts),
        Fact::Unread(why) => format!("{}: {why}", Register::PlatformInfo),
        Fact::Known(_) => "not known".to_owned(),
    })
}

pub(super) fn microcode(check: &CheckDef, facts: &HostFacts) -> Finding {
    let Some(info) = facts.cpu.info.known() else {
        return check.unknown(match facts.cpu.info.unread() {
            Some(why) => format!("/proc/cpuinfo: {why}"),
            None => "there is no /proc/cpuinfo".to_owned(),
        });
    };
    let source = "/proc/cpuinfo, lines microcode";
    let mut revisions: Vec<u64> =
        info.packages.iter().flat_map(|package| package.microcode.iter().copied()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    let of_package = |package: &CpuPackage| {
        let revisions: Vec<String> =
            package.microcode.iter().map(|revision| format!("{revision:#x}")).collect();
        format!("package {}: {}", package.id, revisions.join(", "))
    };
    match revisions.as_slice() {
        [] => check.unknown("/proc/cpuinfo does not say which microcode runs"),
        [revision] => check
            .pass()
            .observed(format!("{revision:#x} everywhere"))
            .evidence(source, format!("{revision:#x}")),
        _ => {
            let shown: Vec<String> = info.packages.iter().map(of_package).collect();
            check
                .warn()
                .observed(shown.join("; "))
                .expected("one revision on all CPUs")
                .evidence(source, shown.join("\n"))
                .fix(
                    update_for(&facts.firmware)
                        .command("sudo apt-get install --only-upgrade intel-microcode amd64-microcode"),
                )
        }
    }
}
