//! Whether the project of this directory could be deployed.

use dstack_check::{CheckDef, Finding, Fix, Hint, Status};
use dstack_vmm_client::DstackVersion;
use dstack_vmm_client::app_compose::lint;
use dstack_vmm_client::deploy::PlanKind;

use super::gather::{Facts, ProjectFacts, Resolved};
use super::{chain, not_known};
use crate::checks::{PROJECT_ALLOW_LIST, PROJECT_COMPOSE, PROJECT_FILE, PROJECT_INPUTS, PROJECT_PLAN};

pub(super) fn evaluate(check: &CheckDef, facts: &Facts) -> Finding {
    let resolved = match &facts.project {
        ProjectFacts::None => {
            return check.not_applicable().observed("there is no dstack.toml here or above");
        }
        ProjectFacts::Invalid(error, hints) => return unusable(check, PROJECT_FILE.id, error, hints),
        ProjectFacts::Unresolved(error, hints) => return unusable(check, PROJECT_INPUTS.id, error, hints),
        ProjectFacts::Resolved(resolved) => resolved,
    };
    match check.id {
        id if id == PROJECT_FILE.id => check.pass().observed(resolved.path.clone()),
        id if id == PROJECT_INPUTS.id => check.pass().observed(format!(
            "{}, compose hash {}",
            resolved.desired.name,
            resolved.desired.hash()
        )),
        id if id == PROJECT_COMPOSE.id => compose(check, facts, resolved),
        id if id == PROJECT_ALLOW_LIST.id => allow_list(check, resolved),
        id if id == PROJECT_PLAN.id => plan(check, resolved),
        _ => not_known(check),
    }
}

/// What stops at `at`; the checks before it passed, and those behind it are skipped.
fn unusable(check: &CheckDef, at: &str, error: &str, hints: &[String]) -> Finding {
    if check.id != at {
        return if check.id == PROJECT_FILE.id {
            check.pass()
        } else {
            check.unknown("the project cannot be used")
        };
    }
    let finding = check.fail().observed(error.to_owned());
    if hints.is_empty() { finding } else { finding.fix(Fix::new(hints.join("; "))) }
}

fn compose(check: &CheckDef, facts: &Facts, resolved: &Resolved) -> Finding {
    let version = facts
        .version
        .as_ref()
        .and_then(|version| version.as_ref().ok())
        .map_or(DstackVersion::V0_5, |v| v.version);
    let findings = lint(resolved.desired.compose.bytes(), version);
    let of = |wanted: fn(&Status) -> bool| -> Vec<String> {
        let text = |finding: &Finding| match &finding.observed {
            Some(observed) => format!("{}: {observed}", finding.id),
            None => format!("{}: {}", finding.id, finding.title),
        };
        findings.iter().filter(|finding| wanted(&finding.status)).map(text).collect()
    };
    let (failed, warned) = (of(|status| *status == Status::Fail), of(|status| *status == Status::Warn));
    let lint_it = Fix::new("see where and what to do").command("dstack-vmmctl compose lint");
    if !failed.is_empty() {
        return check.fail().observed(failed.join("; ")).fix(lint_it);
    }
    if !warned.is_empty() {
        return check.warn().observed(warned.join("; ")).fix(lint_it);
    }
    check.pass().observed(format!("for dstack {version}"))
}

fn allow_list(check: &CheckDef, resolved: &Resolved) -> Finding {
    match &resolved.allowed {
        None => check.not_applicable().observed("the project names none"),
        Some((list, Err(error))) => check.fail().observed(error.clone()).evidence(list.clone(), ""),
        Some((list, Ok(true))) => {
            check.pass().observed(format!("{list} allows {}", resolved.desired.hash().short()))
        }
        Some((list, Ok(false))) if !resolved.desired.uses_kms() => {
            check.not_applicable().observed(format!("the app has no keys from a KMS, so {list} is not asked"))
        }
        Some((list, Ok(false))) => check
            .warn()
            .observed(format!("{list} does not allow {} yet", resolved.desired.hash().short()))
            .fix(Fix::new("deploying adds it").command("dstack-vmmctl deploy")),
    }
}

fn plan(check: &CheckDef, resolved: &Resolved) -> Finding {
    match &resolved.plan {
        None => check.unknown("the host was not asked"),
        Some(Err(error)) => check.unknown(chain(error)),
        Some(Ok(plan)) if plan.kind == PlanKind::Conflict => {
            let said: Vec<&str> = plan
                .conflicts()
                .map(|finding| finding.observed.as_deref().unwrap_or(&finding.title))
                .collect();
            let finding = check.fail().observed(said.join("; "));
            let fixes: Vec<String> = plan
                .conflicts()
                .filter_map(|finding| finding.fix.as_ref())
                .map(|fix| Hint::from(fix).to_string())
                .collect();
            if fixes.is_empty() { finding } else { finding.fix(Fix::new(fixes.join("; "))) }
        }
        Some(Ok(plan)) => check.pass().observed(match plan.kind {
            PlanKind::Create => "a new VM would be made",
            PlanKind::Update => "the VM would be changed",
            PlanKind::Settle => "the VM is as it should be; its record would be completed",
            _ => "there is nothing to do",
        }),
    }
}
