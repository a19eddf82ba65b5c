//! From a project and the contents of its files to what should run.

use std::collections::BTreeMap;

use dstack_check::{Hint, Hinted};

use super::project::{AppSource, FileRole, GpuSelection, MadeApp, PortSpec, Project};
use crate::DstackVersion;
use crate::app_compose::{
    AppComposeBuilder, AppComposeDocument, BuildError, ComposeError, ComposeHash, KeyProvider, Layout,
};
use crate::env::{
    EnvFile, EnvFileError, EnvLimitError, EnvNote, Environment, NotAllowedError, SignaturePolicy, SignerKey,
    check_allowed, check_limits,
};
use crate::ids::AppId;

/// The contents of a project's files, by their paths as the project writes them. Whoever reads the files makes it.
#[derive(Default)]
pub struct ProjectFiles {
    contents: BTreeMap<String, Vec<u8>>,
}

impl ProjectFiles {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.contents.insert(path.into(), bytes.into());
    }

    fn get(&self, role: FileRole, path: &str) -> Result<&[u8], ResolveError> {
        let bytes = self.contents.get(path).map(Vec::as_slice);
        bytes.ok_or_else(|| ResolveError::Missing { role, path: path.to_owned() })
    }

    fn text(&self, role: FileRole, path: &str) -> Result<&str, ResolveError> {
        let bytes = self.get(role, path)?;
        std::str::from_utf8(bytes)
            .map_err(|error| ResolveError::NotText { path: path.to_owned(), at: error.valid_up_to() })
    }
}

/// The names only: the contents may be secret.
impl std::fmt::Debug for ProjectFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.contents.keys()).finish()
    }
}

/// What should run, from a project or from a kept version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Desired {
    /// Name of the VM.
    pub name: String,
    /// The app-compose.
    pub compose: AppComposeDocument,
    /// The app id that was asked for. Without one a new VM's is the head of the compose hash.
    pub app_id: Option<AppId>,
    /// Guest image.
    pub image: String,
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Disk in GiB.
    pub disk_gib: u32,
    /// Published ports.
    pub ports: Vec<PortSpec>,
    /// The environment.
    pub env: DesiredEnv,
    /// Notes about the environment file: values that look as if something should have been expanded in them, and the like.
    pub env_notes: Vec<EnvNote>,
    /// Names that are allowed and have no value.
    pub env_without_value: Vec<String>,
    /// The user config; `None` leaves that of the VM.
    pub user_config: Option<String>,
    /// KMS URLs, empty for the node's; `None` leaves those of the VM.
    pub kms_urls: Option<Vec<String>>,
    /// Gateway URLs, empty for the node's; `None` leaves those of the VM.
    pub gateway_urls: Option<Vec<String>>,
    /// GPUs; `None` leaves those of the VM.
    pub gpus: Option<GpuSelection>,
    /// Networking mode; `None` leaves that of the VM or takes the node's default.
    pub networking: Option<String>,
    /// Huge pages; `None` leaves it.
    pub hugepages: Option<bool>,
    /// One NUMA node; `None` leaves it.
    pub pin_numa: Option<bool>,
    /// A plain VM; `None` leaves it.
    pub no_tee: Option<bool>,
    /// Who may sign the key that the environment is sealed to.
    pub signers: Vec<SignerKey>,
    /// Whether a signature without a time is enough.
    pub legacy_signature: bool,
    /// How many hashes stay allowed beside those that run.
    pub keep_hashes: u32,
}

/// What should become of the environment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum DesiredEnv {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is this one.
    Set(Environment),
}

impl Desired {
    /// An app with this document that leaves everything else of its VM as it is.
    pub(super) fn keeping(name: String, compose: AppComposeDocument) -> Self {
        Self {
            name,
            compose,
            app_id: None,
            image: String::new(),
            vcpu: 0,
            memory_mib: 0,
            disk_gib: 0,
            ports: Vec::new(),
            env: DesiredEnv::Keep,
            env_notes: Vec::new(),
            env_without_value: Vec::new(),
            user_config: None,
            kms_urls: None,
            gateway_urls: None,
            gpus: None,
            networking: None,
            hugepages: None,
            pin_numa: None,
            no_tee: None,
            signers: Vec::new(),
            legacy_signature: false,
            keep_hashes: 0,
        }
    }

    /// Compose hash.
    pub fn hash(&self) -> ComposeHash {
        self.compose.hash()
    }

    /// The app-compose as text.
    pub fn compose_text(&self) -> &str {
        self.compose.text()
    }

    /// The app id of a VM that is made now.
    pub fn new_app_id(&self) -> AppId {
        self.app_id.unwrap_or_else(|| AppId::from_compose_hash(&self.hash()))
    }

    /// Whether the app gets its keys from a KMS, which asks its policy for the compose hash.
    pub fn uses_kms(&self) -> bool {
        self.compose.fields().key_provider_kind() == KeyProvider::Kms
    }

    /// How the key for the environment is to be checked.
    pub fn signature_policy(&self) -> SignaturePolicy {
        let policy = SignaturePolicy::pinned(self.signers.iter().copied());
        if self.legacy_signature { policy.allow_legacy_without_freshness() } else { policy }
    }
}

/// Why a project and its files do not make an app.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A file was not given.
    #[error("the file {path} is missing")]
    Missing {
        /// What it is for.
        role: FileRole,
        /// Its path.
        path: String,
    },
    /// A file is no text.
    #[error("{path} is not UTF-8 text: byte {at} is none")]
    NotText {
        /// Its path.
        path: String,
        /// Offset of the first wrong byte.
        at: usize,
    },
    /// A file that must have contents is empty.
    #[error("{path} is empty")]
    Empty {
        /// Its path.
        path: String,
    },
    /// The environment file cannot be read.
    #[error("the environment file {path} cannot be read")]
    EnvFile {
        /// Its path.
        path: String,
        /// Where and why.
        source: EnvFileError,
    },
    /// The environment file sets what the guest would drop.
    #[error("the guest would drop part of the environment file {path}")]
    EnvNotAllowed {
        /// Its path.
        path: String,
        /// Which.
        source: NotAllowedError,
    },
    /// The environment is larger than a guest takes.
    #[error("the environment file {path} holds more than a guest takes")]
    EnvLimit {
        /// Its path.
        path: String,
        /// In what.
        source: EnvLimitError,
    },
    /// The app-compose cannot be read.
    #[error("{path} is no app-compose")]
    Compose {
        /// Its path.
        path: String,
        /// Why.
        source: ComposeError,
    },
    /// No app-compose can be made of it.
    #[error("no app-compose can be made from {path}")]
    Build {
        /// Its path.
        path: String,
        /// Why.
        source: BuildError,
    },
}

impl Hinted for ResolveError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Missing { role: FileRole::Env, path } => {
                Some(Hint::from(format!("write NAME=value lines into {path}, or take `file` out of [env]")))
            }
            Self::Missing { .. } => {
                Some(Hint::from("paths are relative to the directory of the project file"))
            }
            Self::EnvFile { source, .. } => source.hint(),
            Self::EnvNotAllowed { source, .. } => source.hint(),
            Self::EnvLimit { source, .. } => source.hint(),
            Self::Build { source: BuildError::TooLarge { .. }, .. } => {
                Some(Hint::from("move large files out of the Compose file, into an image or a volume"))
            }
            Self::Compose { .. } | Self::Build { .. } | Self::NotText { .. } | Self::Empty { .. } => None,
        }
    }
}

impl Project {
    /// What should run, from the contents of the [files](Self::files). The same contents give the same bytes, hence the
    /// same hash, on any host and at any time.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn resolve(&self, files: &ProjectFiles) -> Result<Desired, ResolveError> {
        let (env, env_notes) = match &self.env.file {
            None => (None, Vec::new()),
            Some(path) => {
                let bytes = files.get(FileRole::Env, path)?;
                let file = EnvFile::parse(bytes)
                    .map_err(|source| ResolveError::EnvFile { path: path.clone(), source })?;
                check_limits(&file.environment)
                    .map_err(|source| ResolveError::EnvLimit { path: path.clone(), source })?;
                (Some(file.environment), file.notes)
            }
        };
        let names_of = |env: &Environment| env.names().map(str::to_owned).collect::<Vec<_>>();
        let compose = match &self.source {
            AppSource::AppCompose { path } => {
                let bytes = files.get(FileRole::App, path)?;
                AppComposeDocument::from_bytes(bytes)
                    .map_err(|source| ResolveError::Compose { path: path.clone(), source })?
            }
            AppSource::Made(made) => {
                let allowed =
                    self.env.names.clone().or_else(|| env.as_ref().map(names_of)).unwrap_or_default();
                self.document(made, &allowed, files)?
            }
        };
        let mut env_without_value = Vec::new();
        if let (Some(env), Some(path)) = (&env, &self.env.file) {
            env_without_value = check_allowed(env.names(), &compose.fields().allowed_envs)
                .map_err(|source| ResolveError::EnvNotAllowed { path: path.clone(), source })?
                .without_value;
        }
        let user_config = match &self.user_config {
            Some(path) => Some(files.text(FileRole::UserConfig, path)?.to_owned()),
            None => None,
        };
        Ok(Desired {
            name: self.name.clone(),
            compose,
            // The text was checked when the project was read.
            app_id: self.app_id.as_deref().and_then(|text| text.parse().ok()),
            image: self.image.clone(),
            vcpu: self.vcpu,
            memory_mib: self.memory_mib,
            disk_gib: self.disk_gib,
            ports: self.ports.clone(),
            env: env.map_or(DesiredEnv::Keep, DesiredEnv::Set),
            env_notes,
            env_without_value,
            user_config,
            kms_urls: Some(self.kms.urls.clone()),
            gateway_urls: Some(self.gateway.urls.clone()),
            gpus: self.gpus.clone(),
            networking: self.networking.clone(),
            hugepages: self.hugepages,
            pin_numa: self.pin_numa,
            no_tee: self.no_tee,
            signers: self.kms.signers.clone(),
            legacy_signature: self.kms.legacy_signature,
            keep_hashes: self.authorization.keep_hashes,
        })
    }

    fn document(
        &self,
        made: &MadeApp,
        allowed: &[String],
        files: &ProjectFiles,
    ) -> Result<AppComposeDocument, ResolveError> {
        let app = files.text(FileRole::App, &made.path)?;
        if app.trim().is_empty() {
            return Err(ResolveError::Empty { path: made.path.clone() });
        }
        let script = |role, path: &Option<String>| match path {
            Some(path) => files.text(role, path).map(|text| Some(text.to_owned())),
            None => Ok(None),
        };
        let pre_launch = script(FileRole::PreLaunchScript, &made.pre_launch_script)?;
        let init = script(FileRole::InitScript, &made.init_script)?;
        let mut builder = if made.is_script {
            AppComposeBuilder::bash(&self.name, app)
        } else {
            AppComposeBuilder::docker_compose(&self.name, app)
        };
        let provider = match made.key_provider.as_deref() {
            Some("local") => KeyProvider::Local,
            Some("tpm") => KeyProvider::Tpm,
            _ if self.kms.enabled => KeyProvider::Kms,
            _ => KeyProvider::None,
        };
        builder = builder
            .key_provider(provider)
            .gateway(self.gateway.enabled)
            .public_logs(made.public_logs)
            .public_sysinfo(made.public_sysinfo)
            .public_tcbinfo(made.public_tcbinfo)
            .allowed_envs(allowed)
            .no_instance_id(made.no_instance_id)
            .secure_time(made.secure_time)
            .swap_size(made.swap_bytes);
        if let Some(id) = made.key_provider_id.as_deref().and_then(|digits| hex::decode(digits).ok()) {
            builder = builder.key_provider_id(id);
        }
        if let Some(script) = pre_launch {
            builder = builder.pre_launch_script(script);
        }
        if let Some(script) = init {
            builder = builder.init_script(script);
        }
        if let Some(name) = &made.storage_fs {
            builder = builder.storage_fs(name);
        }
        // The bytes must not depend on the host, so they are written for the oldest version that can say all of it.
        let version = if provider == KeyProvider::Tpm { DstackVersion::Next } else { DstackVersion::V0_5 };
        let built = builder.build(version, Layout::Indented(4)).or_else(|refused| match refused {
            BuildError::TooLarge { .. } => builder.build(DstackVersion::Next, Layout::Indented(4)),
            other => Err(other),
        });
        built.map_err(|source| ResolveError::Build { path: made.path.clone(), source })
    }
}
