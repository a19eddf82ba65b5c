//! Which CPU it is, by whatever tells: CPUID, `/proc/cpuinfo`, a line of the kernel log, its printed name.

use crate::HostFacts;
use crate::facts::cpu::{Signature, Vendor};
use crate::facts::msr::Register;
use crate::knowledge::cpu_models::{Generation, generation_of, generation_of_name};

/// Which CPU it is, as far as anything tells.
#[derive(Clone, Debug, Default)]
pub(in crate::checks) struct Identity {
    pub(in crate::checks) vendor: Option<Vendor>,
    pub(in crate::checks) signature: Option<Signature>,
    pub(in crate::checks) name: Option<String>,
    /// Where it was read.
    pub(in crate::checks) source: &'static str,
}

impl Identity {
    pub(in crate::checks) fn of(facts: &HostFacts) -> Self {
        let mut identity = Self {
            vendor: facts.cpu.vendor().known().cloned(),
            signature: facts.cpu.signature().known().copied(),
            name: facts.cpu.model_name().map(str::to_owned),
            source: if facts.cpu.cpuid.vendor.known().is_some() {
                "CPUID leaves 0 and 1"
            } else {
                "/proc/cpuinfo"
            },
        };
        if identity.vendor.is_none() || identity.signature.is_none() {
            identity.take_from_log(facts);
        }
        if identity.vendor.is_none() {
            identity.vendor =
                identity.name.as_deref().and_then(vendor_of_name).or_else(|| vendor_of_traces(facts));
        }
        identity
    }

    /// Every boot logs `smpboot: CPU0: INTEL(R) XEON(R) GOLD 6530 (family: 0x6, model: 0xcf, stepping: 0x2)`.
    fn take_from_log(&mut self, facts: &HostFacts) {
        let Some(log) = facts.kernel_log.known() else { return };
        let Some(message) = log.last_with_prefix("smpboot: CPU0: ") else { return };
        let text = message.text.strip_prefix("smpboot: CPU0: ").unwrap_or_default();
        let Some((name, numbers)) = text.rsplit_once(" (family: ") else { return };
        let field = |key: &str| {
            let (_, rest) = numbers.split_once(key)?;
            let digits = rest.trim_start().strip_prefix("0x")?;
            let end = digits.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(digits.len());
            u32::from_str_radix(digits.get(..end)?, 16).ok()
        };
        let family =
            numbers.split(',').next().and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
        if let (None, Some(family), Some(model), Some(stepping)) =
            (self.signature, family, field("model:"), field("stepping:"))
        {
            self.signature = Some(Signature { family, model, stepping });
            self.source = "kernel log";
        }
        if self.name.is_none() && !name.trim().is_empty() {
            self.name = Some(name.trim().to_owned());
            self.source = "kernel log";
        }
    }

    /// The generation: by family and model, else by the name.
    pub(in crate::checks) fn generation(&self) -> Option<Generation> {
        match (&self.vendor, self.signature, &self.name) {
            (Some(vendor), Some(signature), _) => generation_of(vendor, signature),
            (_, None, Some(name)) => generation_of_name(name),
            _ => None,
        }
    }

    /// `INTEL(R) XEON(R) GOLD 6530, family 0x6 model 0xcf stepping 2`, as far as known.
    pub(in crate::checks) fn shown(&self) -> String {
        let name = self
            .name
            .clone()
            .or_else(|| self.vendor.as_ref().map(|vendor| format!("a CPU made by {vendor}")));
        match (name, self.signature) {
            (Some(name), Some(signature)) => format!("{name}, {signature}"),
            (Some(name), None) => name,
            (None, Some(signature)) => signature.to_string(),
            (None, None) => "nothing tells which CPU it is".to_owned(),
        }
    }

    pub(in crate::checks) fn is_known(&self) -> bool {
        self.signature.is_some() || self.name.is_some()
    }
}

/// Without a name: what only one of the two has.
fn vendor_of_traces(facts: &HostFacts) -> Option<Vendor> {
    let has = |flag: &str| facts.cpu.flag(flag).known() == Some(&true);
    let said =
        |speaker: &str| facts.kernel_log.known().is_some_and(|log| log.last_with_prefix(speaker).is_some());
    let intel = has("vmx")
        || facts.cpu.cpuid.features.known().is_some_and(|features| features.vmx)
        || facts.msrs.first(Register::TmeActivate).known().is_some()
        || facts.kvm.intel_present.known() == Some(&true)
        || facts.tdx_proof().is_some();
    let amd = has("svm")
        || facts.cpu.cpuid.svm.known() == Some(&true)
        || facts.cpu.cpuid.encryption.known().is_some_and(|encryption| encryption.sev)
        || facts.msrs.first(Register::Syscfg).known().is_some()
        || facts.kvm.amd_present.known() == Some(&true)
        || said("kvm_amd: ")
        || said("SEV-SNP: ")
        || said("AMD-Vi: ")
        // The driver of the secure processor, which Intel's hosts do not have.
        || said("ccp ");
    match (intel, amd) {
        (true, false) => Some(Vendor::Intel),
        (false, true) => Some(Vendor::Amd),
        // Nothing, or traces that contradict each other: nobody knows.
        _ => None,
    }
}

fn vendor_of_name(name: &str) -> Option<Vendor> {
    let name = name.to_lowercase();
    let has =
        |word: &str| name.split(|character: char| !character.is_alphanumeric()).any(|part| part == word);
    if has("intel") || has("xeon") {
        Some(Vendor::Intel)
    } else if has("amd") || has("epyc") {
        Some(Vendor::Amd)
    } else {
        None
    }
}
