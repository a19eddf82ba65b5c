//! What an app's guest agent and its VMM hand out.

use std::time::SystemTime;

use serde::Deserialize;

use crate::HexError;
use crate::fixed_bytes::decode_hex;

/// The evidence about one app, as it was received. Nothing in here has been checked.
///
/// Fill it from the answers of the guest agent with [`read_info`](Self::read_info) and
/// [`read_quote`](Self::read_quote), or set the fields. Empty texts count as absent, since the agent blanks what the
/// app-compose hides (`public_tcbinfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CvmEvidence {
    /// The quote's bytes.
    pub quote: Option<Vec<u8>>,
    /// The JSON text of the event log that came with the quote. Without one, that of `tcb_info` is taken.
    pub event_log: Option<String>,
    /// The JSON text of the agent's `tcb_info`.
    pub tcb_info: Option<String>,
    /// The app-compose text. Without one, that of `tcb_info` is taken.
    pub app_compose: Option<String>,
    /// The document behind an MRCONFIGID of version 3.
    pub mr_config_document: Option<String>,
    /// The app id that the VMM or the agent reports, in hex.
    pub app_id: Option<String>,
    /// The instance id that the VMM or the agent reports, in hex.
    pub instance_id: Option<String>,
    /// The key provider that the agent reports, as the JSON text of `key_provider_info`.
    pub key_provider_info: Option<String>,
    /// The device id that the agent reports, in hex. SHA-256 of nothing where the guest could not tell.
    pub device_id: Option<String>,
    /// The OS image hash that the agent reports, in hex.
    pub os_image_hash: Option<String>,
    /// The aggregated measurement that the agent reports, in hex.
    pub mr_aggregated: Option<String>,
    /// The VM's shape as the host told the guest, a JSON text. Nothing signs it.
    pub vm_config: Option<String>,
    /// When the evidence was obtained, as its bearer says. Nothing signs it.
    pub obtained_at: Option<SystemTime>,
    /// What the attestation said in which quote and log came, if they came in one.
    pub attestation: Option<crate::versioned::Attested>,
    /// The version texts of the services the evidence came through. An emulator says so in its own.
    pub service_versions: Vec<String>,
}

/// Why an answer of the guest agent is not evidence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The answer is not the JSON object it should be.
    #[error("the answer is not that of the guest agent's {method}: {source}")]
    Json {
        /// The agent's method.
        method: &'static str,
        /// The JSON reader's words.
        source: serde_json::Error,
    },
    /// The quote is not hex.
    #[error("the quote is not hex: {0}")]
    Quote(#[from] HexError),
}

/// The members of an `Info` answer that are evidence; those of the proxied guest API are a subset.
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    app_id: Option<String>,
    #[serde(default)]
    instance_id: Option<String>,
    #[serde(default)]
    tcb_info: Option<String>,
    #[serde(default)]
    key_provider_info: Option<String>,
    #[serde(default)]
    device_id: Option<String>,
    #[serde(default)]
    os_image_hash: Option<String>,
    #[serde(default)]
    mr_aggregated: Option<String>,
    #[serde(default)]
    vm_config: Option<String>,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Deserialize)]
struct Quote {
    quote: String,
    event_log: String,
    #[serde(default)]
    vm_config: Option<String>,
}

impl CvmEvidence {
    /// No evidence yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the JSON answer of the guest agent's `Info`, directly or through the VMM's guest proxy.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Json`] when it is not such an answer.
    pub fn read_info(mut self, json: &str) -> Result<Self, EvidenceError> {
        let info: Info =
            serde_json::from_str(json).map_err(|source| EvidenceError::Json { method: "Info", source })?;
        self.app_id = info.app_id;
        self.instance_id = info.instance_id;
        self.tcb_info = filled(info.tcb_info);
        self.key_provider_info = filled(info.key_provider_info);
        self.device_id = filled(info.device_id);
        self.os_image_hash = filled(info.os_image_hash);
        self.mr_aggregated = filled(info.mr_aggregated);
        self.vm_config = filled(info.vm_config).or(self.vm_config);
        self.service_versions.extend(filled(info.version));
        Ok(self)
    }

    /// Takes the JSON answer of the guest agent's `GetQuote`, or of the legacy `TdxQuote` and `RawQuote`.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`] when it is not such an answer, or its quote is not hex.
    pub fn read_quote(mut self, json: &str) -> Result<Self, EvidenceError> {
        let answer: Quote = serde_json::from_str(json)
            .map_err(|source| EvidenceError::Json { method: "GetQuote", source })?;
        let quote = decode_hex(&answer.quote)?;
        self.quote = (!quote.is_empty()).then_some(quote);
        self.event_log = filled(Some(answer.event_log));
        self.vm_config = filled(answer.vm_config).or(self.vm_config);
        Ok(self)
    }

    /// Says when the evidence was obtained. Whoever reads the report takes it on trust from the caller.
    #[must_use]
    pub const fn obtained_at(mut self, time: SystemTime) -> Self {
        self.obtained_at = Some(time);
        self
    }

    /// Names the version text of a service the evidence came through.
    #[must_use]
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service_versions.push(version.into());
        self
    }
}

/// The text, unless it is empty.
pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
