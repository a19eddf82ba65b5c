//! Guests of all kinds, and what is none.

use dstack_check::Status;

use super::*;
use crate::CollectOptions;
use crate::source::{FileMeta, LogOrigin, Pasted, Probe, RawKernelLog, Readings};

/// Every check of the layer on one host, one line each.
fn lines(name: &str, host: &Readings) -> String {
    let facts = HostFacts::collect(host, CollectOptions::quick());
    let mut text = format!("# {name}\n");
    for check in CHECKS {
        let finding = check.run(&facts);
        let id = check.def.id;
        assert_eq!(matches!(finding.status, Status::Fail | Status::Warn), finding.fix.is_some(), "{id}");
        assert!(finding.status != Status::Pass || !finding.evidence.is_empty(), "{id}");
        let why = match &finding.status {
            Status::Unknown { why } => why.clone(),
            _ => finding.observed.unwrap_or_default(),
        };
        text.push_str(&format!("{id} {}: {why}\n", finding.status.word()));
    }
    text
}

fn log(text: &str) -> RawKernelLog {
    RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(true), text: text.to_owned() }
}

fn socket(host: Readings, path: &str, kind: FileKind) -> Readings {
    host.meta(path, FileMeta::new(kind, 0o755))
}

fn td() -> Readings {
    Readings::empty_host()
        .file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm hypervisor tdx_guest\n")
        .file("/proc/mounts", "configfs /sys/kernel/config configfs rw 0 0\n")
}

#[test]
fn guests_and_what_are_none() {
    let healthy = socket(td(), "/var/run/dstack.sock", FileKind::Socket)
        .device("/dev/tdx_guest", 0o600, "root")
        .folder("/sys/kernel/config/tsm/report", ["one"])
        .file("/sys/kernel/config/tsm/report/one/provider", "tdx_guest\n")
        .folder(RTMR, ["mrconfigid", "rtmr0:sha384", "rtmr1:sha384", "rtmr2:sha384", "rtmr3:sha384"])
        .log(log(
            "[    0.000000] tdx: Guest detected\n[    1.0] Memory Encryption Features active: Intel TDX\n",
        ));
    let bare = td();
    let old = socket(td(), "/var/run/dstack.sock", FileKind::Folder).device("/dev/tdx-guest", 0o600, "root");
    let snp = Readings::empty_host()
        .file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm hypervisor sev_snp\n")
        .file("/proc/mounts", "")
        .device("/dev/sev-guest", 0o600, "root")
        .folder("/sys/kernel/config/tsm/report", [])
        .log(log("[    1.0] Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP\n"));
    let sev = Readings::empty_host()
        .file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu lm hypervisor sev\n")
        .log(log("[    1.0] Memory Encryption Features active: AMD SEV SEV-ES\n"));
    let host = Readings::empty_host().file("/proc/cpuinfo", "flags\t\t: fpu lm vmx tdx_host_platform\n");
    let all = [
        lines("a TD with everything", &healthy),
        lines("a TD with nothing", &bare),
        lines("a TD with an old driver and a folder for a socket", &old),
        lines("an SEV-SNP guest", &snp),
        lines("a guest with SEV-ES", &sev),
        lines("a host", &host),
        lines(
            "a pasted kernel log of a TD",
            &Pasted::new().kernel_log("[    0.000000] tdx: Guest detected\n").into_readings(),
        ),
        lines("nothing known", &Readings::nothing_known()),
    ];
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn gpus() {
    let with = |printed: &str| {
        let host = td()
            .file("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
            .file("/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")
            .probe_stdout(Probe::GpuConfidentialState, printed);
        let facts = HostFacts::collect(&host, CollectOptions::quick());
        let check = CHECKS.iter().find(|check| check.def.id == "hw.guest.gpu").unwrap();
        check.run(&facts).status.word()
    };
    assert_eq!(with("CC status: ON\n"), "pass");
    assert_eq!(with("CC status: OFF\n"), "fail");
    assert_eq!(with("No CC capable devices found.\n"), "fail");
    assert_eq!(with("NVIDIA-SMI has failed\n"), "unknown");
}
