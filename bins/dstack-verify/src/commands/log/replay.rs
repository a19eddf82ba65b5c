//! `log replay`: the registers that follow from a log.

use std::path::PathBuf;

use cli_support::{CliError, ExitCode, Table};
use dstack_attestation::event_log::{EventLog, Rtmr, Rtmrs};
use dstack_attestation::quote::TdxQuote;
use dstack_check::text::neutralise_line;
use serde::Serialize;

use crate::context::Context;
use crate::{evidence, files};

/// Arguments of `log replay`.
///
/// A log that replays to the registers of a quote is the log of that quote. Whether the quote is genuine is not asked
/// here.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The log, or a document with one in it: GetQuote, Info, an attestation; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The quote to compare with; without it, the one beside the log in FILE
    #[arg(long, value_name = "FILE")]
    quote: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    entries: usize,
    registers: Vec<Register>,
    /// Whether all registers are those of the quote; `null` without a quote.
    matches: Option<bool>,
    /// The first contradiction, in words.
    divergence: Option<String>,
}

#[derive(Serialize)]
struct Register {
    register: String,
    entries: usize,
    replayed: String,
    /// `null` without a quote.
    quoted: Option<String>,
    matches: Option<bool>,
}

impl Replay {
    pub(super) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let (log, beside) = evidence::log_of_file(&self.file)?;
        let quoted = quoted(self.quote.as_deref(), beside.quote.as_deref())?;
        let document = Document::of(&log, quoted.as_ref());
        let code = match (document.matches, &document.divergence) {
            (Some(false), _) | (_, Some(_)) => ExitCode::No,
            _ => ExitCode::Ok,
        };
        if context.out.is_json() {
            context.out.json(&document)?;
        } else {
            document.show(context)?;
        }
        Ok(code)
    }
}

/// The registers of the quote that was named, or else of the one beside the log.
pub(super) fn quoted(
    named: Option<&std::path::Path>,
    beside: Option<&[u8]>,
) -> Result<Option<Rtmrs>, CliError> {
    let read = |bytes: &[u8]| TdxQuote::parse(bytes).map(|quote| quote.report.measurements.rtmrs());
    let Some(path) = named else {
        return match beside {
            Some(bytes) => {
                let registers = read(bytes).map_err(CliError::usage);
                registers.map(Some).map_err(|error| error.context("the quote beside the log"))
            }
            None => Ok(None),
        };
    };
    let bytes = files::read(path)?;
    evidence::quote_of_bytes(&bytes)
        .and_then(|quote| read(&quote).map_err(CliError::usage))
        .map(Some)
        .map_err(|error| error.context(files::named(path)))
}

impl Document {
    fn of(log: &EventLog, quoted: Option<&Rtmrs>) -> Self {
        let replayed = log.replay();
        let registers: Vec<Register> = Rtmr::ALL
            .into_iter()
            .map(|rtmr| {
                let quoted = quoted.map(|values| values.get(rtmr));
                Register {
                    register: rtmr.to_string(),
                    entries: log.entries().iter().filter(|entry| entry.rtmr() == rtmr).count(),
                    replayed: replayed.get(rtmr).to_string(),
                    matches: quoted.map(|value| value == replayed.get(rtmr)),
                    quoted: quoted.map(|value| value.to_string()),
                }
            })
            .collect();
        let divergence = match quoted {
            Some(values) => log.first_divergence(values),
            None => log.divergences().next(),
        };
        Self {
            schema: "dstack-verify/log-replay/v1",
            entries: log.entries().len(),
            matches: quoted.map(|values| *values == replayed),
            divergence: divergence.map(|divergence| divergence.to_string()),
            registers,
        }
    }

    fn show(&self, context: &mut Context) -> Result<(), CliError> {
        let mut table = match self.matches {
            Some(_) => Table::new(["REGISTER", "ENTRIES", "QUOTE", "REPLAYED"]),
            None => Table::new(["REGISTER", "ENTRIES", "REPLAYED"]),
        }
        .wrap_last();
        for row in &self.registers {
            let entries = row.entries.to_string();
            match row.matches {
                Some(matches) => {
                    let word = if matches { "the same" } else { "DIFFERENT" };
                    table.row([row.register.as_str(), &entries, word, &row.replayed]);
                }
                None => table.row([row.register.as_str(), &entries, &row.replayed]),
            }
        }
        context.out.table(&table)?;
        if let Some(divergence) = &self.divergence {
            context.out.line(format_args!("first contradiction: {}", neutralise_line(divergence)))?;
        }
        if self.matches.is_none() {
            context.progress.note("there was no quote to compare with: `--quote FILE` names one");
        }
        Ok(())
    }
}
