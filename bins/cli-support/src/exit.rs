//! Exit codes.

use dstack_check::Verdict;

/// How a binary of the toolkit ends. The numbers are public API: scripts rely on them.
///
/// ```
/// use cli_support::ExitCode;
///
/// assert_eq!(ExitCode::Conflict.code(), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum ExitCode {
    /// 0: it worked, and where a question was asked the answer is yes. Warnings do not change that.
    Ok = 0,
    /// 1: a check failed, an answer could not be had, or the answer is no.
    No = 1,
    /// 2: the command line, a configuration file or another input is wrong. Nothing was sent and nothing was changed.
    Usage = 2,
    /// 3: something could not be reached, or is not permitted.
    Unreachable = 3,
    /// 4: what is there changed since the plan was made, so the plan does not fit any more.
    Conflict = 4,
    /// 70: a mistake in the program itself (the number is `EX_SOFTWARE` of BSD's sysexits).
    Bug = 70,
}

/// The exit codes as text for the end of a help page.
pub const EXIT_CODES_HELP: &str = "\
Exit codes:
  0   it worked, the answer is yes
  1   a check failed, or the answer is no or could not be had
  2   the command line or an input is wrong; nothing was changed
  3   something cannot be reached or is not permitted
  4   conflict: what is there changed and the plan no longer fits
  70  a bug in the program";

impl ExitCode {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ok | Verdict::Warnings => Self::Ok,
            Verdict::Undetermined | Verdict::Failed => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_end_as_the_vocabulary_says() {
        for verdict in [Verdict::Ok, Verdict::Warnings, Verdict::Undetermined, Verdict::Failed] {
            assert_eq!(ExitCode::from(verdict).code(), verdict.exit_code());
        }
    }

    #[test]
    fn the_help_lists_every_code() {
        for code in [
            ExitCode::Ok,
            ExitCode::No,
            ExitCode::Usage,
            ExitCode::Unreachable,
            ExitCode::Conflict,
            ExitCode::Bug,
        ] {
            let start = format!("\n  {:<4}", code.code());
            assert!(EXIT_CODES_HELP.contains(&start), "{code:?}");
        }
    }
}
