//! `log explain`: each entry in words.

use std::path::PathBuf;

use cli_support::{Align, CliError, ExitCode, Table};
use dstack_attestation::event_log::{EventLog, EventName, Explained, Origin};
use dstack_check::text::{bounded, neutralise_line};
use serde::Serialize;

use crate::context::Context;
use crate::evidence;

/// The longest text shown of a payload, in bytes.
const MAX_SHOWN: usize = 160;

/// Arguments of `log explain`.
///
/// Names and payloads of the firmware's entries are remarks that nothing binds; those of dstack and of the app are
/// bound by RTMR3. After system-ready every entry is the app's, whatever its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
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
    entries: Vec<Row>,
    problems: Vec<String>,
    divergence: Option<String>,
}

#[derive(Serialize)]
struct Row {
    index: usize,
    register: String,
    /// `firmware` (and boot loader and kernel), `dstack`, `app`, or `unknown` for what is not dstack's and comes before
    /// system-ready.
    whose: &'static str,
    name: String,
    meaning: String,
    digest: String,
}

impl Explain {
    pub(super) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let (log, beside) = evidence::log_of_file(&self.file)?;
        let quoted = super::replay::quoted(self.quote.as_deref(), beside.quote.as_deref())?;
        let divergence = match &quoted {
            Some(values) => log.first_divergence(values),
            None => log.divergences().next(),
        };
        let document = Document {
            schema: "dstack-verify/log-explain/v1",
            entries: rows(&log),
            problems: log.system_events().problems.iter().map(ToString::to_string).collect(),
            divergence: divergence.map(|divergence| divergence.to_string()),
        };
        let code = if document.divergence.is_some() { ExitCode::No } else { ExitCode::Ok };
        if context.out.is_json() {
            context.out.json(&document)?;
        } else {
            document.show(context)?;
        }
        Ok(code)
    }
}

fn rows(log: &EventLog) -> Vec<Row> {
    let row = |explained: Explained<'_>| {
        let entry = explained.entry;
        let known = EventName::read(entry.name()).is_some();
        let (whose, meaning) = match explained.origin {
            Origin::Dstack if known => ("dstack", explained.meaning),
            Origin::Firmware => ("firmware", explained.meaning),
            origin => {
                let whose = if origin == Origin::Dstack { "unknown" } else { origin.word() };
                (whose, format!("{}: {}", explained.meaning, payload_text(entry.payload())))
            }
        };
        Row {
            index: explained.index,
            register: entry.rtmr().to_string(),
            whose,
            name: entry.name().to_owned(),
            meaning,
            digest: entry.digest().to_string(),
        }
    };
    log.explain().map(row).collect()
}

/// A payload as text where it is text, else as hex.
fn payload_text(payload: &[u8]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => format!("0x{}", hex::encode(payload)),
    }
}

impl Document {
    fn show(&self, context: &mut Context) -> Result<(), CliError> {
        let mut table = Table::new(["#", "REGISTER", "WHOSE", "EVENT", "WHAT IT SAYS"])
            .align(0, Align::Right)
            .wrap_last();
        for row in &self.entries {
            let meaning = bounded(row.meaning.as_str(), MAX_SHOWN);
            let name = bounded(row.name.as_str(), MAX_SHOWN);
            table.row([row.index.to_string(), row.register.clone(), row.whose.to_owned(), name, meaning]);
        }
        context.out.table(&table)?;
        for problem in &self.problems {
            context.out.line(format_args!("odd: {}", neutralise_line(problem)))?;
        }
        if let Some(divergence) = &self.divergence {
            context.out.line(format_args!("first contradiction: {}", neutralise_line(divergence)))?;
        }
        Ok(())
    }
}
