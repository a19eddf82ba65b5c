//! `config`: check and change a vmm.toml.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::Subcommand;
use cli_support::{CliError, ExitCode, Table, atomic};
use dstack_check::Report;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::{self, KEYS, LintContext};

use crate::context::Context;
use crate::files;

/// Arguments of `config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a vmm.toml
    Lint(Lint),
    /// Set one key, keeping comments and order
    Set(Set),
    /// Take one key out, so that its default holds
    Unset(Unset),
    /// List the keys a VMM knows
    Keys,
}

#[derive(Debug, clap::Args)]
struct Lint {
    /// The file
    #[arg(value_name = "FILE", default_value = "/etc/dstack/vmm.toml")]
    file: PathBuf,
    /// Version of the VMM that reads it: 0.5 or next
    #[arg(long, value_name = "VERSION", default_value_t = DstackVersion::V0_5)]
    dstack: DstackVersion,
    /// A folder that the service unit lets the VMM write to; can be given several times
    #[arg(long, value_name = "DIR")]
    writable: Vec<PathBuf>,
    /// Home folder of the user that runs the VMM
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The key with its table, such as cvm.port_mapping.enabled
    #[arg(value_name = "KEY")]
    key: String,
    /// The value, as TOML or as plain text for a string
    #[arg(value_name = "VALUE")]
    value: String,
    /// Show the change without writing it
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct Unset {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The key with its table
    #[arg(value_name = "KEY")]
    key: String,
    /// Show the change without writing it
    #[arg(long)]
    dry_run: bool,
}

impl Config {
    pub(crate) fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Lint(command) => command.run(context),
            Command::Set(command) => command.run(context),
            Command::Unset(command) => command.run(context),
            Command::Keys => keys(context),
        }
    }
}

impl Lint {
    fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let text = files::read_text(&self.file)?;
        let shown = self.file.display().to_string();
        let mut about = LintContext::new(self.dstack).config_path(shown.as_str());
        if let Ok(meta) = std::fs::metadata(&self.file) {
            about = about.file_mode(meta.permissions().mode() & 0o7777);
        }
        if !self.writable.is_empty() {
            about = about.unit_writable_paths(self.writable);
        }
        if let Some(home) = self.home {
            about = about.home(home);
        }
        let report = Report::new(shown, config::lint(&text, &about))
            .with_meta("dstack", self.dstack.to_string());
        context.out.report(&report)
    }
}
