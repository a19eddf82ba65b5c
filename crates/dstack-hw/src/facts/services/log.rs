//! The journal of the quote generation service.

use serde::Serialize;

use crate::source::ProbeOutput;
use crate::{Fact, Unread};

/// The most lines that are kept.
const MAX_LINES: usize = 2000;

/// The last lines of the journal of the quote services, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct QuoteLog {
    /// The lines that say something: a quote that was made, or an error.
    pub lines: Vec<QuoteLogLine>,
    /// Is there any line at all?
    pub any: bool,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct QuoteLogLine {
    /// The text after the name of the program.
    pub text: String,
    /// A quote was made.
    pub success: bool,
}

impl QuoteLog {
    /// Reads journal lines, in any of the forms of `journalctl`. Never fails. The newest lines win where there are many.
    pub fn parse(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("-- ")) {
            log.any = true;
            let message = message(line);
            let success = message.contains("tee_att_get_quote return Success");
            if success || is_error(message) {
                log.lines.push(QuoteLogLine { text: message.chars().take(400).collect(), success });
            }
        }
        let surplus = log.lines.len().saturating_sub(MAX_LINES);
        log.lines.drain(..surplus);
        log
    }

    /// The errors since the last quote that was made.
    pub fn errors_since_success(&self) -> impl Iterator<Item = &QuoteLogLine> {
        let after = self.lines.iter().rposition(|line| line.success).map_or(0, |index| index + 1);
        self.lines.iter().skip(after)
    }

    /// How many quotes were made.
    pub fn quotes_made(&self) -> usize {
        self.lines.iter().filter(|line| line.success).count()
    }
}

/// The text after `qgsd[123]: ` or `qgs[123]: `.
fn message(line: &str) -> &str {
    let tagged = ["qgsd[", "qgs[", "pccs[", "node[", "aesm_service["].iter().find_map(|tag| {
        let from = line.find(tag)?;
        Some(line.get(from..)?.split_once("]: ")?.1)
    });
    tagged.unwrap_or(line)
}

/// Does a message of the service tell of an error? Codes after `return 0x`, `Error` and the tags of the libraries do.
fn is_error(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // Lines that report a state of the connection carry `0x` and `error` too, with nothing wrong.
    if has(&["return success", "status [system:0]", "error code is 0x0 ", "successfully"]) {
        return false;
    }
    has(&[
        "return 0x",
        "error returned",
        "error code",
        "[qpl]",
        "[qcnl]",
        "curl error",
        "failed to",
        "cannot ",
        "permission denied",
        "access denied",
        "load json config error",
        "no certificate data",
    ])
}

pub(super) fn read(output: &ProbeOutput) -> Fact<QuoteLog> {
    let log = QuoteLog::parse(&output.stdout);
    let denied = output.stderr.contains("not seeing messages") || output.stderr.contains("Permission denied");
    if !log.any && denied {
        return Fact::Unread(Unread::NotPermitted);
    }
    if !log.any && output.status != Some(0) {
        let why = output.stderr.lines().next().unwrap_or("journalctl failed");
        return Fact::Unread(Unread::Failed(why.trim().chars().take(200).collect()));
    }
    Fact::Known(log)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOT_REGISTERED: &str = "\
May 09 13:24:16 host qgsd[6732]: call tee_att_init_quote
May 09 13:24:16 host qgsd[6732]: [QPL] No certificate data for this platform.
May 09 13:24:16 host qgsd[6732]: [get_platform_quote_cert_data ../td_ql_logic.cpp:302] Error returned from the p_sgx_get_quote_config API. 0xe011
May 09 13:24:16 host qgsd[6732]: tee_att_init_quote return 0x11001
May 09 13:24:16 host qgsd[6732]: tee_att_get_quote_size return 0x1100f
";

    #[test]
    fn errors_are_told_from_chatter() {
        let log = QuoteLog::parse(NOT_REGISTERED);
        let texts: Vec<_> = log.errors_since_success().map(|line| line.text.as_str()).collect();
        assert_eq!(texts.len(), 4);
        assert_eq!(texts[0], "[QPL] No certificate data for this platform.");
    }

    #[test]
    fn what_a_later_quote_makes_up_for() {
        let text = format!(
            "{NOT_REGISTERED}x qgsd[1]: handle_read: status [system:0]\nx qgsd[1]: tee_att_get_quote return Success\n"
        );
        let log = QuoteLog::parse(&text);
        assert_eq!((log.quotes_made(), log.errors_since_success().count()), (1, 0));
    }

    #[test]
    fn an_empty_journal_may_be_one_that_is_not_shown() {
        let output = |stdout: &str, stderr: &str| ProbeOutput {
            status: Some(0),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        };
        let hint = "Hint: You are currently not seeing messages from other users and the system.";
        assert_eq!(read(&output("-- No entries --\n", hint)), Fact::Unread(Unread::NotPermitted));
        assert_eq!(read(&output("-- No entries --\n", "")), Fact::Known(QuoteLog::default()));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,500}") {
            let log = QuoteLog::parse(&text);
            prop_assert!(log.errors_since_success().count() <= log.lines.len());
        }
    }
}
