//! Messages of the kernel, QEMU and the quote services, by their parts.

use super::{Entry, Family};
use crate::knowledge::tdx_modules::Cause;

const fn errno(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::KernelErrno, Some(code), name, meaning).check("hw.tdx-module.initialized")
}

/// The number behind `virt/tdx: module initialization failed`.
pub(super) const ERRNO: &[Entry] = &[
    errno(5, "EIO", "a call into the module failed; the line before it says which")
        .fix("look up the SEAMCALL status in the line before it")
        .follow_on(),
    errno(12, "ENOMEM", "there was not enough contiguous memory for the module's tables")
        .cause("kvm_intel was loaded long after the boot, when memory was in pieces")
        .fix("reboot, and have kvm_intel loaded at boot"),
    errno(19, "ENODEV", "there is no module to talk to")
        .cause("the firmware did not load it, or SEAM is off")
        .fix("turn the SEAM loader and SGX on in the firmware")
        .check("hw.tdx-module.loaded"),
    errno(22, "EINVAL", "the kernel refuses this module; the line before it says why")
        .cause("seen with modules that clobber a frame pointer")
        .fix("update the firmware, which carries the module")
        .check("hw.tdx-module.version"),
    errno(28, "ENOSPC", "the memory map has more holes than the module can note")
        .fix("try another kernel; in the firmware leave the exclusion of memory below 1 MiB on automatic"),
    errno(95, "EOPNOTSUPP", "this kernel cannot do that").likely(),
];

const fn kernel(name: &'static str, fragments: &'static [&'static str], meaning: &'static str) -> Entry {
    Entry::new(Family::Kernel, None, name, meaning).seen_as(fragments)
}

/// A message about bringing TDX up: what it means and what to do is known in one place.
const fn bring_up(
    name: &'static str,
    fragments: &'static [&'static str],
    cause: Cause,
    check: &'static str,
) -> Entry {
    let known = cause.known();
    let entry = kernel(name, fragments, known.meaning).fix(known.remedy.in_short()).check(check);
    if cause.is_follow_on() { entry.follow_on() } else { entry }
}

const KEYS: &str = "hw.firmware.tdx-keys";
const LOADED: &str = "hw.tdx-module.loaded";
const INITIALIZED: &str = "hw.tdx-module.initialized";
const KVM_TDX: &str = "hw.kvm.tdx";

/// Messages of the kernel, of all its lines from the out-of-tree ones to mainline 7.
pub(super) const KERNEL: &[Entry] = &[
    kernel("tme-off", &["x86/tme: not enabled by bios"], "total memory encryption (TME) is off in the firmware")
        .fix("turn TME on, reboot, then TME-MT and TDX")
        .check("hw.firmware.tme"),
    kernel("mktme-off", &["x86/mktme: disabled by bios"], "multi-key memory encryption (TME-MT) is off in the firmware")
        .cause("often because the limit of physical addresses to 46 bits is on, which hides it")
        .fix("turn the address limit off, then TME-MT on")
        .check("hw.firmware.tme-mt"),
    kernel("tme-inconsistent", &["x86/tme: configuration is inconsistent between cpus"], "the firmware set memory encryption up differently on two CPUs")
        .fix("update the firmware")
        .check("hw.firmware.packages-agree"),
    kernel("tdx-key-range", &["tdx: bios enabled: private keyid range ["], "the firmware gave TDX key ids: the first half of the way. It says nothing of the module")
        .check(KEYS),
    bring_up("tdx-few-keys", &["initialization failed: too few private keyids"], Cause::TooFewKeyIds, KEYS),
    bring_up("tdx-hibernation", &["initialization failed: hibernation support is enabled"], Cause::Hibernation, "hw.kernel.nohibernate"),
    bring_up("tdx-module-not-loaded", &["tdx: module not loaded"], Cause::ModuleNotLoaded, LOADED),
    kernel("tdx-module-failed", &["tdx: module initialization failed"], "the TDX module did not come up; the lines before it say why")
        .check(INITIALIZED)
        .follow_on(),
    kernel("tdx-seamcall-failed", &["tdx: seamcall", "failed: 0x"], "a call into the TDX module failed; the number in brackets is the function, the other the status")
        .check(INITIALIZED),
    kernel("tdx-module-up", &["tdx: module initialized"], "the TDX module is up").check(INITIALIZED),
    kernel("tdx-module-up-docs", &["tdx-module initialized"], "the TDX module is up").check(INITIALIZED),
    bring_up("tdmr-reserved-areas", &["initialization failed: tdmr [", "reserved areas exhausted"], Cause::ReservedAreasExhausted, INITIALIZED),
    bring_up("tdmrs-exhausted", &["tdmrs exhausted"], Cause::MemoryRegionsExhausted, INITIALIZED),
    bring_up("pamt-no-node", &["unable to find local numa node for pamt"], Cause::NoLocalNodeForPamt, INITIALIZED),
    bring_up("rbp-clobber", &["frame pointer (rbp) clobber bug present"], Cause::FramePointerBug, "hw.tdx-module.version"),
    kernel("tdx-outdated", &["tdx module is outdated"], "the TDX module is older than the kernel wants")
        .fix("update the firmware, which carries the module")
        .check("hw.tdx-module.version"),
    bring_up("kvm-tdx-failed", &["kvm_intel: failed to initialize tdx module"], Cause::AfterModuleFailure, INITIALIZED),
    bring_up("kvm-tdx-host", &["tdx not supported by the host platform"], Cause::NotSupportedByPlatform, KVM_TDX),
    bring_up("kvm-ept", &["ept is required for tdx"], Cause::EptOff, "hw.kvm.ept"),
    bring_up("kvm-tdp-mmu", &["tdp mmu and mmio caching and ept a/d bit", "required for tdx"], Cause::TdpMmuOff, "hw.kvm.tdp-mmu"),
    kernel("kvm-requires-tdp-mmu", &["tdx requires tdp mmu"], "KVM was started without its newer page-table code").fix("remove tdp_mmu=0 from the options of kvm").check("hw.kvm.tdp-mmu"),
    bring_up("kvm-movdir64b", &["movdir64b is required for tdx"], Cause::NoMovdir64b, "hw.cpu.movdir64b"),
    bring_up("kvm-self-snoop", &["self-snoop is required for tdx"], Cause::NoSelfSnoop, "hw.cpu.self-snoop"),
    bring_up("kvm-no-keys", &["no tdx private keyids available"], Cause::NoKeyIds, KEYS),
    bring_up("kvm-virt-at-load", &["tdx requires kvm.enable_virt_at_load"], Cause::VirtualizationNotAtLoad, "hw.kvm.virt-at-load"),
    bring_up("kvm-max-vcpus", &["disable tdx: max_vcpu_per_td"], Cause::TooManyCpus, "hw.tdx-module.version"),
    bring_up("seamrr-off", &["[firmware bug]: tdx is not enabled by bios"], Cause::NotEnabledByFirmware, "hw.firmware.seam-loader"),
    bring_up("tdx-off", &["tdx: not enabled by bios"], Cause::NotEnabledByFirmware, "hw.firmware.seam-loader"),
    bring_up("seamrr-off-old", &["tdx: seamrr is not enabled by bios"], Cause::NotEnabledByFirmware, "hw.firmware.seam-loader"),
    bring_up("tdx-impossible", &["cannot enable tdx on tdx disabled platform"], Cause::PlatformWithoutTdx, "hw.cpu.tdx-generation"),
    bring_up("kvm-apicv", &["apicv is required for tdx"], Cause::ApicvOff, KVM_TDX),
    bring_up("kvm-osxsave", &["osxsave is required for tdx"], Cause::NoXsave, KVM_TDX),
    bring_up("tdmrs-not-enough", &["not enough tdmrs"], Cause::MemoryRegionsExhausted, INITIALIZED),
    bring_up("tdx-memory-notifier", &["tdx: ", "register_memory_notifier"], Cause::MemoryNotifier, INITIALIZED),
    kernel("tdx-s3", &["disable acpi s3"], "suspend to memory was turned off for TDX: as it should be").check("hw.platform.suspend"),
    bring_up("vmx-off", &["vmx (outside txt) disabled by bios"], Cause::VmxOff, "hw.cpu.vmx"),
    kernel("sgx-off-old", &["sgx disabled by bios"], "SGX is off in the firmware").fix("turn SGX on").check("hw.sgx.firmware"),
    kernel("sgx-off", &["sgx disabled or unsupported by bios"], "SGX is off in the firmware, or the firmware does not know it").fix("turn SGX on, if the firmware has the setting").check("hw.sgx.firmware"),
    kernel("sgx-zero-epc", &["sgx: there are zero epc sections"], "SGX has no memory")
        .cause("the CPU has SGX, and the firmware has it off or set no memory aside; memory population may hide the setting")
        .fix("turn SGX on in the firmware, with its memory size on automatic")
        .check("hw.sgx.epc"),
    kernel("sgx-lc-locked", &["sgx launch control is locked. disable sgx"], "the firmware locked launch control: no enclaves of one's own")
        .fix("unlock launch control in the firmware")
        .check("hw.sgx.launch-control"),
    kernel("sgx-lc-virtual-only", &["sgx launch control is locked. support sgx virtualization only"], "the firmware locked launch control: SGX for virtual machines only")
        .fix("unlock launch control in the firmware")
        .check("hw.sgx.launch-control"),
    kernel("sgx-epc-type", &["unknown epc section type"], "the CPU describes enclave memory of a kind that the kernel does not know").fix("use a newer kernel"),
    kernel("sgx-epc-node", &["unable to map epc section to online node"], "enclave memory lies on a NUMA node without CPUs or memory; it works, slower").fix("update the firmware"),
    kernel("sgx-epc-section", &["sgx: epc section 0x"], "enclave memory was found").check("hw.sgx.epc"),
    kernel("snp-rmp-missing", &["memory for the rmp table has not been reserved by bios"], "the firmware set no memory aside for SEV-SNP's table")
        .fix("turn SNP memory coverage on in the firmware")
        .check("hw.snp.rmp"),
    kernel("snp-rmp-small", &["memory reserved for the rmp table does not cover full system ram"], "SEV-SNP's table is too small for this memory")
        .fix("set SNP memory coverage in the firmware so that all memory is covered")
        .check("hw.snp.rmp-covers"),
    kernel("snp-iommu", &["snp: iommu is disabled or configured in passthrough mode"], "SEV-SNP needs the IOMMU in translation mode")
        .fix("remove iommu=pt and amd_iommu=off from the kernel command line")
        .check("hw.snp.iommu"),
    kernel("snp-init", &["sev-snp: failed to init"], "the secure processor did not take SEV-SNP up").fix("update the firmware").check("hw.snp.secure-processor"),
    kernel("sev-status", &["ccp", "sev: failed to get status"], "the secure processor does not answer").fix("update the firmware").check("hw.snp.secure-processor"),
];

const fn qemu(name: &'static str, fragments: &'static [&'static str], meaning: &'static str) -> Entry {
    Entry::new(Family::Qemu, None, name, meaning).seen_as(fragments)
}

const PAIR: &str = "hw.qemu.kvm-pair";

/// Messages of QEMU.
pub(super) const QEMU: &[Entry] = &[
    qemu("qemu-vm-type", &["vm-type tdx not supported by kvm"], "QEMU knows TDX, and the kernel does not offer it under the number that this QEMU uses")
        .cause("QEMU and kernel of different generations: upstream QEMU on a vendor's older kernel, or the other way round; or TDX is not up")
        .fix("take QEMU and kernel from the same source; check that kvm_intel's parameter tdx is Y")
        .check(PAIR),
    qemu("qemu-tdx-type-symbol", &["x86_tdx_vm"], "QEMU asked KVM for the type of VM that TDX uses").check(PAIR),
    qemu("qemu-no-tdx-guest", &["does not accept value 'tdx-guest'"], "this QEMU does not know TDX")
        .cause("an update replaced the QEMU with TDX by the archive's")
        .fix("install QEMU 10.1 or newer, or the vendor's build with TDX, and pin it")
        .check("hw.qemu.tdx"),
    qemu("qemu-invalid-object", &["invalid object type: tdx-guest"], "this QEMU does not know TDX").fix("install QEMU 10.1 or newer, or the vendor's build with TDX").check("hw.qemu.tdx"),
    qemu("qemu-init-vm", &["kvm_tdx_init_vm failed"], "the TDX module refused the TD's configuration")
        .cause("the CPU model or the features that QEMU asks for do not go with the module")
        .fix("use `-cpu host`, and QEMU, kernel and firmware of one generation")
        .check(PAIR),
    qemu("qemu-init-mem", &["kvm_tdx_init_mem_region failed"], "the TD's firmware could not be loaded into its memory")
        .cause("a firmware file that is not for TDX")
        .fix("use the firmware of the guest image"),
    qemu("qemu-init-vcpu", &["kvm_tdx_init_vcpu failed"], "a virtual CPU of the TD could not be made").check(PAIR),
    qemu("qemu-finalize", &["kvm_tdx_finalize_vm failed"], "the TD's measurement could not be ended").check(PAIR),
];

const fn service(name: &'static str, fragments: &'static [&'static str], meaning: &'static str) -> Entry {
    Entry::new(Family::Service, None, name, meaning).seen_as(fragments)
}

/// Messages of QGS, PCCS, the registration agent, the key provider and the guest.
pub(super) const SERVICES: &[Entry] = &[
    service("qpl-no-certificate", &["[qpl] no certificate data for this platform"], "there is no certificate for this platform")
        .cause("the platform is not registered with Intel, or the collateral cache has no PCK certificate of it")
        .fix("check the registration, then let the cache fetch the certificate")
        .check("hw.registration.status"),
    service("qpl-get-config", &["[qpl] failed to get quote config"], "the collateral client got no certificate; its code is in the same line")
        .check("hw.quote-services.qgs-log"),
    service("qcnl-json", &["load json config error"], "/etc/sgx_default_qcnl.conf is not readable")
        .cause("a comma is missing or too many")
        .fix("correct the file at the offset in the message and restart the service")
        .check("hw.quote-services.qcnl"),
    service("tls-not-trusted", &["curl error", "(60)"], "nobody who is trusted signed the certificate of the collateral service")
        .cause("a local PCCS has a certificate that it signed itself")
        .fix("for a local PCCS set `use_secure_cert` to false and restart qgsd")
        .check("hw.quote-services.qcnl"),
    service("pcs-401", &["pcs server returns error(401)"], "Intel's service does not accept the cache's subscription key")
        .cause("`ApiKey` in PCCS is empty, wrong or expired")
        .fix("set the key in /opt/intel/sgx-dcap-pccs/config/default.json and restart pccs")
        .check("hw.quote-services.pccs-service"),
    service("pccs-no-cache-data", &["no cache data for this platform"], "the cache has nothing for this platform")
        .fix("give the cache an API key and run `PCKIDRetrievalTool`")
        .check("hw.quote-services.pccs-service"),
    service("mpa-not-sent", &["won't save encrypted platform keys"], "the agent sent nothing to Intel: the firmware's policy forbids it. The service looks fine")
        .fix("turn SGX automatic registration on in the firmware, with a factory reset of SGX where it was registered before")
        .check("hw.registration.direct"),
    service("mpa-manifest-not-sent", &["platform registration request", "won't be send to registration server"], "the agent sent nothing to Intel: the firmware's policy forbids it")
        .fix("turn SGX automatic registration on in the firmware")
        .check("hw.registration.direct")
        .follow_on(),
    service("mpa-done", &["mpa has nothing to do"], "the platform is registered; the agent ends at once, which is as it should be").check("hw.registration.log"),
    service("mpa-success", &["registration flow", "passed successfully"], "the platform was registered").check("hw.registration.log").likely(),
    service("mpa-firmware", &["bios/mcheck failed"], "the firmware reported an error of its own in registration, and the agent gave up")
        .fix("update the firmware; then do a factory reset of SGX")
        .check("hw.registration.status"),
    service("aesm-returned-error", &["aesm service returned error"], "the enclave service daemon refused; the number behind it is its own code, in decimal").check("hw.quote-services.aesmd"),
    service("aesm-not-ready", &["aesm service not ready"], "the enclave service daemon does not answer")
        .fix("restart aesmd, wait some seconds, then restart what asked it")
        .check("hw.quote-services.aesmd")
        .likely(),
    service("sealing-key", &["failed to get sealing key"], "a CVM got no key from the local key provider")
        .cause("no quote could be made, collateral could not be got, or the platform's firmware is below what Intel accepts")
        .fix("look at the lines below it for the cause; then at the journal of qgsd and the log of the key provider on the host")
        .check("hw.quote-services.key-provider"),
    service("dcap-error", &["dcap error"], "a quote was made, and did not pass")
        .cause("collateral could not be fetched, or the TDX module is below the level that Intel accepts")
        .fix("check the collateral service; then update the firmware, because microcode alone does not raise the module")
        .check("hw.tdx-module.version")
        .likely(),
    service("quote-collateral", &["failed to get quote collateral"], "the collateral for a quote could not be fetched")
        .cause("an empty or wrong `pccs_url`, or no network inside the CVM")
        .fix("check `pccs_url` where the quote is checked, and the network mode of the VM")
        .check("hw.quote-services.collateral-reach"),
    service("qgs-12001", &["qgs error code: 0x12001"], "the host's quote service could not make a quote")
        .cause("its collateral client is set up wrong, or the platform has no certificate")
        .fix("look at the journal of qgsd on the host; correct /etc/sgx_default_qcnl.conf there and restart qgsd")
        .check("hw.quote-services.qgs-log"),
    service("gpu-no-cc", &["no cc capable devices found"], "the GPU has no confidential mode").check("hw.gpu.present"),
];
