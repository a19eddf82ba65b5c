//! Verification policies: an error has a place, and what is read is written and read again.

use dstack_attestation::Policy;

/// Takes any bytes for a policy file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(policy) = Policy::from_toml(text) else { return };
    assert!(!policy.danger_accept_emulated, "a file lets emulated evidence through");
}
