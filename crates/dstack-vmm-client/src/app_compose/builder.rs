//! Writing a new app-compose: the same choices always give the same bytes.

use dstack_check::{Hint, Hinted};
use serde_json::Value;

use super::document::{AppComposeDocument, ComposeError};
use super::fields::{
    AppCompose, EventLogVersion, KeyProvider, MAX_INIT_SCRIPTS, PortPolicy, Requirements, Runner,
    Snapshotter, VerityVolume,
};
use super::json::{Json, Layout};
use super::schema::TOP;
use crate::DstackVersion;
use crate::env::{EnvNameError, check_name};

/// Why a document was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The version of dstack does not know it, so it would be ignored there, or fail in the guest.
    #[error("dstack {version} does not have {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// The version.
        version: DstackVersion,
    },
    /// More init scripts than a guest runs.
    #[error("{count} init scripts are too many, dstack takes {MAX_INIT_SCRIPTS}")]
    InitScripts {
        /// How many.
        count: usize,
    },
    /// A snapshotter for a runner that has none.
    #[error("a snapshotter goes with the runner nerdctl-compose alone, not with {runner}")]
    Snapshotter {
        /// The runner.
        runner: String,
    },
    /// A name in `allowed_envs` that no guest takes.
    #[error("allowed_envs: {0}")]
    EnvName(#[source] EnvNameError),
    /// A field of one's own under a name that dstack reads.
    #[error("{name} is a field of dstack and has a setting of its own")]
    ReservedField {
        /// The name.
        name: String,
    },
    /// More than the guest boots with.
    #[error("the document has {bytes} bytes, guests of dstack {version} boot with at most {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
        /// The version.
        version: DstackVersion,
    },
    /// The document is one that dstack refuses.
    #[error(transparent)]
    Rejected(#[from] ComposeError),
}

impl Hinted for BuildError {
    fn hint(&self) -> Option<Hint> {
        let text = match self {
            Self::Unsupported { .. } => {
                "leave it out, or deploy to a host and image of a version that has it"
            }
            Self::InitScripts { .. } => "join scripts into one",
            Self::Snapshotter { .. } => "leave the snapshotter out",
            Self::EnvName(_) => "names are letters, digits and _, not beginning with a digit",
            Self::ReservedField { .. } => "use the setting, or another name for your own field",
            Self::TooLarge { .. } => "build large files into an image, or let the app fetch them by digest",
            Self::Rejected(error) => return error.hint(),
        };
        Some(Hint::from(text))
    }
}

/// Builds an app-compose.
///
/// The members come in one order: those that are always there as upstream's Python command line writes them, so that its
/// documents can be reproduced byte for byte with [`Layout::Indented`] of 4, then the others where they were set, then
/// fields of one's own by name.
///
/// ```
/// use dstack_vmm_client::DstackVersion;
/// use dstack_vmm_client::app_compose::{AppComposeBuilder, KeyProvider, Layout};
///
/// let document = AppComposeBuilder::docker_compose("demo", "services: {}\n")
///     .key_provider(KeyProvider::Kms)
///     .allowed_envs(["TOKEN"])
///     .build(DstackVersion::V0_5, Layout::Compact)?;
/// assert_eq!(document.fields().allowed_envs, ["TOKEN"]);
/// assert_eq!(
///     document.hash().to_string(),
///     "e3305fa8656e747739cc14526643519ad63ce989bc94e529832f9b81990b9d20",
/// );
/// # Ok::<(), dstack_vmm_client::app_compose::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct AppComposeBuilder {
    fields: AppCompose,
}

impl AppComposeBuilder {
    /// An app of Docker Compose. `yaml` is the text of its Compose file.
    pub fn docker_compose(name: impl Into<String>, yaml: impl Into<String>) -> Self {
        Self::new(name.into(), Runner::DockerCompose)
            .with(|fields| fields.docker_compose_file = Some(yaml.into()))
    }

    /// An app of nerdctl. `yaml` is the text of its Compose file. Next only.
    pub fn nerdctl_compose(name: impl Into<String>, yaml: impl Into<String>) -> Self {
        Self::new(name.into(), Runner::NerdctlCompose)
            .with(|fields| fields.docker_compose_file = Some(yaml.into()))
    }

    /// An app that is a script for bash.
    pub fn bash(name: impl Into<String>, script: impl Into<String>) -> Self {
        Self::new(name.into(), Runner::Bash).with(|fields| fields.bash_script = Some(script.into()))
    }

    /// What an existing document says, to be written anew. Prefer [`AppComposeDocument::set`] for changes: this loses the
    /// layout, and so the hash.
    pub fn from_fields(fields: AppCompose) -> Self {
        Self { fields }
    }

    /// Nothing public but measurements, no keys, no names, and a clock that the guest does not wait for.
    fn new(name: String, runner: Runner) -> Self {
        Self {
            fields: AppCompose {
                manifest_version: 2,
                name,
                features: Vec::new(),
                runner: runner.as_str().to_owned(),
                snapshotter: None,
                docker_compose_file: None,
                bash_script: None,
                pre_launch_script: None,
                init_scripts: Vec::new(),
                public_logs: false,
                public_sysinfo: false,
                public_tcbinfo: true,
                kms_enabled: false,
                gateway_enabled: false,
                local_key_provider_enabled: false,
                key_provider: None,
                key_provider_id: Vec::new(),
                allowed_envs: Vec::new(),
                no_instance_id: false,
                secure_time: false,
                storage_fs: None,
                swap_size: 0,
                port_policy: PortPolicy::default(),
                event_log_version: EventLogVersion::V1,
                requirements: None,
                verity_volumes: Vec::new(),
                launch_token_hash: None,
                other: std::collections::BTreeMap::new(),
            },
        }
    }

    fn with(mut self, change: impl FnOnce(&mut AppCompose)) -> Self {
        change(&mut self.fields);
        self
    }

    /// Where the keys come from. None unless said otherwise.
    pub fn key_provider(self, provider: KeyProvider) -> Self {
        self.with(|fields| {
            fields.kms_enabled = provider == KeyProvider::Kms;
            fields.local_key_provider_enabled = provider == KeyProvider::Local;
            // The flags say it to every version; a TPM they cannot say.
            fields.key_provider = (provider == KeyProvider::Tpm).then_some(provider);
        })
    }

    /// Pins the key provider.
    pub fn key_provider_id(self, id: impl Into<Vec<u8>>) -> Self {
        self.with(|fields| fields.key_provider_id = id.into())
    }

    /// Whether the app is registered with a gateway. Off unless said otherwise.
    pub fn gateway(self, enabled: bool) -> Self {
        self.with(|fields| fields.gateway_enabled = enabled)
    }

    /// Whether anyone may read the containers' logs. Off unless said otherwise.
    pub fn public_logs(self, public: bool) -> Self {
        self.with(|fields| fields.public_logs = public)
    }

    /// Whether anyone may read the system's metrics. Off unless said otherwise.
    pub fn public_sysinfo(self, public: bool) -> Self {
        self.with(|fields| fields.public_sysinfo = public)
    }

    /// Whether anyone may read measurements and VM configuration. On unless said otherwise.
    pub fn public_tcbinfo(self, public: bool) -> Self {
        self.with(|fields| fields.public_tcbinfo = public)
    }

    /// Names of the variables that the guest takes out of the encrypted environment, in this order.
    pub fn allowed_envs(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with(|fields| fields.allowed_envs = names.into_iter().map(Into::into).collect())
    }

    /// Whether instances have no id of their own. Off unless said otherwise.
    pub fn no_instance_id(self, no_instance_id: bool) -> Self {
        self.with(|fields| fields.no_instance_id = no_instance_id)
    }

    /// Whether the guest waits for authenticated time. Off unless said otherwise; dstack itself takes it as on where a
    /// document does not say it, so it is always written.
    pub fn secure_time(self, secure_time: bool) -> Self {
        self.with(|fields| fields.secure_time = secure_time)
    }

    /// A script that the guest sources before the containers start.
    pub fn pre_launch_script(self, script: impl Into<String>) -> Self {
        self.with(|fields| fields.pre_launch_script = Some(script.into()))
    }

    /// Adds a script that runs early in the boot.
    pub fn init_script(self, script: impl Into<String>) -> Self {
        self.with(|fields| fields.init_scripts.push(script.into()))
    }

    /// Swap, in bytes.
    pub fn swap_size(self, bytes: u64) -> Self {
        self.with(|fields| fields.swap_size = bytes)
    }

    /// File system of the data disk: `zfs` or `ext4`.
    pub fn storage_fs(self, name: impl Into<String>) -> Self {
        self.with(|fields| fields.storage_fs = Some(name.into()))
    }

    /// Which ports the gateway forwards and how.
    pub fn port_policy(self, policy: PortPolicy) -> Self {
        self.with(|fields| fields.port_policy = policy)
    }

    /// How the digests of the event log are made. Other than V1: next only.
    pub fn event_log_version(self, version: EventLogVersion) -> Self {
        self.with(|fields| fields.event_log_version = version)
    }

    /// The snapshotter of the runner `nerdctl-compose`.
    pub fn snapshotter(self, snapshotter: Snapshotter) -> Self {
        self.with(|fields| fields.snapshotter = Some(snapshotter))
    }

    /// What the guest insists on. Next only.
    pub fn requirements(self, requirements: Requirements) -> Self {
        self.with(|fields| fields.requirements = Some(requirements))
    }

    /// Adds a read-only volume. Next only.
    pub fn verity_volume(self, volume: VerityVolume) -> Self {
        self.with(|fields| fields.verity_volumes.push(volume))
    }

    /// Hash of the app's launch token at the top level, which the platform ignores and the app checks.
    pub fn launch_token_hash(self, hash: impl Into<String>) -> Self {
        self.with(|fields| fields.launch_token_hash = Some(hash.into()))
    }

    /// Adds a field of one's own. It is part of the hash; dstack does not read it.
    pub fn field(self, name: impl Into<String>, value: Value) -> Self {
        self.with(|fields| drop(fields.other.insert(name.into(), value)))
    }

    /// Writes the document for a version of dstack.
    ///
    /// The manifest version is 2, or the string `"3"` where something needs it that older guests must not skip:
    /// `requirements`, the runner `nerdctl-compose`, or several init scripts.
    ///
    /// # Errors
    ///
    /// If the version does not know what was asked for, or would refuse the document.
    pub fn build(&self, version: DstackVersion, layout: Layout) -> Result<AppComposeDocument, BuildError> {
        self.check(version)?;
        let text = Json::Object(self.members(version)).into_text(layout);
        let limit = version.capabilities().max_app_compose_bytes;
        if text.len() > limit {
            return Err(BuildError::TooLarge { bytes: text.len(), limit, version });
        }
        Ok(AppComposeDocument::from_bytes_as(text, version)?)
    }

    fn needs_manifest_3(&self) -> bool {
        let fields = &self.fields;
        fields.requirements.is_some()
            || fields.runner_kind() == Some(Runner::NerdctlCompose)
            || fields.init_scripts.len() > 1
    }

    fn check(&self, version: DstackVersion) -> Result<(), BuildError> {
        let fields = &self.fields;
        let nerdctl = fields.runner_kind() == Some(Runner::NerdctlCompose);
        let next_only = [
            (nerdctl, "the runner nerdctl-compose"),
            (fields.key_provider == Some(KeyProvider::Tpm), "the key provider tpm"),
            (fields.requirements.is_some(), "requirements"),
            (fields.init_scripts.len() > 1, "more than one init script"),
            (!fields.verity_volumes.is_empty(), "verity volumes"),
            (fields.event_log_version != EventLogVersion::V1, "other versions of the event log"),
        ];
        let missing = next_only.iter().find(|(used, _)| *used && version == DstackVersion::V0_5);
        if let Some((_, what)) = missing {
            return Err(BuildError::Unsupported { what, version });
        }
        if fields.init_scripts.len() > MAX_INIT_SCRIPTS {
            return Err(BuildError::InitScripts { count: fields.init_scripts.len() });
        }
        if fields.snapshotter.is_some() && !nerdctl {
            return Err(BuildError::Snapshotter { runner: fields.runner.clone() });
        }
        fields.allowed_envs.iter().try_for_each(|name| check_name(name)).map_err(BuildError::EnvName)?;
        let reserved = fields.other.keys().find(|name| TOP.iter().any(|field| field.name == *name));
        match reserved {
            // Nothing reads this one any more, so it has no setting.
            Some(name) if name != "docker_config" => Err(BuildError::ReservedField { name: name.clone() }),
            _ => Ok(()),
        }
    }

    fn members(&self, version: DstackVersion) -> Vec<(String, Json)> {
        let fields = &self.fields;
        let manifest_version = fields.manifest_version.max(if self.needs_manifest_3() { 3 } else { 1 });
        let manifest_version = match version {
            DstackVersion::Next if manifest_version > 2 => Json::text(manifest_version.to_string()),
            _ => Json::number(manifest_version),
        };
        let text = |text: &Option<String>| text.as_ref().map(Json::text);
        let flag = |flag| Some(Json::Bool(flag));
        let port_policy = &fields.port_policy;
        let init_scripts = match fields.init_scripts.as_slice() {
            [] => None,
            [one] => Some(Json::text(one)),
            several => Some(Json::texts(several)),
        };
        let members = [
            ("manifest_version", Some(manifest_version)),
            ("name", Some(Json::text(&fields.name))),
            ("runner", Some(Json::text(&fields.runner))),
            ("docker_compose_file", text(&fields.docker_compose_file)),
            ("bash_script", text(&fields.bash_script)),
            ("kms_enabled", flag(fields.kms_enabled)),
            ("gateway_enabled", flag(fields.gateway_enabled)),
            ("local_key_provider_enabled", flag(fields.local_key_provider_enabled)),
            ("key_provider_id", Some(Json::text(hex::encode(&fields.key_provider_id)))),
            ("public_logs", flag(fields.public_logs)),
            ("public_sysinfo", flag(fields.public_sysinfo)),
            ("allowed_envs", Some(Json::texts(&fields.allowed_envs))),
            ("no_instance_id", flag(fields.no_instance_id)),
            ("secure_time", flag(fields.secure_time)),
            ("key_provider", fields.key_provider.map(|provider| Json::text(provider.as_str()))),
            ("pre_launch_script", text(&fields.pre_launch_script)),
            ("swap_size", (fields.swap_size > 0).then(|| Json::number(fields.swap_size))),
            (
                "event_log_version",
                (fields.event_log_version != EventLogVersion::V1)
                    .then(|| Json::number(fields.event_log_version.number())),
            ),
            ("features", (!fields.features.is_empty()).then(|| Json::texts(&fields.features))),
            ("snapshotter", fields.snapshotter.map(|snapshotter| Json::text(snapshotter.as_str()))),
            ("init_script", init_scripts),
            ("public_tcbinfo", (!fields.public_tcbinfo).then_some(Json::Bool(false))),
            ("storage_fs", text(&fields.storage_fs)),
            ("port_policy", (*port_policy != PortPolicy::default()).then(|| Json::of(port_policy)).flatten()),
            ("requirements", fields.requirements.as_ref().and_then(Json::of)),
            (
                "verity_volumes",
                (!fields.verity_volumes.is_empty()).then(|| Json::of(&fields.verity_volumes)).flatten(),
            ),
            ("launch_token_hash", text(&fields.launch_token_hash)),
        ];
        let own = fields.other.iter().map(|(name, value)| (name.clone(), Json::of_value(value)));
        let known = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.chain(own).collect()
    }
}

#[cfg(test)]
mod tests;
