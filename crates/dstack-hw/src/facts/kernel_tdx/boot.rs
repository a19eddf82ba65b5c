//! What the kernel log says of TDX: the keys, the module, how bringing it up ended.

use serde::Serialize;

use super::ModuleIdentity;
use crate::facts::kernel_log::{KernelLog, Message};
use crate::knowledge::tdx_modules::{Cause, Speaker};

/// The most convertible memory ranges that are kept. The module reports 32 at most.
const MAX_RANGES: usize = 64;

/// The most lines that are kept of one failure.
const MAX_LINES: usize = 16;

/// What the kernel log says of TDX. Where the module was tried several times, the last outcome counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct TdxBoot {
    /// The private key ids that the firmware gave TDX.
    pub key_ids: Option<KeyIds>,
    /// The line that says so.
    pub key_ids_line: Option<String>,
    /// The TDX module, as far as this kernel prints it.
    pub module: Option<ModuleIdentity>,
    /// The line that says so.
    pub module_line: Option<String>,
    /// The memory that the module can protect, `CMR`.
    pub convertible: Vec<MemoryRange>,
    /// The memory that was taken for the module's bookkeeping (PAMT), in KiB: about a 256th of the host's.
    pub pamt_kib: Option<u64>,
    /// The line that says so.
    pub pamt_line: Option<String>,
    /// How the platform and the module ended.
    pub outcome: Outcome,
    /// What KVM found in the way after or before the module, where it said so.
    pub kvm: Option<Failure>,
    /// True where the kernel speaks of itself as a guest of TDX.
    pub guest: bool,
}

/// A range of key ids: `[32, 64)` is 32 keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyIds {
    /// The first one; it is the module's own.
    pub first: u32,
    /// The one after the last.
    pub end: u32,
}

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MemoryRange {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
}

/// How bringing TDX up ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is said of it.
    #[default]
    Silent,
    /// The module is initialised.
    Initialized {
        /// The line that says so.
        line: String,
    },
    /// It failed.
    Failed(Failure),
}

/// Why bringing TDX up failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong.
    pub cause: Cause,
    /// The kernel's error number, positive: 28 for `(-28)`.
    pub errno: Option<u32>,
    /// The call into the module that failed.
    pub seamcall: Option<Seamcall>,
    /// The lines that say so, the first of them first.
    pub lines: Vec<String>,
}

/// A call into the TDX module and how it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seamcall {
    /// The number of the function: `0x21` is `TDH.SYS.INIT`, `0x22` is `TDH.SYS.RD`.
    pub leaf: u64,
    /// The completion status, of which the upper half is the class and the name.
    pub status: u64,
}

impl KeyIds {
    /// How many they are, the module's own among them.
    pub const fn count(self) -> u32 {
        self.end.saturating_sub(self.first)
    }
}

impl MemoryRange {
    /// Its length in bytes.
    pub const fn bytes(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

impl std::fmt::Display for KeyIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}, {})", self.first, self.end)
    }
}

impl TdxBoot {
    /// Reads the messages that begin with `virt/tdx: `, `tdx: ` or `kvm_intel: `. Never fails.
    pub fn read(log: &KernelLog) -> Self {
        let mut boot = Self::default();
        // True after the line that ends a failed attempt: what fails after it is another attempt.
        let (mut module_closed, mut kvm_closed) = (false, false);
        for message in &log.messages {
            let text = message.text.as_str();
            if let Some(text) = text.strip_prefix("virt/tdx: ").or_else(|| text.strip_prefix("tdx: ")) {
                boot.tdx_message(text, message, &mut module_closed);
            } else if let Some(text) = text.strip_prefix("kvm_intel: ") {
                boot.kvm_message(text, message, &mut kvm_closed);
            }
        }
        boot
    }

    /// The failure, where bringing the platform or the module up failed.
    pub const fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The line that says that the module is initialised.
    pub fn initialized_line(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Initialized { line } => Some(line),
            _ => None,
        }
    }

    /// Does the log say anything of TDX on a host?
    pub fn is_silent(&self) -> bool {
        self.key_ids.is_none()
            && self.module.is_none()
            && self.kvm.is_none()
            && self.outcome == Outcome::Silent
    }

    fn tdx_message(&mut self, text: &str, message: &Message, closed: &mut bool) {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("guest detected") {
            self.guest = true;
        } else if let Some(range) = lower.strip_prefix("bios enabled: private keyid range ") {
            if let Some((first, end)) = pair(range) {
                self.key_ids = Some(KeyIds { first, end });
                self.key_ids_line = Some(message.line.clone());
            }
        } else if let Some(module) = ModuleIdentity::parse(text) {
            // Every attempt prints its ranges anew.
            self.convertible.clear();
            self.module = Some(module);
            self.module_line = Some(message.line.clone());
        } else if lower.starts_with("cmr") {
            if let Some(range) = hex_range(&lower)
                && self.convertible.len() < MAX_RANGES
                && !self.convertible.contains(&range)
            {
                self.convertible.push(range);
            }
        } else if lower.contains("allocated for pamt") {
            self.pamt_kib = lower.split(' ').next().and_then(|kib| kib.parse().ok());
            self.pamt_line = Some(message.line.clone());
        } else if is_success(&lower) {
            self.outcome = Outcome::Initialized { line: message.line.clone() };
            self.kvm = None;
        } else if let Some(failed) = Failure::of(Speaker::Tdx, &lower, message) {
            let earlier = match std::mem::take(&mut self.outcome) {
                Outcome::Failed(failure) => Some(failure),
                _ => None,
            };
            self.outcome = Outcome::Failed(Failure::after(earlier, failed, closed));
        }
    }

    fn kvm_message(&mut self, text: &str, message: &Message, closed: &mut bool) {
        let lower = text.to_ascii_lowercase();
        if let Some(failed) = Failure::of(Speaker::KvmIntel, &lower, message) {
            self.kvm = Some(Failure::after(self.kvm.take(), failed, closed));
        }
    }
}

impl Failure {
    fn of(speaker: Speaker, lower: &str, message: &Message) -> Option<Self> {
        let seamcall = seamcall(lower);
        let errno = errno(lower);
        let cause = Cause::of(speaker, lower, seamcall, errno)?;
        Some(Self { cause, errno, seamcall, lines: vec![message.line.clone()] })
    }

    /// The failure after one more line: the first line that names a cause counts, the others of the same attempt are kept.
    fn after(earlier: Option<Self>, new: Self, closed: &mut bool) -> Self {
        let follow_on = new.cause.is_follow_on();
        let failure = match earlier {
            Some(mut earlier) if !*closed || follow_on => {
                if earlier.cause.is_follow_on() && !follow_on {
                    earlier.cause = new.cause;
                }
                earlier.errno = earlier.errno.or(new.errno);
                // With the error number a message that names no cause may become one.
                earlier.cause = earlier.cause.with_errno(earlier.errno);
                earlier.seamcall = earlier.seamcall.or(new.seamcall);
                if earlier.lines.len() < MAX_LINES {
                    earlier.lines.extend(new.lines);
                }
                earlier
            }
            _ => new,
        };
        *closed = follow_on;
        failure
    }
}

fn is_success(lower: &str) -> bool {
    let text = lower.strip_prefix("tdx-").or_else(|| lower.strip_prefix("tdx ")).unwrap_or(lower);
    text.trim_end_matches('.') == "module initialized"
}

/// `[a, b)` in decimal.
fn pair(text: &str) -> Option<(u32, u32)> {
    let (first, rest) = text.strip_prefix('[')?.split_once(", ")?;
    let (end, _) = rest.split_once(')')?;
    let (first, end) = (first.parse().ok()?, end.parse().ok()?);
    (first <= end).then_some((first, end))
}

/// `[0x1000, 0x2000)` somewhere in a text.
fn hex_range(text: &str) -> Option<MemoryRange> {
    let (_, rest) = text.split_once("[0x")?;
    let (start, rest) = rest.split_once(", 0x")?;
    let (end, _) = rest.split_once(')')?;
    let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    (start <= end).then_some(MemoryRange { start, end })
}

/// `SEAMCALL (0x22) failed: 0xc000050500000000`.
fn seamcall(lower: &str) -> Option<Seamcall> {
    let (_, rest) = lower.split_once("seamcall (0x")?;
    let (leaf, rest) = rest.split_once(')')?;
    let (_, status) = rest.split_once("0x")?;
    let digits: String = status.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(Seamcall {
        leaf: u64::from_str_radix(leaf, 16).ok()?,
        status: u64::from_str_radix(&digits, 16).ok()?,
    })
}

/// The number in `(-28)` at the end.
fn errno(lower: &str) -> Option<u32> {
    let (_, rest) = lower.rsplit_once("(-")?;
    rest.split(')').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::{LogOrigin, RawKernelLog};

    fn boot(text: &str) -> TdxBoot {
        let raw = RawKernelLog { from: LogOrigin::Pasted, from_boot: None, text: text.to_owned() };
        TdxBoot::read(&KernelLog::parse(&raw))
    }

    fn cause(text: &str) -> Cause {
        boot(text).failure().unwrap().cause
    }

    #[test]
    fn a_host_that_is_up() {
        let boot = boot(
            "[   58.680744] virt/tdx: BIOS enabled: private KeyID range [32, 64)\n\
             [   58.680747] virt/tdx: Disable ACPI S3. Turn off TDX in the BIOS to use ACPI S3.\n\
             [  245.715035] virt/tdx: TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version 5, build_date 20240725, build_num 784\n\
             [  245.715041] virt/tdx: CMR: [0x100000, 0x77800000)\n\
             [  245.715044] virt/tdx: CMR: [0x100000000, 0x407a000000)\n\
             [  247.1] virt/tdx: 4202516 KB allocated for PAMT\n\
             [  247.2] virt/tdx: module initialized\n",
        );
        assert_eq!(boot.key_ids.unwrap().count(), 32);
        assert_eq!(boot.module.as_ref().unwrap().build_number, Some(784));
        assert_eq!(boot.convertible.len(), 2);
        assert_eq!(boot.convertible[0].bytes(), 0x7770_0000);
        assert_eq!(boot.pamt_kib, Some(4_202_516));
        assert_eq!(boot.initialized_line(), Some("[  247.2] virt/tdx: module initialized"));
        assert_eq!(boot.kvm, None);
    }

    #[test]
    fn a_module_that_is_too_old_for_the_kernel() {
        let boot = boot(
            "virt/tdx: BIOS enabled: private KeyID range [1, 128)\n\
             virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000\n\
             virt/tdx: RCX 0x0 RDX 0x9100000100000008 R08 0x0\n\
             virt/tdx: module initialization failed (-5)\n\
             kvm_intel: Failed to initialize TDX module.\n",
        );
        let failure = boot.failure().unwrap();
        assert_eq!(failure.cause, Cause::MetadataUnreadable);
        assert_eq!(failure.errno, Some(5));
        assert_eq!(failure.seamcall, Some(Seamcall { leaf: 0x22, status: 0xc000_0505_0000_0000 }));
        assert_eq!(failure.lines.len(), 2);
        assert_eq!(boot.kvm.unwrap().cause, Cause::AfterModuleFailure);
    }

    #[test]
    fn causes_of_all_kernels() {
        for (text, expected) in [
            ("virt/tdx: initialization failed: too few private KeyIDs available.", Cause::TooFewKeyIds),
            ("virt/tdx: initialization failed: Hibernation support is enabled", Cause::Hibernation),
            ("virt/tdx: module not loaded", Cause::ModuleNotLoaded),
            ("virt/tdx: SEAMCALL (0x0000000000000021) failed: 0xc000090000000000", Cause::SystemInitRefused),
            ("virt/tdx: SEAMCALL (0x0000000000000024) failed: 0x8000020100000000", Cause::SeamcallFailed),
            (
                "virt/tdx: initialization failed: TDMR [0x40000000, 0x80000000): reserved areas exhausted.\nvirt/tdx: module initialization failed (-28)",
                Cause::ReservedAreasExhausted,
            ),
            ("virt/tdx: frame pointer (RBP) clobber bug present, upgrade TDX module", Cause::FramePointerBug),
            ("virt/tdx: module initialization failed (-12)", Cause::NoMemoryForPamt),
            ("virt/tdx: module initialization failed (-5)", Cause::Other),
            (
                "tdx: [firmware bug]: TDX is not enabled by BIOS.\ntdx: initialization failed (-19)",
                Cause::NotEnabledByFirmware,
            ),
            (
                "tdx: BIOS enabled: private KeyID range [1, 64)\ntdx: not enabled by BIOS.",
                Cause::NotEnabledByFirmware,
            ),
            ("tdx: SEAMRR is not enabled by BIOS", Cause::NotEnabledByFirmware),
            ("tdx: Cannot enable TDX on TDX disabled platform", Cause::PlatformWithoutTdx),
        ] {
            assert_eq!(cause(text), expected, "{text}");
        }
    }

    #[test]
    fn what_kvm_finds_in_the_way_is_kept_apart() {
        let found = boot(
            "virt/tdx: module initialized\nkvm_intel: Disable TDX: MAX_VCPU_PER_TD (64) smaller than number of logical CPUs (256).",
        );
        assert!(found.initialized_line().is_some());
        assert_eq!(found.kvm.unwrap().cause, Cause::TooManyCpus);
        let found = boot("kvm_intel: tdx: tdx requires kvm.enable_virt_at_load=1\n");
        assert_eq!(found.kvm.unwrap().cause, Cause::VirtualizationNotAtLoad);
        assert_eq!(found.outcome, Outcome::Silent);
    }

    #[test]
    fn the_last_attempt_counts() {
        let found = boot(
            "virt/tdx: initialization failed: TDMR [0x0, 0x80000000): reserved areas exhausted.\n\
             virt/tdx: module initialization failed (-28)\nvirt/tdx: module initialized\n",
        );
        assert!(found.initialized_line().is_some());
        let found = boot(
            "virt/tdx: module initialized\nvirt/tdx: module not loaded\nvirt/tdx: module initialization failed (-19)\n\
             virt/tdx: frame pointer (RBP) clobber bug present, upgrade TDX module\nvirt/tdx: module initialization failed (-22)\n",
        );
        assert_eq!(found.failure().unwrap().cause, Cause::FramePointerBug);
        assert_eq!(found.failure().unwrap().errno, Some(22));
    }

    #[test]
    fn names_and_command_lines_are_not_messages() {
        let found = boot(
            "Command line: kvm_intel.tdx=1 tdx: module initialized\nHostname set to <virt/tdx: module initialized>.\n\
             audit: virt/tdx: module initialized\ntdx-1 kernel: x\ntdx: Guest detected\n",
        );
        assert!(found.is_silent() && found.guest);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in any::<String>(), prefix in "(virt/tdx: |tdx: |kvm_intel: )") {
            let _ = boot(&format!("{prefix}{text}"));
        }

        #[test]
        fn nor_do_damaged_messages(cut in 0usize..90, garbage in "[\\[\\]()0-9a-fx, -]{0,12}") {
            for line in [
                "virt/tdx: BIOS enabled: private KeyID range [32, 64)",
                "virt/tdx: SEAMCALL (0x0000000000000022) failed: 0xc000050500000000",
                "virt/tdx: CMR: [0x100000, 0x77800000)",
                "virt/tdx: TDX module 2.0.08.00, build number 882, build date 0134fed5",
                "virt/tdx: module initialization failed (-28)",
            ] {
                let _ = boot(&format!("{}{garbage}", line.get(..cut).unwrap_or(line)));
            }
        }

        #[test]
        fn key_ids_come_back(first in 1u32..4096, count in 0u32..4096) {
            let line = format!("virt/tdx: BIOS enabled: private KeyID range [{first}, {})", first + count);
            prop_assert_eq!(boot(&line).key_ids.unwrap().count(), count);
        }
    }
}
