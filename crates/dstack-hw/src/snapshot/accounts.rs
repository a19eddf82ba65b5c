//! Users and groups. Neither passwords nor the names of people are read.

use std::collections::BTreeMap;

use super::Pattern;
use super::record::{Group, Section, User};
use super::spec::SnapshotSpec;
use crate::HostSource;

/// Numbers below this belong to the system (`UID_MIN` in `login.defs` of every distribution that is looked at).
const FIRST_PERSON: u32 = 1000;
/// `nobody`.
const NOBODY: u32 = 65_534;
/// The most lines of either file.
const MAX_LINES: usize = 20_000;

/// A line of `/etc/group`.
struct GroupLine<'a> {
    name: &'a str,
    gid: u32,
    members: Vec<&'a str>,
}

/// Users and groups that matter.
pub(super) fn accounts(source: &dyn HostSource, spec: &SnapshotSpec) -> (Section<User>, Section<Group>) {
    let (passwd, group) = (source.text("/etc/passwd"), source.text("/etc/group"));
    let lines = group.as_deref().map(group_lines).unwrap_or_default();
    let users = Section::from_reading(passwd.map(|text| users(&text, &lines, spec)));
    let groups = Section::from_reading(group.as_deref().map(|_| groups(&lines, spec)).map_err(Clone::clone));
    (users, groups)
}

fn group_lines(text: &str) -> Vec<GroupLine<'_>> {
    text.lines()
        .take(MAX_LINES)
        .filter_map(|line| {
            let mut fields = line.split(':');
            let (name, gid) = (fields.next()?, fields.nth(1)?.parse().ok()?);
            let members = fields.next().unwrap_or_default();
            let members = members.split(',').map(str::trim).filter(|member| !member.is_empty()).collect();
            Some(GroupLine { name, gid, members })
        })
        .collect()
}

fn matches(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// Does a group matter by itself: it is the system's, or one that the spec names?
fn groups(lines: &[GroupLine<'_>], spec: &SnapshotSpec) -> BTreeMap<String, Group> {
    lines
        .iter()
        .filter(|line| line.gid < FIRST_PERSON || line.gid == NOBODY || matches(&spec.groups, line.name))
        .map(|line| (line.name.to_owned(), Group { gid: line.gid }))
        .collect()
}

fn users(text: &str, groups: &[GroupLine<'_>], spec: &SnapshotSpec) -> BTreeMap<String, User> {
    text.lines()
        .take(MAX_LINES)
        .filter_map(|line| {
            // name : password : uid : gid : person : home : shell
            let mut fields = line.split(':');
            let (name, uid) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
            let gid = fields.next()?.parse::<u32>().ok()?;
            let (home, shell) = (fields.nth(1)?, fields.next().unwrap_or_default());
            let first = groups.iter().find(|group| group.gid == gid);
            let in_groups: Vec<String> = groups
                .iter()
                .filter(|group| matches(&spec.groups, group.name) && group.members.contains(&name))
                .map(|group| group.name.to_owned())
                .collect();
            let first_matters = first.is_some_and(|group| matches(&spec.groups, group.name));
            let system = uid < FIRST_PERSON || uid == NOBODY;
            if !system && in_groups.is_empty() && !first_matters && !matches(&spec.users, name) {
                return None;
            }
            let user = User {
                uid,
                group: first.map_or_else(|| gid.to_string(), |group| group.name.to_owned()),
                groups: in_groups,
                home: home.to_owned(),
                shell: shell.to_owned(),
            };
            Some((name.to_owned(), user))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Readings;

    #[test]
    fn those_that_matter() {
        let host = Readings::empty_host()
            .file(
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/bash\nqgsd:x:995:994::/var/opt/qgsd:/sbin/nologin\n\
                 operator:$6$planted:1000:1000:A Person,,,:/home/operator:/bin/bash\nguest:x:1001:1001::/home/guest:/bin/sh\nbroken\n",
            )
            .file(
                "/etc/group",
                "root:x:0:\nqgsd:x:994:\nsgx_prv:x:993:qgsd\nkvm:x:108:operator\noperator:x:1000:\nguest:x:1001:\n",
            );
        let (users, groups) = accounts(&host, &SnapshotSpec::builtin());
        let names: Vec<&String> = users.items.keys().collect();
        assert_eq!(names, ["operator", "qgsd", "root"]);
        let qgsd = users.items["qgsd"].value().unwrap();
        assert_eq!((qgsd.group.as_str(), qgsd.groups.as_slice()), ("qgsd", &["sgx_prv".to_owned()][..]));
        assert!(groups.items.contains_key("sgx_prv") && !groups.items.contains_key("guest"));
        let text = format!("{users:?}");
        assert!(!text.contains("planted") && !text.contains("A Person"));
    }
}
