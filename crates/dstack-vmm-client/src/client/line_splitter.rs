//! From chunks of bytes to lines.

use std::io::BufRead;

/// What is put in place of the rest of a line that is too long.
const CUT_MARK: &str = "…[cut]";

/// Splits a stream of bytes into lines, with a bound on what it holds.
///
/// Lines end with a line feed; carriage returns before it are dropped, since serial consoles send `\r\n` and `\r\r\n`.
/// A line longer than the limit is given up to the limit, and the rest until its end is dropped. Where the chunks are
/// cut does not matter.
///
/// ```
/// use dstack_vmm_client::client::LineSplitter;
///
/// let mut splitter = LineSplitter::new(1024);
/// let mut lines = Vec::new();
/// splitter.push(b"one\r\ntw", |line| lines.push(line.text()));
/// splitter.push(b"o\nthree", |line| lines.push(line.text()));
/// splitter.finish(|line| lines.push(line.text()));
/// assert_eq!(lines, ["one", "two", "three"]);
/// ```
#[derive(Clone, Debug)]
pub struct LineSplitter {
    limit: usize,
    /// The beginning of a line whose end has not come, at most `limit` bytes.
    partial: Vec<u8>,
    /// Whether bytes of that line were dropped.
    cut: bool,
    /// Whether that line has any byte, also a dropped one.
    open: bool,
}

/// One line, borrowed from the splitter or its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine<'a> {
    /// The bytes without the line's end, at most as many as the limit.
    pub bytes: &'a [u8],
    /// Whether the line was longer.
    pub cut: bool,
}

impl LogLine<'_> {
    /// As text: bytes that are not UTF-8 become replacement characters, and a cut line ends in a mark.
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(self.bytes).into_owned();
        if self.cut {
            // The cut may have gone through a character; its half is no part of the log.
            if text.ends_with('\u{fffd}') && !self.bytes.ends_with("\u{fffd}".as_bytes()) {
                text.pop();
            }
            text.push_str(CUT_MARK);
        }
        text
    }
}

impl LineSplitter {
    /// A splitter that holds at most `limit` bytes of a line.
    pub fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), cut: false, open: false }
    }

    /// Takes the next bytes and gives each line that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(LogLine<'_>)) {
        while let Some(line) = next_line(&mut bytes) {
            if self.open {
                self.hold(line);
                self.give(&mut each);
            } else {
                let whole = without_returns(line);
                each(LogLine { bytes: &whole[..whole.len().min(self.limit)], cut: whole.len() > self.limit });
            }
        }
        if !bytes.is_empty() {
            self.hold(bytes);
        }
    }

    /// Gives what is left as a last line, if there is anything, and is then empty.
    pub fn finish(&mut self, mut each: impl FnMut(LogLine<'_>)) {
        if self.open {
            self.give(&mut each);
        }
    }

    /// Drops the beginning of a line whose end will not come.
    pub fn discard_partial(&mut self) {
        self.partial.clear();
        self.cut = false;
        self.open = false;
    }

    /// The bytes of the line whose end has not come yet.
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.open = true;
        // One byte more than the limit is kept for each carriage return that may turn out to end the line.
        let room = (self.limit + RETURNS).saturating_sub(self.partial.len());
        let kept = bytes.len().min(room);
        self.partial.extend_from_slice(&bytes[..kept]);
        self.cut |= kept < bytes.len();
    }

    fn give(&mut self, each: &mut impl FnMut(LogLine<'_>)) {
        let whole = if self.cut { &self.partial[..] } else { without_returns(&self.partial) };
        let cut = self.cut || whole.len() > self.limit;
        each(LogLine { bytes: &whole[..whole.len().min(self.limit)], cut });
        self.partial.clear();
        // One huge line must not keep its memory for the rest of the log.
        self.partial.shrink_to(64 * 1024);
        self.cut = false;
        self.open = false;
    }
}

/// Takes the next whole line off the front. The standard library's search behind `skip_until` looks at many bytes at once.
fn next_line<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = *bytes;
    // A slice as a reader never fails.
    let length = rest.skip_until(b'\n').unwrap_or(0);
    let line = bytes[..length].strip_suffix(b"\n")?;
    *bytes = rest;
    Some(line)
}

/// How many carriage returns before a line feed are dropped.
const RETURNS: usize = 2;

fn without_returns(line: &[u8]) -> &[u8] {
    let mut line = line;
    for _ in 0..RETURNS {
        line = line.strip_suffix(b"\r").unwrap_or(line);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(limit: usize, chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::new(limit);
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(line.text()));
            assert!(splitter.partial().len() <= limit + RETURNS);
        }
        splitter.finish(|line| lines.push(line.text()));
        splitter.finish(|_| panic!("nothing is left"));
        lines
    }

    #[test]
    fn ends_of_lines() {
        assert_eq!(split(9, &[b"a\nb\r\nc\r\r\n\n\r\nd"]), ["a", "b", "c", "", "", "d"]);
        assert_eq!(split(9, &[b"a\r", b"\nb"]), ["a", "b"]);
        assert_eq!(split(9, &[b"a\rb\n"]), ["a\rb"]);
        assert_eq!(split(9, &[b""]), Vec::<String>::new());
        assert_eq!(split(9, &[b"", b"\n"]), [""]);
    }

    #[test]
    fn long_lines_are_cut_and_marked() {
        assert_eq!(split(3, &[b"abcd\nabc\n"]), ["abc…[cut]", "abc"]);
        assert_eq!(split(3, &[b"ab", b"c", b"\r\nx"]), ["abc", "x"]);
        assert_eq!(split(3, &[b"abc", b"defgh", b"ij\nk"]), ["abc…[cut]", "k"]);
        assert_eq!(split(2, &["aä\n".as_bytes()]), ["a…[cut]"]);
        assert_eq!(split(2, &[b"abcdef"]), ["ab…[cut]"]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        assert_eq!(split(9, &[b"a\xffb\n"]), ["a\u{fffd}b"]);
        assert_eq!(split(9, &[b"\xe2\x82", b"\xac\n"]), ["€"]);
    }

    #[test]
    fn a_partial_line_can_be_dropped() {
        let mut splitter = LineSplitter::new(9);
        splitter.push(b"half", |_| panic!("no line"));
        splitter.discard_partial();
        let mut lines = Vec::new();
        splitter.push(b"whole\n", |line| lines.push(line.text()));
        assert_eq!(lines, ["whole"]);
    }

    proptest! {
        #[test]
        fn where_chunks_are_cut_does_not_matter(
            bytes in proptest::collection::vec(prop_oneof![4 => Just(b'a'), 2 => Just(b'\n'), 2 => Just(b'\r'), 1 => any::<u8>()], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..8),
            limit in 1usize..12,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(split(limit, &chunks), split(limit, &[&bytes]));
        }

        #[test]
        fn short_lines_come_back(lines in proptest::collection::vec("[^\r\n]{0,20}", 0..20)) {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(split(1000, &[text.as_bytes()]), lines);
        }
    }
}
