//! The members of an app-compose that its checks look at.

use serde::Deserialize;
use serde_json::Value;

use crate::event_log::KeyProviderKind;
use crate::fixed_bytes::parse_any_hex;

/// What a guest of dstack 0.5 takes at most, in bytes.
pub(super) const MAX_V05: usize = 256 << 10;

/// What any guest takes at most, in bytes.
pub(super) const MAX: usize = 50 << 20;

/// An app-compose, as far as it is looked at. A member that is there twice is an error, since two readers may take
/// different ones.
#[derive(Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    manifest_version: Option<Value>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) runner: Option<String>,
    #[serde(default)]
    kms_enabled: Option<bool>,
    #[serde(default)]
    local_key_provider_enabled: Option<bool>,
    #[serde(default)]
    key_provider: Option<String>,
    #[serde(default)]
    key_provider_id: Option<String>,
}

impl Document {
    /// Reads the bytes; the error says why they cannot be.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX {
            return Err(format!("{} bytes are more than any guest reads", bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "the app-compose is not UTF-8".to_owned())?;
        // serde would take an array for the members in their order.
        if !text.trim_start().starts_with('{') {
            return Err("the app-compose is not a JSON object".to_owned());
        }
        serde_json::from_str(text)
            .map_err(|error| format!("the app-compose is not the JSON it should be: {error}"))
    }

    /// The members that every guest wants and that are missing, or are not what they should be.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let version = match &self.manifest_version {
            Some(Value::Number(number)) => number.as_u64().is_some_and(|number| number > 0),
            Some(Value::String(text)) => text.parse::<u32>().is_ok_and(|number| number > 0),
            _ => false,
        };
        let present =
            [("manifest_version", version), ("name", self.name.is_some()), ("runner", self.runner.is_some())];
        present.into_iter().filter(|(_, present)| !present).map(|(name, _)| name).collect()
    }

    /// Where the keys come from. Source: upstream `dstack-types`: the word, else the two older switches, KMS first.
    pub(super) fn key_provider(&self) -> Result<KeyProviderKind, String> {
        match self.key_provider.as_deref() {
            Some("none") => Ok(KeyProviderKind::None),
            Some("local") => Ok(KeyProviderKind::Local),
            Some("kms") => Ok(KeyProviderKind::Kms),
            Some("tpm") => Ok(KeyProviderKind::Tpm),
            Some(other) => {
                let shown: String = other.chars().take(40).collect();
                Err(format!("the app-compose's key_provider {shown:?} is not known"))
            }
            None if self.kms_enabled == Some(true) => Ok(KeyProviderKind::Kms),
            None if self.local_key_provider_enabled == Some(true) => Ok(KeyProviderKind::Local),
            None => Ok(KeyProviderKind::None),
        }
    }

    /// The id of the key provider that it pins; empty where it pins none.
    pub(super) fn key_provider_id(&self) -> Result<Vec<u8>, String> {
        let text = self.key_provider_id.as_deref().unwrap_or_default();
        parse_any_hex(text).map_err(|error| format!("the app-compose's key_provider_id: {error}"))
    }
}
