//! A test authority: it plays Intel's provisioning service and a TDX platform, so that quotes and collateral of every
//! kind can be made that verify up to a root CA of our own.
//!
//! Nothing here is genuine. A verifier takes it only where it is told to trust the authority's root CA
//! (`TrustRoot::danger_other`). The file layout is self-contained: another package's tests can include this folder with
//! `#[path]`, given the dependencies `dstack-attestation`, `hex`, `rcgen`, `ring` and `serde_json`.
//!
//! ```ignore
//! let authority = Authority::new(now());
//! let platform = authority.platform();
//! let quote = platform.quote(&Contents::from(emulated_quote));
//! let verifier = Verifier::new(policy, now())
//!     .danger_root(authority.trust_root())
//!     .collateral(authority.collateral(&platform));
//! ```

// Each package that includes this folder uses another part of it.
#![allow(dead_code, unused_imports)]

mod collateral;
mod pki;
mod quote;

use std::time::{Duration, SystemTime};

use dstack_attestation::quote::Collateral;
use dstack_attestation::quote::verify::TrustRoot;

pub(crate) use collateral::Statement;
pub(crate) use pki::{Authority, Platform, PlatformSpec};
pub(crate) use quote::{Body, Contents, Faults};

/// The time at which a test plays: 2026-06-01 12:00:00 UTC.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_315_200)
}

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Authority {
    /// The root CA as what a verifier is told to trust.
    pub(crate) fn trust_root(&self) -> TrustRoot {
        TrustRoot::danger_other(self.root_der())
    }

    /// Collateral that finds the platform up to date, without advisories, issued a day before the authority's time.
    pub(crate) fn collateral(&self, platform: &Platform) -> Collateral {
        self.collateral_with(platform, |_| ())
    }

    /// Collateral with a few things said otherwise.
    pub(crate) fn collateral_with(
        &self,
        platform: &Platform,
        change: impl FnOnce(&mut Statement),
    ) -> Collateral {
        let json = self.collateral_json_with(platform, change);
        Collateral::from_json(&json, "the test authority").unwrap()
    }

    /// The same as the JSON text that is kept in files.
    pub(crate) fn collateral_json(&self, platform: &Platform) -> String {
        self.collateral_json_with(platform, |_| ())
    }

    /// The same as the JSON text that is kept in files.
    pub(crate) fn collateral_json_with(
        &self,
        platform: &Platform,
        change: impl FnOnce(&mut Statement),
    ) -> String {
        let mut statement = Statement::new(self.now(), platform.spec());
        change(&mut statement);
        statement.sign(self)
    }
}
