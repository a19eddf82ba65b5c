//! What identifies a host, its users or its network is taken out before a capture is shared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was taken out of a capture, for whoever is about to share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Redaction {
    /// The rules that were applied.
    pub rules: Vec<String>,
    /// How many different values each rule replaced. A rule that found nothing is not listed.
    pub replaced: BTreeMap<String, usize>,
}
