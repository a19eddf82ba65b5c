//! The local collateral cache's `default.json`.

use serde::Serialize;
use serde_json::Value;

use super::jsonc::{self, JsoncError};
use crate::{Fact, Unread};

/// The settings of PCCS that decide whether it can serve this host. Whether a key is there is kept, never the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct PccsConfig {
    /// Is `ApiKey` not empty? Without it Intel answers 401 to requests for PCK certificates.
    pub has_api_key: bool,
    /// `hosts`: the address it listens on.
    pub hosts: Option<String>,
    /// `HTTPS_PORT`.
    pub port: Option<u16>,
    /// `CachingFillMode`: `LAZY`, `REQ` or `OFFLINE`.
    pub fill_mode: Option<String>,
}

impl PccsConfig {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// [`JsoncError`] with line and column.
    pub fn parse(text: &str) -> Result<Self, JsoncError> {
        let value = jsonc::parse(text)?.value;
        let text_of = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            has_api_key: text_of("ApiKey").is_some_and(|key| !key.trim().is_empty()),
            hosts: text_of("hosts"),
            port: value.get("HTTPS_PORT").and_then(Value::as_u64).and_then(|port| port.try_into().ok()),
            fill_mode: text_of("CachingFillMode"),
        })
    }
}

impl From<Result<PccsConfig, JsoncError>> for Fact<PccsConfig> {
    fn from(parsed: Result<PccsConfig, JsoncError>) -> Self {
        match parsed {
            Ok(config) => Self::Known(config),
            Err(error) => Self::Unread(Unread::Failed(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_there_is_a_key_and_not_which() {
        let config = PccsConfig::parse(
            r#"{"HTTPS_PORT": 8081, "hosts": "127.0.0.1", "ApiKey": "0123456789abcdef", "CachingFillMode": "LAZY"}"#,
        )
        .unwrap();
        assert!(config.has_api_key);
        assert_eq!(config.port, Some(8081));
        assert!(!serde_json::to_string(&config).unwrap().contains("0123"));
        assert!(!PccsConfig::parse(r#"{"ApiKey": " "}"#).unwrap().has_api_key);
        assert!(!PccsConfig::parse("{}").unwrap().has_api_key);
        assert!(PccsConfig::parse("{").is_err());
    }
}
