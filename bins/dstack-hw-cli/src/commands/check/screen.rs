//! What `check` shows in a terminal: what was looked at, layer by layer what is not well, and the verdict last.

use anstyle::{AnsiColor, Style as Look};
use dstack_check::render::{self, Style, Symbols};
use dstack_check::text::{columns, neutralise_line, wrap};
use dstack_check::{Counts, Finding, Fix, Report, Status};
use dstack_hw::{Assessment, HostFacts, Profile, Readiness, Softened, Unread};

use super::verdict::{Verdict, named};
use crate::source::Kind;

/// Columns before what belongs to a finding.
const INDENT: usize = 13;
/// The narrowest page that is laid out for.
const MIN_WIDTH: usize = 40;

/// A layer and its findings.
type Layer<'a> = (&'a str, Vec<&'a Finding>);

/// Everything a page is made of.
pub(super) struct Page<'a> {
    pub(super) assessment: &'a Assessment,
    pub(super) facts: &'a HostFacts,
    pub(super) profile: &'a Profile,
    pub(super) kind: Kind,
    pub(super) all: bool,
}

impl<'a> Page<'a> {
    pub(super) fn verdict(&self) -> Verdict {
        Verdict::of(self.assessment, self.profile)
    }

    /// The ids of findings that are unknown for want of rights, where more rights can be had.
    pub(super) fn needs_root(&self) -> Vec<&'a str> {
        self.unknown_for(&Unread::NotPermitted)
    }

    /// The ids of findings that are unknown for this reason.
    fn unknown_for(&self, reason: &Unread) -> Vec<&'a str> {
        let reason = reason.why();
        let findings = self.assessment.report.findings().iter();
        findings
            .filter(|finding| matches!(&finding.status, Status::Unknown { why } if why.contains(&reason)))
            .map(|finding| finding.id.as_str())
            .collect()
    }

    /// The page as text, ending in a newline.
    pub(super) fn text(&self, style: &Style) -> String {
        let mut sheet = Sheet { style, out: String::new() };
        self.head(&mut sheet);
        let layers = self.layers();
        let (shown, aside) = if self.all { (layers, Vec::new()) } else { self.told(layers) };
        for (layer, findings) in shown {
            self.layer(&mut sheet, layer, &findings);
        }
        for (reason, layers) in aside {
            self.aside(&mut sheet, &reason, &layers);
        }
        self.end(&mut sheet);
        sheet.out
    }

    /// The head of a page in Markdown: verdict, next step, what was looked at.
    pub(super) fn markdown(&self) -> String {
        let verdict = self.verdict();
        let mut out = format!("**{}**: {}\n\n", verdict.shout, verdict.sentence);
        if let Some(fix) = self.assessment.next_step() {
            out.push_str(&format!("Next step: {}\n\n", neutralise_line(&fix.action)));
            if !fix.commands.is_empty() {
                let commands: Vec<String> =
                    fix.commands.iter().map(|command| format!("    {}", neutralise_line(command))).collect();
                out.push_str(&format!("{}\n\n", commands.join("\n")));
            }
        }
        out
    }

    fn head(&self, sheet: &mut Sheet<'_>) {
        let report = &self.assessment.report;
        // Where nothing was judged, that comes before anything else.
        if let (Readiness::NotThisPlace { .. }, Some(finding)) =
            (&self.assessment.readiness, self.assessment.deciding())
        {
            let observed = finding.observed.as_deref().unwrap_or(finding.title.as_ref());
            let verdict = self.verdict();
            sheet.shout(&verdict.shout, red(), &neutralise_line(observed));
            sheet.line("");
        }
        let subject = neutralise_line(report.subject());
        let words = self.kind.words();
        let looked = if self.kind == Kind::Live && subject == "this host" {
            words.to_owned()
        } else {
            format!("{subject}: {words}")
        };
        sheet.painted(&looked, Look::new().bold());
        for fact in self.known() {
            sheet.wrapped("  ", "  ", &fact);
        }
        sheet.wrapped("  profile ", "    ", &format!("{}: {}", self.profile.name, self.profile.about));
        sheet.line("");
    }

    /// What is known of the host, in a line or two.
    fn known(&self) -> Vec<String> {
        let mut known = Vec::new();
        if let Some(info) = self.facts.cpu.info.known()
            && !info.model_name.is_empty()
        {
            known.push(neutralise_line(&info.model_name).into_owned());
        }
        if let Some(release) = self.facts.kernel.release.known() {
            known.push(format!("Linux {}", neutralise_line(&release.to_string())));
        }
        if known.is_empty() { known } else { vec![known.join(", ")] }
    }

    fn layers(&self) -> Vec<Layer<'a>> {
        let mut layers: Vec<(&str, Vec<&Finding>)> = Vec::new();
        for finding in self.assessment.report.findings() {
            let layer = finding.layer.as_deref().unwrap_or("other");
            match layers.iter_mut().find(|(name, _)| *name == layer) {
                Some((_, members)) => members.push(finding),
                None => layers.push((layer, vec![finding])),
            }
        }
        layers
    }

    /// The layers that are shown, and those of which nothing was asked for one reason.
    ///
    /// Where nothing was judged, what was found about this place beside that is of no use.
    fn told(&self, layers: Vec<Layer<'a>>) -> (Vec<Layer<'a>>, Vec<(String, Vec<Layer<'a>>)>) {
        let mut shown = Vec::new();
        let mut aside: Vec<(String, Vec<Layer<'_>>)> = Vec::new();
        let not_here = matches!(self.assessment.readiness, Readiness::NotThisPlace { .. });
        let deciding = self.assessment.deciding().and_then(|finding| finding.layer.as_deref());
        for layer in layers {
            let groups = groups(&layer.1, &self.assessment.report);
            let reason = match groups.as_slice() {
                _ if not_here && deciding != Some(layer.0) => "not judged here".to_owned(),
                [(reason, members)] if members.len() == layer.1.len() => reason.clone(),
                _ => {
                    shown.push(layer);
                    continue;
                }
            };
            match aside.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, members)) => members.push(layer),
                None => aside.push((reason, vec![layer])),
            }
        }
        (shown, aside)
    }

    /// Layers of which one thing is said.
    fn aside(&self, sheet: &mut Sheet<'_>, reason: &str, layers: &[Layer<'_>]) {
        let count: usize = layers.iter().map(|(_, findings)| findings.len()).sum();
        let names: Vec<&str> = layers.iter().map(|(name, _)| *name).collect();
        let first = layers.first().and_then(|(_, findings)| findings.first());
        let start =
            format!("{} ", sheet.mark(first.map_or(&Status::NotApplicable, |finding| &finding.status)));
        let noun = if count == 1 { "check" } else { "checks" };
        sheet.wrapped(&start, "  ", &format!("{}: {count} {noun}, {reason}", names.join(", ")));
    }

    fn layer(&self, sheet: &mut Sheet<'_>, layer: &str, findings: &[&Finding]) {
        let counts = Counts::of(findings.iter().copied());
        let worst = findings.iter().map(|finding| &finding.status).max_by_key(|status| status.severity());
        let worst = worst.unwrap_or(&Status::NotApplicable);
        let gap = " ".repeat(18usize.saturating_sub(columns(layer)));
        let name = sheet.paint(layer, Look::new().bold());
        let start = format!("{} {name}{gap}", sheet.mark(worst));
        let mut groups = groups(findings, &self.assessment.report);
        // What a text or a capture does not have is counted, not listed: nobody can do anything about it.
        groups.retain(|(reason, _)| self.kind == Kind::Live || *reason != Unread::NotRecorded.why());
        sheet.wrapped(&start, &" ".repeat(20), &counts.to_string());
        if self.all {
            for finding in findings {
                sheet.out.push_str(&render::terminal::finding(finding, &self.style_of(sheet.style)));
            }
            sheet.line("");
            return;
        }
        let quiet = |finding: &Finding| {
            let passed = matches!(finding.status, Status::Pass | Status::NotApplicable);
            passed && finding.fix.is_none() || group(finding, &self.assessment.report).is_some()
        };
        let loud: Vec<&&Finding> = findings.iter().filter(|finding| !quiet(finding)).collect();
        for finding in &loud {
            sheet.out.push_str(&render::terminal::finding(finding, sheet.style));
        }
        for (reason, members) in &groups {
            sheet.group(reason, members);
        }
        if !(loud.is_empty() && groups.is_empty()) {
            sheet.line("");
        }
    }

    fn style_of(&self, style: &Style) -> Style {
        style.with_details_of_passes(self.all)
    }

    fn end(&self, sheet: &mut Sheet<'_>) {
        if !sheet.out.ends_with("\n\n") {
            sheet.line("");
        }
        let softened: Vec<&str> = self
            .assessment
            .softened()
            .filter(|(_, why)| *why == Softened::Ignored)
            .map(|(id, _)| id)
            .collect();
        if !softened.is_empty() {
            sheet.wrapped("ignored: ", "  ", &softened.join(", "));
            sheet.line("");
        }
        let verdict = self.verdict();
        let look = match self.assessment.readiness {
            Readiness::Ready { .. } => Look::new().fg_color(Some(AnsiColor::Green.into())).bold(),
            Readiness::NotEnabledYet { .. } => Look::new().fg_color(Some(AnsiColor::Yellow.into())).bold(),
            Readiness::Undetermined { .. } => Look::new().fg_color(Some(AnsiColor::Magenta.into())).bold(),
            _ => red(),
        };
        sheet.shout(&verdict.shout, look, &verdict.sentence);
        if let Some(fix) = self.assessment.next_step() {
            sheet.next_step(fix);
        }
        let needs_root = self.needs_root();
        if !needs_root.is_empty() {
            let count = needs_root.len();
            let noun = if count == 1 { "finding needs" } else { "findings need" };
            sheet.wrapped("  ", "  ", &format!("{count} {noun} root ({}):", named(&needs_root)));
            sheet.command(&match self.kind {
                Kind::Live => format!("sudo dstack-hw check --profile {}", self.profile.name),
                _ => "sudo dstack-hw capture".to_owned(),
            });
        }
        let missing = self.unknown_for(&Unread::NotRecorded).len();
        if self.kind != Kind::Live && missing > 0 && !self.all {
            let noun = if missing == 1 { "check has" } else { "checks have" };
            let what =
                format!("{missing} {noun} nothing to go by here (--all names them); on the host itself:");
            sheet.wrapped("  ", "  ", &what);
            sheet.command("sudo dstack-hw check");
        }
    }
}

fn red() -> Look {
    Look::new().fg_color(Some(AnsiColor::Red.into())).bold()
}

/// Why a finding can stand in one line with others of its layer; `None` where it speaks for itself.
fn group(finding: &Finding, report: &Report) -> Option<String> {
    match &finding.status {
        Status::Skipped { because } => {
            let root = report.root_cause(finding);
            let id = root.map_or(because.as_str(), |root| root.id.as_str());
            let how = root.map_or("did not pass", |root| match root.status {
                Status::Fail | Status::Warn => "failed",
                _ => "could not be told",
            });
            Some(format!("not asked, because {} {how}", neutralise_line(id)))
        }
        // Where the reason is one of these two, the details of it are for `--all`.
        Status::Unknown { why } if finding.evidence.is_empty() => {
            let of_many = [Unread::NotPermitted.why(), Unread::NotRecorded.why()];
            let common = of_many.into_iter().find(|common| why.contains(common.as_str()));
            common.or_else(|| finding.fix.is_none().then(|| neutralise_line(why).into_owned()))
        }
        _ => None,
    }
}

/// The findings that can stand together, by what is said of them.
fn groups<'a>(findings: &[&'a Finding], report: &Report) -> Vec<(String, Vec<&'a Finding>)> {
    let mut groups: Vec<(String, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let Some(reason) = group(finding, report) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, members)) => members.push(finding),
            None => groups.push((reason, vec![finding])),
        }
    }
    groups
}

/// Text in the making.
struct Sheet<'a> {
    style: &'a Style,
    out: String,
}

impl Sheet<'_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end_matches(' '));
        self.out.push('\n');
    }

    fn paint(&self, text: &str, look: Look) -> String {
        if self.style.colour { format!("{look}{text}{look:#}") } else { text.to_owned() }
    }

    fn painted(&mut self, text: &str, look: Look) {
        let text = self.paint(text, look);
        self.line(&text);
    }

    /// Text wrapped to the width, its first line after `start` and the others after `hang`. `start` may be coloured.
    fn wrapped(&mut self, start: &str, hang: &str, text: &str) {
        let room = self
            .style
            .width
            .map(|width| width.max(MIN_WIDTH).saturating_sub(columns(hang).max(visible(start))));
        let mut start = start;
        for line in wrap(text, room) {
            self.line(&format!("{start}{line}"));
            start = hang;
        }
    }

    fn shout(&mut self, shout: &str, look: Look, sentence: &str) {
        let width = self.style.width.map(|width| width.max(MIN_WIDTH));
        let mut first = true;
        for line in wrap(&format!("{shout}: {sentence}"), width) {
            // The shout is short enough to stand on the first line whole.
            let text = match line.strip_prefix(shout).filter(|_| first) {
                Some(rest) => format!("{}{rest}", self.paint(shout, look)),
                None => line,
            };
            self.line(&text);
            first = false;
        }
    }

    /// Findings of which one thing is said: how many there are, what is said, and which they are.
    fn group(&mut self, reason: &str, members: &[&Finding]) {
        let Some(first) = members.first() else { return };
        let unknown = matches!(first.status, Status::Unknown { .. });
        let ids: Vec<&str> = members.iter().map(|finding| finding.id.as_str()).collect();
        let start = self.start(&first.status);
        let hang = " ".repeat(INDENT);
        match (members, unknown) {
            ([_], _) => self.wrapped(&start, &hang, &format!("{}: {reason}", ids.join(", "))),
            (_, false) => self.wrapped(&start, &hang, &format!("{} checks: {reason}", members.len())),
            // Each of these is a question of its own, so they are named.
            (_, true) => {
                self.wrapped(&start, &hang, &format!("{} checks: {reason}", members.len()));
                self.wrapped(&hang, &hang, &ids.join(", "));
            }
        }
    }

    fn next_step(&mut self, fix: &Fix) {
        let label = if fix.only_a_hint { "  try: " } else { "  next: " };
        let hang = " ".repeat(label.len());
        self.wrapped(label, &hang, &neutralise_line(&fix.action));
        for command in &fix.commands {
            self.command(command);
        }
        if let Some(link) = &fix.link {
            self.line(&format!("  more: {}", neutralise_line(link)));
        }
    }

    /// A command on a line of its own, never wrapped: it is there to be copied.
    fn command(&mut self, command: &str) {
        let command = self.paint(&neutralise_line(command), AnsiColor::Cyan.on_default());
        self.line(&format!("    {command}"));
    }

    /// The symbol of a status in its colour.
    fn mark(&self, status: &Status) -> String {
        let ascii = self.style.symbols == Symbols::Ascii;
        let (symbol, look) = match status {
            Status::Pass => (if ascii { "+" } else { "✓" }, AnsiColor::Green.on_default()),
            Status::Warn => ("!", AnsiColor::Yellow.on_default()),
            Status::Fail => (if ascii { "x" } else { "✗" }, red()),
            Status::Unknown { .. } => ("?", AnsiColor::Magenta.on_default()),
            Status::Skipped { .. } => (if ascii { ">" } else { "↷" }, Look::new().dimmed()),
            Status::NotApplicable => (if ascii { "." } else { "·" }, Look::new().dimmed()),
        };
        self.paint(symbol, look)
    }

    /// Margin, symbol and word of a status, as findings begin: [`INDENT`] columns.
    fn start(&self, status: &Status) -> String {
        let gap = " ".repeat(INDENT.saturating_sub(5 + status.word().len()));
        format!("  {} {}{gap} ", self.mark(status), self.paint(status.word(), Look::new().dimmed()))
    }
}

/// Columns of a text without its colours.
fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        count += columns(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    count + columns(rest)
}
