//! The checks of the layer `guest`: what a confidential VM must have inside to prove what it is.

use dstack_check::{CheckDef, Finding, Fix};

use super::{Barrier, HwCheck};
use crate::facts::guest::{AGENT_SOCKETS, FEATURES_ACTIVE, GuestDevice, RTMR, TSM_REPORT, Tee};
use crate::source::FileKind;
use crate::{Fact, HostFacts, Unread};

pub(super) const CHECKS: &[HwCheck] = &[
    HwCheck::new(
        CheckDef::new("hw.guest.inside", "this is a confidential VM")
            .layer("guest")
            .why("a guest that is none has no quote, whatever else it has"),
        Barrier::Elsewhere,
        inside,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.device", "the guest device of the TEE is there")
            .layer("guest")
            .parents(&["hw.guest.inside"])
            .why("the guest driver behind it asks the TEE for reports"),
        Barrier::Setting,
        device,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.tsm-report", "reports can be had through configfs")
            .layer("guest")
            .parents(&["hw.guest.inside"])
            .why("since Linux 6.7 quotes are asked for there"),
        Barrier::Setting,
        tsm_report,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.rtmr", "the runtime measurement registers can be read")
            .layer("guest")
            .parents(&["hw.guest.device"])
            .why("what was measured since the start is compared with the event log"),
        Barrier::Setting,
        rtmr,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.encryption", "the kernel reports that memory is encrypted")
            .layer("guest")
            .parents(&["hw.guest.inside"]),
        Barrier::Setting,
        encryption,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.agent-socket", "the dstack guest agent has its socket")
            .layer("guest")
            .parents(&["hw.guest.inside"])
            .why("apps get keys and quotes from it"),
        Barrier::Setting,
        agent_socket,
    ),
    HwCheck::new(
        CheckDef::new("hw.guest.gpu", "the GPU is in confidential mode")
            .layer("guest")
            .parents(&["hw.guest.inside"])
            .why("data that goes to a GPU outside of its confidential mode leaves the protected memory"),
        Barrier::Setting,
        gpu,
    ),
];

/// Adds what an answer rests on.
fn with_evidence(finding: Finding, evidence: Vec<(String, String)>) -> Finding {
    evidence.into_iter().fold(finding, |finding, (source, excerpt)| finding.evidence(source, excerpt))
}

/// The technology, where the machine is known to be a confidential VM.
fn tee(facts: &HostFacts) -> Option<Tee> {
    facts.confidential_guest().ok().flatten().map(|(tee, _)| tee)
}

fn inside(check: &CheckDef, facts: &HostFacts) -> Finding {
    match facts.confidential_guest() {
        Ok(Some((Tee::Sev, evidence))) => {
            let finding = check
                .fail()
                .observed("memory is encrypted by SEV, without SNP: there is no attestation report")
                .expected("Intel TDX or AMD SEV-SNP")
                .fix(Fix::new("start the VM with QEMU's object sev-snp-guest on a host that has SEV-SNP"));
            with_evidence(finding, evidence)
        }
        Ok(Some((tee, evidence))) => {
            with_evidence(check.pass().observed(format!("an {} guest", tee.name())), evidence)
        }
        Ok(None) => check
            .fail()
            .observed("neither a TD nor an SEV-SNP guest: no sign of either in CPUID, the flags, the log or /dev")
            .expected("a confidential VM")
            .evidence("/proc/cpuinfo", "no tdx_guest among the flags")
            .fix(Fix::new(
                "on a host use the profile for hosts; a VM that should be confidential must be started as such by the VMM",
            )),
        Err(why) => check.unknown(why),
    }
}

fn device(check: &CheckDef, facts: &HostFacts) -> Finding {
    let guest = &facts.guest;
    let wanted = tee(facts);
    let fits = |device: &&GuestDevice| wanted.is_none_or(|tee| tee == device.tee);
    let found: Vec<&GuestDevice> = guest.devices.iter().filter(fits).collect();
    let shown = |device: &GuestDevice| format!("mode {:04o}, {}", device.meta.mode, device.tee.name());
    if let Some(device) = found.iter().find(|device| device.current) {
        return check.pass().observed(&device.path).evidence(&device.path, shown(device));
    }
    if let Some(device) = found.first() {
        return check
            .warn()
            .observed(format!("{}: the name of an early driver", device.path))
            .expected("/dev/tdx_guest")
            .evidence(&device.path, shown(device))
            .fix(Fix::new("start a guest image with Linux 6.7 or newer: what speaks of /dev/tdx_guest and configfs cannot use the old driver"));
    }
    if let Some(why) = &guest.devices_unread {
        return check.unknown(format!("/dev: {}", why.why()));
    }
    let (path, module, option) = match wanted {
        Some(Tee::SevSnp) => ("/dev/sev-guest", "sev-guest", "CONFIG_SEV_GUEST"),
        _ => ("/dev/tdx_guest", "tdx_guest", "CONFIG_TDX_GUEST_DRIVER"),
    };
    check
        .fail()
        .observed(format!("{path} is not there"))
        .expected(path)
        .evidence("/dev", "none of the nodes of guest drivers")
        .fix(
            Fix::new(format!(
                "load the guest driver; a kernel without {option} has none. In a container, mount the node"
            ))
            .command(format!("sudo modprobe {module}")),
        )
}

fn tsm_report(check: &CheckDef, facts: &HostFacts) -> Finding {
    let guest = &facts.guest;
    let tsm = &guest.tsm;
    match &tsm.report {
        Fact::Known(true) => {
            let finding = check.pass();
            if !tsm.providers.is_empty() {
                let providers = tsm.providers.join(", ");
                return finding.observed(format!("provider {providers}")).evidence(TSM_REPORT, providers);
            }
            if !tsm.modules.is_empty() {
                let modules = tsm.modules.join(", ");
                return finding
                    .observed(format!("the folder is there, and so is {modules}, which provides reports"))
                    .evidence(TSM_REPORT, "the folder for reports")
                    .evidence("/sys/module", modules);
            }
            if guest.devices.iter().any(|device| device.current) {
                return finding
                    .observed("the folder and the driver's node are there")
                    .evidence(TSM_REPORT, "the folder for reports");
            }
            if let Some(why) = &guest.devices_unread {
                return check.unknown(format!("the folder is there; /dev: {}", why.why()));
            }
            check
                .warn()
                .observed("the folder is there, but nothing shows which driver provides reports")
                .expected("a provider: tdx_guest or sev_guest")
                .evidence(TSM_REPORT, "the folder for reports")
                .fix(
                    Fix::new("load the guest driver")
                        .command("sudo modprobe tdx_guest || sudo modprobe sev-guest"),
                )
        }
        Fact::Known(false) | Fact::Absent => {
            if matches!(tsm.configfs, Fact::Known(false) | Fact::Absent) {
                return check
                    .fail()
                    .observed("configfs is not mounted")
                    .expected(TSM_REPORT)
                    .evidence("/proc/mounts", "no configfs at /sys/kernel/config")
                    .fix(
                        Fix::new("mount configfs, then look again")
                            .command("sudo mount -t configfs none /sys/kernel/config"),
                    );
            }
            let device = guest.devices.first();
            let fix = Fix::new(
                "start a kernel of 6.7 or newer with CONFIG_TSM_REPORTS and the guest driver loaded",
            )
            .command("sudo modprobe tdx_guest || sudo modprobe sev-guest");
            match device {
                Some(device) => check
                    .warn()
                    .observed(format!(
                        "no folder for reports; {} alone gives reports but no quotes through the kernel",
                        device.path
                    ))
                    .expected(TSM_REPORT)
                    .evidence(&device.path, "the node of the guest driver is there")
                    .fix(fix),
                None => check
                    .fail()
                    .observed("there is no folder for reports in configfs")
                    .expected(TSM_REPORT)
                    .evidence("/sys/kernel/config", "no tsm/report")
                    .fix(fix),
            }
        }
        Fact::Unread(why) => check.unknown(format!("{TSM_REPORT}: {}", why.why())),
    }
}

fn rtmr(check: &CheckDef, facts: &HostFacts) -> Finding {
    if matches!(tee(facts), Some(Tee::SevSnp | Tee::Sev)) {
        return check.not_applicable().observed("SEV-SNP has no runtime measurement registers");
    }
    match &facts.guest.rtmr {
        Fact::Known(names) => {
            let registers: Vec<&str> =
                names.iter().map(String::as_str).filter(|name| name.starts_with("rtmr")).collect();
            let all = (0..4).all(|n| registers.iter().any(|name| name.starts_with(&format!("rtmr{n}"))));
            if all {
                let names = registers.join(", ");
                return check.pass().observed("RTMR 0 to 3 are files").evidence(RTMR, names);
            }
            check
                .warn()
                .observed(format!("the folder has {}", if registers.is_empty() { "no RTMR".to_owned() } else { registers.join(", ") }))
                .expected("rtmr0 to rtmr3")
                .evidence(RTMR, names.join(", "))
                .fix(Fix::new("start a kernel whose TDX guest driver has all registers (Linux 6.16)").only_a_hint())
        }
        Fact::Absent => check
            .warn()
            .observed("the kernel shows no registers as files; they can still be had from a TD report")
            .expected(RTMR)
            .evidence(RTMR, "not there")
            .fix(Fix::new("nothing is needed for dstack's own images, which read the report; for tools that read files, start Linux 6.16 or newer").only_a_hint()),
        Fact::Unread(why) => check.unknown(format!("{RTMR}: {}", why.why())),
    }
}

fn encryption(check: &CheckDef, facts: &HostFacts) -> Finding {
    let expected = "Memory Encryption Features active: Intel TDX, or AMD SEV SEV-ES SEV-SNP";
    let said = facts.kernel_log.known().and_then(|log| log.last_with_prefix(FEATURES_ACTIVE));
    if let Some(message) = said {
        let features = message.text.strip_prefix(FEATURES_ACTIVE).unwrap_or_default();
        let right = features.split_whitespace().any(|word| matches!(word, "TDX" | "SEV-SNP"));
        let finding = if right { check.pass() } else { check.fail().expected(expected) };
        let finding = finding.observed(features).evidence("kernel log", &message.line);
        return if right {
            finding
        } else {
            finding.fix(Fix::new("start the VM as a TD or an SEV-SNP guest; what is active does not attest"))
        };
    }
    if let Ok(Some((tee @ (Tee::Tdx | Tee::SevSnp), evidence))) = facts.confidential_guest() {
        let finding = check
            .pass()
            .observed(format!("implied: in an {} guest private memory is encrypted by the CPU", tee.name()));
        return with_evidence(finding, evidence);
    }
    match &facts.kernel_log {
        Fact::Known(log) if log.from_boot => check
            .fail()
            .observed("the kernel log does not say so")
            .expected(expected)
            .evidence("kernel log", "no message `Memory Encryption Features active:` since boot")
            .fix(Fix::new("start the VM as a TD or an SEV-SNP guest")),
        Fact::Known(_) => check.unknown("the kernel log does not reach back to the boot"),
        Fact::Absent => check.unknown("there is no kernel log"),
        Fact::Unread(why) => check.unknown(format!("kernel log: {}", why.why())),
    }
}

fn agent_socket(check: &CheckDef, facts: &HostFacts) -> Finding {
    let guest = &facts.guest;
    if let Some((path, _)) = guest.agent.iter().find(|(_, kind)| *kind == FileKind::Socket) {
        return check.pass().observed(path).evidence(path, "a socket");
    }
    // A link to the socket is what /var/run makes of /run on some images.
    if let Some((path, _)) = guest.agent.iter().find(|(_, kind)| *kind == FileKind::Link) {
        return check
            .warn()
            .observed(format!("{path} is a link whose target is not a socket that was found"))
            .expected("a socket")
            .evidence(path, "a symbolic link")
            .fix(
                Fix::new("look where the link points, and whether the guest agent runs")
                    .command("systemctl status dstack-guest-agent")
                    .only_a_hint(),
            );
    }
    if let Some((path, kind)) = guest.agent.iter().find(|(path, _)| !path.ends_with("/dstack/dstack.sock")) {
        let what = if *kind == FileKind::Folder { "a folder" } else { "not a socket" };
        let finding =
            check.fail().observed(format!("{path} is {what}")).expected("a socket").evidence(path, what);
        return finding.fix(if *kind == FileKind::Folder {
            Fix::new("remove the folder and start the container again: Docker makes one where the socket of a bind mount is missing")
                .command(format!("sudo rmdir {path}"))
        } else {
            Fix::new("remove what is there and restart the guest agent").command("sudo systemctl restart dstack-guest-agent").only_a_hint()
        });
    }
    if let Some(why) = &guest.agent_unread {
        return check.unknown(format!("/var/run: {}", why.why()));
    }
    check
        .fail()
        .observed("there is no socket of the guest agent")
        .expected(AGENT_SOCKETS.first().copied().unwrap_or_default())
        .evidence("/var/run and /run", "no dstack.sock")
        .fix(
            Fix::new("in a dstack guest look at the agent's log; in a container mount /var/run/dstack.sock; other guests have no agent")
                .command("journalctl -b -u dstack-guest-agent -n 50").only_a_hint(),
        )
}

fn gpu(check: &CheckDef, facts: &HostFacts) -> Finding {
    let guest = &facts.guest;
    let gpus = match &guest.gpus {
        Fact::Known(gpus) if gpus.is_empty() => {
            return check.not_applicable().observed("there is no NVIDIA GPU in this guest");
        }
        Fact::Known(gpus) => gpus,
        Fact::Absent => return check.not_applicable().observed("there is no GPU in this guest"),
        Fact::Unread(why) => return check.unknown(format!("/sys/bus/pci/devices: {}", why.why())),
    };
    let source = "nvidia-smi conf-compute -f";
    let reset =
        "on the host: switch the confidential mode of the GPU on and reset it before the VM is started";
    match &guest.gpu_confidential {
        Fact::Known(state) => match state.on {
            Some(true) => check.pass().observed(format!("{} GPU, {}", gpus.len(), state.line)).evidence(source, &state.line),
            Some(false) => check
                .fail()
                .observed(&state.line)
                .expected("CC status: ON")
                .evidence(source, &state.line)
                .fix(Fix::new(reset).command("sudo nvidia_gpu_tools.py --set-cc-mode=on --reset-after-cc-mode-switch")),
            None if state.line.contains("No CC capable devices") => check
                .fail()
                .observed(&state.line)
                .expected("CC status: ON, which takes a Hopper or newer GPU")
                .evidence(source, &state.line)
                .fix(Fix::new("take a GPU of the Hopper generation or newer, or do not give confidential data to this one")),
            None => check.unknown(format!("{source} said: {}", state.line)),
        },
        Fact::Absent => check.unknown("nvidia-smi is not there"),
        Fact::Unread(Unread::NotAsked) => check.unknown("nvidia-smi was not asked"),
        Fact::Unread(why) => check.unknown(format!("{source}: {}", why.why())),
    }
}

#[cfg(test)]
mod tests;
