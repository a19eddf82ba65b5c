//! SEAMCALL: statuses of the TDX module, its functions, and the loader's errors.
//!
//! A status is 64 bits: bit 63 error, bit 62 not recoverable, bits 47:40 class, bits 39:32 details; the lower half names the
//! operand or gives more. Statuses of classes 0 to 0x0C are listed, which are those a host meets; migration and nested TDs
//! have more.

use super::{Entry, Family};

/// The part of a status that is the same whatever the operand and the age of the module: the upper half without bits 61
/// and 60.
pub(super) const SAME_MASK: u64 = 0xcfff_ffff_0000_0000;

const fn status(upper: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::Seamcall, Some(upper << 32), name, meaning)
}

const MODULE: &str = "hw.tdx-module.initialized";
const VERSION: &str = "hw.tdx-module.version";
const AGREE: &str = "hw.firmware.packages-agree";
const UPDATE: &str = "update the firmware, which carries the TDX module";

/// Status codes, by class.
pub(super) const STATUSES: &[Entry] = &[
    status(0x4000_0001, "TDX_NON_RECOVERABLE_VCPU", "a virtual CPU of a TD cannot go on"),
    status(0x6000_0002, "TDX_NON_RECOVERABLE_TD", "a TD cannot go on"),
    status(0x8000_0003, "TDX_INTERRUPTED_RESUMABLE", "an interrupt came; the call goes on when repeated"),
    status(0x8000_0004, "TDX_INTERRUPTED_RESTARTABLE", "an interrupt came; the call starts anew when repeated"),
    status(0x6000_0005, "TDX_NON_RECOVERABLE_TD_NON_ACCESSIBLE", "a TD cannot go on, and its memory cannot be read any more"),
    status(0xc000_0006, "TDX_INVALID_RESUMPTION", "a call was resumed with other operands than it began with"),
    status(0xe000_0007, "TDX_NON_RECOVERABLE_TD_WRONG_APIC_MODE", "a TD left x2APIC mode, which it must not"),
    status(0x8000_0008, "TDX_CROSS_TD_FAULT", "an operation on another TD failed"),
    status(0x9000_0009, "TDX_CROSS_TD_TRAP", "an operation on another TD ended early"),
    status(0x6000_000a, "TDX_NON_RECOVERABLE_TD_CORRUPTED_MD", "the metadata of a TD are damaged")
        .cause("on CPUs with the partial-write erratum, a write of the host to the TD's memory"),
    status(0xc000_0100, "TDX_OPERAND_INVALID", "an operand is not valid; the lower half of the status says which")
        .cause("kernel and module do not fit, or QEMU asked for CPU features that the module does not give")
        .fix("use kernel, QEMU and firmware of one generation; see the lower half for the operand")
        .likely(),
    status(0xc000_0101, "TDX_OPERAND_ADDR_RANGE_ERROR", "an address is outside of the range that is allowed"),
    status(0x8000_0200, "TDX_OPERAND_BUSY", "an operand is in use by another call; the kernel tries again"),
    status(0x8000_0201, "TDX_PREVIOUS_TLB_EPOCH_BUSY", "not all virtual CPUs left the last TLB epoch; the kernel tries again"),
    status(0x8000_0202, "TDX_SYS_BUSY", "another call that excludes this one runs"),
    status(0x8000_0203, "TDX_RND_NO_ENTROPY", "the random number generator had nothing to give; the kernel tries again"),
    status(0x8000_0204, "TDX_OPERAND_BUSY_HOST_PRIORITY", "an operand is in use by the guest; the host goes first next time"),
    status(0x9000_0205, "TDX_HOST_PRIORITY_BUSY_TIMEOUT", "the guest kept an operand for too long"),
    status(0xc000_0300, "TDX_PAGE_METADATA_INCORRECT", "a page is not what it was taken for"),
    status(0x0000_0301, "TDX_PAGE_ALREADY_FREE", "the page is free already"),
    status(0xc000_0302, "TDX_PAGE_NOT_OWNED_BY_TD", "the page belongs to another TD"),
    status(0xc000_0303, "TDX_PAGE_NOT_FREE", "the page is in use"),
    status(0xc000_0304, "TDX_HPA_RANGE_NOT_FREE", "a range of memory is in use"),
    status(0xc000_0400, "TDX_TD_ASSOCIATED_PAGES_EXIST", "the TD still has pages"),
    status(0xc000_0500, "TDX_SYS_INIT_NOT_PENDING", "the module was initialised before")
        .cause("the kernel module was loaded a second time without a reboot, or another kernel was started with kexec")
        .fix("reboot")
        .check(MODULE),
    status(0xc000_0501, "TDX_SYSINIT_NOT_DONE", "the module was not initialised").check(MODULE),
    status(0xc000_0502, "TDX_SYS_LP_INIT_NOT_DONE", "the module was not initialised on every CPU")
        .cause("a CPU is offline, or came up later")
        .fix("have all CPUs online at boot, and reboot")
        .check(MODULE),
    status(0xc000_0503, "TDX_SYS_LP_INIT_DONE", "the module was initialised on this CPU before"),
    status(0xc000_0504, "TDX_SYSCONFIGKEY_NOT_DONE", "the module has no key yet").check(MODULE),
    status(0xc000_0505, "TDX_SYS_NOT_READY", "the module is not ready for this call")
        .cause("with leaf 0x22 behind it: the module is of the line 1.0, or so early that it does not know what this kernel reads")
        .fix(UPDATE)
        .check(VERSION),
    status(0xc000_0506, "TDX_SYS_SHUTDOWN", "the module was shut down: it works again after a reboot")
        .cause("an error in its bring-up, or suspend")
        .fix("reboot; turn suspend and hibernation off")
        .check(MODULE),
    status(0xc000_0507, "TDX_SYS_KEY_CONFIG_NOT_PENDING", "the module does not wait for its key now")
        .cause("older names for it are TDX_SYSCONFIG_NOT_DONE; every package has its key, or none may have one yet")
        .check(MODULE),
    status(0xc000_0508, "TDX_SYS_STATE_INCORRECT", "the module is not in the state that this call needs").check(MODULE),
    status(0xc000_0509, "TDX_SYS_INVALID_HANDOFF", "the data that an older module left for a newer one are not valid")
        .fix("reboot instead of updating the module at run time"),
    status(0xc000_050a, "TDX_SYS_INCOMPATIBLE_SIGSTRUCT", "the new module does not go with the one that runs")
        .fix("reboot with the new module instead of updating it at run time"),
    status(0xc000_050b, "TDX_SYS_LP_INIT_NOT_PENDING", "this CPU does not wait for the module's bring-up now"),
    status(0xc000_050c, "TDX_SYS_CONFIG_NOT_PENDING", "the module does not wait for its configuration now"),
    status(0xc000_050d, "TDX_INCOMPATIBLE_SEAM_CAPABILITIES", "module and CPU do not go together").fix(UPDATE).check(VERSION),
    status(0xc000_0600, "TDX_TD_NOT_INITIALIZED", "the TD was not initialised"),
    status(0xc000_0601, "TDX_TD_INITIALIZED", "the TD was initialised before"),
    status(0xc000_0602, "TDX_TD_NOT_FINALIZED", "the TD's measurement was not finished"),
    status(0xc000_0603, "TDX_TD_FINALIZED", "the TD's measurement was finished before"),
    status(0xe000_0604, "TDX_TD_FATAL", "the TD is lost"),
    status(0xc000_0605, "TDX_TD_NON_DEBUG", "the TD may not be debugged"),
    status(0xc000_0606, "TDX_TDCS_NOT_ALLOCATED", "the TD's control structure is missing"),
    status(0xc000_0607, "TDX_LIFECYCLE_STATE_INCORRECT", "the TD is at another stage of its life"),
    status(0xc000_0608, "TDX_OP_STATE_INCORRECT", "the TD is not in the state that this call needs"),
    status(0xc000_0609, "TDX_NO_VCPUS", "the TD has no virtual CPUs"),
    status(0xc000_0610, "TDX_TDCX_NUM_INCORRECT", "the number of control pages is wrong"),
    status(0xc000_0621, "TDX_X2APIC_ID_NOT_UNIQUE", "two virtual CPUs have one x2APIC id"),
    status(0xc000_0700, "TDX_VCPU_STATE_INCORRECT", "the virtual CPU is not in the state that this call needs"),
    status(0x8000_0701, "TDX_VCPU_ASSOCIATED", "the virtual CPU is bound to a CPU"),
    status(0x8000_0702, "TDX_VCPU_NOT_ASSOCIATED", "the virtual CPU is not bound to a CPU"),
    status(0xc000_0703, "TDX_TDVPX_NUM_INCORRECT", "the number of pages of a virtual CPU is wrong"),
    status(0xc000_0704, "TDX_NO_VALID_VE_INFO", "there is nothing to say about a virtualisation exception"),
    status(0xc000_0705, "TDX_MAX_VCPUS_EXCEEDED", "the TD has as many virtual CPUs as it may have"),
    status(0xc000_0706, "TDX_TSC_ROLLBACK", "the time-stamp counter went back"),
    status(0xc000_0707, "TDX_INTERRUPTIBILITY_BLOCKED", "the virtual CPU takes no interrupt now"),
    status(0xc000_0720, "TDX_FIELD_NOT_WRITABLE", "the field cannot be written"),
    status(0xc000_0721, "TDX_FIELD_NOT_READABLE", "the field cannot be read"),
    status(0xc000_0730, "TDX_TD_VMCS_FIELD_NOT_INITIALIZED", "a field of the virtual CPU was not set"),
    status(0xc000_0731, "TD_VMCS_FIELD_ERROR", "a field of the virtual CPU is wrong"),
    status(0x8000_0800, "TDX_KEY_GENERATION_FAILED", "no key could be made: the random number generator had nothing to give")
        .fix("try again: start the TD anew"),
    status(0x8000_0810, "TDX_TD_KEYS_NOT_CONFIGURED", "the TD has no key on every package")
        .cause("a package has no CPU online")
        .check("hw.platform.packages-online"),
    status(0xc000_0811, "TDX_KEY_STATE_INCORRECT", "the key is not in the state that this call needs"),
    status(0x0000_0815, "TDX_KEY_CONFIGURED", "the key was set on this package before"),
    status(0x8000_0817, "TDX_WBCACHE_NOT_COMPLETE", "the caches were not written back yet"),
    status(0xc000_0820, "TDX_HKID_NOT_FREE", "the key id is in use"),
    status(0x0000_0821, "TDX_NO_HKID_READY_TO_WBCACHE", "no key id waits for a write-back"),
    status(0xc000_0823, "TDX_WBCACHE_RESUME_ERROR", "a write-back was resumed that had not begun"),
    status(0x8000_0824, "TDX_FLUSHVP_NOT_DONE", "not all virtual CPUs were flushed"),
    status(0xc000_0825, "TDX_NUM_ACTIVATED_HKIDS_NOT_SUPPORTED", "more key ids are on than the module supports")
        .cause("the firmware gives TDX more key ids than this module can use")
        .fix("give TDX fewer keys in the firmware (key split), or update the firmware")
        .check("hw.firmware.tdx-keys"),
    status(0xc000_0900, "TDX_INCORRECT_CPUID_VALUE", "CPUID does not say what the module expects")
        .cause("the module is older than the CPU or than the kernel; with leaf 0x21 behind it, seen on early firmware")
        .fix(UPDATE)
        .check(VERSION),
    status(0xc000_0901, "TDX_LIMIT_CPUID_MAXVAL_SET", "the firmware limits the highest CPUID leaf")
        .fix("turn `Limit CPUID Maximum` off in the firmware")
        .likely(),
    status(0xc000_0902, "TDX_INCONSISTENT_CPUID_FIELD", "CPUID differs between CPUs")
        .cause("packages of different stepping or microcode, or a setting that is not the same on all")
        .fix("update the firmware; use packages of one kind")
        .check(AGREE),
    status(0xc000_0903, "TDX_CPUID_MAX_SUBLEAVES_UNRECOGNIZED", "CPUID has more sub-leaves than the module knows").fix(UPDATE).check(VERSION),
    status(0xc000_0904, "TDX_CPUID_LEAF_1F_FORMAT_UNRECOGNIZED", "CPUID describes a topology that the module does not know").fix(UPDATE).check(VERSION),
    status(0xc000_0905, "TDX_INVALID_WBINVD_SCOPE", "the module does not know how far a cache write-back reaches here"),
    status(0xc000_0906, "TDX_INVALID_PKG_ID", "a package has a number that cannot be"),
    status(0xc000_0907, "TDX_ENABLE_MONITOR_FSM_NOT_SET", "MONITOR and MWAIT are off")
        .fix("turn MONITOR/MWAIT on in the firmware")
        .likely(),
    status(0xc000_0908, "TDX_CPUID_LEAF_NOT_SUPPORTED", "the CPU lacks a CPUID leaf that the module needs"),
    status(0xc000_0910, "TDX_SMRR_NOT_LOCKED", "the firmware did not lock the memory of system management mode").fix("update the firmware"),
    status(0xc000_0911, "TDX_INVALID_SMRR_CONFIGURATION", "the firmware set the memory of system management mode up wrongly").fix("update the firmware"),
    status(0xc000_0912, "TDX_SMRR_OVERLAPS_CMR", "the memory of system management mode overlaps memory for TDX").fix("update the firmware"),
    status(0xc000_0913, "TDX_SMRR_LOCK_NOT_SUPPORTED", "the CPU cannot lock the memory of system management mode"),
    status(0xc000_0914, "TDX_SMRR_NOT_SUPPORTED", "the CPU has no range registers for system management mode"),
    status(0xc000_0920, "TDX_INCONSISTENT_MSR", "a register differs between CPUs")
        .fix("load the firmware's defaults, set TDX up again; update the firmware")
        .check(AGREE),
    status(0xc000_0921, "TDX_INCORRECT_MSR_VALUE", "a register does not have the value that the module expects")
        .fix("load the firmware's defaults, set TDX up again; update the firmware"),
    status(0xc000_0930, "TDX_SEAMREPORT_NOT_AVAILABLE", "the CPU cannot make reports: no attestation"),
    status(0xc000_0931, "TDX_SEAMDB_GETREF_NOT_AVAILABLE", "the CPU's database of modules cannot be read"),
    status(0xc000_0932, "TDX_SEAMDB_REPORT_NOT_AVAILABLE", "the CPU cannot make reports of a former module"),
    status(0xc000_0933, "TDX_SEAMVERIFYREPORT_NOT_AVAILABLE", "the CPU cannot verify reports"),
    status(0x8000_0940, "TDX_PERF_COUNTERS_ARE_PEBS_ENABLED", "performance counters write to memory, which a TD forbids"),
    status(0xc000_0a00, "TDX_INVALID_TDMR", "a range of memory for TDX is not valid")
        .fix("use another kernel; update the firmware")
        .check(MODULE),
    status(0xc000_0a01, "TDX_NON_ORDERED_TDMR", "the ranges of memory for TDX are not in order").check(MODULE),
    status(0xc000_0a02, "TDX_TDMR_OUTSIDE_CMRS", "a range of memory for TDX is outside of what the firmware allows")
        .cause("memory that the firmware did not mark as convertible")
        .fix("update the firmware; another kernel may choose other ranges")
        .check(MODULE),
    status(0x0000_0a03, "TDX_TDMR_ALREADY_INITIALIZED", "the range of memory was initialised before"),
    status(0xc000_0a10, "TDX_INVALID_PAMT", "the table for a range of memory is not valid").check(MODULE),
    status(0xc000_0a11, "TDX_PAMT_OUTSIDE_CMRS", "the table for a range of memory is outside of what the firmware allows").check(MODULE),
    status(0xc000_0a12, "TDX_PAMT_OVERLAP", "two tables overlap").check(MODULE),
    status(0xc000_0a20, "TDX_INVALID_RESERVED_IN_TDMR", "a hole in a range of memory is not valid").check(MODULE),
    status(0xc000_0a21, "TDX_NON_ORDERED_RESERVED_IN_TDMR", "the holes in a range of memory are not in order").check(MODULE),
    status(0xc000_0a22, "TDX_CMR_LIST_INVALID", "the firmware's list of convertible memory is not valid").fix("update the firmware").check(MODULE),
    status(0xc000_0b00, "TDX_EPT_WALK_FAILED", "the TD's secure page table has no such page"),
    status(0xc000_0b01, "TDX_EPT_ENTRY_FREE", "the entry of the secure page table is free"),
    status(0xc000_0b02, "TDX_EPT_ENTRY_NOT_FREE", "the entry of the secure page table is in use"),
    status(0xc000_0b03, "TDX_EPT_ENTRY_NOT_PRESENT", "the entry of the secure page table is not there"),
    status(0xc000_0b04, "TDX_EPT_ENTRY_NOT_LEAF", "the entry of the secure page table is not a page"),
    status(0xc000_0b05, "TDX_EPT_ENTRY_LEAF", "the entry of the secure page table is a page"),
    status(0xc000_0b06, "TDX_GPA_RANGE_NOT_BLOCKED", "the range of the guest is not blocked"),
    status(0x0000_0b07, "TDX_GPA_RANGE_ALREADY_BLOCKED", "the range of the guest was blocked before"),
    status(0xc000_0b08, "TDX_TLB_TRACKING_NOT_DONE", "not all virtual CPUs forgot the page"),
    status(0xc000_0b09, "TDX_EPT_INVALID_PROMOTE_CONDITIONS", "the pages cannot be joined to a larger one"),
    status(0x0000_0b0a, "TDX_PAGE_ALREADY_ACCEPTED", "the guest accepted the page before"),
    status(0xc000_0b0b, "TDX_PAGE_SIZE_MISMATCH", "the page has another size"),
    status(0xc000_0b0c, "TDX_GPA_RANGE_BLOCKED", "the range of the guest is blocked"),
    status(0xc000_0b0d, "TDX_EPT_ENTRY_STATE_INCORRECT", "the entry of the secure page table is in another state"),
    status(0xc000_0b0e, "TDX_EPT_PAGE_NOT_FREE", "a page of the secure page table is in use"),
    status(0xc000_0c00, "TDX_METADATA_FIELD_ID_INCORRECT", "the module does not know a field that the kernel reads")
        .cause("the module is older than the kernel")
        .fix(UPDATE)
        .check(VERSION),
    status(0xc000_0c01, "TDX_METADATA_FIELD_NOT_WRITABLE", "a field cannot be written"),
    status(0xc000_0c02, "TDX_METADATA_FIELD_NOT_READABLE", "a field cannot be read"),
    status(0xc000_0c03, "TDX_METADATA_FIELD_VALUE_NOT_VALID", "a field cannot have this value"),
    status(0x8000_ff00, "TDX_SEAMCALL_VMFAILINVALID", "no module answered: none is loaded")
        .cause("the firmware did not load the module; Linux uses this number for it")
        .fix("turn the SEAM loader on in the firmware, or update it")
        .check("hw.tdx-module.loaded"),
];

const fn leaf(number: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::SeamcallLeaf, Some(number), name, meaning)
}

/// Functions that the host calls, as the kernel numbers them.
pub(super) const LEAVES: &[Entry] = &[
    leaf(0, "TDH_VP_ENTER", "runs a virtual CPU"),
    leaf(1, "TDH_MNG_ADDCX", "adds a control page to a TD"),
    leaf(2, "TDH_MEM_PAGE_ADD", "adds a page to a TD before it runs"),
    leaf(3, "TDH_MEM_SEPT_ADD", "adds a page to a TD's secure page table"),
    leaf(4, "TDH_VP_ADDCX", "adds a control page to a virtual CPU"),
    leaf(6, "TDH_MEM_PAGE_AUG", "adds a page to a TD that runs"),
    leaf(7, "TDH_MEM_RANGE_BLOCK", "blocks a range of a TD's memory"),
    leaf(8, "TDH_MNG_KEY_CONFIG", "sets a TD's key on a package"),
    leaf(9, "TDH_MNG_CREATE", "makes a TD"),
    leaf(10, "TDH_VP_CREATE", "makes a virtual CPU"),
    leaf(11, "TDH_MNG_RD", "reads a field of a TD"),
    leaf(15, "TDH_MEM_PAGE_DEMOTE", "splits a large page"),
    leaf(16, "TDH_MR_EXTEND", "measures a page of a TD"),
    leaf(17, "TDH_MR_FINALIZE", "ends the measurement of a TD"),
    leaf(18, "TDH_VP_FLUSH", "takes a virtual CPU off its CPU"),
    leaf(19, "TDH_MNG_VPFLUSHDONE", "checks that all virtual CPUs were flushed"),
    leaf(20, "TDH_MNG_KEY_FREEID", "gives a key id back"),
    leaf(21, "TDH_MNG_INIT", "initialises a TD: here the module judges the CPU features that QEMU asks for"),
    leaf(22, "TDH_VP_INIT", "initialises a virtual CPU"),
    leaf(23, "TDH_MEM_PAGE_PROMOTE", "joins pages to a large one"),
    leaf(24, "TDH_PHYMEM_PAGE_RDMD", "reads what a page is"),
    leaf(25, "TDH_MEM_SEPT_RD", "reads an entry of a TD's secure page table"),
    leaf(26, "TDH_VP_RD", "reads a field of a virtual CPU"),
    leaf(28, "TDH_PHYMEM_PAGE_RECLAIM", "takes a page back from a TD that ended"),
    leaf(29, "TDH_MEM_PAGE_REMOVE", "takes a page from a TD"),
    leaf(31, "TDH_SYS_KEY_CONFIG", "gives the module its key on a package; the fourth step of its bring-up"),
    leaf(32, "TDH_SYS_INFO", "tells about the module; module line 1.0"),
    leaf(33, "TDH_SYS_INIT", "initialises the module; the first step of its bring-up"),
    leaf(34, "TDH_SYS_RD", "reads a field about the module; needs module line 1.5"),
    leaf(35, "TDH_SYS_LP_INIT", "initialises the module on a CPU; the second step of its bring-up"),
    leaf(36, "TDH_SYS_TDMR_INIT", "initialises a range of memory; the last step of the bring-up"),
    leaf(38, "TDH_MEM_TRACK", "begins a TLB epoch of a TD"),
    leaf(39, "TDH_MEM_RANGE_UNBLOCK", "unblocks a range of a TD's memory"),
    leaf(40, "TDH_PHYMEM_CACHE_WB", "writes caches back"),
    leaf(41, "TDH_PHYMEM_PAGE_WBINVD", "writes a page back"),
    leaf(43, "TDH_VP_WR", "writes a field of a virtual CPU"),
    leaf(44, "TDH_SYS_LP_SHUTDOWN", "shuts the module down on a CPU"),
    leaf(45, "TDH_SYS_CONFIG", "gives the module its memory; the third step of its bring-up"),
    leaf(52, "TDH_SYS_SHUTDOWN", "shuts the module down before an update"),
    leaf(53, "TDH_SYS_UPDATE", "takes over from the module before, after an update"),
];

const fn loader(code: u64, name: &'static str, meaning: &'static str) -> Entry {
    Entry::new(Family::SeamLoader, Some(0x8000_0000_0000_0000 | code), name, meaning)
}

/// Errors of P-SEAMLDR, which loads the module.
pub(super) const LOADER: &[Entry] = &[
    loader(0x0, "P_SEAMLDR_EBADPARAM", "a parameter is wrong, or the loader does not answer").likely(),
    loader(0x3, "P_SEAMLDR_EBADCALL", "the loader does not know the function").fix("update the firmware"),
    loader(0x1_0002, "P_SEAMLDR_ENOMEM", "there is not enough memory set aside for the module")
        .fix("update the firmware"),
    loader(0x1_0003, "P_SEAMLDR_EUNSPECERR", "the loader failed for a reason that it does not tell"),
    loader(0x1_0004, "P_SEAMLDR_EUNSUPCPU", "the module is not for this CPU")
        .fix("use the module of the line for this CPU"),
    loader(0x2_0000, "P_SEAMLDR_EBADSIG", "the module's signature is wrong")
        .fix("use module and signature file of one release"),
    loader(0x2_0001, "P_SEAMLDR_EBADHASH", "the module is not the one that was signed")
        .fix("use module and signature file of one release"),
    loader(0x3_0000, "P_SEAMLDR_EINTERRUPT", "an interrupt came; the call has to be repeated"),
    loader(
        0x3_0001,
        "P_SEAMLDR_ENOENTROPY",
        "the random number generator had nothing to give; the call has to be repeated",
    ),
];
