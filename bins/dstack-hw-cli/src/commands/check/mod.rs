//! `check`: is this host ready, and if not, what stands in the way?

mod document;
mod screen;
mod verdict;

use cli_support::{CliError, ExitCode};
use dstack_check::render;
use dstack_hw::{Assessment, HostFacts};

use crate::context::Context;
use crate::failure::from_hw;
use crate::profiles;
use crate::source::{AskArgs, SourceArgs};

/// Arguments of `check`.
///
/// The exit code is the answer: 0 when the host is ready for the profile, 1 when it is not or when that cannot be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// What the host is wanted for: the name of a built-in profile, or the path of a TOML file
    #[arg(long, short, value_name = "PROFILE", default_value = "tdx-host")]
    profile: String,
    /// Let these checks fail: the failure shows as a warning. Ids with commas between them, or patterns as hw.sgx.*
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Name of the host in the report
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print Markdown, to be put into an issue
    #[arg(long, conflicts_with = "json")]
    md: bool,
    /// Show every check, with what it rests on
    #[arg(long, short = 'v', visible_alias = "verbose")]
    all: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    ask: AskArgs,
}

impl Check {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let profile = profiles::by_name_or_file(&self.profile)?;
        let profile = profile.ignore(self.ignore.iter().map(String::as_str)).map_err(from_hw)?;
        let opened = self.source.open()?;
        let facts = HostFacts::collect(opened.source.as_ref(), self.ask.options());
        let subject = self.name.clone().unwrap_or_else(|| opened.subject.clone());
        let mut assessment = Assessment::of(subject, &facts, &profile);
        assessment.report = assessment
            .report
            .with_meta("source", opened.kind.words())
            .with_meta("dstack-hw", env!("CARGO_PKG_VERSION"));
        let page = screen::Page {
            assessment: &assessment,
            facts: &facts,
            profile: &profile,
            kind: opened.kind,
            all: self.all,
        };
        if context.out.is_json() {
            context.out.json(&document::Document::of(&page))?;
        } else if self.md {
            context.out.text(&page.markdown())?;
            context.out.text(&render::markdown::report(&assessment.report))?;
        } else {
            let style = *context.out.style();
            context.out.text(&page.text(&style))?;
        }
        Ok(if assessment.readiness.is_ready() { ExitCode::Ok } else { ExitCode::No })
    }
}
