//! Finding one's place in a log again.
//!
//! The server gives the last lines of a log and goes on from there; it has no positions to ask for. After a cut the client
//! reads the tail again and looks for the place where its own last lines end. It keeps the number of lines it read and
//! hashes of the last [`REMEMBERED`] of them. Its memory does not grow with the log.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// How many lines are remembered, by their hashes.
pub(super) const REMEMBERED: usize = 8192;

/// An overlap of fewer lines than this does not count for sure: logs have blank lines and repeated ones.
const STRONG: usize = 32;

/// Modulus of the rolling hash, a Mersenne prime.
const PRIME: u64 = (1 << 61) - 1;

fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    // The low 61 bits and the rest, both below 2^64.
    let folded = (product as u64 & PRIME) + (product >> 61) as u64;
    if folded >= PRIME { folded - PRIME } else { folded }
}

fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

/// What was read of a log so far.
pub(super) struct History {
    hasher: RandomState,
    base: u64,
    last: VecDeque<u64>,
    /// Lines read.
    count: u64,
    /// Whether the first of them was the first line of the file.
    from_start: bool,
}

impl History {
    /// Nothing read. `from_start`: the next line is the first of the file.
    pub(super) fn new(from_start: bool) -> Self {
        let hasher = RandomState::new();
        let base = hasher.hash_one("base") % (PRIME - 1_000_000) + 500_000;
        Self { hasher, base, last: VecDeque::new(), count: 0, from_start }
    }

    /// Forgets everything; the next line is the first of the file.
    pub(super) fn restart(&mut self) {
        self.last.clear();
        self.count = 0;
        self.from_start = true;
    }

    /// The place in the file is no longer certain.
    pub(super) fn lose_start(&mut self) {
        self.from_start = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn knows_start(&self) -> bool {
        self.from_start
    }

    pub(super) fn hash(&self, line: &[u8]) -> u64 {
        self.hasher.hash_one(line) % PRIME
    }

    /// Adds a line that was read.
    pub(super) fn push(&mut self, hash: u64) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(hash);
        self.count += 1;
    }

    /// Starts to look for the end of what was read in lines that are read again.
    ///
    /// `by_count`: they begin with the first line of the file, so that the end is where the number of lines says. The lines
    /// before the last remembered ones are then only counted.
    pub(super) fn finder(&self, by_count: bool) -> Finder {
        let mut suffixes = Vec::with_capacity(self.last.len() + 1);
        suffixes.push(0);
        let (mut hash, mut power) = (0, 1);
        for &line in self.last.iter().rev() {
            hash = add(multiply(line, power), hash);
            power = multiply(power, self.base);
            suffixes.push(hash);
        }
        Finder {
            base: self.base,
            power,
            suffixes,
            window: VecDeque::new(),
            hash: 0,
            received: 0,
            expected: by_count.then_some(self.count),
        }
    }
}

/// What the line just seen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Not the last line that was read before.
    Elsewhere,
    /// It may be: few lines before it agree.
    Weak,
    /// It may be: many lines before it agree, or all that are known.
    Strong,
    /// It is: so many lines were read, and the last of them agree.
    Certain,
    /// It should be by the number of lines, and the lines differ: this is another file.
    Wrong,
}

/// Looks for the end of a [`History`] in lines read again.
pub(super) struct Finder {
    base: u64,
    /// `base` to the power of the number of remembered lines.
    power: u64,
    /// Hash of the last n remembered lines, by n.
    suffixes: Vec<u64>,
    window: VecDeque<u64>,
    hash: u64,
    received: u64,
    /// Where the end must be, if that is known.
    expected: Option<u64>,
}

impl Finder {
    /// Lines seen.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether the next line need not be looked at, only [counted](Self::count).
    pub(super) fn only_counts(&self) -> bool {
        let remembered = self.suffixes.len() as u64 - 1;
        self.expected.is_some_and(|expected| self.received + remembered < expected)
    }

    /// Counts a line.
    pub(super) fn count(&mut self) {
        self.received += 1;
    }

    /// Looks at the next line.
    pub(super) fn push(&mut self, line: u64) -> Place {
        let remembered = self.suffixes.len() - 1;
        if self.only_counts() {
            self.count();
            return Place::Elsewhere;
        }
        self.count();
        self.window.push_back(line);
        self.hash = add(multiply(self.hash, self.base), line);
        if self.window.len() > remembered {
            // What falls out of the window was multiplied once a line since it came in.
            let oldest = self.window.pop_front().unwrap_or(0);
            self.hash = add(self.hash, PRIME - multiply(oldest, self.power));
        }
        let overlap = self.window.len();
        let agrees = overlap > 0 && self.suffixes[overlap] == self.hash;
        if let Some(expected) = self.expected {
            return match (self.received == expected, agrees) {
                (false, _) => Place::Elsewhere,
                (true, true) => Place::Certain,
                (true, false) => Place::Wrong,
            };
        }
        if !agrees {
            Place::Elsewhere
        } else if overlap >= STRONG.min(remembered) {
            Place::Strong
        } else {
            Place::Weak
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(history: &mut History, lines: &[&str]) {
        for line in lines {
            let hash = history.hash(line.as_bytes());
            history.push(hash);
        }
    }

    fn places(history: &History, by_count: bool, lines: &[&str]) -> Vec<Place> {
        let mut finder = history.finder(by_count);
        lines.iter().map(|line| finder.push(history.hash(line.as_bytes()))).collect()
    }

    #[test]
    fn the_place_is_found() {
        let mut history = History::new(false);
        read(&mut history, &["a", "b", "c"]);
        use Place::{Certain, Elsewhere, Strong, Weak};
        assert_eq!(places(&history, false, &["a", "b", "c", "d"]), [Elsewhere, Elsewhere, Strong, Elsewhere]);
        assert_eq!(places(&history, false, &["x", "a", "b", "c"]), [Elsewhere, Elsewhere, Elsewhere, Strong]);
        assert_eq!(places(&history, false, &["b", "c", "d"]), [Elsewhere, Weak, Elsewhere]);
        assert_eq!(places(&history, false, &["x", "c", "d"]), [Elsewhere, Elsewhere, Elsewhere]);
        // Known from the first line of the file: there is no doubt, even if all lines are equal.
        let mut history = History::new(true);
        read(&mut history, &["a", "a"]);
        assert_eq!(places(&history, true, &["a", "a", "a"]), [Elsewhere, Certain, Elsewhere]);
        assert_eq!(places(&history, true, &["a", "b", "a"]), [Elsewhere, Place::Wrong, Elsewhere]);
        assert_eq!(places(&history, false, &["a", "a", "a"]), [Weak, Strong, Strong]);
    }

    #[test]
    fn nothing_read_is_found_nowhere() {
        let history = History::new(true);
        assert!(history.is_empty());
        assert_eq!(places(&history, true, &["a", ""]), [Place::Elsewhere; 2]);
    }

    #[test]
    fn memory_does_not_grow() {
        let mut history = History::new(true);
        for number in 0..3 * REMEMBERED {
            history.push(history.hash(&number.to_be_bytes()));
        }
        assert_eq!(history.last.len(), REMEMBERED);
        let mut finder = history.finder(true);
        for number in 0..3 * REMEMBERED {
            let place = finder.push(history.hash(&number.to_be_bytes()));
            let expected = if number + 1 == 3 * REMEMBERED { Place::Certain } else { Place::Elsewhere };
            assert_eq!(place, expected, "line {number}");
        }
        assert!(finder.window.len() <= REMEMBERED);
    }

    proptest! {
        /// The rolling hash agrees with comparing the lines themselves.
        #[test]
        fn like_comparing_lines(
            log in proptest::collection::vec(0u8..3, 1..60),
            read_until in 1usize..60,
            again_from in 0usize..60,
        ) {
            let read_until = read_until.min(log.len());
            let again_from = again_from.min(log.len());
            let mut history = History::new(false);
            for line in &log[..read_until] {
                history.push(history.hash(&[*line]));
            }
            let mut finder = history.finder(false);
            for end in again_from + 1..=log.len() {
                let place = finder.push(history.hash(&[log[end - 1]]));
                let overlap = (end - again_from).min(read_until);
                let agrees = log[end - overlap..end] == log[read_until - overlap..read_until];
                prop_assert_eq!(place != Place::Elsewhere, agrees);
            }
        }
    }
}
