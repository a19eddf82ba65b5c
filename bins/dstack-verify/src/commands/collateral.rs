//! `collateral`: Intel's word on a platform, as a file.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Subcommand;
use cli_support::{CliError, ExitCode};
use dstack_attestation::quote::Collateral as Read;
use serde::Serialize;

use crate::context::{Context, Run};
use crate::given::time_text;
use crate::judge::read_collateral;
use crate::{evidence, files, live};

/// Arguments of `collateral`.
#[derive(Debug, clap::Args)]
pub(crate) struct Collateral {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch the collateral for the platform of a quote from a PCCS
    Fetch(Fetch),
    /// Show for which platform a file of collateral is, and until when
    Show(Show),
}

#[derive(Debug, clap::Args)]
struct Fetch {
    /// The quote, or a document with one in it; - for standard input
    #[arg(value_name = "QUOTE")]
    quote: PathBuf,
    /// The PCCS: https://pccs.example.com, or Intel's own https://api.trustedservices.intel.com
    #[arg(long, value_name = "URL")]
    pccs: String,
    /// Believe the PCCS of this authority (PEM) instead of those the machine believes
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The file to write, or - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The collateral, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Shown {
    schema: &'static str,
    file: String,
    fmspc: String,
    issued: String,
    next_update: String,
    /// Whether a part of it is expired now.
    expired: bool,
}

impl Run for Collateral {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Fetch(command) => command.run(context).await,
            Command::Show(command) => command.run(context),
        }
    }
}

impl Fetch {
    async fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let bytes = files::read(&self.quote)?;
        let quote =
            evidence::quote_of_bytes(&bytes).map_err(|error| error.context(files::named(&self.quote)))?;
        let ca = self.ca_file.as_deref().map(files::read).transpose()?;
        let transport = live::transport(ca.as_deref())?;
        let collateral = live::collateral(&quote, &self.pccs, &transport, context).await?;
        let text = collateral.to_json();
        if self.output == Path::new("-") {
            context.out.text(&text)?;
            return Ok(ExitCode::Ok);
        }
        files::write(&self.output, &text)?;
        let shown = Shown::of(&self.output, &collateral);
        if context.out.is_json() {
            context.out.json(&shown)?;
        } else {
            shown.show(context)?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Show {
    fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let shown = Shown::of(&self.file, &read_collateral(&self.file)?);
        if context.out.is_json() {
            context.out.json(&shown)?;
        } else {
            shown.show(context)?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Shown {
    fn of(file: &Path, collateral: &Read) -> Self {
        Self {
            schema: "dstack-verify/collateral/v1",
            file: files::named(file),
            fmspc: collateral.fmspc().to_string(),
            issued: time_text(collateral.issued()),
            next_update: time_text(collateral.next_update()),
            expired: collateral.next_update() < SystemTime::now(),
        }
    }

    fn show(&self, context: &mut Context) -> Result<(), CliError> {
        context
            .out
            .line(format_args!("{}: collateral for platforms with FMSPC {}", self.file, self.fmspc))?;
        context.out.line(format_args!("  issued {}", self.issued))?;
        let expired = if self.expired { ", which is over: fetch it again" } else { "" };
        context.out.line(format_args!("  good until {}{expired}", self.next_update))
    }
}
