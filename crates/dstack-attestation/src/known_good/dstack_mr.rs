//! Having measurements computed by upstream's program `dstack-mr`.
//!
//! The program reads an OS image directory, is told the VM's shape, and prints MRTD and RTMR0 to RTMR2. It is not on
//! any package registry; whoever runs it trusts it, its build, and the image. This module runs nothing: it says with
//! which arguments to run the program, and reads what it printed.

use std::ffi::OsString;
use std::path::Path;

use dstack_check::{Hint, Hinted};

use super::{KnownGood, KnownGoodError};
use crate::VmConfig;

/// The program's name.
pub const PROGRAM: &str = "dstack-mr";

/// How to run the program for a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invocation {
    /// The arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// What the VM's configuration says and no option of the program does. The result may not be that of this VM.
    pub unsaid: Vec<String>,
}

/// Why the program gave no measurements.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DstackMrError {
    /// The program is not there.
    #[error("there is no program {PROGRAM}")]
    NotInstalled,
    /// It could not be run.
    #[error("{PROGRAM} could not be run: {0}")]
    Run(std::io::Error),
    /// It ended with an error.
    #[error("{PROGRAM} failed with {status}: {message}")]
    Failed {
        /// How it ended.
        status: String,
        /// What it said.
        message: String,
    },
    /// It did not end in time.
    #[error("{PROGRAM} did not end within {seconds} s")]
    TimedOut {
        /// How long it was given, in seconds.
        seconds: u64,
    },
    /// What it printed is not what it should be.
    #[error("what {PROGRAM} printed: {0}")]
    Output(#[from] KnownGoodError),
    /// The VM's configuration does not say enough.
    #[error("vm_config does not say {0}")]
    Shape(&'static str),
}

impl Hinted for DstackMrError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::NotInstalled => Some(Hint::from(
                "build `dstack-mr` from the dstack repository (`cargo build --release -p dstack-mr-cli`) and put it on \
                 the PATH, or give measurements that somebody you trust computed, as a JSON file",
            )),
            Self::Output(error) => error.hint(),
            Self::Shape(_) => Some(Hint::from(
                "take vm_config from the guest agent's `Info` or `GetQuote`, or state the shape yourself",
            )),
            _ => None,
        }
    }
}

/// The arguments for `dstack-mr measure`: the shape of the VM and the image's `metadata.json`.
///
/// Options that only newer versions of the program know are given only where the VM needs them. Source: the options of
/// upstream's `dstack-mr` of dstack 0.5 and of branch next.
///
/// # Errors
///
/// [`DstackMrError::Shape`] when the number of vCPUs or the memory is not known: the program would assume some.
pub fn arguments(config: &VmConfig, metadata: &Path) -> Result<Invocation, DstackMrError> {
    let cpus = config.cpu_count.ok_or(DstackMrError::Shape("how many vCPUs the VM has (cpu_count)"))?;
    let memory =
        config.memory_size.ok_or(DstackMrError::Shape("how much memory the VM has (memory_size)"))?;
    let mut options = vec![
        ("--cpu", Some(cpus.to_string())),
        ("--memory", Some(memory.to_string())),
        // The program's default changed between versions, so that it is always said.
        ("--hotplug-off", Some(config.hotplug_off.unwrap_or(false).to_string())),
    ];
    let some = |value: Option<bool>| value.map(|value| value.to_string());
    let above =
        |value: Option<u32>, usual: u32| value.filter(|value| *value != usual).map(|value| value.to_string());
    let valued = [
        ("--two-pass-add-pages", some(config.qemu_single_pass_add_pages)),
        ("--pic", some(config.pic)),
        ("--pci-hole64-size", config.pci_hole64_size.filter(|size| *size > 0).map(|size| size.to_string())),
        ("--num-gpus", above(config.num_gpus, 0)),
        ("--num-nvswitches", above(config.num_nvswitches, 0)),
        ("--num-nics", above(config.num_nics, 1)),
        ("--num-verity-volumes", above(config.num_verity_volumes, 0)),
        ("--qemu-version", config.qemu_version.clone().filter(|version| plain(version))),
    ];
    options.extend(valued.into_iter().filter(|(_, value)| value.is_some()));
    let flags = [("--hugepages", config.hugepages), ("--swtpm", config.swtpm)];
    options.extend(flags.into_iter().filter(|(_, on)| *on == Some(true)).map(|(flag, _)| (flag, None)));
    let mut arguments: Vec<OsString> = vec!["measure".into(), "--json".into()];
    for (option, value) in options {
        // `--option=value` keeps a value that begins with a hyphen from being taken for an option.
        arguments.push(value.map_or_else(|| option.into(), |value| format!("{option}={value}").into()));
    }
    arguments.extend(["--".into(), metadata.as_os_str().to_owned()]);
    Ok(Invocation { arguments, unsaid: unsaid(config) })
}

/// Whether a version text is one, and not something for a terminal or a shell.
fn plain(version: &str) -> bool {
    !version.is_empty()
        && version.len() <= 32
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

fn unsaid(config: &VmConfig) -> Vec<String> {
    let mut unsaid = Vec::new();
    if let Some(mode) = config.host_share_mode.as_deref().filter(|mode| !mode.is_empty() && *mode != "9p") {
        unsaid.push(format!("host_share_mode {mode:?}"));
    }
    if let Some(version) = config.qemu_version.as_deref().filter(|version| !plain(version)) {
        unsaid.push(format!("qemu_version {version:?}"));
    }
    unsaid.extend(
        config
            .ovmf_variant
            .as_ref()
            .map(|variant| format!("ovmf_variant {variant:?}, unless metadata.json has it")),
    );
    unsaid
}

/// Reads what the program printed with `--json`: the values of one VM.
///
/// # Errors
///
/// [`DstackMrError::Output`]; a register that is missing is an error here, since the program prints all four.
pub fn parse(output: &str, name: &str) -> Result<KnownGood, DstackMrError> {
    let mut known = super::parse(output, name, PROGRAM)?;
    match (known.pop(), known.is_empty()) {
        (Some(known), true) if known.unknown_registers().is_empty() => Ok(known),
        _ => Err(DstackMrError::Output(KnownGoodError::NoRegister)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(config: &str) -> String {
        let invocation =
            arguments(&VmConfig::parse(config).unwrap(), Path::new("/images/dstack/metadata.json")).unwrap();
        let words: Vec<_> = invocation.arguments.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn a_plain_vm() {
        assert_eq!(
            line(r#"{"cpu_count":2,"memory_size":4294967296}"#),
            "measure --json --cpu=2 --memory=4294967296 --hotplug-off=false -- /images/dstack/metadata.json"
        );
    }

    #[test]
    fn every_option() {
        let config = r#"{"cpu_count":8,"memory_size":1,"hotplug_off":true,"qemu_single_pass_add_pages":true,"pic":false,
            "pci_hole64_size":1024,"num_gpus":1,"num_nvswitches":2,"num_nics":3,"num_verity_volumes":4,
            "qemu_version":"9.2.1","hugepages":true,"swtpm":true}"#;
        assert_eq!(
            line(config),
            "measure --json --cpu=8 --memory=1 --hotplug-off=true --two-pass-add-pages=true --pic=false \
             --pci-hole64-size=1024 --num-gpus=1 --num-nvswitches=2 --num-nics=3 --num-verity-volumes=4 \
             --qemu-version=9.2.1 --hugepages --swtpm -- /images/dstack/metadata.json"
        );
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        let config = VmConfig::parse(
            r#"{"cpu_count":1,"memory_size":1,"host_share_mode":"vhd","qemu_version":"$(id)","ovmf_variant":"x"}"#,
        );
        let invocation = arguments(&config.unwrap(), Path::new("m")).unwrap();
        assert_eq!(invocation.unsaid.len(), 3, "{:?}", invocation.unsaid);
        assert!(!invocation.arguments.iter().any(|word| word.to_string_lossy().contains("id")));
        let error = arguments(&VmConfig::default(), Path::new("m")).unwrap_err();
        assert_eq!(error.to_string(), "vm_config does not say how many vCPUs the VM has (cpu_count)");
    }

    #[test]
    fn all_four_registers_are_needed() {
        let all = format!(r#"{{"mrtd":"{0}","rtmr0":"{0}","rtmr1":"{0}","rtmr2":"{0}"}}"#, "11".repeat(48));
        assert_eq!(parse(&all, "vm").unwrap().source, PROGRAM);
        let three = all.replace("rtmr2", "rtmr9");
        assert!(matches!(parse(&three, "vm"), Err(DstackMrError::Output(KnownGoodError::NoRegister))));
        assert!(parse(&format!("[{all},{all}]"), "vm").is_err());
        assert!(DstackMrError::NotInstalled.hint().is_some());
    }
}
