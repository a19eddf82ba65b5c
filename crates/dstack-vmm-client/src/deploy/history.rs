//! What was applied where: the kept versions of an app, as values. [`store`](super::store) keeps them in files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::app_compose::ComposeHash;
use crate::env::Environment;

/// How many versions are kept unless said otherwise.
pub const KEEP_VERSIONS: usize = 50;

/// One version as it was applied to one host. Kept with the bytes of its app-compose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Number of the version, rising from 1 in one directory.
    pub seq: u64,
    /// Compose hash.
    pub hash: ComposeHash,
    /// Name of the host.
    pub host: String,
    /// Endpoint of its VMM.
    pub endpoint: String,
    /// Id of the VM.
    pub vm_id: String,
    /// App id of the VM, 40 hex digits.
    pub app_id: String,
    /// Name of the VM.
    pub name: String,
    /// When it was applied, in seconds since the Unix epoch.
    pub applied_at: u64,
    /// The run that applied it.
    pub run: String,
    /// Guest image.
    pub image: String,
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Disk in GiB.
    pub disk_gib: u32,
    /// Published ports, in the form of a project file.
    pub ports: Vec<String>,
    /// The environment that was sealed.
    #[serde(default)]
    pub env: EnvRecord,
    /// Whether the app was seen up. `None` when nobody waited.
    #[serde(default)]
    pub booted: Option<bool>,
    /// The VM was left running with the version before; this one takes effect when it is next started.
    #[serde(default)]
    pub restart_pending: bool,
    /// The VM was removed after this version.
    #[serde(default)]
    pub removed: bool,
}

/// What is remembered of a sealed environment: which one it is and whose values it has, never the values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnvRecord {
    /// SHA-256 of the sealed bytes, by which the VM's environment is known again. Absent when none was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_sha256: Option<String>,
    /// For each name a keyed digest of its value.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
}

/// A secret of one directory that makes the digests of values useless elsewhere.
///
/// Without it a short value could be guessed from its digest; with the directory, it still can.
#[derive(Clone)]
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// Length of a key in bytes.
    pub const BYTES: usize = 32;

    /// A key from its bytes.
    pub fn new(bytes: &[u8; Self::BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The digest of each value, by name: 16 bytes of HMAC-SHA256 over name and value, in hex.
    pub fn digests(&self, environment: &Environment) -> BTreeMap<String, String> {
        let digest = |name: &str, value: &str| {
            let mut context = hmac::Context::with_key(&self.0);
            context.update(&(name.len() as u64).to_be_bytes());
            context.update(name.as_bytes());
            context.update(value.as_bytes());
            hex::encode(&context.sign().as_ref()[..16])
        };
        environment.iter().map(|var| (var.name().to_owned(), digest(var.name(), var.value()))).collect()
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

/// A kept version that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// Its file or directory.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The kept versions of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Versions, oldest first.
    pub entries: Vec<Entry>,
    /// What could not be read. It is left where it is.
    pub damaged: Vec<Damage>,
}

impl History {
    /// The versions of one host, oldest first.
    pub fn of_host<'a>(&'a self, host: &str) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'a> {
        let host = host.to_owned();
        self.entries.iter().filter(move |entry| entry.host == host)
    }

    /// The version that a host runs as far as this directory knows; `None` when its VM was removed, too.
    pub fn current(&self, host: &str) -> Option<&Entry> {
        self.of_host(host).next_back().filter(|entry| !entry.removed)
    }

    /// What is remembered of an environment, found by the digest of its sealed bytes.
    pub fn env(&self, sealed_sha256: &str) -> Option<&EnvRecord> {
        let known = |entry: &&Entry| entry.env.sealed_sha256.as_deref() == Some(sealed_sha256);
        self.entries.iter().rev().find(known).map(|entry| &entry.env)
    }

    /// The kept version that `wanted` means on a host.
    ///
    /// # Errors
    /// That there is none, or more than one.
    pub fn find(&self, host: &str, wanted: &VersionRef) -> Result<&Entry, NoSuchVersion> {
        let missing = || NoSuchVersion::Missing { wanted: wanted.to_string(), host: host.to_owned() };
        match wanted {
            VersionRef::Seq(seq) => self.of_host(host).find(|entry| entry.seq == *seq).ok_or_else(missing),
            VersionRef::Previous => self.previous(host, None),
            VersionRef::Hash(prefix) => {
                let fits = |entry: &&Entry| entry.hash.to_string().starts_with(prefix.as_str());
                let hashes: BTreeSet<ComposeHash> =
                    self.of_host(host).filter(fits).map(|entry| entry.hash).collect();
                if hashes.len() > 1 {
                    let hashes = hashes.iter().map(|hash| hash.to_string()[..12].to_owned()).collect();
                    return Err(NoSuchVersion::Ambiguous { prefix: prefix.clone(), hashes });
                }
                self.of_host(host).rev().find(fits).ok_or_else(missing)
            }
        }
    }

    /// The newest version of a host that is another one than `running`, the compose hash that its VM has now. Without it the
    /// newest version is taken to be what runs; it is not where an update was made and did not come up.
    ///
    /// # Errors
    /// That there is none.
    pub fn previous(&self, host: &str, running: Option<ComposeHash>) -> Result<&Entry, NoSuchVersion> {
        let running = running.or_else(|| self.of_host(host).next_back().map(|entry| entry.hash));
        self.of_host(host).rev().find(|entry| Some(entry.hash) != running).ok_or_else(|| {
            NoSuchVersion::Missing { wanted: VersionRef::Previous.to_string(), host: host.to_owned() }
        })
    }

    /// Hashes of an app that are needed: current on a host, still running there because a restart is due, or among the `keep`
    /// last ones before those.
    pub fn needed_hashes(&self, app_id: &str, keep: u32) -> BTreeSet<ComposeHash> {
        let of_app = || self.entries.iter().filter(|entry| entry.app_id == app_id);
        let hosts: BTreeSet<&str> = of_app().map(|entry| entry.host.as_str()).collect();
        let mut needed = BTreeSet::new();
        for host in hosts {
            let mut entries = self.of_host(host).rev().filter(|entry| entry.app_id == app_id);
            let Some(current) = entries.next().filter(|current| !current.removed) else { continue };
            needed.insert(current.hash);
            // While a restart is due the versions before still run, back to the last one that was started.
            let mut due = current.restart_pending;
            let mut of_host = BTreeSet::from([current.hash]);
            let mut kept = 0;
            for entry in entries {
                if due {
                    due = entry.restart_pending;
                    of_host.insert(entry.hash);
                } else if kept < keep && of_host.insert(entry.hash) {
                    kept += 1;
                }
            }
            needed.extend(of_host);
        }
        needed
    }

    /// The numbers of versions beyond the `keep` newest, without those that are current on a host.
    pub fn superfluous(&self, keep: usize) -> Vec<u64> {
        let hosts: BTreeSet<&str> = self.entries.iter().map(|entry| entry.host.as_str()).collect();
        let current: BTreeSet<u64> =
            hosts.iter().filter_map(|host| self.of_host(host).next_back()).map(|entry| entry.seq).collect();
        let old = self.entries.len().saturating_sub(keep);
        self.entries[..old].iter().map(|entry| entry.seq).filter(|seq| !current.contains(seq)).collect()
    }
}

/// Which kept version is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionRef {
    /// The last one whose compose hash is not the current one's.
    #[default]
    Previous,
    /// The one with this number.
    Seq(u64),
    /// The newest one whose compose hash begins with these hex digits.
    Hash(String),
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Previous => f.write_str("previous"),
            Self::Seq(seq) => write!(f, "#{seq}"),
            Self::Hash(prefix) => f.write_str(prefix),
        }
    }
}

impl FromStr for VersionRef {
    type Err = NoSuchVersion;

    /// Reads `previous`, a number as `#12`, or at least four hex digits of a hash.
    fn from_str(text: &str) -> Result<Self, NoSuchVersion> {
        let digits = text.strip_prefix("0x").unwrap_or(text).to_ascii_lowercase();
        if let Some(seq) = text.strip_prefix('#').and_then(|number| number.parse().ok()) {
            Ok(Self::Seq(seq))
        } else if text == "previous" {
            Ok(Self::Previous)
        } else if digits.len() >= 4 && digits.len() <= 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self::Hash(digits))
        } else {
            Err(NoSuchVersion::Malformed { text: text.to_owned() })
        }
    }
}

/// Why a version was not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoSuchVersion {
    /// The text names no version.
    #[error("{text:?} names no version: write previous, #12, or at least four digits of a compose hash")]
    Malformed {
        /// The text.
        text: String,
    },
    /// There is none.
    #[error("no version {wanted} is kept for host {host}")]
    Missing {
        /// What was asked for.
        wanted: String,
        /// Name of the host.
        host: String,
    },
    /// There are several.
    #[error("{prefix} begins more than one kept compose hash: {}", .hashes.join(", "))]
    Ambiguous {
        /// The digits.
        prefix: String,
        /// The hashes, shortened.
        hashes: Vec<String>,
    },
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::env::EnvVar;

    pub(crate) fn entry(seq: u64, host: &str, content: &str) -> Entry {
        Entry {
            seq,
            hash: ComposeHash::of(content.as_bytes()),
            host: host.to_owned(),
            endpoint: "unix:/run/dstack/vmm.sock".to_owned(),
            vm_id: format!("vm-{host}"),
            app_id: "aa".repeat(20),
            name: "demo".to_owned(),
            applied_at: 1_700_000_000 + seq,
            run: format!("run{seq}"),
            image: "dstack-0.5.11".to_owned(),
            vcpu: 2,
            memory_mib: 2048,
            disk_gib: 20,
            ports: Vec::new(),
            env: EnvRecord::default(),
            booted: Some(true),
            restart_pending: false,
            removed: false,
        }
    }

    fn history(entries: Vec<Entry>) -> History {
        History { entries, damaged: Vec::new() }
    }

    fn needed(history: &History, keep: u32) -> Vec<&'static str> {
        let all = history.needed_hashes(&"aa".repeat(20), keep);
        ["a", "b", "c"].into_iter().filter(|name| all.contains(&ComposeHash::of(name.as_bytes()))).collect()
    }

    #[test]
    fn a_hash_is_needed_while_a_host_has_it() {
        let mut h = history(vec![entry(1, "x", "a"), entry(2, "y", "a"), entry(3, "x", "b")]);
        assert_eq!(needed(&h, 0), ["a", "b"]);
        h.entries.push(entry(4, "y", "b"));
        assert_eq!(needed(&h, 0), ["b"]);
        assert_eq!(needed(&h, 1), ["a", "b"]);
        h.entries.push(entry(5, "x", "c"));
        h.entries.push(entry(6, "y", "c"));
        assert_eq!(needed(&h, 0), ["c"]);
        assert_eq!(needed(&h, 1), ["b", "c"]);
        assert_eq!(needed(&h, 9), ["a", "b", "c"]);
        assert!(h.needed_hashes("bb", 9).is_empty());
    }

    #[test]
    fn a_version_that_still_runs_is_needed() {
        let mut pending = entry(3, "x", "c");
        pending.restart_pending = true;
        let mut h = history(vec![entry(1, "x", "a"), entry(2, "x", "b"), pending]);
        assert_eq!(needed(&h, 0), ["b", "c"]);
        h.entries[1].restart_pending = true;
        assert_eq!(needed(&h, 0), ["a", "b", "c"]);
    }

    #[test]
    fn nothing_is_needed_for_a_removed_vm() {
        let mut last = entry(2, "x", "a");
        last.removed = true;
        let h = history(vec![entry(1, "x", "a"), last]);
        assert_eq!(needed(&h, 5), [""; 0]);
        assert_eq!(h.current("x"), None);
    }

    #[test]
    fn versions_are_found() {
        let h = history(vec![entry(1, "x", "a"), entry(2, "y", "c"), entry(3, "x", "b"), entry(4, "x", "b")]);
        assert_eq!(h.find("x", &VersionRef::Previous).unwrap().seq, 1);
        assert_eq!(h.find("x", &"#3".parse().unwrap()).unwrap().seq, 3);
        // What runs was never recorded, because it did not come up.
        assert_eq!(h.previous("x", Some(ComposeHash::of(b"new"))).unwrap().seq, 4);
        let b = ComposeHash::of(b"b").to_string();
        assert_eq!(h.find("x", &b[..6].parse().unwrap()).unwrap().seq, 4);
        let messages = [
            h.find("y", &VersionRef::Previous).unwrap_err().to_string(),
            h.find("x", &"#9".parse().unwrap()).unwrap_err().to_string(),
            "abc".parse::<VersionRef>().unwrap_err().to_string(),
            h.find("x", &VersionRef::Hash(String::new())).unwrap_err().to_string(),
        ];
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn old_versions_go_and_current_ones_stay() {
        let mut entries: Vec<Entry> = (2..=9).map(|seq| entry(seq, "x", "b")).collect();
        entries.insert(0, entry(1, "y", "a"));
        assert_eq!(history(entries.clone()).superfluous(3), [2, 3, 4, 5, 6]);
        assert!(history(entries).superfluous(50).is_empty());
    }

    #[test]
    fn digests_tell_values_apart_and_depend_on_the_key() {
        let env: Environment = [("A", "1"), ("B", "1")]
            .into_iter()
            .map(|(n, v)| EnvVar::new(n, v.to_owned()).unwrap())
            .collect();
        let one = DigestKey::new(&[1; 32]).digests(&env);
        assert_ne!(one["A"], one["B"]);
        assert_ne!(one, DigestKey::new(&[2; 32]).digests(&env));
        assert_eq!(one["A"].len(), 32);
    }
}
