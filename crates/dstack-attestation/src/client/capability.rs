//! What an agent can do, by its version.

use crate::agent::VersionResponse;
use crate::quote::emulated;

/// In what the versions of the guest agent differ, as far as a caller sees it.
///
/// Source: upstream's `guest-agent/rpc/proto/agent_rpc.proto` at `v0.5.11` and on branch next at `312dc605`.
///
/// ```
/// use dstack_attestation::client::AgentCapabilities;
///
/// let old = AgentCapabilities::of_version("0.5.11");
/// assert!(old.emit_event && !old.gpu_info);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AgentCapabilities {
    /// `EmitEvent` measures events of the app into RTMR3. Gone in 0.6.
    pub emit_event: bool,
    /// There is `GpuInfo`. New in 0.6.
    pub gpu_info: bool,
    /// `GetQuote` answers with an attestation next to the quote. New in 0.6.
    pub attestation_in_quote: bool,
    /// The version says that there is no TEE behind the agent.
    pub emulated: bool,
}

impl AgentCapabilities {
    /// Those of an agent with this version number. One that cannot be read is taken for 0.5, the stable release.
    pub fn of_version(version: &str) -> Self {
        let next = major_and_minor(version).is_some_and(|numbers| numbers >= (0, 6));
        Self {
            emit_event: !next,
            gpu_info: next,
            attestation_in_quote: next,
            emulated: emulated::is_emulated_version(version),
        }
    }

    /// Those of the agent that gave this answer.
    pub fn of(answer: &VersionResponse) -> Self {
        let marked = emulated::is_emulated_version(&answer.rev);
        let known = Self::of_version(&answer.version);
        Self { emulated: known.emulated || marked, ..known }
    }
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().trim_start_matches('v').split(['.', '-', '+', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The version as one text, as [`CvmEvidence::service_versions`](crate::CvmEvidence::service_versions) takes it.
pub(super) fn version_text(answer: &VersionResponse) -> String {
    let text = if answer.rev.is_empty() {
        answer.version.clone()
    } else {
        format!("{} ({})", answer.version, answer.rev)
    };
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (version, next) in [
            ("0.5.11", false),
            ("v0.5.4", false),
            ("0.6.0", true),
            ("0.6.0-beta.1", true),
            ("1.0", true),
            ("", false),
            ("unknown", false),
            ("99999999999999999999.1", false),
        ] {
            assert_eq!(AgentCapabilities::of_version(version).gpu_info, next, "{version}");
        }
    }

    #[test]
    fn emulators_say_so_in_either_part() {
        let mut answer = VersionResponse { version: "0.6.0".to_owned(), rev: String::new() };
        assert!(!AgentCapabilities::of(&answer).emulated);
        answer.rev = "EMULATED, no TEE".to_owned();
        assert!(AgentCapabilities::of(&answer).emulated);
        assert_eq!(version_text(&answer), "0.6.0 (EMULATED, no TEE)");
    }
}
