//! Texts that somebody pasted into a terminal, an issue or a chat: partial answers.

mod cpu;
mod log_line;
mod session;

use self::log_line::LogLines;
use super::{LogOrigin, Origin, Readings, Unlisted};
use crate::Reading;

/// A kind of text that is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PastedKind {
    /// `dmesg` or `journalctl -k`.
    KernelLog,
    /// `/proc/cpuinfo` or `lscpu`.
    CpuInfo,
    /// A file that was shown with `cat`, or `uname -r`.
    File,
}

/// Puts readings together from pasted texts. What was not pasted is not known.
///
/// ```
/// use dstack_hw::source::{HostSource, Pasted, PastedKind};
///
/// let pasted = Pasted::detect(
///     "me@host:~$ sudo dmesg | grep -i tdx\n\
///      [    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\n\
///      me@host:~$ cat /sys/module/kvm_intel/parameters/tdx\n\
///      N\n",
/// );
/// assert_eq!(pasted.found(), [PastedKind::KernelLog, PastedKind::File]);
/// let readings = pasted.into_readings();
/// assert_eq!(readings.text("/sys/module/kvm_intel/parameters/tdx").unwrap(), "N\n");
/// // It went through `grep`: what is not in it may have been said all the same.
/// assert_eq!(readings.kernel_log().unwrap().from_boot, Some(false));
/// ```
#[derive(Clone, Debug)]
pub struct Pasted {
    readings: Readings,
    found: Vec<PastedKind>,
}

impl Pasted {
    /// Nothing pasted yet.
    pub fn new() -> Self {
        Self { readings: Readings::new(Origin::Pasted, Unlisted::NotRecorded), found: Vec::new() }
    }

    /// Recognises what a text is made of: output of `dmesg` in any of its forms, of `journalctl -k`, `/proc/cpuinfo`,
    /// `lscpu`, and files shown with `cat` behind a prompt, in any order, with the prompts and commands left in.
    ///
    /// Line ends of Windows, colours, time stamps of `dmesg -T`, levels of `dmesg -x` and the host names of journals are
    /// understood and left out. See [`Pasted::found`] for what was recognised.
    pub fn detect(text: &str) -> Self {
        let session = session::Session::read(text);
        let mut pasted = Self::new();
        if !session.log.is_empty() {
            pasted = pasted.with_log(session.log);
        }
        if let Some(cpuinfo) = session.cpu.into_cpuinfo() {
            pasted = pasted.cpuinfo(cpuinfo);
        }
        for (path, content) in session.files {
            pasted = pasted.with_file(path, content.map(String::into_bytes));
        }
        pasted
    }

    /// What was recognised or added, each kind once.
    pub fn found(&self) -> &[PastedKind] {
        &self.found
    }

    /// Adds the output of `dmesg` or `journalctl -k`. Every line is taken for a message, unless it is a command.
    ///
    /// The log reaches back to the boot where it begins with the kernel's banner (`Linux version ...`) and is long enough to
    /// be more than what a filter let through.
    #[must_use]
    pub fn kernel_log(self, text: impl AsRef<str>) -> Self {
        let mut lines = LogLines::default();
        for line in text.as_ref().lines() {
            let line = session::clean(line);
            match session::command(&line) {
                Some(command) => lines.saw_command(command),
                None => lines.push_any(&line),
            }
        }
        self.with_log(lines)
    }

    /// Adds the content of `/proc/cpuinfo`.
    #[must_use]
    pub fn cpuinfo(mut self, text: impl Into<String>) -> Self {
        self.readings = self.readings.file("/proc/cpuinfo", text.into());
        self.add(PastedKind::CpuInfo)
    }

    /// Adds the content of a file.
    #[must_use]
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.with_file(path.into(), Ok(content.into()))
    }

    fn with_file(mut self, path: String, content: Reading<Vec<u8>>) -> Self {
        self.readings = self.readings.file_reading(path, content);
        self.add(PastedKind::File)
    }

    fn with_log(mut self, lines: LogLines) -> Self {
        self.readings = self.readings.log(lines.finish(LogOrigin::Pasted));
        self.add(PastedKind::KernelLog)
    }

    fn add(mut self, kind: PastedKind) -> Self {
        if !self.found.contains(&kind) {
            self.found.push(kind);
        }
        self
    }

    /// The readings.
    pub fn into_readings(self) -> Readings {
        self.readings
    }
}

impl Default for Pasted {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Unread;
    use crate::source::HostSource;

    fn log(pasted: Pasted) -> crate::source::RawKernelLog {
        pasted.into_readings().kernel_log().unwrap()
    }

    /// A whole boot: the banner and enough messages to be more than a filter lets through.
    fn boot() -> String {
        let mut text = "[    0.000000] Linux version 6.8.0-1028-intel (buildd@build)\n".to_owned();
        for index in 1..50 {
            text.push_str(&format!("[    {}.{index:06}] pci 0000:98:00.0: BAR {index}\n", index / 10));
        }
        text
    }

    #[test]
    fn dmesg_in_all_its_forms_gives_the_same_messages() {
        let forms = [
            "[    5.205693] virt/tdx: module initialized",
            "\u{1b}[32m[    5.205693] \u{1b}[0m\u{1b}[33mvirt/tdx: \u{1b}[0mmodule initialized\r",
            "<6>[    5.205693] virt/tdx: module initialized",
            "kern  :info  : [    5.205693] virt/tdx: module initialized",
            "[    5.205693][    T1] virt/tdx: module initialized",
            "[    5.205693] tdx-1 kernel: virt/tdx: module initialized",
            "[    5.205693] kernel: virt/tdx: module initialized",
            "Nov 18 10:00:00 tdx-1 kernel: [    5.205693] virt/tdx: module initialized",
        ];
        for form in forms {
            let pasted = Pasted::detect(form);
            assert_eq!(pasted.found(), [PastedKind::KernelLog], "{form}");
            assert_eq!(log(pasted).text, "[    5.205693] virt/tdx: module initialized\n", "{form}");
        }
        let without_time = [
            "[Wed Nov 18 10:00:00 2026] virt/tdx: module initialized",
            "Nov 18 10:00:00 tdx-1 kernel: virt/tdx: module initialized",
            "2026-11-18T10:00:00+0000 tdx-1 kernel: virt/tdx: module initialized",
            "2026-11-18T10:00:00,123456+00:00 virt/tdx: module initialized",
            "virt/tdx: module initialized",
        ];
        for form in without_time {
            assert_eq!(log(Pasted::detect(form)).text, "virt/tdx: module initialized\n", "{form}");
        }
    }

    #[test]
    fn a_mixed_paste_is_taken_apart_at_its_prompts() {
        let text = "Hi, my host does not start TDs:\r\n\
                    root@node7:~# dmesg | grep -i tdx\r\n\
                    [    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\r\n\
                    root@node7:~# cat /sys/module/kvm_intel/parameters/tdx\r\n\
                    N\r\n\
                    [root@node7 ~]# cat /sys/firmware/tdx/tdx_module/status\r\n\
                    cat: /sys/firmware/tdx/tdx_module/status: No such file or directory\r\n\
                    $ uname -r\r\n\
                    6.17.0-5-generic\r\n\
                    $ grep flags /proc/cpuinfo | head -1\r\n\
                    flags\t\t: fpu vmx tdx_host_platform sgx\r\n";
        let pasted = Pasted::detect(text);
        assert_eq!(pasted.found(), [PastedKind::KernelLog, PastedKind::CpuInfo, PastedKind::File]);
        let readings = pasted.into_readings();
        assert_eq!(
            readings.kernel_log().unwrap().text,
            "[    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\n"
        );
        assert_eq!(readings.text("/sys/module/kvm_intel/parameters/tdx").unwrap(), "N\n");
        assert_eq!(readings.read("/sys/firmware/tdx/tdx_module/status"), Err(Unread::Absent));
        assert_eq!(readings.text("/proc/sys/kernel/osrelease").unwrap(), "6.17.0-5-generic\n");
        assert_eq!(readings.text("/proc/cpuinfo").unwrap(), "flags\t\t: fpu vmx tdx_host_platform sgx\n");
        assert_eq!(readings.read("/proc/cmdline"), Err(Unread::NotRecorded));
    }

    #[test]
    fn what_is_quoted_or_set_in_is_read_too() {
        let line = "[    5.205693] virt/tdx: module not loaded";
        for form in [
            format!("> {line}\n"),
            format!(">> > {line}\n"),
            format!("    {line}\n"),
            format!("```\n{line}\n```\n"),
        ] {
            assert_eq!(log(Pasted::detect(&form)).text, format!("{line}\n"), "{form}");
        }
    }

    #[test]
    fn lscpu_becomes_an_entry_of_cpuinfo() {
        let text = "Architecture:             x86_64\n  CPU op-mode(s):         32-bit, 64-bit\n  \
                    Address sizes:          46 bits physical, 57 bits virtual\nCPU(s):                   32\n\
                    Vendor ID:                GenuineIntel\n  Model name:             INTEL(R) XEON(R) GOLD 5515+\n    \
                    CPU family:           6\n    Model:                207\n    Stepping:             2\n    \
                    Flags:                fpu vmx tdx_host_platform\n";
        let readings = Pasted::detect(text).into_readings();
        assert_eq!(
            readings.text("/proc/cpuinfo").unwrap(),
            "address sizes\t: 46 bits physical, 57 bits virtual\nvendor_id\t: GenuineIntel\n\
             model name\t: INTEL(R) XEON(R) GOLD 5515+\ncpu family\t: 6\nmodel\t\t: 207\nstepping\t: 2\n\
             flags\t\t: fpu vmx tdx_host_platform\n"
        );
    }

    #[test]
    fn only_a_whole_boot_reaches_back_to_the_boot() {
        assert_eq!(log(Pasted::detect(&boot())).from_boot, Some(true));
        assert_eq!(log(Pasted::new().kernel_log(boot())).from_boot, Some(true));
        // A line with time 0 that a filter let through proves nothing.
        assert_eq!(
            log(Pasted::detect("[    0.000000] x86/tme: not enabled by BIOS\n")).from_boot,
            Some(false)
        );
        let filtered = format!("$ sudo dmesg | grep -v usb\n{}", boot());
        assert_eq!(log(Pasted::detect(&filtered)).from_boot, Some(false));
        let paged = format!("$ sudo dmesg | less\n{}", boot());
        assert_eq!(log(Pasted::detect(&paged)).from_boot, Some(true));
        let wrapped: String = boot().lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert_eq!(log(Pasted::detect(&wrapped)).from_boot, Some(false));
    }

    #[test]
    fn talk_and_other_programs_are_not_messages() {
        let text = "I have tdx: is it on? See [1] and [Monday].\n\
                    Nov 18 10:00:00 host systemd[1]: Started foo.\n\
                    Loaded: loaded (/lib/systemd/system/qgsd.service)\n";
        assert!(Pasted::detect(text).found().is_empty());
        assert_eq!(Pasted::detect(text).into_readings().kernel_log(), Err(Unread::NotRecorded));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "\\PC*|(\\[ ?[0-9]{1,3}\\.[0-9]{6}\\] [a-z/:\\x1b\\[]{0,9}\r?\n){0,9}") {
            drop(Pasted::detect(&text));
            drop(Pasted::new().kernel_log(&text));
        }

        #[test]
        fn what_was_understood_once_is_understood_again(text in "((\\[    [0-9]\\.[0-9]{6}\\] )?virt/tdx: [a-z ]{1,9}[a-z]\n){1,5}") {
            let once = log(Pasted::detect(&text));
            prop_assert_eq!(&once.text, &text);
            prop_assert_eq!(log(Pasted::detect(&once.text)), once);
        }
    }
}
