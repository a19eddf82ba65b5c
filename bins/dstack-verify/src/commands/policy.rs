//! `policy`: write, check and show policy files.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use cli_support::{CliError, ExitCode};
use dstack_attestation::Policy as Required;
use serde::Serialize;

use crate::context::{Context, Run};
use crate::{files, policy_file};

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a policy file to start from, with every key explained
    Init(Init),
    /// Is this file a policy?
    Check(Check),
    /// Show what a policy file requires, with the app-composes it names as hashes
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// The file to write, or - for standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The policy file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The policy file, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    file: String,
    /// The policy as TOML, with nothing named by path.
    policy: String,
}

impl Run for Policy {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Init(command) => command.run(context),
            Command::Check(command) => command.run(context),
            Command::Show(command) => command.run(context),
        }
    }
}

impl Init {
    fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        if self.file == Path::new("-") {
            context.out.text(Required::TEMPLATE)?;
            return Ok(ExitCode::Ok);
        }
        if self.file.exists() && !self.force {
            let named = files::named(&self.file);
            return Err(CliError::usage(format!("{named} is there already")).hint("`--force` writes over it"));
        }
        files::write(&self.file, Required::TEMPLATE)?;
        context.progress.note(format_args!("wrote {}", files::named(&self.file)));
        Ok(ExitCode::Ok)
    }
}

impl Check {
    fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let policy = policy_file::read(&self.file)?;
        if context.out.is_json() {
            context.out.json(&shown(&self.file, &policy))?;
        } else {
            context.out.line(format_args!("{} is a policy", files::named(&self.file)))?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Show {
    fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let policy = policy_file::read(&self.file)?;
        if context.out.is_json() {
            context.out.json(&shown(&self.file, &policy))?;
        } else {
            context.out.text(&policy.to_toml())?;
        }
        Ok(ExitCode::Ok)
    }
}

fn shown(file: &Path, policy: &Required) -> Shown {
    Shown { schema: "dstack-verify/policy/v1", file: files::named(file), policy: policy.to_toml() }
}
