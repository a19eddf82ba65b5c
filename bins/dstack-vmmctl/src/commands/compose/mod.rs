//! `compose`: app-compose documents, their bytes and their hash.

mod build;
mod source;

use std::path::PathBuf;

use clap::Subcommand;
use cli_support::{CliError, ExitCode, Output, atomic};
use dstack_check::Report;
use dstack_check::text::neutralise_line;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::{AppComposeDocument, lint_file};
use dstack_vmm_client::deploy::diff::{LineChange, LineDiff};
use dstack_vmm_client::ids::AppId;

use crate::context::{Context, Run};
use source::Source;

/// Arguments of `compose`.
#[derive(Debug, clap::Args)]
pub(crate) struct Compose {
    #[command(subcommand)]
    command: Command,
}

const SOURCES: &str = "An app-compose is named as a file, as - for stdin, as vm:NAME for that of a VM, or as project for the one \
                       that dstack.toml makes.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make an app-compose from a Compose file, or from dstack.toml
    Build(Box<build::Build>),
    /// Print the compose hash and the app id that follows from it
    #[command(after_help = SOURCES)]
    Hash(Hash),
    /// Print an app-compose, byte for byte
    #[command(after_help = SOURCES)]
    Show(Show),
    /// Compare two app-composes; exit code 1 when they differ
    #[command(after_help = SOURCES)]
    Diff(Diff),
    /// Check an app-compose for what a VMM, a guest or an operator will trip over
    #[command(after_help = SOURCES)]
    Lint(Lint),
}

#[derive(Debug, clap::Args)]
struct Hash {
    /// The app-compose
    #[arg(value_name = "SOURCE", default_value = "project")]
    source: Source,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The app-compose
    #[arg(value_name = "SOURCE", default_value = "project")]
    source: Source,
    /// Print the Compose file or the script that is in it instead
    #[arg(long)]
    inner: bool,
}

#[derive(Debug, clap::Args)]
struct Diff {
    /// The old app-compose
    #[arg(value_name = "OLD")]
    old: Source,
    /// The new app-compose
    #[arg(value_name = "NEW", default_value = "project")]
    new: Source,
}

#[derive(Debug, clap::Args)]
struct Lint {
    /// The app-compose
    #[arg(value_name = "SOURCE", default_value = "project")]
    source: Source,
    /// Version of dstack that is to run it: 0.5 or next
    #[arg(long, value_name = "VERSION", default_value_t = DstackVersion::V0_5)]
    dstack: DstackVersion,
}

impl Run for Compose {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Build(command) => command.run(context),
            Command::Hash(command) => command.run(context).await,
            Command::Show(command) => command.run(context).await,
            Command::Diff(command) => command.run(context).await,
            Command::Lint(command) => command.run(context).await,
        }
    }
}

impl Hash {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let document = self.source.document(context).await?;
        for unknown in document.unknown_fields() {
            context.progress.warning(format_args!(
                "{}: no version of dstack reads it; it is hashed all the same",
                unknown.path
            ));
        }
        let hash = document.hash();
        let app_id = AppId::from_compose_hash(&hash);
        if context.out.is_json() {
            let json = serde_json::json!({
                "schema": "dstack-vmmctl/compose-hash/v1",
                "source": self.source.to_string(),
                "compose_hash": hash.to_string(),
                "app_id": app_id.to_string(),
                "bytes": document.bytes().len(),
            });
            context.out.json(&json)?;
        } else {
            context.out.line(format_args!("compose hash  {hash}"))?;
            context.out.line(format_args!("app id        {app_id}  (unless the VM was given another)"))?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Show {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let bytes = self.source.bytes(context).await?;
        let shown = if self.inner {
            let document = self.source.read(bytes)?;
            let fields = document.fields();
            let inner = fields.docker_compose_file.as_ref().or(fields.bash_script.as_ref());
            let inner = inner.ok_or_else(|| {
                CliError::no(format!("{} has neither a Compose file nor a script", self.source))
            })?;
            inner.clone().into_bytes()
        } else {
            bytes
        };
        if context.out.is_json() {
            let json = serde_json::json!({
                "schema": "dstack-vmmctl/compose-show/v1",
                "source": self.source.to_string(),
                "text": String::from_utf8_lossy(&shown),
            });
            context.out.json(&json)?;
        } else {
            context.out.bytes(&shown)?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Lint {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let bytes = self.source.bytes(context).await?;
        let name = self.source.to_string();
        let report = Report::new(name.clone(), lint_file(&name, &bytes, self.dstack))
            .with_meta("dstack", self.dstack.to_string());
        context.out.report(&report)
    }
}

impl Diff {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let old = self.old.bytes(context).await?;
        let new = self.new.bytes(context).await?;
        let (old, new) = (self.old.read(old)?, self.new.read(new)?);
        let same = old.bytes() == new.bytes();
        let parts = compare(&old, &new);
        if context.out.is_json() {
            let json = serde_json::json!({
                "schema": "dstack-vmmctl/compose-diff/v1",
                "old": { "source": self.old.to_string(), "compose_hash": old.hash().to_string() },
                "new": { "source": self.new.to_string(), "compose_hash": new.hash().to_string() },
                "same": same,
                "parts": parts.iter().map(|(name, diff)| serde_json::json!({ "path": name, "hunks": diff })).collect::<Vec<_>>(),
            });
            context.out.json(&json)?;
        } else if same {
            context.progress.note(format_args!("the same bytes; compose hash {}", old.hash()));
        } else {
            context.out.line(format_args!("- {}  {}", old.hash(), self.old))?;
            context.out.line(format_args!("+ {}  {}", new.hash(), self.new))?;
            if parts.is_empty() {
                context.out.line(
                    "the documents say the same in other bytes (white space or order), so the hash differs",
                )?;
            }
            for (name, diff) in &parts {
                show(name, diff, &mut context.out)?;
            }
        }
        Ok(if same { ExitCode::Ok } else { ExitCode::No })
    }
}

/// The texts inside line by line, and everything else as one text of a member a line.
fn compare(old: &AppComposeDocument, new: &AppComposeDocument) -> Vec<(&'static str, LineDiff)> {
    const TEXTS: [&str; 4] = ["docker_compose_file", "bash_script", "pre_launch_script", "init_script"];
    let value = |document: &AppComposeDocument| -> serde_json::Value {
        // It was read as a document, so it is JSON.
        sorted(serde_json::from_slice(document.bytes()).unwrap_or_default())
    };
    let (mut old, mut new) = (value(old), value(new));
    let mut parts = Vec::new();
    let take = |value: &mut serde_json::Value, name: &str| -> Option<String> {
        let text = value.as_object_mut()?.get(name)?.as_str()?.to_owned();
        value.as_object_mut()?.remove(name);
        Some(text)
    };
    let mut texts = Vec::new();
    for name in TEXTS {
        let (old, new) = (take(&mut old, name), take(&mut new, name));
        texts.push((name, LineDiff::new(&old.unwrap_or_default(), &new.unwrap_or_default())));
    }
    let lines = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    parts.push(("app-compose", LineDiff::new(&lines(&old), &lines(&new))));
    parts.extend(texts);
    parts.retain(|(_, diff)| !diff.is_empty());
    parts
}

/// The value with the members of every object by name: their order is no difference but one of bytes.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            serde_json::Value::Object(members.into_iter().collect())
        }
        serde_json::Value::Array(items) => serde_json::Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// One part in the form of a unified diff.
fn show(name: &str, diff: &LineDiff, out: &mut Output) -> Result<(), CliError> {
    let colour = out.style().colour;
    out.line(format_args!("\n{name} (+{} -{})", diff.added(), diff.removed()))?;
    for hunk in diff.hunks(3) {
        let (old, new) = ((hunk.old_start, hunk.old_lines), (hunk.new_start, hunk.new_lines));
        out.line(format_args!("@@ -{},{} +{},{} @@", old.0, old.1, new.0, new.1))?;
        for line in &hunk.lines {
            let look = match line.change {
                _ if !colour => anstyle::Style::new(),
                LineChange::Added => anstyle::AnsiColor::Green.on_default(),
                LineChange::Removed => anstyle::AnsiColor::Red.on_default(),
                _ => anstyle::Style::new(),
            };
            let (text, end) = match line.text.strip_suffix('\n') {
                Some(text) => (text, ""),
                None => (line.text.as_str(), " (no line end)"),
            };
            out.line(format_args!("{look}{}{}{look:#}{end}", line.change.mark(), neutralise_line(text)))?;
        }
    }
    Ok(())
}

/// Writes a document where it was asked for, and says what it is.
fn write(
    document: &AppComposeDocument,
    output: Option<&PathBuf>,
    context: &mut Context,
) -> Result<ExitCode, CliError> {
    let hash = document.hash();
    let app_id = AppId::from_compose_hash(&hash);
    if let Some(path) = output {
        atomic::write(path, document.bytes(), atomic::Mode::Keep(0o644)).map_err(CliError::unreachable)?;
    }
    if context.out.is_json() {
        let json = serde_json::json!({
            "schema": "dstack-vmmctl/compose-build/v1",
            "compose_hash": hash.to_string(),
            "app_id": app_id.to_string(),
            "file": output.map(|path| path.display().to_string()),
            "app_compose": document.text(),
        });
        context.out.json(&json)?;
        return Ok(ExitCode::Ok);
    }
    match output {
        Some(path) => context.progress.note(format_args!(
            "wrote {} bytes to {}",
            document.bytes().len(),
            path.display()
        )),
        // Not a byte more than is hashed: what is piped on has the same hash.
        None => context.out.bytes(document.bytes())?,
    }
    context.progress.note(format_args!("compose hash {hash}, app id {app_id}"));
    Ok(ExitCode::Ok)
}
