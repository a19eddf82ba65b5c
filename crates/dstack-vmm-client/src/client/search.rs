//! Which lines to ask for to find one's place in a log again, and what follows from what was found. Pure.

use std::collections::VecDeque;

use super::history::{Finder, History, Place, REMEMBERED};

/// Lines asked for first after a reconnect. Enough for a log that went on at hundreds of lines a second.
const SHORT_TAIL: usize = 1024;

/// The longest tail that is asked for while the place is not in a shorter one, before all of the file is.
const LONG_TAIL: usize = 512 * 1024;

/// Lines that wait while the place in the log is still being found, in bytes.
const MAX_WAITING: usize = 2 * 1024 * 1024;

/// What was asked of the server to find the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The last lines.
    Tail(usize),
    /// All of the live file, of which as many lines were read as are known.
    ByCount,
    /// All of the live file.
    Everything,
}

impl Ask {
    /// What is asked for first.
    pub(super) const FIRST: Self = Self::Tail(SHORT_TAIL);

    /// The number of lines to ask for. `None` for all.
    pub(super) fn tail(self) -> Option<usize> {
        match self {
            Self::Tail(lines) => Some(lines),
            Self::ByCount | Self::Everything => None,
        }
    }
}

/// A search for the place where reading stopped, over one connection.
pub(super) struct Search {
    pub(super) finder: Finder,
    pub(super) ask: Ask,
    /// The best place so far.
    pub(super) best: Place,
    /// How many strong places there were.
    strong: u32,
    /// Lines after the best place, and their size.
    pub(super) waiting: VecDeque<(u64, String)>,
    waiting_bytes: usize,
}

/// What to do once a search has seen what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Go on after the best place.
    Resume { exact: bool },
    /// Look in more of the log.
    Ask(Ask),
    /// The log has begun anew: read all of it.
    StartOver,
}

impl Search {
    pub(super) fn new(history: &History, ask: Ask) -> Self {
        Self {
            finder: history.finder(ask == Ask::ByCount),
            ask,
            best: Place::Elsewhere,
            strong: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// Takes the next line; its text is asked for where it may have to be given on.
    pub(super) fn look(&mut self, hash: u64, text: impl FnOnce() -> String) {
        // What comes after the tail that was asked for is new, and cannot be the place.
        let place = if self.is_full() { Place::Elsewhere } else { self.finder.push(hash) };
        if place == Place::Strong {
            self.strong += 1;
        }
        if place != Place::Elsewhere && self.best != Place::Certain {
            // The later place is the likelier: it says that less was written meanwhile.
            self.best = place;
            self.waiting.clear();
            self.waiting_bytes = 0;
        } else if self.best != Place::Elsewhere {
            let text = text();
            self.waiting_bytes += text.len() + size_of::<(u64, String)>();
            self.waiting.push_back((hash, text));
        }
    }

    /// Whether the tail that was asked for has come.
    fn is_full(&self) -> bool {
        match self.ask {
            Ask::Tail(lines) => self.finder.received() >= lines as u64,
            Ask::ByCount | Ask::Everything => false,
        }
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.best, Place::Certain | Place::Wrong)
            || self.is_full()
            || self.waiting_bytes > MAX_WAITING
    }

    /// What follows from what was seen. `saw_all`: the server has no more lines. `knows_start`: the number of lines read is the
    /// place in the file.
    pub(super) fn decide(&self, saw_all: bool, knows_start: bool) -> Decision {
        match (self.ask, self.best) {
            (_, Place::Certain) => Decision::Resume { exact: true },
            // Another file, or one that is shorter than what was read of it.
            (Ask::ByCount, _) => Decision::Ask(Ask::Everything),
            (_, Place::Strong) if self.strong == 1 => Decision::Resume { exact: true },
            // The lines repeat themselves. The number of lines decides, where it is known; else more lines may.
            (Ask::Tail(_), Place::Strong) if knows_start => Decision::Ask(Ask::ByCount),
            (Ask::Tail(lines), Place::Strong) if lines < REMEMBERED && !saw_all => {
                Decision::Ask(Ask::Tail(REMEMBERED))
            }
            (_, Place::Strong) => Decision::Resume { exact: false },
            // What the server had was less than was asked for, so it was all of the file.
            (_, Place::Weak) if saw_all || self.ask == Ask::Everything => Decision::Resume { exact: false },
            (_, _) if saw_all || self.ask == Ask::Everything => Decision::StartOver,
            (Ask::Tail(lines), _) if lines < LONG_TAIL => Decision::Ask(Ask::Tail(lines * 8)),
            (_, _) if knows_start => Decision::Ask(Ask::ByCount),
            (_, _) => Decision::Ask(Ask::Everything),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `read` lines, then again what the server has, and says what follows from it.
    fn search(
        read: &[&str],
        from_start: bool,
        ask: Ask,
        again: &[&str],
        saw_all: bool,
    ) -> (Decision, Vec<String>) {
        let mut history = History::new(from_start);
        for line in read {
            history.push(history.hash(line.as_bytes()));
        }
        let mut search = Search::new(&history, ask);
        for line in again {
            search.look(history.hash(line.as_bytes()), || (*line).to_owned());
        }
        let waiting = search.waiting.iter().map(|(_, line)| line.clone()).collect();
        (search.decide(saw_all, history.knows_start()), waiting)
    }

    #[test]
    fn one_place_is_exact_and_what_follows_it_waits() {
        let (decision, waiting) = search(&["a", "b"], false, Ask::FIRST, &["a", "b", "c", "d"], true);
        assert_eq!(
            (decision, waiting),
            (Decision::Resume { exact: true }, vec!["c".to_owned(), "d".to_owned()])
        );
    }

    #[test]
    fn no_place_makes_the_search_grow_and_then_start_over() {
        let mut ask = Ask::FIRST;
        let mut asked = Vec::new();
        for knows_start in [false, true] {
            loop {
                match search(&["a"], knows_start, ask, &["x"], false).0 {
                    Decision::Ask(next) => {
                        ask = next;
                        asked.push(next);
                    }
                    decision => {
                        assert_eq!(decision, Decision::StartOver);
                        break;
                    }
                }
            }
            ask = Ask::Tail(LONG_TAIL);
        }
        let tails = [8192, 65_536, 524_288].map(Ask::Tail);
        assert_eq!(asked[..3], tails);
        assert_eq!(asked[3..], [Ask::Everything, Ask::ByCount, Ask::Everything]);
        // A file that is shorter than what was asked for needs no second look.
        assert_eq!(search(&["a"], true, Ask::FIRST, &["x"], true).0, Decision::StartOver);
    }

    #[test]
    fn repeated_lines_are_counted_where_that_helps() {
        let same = ["a"; 50];
        assert_eq!(search(&same, true, Ask::FIRST, &same, true).0, Decision::Ask(Ask::ByCount));
        assert_eq!(search(&same[..40], true, Ask::ByCount, &same, false).0, Decision::Resume { exact: true });
        assert_eq!(search(&same[..40], true, Ask::ByCount, &same, false).1.len(), 10);
        assert_eq!(search(&same, false, Ask::FIRST, &same, false).0, Decision::Ask(Ask::Tail(REMEMBERED)));
        assert_eq!(search(&same, false, Ask::FIRST, &same, true).0, Decision::Resume { exact: false });
    }

    #[test]
    fn a_file_that_is_another_one_is_searched_as_such() {
        let (decision, _) = search(&["a", "b"], true, Ask::ByCount, &["b", "c", "d"], false);
        assert_eq!(decision, Decision::Ask(Ask::Everything));
        let long: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        // The file began anew before the cut: few lines agree, which is better than nothing and no certainty.
        let (decision, waiting) = search(&long, false, Ask::FIRST, &["98", "99", "new"], true);
        assert_eq!((decision, waiting), (Decision::Resume { exact: false }, vec!["new".to_owned()]));
    }
}
