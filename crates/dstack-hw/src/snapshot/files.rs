//! Files: which there are, what they are, and what is in them.

use std::collections::{BTreeMap, BTreeSet};

use super::hide::Hider;
use super::pattern::Part;
use super::record::{FileRecord, Section, Seen};
use super::settings;
use super::spec::{FileRule, Record, SnapshotSpec};
use crate::source::{FileKind, FileMeta};
use crate::{HostSource, Unread};

/// The most files that are recorded.
const MAX_FILES: usize = 20_000;
/// How deep `**` goes below its folder.
const MAX_DEPTH: usize = 8;
/// The most bytes that are digested in one snapshot.
const MAX_DIGESTED: u64 = 512 << 20;
/// The longest document whose settings are read.
const MAX_DOCUMENT: usize = 1 << 20;

/// Files, folders, links and devices.
pub(super) fn files(source: &dyn HostSource, spec: &SnapshotSpec, hider: &Hider) -> Section<FileRecord> {
    let mut walk = Walk { source, budget: MAX_DIGESTED, section: Section::default(), seen: BTreeSet::new() };
    for rule in &spec.files {
        walk.rule(rule, spec, hider);
    }
    walk.section
}

struct Walk<'a> {
    source: &'a dyn HostSource,
    budget: u64,
    section: Section<FileRecord>,
    /// Paths that an earlier rule decided about.
    seen: BTreeSet<String>,
}

/// A path that a pattern led to, with the names in it that a wildcard stood for.
struct Found {
    path: String,
    wild: Vec<String>,
}

impl Walk<'_> {
    fn rule(&mut self, rule: &FileRule, spec: &SnapshotSpec, hider: &Hider) {
        let mut found = Vec::new();
        for pattern in &rule.paths {
            let mut start = Found { path: String::new(), wild: Vec::new() };
            self.expand(pattern.parts(), &mut start, 0, &mut found);
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.dedup_by(|a, b| a.path == b.path);
        let numbers = rule.hide_names.then(|| Numbers::of(&found));
        for found in found {
            if self.section.items.len() >= MAX_FILES {
                self.section.cut = true;
                return;
            }
            if !self.seen.insert(found.path.clone()) {
                continue;
            }
            let never = spec.never_records(&found.path);
            let name =
                numbers.as_ref().map_or_else(|| hider.name(&found.path), |numbers| numbers.hide(&found));
            let record = match self.source.stat(&found.path) {
                Ok(meta) => Seen::Value(self.record(&found.path, &meta, rule, never, hider)),
                Err(Unread::Absent) => continue,
                Err(why) => Seen::not_read(why),
            };
            self.section.items.insert(name, record);
        }
    }

    /// Follows the parts of a pattern down from a folder. A folder that cannot be listed is recorded as unread.
    fn expand(&mut self, parts: &[Part], at: &mut Found, depth: usize, out: &mut Vec<Found>) {
        if out.len() >= MAX_FILES {
            self.section.cut = true;
            return;
        }
        let Some((part, rest)) = parts.split_first() else {
            if !at.path.is_empty() {
                out.push(Found { path: at.path.clone(), wild: at.wild.clone() });
            }
            return;
        };
        match part {
            Part::Literal(name) => {
                // Straight to the end of what is spelled out: one look instead of one a folder.
                let length = at.path.len();
                at.path.push('/');
                at.path.push_str(name);
                if !rest.is_empty() || self.is_there(&at.path) {
                    self.expand(rest, at, depth, out);
                }
                at.path.truncate(length);
            }
            Part::Wild(_) => {
                for name in self.names(&at.path) {
                    if part.matches(&name) {
                        self.step(&name, at, |walk, at, out| walk.expand(rest, at, depth, out), out);
                    }
                }
            }
            Part::AnyDepth => {
                self.expand(rest, at, depth, out);
                if depth >= MAX_DEPTH {
                    return;
                }
                for name in self.names(&at.path) {
                    self.step(
                        &name,
                        at,
                        |walk, at, out| {
                            // Links are recorded, not followed: there is no way out and no way round.
                            let folder =
                                walk.source.stat(&at.path).is_ok_and(|meta| meta.kind == FileKind::Folder);
                            if folder {
                                walk.expand(parts, at, depth + 1, out);
                            } else if rest.is_empty() {
                                out.push(Found { path: at.path.clone(), wild: at.wild.clone() });
                            }
                        },
                        out,
                    );
                }
            }
        }
    }

    fn step(
        &mut self,
        name: &str,
        at: &mut Found,
        then: impl FnOnce(&mut Self, &mut Found, &mut Vec<Found>),
        out: &mut Vec<Found>,
    ) {
        let length = at.path.len();
        at.path.push('/');
        at.path.push_str(name);
        at.wild.push(name.to_owned());
        then(self, at, out);
        at.wild.pop();
        at.path.truncate(length);
    }

    fn is_there(&self, path: &str) -> bool {
        !matches!(self.source.stat(path), Err(Unread::Absent))
    }

    fn names(&mut self, folder: &str) -> Vec<String> {
        let path = if folder.is_empty() { "/" } else { folder };
        match self.source.list(path) {
            Ok(names) => names.into_iter().filter(|name| is_name(name)).take(MAX_FILES).collect(),
            Err(Unread::Absent) => Vec::new(),
            Err(Unread::Failed(_))
                if self.source.stat(path).is_ok_and(|meta| meta.kind != FileKind::Folder) =>
            {
                Vec::new()
            }
            Err(why) => {
                self.section.items.entry(path.to_owned()).or_insert(Seen::not_read(why));
                Vec::new()
            }
        }
    }

    fn record(
        &mut self,
        path: &str,
        meta: &FileMeta,
        rule: &FileRule,
        never: bool,
        hider: &Hider,
    ) -> FileRecord {
        let name = |name: &Option<String>, number: u32| name.clone().unwrap_or_else(|| number.to_string());
        let secret = (never || rule.record == Record::Secret) && meta.kind != FileKind::Folder;
        let mut record = FileRecord {
            kind: meta.kind,
            mode: (meta.kind != FileKind::Link).then(|| format!("{:04o}", meta.mode & 0o7777)),
            owner: name(&meta.owner, meta.uid),
            group: name(&meta.group, meta.gid),
            secret,
            size: None,
            sha256: None,
            target: None,
            settings: None,
        };
        if never || secret || rule.hide_names {
            return record;
        }
        if meta.kind == FileKind::Link {
            record.target = meta.target.as_deref().map(|target| hider.name(target));
        }
        if meta.kind != FileKind::File {
            return record;
        }
        match rule.record {
            Record::Content => {
                record.size = Some(meta.size);
                if meta.size <= rule.digest_up_to && meta.size <= self.budget {
                    self.budget -= meta.size;
                    record.sha256 = Some(self.source.digest(path).into());
                }
            }
            Record::Toml | Record::Json | Record::Pairs => {
                let text = self.source.read(path).and_then(|bytes| {
                    if bytes.len() > MAX_DOCUMENT {
                        return Err(Unread::TooLarge);
                    }
                    Ok(String::from_utf8_lossy(&bytes).into_owned())
                });
                let read = text.and_then(|text| match rule.record {
                    Record::Toml => settings::toml(&text),
                    Record::Json => settings::json(&text),
                    _ => Ok(settings::pairs(&text)),
                });
                record.settings = Some(read.map(|settings| settings::hidden(settings, hider)).into());
            }
            Record::Presence | Record::Secret => {}
        }
        record
    }
}

/// A name that a folder can have: nothing that leads elsewhere. Folders of captures are somebody's input.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']) && name.len() <= 255
}

/// Numbers for the names that are hidden, in the order of the alphabet.
struct Numbers(BTreeMap<String, usize>);

/// Names inside a hidden folder that are the same everywhere, and say nothing.
const PLAIN_NAMES: &[&str] = &[
    "README",
    "cert.pem",
    "chain.pem",
    "fullchain.pem",
    "privkey.pem",
    "registry.pem",
    "wildcard.pem",
    "config.json",
    "authorized_keys",
    "ca.crt",
];

impl Numbers {
    fn of(found: &[Found]) -> Self {
        let names: BTreeSet<&String> =
            found.iter().flat_map(|found| &found.wild).filter(|name| !is_plain(name)).collect();
        Self(names.into_iter().enumerate().map(|(at, name)| (name.clone(), at + 1)).collect())
    }

    fn hide(&self, found: &Found) -> String {
        let mut wild = found.wild.iter().peekable();
        let mut hidden = String::with_capacity(found.path.len());
        for part in found.path.split('/').filter(|part| !part.is_empty()) {
            hidden.push('/');
            let is_wild = wild.peek().is_some_and(|name| name.as_str() == part);
            if is_wild {
                wild.next();
            }
            match self.0.get(part) {
                Some(number) if is_wild => hidden.push_str(&format!("<{number}>")),
                _ => hidden.push_str(part),
            }
        }
        hidden
    }
}

/// Files whose name is the same everywhere, and those that a number suffices to tell apart.
fn is_plain(name: &str) -> bool {
    PLAIN_NAMES.contains(&name)
        || name.starts_with("vmm-auth-token")
        || name.starts_with("sepolia-")
        || name.ends_with("-contract-address")
        || name.ends_with("-app-id")
}
