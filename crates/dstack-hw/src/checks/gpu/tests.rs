use dstack_check::{Finding, Status};

use crate::checks::asked::asked;
use crate::facts::pci::tests::add;
use crate::source::Readings;
use crate::{CollectOptions, checks};

const SWITCH: (u16, u16) = (0x10de, 0x22a3);

fn gpu(host: Readings, number: u32, device: u16, driver: Option<&str>) -> Readings {
    add(host, &format!("0000:{:02x}:00.0", 0x10 + number), (0x10de, device), 0x03_0200, driver, Some(number))
}

fn board(gpus: u32, switches: u32, switch_driver: Option<&str>) -> Readings {
    let host =
        (0..gpus).fold(Readings::empty_host(), |host, number| gpu(host, number, 0x2330, Some("vfio-pci")));
    (0..switches).fold(host, |host, number| {
        add(host, &format!("0000:b{number}:00.0"), SWITCH, 0x06_8000, switch_driver, Some(100 + number))
    })
}

fn find(host: &Readings, id: &str) -> Finding {
    asked(&format!("hw.gpu.{id}"), host, CollectOptions::quick())
}

fn word(host: &Readings, id: &str) -> &'static str {
    find(host, id).status.word()
}

#[test]
fn a_gpu_with_a_confidential_mode() {
    let one = |device| word(&gpu(Readings::empty_host(), 1, device, None), "present");
    assert_eq!((one(0x2331), one(0x2901), one(0x2bb5), one(0x1db6)), ("pass", "pass", "warn", "fail"));
    assert_eq!(word(&Readings::empty_host(), "present"), "fail");
    assert_eq!(word(&Readings::nothing_known(), "present"), "unknown");
    let switches = find(&board(0, 3, None), "present");
    assert!(switches.status == Status::Fail && switches.observed.unwrap().contains("3 NVSwitches"));
}

#[test]
fn without_one_nothing_else_is_asked() {
    for id in ["driver", "iommu-group", "numa-node", "bar", "nvswitch", "mode"] {
        assert_eq!(word(&Readings::empty_host(), id), "not-applicable", "{id}");
        assert_eq!(word(&Readings::nothing_known(), id), "unknown", "{id}");
    }
}

#[test]
fn drivers() {
    let with = |driver| find(&gpu(Readings::empty_host(), 1, 0x2331, driver), "driver");
    assert_eq!(with(Some("vfio-pci")).status, Status::Pass);
    assert_eq!(with(None).status, Status::Warn);
    let vendor = with(Some("nvidia"));
    assert_eq!(vendor.status, Status::Fail);
    assert!(vendor.observed.unwrap().contains("nvidia-smi"));
    assert!(vendor.fix.unwrap().commands[0].contains("10de:2331"));
}

#[test]
fn groups() {
    let one = gpu(Readings::empty_host(), 1, 0x2331, Some("vfio-pci"));
    assert_eq!(word(&one, "iommu-group"), "pass");
    let beside = |class, driver| {
        word(&add(one.clone(), "0000:40:00.0", (0x8086, 0x1234), class, driver, Some(1)), "iommu-group")
    };
    assert_eq!(beside(0x06_0400, Some("pcieport")), "pass");
    assert_eq!(beside(0x01_0802, Some("nvme")), "fail");
    assert_eq!(beside(0x01_0802, Some("vfio-pci")), "pass");
    assert_eq!(beside(0x04_0300, None), "pass");
    let off = add(Readings::empty_host(), "0000:11:00.0", (0x10de, 0x2331), 0x03_0200, None, None);
    assert_eq!(word(&off, "iommu-group"), "fail");
}

#[test]
fn nodes_and_regions() {
    let one = gpu(Readings::empty_host(), 1, 0x2331, Some("vfio-pci"));
    let base = "/sys/bus/pci/devices/0000:11:00.0";
    assert_eq!((word(&one, "numa-node"), word(&one, "bar")), ("pass", "pass"));
    let nowhere = one.clone().file(format!("{base}/numa_node"), "-1\n");
    assert_eq!(word(&nowhere, "numa-node"), "warn");
    let single = nowhere.file("/sys/devices/system/node/node0/cpulist", "0-3\n");
    assert_eq!(word(&single, "numa-node"), "pass", "a host with one node");
    let unset = "0x0000000000000000 0x0000001fffffffff 0x000000002014220c\n";
    assert_eq!(word(&one.clone().file(format!("{base}/resource"), unset), "bar"), "fail");
    assert_eq!(word(&one.file(format!("{base}/resource"), "0x0 0x0 0x0\n"), "bar"), "fail");
}

#[test]
fn switches_of_a_board() {
    assert_eq!(word(&board(8, 4, Some("vfio-pci")), "nvswitch"), "pass");
    assert_eq!(word(&board(8, 4, None), "nvswitch"), "warn");
    assert_eq!(word(&board(8, 4, Some("nvidia")), "nvswitch"), "fail");
    assert_eq!(word(&board(8, 3, Some("vfio-pci")), "nvswitch"), "warn");
    assert_eq!(word(&board(1, 0, None), "nvswitch"), "not-applicable");
}

#[test]
fn the_mode_is_never_a_pass() {
    let whole = find(&board(8, 4, Some("vfio-pci")), "mode");
    assert!(
        matches!(whole.status, Status::Unknown { .. })
            && whole.expected.unwrap().contains("PPCIe on and CC off")
    );
    let single = find(&board(1, 0, None), "mode");
    assert!(matches!(single.status, Status::Unknown { .. }) && single.expected.unwrap().contains("CC on"));
    let blackwell = find(&gpu(Readings::empty_host(), 1, 0x2901, None), "mode");
    assert_eq!(blackwell.expected.as_deref(), Some("CC on"));
    let mixed = gpu(gpu(Readings::empty_host(), 1, 0x2901, None), 2, 0x2330, None);
    assert_eq!(word(&mixed, "mode"), "warn");
    insta::assert_snapshot!(dstack_check::render::terminal::finding(
        &find(&board(8, 4, Some("vfio-pci")), "mode"),
        &dstack_check::render::Style::new()
    ));
}

#[test]
fn a_reading_that_is_refused_makes_nothing_worse() {
    checks::platform::tests::hide_one_after_the_other(&board(8, 4, Some("vfio-pci")), "gpu");
}
