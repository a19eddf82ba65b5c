//! Which version answers, and what follows from it.

use super::Client;
use crate::api::VersionResponse;
use crate::api::method;
use crate::error::{Error, Result};
use crate::{Capabilities, DstackVersion};

/// Which version a VMM is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerVersion {
    /// What it said.
    pub reported: VersionResponse,
    /// The line it is treated as.
    pub version: DstackVersion,
    /// Whether this crate knows the line. Otherwise the nearest one is assumed, and callers should say so.
    pub known: bool,
}

impl ServerVersion {
    /// What to assume of a server that reports this. A version newer than all known ones is treated as
    /// [`DstackVersion::Next`], an older one as [`DstackVersion::V0_5`], a text that is no version as the newest.
    ///
    /// ```
    /// use dstack_vmm_client::DstackVersion;
    /// use dstack_vmm_client::api::VersionResponse;
    /// use dstack_vmm_client::client::ServerVersion;
    ///
    /// let mut reported = VersionResponse::default();
    /// reported.version = "0.9.0".to_owned();
    /// let assumed = ServerVersion::assume(reported);
    /// assert_eq!((assumed.version, assumed.known), (DstackVersion::Next, false));
    /// assert!(assumed.warning().is_some());
    /// ```
    pub fn assume(reported: VersionResponse) -> Self {
        if let Some(version) = DstackVersion::from_server(&reported.version) {
            return Self { reported, version, known: true };
        }
        let mut numbers = reported.version.trim().trim_start_matches('v').split('.');
        let older = match (number(numbers.next()), number(numbers.next())) {
            (Some(0), Some(minor)) => minor < 5,
            _ => false,
        };
        let version = if older { DstackVersion::V0_5 } else { DstackVersion::Next };
        Self { reported, version, known: false }
    }

    /// What the server can do.
    pub fn capabilities(&self) -> &'static Capabilities {
        self.version.capabilities()
    }

    /// What a user should be told when the version is not a known one.
    pub fn warning(&self) -> Option<String> {
        if self.known {
            return None;
        }
        let assumed = self.version.capabilities().reference;
        Some(format!(
            "the VMM reports version {:?}, which is not known here; it is treated as {assumed}",
            self.reported.version
        ))
    }
}

fn number(text: Option<&str>) -> Option<u32> {
    text?.parse().ok()
}

impl Client {
    /// The server's version. Asked once per client and its clones; a failure is not kept.
    ///
    /// # Errors
    /// When the VMM cannot be asked.
    pub async fn server_version(&self) -> Result<&ServerVersion> {
        self.inner
            .version
            .get_or_try_init(|| async {
                // Boxed: `call` asks for the version itself, for methods that not every version has.
                let reported = Box::pin(self.call::<method::Version>(&crate::api::Empty::default())).await?;
                let version = ServerVersion::assume(reported);
                if let Some(warning) = version.warning() {
                    tracing::warn!("{warning}");
                }
                Ok(version)
            })
            .await
    }

    /// Refuses a method that the server's version does not have.
    pub(super) async fn require(
        &self,
        method: &'static str,
        versions: &'static [DstackVersion],
    ) -> Result<()> {
        let server = self.server_version().await?;
        if versions.contains(&server.version) {
            return Ok(());
        }
        let having: Vec<String> = versions.iter().map(ToString::to_string).collect();
        Err(Error::InvalidRequest {
            what: format!("{method} does not exist in dstack {}", server.reported.version),
            hint: Some(format!("only version {} has it", having.join(", "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assume(version: &str) -> (DstackVersion, bool) {
        let server = ServerVersion::assume(VersionResponse {
            version: version.to_owned(),
            ..VersionResponse::default()
        });
        assert_eq!(server.warning().is_none(), server.known);
        (server.version, server.known)
    }

    #[test]
    fn unknown_versions_are_treated_as_the_nearest() {
        assert_eq!(assume("0.5.11"), (DstackVersion::V0_5, true));
        assert_eq!(assume("v0.6.0"), (DstackVersion::Next, true));
        assert_eq!(assume("0.7.1"), (DstackVersion::Next, false));
        assert_eq!(assume("1.0.0"), (DstackVersion::Next, false));
        assert_eq!(assume("0.4.2"), (DstackVersion::V0_5, false));
        assert_eq!(assume(""), (DstackVersion::Next, false));
    }
}
