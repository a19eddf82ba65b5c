//! `images`: guest images of a host and of its registry.

use std::time::{Duration, Instant};

use clap::Subcommand;
use cli_support::{CliError, ExitCode, Table};
use dstack_vmm_client::client::VmmApi;

use crate::context::{Context, Run};
use crate::failure::IntoCli;

/// How often a pull is looked at.
const PULL_POLL: Duration = Duration::from_secs(2);

/// Arguments of `images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Images {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Images on the host (what `images` alone does)
    Ls,
    /// Images in the registry of the host
    Registry,
    /// Pull an image from the registry onto the host
    Pull {
        /// Tag in the registry
        tag: String,
        /// How long to wait at most, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
        wait_timeout: u64,
    },
    /// Delete an image that no VM uses
    Rm {
        /// Name of the image
        name: String,
    },
}

impl Run for Images {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let host = context.one()?.client;
        match self.command.unwrap_or(Command::Ls) {
            Command::Ls => local(&host, context).await,
            Command::Registry => registry(&host, context).await,
            Command::Pull { tag, wait_timeout } => {
                pull(&host, &tag, Duration::from_secs(wait_timeout), context).await
            }
            Command::Rm { name } => {
                host.delete_image(&name).await.into_cli()?;
                context.progress.note(format_args!("deleted {name}"));
                Ok(ExitCode::Ok)
            }
        }
    }
}

async fn local(host: &dyn VmmApi, context: &mut Context) -> Result<ExitCode, CliError> {
    let images = host.list_images().await.into_cli()?;
    if context.out.is_json() {
        context.out.json(&serde_json::json!({ "schema": "dstack-vmmctl/images/v1", "images": images }))?;
        return Ok(ExitCode::Ok);
    }
    if images.is_empty() {
        context.progress.note(format_args!("{} has no guest image yet", host.endpoint()));
        return Ok(ExitCode::Ok);
    }
    let mut table = Table::new(["NAME", "VERSION", "KIND"]);
    for image in &images {
        let kind = if image.is_dev { "development: allows a login" } else { "production" };
        table.row([image.name.as_str(), image.version.as_str(), kind]);
    }
    context.out.table(&table)?;
    Ok(ExitCode::Ok)
}

async fn registry(host: &dyn VmmApi, context: &mut Context) -> Result<ExitCode, CliError> {
    let images = host.list_registry_images().await.into_cli()?;
    if context.out.is_json() {
        let document = serde_json::json!({ "schema": "dstack-vmmctl/registry-images/v1", "images": images });
        context.out.json(&document)?;
        return Ok(ExitCode::Ok);
    }
    if images.is_empty() {
        context
            .progress
            .note("the registry is empty, or `[image] registry` is not set in the host's vmm.toml");
        return Ok(ExitCode::Ok);
    }
    let mut table = Table::new(["TAG", "ON HOST", "STATE"]);
    for image in &images {
        let state = match (image.pulling, image.error.as_str()) {
            (true, _) => "pulling",
            (false, "") => "",
            (false, error) => error,
        };
        table.row([image.tag.as_str(), if image.local { "yes" } else { "no" }, state]);
    }
    context.out.table(&table)?;
    Ok(ExitCode::Ok)
}

async fn pull(
    host: &dyn VmmApi,
    tag: &str,
    limit: Duration,
    context: &mut Context,
) -> Result<ExitCode, CliError> {
    host.pull_registry_image(tag).await.into_cli()?;
    let step = context.progress.step(format_args!("pulling {tag}"));
    let start = Instant::now();
    loop {
        let images = host.list_registry_images().await.into_cli()?;
        let Some(image) = images.iter().find(|image| image.tag == tag) else {
            step.failed("the registry does not list it");
            return Err(CliError::no(format!("the registry of {} has no tag {tag}", host.endpoint()))
                .hint("`dstack-vmmctl images registry` lists its tags"));
        };
        if !image.error.is_empty() {
            step.failed(&image.error);
            return Err(CliError::no(format!("pulling {tag} failed: {}", image.error)));
        }
        if image.local && !image.pulling {
            step.done("on the host");
            return Ok(ExitCode::Ok);
        }
        if start.elapsed() > limit {
            step.failed("still going on");
            return Err(CliError::no(format!("{tag} was not there after {} s", limit.as_secs()))
                .hint("the host goes on pulling; `dstack-vmmctl images registry` shows how it stands"));
        }
        tokio::time::sleep(PULL_POLL).await;
    }
}
