//! The secure processor: has it started, how recent is its firmware, is its device there?

use dstack_check::{CheckDef, Finding, Fix};

use super::proof;
use crate::checks::cpu::{log_is_silent, said_where};
use crate::knowledge::bios_menus::update_for;
use crate::source::FileKind;
use crate::{Fact, HostFacts};

const DEVICE: &str = "/dev/sev";

/// The oldest API with SEV-SNP (Linux, `drivers/crypto/ccp/sev-dev.h`).
const FLOOR: (u32, u32) = (1, 51);

/// `ccp 0000:22:00.1: ` is followed by what the driver says. There are often two secure processors, and one of them has
/// SEV: what the other does not say is no failure.
fn ccp(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("ccp ")?;
    Some(rest.split_once(": ")?.1)
}

pub(super) fn secure_processor(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "the driver ccp says `sev enabled` or which API the firmware has";
    if let Some(proof) = proof::in_kvm(facts) {
        return proof.implies(check);
    }
    let failed = said_where(facts, |text| {
        ccp(text).is_some_and(|text| {
            text.starts_with("SEV: failed to get status")
                || text.starts_with("SEV: failed to INIT")
                || text.starts_with("SEV-SNP: failed to INIT")
                || text.starts_with("sev command ") && text.contains("timed out")
        })
    });
    if let Some(line) = failed {
        let mut fix = update_for(&facts.firmware);
        fix.action = format!(
            "power the host off and on; where it stays so, {}, which brings the firmware of the secure processor",
            fix.action
        )
        .into();
        return check
            .fail()
            .observed("the secure processor refused, says the kernel")
            .expected(expected)
            .evidence("kernel log", line)
            .fix(fix);
    }
    if let Some((line, major, minor, _)) = api_version(facts) {
        return check
            .pass()
            .observed(format!("its firmware has API {major}.{minor}"))
            .evidence("kernel log", line);
    }
    if let Some(line) =
        said_where(facts, |text| ccp(text).is_some_and(|text| text.starts_with("sev enabled")))
    {
        return check.pass().observed("sev enabled, says the driver").evidence("kernel log", line);
    }
    if facts.snp.device.known().is_some() {
        return check.pass().observed("implied: its device is there").evidence(DEVICE, "is there");
    }
    let no_device =
        if facts.snp.device.is_absent() { "/dev/sev is not there" } else { "/dev/sev was not looked at" };
    check.unknown(format!("{no_device}; {}", log_is_silent(facts)))
}

/// `SEV API:1.55 build:31`, `SEV-SNP API:1.55 build:31`: the line, major, minor, build.
fn api_version(facts: &HostFacts) -> Option<(&str, u32, u32, u32)> {
    let log = facts.kernel_log.known()?;
    log.messages.iter().rev().find_map(|message| {
        let text = ccp(&message.text)?;
        let text = text.strip_prefix("SEV-SNP API:").or_else(|| text.strip_prefix("SEV API:"))?;
        let (version, build) = text.split_once(" build:")?;
        let (major, minor) = version.split_once('.')?;
        let number = |text: &str| text.trim().parse::<u32>().ok();
        Some((message.line.as_str(), number(major)?, number(minor)?, number(build)?))
    })
}

pub(super) fn api(check: &CheckDef, facts: &HostFacts) -> Finding {
    let Some((line, major, minor, build)) = api_version(facts) else {
        // The driver refuses SEV-SNP below the floor.
        return match proof::in_kvm(facts) {
            Some(proof) => proof.implies(check),
            None => check.unknown(log_is_silent(facts)),
        };
    };
    let shown = format!("API {major}.{minor}, build {build}");
    if (major, minor) >= FLOOR {
        return check.pass().observed(shown).evidence("kernel log", line);
    }
    check
        .fail()
        .observed(shown)
        .expected("1.51 or newer, the first with SEV-SNP")
        .evidence("kernel log", line)
        .fix(
            update_for(&facts.firmware)
                .command("ls /lib/firmware/amd/*.sbin")
                .link("https://www.amd.com/en/developer/sev.html"),
        )
}

pub(super) fn device(check: &CheckDef, facts: &HostFacts) -> Finding {
    match &facts.snp.device {
        Fact::Known(meta) if meta.kind == FileKind::CharacterDevice => {
            let owner = meta.owner.as_deref().unwrap_or("?");
            let group = meta.group.as_deref().unwrap_or("?");
            let shown = format!("{owner}:{group} {:04o}", meta.mode);
            check.pass().observed(shown.clone()).evidence(DEVICE, shown)
        }
        Fact::Known(_) => check
            .fail()
            .observed("it is not a device")
            .expected("a character device")
            .evidence(DEVICE, "not a character device")
            .fix(Fix::new("remove what is there, and load the driver again").command("sudo rm /dev/sev").command("sudo modprobe -r ccp").command("sudo modprobe ccp")),
        Fact::Absent => check
            .fail()
            .observed("it is not there")
            .expected("the device of the secure processor")
            .evidence(DEVICE, "is not there")
            .fix(
                Fix::new("load the driver ccp; where the device stays away, turn SEV on in the firmware and look in the kernel log for what ccp says")
                    .command("sudo modprobe ccp")
                    .command("sudo dmesg | grep -i ccp"),
            ),
        Fact::Unread(why) => check.unknown(format!("{DEVICE}: {why}")),
    }
}
