use proptest::prelude::*;

use super::*;
use crate::source::{CpuidRegisters, Readings};

fn two_packages() -> Readings {
    Readings::nothing_known().file(
        "/proc/cpuinfo",
        "processor : 0\nvendor_id : GenuineIntel\nphysical id : 0\n\nprocessor : 1\nphysical id : 0\n\nprocessor : 2\nphysical id : 1\n",
    )
}

#[test]
fn the_first_cpu_of_each_package() {
    let host = two_packages().msr(0, 0x87, 32 << 32 | 31).msr(1, 0x87, 1).msr(2, 0x87, 32 << 32 | 31);
    let msrs = Msrs::collect(&host);
    let read: Vec<(u32, u32)> =
        msrs.packages.iter().map(|package| (package.package, package.first_cpu)).collect();
    assert_eq!(read, [(0, 0), (1, 2)]);
    assert!(msrs.disagreements().is_empty(), "CPU 1 is not looked at");
    assert_eq!(msrs.first(Register::Syscfg), Fact::Unread(Unread::NotAsked), "not on Intel");
}

#[test]
fn packages_from_sysfs() {
    let package = |cpu: u32| format!("/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id");
    let host = Readings::empty_host()
        .file(package(0), "1\n")
        .file(package(8), "0\n")
        .file(package(9), "0\n")
        .file("/sys/devices/system/cpu/cpuidle/current_driver", "intel_idle\n");
    let read: Vec<(u32, u32)> =
        Msrs::collect(&host).packages.iter().map(|package| (package.package, package.first_cpu)).collect();
    assert_eq!(read, [(1, 0), (0, 8)]);
}

#[test]
fn what_differs_is_listed() {
    let host = two_packages().msr(0, 0x982, 3).msr(2, 0x982, 1).msr(0, 0xce, 5).msr(2, 0xce, 6);
    let found = Msrs::collect(&host).disagreements();
    assert_eq!(found.len(), 1, "ratios in MSR_PLATFORM_INFO are the package's own");
    assert_eq!(found[0].register, Register::TmeActivate);
    assert_eq!(found[0].values, [(0, 3), (1, 1)]);
}

#[test]
fn views_of_recorded_values() {
    let split = KeyIdPartitioning::decode(0x20_0000_001f);
    assert_eq!((split.mktme, split.tdx, split.guests(), split.private_range()), (31, 32, 31, 32..64));
    let activate = TmeActivate::decode(0x0001_0016_0000_0003);
    assert!(activate.locked && activate.enabled && !activate.bypass);
    assert_eq!((activate.key_id_bits, activate.tdx_key_id_bits, activate.key_ids()), (6, 1, 63));
    let capability = TmeCapability::decode(0x0003_ff06_8000_0001);
    assert!(capability.aes_xts_128 && capability.bypass);
    assert_eq!(capability.max_key_id_bits, 6);
    let mask = SeamrrMask::decode(0x800);
    assert!(mask.enabled && !mask.locked);
    // Bits 18 to 25, as recorded on a working host.
    assert_eq!(Syscfg::decode(0x3fc_0000), Syscfg { smee: true, snp: true, vmpl: true });
    let control = FeatureControl::decode(0x6_0005);
    assert!(
        control.locked && control.vmx && !control.vmx_in_smx && control.sgx && control.sgx_launch_control
    );
}

#[test]
fn tables_of_recorded_hosts() {
    let milan = RmpTable::decode(0x8890_0000, 0xa8ef_ffff);
    assert!(milan.is_reserved());
    assert_eq!(milan.size(), 0x2060_0000);
    assert_eq!(milan.covers(), 0x20_5fc0_0000);
    assert!(!RmpTable::decode(0, 0x1fff).is_reserved());
    let genoa = RmpTable::decode(0xbf_8d20_0000, 0xc0_4d7f_ffff);
    assert_eq!(genoa.covers() >> 30, 769);
}

proptest! {
    /// A table of the size that is asked for covers what it was asked for.
    #[test]
    fn sizes_and_coverage_fit(end in 1u64..1 << 48) {
        let size = RmpTable::size_for(end).next_multiple_of(0x2000);
        let table = RmpTable { base: 1 << 20, end: (1 << 20) + size - 1 };
        prop_assert!(table.covers() >= end);
    }

    #[test]
    fn any_value_is_taken(value in any::<u64>(), end in any::<u64>()) {
        let split = KeyIdPartitioning::decode(value);
        let range = split.private_range();
        prop_assert_eq!(range.end - range.start, u64::from(split.tdx));
        prop_assert!(TmeActivate::decode(value).key_ids() < 1 << 15);
        let _ = (TmeCapability::decode(value), SeamrrMask::decode(value), FeatureControl::decode(value), Syscfg::decode(value));
        let table = RmpTable::decode(value, end);
        let _ = (table.covers(), table.size(), table.is_reserved(), RmpTable::size_for(value));
    }

    /// Any registers give findings, and no check panics.
    #[test]
    fn any_registers_give_findings(values in proptest::collection::vec(any::<u64>(), 17), amd in any::<bool>()) {
        let vendor = if amd { "AuthenticAMD" } else { "GenuineIntel" };
        let host = Readings::empty_host()
            .cpuid_leaf(1, 0, CpuidRegisters::default())
            .file("/proc/cpuinfo", format!("processor : 0\nvendor_id : {vendor}\nphysical id : 0\n"));
        let host = Register::ALL.iter().zip(values).fold(host, |host, (register, value)| host.msr(0, register.address(), value));
        let facts = crate::HostFacts::collect(&host, crate::CollectOptions::quick());
        for check in crate::checks::all() {
            let _ = check.run(&facts);
        }
    }
}

#[test]
fn every_register_is_found_by_its_address() {
    for register in Register::ALL {
        assert_eq!(Register::at(register.address()), Some(*register));
    }
    assert_eq!(Register::at(0x10), None);
}
