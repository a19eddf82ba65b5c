//! The document as the branch next reads it.

use super::{
    BTreeMap, Deserialize, Deserializer, EventLogVersion, KeyProvider, MAX_INIT_SCRIPTS, PortPolicy,
    Requirements, Snapshotter, SwapSize, Value, VerityVolume, Visitor, de, fmt,
};
use crate::DstackVersion;

#[derive(Deserialize)]
pub(super) struct AppCompose {
    #[serde(deserialize_with = "manifest_version")]
    manifest_version: u32,
    name: String,
    #[serde(default)]
    features: Vec<String>,
    runner: String,
    #[serde(default)]
    snapshotter: Option<Snapshotter>,
    #[serde(default)]
    docker_compose_file: Option<String>,
    #[serde(default, deserialize_with = "init_scripts")]
    init_script: Vec<String>,
    #[serde(default)]
    public_logs: bool,
    #[serde(default)]
    public_sysinfo: bool,
    #[serde(default = "super::yes")]
    public_tcbinfo: bool,
    #[serde(default)]
    kms_enabled: bool,
    #[serde(flatten, deserialize_with = "super::gateway_enabled")]
    gateway_enabled: bool,
    #[serde(default)]
    local_key_provider_enabled: bool,
    #[serde(default)]
    key_provider: Option<KeyProvider>,
    #[serde(default, deserialize_with = "super::hex_bytes")]
    key_provider_id: Vec<u8>,
    #[serde(default)]
    allowed_envs: Vec<String>,
    #[serde(default)]
    no_instance_id: bool,
    #[serde(default = "super::yes")]
    secure_time: bool,
    #[serde(default)]
    storage_fs: Option<String>,
    #[serde(default, deserialize_with = "swap_size")]
    swap_size: u64,
    #[serde(default, deserialize_with = "event_log_version")]
    event_log_version: EventLogVersion,
    #[serde(default)]
    port_policy: PortPolicy,
    #[serde(default)]
    requirements: Option<Requirements>,
    #[serde(default)]
    verity_volumes: Vec<VerityVolume>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

fn swap_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(SwapSize(DstackVersion::Next))
}

fn event_log_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventLogVersion, D::Error> {
    match u32::deserialize(deserializer)? {
        1 => Ok(EventLogVersion::V1),
        2 => Ok(EventLogVersion::V2),
        other => Err(de::Error::custom(format!("unknown event log version: {other}"))),
    }
}

fn init_scripts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum InitScripts {
        One(String),
        Many(Vec<String>),
    }
    let scripts = match Option::<InitScripts>::deserialize(deserializer)? {
        None => Vec::new(),
        Some(InitScripts::One(script)) => vec![script],
        Some(InitScripts::Many(scripts)) => scripts,
    };
    if scripts.len() > MAX_INIT_SCRIPTS {
        return Err(de::Error::custom(format!("init_script supports at most {MAX_INIT_SCRIPTS} scripts")));
    }
    Ok(scripts)
}

fn manifest_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_any(ManifestVersion)
}

struct ManifestVersion;

impl Visitor<'_> for ManifestVersion {
    type Value = u32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string manifest version, or legacy numeric 1/2")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u32, E> {
        let text = text.trim();
        if text.is_empty() {
            return Err(E::custom("manifest_version must not be empty"));
        }
        let version: u32 = text.parse().map_err(|_| {
            E::custom(format!("manifest_version must be a positive integer string, got {text:?}"))
        })?;
        if version == 0 {
            return Err(E::custom("manifest_version must be greater than 0"));
        }
        if version.to_string() != text {
            return Err(E::custom(format!(
                "manifest_version must be a canonical integer string, got {text:?}"
            )));
        }
        Ok(version)
    }

    fn visit_u64<E: de::Error>(self, version: u64) -> Result<u32, E> {
        match version {
            1 => Ok(1),
            2 => Ok(2),
            _ => Err(E::custom(
                "numeric manifest_version is only supported for legacy versions 1 and 2; use a string for newer versions",
            )),
        }
    }

    fn visit_i64<E: de::Error>(self, version: i64) -> Result<u32, E> {
        let version =
            u64::try_from(version).map_err(|_| E::custom("manifest_version must be a positive integer"))?;
        self.visit_u64(version)
    }
}

impl From<AppCompose> for super::AppCompose {
    fn from(wire: AppCompose) -> Self {
        let mut other = wire.other;
        let text = |other: &mut _, name| super::text_of(other, name);
        Self {
            manifest_version: wire.manifest_version,
            name: wire.name,
            features: wire.features,
            runner: wire.runner,
            snapshotter: wire.snapshotter,
            docker_compose_file: wire.docker_compose_file,
            bash_script: text(&mut other, "bash_script"),
            pre_launch_script: text(&mut other, "pre_launch_script"),
            init_scripts: wire.init_script,
            public_logs: wire.public_logs,
            public_sysinfo: wire.public_sysinfo,
            public_tcbinfo: wire.public_tcbinfo,
            kms_enabled: wire.kms_enabled,
            gateway_enabled: wire.gateway_enabled,
            local_key_provider_enabled: wire.local_key_provider_enabled,
            key_provider: wire.key_provider,
            key_provider_id: wire.key_provider_id,
            allowed_envs: wire.allowed_envs,
            no_instance_id: wire.no_instance_id,
            secure_time: wire.secure_time,
            storage_fs: wire.storage_fs,
            swap_size: wire.swap_size,
            port_policy: wire.port_policy,
            event_log_version: wire.event_log_version,
            requirements: wire.requirements,
            verity_volumes: wire.verity_volumes,
            launch_token_hash: text(&mut other, "launch_token_hash"),
            other,
        }
    }
}
