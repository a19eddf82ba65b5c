//! Policies as TOML files.

mod problem;
mod reader;
mod values;
mod write;

use std::collections::BTreeSet;
use std::io;

use toml_edit::Document;

pub use problem::{PolicyFileError, PolicyProblem};

use crate::known_good::{self, KnownGood};
use crate::policy::{KeyProviderRule, Policy, TcbPolicy};
use problem::{ValueError, problem};
use reader::{Reader, Section};

/// The only version of policy files.
const VERSION: i64 = 1;

/// The longest policy file that is read, in bytes.
const MAX_TEXT: usize = 4 << 20;

const ROOT: &[&str] = &["version", "require", "code", "os", "hardware", "keys", "freshness"];
const CODE: &[&str] = &["compose_hashes", "compose_files", "app_ids", "instance_ids"];
const OS: &[&str] = &["images", "mr_system", "mr_aggregated", "known_good", "known_good_files"];
const KNOWN_GOOD: &[&str] = &["name", "source", "mrtd", "rtmr0", "rtmr1", "rtmr2", "os_image_hash"];
const HARDWARE: &[&str] = &[
    "tcb_statuses",
    "allowed_advisories",
    "rejected_advisories",
    "min_evaluation_number",
    "device_ids",
    "max_collateral_age",
];
const KEYS: &[&str] = &["provider"];
const PROVIDER: &[&str] = &["kind", "id"];
const FRESHNESS: &[&str] = &["nonce", "report_data", "max_evidence_age"];

/// A file that a policy file names, and where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedFile {
    /// The path as it is written. A relative one starts at the policy file's directory.
    pub path: String,
    /// The line in the policy file, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// A policy file, read, with the files that it names and that the caller has to read.
///
/// ```
/// use dstack_attestation::PolicyFile;
///
/// let text = "version = 1\nrequire = [\"hardware\", \"code\"]\n[code]\ncompose_files = [\"app-compose.json\"]\n";
/// let file = PolicyFile::parse(text)?;
/// assert_eq!(file.compose_files[0].path, "app-compose.json");
/// // A program reads the files below the directory of the policy file.
/// let policy = file.resolve(|_path| Ok(b"{}".to_vec()))?;
/// assert_eq!(policy.compose_hashes.len(), 1);
/// # Ok::<(), dstack_attestation::PolicyFileError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyFile {
    /// What the file itself says.
    pub policy: Policy,
    /// App-composes that may run (`code.compose_files`).
    pub compose_files: Vec<NamedFile>,
    /// Files with known-good measurements (`os.known_good_files`), as `dstack-mr measure --json` prints them.
    pub known_good_files: Vec<NamedFile>,
}

impl PolicyFile {
    /// Reads the text of a policy file.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`], with everything that is wrong.
    pub fn parse(text: &str) -> Result<Self, PolicyFileError> {
        if text.len() > MAX_TEXT {
            let message =
                format!("the file has {} bytes, more than the {MAX_TEXT} that are read", text.len());
            return Err(problem(text, None, "", ValueError::new(message)).into());
        }
        let document = Document::parse(text).map_err(|error| {
            PolicyFileError::from(problem(text, error.span(), "", ValueError::new(error.message().trim())))
        })?;
        let reader = Reader::new(text);
        let file = read(&reader.section("", document.as_table(), ROOT));
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(file) } else { Err(PolicyFileError { problems }) }
    }

    /// The whole policy: `read` gives the bytes of a file that is named, by the path as it is written.
    ///
    /// # Errors
    ///
    /// [`PolicyFileError`] when a file cannot be read or is not what it should be, with the place where it is named.
    pub fn resolve(
        self,
        mut read: impl FnMut(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Policy, PolicyFileError> {
        let mut policy = self.policy;
        let mut problems = Vec::new();
        let mut complain = |named: &NamedFile, key: &str, error: &dyn std::fmt::Display| {
            problems.push(PolicyProblem {
                line: named.line,
                column: named.column,
                key: key.to_owned(),
                message: format!("{}: {error}", named.path),
                hint: None,
            });
        };
        for named in &self.compose_files {
            match read(&named.path) {
                Ok(bytes) if bytes.is_empty() => complain(named, "code.compose_files", &"the file is empty"),
                Ok(bytes) => policy = policy.compose(bytes),
                Err(error) => complain(named, "code.compose_files", &error),
            }
        }
        for named in &self.known_good_files {
            let text = read(&named.path).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
            match text {
                Err(error) => complain(named, "os.known_good_files", &error),
                Ok(text) => match known_good::parse(&text, &named.path, &named.path) {
                    Ok(values) => policy.known_good.extend(values),
                    Err(error) => complain(named, "os.known_good_files", &error),
                },
            }
        }
        if problems.is_empty() { Ok(policy) } else { Err(PolicyFileError { problems }) }
    }
}

/// Reads a policy that names no files.
pub(super) fn policy(text: &str) -> Result<Policy, PolicyFileError> {
    let file = PolicyFile::parse(text)?;
    let named = file.compose_files.iter().chain(&file.known_good_files);
    let problems: Vec<PolicyProblem> = named
        .map(|named| PolicyProblem {
            line: named.line,
            column: named.column,
            key: String::new(),
            message: format!("the policy names the file {}, and here no files are read", named.path),
            hint: Some("read the policy with `PolicyFile`, or write the hashes themselves".to_owned()),
        })
        .collect();
    if problems.is_empty() { Ok(file.policy) } else { Err(PolicyFileError { problems }) }
}

pub(super) use write::to_toml;

fn read(root: &Section<'_, '_>) -> PolicyFile {
    let mut file = PolicyFile::default();
    version(root);
    let policy = &mut file.policy;
    policy.require = set(root.some_strings("require", values::aspect));
    if let Some(code) = root.table("code", CODE) {
        policy.compose_hashes = set(code.some_strings("compose_hashes", values::fixed("a compose hash")));
        policy.app_ids = set(code.some_strings("app_ids", values::fixed("an app id")));
        policy.instance_ids = set(code.some_strings("instance_ids", values::fixed("an instance id")));
        file.compose_files = named_files(&code, "compose_files");
    }
    if let Some(os) = root.table("os", OS) {
        policy.os_images = set(os.some_strings("images", values::image_hash));
        policy.mr_system = set(os.some_strings("mr_system", values::fixed("an mr_system")));
        policy.mr_aggregated = set(os.some_strings("mr_aggregated", values::fixed("an mr_aggregated")));
        policy.known_good = os.tables("known_good", KNOWN_GOOD).iter().filter_map(known_good).collect();
        file.known_good_files = named_files(&os, "known_good_files");
    }
    if let Some(hardware) = root.table("hardware", HARDWARE) {
        policy.tcb = tcb(&hardware);
        policy.device_ids = set(hardware.some_strings("device_ids", values::device_id));
        policy.max_collateral_age = hardware.string("max_collateral_age", values::duration);
    }
    if let Some(keys) = root.table("keys", KEYS) {
        policy.key_providers = keys.tables("provider", PROVIDER).iter().filter_map(provider).collect();
    }
    if let Some(freshness) = root.table("freshness", FRESHNESS) {
        let nonce = freshness.string("nonce", values::nonce);
        let data = freshness.string("report_data", values::fixed("report data"));
        if freshness.has("nonce") && freshness.has("report_data") {
            let error = ValueError::new("there is a nonce too; a quote has only one report data");
            freshness.report("report_data", None, error.hint("keep one of the two"));
        }
        policy.report_data = data.or(nonce);
        policy.max_evidence_age = freshness.string("max_evidence_age", values::duration);
    }
    file
}

fn version(root: &Section<'_, '_>) {
    let right = |error: ValueError| error.hint(format!("begin the file with `version = {VERSION}`"));
    if !root.has("version") {
        root.report("version", None, right(ValueError::new("the version of the format is missing")));
        return;
    }
    match root.integer("version") {
        Some(VERSION) | None => {}
        Some(other) => {
            let error =
                ValueError::new(format!("version {other} is not known here; this reads version {VERSION}"));
            root.report("version", None, error);
        }
    }
}

fn set<T: Ord, S>(values: Vec<(T, S)>) -> BTreeSet<T> {
    values.into_iter().map(|(value, _)| value).collect()
}

fn named_files(section: &Section<'_, '_>, name: &str) -> Vec<NamedFile> {
    let paths = section.some_strings(name, values::path);
    paths
        .into_iter()
        .map(|(path, span)| {
            let (line, column) = section.reader.place(span);
            NamedFile { path, line, column }
        })
        .collect()
}

fn known_good(table: &Section<'_, '_>) -> Option<KnownGood> {
    let mut known = KnownGood::new(
        table.string("name", values::name).unwrap_or_else(|| "unnamed".to_owned()),
        table.string("source", values::name).unwrap_or_else(|| "the policy".to_owned()),
    );
    known.mrtd = table.string("mrtd", values::fixed("MRTD"));
    known.rtmr0 = table.string("rtmr0", values::fixed("RTMR0"));
    known.rtmr1 = table.string("rtmr1", values::fixed("RTMR1"));
    known.rtmr2 = table.string("rtmr2", values::fixed("RTMR2"));
    known.os_image_hash = table.string("os_image_hash", values::image_hash);
    let registers = ["mrtd", "rtmr0", "rtmr1", "rtmr2"];
    if !registers.iter().any(|name| table.has(name)) {
        let error = ValueError::new(
            "there is no register to compare; give at least one of mrtd, rtmr0, rtmr1, rtmr2",
        );
        table.report("name", None, error);
        return None;
    }
    (!known.is_empty()).then_some(known)
}

fn tcb(hardware: &Section<'_, '_>) -> TcbPolicy {
    let mut tcb = TcbPolicy::default();
    if hardware.has("tcb_statuses") {
        tcb.statuses = set(hardware.some_strings("tcb_statuses", values::tcb_status));
    }
    // An empty list has a meaning here: no advisory may apply.
    tcb.allowed_advisories = hardware.strings("allowed_advisories", values::advisory).map(set);
    tcb.rejected_advisories = set(hardware.some_strings("rejected_advisories", values::advisory));
    if let Some(number) = hardware.integer("min_evaluation_number") {
        match u32::try_from(number) {
            Ok(number) => tcb.min_evaluation_number = Some(number),
            Err(_) => {
                let error = ValueError::new("expected a TCB evaluation data number, such as 18");
                hardware.report("min_evaluation_number", None, error);
            }
        }
    }
    tcb
}

fn provider(table: &Section<'_, '_>) -> Option<KeyProviderRule> {
    if !table.has("kind") {
        table.report("kind", table.span("id"), ValueError::new("missing: none, local, kms or tpm"));
        return None;
    }
    let kind = table.string("kind", values::provider_kind)?;
    let id = if table.has("id") {
        Some(table.string("id", |text| values::provider_id(kind, text))?)
    } else {
        None
    };
    Some(KeyProviderRule { kind, id })
}
