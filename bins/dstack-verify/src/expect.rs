//! What is expected of a CVM, from the command line. It is added to what the policy file says.

use std::path::PathBuf;

use cli_support::CliError;
use dstack_attestation::Policy;
use dstack_attestation::report_data::{self, ReportData};

use crate::files;
use crate::given::{Fixed, Hex};

/// By what an answer is known to be one to the question that was asked.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Judging")]
pub(crate) struct FreshArgs {
    /// The challenge that the quote must answer: at most 64 bytes, with zeros after them
    #[arg(long, value_name = "HEX", conflicts_with = "report_data")]
    nonce: Option<Hex>,
    /// The 64 bytes of report data that the quote must carry
    #[arg(long, value_name = "HEX")]
    report_data: Option<Fixed<64>>,
}

impl FreshArgs {
    /// The report data that is expected.
    ///
    /// # Errors
    /// The nonce is longer than 64 bytes, or empty.
    pub(crate) fn expected(&self) -> Result<Option<ReportData>, CliError> {
        if let Some(data) = self.report_data {
            return Ok(Some(data.0));
        }
        let Some(Hex(nonce)) = &self.nonce else { return Ok(None) };
        if nonce.is_empty() {
            return Err(CliError::usage("the nonce is empty").hint("`dstack-verify nonce` makes one"));
        }
        report_data::padded(nonce).map(Some).map_err(|error| CliError::usage(error).context("--nonce"))
    }

    /// Requires it.
    ///
    /// # Errors
    /// As [`FreshArgs::expected`], and when the policy requires another.
    pub(crate) fn add_to(&self, policy: &mut Policy) -> Result<(), CliError> {
        let Some(data) = self.expected()? else { return Ok(()) };
        if policy.report_data.is_some_and(|other| other != data) {
            return Err(CliError::usage("the policy file asks for another challenge than the command line"));
        }
        *policy = std::mem::take(policy).report_data(data);
        Ok(())
    }
}

/// Which app is expected.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "What is expected")]
pub(crate) struct AppArgs {
    /// The app-compose that must run; may be given several times for one of several
    #[arg(long, value_name = "FILE")]
    compose: Vec<PathBuf>,
    /// Its hash, where the file is not at hand
    #[arg(long, value_name = "HEX")]
    compose_hash: Vec<Fixed<32>>,
    /// The app id
    #[arg(long, value_name = "HEX")]
    app_id: Vec<Fixed<20>>,
    /// The instance id
    #[arg(long, value_name = "HEX")]
    instance_id: Vec<Fixed<20>>,
    /// The OS image hash
    #[arg(long, value_name = "HEX")]
    os_image: Vec<Fixed<32>>,
}

impl AppArgs {
    /// Requires it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn add_to(&self, policy: &mut Policy) -> Result<(), CliError> {
        let mut all = std::mem::take(policy);
        for path in &self.compose {
            all = all.compose(files::read(path)?);
        }
        all = self.compose_hash.iter().fold(all, |all, hash| all.compose_hash(hash.0));
        all = self.app_id.iter().fold(all, |all, id| all.app_id(id.0));
        all = self.instance_id.iter().fold(all, |all, id| all.instance_id(id.0));
        *policy = self.os_image.iter().fold(all, |all, hash| all.os_image(hash.0));
        Ok(())
    }
}
