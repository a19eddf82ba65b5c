//! Whether the log and the registers can be read, and whether the kernel took the platform.

use dstack_check::{CheckDef, Finding, Fix};

use super::not_intel;
use crate::facts::kernel_tdx::TdxStage;
use crate::knowledge::tdx_modules::Cause;
use crate::source::LogOrigin;
use crate::{Fact, HostFacts, Unread};

pub(super) fn whole(check: &CheckDef, facts: &HostFacts) -> Finding {
    let log = match &facts.kernel_log {
        Fact::Known(log) => log,
        Fact::Absent => return check.unknown("there is no kernel log"),
        Fact::Unread(Unread::NotPermitted) => {
            return check
                .unknown("needs root, or the group adm or systemd-journal (kernel.dmesg_restrict is set)");
        }
        Fact::Unread(why) => return check.unknown(format!("the kernel log: {}", why.why())),
    };
    let from = match log.from {
        LogOrigin::Kmsg => "/dev/kmsg",
        LogOrigin::Journal => "the journal",
        _ => "the pasted text",
    };
    let count = log.messages.len();
    let first = log.messages.first().map_or("", |message| message.line.as_str());
    if log.from_boot {
        return check
            .pass()
            .observed(format!("{count} messages since boot from {from}"))
            .evidence(from, first);
    }
    if log.from == LogOrigin::Pasted {
        return check.unknown(format!(
            "{count} lines were pasted that do not begin at the boot: what is not in them may have been said"
        ));
    }
    let begins = log
        .begins_at_seconds()
        .map_or_else(|| "later than the boot".to_owned(), |seconds| format!("{seconds} s after the boot"));
    check
        .warn()
        .observed(format!("the oldest of {count} messages is from {begins}: the buffer was full and has lost its beginning"))
        .expected("messages from the boot on")
        .evidence(from, first)
        .fix(
            Fix::new("keep the journal, or give the kernel a larger buffer with log_buf_len=16M; messages that are lost come back with the next start")
                .command("sudo journalctl -k -b | head -n 1")
                .command("sudo mkdir -p /var/log/journal && sudo systemctl restart systemd-journald"),
        )
}

pub(super) fn registers(check: &CheckDef, facts: &HostFacts) -> Finding {
    match &facts.kernel.registers_readable {
        Fact::Known(_) => {
            check.pass().observed("registers of CPU 0 were read").evidence("/dev/cpu/0/msr", "readable")
        }
        Fact::Absent => check
            .warn()
            .observed("there is no /dev/cpu/0/msr: the module msr is not loaded")
            .expected("/dev/cpu/0/msr, so that the firmware's settings can be read")
            .evidence("/dev/cpu/0/msr", "not there")
            .fix(Fix::new("load the module; it changes nothing").command("sudo modprobe msr")),
        Fact::Unread(why) => check.unknown(format!("/dev/cpu/0/msr: {}", why.why())),
    }
}

pub(super) fn tdx_flag(check: &CheckDef, facts: &HostFacts) -> Finding {
    if let Some(finding) = not_intel(check, facts) {
        return finding;
    }
    let flag = facts.cpu.flag("tdx_host_platform");
    let failure = facts.tdx.boot.known().and_then(|boot| boot.failure());
    let refused = failure.filter(|failure| !failure.cause.platform_was_accepted());
    if let Some(proof) = facts.tdx_proven(TdxStage::PlatformAccepted) {
        let observed = match (flag.known(), proof.stage) {
            (Some(true), _) => "tdx_host_platform is on the line flags".to_owned(),
            (_, TdxStage::PlatformAccepted) => {
                "the kernel took the key ids and says nothing against it".to_owned()
            }
            _ => format!("accepted, implied by {}", proof.source),
        };
        return check.pass().observed(observed).evidence(proof.source, proof.excerpt);
    }
    let expected = "tdx_host_platform on the line flags of /proc/cpuinfo";
    if let Some(refused) = refused {
        // The same line fails the check of the SEAM range: it is told once, there.
        if refused.cause == Cause::NotEnabledByFirmware {
            return check
                .skipped("hw.firmware.seam-loader")
                .observed("the kernel found key ids and no SEAM range")
                .evidence("kernel log", refused.lines.join("\n"));
        }
        return check
            .fail()
            .observed(format!("the kernel refused the platform: {}", refused.cause.meaning()))
            .expected(expected)
            .evidence("kernel log", refused.lines.join("\n"))
            .fix(refused.cause.fix(&facts.firmware));
    }
    let look = || {
        Fix::new("see what of this holds: the firmware gave TDX no key ids, the kernel can hibernate, or it was built without TDX")
            .command("sudo dmesg | grep -E '(virt/)?tdx: '")
            .command("grep -o nohibernate /proc/cmdline")
            .command("grep TDX_HOST /boot/config-$(uname -r)")
    };
    if flag.known() == Some(&false) {
        return check
            .fail()
            .observed("tdx_host_platform is not on the line flags")
            .expected(expected)
            .evidence("/proc/cpuinfo", "flags: without tdx_host_platform")
            .fix(look());
    }
    match &facts.kernel_log {
        Fact::Known(log) if log.from_boot => check
            .fail()
            .observed("the kernel says nothing of TDX, from the boot on")
            .expected("virt/tdx: BIOS enabled: private KeyID range [..)")
            .evidence("kernel log", format!("no message of virt/tdx among {}", log.messages.len()))
            .fix(look()),
        Fact::Known(_) => {
            check.unknown("the kernel log does not reach back to the boot, and the flags are not known")
        }
        _ => {
            let why = flag.unread().map_or_else(|| "not there".to_owned(), Unread::why);
            check.unknown(format!("the flags of the CPU: {why}"))
        }
    }
}
