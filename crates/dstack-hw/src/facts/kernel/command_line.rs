//! Kernel command lines, word by word.

use serde::Serialize;

/// The most words that are kept; a kernel's command line has 4 KiB at most (`COMMAND_LINE_SIZE` is 2048 on x86).
const MAX_WORDS: usize = 4096;

/// A kernel command line, word by word.
///
/// The kernel takes `-` and `_` in the names of parameters for the same character, and where a parameter stands there
/// more than once the last one counts (Linux, `Documentation/admin-guide/kernel-parameters.rst`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CommandLine {
    words: Vec<String>,
}

impl CommandLine {
    /// Splits a command line at blanks. Double quotes keep blanks together, as in the kernel. What follows `--` is for
    /// init and is left out.
    pub fn parse(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut quoted = false;
        // A blank at the end finishes the last word.
        for character in text.chars().chain(std::iter::once(' ')) {
            match character {
                '"' => quoted = !quoted,
                blank if blank.is_whitespace() && !quoted => {
                    if word == "--" || words.len() >= MAX_WORDS {
                        return Self { words };
                    }
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                other => word.push(other),
            }
        }
        // A quote that is never closed takes the rest of the line.
        let rest = word.trim_end();
        if !rest.is_empty() {
            words.push(rest.to_owned());
        }
        Self { words }
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Is this word there, alone or with a value?
    pub fn has(&self, name: &str) -> bool {
        self.last(name).is_some()
    }

    /// The value of the last `name=value`: the last one counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().rev().find_map(|word| {
            let (key, value) = word.split_once('=')?;
            same_name(key, name).then_some(value)
        })
    }

    /// The last word with this name, as it stands there: `nohibernate`, `kvm_intel.tdx=1`.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.words
            .iter()
            .rev()
            .find(|word| same_name(word.split('=').next().unwrap_or_default(), name))
            .map(String::as_str)
    }

    /// The last setting of a parameter that is on or off, as the kernel understands it (`kstrtobool`). `None` where it
    /// is not set or the value is neither.
    pub fn switch(&self, name: &str) -> Option<bool> {
        let word = self.last(name)?;
        match word.split_once('=') {
            // A switch without a value is on.
            None => Some(true),
            Some((_, value)) => switch_value(value),
        }
    }
}

/// `kstrtobool` of the kernel: `1`, `y`, `t`, `on` and `0`, `n`, `f`, `off`, in any case, told by the first letters.
pub fn switch_value(text: &str) -> Option<bool> {
    let mut letters = text.trim().chars().map(|letter| letter.to_ascii_lowercase());
    match letters.next()? {
        '1' | 'y' | 't' => Some(true),
        '0' | 'n' | 'f' => Some(false),
        'o' => match letters.next()? {
            'n' => Some(true),
            'f' => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Names of parameters are equal where they differ in dashes and underscores only.
fn same_name(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_one_counts_and_dashes_are_underscores() {
        let line = CommandLine::parse(
            "BOOT_IMAGE=/vmlinuz root=UUID=x ro kvm-intel.tdx=0 nohibernate kvm_intel.tdx=on\n",
        );
        assert_eq!(line.switch("kvm_intel.tdx"), Some(true));
        assert_eq!(line.last("kvm_intel.tdx"), Some("kvm_intel.tdx=on"));
        assert_eq!(line.value("root"), Some("UUID=x"));
        assert!(line.has("nohibernate") && !line.has("hibernate") && !line.has("no"));
        assert_eq!(line.switch("nohibernate"), Some(true));
        assert_eq!(line.switch("ept"), None);
    }

    #[test]
    fn quotes_keep_blanks_and_init_has_its_own_words() {
        let line = CommandLine::parse("dyndbg=\"file tdx.c +p\" quiet -- nohibernate");
        assert_eq!(line.words(), ["dyndbg=file tdx.c +p", "quiet"]);
        assert_eq!(CommandLine::parse("a \"b c ").words(), ["a", "b c"]);
    }

    #[test]
    fn switches_are_read_as_the_kernel_reads_them() {
        for (text, expected) in [
            ("1", Some(true)),
            ("Y", Some(true)),
            ("true", Some(true)),
            ("On", Some(true)),
            ("0", Some(false)),
            ("off", Some(false)),
            ("No", Some(false)),
            ("o", None),
            ("", None),
            ("2", None),
        ] {
            assert_eq!(switch_value(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn plain_words_come_back(words in prop::collection::vec("[a-z0-9_.=/]{1,12}", 0..20)) {
            let line = CommandLine::parse(&words.join("  "));
            prop_assert_eq!(line.words(), words.as_slice());
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>(), name in any::<String>()) {
            let line = CommandLine::parse(&text);
            let _ = (line.has(&name), line.value(&name), line.switch(&name));
        }
    }
}
