//! `quote`: is this quote genuine, and what does it say?

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_attestation::quote::TdxQuote;
use dstack_attestation::report_data::{self, Content, Meaning};

use crate::context::{Context, Run};
use crate::evidence;
use crate::expect::FreshArgs;
use crate::files;
use crate::judge::JudgeArgs;
use crate::screen::{Question, ViewArgs};

/// Arguments of `quote`.
#[derive(Debug, clap::Args)]
pub(crate) struct Quote {
    /// The quote, binary or hex, or a document with one in it; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A file that the report data may have been made from, such as a nonce, a statement or a public key in DER: the
    /// report names the one that it was made from, and how
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    content: Vec<PathBuf>,
    #[command(flatten)]
    fresh: FreshArgs,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    view: ViewArgs,
}

impl Run for Quote {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let mut judge = self.judge.judge()?;
        self.fresh.add_to(&mut judge.policy)?;
        let bytes = files::read(&self.file)?;
        let named = files::named(&self.file);
        let quote = evidence::quote_of_bytes(&bytes).map_err(|error| error.context(&named))?;
        judge.fetch_collateral(std::slice::from_ref(&quote), context).await?;
        let mut report = judge.noted(judge.verifier().quote(&named, &quote), &named);
        if let Some(meaning) = self.report_data(&quote)? {
            report = report.with_meta("report data", meaning);
        }
        self.view.show(context, &report, Question::Proof)
    }
}

impl Quote {
    /// What the report data of the quote stands for, as far as the contents tell.
    fn report_data(&self, quote: &[u8]) -> Result<Option<String>, CliError> {
        let files = self.content.iter().map(|path| files::read(path)).collect::<Result<Vec<_>, _>>()?;
        let contents: Vec<Content<'_>> =
            files.iter().flat_map(|bytes| [Content::Bytes(bytes), Content::PublicKey(bytes)]).collect();
        let Ok(quote) = TdxQuote::parse(quote) else { return Ok(None) };
        let meaning = report_data::explain(&quote.report.report_data, &contents);
        let path = match meaning {
            Meaning::Made { content, .. } => self.content.get(content / 2),
            _ => None,
        };
        Ok(Some(match path {
            Some(path) => format!("{meaning}: {}", files::named(path)),
            None => meaning.to_string(),
        }))
    }
}
