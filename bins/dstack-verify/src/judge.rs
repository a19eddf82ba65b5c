//! The options that say how evidence is judged, and the verifier they give.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cli_support::CliError;
use dstack_attestation::quote::Collateral;
use dstack_attestation::quote::verify::TrustRoot;
use dstack_attestation::{Aspect, Policy, Verifier};
use dstack_check::{Report, ReportSet};

use crate::context::Context;
use crate::given::{Moment, time_text};
use crate::{certificates, files, live, policy_file};

/// How evidence is judged. What is given here is added to what the policy file says.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Judging")]
pub(crate) struct JudgeArgs {
    /// What is required, as a TOML file; `dstack-verify policy init` writes one to start from
    #[arg(long, short, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Intel's collateral for the platform, from `dstack-verify collateral fetch`; may be given several times
    #[arg(long, short, value_name = "FILE")]
    collateral: Vec<PathBuf>,
    /// Fetch collateral from this PCCS when no file fits. Without it nobody is asked
    #[arg(long, value_name = "URL")]
    pccs: Option<String>,
    /// Believe the https servers of this authority (PEM) instead of those the machine believes
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Judge as of this time (RFC 3339) instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<Moment>,
    /// What must be shown for a yes: hardware, os, code, identity, freshness, operator; separated by commas
    #[arg(long, value_name = "ASPECTS", value_delimiter = ',', value_parser = aspect)]
    require: Vec<Aspect>,
    /// Let evidence of the emulator through with warnings. It proves nothing about any machine
    #[arg(long)]
    danger_accept_emulated: bool,
    /// Trust this root CA (PEM or DER) in place of Intel's. Whoever has its key can make quotes that say anything
    #[arg(long, value_name = "FILE")]
    danger_root_ca: Option<PathBuf>,
}

fn aspect(name: &str) -> Result<Aspect, String> {
    name.parse().map_err(|_| {
        let all: Vec<&str> = Aspect::ALL.iter().map(|aspect| aspect.as_str()).collect();
        format!("there are {}", all.join(", "))
    })
}

/// What evidence is judged with.
pub(crate) struct Judge {
    pub(crate) policy: Policy,
    now: SystemTime,
    collateral: Vec<Collateral>,
    root: TrustRoot,
    root_file: Option<PathBuf>,
    policy_file: Option<PathBuf>,
    pccs: Option<String>,
    ca: Option<Vec<u8>>,
}

impl JudgeArgs {
    /// Reads what the options name.
    ///
    /// # Errors
    /// A file cannot be read, or is not what it should be.
    pub(crate) fn judge(&self) -> Result<Judge, CliError> {
        let mut policy = match &self.policy {
            Some(path) => policy_file::read(path)?,
            None => Policy::new(),
        };
        for aspect in &self.require {
            policy = policy.require(*aspect);
        }
        if self.danger_accept_emulated {
            policy = policy.danger_accept_emulated(true);
        }
        let collateral = self.collateral.iter().map(|path| read_collateral(path));
        let root = match &self.danger_root_ca {
            Some(path) => TrustRoot::danger_other(certificates::one(path)?),
            None => TrustRoot::intel(),
        };
        Ok(Judge {
            policy,
            now: self.at.map_or_else(SystemTime::now, |moment| moment.0),
            collateral: collateral.collect::<Result<_, _>>()?,
            root,
            root_file: self.danger_root_ca.clone(),
            policy_file: self.policy.clone(),
            pccs: self.pccs.clone(),
            ca: self.ca_file.as_deref().map(files::read).transpose()?,
        })
    }
}

/// Reads a file of collateral.
///
/// # Errors
/// It cannot be read, or is not collateral.
pub(crate) fn read_collateral(path: &Path) -> Result<Collateral, CliError> {
    let text = files::read_text(path)?;
    Collateral::from_json(&text, files::named(path)).map_err(|error| {
        let error = CliError::usage(error).context(files::named(path));
        crate::kind::wrong(error, text.as_bytes(), crate::kind::Kind::Collateral)
            .hint("`dstack-verify collateral fetch QUOTE --pccs URL` writes such a file")
    })
}

impl Judge {
    /// What is fetched now counts as of the time as of which evidence is judged.
    pub(crate) const fn fetched_at(&self) -> SystemTime {
        self.now
    }

    /// The authority of https servers that was named, as PEM.
    pub(crate) fn ca(&self) -> Option<&[u8]> {
        self.ca.as_deref()
    }

    /// Fetches collateral for those of the quotes that none of the files fits, when a PCCS was named.
    ///
    /// # Errors
    /// The PCCS cannot be reached, or has nothing for the platform.
    pub(crate) async fn fetch_collateral(
        &mut self,
        quotes: &[Vec<u8>],
        context: &Context,
    ) -> Result<(), CliError> {
        let Some(url) = self.pccs.clone() else { return Ok(()) };
        for quote in quotes {
            if live::needs_collateral(quote, &self.collateral, self.now) {
                let transport = live::transport(self.ca())?;
                self.collateral.push(live::collateral(quote, &url, &transport, context).await?);
            }
        }
        Ok(())
    }

    /// The verifier that all of this gives.
    pub(crate) fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(self.policy.clone(), self.now).danger_root(self.root.clone());
        self.collateral.iter().cloned().fold(verifier, Verifier::collateral)
    }

    /// A report with how it came to be.
    pub(crate) fn noted(&self, report: Report, source: &str) -> Report {
        let sources: Vec<&str> = self.collateral.iter().map(Collateral::source).collect();
        let collateral = if sources.is_empty() { "none".to_owned() } else { sources.join(", ") };
        let mut report = self.dated(report, source).with_meta("collateral", collateral);
        if let Some(path) = &self.root_file {
            report = report.with_meta("root CA", format!("{}, in place of Intel's", path.display()));
        }
        report
    }

    /// The same for what is judged without any quote.
    pub(crate) fn dated(&self, report: Report, source: &str) -> Report {
        let mut report = report
            .with_meta("dstack-verify", env!("CARGO_PKG_VERSION"))
            .with_meta("from", source)
            .with_meta("as of", time_text(self.now));
        if let Some(path) = &self.policy_file {
            report = report.with_meta("policy", path.display().to_string());
        }
        report
    }

    /// Reports with how they came to be.
    ///
    /// # Errors
    /// Two are about the same subject, which is a bug.
    pub(crate) fn noted_set(&self, set: &ReportSet, source: &str) -> Result<ReportSet, CliError> {
        ReportSet::merge(set.reports().iter().cloned().map(|report| self.noted(report, source)))
            .map_err(CliError::bug)
    }
}
