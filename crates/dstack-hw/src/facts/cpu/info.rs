//! `/proc/cpuinfo` as values.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Signature;
use crate::{Fact, Unread};

/// The most logical CPUs that are looked at: the largest `NR_CPUS` of x86 kernels.
const MAX_CPUS: usize = 8192;

/// The first entry of `/proc/cpuinfo`, and how all entries lie in packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CpuInfo {
    /// `vendor_id`, such as `GenuineIntel`.
    pub vendor_id: Option<String>,
    /// `cpu family`, in decimal there.
    pub family: Option<u32>,
    /// `model`, in decimal there.
    pub model: Option<u32>,
    /// `stepping`, in decimal there.
    pub stepping: Option<u32>,
    /// `model name`, as printed.
    pub model_name: String,
    /// Physical address bits as the kernel counts them: bits that memory encryption uses for key ids are subtracted, so
    /// this is not what CPUID says.
    pub physical_address_bits: Option<u32>,
    /// The words of the line `flags`: CPUID's features as the kernel lets them stand, and some of the kernel's own.
    pub flags: BTreeSet<String>,
    /// The words of the line `bugs`: errata. They are not features.
    pub bugs: BTreeSet<String>,
    /// Was there a line `flags`?
    pub has_flags: bool,
    /// Does the line `flags` have an ellipsis, so that words are missing from it?
    pub flags_cut: bool,
    /// The packages in the order of their first logical CPU. Empty where no entry names its package.
    pub packages: Vec<CpuPackage>,
}

/// A physical package: a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct CpuPackage {
    /// `physical id`.
    pub id: u32,
    /// `processor` of its first entry.
    pub first_cpu: u32,
    /// Logical CPUs that are online.
    pub cpus: u32,
    /// `microcode` of its CPUs; more than one where they differ.
    pub microcode: BTreeSet<u64>,
}

/// What one entry says of its place.
#[derive(Default)]
struct Place {
    processor: Option<u32>,
    package: Option<u32>,
    microcode: Option<u64>,
}

impl CpuInfo {
    /// Reads the text of `/proc/cpuinfo`. Never fails; what is not there stays empty, and entries beyond 8192 are not
    /// looked at.
    pub fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let mut packages = BTreeMap::new();
        for (index, entry) in entries(text).take(MAX_CPUS).enumerate() {
            let mut place = Place::default();
            for (key, value) in entry {
                match key {
                    "processor" => place.processor = value.parse().ok(),
                    "physical id" => place.package = value.parse().ok(),
                    "microcode" => place.microcode = number(value),
                    _ if index == 0 => info.take(key, value),
                    _ => {}
                }
            }
            place.enter(&mut packages);
        }
        info.packages = packages.into_values().collect();
        info.packages.sort_by_key(|package: &CpuPackage| package.first_cpu);
        info
    }

    fn take(&mut self, key: &str, value: &str) {
        let words = || value.split_whitespace().map(str::to_owned).collect();
        match key {
            "vendor_id" => self.vendor_id = Some(value.to_owned()),
            "cpu family" => self.family = value.parse().ok(),
            "model" => self.model = value.parse().ok(),
            "stepping" => self.stepping = value.parse().ok(),
            "model name" => value.clone_into(&mut self.model_name),
            "address sizes" => {
                self.physical_address_bits =
                    value.split_once(" bits physical").and_then(|(n, _)| n.parse().ok());
            }
            "flags" => {
                self.flags = words();
                self.has_flags = true;
                self.flags_cut = value.contains('…') || value.contains("...");
            }
            "bugs" => self.bugs = words(),
            _ => {}
        }
    }

    /// Is this word on the line `flags`? Not known where there is no such line, or where the line was cut short and
    /// does not show the word.
    pub fn flag(&self, word: &str) -> Fact<bool> {
        if self.flags.contains(word) {
            Fact::Known(true)
        } else if !self.has_flags {
            Fact::Unread(Unread::Failed("/proc/cpuinfo has no line `flags`".to_owned()))
        } else if self.flags_cut {
            Fact::Unread(Unread::NotRecorded)
        } else {
            Fact::Known(false)
        }
    }

    /// Family, model and stepping, where all three are there.
    pub fn signature(&self) -> Option<Signature> {
        Some(Signature { family: self.family?, model: self.model?, stepping: self.stepping? })
    }
}

impl Place {
    fn enter(self, packages: &mut BTreeMap<u32, CpuPackage>) {
        let (Some(cpu), Some(id)) = (self.processor, self.package) else { return };
        let package = packages.entry(id).or_insert_with(|| CpuPackage {
            id,
            first_cpu: cpu,
            cpus: 0,
            microcode: BTreeSet::new(),
        });
        package.first_cpu = package.first_cpu.min(cpu);
        package.cpus += 1;
        package.microcode.extend(self.microcode);
    }
}

/// The entries, each a list of keys and values. Blank lines part them.
fn entries(text: &str) -> impl Iterator<Item = Vec<(&str, &str)>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        lines.peek()?;
        let mut entry = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.trim().is_empty()) {
            if let Some((key, value)) = line.split_once(':') {
                entry.push((key.trim(), value.trim()));
            }
        }
        Some(entry)
    })
}

/// A number with `0x` in hex, without it in decimal, as the kernel prints it.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
