//! `diff`: what differs between two snapshots, and does it matter?

use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style as Look};
use cli_support::{CliError, ExitCode};
use dstack_check::text::{escape_json, neutralise_line, wrap};
use dstack_hw::snapshot::{DiffRules, Difference, HostSnapshot, Outcome, Severity, SnapshotDiff, diff};

use crate::context::Context;
use crate::failure::from_hw;
use crate::files;

/// How many things that could not be compared are listed.
const UNCOMPARED: usize = 10;

/// Arguments of `diff`.
///
/// The exit code is 1 where something that matters differs, or where that cannot be told.
#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The first snapshot, or - for standard input
    #[arg(value_name = "FIRST")]
    first: PathBuf,
    /// The second snapshot
    #[arg(value_name = "SECOND")]
    second: PathBuf,
    /// A TOML file that says what may differ, in place of the built-in rules
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Show what may differ, too
    #[arg(long, short = 'v', visible_alias = "verbose")]
    all: bool,
    /// Print Markdown
    #[arg(long, conflicts_with = "json")]
    md: bool,
}

impl Diff {
    pub(crate) fn run(&self, context: &mut Context) -> Result<ExitCode, CliError> {
        let rules = match &self.rules {
            None => DiffRules::builtin(),
            Some(path) => DiffRules::from_toml(&files::read_text(path)?)
                .map_err(|error| from_hw(error).context(files::named(path)))?,
        };
        let found = diff(&snapshot(&self.first)?, &snapshot(&self.second)?, &rules);
        if context.out.is_json() {
            context.out.text(&escape_json(&found.to_json()))?;
        } else if self.md {
            context.out.text(&markdown(&found))?;
        } else {
            let style = context.out.style();
            let mut page =
                Page { width: style.width, colour: style.colour, all: self.all, out: String::new() };
            page.diff(&found);
            let text = page.out;
            context.out.text(&text)?;
        }
        Ok(match found.outcome {
            Outcome::Same | Outcome::Equivalent => ExitCode::Ok,
            _ => ExitCode::No,
        })
    }
}

fn snapshot(path: &Path) -> Result<HostSnapshot, CliError> {
    HostSnapshot::from_json(&files::read_text(path)?)
        .map_err(|error| from_hw(error).context(files::named(path)))
}

/// The differences that matter, the gravest first, otherwise in their own order.
fn by_gravity(found: &SnapshotDiff) -> Vec<(Severity, Vec<&Difference>)> {
    [Severity::Security, Severity::Function, Severity::Note]
        .into_iter()
        .map(|severity| {
            (severity, found.matters().filter(|one| one.severity() == Some(severity)).collect::<Vec<_>>())
        })
        .filter(|(_, members)| !members.is_empty())
        .collect()
}

/// What it comes to, in capitals and in a sentence.
fn verdict(found: &SnapshotDiff) -> (&'static str, AnsiColor, String) {
    let matters = found.matters().count();
    let may = found.may_differ().count();
    let other = if may > 0 { format!("; {may} more may differ") } else { String::new() };
    match found.outcome {
        Outcome::Same => ("SAME", AnsiColor::Green, "nothing differs".to_owned()),
        Outcome::Equivalent => {
            ("EQUIVALENT", AnsiColor::Green, format!("nothing that matters differs{other}"))
        }
        Outcome::Different => {
            let differ = if matters == 1 { "difference matters" } else { "differences matter" };
            ("DIFFERENT", AnsiColor::Red, format!("{matters} {differ}{other}"))
        }
        _ => (
            "NOT KNOWN",
            AnsiColor::Magenta,
            format!(
                "nothing that matters is known to differ, and {} could not be compared{other}",
                found.unknown.len()
            ),
        ),
    }
}

struct Page {
    width: Option<usize>,
    colour: bool,
    all: bool,
    out: String,
}

impl Page {
    fn diff(&mut self, found: &SnapshotDiff) {
        for (severity, members) in by_gravity(found) {
            let heading = match severity {
                Severity::Security => "matters for security",
                Severity::Function => "matters for how the host works",
                _ => "worth knowing",
            };
            self.heading(heading);
            for one in members {
                self.difference(one);
            }
            self.out.push('\n');
        }
        if self.all && found.may_differ().next().is_some() {
            self.heading("may differ");
            for one in found.may_differ() {
                self.difference(one);
            }
            self.out.push('\n');
        }
        if !found.unknown.is_empty() {
            self.heading("not compared");
            let listed = if self.all { found.unknown.len() } else { UNCOMPARED };
            for one in found.unknown.iter().take(listed) {
                self.wrapped("  ? ", "    ", &neutralise_line(&one.to_string()));
            }
            if let more @ 1.. = found.unknown.len().saturating_sub(listed) {
                self.out.push_str(&format!("    and {more} more\n"));
            }
            self.out.push('\n');
        }
        let (shout, colour, sentence) = verdict(found);
        let look = if self.colour { colour.on_default().bold() } else { Look::new() };
        self.out.push_str(&format!("{look}{shout}{look:#}: {sentence}\n"));
    }

    fn heading(&mut self, text: &str) {
        let look = if self.colour { Look::new().bold() } else { Look::new() };
        self.out.push_str(&format!("{look}{text}{look:#}\n"));
    }

    fn difference(&mut self, one: &Difference) {
        self.wrapped("  ", "    ", &neutralise_line(&one.to_string()));
        self.wrapped("    ", "    ", &neutralise_line(one.why()));
    }

    fn wrapped(&mut self, start: &str, hang: &str, text: &str) {
        let room = self.width.map(|width| width.max(40).saturating_sub(hang.len()));
        let mut start = start;
        for line in wrap(text, room) {
            self.out.push_str(format!("{start}{line}").trim_end());
            self.out.push('\n');
            start = hang;
        }
    }
}

fn markdown(found: &SnapshotDiff) -> String {
    let (shout, _, sentence) = verdict(found);
    let mut out = format!("**{shout}**: {sentence}\n");
    let mut table = |title: &str, rows: Vec<(String, String)>| {
        if rows.is_empty() {
            return;
        }
        out.push_str(&format!("\n## {title}\n\n| what | why |\n|---|---|\n"));
        for (what, why) in rows {
            out.push_str(&format!("| {} | {} |\n", cell(&what), cell(&why)));
        }
    };
    let row = |one: &Difference| (one.to_string(), one.why().to_owned());
    for (severity, members) in by_gravity(found) {
        table(&format!("Matters ({})", severity.word()), members.into_iter().map(row).collect());
    }
    table("May differ", found.may_differ().map(row).collect());
    table("Not compared", found.unknown.iter().map(|one| (one.to_string(), String::new())).collect());
    out
}

/// Text for a cell of a table: nothing in it is markup.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in neutralise_line(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' | '@' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}
