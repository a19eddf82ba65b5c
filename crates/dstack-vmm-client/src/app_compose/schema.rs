//! Which names an app-compose may have, where, and since when: the table behind "unknown field".

use super::syntax::{Node, Places};
use crate::DstackVersion;

/// A name that means something.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Known to 0.5 already. All are known to next.
    pub(super) in_v0_5: bool,
    pub(super) inside: Inside,
}

/// What stands in a field.
pub(super) enum Inside {
    /// A value without names, or with names that are the app's own.
    Value,
    /// An object with these names.
    Object(&'static [Field]),
    /// A list of objects with these names.
    List(&'static [Field]),
}

const fn field(name: &'static str) -> Field {
    Field { name, in_v0_5: true, inside: Inside::Value }
}

const fn since_next(name: &'static str, inside: Inside) -> Field {
    Field { name, in_v0_5: false, inside }
}

const PORT: &[Field] = &[field("port"), field("pp")];
const PORT_POLICY: &[Field] =
    &[Field { name: "ports", in_v0_5: true, inside: Inside::List(PORT) }, field("restrict_mode")];
const GPU_POLICY: &[Field] = &[
    field("attest_gpu"),
    field("rego"),
    field("allow_devtools"),
    field("allow_debug"),
    field("allow_insecure_boot"),
];
const REQUIREMENTS: &[Field] = &[
    field("os_version"),
    field("platforms"),
    field("tdx_measure_acpi_tables"),
    field("launch_token_hash"),
    Field { name: "gpu_policy", in_v0_5: false, inside: Inside::Object(GPU_POLICY) },
];
const VERITY_VOLUME: &[Field] = &[field("source"), field("verity_root"), field("target")];

/// The names at the top. Beside those of upstream's struct there are the ones that only the guest's scripts, tools or apps
/// read: `bash_script`, `pre_launch_script`, `init_script`, `launch_token_hash`, and `docker_config`, which guests before
/// 0.5.5 read.
pub(super) const TOP: &[Field] = &[
    field("manifest_version"),
    field("name"),
    field("runner"),
    field("features"),
    field("docker_compose_file"),
    field("bash_script"),
    field("pre_launch_script"),
    field("init_script"),
    field("public_logs"),
    field("public_sysinfo"),
    field("public_tcbinfo"),
    field("kms_enabled"),
    field("gateway_enabled"),
    field("tproxy_enabled"),
    field("local_key_provider_enabled"),
    field("key_provider"),
    field("key_provider_id"),
    field("allowed_envs"),
    field("no_instance_id"),
    field("secure_time"),
    field("storage_fs"),
    field("swap_size"),
    Field { name: "port_policy", in_v0_5: true, inside: Inside::Object(PORT_POLICY) },
    field("launch_token_hash"),
    field("docker_config"),
    since_next("snapshotter", Inside::Value),
    since_next("event_log_version", Inside::Value),
    since_next("requirements", Inside::Object(REQUIREMENTS)),
    since_next("verity_volumes", Inside::List(VERITY_VOLUME)),
];

/// A field that no version of dstack reads. It is hashed like the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownField {
    /// Where it is, such as `x-team` or `port_policy.ports[0].prot`.
    pub path: String,
    /// Line of its name, from 1.
    pub line: usize,
    /// Column of its name, from 1, in characters.
    pub column: usize,
    /// The known name that it may be meant to be.
    pub suggestion: Option<&'static str>,
    /// Where its name stands, in bytes.
    pub(super) at: usize,
}

pub(super) fn unknown_fields(text: &str, root: &Node) -> Vec<UnknownField> {
    let mut found = Vec::new();
    collect(root, TOP, "", &mut |path, at, suggestion| found.push((path, at, suggestion)));
    let places = Places::new(text);
    let place = |(path, at, suggestion)| {
        let (line, column) = places.of(at);
        UnknownField { path, line, column, suggestion, at }
    };
    found.into_iter().map(place).collect()
}

fn collect(
    node: &Node,
    known: &'static [Field],
    path: &str,
    found: &mut impl FnMut(String, usize, Option<&'static str>),
) {
    for member in node.members() {
        let here = join(path, &member.key);
        match known.iter().find(|field| field.name == member.key) {
            None => found(here, member.key_span.start, suggest(&member.key, known)),
            Some(field) => match field.inside {
                Inside::Value => {}
                Inside::Object(fields) => collect(&member.value, fields, &here, found),
                Inside::List(fields) => {
                    for (n, element) in member.value.elements().iter().enumerate() {
                        collect(element, fields, &format!("{here}[{n}]"), found);
                    }
                }
            },
        }
    }
}

/// The path of a member: dots between plain names, quotes around others.
pub(super) fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    match (path, plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

/// Names at the top that the given version does not read, though another does.
pub(super) fn only_in_another(version: DstackVersion, name: &str) -> bool {
    match version {
        DstackVersion::V0_5 => TOP.iter().any(|field| field.name == name && !field.in_v0_5),
        DstackVersion::Next => false,
    }
}

/// The known name that is at most two typing mistakes away, or the same but for case and separators.
fn suggest(name: &str, known: &'static [Field]) -> Option<&'static str> {
    let bare = |text: &str| {
        text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect::<Vec<char>>()
    };
    let wanted = bare(name);
    if wanted.len() > 64 {
        return None;
    }
    let distances = known.iter().map(|field| (edits(&wanted, &bare(field.name)), field.name));
    // Two mistakes in a name of four letters are another name.
    let (distance, best) = distances.min()?;
    (distance <= 2 && distance * 3 <= best.len()).then_some(best)
}

/// Letters to insert, remove, replace, or exchange with their neighbour.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(last.len());
        row.push(i + 1);
        for (j, &y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use super::*;

    #[test]
    fn unknown_names_at_every_level() {
        let text = r#"{
  "manifest_version": 2, "allowed_env": [], "pre-launch-script": "", "x-team": {"name": 1},
  "port_policy": {"ports": [{"port": 1}, {"prot": 2}], "mode": 1},
  "requirements": {"gpu_policy": {"allow_debugs": true}}, "a b": 1, "kmsEnabled": true, "docker_config": {"any": 1}
}"#;
        let root = syntax::parse(text).unwrap();
        let found: Vec<String> = unknown_fields(text, &root)
            .into_iter()
            .map(|f| format!("{}:{} {} {:?}", f.line, f.column, f.path, f.suggestion))
            .collect();
        insta::assert_snapshot!(found.join("\n"));
    }

    #[test]
    fn suggestions_are_close() {
        let near = |name| suggest(name, TOP);
        assert_eq!(near("runer"), Some("runner"));
        assert_eq!(near("nmae"), Some("name"));
        assert_eq!(near("publicLogs"), Some("public_logs"));
        assert_eq!(near("game"), Some("name"));
        assert_eq!(near("ram"), None);
        assert_eq!(near("volumes"), None);
        assert_eq!(near(""), None);
    }
}
