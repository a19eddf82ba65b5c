//! From evidence and expectations to findings.

mod app;

pub use app::{APP_CHECKS, AppEvidence, AppExpectation, EvidenceError, verify_app};
