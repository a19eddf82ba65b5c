//! Reading an app-compose exactly as a server does: what it accepts, what it refuses, and with which words.
//!
//! The order and the kinds of the fields decide which complaint comes first and where it points to, so the two private
//! structs follow the ones upstream (`dstack-types/src/lib.rs`) in both. Their names show in messages as well.

mod next;
mod v0_5;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serializer};
use serde_json::Value;

use super::fields::{
    AppCompose, EventLogVersion, KeyProvider, MAX_INIT_SCRIPTS, PortPolicy, Requirements, Snapshotter,
    VerityVolume,
};
use super::size::parse_size;
use crate::DstackVersion;

impl AppCompose {
    /// Reads the text as the server of the given version does: the VMM when it gets the document, the guest at boot.
    ///
    /// # Errors
    ///
    /// The error is the server's in words, line and column, such as
    /// ``missing field `manifest_version` at line 1 column 2``. Columns count bytes.
    ///
    /// ```
    /// use dstack_vmm_client::{DstackVersion, app_compose::AppCompose};
    ///
    /// let text = r#"{"manifest_version": "3", "name": "demo", "runner": "docker-compose"}"#;
    /// assert!(AppCompose::parse_as_server(text, DstackVersion::Next).is_ok());
    /// let refused = AppCompose::parse_as_server(text, DstackVersion::V0_5).unwrap_err();
    /// assert_eq!(refused.to_string(), "invalid type: string \"3\", expected u32 at line 1 column 24");
    /// ```
    pub fn parse_as_server(text: &str, version: DstackVersion) -> Result<Self, serde_json::Error> {
        match version {
            DstackVersion::V0_5 => serde_json::from_str::<v0_5::AppCompose>(text).map(Self::from),
            DstackVersion::Next => serde_json::from_str::<next::AppCompose>(text).map(Self::from),
        }
    }
}

pub(super) fn yes() -> bool {
    true
}

/// The two flags for one thing.
#[derive(Deserialize)]
struct GatewayEnabled {
    #[serde(default)]
    gateway_enabled: bool,
    #[serde(default)]
    tproxy_enabled: bool,
}

fn gateway_enabled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let flags = GatewayEnabled::deserialize(deserializer)?;
    Ok(flags.gateway_enabled || flags.tproxy_enabled)
}

fn hex_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    hex::decode(text).map_err(de::Error::custom)
}

/// 32 bytes as hex.
pub(super) mod hex32 {
    use super::{Deserializer, Serializer, de};

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let bytes = super::hex_bytes(deserializer)?;
        bytes.try_into().map_err(|_| de::Error::custom("invalid array length"))
    }
}

pub(super) fn absolute_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(de::Error::custom(format!("volume target must be an absolute path, got '{path}'")))
    }
}

/// `swap_size`: a number of bytes, or a text that [`parse_size`] reads.
struct SwapSize(DstackVersion);

impl Visitor<'_> for SwapSize {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a memory size string or number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        parse_size(text, self.0).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<u64, E> {
        Ok(bytes)
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<u64, E> {
        u64::try_from(bytes).map_err(|_| E::custom("memory size cannot be negative"))
    }
}

fn text_of(other: &mut BTreeMap<String, Value>, name: &str) -> Option<String> {
    match other.remove(name)? {
        Value::String(text) => Some(text),
        // The server takes any type here; what is no text stays with the rest.
        value => {
            other.insert(name.to_owned(), value);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, version: DstackVersion) -> String {
        match AppCompose::parse_as_server(text, version) {
            Ok(compose) => format!("ok, manifest version {}", compose.manifest_version),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn both_versions_answer_as_recorded() {
        let cases: &[(&str, &str)] = &[
            ("not json", "expected ident at line 1 column 2"),
            ("{}", "missing field `manifest_version` at line 1 column 2"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ];
        for version in DstackVersion::ALL {
            for (text, answer) in cases {
                assert_eq!(&said(text, version), answer);
            }
        }
    }

    #[test]
    fn refusals_of_both_versions() {
        let compose =
            |fields: &str| format!(r#"{{"manifest_version": 2, "name": "n", "runner": "bash", {fields}}}"#);
        let mut all = String::new();
        let texts = [
            r#"{"manifest_version": 3, "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": "3", "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": " 3 ", "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": "03", "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": "", "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": "0", "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": "x", "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": -1, "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": 2.5, "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": null, "name": "n", "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": 2, "name": "n"}"#.to_owned(),
            r#"{"manifest_version": 2, "runner": "bash"}"#.to_owned(),
            r#"{"manifest_version": 2, "name": "n", "name": "m", "runner": "bash"}"#.to_owned(),
            "[]".to_owned(),
            "{} x".to_owned(),
            compose(r#""gateway_enabled": "yes""#),
            compose(r#""gateway_enabled": true, "gateway_enabled": true"#),
            compose(r#""key_provider": "sgx""#),
            compose(r#""key_provider": null"#),
            compose(r#""key_provider_id": "0x00""#),
            compose(r#""key_provider_id": "abc""#),
            compose(r#""allowed_envs": null"#),
            compose(r#""swap_size": "4GiB""#),
            compose(r#""swap_size": -1"#),
            compose(r#""swap_size": null"#),
            compose(r#""port_policy": {"ports": [{"port": 70000}]}"#),
            compose(r#""port_policy": {"ports": [{"pp": true}]}"#),
            compose(r#""port_policy": null"#),
            compose(r#""event_log_version": 3"#),
            compose(r#""init_script": ["1","2","3","4","5","6"]"#),
            compose(r#""init_script": 5"#),
            compose(r#""init_script": null"#),
            compose(r#""snapshotter": "zfs""#),
            compose(r#""requirements": {"os": "1"}"#),
            compose(r#""requirements": {"gpu_policy": {"debug": true}}"#),
            compose(r#""verity_volumes": [{"source": "a", "verity_root": "00", "target": "/a"}]"#),
            compose(
                r#""verity_volumes": [{"source": "a", "verity_root": "0000000000000000000000000000000000000000000000000000000000000000", "target": "a"}]"#,
            ),
        ];
        for text in &texts {
            let shown = text.replace(r#""manifest_version": 2, "name": "n", "runner": "bash", "#, "..");
            let (old, new) = (said(text, DstackVersion::V0_5), said(text, DstackVersion::Next));
            all.push_str(&format!("{shown}\n  0.5:  {old}\n  next: {new}\n"));
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn fields_that_the_server_does_not_look_at_are_kept() {
        let text = r#"{"manifest_version": 2, "name": "n", "runner": "bash", "bash_script": "echo", "x": [1],
            "pre_launch_script": 5, "requirements": {"os_version": "*"}, "tproxy_enabled": true}"#;
        let old = AppCompose::parse_as_server(text, DstackVersion::V0_5).unwrap();
        assert_eq!(old.bash_script.as_deref(), Some("echo"));
        assert!(old.requirements.is_none() && old.gateway_enabled);
        assert_eq!(old.other.keys().collect::<Vec<_>>(), ["pre_launch_script", "requirements", "x"]);
        let new = AppCompose::parse_as_server(text, DstackVersion::Next).unwrap();
        assert_eq!(new.requirements.unwrap().os_version.as_deref(), Some("*"));
        assert_eq!(new.other.keys().collect::<Vec<_>>(), ["pre_launch_script", "x"]);
    }
}
