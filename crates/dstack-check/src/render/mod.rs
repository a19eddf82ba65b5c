//! A report as text: for terminals, as Markdown, and as versioned JSON.
//!
//! Rendering is a pure function from a report to a `String`; nothing is printed. The two forms for people neutralise
//! control characters and bound what they show, the JSON form keeps the text as it was observed.

pub mod json;
pub mod markdown;
mod sgr;
mod style;
pub mod terminal;

pub use style::{Style, Symbols};

use crate::text::bounded;
use crate::MAX_EXCERPT;

/// The longest observed, expected or reason text the forms for people show, in bytes.
const MAX_TEXT: usize = MAX_EXCERPT;

/// Text of a finding for people: bounded, with nothing that could change how the page around it is shown.
fn shown(text: &str) -> String {
    let text = bounded(text, MAX_TEXT);
    crate::text::neutralise(text.trim_end_matches(['\n', '\r'])).into_owned()
}

/// As [`shown`], for one line.
fn shown_line(text: &str) -> String {
    crate::text::neutralise_line(bounded(text, MAX_TEXT).trim()).into_owned()
}
