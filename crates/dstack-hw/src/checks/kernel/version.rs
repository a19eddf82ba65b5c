//! Distribution and kernel version against the tables.

use dstack_check::{CheckDef, Finding, Fix};

use super::{implied, not_intel};
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::kernels::{self, Hosting, Support};
use crate::{Fact, HostFacts};

pub(super) fn os_release(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let os = match &facts.os.release {
        Fact::Known(os) => os,
        Fact::Absent => return check.unknown("there is no os-release file"),
        Fact::Unread(why) => return check.unknown(format!("/etc/os-release: {}", why.why())),
    };
    let version = os.version.as_deref().unwrap_or("without a version");
    let excerpt = format!("ID={} VERSION_ID={version}", os.id);
    let expected =
        "Ubuntu 26.04 or 25.10 with the stock kernel, or another distribution with a kernel that hosts TDX";
    let step = Fix::new("when the host is set up anew, take Ubuntu 26.04, whose stock kernel hosts TDX")
        .only_a_hint();
    let finding = match kernels::distribution(os) {
        Some(entry) => {
            // The pretty name has the version in it, the plain one does not.
            let name = if os.name.contains(version) { os.name.clone() } else { format!("{} {version}", os.name) };
            let observed = format!("{name}: {}", entry.route);
            match entry.support {
                Support::Stock | Support::Vendor => check.pass().observed(observed),
                Support::Unmaintained => check.warn().observed(observed).expected(expected).fix(step),
                Support::Ended => check
                    .warn()
                    .observed(format!("{observed}; the distribution is out of support"))
                    .expected(expected)
                    .fix(step),
            }
        }
        None if let Some(proof) = facts.tdx_proven(TdxStage::KvmReady) => {
            return implied(check, format!("{} is not in the table of {}, but TDX is up", os.name, kernels::AS_OF), proof)
                .evidence("/etc/os-release", excerpt);
        }
        None if kernels::is_newer_than_known(os) => check
            .warn()
            .observed(format!("{} is newer than the table of {}", os.name, kernels::AS_OF))
            .expected(expected)
            .fix(Fix::new("look into the release notes for TDX; nothing is known against it").only_a_hint()),
        None => check
            .warn()
            .observed(format!("{} is not in the table of {}", os.name, kernels::AS_OF))
            .expected(expected)
            .fix(Fix::new("see whether its kernel hosts TDX (6.16 or newer with CONFIG_KVM_INTEL_TDX), else take Ubuntu 26.04").only_a_hint()),
    };
    finding.evidence("/etc/os-release", excerpt)
}

pub(super) fn version(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let proof = facts.tdx_proven(TdxStage::ModuleInitialized);
    let release = match facts.kernel_release() {
        Fact::Known(release) => release,
        unknown => {
            if let Some(proof) = proof {
                return implied(check, "a kernel that brings TDX up", proof);
            }
            let why = unknown.unread().map_or_else(|| "not there".to_owned(), crate::Unread::why);
            return check.unknown(format!("the release of the kernel: {why}"));
        }
    };
    let expected = "mainline 6.16 or newer with CONFIG_KVM_INTEL_TDX, or Ubuntu's 6.8 or 6.14 intel kernel";
    let Some(line) = kernels::line_of(&release) else {
        return match proof {
            Some(proof) => implied(check, format!("{release}, which brings TDX up"), proof),
            None => check.unknown(format!("`{release}` begins with no version number")),
        };
    };
    let about = format!("{release}: {}; {}", line.name, line.note);
    let source = "/proc/sys/kernel/osrelease";
    if let Some(proof) = proof {
        // The table is weaker than what the kernel has shown.
        return match line.hosting {
            Hosting::Dead => check
                .warn()
                .observed(format!("{about}; TDX is up"))
                .expected(expected)
                .evidence(source, release.as_str())
                .evidence(proof.source, proof.excerpt)
                .fix(newer_kernel()),
            Hosting::Yes | Hosting::Unmaintained => check
                .pass()
                .observed(about)
                .evidence(source, release.as_str())
                .evidence(proof.source, proof.excerpt),
            _ => implied(check, format!("{release}, which brings TDX up"), proof)
                .evidence(source, release.as_str()),
        };
    }
    let has_kvm_part = facts.kvm.intel.tdx.known().is_some()
        || facts.kernel.config.known().is_some_and(|config| config.is_on("CONFIG_KVM_INTEL_TDX"));
    let finding = match line.hosting {
        Hosting::Yes | Hosting::Unmaintained => check.pass().observed(about),
        Hosting::Dead => check.warn().observed(about).expected(expected).fix(newer_kernel()),
        // Not the number decides, but whether KVM has the parameter.
        _ if has_kvm_part => check.pass().observed(format!("{about}; its KVM has support for TDX")),
        Hosting::Unknown => {
            check.warn().observed(format!("{about} (table of {})", kernels::AS_OF)).expected(expected).fix(
                Fix::new("see whether kvm_intel has the parameter tdx")
                    .command("modinfo -p kvm_intel | grep tdx")
                    .only_a_hint(),
            )
        }
        Hosting::CoreOnly | Hosting::No => {
            check.fail().observed(about).expected(expected).fix(newer_kernel())
        }
    };
    finding.evidence(source, release.as_str())
}

fn newer_kernel() -> Fix {
    Fix::new("install a kernel that hosts TDX: Ubuntu 26.04 and 25.10 have one, Ubuntu 24.04 has 6.17 in its hardware enablement stack")
        .command("sudo apt install linux-generic-hwe-24.04")
        .only_a_hint()
}
