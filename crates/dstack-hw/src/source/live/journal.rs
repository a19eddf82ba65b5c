//! The kernel's messages as the journal of systemd kept them.

use std::time::Duration;

use super::catalogue::ProbeCommand;
use super::command::{self, Limits};
use crate::source::log_text::LogText;
use crate::source::{LogOrigin, MAX_LOG, RawKernelLog};
use crate::{Reading, Unread};

/// Reads the messages since boot. Who is neither root nor in the group `adm` or `systemd-journal` sees none.
pub(super) fn read() -> Reading<RawKernelLog> {
    let arguments =
        ["--dmesg", "--boot", "--output=short-monotonic", "--no-pager", "--no-hostname", "--quiet"];
    let command = ProbeCommand {
        programs: vec!["journalctl".to_owned()],
        arguments: arguments.map(str::to_owned).to_vec(),
        patience: Duration::from_secs(5),
    };
    let output = command::run(&command, Limits { stdout: MAX_LOG, ..Limits::PROBE })?;
    if output.status != Some(0) {
        return Err(Unread::Failed("journalctl could not show the messages of the kernel".to_owned()));
    }
    log(&output.stdout).ok_or(Unread::NotPermitted)
}

/// Brings `[    5.205693] kernel: virt/tdx: ...` to the form of `dmesg`. `None` where there is no message.
fn log(text: &str) -> Option<RawKernelLog> {
    let mut lines = LogText::default();
    let mut first = None;
    for line in text.lines() {
        let Some((stamp, rest)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
            // The further lines of a message of several are only indented.
            if first.is_some() && line.starts_with(' ') {
                lines.push(line.trim_start());
            }
            continue;
        };
        let message = rest.split_once("kernel: ").map_or(rest, |(_, message)| message);
        first.get_or_insert_with(|| message.to_owned());
        lines.push(&format!("[{stamp}] {message}"));
    }
    // The banner is the first thing a kernel says. The journal of a boot whose beginning was rotated away, or that
    // came too late to the ring buffer, begins with something else.
    let from_boot = first?.starts_with("Linux version ");
    Some(RawKernelLog { from: LogOrigin::Journal, from_boot: Some(from_boot), text: lines.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_journal_become_lines_of_dmesg() {
        let text = "[    0.000000] kernel: Linux version 6.8.0-1028-intel (buildd@build)\n\
                    [    5.205693] host kernel: virt/tdx: BIOS enabled: private KeyID range [64, 128)\n\
                    \u{20}                    second line\n";
        let log = log(text).unwrap();
        assert_eq!(log.from_boot, Some(true));
        assert_eq!(
            log.text,
            "[    0.000000] Linux version 6.8.0-1028-intel (buildd@build)\n\
             [    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\nsecond line\n"
        );
    }

    #[test]
    fn a_journal_that_lost_the_banner_is_not_from_boot_and_an_empty_one_is_none() {
        assert_eq!(log("[    0.100000] kernel: pid_max: default\n").unwrap().from_boot, Some(false));
        assert_eq!(log(""), None);
        assert_eq!(log("-- No entries --\n"), None);
    }
}
