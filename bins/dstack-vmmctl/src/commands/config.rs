//! `config`: check and change a vmm.toml.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use cli_support::{CliError, ExitCode, SecretSource, Table, atomic};
use dstack_check::Report;
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::config::{self, ConfigValue, EditError, Edited, KEYS, LintContext};
use serde::Serialize;
use zeroize::Zeroizing;

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
    /// The value: true, 1000, https://kms.example.com, a list as a,b, port ranges as tcp:1-20000,udp:9202
    #[arg(value_name = "VALUE", required_unless_present = "from", conflicts_with = "from")]
    value: Option<String>,
    /// Read the value from a file, env:NAME, or - for stdin: for secrets such as auth.tokens
    #[arg(long, value_name = "SOURCE")]
    from: Option<SecretSource>,
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
        let report =
            Report::new(shown, config::lint(&text, &about)).with_meta("dstack", self.dstack.to_string());
        context.out.report(&report)
    }
}

/// Reads the value as the key takes it. The value of a secret key comes from a file, the environment or stdin, since
/// every user of a machine can read command lines.
fn value(key: &str, text: Option<String>, from: Option<&SecretSource>) -> Result<ConfigValue, CliError> {
    let known = config::key_def(key).ok_or_else(|| unknown_key(key))?;
    let text = match (text, from) {
        (Some(_), None) if known.secret => {
            return Err(CliError::usage(format!(
                "the value of {key} is a secret, and command lines can be read by others"
            ))
            .hint("`--from FILE`, `--from env:NAME` or `--from -` gives it"));
        }
        (Some(text), None) => Zeroizing::new(text),
        (None, Some(source)) => {
            let secret = source.read().map_err(|error| CliError::hinted(ExitCode::Usage, error))?;
            Zeroizing::new(secret.expose().to_owned())
        }
        // clap lets exactly one of the two through.
        _ => return Err(CliError::usage("a value is missing")),
    };
    ConfigValue::parse_for(known, &text).map_err(edit_error)
}

fn unknown_key(key: &str) -> CliError {
    let error = CliError::usage(format!("no VMM reads the key {key}"));
    let nearest = config::nearest_keys(key);
    if nearest.is_empty() {
        error.hint("`dstack-vmmctl config keys` lists them")
    } else {
        error.hint(format!("perhaps {}", nearest.join(" or ")))
    }
}

fn edit_error(error: EditError) -> CliError {
    match error {
        EditError::UnknownKey { path, .. } => unknown_key(&path),
        other => CliError::new(ExitCode::Usage, other),
    }
}

impl Set {
    fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let value = value(&self.key, self.value, self.from.as_ref())?;
        let text = files::read_text(&self.file)?;
        let edited = config::set(&text, &self.key, &value)
            .map_err(edit_error)
            .map_err(|e| e.context(self.file.display()))?;
        finish(&self.file, &self.key, &edited, self.dry_run, context)
    }
}

impl Unset {
    fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let text = files::read_text(&self.file)?;
        let edited = config::unset(&text, &self.key)
            .map_err(edit_error)
            .map_err(|e| e.context(self.file.display()))?;
        finish(&self.file, &self.key, &edited, self.dry_run, context)
    }
}

/// Writes the new text and says what changed.
fn finish(
    file: &Path,
    key: &str,
    edited: &Edited,
    dry_run: bool,
    context: &mut Context,
) -> Result<ExitCode, CliError> {
    let written = edited.changed && !dry_run;
    if written {
        // The rights stay as they are: the user of the VMM has to be able to read it.
        atomic::write(file, edited.text.as_bytes(), atomic::Mode::Keep(0o640))
            .map_err(CliError::unreachable)?;
    }
    if context.out.is_json() {
        let document = serde_json::json!({
            "schema": "dstack-vmmctl/config-change/v1",
            "file": file.display().to_string(),
            "key": key,
            "before": edited.before,
            "after": edited.after,
            "changed": edited.changed,
            "written": written,
        });
        context.out.json(&document)?;
        return Ok(ExitCode::Ok);
    }
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    if !edited.changed {
        context.progress.note(format_args!("{key} is {} already", word(&edited.after)));
        return Ok(ExitCode::Ok);
    }
    context.out.line(format_args!("{key}: {} -> {}", word(&edited.before), word(&edited.after)))?;
    if dry_run {
        context.progress.note(format_args!("{} was not written", file.display()));
    } else {
        context.progress.note("the VMM reads its file when it starts: `systemctl restart dstack-vmm`");
    }
    Ok(ExitCode::Ok)
}

/// A key as `--json` lists it.
#[derive(Serialize)]
struct Key {
    key: &'static str,
    takes: String,
    default: Option<String>,
    versions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<&'static str>,
    secret: bool,
    meaning: &'static str,
}

fn keys(context: &mut Context) -> Result<ExitCode, CliError> {
    let keys: Vec<Key> = KEYS
        .iter()
        .map(|key| Key {
            key: key.path,
            takes: key.kind.to_string(),
            default: ConfigValue::default_of(key).map(|value| value.to_string()),
            versions: DstackVersion::ALL
                .iter()
                .filter(|version| key.is_read_by(**version))
                .map(ToString::to_string)
                .collect(),
            replaced_by: key.replaced_by,
            secret: key.secret,
            meaning: key.doc,
        })
        .collect();
    if context.out.is_json() {
        context.out.json(&serde_json::json!({ "schema": "dstack-vmmctl/config-keys/v1", "keys": keys }))?;
        return Ok(ExitCode::Ok);
    }
    let mut table = Table::new(["KEY", "DEFAULT", "VERSIONS", "MEANING"]);
    for key in &keys {
        let meaning = match key.replaced_by {
            Some(new) => format!("old name of {new}"),
            None => key.meaning.to_owned(),
        };
        let default = key.default.as_deref().unwrap_or("");
        table.row([key.key, default, &key.versions.join(", "), &meaning]);
    }
    context.out.table(&table)?;
    Ok(ExitCode::Ok)
}
