//! The project file `dstack.toml`: what an app is and where it runs.
//!
//! ```toml
//! schema = 1
//! name = "hello-world"
//! compose = "docker-compose.yaml"
//! image = "dstack-0.5.11"
//! vcpu = 2
//! memory = "2G"                      # or a number of MiB
//! disk = "20G"                       # or a number of GiB
//! ports = ["tcp:8080:80", "tcp:[::1]:8443:443"]
//!
//! [env]
//! file = ".env"                      # values are sealed, never stored
//!
//! [kms]
//! enabled = true
//! signers = ["0217610d74cbd39b6143842c6d8bc310d79da1d82cc9d17f8876376221eda0c38f"]
//!
//! [[hosts]]
//! name = "tdx1"
//! endpoint = "https://vmm.example.com"
//! token_file = "/etc/dstack/vmm-auth-token"
//! ```
//!
//! Paths are relative to the directory of the file. A key that is not known is an error, so that a slip of the pen is not taken for
//! a default. Nothing here reads a file: [`Project::files`] says which are needed, [`Project::resolve`] takes
//! their contents.

mod parse;
mod problem;
mod reader;
pub(crate) mod values;
mod write;

use serde::Serialize;

use crate::env::SignerKey;

pub use problem::{Problem, ProjectError};
pub use values::{PortSpec, Protocol, ValueError};
pub use write::InitProject;

/// The `schema` that this crate reads.
pub const SCHEMA: i64 = 1;

/// The usual name of a project file.
pub const FILE_NAME: &str = "dstack.toml";

/// A project file, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Project {
    /// Name of the app and of its VM. The VM is found again by it on a host this directory has no record of.
    pub name: String,
    /// What runs.
    pub source: AppSource,
    /// Guest image, by the name of its directory on the host.
    pub image: String,
    /// Virtual CPUs; 2 unless given.
    pub vcpu: u32,
    /// Memory in MiB; 2048 unless given.
    pub memory_mib: u32,
    /// Data disk in GiB; 20 unless given.
    pub disk_gib: u32,
    /// Ports published on the host.
    pub ports: Vec<PortSpec>,
    /// File handed to the guest as user config. It is not measured and not sealed.
    pub user_config: Option<String>,
    /// App id of 40 hex digits. Without one it is derived from the compose hash of the first deployment.
    pub app_id: Option<String>,
    /// The sealed environment.
    pub env: EnvSpec,
    /// The KMS.
    pub kms: KmsSpec,
    /// The gateway.
    pub gateway: GatewaySpec,
    /// GPUs; `None` leaves them alone.
    pub gpus: Option<GpuSelection>,
    /// Networking mode, `user` or `bridge`; `None` for the node's default.
    pub networking: Option<String>,
    /// Back the memory with huge pages; fixed when the VM is made.
    pub hugepages: Option<bool>,
    /// Pin the VM to one NUMA node; fixed when the VM is made.
    pub pin_numa: Option<bool>,
    /// Run without a TEE. Nothing of such a VM can be attested.
    pub no_tee: Option<bool>,
    /// Where it runs. Empty where the caller names the host.
    pub hosts: Vec<HostSpec>,
    /// How a compose hash becomes allowed.
    pub authorization: AuthorizationSpec,
}

/// What runs in the CVM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppSource {
    /// A Compose file or a script, from which the app-compose is made.
    Made(Box<MadeApp>),
    /// A ready-made app-compose file, sent byte for byte.
    AppCompose {
        /// Its path.
        path: String,
    },
}

/// What an app-compose is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MadeApp {
    /// Path of the Compose file or the script.
    pub path: String,
    /// Whether it is a shell script (`bash_script`) and not a Compose file (`compose`).
    pub is_script: bool,
    /// File whose script runs before the containers.
    pub pre_launch_script: Option<String>,
    /// File whose script runs early at boot.
    pub init_script: Option<String>,
    /// `none`, `kms`, `local` or `tpm`.
    pub key_provider: Option<String>,
    /// Pin of the key provider, hex.
    pub key_provider_id: Option<String>,
    /// Container logs can be read from outside.
    pub public_logs: bool,
    /// System figures can be read from outside.
    pub public_sysinfo: bool,
    /// Measurements can be read from outside; true unless given.
    pub public_tcbinfo: bool,
    /// The instance has no id of its own.
    pub no_instance_id: bool,
    /// Boot waits for authenticated time.
    pub secure_time: bool,
    /// Swap in bytes.
    pub swap_bytes: u64,
    /// `zfs` or `ext4`.
    pub storage_fs: Option<String>,
}

/// The `[env]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvSpec {
    /// File with `NAME=value` lines.
    pub file: Option<String>,
    /// Names that the guest may see (`allowed_envs`); `None` for those of the file.
    pub names: Option<Vec<String>>,
}

/// The `[kms]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsSpec {
    /// Keys come from a KMS.
    pub enabled: bool,
    /// KMS URLs for the guest; empty for the node's.
    pub urls: Vec<String>,
    /// Public keys of the KMSes that may sign the key which the environment is sealed to.
    pub signers: Vec<SignerKey>,
    /// Accept a signature that does not say when it was made, from a KMS that makes no other.
    pub legacy_signature: bool,
}

/// The `[gateway]` table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewaySpec {
    /// The app is reached through a gateway.
    pub enabled: bool,
    /// Gateway URLs for the guest; empty for the node's.
    pub urls: Vec<String>,
}

/// GPUs of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GpuSelection {
    /// All of the host.
    All,
    /// Those at these PCI addresses; none to detach all.
    Listed(Vec<String>),
}

/// One `[[hosts]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostSpec {
    /// Name of the host in commands and in the history.
    pub name: String,
    /// `unix:/path`, `http://…` or `https://…`.
    pub endpoint: String,
    /// File that holds the API token.
    pub token_file: Option<String>,
    /// Environment variable that holds the API token.
    pub token_env: Option<String>,
    /// File with the certificate authority to trust, PEM.
    pub ca_file: Option<String>,
}

/// The `[authorization]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizationSpec {
    /// Path of an allow-list in the JSON form of auth-simple and dstack-auth (`kind = "file"`); `None` for `kind = "none"`:
    /// somebody else allows hashes, or nobody needs to.
    pub file: Option<String>,
    /// How many hashes stay allowed beside those that run, for a rollback without a new entry; 0 unless given.
    pub keep_hashes: u32,
}

/// What a file of the project is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FileRole {
    /// The Compose file, the script, or the ready-made app-compose.
    App,
    /// The pre-launch script.
    PreLaunchScript,
    /// The init script.
    InitScript,
    /// The environment; its contents are secret.
    Env,
    /// The user config.
    UserConfig,
}

impl FileRole {
    /// Whether the contents are secret, so that others should not be able to read the file.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Env)
    }
}

impl Project {
    /// The files to read before [`resolve`](super::resolve), relative to the project's directory.
    pub fn files(&self) -> Vec<(FileRole, &str)> {
        let mut files = Vec::new();
        match &self.source {
            AppSource::AppCompose { path } => files.push((FileRole::App, path.as_str())),
            AppSource::Made(made) => {
                files.push((FileRole::App, made.path.as_str()));
                files.extend(made.pre_launch_script.as_deref().map(|path| (FileRole::PreLaunchScript, path)));
                files.extend(made.init_script.as_deref().map(|path| (FileRole::InitScript, path)));
            }
        }
        files.extend(self.env.file.as_deref().map(|path| (FileRole::Env, path)));
        files.extend(self.user_config.as_deref().map(|path| (FileRole::UserConfig, path)));
        files
    }

    /// The hosts with these names, in this order.
    ///
    /// # Errors
    /// The names that are not in the file.
    pub fn select_hosts<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&HostSpec>, ProjectError> {
        let known: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for name in names {
            match self.hosts.iter().find(|host| host.name == name) {
                Some(host) => found.push(host),
                None => problems.push(
                    Problem::of("hosts", format!("there is no host {name:?}"))
                        .hint(format!("the file names: {}", known.join(", "))),
                ),
            }
        }
        if problems.is_empty() { Ok(found) } else { Err(ProjectError { problems }) }
    }
}

#[cfg(test)]
mod tests;
