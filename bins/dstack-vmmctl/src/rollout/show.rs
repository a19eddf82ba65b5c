//! Plans and results as text and as JSON.

use anstyle::{AnsiColor, Style};
use cli_support::CliError;
use dstack_check::Status;
use dstack_check::text::{columns, wrap};
use dstack_vmm_client::api::VmInfo;
use dstack_vmm_client::client::VmmApi;
use dstack_vmm_client::deploy::render::LineKind;
use dstack_vmm_client::deploy::{Plan, PlanKind};
use serde_json::json;

use super::{Outcome, endpoint};
use crate::context::Context;

/// Shows the plans of all hosts. Nothing in JSON, where all comes in one document at the end.
pub(super) fn plans(outcomes: &[Outcome<'_>], context: &mut Context) -> Result<(), CliError> {
    if context.out.is_json() {
        return Ok(());
    }
    let mut first = true;
    for outcome in outcomes {
        let Some(plan) = &outcome.plan else { continue };
        if !first {
            context.out.line("")?;
        }
        first = false;
        for note in &outcome.job.notes {
            let text = note.observed.as_deref().unwrap_or(&note.title);
            match note.status {
                Status::Pass => context.progress.note(text),
                _ => context.progress.warning(text),
            }
            if let Some(fix) = &note.fix {
                context.progress.note(dstack_check::Hint::from(fix));
            }
        }
        lines(plan, context)?;
    }
    Ok(())
}

fn lines(plan: &Plan, context: &mut Context) -> Result<(), CliError> {
    let (colour, width) = (context.out.style().colour, context.out.style().width);
    for line in plan.lines() {
        let look = if colour { look(line.kind) } else { Style::new() };
        for text in folded(line.text.trim_end(), width) {
            context.out.line(format_args!("{look}{text}{look:#}"))?;
        }
    }
    Ok(())
}

/// A sentence on as many lines as the terminal needs, the later ones further in. Lines of files and hashes stay whole, to be
/// copied.
fn folded(text: &str, width: Option<usize>) -> Vec<String> {
    let indent = text.len() - text.trim_start().len();
    let of_a_file = indent >= 6 || text.contains("compose hash");
    let Some(width) = width.filter(|width| !of_a_file && columns(text) > *width) else {
        return vec![text.to_owned()];
    };
    let room = width.saturating_sub(indent + 2).max(20);
    let mut lines = wrap(text.trim_start(), Some(room)).into_iter();
    let first = lines.next().map(|line| format!("{:indent$}{line}", ""));
    let later = lines.map(|line| format!("{:in2$}{line}", "", in2 = indent + 2));
    first.into_iter().chain(later).collect()
}

fn look(kind: LineKind) -> Style {
    match kind {
        LineKind::Head => Style::new().bold(),
        LineKind::Added => AnsiColor::Green.on_default(),
        LineKind::Removed | LineKind::Conflict => AnsiColor::Red.on_default(),
        LineKind::Changed | LineKind::Warning => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    }
}

/// Shows what was reached, and what to do next.
pub(super) async fn results(outcomes: &[Outcome<'_>], context: &mut Context) -> Result<(), CliError> {
    if context.out.is_json() {
        return Ok(());
    }
    for outcome in outcomes {
        let Some(applied) = &outcome.applied else { continue };
        let host = &outcome.job.host;
        // Where the app is reached is worth a call, but not a failure.
        let vm = host.client.info(&applied.vm_id).await.ok().flatten();
        let name = &outcome.job.desired.name;
        let headline = match (applied.booted, applied.kind) {
            (Some(true), _) => format!("{name} is up on {}", host.name),
            (_, PlanKind::Create) => format!("{name} was made on {}", host.name),
            (_, PlanKind::Settle) => format!("{name} on {} is as it should be", host.name),
            _ => format!("{name} was changed on {}", host.name),
        };
        context.out.line("")?;
        context.out.line(headline)?;
        let mut row = |key: &str, value: &str| context.out.line(format_args!("  {key:<14}{value}"));
        row("vm", &applied.vm_id)?;
        row("app id", &applied.app_id)?;
        row("compose hash", &applied.hash.to_string())?;
        if let Some(version) = &applied.version {
            row("version", &format!("#{}", version.seq))?;
        }
        for hash in &applied.revoked {
            row("revoked", &hash.to_string())?;
        }
        for (key, value) in vm.as_ref().map(reached_at).unwrap_or_default() {
            row(key, &value)?;
        }
        let again = context.connect.again(host);
        row("log", &format!("dstack-vmmctl{again} logs {} -f", applied.vm_id))?;
    }
    Ok(())
}

/// Where an app is reached.
fn reached_at(vm: &VmInfo) -> Vec<(&'static str, String)> {
    let mut places: Vec<(&'static str, String)> =
        vm.app_url.iter().filter(|url| !url.is_empty()).map(|url| ("url", url.clone())).collect();
    let ports = vm.configuration.iter().flat_map(|configuration| &configuration.ports);
    places.extend(ports.map(|port| ("port", crate::timeline::port(port))));
    places
}

/// One document for all hosts.
pub(super) fn document(
    command: &str,
    outcomes: &[Outcome<'_>],
    context: &mut Context,
) -> Result<(), CliError> {
    let hosts: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "host": outcome.job.host.name,
                "endpoint": endpoint(outcome.job),
                "notes": outcome.job.notes,
                "plan": outcome.plan,
                "applied": outcome.applied,
                "error": outcome.error.as_ref().map(ToString::to_string),
            })
        })
        .collect();
    context.out.json(&json!({ "schema": format!("dstack-vmmctl/{command}/v1"), "hosts": hosts }))
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn sentences_are_folded_and_what_is_copied_is_not() {
        let sentence = "  warning: what is on the data disk is lost: every boot begins anew";
        assert_eq!(
            folded(sentence, Some(40)),
            ["  warning: what is on the data disk is", "    lost: every boot begins anew"]
        );
        assert_eq!(folded(sentence, None), [sentence]);
        let line = format!("      + {}", "x".repeat(90));
        assert_eq!(folded(&line, Some(40)), std::slice::from_ref(&line));
    }
}
