//! What a platform's trusted computing base must be.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// How up to date a platform is, as Intel's TCB info says it for the versions in a quote.
///
/// Source: Intel PCS API v4, `tcbStatus`; the two about relaunching are those of the DCAP quote verification library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TcbStatus {
    /// No known weakness.
    UpToDate,
    /// Software must be hardened, which nothing in a quote shows.
    SwHardeningNeeded,
    /// The platform's configuration must be changed, for example hyper-threading.
    ConfigurationNeeded,
    /// Both of these.
    ConfigurationAndSwHardeningNeeded,
    /// The platform lacks fixes.
    OutOfDate,
    /// The platform lacks fixes and its configuration must be changed.
    OutOfDateConfigurationNeeded,
    /// The TD was launched by an out-of-date TDX module that has been updated since.
    TdRelaunchAdvised,
    /// The same, and the platform's configuration must be changed.
    TdRelaunchAdvisedConfigurationNeeded,
    /// The platform's keys are no longer trusted. No policy accepts it.
    Revoked,
}

impl TcbStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::TdRelaunchAdvised,
        Self::TdRelaunchAdvisedConfigurationNeeded,
        Self::Revoked,
    ];

    /// Intel's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TcbStatus {
    type Err = String;

    /// The error is the text that names no status.
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(|| name.to_owned())
    }
}

/// What a platform's TCB must be. From the start only `UpToDate` will do, without exception.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcbPolicy {
    /// The statuses that will do. [`TcbStatus::Revoked`] never does.
    pub statuses: BTreeSet<TcbStatus>,
    /// The advisories that may apply to the platform, such as `INTEL-SA-00837`. `None` leaves them to the status.
    pub allowed_advisories: Option<BTreeSet<String>>,
    /// The advisories that must not apply, whatever the status.
    pub rejected_advisories: BTreeSet<String>,
    /// The least TCB evaluation data number, by which Intel counts its TCB recoveries.
    pub min_evaluation_number: Option<u32>,
}

impl Default for TcbPolicy {
    fn default() -> Self {
        Self {
            statuses: BTreeSet::from([TcbStatus::UpToDate]),
            allowed_advisories: None,
            rejected_advisories: BTreeSet::new(),
            min_evaluation_number: None,
        }
    }
}
