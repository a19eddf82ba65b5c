//! A line diff of two texts, small enough to need no crate for it.
//!
//! The shortest edit script is searched for as Myers described it in "An O(ND) Difference Algorithm and Its Variations"
//! (1986), after the common beginning and end are set aside. The search is bounded: texts that differ too much are shown
//! as one block taken out and one put in, which is a correct diff, only not the shortest.

use serde::Serialize;

/// The longest edit script that is searched for, in lines. It bounds memory at about 4 MiB and time likewise.
const MAX_EDITS: usize = 1000;

/// What happens to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LineChange {
    /// It is in both texts.
    Same,
    /// It is only in the old text.
    Removed,
    /// It is only in the new text.
    Added,
}

impl LineChange {
    /// The mark that stands before the line: a space, `-` or `+`.
    pub const fn mark(self) -> char {
        match self {
            Self::Same => ' ',
            Self::Removed => '-',
            Self::Added => '+',
        }
    }
}

/// One line of a diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiffLine {
    /// What happens to it.
    pub change: LineChange,
    /// The line with its end, as it stands in the text.
    pub text: String,
}

/// Lines that changed, with some that did not around them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hunk {
    /// Number of its first line in the old text, from 1.
    pub old_start: usize,
    /// How many lines of the old text it covers.
    pub old_lines: usize,
    /// Number of its first line in the new text, from 1.
    pub new_start: usize,
    /// How many lines of the new text it covers.
    pub new_lines: usize,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

/// Every line of two texts and which of them it belongs to. Serialises as its [hunks](Self::hunks) with three lines around.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineDiff {
    lines: Vec<DiffLine>,
}

impl LineDiff {
    /// Compares two texts line by line. Line ends count: a line that only gained a carriage return differs.
    pub fn new(old: &str, new: &str) -> Self {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let new: Vec<&str> = new.split_inclusive('\n').collect();
        let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);

        let mut lines = Vec::with_capacity(old.len().max(new.len()));
        push(&mut lines, LineChange::Same, &old[..head]);
        match shortest_edit(&old[head..old_end], &new[head..new_end]) {
            Some(middle) => lines.extend(middle),
            None => {
                push(&mut lines, LineChange::Removed, &old[head..old_end]);
                push(&mut lines, LineChange::Added, &new[head..new_end]);
            }
        }
        push(&mut lines, LineChange::Same, &old[old_end..]);
        Self { lines }
    }

    /// Every line, in order; a replaced line stands as removed, then added.
    pub fn lines(&self) -> &[DiffLine] {
        &self.lines
    }

    /// Whether the texts are the same.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.change == LineChange::Same)
    }

    /// How many lines were added.
    pub fn added(&self) -> usize {
        self.count(LineChange::Added)
    }

    /// How many lines were removed.
    pub fn removed(&self) -> usize {
        self.count(LineChange::Removed)
    }

    fn count(&self, change: LineChange) -> usize {
        self.lines.iter().filter(|line| line.change == change).count()
    }

    /// The new text, from the old one. `None` when `old` is not the text this diff was made from.
    pub fn apply(&self, old: &str) -> Option<String> {
        let mut source = old.split_inclusive('\n');
        let mut new = String::with_capacity(old.len());
        for line in &self.lines {
            match line.change {
                LineChange::Same => {
                    if source.next()? != line.text {
                        return None;
                    }
                    new.push_str(&line.text);
                }
                LineChange::Removed => {
                    if source.next()? != line.text {
                        return None;
                    }
                }
                LineChange::Added => new.push_str(&line.text),
            }
        }
        source.next().is_none().then_some(new)
    }

    /// The changed lines in groups, each with up to `context` unchanged lines before and after it.
    pub fn hunks(&self, context: usize) -> Vec<Hunk> {
        let mut hunks = Vec::new();
        let changed: Vec<usize> = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.change != LineChange::Same)
            .map(|(at, _)| at)
            .collect();
        // How many lines of each text stand before the line at which the walk is.
        let (mut old_before, mut new_before, mut at) = (0, 0, 0);
        let mut next = 0;
        while let Some(&first) = changed.get(next) {
            let start = first.saturating_sub(context).max(at);
            let mut end = first + 1;
            while let Some(&more) = changed.get(next) {
                if more > end + 2 * context {
                    break;
                }
                end = more + 1;
                next += 1;
            }
            let end = (end + context).min(self.lines.len());
            for line in &self.lines[at..start] {
                old_before += usize::from(line.change != LineChange::Added);
                new_before += usize::from(line.change != LineChange::Removed);
            }
            let lines = self.lines[start..end].to_vec();
            let old_lines = lines.iter().filter(|line| line.change != LineChange::Added).count();
            let new_lines = lines.iter().filter(|line| line.change != LineChange::Removed).count();
            hunks.push(Hunk {
                old_start: old_before + 1,
                old_lines,
                new_start: new_before + 1,
                new_lines,
                lines,
            });
            old_before += old_lines;
            new_before += new_lines;
            at = end;
        }
        hunks
    }
}

impl Serialize for LineDiff {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.hunks(3).serialize(serializer)
    }
}

fn push(lines: &mut Vec<DiffLine>, change: LineChange, texts: &[&str]) {
    lines.extend(texts.iter().map(|text| DiffLine { change, text: (*text).to_owned() }));
}

/// The shortest way from `old` to `new`, or `None` when it is longer than [`MAX_EDITS`].
fn shortest_edit(old: &[&str], new: &[&str]) -> Option<Vec<DiffLine>> {
    let (n, m) = (old.len(), new.len());
    let limit = (n + m).min(MAX_EDITS);
    // `reach[k + offset]` is how far along `old` the best path on diagonal `k` has come; one copy is kept for each
    // number of edits, to walk back.
    let offset = limit + 1;
    let mut reach = vec![0_usize; 2 * offset + 1];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=limit {
        trace.push(reach[offset - edits..=offset + edits].to_vec());
        for step in 0..=edits {
            // The diagonal, shifted by `offset` so that it is never negative.
            let k = offset + 2 * step - edits;
            let mut x = if step == 0 || (step != edits && reach[k - 1] < reach[k + 1]) {
                reach[k + 1]
            } else {
                reach[k - 1] + 1
            };
            let mut y = x + offset - k;
            while x < n && y < m && old[x] == new[y] {
                x += 1;
                y += 1;
            }
            reach[k] = x;
            if x >= n && y >= m {
                return Some(walk_back(old, new, &trace, edits));
            }
        }
    }
    None
}

/// The edit script, from the furthest points kept for each number of edits.
fn walk_back(old: &[&str], new: &[&str], trace: &[Vec<usize>], edits: usize) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    let (mut x, mut y) = (old.len(), new.len());
    for d in (1..=edits).rev() {
        // Row `d` was kept before its own round, so it holds round `d - 1` with diagonal `k` at `k + d`.
        let row = &trace[d];
        let k = x as isize - y as isize;
        let at = |diagonal: isize| row.get((diagonal + d as isize) as usize).copied().unwrap_or(0);
        let down = k == -(d as isize) || (k != d as isize && at(k - 1) < at(k + 1));
        let previous = if down { k + 1 } else { k - 1 };
        let start_x = at(previous);
        let start_y = (start_x as isize - previous) as usize;
        let after_edit = if down { (start_x, start_y + 1) } else { (start_x + 1, start_y) };
        while (x, y) != after_edit {
            x -= 1;
            y -= 1;
            lines.push(DiffLine { change: LineChange::Same, text: old[x].to_owned() });
        }
        (x, y) = (start_x, start_y);
        lines.push(if down {
            DiffLine { change: LineChange::Added, text: new[y].to_owned() }
        } else {
            DiffLine { change: LineChange::Removed, text: old[x].to_owned() }
        });
    }
    while x > 0 {
        x -= 1;
        lines.push(DiffLine { change: LineChange::Same, text: old[x].to_owned() });
    }
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(diff: &LineDiff) -> String {
        diff.lines().iter().map(|line| format!("{}{}", line.change.mark(), line.text)).collect()
    }

    #[test]
    fn a_changed_line_is_removed_and_added() {
        let diff = LineDiff::new("a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(text(&diff), " a\n-b\n+B\n c\n");
        assert_eq!((diff.added(), diff.removed()), (1, 1));
        assert!(LineDiff::new("x\n", "x\n").is_empty());
        assert!(!LineDiff::new("x\n", "x\r\n").is_empty());
    }

    #[test]
    fn the_script_is_the_shortest() {
        let diff = LineDiff::new("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n");
        assert_eq!(diff.added() + diff.removed(), 5);
    }

    #[test]
    fn hunks_carry_line_numbers() {
        let old: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 3\n", "three\n").replace("line 25\n", "");
        let hunks = LineDiff::new(&old, &new).hunks(2);
        let places: Vec<_> =
            hunks.iter().map(|h| (h.old_start, h.old_lines, h.new_start, h.new_lines)).collect();
        assert_eq!(places, [(1, 5, 1, 5), (23, 5, 23, 4)]);
        assert_eq!(LineDiff::new(&old, &new).hunks(11).len(), 1);
    }

    #[test]
    fn texts_that_differ_wholly_are_bounded() {
        let old: String = (0..20_000).map(|n| format!("old {n}\n")).collect();
        let new: String = (0..20_000).map(|n| format!("new {n}\n")).collect();
        let diff = LineDiff::new(&old, &new);
        assert_eq!((diff.added(), diff.removed()), (20_000, 20_000));
        assert_eq!(diff.apply(&old).as_deref(), Some(new.as_str()));
    }

    #[test]
    fn a_diff_fits_only_its_own_text() {
        let diff = LineDiff::new("a\nb\n", "a\n");
        assert_eq!(diff.apply("a\nc\n"), None);
        assert_eq!(diff.apply("a\n"), None);
        assert_eq!(diff.apply("a\nb\nc\n"), None);
    }

    fn some_text() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a\n", "b\n", "c\n", "d\r\n", "\n", "e"]), 0..40)
            .prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn applying_gives_the_new_text(old in some_text(), new in some_text()) {
            let diff = LineDiff::new(&old, &new);
            prop_assert_eq!(diff.apply(&old), Some(new.clone()));
            prop_assert_eq!(diff.is_empty(), old == new);
            // The hunks hold every changed line exactly once.
            let in_hunks: usize = diff
                .hunks(3)
                .iter()
                .flat_map(|hunk| &hunk.lines)
                .filter(|line| line.change != LineChange::Same)
                .count();
            prop_assert_eq!(in_hunks, diff.added() + diff.removed());
        }
    }
}
