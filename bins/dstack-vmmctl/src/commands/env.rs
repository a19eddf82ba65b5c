//! `env`: check an environment, seal it, show the key it is sealed to.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use cli_support::{CliError, ExitCode, atomic};
use dstack_check::{CheckDef, Finding, Fix, Report};
use dstack_vmm_client::app_compose::AppComposeDocument;
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::env::{
    EnvFile, SignatureForm, SignaturePolicy, SignerKey, VerifiedKey, check_allowed, check_limits, seal,
    verify_env_key,
};
use dstack_vmm_client::ids::AppId;

use crate::checks::{ENV_ALLOWED, ENV_GRAMMAR, ENV_LIMITS, ENV_SURPRISE};
use crate::context::{Context, Run};
use crate::failure::IntoCli;
use crate::files;

/// Arguments of `env`.
#[derive(Debug, clap::Args)]
pub(crate) struct Env {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check an environment file: grammar, limits, and names against what an app allows
    Check(Check),
    /// Seal an environment file for an app
    Seal(Seal),
    /// Show the key that an app's environment is sealed to, and who signed it
    Key(Key),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// The environment file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// An app-compose; names that its allowed_envs leaves out are failures
    #[arg(long, value_name = "FILE")]
    compose: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Seal {
    /// The environment file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// App id, 40 hex digits
    #[arg(long, value_name = "APP_ID")]
    app_id: AppId,
    /// Where to write the sealed environment as hex; stdout without it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
}

#[derive(Debug, clap::Args)]
struct Key {
    /// App id, 40 hex digits
    #[arg(long, value_name = "APP_ID")]
    app_id: AppId,
    #[command(flatten)]
    trust: Trust,
}

/// Whose key is good enough.
#[derive(Debug, clap::Args)]
struct Trust {
    /// Public key of a KMS that may sign, 66 hex digits (`k256_pubkey` of its GetMeta); can be given several times
    #[arg(long = "signer", value_name = "KEY")]
    signers: Vec<SignerKey>,
    /// Accept a signature that does not say when it was made, from a KMS that makes no other
    #[arg(long)]
    legacy_signature: bool,
    /// Accept whoever signed: the host then decides who can read the secrets
    #[arg(long)]
    danger_accept_any_signer: bool,
}

impl Trust {
    fn policy(&self) -> SignaturePolicy {
        let policy = if self.danger_accept_any_signer {
            SignaturePolicy::danger_accept_any_signer()
        } else {
            SignaturePolicy::pinned(self.signers.iter().copied())
        };
        if self.legacy_signature { policy.allow_legacy_without_freshness() } else { policy }
    }
}

impl Run for Env {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        match self.command {
            Command::Check(command) => command.run(context),
            Command::Seal(command) => command.run(context).await,
            Command::Key(command) => command.run(context).await,
        }
    }
}

/// Reads an environment file; `source` names it in findings.
fn read(path: &Path) -> Result<EnvFile, CliError> {
    let bytes = files::read_secret(path)?;
    EnvFile::parse(&bytes).map_err(|error| CliError::hinted(ExitCode::Usage, error).context(path.display()))
}

impl Check {
    fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let shown = self.file.display().to_string();
        let file = read(&self.file)?;
        let mut report = Report::new(shown.clone(), []);
        let names: Vec<&str> = file.environment.names().collect();
        let about = |check: &CheckDef, finding: Finding| {
            check.parents.iter().fold(finding.layer(check.layer), |finding, parent| finding.parent(*parent))
        };
        let grammar = ENV_GRAMMAR.pass().observed(format!("{} variables: {}", names.len(), names.join(", ")));
        report.push(about(&ENV_GRAMMAR, grammar));
        let surprise = if file.notes.is_empty() {
            ENV_SURPRISE.pass()
        } else {
            let notes: Vec<String> = file.notes.iter().map(ToString::to_string).collect();
            file.notes.iter().fold(ENV_SURPRISE.warn().observed(notes.join("; ")), |finding, note| {
                finding.evidence(format!("{shown}:{}", note.line), note.name.clone())
            })
        };
        report.push(about(&ENV_SURPRISE, surprise));
        let limits = match check_limits(&file.environment) {
            Ok(()) => ENV_LIMITS.pass(),
            Err(error) => ENV_LIMITS.fail().observed(error.to_string()),
        };
        report.push(about(&ENV_LIMITS, limits));
        let allowed = match &self.compose {
            None => ENV_ALLOWED.not_applicable().observed("no --compose was given"),
            Some(path) => {
                let document = AppComposeDocument::from_bytes(files::read(path)?)
                    .map_err(|error| CliError::new(ExitCode::Usage, error).context(path.display()))?;
                match check_allowed(names.iter().copied(), &document.fields().allowed_envs) {
                    Err(error) => ENV_ALLOWED
                        .fail()
                        .observed(error.to_string())
                        .fix(Fix::new("add the names to allowed_envs, or take the variables out")),
                    Ok(allowed) if !allowed.without_value.is_empty() => ENV_ALLOWED.warn().observed(format!(
                        "allowed and without a value: {}",
                        allowed.without_value.join(", ")
                    )),
                    Ok(_) => ENV_ALLOWED.pass(),
                }
            }
        };
        report.push(about(&ENV_ALLOWED, allowed));
        context.out.report(&report)
    }
}

impl Seal {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let file = read(&self.file)?;
        for note in &file.notes {
            context.progress.warning(format_args!("{}: {note}", self.file.display()));
        }
        check_limits(&file.environment).map_err(|error| CliError::hinted(ExitCode::Usage, error))?;
        let key = fetch(context, &self.app_id, &self.trust).await?;
        let blob =
            seal(&file.environment, &key.key).map_err(|error| CliError::new(ExitCode::Usage, error))?;
        let sealed = hex::encode(&blob);
        if let Some(path) = &self.output {
            atomic::write(path, format!("{sealed}\n").as_bytes(), atomic::Mode::Secret)
                .map_err(CliError::unreachable)?;
            context.progress.note(format_args!("sealed {} bytes into {}", blob.len(), path.display()));
        }
        if context.out.is_json() {
            let document = serde_json::json!({
                "schema": "dstack-vmmctl/env-seal/v1",
                "app_id": self.app_id.to_string(),
                "signer": key.signer.to_string(),
                "signer_pinned": key.pinned,
                "names": file.environment.names().collect::<Vec<_>>(),
                "file": self.output.as_ref().map(|path| path.display().to_string()),
                "encrypted_env": self.output.is_none().then_some(&sealed),
            });
            context.out.json(&document)?;
        } else if self.output.is_none() {
            context.out.line(&sealed)?;
        }
        Ok(ExitCode::Ok)
    }
}

impl Key {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let key = fetch(context, &self.app_id, &self.trust).await?;
        let signed_at = match key.form {
            SignatureForm::V1 { timestamp } => Some(timestamp),
            _ => None,
        };
        if context.out.is_json() {
            let document = serde_json::json!({
                "schema": "dstack-vmmctl/env-key/v1",
                "app_id": self.app_id.to_string(),
                "public_key": key.key.to_string(),
                "signer": key.signer.to_string(),
                "signer_pinned": key.pinned,
                "signed_at": signed_at,
            });
            context.out.json(&document)?;
            return Ok(ExitCode::Ok);
        }
        context.out.line(format_args!("key     {}", key.key))?;
        let pinned = if key.pinned { "pinned" } else { "NOT pinned: anybody was accepted" };
        context.out.line(format_args!("signer  {} ({pinned})", key.signer))?;
        let when = signed_at
            .and_then(|at| jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok())
            .map_or_else(|| "not said".to_owned(), |at| at.to_string());
        context.out.line(format_args!("signed  {when}"))?;
        Ok(ExitCode::Ok)
    }
}

async fn fetch(context: &Context, app_id: &AppId, trust: &Trust) -> Result<VerifiedKey, CliError> {
    let host = context.one()?.client;
    let answer = host.app_env_encrypt_pub_key(app_id.as_bytes()).await.into_cli()?;
    let now = jiff::Timestamp::now().as_second().max(0).unsigned_abs();
    let key = verify_env_key(&answer, app_id, now, &trust.policy())
        .map_err(|error| CliError::hinted(ExitCode::No, error).context("the key was not accepted"))?;
    if !key.pinned {
        context.progress.warning(format_args!(
            "the signer {} is not pinned: whoever controls the host can read what is sealed",
            key.signer
        ));
    }
    Ok(key)
}
