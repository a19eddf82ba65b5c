//! The checks of the layer `environment`: is this the host that the question is about, and can it be asked?

use dstack_check::{CheckDef, Finding, Fix};

use super::{Barrier, HwCheck};
use crate::facts::environment::{Capability, Container, Virtualisation};
use crate::source::Origin;
use crate::{Fact, HostFacts};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.environment.architecture", "the CPU architecture is x86-64")
            .layer("environment")
            .why("Intel TDX and AMD SEV-SNP exist on x86-64 only"),
        Barrier::Hardware,
        architecture,
    ),
    HwCheck::new(
        CheckDef::new("hw.environment.bare-metal", "this is a bare-metal host, not a virtual machine")
            .layer("environment")
            .parents(&["hw.environment.architecture"])
            .why(
                "inside a virtual machine every further answer is about that machine and not about the host",
            ),
        Barrier::Elsewhere,
        bare_metal,
    ),
    HwCheck::new(
        CheckDef::new("hw.environment.container", "this is not a container")
            .layer("environment")
            .why("a container sees the CPU of its host, but not its devices, services and files"),
        Barrier::Elsewhere,
        container,
    ),
    HwCheck::new(
        CheckDef::new("hw.environment.privilege", "the findings that need root can be made")
            .layer("environment")
            .why("registers, firmware tables and on most systems the kernel log are for root only"),
        Barrier::Setting,
        privilege,
    ),
];

/// Adds what an answer rests on.
fn with_evidence(finding: Finding, evidence: Vec<(String, String)>) -> Finding {
    evidence.into_iter().fold(finding, |finding, (source, excerpt)| finding.evidence(source, excerpt))
}

/// The first message that only a kernel for x86 writes.
fn x86_message(facts: &HostFacts) -> Option<&str> {
    const PREFIXES: &[&str] =
        &["x86/", "virt/tdx: ", "tdx: ", "kvm_intel: ", "kvm_amd: ", "AMD-Vi: ", "SEV-SNP: "];
    let log = facts.kernel_log.known()?;
    let message =
        log.messages.iter().find(|message| PREFIXES.iter().any(|prefix| message.text.starts_with(prefix)))?;
    Some(&message.line)
}

fn architecture(check: &CheckDef, facts: &HostFacts) -> Finding {
    match &facts.environment.architecture {
        Fact::Known(name) if name == "x86_64" => check.pass().observed("x86_64"),
        Fact::Known(name) => check
            .fail()
            .observed(name)
            .expected("x86_64")
            .evidence("/proc/sys/kernel/arch or /proc/cpuinfo", name)
            .fix(Fix::new(if name == "i686" {
                "install a 64-bit kernel and distribution"
            } else {
                "take a server with an Intel Xeon of the 5th generation or newer, or an AMD EPYC 7003 or newer"
            })),
        other => match (x86_message(facts), other.unread()) {
            (Some(line), _) => check
                .pass()
                .observed("x86_64, implied by a message that only its kernel writes")
                .evidence("kernel log", line),
            (None, Some(why)) => check.unknown(format!("/proc/cpuinfo: {}", why.why())),
            (None, None) => check.unknown("neither /proc/sys/kernel/arch nor /proc/cpuinfo names an architecture"),
        },
    }
}

fn bare_metal(check: &CheckDef, facts: &HostFacts) -> Finding {
    let below =
        "run it on the bare-metal host itself: what would follow here would be about the virtual machine";
    if let Ok(Some((tee, evidence))) = facts.confidential_guest() {
        let finding = check
            .fail()
            .observed(format!("this is a confidential VM ({}), not a host", tee.name()))
            .expected("the bare-metal host")
            .fix(
                Fix::new("check the guest with the profile for guests, or run this on the bare-metal host")
                    .command("dstack-hw check --profile tdx-guest"),
            );
        return with_evidence(finding, evidence);
    }
    match facts.virtualisation() {
        Ok((Virtualisation::BareMetal, evidence)) => {
            let implied = evidence.iter().any(|(source, _)| source == "kernel log");
            let observed = if implied {
                "bare metal, implied by what the kernel logged"
            } else {
                "bare metal: no hypervisor shows itself"
            };
            with_evidence(check.pass().observed(observed), evidence)
        }
        Ok((Virtualisation::VirtualMachine { hypervisor }, evidence)) => {
            let finding = check
                .fail()
                .observed(format!(
                    "this is a virtual machine of {hypervisor}; the host below it cannot be judged from here"
                ))
                .expected("the bare-metal host: neither TDX nor SEV-SNP hosts can be virtual machines")
                .fix(Fix::new(below));
            with_evidence(finding, evidence)
        }
        Ok((Virtualisation::XenControlDomain, evidence)) => {
            let finding = check
                .fail()
                .observed("this is the control domain of Xen: the CPU's virtualisation belongs to Xen, KVM cannot have it")
                .expected("Linux on the bare metal")
                .fix(Fix::new("boot Linux without Xen, then check again"));
            with_evidence(finding, evidence)
        }
        Err(why) => check.unknown(why),
    }
}

fn container(check: &CheckDef, facts: &HostFacts) -> Finding {
    match facts.environment.container.judge() {
        Ok(Container::No) => check.pass().observed("no container manager shows itself"),
        Ok(Container::Leftover { path }) => check
            .pass()
            .observed("not a container: the process is in the namespaces of the host itself")
            .evidence(path, "left over from an image that the root file system was made of"),
        Ok(Container::OwnProcesses) => check
            .warn()
            .observed("the process has a PID namespace of its own, and nothing says why: a sandbox or an unknown container")
            .expected("the PID namespace of the host, pid:[4026531836]")
            .evidence("/proc/self/ns/pid", "another namespace than the host's")
            .fix(Fix::new("run it outside the sandbox where devices or services come out as missing")),
        Ok(Container::Yes { manager, source, excerpt }) => check
            .fail()
            .observed(format!("this is a container ({manager}); devices, services and files of its host are not visible"))
            .expected("the host itself")
            .evidence(source, excerpt)
            .fix(Fix::new("run it on the host, outside the container").command("sudo dstack-hw check")),
        Err(why) => check.unknown(why.why()),
    }
}

/// What stays unknown without root, and the capability it takes.
const NEEDS_ROOT: &[(Capability, &str)] = &[
    (Capability::SysRawio, "model-specific registers (the firmware and SNP layers)"),
    (Capability::Syslog, "the kernel log where kernel.dmesg_restrict is 1"),
    (Capability::DacOverride, "firmware tables (memory modules), UEFI variables, logs and settings of root"),
    (Capability::SysAdmin, "the state of SEV firmware and the registration with Intel"),
];

fn privilege(check: &CheckDef, facts: &HostFacts) -> Finding {
    let rights = match (&facts.environment.privilege, facts.origin) {
        (Fact::Known(rights), _) => rights,
        (_, Origin::Pasted | Origin::Tree) => {
            return check.not_applicable().observed("nothing was read with anybody's rights");
        }
        (Fact::Unread(why), _) => return check.unknown(format!("/proc/self/status: {}", why.why())),
        (Fact::Absent, _) => return check.unknown("/proc/self/status: not there"),
    };
    let missing: Vec<&(Capability, &str)> =
        NEEDS_ROOT.iter().filter(|(capability, _)| !rights.has(*capability)).collect();
    let who = if rights.is_root() { "root".to_owned() } else { format!("user {}", rights.uid) };
    let finding = |finding: Finding| {
        finding.evidence(
            "/proc/self/status",
            format!("Uid (effective) {}, CapEff {:016x}", rights.uid, rights.capabilities),
        )
    };
    if missing.is_empty() {
        return finding(check.pass().observed(format!("{who}, with every capability that is needed")));
    }
    let out_of_reach: Vec<&str> = missing.iter().map(|(_, what)| *what).collect();
    let names: Vec<&str> = missing.iter().map(|(capability, _)| capability.name()).collect();
    let missed = finding(
        check
            .warn()
            .observed(format!(
                "{who} without {}; out of reach: {}",
                names.join(", "),
                out_of_reach.join("; ")
            ))
            .expected("root, or these capabilities"),
    );
    if facts.origin == Origin::Live {
        missed.fix(
            Fix::new("run it as root to settle the findings that are unknown")
                .command("sudo dstack-hw check"),
        )
    } else {
        missed.fix(Fix::new("record the capture as root").command("sudo dstack-hw capture"))
    }
}

#[cfg(test)]
mod tests;
