//! Which TDX module it is: version, build, date, in the forms that kernels print.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::knowledge::tdx_modules;

/// The version of a TDX module: `1.5.24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleVersion {
    /// 1 up to Sierra Forest, 2 from Granite Rapids on.
    pub major: u32,
    /// The line: 5 in `1.5`.
    pub minor: u32,
    /// The release in the line, where it is known. Printed with two digits.
    pub update: Option<u32>,
}

/// Which TDX module it is. What a kernel does not print is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct ModuleIdentity {
    /// The version as printed. Where it has no update number, see [`ModuleIdentity::release`].
    pub version: Option<ModuleVersion>,
    /// The build number, which names a release.
    pub build_number: Option<u32>,
    /// The build date as `YYYYMMDD`. It differs between the signed variants of one build.
    pub build_date: Option<u32>,
    /// The attributes: bit 31 set is a debug module.
    pub attributes: Option<u32>,
    /// `0x8086` for Intel.
    pub vendor: Option<u32>,
}

impl ModuleVersion {
    /// Reads `1.5`, `1.5.24` or `2.0.08.00`: the fourth number is left out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| {
            let digits =
                !part.is_empty() && part.len() <= 5 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u32>().ok()).flatten()
        });
        let (major, minor) = (numbers.next()??, numbers.next()??);
        let update = match numbers.next() {
            Some(update) => Some(update?),
            None => None,
        };
        Some(Self { major, minor, update })
    }
}

impl fmt::Display for ModuleVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.update.map_or(Ok(()), |update| write!(f, ".{update:02}"))
    }
}

impl Serialize for ModuleVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ModuleIdentity {
    /// Reads the message of a kernel, without the prefix `virt/tdx: `. `None` where it is another message.
    ///
    /// - `TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version 5, build_date 20240725, build_num 784`
    /// - `TDX module 2.0.08.00, build number 882, build date 0134fed5`: the date is the decimal one, printed in hex
    /// - `Module version: 1.5.24`, `TDX-Module version: 1.5.24`
    pub fn parse(message: &str) -> Option<Self> {
        if let Some(fields) = message.strip_prefix("TDX module: ") {
            let get = |name: &str| {
                fields.split(", ").find_map(|field| field.trim().strip_prefix(name)?.strip_prefix(' '))
            };
            get("major_version").or_else(|| get("build_num"))?;
            return Some(Self::from_fields(&|name: &str| get(name).map(str::to_owned)));
        }
        for prefix in
            ["Module version: ", "TDX-Module version: ", "TDX module version: ", "TDX Module version: "]
        {
            if let Some(rest) = message.strip_prefix(prefix) {
                let word = rest.split([' ', ',']).next()?;
                return Some(Self { version: Some(ModuleVersion::parse(word)?), ..Self::default() });
            }
        }
        let mut fields = message.strip_prefix("TDX module ")?.split(", ");
        let version = ModuleVersion::parse(fields.next()?.trim())?;
        let mut identity = Self { version: Some(version), ..Self::default() };
        for field in fields {
            if let Some(number) = field.strip_prefix("build number ") {
                identity.build_number = number.trim().parse().ok();
            } else if let Some(date) = field.strip_prefix("build date ") {
                identity.build_date = date_of(date.trim());
            }
        }
        Some(identity)
    }

    /// Puts the fields together that old kernels print or show in sysfs. Numbers with `0x` are hexadecimal.
    pub(super) fn from_fields(get: &dyn Fn(&str) -> Option<String>) -> Self {
        let number_in = |name: &str| get(name).as_deref().and_then(number);
        let version = match (number_in("major_version"), number_in("minor_version")) {
            (Some(major), Some(minor)) => Some(ModuleVersion { major, minor, update: None }),
            _ => None,
        };
        Self {
            version,
            build_number: number_in("build_num"),
            build_date: get("build_date").as_deref().and_then(date_of),
            attributes: number_in("attributes"),
            vendor: number_in("vendor_id"),
        }
    }

    /// The version with the update number, which the build number gives away where the kernel did not print it.
    pub fn release(&self) -> Option<ModuleVersion> {
        match self.version {
            Some(version) if version.update.is_some() => Some(version),
            version => {
                let released = self.build_number.and_then(tdx_modules::release_of_build);
                released.filter(|known| {
                    version.is_none_or(|version| (version.major, version.minor) == (known.major, known.minor))
                })
            }
        }
    }
}

impl fmt::Display for ModuleIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.release().or(self.version) {
            Some(version) => write!(f, "TDX module {version}")?,
            None => f.write_str("TDX module of unknown version")?,
        }
        if let Some(build) = self.build_number {
            write!(f, ", build {build}")?;
        }
        if let Some(date) = self.build_date {
            write!(f, " of {:04}-{:02}-{:02}", date / 10_000, date / 100 % 100, date % 100)?;
        }
        Ok(())
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A date as `YYYYMMDD`: written so, or as the hexadecimal form of that decimal number.
fn date_of(text: &str) -> Option<u32> {
    let plausible = |date: &u32| {
        (2018..2100).contains(&(date / 10_000))
            && (1..=12).contains(&(date / 100 % 100))
            && (1..=31).contains(&(date % 100))
    };
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let decimal = digits.parse::<u32>().ok().filter(plausible);
    decimal.or_else(|| u32::from_str_radix(digits, 16).ok().filter(plausible))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_of_ubuntu_2404() {
        let module = ModuleIdentity::parse(
            "TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version 5, build_date 20240725, build_num 784",
        )
        .unwrap();
        assert_eq!(module.to_string(), "TDX module 1.5.08, build 784 of 2024-07-25");
        assert_eq!((module.vendor, module.attributes), (Some(0x8086), Some(0)));
    }

    #[test]
    fn the_form_of_ubuntu_2504_has_a_date_in_hex() {
        let module =
            ModuleIdentity::parse("TDX module 2.0.08.00, build number 882, build date 0134fed5").unwrap();
        assert_eq!(module.build_date, Some(20_250_325));
        assert_eq!(module.to_string(), "TDX module 2.0.08, build 882 of 2025-03-25");
    }

    #[test]
    fn the_forms_of_mainline() {
        for text in ["Module version: 1.5.24", "TDX-Module version: 1.5.24"] {
            let module = ModuleIdentity::parse(text).unwrap();
            assert_eq!(module.release().unwrap().to_string(), "1.5.24");
            assert_eq!(module.build_number, None);
        }
        for text in ["TDX module initialized.", "module initialized", "TDX module: ", "Module version: x"] {
            assert_eq!(ModuleIdentity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_version_has_two_to_four_numbers() {
        assert_eq!(ModuleVersion::parse("1.5.08").unwrap().to_string(), "1.5.08");
        assert_eq!(ModuleVersion::parse("1.5").unwrap().to_string(), "1.5");
        for text in ["", "1", "1.", "1.x", "1.5.", "+1.5", "1.5.999999"] {
            assert_eq!(ModuleVersion::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn dates_come_back_from_both_forms(year in 2018u32..2100, month in 1u32..=12, day in 1u32..=31) {
            let date = year * 10_000 + month * 100 + day;
            prop_assert_eq!(date_of(&date.to_string()), Some(date));
            prop_assert_eq!(date_of(&format!("{date:08x}")), Some(date));
        }

        #[test]
        fn versions_come_back(major in 0u32..100, minor in 0u32..100, update in 0u32..100) {
            let version = ModuleVersion { major, minor, update: Some(update) };
            prop_assert_eq!(ModuleVersion::parse(&version.to_string()), Some(version));
        }

        #[test]
        fn nothing_makes_it_panic(text in any::<String>()) {
            let _ = (ModuleIdentity::parse(&text), ModuleIdentity::parse(&format!("TDX module: {text}")));
        }
    }
}
