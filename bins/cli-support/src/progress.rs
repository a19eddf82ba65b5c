//! stderr while something takes time.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstyle::AnsiColor;
use dstack_check::text::neutralise_line;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::error::labelled;
use crate::{Environment, OutputArgs};

/// Talk on stderr: notes, warnings and the steps of long work.
///
/// On a terminal each running step is one live line with a spinner, below the lines written meanwhile; elsewhere every change is a line of its own, so that
/// a log tells the story. Failures to write are ignored: talk is never worth a failure.
#[derive(Clone, Debug)]
pub struct Progress {
    colour: bool,
    lines: Lines,
}

/// The place lines go, shared by everything that talks at the same time.
#[derive(Clone)]
struct Lines {
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    /// The live steps below the lines, where the place is a terminal.
    live: Option<MultiProgress>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    fn write(&self, text: &str) {
        let write = || {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
        };
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }
}

impl Progress {
    /// stderr, live where it is a terminal.
    pub fn stderr(args: &OutputArgs) -> Self {
        let environment = Environment::of_process();
        let is_terminal = io::stderr().is_terminal();
        Self {
            colour: environment.colour(args.color, is_terminal),
            lines: Lines {
                writer: Arc::new(Mutex::new(Box::new(io::stderr()))),
                live: (is_terminal && !environment.is_dumb()).then(MultiProgress::new),
            },
        }
    }

    /// Line by line into any writer: for tests and logs.
    pub fn lines(writer: Box<dyn Write + Send>) -> Self {
        Self { colour: false, lines: Lines { writer: Arc::new(Mutex::new(writer)), live: None } }
    }

    /// Nothing at all: for `--quiet`.
    pub fn silent() -> Self {
        Self::lines(Box::new(io::sink()))
    }

    /// Whether running steps are shown live.
    pub fn is_live(&self) -> bool {
        self.lines.live.is_some()
    }

    /// Something worth knowing.
    pub fn note(&self, text: impl Display) {
        self.lines.write(&labelled("note", AnsiColor::Green, &text.to_string(), self.colour));
    }

    /// Something that should change although the work goes on.
    pub fn warning(&self, text: impl Display) {
        self.lines.write(&labelled("warning", AnsiColor::Yellow, &text.to_string(), self.colour));
    }

    /// A line as it is, such as a heading.
    pub fn line(&self, text: impl Display) {
        self.lines.write(&format!("{}\n", neutralise_line(&text.to_string())));
    }

    /// Begins a step, such as `pulling the image`.
    pub fn step(&self, doing: impl Display) -> Step {
        let doing = neutralise_line(&doing.to_string()).into_owned();
        let bar = self.lines.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new_spinner());
            bar.set_style(spinner());
            bar.set_message(doing.clone());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_none() {
            self.lines.write(&format!("{doing} ...\n"));
        }
        Step { bar, doing, said: String::new(), colour: self.colour, lines: self.lines.clone(), ended: false }
    }
}

fn spinner() -> ProgressStyle {
    // The template is fixed and valid; should a new release read it otherwise, its own spinner does as well.
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// A running step. Dropped without an end, it disappears from a terminal and says nothing more elsewhere: the error
/// that follows does.
#[derive(Debug)]
#[must_use = "a step ends when it is dropped"]
pub struct Step {
    bar: Option<ProgressBar>,
    doing: String,
    said: String,
    colour: bool,
    lines: Lines,
    ended: bool,
}

impl Step {
    /// Says where the step is. The same text again is not repeated.
    pub fn update(&mut self, state: impl Display) {
        let state = neutralise_line(&state.to_string()).into_owned();
        if state == self.said {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {state}", self.doing)),
            None => self.lines.write(&format!("{}: {state}\n", self.doing)),
        }
        self.said = state;
    }

    /// Writes a line above the live one, such as a line of a log.
    pub fn line(&self, text: impl Display) {
        self.lines.write(&format!("{}\n", neutralise_line(&text.to_string())));
    }

    /// Ends the step well, with what came of it.
    pub fn done(self, result: impl Display) {
        self.end("done", AnsiColor::Green, &result.to_string());
    }

    /// Ends the step badly, with why.
    pub fn failed(self, why: impl Display) {
        self.end("failed", AnsiColor::Red, &why.to_string());
    }

    fn end(mut self, word: &str, colour: AnsiColor, text: &str) {
        self.ended = true;
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let text = neutralise_line(text);
        let text = if text.is_empty() { self.doing.clone() } else { format!("{}: {text}", self.doing) };
        self.lines.write(&labelled(word, colour, &text, self.colour));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let (Some(bar), false) = (&self.bar, self.ended) {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::Captured;

    #[test]
    fn without_a_terminal_every_event_is_one_line() {
        let shared = Captured::default();
        let progress = Progress::lines(Box::new(shared.clone()));
        assert!(!progress.is_live());
        progress.line("two hosts");
        let mut first = progress.step("creating the VM");
        let second = progress.step("waiting for\nthe app");
        first.update("booting");
        first.update("booting");
        first.update("booted \u{1b}[2J");
        first.line("serial: hello");
        first.done("id 0123");
        second.failed("timed out after 60 s");
        drop(progress.step("cleaning up"));
        progress.warning("the image is old");
        progress.step("stopping").done("");
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn live_steps_hide_nothing_that_is_written_meanwhile() {
        let shared = Captured::default();
        let lines = Lines {
            writer: Arc::new(Mutex::new(Box::new(shared.clone()))),
            live: Some(MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden())),
        };
        let progress = Progress { colour: false, lines };
        assert!(progress.is_live());
        let mut step = progress.step("creating the VM");
        step.update("booting");
        step.line("serial: hello");
        step.done("id 0123");
        let text = String::from_utf8(shared.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "serial: hello\ndone: creating the VM: id 0123\n");
    }
}
