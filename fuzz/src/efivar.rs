//! UEFI variables: the registration's, and the switches.

use dstack_hw::facts::firmware::{efi_switch, efi_variable};
use dstack_hw::facts::registration::{EfiVariable, RegistrationConfiguration, RegistrationStatus};

/// Takes any bytes for the file of a variable.
pub fn run(data: &[u8]) {
    assert_eq!(
        efi_variable(data),
        EfiVariable::parse(data).map(|variable| (variable.attributes, variable.data))
    );
    assert_eq!(efi_variable(data).is_some(), data.len() >= 4);
    if efi_switch(data).is_some() {
        assert_eq!(data.len(), 5);
    }
    if let Ok(status) = RegistrationStatus::parse(data) {
        assert_eq!(RegistrationStatus::parse(&status.to_bytes()), Ok(status));
    }
    if let Ok(configuration) = RegistrationConfiguration::parse(data) {
        assert!(configuration.server.is_none_or(|server| server.len() <= data.len()));
    }
}
