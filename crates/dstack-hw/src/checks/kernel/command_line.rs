//! What the kernel and kvm_intel are told: hibernation, TDX, and what is configured for the next start.

use dstack_check::{CheckDef, Finding, Fix};

use super::{add_to_command_line, implied, not_intel};
use crate::facts::kernel::{CommandLine, switch_value};
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::kernels;
use crate::knowledge::tdx_modules::Cause;
use crate::{Fact, HostFacts};

/// The file of the running command line.
const CMDLINE: &str = "/proc/cmdline";

/// The file of KVM's switch for TDX.
const PARAMETER: &str = "/sys/module/kvm_intel/parameters/tdx";

/// Words that change what the checks find.
const IMPORTANT: &[&str] = &[
    "nohibernate",
    "kvm_intel.tdx",
    "kvm_intel.ept",
    "kvm_intel.eptad",
    "kvm.tdp_mmu",
    "kvm.mmio_caching",
    "kvm.enable_virt_at_load",
    "kvm_amd.sev",
    "kvm_amd.sev_es",
    "kvm_amd.sev_snp",
    "mem_encrypt",
    "iommu",
    "intel_iommu",
    "amd_iommu",
    "nosgx",
    "nox2apic",
    "clearcpuid",
    "hugepages",
    "hugepagesz",
    "default_hugepagesz",
    "crashkernel",
];

pub(super) fn nohibernate(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let expected = "nohibernate on the kernel command line, or a kernel that cannot hibernate";
    let failure = facts.tdx.boot.known().and_then(|boot| boot.failure());
    if let Some(failure) = failure.filter(|failure| failure.cause == Cause::Hibernation) {
        return check
            .fail()
            .observed("the kernel can hibernate, and has left TDX off because of it")
            .expected(expected)
            .evidence("kernel log", failure.lines.join("\n"))
            .fix(turn_on(facts, "nohibernate"));
    }
    let command_line = facts.kernel_command_line();
    if let Some(line) = command_line.known()
        && line.has("nohibernate")
    {
        return check.pass().observed("nohibernate is on the command line").evidence(CMDLINE, "nohibernate");
    }
    let ways = &facts.kernel.hibernation;
    match ways {
        Fact::Known(ways) if ways.contains("[disabled]") => {
            return check
                .pass()
                .observed("the kernel says that hibernation is off")
                .evidence("/sys/power/disk", ways);
        }
        Fact::Absent => {
            return check
                .pass()
                .observed("the kernel has no hibernation")
                .evidence("/sys/power/disk", "not there");
        }
        _ => {}
    }
    if let Some(config) = facts.kernel.config.known()
        && !config.is_on("CONFIG_HIBERNATION")
    {
        return check
            .pass()
            .observed("the kernel was built without hibernation")
            .evidence(&config.path, config.line("CONFIG_HIBERNATION"));
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::PlatformAccepted) {
        return implied(
            check,
            "the kernel has accepted the platform, which it does not while it could hibernate",
            proof,
        );
    }
    let release = facts.kernel_release();
    if let Some(line) = release.known().and_then(kernels::line_of)
        && !line.refuses_hibernation
    {
        return check.not_applicable().observed(format!("{} does not ask for it", line.name));
    }
    let Some(line) = command_line.known() else {
        let why = command_line.unread().map_or_else(|| "not there".to_owned(), crate::Unread::why);
        return check.unknown(format!("the kernel command line: {why}"));
    };
    let excerpt = shown(line);
    let keys = facts.msrs.key_id_partitioning();
    let flag = facts.cpu.flag("tdx_host_platform");
    if keys.known().is_some_and(|keys| keys.tdx >= 2) && flag.known() == Some(&false) {
        return check
            .fail()
            .observed(
                "the firmware gave TDX key ids, and the kernel, which can hibernate, has not taken them",
            )
            .expected(expected)
            .evidence(CMDLINE, excerpt)
            .fix(turn_on(facts, "nohibernate"));
    }
    check
        .warn()
        .observed(
            "nohibernate is not on the command line: the kernel will refuse TDX once the firmware has it on",
        )
        .expected(expected)
        .evidence(CMDLINE, excerpt)
        .fix(turn_on(facts, "nohibernate"))
}

/// Whether somebody asked for TDX in KVM, and where.
enum Asked {
    On(String, String),
    Off(String, String),
    Nothing,
    NotKnown(String),
}

fn asked(facts: &HostFacts) -> Asked {
    let command_line = facts.kernel_command_line();
    // modprobe adds the words of the command line after those of its files: they count.
    if let Some(line) = command_line.known()
        && let Some(word) = line.last("kvm_intel.tdx")
    {
        let (source, word) = (CMDLINE.to_owned(), word.to_owned());
        return match line.switch("kvm_intel.tdx") {
            Some(true) => Asked::On(source, word),
            Some(false) => Asked::Off(source, word),
            None => Asked::NotKnown(format!("`{word}` is neither on nor off")),
        };
    }
    let options = facts.kernel.module_options.known().map_or(&[][..], Vec::as_slice);
    let words = options.iter().filter(|entry| entry.module == "kvm_intel").flat_map(|entry| {
        entry.options.iter().filter_map(move |word| {
            let value = if word == "tdx" { Some("1") } else { word.strip_prefix("tdx=") };
            Some((entry, word, switch_value(value?)?))
        })
    });
    if let Some((entry, word, on)) = words.last() {
        let excerpt = format!("options kvm_intel {word}");
        return if on {
            Asked::On(entry.path.clone(), excerpt)
        } else {
            Asked::Off(entry.path.clone(), excerpt)
        };
    }
    match command_line {
        Fact::Known(_) => Asked::Nothing,
        Fact::Absent => Asked::NotKnown("there is no kernel command line".to_owned()),
        Fact::Unread(why) => Asked::NotKnown(format!("the kernel command line: {}", why.why())),
    }
}

pub(super) fn kvm_intel_tdx(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let parameter = &facts.kvm.intel.tdx;
    if parameter.known() == Some(&true) {
        return check.pass().observed("it was told, and TDX is up in KVM").evidence(PARAMETER, "Y");
    }
    if let Some(proof) = facts.tdx_proven(TdxStage::ModuleInitialized) {
        return implied(check, "it was told: the TDX module is initialised", proof);
    }
    // Only KVM calls the module on these kernels, so whatever the module said, KVM was told.
    let boot = facts.tdx.boot.known();
    let tried = boot.and_then(|boot| {
        let failure = boot
            .failure()
            .filter(|failure| failure.cause.module_answered() || failure.cause == Cause::ModuleNotLoaded);
        // That VT-x is off is said whether or not anybody asked for TDX.
        let kvm = boot.kvm.as_ref().filter(|failure| failure.cause != Cause::VmxOff);
        failure.or(kvm).and_then(|failure| failure.lines.first())
    });
    // Where the files of modprobe are not known, silence in the log after the key ids says that nobody asked.
    let looked_everywhere = facts.kernel.module_options.unread().is_none()
        || parameter.known().is_some()
        || boot.is_some_and(|boot| boot.key_ids.is_some());
    let release = facts.kernel_release();
    let default = release.known().and_then(kernels::tdx_on_by_default);
    let line_name = release.known().and_then(kernels::line_of).map_or("this kernel", |line| line.name);
    let shown_parameter = parameter.known().map(|on| if *on { "Y" } else { "N" });
    let with_parameter = |finding: Finding| match shown_parameter {
        Some(value) => finding.evidence(PARAMETER, value),
        None => finding,
    };
    let off_means = match shown_parameter {
        Some("N") => "; that the parameter reads N has another reason, see hw.kvm.tdx",
        _ => "",
    };
    match asked(facts) {
        Asked::On(source, word) => {
            with_parameter(check.pass().observed(format!("told by {word}{off_means}")).evidence(source, word))
        }
        Asked::Off(source, word) => with_parameter(
            check
                .fail()
                .observed(format!("TDX is turned off by {word}"))
                .expected("kvm_intel.tdx=1")
                .evidence(&source, &word)
                .fix(Fix::new(format!("change it to tdx=1 in {source}, where the setting comes from, and restart"))),
        ),
        Asked::Nothing | Asked::NotKnown(_) if tried.is_some() => check
            .pass()
            .observed("KVM has tried to bring TDX up, so it was told")
            .evidence("kernel log", tried.cloned().unwrap_or_default()),
        Asked::Nothing | Asked::NotKnown(_) if default == Some(true) => with_parameter(
            check
                .pass()
                .observed(format!("on by default on {line_name}{off_means}"))
                .evidence("/proc/sys/kernel/osrelease", release_text(facts)),
        ),
        Asked::Nothing if parameter.is_absent() && facts.kvm.intel.ept.known().is_some() => check
            .fail()
            .observed("kvm_intel is loaded and has no parameter tdx: this kernel cannot be told")
            .expected("a kernel whose kvm_intel has the parameter")
            .evidence(PARAMETER, "not there, while .../parameters/ept is")
            .fix(Fix::new("install a kernel that hosts TDX, see hw.kernel.version")),
        Asked::Nothing if default == Some(false) && looked_everywhere => with_parameter(
            check
                .fail()
                .observed(format!("nobody told it, and on {line_name} TDX is off by default"))
                .expected("kvm_intel.tdx=1")
                .evidence(CMDLINE, facts.kernel_command_line().known().map(shown).unwrap_or_default())
                .fix(turn_on(facts, "kvm_intel.tdx=1")),
        ),
        // The default is not known: N leaves two reasons.
        Asked::Nothing if shown_parameter == Some("N") => with_parameter(
            check
                .warn()
                .observed(format!("nobody told it, TDX is off in KVM, and the default of {line_name} is not known"))
                .expected("kvm_intel.tdx=1")
                .fix(turn_on(facts, "kvm_intel.tdx=1")),
        ),
        Asked::Nothing => check.unknown(
            "kvm_intel.tdx is not on the command line; neither its value nor the options in modprobe.d are known",
        ),
        Asked::NotKnown(why) => check.unknown(why),
    }
}

pub(super) fn pending(check: &CheckDef, facts: &HostFacts) -> Finding {
    let running = match &facts.kernel.command_line {
        Fact::Known(line) => line,
        Fact::Absent => return check.unknown("there is no /proc/cmdline"),
        Fact::Unread(why) => return check.unknown(format!("{CMDLINE}: {}", why.why())),
    };
    let configured = match &facts.kernel.configured {
        Fact::Known(configured) => configured,
        Fact::Absent => {
            return check
                .not_applicable()
                .observed("neither /etc/default/grub nor /etc/kernel/cmdline is there: the boot loader is set up in another way");
        }
        Fact::Unread(why) => return check.unknown(format!("/etc/default/grub: {}", why.why())),
    };
    let files = configured.files.join(", ");
    let words = |line: &CommandLine| {
        let mut words: Vec<String> = IMPORTANT.iter().filter_map(|name| line.last(name)).map(plain).collect();
        words.sort_unstable();
        words
    };
    let (now, next) = (words(running), words(&configured.words));
    let missing: Vec<&str> = next.iter().filter(|word| !now.contains(word)).map(String::as_str).collect();
    let vanishing: Vec<&str> = now.iter().filter(|word| !next.contains(word)).map(String::as_str).collect();
    let certain = if configured.uncertain { "; the files hold shell code that was not followed" } else { "" };
    if missing.is_empty() && (vanishing.is_empty() || configured.uncertain) {
        return check
            .pass()
            .observed(format!("what matters of the configured command line is running{certain}"))
            .evidence(
                &files,
                if next.is_empty() { "nothing that matters is set".to_owned() } else { next.join(" ") },
            )
            .evidence(CMDLINE, shown(running));
    }
    let mut observed = Vec::new();
    if !missing.is_empty() {
        observed.push(format!("configured and not running: {}", missing.join(" ")));
    }
    if !vanishing.is_empty() {
        observed.push(format!("running and not configured: {}", vanishing.join(" ")));
    }
    let fix = if missing.is_empty() {
        Fix::new(format!(
            "add {} to {files}, else a later update of the boot loader drops it",
            vanishing.join(" ")
        ))
    } else {
        Fix::new("write the boot loader's configuration and restart")
            .command("sudo update-grub")
            .command("sudo reboot")
    };
    check
        .warn()
        .observed(format!("{}{certain}", observed.join("; ")))
        .expected("the same settings in both")
        .evidence(&files, next.join(" "))
        .evidence(CMDLINE, shown(running))
        .fix(fix)
}

/// A word with its name in the form of the kernel.
fn plain(word: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.replace('-', "_")),
        None => word.replace('-', "_"),
    }
}

/// Adds words to the command line, or, where they are configured already, restarts.
fn turn_on(facts: &HostFacts, word: &str) -> Fix {
    let name = word.split('=').next().unwrap_or(word);
    let configured = facts.kernel.configured.known().and_then(|configured| configured.words.switch(name));
    if configured == Some(true) {
        Fix::new(format!("{word} is configured already: write the boot loader's configuration and restart"))
            .command("sudo update-grub")
            .command("sudo reboot")
    } else {
        add_to_command_line(facts, word)
    }
}

/// The words of a command line that say nothing of the host's disks.
fn shown(line: &CommandLine) -> String {
    let private = ["root", "resume", "initrd", "BOOT_IMAGE", "ip", "nfsroot", "rd.luks.uuid", "cryptdevice"];
    let words: Vec<&str> = line
        .words()
        .iter()
        .filter(|word| !private.contains(&word.split('=').next().unwrap_or_default()))
        .map(String::as_str)
        .collect();
    words.join(" ")
}

fn release_text(facts: &HostFacts) -> String {
    facts.kernel_release().known().map_or_else(String::new, ToString::to_string)
}
