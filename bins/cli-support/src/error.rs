//! Errors as a binary shows them: what went wrong, why, and what to do.

use std::error::Error;
use std::fmt;

use dstack_check::text::{escape_json, neutralise};
use dstack_check::{Hint, Hinted};
use serde::Serialize;

use crate::ExitCode;

/// An error on its way to the user: an exit code, a chain of causes and hints.
///
/// ```
/// use cli_support::{CliError, ExitCode};
///
/// let error = CliError::new(ExitCode::Usage, "no such host `b`").hint("hosts known here: a, c");
/// assert_eq!(error.render(false), "error: no such host `b`\nhint: hosts known here: a, c\n");
/// ```
#[derive(Debug)]
pub struct CliError {
    kind: ExitCode,
    source: Option<Box<dyn Error + Send + Sync>>,
    context: Vec<String>,
    hints: Vec<String>,
}

/// The form of an error on stderr in JSON mode.
#[derive(Serialize)]
struct Document<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: String,
    chain: Vec<String>,
    hints: &'a [String],
    exit_code: u8,
}

impl CliError {
    /// An error with an exit code.
    pub fn new(kind: ExitCode, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Some(source.into()), context: Vec::new(), hints: Vec::new() }
    }

    /// An error of a library that knows its own hints.
    pub fn hinted<E: Error + Hinted + Send + Sync + 'static>(kind: ExitCode, source: E) -> Self {
        let hints = source.hints().iter().map(ToString::to_string).collect();
        Self { kind, source: Some(Box::new(source)), context: Vec::new(), hints }
    }

    /// A wrong command line or input.
    pub fn usage(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ExitCode::Usage, source)
    }

    /// Something that could not be reached or is not permitted.
    pub fn unreachable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ExitCode::Unreachable, source)
    }

    /// A plan that does not fit any more.
    pub fn conflict(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ExitCode::Conflict, source)
    }

    /// A negative answer that needs a message.
    pub fn no(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ExitCode::No, source)
    }

    /// A mistake in the program.
    pub fn bug(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ExitCode::Bug, source)
    }

    /// The end of a program whose reader has gone away, as in `| head`: nothing is shown, and the exit code is 0.
    pub fn reader_gone() -> Self {
        Self { kind: ExitCode::Ok, source: None, context: Vec::new(), hints: Vec::new() }
    }

    /// Adds what was being done, in front of the message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        if !self.is_reader_gone() {
            self.context.push(doing.to_string());
        }
        self
    }

    /// Adds a hint after those that are there.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hints.push(hint.into().to_string());
        self
    }

    /// The exit code.
    pub fn kind(&self) -> ExitCode {
        self.kind
    }

    /// Whether the program ends because nobody reads its data any more.
    pub fn is_reader_gone(&self) -> bool {
        self.source.is_none()
    }

    /// The hints.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The messages from what was being done down to the first cause. A cause whose text stands already at the end of
    /// the message before it is left out, since many errors repeat their source.
    pub fn chain(&self) -> Vec<String> {
        let mut chain: Vec<String> = self.context.iter().rev().cloned().collect();
        let mut next: Option<&(dyn Error + 'static)> = match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = next {
            let text = error.to_string();
            let text = text.trim_end();
            let repeated = chain.last().is_some_and(|last| last.ends_with(text));
            if !text.is_empty() && !repeated {
                chain.push(text.to_owned());
            }
            next = error.source();
        }
        chain
    }

    /// The error as lines for stderr: `error:` with the chain, then a `hint:` line each. Control characters in the
    /// words of servers are written out. Empty where the reader has gone.
    pub fn render(&self, colour: bool) -> String {
        if self.is_reader_gone() {
            return String::new();
        }
        let mut out = labelled("error", anstyle::AnsiColor::Red, &self.chain().join(": "), colour);
        for hint in &self.hints {
            out.push_str(&labelled("hint", anstyle::AnsiColor::Cyan, hint, colour));
        }
        out
    }

    /// The error as one line of JSON: `{"error":{"message","chain","hints","exit_code"}}`. Empty where the reader has
    /// gone.
    pub fn render_json(&self) -> String {
        if self.is_reader_gone() {
            return String::new();
        }
        let chain = self.chain();
        let body = Body { message: chain.join(": "), chain, hints: &self.hints, exit_code: self.kind.code() };
        // Strings, lists and a number: serde_json can always write them.
        let text = serde_json::to_string(&Document { error: body }).unwrap_or_default();
        format!("{}\n", escape_json(&text))
    }
}

/// `label: text` with the further lines of the text under its beginning.
pub(crate) fn labelled(label: &str, colour: anstyle::AnsiColor, text: &str, use_colour: bool) -> String {
    let indent = " ".repeat(label.len() + 2);
    let text = neutralise(text.trim_end()).replace('\n', &format!("\n{indent}"));
    let look = if use_colour { colour.on_default().bold() } else { anstyle::Style::new() };
    // A line of nothing but indentation would be invisible white space at the end of a line.
    let text = text.replace(&format!("\n{indent}\n"), "\n\n");
    format!("{look}{label}:{look:#} {text}\n")
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain().join(": "))
    }
}

/// Turning the errors of libraries into [`CliError`]s where they happen.
pub trait ResultExt<T, E> {
    /// Ends with this exit code.
    ///
    /// # Errors
    /// The error, as a [`CliError`].
    fn exit_with(self, kind: ExitCode) -> Result<T, CliError>
    where
        E: Into<Box<dyn Error + Send + Sync>>;

    /// Ends with the exit code that `classify` chooses, with the hints the error knows.
    ///
    /// # Errors
    /// The error, as a [`CliError`].
    fn exit_hinted(self, classify: impl FnOnce(&E) -> ExitCode) -> Result<T, CliError>
    where
        E: Error + Hinted + Send + Sync + 'static;
}

impl<T, E> ResultExt<T, E> for Result<T, E> {
    fn exit_with(self, kind: ExitCode) -> Result<T, CliError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.map_err(|error| CliError::new(kind, error))
    }

    fn exit_hinted(self, classify: impl FnOnce(&E) -> ExitCode) -> Result<T, CliError>
    where
        E: Error + Hinted + Send + Sync + 'static,
    {
        self.map_err(|error| CliError::hinted(classify(&error), error))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot reach the VMM at {address}: {source}")]
    struct RepeatsItsSource {
        address: &'static str,
        source: std::io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot list the VMs")]
    struct Outer {
        source: RepeatsItsSource,
    }

    impl Hinted for Outer {
        fn hint(&self) -> Option<Hint> {
            Some(Hint::from("is the VMM running?"))
        }
    }

    fn outer() -> Outer {
        let source = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        Outer { source: RepeatsItsSource { address: "unix:/run/vmm.sock", source } }
    }

    #[test]
    fn a_chain_says_each_thing_once_and_hints_follow() {
        let error = CliError::hinted(ExitCode::Unreachable, outer())
            .hint("see `--vmm`")
            .context("host a")
            .context("ls");
        assert_eq!(error.kind(), ExitCode::Unreachable);
        assert_snapshot!(error.render(false), @r"
        error: ls: host a: cannot list the VMs: cannot reach the VMM at unix:/run/vmm.sock: connection refused
        hint: is the VMM running?
        hint: see `--vmm`
        ");
        assert_snapshot!(error.render_json(), @r#"{"error":{"message":"ls: host a: cannot list the VMs: cannot reach the VMM at unix:/run/vmm.sock: connection refused","chain":["ls","host a","cannot list the VMs","cannot reach the VMM at unix:/run/vmm.sock: connection refused"],"hints":["is the VMM running?","see `--vmm`"],"exit_code":3}}"#);
    }

    #[test]
    fn text_of_several_lines_is_indented_and_harmless() {
        let error = CliError::usage("line 3: not TOML\n\n3 | a = \u{1b}[2J\n  |     ^\n").hint("one\ntwo");
        assert_snapshot!(error.render(false), @r"
        error: line 3: not TOML

               3 | a = \x1b[2J
                 |     ^
        hint: one
              two
        ");
    }

    #[test]
    fn colour_is_on_the_labels_alone() {
        let text = CliError::no("no").hint("try").render(true);
        assert_eq!(text, "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no\n\u{1b}[1m\u{1b}[36mhint:\u{1b}[0m try\n");
    }

    #[test]
    fn a_reader_that_is_gone_shows_nothing() {
        let gone = CliError::reader_gone().context("writing");
        assert!(gone.is_reader_gone());
        assert_eq!(
            (gone.render(false), gone.render_json(), gone.kind()),
            (String::new(), String::new(), ExitCode::Ok)
        );
    }

    #[test]
    fn results_become_errors_with_a_code() {
        let failed: Result<(), Outer> = Err(outer());
        let error = failed.exit_hinted(|_| ExitCode::Conflict).unwrap_err();
        assert_eq!(
            (error.kind(), error.hints()),
            (ExitCode::Conflict, &["is the VMM running?".to_owned()][..])
        );
        let failed: Result<(), &str> = Err("bad port");
        assert_eq!(failed.exit_with(ExitCode::Usage).unwrap_err().to_string(), "bad port");
    }
}
