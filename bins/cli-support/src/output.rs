//! stdout: data and nothing else.

use std::io::{self, Write};

use dstack_check::render::{self, Style};
use dstack_check::text::escape_json;
use dstack_check::{Report, ReportSet};
use serde::Serialize;

use crate::terminal::{self, ColourChoice, Environment};
use crate::{CliError, ExitCode, Table};

/// The options every command has. Flatten it into the top of a clap definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
#[non_exhaustive]
pub struct OutputArgs {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour the text: auto, always or never
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: ColourChoice,
}

/// Where the data goes. Every method writes its text at once and flushes, so nothing is left behind at the end.
///
/// When the reader goes away (`| head`), the methods return [`CliError::reader_gone`]: passed up with `?`, it ends the
/// program quietly with exit code 0.
pub struct Output {
    writer: Box<dyn Write + Send>,
    json: bool,
    style: Style,
}

impl Output {
    /// stdout, looking as the options, the environment and the terminal say.
    pub fn stdout(args: &OutputArgs) -> Self {
        let style = terminal::stdout_style(args.color, &Environment::of_process());
        Self::new(Box::new(io::stdout()), args.json, style)
    }

    /// Any writer: for tests and for `--output FILE`.
    pub fn new(writer: Box<dyn Write + Send>, json: bool, style: Style) -> Self {
        Self { writer, json, style }
    }

    /// Whether the user asked for JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// How text looks here.
    pub fn style(&self) -> &Style {
        &self.style
    }

    /// Changes how text looks, such as folding what passed.
    pub fn set_style(&mut self, style: Style) {
        self.style = style;
    }

    /// Writes bytes as they are. For data that is not ours to change, such as a log or an app-compose.
    ///
    /// # Errors
    /// The reader is gone, or the data could not be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.writer.write_all(bytes).and_then(|()| self.writer.flush()).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                CliError::reader_gone()
            } else {
                CliError::new(ExitCode::Unreachable, error).context("failed to write the output")
            }
        })
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.bytes(text.as_bytes())
    }

    /// Writes one line.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn line(&mut self, line: impl std::fmt::Display) -> Result<(), CliError> {
        self.text(&format!("{line}\n"))
    }

    /// Writes a table.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn table(&mut self, table: &Table) -> Result<(), CliError> {
        self.text(&table.render_within(self.style.colour, self.style.width))
    }

    /// Writes one JSON document, indented.
    ///
    /// # Errors
    /// As [`Output::bytes`]; a value that JSON cannot hold is a bug.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value).map_err(CliError::bug)?;
        self.line(escape_json(&text))
    }

    /// Writes one JSON document on one line: for streams, where each line is a document.
    ///
    /// # Errors
    /// As [`Output::json`].
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string(value).map_err(CliError::bug)?;
        self.line(escape_json(&text))
    }

    /// Writes a report in the form asked for and gives the exit code of its verdict.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn report(&mut self, report: &Report) -> Result<ExitCode, CliError> {
        let text = if self.json {
            render::json::report(report)
        } else {
            render::terminal::report(report, &self.style)
        };
        self.text(&text)?;
        Ok(report.verdict().into())
    }

    /// Writes the reports of several hosts in the form asked for and gives the exit code of their verdict.
    ///
    /// # Errors
    /// As [`Output::bytes`].
    pub fn report_set(&mut self, set: &ReportSet) -> Result<ExitCode, CliError> {
        let text = if self.json { render::json::set(set) } else { render::terminal::set(set, &self.style) };
        self.text(&text)?;
        Ok(set.verdict().into())
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("json", &self.json).field("style", &self.style).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {

    use dstack_check::Finding;

    use super::*;
    use crate::captured::Captured;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(json: bool, write: impl FnOnce(&mut Output)) -> String {
        let shared = Captured::default();
        write(&mut Output::new(Box::new(shared.clone()), json, Style::new()));
        String::from_utf8(shared.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn json_documents_and_lines() {
        let value = serde_json::json!({ "name": "a\u{202e}b" });
        assert_eq!(written(true, |out| out.json(&value).unwrap()), "{\n  \"name\": \"a\\u202eb\"\n}\n");
        assert_eq!(written(true, |out| out.json_line(&value).unwrap()), "{\"name\":\"a\\u202eb\"}\n");
    }

    #[test]
    fn data_is_not_changed() {
        let text = "a\u{1b}[2J\u{202e}";
        assert_eq!(written(false, |out| out.bytes(text.as_bytes()).unwrap()), text);
    }

    #[test]
    fn reports_follow_the_mode_and_give_the_code() {
        let report = Report::new("host", [Finding::fail("t.a", "a")]);
        let set = ReportSet::merge([report.clone()]).unwrap();
        for (json, start) in [(false, "host\n"), (true, "{\n  \"schema\": \"dstack-check/report")] {
            let one = written(json, |out| assert_eq!(out.report(&report).unwrap(), ExitCode::No));
            let many = written(json, |out| assert_eq!(out.report_set(&set).unwrap(), ExitCode::No));
            assert!(one.starts_with(start) && many.starts_with(start));
        }
    }

    #[test]
    fn a_broken_pipe_ends_quietly_and_other_faults_do_not() {
        let fault = |kind| Output::new(Box::new(Broken(kind)), false, Style::new()).line("x").unwrap_err();
        assert!(fault(io::ErrorKind::BrokenPipe).is_reader_gone());
        let full = fault(io::ErrorKind::StorageFull);
        assert_eq!((full.kind(), full.is_reader_gone()), (ExitCode::Unreachable, false));
    }
}
