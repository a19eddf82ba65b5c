//! The firmware: who made it, which version, how the host was booted.

use serde::Serialize;

use super::HostSource;
use crate::{Fact, Reading, Unread};

const DMI: &str = "/sys/class/dmi/id";
const EFIVARS: &str = "/sys/firmware/efi/efivars";
/// `EFI_GLOBAL_VARIABLE` (UEFI specification, section 3.3).
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The firmware. Never a serial number, an asset tag or a UUID.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Firmware {
    /// `sys_vendor` of the DMI tables: who sells the machine.
    pub sys_vendor: Fact<String>,
    /// `product_name`.
    pub product_name: Fact<String>,
    /// `board_vendor`.
    pub board_vendor: Fact<String>,
    /// `bios_vendor`.
    pub bios_vendor: Fact<String>,
    /// `bios_version`.
    pub bios_version: Fact<String>,
    /// `bios_date`, as `MM/DD/YYYY`.
    pub bios_date: Fact<String>,
    /// Was the host booted with UEFI? `/sys/firmware/efi` is there.
    pub uefi: Fact<bool>,
    /// The UEFI variable `SecureBoot`: is it enforced?
    pub secure_boot: Fact<bool>,
    /// The UEFI variable `SetupMode`: may keys be enrolled without a signature?
    pub setup_mode: Fact<bool>,
    /// `/sys/kernel/security/lockdown`.
    pub lockdown: Fact<Lockdown>,
}

/// What the kernel's lockdown keeps root from doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Lockdown {
    /// Nothing.
    None,
    /// Changing the kernel: writing MSRs, loading unsigned modules, kexec of unsigned images.
    Integrity,
    /// That, and reading the kernel's secrets.
    Confidentiality,
    /// A word that is not known here.
    Other(String),
}

impl Firmware {
    pub(crate) fn collect(source: &dyn HostSource) -> Self {
        let dmi = |name: &str| dmi_text(source.text(&format!("{DMI}/{name}")));
        Self {
            sys_vendor: dmi("sys_vendor"),
            product_name: dmi("product_name"),
            board_vendor: dmi("board_vendor"),
            bios_vendor: dmi("bios_vendor"),
            bios_version: dmi("bios_version"),
            bios_date: dmi("bios_date"),
            uefi: Fact::from(source.exists("/sys/firmware/efi")),
            secure_boot: switch(source, "SecureBoot"),
            setup_mode: switch(source, "SetupMode"),
            lockdown: Fact::from(source.text("/sys/kernel/security/lockdown")).and_then(|text| {
                Lockdown::parse(&text).map_or_else(
                    || Fact::Unread(Unread::Failed("no word in brackets in the file `lockdown`".to_owned())),
                    Fact::Known,
                )
            }),
        }
    }
}

impl Lockdown {
    /// Reads the kernel's list, in which brackets mark the mode in force: `none [integrity] confidentiality`.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once('[')?;
        let (word, _) = rest.split_once(']')?;
        Some(match word {
            "none" => Self::None,
            "integrity" => Self::Integrity,
            "confidentiality" => Self::Confidentiality,
            other => Self::Other(other.to_owned()),
        })
    }
}

/// The content of a UEFI variable as efivarfs shows it: four bytes of attributes, little-endian, then the value.
/// `None` where the attributes are not whole.
pub fn efi_variable(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (attributes, value) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*attributes), value))
}

/// A UEFI variable of one byte that is 0 or 1.
pub fn efi_switch(bytes: &[u8]) -> Option<bool> {
    match efi_variable(bytes)?.1 {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn switch(source: &dyn HostSource, name: &str) -> Fact<bool> {
    Fact::from(source.read(&format!("{EFIVARS}/{name}-{GLOBAL}"))).and_then(|bytes| {
        efi_switch(&bytes).map_or_else(
            || Fact::Unread(Unread::Failed(format!("the UEFI variable {name} is not one byte of 0 or 1"))),
            Fact::Known,
        )
    })
}

/// One text of the DMI tables. What makers leave in where nothing was filled in counts as absent.
fn dmi_text(reading: Reading<String>) -> Fact<String> {
    Fact::from(reading).and_then(|text| {
        let text = text.trim();
        let blank = [
            "",
            "To Be Filled By O.E.M.",
            "To be filled by O.E.M.",
            "Default string",
            "Not Specified",
            "None",
        ];
        if blank.contains(&text) { Fact::Absent } else { Fact::Known(text.to_owned()) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Readings;

    #[test]
    fn names_without_what_nobody_filled_in() {
        let host = Readings::empty_host()
            .file("/sys/class/dmi/id/sys_vendor", "Dell Inc.\n")
            .file("/sys/class/dmi/id/product_name", "Default string\n")
            .file_reading("/sys/class/dmi/id/bios_version", Err(Unread::NotPermitted));
        let firmware = Firmware::collect(&host);
        assert_eq!(firmware.sys_vendor, Fact::Known("Dell Inc.".to_owned()));
        assert_eq!(firmware.product_name, Fact::Absent);
        assert_eq!(firmware.bios_version, Fact::Unread(Unread::NotPermitted));
        assert_eq!(firmware.uefi, Fact::Known(false));
        assert_eq!(firmware.secure_boot, Fact::Absent);
    }

    #[test]
    fn variables() {
        assert_eq!(efi_variable(&[7, 0, 0, 0, 1, 2]), Some((7, &[1, 2][..])));
        assert_eq!(efi_variable(&[7, 0, 0]), None);
        assert_eq!(efi_switch(&[6, 0, 0, 0, 1]), Some(true));
        assert_eq!(efi_switch(&[6, 0, 0, 0, 0]), Some(false));
        assert_eq!(efi_switch(&[6, 0, 0, 0, 2]), None);
        assert_eq!(efi_switch(&[6, 0, 0, 0, 1, 1]), None);
    }

    #[test]
    fn lockdown() {
        assert_eq!(Lockdown::parse("[none] integrity confidentiality\n"), Some(Lockdown::None));
        assert_eq!(Lockdown::parse("none [integrity] confidentiality\n"), Some(Lockdown::Integrity));
        assert_eq!(Lockdown::parse("none integrity\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in any::<String>()) {
            let _ = efi_switch(&bytes);
            if let Some((attributes, value)) = efi_variable(&bytes) {
                prop_assert_eq!([&attributes.to_le_bytes()[..], value].concat(), bytes);
            }
            let _ = Lockdown::parse(&text);
        }
    }
}
