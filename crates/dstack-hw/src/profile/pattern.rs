//! Check ids and patterns over them, and what may have been meant by one that does not exist.

use crate::checks;

/// How alike two ids must be, from 0 to 1, for one to be suggested for the other.
const ALIKE: f64 = 0.55;

/// How many ids are suggested at most.
const SUGGESTIONS: usize = 3;

/// The id of a check, or the beginning of ids followed by `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern<'a> {
    /// Without the `*`.
    text: &'a str,
    exact: bool,
}

impl<'a> Pattern<'a> {
    /// `hw.cpu.vmx`, `hw.cpu.*` or `hw.*`. A `*` anywhere but after the last dot is no pattern.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let (text, exact) = text.strip_suffix('*').map_or((text, true), |start| (start, false));
        let sound = !text.contains('*') && (exact || text.ends_with('.')) && text.len() <= 200;
        sound.then_some(Self { text, exact })
    }

    /// The ids it matches, in the order of the checks.
    pub(super) fn matched(self) -> impl Iterator<Item = &'static str> + use<'a> {
        checks::all().map(|check| check.def.id).filter(move |id| self.matches(id))
    }

    pub(super) fn matches(self, id: &str) -> bool {
        if self.exact { id == self.text } else { id.starts_with(self.text) }
    }

    /// Which of two patterns that match one id says more about it: the greater.
    pub(super) const fn weight(self) -> (bool, usize) {
        (self.exact, self.text.len())
    }
}

/// The ids of checks that look like this text, the likest first, at most three.
pub(crate) fn similar_ids(text: &str) -> Vec<&'static str> {
    // The distance of very long texts takes long to work out and leads nowhere.
    if text.len() > 200 {
        return Vec::new();
    }
    let wanted = text.trim_end_matches('*').trim_matches('.').to_ascii_lowercase();
    let wanted = wanted.strip_prefix("hw.").unwrap_or(&wanted);
    let mut found: Vec<(f64, &'static str)> = checks::all()
        .map(|check| {
            let id = check.def.id.strip_prefix("hw.").unwrap_or(check.def.id);
            let last = id.rsplit('.').next().unwrap_or(id);
            let alike = strsim::normalized_damerau_levenshtein(wanted, id)
                .max(0.95 * strsim::normalized_damerau_levenshtein(wanted, last));
            (alike, check.def.id)
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    // Stable: equally alike ids stay in the order of the checks.
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().take(SUGGESTIONS).map(|(_, id)| id).collect()
}

/// The word of a list that looks like this one.
pub(super) fn similar_word(
    text: &str,
    words: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    let alike = |word: &&'static str| strsim::normalized_damerau_levenshtein(text, word);
    words
        .into_iter()
        .filter(|word| text.len() <= 200 && alike(word) >= ALIKE)
        .max_by(|a, b| alike(a).total_cmp(&alike(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_ids_and_whole_segments() {
        let count = |text: &str| Pattern::new(text).map(|pattern| pattern.matched().count());
        assert_eq!(count("hw.cpu.vmx"), Some(1));
        assert!(count("hw.cpu.*") > Some(5));
        assert!(count("hw.*") > count("hw.cpu.*"));
        assert_eq!(count("hw.cpu"), Some(0));
        assert_eq!(count("hw.cp*"), None);
        assert_eq!(count("hw.*.vmx"), None);
        assert_eq!(count(""), Some(0));
        assert_eq!(count("*"), None);
    }

    #[test]
    fn the_exact_id_says_more_than_a_longer_pattern() {
        let weight = |text| Pattern::new(text).unwrap().weight();
        assert!(weight("hw.a") > weight("hw.cpu.*"));
        assert!(weight("hw.cpu.*") > weight("hw.*"));
    }

    #[test]
    fn suggestions_are_near_and_few() {
        assert_eq!(similar_ids("hw.firmware.tdxkeys")[0], "hw.firmware.tdx-keys");
        assert_eq!(similar_ids("nohibernate")[0], "hw.kernel.nohibernate");
        assert_eq!(similar_ids("hw.cpu.vxm")[0], "hw.cpu.vmx");
        assert_eq!(similar_ids("completely-different-thing"), [""; 0]);
        assert!(similar_ids("hw.kvm").len() <= SUGGESTIONS);
        assert_eq!(similar_ids(&"x".repeat(100_000)), [""; 0]);
    }
}
