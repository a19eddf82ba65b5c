//! Every check can end well and can end badly: small changes to the synthetic hosts that reach each answer.

use std::collections::{BTreeMap, BTreeSet};

use dstack_check::Status;
use dstack_hw::source::{FileKind, HostSource, Probe};
use dstack_hw::{Unread, checks};

use crate::support::{Changed, HOSTS, ask, ask_all, facts, host, recorded};

const INTEL: &str = "healthy-2404-intel";
const MAINLINE: &str = "healthy-2604-mainline";
const AMD: &str = "healthy-snp";
const GPU: &str = "gpu-host";
const TD: &str = "td-guest";

/// A check, how it must end, on which host, after which change.
type Case = (&'static str, &'static str, &'static str, for<'a> fn(Changed<'a>) -> Changed<'a>);

/// On these hosts nothing is known of TDX but what the case is about: no log, no parameter, no capacity, no flag.
fn before_tdx(host: Changed<'_>) -> Changed<'_> {
    host.log_without("virt/tdx")
        .replace("/proc/cpuinfo", " tdx_host_platform", "")
        .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
        .file("/sys/fs/cgroup/misc.capacity", "")
        .gone("/sys/fs/cgroup/misc.current")
        .vm_types(Ok(1))
}

fn no_flag<'a>(host: Changed<'a>, flag: &str) -> Changed<'a> {
    host.replace("/proc/cpuinfo", &format!(" {flag} "), " ")
}

fn unit<'a>(host: Changed<'a>, name: &str, active: &str) -> Changed<'a> {
    let shown = host.probe(&Probe::Units).unwrap().stdout;
    let changed: Vec<String> = shown
        .split("\n\n")
        .map(|block| {
            if block.contains(&format!("Id={name}.service")) {
                block.replace("ActiveState=active", active).replace("SubState=running", "SubState=failed")
            } else {
                block.to_owned()
            }
        })
        .collect();
    host.says(Probe::Units, &changed.join("\n\n"))
}

const CASES: &[Case] = &[
    // The place.
    ("hw.environment.architecture", "fail", INTEL, |h| h.file("/proc/sys/kernel/arch", "aarch64\n")),
    // The CPU.
    ("hw.cpu.vendor", "fail", INTEL, |h| {
        h.leaf(0, |leaf| leaf.ecx = 0x6168_7a6e).replace("/proc/cpuinfo", "GenuineIntel", "CentaurHauls")
    }),
    ("hw.cpu.tdx-generation", "warn", INTEL, |h| {
        before_tdx(h).leaf(1, |leaf| leaf.eax = 0x0008_06f8).replace(
            "/proc/cpuinfo",
            "model\t\t: 207",
            "model\t\t: 143",
        )
    }),
    ("hw.cpu.seam", "warn", INTEL, |h| {
        before_tdx(h).register(0xfe, 0x7d0a).register(0x1401, 0).register(0x1400, 0)
    }),
    ("hw.cpu.vmx", "fail", INTEL, |h| {
        no_flag(before_tdx(h), "vmx")
            .leaf(1, |leaf| leaf.ecx &= !(1 << 5))
            .gone("/dev/kvm")
            .gone("/sys/module/kvm_intel")
    }),
    ("hw.cpu.ept", "fail", INTEL, |h| no_flag(no_flag(before_tdx(h), "ept"), "ept_ad")),
    ("hw.cpu.x2apic", "fail", INTEL, |h| {
        before_tdx(h).replace("/proc/cmdline", "nohibernate", "nohibernate nox2apic").log_without("x2apic")
    }),
    ("hw.cpu.movdir64b", "fail", INTEL, |h| {
        no_flag(before_tdx(h), "movdir64b").leaf(7, |leaf| leaf.ecx &= !(1 << 28))
    }),
    ("hw.cpu.self-snoop", "fail", INTEL, |h| {
        no_flag(before_tdx(h), "ss").leaf(1, |leaf| leaf.edx &= !(1 << 27))
    }),
    ("hw.cpu.physical-address-bits", "fail", INTEL, |h| {
        before_tdx(h)
            .register(0x982, 1)
            .register(0x87, 0)
            .log_without("x86/")
            .leaf(0x8000_0008, |leaf| leaf.eax = 0x392e)
    }),
    ("hw.cpu.production", "fail", INTEL, |h| h.register(0xce, 1 << 27)),
    ("hw.cpu.microcode", "warn", INTEL, |h| {
        let cpuinfo = h.text("/proc/cpuinfo").unwrap();
        let (first, rest) = cpuinfo.split_once("0x210002d3").unwrap();
        h.file("/proc/cpuinfo", format!("{first}0x21000200{rest}"))
    }),
    // The firmware.
    ("hw.firmware.identity", "warn", INTEL, |h| h.gone("/sys/class/dmi/id/bios_version")),
    ("hw.firmware.uefi", "warn", INTEL, |h| h.gone("/sys/firmware/efi")),
    ("hw.firmware.secure-boot", "warn", INTEL, |h| {
        h.file("/sys/kernel/security/lockdown", "none integrity [confidentiality]\n").file(
            "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
            [6, 0, 0, 0, 1],
        )
    }),
    ("hw.firmware.vmx-locked-on", "fail", INTEL, |h| before_tdx(h).register(0x3a, 1)),
    ("hw.firmware.tme", "fail", INTEL, |h| {
        before_tdx(h).register(0x982, 1).log_without("x86/tme").log_without("x86/mktme")
    }),
    ("hw.firmware.tme-mt", "fail", INTEL, |h| {
        before_tdx(h)
            .register(0x982, 3)
            .register(0x87, 0)
            .log(|line| Some(line.replace("x86/mktme: enabled", "x86/mktme: disabled")))
            .log_without("KeyIDs available")
    }),
    ("hw.firmware.tdx-keys", "fail", INTEL, |h| {
        before_tdx(h)
            .register(0x87, 1 << 32 | 62)
            .log_line("[    1.100000] virt/tdx: initialization failed: too few private KeyIDs available.")
    }),
    ("hw.firmware.seam-loader", "fail", INTEL, |h| before_tdx(h).register(0x1401, 0x000f_ffff_fe00_0800)),
    ("hw.firmware.mcheck", "fail", INTEL, |h| before_tdx(h).register(0xa0, 0x1861)),
    ("hw.firmware.sgx-debug", "fail", INTEL, |h| h.register(0x503, 1)),
    ("hw.firmware.packages-agree", "fail", INTEL, |h| {
        before_tdx(h)
            .register_of(2, 0x982, 3)
            .register_of(3, 0x982, 3)
            .register_of(6, 0x982, 3)
            .register_of(7, 0x982, 3)
    }),
    // The kernel.
    ("hw.kernel.version", "fail", INTEL, |h| {
        before_tdx(h)
            .file("/proc/sys/kernel/osrelease", "5.4.0-100-generic\n")
            .gone("/sys/module/kvm_intel/parameters/tdx")
    }),
    ("hw.kernel.config-tdx", "fail", INTEL, |h| {
        before_tdx(h)
            .replace(
                "/boot/config-6.8.0-1028-intel",
                "CONFIG_INTEL_TDX_HOST=y",
                "# CONFIG_INTEL_TDX_HOST is not set",
            )
            .gone("/sys/module/kvm_intel/parameters/tdx")
    }),
    ("hw.kernel.config-kvm", "fail", INTEL, |h| {
        h.replace("/boot/config-6.8.0-1028-intel", "CONFIG_KVM_INTEL=m", "# CONFIG_KVM_INTEL is not set")
            .replace(
                "/boot/config-6.8.0-1028-intel",
                "CONFIG_VHOST_VSOCK=m",
                "# CONFIG_VHOST_VSOCK is not set",
            )
            .gone("/sys/module/kvm_intel")
            .gone("/dev/kvm")
            .gone("/dev/vhost-vsock")
    }),
    ("hw.kernel.nohibernate", "fail", INTEL, |h| {
        before_tdx(h)
            .replace("/proc/cmdline", " nohibernate", "")
            .file("/sys/power/disk", "[platform] shutdown reboot\n")
            .log_line("[    1.100000] virt/tdx: initialization failed: Hibernation support is enabled")
    }),
    ("hw.kernel.kvm-intel-tdx", "fail", MAINLINE, |h| {
        h.replace("/proc/cmdline", " kvm_intel.tdx=1", "")
            .log_without("allocated for PAMT")
            .log_without("module initialized")
            .log_without("Module version")
            .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
            .file("/sys/fs/cgroup/misc.capacity", "")
            .gone("/sys/fs/cgroup/misc.current")
            .vm_types(Ok(1))
    }),
    ("hw.kernel.command-line-pending", "warn", INTEL, |h| {
        h.replace("/etc/default/grub", "nohibernate", "nohibernate kvm_intel.tdx=1")
    }),
    ("hw.kernel.tdx-flag", "fail", INTEL, |h| {
        no_flag(h, "tdx_host_platform")
            .log_without("virt/tdx")
            .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
            .file("/sys/fs/cgroup/misc.capacity", "")
            .gone("/sys/fs/cgroup/misc.current")
            .vm_types(Ok(1))
    }),
    // The TDX module.
    ("hw.tdx-module.loaded", "fail", INTEL, |h| {
        h.log_without("TDX module:")
            .log_without("CMR:")
            .log_without("PAMT")
            .log(|line| Some(line.replace("module initialized", "module not loaded")))
            .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
            .file("/sys/fs/cgroup/misc.capacity", "")
            .gone("/sys/fs/cgroup/misc.current")
            .vm_types(Ok(1))
    }),
    ("hw.tdx-module.initialized", "fail", INTEL, |h| {
        h.log_without("PAMT")
            .log(|line| Some(line.replace("module initialized", "module initialization failed (-12)")))
            .file("/sys/module/kvm_intel/parameters/tdx", "N\n")
            .file("/sys/fs/cgroup/misc.capacity", "")
            .gone("/sys/fs/cgroup/misc.current")
            .vm_types(Ok(1))
    }),
    ("hw.tdx-module.version", "fail", INTEL, |h| {
        h.log(|line| {
            Some(
                line.replace("build_date 20250415, build_num 943", "build_date 20230206, build_num 457")
                    .replace("minor_version 5", "minor_version 0"),
            )
        })
    }),
    ("hw.tdx-module.pamt", "warn", INTEL, |h| h.log(|line| Some(line.replace("2101268 KB", "101268 KB")))),
    ("hw.tdx-module.erratum", "warn", INTEL, |h| {
        h.replace("/proc/cmdline", "nohibernate", "nohibernate crashkernel=512M")
    }),
    // KVM.
    ("hw.kvm.loaded", "fail", INTEL, |h| {
        before_tdx(h)
            .gone("/sys/module/kvm_intel")
            .replace("/proc/modules", "kvm_intel 16384 0 - Live 0x0000000000000000\n", "")
            .gone("/dev/kvm")
            .vm_types(Err(Unread::Absent))
    }),
    ("hw.kvm.device", "fail", INTEL, |h| h.gone("/dev/kvm").vm_types(Err(Unread::Absent))),
    ("hw.kvm.ept", "fail", INTEL, |h| before_tdx(h).file("/sys/module/kvm_intel/parameters/ept", "N\n")),
    ("hw.kvm.tdp-mmu", "fail", INTEL, |h| before_tdx(h).file("/sys/module/kvm/parameters/tdp_mmu", "N\n")),
    ("hw.kvm.virt-at-load", "fail", INTEL, |h| {
        before_tdx(h).file("/sys/module/kvm/parameters/enable_virt_at_load", "N\n")
    }),
    ("hw.kvm.tdx", "fail", INTEL, |h| {
        h.file("/sys/module/kvm_intel/parameters/tdx", "N\n")
            .file("/sys/fs/cgroup/misc.capacity", "")
            .gone("/sys/fs/cgroup/misc.current")
            .vm_types(Ok(1))
    }),
    ("hw.kvm.vm-type", "fail", INTEL, |h| h.vm_types(Ok(1))),
    ("hw.kvm.capacity", "fail", INTEL, |h| {
        h.file("/sys/fs/cgroup/misc.capacity", "tdx 0\n").file("/sys/fs/cgroup/misc.current", "tdx 0\n")
    }),
    ("hw.kvm.capacity-free", "warn", INTEL, |h| h.file("/sys/fs/cgroup/misc.current", "tdx 31\n")),
    // SGX.
    ("hw.sgx.epc", "fail", INTEL, |h| {
        h.log_without("sgx: EPC")
            .log_line("[    0.500000] sgx: There are zero EPC sections.")
            .gone("/dev/sgx_enclave")
            .gone("/dev/sgx_provision")
            .gone("/dev/sgx_vepc")
            .leaf(0x12, |leaf| leaf.eax = 1)
            .no_sections()
            .file("/sys/devices/system/node/node0/x86/sgx_total_bytes", "0\n")
            .file("/sys/devices/system/node/node1/x86/sgx_total_bytes", "0\n")
    }),
    ("hw.sgx.devices", "fail", INTEL, |h| h.gone("/dev/sgx_enclave")),
    ("hw.sgx.permissions", "fail", INTEL, |h| {
        h.meta("/dev/sgx_provision", FileKind::CharacterDevice, 0o600, "root").meta(
            "/dev/sgx_enclave",
            FileKind::CharacterDevice,
            0o600,
            "root",
        )
    }),
    ("hw.sgx.legacy-driver", "fail", INTEL, |h| {
        h.meta("/dev/isgx", FileKind::CharacterDevice, 0o666, "root")
    }),
    // Registration.
    ("hw.registration.variables", "warn", INTEL, |h| {
        h.gone("/sys/firmware/efi/efivars/SgxRegistrationStatus-f236c5dc-a491-4bbe-bcdd-88885770df45").gone(
            "/sys/firmware/efi/efivars/SgxRegistrationConfiguration-18b3bc81-e210-42b9-9ec8-2c5a7d4d89b6",
        )
    }),
    ("hw.registration.status", "fail", INTEL, |h| {
        h.file(
            "/sys/firmware/efi/efivars/SgxRegistrationStatus-f236c5dc-a491-4bbe-bcdd-88885770df45",
            [7, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0x82],
        )
        .silent(Probe::RegistrationStatus, Unread::Absent)
    }),
    ("hw.registration.direct", "warn", INTEL, |h| {
        h.file(
            "/sys/firmware/efi/efivars/SgxRegistrationConfiguration-18b3bc81-e210-42b9-9ec8-2c5a7d4d89b6",
            [7, 0, 0, 0, 1, 0, 2, 0, 1, 0],
        )
        .file(
            "/sys/firmware/efi/efivars/SgxRegistrationStatus-f236c5dc-a491-4bbe-bcdd-88885770df45",
            [7, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0],
        )
    }),
    ("hw.registration.agent", "warn", INTEL, |h| {
        let shown = h.probe(&Probe::Units).unwrap().stdout;
        let changed = shown.replace(
            "Id=mpa_registration_tool.service\nLoadState=loaded",
            "Id=mpa_registration_tool.service\nLoadState=not-found",
        );
        h.says(Probe::Units, &changed)
            .gone("/opt/intel/sgx-ra-service")
            .gone("/var/log/mpa_registration.log")
            .silent(Probe::RegistrationStatus, Unread::Absent)
            .file(
                "/sys/firmware/efi/efivars/SgxRegistrationStatus-f236c5dc-a491-4bbe-bcdd-88885770df45",
                [7, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0],
            )
    }),
    // Quote services.
    ("hw.quote-services.qgs", "fail", INTEL, |h| unit(h, "qgsd", "ActiveState=failed")),
    ("hw.quote-services.qgs-port", "fail", INTEL, |h| {
        h.says(Probe::VsockListeners, "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port\n")
    }),
    ("hw.quote-services.qgs-rights", "fail", INTEL, |h| {
        h.file("/etc/group", "root:x:0:\nsgx:x:994:\nsgx_prv:x:995:\nqgsd:x:990:\n")
    }),
    ("hw.quote-services.qgs-log", "fail", INTEL, |h| {
        h.says(Probe::QuoteServiceLog, "qgsd[1200]: [QPL] Failed to get quote config. Error code is 0xb033\n")
    }),
    ("hw.quote-services.qcnl", "fail", INTEL, |h| {
        h.file("/etc/sgx_default_qcnl.conf", "{ \"pccs_url\": }\n")
    }),
    ("hw.quote-services.pccs-service", "fail", INTEL, |h| {
        unit(h, "pccs", "ActiveState=failed").file("/proc/net/tcp", "  sl  local_address rem_address   st\n")
    }),
    ("hw.quote-services.collateral-reach", "fail", INTEL, |h| {
        h.says(
            Probe::CollateralService {
                url: "https://localhost:8081/sgx/certification/v4/rootcacrl".to_owned(),
            },
            "000",
        )
    }),
    ("hw.quote-services.aesmd", "warn", INTEL, |h| {
        let shown = h.probe(&Probe::Units).unwrap().stdout;
        let changed = shown.replace(
            "Id=aesmd.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=",
            "Id=aesmd.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled",
        );
        h.says(Probe::Units, &changed)
    }),
    ("hw.quote-services.aesmd", "pass", INTEL, |h| {
        let shown = h.probe(&Probe::Units).unwrap().stdout;
        let changed = shown.replace(
            "Id=aesmd.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=",
            "Id=aesmd.service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled",
        );
        h.says(Probe::Units, &changed)
    }),
    ("hw.quote-services.key-provider", "fail", INTEL, |h| {
        h.file("/proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
    }),
    // QEMU.
    ("hw.qemu.present", "fail", INTEL, |h| {
        h.gone("/usr/bin/qemu-system-x86_64")
            .silent(Probe::QemuVersion, Unread::Absent)
            .silent(Probe::QemuObjects, Unread::Absent)
            .silent(Probe::QemuTdxProperties, Unread::Absent)
    }),
    ("hw.qemu.version", "warn", INTEL, |h| {
        h.says(Probe::QemuVersion, "QEMU emulator version 6.2.0 (Debian 1:6.2+dfsg-2ubuntu6)\n")
            .says(Probe::QemuObjects, "List of user creatable objects:\n  secret\n")
    }),
    ("hw.qemu.tdx", "fail", INTEL, |h| {
        h.says_replace(Probe::QemuObjects, "  tdx-guest\n", "")
            .silent(Probe::QemuTdxProperties, Unread::Absent)
    }),
    ("hw.qemu.tdx-properties", "fail", INTEL, |h| {
        h.says_replace(
            Probe::QemuTdxProperties,
            "quote-generation-socket=<SocketAddress>",
            "quote-generation-service=<string>",
        )
    }),
    ("hw.qemu.snp", "fail", AMD, |h| h.says_replace(Probe::QemuObjects, "  sev-snp-guest\n", "")),
    ("hw.qemu.package-pinned", "warn", INTEL, |h| {
        h.gone("/etc/apt/preferences.d").replace(
            "/var/lib/dpkg/status",
            "hold ok installed",
            "install ok installed",
        )
    }),
    // The platform.
    ("hw.platform.memory-size", "warn", INTEL, |h| {
        h.file("/proc/meminfo", "MemTotal: 8000000 kB\nMemFree: 1000 kB\nMemAvailable: 1000 kB\n")
    }),
    ("hw.platform.memory-population", "warn", INTEL, |h| {
        let mut table = h.read("/sys/firmware/dmi/tables/DMI").unwrap();
        // The size of the first DIMM: the first structure of type 17, offset 0x0c.
        let at = table.windows(4).position(|bytes| bytes[0] == 17 && bytes[2..] == [0, 0x11]).unwrap() + 0x0c;
        table[at..at + 2].copy_from_slice(&0x4000_u16.to_le_bytes());
        before_tdx(h).file("/sys/firmware/dmi/tables/DMI", table)
    }),
    ("hw.platform.memory-mode", "warn", INTEL, |h| {
        h.folder("/sys/devices/system/node/node0/memory_side_cache", &["index1"])
            .folder("/sys/devices/system/node/node0", &["cpulist", "meminfo", "memory_side_cache"])
    }),
    ("hw.platform.packages-online", "fail", INTEL, |h| {
        let cpuinfo = h.text("/proc/cpuinfo").unwrap();
        let online: Vec<&str> =
            cpuinfo.split("\n\n").filter(|entry| !entry.contains("physical id\t: 1")).collect();
        h.file("/proc/cpuinfo", online.join("\n\n")).file("/sys/devices/system/cpu/online", "0-1,4-5\n")
    }),
    ("hw.platform.numa", "warn", INTEL, |h| {
        h.gone("/sys/devices/system/node/node1").file("/sys/devices/system/node/online", "0\n")
    }),
    ("hw.platform.smt", "warn", INTEL, |h| {
        h.file("/sys/devices/system/cpu/smt/active", "0\n")
            .file("/sys/devices/system/cpu/smt/control", "off\n")
    }),
    ("hw.platform.suspend", "fail", INTEL, |h| {
        before_tdx(h)
            .file("/sys/power/disk", "[platform] shutdown reboot suspend test_resume\n")
            .file("/sys/power/state", "freeze mem disk\n")
    }),
    ("hw.platform.vsock", "fail", INTEL, |h| h.gone("/dev/vhost-vsock").gone("/sys/module/vhost_vsock")),
    ("hw.platform.hugepages", "pass", INTEL, |h| {
        h.replace(
            "/proc/mounts",
            "cgroup2 ",
            "hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=1024M 0 0\ncgroup2 ",
        )
        .file("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages", "16\n")
        .file("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages", "16\n")
        .file("/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "16\n")
        .file("/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages", "16\n")
    }),
    ("hw.platform.hugepages", "warn", INTEL, |h| {
        h.file("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages", "16\n")
            .file("/sys/devices/system/node/node0/hugepages/hugepages-1048576kB/free_hugepages", "0\n")
    }),
    ("hw.platform.iommu", "fail", INTEL, |h| {
        h.gone("/sys/class/iommu").gone("/sys/kernel/iommu_groups").log_without("DMAR").replace(
            "/proc/cmdline",
            "intel_iommu=on",
            "intel_iommu=off",
        )
    }),
    ("hw.platform.iommufd", "fail", GPU, |h| h.gone("/dev/iommu")),
    ("hw.platform.vfio", "fail", GPU, |h| h.gone("/dev/vfio/vfio")),
    ("hw.platform.disk-space", "fail", INTEL, |h| h.space(1 << 40, 1 << 30)),
    ("hw.platform.time-sync", "warn", INTEL, |h| {
        unit(h.gone("/run/systemd/timesync"), "systemd-timesyncd", "ActiveState=inactive")
    }),
    // Building.
    ("hw.build.resources", "fail", INTEL, |h| {
        h.file("/proc/meminfo", "MemTotal: 2000000 kB\nMemFree: 1000 kB\nMemAvailable: 1000 kB\n")
            .space(1 << 33, 1 << 30)
    }),
    ("hw.build.tools", "pass", INTEL, |h| {
        let programs = [
            "git",
            "curl",
            "cc",
            "make",
            "pkg-config",
            "cargo",
            "rustc",
            "docker",
            "chrpath",
            "diffstat",
            "lz4",
            "xorriso",
            "wg",
            "jq",
        ];
        let h = programs
            .iter()
            .fold(h, |h, name| h.meta(&format!("/usr/bin/{name}"), FileKind::File, 0o755, "root"));
        h.meta("/usr/include/openssl/ssl.h", FileKind::File, 0o644, "root")
            .meta("/usr/libexec/docker/cli-plugins/docker-buildx", FileKind::File, 0o755, "root")
            .meta("/usr/libexec/docker/cli-plugins/docker-compose", FileKind::File, 0o755, "root")
    }),
    // GPUs.
    ("hw.gpu.driver", "fail", GPU, |h| {
        h.link("/sys/bus/pci/devices/0000:1b:00.0/driver", "../../../../bus/pci/drivers/nvidia")
    }),
    ("hw.gpu.iommu-group", "fail", GPU, |h| {
        h.folder("/sys/kernel/iommu_groups/40/devices", &["0000:1b:00.0", "0000:31:00.0"])
            .link("/sys/bus/pci/devices/0000:31:00.0/iommu_group", "../../../../kernel/iommu_groups/40")
    }),
    ("hw.gpu.numa-node", "warn", GPU, |h| h.file("/sys/bus/pci/devices/0000:1b:00.0/numa_node", "-1\n")),
    ("hw.gpu.bar", "fail", GPU, |h| {
        h.file(
            "/sys/bus/pci/devices/0000:1b:00.0/resource",
            "0x0000000000000000 0x0000000000000000 0x0000000000000000\n".repeat(13),
        )
    }),
    ("hw.gpu.nvswitch", "fail", GPU, |h| {
        h.link("/sys/bus/pci/devices/0000:07:00.0/driver", "../../../../bus/pci/drivers/nvidia")
    }),
    // SEV-SNP.
    ("hw.snp.cpu", "fail", AMD, |h| {
        h.leaf(0x8000_001f, |leaf| leaf.eax &= !16)
            .replace("/proc/cpuinfo", " sev_snp", "")
            .log_without("SNP")
            .file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .vm_types(Ok(1))
    }),
    ("hw.snp.svm", "fail", AMD, |h| {
        h.register(0xc001_0114, 0x18)
            .gone("/dev/kvm")
            .gone("/sys/module/kvm_amd")
            .log_without("kvm_amd")
            .vm_types(Err(Unread::Absent))
            .replace("/proc/cpuinfo", " svm ", " ")
            .log_line("[    9.000000] kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR")
    }),
    ("hw.snp.smee", "fail", AMD, |h| {
        h.register(0xc001_0010, 0x0074_0000)
            .log_without("SNP")
            .log_without("kvm_amd")
            .file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .replace("/proc/cpuinfo", " sev sev_es sev_snp", "")
            .vm_types(Ok(1))
    }),
    ("hw.snp.rmp", "fail", AMD, |h| {
        h.register(0xc001_0132, 0)
            .register(0xc001_0133, 0x1fff)
            .log_without("SNP")
            .file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .vm_types(Ok(1))
    }),
    ("hw.snp.rmp-covers", "fail", AMD, |h| {
        h.register(0xc001_0133, 0x7e_10ff_ffff).log_without("SNP").file("/sys/module/kvm_amd/parameters/sev_snp", "N\n").vm_types(Ok(1))
            .log_line("[    0.600000] SEV-SNP: Memory reserved for the RMP table does not cover full system RAM (expected 0x80d00000 got 0x11000000)")
    }),
    ("hw.snp.kernel", "fail", AMD, |h| {
        h.register(0xc001_0010, 0x00fc_0000)
            .log_without("SNP")
            .file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .vm_types(Ok(1))
    }),
    ("hw.snp.secure-processor", "fail", AMD, |h| {
        h.log_without("ccp ")
            .log_without("kvm_amd")
            .log_line("[    8.000000] ccp 0000:22:00.5: SEV-SNP: failed to INIT rc -5, error 0x3")
            .file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .gone("/dev/sev")
            .vm_types(Ok(1))
    }),
    ("hw.snp.api", "fail", AMD, |h| {
        h.log(|line| Some(line.replace("API:1.55", "API:1.49")))
            .log_without("kvm_amd: SEV-SNP")
            .file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .vm_types(Ok(1))
    }),
    ("hw.snp.kvm", "fail", AMD, |h| {
        h.file("/sys/module/kvm_amd/parameters/sev_snp", "N\n")
            .log_without("kvm_amd: SEV-SNP")
            .vm_types(Ok(1))
    }),
    ("hw.snp.asids", "fail", AMD, |h| {
        h.leaf(0x8000_001f, |leaf| leaf.edx = 1)
            .log_without("kvm_amd: SEV-")
            .file("/sys/fs/cgroup/misc.capacity", "sev 1006\nsev_es 0\n")
    }),
    ("hw.snp.device", "fail", AMD, |h| h.gone("/dev/sev")),
    ("hw.snp.memlock", "warn", AMD, |h| {
        h.replace(
            "/proc/self/limits",
            "unlimited            unlimited            bytes",
            "8388608              8388608              bytes",
        )
    }),
    // Inside a CVM.
    ("hw.guest.gpu", "fail", TD, |h| {
        h.folder("/sys/bus/pci/devices", &["0000:01:00.0"])
            .file("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
            .file("/sys/bus/pci/devices/0000:01:00.0/device", "0x2331\n")
            .file("/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")
            .says(Probe::GpuConfidentialState, "CC status: OFF\n")
    }),
    ("hw.guest.gpu", "pass", TD, |h| {
        h.folder("/sys/bus/pci/devices", &["0000:01:00.0"])
            .file("/sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
            .file("/sys/bus/pci/devices/0000:01:00.0/device", "0x2331\n")
            .file("/sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n")
            .says(Probe::GpuConfidentialState, "CC status: ON\n")
    }),
];

/// Checks that never pass, and why.
const NEVER_PASS: &[(&str, &str)] = &[(
    "hw.gpu.mode",
    "only the vendor's tool can read the mode, and it is not run: unknown, with the command to ask",
)];

/// Checks that never fail or warn, and why.
const NEVER_FAIL: &[(&str, &str)] = &[("hw.gpu.mode", "as above")];

#[test]
fn each_answer_is_reached() {
    let mut wrong = String::new();
    for &(id, expected, base, change) in CASES {
        let base = host(base);
        let changed = change(Changed::new(&base));
        let finding = ask(&changed, id);
        if finding.status.word() != expected {
            wrong.push_str(&format!("{id}: expected {expected}, is {finding:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_check_can_pass_and_can_fail() {
    let mut passed: BTreeSet<String> = BTreeSet::new();
    let mut objected: BTreeMap<String, String> = BTreeMap::new();
    let mut note = |name: &str, source: &dyn HostSource| {
        for finding in ask_all(&facts(source)) {
            match finding.status {
                Status::Pass => drop(passed.insert(finding.id.to_string())),
                Status::Fail | Status::Warn => drop(objected.insert(finding.id.to_string(), name.to_owned())),
                _ => {}
            }
        }
    };
    for (name, _) in HOSTS {
        note(name, &host(name));
    }
    for (name, readings) in recorded() {
        note(&name, &readings);
    }
    for &(id, expected, base, change) in CASES {
        let base = host(base);
        let finding = ask(&change(Changed::new(&base)), id);
        assert_eq!(finding.status.word(), expected, "{id}");
        match finding.status {
            Status::Pass => drop(passed.insert(id.to_owned())),
            _ => drop(objected.insert(id.to_owned(), "a case".to_owned())),
        }
    }
    let never = |seen: &dyn Fn(&str) -> bool| -> Vec<&str> {
        checks::all().map(|check| check.def.id).filter(|id| !seen(id)).collect()
    };
    let excused =
        |list: &[(&'static str, &str)]| -> Vec<&'static str> { list.iter().map(|(id, _)| *id).collect() };
    assert_eq!(never(&|id| passed.contains(id)), excused(NEVER_PASS), "checks that never pass");
    assert_eq!(never(&|id| objected.contains_key(id)), excused(NEVER_FAIL), "checks that never fail or warn");
}
