//! `compose build`: from a Compose file or a script to an app-compose.

use std::path::PathBuf;

use clap::ValueEnum;
use cli_support::{CliError, ExitCode};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::{AppComposeBuilder, EventLogVersion, KeyProvider, Layout, parse_size};
use dstack_vmm_client::env::EnvFile;

use crate::context::Context;
use crate::{files, project};

/// Arguments of `compose build`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without FILE the app-compose is made from dstack.toml, as `deploy` does. The bytes are the identity of the app: \
                  the same options and files give the same bytes on every machine."
)]
pub(super) struct Build {
    /// Compose file or script; without it the project of dstack.toml is built
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where to write the app-compose; stdout without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    made: Made,
}

/// What is in the app-compose beside the file.
#[derive(Debug, clap::Args)]
#[group(requires = "file", multiple = true)]
struct Made {
    /// Name of the app
    #[arg(long)]
    name: Option<String>,
    /// What runs FILE
    #[arg(long, value_enum, default_value_t = Runner::DockerCompose)]
    runner: Runner,
    /// Where the keys of the app come from
    #[arg(long, value_enum, default_value_t = Keys::None)]
    key_provider: Keys,
    /// Pin of the key provider, hex
    #[arg(long, value_name = "HEX")]
    key_provider_id: Option<String>,
    /// Reach the app through a gateway
    #[arg(long)]
    gateway: bool,
    /// Let everybody read the logs of the containers
    #[arg(long)]
    public_logs: bool,
    /// Let everybody read the figures of the system
    #[arg(long)]
    public_sysinfo: bool,
    /// Keep measurements and VM configuration from outsiders
    #[arg(long)]
    no_public_tcbinfo: bool,
    /// Name of a variable that the guest takes out of the environment; can be given several times
    #[arg(long = "allow-env", value_name = "NAME")]
    allow_env: Vec<String>,
    /// Allow all names of this environment file; the values are not looked at
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Instances have no id of their own
    #[arg(long)]
    no_instance_id: bool,
    /// Wait for authenticated time at boot
    #[arg(long)]
    secure_time: bool,
    /// Swap, such as 4G
    #[arg(long, value_name = "SIZE")]
    swap: Option<String>,
    /// File system of the data disk: zfs or ext4
    #[arg(long, value_name = "NAME", value_parser = ["zfs", "ext4"])]
    storage_fs: Option<String>,
    /// Script that the guest sources before the containers start
    #[arg(long, value_name = "FILE")]
    pre_launch_script: Option<PathBuf>,
    /// Script that runs early in the boot; can be given several times for next
    #[arg(long, value_name = "FILE")]
    init_script: Vec<PathBuf>,
    /// How digests of the event log are made: 1, or 2 for next
    #[arg(long, value_name = "VERSION", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    event_log_version: u8,
    /// Version of dstack that is to run it: 0.5 or next
    #[arg(long, value_name = "VERSION", default_value_t = DstackVersion::V0_5)]
    dstack: DstackVersion,
    /// How the document is laid out, which is part of the hash
    #[arg(long, value_enum, default_value_t = LayoutChoice::Indented)]
    layout: LayoutChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Runner {
    /// Docker Compose
    DockerCompose,
    /// nerdctl Compose, next only
    NerdctlCompose,
    /// A script for bash
    Bash,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Keys {
    /// None: the disk is not kept over a boot
    None,
    /// A KMS
    Kms,
    /// The key provider of the host, in SGX
    Local,
    /// A TPM, next only
    Tpm,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LayoutChoice {
    /// Four spaces a level, as upstream's Python command line
    Indented,
    /// No white space
    Compact,
    /// No white space and sorted names, as upstream's SDKs
    Normalized,
}

impl Build {
    pub(super) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let document = match &self.file {
            None => project::required(context.connect.project())?.resolve()?.compose,
            Some(file) => {
                let builder = self.made.builder(files::read_text(file)?)?;
                let layout = match self.made.layout {
                    LayoutChoice::Indented => Layout::Indented(4),
                    LayoutChoice::Compact => Layout::Compact,
                    LayoutChoice::Normalized => Layout::Normalized,
                };
                builder
                    .build(self.made.dstack, layout)
                    .map_err(|error| CliError::new(ExitCode::Usage, error).context(file.display()))?
            }
        };
        super::write(&document, self.output.as_ref(), context)
    }
}

impl Made {
    fn builder(&self, text: String) -> Result<AppComposeBuilder, CliError> {
        let name = self
            .name
            .as_deref()
            .ok_or_else(|| CliError::usage("the app needs a name").hint("`--name NAME`"))?;
        if text.trim().is_empty() {
            return Err(CliError::usage("the file is empty"));
        }
        let mut builder = match self.runner {
            Runner::DockerCompose => AppComposeBuilder::docker_compose(name, text),
            Runner::NerdctlCompose => AppComposeBuilder::nerdctl_compose(name, text),
            Runner::Bash => AppComposeBuilder::bash(name, text),
        };
        builder = builder
            .key_provider(match self.key_provider {
                Keys::None => KeyProvider::None,
                Keys::Kms => KeyProvider::Kms,
                Keys::Local => KeyProvider::Local,
                Keys::Tpm => KeyProvider::Tpm,
            })
            .gateway(self.gateway)
            .public_logs(self.public_logs)
            .public_sysinfo(self.public_sysinfo)
            .public_tcbinfo(!self.no_public_tcbinfo)
            .allowed_envs(self.allowed()?)
            .no_instance_id(self.no_instance_id)
            .secure_time(self.secure_time)
            .event_log_version(if self.event_log_version == 2 {
                EventLogVersion::V2
            } else {
                EventLogVersion::V1
            });
        if let Some(id) = &self.key_provider_id {
            let bytes = hex::decode(id.trim_start_matches("0x"))
                .map_err(|error| CliError::new(ExitCode::Usage, error).context("--key-provider-id"))?;
            builder = builder.key_provider_id(bytes);
        }
        if let Some(swap) = &self.swap {
            let bytes = parse_size(swap, self.dstack)
                .map_err(|error| CliError::new(ExitCode::Usage, error).context("--swap"))?;
            builder = builder.swap_size(bytes);
        }
        if let Some(name) = &self.storage_fs {
            builder = builder.storage_fs(name);
        }
        if let Some(path) = &self.pre_launch_script {
            builder = builder.pre_launch_script(files::read_text(path)?);
        }
        for path in &self.init_script {
            builder = builder.init_script(files::read_text(path)?);
        }
        Ok(builder)
    }

    fn allowed(&self) -> Result<Vec<String>, CliError> {
        let mut names = self.allow_env.clone();
        if let Some(path) = &self.env_file {
            let file = EnvFile::parse(&files::read_secret(path)?)
                .map_err(|error| CliError::hinted(ExitCode::Usage, error).context(path.display()))?;
            names.extend(file.environment.names().map(str::to_owned));
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }
}
