//! The text of a kernel log with a bound.

use std::collections::VecDeque;

use super::MAX_LOG;

/// Of a log that is too long, this much of its beginning is kept, in bytes; the rest of [`MAX_LOG`] is its end. What
/// firmware and CPUs are found to be is said at the beginning.
const MAX_BEGINNING: usize = MAX_LOG / 4 * 3;

/// Lines with a bound: the beginning and the end are kept, and a line says what was left out between.
#[derive(Debug, Default)]
pub(crate) struct LogText {
    beginning: String,
    end: VecDeque<String>,
    end_length: usize,
    left_out: usize,
}

impl LogText {
    /// Adds a line; the end of the line is added to it.
    pub(crate) fn push(&mut self, line: &str) {
        if self.end.is_empty() && self.left_out == 0 && self.beginning.len() + line.len() < MAX_BEGINNING {
            self.beginning.push_str(line);
            self.beginning.push('\n');
            return;
        }
        self.end_length += line.len() + 1;
        self.end.push_back(line.to_owned());
        while self.end_length > MAX_LOG - MAX_BEGINNING
            && let Some(oldest) = self.end.pop_front()
        {
            self.end_length -= oldest.len() + 1;
            self.left_out += 1;
        }
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        let mut text = self.beginning;
        if self.left_out > 0 {
            text.push_str(&format!("({} lines left out)\n", self.left_out));
        }
        for line in self.end {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_that_is_too_long_the_beginning_and_the_end_are_kept() {
        let mut log = LogText::default();
        let filler = "x".repeat(1023);
        log.push("first");
        for _ in 0..MAX_LOG / 1024 * 2 {
            log.push(&filler);
        }
        log.push("last");
        let text = log.finish();
        assert!(text.len() <= MAX_LOG + 64);
        assert!(
            text.starts_with("first\n") && text.ends_with("\nlast\n") && text.contains(" lines left out)\n")
        );
    }

    #[test]
    fn a_single_line_beyond_the_bound_is_left_out() {
        let mut log = LogText::default();
        log.push(&"x".repeat(MAX_LOG));
        assert_eq!(log.finish(), "(1 lines left out)\n");
    }
}
