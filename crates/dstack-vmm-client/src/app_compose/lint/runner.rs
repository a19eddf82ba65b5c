//! What runs in the guest.

use dstack_check::{CheckDef, Finding};

use super::{Doc, Troubles};
use crate::DstackVersion;
use crate::app_compose::syntax::{Kind, Node};
use crate::app_compose::{MAX_INIT_SCRIPTS, Runner};

fn known_runner(doc: &Doc<'_>) -> Option<Runner> {
    doc.text_of("runner").and_then(Runner::from_text)
}

pub(super) fn runner(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(name) = doc.text_of("runner") else { return check.not_applicable() };
    let at = doc.value("runner").map_or(0, |node| node.span.start);
    match Runner::from_text(name) {
        Some(Runner::NerdctlCompose) if doc.version == DstackVersion::V0_5 => {
            troubles.fail(at, format!("guests of dstack {} have no runner nerdctl-compose", doc.version));
        }
        Some(_) => {}
        None => troubles.fail(at, format!("no guest has a runner {name:?}")),
    }
    troubles.conclude(
        check,
        doc,
        "use docker-compose, bash, or on next nerdctl-compose; the VMM takes any text here",
    )
}

pub(super) fn payload(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(runner) = known_runner(doc) else { return check.not_applicable() };
    let (needed, unused) = match runner {
        Runner::Bash => ("bash_script", "docker_compose_file"),
        Runner::DockerCompose | Runner::NerdctlCompose => ("docker_compose_file", "bash_script"),
    };
    match doc.text_of(needed) {
        Some(text) if !text.trim().is_empty() => {}
        Some(_) => troubles.fail(doc.at(needed), format!("{needed} is empty")),
        None => troubles.fail(doc.at("runner"), format!("the runner {runner} needs {needed}")),
    }
    if doc.text_of(unused).is_some_and(|text| !text.is_empty()) {
        troubles.warn(doc.at(unused), format!("the runner {runner} does not use {unused}"));
    }
    troubles.conclude(check, doc, "add what the runner runs, and take out what it does not")
}

pub(super) fn snapshotter(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(name) = doc.text_of("snapshotter") else { return check.not_applicable() };
    let at = doc.at("snapshotter");
    if !matches!(name, "overlayfs" | "stargz") {
        troubles.fail(at, format!("there is no snapshotter {name:?}"));
    }
    if known_runner(doc) != Some(Runner::NerdctlCompose) {
        troubles.fail(at, "only the runner nerdctl-compose has a snapshotter");
    }
    troubles.conclude(
        check,
        doc,
        "take snapshotter out, or use overlayfs or stargz with the runner nerdctl-compose",
    )
}

pub(super) fn script_line_endings(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let mut look = |name: &str, node: &Node, is_script: bool| {
        let Some(line) = node.as_str().and_then(|text| text.lines_with_cr()) else { return };
        let what = format!("line {line} of {name} ends with CR LF");
        if is_script {
            troubles.fail(node.span.start, what);
        } else {
            troubles.warn(node.span.start, what);
        }
    };
    for (name, is_script) in [
        ("docker_compose_file", false),
        ("bash_script", true),
        ("pre_launch_script", true),
        ("init_script", true),
    ] {
        let Some(node) = doc.value(name) else { continue };
        look(name, node, is_script);
        node.elements().iter().for_each(|one| look(name, one, is_script));
    }
    troubles.conclude(check, doc, "convert the source file to LF before it goes into the document")
}

trait LinesWithCr {
    /// The first line that ends with CR LF, from 1.
    fn lines_with_cr(&self) -> Option<usize>;
}

impl LinesWithCr for str {
    fn lines_with_cr(&self) -> Option<usize> {
        self.split_inclusive('\n').position(|line| line.ends_with("\r\n")).map(|n| n + 1)
    }
}

pub(super) fn init_scripts(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    let mut troubles = Troubles::default();
    let Some(node) = doc.value("init_script") else { return check.not_applicable() };
    let at = node.span.start;
    if let Kind::Array(scripts) = &node.kind {
        if doc.version == DstackVersion::V0_5 {
            troubles.fail(at, "guests of dstack 0.5 take one script, not a list");
        } else if scripts.len() > MAX_INIT_SCRIPTS {
            troubles
                .fail(at, format!("{} scripts are too many, dstack takes {MAX_INIT_SCRIPTS}", scripts.len()));
        }
        let manifest = doc.text_of("manifest_version").and_then(|text| text.trim().parse::<u32>().ok());
        if doc.version == DstackVersion::Next && scripts.len() > 1 && manifest.unwrap_or(0) < 3 {
            troubles.fail(at, "several init scripts need manifest_version \"3\"");
        }
    }
    troubles.conclude(
        check,
        doc,
        "join the scripts into one, or use manifest_version \"3\" with at most five",
    )
}
