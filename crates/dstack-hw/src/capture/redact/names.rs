//! Placeholders: the same value gets the same one everywhere in a capture.

use std::collections::BTreeMap;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Mac,
    Ip,
    Host,
    Domain,
    User,
    Uuid,
    Serial,
    Disk,
    Secret,
    Email,
    Id,
    Pem,
    Builder,
}

impl Kind {
    pub(super) const ALL: [Self; 13] = [
        Self::Mac,
        Self::Ip,
        Self::Host,
        Self::Domain,
        Self::User,
        Self::Uuid,
        Self::Serial,
        Self::Disk,
        Self::Secret,
        Self::Email,
        Self::Id,
        Self::Pem,
        Self::Builder,
    ];

    /// The word in the placeholder.
    const fn word(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Host => "host",
            Self::Domain => "domain",
            Self::User => "user",
            Self::Uuid => "uuid",
            Self::Serial => "serial",
            Self::Disk => "disk",
            Self::Secret => "secret",
            Self::Email => "email",
            Self::Id => "id",
            Self::Pem => "pem",
            Self::Builder => "builder",
        }
    }

    /// The name of the rule, for the summary.
    pub(super) const fn rule(self) -> &'static str {
        match self {
            Self::Mac => "mac-addresses",
            Self::Ip => "ip-addresses",
            Self::Host => "host-names",
            Self::Domain => "domain-names",
            Self::User => "user-names",
            Self::Uuid => "uuids",
            Self::Serial => "serial-numbers",
            Self::Disk => "disk-ids",
            Self::Secret => "secrets",
            Self::Email => "e-mail-addresses",
            Self::Id => "platform-ids",
            Self::Pem => "pem-blocks",
            Self::Builder => "kernel-builders",
        }
    }
}

/// The values that were met, by kind, with their numbers.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: BTreeMap<(Kind, String), usize>,
    /// The highest number in use by kind, in this capture or by placeholders that were there before.
    highest: BTreeMap<Kind, usize>,
}

impl Names {
    /// Notes placeholders that are there already, so that theirs is not given to another value. A capture of a capture
    /// has them.
    pub(super) fn reserve(&mut self, text: &str) {
        for kind in Kind::ALL {
            let word = kind.word();
            for (at, _) in text.match_indices(word) {
                let rest =
                    text.get(at + word.len()..).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
                let digits =
                    rest.split(|character: char| !character.is_ascii_digit()).next().unwrap_or_default();
                if let Ok(number @ 1..=999_999) = digits.parse::<usize>() {
                    let highest = self.highest.entry(kind).or_default();
                    *highest = number.max(*highest);
                }
            }
        }
    }

    /// The number of a value.
    pub(super) fn number(&mut self, kind: Kind, value: &str) -> usize {
        let highest = self.highest.entry(kind).or_default();
        *self.numbers.entry((kind, value.to_owned())).or_insert_with(|| {
            *highest += 1;
            *highest
        })
    }

    /// The placeholder of a value, such as `<mac-1>`.
    pub(super) fn placeholder(&mut self, kind: Kind, value: &str) -> String {
        format!("<{}-{}>", kind.word(), self.number(kind, value))
    }

    /// How many different values there were, by the name of the rule.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (kind, _) in self.numbers.keys() {
            *counts.entry(kind.rule().to_owned()).or_default() += 1;
        }
        counts
    }
}
