//! What the kernel was built with, by its configuration or by what it does.

use dstack_check::{CheckDef, Finding, Fix};

use super::{implied, not_intel};
use crate::facts::kernel::{Flavour, KernelConfig};
use crate::facts::kernel_tdx::TdxStage;
use crate::{Fact, HostFacts};

pub(super) fn tdx(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::ModuleInitialized) {
        return implied(check, "the kernel brings the TDX module up", proof);
    }
    let kvm_parameter = &facts.kvm.intel.tdx;
    // Intel's patch sets have no option of their own for the part in KVM.
    let patched = facts.kernel_release().known().is_some_and(|release| {
        matches!(release.flavour, Flavour::CanonicalIntel | Flavour::CanonicalIntelOpt | Flavour::IntelMvp)
    });
    if let Fact::Known(config) = &facts.kernel.config {
        let (core, kvm) = ("CONFIG_INTEL_TDX_HOST", "CONFIG_KVM_INTEL_TDX");
        let mut missing = Vec::new();
        if !config.is_on(core) {
            missing.push(core);
        }
        if !patched && !config.is_on(kvm) && kvm_parameter.known().is_none() {
            missing.push(kvm);
        }
        let lines =
            if patched { config.line(core) } else { format!("{}\n{}", config.line(core), config.line(kvm)) };
        return if missing.is_empty() {
            check.pass().observed("built with TDX host support").evidence(&config.path, lines)
        } else {
            check
                .fail()
                .observed(format!("built without {}", missing.join(" and ")))
                .expected("CONFIG_INTEL_TDX_HOST=y and, from 6.16 on, CONFIG_KVM_INTEL_TDX=y")
                .evidence(&config.path, lines)
                .fix(other_kernel())
        };
    }
    if kvm_parameter.known().is_some() {
        let path = "/sys/module/kvm_intel/parameters/tdx";
        return check.pass().observed("kvm_intel has the parameter tdx").evidence(path, "there");
    }
    // The module is loaded and has no such parameter: that is the one case in which its absence says it all.
    if kvm_parameter.is_absent() && facts.kvm.intel.ept.known().is_some() {
        return check
            .fail()
            .observed("kvm_intel is loaded and has no parameter tdx: it was built without TDX")
            .expected("CONFIG_KVM_INTEL_TDX=y")
            .evidence("/sys/module/kvm_intel/parameters", "ept is there, tdx is not")
            .fix(other_kernel());
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::PlatformAccepted) {
        return implied(check, "the kernel speaks of TDX", proof);
    }
    if let Some(boot) = facts.tdx.boot.known()
        && !boot.is_silent()
    {
        let line = boot.key_ids_line.clone().or_else(|| {
            boot.failure().or(boot.kvm.as_ref()).and_then(|failure| failure.lines.first().cloned())
        });
        return check
            .pass()
            .observed("the kernel speaks of TDX in its log")
            .evidence("kernel log", line.unwrap_or_default());
    }
    check.unknown(why_no_config(&facts.kernel.config))
}

/// Options, what they are for, and whether the host is of no use without.
const WANTED: &[(&str, &str, For, bool)] = &[
    ("CONFIG_KVM", "KVM", For::Both, true),
    ("CONFIG_KVM_INTEL", "KVM on Intel", For::Intel, true),
    ("CONFIG_KVM_AMD", "KVM on AMD", For::Amd, true),
    ("CONFIG_KVM_AMD_SEV", "SEV in KVM", For::Amd, true),
    ("CONFIG_CRYPTO_DEV_SP_PSP", "AMD's secure processor", For::Amd, true),
    ("CONFIG_VHOST_VSOCK", "vsock to the VMs", For::Both, true),
    ("CONFIG_X86_SGX", "SGX, which quotes and the local key provider need", For::Intel, false),
    ("CONFIG_X86_SGX_KVM", "SGX in VMs", For::Intel, false),
    ("CONFIG_X86_MSR", "reading registers, for diagnosis", For::Both, false),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Intel,
    Amd,
    Both,
}

pub(super) fn kvm(check: &CheckDef, facts: &HostFacts) -> Finding {
    let config = match &facts.kernel.config {
        Fact::Known(config) => config,
        unknown => return by_behaviour(check, facts, unknown),
    };
    let intel = facts.cpu.is_intel();
    let is_for = |whose: For| match (whose, intel.known()) {
        (For::Both, _) => true,
        (For::Intel, Some(intel)) => *intel,
        (For::Amd, Some(intel)) => !*intel,
        // Without the vendor nothing that is one vendor's is asked for.
        (_, None) => false,
    };
    let missing: Vec<_> =
        WANTED.iter().filter(|(name, _, whose, _)| is_for(*whose) && !config.is_on(name)).collect();
    let lines = |options: &mut dyn Iterator<Item = &&str>| -> String {
        options.map(|name| config.line(name)).collect::<Vec<_>>().join("\n")
    };
    if missing.is_empty() {
        let asked: Vec<&str> =
            WANTED.iter().filter(|(_, _, whose, _)| is_for(*whose)).map(|(name, ..)| *name).collect();
        return check
            .pass()
            .observed("built with all of it")
            .evidence(&config.path, lines(&mut asked.iter()));
    }
    let names: Vec<String> = missing.iter().map(|(name, what, ..)| format!("{name} ({what})")).collect();
    let needed = missing.iter().any(|(.., needed)| *needed);
    let finding = if needed { check.fail() } else { check.warn() };
    let missing_names: Vec<&str> = missing.iter().map(|(name, ..)| *name).collect();
    finding
        .observed(format!("built without {}", names.join(", ")))
        .expected("KVM and vsock, on Intel SGX, on AMD the secure processor")
        .evidence(&config.path, lines(&mut missing_names.iter()))
        .fix(Fix::new(
            "install the distribution's general kernel, or set the options and build the kernel anew",
        ))
}

/// Without the configuration: what is there was built.
fn by_behaviour(check: &CheckDef, facts: &HostFacts, config: &Fact<KernelConfig>) -> Finding {
    let loaded = |name| facts.kernel.module_loaded(name).known() == Some(&true);
    let kvm = loaded("kvm_intel") || loaded("kvm_amd") || facts.kvm.device.known().is_some();
    if kvm && loaded("vhost_vsock") {
        return check
            .pass()
            .observed("KVM and vsock are there; the configuration itself was not read")
            .evidence("/proc/modules", "kvm and vhost_vsock");
    }
    check.unknown(why_no_config(config))
}

fn why_no_config(config: &Fact<KernelConfig>) -> String {
    match config {
        Fact::Unread(why) => format!("the kernel's configuration: {}", why.why()),
        _ => "there is no /boot/config-* for this kernel".to_owned(),
    }
}

fn other_kernel() -> Fix {
    Fix::new("install a kernel that is built with TDX host support, such as that of Ubuntu 26.04 or 25.10")
        .command("grep -E 'TDX_HOST|KVM_INTEL_TDX' /boot/config-*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_asked_for_is_kept() {
        assert!(WANTED.iter().all(|(name, ..)| KernelConfig::knows(name)));
        assert!(KernelConfig::knows("CONFIG_INTEL_TDX_HOST") && KernelConfig::knows("CONFIG_KVM_INTEL_TDX"));
    }
}
