//! Who a service runs as: the credentials of its process, and the groups of `/etc/group`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::HostSource;
use crate::{Fact, Unread};

/// The credentials of a running process, from `/proc/PID/status`. They are what counts: a group that its user was added to
/// after it started is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ProcessIdentity {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id and supplementary groups.
    pub gids: BTreeSet<u32>,
}

impl ProcessIdentity {
    /// Reads `/proc/PID/status`. `None` where the user or the group is not there.
    pub fn parse(status: &str) -> Option<Self> {
        let numbers = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).take(1024))
        };
        // Real, effective, saved, file system.
        let uid = numbers("Uid")?.nth(1)?;
        let mut gids: BTreeSet<u32> = numbers("Groups").map(Iterator::collect).unwrap_or_default();
        gids.insert(numbers("Gid")?.nth(1)?);
        Some(Self { uid, gids })
    }

    /// May it read and write a file with this owner, group and mode?
    pub fn may_read_and_write(&self, uid: u32, gid: u32, mode: u32) -> bool {
        let bits = if self.uid == uid {
            mode >> 6
        } else if self.gids.contains(&gid) {
            mode >> 3
        } else {
            mode
        };
        self.uid == 0 || bits & 6 == 6
    }
}

pub(super) fn identity(source: &dyn HostSource, pid: u32) -> Fact<ProcessIdentity> {
    Fact::from(source.text(&format!("/proc/{pid}/status"))).and_then(|text| {
        match ProcessIdentity::parse(&text) {
            Some(identity) => Fact::Known(identity),
            None => Fact::Unread(Unread::Failed(format!("/proc/{pid}/status names no user"))),
        }
    })
}

/// The groups that SGX devices may belong to, and who is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Groups {
    groups: BTreeMap<String, Group>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Group {
    gid: u32,
    /// Is the service's own user among the members? Other users are nobody's business.
    qgsd: bool,
    aesmd: bool,
}

impl Groups {
    /// Reads `/etc/group`. Kept are the groups `sgx`, `sgx_prv` and those of the services, and of their members only the
    /// services' own users.
    pub fn parse(text: &str) -> Self {
        let groups = text
            .lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                let (name, _, gid, members) =
                    (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
                if !matches!(name, "sgx" | "sgx_prv" | "qgsd" | "aesmd") {
                    return None;
                }
                let has = |user: &str| members.split(',').any(|member| member.trim() == user);
                Some((
                    name.to_owned(),
                    Group { gid: gid.parse().ok()?, qgsd: has("qgsd"), aesmd: has("aesmd") },
                ))
            })
            .collect();
        Self { groups }
    }

    /// The lines of `/etc/group` that are read, with the services' own users alone: what a capture may keep of the file.
    pub fn kept(text: &str) -> String {
        let mut kept = String::new();
        for (name, group) in &Self::parse(text).groups {
            let members: Vec<&str> = [("qgsd", group.qgsd), ("aesmd", group.aesmd)]
                .iter()
                .filter(|(_, is)| *is)
                .map(|(user, _)| *user)
                .collect();
            kept.push_str(&format!("{name}:x:{}:{}\n", group.gid, members.join(",")));
        }
        kept
    }

    /// The number of a group.
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|group| group.gid)
    }

    /// Is the user of the quote generation service in this group, by name or as its own?
    pub fn has_qgsd(&self, name: &str) -> bool {
        name == "qgsd" || self.groups.get(name).is_some_and(|group| group.qgsd)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_effective_credentials_count() {
        let status = "Name:\tqgs\nUid:\t998\t998\t998\t998\nGid:\t996\t996\t996\t996\nGroups:\t109 996 \n";
        let identity = ProcessIdentity::parse(status).unwrap();
        assert_eq!(identity, ProcessIdentity { uid: 998, gids: [109, 996].into() });
        assert!(identity.may_read_and_write(0, 109, 0o660));
        assert!(!identity.may_read_and_write(0, 108, 0o660));
        assert!(!identity.may_read_and_write(0, 0, 0o600));
        assert!(identity.may_read_and_write(0, 0, 0o666));
        assert!(ProcessIdentity { uid: 0, ..Default::default() }.may_read_and_write(5, 5, 0));
        assert_eq!(ProcessIdentity::parse("Name: x\n"), None);
    }

    #[test]
    fn nobody_elses_name_is_kept() {
        let groups = Groups::parse("root:x:0:\nsgx_prv:x:109:qgsd,alice\nsgx:x:108:\nusers:x:100:alice\n");
        assert_eq!(groups.gid("sgx_prv"), Some(109));
        assert!(groups.has_qgsd("sgx_prv") && !groups.has_qgsd("sgx"));
        assert!(!serde_json::to_string(&groups).unwrap().contains("alice"));
        assert_eq!(groups.gid("users"), None);
        let kept = Groups::kept("sgx_prv:x:109:qgsd,alice\nusers:x:100:alice\n");
        assert_eq!(kept, "sgx_prv:x:109:qgsd\n");
        assert_eq!(Groups::kept(&kept), kept);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            let _ = Groups::parse(&text);
            let _ = ProcessIdentity::parse(&text);
        }
    }
}
