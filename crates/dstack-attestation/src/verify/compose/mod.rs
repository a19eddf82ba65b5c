//! Does an app-compose have this hash, and belong to this app?

use dstack_check::{CheckDef, Report};

use super::Verifier;
use crate::{Digest32, Digest48, Id20};

/// Every check of [`Verifier::compose`], parents before children.
pub const COMPOSE_CHECKS: &[CheckDef] = &[];

/// What an app-compose is said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComposeClaim {
    /// The compose hash.
    pub hash: Option<Digest32>,
    /// The app id.
    pub app_id: Option<Id20>,
    /// The MRCONFIGID of a quote.
    pub mr_config_id: Option<Digest48>,
}

impl Verifier {
    /// Judges the bytes of an app-compose.
    pub fn compose(&self, name: impl Into<String>, _bytes: &[u8], _claim: &ComposeClaim) -> Report {
        Report::new(name, [])
    }
}
