//! `doctor`: can this host be worked with, and would a deployment go through.

mod gather;
mod node;
mod project;
mod reach;

use cli_support::{CliError, ExitCode};
use dstack_check::render::Style;
use dstack_check::{Catalogue, CheckDef, Finding, MergeError, Report, ReportSet};

use crate::checks::DOCTOR;
use crate::context::{Context, Run};
use gather::Facts;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Leave out what passed
    #[arg(short, long)]
    quiet: bool,
}

impl Run for Doctor {
    async fn run(self, context: &mut Context) -> Result<ExitCode, CliError> {
        let (project, hosts) = gather::subjects(context)?;
        let catalogue = Catalogue::new(DOCTOR.iter().copied()).map_err(CliError::bug)?;
        if self.quiet {
            let style = Style::clone(context.out.style()).with_folded_passes(true);
            context.out.set_style(style);
        }
        let asked = hosts.into_iter().map(|host| gather::facts(host, &project, context));
        let facts = futures_util::future::join_all(asked).await;
        let mut reports = facts.iter().map(|facts| report(facts, &catalogue));
        match (reports.len(), reports.next()) {
            (1, Some(only)) => context.out.report(&only),
            (_, Some(first)) => {
                let set = ReportSet::merge(std::iter::once(first).chain(reports))
                    .map_err(|error: MergeError| CliError::bug(error))?;
                context.out.report_set(&set)
            }
            (_, None) => Err(CliError::bug("no host was looked at")),
        }
    }
}

fn report(facts: &Facts, catalogue: &Catalogue) -> Report {
    let mut report = Report::evaluate(&facts.name, catalogue, |check| evaluate(check, facts))
        .with_meta("endpoint", &facts.endpoint)
        .with_meta("known from", &facts.source);
    if let Some(Ok(server)) = &facts.version {
        report = report.with_meta("dstack", &server.reported.version);
    }
    report
}

fn evaluate(check: &CheckDef, facts: &Facts) -> Finding {
    match check.layer {
        "reach" => reach::evaluate(check, facts),
        "node" => node::evaluate(check, facts),
        _ => project::evaluate(check, facts),
    }
}

/// For an id that is in the catalogue and has no function: a mistake that a test finds.
fn not_known(check: &CheckDef) -> Finding {
    check.unknown("this program does not know the check")
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_known() {
        let facts = Facts::nothing();
        for check in DOCTOR {
            let finding = evaluate(check, &facts);
            assert!(!format!("{finding:?}").contains("does not know the check"), "{}", check.id);
        }
    }
}
