//! UEFI variables: a few say how a host is set up, the others are its own business.

use super::Redactor;

/// Where efivarfs is mounted.
pub(super) const FOLDER: &str = "/sys/firmware/efi/efivars";

/// Variables that are kept as they are: states and switches of a few bytes.
const KEPT: [&str; 3] = ["SgxRegistrationStatus-", "SecureBoot-", "SetupMode-"];

/// The configuration of the registration: flags that are kept, and the server's URL.
const CONFIGURATION: &str = "SgxRegistrationConfiguration-";

/// The longest variable that is kept as it is, in bytes, with the 4 of efivarfs in front.
const MAX_KEPT: usize = 32;

/// Attributes, version, size and flags of the configuration, in bytes.
const FLAGS_END: usize = 10;

/// Where the length of the server's URL is in it.
const URL_LENGTH: usize = 42;

impl Redactor {
    /// The variable without what is not looked at; `None` where all of it is left out. The manifest of the platform
    /// (`SgxRegistrationServerRequest`) and the packages' information are never kept.
    pub(super) fn efi_variable(&mut self, name: &str, content: &[u8]) -> Option<Vec<u8>> {
        if KEPT.iter().any(|kept| name.starts_with(kept)) && content.len() <= MAX_KEPT {
            return Some(content.to_vec());
        }
        if !name.starts_with(CONFIGURATION) {
            return None;
        }
        let mut kept = content.to_vec();
        kept.iter_mut().skip(FLAGS_END).for_each(|byte| *byte = 0);
        if let Some(url) = url(content) {
            let url = self.text(&url);
            let length = u16::try_from(url.len()).unwrap_or(0);
            let field = length.to_le_bytes().into_iter().chain(url.into_bytes());
            for (byte, value) in kept.iter_mut().skip(URL_LENGTH).zip(field) {
                *byte = value;
            }
        }
        Some(kept)
    }
}

/// The URL of the registration server, where there is one.
fn url(content: &[u8]) -> Option<String> {
    let &[low, high] = content.get(URL_LENGTH..URL_LENGTH + 2)? else { return None };
    let length = usize::from(u16::from_le_bytes([low, high])).min(256);
    let bytes = content.get(URL_LENGTH + 2..)?.get(..length)?;
    let url: Vec<u8> = bytes.iter().copied().take_while(u8::is_ascii_graphic).collect();
    String::from_utf8(url).ok().filter(|url| url.starts_with("http"))
}

#[cfg(test)]
mod tests {
    use super::super::Redactor;
    use super::super::identity::Identity;
    use super::*;

    fn configuration(url: &str) -> Vec<u8> {
        let mut bytes = vec![7, 0, 0, 0, 1, 0, 90, 0, 1, 0];
        bytes.extend([0xaa; 32]);
        bytes.extend(u16::try_from(url.len()).unwrap().to_le_bytes());
        bytes.extend(url.as_bytes());
        bytes.extend([0xbb; 64]);
        bytes
    }

    #[test]
    fn of_the_configuration_the_flags_and_a_public_server_are_kept() {
        let mut redactor = Redactor::new(Identity::default());
        let of = |redactor: &mut Redactor, url| {
            redactor.efi_variable("SgxRegistrationConfiguration-x", &configuration(url))
        };
        let kept = of(&mut redactor, "https://api.trustedservices.intel.com:443").unwrap();
        assert_eq!(kept[..FLAGS_END], [7, 0, 0, 0, 1, 0, 90, 0, 1, 0]);
        assert_eq!(url(&kept).as_deref(), Some("https://api.trustedservices.intel.com:443"));
        assert!(!kept.contains(&0xaa) && !kept.contains(&0xbb));
        let kept = of(&mut redactor, "https://registration.corp.net:8443").unwrap();
        assert_eq!(url(&kept).as_deref(), Some("https://host-1.invalid:8443"));
        assert_eq!(redactor.efi_variable("SgxRegistrationConfiguration-x", &kept), Some(kept));
    }

    #[test]
    fn the_manifest_is_never_kept() {
        let mut redactor = Redactor::new(Identity::default());
        for name in [
            "SgxRegistrationServerRequest-304e",
            "SgxRegistrationPackageInfo-ac40",
            "Boot0000-8be4",
            "MokListRT-6",
        ] {
            assert_eq!(redactor.efi_variable(name, &[7, 0, 0, 0, 1]), None, "{name}");
        }
        assert_eq!(redactor.efi_variable("SecureBoot-8be4", &[6, 0, 0, 0, 1]), Some(vec![6, 0, 0, 0, 1]));
        assert_eq!(redactor.efi_variable("SgxRegistrationStatus-f236", &[0; 1000]), None);
    }
}
