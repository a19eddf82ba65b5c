//! `capture`: everything the checks look at in one file, fit to be attached to an issue.

use std::path::PathBuf;

use cli_support::{CliError, ExitCode};
use dstack_hw::capture::{Capture as HostCapture, MadeBy, Redaction};
use dstack_hw::{CollectOptions, HostFacts};
use serde::Serialize;

use crate::context::Context;
use crate::files;
use crate::source::{AskArgs, live};

/// Arguments of `capture`.
///
/// Serial numbers, MAC and IP addresses, UUIDs, host and user names and tokens are replaced before anything is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Capture {
    /// File to write, or - for standard output
    #[arg(long, short, value_name = "FILE", default_value = "dstack-hw-capture.json")]
    output: PathBuf,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    file: String,
    bytes: usize,
    redaction: Option<&'a Redaction>,
}

impl Capture {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let opened = live()?;
        let made_by = MadeBy::new("dstack-hw", env!("CARGO_PKG_VERSION"));
        let capture = HostCapture::record(opened.source.as_ref(), self.ask.options(), made_by);
        let text = capture.to_json();
        files::write(context, &self.output, &text)?;
        let to_file = self.output.as_os_str() != "-";
        if to_file && context.out.is_json() {
            context.out.json(&Document {
                schema: "dstack-hw/captured/v1",
                file: self.output.display().to_string(),
                bytes: text.len(),
                redaction: capture.redaction.as_ref(),
            })?;
        }
        self.talk(context, &capture, text.len(), to_file);
        Ok(ExitCode::Ok)
    }

    fn talk(&self, context: &Context, capture: &HostCapture, bytes: usize, to_file: bool) {
        let progress = &context.progress;
        if to_file {
            progress.note(format_args!(
                "wrote {} ({} KiB)",
                files::named(&self.output),
                bytes.div_ceil(1024)
            ));
        }
        let replaced: Vec<String> = capture
            .redaction
            .iter()
            .flat_map(|redaction| &redaction.replaced)
            .filter(|(_, count)| **count > 0)
            .map(|(what, count)| format!("{what} {count}"))
            .collect();
        if replaced.is_empty() {
            progress.note("nothing had to be taken out of it");
        } else {
            progress.note(format_args!("taken out of it: {}", replaced.join(", ")));
        }
        let facts = HostFacts::collect(capture.readings(), CollectOptions::default());
        if facts.environment.privilege.known().is_some_and(|rights| !rights.is_root()) {
            progress
                .warning("without root it lacks registers, the firmware's tables and perhaps the kernel log");
            progress.note("`sudo dstack-hw capture` has them");
        }
        if to_file {
            progress
                .note(format_args!("`dstack-hw check --from {}` checks it anywhere", self.output.display()));
        }
    }
}
