use proptest::prelude::*;

use super::*;
use crate::source::{CpuidRegisters, Readings};
use crate::{Unread, facts::HostFacts};

fn registers(eax: u32, ebx: u32, ecx: u32, edx: u32) -> CpuidRegisters {
    CpuidRegisters { eax, ebx, ecx, edx }
}

fn intel() -> Readings {
    Readings::empty_host()
        .cpuid_leaf(0, 0, registers(0x20, 0x756e_6547, 0x6c65_746e, 0x4965_6e69))
        .cpuid_leaf(1, 0, registers(0x000c_06f2, 0, 1 << 5 | 1 << 6 | 1 << 21, 1 << 27))
}

#[test]
fn leaves_of_an_emerald_rapids() {
    let host = intel()
        .cpuid_leaf(7, 0, registers(2, 1 << 2, 1 << 13 | 1 << 28 | 1 << 30, 1 << 1 | 1 << 18))
        .cpuid_leaf(0x12, 0, registers(0x803, 1, 0, 0x3825))
        .cpuid_leaf(0x12, 2, registers(0x20c0_0001, 0x10, 0x5f40_0001, 0))
        .cpuid_leaf(0x12, 3, registers(0x20c0_0001, 0x20, 0x5f40_0002, 0))
        .cpuid_leaf(0x1b, 0, registers(1, 1, 0, 0))
        .cpuid_leaf(0x8000_0000, 0, registers(0x8000_0008, 0, 0, 0))
        .cpuid_leaf(0x8000_0008, 0, registers(57 << 8 | 52, 0, 0, 0));
    let cpu = Cpu::collect(&host);
    assert_eq!(cpu.vendor(), Fact::Known(Vendor::Intel));
    assert_eq!(cpu.signature(), Fact::Known(Signature { family: 6, model: 0xcf, stepping: 2 }));
    let features = cpu.cpuid.features.known().unwrap();
    assert!(features.vmx && features.smx && features.x2apic && features.self_snoop && !features.hypervisor);
    let structured = cpu.cpuid.structured.known().unwrap();
    assert!(structured.sgx && structured.sgx_launch_control && structured.sgx_keys);
    assert!(structured.tme && structured.movdir64b && structured.pconfig);
    let sgx = cpu.cpuid.sgx.known().unwrap();
    assert!(sgx.sgx1 && sgx.sgx2 && sgx.edeccssa);
    assert_eq!(sgx.max_enclave_log2, 56);
    assert_eq!(sgx.epc.len(), 2);
    assert_eq!(sgx.epc[0].base, 0x10_20c0_0000);
    assert_eq!(sgx.epc[0].size, 0x5f40_0000);
    assert_eq!(sgx.epc[0].protection, EpcProtection::ConfidentialityAndIntegrity);
    assert_eq!(sgx.epc[1].protection, EpcProtection::Confidentiality);
    assert_eq!(sgx.epc_bytes(), 2 * 0x5f40_0000);
    assert_eq!(cpu.cpuid.pconfig_targets, Fact::Known(vec![1]));
    assert_eq!(cpu.cpuid.physical_address_bits, Fact::Known(52));
}

/// Above its highest basic leaf an Intel CPU answers with the highest it has.
#[test]
fn leaves_that_are_not_there() {
    let last = registers(0, 0x6574_6e49, 0x2020_2020, 0x5844_546c);
    let cpu = Cpu::collect(&intel().cpuid_leaf(0x21, 0, last).cpuid_leaf(0x4000_0000, 0, last));
    assert_eq!(cpu.cpuid.tdx_guest, Fact::Absent, "0x21 is above 0x20");
    assert_eq!(cpu.cpuid.hypervisor, Fact::Absent, "nobody says that there is one");
    let guest = intel()
        .cpuid_leaf(0, 0, registers(0x21, 0x756e_6547, 0x6c65_746e, 0x4965_6e69))
        .cpuid_leaf(1, 0, registers(0xc06f2, 0, 1 << 31, 0))
        .cpuid_leaf(0x21, 0, last)
        .cpuid_leaf(0x4000_0000, 0, registers(0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d));
    let cpu = Cpu::collect(&guest);
    assert_eq!(cpu.cpuid.tdx_guest, Fact::Known(true));
    assert_eq!(cpu.cpuid.hypervisor, Fact::Known("KVMKVMKVM".to_owned()));
    assert_eq!(cpu.under_hypervisor(), Fact::Known(true));
    let host =
        Cpu::collect(&intel().cpuid_leaf(0, 0, registers(0x23, 0x756e_6547, 0x6c65_746e, 0x4965_6e69)));
    assert_eq!(host.cpuid.tdx_guest, Fact::Known(false), "newer servers answer with zeros");
}

#[test]
fn nothing_recorded_is_not_absent() {
    let cpu = Cpu::collect(&Readings::nothing_known());
    assert_eq!(cpu.vendor(), Fact::Unread(Unread::NotRecorded));
    assert_eq!(cpu.cpuid.structured, Fact::Unread(Unread::NotRecorded));
    assert_eq!(cpu.cpuid.sgx, Fact::Unread(Unread::NotRecorded));
    assert_eq!(cpu.flag("vmx"), Fact::Unread(Unread::NotRecorded));
}

/// Leaves that were recorded without the leaf that tells the highest.
#[test]
fn single_leaves() {
    let host = Readings::nothing_known()
        .cpuid_leaf(7, 0, registers(0, 1 << 2, 1 << 30, 1 << 1))
        .cpuid_leaf(0x12, 0, registers(0, 0, 0, 0))
        .cpuid_leaf(0x8000_001f, 0, registers(0x1f, 4 << 12 | 5 << 6 | 51, 509, 255));
    let cpu = Cpu::collect(&host);
    assert!(cpu.cpuid.structured.known().unwrap().sgx_keys);
    assert!(!cpu.cpuid.sgx.known().unwrap().sgx1);
    let encryption = cpu.cpuid.encryption.known().unwrap();
    assert!(encryption.sev_snp && !encryption.vmpl);
    assert_eq!((encryption.c_bit, encryption.address_reduction, encryption.vmpls), (51, 5, 4));
    assert_eq!((encryption.asids, encryption.first_plain_asid), (509, 255));
}

#[test]
fn families_and_models() {
    for (eax, family, model, stepping) in [
        (0x0008_06f8, 6, 0x8f, 8),
        (0x000c_06f2, 6, 0xcf, 2),
        (0x00a0_0f11, 0x19, 1, 1),
        (0x00b0_0f21, 0x1a, 2, 1),
        (0x0000_0f4a, 0xf, 4, 10),
        (0xffff_ffff, 0x10e, 0xff, 15),
    ] {
        assert_eq!(Signature::from_eax(eax), Signature { family, model, stepping }, "{eax:#x}");
    }
}

const ENTRY: &str = "processor\t: 3\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: INTEL(R) XEON(R) GOLD 6530\nstepping\t: 2\nmicrocode\t: 0x21000290\nphysical id\t: 1\nflags\t\t: fpu vmx tdx_host_platform\nbugs\t\t: spectre_v1 tdx_pw_mce\naddress sizes\t: 46 bits physical, 57 bits virtual\n";

#[test]
fn cpuinfo() {
    let text = format!(
        "{ENTRY}\nprocessor : 64\nphysical id : 0\nmicrocode : 0x1\nflags : none\n\n\r\nprocessor : 2\nphysical id : 1\nmicrocode : 0x21000290\n"
    );
    let info = CpuInfo::parse(&text);
    assert_eq!(info.vendor_id.as_deref(), Some("GenuineIntel"));
    assert_eq!(info.signature(), Some(Signature { family: 6, model: 0xcf, stepping: 2 }));
    assert_eq!(info.physical_address_bits, Some(46));
    assert_eq!(info.flag("tdx_host_platform"), Fact::Known(true));
    assert_eq!(info.flag("tdx_pw_mce"), Fact::Known(false), "an erratum is no flag");
    assert!(info.bugs.contains("tdx_pw_mce"));
    let packages: Vec<(u32, u32, u32)> =
        info.packages.iter().map(|package| (package.id, package.first_cpu, package.cpus)).collect();
    assert_eq!(packages, [(1, 2, 2), (0, 64, 1)]);
    assert_eq!(
        info,
        CpuInfo::parse(&text.replace('\n', "\r\n").replace("\r\r", "\r")),
        "line ends do not matter"
    );
}

#[test]
fn flags_that_were_cut() {
    let info = CpuInfo::parse("flags\t: … cat_l3 tdx_host_platform intel_ppin …\n");
    assert_eq!(info.flag("tdx_host_platform"), Fact::Known(true));
    assert_eq!(info.flag("vmx"), Fact::Unread(Unread::NotRecorded));
    assert!(CpuInfo::parse("processor : 0\n").flag("vmx").unread().is_some());
}

proptest! {
    #[test]
    fn cpuinfo_takes_anything(text in any::<String>()) {
        let info = CpuInfo::parse(&text);
        prop_assert!(info.packages.len() <= 8192);
    }

    #[test]
    fn cpuinfo_takes_damaged_entries(at in 0usize..400, garbage in "[\\PC\n:]{0,20}") {
        let at = at.min(ENTRY.len());
        let text = format!("{}{garbage}{}", &ENTRY[..at], &ENTRY[at..]);
        let _ = CpuInfo::parse(&text).signature();
    }

    /// Any answer to CPUID gives facts.
    #[test]
    fn cpuid_takes_anything(leaves in proptest::collection::vec((0usize..12, any::<[u32; 4]>()), 0..24)) {
        const LEAVES: [(u32, u32); 12] = [
            (0, 0), (1, 0), (7, 0), (0x12, 0), (0x12, 2), (0x12, 3), (0x1b, 0), (0x21, 0),
            (0x8000_0000, 0), (0x8000_0002, 0), (0x8000_0008, 0), (0x8000_001f, 0),
        ];
        let host = leaves.into_iter().fold(Readings::empty_host(), |host, (index, [eax, ebx, ecx, edx])| {
            let (leaf, subleaf) = LEAVES[index];
            host.cpuid_leaf(leaf, subleaf, registers(eax, ebx, ecx, edx))
        });
        let facts = HostFacts::collect(&host, crate::CollectOptions::quick());
        for check in crate::checks::all() {
            let _ = check.run(&facts);
        }
    }
}
