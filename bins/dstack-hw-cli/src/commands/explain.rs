//! `explain`: what an error code, a line of a log, or a check means.

use anstyle::Style as Look;
use cli_support::{CliError, ExitCode};
use dstack_check::text::{neutralise_line, wrap};
use dstack_hw::explain::{self, Explanation, Kind};
use dstack_hw::knowledge::error_codes::Certainty;
use serde::Serialize;

use crate::context::Context;

/// How many explanations are shown whole; of the others there is a line.
const WHOLE: usize = 3;
/// Columns before the text of a labelled line.
const INDENT: usize = 9;

/// Arguments of `explain`.
///
/// The exit code is 1 where nothing is known.
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// A code (0xe011, 45073), a name (SGX_QL_NO_PLATFORM_CERT_DATA), the id of a check, or a line of a log
    #[arg(value_name = "TEXT", required = true, num_args = 1.., allow_hyphen_values = true, trailing_var_arg = true)]
    text: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    query: &'a str,
    explanations: &'a [Explanation],
    suggestions: Vec<&'static str>,
}

impl Explain {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let query = self.text.join(" ");
        let found = explain::explain(&query);
        let suggestions = if found.is_empty() { explain::suggestions(&query) } else { Vec::new() };
        if context.out.is_json() {
            let schema = "dstack-hw/explain/v1";
            context.out.json(&Document { schema, query: &query, explanations: &found, suggestions })?;
        } else if found.is_empty() {
            let mut error = CliError::no(format!("nothing is known about `{}`", neutralise_line(&query)));
            if !suggestions.is_empty() {
                error = error.hint(format!("these look like it: {}", suggestions.join(", ")));
            }
            return Err(error);
        } else {
            let style = *context.out.style();
            let mut page = Page { width: style.width, colour: style.colour, out: String::new() };
            page.explanations(&found);
            context.out.text(&page.out)?;
        }
        Ok(if found.is_empty() { ExitCode::No } else { ExitCode::Ok })
    }
}

struct Page {
    width: Option<usize>,
    colour: bool,
    out: String,
}

impl Page {
    fn explanations(&mut self, found: &[Explanation]) {
        for (index, explanation) in found.iter().take(WHOLE).enumerate() {
            if index > 0 {
                self.out.push('\n');
            }
            self.explanation(explanation);
        }
        if found.len() > WHOLE {
            self.out.push_str("\nsee also:\n");
            for explanation in found.iter().skip(WHOLE) {
                self.out.push_str(&format!("  {}  {}\n", title(explanation), explanation.origin));
            }
        }
    }

    fn explanation(&mut self, explanation: &Explanation) {
        let look = if self.colour { Look::new().bold() } else { Look::new() };
        self.out.push_str(&format!("{look}{}{look:#}  {}\n", title(explanation), explanation.origin));
        let sure = explanation.certainty == Certainty::Certain;
        let asks = explanation.kind == Kind::Check;
        self.labelled(if asks { "asks" } else { "says" }, explanation.meaning);
        self.labelled("note", explanation.note.as_deref().unwrap_or_default());
        self.labelled(if asks { "why" } else { "because" }, explanation.cause);
        if explanation.follow_on {
            self.labelled("note", "it follows from an error that was reported before it: look at that one");
        }
        self.labelled(if sure { "fix" } else { "try" }, explanation.fix);
        if !asks {
            self.labelled("check", explanation.check.unwrap_or_default());
        }
        self.labelled("page", explanation.page.as_deref().unwrap_or_default());
    }

    fn labelled(&mut self, label: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let room = self.width.map(|width| width.max(40).saturating_sub(INDENT + 2));
        let mut start = format!("  {label:INDENT$}");
        for line in wrap(&neutralise_line(text), room) {
            self.out.push_str(format!("{start}{line}").trim_end());
            self.out.push('\n');
            start = " ".repeat(INDENT + 2);
        }
    }
}

/// The code and the name.
fn title(explanation: &Explanation) -> String {
    match &explanation.code {
        Some(code) => format!("{code} {}", explanation.name),
        None => explanation.name.to_owned(),
    }
}
