//! Where checks are asked: on metal, in machines and containers of all kinds, over pasted texts.

use dstack_check::Status;

use super::*;
use crate::CollectOptions;
use crate::source::{CpuidRegisters, HostSource, LogOrigin, Pasted, RawKernelLog, Readings};

fn facts(host: &dyn HostSource) -> HostFacts {
    HostFacts::collect(host, CollectOptions::quick())
}

/// Status and observation of one check, one line.
fn line(host: &dyn HostSource, id: &str) -> String {
    let facts = facts(host);
    let check = CHECKS.iter().find(|check| check.def.id == id).unwrap();
    let finding = check.run(&facts);
    assert_eq!(matches!(finding.status, Status::Fail | Status::Warn), finding.fix.is_some(), "{id}");
    let why = match &finding.status {
        Status::Unknown { why } => why.clone(),
        _ => finding.observed.unwrap_or_default(),
    };
    format!("{}: {why}", finding.status.word())
}

fn bare(host: &dyn HostSource) -> String {
    line(host, "hw.environment.bare-metal")
}

fn signature(text: &[u8; 12]) -> CpuidRegisters {
    let word = |at: usize| u32::from_le_bytes([text[at], text[at + 1], text[at + 2], text[at + 3]]);
    CpuidRegisters { eax: 0x4000_0001, ebx: word(0), ecx: word(4), edx: word(8) }
}

fn cpu(hypervisor: bool) -> Readings {
    let one = CpuidRegisters { ecx: u32::from(hypervisor) << 31, ..CpuidRegisters::default() };
    let zero = CpuidRegisters { eax: 0x1f, ..CpuidRegisters::default() };
    Readings::empty_host().cpuid_leaf(0, 0, zero).cpuid_leaf(1, 0, one)
}

fn log(text: &str) -> RawKernelLog {
    RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(true), text: text.to_owned() }
}

#[test]
fn virtual_machines_are_named() {
    let dmi = |host: Readings, vendor: &str, product: &str| {
        host.file("/sys/class/dmi/id/sys_vendor", format!("{vendor}\n"))
            .file("/sys/class/dmi/id/product_name", format!("{product}\n"))
    };
    let kvm = cpu(true).cpuid_leaf(0x4000_0000, 0, signature(b"KVMKVMKVM\0\0\0"));
    let lines = [
        bare(&cpu(false)),
        bare(&dmi(cpu(false), "Dell Inc.", "PowerEdge R760")),
        bare(&dmi(kvm.clone(), "QEMU", "Standard PC (Q35 + ICH9, 2009)")),
        bare(&kvm.clone().log(log("[    0.001041] ACPI: RSDP 0x00000000000E0000 000024 (v02 FIRECK)\n"))),
        bare(&cpu(true).cpuid_leaf(0x4000_0000, 0, signature(b"Microsoft Hv"))),
        bare(&cpu(true).cpuid_leaf(0x4000_0000, 0, signature(b"VMwareVMware"))),
        bare(&cpu(true)),
        // A hypervisor that hides its bit is given away by the firmware.
        bare(&dmi(cpu(false), "QEMU", "Standard PC (i440FX + PIIX, 1996)")),
        // A cloud's bare-metal server has the same name as its virtual machines.
        bare(&dmi(cpu(false), "Amazon EC2", "m7i.metal-48xl")),
        bare(&cpu(false).file("/sys/hypervisor/type", "xen\n").file("/proc/xen/capabilities", "control_d\n")),
        bare(&kvm.clone().file("/proc/cpuinfo", "flags\t\t: fpu lm hypervisor tdx_guest\n")),
        bare(&kvm.log(log("[    0.5] Memory Encryption Features active: AMD SEV SEV-ES SEV-SNP\n"))),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn pasted_texts_say_what_they_can() {
    let dmesg = |text: &str| Pasted::new().kernel_log(text).into_readings();
    let lines = [
        bare(&dmesg("[    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\n")),
        bare(&dmesg(
            "[    0.000000] Hypervisor detected: KVM\n[    0.1] Booting paravirtualized kernel on KVM\n",
        )),
        bare(&dmesg("[    0.097896] Booting paravirtualized kernel on bare hardware\n")),
        bare(&dmesg("[    0.000000] Command line: tdx-1 kvm_intel.tdx=1\n")),
        bare(
            &Pasted::new()
                .cpuinfo("processor\t: 0\nflags\t\t: fpu lm vmx tdx_host_platform\n")
                .into_readings(),
        ),
        bare(&Pasted::new().cpuinfo("processor\t: 0\nflags\t\t: fpu lm hypervisor\n").into_readings()),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn architectures() {
    let of = |host: &dyn HostSource| line(host, "hw.environment.architecture");
    let lines = [
        of(&cpu(false)),
        of(&Readings::empty_host().file("/proc/sys/kernel/arch", "aarch64\n")),
        of(&Readings::empty_host().file("/proc/cpuinfo", "flags\t\t: fpu sse2\n")),
        of(&Pasted::new().kernel_log("[    0.000000] x86/tme: not enabled by BIOS\n").into_readings()),
        of(&Pasted::new().kernel_log("[    0.000000] something\n").into_readings()),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn containers() {
    let of = |host: &dyn HostSource| line(host, "hw.environment.container");
    let empty = Readings::empty_host;
    let lines = [
        of(&empty()),
        of(&empty().file("/.dockerenv", "")),
        of(&empty().file("/.dockerenv", "").link("/proc/self/ns/pid", "pid:[4026531836]")),
        of(&empty().link("/proc/self/ns/pid", "pid:[4026532000]")),
        of(&empty().file("/run/systemd/container", "systemd-nspawn\n")),
        of(&Pasted::new().cpuinfo("flags : lm\n").into_readings()),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn rights() {
    let of = |host: &dyn HostSource| line(host, "hw.environment.privilege");
    let status = |uid: u32, capabilities: u64| {
        let text = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nCapEff:\t{capabilities:016x}\n");
        Readings::empty_host().file("/proc/self/status", text)
    };
    let lines = [
        of(&status(0, u64::MAX >> 23)),
        of(&status(1000, 0)),
        // Root in a container without capabilities.
        of(&status(0, 1 << 1)),
        of(&Readings::nothing_known()),
        of(&Pasted::new().cpuinfo("flags : lm\n").into_readings()),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}
