//! Does the IOMMU know SEV-SNP, and does it translate?

use dstack_check::{CheckDef, Finding, Fix};

use super::proof;
use crate::HostFacts;
use crate::checks::cpu::{log_is_silent, said_where};
use crate::knowledge::bios_menus::{Setting, fix_for};
use crate::source::LogOrigin;

/// Bit 63 of the extended feature register: SNPSup (AMD I/O Virtualization specification).
const SNP_SUPPORT: u32 = 63;
const EXPECTED: &str = "an IOMMU that is on, translates, and has bit 63 of its extended features set";

pub(super) fn iommu(check: &CheckDef, facts: &HostFacts) -> Finding {
    // What works counts more than a word: some kernels take passthrough for devices of the host and still translate.
    if let Some(proof) = proof::in_kvm(facts) {
        return proof.implies(check);
    }
    let words = facts.kernel_command_line();
    let command_line = words.known().and_then(|words| {
        let off = [("iommu", "pt"), ("iommu", "off"), ("amd_iommu", "off")];
        off.into_iter()
            .find(|(name, value)| {
                words.words().iter().any(|word| {
                    word.strip_prefix(name)
                        .and_then(|rest| rest.strip_prefix('='))
                        .is_some_and(|values| values.split(',').any(|part| part == *value))
                })
            })
            .map(|(name, value)| format!("{name}={value}"))
    });
    let refused = said_where(facts, |text| {
        text.starts_with("AMD-Vi: SNP: IOMMU") && text.contains("SNP cannot be supported")
            || text.starts_with("AMD-Vi: SNP: IOMMU SNP feature not enabled")
    });
    // Before it sets its bits the kernel looks at the IOMMU, unless it is one of the first with SEV-SNP.
    let kernel_is_content = proof::in_kernel(facts);
    if let Some(word) = command_line.as_ref().filter(|_| kernel_is_content.is_none() || refused.is_some()) {
        let finding = check
            .fail()
            .observed(format!("the kernel was started with {word}"))
            .expected(EXPECTED)
            .evidence("/proc/cmdline", word.clone());
        let finding = match refused {
            Some(line) => finding.evidence("kernel log", line),
            None => finding,
        };
        return finding.fix(
            Fix::new(format!(
                "take {word} from the kernel command line and reboot: guides for passing GPUs through recommend it, and it keeps SEV-SNP off"
            ))
            .command("sudoedit /etc/default/grub")
            .command("sudo update-grub"),
        );
    }
    if let Some(line) = refused {
        return check
            .fail()
            .observed("the IOMMU is off, passes through, or does not know SEV-SNP, says the kernel")
            .expected(EXPECTED)
            .evidence("kernel log", line)
            .fix(fix_for(Setting::Iommu, &facts.firmware));
    }
    if let Some((features, source, excerpt)) = features(facts) {
        let shown = format!("extended features {features:#x}");
        return if features >> SNP_SUPPORT & 1 == 1 {
            check.pass().observed(format!("{shown}: bit 63 is set")).evidence(source, excerpt)
        } else {
            check
                .fail()
                .observed(format!("{shown}: bit 63 is clear"))
                .expected(EXPECTED)
                .evidence(source, excerpt)
                .fix(fix_for(Setting::SevSnp, &facts.firmware))
        };
    }
    if let Some(proof) = kernel_is_content {
        return proof.implies(check);
    }
    if let Some(why) = facts.snp.iommu_features.unread() {
        return check.unknown(format!("/sys/class/iommu/ivhd0: {why}; {}", log_is_silent(facts)));
    }
    // The driver lists every IOMMU that the firmware tells it of, and logs it. One of the two alone may be missing.
    let whole_log =
        facts.kernel_log.known().is_some_and(|log| log.from_boot && log.from != LogOrigin::Pasted);
    if !whole_log || said_where(facts, |text| text.starts_with("AMD-Vi: ")).is_some() {
        return check.unknown(format!("no ivhd0 in /sys/class/iommu; {}", log_is_silent(facts)));
    }
    check
        .fail()
        .observed("no IOMMU of AMD's")
        .expected(EXPECTED)
        .evidence("/sys/class/iommu", "has no ivhd0")
        .evidence("kernel log", "no line of AMD-Vi")
        .fix(fix_for(Setting::Iommu, &facts.firmware))
}

/// The features, from sysfs, else from the log: `AMD-Vi: Using global IVHD EFR:0x25bf732fa2295afe, EFR2:0x1d`.
fn features(facts: &HostFacts) -> Option<(u64, &'static str, String)> {
    if let Some(features) = facts.snp.iommu_features.known() {
        return Some((*features, "/sys/class/iommu/ivhd0/amd-iommu/features", format!("{features:x}")));
    }
    let line = said_where(facts, |text| text.starts_with("AMD-Vi: ") && text.contains("EFR:0x"))?;
    let (_, rest) = line.split_once("EFR:0x")?;
    let end = rest.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(rest.len());
    let features = u64::from_str_radix(rest.get(..end)?, 16).ok()?;
    Some((features, "kernel log", line.to_owned()))
}
