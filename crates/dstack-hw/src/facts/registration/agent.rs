//! What the registration agent says: its log, and its management tool.

use serde::Serialize;

use crate::source::ProbeOutput;
use crate::{Fact, Unread};

/// The log of the registration agent, `/var/log/mpa_registration.log`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AgentLog {
    /// What the lines mean that mean something, oldest first; the last 64 of them.
    pub statements: Vec<AgentStatement>,
    /// How many times the agent ran, by the lines that it begins with.
    pub runs: usize,
}

/// A line of the log that says how a run went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct AgentStatement {
    /// What it says.
    pub outcome: AgentOutcome,
    /// The line.
    pub line: String,
}

/// How a run of the agent went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AgentOutcome {
    /// The manifest was sent and taken.
    Registered,
    /// The firmware already says that nothing is left to send.
    NothingToDo,
    /// The firmware's policy forbids the server to keep keys, so nothing was sent.
    NotSent,
    /// The server could not be reached, or a proxy stood in the way.
    Unreachable,
    /// The firmware had nothing to send, although it is not registered.
    NoRequest,
    /// The firmware reported an error of its own; the agent gave up.
    FirmwareError,
    /// The server refused, or another error.
    Failed,
}

/// The most statements that are kept.
const MAX_STATEMENTS: usize = 64;

/// Fragments of the agent's messages (Intel DCAP, `RegistrationService.cpp` and `PerformBase.cpp`), most telling first.
const FRAGMENTS: &[(&str, AgentOutcome)] = &[
    ("passed successfully", AgentOutcome::Registered),
    ("registration is completed successfully", AgentOutcome::NothingToDo),
    ("won't save encrypted platform keys", AgentOutcome::NotSent),
    ("won't be send to Registration Server", AgentOutcome::NotSent),
    ("registration is completed unsuccessfully", AgentOutcome::Failed),
    ("no RequestVariable available", AgentOutcome::NoRequest),
    ("BIOS/MCHECK failed", AgentOutcome::FirmwareError),
    ("UEFI variable was not found", AgentOutcome::FirmwareError),
    ("getRegistrationStatus failed", AgentOutcome::FirmwareError),
    ("getRegistrationServerInfo failed", AgentOutcome::FirmwareError),
    ("Failed to send request to server", AgentOutcome::Unreachable),
    ("Network error", AgentOutcome::Unreachable),
    ("proxy", AgentOutcome::Unreachable),
    ("TCB_RECOVERY failed", AgentOutcome::Failed),
    ("ADD_REQUEST failed", AgentOutcome::Failed),
];

impl AgentOutcome {
    /// Does it say that the platform is registered?
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Registered | Self::NothingToDo)
    }
}

impl AgentLog {
    /// Reads the log. Never fails: a line that is not understood says nothing.
    pub fn parse(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines() {
            if line.contains("Starts Registration Agent Flow") {
                log.runs += 1;
                continue;
            }
            let found = FRAGMENTS.iter().find(|(fragment, _)| line.contains(fragment));
            if let Some((_, outcome)) = found {
                if log.statements.len() == MAX_STATEMENTS {
                    log.statements.remove(0);
                }
                let line = line.trim().chars().take(400).collect();
                log.statements.push(AgentStatement { outcome: *outcome, line });
            }
        }
        log
    }

    /// How the last run that said something went: a network error that a later line turns into a failure stays a network
    /// error, because it is the cause.
    pub fn last(&self) -> Option<&AgentStatement> {
        let last = self.statements.last()?;
        if last.outcome != AgentOutcome::Failed {
            return Some(last);
        }
        let before = self.statements.iter().rev().nth(1);
        Some(before.filter(|before| before.outcome == AgentOutcome::Unreachable).unwrap_or(last))
    }
}

/// The answer of `mpa_manage -get_registration_status` as one line.
pub(super) fn said(output: &ProbeOutput) -> Fact<String> {
    let text = if output.stdout.trim().is_empty() { &output.stderr } else { &output.stdout };
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    match line {
        Some(line) if line.to_ascii_lowercase().contains("root") && output.status != Some(0) => {
            Fact::Unread(Unread::NotPermitted)
        }
        Some(line) => Fact::Known(line.chars().take(400).collect()),
        None => Fact::Unread(Unread::Failed("mpa_manage said nothing".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn last(text: &str) -> Option<AgentOutcome> {
        AgentLog::parse(text).last().map(|statement| statement.outcome)
    }

    #[test]
    fn a_first_registration_and_a_later_boot() {
        let first = "[05-12-2024 06:31:16] INFO: Starts Registration Agent Flow.\n\
                     [05-12-2024 06:31:18] INFO: Registration Flow - PLATFORM_ESTABLISHMENT or TCB_RECOVERY passed successfully.\n\
                     [05-12-2024 06:31:18] INFO: Finished Registration Agent Flow.\n";
        assert_eq!(last(first), Some(AgentOutcome::Registered));
        let later = format!(
            "{first}[06-12-2024 06:31:16] INFO: Starts Registration Agent Flow.\n\
             [06-12-2024 06:31:16] INFO: Registration Flow - Registration status indicates registration is completed successfully. MPA has nothing to do.\n"
        );
        assert_eq!(last(&later), Some(AgentOutcome::NothingToDo));
        assert_eq!(AgentLog::parse(&later).runs, 2);
    }

    #[test]
    fn a_service_that_looks_fine_and_sent_nothing() {
        let text = "[05-12-2024 06:43:50] INFO: SGX MP Server configuration flag indicates that Registration Server won't save encrypted platform keys.\n\
                    [05-12-2024 06:43:50] INFO: Platform registration request (PLATFORM_MANIFEST) won't be send to Registration Server.\n\
                    [05-12-2024 06:43:51] INFO: Finished Registration Agent Flow.\n";
        assert_eq!(last(text), Some(AgentOutcome::NotSent));
    }

    #[test]
    fn the_cause_of_a_failure_is_kept() {
        let text = "ERROR: Failed to send request to server, error: 5\n\
                    ERROR: Registration Flow - PLATFORM_ESTABLISHMENT or TCB_RECOVERY failed.\n";
        assert_eq!(last(text), Some(AgentOutcome::Unreachable));
        assert_eq!(last("INFO: SGX Registration Agent version: 1.20.100.2"), None);
    }

    #[test]
    fn unsuccessful_is_not_taken_for_successful() {
        let text = "Registration status indicates registration is completed unsuccessfully, and the error code is 162.";
        assert_eq!(last(text), Some(AgentOutcome::Failed));
    }

    #[test]
    fn the_tool_without_root() {
        let output =
            ProbeOutput { status: Some(1), stdout: String::new(), stderr: "please run as root\n".into() };
        assert_eq!(said(&output), Fact::Unread(Unread::NotPermitted));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,600}") {
            prop_assert!(AgentLog::parse(&text).statements.len() <= MAX_STATEMENTS);
        }
    }
}
