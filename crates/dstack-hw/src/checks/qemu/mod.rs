//! The checks of the layer `qemu`. What QEMU says of itself decides; its version is the weaker evidence.

mod package;
mod pair;

#[cfg(test)]
mod tests;

use dstack_check::{CheckDef, Finding, Fix};

use super::{Barrier, HwCheck};
use crate::facts::qemu::{QEMU_PATHS, QemuVersion};
use crate::knowledge::qemu::{OLD_QUOTE_PROPERTY, TD_PROPERTIES, UPSTREAM_SNP, UPSTREAM_TDX};
use crate::{Fact, HostFacts};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.qemu.present", "QEMU is installed where dstack looks for it")
            .layer("qemu")
            .parents(&["hw.environment.bare-metal", "hw.environment.container"])
            .why("dstack's VMM starts every CVM with qemu-system-x86_64."),
        Barrier::Setting,
        present,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.version", "the version of QEMU is one that can host CVMs")
            .layer("qemu")
            .parents(&["hw.qemu.present"])
            .why("Support for CVMs came to QEMU late, and before that as patches of distributions."),
        Barrier::Setting,
        version,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.tdx", "QEMU can make TDs")
            .layer("qemu")
            .parents(&["hw.qemu.version"])
            .why("A TD is an object of type `tdx-guest` to QEMU; a QEMU without the type cannot start one."),
        Barrier::Setting,
        tdx,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.tdx-properties", "QEMU knows the properties that dstack sets on a TD")
            .layer("qemu")
            .parents(&["hw.qemu.tdx"])
            .why("QEMU refuses a TD with a property that it does not know."),
        Barrier::Setting,
        tdx_properties,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.kvm-pair", "QEMU and the kernel are of the same generation")
            .layer("qemu")
            .parents(&["hw.qemu.tdx", "hw.kvm.vm-type"])
            .why("Patched kernels and upstream's call a TD by different numbers; QEMU asks for one of them."),
        Barrier::Setting,
        pair::check,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.snp", "QEMU can make SEV-SNP guests")
            .layer("qemu")
            .parents(&["hw.qemu.version"])
            .why("An SEV-SNP guest is an object of type `sev-snp-guest` to QEMU."),
        Barrier::Setting,
        snp,
    ),
    HwCheck::new(
        CheckDef::new("hw.qemu.package-pinned", "an upgrade cannot replace the TDX build of QEMU")
            .layer("qemu")
            .parents(&["hw.qemu.tdx"])
            .why("The archive of the distribution has a QEMU without TDX, and `apt upgrade` takes it when its version is higher."),
        Barrier::Setting,
        package::pinned,
    ),
];

fn present(check: &CheckDef, facts: &HostFacts) -> Finding {
    let [usual, local] = QEMU_PATHS;
    let paths = match &facts.qemu.paths {
        Fact::Known(paths) => paths,
        Fact::Absent => {
            return check
                .fail()
                .observed("no QEMU at any of the usual places")
                .expected(usual)
                .evidence(usual, "absent")
                .fix(
                    Fix::new("install QEMU, from the same source as the TDX kernel")
                        .command("sudo apt install qemu-system-x86"),
                );
        }
        Fact::Unread(why) => {
            return match facts.qemu.version.known() {
                Some(version) => check
                    .pass()
                    .observed("implied: it was asked for its version")
                    .evidence("qemu-system-x86_64 --version", version.line.clone()),
                None => check.unknown(format!("{usual}: {}", why.why())),
            };
        }
    };
    let has = |path: &str| paths.iter().any(|it| it == path);
    match (has(usual), has(local)) {
        (true, true) => check
            .warn()
            .observed(
                "there are two; a service finds the one in /usr/local first, the checks here ask the other",
            )
            .expected("one QEMU, or `qemu_path` in the VMM's configuration")
            .evidence("files", format!("{usual}\n{local}"))
            .fix(Fix::new(
                "remove one, or name the right one as `qemu_path` under `[cvm]` in the VMM's configuration",
            )),
        (true, false) => check.pass().observed(usual).evidence(usual, "present"),
        (false, true) => check
            .pass()
            .observed(format!("{local}; the VMM finds it on its PATH, other tools of dstack expect {usual}"))
            .evidence(local, "present"),
        (false, false) => {
            let elsewhere = paths.join(", ");
            check
                .warn()
                .observed(format!("only at {elsewhere}, where dstack does not look"))
                .expected(usual)
                .evidence("files", elsewhere.clone())
                .fix(Fix::new(format!(
                    "name `{elsewhere}` as `qemu_path` under `[cvm]` in the VMM's configuration"
                )))
        }
    }
}

/// Does this version have TDX or SEV-SNP, as far as the table knows? Which, in words.
fn capable(version: &QemuVersion) -> Option<&'static str> {
    if version.at_least(UPSTREAM_TDX.0, UPSTREAM_TDX.1) {
        Some("has TDX and SEV-SNP upstream")
    } else if version.tdx_build().is_some() {
        Some("a build with TDX patches")
    } else if version.at_least(UPSTREAM_SNP.0, UPSTREAM_SNP.1) {
        Some("has SEV-SNP upstream")
    } else {
        None
    }
}

fn version(check: &CheckDef, facts: &HostFacts) -> Finding {
    let source = "qemu-system-x86_64 --version";
    let version = match &facts.qemu.version {
        Fact::Known(version) => version,
        Fact::Absent => return check.unknown("QEMU was not there to be asked"),
        Fact::Unread(why) => return check.unknown(format!("{source}: {}", why.why())),
    };
    let with = |finding: Finding| finding.evidence(source, version.line.clone());
    let amd = facts.cpu.is_amd().known() == Some(&true);
    // What QEMU says it can do is the stronger evidence, and a distribution may have taken patches over.
    let can = facts.qemu.objects.known().map(|objects| {
        let object = if amd { "sev-snp-guest" } else { "tdx-guest" };
        (objects.contains(object), object)
    });
    match (capable(version), can) {
        (_, Some((true, object))) => with(check.pass().observed(format!("{version}; it offers {object}"))),
        (Some(what), _) if amd || what != "has SEV-SNP upstream" => {
            with(check.pass().observed(format!("{version}; {what}")))
        }
        _ => {
            let (feature, (major, minor)) =
                if amd { ("SEV-SNP", UPSTREAM_SNP) } else { ("TDX", UPSTREAM_TDX) };
            with(
                check
                    .warn()
                    .observed(format!("{version}; upstream has {feature} since {major}.{minor}"))
                    .expected(format!("{major}.{minor} or later, or a build with patches"))
                    .fix(upgrade(amd)),
            )
        }
    }
}

/// Where a QEMU that can comes from.
fn upgrade(amd: bool) -> Fix {
    if amd {
        Fix::new("install QEMU 9.1 or later (Ubuntu 25.04 and later have it)")
    } else {
        Fix::new(
            "install QEMU 10.1 or later with a kernel of 6.16 or later (Ubuntu 25.10 and later have both), \
             or on Ubuntu 24.04 the build of the same archive as the `-intel` kernel",
        )
    }
}

fn tdx(check: &CheckDef, facts: &HostFacts) -> Finding {
    object(check, facts, "tdx-guest", false)
}

fn snp(check: &CheckDef, facts: &HostFacts) -> Finding {
    if facts.cpu.is_intel().known() == Some(&true) {
        return check.not_applicable().observed("SEV-SNP is AMD's, this is an Intel host");
    }
    object(check, facts, "sev-snp-guest", true)
}

fn object(check: &CheckDef, facts: &HostFacts, object: &str, amd: bool) -> Finding {
    if !amd && facts.cpu.is_amd().known() == Some(&true) {
        return check.not_applicable().observed("TDX is Intel's, this is an AMD host");
    }
    let source = "qemu-system-x86_64 -object help";
    let objects = match &facts.qemu.objects {
        Fact::Known(objects) => objects,
        Fact::Absent => return check.unknown("QEMU was not there to be asked"),
        Fact::Unread(why) => return check.unknown(format!("{source}: {}", why.why())),
    };
    if objects.contains(object) {
        return check.pass().observed(format!("it offers {object}")).evidence(source, object);
    }
    // Without a vendor nobody knows whether this is the type that the host needs.
    let (known, module) = if amd {
        (facts.cpu.is_amd(), &facts.kvm.amd_present)
    } else {
        (facts.cpu.is_intel(), &facts.kvm.intel_present)
    };
    let proven = !amd && facts.tdx_proof().is_some();
    if known.known() != Some(&true) && module.known() != Some(&true) && !proven {
        return check.unknown(format!(
            "it does not offer {object}; whether this host needs it depends on the CPU, which is not known"
        ));
    }
    let related: Vec<&str> =
        objects.iter().map(String::as_str).filter(|name| name.ends_with("-guest")).collect();
    let version =
        facts.qemu.version.known().map_or_else(|| "QEMU".to_owned(), |version| format!("QEMU {version}"));
    check
        .fail()
        .observed(format!("{version} does not offer {object}"))
        .expected(object)
        .evidence(
            source,
            format!(
                "{} types, {} among them",
                objects.len(),
                if related.is_empty() { "no guest".to_owned() } else { related.join(", ") }
            ),
        )
        .fix(upgrade(amd))
}

fn tdx_properties(check: &CheckDef, facts: &HostFacts) -> Finding {
    if facts.cpu.is_amd().known() == Some(&true) {
        return check.not_applicable().observed("TDX is Intel's, this is an AMD host");
    }
    let source = "qemu-system-x86_64 -object tdx-guest,help";
    let has = match &facts.qemu.tdx_properties {
        Fact::Known(properties) => properties,
        Fact::Absent if facts.qemu.version.is_absent() => {
            return check.unknown("QEMU was not there to be asked");
        }
        Fact::Absent => {
            return check
                .fail()
                .observed("QEMU does not know tdx-guest")
                .expected("tdx-guest with the properties that dstack sets")
                .evidence(source, "no such type")
                .fix(upgrade(false));
        }
        Fact::Unread(why) => return check.unknown(format!("{source}: {}", why.why())),
    };
    let missing = |needed: bool| -> Vec<&str> {
        TD_PROPERTIES
            .iter()
            .filter(|it| it.needed == needed && !has.contains(it.name))
            .map(|it| it.name)
            .collect()
    };
    let (needed, other) = (missing(true), missing(false));
    let evidence = has.iter().take(32).map(String::as_str).collect::<Vec<_>>().join(", ");
    let expected = TD_PROPERTIES.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    if !needed.is_empty() {
        let mut observed = format!("without {}", needed.join(" and "));
        if has.contains(OLD_QUOTE_PROPERTY) {
            observed.push_str(&format!("; `{OLD_QUOTE_PROPERTY}` is what Intel's builds had before"));
        }
        return check
            .fail()
            .observed(observed)
            .expected(expected)
            .evidence(source, evidence)
            .fix(upgrade(false));
    }
    if !has.contains("attributes") && !has.contains("sept-ve-disable") || !other.is_empty() {
        return check
            .warn()
            .observed("what dstack sets is there; others that upstream has are not")
            .expected(format!("{expected}, attributes or sept-ve-disable"))
            .evidence(source, evidence)
            .fix(upgrade(false).only_a_hint());
    }
    check.pass().observed("all there").evidence(source, evidence)
}
