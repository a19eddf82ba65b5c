//! `update`: a VM is changed without a project file, all at once.

use std::path::{Path, PathBuf};

use cli_support::{CliError, ExitCode};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::{AppComposeDocument, EditError, parse_size};
use dstack_vmm_client::deploy::{Desired, DesiredEnv, GpuSelection, PortSpec, Store, VmChoice};
use dstack_vmm_client::env::{EnvFile, SignerKey, check_allowed, check_limits};

use crate::context::{Context, Run};
use crate::rollout::{ApplyFlags, Job, PlanFlags, Rollout};
use crate::{files, vm_ref};

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is not named stays as it is. All changes go to the VMM in one call and are read back afterwards."
)]
pub(crate) struct Update {
    /// VM by name, id, or the beginning of an id
    #[arg(value_name = "VM")]
    vm: String,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    flags: PlanFlags,
    #[command(flatten)]
    apply: ApplyFlags,
}

/// What becomes different.
#[derive(Debug, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Changes")]
struct Changes {
    /// New Compose file or script; the rest of the app-compose stays byte for byte
    #[arg(long, value_name = "FILE", conflicts_with = "app_compose")]
    compose: Option<PathBuf>,
    /// New app-compose, whole and byte for byte
    #[arg(long, value_name = "FILE")]
    app_compose: Option<PathBuf>,
    /// New environment: replaces all of the old one, sealed to a key of the KMS
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Make allowed_envs of the app-compose the names of the environment file
    #[arg(long, requires = "env_file")]
    refresh_allowed_envs: bool,
    /// Public key of a KMS that may sign the key for the environment, 66 hex digits; can be given several times
    #[arg(long = "signer", value_name = "KEY", requires = "env_file")]
    signers: Vec<SignerKey>,
    /// Accept a signature that does not say when it was made
    #[arg(long, requires = "env_file")]
    legacy_signature: bool,
    /// New user config, handed to the guest as it is, not sealed and not measured
    #[arg(long, value_name = "FILE")]
    user_config: Option<PathBuf>,
    /// Guest image
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Virtual CPUs
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    vcpu: Option<u32>,
    /// Memory: MiB, or with a unit as in 4G
    #[arg(long, value_name = "SIZE", value_parser = mib)]
    memory: Option<u32>,
    /// Disk: GiB, or with a unit as in 40G; it can only grow
    #[arg(long, value_name = "SIZE", value_parser = gib)]
    disk: Option<u32>,
    /// All ports to publish, as in tcp:8080:80 or tcp:[::1]:8443:443; can be given several times
    #[arg(short, long = "port", value_name = "PORT", conflicts_with = "no_ports")]
    ports: Vec<PortSpec>,
    /// Publish no port any more
    #[arg(long)]
    no_ports: bool,
    /// GPUs: all, none, or PCI addresses separated by commas
    #[arg(long, value_name = "GPUS", value_parser = gpus)]
    gpus: Option<GpuSelection>,
    /// KMS URL for the guest; can be given several times
    #[arg(long = "kms-url", value_name = "URL")]
    kms_urls: Vec<String>,
    /// Gateway URL for the guest; can be given several times
    #[arg(long = "gateway-url", value_name = "URL")]
    gateway_urls: Vec<String>,
}

fn mib(text: &str) -> Result<u32, String> {
    units(text, 1 << 20, "MiB")
}

fn gib(text: &str) -> Result<u32, String> {
    units(text, 1 << 30, "GiB")
}

/// A number of units, plain or as a size of whole units.
fn units(text: &str, unit: u64, name: &str) -> Result<u32, String> {
    let count = match text.parse::<u64>() {
        Ok(count) => count,
        Err(_) => {
            let bytes = parse_size(text, DstackVersion::Next).map_err(|error| error.to_string())?;
            if bytes % unit != 0 {
                return Err(format!("it is no whole number of {name}"));
            }
            bytes / unit
        }
    };
    u32::try_from(count)
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("it is no number of {name} a VM can have"))
}

fn gpus(text: &str) -> Result<GpuSelection, String> {
    match text {
        "all" => Ok(GpuSelection::All),
        "none" => Ok(GpuSelection::Listed(Vec::new())),
        _ => {
            let slots: Vec<String> = text.split(',').map(|slot| slot.trim().to_owned()).collect();
            let plain = |slot: &String| {
                !slot.is_empty() && slot.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c))
            };
            if slots.iter().all(plain) {
                Ok(GpuSelection::Listed(slots))
            } else {
                Err("expected all, none, or PCI addresses such as 18:00.0".to_owned())
            }
        }
    }
}

impl Run for Update {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        if self.changes == Changes::default() {
            return Err(CliError::usage("nothing is named that should change")
                .hint("`dstack-vmmctl update --help` lists what can"));
        }
        let host = context.one()?;
        let vm = vm_ref::resolve(&host.client, &self.vm).await?;
        let Some(configuration) = vm.configuration.as_ref().filter(|has| !has.compose_file.is_empty()) else {
            return Err(CliError::conflict(format!(
                "the VM {} cannot be changed: it is {}",
                vm.id, vm.status
            )));
        };
        let desired = Desired::of_vm(configuration)
            .map_err(|error| CliError::no(error).context(format_args!("the app-compose of {}", vm.name)))?;
        let desired = self.changes.change(desired)?;
        let options = self.flags.options(&host, VmChoice::Vm(vm.id.clone()))?;
        let store = Store::new(state_dir()?.join(&vm.id));
        let job = Job { host, desired, options, notes: Vec::new() };
        let rollout = Rollout {
            command: "update",
            store: &store,
            authorizer: None,
            jobs: vec![job],
            one_by_one: false,
        };
        rollout.run(&self.apply, context).await
    }
}

/// Where what was changed without a project is noted, so that a run that was broken off is finished by the next.
fn state_dir() -> Result<PathBuf, CliError> {
    let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = given.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    base.map(|base| base.join("dstack-vmmctl")).ok_or_else(|| {
        CliError::usage("there is no home directory")
            .hint("set XDG_STATE_HOME to a directory for notes about changes")
    })
}

impl Changes {
    fn change(&self, mut desired: Desired) -> Result<Desired, CliError> {
        if let Some(path) = &self.app_compose {
            desired.compose = app_compose(path)?;
        }
        if let Some(path) = &self.compose {
            desired.compose = with_inner(&desired.compose, path)?;
        }
        if let Some(path) = &self.env_file {
            self.environment(path, &mut desired)?;
        }
        if let Some(path) = &self.user_config {
            desired.user_config = Some(files::read_text(path)?);
        }
        if let Some(image) = &self.image {
            desired.image.clone_from(image);
        }
        desired.vcpu = self.vcpu.unwrap_or(desired.vcpu);
        desired.memory_mib = self.memory.unwrap_or(desired.memory_mib);
        desired.disk_gib = self.disk.unwrap_or(desired.disk_gib);
        if self.no_ports || !self.ports.is_empty() {
            for (at, port) in self.ports.iter().enumerate() {
                if let Some(other) = self.ports[..at].iter().find(|other| other.clashes_with(port, None)) {
                    return Err(CliError::usage(format!("{port} takes the host port of {other}")));
                }
            }
            desired.ports.clone_from(&self.ports);
        }
        if self.gpus.is_some() {
            desired.gpus.clone_from(&self.gpus);
        }
        if !self.kms_urls.is_empty() {
            desired.kms_urls = Some(self.kms_urls.clone());
        }
        if !self.gateway_urls.is_empty() {
            desired.gateway_urls = Some(self.gateway_urls.clone());
        }
        Ok(desired)
    }

    fn environment(&self, path: &Path, desired: &mut Desired) -> Result<(), CliError> {
        let named = |error: CliError| error.context(path.display());
        let file = EnvFile::parse(&files::read_secret(path)?)
            .map_err(|error| named(CliError::hinted(ExitCode::Usage, error)))?;
        check_limits(&file.environment).map_err(|error| named(CliError::hinted(ExitCode::Usage, error)))?;
        if self.refresh_allowed_envs {
            desired.compose = desired.compose.set_allowed_envs(file.environment.names()).map_err(edit)?;
        }
        let allowed = check_allowed(file.environment.names(), &desired.compose.fields().allowed_envs).map_err(|error| {
            named(CliError::hinted(ExitCode::Usage, error))
                .hint("`--refresh-allowed-envs` makes allowed_envs the names of the file; the compose hash changes with it")
        })?;
        desired.env_without_value = allowed.without_value;
        desired.env_notes = file.notes;
        desired.env = DesiredEnv::Set(file.environment);
        desired.signers.clone_from(&self.signers);
        desired.legacy_signature = self.legacy_signature;
        Ok(())
    }
}

/// A ready-made app-compose.
fn app_compose(path: &Path) -> Result<AppComposeDocument, CliError> {
    AppComposeDocument::from_bytes(files::read(path)?).map_err(|error| {
        CliError::new(ExitCode::Usage, error)
            .context(path.display())
            .hint("an app-compose is JSON; `--compose` takes the Compose file that is in it")
    })
}

/// The document with another Compose file or script in it, and every other byte as it was.
fn with_inner(document: &AppComposeDocument, path: &Path) -> Result<AppComposeDocument, CliError> {
    let text = files::read_text(path)?;
    if text.trim().is_empty() {
        return Err(CliError::usage(format!("{} is empty", path.display())));
    }
    // Compose files can be JSON, too; but not with these members.
    let whole = serde_json::from_str::<serde_json::Value>(&text)
        .is_ok_and(|value| value.get("manifest_version").is_some() && value.get("runner").is_some());
    if whole {
        return Err(CliError::usage(format!(
            "{} is an app-compose and not the Compose file in it",
            path.display()
        ))
        .hint("`--app-compose` takes an app-compose"));
    }
    if document.fields().bash_script.is_some() {
        document.set("bash_script", &text.into()).map_err(edit)
    } else {
        document.set_docker_compose_file(&text).map_err(edit)
    }
}

fn edit(error: EditError) -> CliError {
    CliError::new(ExitCode::Usage, error).context("the app-compose of the VM")
}
