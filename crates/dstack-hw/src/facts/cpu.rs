//! What the CPU is and what it says it can do: CPUID and `/proc/cpuinfo`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::HostSource;
use crate::Fact;

/// What the CPU is and what it says it can do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Cpu {
    /// What the kernel says of the first logical CPU.
    pub info: Fact<CpuInfo>,
}

/// The first entry of `/proc/cpuinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CpuInfo {
    /// `model name`, as printed.
    pub model_name: String,
    /// The words of the line `flags`.
    pub flags: BTreeSet<String>,
    /// The words of the line `bugs`: errata. They are not features.
    pub bugs: BTreeSet<String>,
}

impl Cpu {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        Self { info: Fact::from(source.text("/proc/cpuinfo")).map(|text| CpuInfo::parse(&text)) }
    }

    /// Is this word on the line `flags` of `/proc/cpuinfo`?
    pub fn flag(&self, word: &str) -> Fact<bool> {
        self.info.as_ref().map(|info| info.flags.contains(word))
    }
}

impl CpuInfo {
    /// Reads the first entry. Never fails; what is not there stays empty.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let words = |value: &str| value.split_whitespace().map(str::to_owned).collect();
        for line in text.lines().take_while(|line| !line.trim().is_empty()) {
            let Some((key, value)) = line.split_once(':') else { continue };
            match key.trim() {
                "model name" => value.trim().clone_into(&mut info.model_name),
                "flags" => info.flags = words(value),
                "bugs" => info.bugs = words(value),
                _ => {}
            }
        }
        info
    }
}
