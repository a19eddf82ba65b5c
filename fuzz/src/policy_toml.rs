//! Verification policies: an error has a place, and what is read is written and read again.

use dstack_attestation::policy::TcbStatus;
use dstack_attestation::{Policy, PolicyFile};

/// Takes any bytes for a policy file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = match PolicyFile::parse(text) {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.problems.is_empty());
            for problem in &error.problems {
                assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty());
                assert!(problem.line <= text.split('\n').count(), "{problem}");
            }
            return;
        }
    };
    let policy = file.policy;
    assert!(!policy.danger_accept_emulated, "a file lets emulated evidence through");
    assert!(!policy.tcb.statuses.contains(&TcbStatus::Revoked), "a file takes a revoked platform");
    let again = Policy::from_toml(&policy.to_toml()).expect("what was written can be read");
    assert_eq!(again, policy);
}
