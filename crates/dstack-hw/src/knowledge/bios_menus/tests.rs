use super::*;
use crate::CollectOptions;
use crate::facts::HostFacts;
use crate::source::Readings;

fn firmware(vendor: &str) -> Firmware {
    let host = Readings::empty_host().file("/sys/class/dmi/id/sys_vendor", format!("{vendor}\n"));
    HostFacts::collect(&host, CollectOptions::quick()).firmware
}

#[test]
fn makers_by_name() {
    let cases = [
        ("Dell Inc.", Maker::Dell),
        ("Supermicro", Maker::Supermicro),
        ("Super Micro Computer, Inc.", Maker::Supermicro),
        ("LENOVO", Maker::Lenovo),
        ("HPE", Maker::Hpe),
        ("Hewlett Packard Enterprise", Maker::Hpe),
        ("American Megatrends International, LLC.", Maker::Reference),
        ("Intel Corporation", Maker::Reference),
        ("Quanta Cloud Technology Inc.", Maker::Other),
        ("Pyramid", Maker::Other),
    ];
    for (vendor, maker) in cases {
        assert_eq!(Maker::of(&firmware(vendor)), maker, "{vendor}");
    }
}

#[test]
fn the_board_tells_where_the_system_does_not() {
    let host = Readings::empty_host()
        .file("/sys/class/dmi/id/sys_vendor", "To Be Filled By O.E.M.\n")
        .file("/sys/class/dmi/id/board_vendor", "Supermicro\n")
        .file("/sys/class/dmi/id/bios_vendor", "American Megatrends International, LLC.\n");
    assert_eq!(Maker::of(&HostFacts::collect(&host, CollectOptions::quick()).firmware), Maker::Supermicro);
}

#[test]
fn the_order_is_that_of_the_stages() {
    let before: Vec<Setting> = Setting::Tdx.after().collect();
    assert_eq!(before, [Setting::PhysicalAddressLimit, Setting::Tme, Setting::TmeMt]);
    assert_eq!(Setting::PhysicalAddressLimit.after().next(), None);
    assert!(Setting::Sgx.after().all(|setting| setting != Setting::Tdx), "SGX does not need TDX");
    for setting in Setting::ALL {
        assert!(setting.after().all(|earlier| earlier != *setting), "{setting:?} waits for itself");
    }
}

#[test]
fn a_maker_s_name_is_a_hint() {
    let dell = fix_for(Setting::Tdx, &firmware("Dell Inc."));
    assert!(dell.only_a_hint);
    insta::assert_snapshot!(dell.action, @"set Trust Domain Extension (TDX) to Enabled in the firmware setup (Dell: System BIOS > System Security, Redfish attribute `IntelTdx`); it stays hidden or grey until these are set, with a reboot after each: the limit on physical addresses off, TME, TME-MT");
    let reference = fix_for(Setting::SeamLoader, &firmware("Intel Corporation"));
    assert!(!reference.only_a_hint);
    insta::assert_snapshot!(reference.action, @"set TDX SEAM Loader to Enabled in the firmware setup (Processor Configuration); a firmware without the option or without the loader needs an update; it stays hidden or grey until these are set, with a reboot after each: the limit on physical addresses off, TME, TME-MT");
    let hpe = fix_for(Setting::TmeMt, &firmware("HPE"));
    assert!(hpe.only_a_hint);
    insta::assert_snapshot!(hpe.action, @"set Total Memory Encryption Multi-Tenant (TME-MT) to Enabled in the firmware setup (the reference firmware has it in Processor Configuration); it stays hidden or grey until these are set, with a reboot after each: the limit on physical addresses off, TME");
}

#[test]
fn every_setting_has_a_fix_at_every_maker() {
    for vendor in ["Dell Inc.", "Supermicro", "LENOVO", "HPE", "AIVRES", "Intel Corporation", "Nobody"] {
        let firmware = firmware(vendor);
        for setting in Setting::ALL {
            let fix = fix_for(*setting, &firmware);
            assert!(
                fix.action.starts_with("set ") && !fix.action.ends_with('.'),
                "{vendor} {setting:?}: {}",
                fix.action
            );
        }
    }
}

#[test]
fn names_are_said_once() {
    let mut seen = std::collections::BTreeSet::new();
    for (setting, maker, ..) in names::NAMES {
        assert!(seen.insert((*setting, *maker)), "{setting:?} twice at {maker}");
    }
}

#[test]
fn an_update_names_what_is_there() {
    let host = Readings::empty_host()
        .file("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n")
        .file("/sys/class/dmi/id/product_name", "PowerEdge R760\n")
        .file("/sys/class/dmi/id/bios_version", "2.9.4\n")
        .file("/sys/class/dmi/id/bios_date", "01/02/2026\n");
    let firmware = HostFacts::collect(&host, CollectOptions::quick()).firmware;
    insta::assert_snapshot!(update_for(&firmware).action, @"update the firmware of this Dell Inc. PowerEdge R760, which is version 2.9.4 of 01/02/2026");
    let nothing = HostFacts::collect(&Readings::empty_host(), CollectOptions::quick()).firmware;
    assert_eq!(update_for(&nothing).action, "update the firmware");
}
