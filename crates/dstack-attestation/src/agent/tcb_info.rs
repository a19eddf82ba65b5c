//! The JSON text inside of what the agent says about its app.

use serde::{Deserialize, Serialize};

use crate::event_log::EventLog;
use crate::{Digest32, Digest48};

/// The measurements of a CVM with their explanation: the JSON text in [`AppInfo::tcb_info`](super::AppInfo::tcb_info).
///
/// The agent writes it indented by two spaces. `app_compose` is the app-compose as the guest has it; only its SHA-256
/// says whether it is the one that was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TcbInfo {
    /// MRTD; `None` off TDX.
    pub mrtd: Option<Digest48>,
    /// RTMR0; `None` off TDX.
    pub rtmr0: Option<Digest48>,
    /// RTMR1; `None` off TDX.
    pub rtmr1: Option<Digest48>,
    /// RTMR2; `None` off TDX.
    pub rtmr2: Option<Digest48>,
    /// RTMR3; `None` off TDX.
    pub rtmr3: Option<Digest48>,
    /// Digest of all measurements.
    pub mr_aggregated: Digest32,
    /// OS image hash, lower-case hex; empty where it is not known.
    pub os_image_hash: String,
    /// Compose hash, lower-case hex; empty where it was not measured.
    pub compose_hash: String,
    /// Device id, lower-case hex.
    pub device_id: String,
    /// The event log.
    pub event_log: EventLog,
    /// The text of the app-compose.
    pub app_compose: String,
}

impl TcbInfo {
    /// The JSON text as the agent writes it.
    pub fn to_json(&self) -> String {
        // Texts and integers only: there is nothing that serde_json could refuse.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcb_info_reads_what_it_writes() {
        let info = TcbInfo {
            rtmr3: Some(Digest48::new([3; 48])),
            app_compose: "{}\n".to_owned(),
            ..TcbInfo::default()
        };
        let text = info.to_json();
        assert!(text.starts_with("{\n  \"mrtd\": null,"), "{text}");
        assert_eq!(serde_json::from_str::<TcbInfo>(&text).unwrap(), info);
    }
}
