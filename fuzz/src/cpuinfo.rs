//! `/proc/cpuinfo`: packages and flags are those of the text.

use dstack_hw::facts::cpu::CpuInfo;

/// Takes any bytes for the file.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let info = CpuInfo::parse(&text);
    assert_eq!(info, CpuInfo::parse(&text));
    for flag in &info.flags {
        assert!(text.contains(flag.as_str()) && !flag.contains(char::is_whitespace));
        assert_eq!(info.flag(flag).known(), Some(&true));
    }
    for bug in &info.bugs {
        assert!(text.contains(bug.as_str()));
    }
    assert!(info.packages.len() <= text.lines().count());
    assert!(info.packages.iter().all(|package| package.cpus >= 1));
    let mut ids: Vec<u32> = info.packages.iter().map(|package| package.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), info.packages.len(), "a package is listed once");
}
