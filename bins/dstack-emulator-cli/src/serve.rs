//! Running a node until a signal ends it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cli_support::{CliError, ExitCode, Output, ResultExt, SecretSource};
use dstack_emulator::fault::Rule;
use dstack_emulator::{BootProfile, Builder, Emulator, StartError};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::{Layer, VmmConfig};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What the node is made of.
#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// A vmm.toml (or .json) to take settings, run directory and address from
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Version of dstack to play: 0.5 or next
    #[arg(long, value_name = "VERSION", default_value_t = DstackVersion::V0_5, global = true)]
    dstack: DstackVersion,
    /// Where to listen instead of the configured address: unix:PATH or IP:PORT; may be repeated
    #[arg(long, value_name = "ADDRESS", global = true)]
    listen: Vec<Listen>,
    /// Directory of the VMs, which are there again after a restart; without one a temporary directory
    #[arg(long, value_name = "DIR", global = true)]
    run_dir: Option<PathBuf>,
    /// Directory of guest images; without one there are pretended images
    #[arg(long, value_name = "DIR", global = true)]
    image_dir: Option<PathBuf>,
    /// Announce the node by a discovery file in this directory, where `dstack-vmmctl hosts` looks in
    /// $XDG_RUNTIME_DIR/dstack-vmm
    #[arg(long, value_name = "DIR", global = true)]
    discovery_dir: Option<PathBuf>,
    /// Ask for credentials and accept the token in this file, env:NAME, or - for stdin
    #[arg(long, value_name = "SOURCE", global = true)]
    token_file: Option<SecretSource>,
    /// Time between two boot steps of a guest, in milliseconds
    #[arg(long, value_name = "MS", global = true)]
    boot_step: Option<u64>,
    /// How guests boot: ok, no-guest, fail@STEP:ERROR, crash@STEP or hang@STEP; NAME=PROFILE for VMs of one name
    #[arg(long, value_name = "PROFILE", global = true)]
    profile: Vec<Profile>,
    /// Let calls go wrong: METHOD=KIND[:ARGUMENT][*COUNT] with latency, error, status, drop-before, drop-after, cut, slow
    #[arg(long, value_name = "FAULT", global = true)]
    fault: Vec<Rule>,
}

/// An address of `--listen`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listen {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("there is no path after `unix:`".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text
                .strip_prefix("tcp:")
                .unwrap_or(text)
                .parse()
                .map(Self::Tcp)
                .map_err(|_| "expected unix:PATH or IP:PORT".to_owned()),
        }
    }
}

/// A boot profile, for all VMs or for those of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Profile {
    name: Option<String>,
    boot: BootProfile,
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |text: &str| text.parse::<BootProfile>().map_err(|error| error.to_string());
        // An error that a guest is to report may hold a `=` too, so the whole is tried first.
        match (read(text), text.split_once('=')) {
            (Ok(boot), _) => Ok(Self { name: None, boot }),
            (Err(_), Some((name, boot))) => Ok(Self { name: Some(name.to_owned()), boot: read(boot)? }),
            (Err(error), None) => Err(error),
        }
    }
}

/// What stdout says in JSON mode once the node is up.
#[derive(Serialize)]
struct Up<'a> {
    schema: &'static str,
    emulated: bool,
    version: &'static str,
    endpoints: Vec<&'a str>,
    run_dir: String,
}

impl Serve {
    pub(crate) fn run(self, out: &mut Output) -> Result<ExitCode, CliError> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        let builder = self.builder()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::bug)?;
        runtime.block_on(until_signal(builder, out))?;
        Ok(ExitCode::Ok)
    }

    fn builder(self) -> Result<Builder, CliError> {
        let mut builder = Emulator::builder().version(self.dstack);
        if let Some(path) = &self.config {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .exit_with(ExitCode::Unreachable)
                .map_err(|error| error.context(format!("cannot read {name}")))?;
            let (config, findings) =
                VmmConfig::from_layers(&[Layer::by_name(&name, &text)]).exit_with(ExitCode::Usage)?;
            for finding in findings {
                let id = finding.id.as_str();
                tracing::warn!(check = id, observed = finding.observed.as_deref(), "{}", finding.title);
            }
            let home = std::env::home_dir().unwrap_or_default();
            builder = builder.config(&config, &home).map_err(explained)?;
        }
        if let Some(dir) = self.run_dir {
            builder = builder.run_dir(dir);
        }
        if let Some(dir) = self.image_dir {
            builder = builder.image_dir(dir);
        }
        if let Some(dir) = self.discovery_dir {
            builder = builder.discovery_dir(dir);
        }
        if !self.listen.is_empty() {
            builder = builder.no_listeners();
        }
        for listen in self.listen {
            builder = match listen {
                Listen::Unix(path) => builder.listen_unix(path),
                Listen::Tcp(address) => builder.listen_tcp(address.to_string()),
            };
        }
        if let Some(source) = self.token_file {
            let token = source.read().exit_with(ExitCode::Unreachable)?;
            builder = builder.token(token.expose());
        }
        let step = self.boot_step.map(Duration::from_millis);
        let stepped = |boot: BootProfile| match step {
            Some(step) => boot.step_time(step),
            None => boot,
        };
        builder = builder.boot(stepped(BootProfile::new()));
        for profile in self.profile {
            builder = match profile.name {
                Some(name) => builder.boot_named(name, stepped(profile.boot)),
                None => builder.boot(stepped(profile.boot)),
            };
        }
        let faults = dstack_emulator::Faults::new();
        self.fault.into_iter().for_each(|rule| faults.add(rule));
        Ok(builder.faults(faults))
    }
}

/// Runs the node until SIGTERM or SIGINT.
async fn until_signal(builder: Builder, out: &mut Output) -> Result<(), CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::bug)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::bug)?;
    let emulator = builder.start().await.map_err(explained)?;
    banner(&emulator);
    if out.is_json() {
        out.json(&Up {
            schema: "dstack-emulator/up/v1",
            emulated: true,
            version: emulator.version().capabilities().reference,
            endpoints: emulator.endpoints().collect(),
            run_dir: emulator.run_dir().display().to_string(),
        })?;
    } else {
        for endpoint in emulator.endpoints() {
            out.line(endpoint)?;
        }
    }
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "stopping");
    emulator.shutdown();
    Ok(())
}

/// Says on stderr what this is, whatever the log level.
fn banner(emulator: &Emulator) {
    let text = format!(
        "EMULATED dstack node {}: no TEE, its quotes are not signed and its keys protect nothing\n",
        emulator.version().capabilities().reference
    );
    // Where stderr is gone there is nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn explained(error: StartError) -> CliError {
    let hint = match &error {
        StartError::Listen { .. } => {
            Some("--listen names another address; another program may have this one")
        }
        StartError::RunDir { .. } => Some("--run-dir names another directory"),
        StartError::Discovery { .. } => Some("--discovery-dir names another directory"),
        StartError::Address(_) => Some("--listen names another address"),
        _ => None,
    };
    let error = match error {
        StartError::Address(_) => CliError::usage(error),
        _ => CliError::unreachable(error),
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Cli;

    fn serve(arguments: &[&str]) -> Serve {
        let arguments = std::iter::once(&"dstack-emulator").chain(arguments);
        Cli::try_parse_from(arguments).unwrap().serve
    }

    #[test]
    fn options_stand_before_and_after_the_command() {
        let before = serve(&["--config", "/etc/dstack/vmm.toml", "serve"]);
        let after = serve(&["serve", "-c", "/etc/dstack/vmm.toml"]);
        assert_eq!(before.config, after.config);
        assert_eq!(serve(&["--dstack", "next"]).dstack, DstackVersion::Next);
    }

    #[test]
    fn addresses_and_profiles_are_read() {
        let serve = serve(&[
            "--listen",
            "unix:/run/x.sock",
            "--listen",
            "127.0.0.1:0",
            "--profile",
            "crash@done",
            "--profile",
            "bad=fail@pre-launch:a=b",
        ]);
        assert_eq!(serve.listen[0], Listen::Unix("/run/x.sock".into()));
        assert!(matches!(serve.listen[1], Listen::Tcp(_)));
        assert_eq!(serve.profile[0].name, None);
        assert_eq!(serve.profile[1].name.as_deref(), Some("bad"));
        assert_eq!(serve.profile[1].boot, BootProfile::fails_at("pre-launch", "a=b"));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_form() {
        let refused = |arguments: &[&str]| {
            let arguments = std::iter::once(&"dstack-emulator").chain(arguments);
            Cli::try_parse_from(arguments).unwrap_err().to_string()
        };
        insta::assert_snapshot!(
            [
                refused(&["--listen", "localhost:80"]),
                refused(&["--profile", "crash@lunch"]),
                refused(&["--fault", "CreateVm=explode"]),
                refused(&["--dstack", "0.4"]),
            ]
            .join("\n")
        );
    }
}
