//! Reports as Markdown (GitHub's dialect, with tables), for issues, chats and pages.
//!
//! Observed text cannot break out: prose is escaped, values stand in code spans and fences that are longer than any
//! run of backticks in them, and no raw HTML is ever written.

use std::fmt::Write as _;

use super::{Remarks, by_layer, by_word, proves_label, reason, shown, shown_command, shown_line};
use crate::{Conclusion, Evidence, Finding, Fix, Report, ReportSet, Status};

/// The report as a Markdown document with one heading of the second level, ending in a newline.
///
/// ```
/// use dstack_check::{Finding, Report, render};
///
/// let report = Report::new("host-1", [Finding::pass("host.kvm.device", "/dev/kvm is there")]);
/// let text = render::markdown::report(&report);
/// assert!(text.starts_with("## host-1\n\n**ok**: 1 pass\n"));
/// assert!(text.contains("| ✓ pass | /dev/kvm is there | `host.kvm.device` |\n"));
/// ```
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    write_report(&mut out, report);
    end(&mut out);
    out
}

/// One newline at the end.
fn end(out: &mut String) {
    out.truncate(out.trim_end().len());
    out.push('\n');
}

/// The reports one after the other under headings of the second level, after a table of the checks by host.
pub fn set(set: &ReportSet) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("## All hosts\n\n**{}**: {}\n", set.verdict(), set.counts()));
    if !set.reports().is_empty() {
        line(&mut out, format_args!("| Status | Check | Hosts |\n|---|---|---|"));
        for row in set.summary() {
            let hosts: Vec<String> = by_word(&row)
                .iter()
                .map(|(word, hosts)| format!("{word}: {}", prose(&hosts.join(", "))))
                .collect();
            line(
                &mut out,
                format_args!(
                    "| {} | {} | {} |",
                    mark(row.worst()),
                    code(row.id.as_str(), true),
                    hosts.join("; ")
                ),
            );
        }
        out.push('\n');
    }
    for report in set.reports() {
        blank(&mut out);
        write_report(&mut out, report);
    }
    end(&mut out);
    out
}

/// Ends the paragraph before, if there is one.
fn blank(out: &mut String) {
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}

fn write_report(out: &mut String, report: &Report) {
    line(
        out,
        format_args!("## {}\n\n**{}**: {}", prose(report.subject()), report.verdict(), report.counts()),
    );
    if !report.meta().is_empty() {
        blank(out);
        for (key, value) in report.meta() {
            line(out, format_args!("- {}: {}", prose(key), code(value, false)));
        }
    }
    write_conclusions(out, report.conclusions());
    for (layer, findings) in by_layer(report.findings()) {
        blank(out);
        if !layer.is_empty() {
            line(out, format_args!("### {}\n", prose(layer)));
        }
        line(out, format_args!("| Status | Check | Id |\n|---|---|---|"));
        for finding in &findings {
            let id = code(finding.id.as_str(), true);
            line(out, format_args!("| {} | {} | {id} |", mark(&finding.status), prose(&finding.title)));
        }
        write_meanings(out, &findings);
        for finding in findings {
            if finding.status != Status::Pass && finding.status != Status::NotApplicable
                || finding.fix.is_some()
            {
                write_details(out, finding, report.root_cause(finding));
            }
        }
    }
}

/// What the findings come to: a table, and below it what is taken on trust and what is missing.
fn write_conclusions(out: &mut String, conclusions: &[Conclusion]) {
    if conclusions.is_empty() {
        return;
    }
    blank(out);
    line(out, format_args!("### What this shows\n\n| Question | Answer | In words |\n|---|---|---|"));
    for Conclusion { question, answer, statement, .. } in conclusions {
        let symbol = super::Symbols::Unicode.of_answer(*answer);
        line(out, format_args!("| {} | {symbol} {answer} | {} |", prose(question), prose(statement)));
    }
    let remarks = Remarks::of(conclusions);
    let own = conclusions.iter().zip(&remarks.own).flat_map(|(conclusion, own)| {
        own.iter().map(|(label, text)| (conclusion.question.as_ref(), *label, *text))
    });
    let common = remarks.common.iter().map(|(label, text)| ("throughout", *label, *text));
    let mut first = true;
    for (question, label, text) in own.chain(common) {
        if std::mem::take(&mut first) {
            blank(out);
        }
        line(out, format_args!("- {}, {label}: {}", prose(question), prose(text)));
    }
}

/// What the checks of a layer that passed prove, and what not, where they say so.
fn write_meanings(out: &mut String, findings: &[&Finding]) {
    let passed = |finding: &&&Finding| finding.status == Status::Pass && finding.proves.is_some();
    let mut rows = findings.iter().filter(passed).peekable();
    if rows.peek().is_none() {
        return;
    }
    blank(out);
    line(out, format_args!("| Passed | Proves | Does not prove | On trust |\n|---|---|---|---|"));
    for finding in rows {
        let cell = |text: Option<&str>| text.map(prose).unwrap_or_default();
        line(
            out,
            format_args!(
                "| {} | {} | {} | {} |",
                code(finding.id.as_str(), true),
                cell(finding.proves.as_deref()),
                cell(finding.leaves_open.as_deref()),
                prose(&finding.trusting.join("; ")),
            ),
        );
    }
}

fn write_details(out: &mut String, finding: &Finding, root: Option<&Finding>) {
    let (id, word) = (code(finding.id.as_str(), false), finding.status.word());
    blank(out);
    line(out, format_args!("**{word}** {id}: {}\n", prose(&finding.title)));
    match &finding.status {
        Status::Unknown { why } => line(out, format_args!("- why: {}", prose(why))),
        Status::Skipped { because } => {
            line(out, format_args!("- because: {}", code(&reason(because, root), false)));
        }
        _ => {}
    }
    for (label, text) in [("expected", &finding.expected), ("observed", &finding.observed)] {
        if let Some(text) = text {
            value(out, label, text);
        }
    }
    for Evidence { source, excerpt } in &finding.evidence {
        line(out, format_args!("- seen in {}", code(source, false)));
        if !excerpt.trim().is_empty() {
            fence(out, "text", &shown(excerpt));
        }
    }
    for what in &finding.trusting {
        line(out, format_args!("- on trust: {}", prose(what)));
    }
    // What a pass proves is in the table of those that passed.
    if finding.status != Status::Pass {
        for (label, text) in
            [(proves_label(&finding.status), &finding.proves), ("but not", &finding.leaves_open)]
        {
            if let Some(text) = text {
                line(out, format_args!("- {label}: {}", prose(text)));
            }
        }
    }
    if let Some(fix) = &finding.fix {
        write_fix(out, fix);
    }
}

fn write_fix(out: &mut String, fix: &Fix) {
    line(out, format_args!("- {}: {}", if fix.only_a_hint { "try" } else { "fix" }, prose(&fix.action)));
    if !fix.commands.is_empty() {
        let commands: Vec<String> = fix.commands.iter().map(|command| shown_command(command)).collect();
        fence(out, "sh", &commands.join("\n"));
    }
    if let Some(link) = &fix.link {
        // Only what is plainly a web address becomes a link.
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '\\' | '`');
        if link.starts_with("https://") && link.chars().all(plain) {
            line(out, format_args!("- more: <{link}>"));
        } else {
            line(out, format_args!("- more: {}", code(link, false)));
        }
    }
}

/// A value: in the line where it is one line, else in a fence below.
fn value(out: &mut String, label: &str, text: &str) {
    let text = text.trim_end();
    if text.contains('\n') {
        line(out, format_args!("- {label}:"));
        fence(out, "text", &shown(text));
    } else {
        line(out, format_args!("- {label}: {}", code(text, false)));
    }
}

/// A fenced block inside a list item, of text that is safe to show.
fn fence(out: &mut String, language: &str, text: &str) {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    line(out, format_args!("\n  {fence}{language}"));
    for row in text.split('\n') {
        line(out, format_args!("{}{row}", if row.is_empty() { "" } else { "  " }));
    }
    line(out, format_args!("  {fence}\n"));
}

fn mark(status: &Status) -> String {
    format!("{} {}", super::Symbols::Unicode.of(status), status.word())
}

/// The text as a code span on one line. In a table the pipe is escaped even there.
fn code(text: &str, in_table: bool) -> String {
    let text = shown_line(text);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let text = if in_table { text.replace('|', "\\|") } else { text };
    let ticks = "`".repeat(longest_run(&text) + 1);
    // A span that begins or ends with a backtick needs spaces, which Markdown takes away again.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// The text as prose on one line, with everything that Markdown, a table or HTML would read escaped.
fn prose(text: &str) -> String {
    let text = shown_line(text);
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let list_or_heading = at == 0 && matches!(c, '#' | '+' | '-' | '=');
        // `1.` and `1)` at the start would begin a numbered list.
        let number = matches!(c, '.' | ')') && at > 0 && text[..at].bytes().all(|b| b.is_ascii_digit());
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '!' | '@' => {
                out.push('\\');
                out.push(c);
            }
            _ => {
                if list_or_heading || number {
                    out.push('\\');
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_is_escaped() {
        for (raw, escaped) in [
            ("a | b", r"a \| b"),
            ("<script>&", "&lt;script&gt;&amp;"),
            ("`code` *em* _em_ ~x~", r"\`code\` \*em\* \_em\_ \~x\~"),
            ("[x](javascript:1)", r"\[x\](javascript:1)"),
            ("# heading", r"\# heading"),
            ("- item", r"\- item"),
            ("12. item", r"12\. item"),
            ("v1.2", "v1.2"),
            ("two\nlines", r"two\\nlines"),
            ("@someone", r"\@someone"),
        ] {
            assert_eq!(prose(raw), escaped);
        }
    }

    #[test]
    fn code_spans_hold_any_text() {
        for (raw, in_table, span) in [
            ("plain", false, "`plain`"),
            ("a`b", false, "``a`b``"),
            ("``", false, "``` `` ```"),
            ("a|b", true, r"`a\|b`"),
            (r"a\|b", true, r"`a\\|b`"),
            ("a|b", false, "`a|b`"),
            ("", false, "(empty)"),
            ("x\u{1b}[m", false, r"`x\x1b[m`"),
        ] {
            assert_eq!(code(raw, in_table), span);
        }
    }

    proptest! {
        #[test]
        fn a_fence_is_longer_than_any_run_inside(text in "[`a\n]{0,60}") {
            let mut out = String::new();
            fence(&mut out, "text", &text);
            let rows: Vec<&str> = out.trim().lines().collect();
            let fence = rows[rows.len() - 1].trim();
            prop_assert!(!fence.is_empty() && fence.chars().all(|c| c == '`'));
            for row in &rows[1..rows.len() - 1] {
                prop_assert!(longest_run(row) < fence.len());
            }
        }

        #[test]
        fn a_table_row_keeps_its_three_cells(title in any::<String>(), id in any::<String>()) {
            let text = report(&Report::new("s", [Finding::pass(id, title)]));
            let row = text.lines().find(|line| line.starts_with("| ✓")).unwrap();
            let mut bars = 0;
            let mut escaped = false;
            for c in row.chars() {
                bars += usize::from(c == '|' && !escaped);
                // Tables are split before anything else is read: what stands before the backslash does not matter.
                escaped = c == '\\';
            }
            prop_assert_eq!(bars, 4, "{}", row);
        }
    }
}
