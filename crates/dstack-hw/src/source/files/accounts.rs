//! The names behind numeric owners and groups: `/etc/passwd` and `/etc/group`.

use std::collections::BTreeMap;

/// The most accounts that are kept of a file.
const MAX_ACCOUNTS: usize = 65_536;

/// Names by number.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) users: BTreeMap<u32, String>,
    pub(crate) groups: BTreeMap<u32, String>,
}

impl Accounts {
    /// Reads both files. What is not there leaves numbers without a name.
    pub(crate) fn parse(passwd: &str, group: &str) -> Self {
        Self { users: names(passwd), groups: names(group) }
    }
}

/// `NAME:PASSWORD:NUMBER:...`, which is the beginning of a line of either file. The first line of a number counts, as
/// for `getpwuid(3)`.
fn names(text: &str) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for line in text.lines().take(MAX_ACCOUNTS) {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if let Ok(number) = number.parse()
            && !name.is_empty()
        {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts_and_odd_lines_are_passed_over() {
        let accounts = Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n# comment\n:x:7:7::/:\nbad:x:seven:7\n",
            "root:x:0:\nsgx_prv:x:123:qgsd\n",
        );
        assert_eq!(accounts.users, BTreeMap::from([(0, "root".to_owned())]));
        assert_eq!(accounts.groups.get(&123).map(String::as_str), Some("sgx_prv"));
    }
}
