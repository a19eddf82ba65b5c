//! The configuration that a kernel was built with.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Release;
use crate::facts::HostSource;
use crate::{Fact, Unread};

/// The options that are looked at. The others of the ten thousand are not kept.
const WANTED: &[&str] = &[
    "CONFIG_CONTIG_ALLOC",
    "CONFIG_CRYPTO_DEV_CCP",
    "CONFIG_CRYPTO_DEV_CCP_DD",
    "CONFIG_CRYPTO_DEV_SP_PSP",
    "CONFIG_HIBERNATION",
    "CONFIG_INTEL_IOMMU",
    "CONFIG_INTEL_TDX_GUEST",
    "CONFIG_INTEL_TDX_HOST",
    "CONFIG_INTEL_TDX_MODULE_UPDATE",
    "CONFIG_IOMMUFD",
    "CONFIG_KVM",
    "CONFIG_KVM_AMD",
    "CONFIG_KVM_AMD_SEV",
    "CONFIG_KVM_INTEL",
    "CONFIG_KVM_INTEL_TDX",
    "CONFIG_SEV_GUEST",
    "CONFIG_TDX_GUEST_DRIVER",
    "CONFIG_TSM_REPORTS",
    "CONFIG_VFIO_PCI",
    "CONFIG_VHOST_VSOCK",
    "CONFIG_X86_MSR",
    "CONFIG_X86_SGX",
    "CONFIG_X86_SGX_KVM",
    "CONFIG_X86_X2APIC",
];

/// The configuration that a kernel was built with: the options that matter here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct KernelConfig {
    /// The file it was read from.
    pub path: String,
    options: BTreeMap<String, Setting>,
}

/// How an option is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// `=y`.
    BuiltIn,
    /// `=m`.
    Module,
    /// `# ... is not set`, or not mentioned because something it depends on is off.
    Off,
}

impl KernelConfig {
    /// Reads the text of a `.config` file. `None` where it has no option at all: then it is something else.
    pub fn parse(path: &str, text: &str) -> Option<Self> {
        let mut options = BTreeMap::new();
        let mut is_config = false;
        for line in text.lines() {
            let line = line.trim();
            let unset = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set"));
            let (name, setting) = match (unset, line.split_once('=')) {
                (Some(name), _) => (name, Setting::Off),
                (None, Some((name, "y"))) => (name, Setting::BuiltIn),
                (None, Some((name, "m"))) => (name, Setting::Module),
                _ => continue,
            };
            if !name.starts_with("CONFIG_") {
                continue;
            }
            is_config = true;
            if WANTED.contains(&name) {
                options.insert(name.to_owned(), setting);
            }
        }
        is_config.then(|| Self { path: path.to_owned(), options })
    }

    /// How an option is set. Only for the options that are kept, see [`KernelConfig::knows`].
    pub fn get(&self, name: &str) -> Setting {
        self.options.get(name).copied().unwrap_or(Setting::Off)
    }

    /// Is this option built in or a module?
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) != Setting::Off
    }

    /// Is this one of the options that are kept?
    pub fn knows(name: &str) -> bool {
        WANTED.contains(&name)
    }

    /// The line that says so, for evidence.
    pub fn line(&self, name: &str) -> String {
        match self.get(name) {
            Setting::BuiltIn => format!("{name}=y"),
            Setting::Module => format!("{name}=m"),
            Setting::Off => format!("# {name} is not set"),
        }
    }

    /// Looks for the configuration of a release where distributions keep it. `/proc/config.gz` is compressed and is
    /// not read.
    pub(super) fn collect(source: &dyn HostSource, release: &Fact<Release>) -> Fact<Self> {
        let release = match release {
            Fact::Known(release) if release.is_plain() => release,
            Fact::Known(release) => {
                return Fact::Unread(Unread::Failed(format!(
                    "`{}` is not the name of a release",
                    release.as_str().escape_default()
                )));
            }
            Fact::Absent => return Fact::Unread(Unread::Failed("the release is not known".into())),
            Fact::Unread(why) => return Fact::Unread(why.clone()),
        };
        let mut answer = Fact::Absent;
        for path in [
            format!("/boot/config-{release}"),
            format!("/lib/modules/{release}/config"),
            format!("/usr/lib/modules/{release}/config"),
        ] {
            match source.text(&path) {
                Ok(text) => match Self::parse(&path, &text) {
                    Some(config) => return Fact::Known(config),
                    None => {
                        answer = Fact::Unread(Unread::Failed(format!("{path} is not a configuration")));
                    }
                },
                Err(Unread::Absent) => {}
                Err(why) if answer.is_absent() => answer = Fact::Unread(why),
                Err(_) => {}
            }
        }
        if answer.is_absent() && source.exists("/proc/config.gz") == Ok(true) {
            return Fact::Unread(Unread::Failed(
                "/proc/config.gz is compressed and is not read; /boot/config-* is not there".into(),
            ));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    const TEXT: &str = "#\n# Automatically generated file\n#\nCONFIG_KVM_INTEL=m\nCONFIG_INTEL_TDX_HOST=y\n\
        # CONFIG_KVM_INTEL_TDX is not set\nCONFIG_LOCALVERSION=\"\"\nCONFIG_HZ=250\n";

    #[test]
    fn options_are_on_modules_or_off() {
        let config = KernelConfig::parse("/boot/config-x", TEXT).unwrap();
        assert_eq!(config.get("CONFIG_KVM_INTEL"), Setting::Module);
        assert!(config.is_on("CONFIG_INTEL_TDX_HOST"));
        assert!(!config.is_on("CONFIG_KVM_INTEL_TDX") && !config.is_on("CONFIG_X86_SGX"));
        assert_eq!(config.line("CONFIG_X86_SGX"), "# CONFIG_X86_SGX is not set");
        assert_eq!(KernelConfig::parse("x", "<html>"), None);
    }

    #[test]
    fn it_is_looked_for_where_distributions_keep_it() {
        let release = Fact::Known(Release::parse("6.17.4-300.fc43.x86_64"));
        let host = Readings::empty_host().file("/lib/modules/6.17.4-300.fc43.x86_64/config", TEXT);
        let config = KernelConfig::collect(&host, &release);
        assert_eq!(config.known().unwrap().path, "/lib/modules/6.17.4-300.fc43.x86_64/config");

        let host = Readings::empty_host();
        assert!(KernelConfig::collect(&host, &release).is_absent());
        let host = host.file("/proc/config.gz", [0x1f, 0x8b]);
        assert!(KernelConfig::collect(&host, &release).unread().is_some());
        let host = host.file_reading("/boot/config-6.17.4-300.fc43.x86_64", Err(Unread::NotPermitted));
        assert_eq!(KernelConfig::collect(&host, &release).unread(), Some(&Unread::NotPermitted));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = KernelConfig::parse("x", &text);
        }
    }
}
