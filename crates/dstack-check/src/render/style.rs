//! How a report looks in a terminal.

use crate::{Answer, Status};

/// Which marks stand before the status words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symbols {
    /// `✓ ! ✗ ? ↷ ·`, for terminals with a UTF-8 locale.
    #[default]
    Unicode,
    /// `+ ! x ? > .`, for everything else.
    Ascii,
}

impl Symbols {
    pub(super) const fn of(self, status: &Status) -> &'static str {
        match (self, status) {
            (Self::Unicode, Status::Pass) => "✓",
            (Self::Unicode, Status::Fail) => "✗",
            (Self::Unicode, Status::Skipped { .. }) => "↷",
            (Self::Unicode, Status::NotApplicable) => "·",
            (Self::Ascii, Status::Pass) => "+",
            (Self::Ascii, Status::Fail) => "x",
            (Self::Ascii, Status::Skipped { .. }) => ">",
            (Self::Ascii, Status::NotApplicable) => ".",
            (_, Status::Warn) => "!",
            (_, Status::Unknown { .. }) => "?",
        }
    }

    pub(super) const fn of_answer(self, answer: Answer) -> &'static str {
        match (self, answer) {
            (Self::Unicode, Answer::Shown) => "✓",
            (Self::Unicode, Answer::Refuted) => "✗",
            (Self::Ascii, Answer::Shown) => "+",
            (Self::Ascii, Answer::Refuted) => "x",
            (_, Answer::WithReserve) => "!",
            (_, Answer::NotShown) => "?",
        }
    }
}

/// How a report looks in a terminal. The caller decides everything; nothing is read from the environment.
///
/// Colour only repeats what a word and a symbol say already.
///
/// ```
/// use dstack_check::render::{Style, Symbols};
///
/// let style = Style::new().with_colour(true).with_width(Some(100)).with_symbols(Symbols::Ascii);
/// assert!(style.colour && !style.fold_passes);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Style {
    /// Whether SGR escape sequences colour the text.
    pub colour: bool,
    /// Columns to wrap at, at least 40; `None` never wraps. Commands are never wrapped, so that they can be copied.
    pub width: Option<usize>,
    /// Which marks stand before the status words.
    pub symbols: Symbols,
    /// Whether passed and not applicable checks of a layer are folded into one line with their number.
    pub fold_passes: bool,
    /// Whether passed checks show what they rest on, as all others do.
    pub details_of_passes: bool,
    /// Whether every finding that is shown says what a pass of its check proves, what not, and what it takes on trust.
    pub meanings: bool,
}

impl Style {
    /// No colour, no wrapping, Unicode symbols, nothing folded: what a file or a pipe gets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Switches colour on or off.
    #[must_use]
    pub fn with_colour(mut self, colour: bool) -> Self {
        self.colour = colour;
        self
    }

    /// Sets the columns to wrap at.
    #[must_use]
    pub fn with_width(mut self, width: Option<usize>) -> Self {
        self.width = width;
        self
    }

    /// Chooses the symbols.
    #[must_use]
    pub fn with_symbols(mut self, symbols: Symbols) -> Self {
        self.symbols = symbols;
        self
    }

    /// Folds passed and not applicable checks.
    #[must_use]
    pub fn with_folded_passes(mut self, fold: bool) -> Self {
        self.fold_passes = fold;
        self
    }

    /// Shows what passed checks rest on.
    #[must_use]
    pub fn with_details_of_passes(mut self, details: bool) -> Self {
        self.details_of_passes = details;
        self
    }

    /// Shows what each check proves, and what not.
    #[must_use]
    pub fn with_meanings(mut self, meanings: bool) -> Self {
        self.meanings = meanings;
        self
    }
}
