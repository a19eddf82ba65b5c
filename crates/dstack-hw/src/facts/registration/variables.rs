//! The UEFI variables of SGX multi-package registration.
//!
//! Names, GUIDs and layouts are those of Intel DCAP (`tools/SGXPlatformRegistration`, `UefiVar.h`, packed little-endian);
//! efivarfs puts four bytes of attributes in front of the content.

use serde::Serialize;

use crate::{Fact, Reading, Unread};

/// The variable with the state of the registration, as efivarfs names it.
pub const STATUS: &str = "SgxRegistrationStatus-f236c5dc-a491-4bbe-bcdd-88885770df45";
/// The variable with the registration server and its policy.
pub const CONFIGURATION: &str = "SgxRegistrationConfiguration-18b3bc81-e210-42b9-9ec8-2c5a7d4d89b6";
/// The variable with the platform manifest. Only its presence is looked at.
pub const SERVER_REQUEST: &str = "SgxRegistrationServerRequest-304e0796-d515-4698-ac6e-e76cb1a71c28";
/// The variable with the packages' keys. Only its presence is looked at.
pub const PACKAGE_INFO: &str = "SgxRegistrationPackageInfo-ac406deb-ab92-42d6-aff7-0d78e0826c68";

/// A variable that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VariableError {
    /// Fewer bytes than the structure has.
    #[error("{name} has {found} bytes, at least {expected} were expected")]
    TooShort {
        /// Name of the variable.
        name: &'static str,
        /// Bytes that are there, the four of efivarfs included.
        found: usize,
        /// Bytes that there should be.
        expected: usize,
    },
    /// A layout that is not known.
    #[error("{name} has layout version {found}; 1 is known")]
    Version {
        /// Name of the variable.
        name: &'static str,
        /// The version in it.
        found: u16,
    },
    /// A length inside that disagrees with the layout.
    #[error("{name} says that {found} bytes follow; the layout has {expected}")]
    Length {
        /// Name of the variable.
        name: &'static str,
        /// The length in it.
        found: u16,
        /// The length of the layout.
        expected: u16,
    },
}

impl From<VariableError> for Unread {
    fn from(error: VariableError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl<T> From<Result<T, VariableError>> for Fact<T> {
    fn from(parsed: Result<T, VariableError>) -> Self {
        match parsed {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unread(error.into()),
        }
    }
}

/// The content of a file in efivarfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EfiVariable<'a> {
    /// The attributes: bit 0 non-volatile, bit 1 boot services, bit 2 run time (UEFI specification, `GetVariable`).
    pub attributes: u32,
    /// The content of the variable.
    pub data: &'a [u8],
}

impl<'a> EfiVariable<'a> {
    /// Takes the four bytes of attributes off. `None` where there are fewer.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (attributes, data) = bytes.split_first_chunk::<4>()?;
        Some(Self { attributes: u32::from_le_bytes(*attributes), data })
    }
}

/// `SgxRegistrationStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RegistrationStatus {
    /// Bit 0 of the status: there is nothing left to send. It is set after a refusal too, see `error`.
    pub complete: bool,
    /// Bit 1 of the status: the packages' information was taken over.
    pub package_info_complete: bool,
    /// 0 where all is well. With bit 7 set the agent's code or the server's (0x80 to 0x87, 0xa0 to 0xa8); without it one
    /// of the firmware (MCHECK), on which the agent gives up.
    pub error: u8,
}

impl RegistrationStatus {
    /// Reads the file of efivarfs.
    ///
    /// # Errors
    ///
    /// [`VariableError`] where the size, the version or the length inside is not that of the layout.
    pub fn parse(bytes: &[u8]) -> Result<Self, VariableError> {
        const NAME: &str = "SgxRegistrationStatus";
        let short = VariableError::TooShort { name: NAME, found: bytes.len(), expected: 11 };
        let variable = EfiVariable::parse(bytes).ok_or_else(|| short.clone())?;
        let &[v0, v1, l0, l1, s0, s1, error, ..] = variable.data else { return Err(short) };
        version(NAME, u16::from_le_bytes([v0, v1]))?;
        let length = u16::from_le_bytes([l0, l1]);
        if length != 3 {
            return Err(VariableError::Length { name: NAME, found: length, expected: 3 });
        }
        let status = u16::from_le_bytes([s0, s1]);
        Ok(Self { complete: status & 1 != 0, package_info_complete: status & 2 != 0, error })
    }

    /// The file of efivarfs with this status.
    pub fn to_bytes(self) -> Vec<u8> {
        let status = u16::from(self.complete) | u16::from(self.package_info_complete) << 1;
        let mut bytes = vec![7, 0, 0, 0, 1, 0, 3, 0];
        bytes.extend(status.to_le_bytes());
        bytes.push(self.error);
        bytes
    }
}

/// `SgxRegistrationConfiguration`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct RegistrationConfiguration {
    /// Bit 0 of the flags: the server must not keep the platform's keys, so the agent sends nothing. The firmware's
    /// setting *SGX Auto MP Registration* clears it.
    pub keys_not_kept: bool,
    /// The registration server, where the variable is long enough to name it.
    pub server: Option<String>,
}

impl RegistrationConfiguration {
    /// Reads the file of efivarfs.
    ///
    /// # Errors
    ///
    /// [`VariableError`] where it is too short for the flags, or of another version.
    pub fn parse(bytes: &[u8]) -> Result<Self, VariableError> {
        const NAME: &str = "SgxRegistrationConfiguration";
        let short = VariableError::TooShort { name: NAME, found: bytes.len(), expected: 10 };
        let variable = EfiVariable::parse(bytes).ok_or_else(|| short.clone())?;
        let &[v0, v1, _, _, f0, f1, ..] = variable.data else { return Err(short) };
        version(NAME, u16::from_le_bytes([v0, v1]))?;
        Ok(Self { keys_not_kept: u16::from_le_bytes([f0, f1]) & 1 != 0, server: server(variable.data) })
    }
}

/// The URL after the flags and a header of 32 bytes: a length, then ASCII without an end mark, padded.
fn server(data: &[u8]) -> Option<String> {
    let &[l0, l1] = data.get(38..40)? else { return None };
    let url = data.get(40..)?.get(..usize::from(u16::from_le_bytes([l0, l1])).min(256))?;
    let url: Vec<u8> = url.iter().copied().take_while(u8::is_ascii_graphic).collect();
    let url = String::from_utf8(url).ok()?;
    url.starts_with("http").then_some(url)
}

fn version(name: &'static str, found: u16) -> Result<(), VariableError> {
    if found == 1 { Ok(()) } else { Err(VariableError::Version { name, found }) }
}

/// The SGX variables among the names in efivarfs.
pub(super) fn listed(names: Reading<Vec<String>>) -> Fact<Vec<String>> {
    Fact::from(names).and_then(|names| {
        // Firmware always has variables: an empty folder is a mount point without the file system.
        if names.is_empty() {
            return Fact::Absent;
        }
        let ours =
            |name: &String| name.starts_with("SgxRegistration") || name.starts_with("SOFTWAREGUARDSTATUS");
        Fact::Known(names.into_iter().filter(ours).collect())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_registered_platform() {
        let bytes = [7, 0, 0, 0, 1, 0, 3, 0, 3, 0, 0];
        let status = RegistrationStatus::parse(&bytes).unwrap();
        assert_eq!(status, RegistrationStatus { complete: true, package_info_complete: true, error: 0 });
    }

    #[test]
    fn a_status_is_not_read_where_it_cannot_be_one() {
        let parse = RegistrationStatus::parse;
        assert!(matches!(parse(&[7, 0, 0, 0, 1, 0, 3, 0, 3, 0]), Err(VariableError::TooShort { .. })));
        assert!(matches!(parse(&[7, 0, 0, 0, 2, 0, 3, 0, 3, 0, 0]), Err(VariableError::Version { .. })));
        assert!(matches!(parse(&[7, 0, 0, 0, 1, 0, 9, 0, 3, 0, 0]), Err(VariableError::Length { .. })));
    }

    #[test]
    fn the_configuration_names_the_server() {
        let mut bytes = vec![7, 0, 0, 0, 1, 0, 0, 1, 1, 0];
        bytes.extend([0; 32]);
        let url = b"https://sbx.example.com/registration";
        bytes.extend((url.len() as u16 + 4).to_le_bytes());
        bytes.extend(url);
        bytes.extend([0; 220]);
        let configuration = RegistrationConfiguration::parse(&bytes).unwrap();
        assert!(configuration.keys_not_kept);
        assert_eq!(configuration.server.as_deref(), Some("https://sbx.example.com/registration"));
    }

    #[test]
    fn an_empty_efivarfs_is_none() {
        assert_eq!(listed(Ok(Vec::new())), Fact::Absent);
        let names = vec!["BootOrder-8be4df61".to_owned(), STATUS.to_owned()];
        assert_eq!(listed(Ok(names)), Fact::Known(vec![STATUS.to_owned()]));
    }

    proptest! {
        #[test]
        fn a_status_survives(complete: bool, package_info_complete: bool, error: u8) {
            let status = RegistrationStatus { complete, package_info_complete, error };
            prop_assert_eq!(RegistrationStatus::parse(&status.to_bytes()), Ok(status));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = RegistrationStatus::parse(&bytes);
            let _ = RegistrationConfiguration::parse(&bytes);
        }
    }
}
