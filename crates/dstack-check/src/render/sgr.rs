//! The few SGR sequences (ECMA-48, "select graphic rendition") that colour a report.

use crate::{Answer, Status, Verdict};

/// A look, as the parameter of an SGR sequence.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Bold,
    Dim,
    Green,
    Yellow,
    BoldRed,
    Magenta,
    Cyan,
}

impl Look {
    const fn parameter(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::BoldRed => "1;31",
            Self::Magenta => "35",
            Self::Cyan => "36",
        }
    }

    pub(super) const fn of_status(status: &Status) -> Self {
        match status {
            Status::Pass => Self::Green,
            Status::Warn => Self::Yellow,
            Status::Fail => Self::BoldRed,
            Status::Unknown { .. } => Self::Magenta,
            Status::Skipped { .. } | Status::NotApplicable => Self::Dim,
        }
    }

    pub(super) const fn of_answer(answer: Answer) -> Self {
        match answer {
            Answer::Shown => Self::Green,
            Answer::WithReserve => Self::Yellow,
            Answer::NotShown => Self::Magenta,
            Answer::Refuted => Self::BoldRed,
        }
    }

    pub(super) const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ok => Self::Green,
            Verdict::Warnings => Self::Yellow,
            Verdict::Undetermined => Self::Magenta,
            Verdict::Failed => Self::BoldRed,
        }
    }
}

/// The text in this look, or as it is where colour is off.
pub(super) fn paint(colour: bool, look: Look, text: &str) -> String {
    if colour && !text.is_empty() {
        format!("\u{1b}[{}m{text}\u{1b}[0m", look.parameter())
    } else {
        text.to_owned()
    }
}
