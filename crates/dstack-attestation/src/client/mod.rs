//! Fetching evidence: the guest agent's client, the VMM's guest proxy, `/quote.json`-like URLs, a PCCS, and what a TLS
//! server shows. Feature `client`.
//!
//! Everything else in this crate works on what was fetched, by this module or by any other means. A whole verification,
//! from a challenge to a report:
//!
//! ```no_run
//! use std::time::SystemTime;
//!
//! use dstack_attestation::client::{self, AgentClient, Transport};
//! use dstack_attestation::{Policy, Verifier};
//!
//! # async fn run(challenge: [u8; 32]) -> Result<(), Box<dyn std::error::Error>> {
//! // What the app's agent hands out, with a quote over 32 random bytes that were made for this call.
//! let agent = AgentClient::new("unix:/var/run/dstack.sock".parse()?);
//! let now = SystemTime::now();
//! let fetched = client::fetch_app(&agent, &challenge, now).await?;
//!
//! // What Intel says about the platform, from a cache.
//! let quote = fetched.evidence.quote.as_deref().unwrap_or_default();
//! let transport = Transport::new();
//! let collateral = client::fetch_collateral(quote, client::PHALA_PCCS, &transport).await?;
//!
//! // What it proves, and what not.
//! let policy = Policy::new().compose(std::fs::read("app-compose.json")?);
//! let report = Verifier::new(policy, now).collateral(collateral).app("web", &fetched.evidence);
//! println!("{:?}", report.verdict());
//! # Ok(())
//! # }
//! ```
//!
//! | source | function | what it has |
//! |---|---|---|
//! | an app's own agent, `dstack.sock` | [`fetch_app`] | description, quote over a challenge, event log |
//! | the legacy `tappd.sock` | [`fetch_legacy_app`] | the same |
//! | an agent's public port 8090 | [`fetch_public_app`] | description, quote over the app's signing key |
//! | a VMM | [`GuestProxy::fetch_app`] | description |
//! | a URL | [`fetch_document`] | whatever the app serves there |
//! | a PCCS | [`fetch_collateral`] | collateral |
//! | a KMS | [`KmsClient`] | `GetMeta`, its certificates |
//! | a gateway | [`fetch_gateway`] | `AcmeInfo`, its certificates |
//! | an ingress | [`fetch_ingress`] | its evidence directory, its certificates |
//! | any TLS server | [`probe`] | its certificates |
//!
//! Every exchange is bounded in time and size ([`Limits`]), follows no redirect, and uses no proxy. Nothing that is
//! fetched is believed, the transport included: TLS keeps others from reading and changing what is fetched, and proves
//! nothing about a CVM.

mod agent;
mod capability;
mod endpoint;
mod error;
mod evidence;
mod gateway;
mod ingress;
mod kms;
mod legacy;
mod pccs;
mod rpc;
mod tls;
mod transport;
mod trust;

pub use agent::{AgentClient, Surface};
pub use capability::AgentCapabilities;
pub use endpoint::Endpoint;
pub use error::{Cause, ConnectFailure, FetchError, KeptBody};
pub use evidence::{FetchedApp, GuestProxy, fetch_app, fetch_document, fetch_legacy_app, fetch_public_app};
pub use gateway::{fetch_gateway, fetch_gateway_app_info, fetch_gateway_at, fetch_gateway_by_rpc};
pub use ingress::{FetchedIngress, fetch_ingress, fetch_ingress_at};
pub use kms::KmsClient;
pub use legacy::LegacyAgentClient;
pub use pccs::{INTEL_PCS, PHALA_PCCS, PckCa, QuotedPlatform, fetch_collateral, fetch_collateral_for};
pub use tls::probe;
pub use transport::{BearerToken, Limits, Transport};
pub use trust::{TlsPeer, TlsTrust};
