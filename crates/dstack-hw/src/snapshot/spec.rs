//! What is looked at, as data.

use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::Error;

/// The schema of [`SnapshotSpec`] as TOML.
pub const SPEC_SCHEMA: &str = "dstack-hw/snapshot-spec/v1";

const BUILTIN: &str = include_str!("builtin-spec.toml");
/// The longest spec that is read, in bytes.
const MAX_SPEC: usize = 1 << 20;

/// What a snapshot looks at.
///
/// ```
/// use dstack_hw::snapshot::SnapshotSpec;
///
/// let mine = SnapshotSpec::from_toml(r#"
///     schema = "dstack-hw/snapshot-spec/v1"
///
///     [[files]]
///     paths = ["/etc/nftables.conf"]
///     about = "the firewall"
/// "#)?;
/// assert!(mine.looks_at("/etc/nftables.conf") && mine.looks_at("/etc/dstack/vmm.toml"));
/// # Ok::<(), dstack_hw::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SnapshotSpec {
    /// [`SPEC_SCHEMA`].
    pub schema: String,
    /// In a user's file: leave the built-in rules out. What is never recorded stays so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// Paths whose content is never recorded in any form, whatever the rules say.
    pub never: Vec<Pattern>,
    /// Files. The first rule that matches a path decides how it is recorded.
    pub files: Vec<FileRule>,
    /// Units of systemd whose state at boot is recorded.
    pub units: Vec<Pattern>,
    /// Groups that matter: they and their members are recorded.
    pub groups: Vec<Pattern>,
    /// Users that are recorded although they are in none of the groups. System users are always recorded.
    pub users: Vec<Pattern>,
    /// Unix sockets that are recorded when somebody listens on them.
    pub sockets: Vec<Pattern>,
    /// Programs that are asked for their version with `--version`. Only those that root alone can write are.
    pub programs: Vec<String>,
    /// Kernel modules.
    pub modules: Vec<String>,
    /// Files below `/proc/sys` and `/sys` whose content is one value.
    pub values: Vec<Pattern>,
    /// Mount points.
    pub mounts: Vec<Pattern>,
    /// Kernel parameters of which the name is recorded, but not the value.
    pub hidden_parameters: Vec<Pattern>,
}

/// How files are recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct FileRule {
    /// Which files.
    pub paths: Vec<Pattern>,
    /// What they are, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What is recorded of them.
    #[serde(default)]
    pub record: Record,
    /// Names that a `*` or `**` stands for are replaced by numbers: they are names of hosts, people or virtual machines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hide_names: bool,
    /// Files longer than this many bytes are recorded with their length instead of a digest.
    #[serde(default = "FileRule::default_digest_up_to")]
    pub digest_up_to: u64,
}

/// What is recorded of a file, beyond its kind, mode, owner and group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Record {
    /// Its length and SHA-256, or where a link points.
    #[default]
    Content,
    /// Nothing more: that it is there.
    Presence,
    /// Nothing more, and a change of its mode is a matter of security.
    Secret,
    /// The settings in it as TOML; secrets, addresses and names of hosts are replaced.
    Toml,
    /// The settings in it as JSON, comments allowed.
    Json,
    /// The settings in it as lines `name = value` or `name=value`, `#` for comments.
    Pairs,
}

impl FileRule {
    const fn default_digest_up_to() -> u64 {
        64 << 20
    }
}

impl SnapshotSpec {
    /// What is looked at unless something else is asked for: everything that the tutorials, the roles and `dstackup`
    /// change on a host.
    pub fn builtin() -> Self {
        // A unit test reads it, so this cannot fail in a release; an empty spec is better than no program.
        Self::read(BUILTIN).unwrap_or_default()
    }

    /// Reads a spec and puts it before the built-in one, or in its place where it says `replace = true`.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the line, [`Error::Schema`], or [`Error::TooLarge`] above 1 MiB.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let mut spec = Self::read(text)?;
        let builtin = Self::builtin();
        spec.never.extend(builtin.never);
        if !spec.replace {
            spec.files.extend(builtin.files);
            spec.units.extend(builtin.units);
            spec.groups.extend(builtin.groups);
            spec.users.extend(builtin.users);
            spec.sockets.extend(builtin.sockets);
            spec.programs.extend(builtin.programs);
            spec.modules.extend(builtin.modules);
            spec.values.extend(builtin.values);
            spec.mounts.extend(builtin.mounts);
        }
        spec.hidden_parameters.extend(builtin.hidden_parameters);
        Ok(spec)
    }

    fn read(text: &str) -> Result<Self, Error> {
        const WHAT: &str = "the snapshot spec";
        super::read_toml(text, WHAT, SPEC_SCHEMA, MAX_SPEC)
    }

    /// Is this path one that is looked at?
    pub fn looks_at(&self, path: &str) -> bool {
        self.files.iter().any(|rule| rule.paths.iter().any(|pattern| pattern.matches(path)))
    }

    /// Must the content of this path never be recorded?
    pub fn never_records(&self, path: &str) -> bool {
        self.never.iter().any(|pattern| pattern.matches(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_spec_is_readable() {
        let spec = SnapshotSpec::read(BUILTIN).unwrap();
        assert!(spec.files.len() > 10);
        assert!(spec.never_records("/etc/dstack/vmm-auth-token"));
        assert!(spec.never_records("/root/.dstack/secrets/sepolia-private-key"));
        assert!(spec.looks_at("/etc/default/grub.d/99-tdx-kernel.cfg"));
        assert!(spec.files.iter().all(|rule| !rule.about.is_empty()));
    }

    #[test]
    fn a_spec_says_where_it_is_wrong() {
        let wrong = |text: &str| SnapshotSpec::from_toml(text).unwrap_err().to_string();
        let all = [
            wrong("schema = \"dstack-hw/snapshot-spec/v1\"\n[[files]]\npath = [\"/etc/x\"]\n"),
            wrong("schema = \"dstack-hw/snapshot-spec/v1\"\nvalues = [\"/etc/../root\"]\n"),
            wrong("schema = \"dstack-hw/snapshot-spec/v2\"\n"),
            wrong("files = 3\n"),
            wrong("values = [\n"),
        ];
        insta::assert_snapshot!(all.join("\n---\n"));
    }

    #[test]
    fn what_is_never_recorded_cannot_be_taken_away() {
        let spec = SnapshotSpec::from_toml(
            "schema = \"dstack-hw/snapshot-spec/v1\"\nreplace = true\n[[files]]\npaths = [\"/etc/shadow\"]\n",
        )
        .unwrap();
        assert!(spec.never_records("/etc/shadow"));
        assert!(!spec.looks_at("/etc/dstack/vmm.toml"));
    }
}
