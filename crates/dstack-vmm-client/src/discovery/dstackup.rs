//! What the upstream installer recorded.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::{DiscoveryError, read_file};

/// The name of the state file of `dstackup`, in its state directory (`/var/lib/dstack` without a prefix).
pub const STATE_FILE: &str = "dstackup-state.json";

/// What `dstackup` installed. Every field may be missing: the file has no version, and it grew over time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DstackupState {
    /// The prefix everything but the units lies under.
    #[serde(deserialize_with = "text")]
    pub prefix: Option<String>,
    /// Where the programs are.
    #[serde(deserialize_with = "text")]
    pub install_prefix: Option<String>,
    /// Where `vmm.toml` and `kms.toml` are.
    #[serde(deserialize_with = "text")]
    pub config_dir: Option<String>,
    /// Where images, VMs and this file are.
    #[serde(deserialize_with = "text")]
    pub state_dir: Option<String>,
    /// Where sources and builds are.
    #[serde(deserialize_with = "text")]
    pub cache_dir: Option<String>,
    /// Where sockets are.
    #[serde(deserialize_with = "text")]
    pub run_dir: Option<String>,
    /// The allow-list of the auth service.
    #[serde(deserialize_with = "text")]
    pub allowlist_path: Option<String>,
    /// The TEE it was installed for.
    #[serde(deserialize_with = "text")]
    pub platform: Option<String>,
    /// Where the VMM is reached, such as `http://127.0.0.1:9080`.
    #[serde(deserialize_with = "text")]
    pub client_url: Option<String>,
    /// The file with the VMM's token, readable by its owner alone.
    #[serde(deserialize_with = "text")]
    pub client_token_path: Option<String>,
    /// TCP port of the auth service.
    #[serde(deserialize_with = "port")]
    pub auth_port: Option<u16>,
    /// The VMM's unit, without `.service`.
    #[serde(deserialize_with = "text")]
    pub vmm_unit: Option<String>,
    /// The auth service's unit, without `.service`.
    #[serde(deserialize_with = "text")]
    pub auth_unit: Option<String>,
    /// The VM that the KMS runs in.
    #[serde(deserialize_with = "text")]
    pub kms_vm_id: Option<String>,
    /// Where the KMS is reached.
    #[serde(deserialize_with = "text")]
    pub kms_url: Option<String>,
    /// The guest image it chose.
    #[serde(deserialize_with = "text")]
    pub image: Option<String>,
    /// The Compose project of the key provider, where it started one.
    #[serde(deserialize_with = "text")]
    pub kp_own_project: Option<String>,
    /// What else the file has.
    #[serde(flatten)]
    pub other: BTreeMap<String, serde_json::Value>,
}

/// A text that says something. `dstackup` writes empty texts for what it does not know; a value of another type is not
/// worth losing the rest of the file for.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    })
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|&port| port != 0))
}

impl DstackupState {
    /// Reads the state file.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Reads [`STATE_FILE`] of a directory. `None` when there is none: `dstackup` was not used, or another prefix.
    ///
    /// # Errors
    /// [`DiscoveryError`] when the file cannot be read, is too large or no JSON object.
    pub fn read(state_dir: &Path) -> Result<Option<Self>, DiscoveryError> {
        let path = state_dir.join(STATE_FILE);
        match read_file(&path)? {
            None => Ok(None),
            Some(bytes) => {
                Self::parse(&bytes).map(Some).map_err(|source| DiscoveryError::Malformed { path, source })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_files_of_every_age_are_read() {
        let old = DstackupState::parse(
            br#"{"prefix":"/opt/x","client_url":"http://127.0.0.1:9080","auth_port":8001}"#,
        );
        let old = old.unwrap();
        assert_eq!(old.client_url.as_deref(), Some("http://127.0.0.1:9080"));
        assert_eq!(old.auth_port, Some(8001));
        assert_eq!(old.kms_vm_id, None);
        let odd = DstackupState::parse(
            br#"{"auth_port":"8001","vmm_unit":"","kms_vm_id":null,"image":"dstack-0.5.11","cid_start":30000}"#,
        );
        let odd = odd.unwrap();
        assert_eq!((odd.auth_port, odd.vmm_unit, odd.kms_vm_id), (None, None, None));
        assert_eq!(odd.image.as_deref(), Some("dstack-0.5.11"));
        assert_eq!(odd.other["cid_start"], 30000);
        assert_eq!(DstackupState::parse(b"{}").unwrap(), DstackupState::default());
        assert!(DstackupState::parse(b"[1]").is_err());
    }
}
