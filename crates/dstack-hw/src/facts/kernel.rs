//! The running kernel: version, configuration, command line, modules.

use serde::Serialize;

use super::HostSource;
use crate::Fact;

/// The running kernel.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Kernel {
    /// `/proc/sys/kernel/osrelease`, such as `6.8.0-1028-intel`.
    pub release: Fact<String>,
    /// The command line it was started with.
    pub command_line: Fact<CommandLine>,
}

/// A kernel command line, word by word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CommandLine {
    words: Vec<String>,
}

impl CommandLine {
    /// Splits a command line at blanks. Double quotes keep blanks together, as in the kernel.
    pub fn parse(text: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut quoted = false;
        for character in text.chars() {
            match character {
                '"' => quoted = !quoted,
                blank if blank.is_whitespace() && !quoted => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                other => word.push(other),
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
        Self { words }
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Is this word there, alone or with a value?
    pub fn has(&self, name: &str) -> bool {
        self.words.iter().any(|word| word.split('=').next() == Some(name))
    }

    /// The value of the last `name=value`: the last one counts.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words.iter().rev().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

impl Kernel {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        Self {
            release: Fact::from(source.text("/proc/sys/kernel/osrelease")).map(|text| text.trim().to_owned()),
            command_line: Fact::from(source.text("/proc/cmdline")).map(|text| CommandLine::parse(&text)),
        }
    }
}
