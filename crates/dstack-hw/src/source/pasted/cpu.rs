//! `/proc/cpuinfo` and `lscpu` in a paste.

/// The keys of `/proc/cpuinfo` on x86 (Linux `arch/x86/kernel/cpu/proc.c`).
const CPUINFO_KEYS: [&str; 27] = [
    "processor",
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "microcode",
    "cpu MHz",
    "cache size",
    "physical id",
    "siblings",
    "core id",
    "cpu cores",
    "apicid",
    "initial apicid",
    "fpu",
    "fpu_exception",
    "cpuid level",
    "wp",
    "flags",
    "vmx flags",
    "bugs",
    "bogomips",
    "clflush size",
    "cache_alignment",
    "address sizes",
    "power management",
];

/// The keys of `lscpu` that have a counterpart there.
const LSCPU_KEYS: [(&str, &str); 7] = [
    ("Vendor ID", "vendor_id\t"),
    ("CPU family", "cpu family\t"),
    ("Model", "model\t\t"),
    ("Model name", "model name\t"),
    ("Stepping", "stepping\t"),
    ("Address sizes", "address sizes\t"),
    ("Flags", "flags\t\t"),
];

/// Lines on their way to a `/proc/cpuinfo`.
#[derive(Debug, Default)]
pub(super) struct CpuLines {
    cpuinfo: String,
    lscpu: String,
}

impl CpuLines {
    /// Adds a line if it is one of `/proc/cpuinfo` or `lscpu`, and says whether it was.
    pub(super) fn push(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.split_once(':') else { return false };
        // `grep -H` and `grep -n` put the name and the number in front; `grep` over several files does by itself.
        if CPUINFO_KEYS.contains(&key.trim_end()) && (key.ends_with('\t') || key.ends_with(' ')) {
            if key.trim_end() == "processor" && !self.cpuinfo.is_empty() {
                self.cpuinfo.push('\n');
            }
            self.cpuinfo.push_str(line);
            self.cpuinfo.push('\n');
            return true;
        }
        match LSCPU_KEYS.iter().find(|(name, _)| *name == key.trim_start()) {
            Some((_, name)) => {
                self.lscpu.push_str(&format!("{name}: {}\n", value.trim()));
                true
            }
            None => false,
        }
    }

    /// The text; what `/proc/cpuinfo` says comes first. `None` where there was no line of either.
    pub(super) fn into_cpuinfo(self) -> Option<String> {
        let text = if self.cpuinfo.is_empty() { self.lscpu } else { self.cpuinfo };
        (!text.is_empty()).then_some(text)
    }
}
