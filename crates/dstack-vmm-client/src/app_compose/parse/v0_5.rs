//! The document as 0.5 reads it.

use super::{BTreeMap, Deserialize, Deserializer, EventLogVersion, KeyProvider, PortPolicy, SwapSize, Value};
use crate::DstackVersion;

#[derive(Deserialize)]
pub(super) struct AppCompose {
    manifest_version: u32,
    name: String,
    #[serde(default)]
    features: Vec<String>,
    runner: String,
    #[serde(default)]
    docker_compose_file: Option<String>,
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
    #[serde(default)]
    port_policy: PortPolicy,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

fn swap_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(SwapSize(DstackVersion::V0_5))
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
            snapshotter: None,
            docker_compose_file: wire.docker_compose_file,
            bash_script: text(&mut other, "bash_script"),
            pre_launch_script: text(&mut other, "pre_launch_script"),
            init_scripts: text(&mut other, "init_script").into_iter().collect(),
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
            event_log_version: EventLogVersion::V1,
            requirements: None,
            verity_volumes: Vec::new(),
            launch_token_hash: text(&mut other, "launch_token_hash"),
            other,
        }
    }
}
