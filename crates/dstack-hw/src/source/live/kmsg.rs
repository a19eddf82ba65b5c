//! The kernel's ring buffer through `/dev/kmsg`.
//!
//! A read gives one record, `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,...];TEXT`, then lines that begin with a blank and hold
//! properties of a device; bytes that are not printable are `\xNN` (Linux `Documentation/ABI/testing/dev-kmsg`).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::source::files::unread_io;
use crate::source::log_text::LogText;
use crate::source::{LogOrigin, RawKernelLog};
use crate::{Reading, Unread};

/// The longest record that the kernel gives, in bytes: `PRINTK_MESSAGE_MAX` is 2048, and 8192 was the bound before 6.4.
const MAX_RECORD: usize = 8192;

/// How often records may be overwritten while they are read before it is given up.
const MAX_OVERWRITTEN: usize = 64;

/// Reads the ring buffer, without waiting for new messages.
pub(super) fn read() -> Reading<RawKernelLog> {
    let mut device = File::options()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed())
        .open("/dev/kmsg")
        .map_err(|error| unread_io(&error))?;
    let mut record = [0; MAX_RECORD];
    let mut log = Log::default();
    let mut overwritten = 0;
    loop {
        match device.read(&mut record) {
            Ok(0) => break,
            Ok(length) => log.push(&String::from_utf8_lossy(record.get(..length).unwrap_or_default())),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => break,
                Some(Errno::INTR) => {}
                // The oldest records were overwritten while we were reading; the next read goes on behind the gap.
                Some(Errno::PIPE) if overwritten < MAX_OVERWRITTEN => overwritten += 1,
                _ => return Err(unread_io(&error)),
            },
        }
    }
    if overwritten > 0 {
        log.first_sequence = log.first_sequence.map(|first| first.max(1));
    }
    log.finish()
}

/// Records on their way to lines.
#[derive(Debug, Default)]
struct Log {
    text: LogText,
    first_sequence: Option<u64>,
}

impl Log {
    /// Adds a record. What is not of the form is passed over.
    fn push(&mut self, record: &str) {
        let Some((head, body)) = record.split_once(';') else { return };
        let mut fields = head.split(',');
        let (Some(_priority), Some(sequence), Some(micros)) = (fields.next(), fields.next(), fields.next())
        else {
            return;
        };
        let (Ok(sequence), Ok(micros)) = (sequence.parse::<u64>(), micros.parse::<u64>()) else { return };
        self.first_sequence.get_or_insert(sequence);
        let text = body.split('\n').next().unwrap_or_default();
        let stamp = format!("[{:5}.{:06}] ", micros / 1_000_000, micros % 1_000_000);
        // A message of several lines comes as one record with escaped ends of lines; `dmesg` stamps each.
        for line in unescape(text).split('\n') {
            self.text.push(&format!("{stamp}{line}"));
        }
    }

    fn finish(self) -> Reading<RawKernelLog> {
        let first = self.first_sequence.ok_or_else(|| {
            Unread::Failed(
                "the kernel's ring buffer is empty: it was cleared, or this is a container".to_owned(),
            )
        })?;
        Ok(RawKernelLog { from: LogOrigin::Kmsg, from_boot: Some(first == 0), text: self.text.finish() })
    }
}

/// Puts `\xNN` back to what it stands for.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let [b'\\', b'x', high, low, after @ ..] = rest
            && let Some(byte) = hex_byte(*high, *low)
        {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(records: &[&str]) -> RawKernelLog {
        let mut log = Log::default();
        records.iter().for_each(|record| log.push(record));
        log.finish().unwrap()
    }

    #[test]
    fn records_become_the_lines_of_dmesg() {
        let log = log(&[
            "5,0,0,-;Linux version 6.8.0-1028-intel\n",
            "6,1,5205693,-;virt/tdx: BIOS enabled: private KeyID range [64, 128)\n SUBSYSTEM=virtual\n DEVICE=+x\n",
            "4,2,123456789012,c,caller=T1;caf\\xc3\\xa9\\x0asecond\n",
        ]);
        assert_eq!(log.from_boot, Some(true));
        assert_eq!(
            log.text,
            "[    0.000000] Linux version 6.8.0-1028-intel\n\
             [    5.205693] virt/tdx: BIOS enabled: private KeyID range [64, 128)\n\
             [123456.789012] café\n\
             [123456.789012] second\n"
        );
    }

    #[test]
    fn a_ring_that_has_wrapped_does_not_reach_back_to_the_boot() {
        assert_eq!(log(&["6,4711,900000000,-;eth0: up\n"]).from_boot, Some(false));
    }

    #[test]
    fn odd_records_are_passed_over_and_nothing_at_all_is_not_an_empty_log() {
        let mut odd = Log::default();
        for record in ["", ";", "6;x", "6,a,b,-;x", "6,1;x", "no semicolon"] {
            odd.push(record);
        }
        assert!(matches!(odd.finish(), Err(Unread::Failed(_))));
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(unescape(r"\x4 \xzz \\ \x41"), r"\x4 \xzz \\ A");
    }
}
