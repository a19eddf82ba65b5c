//! One message of the kernel, out of the forms in which `dmesg`, `/dev/kmsg` and the journal print it.

use serde::Serialize;

/// The longest line that is kept, in bytes. The kernel's own lines end before 1 KiB; the rest is cut.
const MAX_LINE: usize = 4096;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Message {
    /// Microseconds since boot, where the line says it.
    pub micros: Option<u64>,
    /// The text after the time stamp.
    pub text: String,
    /// The line as it was read, for evidence.
    pub line: String,
}

impl Message {
    /// Reads a line. Understood are `[    5.205693] text`, the same with the caller (`[    5.205693][  T1] text`) or a
    /// priority (`<6>[...]`), with a date in the brackets (`dmesg -T`), and the journal's `Nov 18 10:00:00 host kernel: `
    /// and `[    5.205693] host kernel: `. Anything else is a message without a time.
    pub fn parse(line: &str) -> Self {
        let line = cut(line.trim_end_matches('\r'));
        let rest = without_priority(line);
        let (micros, text) = match stamped(rest) {
            Some((micros, text)) => (micros, without_journal_name(without_caller(text))),
            None => (None, without_journal_date(rest)),
        };
        Self { micros, text: text.to_owned(), line: line.to_owned() }
    }
}

fn cut(line: &str) -> &str {
    if line.len() <= MAX_LINE {
        return line;
    }
    let mut end = MAX_LINE;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.get(..end).unwrap_or(line)
}

/// `<6>` in front, as `dmesg -r` prints it.
fn without_priority(line: &str) -> &str {
    let priority = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match priority {
        Some((digits, rest)) if (1..=3).contains(&digits.len()) && is_number(digits) => rest,
        _ => line,
    }
}

/// The time in brackets and what follows. A date has no time since boot.
fn stamped(line: &str) -> Option<(Option<u64>, &str)> {
    let (stamp, text) = line.strip_prefix('[')?.split_once(']')?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    if let Some(micros) = micros(stamp.trim()) {
        return Some((Some(micros), text));
    }
    // Tue Nov 18 10:00:00 2026
    let words = stamp.split_whitespace().count();
    (words == 5 && stamp.contains(':')).then_some((None, text))
}

fn micros(stamp: &str) -> Option<u64> {
    let (seconds, fraction) = stamp.split_once('.')?;
    if !is_number(seconds) || !is_number(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction.parse().ok()?)
}

/// `[    T1] ` or `[   C12] `: the task or the CPU, on kernels with `CONFIG_PRINTK_CALLER`.
fn without_caller(text: &str) -> &str {
    let Some((caller, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
        return text;
    };
    match caller.trim().strip_prefix(['T', 'C']) {
        Some(number) if is_number(number) => rest,
        _ => text,
    }
}

/// `host kernel: ` after the time, as `journalctl -o short-monotonic` prints it.
fn without_journal_name(text: &str) -> &str {
    match text.split_once(" kernel: ") {
        Some((host, rest)) if !host.is_empty() && !host.contains([' ', ':']) => rest,
        _ => text,
    }
}

/// `Nov 18 10:00:00 host kernel: ` or `2026-11-18T10:00:00+0000 host kernel: `.
fn without_journal_date(line: &str) -> &str {
    let Some((head, rest)) = line.split_once(" kernel: ") else { return line };
    let mut words = head.split_whitespace();
    let (first, count) = (words.next().unwrap_or_default(), head.split_whitespace().count());
    let month = count == 4 && first.len() == 3 && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let iso = count == 2 && first.len() >= 19 && first.get(4..5) == Some("-");
    if month || iso { rest } else { line }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_a_line() {
        for (line, micros) in [
            ("[    5.205693] virt/tdx: module initialized", Some(5_205_693)),
            ("[    5.205693][    T1] virt/tdx: module initialized", Some(5_205_693)),
            ("[    5.205693] [   C12] virt/tdx: module initialized", Some(5_205_693)),
            ("<6>[    5.2] virt/tdx: module initialized\r", Some(5_200_000)),
            ("[Tue Nov 18 10:00:00 2026] virt/tdx: module initialized", None),
            ("Nov 18 10:00:00 server-1 kernel: virt/tdx: module initialized", None),
            ("2026-11-18T10:00:00+0000 server-1 kernel: virt/tdx: module initialized", None),
            ("[    5.205693] server-1 kernel: virt/tdx: module initialized", Some(5_205_693)),
            ("virt/tdx: module initialized", None),
        ] {
            let message = Message::parse(line);
            assert_eq!(message.text, "virt/tdx: module initialized", "{line}");
            assert_eq!(message.micros, micros, "{line}");
        }
    }

    #[test]
    fn brackets_of_other_kinds_belong_to_the_text() {
        for line in ["[Firmware Bug]: TDX", "[drm] x", "[", "[]", "[1.2", "$ sudo dmesg | grep kernel: x"] {
            assert_eq!(Message::parse(line).text, line);
        }
        assert_eq!(Message::parse("[  1.0] [Firmware Bug]: x").text, "[Firmware Bug]: x");
        assert_eq!(Message::parse("[  1.0] a: b kernel: c").text, "a: b kernel: c");
    }

    proptest! {
        #[test]
        fn times_come_back(micros in 0u64..1_000_000_000_000, text in "[a-z/]{1,9}: [a-z ]{0,20}") {
            let line = format!("[{:>5}.{:06}] {text}", micros / 1_000_000, micros % 1_000_000);
            let message = Message::parse(&line);
            prop_assert_eq!(message.micros, Some(micros));
            prop_assert_eq!(message.text, text);
            prop_assert_eq!(message.line, line);
        }

        #[test]
        fn nothing_makes_it_panic(line in any::<String>()) {
            let message = Message::parse(&line);
            prop_assert!(message.line.len() <= MAX_LINE);
        }
    }
}
