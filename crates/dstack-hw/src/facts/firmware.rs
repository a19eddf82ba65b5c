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
