//! What is wrong with an app-compose, or will be once it runs.
//!
//! The server stops at the first mistake and the guest at boot; here every check is made, each with the places it is about.

mod checks;
mod document;
mod keys;
mod runner;
mod settings;
#[cfg(test)]
mod tests;
mod types;

use std::sync::LazyLock;

use dstack_check::{Catalogue, CheckDef, Finding, Fix, Report};

pub use checks::CHECKS;

use super::schema::only_in_another;
use super::syntax::{self, Kind, Member, Node, Places};
use crate::DstackVersion;

/// Name of the file in findings of [`lint`].
const DEFAULT_FILE: &str = "app-compose.json";

/// Carries every check of [`CHECKS`] out on a document and gives one finding for each, in that order. The evidence names
/// line and column, both from 1, columns in characters.
///
/// ```
/// use dstack_check::Status;
/// use dstack_vmm_client::{DstackVersion, app_compose::lint};
///
/// let text = br#"{"manifest_version": "3", "name": "demo", "runner": "docker-compose", "name": "other"}"#;
/// let findings = lint(text, DstackVersion::V0_5);
/// let find = |id: &str| findings.iter().find(|finding| finding.id.as_str() == id).unwrap();
/// assert_eq!(find("compose.manifest-version").status, Status::Fail);
/// assert_eq!(find("compose.json.duplicate-key").evidence[1].source, "app-compose.json:1:71");
/// ```
pub fn lint(bytes: &[u8], version: DstackVersion) -> Vec<Finding> {
    lint_file(DEFAULT_FILE, bytes, version)
}

/// [`lint`] with the name of the file as findings give it.
pub fn lint_file(file: &str, bytes: &[u8], version: DstackVersion) -> Vec<Finding> {
    let doc = Doc::new(file, bytes, version);
    Report::evaluate(file, &CATALOGUE, |check| run(check, &doc)).into_findings()
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    // The list is a constant, and a unit test of it makes the same call.
    Catalogue::new(CHECKS.iter().copied()).expect("the checks form a catalogue")
});

fn run(check: &CheckDef, doc: &Doc<'_>) -> Finding {
    match check.id {
        "compose.size" => document::size(check, doc),
        "compose.utf8" => document::utf8(check, doc),
        "compose.bom" => document::bom(check, doc),
        "compose.json.syntax" => document::syntax(check, doc),
        "compose.json.duplicate-key" => document::duplicate_keys(check, doc),
        "compose.line-endings" => document::line_endings(check, doc),
        "compose.accepted" => document::accepted(check, doc),
        "compose.required-fields" => types::required(check, doc),
        "compose.types" => types::types(check, doc),
        "compose.unknown-fields" => types::unknown(check, doc),
        "compose.version-fields" => types::version_fields(check, doc),
        "compose.deprecated-fields" => types::deprecated(check, doc),
        "compose.manifest-version" => types::manifest_version(check, doc),
        "compose.name" => settings::name(check, doc),
        "compose.runner" => runner::runner(check, doc),
        "compose.runner.payload" => runner::payload(check, doc),
        "compose.snapshotter" => runner::snapshotter(check, doc),
        "compose.scripts.line-endings" => runner::script_line_endings(check, doc),
        "compose.init-scripts" => runner::init_scripts(check, doc),
        "compose.key-provider" => keys::key_provider(check, doc),
        "compose.key-provider-id" => keys::key_provider_id(check, doc),
        "compose.gateway" => keys::gateway(check, doc),
        "compose.allowed-envs" => keys::allowed_envs(check, doc),
        "compose.launch-token" => keys::launch_token(check, doc),
        "compose.requirements" => keys::requirements(check, doc),
        "compose.secure-time" => settings::secure_time(check, doc),
        "compose.port-policy" => settings::port_policy(check, doc),
        "compose.swap-size" => settings::swap_size(check, doc),
        "compose.storage-fs" => settings::storage_fs(check, doc),
        "compose.event-log-version" => settings::event_log_version(check, doc),
        "compose.verity-volumes" => settings::verity_volumes(check, doc),
        _ => check.unknown("the check has no rule"),
    }
}

/// What a rule looks at.
struct Doc<'a> {
    file: &'a str,
    bytes: &'a [u8],
    version: DstackVersion,
    /// The text, or where it stops being one.
    text: Result<&'a str, usize>,
    /// What the server's reader makes of it as JSON.
    json: Result<(), serde_json::Error>,
    root: Node,
    places: Places<'a>,
}

impl<'a> Doc<'a> {
    fn new(file: &'a str, bytes: &'a [u8], version: DstackVersion) -> Self {
        let text = std::str::from_utf8(bytes).map_err(|error| error.valid_up_to());
        let readable = match text {
            Ok(text) => text,
            // Up to there it is text.
            Err(end) => std::str::from_utf8(&bytes[..end]).unwrap_or_default(),
        };
        let json = serde_json::from_str::<serde_json::Value>(readable).map(drop);
        let nothing = Node { span: 0..0, kind: Kind::Null };
        let root = syntax::parse(readable).unwrap_or(nothing);
        Self { file, bytes, version, text, json, root, places: Places::new(readable) }
    }

    fn readable(&self) -> &'a str {
        self.text.unwrap_or_default()
    }

    /// The member at the top with this name, the last of several. One that this version does not read is not there.
    fn member(&self, name: &str) -> Option<&Member> {
        let mut members = self.root.members().iter().rev();
        members.find(|member| member.key == name && !only_in_another(self.version, name))
    }

    fn value(&self, name: &str) -> Option<&Node> {
        self.member(name).map(|member| &member.value)
    }

    /// Whether a flag at the top is on; `default` where it is not there or no flag.
    fn flag(&self, name: &str, default: bool) -> bool {
        match self.value(name).map(|node| &node.kind) {
            Some(Kind::Bool(on)) => *on,
            _ => default,
        }
    }

    fn text_of(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Node::as_str)
    }

    /// The texts in a list at the top.
    fn texts(&self, name: &str) -> impl Iterator<Item = (&Node, &str)> {
        let elements = self.value(name).map_or(&[][..], Node::elements);
        elements.iter().filter_map(|node| Some((node, node.as_str()?)))
    }

    /// The place that the server names: its columns count bytes, and may be 0 at the beginning of a line.
    fn server_source(&self, error: &serde_json::Error) -> String {
        format!("{}:{}:{}", self.file, error.line().max(1), error.column().max(1))
    }

    fn source(&self, at: usize) -> String {
        let (line, column) = self.places.of(at);
        format!("{}:{line}:{column}", self.file)
    }

    /// Where a member at the top stands, or the beginning of the document.
    fn at(&self, name: &str) -> usize {
        self.member(name).map_or(self.root.span.start, |member| member.key_span.start)
    }

    /// The number in a field, by its text.
    fn number(&self, node: &Node) -> Option<u64> {
        match node.kind {
            Kind::Number => self.readable().get(node.span.clone())?.parse().ok(),
            _ => None,
        }
    }
}

/// One thing that is wrong, and where.
struct Trouble {
    at: usize,
    what: String,
    fails: bool,
}

/// What a rule found: nothing is a pass, and the worst trouble decides.
#[derive(Default)]
struct Troubles(Vec<Trouble>);

impl Troubles {
    fn fail(&mut self, at: usize, what: impl Into<String>) {
        self.0.push(Trouble { at, what: what.into(), fails: true });
    }

    fn warn(&mut self, at: usize, what: impl Into<String>) {
        self.0.push(Trouble { at, what: what.into(), fails: false });
    }

    /// The finding: one piece of evidence a trouble, the first twenty.
    fn conclude(self, check: &CheckDef, doc: &Doc<'_>, fix: &'static str) -> Finding {
        const MOST: usize = 20;
        let troubles = self.0;
        let Some(worst) = troubles.iter().find(|trouble| trouble.fails).or(troubles.first()) else {
            return check.pass();
        };
        let more = match troubles.len() {
            1 => String::new(),
            all => format!(", and {} more", all - 1),
        };
        let finding = if worst.fails { check.fail() } else { check.warn() };
        let mut finding = finding.observed(format!("{}{more}", worst.what)).fix(Fix::new(fix));
        for trouble in troubles.iter().take(MOST) {
            finding = finding.evidence(doc.source(trouble.at), trouble.what.clone());
        }
        if troubles.len() > MOST {
            finding = finding.evidence(doc.file, format!("and {} more", troubles.len() - MOST));
        }
        finding
    }
}
