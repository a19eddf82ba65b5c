//! Lines of a kernel log in the forms that `dmesg`, `journalctl` and syslog give them.

use crate::source::log_text::LogText;
use crate::source::{LogOrigin, RawKernelLog};

/// What a kernel says first.
const BANNER: &str = "Linux version ";

/// Among so many first messages the banner is looked for: before it, old kernels speak of microcode.
const BANNER_WITHIN: usize = 8;

/// A boot has hundreds of messages; fewer than this are what a filter let through, or an excerpt.
const FEWEST_OF_A_BOOT: usize = 30;

/// Beginnings of messages that are recognised without a time stamp, as in `dmesg -t` or a quoted line.
const KNOWN_BEGINNINGS: [&str; 18] = [
    "virt/tdx: ",
    "tdx: ",
    "x86/tme: ",
    "x86/mktme: ",
    "x86/cpu: ",
    "x86/tdx: ",
    "sgx: ",
    "kvm_intel: ",
    "kvm_amd: ",
    "SEV-SNP: ",
    "ccp 0",
    "AMD-Vi: ",
    "DMAR: ",
    "DMAR-IR: ",
    "Memory Encryption Features active: ",
    "Kernel command line: ",
    "Command line: ",
    "[Firmware Bug]: ",
];

/// Programs that show a log without leaving anything out.
const SHOWS_ALL: [&str; 6] = ["less", "more", "cat", "tee", "most", "nl"];

/// Lines on their way to a log in the form of `dmesg`.
#[derive(Debug, Default)]
pub(super) struct LogLines {
    text: LogText,
    count: usize,
    banner: bool,
    filtered: bool,
}

impl LogLines {
    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a line if it looks like a message of a kernel, and says whether it did.
    pub(super) fn push(&mut self, line: &str) -> bool {
        // Code blocks are set in.
        let line = line.trim_start();
        let message =
            Message::of(line).or_else(|| is_known(line).then_some(Message { stamp: None, text: line }));
        let Some(message) = message else { return false };
        self.add(&message);
        true
    }

    /// Adds a line of what is known to be a log. Lines of other programs in a journal are left out.
    pub(super) fn push_any(&mut self, line: &str) {
        if line.trim().is_empty() || of_another_program(line) {
            return;
        }
        self.add(&Message::of(line).unwrap_or(Message { stamp: None, text: line }));
    }

    /// Notes the command that gave the log: a filter leaves messages out.
    pub(super) fn saw_command(&mut self, command: &str) {
        let shows_log = ["dmesg", "journalctl", "/var/log/"].iter().any(|log| command.contains(log));
        let filters = |part: &str| {
            let program = part.split_whitespace().find(|word| *word != "sudo").unwrap_or_default();
            !SHOWS_ALL.contains(&program)
        };
        if shows_log && (command.contains("grep") || command.split('|').skip(1).any(filters)) {
            self.filtered = true;
        }
    }

    fn add(&mut self, message: &Message<'_>) {
        if self.count < BANNER_WITHIN && message.text.starts_with(BANNER) {
            self.banner = true;
        }
        self.count += 1;
        match message.stamp {
            Some(stamp) => self.text.push(&format!("[{stamp}] {}", message.text)),
            None => self.text.push(message.text),
        }
    }

    pub(super) fn finish(self, from: LogOrigin) -> RawKernelLog {
        let whole = self.banner && self.count >= FEWEST_OF_A_BOOT && !self.filtered;
        RawKernelLog { from, from_boot: Some(whole), text: self.text.finish() }
    }
}

fn is_known(line: &str) -> bool {
    line.starts_with(BANNER) || KNOWN_BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

/// A message without what was put in front of it.
#[derive(Debug, PartialEq)]
struct Message<'a> {
    /// Seconds since boot as written, such as `    5.205693`.
    stamp: Option<&'a str>,
    text: &'a str,
}

impl<'a> Message<'a> {
    /// Takes a line apart. `None` where nothing in front of it says that it is a message of a kernel.
    fn of(line: &'a str) -> Option<Self> {
        let line = without_level(line);
        if let Some((stamp, text)) = bracketed(line) {
            let stamp = if is_seconds(stamp) {
                Some(stamp)
            } else if is_date(stamp) || is_delta(stamp) {
                None
            } else {
                return None;
            };
            return Some(Self { stamp, text: without_host(without_caller(text)) });
        }
        let rest = after_date(line)?;
        // `dmesg --time-format iso` has no host, journals and syslog have one.
        let text = match rest.split_once(' ') {
            Some((_host, rest)) if rest.starts_with("kernel: ") => rest.strip_prefix("kernel: ")?,
            _ if line.split(' ').next().is_some_and(|date| date.contains(',')) => rest,
            _ => return None,
        };
        match bracketed(text) {
            Some((stamp, text)) if is_seconds(stamp) => {
                Some(Self { stamp: Some(stamp), text: without_caller(text) })
            }
            _ => Some(Self { stamp: None, text }),
        }
    }
}

/// Takes `<6>` of `dmesg -r` or `kern  :info  : ` of `dmesg -x` away.
fn without_level(line: &str) -> &str {
    if let Some((level, rest)) = line.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        && !level.is_empty()
        && level.bytes().all(|byte| byte.is_ascii_digit())
    {
        return rest;
    }
    let mut parts = line.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(facility), Some(level), Some(rest))
            if matches!(facility.trim_end(), "kern" | "user" | "daemon" | "syslog" | "auth" | "authpriv")
                && matches!(
                    level.trim_end(),
                    "emerg" | "alert" | "crit" | "err" | "warn" | "notice" | "info" | "debug"
                ) =>
        {
            rest.strip_prefix(' ').unwrap_or(rest)
        }
        _ => line,
    }
}

/// `[STAMP] TEXT` or `[STAMP][CALLER] TEXT`.
fn bracketed(line: &str) -> Option<(&str, &str)> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once(']')?;
    (rest.is_empty() || rest.starts_with(' ') || rest.starts_with('['))
        .then(|| (stamp, rest.strip_prefix(' ').unwrap_or(rest)))
}

/// Takes `[    T1] ` away, which kernels with `CONFIG_PRINTK_CALLER` put behind the time stamp.
fn without_caller(text: &str) -> &str {
    match bracketed(text) {
        Some((caller, rest)) => {
            let number = caller.trim_start().strip_prefix(['T', 'C']).unwrap_or_default();
            let is_caller = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            if is_caller { rest } else { text }
        }
        None => text,
    }
}

/// Takes `HOST kernel: ` or `kernel: ` of `journalctl -o short-monotonic` away.
fn without_host(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix("kernel: ") {
        return rest;
    }
    match text.split_once(' ') {
        Some((host, rest)) if !host.ends_with(':') => rest.strip_prefix("kernel: ").unwrap_or(text),
        _ => text,
    }
}

/// Digits, a point, at least three digits.
fn is_seconds(stamp: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    stamp
        .trim_start()
        .split_once('.')
        .is_some_and(|(seconds, fraction)| digits(seconds) && digits(fraction) && fraction.len() >= 3)
}

/// `Wed Nov 18 10:00:00 2026` of `dmesg -T`, or `Nov18 10:00` of `dmesg -e`.
fn is_date(stamp: &str) -> bool {
    let mut words = stamp.split_whitespace();
    let first = words.next().unwrap_or_default();
    let named = WEEKDAYS.contains(&first) || MONTHS.iter().any(|month| first.starts_with(month));
    named && stamp.contains(':')
}

/// `  +0.000123` of `dmesg -e`.
fn is_delta(stamp: &str) -> bool {
    stamp.trim_start().strip_prefix('+').is_some_and(is_seconds)
}

/// What follows a date at the beginning of a line: `Nov 18 10:00:00 `, `2026-11-18T10:00:00+0000 `.
fn after_date(line: &str) -> Option<&str> {
    let (first, rest) = line.split_once(' ')?;
    let is_iso = first.len() >= 19
        && first.as_bytes().get(4) == Some(&b'-')
        && first.as_bytes().get(10) == Some(&b'T')
        && first.as_bytes().get(13) == Some(&b':');
    if is_iso {
        return Some(rest);
    }
    let rest = if WEEKDAYS.contains(&first) { rest.split_once(' ')?.1 } else { rest };
    if !WEEKDAYS.contains(&first) && !MONTHS.contains(&first) {
        return None;
    }
    let (day, rest) = rest.trim_start().split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    let is_time = time.as_bytes().get(2) == Some(&b':') && time.as_bytes().get(5) == Some(&b':');
    (day.parse::<u8>().is_ok() && is_time).then_some(rest)
}

/// A line of a journal that is not the kernel's.
fn of_another_program(line: &str) -> bool {
    after_date(line).is_some() && Message::of(line).is_none()
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
