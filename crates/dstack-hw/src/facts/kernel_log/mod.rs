//! The kernel log as messages with their time.

mod message;

use serde::Serialize;

pub use message::Message;

use super::HostSource;
use super::kernel::{CommandLine, Release};
use crate::Fact;
use crate::source::{LogOrigin, RawKernelLog};

/// The most messages that are kept: half of them from the beginning, half from the end.
const MAX_MESSAGES: usize = 200_000;

/// How many messages a pasted text without the kernel's first line must have to count as more than an excerpt.
const MORE_THAN_AN_EXCERPT: usize = 50;

/// The first message of every kernel begins with this.
const FIRST_MESSAGE: &str = "Linux version ";

/// The kernel's log since boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KernelLog {
    /// Where it was read.
    pub from: LogOrigin,
    /// Does it reach back to the boot? Where it does not, a message that is not found may have been there.
    pub from_boot: bool,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

impl KernelLog {
    pub(crate) fn collect(source: &dyn HostSource) -> Fact<Self> {
        Fact::from(source.kernel_log()).map(|raw| Self::parse(&raw))
    }

    /// Reads a log. Never fails: a line without a time stamp is a message without a time.
    ///
    /// Where the text holds several boots, as a journal may, only the last one is kept. A pasted text counts as
    /// reaching back to the boot only if it has the kernel's first message or is long: what people paste is mostly
    /// the output of `grep`.
    pub fn parse(raw: &RawKernelLog) -> Self {
        let lines = raw.text.lines().count();
        let cut = lines > MAX_MESSAGES;
        let mut messages: Vec<Message> = raw
            .text
            .lines()
            .enumerate()
            .filter(|(at, _)| !cut || *at < MAX_MESSAGES / 2 || lines - at <= MAX_MESSAGES / 2)
            .map(|(_, line)| Message::parse(line))
            .collect();
        let first = messages.iter().rposition(|message| message.text.starts_with(FIRST_MESSAGE));
        // The command line of a Linux program is no beginning: the message comes first, or time starts anew with it.
        let restarts = |at: usize| {
            let before =
                messages.get(..at).unwrap_or_default().iter().rev().find_map(|message| message.micros);
            let now = messages.get(at).and_then(|message| message.micros);
            matches!((before, now), (Some(before), Some(now)) if now < before)
        };
        if let Some(at) = first.filter(|at| restarts(*at)) {
            messages.drain(..at);
        }
        let from_boot = raw.from_boot.unwrap_or_else(|| {
            let begins = messages.iter().take(10).any(|message| message.text.starts_with(FIRST_MESSAGE));
            let early =
                messages.iter().find_map(|message| message.micros).is_some_and(|micros| micros < 1_000_000);
            let whole = raw.from != LogOrigin::Pasted || messages.len() >= MORE_THAN_AN_EXCERPT;
            begins || (early && whole)
        });
        Self { from: raw.from, from_boot, messages }
    }

    /// The messages that begin with this prefix, such as `virt/tdx: `. Anchored: the kernel command line and host names
    /// that contain the word do not match.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl DoubleEndedIterator<Item = &'a Message> {
        self.messages.iter().filter(move |message| message.text.starts_with(prefix))
    }

    /// The last message that begins with this.
    pub fn last_with_prefix(&self, prefix: &str) -> Option<&Message> {
        self.messages.iter().rfind(|message| message.text.starts_with(prefix))
    }

    /// The release in the kernel's first message.
    pub fn linux_version(&self) -> Option<Release> {
        let message = self.last_with_prefix(FIRST_MESSAGE)?;
        let release = message.text.strip_prefix(FIRST_MESSAGE)?.split_whitespace().next()?;
        Some(Release::parse(release))
    }

    /// The command line as the kernel repeats it.
    pub fn command_line(&self) -> Option<CommandLine> {
        ["Kernel command line: ", "Command line: "].into_iter().find_map(|prefix| {
            let message = self.last_with_prefix(prefix)?;
            message.text.strip_prefix(prefix).map(CommandLine::parse)
        })
    }

    /// Seconds between the boot and the oldest message that has a time.
    pub fn begins_at_seconds(&self) -> Option<u64> {
        self.messages.iter().find_map(|message| message.micros).map(|micros| micros / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log(text: &str) -> KernelLog {
        KernelLog::parse(&RawKernelLog { from: LogOrigin::Pasted, from_boot: None, text: text.to_owned() })
    }

    #[test]
    fn prefixes_are_anchored() {
        let log = log("[    0.000000] Linux version 6.8.0-1028-intel (buildd@host) #35\n\
             [    0.000000] Command line: BOOT_IMAGE=/vmlinuz nohibernate kvm_intel.tdx=1\n\
             [    0.061000] Kernel command line: BOOT_IMAGE=/vmlinuz nohibernate kvm_intel.tdx=1\n\
             [    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\n\
             [    6.000000] systemd[1]: Hostname set to <tdx-1>.\n");
        assert_eq!(log.with_prefix("virt/tdx: ").count(), 1);
        assert_eq!(log.with_prefix("tdx: ").count(), 0);
        assert_eq!(log.linux_version().unwrap().as_str(), "6.8.0-1028-intel");
        assert!(log.command_line().unwrap().has("nohibernate"));
        assert!(log.from_boot);
    }

    #[test]
    fn a_ring_that_was_full_has_lost_its_beginning() {
        let ring = RawKernelLog {
            from: LogOrigin::Kmsg,
            from_boot: None,
            text: "[864000.123456] audit: type=1400\n".into(),
        };
        let log = KernelLog::parse(&ring);
        assert!(!log.from_boot);
        assert_eq!(log.begins_at_seconds(), Some(864_000));
    }

    #[test]
    fn an_excerpt_is_not_a_log() {
        assert!(!log("[    0.000000] x86/tme: not enabled by BIOS\n").from_boot);
        let live = RawKernelLog {
            from: LogOrigin::Journal,
            from_boot: None,
            text: "[    0.000000] x86/tme: not enabled by BIOS\n".into(),
        };
        assert!(KernelLog::parse(&live).from_boot);
    }

    #[test]
    fn of_several_boots_the_last_one_is_kept() {
        let log =
            log("[    0.000000] Linux version 6.8.0-1013-intel\n[   20.0] virt/tdx: module not loaded\n\
             [    0.000000] Linux version 6.8.0-1028-intel\n[   20.0] virt/tdx: module initialized\n");
        assert_eq!(log.messages.len(), 2);
        assert_eq!(log.linux_version().unwrap().as_str(), "6.8.0-1028-intel");
    }

    #[test]
    fn a_log_without_end_is_cut_in_the_middle() {
        let text: String = (0..MAX_MESSAGES + 10).map(|n| format!("[{n:>5}.0] line {n}\n")).collect();
        let log = log(&text);
        assert_eq!(log.messages.len(), MAX_MESSAGES);
        assert_eq!(log.messages[0].text, "line 0");
        assert_eq!(log.messages[MAX_MESSAGES - 1].text, format!("line {}", MAX_MESSAGES + 9));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in any::<String>(), from_boot in any::<Option<bool>>()) {
            let log = KernelLog::parse(&RawKernelLog { from: LogOrigin::Kmsg, from_boot, text });
            let _ = (log.linux_version(), log.command_line(), log.begins_at_seconds());
        }

        #[test]
        fn as_many_messages_as_lines(lines in prop::collection::vec("[a-z \\[\\].:0-9]{0,40}", 0..40)) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let log = log(&text);
            prop_assert_eq!(log.messages.len(), lines.len());
        }
    }
}
